"""MLD311 environment-sprawl."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mldebt.facts.schema import Import
from mldebt.finding import Confidence, Place, Related, Severity, Span
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .environment import Access, Before, Environment, Variable

# Set by launchers, schedulers and the system for each process: not the project's configuration.
_PROCESS = re.compile(
    r"(?:LOCAL_|GLOBAL_|NODE_|GROUP_|ROLE_|CROSS_)?(?:RANK|WORLD_SIZE|SIZE)|LOCAL_PROCESS_\w+|MASTER_(?:ADDR|PORT)|NODE_RANK"
    r"|NNODES|(?:SLURM|OMPI|PMI|PMIX|MPI|TORCHELASTIC|TORCH_ELASTIC|PBS|LSB|SGE|MV2|FLUX|PALS|RAY|ACCELERATE|FSDP|XLA|TPU|XRT"
    r"|KUBERNETES|GITHUB|CI|TRAVIS|JENKINS|CIRCLE|PYTEST|COLAB|KAGGLE|SM|AZUREML|JPY|TF|CONDA|XDG|LC|SSH|QT|BUILD|CMAKE)_?\w*"
    r"|HOME|PATH|USER|USERNAME|LOGNAME|SHELL|PWD|TMPDIR|TMP|TEMP|DISPLAY|LANG|TERM|HOSTNAME|EDITOR|PAGER|COLUMNS|NO_COLOR"
    r"|APPDATA|LOCALAPPDATA|USERPROFILE|PROGRAMFILES|SYSTEMROOT|VIRTUAL_ENV|PYTHON\w*|LD_LIBRARY_PATH|CUDA_\w+|NVIDIA_\w+"
    r"|NCCL_\w+|OMP_NUM_THREADS|MKL_\w+|CC|CXX|CFLAGS|LDFLAGS|MAX_JOBS|READTHEDOCS|FORCE_CUDA"
)
_SETTINGS = re.compile(
    r"(?:^|/)_?(?:[\w]*_)?(?:settings|config|configs|configuration|conf|env|envs|environment|environ|environs|constants|consts|const"
    r"|options|defaults|flags|secrets|credentials)(?:_\w+)?(?:\.py|/.*\.py)$"
)
_TOOLS = re.compile(
    r"(?:^|/)(?:setup|conf|noxfile|fabfile|tasks|versioneer|conftest)\.py$|(?:^|/)(?:docs?|\.ci|ci|build_tools?)/"
)
_MANIFEST = re.compile(
    r"(?:^|/)(?:requirements[^/]*\.txt|pyproject\.toml|setup\.py|environment\.ya?ml|Pipfile|Dockerfile)$"
)
# What starts processes that do see what is set here.
_CHILDREN = frozenset(
    """subprocess.run subprocess.Popen subprocess.call subprocess.check_call subprocess.check_output os.system os.execv
    os.execve os.execvp os.execvpe os.execl os.execle os.execlp os.spawnv os.spawnl os.posix_spawn runpy.run_path
    multiprocessing.Process multiprocessing.Pool multiprocessing.get_context multiprocessing.set_start_method
    multiprocessing.pool.Pool torch.multiprocessing.spawn torch.multiprocessing.Process torch.multiprocessing.Pool
    torch.multiprocessing.set_start_method concurrent.futures.ProcessPoolExecutor ray.init joblib.Parallel
    torch.multiprocessing.get_context torch.utils.data.DataLoader""".split()
)


def _reading(count: int) -> dict[str, str]:
    return {
        f"pkg/part{number}.py": f"""
        import os

        LIMIT = int(os.environ.get("ACME_LIMIT_{number}", "4"))
        """
        for number in range(count)
    }


@dataclass(frozen=True)
class EnvironmentSprawl(ProjectRule):
    """Variables of the environment are read all over the project, or set after what reads them has done so.

    At least five modules outside the settings module read variables (one finding); or a variable such as
    `CUDA_VISIBLE_DEVICES` or `KERAS_BACKEND` is set when its reader has already run: a use of the GPU, the import of
    the library or, for `PYTHONHASHSEED`, the start of the interpreter.

    ## Why it is debt

    Every `os.environ` read is an option nobody declared: it has no list, no type and no default that holds
    everywhere, and a misspelt name is silently the default. A variable that is set too late does nothing at all, and
    the run goes to the wrong GPU or backend without a word.

    ## How to pay it back

    Read the environment once, in one settings module (a dataclass, pydantic-settings), and pass values on. Set what
    libraries read in the launcher, or above the first import.

    ## When to leave it

    What launchers and schedulers set for each process (`RANK`, `LOCAL_RANK`, `WORLD_SIZE`, `SLURM_*`, `HOME`) does not
    count. `CUDA_VISIBLE_DEVICES` after `import torch` alone still works and is info only; so is a GPU used only later.
    `PYTHONHASHSEED` is fine when a child process or a restart of the interpreter follows.

    ## Options

    - `modules`: how many modules outside the settings module have to read variables.

    ## References

    * D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 6.
    * The Twelve-Factor App, "Config".
    * Python documentation, `PYTHONHASHSEED`; NVIDIA, CUDA C++ Programming Guide, environment variables.
    """

    modules: int = 5

    code: ClassVar[str] = "MLD311"
    severity: ClassVar[Severity] = Severity.MINOR
    confidence: ClassVar[Confidence] = Confidence.HIGH
    minutes: ClassVar[int] = 15
    sensitive_to: ClassVar[frozenset[str]] = frozenset({"from-import", "re-export", "star-import"})  # they move imports
    examples = (
        Bad({**_reading(5), "pkg/__init__.py": ""}, anchors=("pkg/part0.py:3",)),
        Bad(
            """
            import os

            import torch

            device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
            os.environ["CUDA_VISIBLE_DEVICES"] = "1"
            """,
            anchors=("example.py:6",),
        ),
        Bad(
            {
                "train.py": """
                import argparse
                import os

                from devices import DEVICE


                def main():
                    parser = argparse.ArgumentParser()
                    parser.add_argument("--gpu", default="0")
                    args = parser.parse_args()
                    os.environ["CUDA_VISIBLE_DEVICES"] = args.gpu
                    print(DEVICE)


                if __name__ == "__main__":
                    main()
                """,
                "devices.py": """
                import torch

                DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
                """,
            },
            anchors=("train.py:11",),
        ),
        Bad(
            """
            import os

            import keras

            os.environ["KERAS_BACKEND"] = "jax"
            os.environ["PYTHONHASHSEED"] = "0"
            print(keras.backend.backend())
            """,
            findings=2,
            anchors=("example.py:5", "example.py:6"),
        ),
        Good(
            {
                **_reading(4),
                "pkg/__init__.py": "",
                "pkg/settings.py": "import os\n\nTOKEN = os.environ['ACME_TOKEN']\n",
            }
        ),
        Good(
            {
                f"part{number}.py": """
                import os

                rank = int(os.environ.get("RANK", "0"))
                local = int(os.getenv("LOCAL_RANK", "0"))
                world = int(os.environ["WORLD_SIZE"])
                """
                for number in range(6)
            }
        ),
        Good(
            """
            import os

            os.environ["CUDA_VISIBLE_DEVICES"] = "1"
            os.environ["KERAS_BACKEND"] = "jax"

            import keras
            import torch

            print(torch.cuda.is_available(), keras.backend.backend())
            """
        ),
        Good(
            """
            import os
            import subprocess
            import sys

            if os.environ.get("PYTHONHASHSEED") != "0":
                os.environ["PYTHONHASHSEED"] = "0"
                subprocess.run([sys.executable, *sys.argv], check=True)
            """
        ),
        Good(
            {
                **{
                    f"tools/part{number}.py": f"""
                    from settings import LIMIT_{number}

                    print(LIMIT_{number})
                    """
                    for number in range(6)
                },
                "settings.py": "import os\n\n"
                + "".join(f"LIMIT_{number} = os.getenv('LIMIT_{number}', '4')\n" for number in range(6)),
            }
        ),
        Good(
            {
                f"tests/test_{number}.py": """
                import os


                def test_it():
                    assert os.environ["ACME_TOKEN"]
                """
                for number in range(7)
            }
        ),
    )

    def check(self, project: Project, /) -> Iterator[Problem]:
        environment = project[Environment]
        rows = project.rows(environment.variables)
        parts: dict[str, dict[str, list[Access]]] = {}
        folders = _parts(project)
        for module in project.modules.values():
            if module.role != "project" or module.is_test:
                continue
            for setting in environment.settings(module):
                row = rows.get(setting.name)
                if row is not None:
                    yield from _late(setting, row, environment, project)
            if module.is_example or _SETTINGS.search(module.path) or _TOOLS.search(module.path):
                continue
            for read in environment.reads(module):
                if not _PROCESS.fullmatch(read.name) and not _is_set_before(read, environment):
                    parts.setdefault(_part(module.path, folders), {}).setdefault(module.path, []).append(read)
        for by_module in parts.values():
            if len(by_module) >= self.modules:
                yield _sprawl(by_module)


def _parts(project: Project) -> frozenset[str]:
    """Folders below the root that have a manifest of their own: projects beside each other."""
    found = (path.rpartition("/")[0] for path in project.every if _MANIFEST.search(path))
    return frozenset(folder for folder in found if folder)


def _part(path: str, folders: frozenset[str]) -> str:
    folder = path.rpartition("/")[0]
    while folder and folder not in folders:
        folder = folder.rpartition("/")[0]
    return folder


def _is_set_before(read: Access, environment: Environment) -> bool:
    """A file that sets a variable itself and looks whether it is set reads its own state."""
    return any(one.name == read.name for one in environment.settings(read.module))


def _sprawl(by_module: dict[str, list[Access]]) -> Problem:
    reads = [reads[0] for _, reads in sorted(by_module.items())]
    names = sorted({read.name for found in by_module.values() for read in found})
    first, *others = reads
    shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    return Problem(
        first.module.place(first.statement),
        f"{len(reads)} modules read variables of the environment on their own: {shown}",
        tuple(
            Related(one.module.place(one.statement), f"reads {', '.join(_names(by_module[one.module.path]))}")
            for one in others
        ),
        evidence=(
            f"{len(names)} variables, none of them set by a launcher or the system for each process",
            "settings modules, tests and examples are not among the readers",
        ),
        symbol="sprawl",
    )


def _names(reads: list[Access]) -> list[str]:
    return sorted({read.name for read in reads})[:4]


def _late(setting: Access, row: Variable, environment: Environment, project: Project) -> Iterator[Problem]:
    place = setting.module.place(setting.statement)
    if row.read == "start":
        if not _children(project, setting.module):
            yield Problem(
                place,
                f"{setting.name} is set in the running program, but the interpreter reads it only when it starts",
                evidence=("no child process or restart of the interpreter follows on any path from here",),
                symbol=setting.name,
            )
    elif row.read == "cuda":
        touch = environment.touched(setting)
        if touch is not None:
            yield Problem(
                place,
                f"{setting.name} is set after {touch.what} has used the GPU, which is when the driver reads it",
                (Related(_place(touch), f"{touch.what} runs first", "path"),),
                evidence=("the use of the GPU stands above, is imported, or is called before",),
                symbol=setting.name,
            )
        elif (imported := environment.imported(setting, row.libraries)) is not None:
            yield Problem(
                place,
                f"{setting.name} is set after {imported.what} is imported: in time only while no GPU is in use",
                (Related(_place(imported), f"{imported.what} is imported here", "path"),),
                severity=Severity.INFO,
                evidence=("no use of the GPU is seen to run before",),
                symbol=setting.name,
            )
    elif (imported := environment.imported(setting, row.libraries)) is not None:
        yield Problem(
            place,
            f"{setting.name} is set after {imported.what} is imported, which is when {imported.what} reads it",
            (Related(_place(imported), f"{imported.what} is imported here", "path"),),
            evidence=(f"{imported.what} reads it while it is imported",),
            symbol=setting.name,
        )


def _place(before: Before) -> Place:
    where = before.where
    if isinstance(where, Import):
        return Place(before.module.path, Span(where.line))
    return before.module.place(where)


def _children(project: Project, module: Module) -> bool:
    """Whether the file, or a program it is part of, starts processes that inherit the variable."""
    paths = {module.path}
    for entry in project.entries:
        closure = project.imports.closure(entry.definition.module)
        if module.path in closure:
            paths |= closure
    return any(next(project.modules[path].calls_of(_CHILDREN), None) is not None for path in sorted(paths))
