"""The artefact graph: paths folded, accesses followed to their users, pipeline files merged."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mldebt_rules.glue.artefacts import Artefacts, Flow
from mldebt_rules.glue.dvc_stages import Stages, yaml_text
from mldebt_rules.glue.handoffs import Handoffs
from mldebt_rules.glue.orderings import Orderings
from mldebt_rules.glue.patterns import (
    ROOT,
    Slot,
    concatenated,
    filled,
    joined,
    matches,
    normal,
    parent,
    plain,
)

from mldebt.config import Config, Request
from mldebt.pipeline import scan
from mldebt.project.project import Project
from mldebt.registry import Registry
from mldebt.settings.selectors import Vocabulary
from mldebt.testing import write

Build = Callable[[Mapping[str, str]], Project]


@pytest.fixture(name="project")
def project_on_disk(tmp_path: Path) -> Build:
    """A repository with pipeline files and all, linked."""

    def build(files: Mapping[str, str]) -> Project:
        root = write({name: dedent(text) for name, text in files.items()}, tmp_path / "repository")
        config = Config(root, active=frozenset(), isolated=True, vocabulary=Vocabulary.of(()))
        return scan(Request(root, config=config, use_cache=False, jobs=1), Registry(())).project

    return build


HEAD = "import os\nimport pathlib\nfrom pathlib import Path\n\nimport pandas as pd\n\n"


def node(project: Project) -> str:
    """The only artefact of a project."""
    (found,) = project[Artefacts].nodes.values()
    return str(found.pattern)


@pytest.mark.parametrize(
    ("expression", "pattern"),
    [
        ('"data/a.csv"', "data/a.csv"),
        ('"./data//b/../a.csv"', "data/a.csv"),
        ('os.path.join("data", "a.csv")', "data/a.csv"),
        ('Path("data") / "raw" / "a.csv"', "data/raw/a.csv"),
        ('Path("data", "a.csv").with_suffix(".parquet")', "data/a.parquet"),
        ('Path("data/a.csv").with_name("b.csv")', "data/b.csv"),
        ('Path(__file__).parent / "a.csv"', "src/a.csv"),
        ('Path(__file__).resolve().parents[1] / "data/a.csv"', "data/a.csv"),
        ('os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "a.csv")', "data/a.csv"),
        ('f"data/{NAME}.csv"', "data/visits.csv"),
        ('"data/{}.csv".format(NAME)', "data/visits.csv"),
        ('"data/{0}_{other}.csv".format(NAME, other=3)', "data/visits_3.csv"),
        ('"data/%s_%d.csv" % (NAME, 7)', "data/visits_7.csv"),
        ('"data/" + NAME + ".csv"', "data/visits.csv"),
        ('TABLE["clean"]', "data/clean.csv"),
        ('FOLDERS.RAW / "a.csv"', "data/raw/a.csv"),
        ('f"data/visits_{unknown()}.csv"', "data/visits_*.csv"),
        ('os.path.join(os.environ.get("DATA", "data"), "a.csv")', "data/a.csv"),
        ('"s3://bucket/a/../b.csv"', "s3://bucket/b.csv"),
        ('"/mnt/share/a.csv"', "/mnt/share/a.csv"),
        ('path_to("a.csv")', "data/named/a.csv"),
        ('str(Path("data/a.csv").absolute())', "data/a.csv"),
        ('"data/raw/a.csv".replace("raw", "clean")', "data/clean/a.csv"),
    ],
)
def test_a_path_is_what_its_constants_say(project: Build, expression: str, pattern: str) -> None:
    text = (
        HEAD + 'NAME = "visits"\nTABLE = {"clean": "data/clean.csv"}\n\n\n'
        'class FOLDERS:\n    RAW = Path("data/raw")\n\n\n'
        'def path_to(name):\n    return Path("data/named") / name\n\n\n'
        f"pd.read_csv({expression})\n"
    )
    assert node(project({"src/m.py": text, "data/README": ""})) == pattern


@pytest.mark.parametrize(
    "expression",
    [
        "unknown()",
        "sys.argv[1]",
        'f"{unknown()}.csv"',
        '"/tmp/a.csv"',
        "tempfile.mkdtemp() + '/a.csv'",
        '"../../a.csv"',
    ],
)
def test_what_nothing_tells_is_no_artefact(project: Build, expression: str) -> None:
    assert not project({"m.py": f"import sys\nimport tempfile\n{HEAD}pd.read_csv({expression})\n"})[Artefacts].nodes


def test_a_wrapper_is_followed_to_those_who_give_it_the_path(project: Build) -> None:
    files = {
        "storage.py": """
            import pickle

            def save(value, path):
                with open(path, "wb") as file:
                    pickle.dump(value, file)

            def save_named(value, name):
                save(value, f"data/{name}.pkl")

            class Store:
                def __init__(self, folder="data/store"):
                    self.folder = folder

                def put(self, frame):
                    frame.to_csv(self.folder + "/all.csv")
            """,
        "main.py": """
            from storage import Store, save, save_named

            save(1, "data/one.pkl")
            save_named(2, "two")
            Store().put(frame)
            """,
    }
    found = project(files)[Artefacts].nodes
    assert list(found) == ["data/one.pkl", "data/store/all.csv", "data/two.pkl"]
    (write,) = found["data/one.pkl"].writes
    assert (write.place.path, write.via and write.via.path) == ("main.py", "storage.py")


def test_options_and_configuration_give_paths_where_they_have_one_value(project: Build) -> None:
    files = {
        "args.py": """
            import argparse
            import pandas as pd

            parser = argparse.ArgumentParser()
            parser.add_argument("--out-dir", default="out")
            args = parser.parse_args()
            pd.DataFrame().to_csv(f"{args.out_dir}/a.csv")
            """,
        "leaves.py": """
            import pandas as pd
            import yaml

            config = yaml.safe_load(open("config.yaml"))
            pd.DataFrame().to_csv(config["paths"]["clean"])
            """,
        "config.yaml": "paths:\n  clean: data/clean.csv\n",
        "fields.py": """
            from dataclasses import dataclass
            import pandas as pd

            @dataclass
            class Config:
                table: str = "data/table.csv"

            pd.DataFrame().to_csv(Config().table)
            """,
        "command.py": """
            import click
            import pandas as pd

            @click.command()
            @click.option("--target", default="data/target.csv")
            def main(target):
                pd.DataFrame().to_csv(target)

            main()
            """,
    }
    written = [name for name, one in project(files)[Artefacts].nodes.items() if one.writes]
    assert written == ["data/clean.csv", "data/table.csv", "data/target.csv", "out/a.csv"]


@pytest.mark.parametrize(
    ("call", "direction", "pattern"),
    [
        ('open("a.txt")', "read", "a.txt"),
        ('open("a.txt", "w")', "write", "a.txt"),
        ('open("a.txt", mode="a")', "write", "a.txt"),
        ('Path("a.txt").write_text("x")', "write", "a.txt"),
        ('(Path("data") / "a.txt").open("wb")', "write", "data/a.txt"),
        ('np.save("data/arr", 1)', "write", "data/arr.npy"),
        ('torch.save(x, "model.pt")', "write", "model.pt"),
        ('joblib.load("model.joblib")', "read", "model.joblib"),
        ('model.save("model.keras")', "write", "model.keras"),
        ('model.save_pretrained("out/model")', "write", "out/model"),
        ('df.write.mode("overwrite").parquet("data/parts")', "write", "data/parts"),
        ('spark.read.option("a", 1).parquet("data/parts")', "read", "data/parts"),
        ('df.to_sql("features", engine)', "write", "features"),
        ('pd.read_sql("SELECT a FROM Features WHERE a > 1", engine)', "read", "features"),
        ('plt.savefig("figures/loss.png")', "write", "figures/loss.png"),
    ],
)
def test_calls_read_or_write(project: Build, call: str, direction: str, pattern: str) -> None:
    imports = "import joblib\nimport numpy as np\nimport torch\nimport matplotlib.pyplot as plt\n"
    graph = project({"m.py": f"{imports}{HEAD}{call}\n"})[Artefacts]
    (access,) = graph.nodes[pattern].accesses
    assert access.direction == direction


def test_an_own_function_of_such_a_name_is_none(project: Build) -> None:
    text = "class Frame:\n    def to_csv(self, path): ...\n\nFrame().to_csv('a.csv')\n"
    assert not project({"m.py": text})[Artefacts].nodes


MAIN = "if __name__ == '__main__':\n    "
CHAIN = {
    "clean.py": f"import pandas as pd\n\n{MAIN}pd.read_csv('data/raw.csv').to_csv('data/clean.csv')\n",
    "train.py": f"import pandas as pd\n\n{MAIN}print(pd.read_csv('data/clean.csv'))\n",
}


def flow(project: Project) -> Flow:
    (found,) = project[Artefacts].flows
    return found


def test_what_one_entry_writes_and_another_reads_flows(project: Build) -> None:
    found = flow(project(CHAIN))
    assert (found.node.pattern, found.writer.name, found.reader.name) == ("data/clean.csv", "clean.py", "train.py")
    assert found.confidence.label == "high"


def test_programs_of_different_directories_do_not_share_bare_names(project: Build) -> None:
    files = {
        "one/a.py": "import pandas as pd\n\npd.DataFrame().to_csv('x_table.csv')\n",
        "two/b.py": "import pandas as pd\n\npd.read_csv('x_table.csv')\n",
    }
    assert not project(files)[Artefacts].flows
    launched = {**files, "run.sh": "python one/a.py\npython two/b.py\n"}
    assert flow(project(launched)).node.pattern == "x_table.csv"


def test_patterns_and_directories_meet(project: Build) -> None:
    files = {
        "a.py": "import pandas as pd\n\nfor n in range(3):\n    pd.DataFrame().to_csv(f'data/part_{n}.csv')\n",
        "b.py": "import pandas as pd\n\npd.read_csv('data/part_1.csv')\n",
        "c.py": """
            import glob
            import pandas as pd

            for file in sorted(glob.glob("data/part_*.csv")):
                pd.read_csv(file)
            """,
    }
    assert {one.reader.name for one in project(files)[Artefacts].flows} == {"b.py", "c.py"}


@pytest.mark.parametrize(
    ("file", "text", "tool"),
    [
        ("dvc.yaml", "stages:\n  a:\n    cmd: x\n    outs:\n      - data/clean.csv:\n          cache: false\n", "dvc"),
        ("dvc.yaml", "stages:\n  a:\n    wdir: data\n    cmd: x\n    outs: [clean.csv]\n", "dvc"),
        ("dvc.yaml", "stages:\n  a:\n    foreach: [1]\n    do:\n      cmd: x\n      outs: [data]\n", "dvc"),
        ("data/clean.csv.dvc", "outs:\n- md5: x\n  path: clean.csv\n", "dvc"),
        ("Makefile", "D = data\n$(D)/clean.csv: clean.py\n\tpython clean.py\n", "make"),
        ("Makefile", "data/%.csv: %.py\n\tpython $<\n", "make"),
        ("Snakefile", 'rule a:\n    output:\n        table="data/{x}.csv",\n    shell: "y"\n', "snakemake"),
        ("conf/base/catalog.yml", "clean:\n  type: pandas.CSVDataset\n  filepath: data/clean.csv\n", "kedro"),
        (
            "MLproject",
            "entry_points:\n  main:\n    parameters:\n      t: {type: path, default: data/clean.csv}\n    command: x\n",
            "mlproject",
        ),
    ],
)
def test_pipeline_files_declare(project: Build, file: str, text: str, tool: str) -> None:
    built = project({**CHAIN, file: text})
    assert {one.tool for one in built[Artefacts].declared("data/clean.csv")} == {tool}
    assert not built[Handoffs].undeclared


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("run.sh", "python clean.py\npython train.py\n"),
        ("Makefile", "all: clean train\n\nclean:\n\tpython clean.py\n\ntrain: clean\n\tpython train.py\n"),
        ("Makefile", "all: clean train\n\ntrain:\n\tpython train.py\n\nclean:\n\tpython clean.py\n"),
        ("main.py", "import subprocess\n\nfor f in ['clean.py', 'train.py']:\n    subprocess.run(['python', f])\n"),
        (".github/workflows/a.yml", "jobs:\n  a:\n    steps:\n      - run: python clean.py && python train.py\n"),
    ],
)
def test_who_runs_both_in_order_is_told(project: Build, file: str, text: str) -> None:
    built = project({**CHAIN, file: text})
    found = flow(built)
    place = built[Orderings].in_order(found.writer, found.reader)
    assert place is not None
    assert place.path == file
    assert built[Orderings].in_order(found.reader, found.writer) is None


def test_a_readme_runs_nothing(project: Build) -> None:
    built = project({**CHAIN, "README.md": "```\npython clean.py\npython train.py\n```\n"})
    found = flow(built)
    assert built[Orderings].in_order(found.writer, found.reader) is None


def test_independent_targets_are_no_order(project: Build) -> None:
    text = "clean:\n\tpython clean.py\n\ntrain:\n\tpython train.py\n"
    built = project({**CHAIN, "Makefile": text})
    found = flow(built)
    assert built[Orderings].in_order(found.writer, found.reader) is None


def test_the_stages_are_a_dvc_yaml_in_an_order_that_runs(project: Build) -> None:
    files = {"z_clean.py": CHAIN["clean.py"], "a_train.py": CHAIN["train.py"]}
    assert yaml_text(project(files)[Stages].all) == (
        "stages:\n  z_clean:\n    cmd: python z_clean.py\n    deps:\n      - z_clean.py\n      - data/raw.csv\n"
        "    outs:\n      - data/clean.csv\n  a_train:\n    cmd: python a_train.py\n    deps:\n      - a_train.py\n"
        "      - data/clean.csv\n"
    )


NAMES = st.text(st.sampled_from("abcxyz_."), min_size=1, max_size=6).filter(lambda name: name.strip("."))


@given(st.lists(NAMES, min_size=1, max_size=4), NAMES)
def test_the_parent_of_what_is_joined_is_where_one_was(folders: list[str], name: str) -> None:
    path = joined(("/".join(folders),), (name,))
    assert plain(parent(path)) == "/".join(folders)


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_filling_slots_gives_what_would_have_been_written(names: list[str]) -> None:
    slots = {name: Slot("m.py", 1, name) for name in names}
    whole = concatenated([(slots[name],) for name in names])
    assert plain(filled(whole, lambda slot: (slot.name,))) == "".join(names)


@given(st.text(st.sampled_from("ab/.*:~ ") | st.just(ROOT), max_size=20))
def test_a_normal_path_stays_in_the_repository_and_is_normal_again(text: str) -> None:
    found = normal(text, lambda _: "src")
    if found is not None:
        assert not found.startswith("../")
        assert found == normal(found, lambda _: "")


@given(st.text(st.sampled_from("ab/*"), max_size=8), st.text(st.sampled_from("ab/*"), max_size=8))
def test_matching_does_not_depend_on_the_side(one: str, other: str) -> None:
    assert matches(one, other) == matches(other, one)


@given(st.text("ab/*.", max_size=6), st.text("ab/.", max_size=6))
def test_a_hole_stands_for_anything_within_one_folder(loose: str, exact: str) -> None:
    expression = "[^/]*".join(re.escape(part) for part in loose.split("*"))
    assert matches(loose, exact) == (re.fullmatch(expression, exact) is not None)


def test_files_out_of_the_repository_are_never_opened(project: Build, tmp_path: Path) -> None:
    text = f"import pandas as pd\n\npd.read_csv({str(tmp_path / 'x_secret.csv')!r})\n"
    assert list(project({"m.py": text})[Artefacts].nodes) in ([], [str(tmp_path / "x_secret.csv")])


def test_the_name_of_a_model_on_the_hub_is_no_path(project: Build) -> None:
    loads = "from transformers import AutoModel\n\nmodel = AutoModel.from_pretrained('allenai/scibert')\n"
    graph = project({"work/requirements.txt": "", "work/load.py": loads})[Artefacts]
    assert [(node.pattern, node.kind) for node in graph.nodes.values()] == [("hf://allenai/scibert", "uri")]


def test_a_model_directory_that_is_written_here_is_a_path(project: Build) -> None:
    saves = "from transformers import AutoModel\n\n\ndef save(model):\n    model.save_pretrained('mine/tuned')\n"
    loads = "from transformers import AutoModel\n\nmodel = AutoModel.from_pretrained('mine/tuned')\n"
    graph = project({"save.py": saves, "load.py": loads})[Artefacts]
    assert [(node.pattern, node.kind) for node in graph.nodes.values()] == [("mine/tuned", "file")]
