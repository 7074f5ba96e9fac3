"""Launch commands as somebody would run them: words, lines, directories, and the Python program behind them."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mldebt.sources.artefacts import Command
from mldebt.sources.repository import python_invocation, read_repository
from mldebt.sources.shell import read_script


def commands(root: Path, files: dict[str, str], *scripts: str) -> tuple[Command, ...]:
    """Read the files; ``scripts`` are files that exist besides."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return read_repository(root, list(files), (*files, *scripts)).commands


def found(root: Path, files: dict[str, str], *scripts: str) -> list[tuple[str, int, str, bool]]:
    return [(" ".join(c.words), c.line, c.directory, c.sure) for c in commands(root, files, *scripts)]


def words(text: str) -> list[tuple[str, ...]]:
    return [simple.words for simple in read_script(text)]


# Shell text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("python a.py  # note", [("python", "a.py")]),
        ("python a.py \\\n  --lr 1 \\\n  --bs 2", [("python", "a.py", "--lr", "1", "--bs", "2")]),
        ("A=1 B='x y' python a.py", [("python", "a.py")]),
        ("a && b || c; d | e & f", [("a",), ("b",), ("c",), ("d",), ("e",), ("f",)]),
        ("python a.py > log.txt 2>&1 < in", [("python", "a.py")]),
        ("python a.py 'x y' \"p $q\" r\\ s", [("python", "a.py", "x y", "p $q", "r s")]),
        ("if [ -f x ]; then python a.py; else python b.py; fi", [("python", "a.py"), ("python", "b.py")]),
        ("if [[ $a == 'b' && -f c ]]; then d; fi", [("d",)]),
        ("for i in 1 2; do python a.py --seed $i; done", [("python", "a.py", "--seed", "$i")]),
        ("while read l; do\n  f $l\ndone < x", [("read", "l"), ("f", "$l")]),
        ("run() {\n  python a.py\n}\nrun", [("python", "a.py"), ("run",)]),
        ("case $1 in\n  a) python a.py ;;\n  *) exit ;;\nesac", [("python", "a.py"), ("exit",)]),
        ("cat <<EOF > x\npython no.py\nEOF\npython a.py", [("cat",), ("python", "a.py")]),
        ("x=$(python v.py)", []),
        ("python a.py $(ls | wc -l) `date +%s`", [("python", "a.py", "$(ls | wc -l)", "`date +%s`")]),
        ("python a.py ${{ matrix.flag }} $@", [("python", "a.py", "${{ matrix.flag }}", "$@")]),
        ("echo don't\npython a.py", [("echo", "don't"), ("python", "a.py")]),
    ],
)
def test_simple_commands(text: str, expected: list[tuple[str, ...]]) -> None:
    assert words(text) == expected


def test_constants_assigned_once_become_words() -> None:
    text = 'FLAGS="--lr 1 --bs 2"\nOUT=runs/$NAME\nexport NAME=a\npython a.py $FLAGS --out "$OUT" --all "$FLAGS"'
    assert words(text) == [("python", "a.py", "--lr", "1", "--bs", "2", "--out", "runs/a", "--all", "--lr 1 --bs 2")]


def test_variables_that_change_stay() -> None:
    text = "M=a\npython a.py --m $M\nM=b\nN=$(date)\npython a.py --m ${M} $N"
    assert words(text) == [("python", "a.py", "--m", "$M"), ("python", "a.py", "--m", "${M}", "$N")]


def test_arrays_become_words() -> None:
    text = 'ARGS=(\n  --lr 1  # rate\n  --name "a b"\n)\npython a.py "${ARGS[@]}"'
    assert words(text) == [("python", "a.py", "--lr", "1", "--name", "a b")]


def test_lines_are_those_of_the_first_word() -> None:
    text = "#!/bin/sh\n\nA=1 \\\n  python a.py \\\n  --x\n\ncat <<E\n\n\nE\npython b.py && \\\npython c.py\n"
    assert [(s.words[1:2], s.line) for s in read_script(text) if s.words[0] == "python"] == [
        (("a.py",), 4), (("b.py",), 11), (("c.py",), 12),
    ]  # fmt: skip


