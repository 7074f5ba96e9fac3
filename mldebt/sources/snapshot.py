"""The files of a commit or of the index, read out of git's object store: nothing is checked out, no filter is run."""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct, field

from mldebt.errors import UsageError
from mldebt.sources.commits import index_file
from mldebt.sources.discover import Listing, SourceFile, allowed, cap_of
from mldebt.sources.git import Answer, Git
from mldebt.sources.kinds import has_suffix, kind, kind_of_script
from mldebt.sources.roles import role_by_path, vendored_directories

_BATCH = 64 << 20  # bytes of blobs asked for at once
_LINK, _SUBMODULE = "120000", "160000"
_LONGEST_LINK = 4096
_REFETCH = "mldebt never fetches: run `git fetch --refetch --no-filter`"


class Files(Struct, frozen=True):
    """The bytes of a tree's files: those on disk, but for what stands in ``instead``.

    ``same`` are the paths that may be read from disk, since what lies there is the tree's; None: all of them.
    """

    root: Path
    instead: Mapping[str, bytes] = field(default_factory=dict)
    same: frozenset[str] | None = None

    def read(self, path: str, limit: int) -> bytes:
        """The first ``limit`` bytes. Raises OSError when the file cannot be read."""
        data = self.instead.get(path)
        if data is not None:
            return data[:limit]
        if self.same is not None and path not in self.same:
            raise FileNotFoundError(path)
        with (self.root / path).open("rb") as file:
            return file.read(limit)


class Tree(Struct, frozen=True):
    """What a scan reads: which files there are, and what is in them."""

    listing: Listing
    files: Files


class _Blob(Struct, frozen=True):
    path: str
    mode: str
    id: str


def of_commit(root: Path, commit: str, excludes: tuple[Sequence[str], Sequence[str]], named: Collection[str]) -> Tree:
    """The tree of a commit below ``root``; of no commit, the empty one.

    Args:
        root: The repository's top, or a directory in it.
        commit: Its id.
        excludes: As ``discover`` takes them: ``exclude`` and ``extend_exclude``.
        named: Files that are never left out.

    Raises:
        UsageError: git cannot read it.
    """
    git = Git(root)
    listed = _said(git, "ls-tree", "-r", "-z", commit) if commit else b""
    found = []
    for row in filter(None, listed.split(b"\0")):
        head, _, path = row.partition(b"\t")
        mode, _, name = head.decode("ascii").split(" ")
        found.append(_Blob(os.fsdecode(path), mode, name))
    return _tree(git, root, found, excludes, named)


def of_index(root: Path, excludes: tuple[Sequence[str], Sequence[str]], named: Collection[str]) -> Tree:
    """What the next commit would hold below ``root``; of files in conflict, our side.

    Raises:
        UsageError: git cannot read it.
    """
    git = Git(root)
    found: dict[str, _Blob] = {}
    for row in filter(None, _said(git, "ls-files", "-s", "-z", index=index_file(root)).split(b"\0")):
        head, _, path = row.partition(b"\t")
        mode, name, stage = head.decode("ascii").split(" ")
        if stage in ("0", "2"):
            found[os.fsdecode(path)] = _Blob(os.fsdecode(path), mode, name)
    return _tree(git, root, list(found.values()), excludes, named)


def _said(git: Git, *arguments: str, index: str = "") -> bytes:
    answer = git.ask(*arguments, index=index)
    if answer is None or answer.code:
        raise UsageError(f"git {arguments[0]} fails: {answer.trouble if answer else 'no answer'}")
    return answer.out


def _tree(
    git: Git, root: Path, blobs: Sequence[_Blob], excludes: tuple[Sequence[str], Sequence[str]], named: Collection[str]
) -> Tree:
    keep = allowed((blob.path for blob in blobs), *excludes).union(named)
    by_path = {blob.path: blob for blob in blobs if blob.path in keep and _is_utf8(blob.path)}
    regular = {path for path, blob in by_path.items() if blob.mode not in (_LINK, _SUBMODULE)}
    wanted = [by_path[path] for path in sorted(regular) if kind(path) != "other" or not has_suffix(path)]
    links = [blob for blob in by_path.values() if blob.mode == _LINK]
    same = frozenset(blob.path for blob in wanted if _on_disk(root, blob))
    fresh = [blob for blob in wanted if blob.path not in same]
    sizes = {blob.id: os.lstat(root / blob.path).st_size for blob in wanted if blob.path in same}
    sizes |= _sizes(git, [*fresh, *links])
    _refuse_gaps(fresh, sizes)
    small = [blob for blob in fresh if sizes[blob.id] <= cap_of(blob.path)]
    data = _contents(git, [*small, *(b for b in links if sizes.get(b.id, _LONGEST_LINK) < _LONGEST_LINK)], sizes)
    instead = {blob.path: data[blob.id] for blob in small if blob.id in data}
    files = Files(root, instead, same)
    every = sorted(regular | set(_linked(links, data, regular)))
    return Tree(_listing(files, every, [blob.path for blob in wanted], by_path, sizes), files)


