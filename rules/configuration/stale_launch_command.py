"""MLD312: a command that the code it starts no longer understands."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mldebt.finding import Applicability, Confidence, Edit, Fix, Place, Related, Severity, Span
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .command_line import Complaint, check
from .launches import Launch, Launches
from .missing_scripts import MissingScripts
from .programs import Program, Programs

_DOCUMENTS = frozenset({"readme", "notebook"})
_MOST_LINES = 40  # of one command
_MOST_TEXT = 1 << 20  # bytes of a document


class StaleLaunchCommand(ProjectRule):
    """A command starts a script that is not there, or gives it options its parser refuses.

    Commands are read from shell scripts, Makefiles, Dockerfiles, CI and pipeline files, documents, notebooks and
    `subprocess` calls, with what included Makefiles and dvc's parameters put into them; options from the argparse
    parser, the click command or the dataclasses of an `HfArgumentParser` that the script's entry really runs.

    ## Why it is debt

    The command fails: at best at once, on a cluster after hours in a queue. It is also the only record of how the
    results were made, so a reader can no longer repeat them. Options are renamed in Python where tools help, and stay
    behind in scripts and documents where none does.

    ## How to pay it back

    Give the command the option's present name, or remove the command together with what it belonged to. A test that
    runs every launcher with `--help` keeps them together.

    ## When to leave it

    Silent on its own: parsers that are open (`parse_known_args`, Hydra, Fire, `REMAINDER`, an option whose name is not
    constant, a parser handed to code that is not seen, dataclasses derived from a library's), abbreviations argparse
    accepts, commands that only ask for `--help` or `--version`, placeholders (`<path>`, `$ARGS`, `path/to/x.py`),
    scripts that something creates, copies, downloads or clones, commands whose directory is not known, documents below
    whose directory a file of that name lies, or that show its text for the reader to save, and examples that a
    library's documents give for its users' own scripts.

    ## References

    https://docs.python.org/3/library/argparse.html
    J. Pimentel et al., "A Large-Scale Study About Quality and Reproducibility of Jupyter Notebooks", MSR 2019.
    """

    code = "MLD312"
    severity, confidence, minutes = Severity.MAJOR, Confidence.HIGH, 5

    examples = (
        Bad(
            {
                "train.py": """
                import argparse

                def main():
                    parser = argparse.ArgumentParser()
                    parser.add_argument("--lr", type=float, default=0.1)
                    parser.add_argument("--epochs", type=int, default=10)
                    args = parser.parse_args()
                    print(args.lr, args.epochs)

                if __name__ == "__main__":
                    main()
                """,
                "run.sh": """
                #!/bin/bash
                python train.py --learning-rate 3e-4 --epochs 5
                """,
            },
            anchors=("run.sh:2",),
        ),
        Bad(
            {
                "src/pipeline/train.py": """
                from pipeline.options import make_parser

                def main(argv=None):
                    options = make_parser().parse_args(argv)
                    print(options)

                if __name__ == "__main__":
                    main()
                """,
                "src/pipeline/__init__.py": "",
                "src/pipeline/options.py": """
                from argparse import ArgumentParser

                def model_options(group):
                    group.add_argument("--depth", type=int)
                    group.add_argument("--backbone", choices=["resnet", "vit"])

                def make_parser():
                    parser = ArgumentParser()
                    parser.add_argument("data")
                    model_options(parser.add_argument_group("model"))
                    return parser
                """,
                "Makefile": """
                train:
                \tcd src && python -m pipeline.train data/ --depth 12 --backbone swin
                eval:
                \tpython src/pipeline/evaluate.py data/
                """,
            },
            findings=2,
            anchors=("Makefile:2", "Makefile:4"),
        ),
        Bad(
            {
                "tool.py": """
                import argparse

                parser = argparse.ArgumentParser()
                commands = parser.add_subparsers(dest="command")
                fit = commands.add_parser("fit")
                fit.add_argument("--config", required=True)
                test = commands.add_parser("test")
                test.add_argument("--ckpt")
                args = parser.parse_args()
                """,
                "README.md": """
                # Tool

                ```bash
                python tool.py fit --config base.yaml
                python tool.py fit --config base.yaml --ckpt last.pt
                ```
                """,
            },
            anchors=("README.md:5",),
        ),
        Bad(
            {
                "train.py": """
                import argparse

                parser = argparse.ArgumentParser()
                parser.add_argument("--seed", type=int, required=True)
                print(parser.parse_args().seed)
                """,
                "sweep.py": """
                import subprocess
                import sys

                for name in ["a", "b"]:
                    subprocess.run([sys.executable, "train.py", "--seed", "0", "--run", name])
                """,
            },
            anchors=("sweep.py:5",),
        ),
        Bad(
            {
                "finetune.py": """
                from dataclasses import dataclass
                from transformers import HfArgumentParser

                @dataclass
                class Data:
                    manifest: str
                    max_seconds: float = 30.0
                    shuffle: bool = True

                def main():
                    (data,) = HfArgumentParser(Data).parse_args_into_dataclasses()
                    fit(data.manifest, data.max_seconds, data.shuffle)

                if __name__ == "__main__":
                    main()
                """,
                "run.sh": """
                python finetune.py --manifest a.jsonl --no_shuffle --max-seconds 20
                accelerate launch finetune.py --manifest a.jsonl --max_duration_s 20
                """,
            },
            anchors=("run.sh:2",),
        ),
        Bad(
            {
                "serve.py": """
                import click

                @click.command(context_settings={"show_default": True})
                @click.option("--ckpt", required=True)
                def main(ckpt):
                    run(ckpt)

                if __name__ == "__main__":
                    main()
                """,
                "Dockerfile": """
                FROM python:3.12
                COPY . /app
                WORKDIR /app
                ENTRYPOINT ["python", "serve.py"]
                CMD ["--model-path", "best.pt"]
                """,
            },
            anchors=("Dockerfile:4",),
        ),
        Good(
            {
                "finetune.py": """
                from dataclasses import dataclass
                from transformers import HfArgumentParser, TrainingArguments

                @dataclass
                class Training(TrainingArguments):
                    pool: str = "mean"

                (training,) = HfArgumentParser(Training).parse_args_into_dataclasses()
                fit(training)
                """,
                "run.sh": "python finetune.py --pool cls --warmup_ratio 0.1",
            }
        ),
        Good(
            {
                "train.py": """
                import argparse

                parser = argparse.ArgumentParser()
                parser.add_argument("--data", required=True)
                print(parser.parse_args().data)
                """,
                "Dockerfile": """
                FROM python:3.12
                COPY . /app
                WORKDIR /app
                ENTRYPOINT ["python", "train.py"]
                """,
                "write_jobs.py": "import sys; save(sys.argv[1])",
                "Makefile": """
                jobs:
                \tpython write_jobs.py build/job.py
                \tpython build/job.py
                """,
            }
        ),
        Good(
            {
                "train.py": """
                import argparse

                parser = argparse.ArgumentParser()
                parser.add_argument("--learning-rate", type=float)
                parser.add_argument("--amp", action=argparse.BooleanOptionalAction)
                parser.add_argument("-b", "--batch-size", type=int)
                parser.add_argument("--gpus", type=int, nargs="+")
                parser.add_argument("--offset", type=int)
                args = parser.parse_args()
                """,
                "run.sh": """
                python train.py --learn 3e-4 --no-amp -b32 --gpus 0 1 2 --offset -1
                python train.py --batch-size=$SIZE $EXTRA
                """,
            }
        ),
        Good(
            {
                "train.py": """
                import argparse

                parser = argparse.ArgumentParser()
                parser.add_argument("--lr")
                args, rest = parser.parse_known_args()
                """,
                "run.sh": "python train.py --anything 3",
            }
        ),
        Good(
            {
                "train.py": """
                import argparse
                from plugins import registry

                parser = argparse.ArgumentParser()
                parser.add_argument("--lr")
                for plugin in registry:
                    plugin.extend(parser)
                args = parser.parse_args()
                """,
                "run.sh": "python train.py --anything 3",
            }
        ),
        Good(
            {
                "README.md": """
                ```bash
                git clone https://github.com/other/tool
                cd tool && python prepare.py --out data
                python path/to/your_script.py --config <config>
                ```
                """,
                "train.py": "print('hello')",
            }
        ),
        Good(
            {
                "run.sh": """
                cat > job.py <<EOF
                print("hello")
                EOF
                python job.py
                """,
                "train.py": "print('hello')",
            }
        ),
        Good(
            {
                "train.py": """
                import hydra

                @hydra.main(config_path="conf", config_name="train")
                def main(cfg):
                    print(cfg)

                main()
                """,
                "run.sh": "python train.py optim.lr=3e-4 --multirun",
            }
        ),
        Good(
            {
                "bind.py": """
                from argparse import ArgumentParser
                from argparse import REMAINDER as THE_REST
                import subprocess

                parser = ArgumentParser()
                parser.add_argument("--workers", type=int, default=1)
                parser.add_argument("script")
                parser.add_argument("script_args", nargs=THE_REST)
                args = parser.parse_args()
                for rank in range(args.workers):
                    subprocess.Popen(["python", args.script, *args.script_args])
                """,
                "train.py": """
                import argparse

                parser = argparse.ArgumentParser()
                parser.add_argument("--arch")
                parser.add_argument("-b", type=int)
                print(parser.parse_args())
                """,
                "run.sh": "python bind.py --workers 8 train.py --arch resnet50 -b 256",
            }
        ),
        Good(
            {
                "train.py": """
                import argparse

                parser = argparse.ArgumentParser()
                parser.add_argument("data")
                parser.add_argument("--manifest", required=True)
                parser.add_argument("--version", action="version", version="1.0")
                print(parser.parse_args())
                """,
                "export.py": """
                import click

                @click.command()
                @click.option("--ckpt", required=True)
                @click.argument("target")
                def main(ckpt, target):
                    save(ckpt, target)

                main()
                """,
                "README.md": """
                # Usage

                ```bash
                python train.py --help
                python train.py -h
                python train.py --version
                python export.py --help
                ```
                """,
            }
        ),
        Good(
            {
                "plugins/repeat/check_repeat.py": "print('ok')",
                "train.py": "print('hello')",
                "README.md": """
                The plugin lies in `plugins/repeat`. Build it there and test it:

                ```
                make
                python check_repeat.py
                ```

                Save this:

                ```python
                # make_sines.py
                import numpy as np
                np.save("sines.npy", np.sin(np.linspace(0, 9, 99)))
                ```

                and make the data:

                ```bash
                python make_sines.py
                python train.py
                ```
                """,
            }
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        launches = project[Launches].all
        yield from self._missing(project, launches)
        yield from self._refused(project, launches)

    def _missing(self, project: Project, launches: tuple[Launch, ...]) -> Iterator[Problem]:
        scripts: dict[str, list[Launch]] = {}
        for launch in launches:
            path = project[MissingScripts].missing(launch)
            if path:
                scripts.setdefault(path, []).append(launch)
        for path, found in scripts.items():
            first, *others = sorted(found, key=_worst_first)
            yield Problem(
                first.place,
                f"runs {path}, which is not in the repository",
                related=tuple(Related(one.place, "runs it too") for one in others),
                severity=_severity(first),
                evidence=(
                    f"no file {path}, and none of that path below another directory",
                    "no command or code that creates, copies, downloads or clones it",
                ),
                symbol=path,
            )

    def _refused(self, project: Project, launches: tuple[Launch, ...]) -> Iterator[Problem]:
        causes: dict[tuple[str, str, str], list[tuple[Launch, Complaint]]] = {}
        programs: dict[str, Program] = {}
        for launch in launches:
            program = project[Programs].of(launch.target) if launch.target and launch.invocation.certain else None
            if program is None:
                continue
            programs[launch.target] = program
            for one in check(program.interface, launch.invocation.arguments, documented=launch.documented):
                if not _is_misread(project, launch, one):
                    causes.setdefault((launch.target, one.kind, one.message), []).append((launch, one))
        together: dict[tuple[str, str, tuple[Place, ...]], list[list[tuple[Launch, Complaint]]]] = {}
        for (target, kind, _), found in causes.items():
            found.sort(key=lambda pair: _worst_first(pair[0]))
            together.setdefault((target, kind, tuple(launch.place for launch, _ in found)), []).append(found)
        for (target, _, _), groups in together.items():
            first = groups[0][0][0]
            others = list(dict.fromkeys(launch for launch, _ in groups[0][1:]))
            yield _problem(project, target, programs[target], first, [found[0][1] for found in groups], others)

    def mend(self, problem: Problem, project: Project) -> Fix | None:
        target, *changes = problem.symbol.split("\n")
        nearest = dict(change.split(" -> ") for change in changes if " -> " in change)
        edits = tuple(
            Edit(one.place, nearest[flag])
            for one in problem.related
            if (flag := one.message.removeprefix(_FLAG)) in nearest and one.message.startswith(_FLAG)
        )
        if not edits:
            return None
        return Fix(Applicability.SUGGEST, f"Give {target} {', '.join(nearest.values())}", edits)


_FLAG = "the word "


def _worst_first(launch: Launch) -> tuple[bool, Place]:
    return launch.command.kind in _DOCUMENTS, launch.place


def _severity(launch: Launch) -> Severity:
    return Severity.MINOR if launch.command.kind in _DOCUMENTS else Severity.MAJOR


def _problem(
    project: Project, target: str, program: Program, launch: Launch, complaints: list[Complaint], others: list[Launch]
) -> Problem:
    places = [(one, _word_place(project, launch, one)) for one in complaints]
    made = program.place
    return Problem(
        launch.place,
        f"{target} {_said(complaints)}",
        related=(
            *(Related(place, _FLAG + one.subject) for one, place in places if place is not None),
            Related(made, "the parser", "counterpart"),
            *(Related(one.place, "the same") for one in others),
        ),
        severity=_severity(launch),
        evidence=(
            f"{target} reads its command line as declared at {made.path}:{made.span.line}",
            "all of its options have constant names, and no code that is not seen adds others",
        ),
        symbol="\n".join(
            [target, *(one.subject + (f" -> {one.nearest}" if one.nearest else "") for one in complaints)]
        ),
    )


def _said(complaints: list[Complaint]) -> str:
    """What a program says to one command, in one sentence."""
    said = [one.message + (f" (the nearest it has is {one.nearest})" if one.nearest else "") for one in complaints]
    return " and ".join(dict.fromkeys(said))


def _word_place(project: Project, launch: Launch, complaint: Complaint) -> Place | None:
    """Where the word stands in the artefact, looked for in the lines of its command."""
    if complaint.word < 0:
        return None
    word = re.compile(rf"(?<![\w-]){re.escape(complaint.subject)}(?![\w-])")
    first = launch.place.span.line
    rows = _lines(project, launch.place.path)
    for number in range(first, min(first + _MOST_LINES, len(rows) + 1)):
        row = rows[number - 1]
        match = word.search(row)
        if match is not None:
            return Place(launch.place.path, Span(number, match.start() + 1, number, match.end() + 1))
        if launch.command.kind != "python" and not row.rstrip().endswith("\\") and number > first:
            break
    return None


def _is_misread(project: Project, launch: Launch, complaint: Complaint) -> bool:
    """Whether a document's text is not what the shell would see: ``</path/to/x>``, an output after ``>``."""
    if not launch.documented or complaint.kind not in ("extra", "missing"):
        return False
    first = launch.place.span.line
    rows = _lines(project, launch.place.path)[first - 1 : first + _MOST_LINES]
    if complaint.kind == "missing":
        return any("<" in row or "..." in row for row in rows[:8])
    return any(re.match(r"\s*(?:\d|&)?>", row) for row in rows[:8])


def _lines(project: Project, path: str) -> list[str]:
    module = project.modules.get(path)
    if module is not None:
        return module.text_lines
    text = project.content(path, _MOST_TEXT).decode("utf-8", errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