def test_doubling_variables_stay_small() -> None:
    text = "a0=xxxxxxxxxx\n" + "".join(f'a{n + 1}="$a{n}$a{n}"\n' for n in range(60)) + "echo $a60 $a3\n"
    assert sum(len(word) for word in words(text)[0]) < 50_000


@pytest.mark.parametrize(
    "piece", ["$(", '"$(', "${", "`", '"', "'", "{{", "((", "(", "[[\n", "a=(", "<<E\n", "${{", "a("]
)
def test_unclosed_signs_end(piece: str) -> None:
    read_script(piece * 20_000)


@given(st.text(alphabet=st.sampled_from("a $(){}[]\"'`\\\n#;&|<>=*!-@0\t\r\x0b\xa0"), max_size=60), st.booleans())
def test_no_text_is_an_error_and_lines_exist(text: str, placeholders: bool) -> None:
    for simple in read_script(text, placeholders=placeholders):
        assert 1 <= simple.line <= text.count("\n") + 1
        assert simple.words


@given(st.lists(st.text(alphabet="abc/.-_=1 $'\"", min_size=1), min_size=1, max_size=6))
def test_quoted_words_are_read_as_the_shell_does(parts: list[str]) -> None:
    text = shlex.join(["python", *parts])
    assert words(text) == [("python", *parts)]


# Where scripts run


def test_cd_moves_the_commands_after_it(tmp_path: Path) -> None:
    text = "cd src\npython a.py\n(cd sub; python b.py)\npython c.py\ncd -\npython d.py\npushd src/sub\nx\npopd\ny\n"
    assert found(tmp_path, {"run.sh": text}, "src/a.py", "src/sub/b.py") == [
        ("python a.py", 2, "src", True), ("python b.py", 3, "src/sub", True), ("python c.py", 4, "src", True),
        ("python d.py", 6, "", True), ("x", 8, "src/sub", True), ("y", 10, "", True),
    ]  # fmt: skip


def test_cd_into_the_unknown_is_not_sure(tmp_path: Path) -> None:
    assert found(tmp_path, {"run.sh": "cd $HOME/x\npython a.py\n"}, "a.py") == [("python a.py", 2, "", False)]


@pytest.mark.parametrize(
    "cd", ['cd "$(dirname "$0")"', 'cd "$(dirname "${BASH_SOURCE[0]}")"', "cd `dirname $0`", "cd ${0%/*}"]
)
def test_cd_to_the_scripts_own_directory(tmp_path: Path, cd: str) -> None:
    assert found(tmp_path, {"tools/run.sh": f"{cd}\npython a.py\n"}) == [("python a.py", 2, "tools", True)]


def test_own_directory_in_a_variable(tmp_path: Path) -> None:
    text = 'HERE="$(cd "$(dirname "$0")/.." && pwd)"\ncd $HERE\npython a.py\npython $HERE/tools/b.py\n'
    assert found(tmp_path, {"tools/run.sh": text}) == [
        ("python a.py", 3, "", True), ("python tools/b.py", 4, "", True),
    ]  # fmt: skip


def test_function_bodies_are_sure_only_where_nothing_moves(tmp_path: Path) -> None:
    moving = "function start() {\n  cd sub\n}\nrun() {\n  python a.py\n}\npython b.py\nstart\npython c.py\n"
    assert [row for row in found(tmp_path, {"run.sh": moving}, "sub/a.py") if row[0] != "start"] == [
        ("python a.py", 5, "", False), ("python b.py", 7, "", True), ("python c.py", 9, "", False),
    ]  # fmt: skip
    still = "run() {\n  if x; then { python a.py; }; fi\n}\nsource env/bin/activate\nrun\n"
    assert ("python a.py", 2, "", True) in found(tmp_path, {"still.sh": still}, "a.py")
    sourcing = "source lib.sh\nrun() { python a.py; }\npython b.py\n"
    assert found(tmp_path, {"run2.sh": sourcing}, "a.py")[1:] == [
        ("python a.py", 2, "", False), ("python b.py", 3, "", True),
    ]  # fmt: skip


def test_script_runs_where_its_files_are(tmp_path: Path) -> None:
    files = {"exp/scripts/a.sh": "python train.py\npython gone.py\n", "exp/scripts/b.sh": "python lost.py\n"}
    assert found(tmp_path, files, "exp/train.py") == [
        ("python train.py", 1, "exp", True), ("python gone.py", 2, "exp", True),
        ("python lost.py", 1, "exp/scripts", False),
    ]  # fmt: skip


