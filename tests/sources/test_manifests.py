"""What a project declares: names, requirements, entry points, packages; broken files give what precedes the fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from mldebt.sources.artefacts import Dependency, EntryPoint
from mldebt.sources.manifests import group_of, read_requirements, requirement
from mldebt.sources.repository import Repository, read_repository


def repository(root: Path, files: dict[str, str]) -> Repository:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return read_repository(root, [name for name in files if not name.endswith(".py")], tuple(files))


@pytest.mark.parametrize(
    ("text", "name", "specifier"),
    [
        ("torch", "torch", ""),
        ("torch==2.1.0", "torch", "==2.1.0"),
        ("Scikit_Learn >=1.0, <2", "scikit-learn", ">=1.0, <2"),
        ("ray[tune,rllib]~=2.0", "ray", "~=2.0"),
        ("tomli ; python_version < '3.11'", "tomli", ""),
        ("pkg @ https://host/pkg.zip", "pkg", "@ https://host/pkg.zip"),
        ("git+https://host/apex.git#egg=apex", "apex", "@ git+https://host/apex.git#egg=apex"),
        ("https://host/en_core-3.0-py3-none-any.whl", "en-core", "@ https://host/en_core-3.0-py3-none-any.whl"),
    ],
)
def test_requirement(text: str, name: str, specifier: str) -> None:
    assert requirement(text, "requirements.txt", 1) == Dependency(name, specifier, "requirements.txt", 1)


@pytest.mark.parametrize("text", ["git+https://host/apex.git", "!!", "two words", ""])
def test_what_names_no_distribution_is_none(text: str) -> None:
    assert requirement(text, "requirements.txt", 1) is None


def test_requirements_file() -> None:
    text = (
        "# deps\n-r base.txt\n--index-url https://x\nnumpy==1.2 \\\n    --hash=sha256:ab\n-e .\n"
        "-e git+https://h/x.git#egg=x\n./local\npandas  # why\n???\n"
    )
    manifest = read_requirements(text, "requirements-dev.txt")
    assert [(d.name, d.line, d.group) for d in manifest.dependencies] == [
        ("numpy", 4, "dev"), ("x", 7, "dev"), ("pandas", 9, "dev"),
    ]  # fmt: skip
    assert [line for line, _ in manifest.problems] == [10]


@pytest.mark.parametrize(
    ("path", "group"),
    [
        ("requirements.txt", ""), ("requirements/base.txt", ""), ("requirements/dev.txt", "dev"),
        ("requirements-test.txt", "test"), ("dev-requirements.txt", "dev"), ("docs/requirements.txt", "docs"),
        ("examples/mnist/requirements.txt", ""),
    ],
)  # fmt: skip
def test_group_of_a_requirements_file(path: str, group: str) -> None:
    assert group_of(path) == group


def test_pyproject(tmp_path: Path) -> None:
    text = (
        '[project]\nname = "My.Proj"\nrequires-python = ">=3.10"\ndependencies = [\n  "torch>=2",\n  "numpy",\n]\n'
        '[project.optional-dependencies]\ndev = ["pytest"]\n[project.scripts]\ntrain = "my_proj.cli:main"\n'
        '[project.entry-points."my.plugins"]\na = "my_proj.a"\n[dependency-groups]\n'
        'lint = ["ruff", {include-group = "x"}]\n'
        '[tool.setuptools.packages.find]\nwhere = ["src"]\n'
    )
    found = repository(
        tmp_path, {"pyproject.toml": text, "src/my_proj/__init__.py": "", "src/my_proj/sub/__init__.py": ""}
    )
    assert (found.name, found.requires_python, found.installable) == ("My.Proj", ">=3.10", True)
    assert found.packages == ("src/my_proj",)
    assert [(d.name, d.specifier, d.line, d.group) for d in found.dependencies] == [
        ("torch", ">=2", 5, ""), ("numpy", "", 6, ""), ("pytest", "", 9, "dev"), ("ruff", "", 15, "lint"),
    ]  # fmt: skip
    assert found.entry_points == (
        EntryPoint("console_scripts", "train", "my_proj.cli:main", "pyproject.toml", 11),
        EntryPoint("my.plugins", "a", "my_proj.a", "pyproject.toml", 13),
    )


def test_poetry(tmp_path: Path) -> None:
    text = (
        '[tool.poetry]\nname = "p"\n[tool.poetry.dependencies]\npython = "^3.9"\n'
        'torch = {version = "^2.0", optional = true}\n'
        'numpy = "*"\n[tool.poetry.group.dev.dependencies]\npytest = "^7"\n[tool.poetry.scripts]\nrun = "p.main:app"\n'
    )
    found = repository(tmp_path, {"pyproject.toml": text, "p/__init__.py": "", "tests/__init__.py": ""})
    assert (found.name, found.requires_python, found.packages) == ("p", "^3.9", ("p",))
    assert [(d.name, d.specifier, d.group) for d in found.dependencies] == [
        ("torch", "^2.0", "optional"), ("numpy", "", ""), ("pytest", "^7", "dev"),
    ]  # fmt: skip
    assert found.entry_points[0].target == "p.main:app"


def test_broken_pyproject_keeps_what_precedes_the_fault(tmp_path: Path) -> None:
    text = '[project]\nname = "x"\ndependencies = ["torch"]\n[tool.ruff]\nline-length = = 3\n'
    found = repository(tmp_path, {"pyproject.toml": text, "requirements.txt": "numpy\n"})
    assert found.name == "x"
    assert {d.name for d in found.dependencies} == {"torch", "numpy"}
    assert [(path, line) for path, line, _ in found.problems] == [("pyproject.toml", 5)]


def test_pyproject_of_unexpected_types_is_tolerated(tmp_path: Path) -> None:
    text = "project = 3\n[tool.poetry]\ndependencies = 'x'\nscripts = [1]\n[tool.setuptools]\npackages = [1, 2]\n"
    found = repository(tmp_path, {"pyproject.toml": text})
    assert (found.name, found.dependencies, found.packages, found.problems) == (None, (), (), ())


def test_setup_cfg(tmp_path: Path) -> None:
    text = (
        "[metadata]\nname = old\n[options]\npackages = find:\npython_requires = >=3.7\ninstall_requires =\n    torch\n"
        "    numpy>=1\n[options.packages.find]\nexclude =\n    tests*\n[options.extras_require]\ndev =\n    pytest\n"
        "[options.entry_points]\nconsole_scripts =\n    old-train = old.train:main\n"
    )
    found = repository(tmp_path, {"setup.cfg": text, "old/__init__.py": "", "tests/__init__.py": ""})
    assert (found.name, found.requires_python, found.packages) == ("old", ">=3.7", ("old",))
    assert [(d.name, d.line, d.group) for d in found.dependencies] == [
        ("torch", 7, ""), ("numpy", 8, ""), ("pytest", 14, "dev"),
    ]  # fmt: skip
    assert found.entry_points == (EntryPoint("console_scripts", "old-train", "old.train:main", "setup.cfg", 17),)


SETUP = """
import os
from setuptools import setup, find_packages
open("canary", "w")
REQUIRES = ["torch>=1.0"] + ["tqdm"]
CHANGED = ["no"]
CHANGED.append("yes")
setup(
    name="legacy",
    packages=find_packages(where="lib", exclude=("lib_tests",)),
    install_requires=REQUIRES,
    extras_require={"viz": ["matplotlib"], "odd": CHANGED},
    python_requires=">=3.6",
    scripts=["bin/run.py"],
    entry_points={"console_scripts": ["legacy = legacy.cli : main"]},
)
"""


def test_setup_script_is_parsed_and_never_run(tmp_path: Path) -> None:
    found = repository(tmp_path, {"setup.py": SETUP, "lib/legacy/__init__.py": "", "lib/lib_tests/__init__.py": ""})
    assert not (tmp_path / "canary").exists()
    assert (found.name, found.requires_python, found.installable) == ("legacy", ">=3.6", True)
    assert found.packages == ("lib/legacy",)
    assert [(d.name, d.line, d.group) for d in found.dependencies] == [
        ("torch", 5, ""), ("tqdm", 5, ""), ("matplotlib", 12, "viz"),
    ]  # fmt: skip
    assert {(e.group, e.name, e.target) for e in found.entry_points} == {
        ("scripts", "run.py", "bin/run.py"), ("console_scripts", "legacy", "legacy.cli:main"),
    }  # fmt: skip


@pytest.mark.parametrize("text", ["setup(name=", "(" * 5000, "x = 1\x00"])
def test_broken_setup_script_is_a_problem(tmp_path: Path, text: str) -> None:
    found = repository(tmp_path, {"setup.py": text})
    assert [path for path, _, _ in found.problems] == ["setup.py"]
    assert not found.installable


def test_conda_environment(tmp_path: Path) -> None:
    text = (
        "name: env\ndependencies:\n  - python=3.8\n  - pytorch::pytorch=1.9\n  - pip\n  - pip:\n"
        "    - timm==0.4\n    - -e .\n"
    )
    found = repository(tmp_path, {"environment.yml": text})
    assert found.requires_python == "=3.8"
    assert [(d.name, d.specifier, d.line) for d in found.dependencies] == [
        ("pytorch", "=1.9", 4), ("pip", "", 5), ("timm", "==0.4", 7),
    ]  # fmt: skip


def test_a_manifest_of_an_example_does_not_make_the_repository_installable(tmp_path: Path) -> None:
    found = repository(tmp_path, {"examples/a/setup.py": "setup(name='a', install_requires=['torch'])", "main.py": ""})
    assert not found.installable
    assert [d.path for d in found.dependencies] == ["examples/a/setup.py"]


def test_lock_files_and_documents_are_listed(tmp_path: Path) -> None:
    found = repository(tmp_path, {"uv.lock": "x", "README.md": "hi", "docs/a.rst": "hi", "package-lock.json": "{"})
    assert found.lock_files == ("package-lock.json", "uv.lock")
    assert found.documents == ("README.md", "docs/a.rst")
    assert found.problems == ()


def test_large_and_missing_files_do_not_stop_the_rest(tmp_path: Path) -> None:
    (tmp_path / "big.json").write_text("[" + "1," * 200_000 + "1]", encoding="utf-8")
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9\n")
    found = read_repository(tmp_path, ["big.json", "gone.yaml", "latin.yaml"])
    assert [path for path, _, _ in found.skipped] == ["big.json"]
    assert [path for path, _, _ in found.problems] == ["gone.yaml"]
    assert found.configs[0].leaves[0].value == "caf\N{REPLACEMENT CHARACTER}"


def test_utf16_requirements_of_windows_are_read(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_bytes("torch==2.0\r\nnumpy\r\n".encode("utf-16"))
    assert [d.name for d in read_repository(tmp_path, ["requirements.txt"]).dependencies] == ["torch", "numpy"]
