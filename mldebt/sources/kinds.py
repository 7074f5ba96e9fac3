"""What a file is, by its name and, for names that say nothing, its first line."""

from __future__ import annotations

import re
from typing import Literal

Kind = Literal["python", "artefact", "other"]

_PYTHON = (".py", ".pyi", ".ipynb")
_SUFFIXES = frozenset(
    """.toml .cfg .ini .conf .yml .yaml .json .jsonc .mk .sh .bash .zsh .slurm .sbatch .slrm .pbs .qsub .lsf .job .sub
    .md .rst .lock .dvc .smk .gin .dockerfile .containerfile .env .cff""".split()
)
_NAMES = frozenset(
    """makefile gnumakefile mlproject snakefile codeowners justfile jenkinsfile procfile pipfile vagrantfile rakefile
    containerfile .gitattributes .gitignore .gitmodules .dockerignore .dvcignore .flake8 .pylintrc .coveragerc
    .editorconfig .python-version .env .envrc .condarc runtime.txt manifest.in license license.txt licence copying
    notice""".split()
)
_STEMS = re.compile(
    r"dockerfile|containerfile|(?:.*[-_.])?(?:requirements?|constraints?)(?:[-_.].*)?\.(?:txt|in|pip)$|readme"
)
_REQUIREMENTS_FOLDER = re.compile(r"(?:^|/)(?:requirements?|constraints?|reqs)/[^/]+\.(?:txt|in)$")
_PYTHON_SHEBANG = re.compile(rb"#!.*\b(?:i?python|pypy)[\d.]*(?:\s|$)|#!.*\buv\s+run\b")
_SHELL_SHEBANG = re.compile(rb"#!.*\b(?:ba|da|k|z)?sh\b")
_LINE = 256


def kind(path: str) -> Kind:
    """Tell from the name; a name without a suffix that says nothing is ``other`` (see :func:`kind_of_script`)."""
    name = path.rpartition("/")[2].lower()
    if name.endswith(_PYTHON):
        return "python"
    stem, dot, suffix = name.rpartition(".")
    if (stem and dot + suffix in _SUFFIXES) or name in _NAMES or _STEMS.match(name):
        return "artefact"
    return "artefact" if _REQUIREMENTS_FOLDER.search(path.lower()) else "other"


def kind_of_script(head: bytes) -> Kind:
    """Tell from the first line (``#!``) of a file whose name has no suffix."""
    line = head[:_LINE].partition(b"\n")[0].rstrip(b"\r")
    if _PYTHON_SHEBANG.match(line):
        return "python"
    return "artefact" if _SHELL_SHEBANG.match(line) else "other"


def has_suffix(path: str) -> bool:
    """Tell whether the file's name has a dot anywhere, a leading one included."""
    return "." in path.rpartition("/")[2]