def test_code_of_a_shell_inside_a_shell(tmp_path: Path) -> None:
    text = "bash -c 'cd src && python a.py'\npython b.py\n"
    assert found(tmp_path, {"run.sh": text}, "src/a.py", "b.py") == [
        ("python a.py", 1, "src", True), ("python b.py", 2, "", True),
    ]  # fmt: skip


# Makefiles, justfiles, containers


def test_makefile(tmp_path: Path) -> None:
    text = (
        "PYTHON ?= python3\nFLAGS := --lr 1 \\\n  --bs 2\nDATA = $(ROOT)/d\nX = a\nX += b\n\ntrain: data\n"
        "\t@-$(PYTHON) train.py $(FLAGS) --data $(DATA) --x ${X} --home $$HOME\n\tcd src && python -m isort . ; \\\n"
        "\t  python b.py\n\tpython c.py\n"
    )
    assert found(tmp_path, {"Makefile": text}, "src/b.py") == [
        ("python3 train.py --lr 1 --bs 2 --data $(ROOT)/d --x ${X} --home $HOME", 9, "", True),
        ("python -m isort .", 10, "src", True), ("python b.py", 11, "src", True), ("python c.py", 12, "", True),
    ]  # fmt: skip


def test_justfile(tmp_path: Path) -> None:
    text = 'py := "python3"\n\ntrain lr="1":\n    @{{py}} train.py --lr {{lr}}\n\nalias t := train\n'
    assert found(tmp_path, {"justfile": text}) == [("python3 train.py --lr {{lr}}", 4, "", True)]


def test_dockerfile_maps_copied_directories_back(tmp_path: Path) -> None:
    text = (
        "FROM python:3.10\nENV APP=/srv/app\nWORKDIR $APP\nCOPY . .\n"
        "RUN --mount=type=cache,target=/x pip install . && \\\n"
        '    # note\n    cd tools && python prepare.py\nENTRYPOINT ["python", "-u"]\nCMD ["train.py", "--lr", "1"]\n'
    )
    assert found(tmp_path, {"Dockerfile": text}, "train.py", "tools/prepare.py") == [
        ("pip install .", 5, "", True), ("python prepare.py", 7, "tools", True),
        ("python -u train.py --lr 1", 8, "", True),
    ]  # fmt: skip


def test_dockerfile_shell_forms_and_copied_files(tmp_path: Path) -> None:
    text = (
        "FROM a\nCOPY src/serve.py /app/\nWORKDIR /app\nCMD python serve.py\nFROM b\nWORKDIR /x\n"
        'CMD ["sh", "-c", "python y.py"]\n'
    )
    assert found(tmp_path, {"docker/Dockerfile": text}, "src/serve.py") == [
        ("python serve.py", 4, "src", True), ("python y.py", 7, "", False),
    ]  # fmt: skip


# Pipelines


def test_github_workflow(tmp_path: Path) -> None:
    text = (
        "defaults:\n  run:\n    working-directory: pkg\njobs:\n  a:\n    steps:\n      - uses: x\n"
        "      - run: python a.py\n"
        "      - working-directory: other\n        run: |\n          # note\n          cd sub\n"
        "          python b.py \\\n"
        "            --x ${{ matrix.y }}\n      - name: c\n        run: >\n          python c.py\n          --lr 1\n"
    )
    got = found(tmp_path, {".github/workflows/ci.yml": text}, "pkg/a.py", "other/sub/b.py")
    assert got == [
        ("python a.py", 8, "pkg", True), ("python b.py --x ${{ matrix.y }}", 13, "other/sub", True),
        ("python c.py --lr 1", 17, "pkg", True),
    ]  # fmt: skip


def test_gitlab_script_lists_share_a_shell(tmp_path: Path) -> None:
    text = (
        "train:\n  before_script:\n    - pip install .\n  script:\n    - cd src\n    - python a.py\nother:\n"
        "  script: python b.py\n"
    )
    assert found(tmp_path, {".gitlab-ci.yml": text}, "src/a.py") == [
        ("pip install .", 3, "", True), ("python a.py", 6, "src", True), ("python b.py", 8, "", True),
    ]  # fmt: skip


