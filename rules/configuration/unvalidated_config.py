"""MLD314 unvalidated-config."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mldebt.facts.schema import Ref
from mldebt.finding import Confidence, Place, Related, Severity, Span
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .loaded_mappings import KeyRead, Loaded, LoadedMappings


def _program(check: str = "", load: str = "yaml.safe_load(file)") -> dict[str, str]:
    return {
        "train.py": f"""
        import sys

        import yaml

        from data import batches
        from model import build


        def main(path):
            with open(path) as file:
                config = {load}
            {check or "print(path)"}
            model = build(config)
            for batch in batches(config["data"]):
                print(batch, config["optim"]["lr"], config["optim"]["decay"], config["epochs"])
            return model


        if __name__ == "__main__":
            main(sys.argv[1])
        """,
        "model.py": """
        import torch


        def build(config):
            layers = [torch.nn.Linear(config["model"]["width"], config["model"]["width"])]
            layers *= config["model"]["depth"]
            return torch.nn.Sequential(*layers, torch.nn.Dropout(config["model"].get("dropout", 0.1)))
        """,
        "data.py": """
        def batches(config):
            for start in range(0, config["size"], config["batch"]):
                yield start, config["root"], config["workers"]
        """,
    }


@dataclass(frozen=True)
class UnvalidatedConfig(ProjectRule):
    """A configuration file is read into a plain mapping whose keys are used all over the project, unchecked.

    A mapping from `yaml.safe_load`, `json.load`, `tomllib.load` or `configparser`, read by string keys at ten places
    and more in three files and more, followed through functions, attributes and modules.

    ## Why it is debt

    A misspelt or missing key survives until the line that reads it runs, perhaps after a day of training; a
    superfluous one is never noticed. Types, ranges and relations between values are nobody's business.

    ## How to pay it back

    Pass the mapping through a schema once, where it is loaded: `Config(**data)` of a dataclass or pydantic model,
    `OmegaConf.structured`, `jsonschema`; then read attributes.

    ## When to leave it

    Silent when the mapping goes into a class (`Config(**data)`), a schema library or a function that validates, or
    when its keys are compared with a list of known or required ones.

    ## Options

    - `sites`: how many reads of keys there have to be.
    - `files`: in how many files.

    ## References

    * D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 6: "It should be
      easy to assert and verify basic facts about the configuration."
    """

    sites: int = 10
    files: int = 3

    code: ClassVar[str] = "MLD314"
    severity: ClassVar[Severity] = Severity.MINOR
    confidence: ClassVar[Confidence] = Confidence.MEDIUM
    minutes: ClassVar[int] = 30
    examples = (
        Bad(_program(), anchors=("train.py:11",)),
        Bad(
            {
                **{path: text for path, text in _program().items() if path != "train.py"},
                "settings.py": """
                import json


                def load_settings(path="settings.json"):
                    with open(path) as file:
                        return json.load(file)
                """,
                "run.py": """
                from data import batches
                from model import build
                from settings import load_settings


                class Runner:
                    def __init__(self):
                        self.cfg = load_settings()
                        self.model = build(self.cfg)

                    def run(self):
                        for batch in batches(self.cfg["data"]):
                            print(batch, self.cfg["lr"], self.cfg["decay"], self.cfg["name"], self.cfg["epochs"])


                Runner().run()
                """,
            },
            anchors=("settings.py:6",),
        ),
        Bad(
            {
                "settings.py": """
                import configparser

                config = configparser.ConfigParser()
                config.read("app.ini")
                """,
                **{
                    f"{name}.py": f"""
                    from settings import config

                    {name}_host = config["{name}"]["host"]
                    {name}_port = config["{name}"]["port"]
                    {name}_user = config.get("{name}", "user")
                    {name}_size = config["{name}"]["size"]
                    """
                    for name in ("store", "queue", "cache")
                },
            },
        ),
        Bad(
            {
                "ads/__init__.py": "",
                "ads/settings.py": """
                import json
                from pathlib import Path

                SETTINGS = json.loads(Path("settings.json").read_text())
                """,
                **{
                    f"ads/{name}.py": f"""
                    from ads.settings import SETTINGS


                    def {name}(rows):
                        left = len(rows) - SETTINGS["{name}_from"]
                        return rows[: SETTINGS["{name}_rows"] - left], SETTINGS["{name}_path"], SETTINGS["host"]
                    """
                    for name in ("clean", "train", "score")
                },
            },
            anchors=("ads/settings.py:4",),
        ),
        Good(
            {
                "ads/__init__.py": "",
                "ads/client.py": """
                import json

                import requests


                def settings(config_url):
                    return json.loads(requests.get(config_url).text)
                """,
                **{
                    f"ads/{name}.py": f"""
                    from ads.client import settings


                    def {name}():
                        config = settings("https://example.org/{name}")
                        return config["a"], config["b"], config["c"], config["d"]
                    """
                    for name in ("clean", "train", "score")
                },
            }
        ),
        Good(_program("config = Config(**config)")),
        Good(_program("validate_config(config)")),
        Good(
            {
                **_program(
                    """missing = {"data", "model", "optim", "epochs"} - set(config)
            if missing:
                raise KeyError(missing)"""
                ),
            }
        ),
        Good(
            {
                **_program(
                    """for key in ("data", "model", "optim"):
                if key not in config:
                    raise KeyError(key)"""
                ),
            }
        ),
        Good({path: text for path, text in _program().items() if path != "model.py"}),
        Good(
            {
                "records.py": """
                import json


                def records(path):
                    with open(path) as file:
                        return [json.loads(line) for line in file]
                """,
                **{
                    f"{name}.py": """
                    from records import records

                    for row in records("rows.jsonl"):
                        print(row["id"], row["text"], row["label"], row["score"], row["split"])
                    """
                    for name in ("a", "b", "c")
                },
            }
        ),
        Good(
            {
                path: text.replace("yaml.safe_load(file)", "OmegaConf.load(file)").replace(
                    "import yaml", "from omegaconf import OmegaConf"
                )
                for path, text in _program().items()
            }
        ),
    )

    def check(self, project: Project, /) -> Iterator[Problem]:
        for loaded in project[LoadedMappings].unchecked(self.sites, self.files):
            yield _problem(loaded, project)


def _problem(loaded: Loaded, project: Project) -> Problem:
    made = loaded.creation
    module = project.modules[made.path]
    line = _line(loaded, module)
    place = Place(made.path, Span(line, 1, line, len(module.text_lines[line - 1]) + 1))
    counts = Counter(read.module.path for read in loaded.reads)
    firsts: dict[str, KeyRead] = {}
    for read in loaded.reads:
        firsts.setdefault(read.module.path, read)
    keys = loaded.keys
    shown = ", ".join(repr(key) for key in keys[:5]) + (f" and {len(keys) - 5} more" if len(keys) > 5 else "")
    return Problem(
        place,
        f"the mapping {made.name} gives is read by key at {len(loaded.reads)} places in {len(firsts)} files, and"
        f" nothing checks its keys ({shown})",
        tuple(
            Related(read.module.place(read.node), f"{counts[path]} reads in {path}", "effect")
            for path, read in firsts.items()
        ),
        evidence=(
            f"{len(keys)} different keys: {', '.join(keys[:20])}",
            "it is not unpacked into a class, not given to a schema library or a function that validates",
            "no comparison of its keys with known or required ones is seen",
        ),
        symbol=made.name,
    )


def _line(loaded: Loaded, module: Module) -> int:
    """The line of the load; of ``parser.read(path)`` for a parser that is made empty."""
    made = loaded.creation
    if made.name.startswith("configparser."):
        for site in module.call_sites(made.scope):
            function = site.call.function
            if isinstance(function, Ref) and function.name.endswith((".read", ".read_file")) and site.call.args:
                return site.call.line
    return made.line
