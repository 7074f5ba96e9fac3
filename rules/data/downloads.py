"""Downloads by commands, of scripts or of Python: ``wget``, ``gdown``, ``kaggle``, ``hf`` (MLD604)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.finding import Place, Span
from mldebt.rule import Analysis

from ..glue.artefacts import Artefacts  # noqa: TID252 - installed under another name
from .external import MOVING, is_checked

if TYPE_CHECKING:
    pass

_KINDS = frozenset({"shell", "make", "docker", "dvc", "notebook"})
_CHECKING = frozenset(
    {"sha256sum", "md5sum", "sha1sum", "sha512sum", "shasum", "b2sum", "cksum", "md5", "gpg", "cosign"}
)
_RUNS = frozenset(
    {"os.system", "os.popen"} | {f"subprocess.{one}" for one in ("run", "call", "check_call", "check_output", "Popen")}
)
_FETCHERS = frozenset("wget curl aria2c gdown kaggle hf huggingface-cli aws gsutil gcloud git".split())
_ADDRESS = re.compile(r"(https?|ftp|s3|gs|abfs)://\S+")
_DATA = re.compile(
    r"\.(csv|tsv|jsonl?|parquet|feather|npz|npy|h5|hdf5|pkl|pt|pth|ckpt|bin|onnx|safetensors|zip|tgz|tar|gz|bz2|xz|7z|"
    r"xlsx?|arrow|mat|tfrecord)(?=$|[?&#])", re.IGNORECASE,
)  # fmt: skip
# A tag, a release, a commit, a version, a date, a record of an archive that keeps what it has.
_VERSIONED = re.compile(
    r"releases/download/|/[0-9a-f]{7,40}/|[/_@-]v?\d+\.\d+|/v\d+/|[^\d](19|20)\d\d-?\d\d|zenodo\.org|figshare|doi\.org|"
    r"versionId=|\d\d-[a-z]{3}-(19|20)\d\d|osf\.io|/resolve/[0-9a-f]{7,}", re.IGNORECASE,
)  # fmt: skip


class Download(Struct, frozen=True):
    """``what`` is fetched by ``how``; ``feeds``: the place that reads it, where one is known."""

    what: str
    how: str
    moves: bool
    place: Place
    feeds: Place | None = None


class Downloads(Analysis):
    """All of a project that nothing pins, in the order of places."""

    @cached_property
    def all(self) -> tuple[Download, ...]:
        commands = [one for one in self.project.repository.commands if one.kind in _KINDS]
        checked = {one.path for one in commands if any(word in _CHECKING for word in one.words)}
        found: dict[tuple[str, str], Download] = {}
        for command in commands:
            if command.path not in checked and _is_fetch(command.words):
                for one in self._of(command.words, Place(command.path, Span(command.line))):
                    found.setdefault((one.place.path, one.what), one)
        for one in self._spoken():
            found.setdefault((one.place.path, one.what), one)
        return tuple(sorted(found.values(), key=lambda one: (one.place.path, one.place.span.line, one.what)))

    def _spoken(self) -> Iterator[Download]:
        """``os.system("wget ...")`` and ``subprocess.run(["wget", ...])``."""
        for module in self.project.modules.values():
            if module.role == "project" and not module.is_test and not is_checked(module):
                for _, site in module.calls_of(_RUNS):
                    value = module.constant(site.scope, site.call.args[0]) if site.call.args else None
                    words = _split(value) if isinstance(value, str) else value
                    if isinstance(words, (list, tuple)) and all(isinstance(one, str) for one in words):
                        for line in _lines(words):
                            if _is_fetch(line):
                                yield from self._of(line, module.place(site))

    def _of(self, words: Sequence[str], place: Place) -> Iterator[Download]:
        name, rest = words[0].rpartition("/")[2], words[1:]
        if name in ("wget", "curl", "aria2c"):
            if not any(word.startswith("--checksum") for word in rest):
                yield from self._addresses(name, rest, place)
        elif name == "gdown":
            what = next((word for word in reversed(rest) if not word.startswith("-") and len(word) > 9), "")
            if what:
                yield Download(what, name, True, place, self._reader(rest))
        elif name == "kaggle" and rest[:2] == ("datasets", "download"):
            what = next((word for word in rest[2:] if re.fullmatch(r"[\w-]+/[\w.-]+", word)), "")
            if what:
                yield Download(what, "kaggle datasets download", True, place)
        elif name in ("hf", "huggingface-cli") and rest[:1] == ("download",) and "--revision" not in rest:
            what = next((word for word in rest[1:] if re.fullmatch(r"[\w.-]+/[\w.-]+", word)), "")
            if what:
                yield Download(what, f"{name} download", True, place)
        elif name in ("aws", "gsutil", "gcloud"):
            yield from (one for one in self._addresses(name, rest, place) if one.moves)
        elif name == "git" and rest[:1] == ("clone",) and not {"-b", "--branch"} & set(rest):
            what = next((word for word in rest if "huggingface.co/" in word), "")
            if what:
                yield Download(what, "git clone", True, place)

    def _addresses(self, name: str, words: Sequence[str], place: Place) -> Iterator[Download]:
        for word in words:
            found = _ADDRESS.search(word)
            address = found.group().rstrip("\"');") if found else ""
            if not address or "$" in address.partition("?")[0]:
                continue
            moves = MOVING.search(address) is not None
            if moves or (_DATA.search(address) and not _VERSIONED.search(address)):
                yield Download(address, name, moves, place, self._reader(words))

    def _reader(self, words: Sequence[str]) -> Place | None:
        """Where the project reads the file that a download leaves."""
        names = {word.partition("?")[0].rpartition("/")[2] for word in words if "." in word.rpartition("/")[2]}
        for path, node in self.project[Artefacts].nodes.items():
            if node.reads and path.rpartition("/")[2] in names:
                return node.reads[0].place
        return None


def _is_fetch(words: Sequence[str]) -> bool:
    return len(words) > 1 and words[0].rpartition("/")[2] in _FETCHERS


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text.replace("&&", " ; ").replace("\n", " ; "))
    except ValueError:
        return []


def _lines(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The commands between semicolons."""
    line: list[str] = []
    for word in (*words, ";"):
        if word.rstrip(";"):
            line.append(word.rstrip(";"))
        if word.endswith(";"):
            yield tuple(line)
            line = []