def test_circle_and_azure(tmp_path: Path) -> None:
    circle = (
        "jobs:\n  t:\n    working_directory: ~/repo\n    steps:\n      - run: make\n      - run:\n"
        "          command: python a.py\n"
    )
    azure = "steps:\n- script: python b.py\n  workingDirectory: src\n"
    files = {".circleci/config.yml": circle, "azure-pipelines.yml": azure}
    assert found(tmp_path, files, "src/b.py") == [
        ("make", 5, "", True), ("python a.py", 7, "", True), ("python b.py", 2, "src", True),
    ]  # fmt: skip


def test_dvc_and_mlproject(tmp_path: Path) -> None:
    dvc = (
        "stages:\n  a:\n    cmd: python a.py ${p}\n    wdir: sub\n  b:\n    foreach: [1]\n    do:\n"
        "      cmd:\n        - python b.py\n"
    )
    project = (
        "name: x\nentry_points:\n  main:\n    parameters:\n      lr: float\n    command: 'python t.py --lr {lr}'\n"
    )
    got = commands(tmp_path, {"pipe/dvc.yaml": dvc, "MLproject": project}, "pipe/sub/a.py", "t.py")
    assert [(c.kind, " ".join(c.words), c.line, c.directory, c.sure) for c in got] == [
        ("mlproject", "python t.py --lr {lr}", 6, "", True), ("dvc", "python a.py ${p}", 3, "pipe/sub", True),
        ("dvc", "python b.py", 9, "pipe", True),
    ]  # fmt: skip


def test_included_makefiles_say_what_variables_are(tmp_path: Path) -> None:
    files = {
        "Makefile": "include mk/python.mk\n-include missing.mk $(OTHER)\ntrain:\n\t$(RUN) pkg.train --lr $(LR)\n",
        "mk/python.mk": "include mk/base.mk\nRUN := PYTHONPATH=. $(PYTHON) -m\nLR = 3\n",
        "mk/base.mk": "PYTHON ?= python3\nLR = 4\n",
    }
    got = [one for one in commands(tmp_path, files) if one.path == "Makefile"]
    assert [" ".join(one.words) for one in got] == ["python3 -m pkg.train --lr $(LR)"]


def test_dvc_templates_are_filled_in(tmp_path: Path) -> None:
    files = {
        "dvc.yaml": (
            "vars:\n  - more.json\n  - depth: 3\nstages:\n  a:\n    wdir: sub\n    vars:\n      - own.yaml:rate\n"
            "    cmd: python a.py ${train.loss} ${sizes[1]} ${flag} ${depth} ${rate} ${other} ${nothing} ${train}\n"
            "  b:\n    foreach: [1]\n    do:\n      cmd: python b.py ${item} ${train.loss}\n"
        ),
        "params.yaml": "train:\n  loss: huber\nsizes: [1, 2]\nflag: true\nother: 1\nnothing: null\n",
        "more.json": '{"other": 2}',
        "sub/own.yaml": "rate: 0.5\ntrain:\n  loss: no\n",
    }
    got = [" ".join(one.words) for one in commands(tmp_path, files, "sub/a.py", "b.py") if one.kind == "dvc"]
    assert got == [
        "python a.py huber 2 true 3 0.5 ${other} ${nothing} ${train}",
        "python b.py ${item} huber",
    ]


def test_local_hooks_and_tox(tmp_path: Path) -> None:
    hooks = (
        "repos:\n- repo: https://x\n  hooks:\n  - {id: a, entry: no}\n- repo: local\n  hooks:\n  - id: b\n"
        "    entry: python tools/b.py\n    args: [--fix]\n"
    )
    tox = "[testenv]\nchangedir = tests\ncommands =\n    python -m pytest {posargs}\n    python x.py \\\n      --y\n"
    assert found(tmp_path, {".pre-commit-config.yaml": hooks, "tox.ini": tox}, "tests/t.py") == [
        ("python tools/b.py --fix", 8, "", True), ("python -m pytest {posargs}", 4, "tests", True),
        ("python x.py --y", 5, "tests", True),
    ]  # fmt: skip


# Documents


