"""What many tests stand on: a project from texts, a repository on disk with a rule of its own, the console script."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from mldebt.config import Request
from mldebt.configure import CommandLine, configure
from mldebt.facts.extract import extract
from mldebt.finding import Severity
from mldebt.pipeline import Outcome, scan
from mldebt.project.project import Project, ProjectOptions
from mldebt.registry import Registry
from mldebt.rule import AnyRule
from mldebt.settings.files import read_settings
from mldebt.sources.artefacts import Repository
from mldebt.sources.text import Source
from mldebt.testing import write

Build = Callable[..., Project]
ROOT = Path(__file__).parents[1]

# How long a busy machine takes says nothing about the code.
settings.register_profile("mldebt", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("mldebt")

# A rule of the repository's own, so that these tests stand on no built-in rule: `dice()` is debt, `dice(6)` is not.
RULE = '''
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from mldebt.finding import Applicability, Confidence, Edit, Fix, Severity
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Alone, Bad, Good, Problem, Rule


@dataclass(frozen=True)
class BareDice(Rule[cst.Call]):
    """A dice is thrown, and nobody knows how many sides it has.

    ## Why it is debt
    Because.

    ## How to pay it back
    Say how many.
    """

    code = "MLD091"
    severity, confidence, minutes = Severity.MAJOR, Confidence.HIGH, 5
    alone = Alone.REPORT
    calls = frozenset({"games.dice"})
    examples = (Bad("import games\\ngames.dice()\\n"), Good("import games\\ngames.dice(6)\\n"))

    sides: int = 6

    def check(self, call: cst.Call, module: Module) -> Iterator[Problem]:
        if not call.args:
            yield Problem(module.place(call), "The dice has no sides.", evidence=("no argument was given",))

    def mend(self, problem: Problem, project: Project) -> Fix:
        edit = Edit(problem.place, f"dice({self.sides})")
        return Fix(Applicability.SAFE, "say the sides", (edit,))
'''


def build_project(
    files: Mapping[str, str], repository: Repository | None = None, options: ProjectOptions | None = None
) -> Project:
    """Link Python texts by path, in memory; indentation common to all lines of a text is removed."""
    sources = {
        path: Source(path, dedent(text).lstrip("\n"), notebook=path.endswith(".ipynb")) for path, text in files.items()
    }
    return Project(
        root=Path("/nowhere"),
        facts={path: extract(source)[0] for path, source in sources.items()},
        repository=repository or Repository(),
        every=frozenset(files),
        options=options or ProjectOptions(),
        load=sources.__getitem__,
    )


@pytest.fixture
def project() -> Build:
    return build_project


@pytest.fixture
def dice() -> str:
    """The text of a rule: ``games.dice()`` is debt, ``games.dice(6)`` is not."""
    return RULE


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or writes the home of whoever runs it, nor takes colours or CI from there."""
    for name, folder in {"XDG_CONFIG_HOME": "config", "XDG_CACHE_HOME": "cache", "HOME": "."}.items():
        monkeypatch.setenv(name, str(tmp_path / "home" / folder))
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "CI", "MLDEBT_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def shell(home: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The console script as users run it."""

    def call(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        script = Path(sys.executable).with_name("mldebt")
        return subprocess.run(
            [str(script), *arguments], capture_output=True, text=True, check=False, env=dict(os.environ), **more
        )

    return call


@pytest.fixture
def written(tmp_path: Path) -> Callable[[Mapping[str, str | bytes]], Path]:
    """Writes a repository: the files given, one finding of the dice rule at good.py:3, and that rule."""

    def call(files: Mapping[str, str | bytes]) -> Path:
        root = tmp_path / "repository"
        whole: dict[str, str | bytes] = {
            "good.py": "from games import dice\n\ndice()\n",
            "tools/bare_dice.py": RULE,
            "mldebt.toml": 'plugins = ["tools/bare_dice.py"]\nexclude = ["tools/"]\n',
        }
        for name, text in {**whole, **files}.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return root

    return call


Scanned = Callable[..., Outcome]


@pytest.fixture
def scanned(tmp_path: Path) -> Scanned:
    """Scans files with the rules given and the configuration among the files; everything found is shown."""

    def call(files: Mapping[str, str], *rules: type[AnyRule], **request: Any) -> Outcome:
        root = write({name: dedent(text).lstrip("\n") for name, text in files.items()}, tmp_path / "scanned")
        registry = Registry(rules=tuple(sorted(rules, key=lambda rule: rule.code)))
        config = configure(read_settings(root), registry.rules, CommandLine(severity=Severity.INFO))
        return scan(Request(root, config=config, use_cache=False, jobs=1, **request), registry)

    return call


MadeOnce = Callable[[str, Callable[[Path], None]], Path]


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> MadeOnce:
    """Makes a folder once in a test run, in whichever process needs it first: environments are dear."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def call(name: str, make: Callable[[Path], None]) -> Path:
        folder, done = shared / name, shared / f"{name}.done"
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                folder.mkdir()
                make(folder)
                done.touch()
        return folder

    return call


@pytest.fixture(scope="session")
def copied() -> Callable[[Path], Path]:
    """Copies the project's sources, without what builds and runs left in them."""

    def call(folder: Path) -> Path:
        folder.mkdir(exist_ok=True)
        for name in ("pyproject.toml", "README.md", "LICENSE", "action.yml", ".pre-commit-hooks.yaml"):
            shutil.copy(ROOT / name, folder)
        for name in ("mldebt", "rules"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        return folder

    return call


@pytest.fixture(scope="session")
def wheel(made_once: MadeOnce, copied: Callable[[Path], Path]) -> Path:
    """The wheel of the project as it is, built without the network."""

    def make(folder: Path) -> None:
        options = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check")
        pip = [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", str(folder / "dist")]
        subprocess.run([*pip, str(copied(folder / "source"))], check=True, capture_output=True)

    (built,) = (made_once("wheel", make) / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="session")
def environment(made_once: MadeOnce, wheel: Path) -> Callable[..., Path]:
    """Makes virtual environments that hold the wheel, what it depends on and ``packages``: as users have them."""

    def call(name: str, *packages: str, python: str = sys.executable) -> Path:
        def make(folder: Path) -> None:
            subprocess.run([python, "-m", "venv", "--without-pip", str(folder)], check=True)
            pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin/python"), "install", "--quiet"]
            done = subprocess.run([*pip, str(wheel), *packages], check=False, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr

        return made_once(f"environment-{name}", make)

    return call


Git = Callable[..., str]


@pytest.fixture
def git() -> Git:
    """Runs git in a folder, as nobody in particular and under no configuration of this machine."""

    def call(root: Path, *arguments: str) -> str:
        names = {f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        environment = {"PATH": os.environ["PATH"], "HOME": str(root.parent), "GIT_CONFIG_NOSYSTEM": "1", **names}
        done = subprocess.run(
            ["git", "-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always", *arguments],
            cwd=root, env=environment, check=True, capture_output=True, text=True,
        )  # fmt: skip
        return done.stdout

    return call