def _listing(
    files: Files, every: Sequence[str], wanted: Iterable[str], by_path: Mapping[str, _Blob], sizes: Mapping[str, int]
) -> Listing:
    """The listing discovery would give of the same files on disk."""
    vendored = vendored_directories(every)
    python: list[SourceFile] = []
    artefacts: list[str] = []
    for path in wanted:
        size = sizes.get(by_path[path].id, -1)
        what = kind(path)
        if what == "other":
            what = kind_of_script(files.read(path, 256)) if 2 < size <= cap_of(path) else "other"
        if what == "other" or not 0 <= size <= cap_of(path):
            continue
        if what == "python":
            python.append(SourceFile(path, size, role_by_path(path, vendored)))
        else:
            artefacts.append(path)
    return Listing(tuple(python), tuple(artefacts), tuple(every), ())


def _sizes(git: Git, blobs: Sequence[_Blob]) -> dict[str, int]:
    """Sizes by id; what the object store does not hold is not among them."""
    ids = list(dict.fromkeys(blob.id for blob in blobs))
    answer = git.ask("cat-file", "--batch-check=%(objectname) %(objectsize)", given=_lines(ids)) if ids else None
    if ids and (answer is None or answer.code):
        raise _failed(git, answer)
    rows = (row.split(" ") for row in (answer.out if answer else b"").decode("ascii", "replace").split("\n"))
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdecimal()}


def _contents(git: Git, blobs: Iterable[_Blob], sizes: Mapping[str, int]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for ids in _batches(list(dict.fromkeys(blob.id for blob in blobs if blob.id in sizes)), sizes):
        answer = git.ask("cat-file", "--batch", given=_lines(ids))
        if answer is None or answer.code:
            raise _failed(git, answer)
        at = 0
        while at < len(answer.out):
            end = answer.out.index(b"\n", at)
            head = answer.out[at:end].split(b" ")
            size = int(head[2]) if len(head) == 3 else -1
            if size >= 0 and head[1] == b"blob":
                found[head[0].decode("ascii")] = answer.out[end + 1 : end + 1 + size]
            at = end + 1 + (size + 1 if size >= 0 else 0)
    return found


def _batches(ids: Sequence[str], sizes: Mapping[str, int]) -> Iterator[list[str]]:
    batch: list[str] = []
    held = 0
    for name in ids:
        batch.append(name)
        held += sizes[name]
        if held >= _BATCH:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _lines(ids: Iterable[str]) -> bytes:
    return "".join(f"{name}\n" for name in ids).encode("ascii")


def _on_disk(root: Path, blob: _Blob) -> bool:
    """Whether the file on disk has the blob's bytes; one with another line end or behind a filter has not."""
    try:
        status = os.lstat(root / blob.path)
        if not stat.S_ISREG(status.st_mode) or status.st_size > cap_of(blob.path):
            return False
        if not Path(os.path.realpath(root / blob.path)).is_relative_to(os.path.realpath(root)):
            return False  # a folder on the way became a link
        data = (root / blob.path).read_bytes()
    except OSError:
        return False
    hasher = hashlib.sha1 if len(blob.id) == 40 else hashlib.sha256  # git's choice; nothing is secured by it
    return hasher(b"blob %d\0" % len(data) + data).hexdigest() == blob.id


def _refuse_gaps(blobs: Iterable[_Blob], sizes: Mapping[str, int]) -> None:
    missing = [blob.path for blob in blobs if blob.id not in sizes]
    if missing:
        raise UsageError(f"the clone lacks {missing[0]} as it was at the commit; {_REFETCH}")


def _failed(git: Git, answer: Answer | None) -> UsageError:
    partial = git.ask("config", "--get-regexp", r"^remote\..*\.promisor$")
    if answer is not None and partial is not None and partial.code == 0:
        return UsageError(f"this partial clone lacks files of the commit; {_REFETCH}")
    return UsageError(f"git cat-file fails: {answer.trouble if answer else 'no answer'}")


def _is_utf8(path: str) -> bool:
    return path.isascii() or not any("\ud800" <= char <= "\udfff" for char in path)


def _linked(links: Iterable[_Blob], data: Mapping[str, bytes], regular: Collection[str]) -> Iterator[str]:
    """The links that lead to a file of the tree."""
    for link in links:
        target = os.fsdecode(data.get(link.id, b""))
        if target and posixpath.normpath(posixpath.join(posixpath.dirname(link.path), target)) in regular:
            yield link.path