def test_readme_blocks(tmp_path: Path) -> None:
    text = (
        "# X\n\n```bash\n# note\nCUDA_VISIBLE_DEVICES=0 python train.py \\\n"
        "  --data <DATA DIR> --lr=<lr> \\  \n  --bs 2\n```\n"
        "Text with `python inline.py`.\n\n```\n$ python a.py\n> output\n(env) user@host:~$ python b.py \\\n"
        ">   --x\n```\n"
        '```json\n{"a": 1}\n```\n```\npython c.py\nsome output here\n```\n1. ```python d.py```\n\n    $ python e.py\n\n'
        "```python\nimport os\n```\n```python\n!python f.py\n```\n~~~sh\n% python g.py\n~~~\n"
    )
    assert [(w, line) for w, line, _, _ in found(tmp_path, {"README.md": text})] == [
        ("python train.py --data <DATA DIR> --lr=<lr> --bs 2", 5), ("python a.py", 12), ("python b.py --x", 14),
        ("python c.py", 21), ("python e.py", 26), ("python f.py", 32), ("python g.py", 35),
    ]  # fmt: skip


def test_readme_clone_of_this_repository_is_the_root(tmp_path: Path) -> None:
    root = tmp_path / "proj"
    text = (
        "```sh\ngit clone https://h/me/proj.git && cd proj\npython a.py\n```\n```sh\n"
        "git clone https://h/dep\ncd dep\npython setup.py install\n```\n"
    )
    got = [row for row in found(root, {"README.md": text}, "a.py") if row[0].startswith("python")]
    assert got == [("python a.py", 3, "", True), ("python setup.py install", 8, "", False)]


def test_readme_of_a_directory(tmp_path: Path) -> None:
    text = "```\ncd examples/mnist\npython main.py\n```\n```\npython main.py --b\n```\n```\npython -m pkg.run\n```\n"
    got = found(tmp_path, {"examples/mnist/README.md": text}, "examples/mnist/main.py", "pkg/run.py")
    assert got == [
        ("python main.py", 3, "examples/mnist", True), ("python main.py --b", 6, "examples/mnist", True),
        ("python -m pkg.run", 9, "", True),
    ]  # fmt: skip


def test_rst_blocks(tmp_path: Path) -> None:
    text = (
        "Title\n=====\n\n.. code-block:: bash\n   :caption: x\n\n   python a.py \\\n     --x\n\nRun::\n\n"
        "  $ python b.py\n  out\n\n"
        ".. code-block:: python\n\n   import x\n"
    )
    assert [(w, line) for w, line, _, _ in found(tmp_path, {"docs/use.rst": text})] == [
        ("python a.py --x", 7), ("python b.py", 12),
    ]  # fmt: skip


# Launchers


def invocation(text: str) -> tuple[str | None, str | None, tuple[str, ...], str, bool] | None:
    got = python_invocation(Command(tuple(shlex.split(text)), "x", 1, "shell"))
    return (got.script, got.module, got.arguments, got.launcher, got.certain) if got else None


