"""MLD109 subprocess-glue."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import ClassVar

from mldebt.finding import Confidence, Related, Severity
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .processes import Processes, Started


class SubprocessGlue(ProjectRule):
    """Python code starts the repository's own Python program as a process, or moves data with shell tools.

    `os.system("python preprocess.py ...")`, `subprocess.run([sys.executable, "train.py", ...])`, `!python prepare.py`
    in a notebook that goes on with the result, `os.system("unzip data/raw.zip")`.

    ## Why it is debt

    The interface between the two parts is a line of text: numbers and paths are formatted here and parsed there, no
    checker sees a renamed option, an exception becomes an exit code that is often not looked at, and the result comes
    back through a file. Shell tools add quoting and a dependency on the machine.

    ## How to pay it back

    Import the function and call it: `preprocess.run(raw, out)`. For files there are `shutil.copy`, `shutil.move`,
    `shutil.unpack_archive`, `zipfile`, `urllib.request.urlretrieve`. Steps of a pipeline belong in a pipeline file.

    ## When to leave it

    Processes that are wanted as such: one for each rank or device, jobs for a scheduler (`sbatch`), a server in the
    background, another interpreter or environment, a launcher that passes its own arguments on, tests of the command
    line, notebooks that show how the programs are used. These are left alone, as is every command whose program is not
    known, and an archive that is fetched where there is none yet, by a call that raises when that fails. Where a
    failure is returned, such a download is information only; so is the `!python` line of a program whose command line
    a README shows.

    ## References

    * D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 5.1 (glue code).
    * Python documentation, `subprocess`, `shutil`.
    """

    code: ClassVar[str] = "MLD109"
    severity: ClassVar[Severity] = Severity.MINOR
    confidence: ClassVar[Confidence] = Confidence.HIGH
    minutes: ClassVar[int] = 20
    examples = (
        Bad(
            {
                "run.py": """
                import os

                import pandas as pd


                def main(raw, out):
                    os.system(f"python preprocess.py --input {raw} --out {out}")
                    return pd.read_csv(out)


                if __name__ == "__main__":
                    main("data/raw.csv", "data/clean.csv")
                """,
                "preprocess.py": """
                import argparse

                parser = argparse.ArgumentParser()
                parser.add_argument("--input")
                parser.add_argument("--out")
                print(parser.parse_args())
                """,
            },
            anchors=("run.py:7",),
        ),
        Bad(
            {
                "pipeline.py": """
                import subprocess
                import sys

                command = [sys.executable, "-m", "steps.train", "--epochs", str(3)]


                def main():
                    subprocess.run([sys.executable, "steps/clean.py"], check=True)
                    subprocess.check_call(command)


                if __name__ == "__main__":
                    main()
                """,
                "steps/__init__.py": "",
                "steps/clean.py": "print('clean')\n",
                "steps/train.py": "print('train')\n",
            },
            findings=2,
            anchors=("pipeline.py:8", "pipeline.py:9"),
        ),
        Bad(
            """
            import os

            import pandas as pd


            def load(url):
                os.system("wget -q %s -O data/raw.zip" % url)
                os.system("unzip -o data/raw.zip -d data")
                return pd.read_csv("data/raw.csv")
            """,
            anchors=("example.py:7",),
        ),
        Good(
            {
                "launch.py": """
                import os
                import subprocess
                import sys


                def main():
                    workers = []
                    for rank in range(4):
                        env = {**os.environ, "LOCAL_RANK": str(rank)}
                        workers.append(subprocess.Popen([sys.executable, "train.py"], env=env))
                    for worker in workers:
                        worker.wait()


                if __name__ == "__main__":
                    main()
                """,
                "train.py": "print('train')\n",
            }
        ),
        Good(
            {
                "submit.py": """
                import os
                import subprocess

                subprocess.run(["sbatch", "job.sh", "train.py"], check=True)
                os.system("srun python train.py")
                """,
                "forward.py": """
                import subprocess
                import sys

                subprocess.run([sys.executable, "train.py", *sys.argv[1:]], check=True)
                """,
                "train.py": "print('train')\n",
            }
        ),
        Good(
            {
                "tests/test_cli.py": """
                import subprocess
                import sys


                def test_help():
                    assert subprocess.run([sys.executable, "train.py", "--help"]).returncode == 0
                """,
                "train.py": "print('train')\n",
            }
        ),
        Good(
            {
                "app.py": """
                import subprocess

                import preprocess

                preprocess.run("data/raw.csv", "data/clean.csv")
                revision = subprocess.check_output(["git", "rev-parse", "HEAD"])
                subprocess.run(["ffmpeg", "-i", "talk.mp4", "talk.wav"], check=True)
                subprocess.run(["python", "/opt/vendor/convert.py"], check=True)
                """,
                "preprocess.py": """
                def run(raw, out):
                    print(raw, out)
                """,
            }
        ),
        Good(
            {
                "demo.py": """
                import subprocess
                import sys

                server = subprocess.Popen([sys.executable, "server.py", "--port", "8080"])
                print("started", server.pid)
                """,
                "server.py": "print('serve')\n",
                "clean.py": """
                import os

                os.system("clear")
                os.system("cp settings.ini settings.bak")
                """,
            }
        ),
        Good(
            """
            import os
            import subprocess

            import pandas as pd

            if not os.path.exists("data/faces"):
                subprocess.check_output("curl https://example.org/data.tgz | tar xz", shell=True)
            if not os.path.isfile("data/glove.txt"):
                subprocess.run("wget https://example.org/data.zip && unzip data.zip", shell=True, check=True)
            faces = pd.read_csv("data/faces/all.csv")
            """
        ),
    )

    def check(self, project: Project, /) -> Iterator[Problem]:
        groups: dict[tuple[str, str], list[Started]] = {}
        for one in project[Processes].all:
            groups.setdefault((one.module.path, one.target), []).append(one)
        for group in groups.values():
            yield _problem(group)


def _problem(group: list[Started]) -> Problem:
    first = group[0]
    evidence: tuple[str, ...]
    times = f" at {len(group)} places" if len(group) > 1 else ""
    raises = all(one.raises for one in group)
    if first.target:
        name = posixpath.basename(first.target)
        message = f"{name} of this repository is started as a process ({first.api}){times}: " + (
            "arguments become text, and its exceptions one error without their cause"
            if raises
            else "arguments become text, exceptions an exit code"
        )
        evidence = (
            f"the command runs {first.target} with the interpreter that runs this file",
            "searched: ranks and devices, schedulers, arguments passed on, processes left running; none of them here",
        )
        symbol = first.target
    else:
        names = list(dict.fromkeys(one.tool for one in group))
        tools, verb = ", ".join(names), "handles" if len(names) == 1 else "handle"
        message = f"{tools} {verb} data ({first.subject}) as a shell command ({first.api}){times}: " + (
            "paths become text, and the machine must have the tool" if raises else "a failure is an exit code"
        )
        evidence = tuple(f"{one.tool} on {one.subject}" for one in group)
        symbol = "shell"
    related = tuple(Related(one.place, f"and here ({one.api})") for one in group[1:])
    shown = Severity.INFO if all(one.shown for one in group) else None
    return Problem(first.place, message, related, severity=shown, evidence=evidence, symbol=symbol)