@pytest.mark.parametrize(
    ("text", "script", "arguments", "launcher"),
    [
        ("python train.py --lr 1", "train.py", "--lr 1", "python"),
        ("python3.10 -u -W ignore -Xdev train.py a", "train.py", "a", "python"),
        ("$(PYTHON) -OO t.py", "t.py", "", "python"),
        ("${PYTHON} t.py", "t.py", "", "python"),
        ("$PYTHON t.py", "t.py", "", "python"),
        ("$(VENV)/bin/python t.py", "t.py", "", "python"),
        ("./train.py --x", "./train.py", "--x", ""),
        ("torchrun --nproc_per_node 4 --standalone t.py --a 1", "t.py", "--a 1", "torchrun"),
        ("torchrun --nproc-per-node=4 --nnodes 2 --rdzv_endpoint=h:1 --tee 3 t.py", "t.py", "", "torchrun"),
        ("torchrun --no-python python t.py -m", "t.py", "-m", "python"),
        (
            "python -m torch.distributed.launch --nproc_per_node=2 --use_env t.py -m x",
            "t.py",
            "-m x",
            "torch.distributed.launch",
        ),
        ("python -m torch.distributed.run --rdzv_id 1 t.py", "t.py", "", "torch.distributed.run"),
        ("accelerate launch t.py", "t.py", "", "accelerate launch"),
        (
            "accelerate launch --multi_gpu --num_processes 2 --mixed_precision fp16 t.py --x",
            "t.py",
            "--x",
            "accelerate launch",
        ),
        (
            "accelerate launch --config_file a.yaml --main-process-port 1 t.py c.yaml",
            "t.py",
            "c.yaml",
            "accelerate launch",
        ),
        ("deepspeed --num_gpus 2 --include h:0,1 t.py --deepspeed d.json", "t.py", "--deepspeed d.json", "deepspeed"),
        ("deepspeed --no_local_rank -H hosts t.py", "t.py", "", "deepspeed"),
        ("env A=b -u C nohup python t.py", "t.py", "", "python"),
        ("CUDA_VISIBLE_DEVICES=0 python t.py", "t.py", "", "python"),
        ("uv run --with rich t.py --x", "t.py", "--x", "uv run"),
        ("poetry run python t.py", "t.py", "", "python"),
        ("conda run -n env --no-capture-output python t.py", "t.py", "", "python"),
        ("srun -N 2 --ntasks 4 --gres=gpu:1 -l python -u t.py", "t.py", "", "python"),
        ("mpirun -np 4 -x PATH -mca btl ^openib -bind-to none python t.py", "t.py", "", "python"),
        ("xvfb-run -a -s '-screen 0' python t.py", "t.py", "", "python"),
        ("timeout -k 5 60 python t.py", "t.py", "", "python"),
        ("coverage run --source=x -p t.py", "t.py", "", "coverage run"),
        ("python -m cProfile -o out t.py", "t.py", "", "python -m cProfile"),
        ("ipython -i t.py", "t.py", "", "ipython"),
    ],
)
def test_script_behind_a_command(text: str, script: str, arguments: str, launcher: str) -> None:
    assert invocation(text) == (script, None, tuple(arguments.split()), launcher, True)


@pytest.mark.parametrize(
    ("text", "module", "arguments"),
    [
        ("python -m pkg.train --x", "pkg.train", "--x"),
        ("python -um pkg.train", "pkg.train", ""),
        ("torchrun --nproc_per_node 4 -m pkg.train --b", "pkg.train", "--b"),
        ("accelerate launch -m pkg.train", "pkg.train", ""),
        ("deepspeed --module pkg.train", "pkg.train", ""),
        ("uv run -m pkg.train", "pkg.train", ""),
        ("coverage run -m pytest", "pytest", ""),
    ],
)
def test_module_behind_a_command(text: str, module: str, arguments: str) -> None:
    got = invocation(text)
    assert got is not None
    assert got[:3] == (None, module, tuple(arguments.split()))
    assert got[4]


@pytest.mark.parametrize(
    "text",
    ["python", "python -c 'x' y.py", "python -V", "python -", "sbatch x.sh", "pip install .", "accelerate config",
     "torchrun --help", "uv run pytest", "poetry run train", "echo python t.py", "A=1"],
)  # fmt: skip
def test_commands_that_run_no_script(text: str) -> None:
    assert invocation(text) is None


@pytest.mark.parametrize(
    "text",
    ["python $SCRIPT", "python <script>.py", "python path/to/t.py", "python my_script.py", "python train", "train.py",
     "accelerate launch --brand_new 1 t.py", "torchrun --brand-new t.py", "python -m $MODULE"],
)  # fmt: skip
def test_what_is_not_certain(text: str) -> None:
    got = invocation(text)
    assert got is not None
    assert not got[4]


def test_wrappers_are_named_outermost_first() -> None:
    got = python_invocation(Command(tuple("nohup srun -n 2 torchrun t.py".split()), "x", 1, "shell"))
    assert got is not None
    assert (got.wrappers, got.launcher) == (("nohup", "srun"), "torchrun")


@given(
    st.lists(
        st.sampled_from("python -m -u -- torchrun --x --nproc_per_node=2 t.py a=b env srun uv run -c".split()),
        max_size=8,
    )
)
def test_no_words_are_an_error(parts: list[str]) -> None:
    got = python_invocation(Command(tuple(parts), "x", 1, "shell"))
    assert got is None or (got.script is None) != (got.module is None)
