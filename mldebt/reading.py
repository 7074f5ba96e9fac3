"""The facts stage of the line: every file's facts, from the cache or from a pool of processes, in path order."""

from __future__ import annotations

import ast
import gc
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

import msgspec
from msgspec import Struct

from mldebt.cache import Cache
from mldebt.errors import UnreadableError
from mldebt.facts.extract import extract
from mldebt.facts.schema import ModuleFacts
from mldebt.rule import Analysis, FileParts
from mldebt.sources.discover import SourceFile
from mldebt.sources.roles import role
from mldebt.sources.text import Source, read_source

_POOL_BYTES = 1_000_000  # below this, starting processes costs more than it saves
_LARGEST = 32 * 1024 * 1024  # a larger Python file is data

Progress = Callable[[str, int, int], None]


class Bundle(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """What the cache keeps of one file: its facts and what each analysis collected, by qualified class name."""

    facts: ModuleFacts
    collected: dict[str, msgspec.Raw]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Bundle).decode


class _Job(Struct, frozen=True):
    """A file to read. Travels to worker processes."""

    root: str
    path: str
    named_role: str
    instead: bytes | None = None  # read in the place of what is on disk


def read_facts(
    root: Path,
    files: Sequence[SourceFile],
    analyses: Sequence[type[Analysis]],
    cache: Cache,
    jobs: int,
    overlay: Mapping[str, bytes],
    progress: Progress | None = None,
) -> dict[str, Bundle]:
    """The bundle of every file that can be opened, by path; one that cannot be read holds its problem."""
    work = [_Job(str(root), file.path, file.role, overlay.get(file.path)) for file in files]
    bundles: dict[str, Bundle] = {}
    if cache.keeps:
        keys = {job.path: key(job, content(job)) for job in work}
        cached = _decoded(cache.get_many(list(set(keys.values()))))
        bundles = {path: bundle for path, digest in keys.items() if (bundle := cached.get(digest)) is not None}
    missing = [job for job in work if job.path not in bundles]
    sizes = {file.path: file.size for file in files}
    fresh: dict[bytes, bytes] = {}
    computed = _computed(missing, sizes, analyses, jobs, keep=cache.keeps)
    for done, (path, bundle, kept) in enumerate(computed, start=1):
        bundles[path] = bundle
        fresh.update(kept)
        if progress:
            progress("reading", done, len(missing))
    cache.put_many(fresh.items())
    return {file.path: bundles[file.path] for file in files}


def content(job: _Job) -> bytes:
    """The file's bytes; empty where it vanished or may not be read (``_source`` then says so)."""
    if job.instead is not None:
        return job.instead
    try:
        with open(f"{job.root}/{job.path}", "rb") as file:  # noqa: PTH123 - half the cost of a Path
            return file.read()
    except OSError:
        return b""


def key(job: _Job, data: bytes) -> bytes:
    """The cache key: content, and what the name adds to it."""
    kind = f"{Path(job.path).suffix}\0{job.named_role}\0".encode()
    return blake2b(kind + data, digest_size=20).digest()


def load(root: Path, path: str, instead: bytes | None = None) -> Source:
    """A file's source, read again for its text. A file that changed into something unreadable gives an empty one."""
    try:
        return read_source(path, Path(root, path).read_bytes() if instead is None else instead)
    except (OSError, UnreadableError):
        return Source(path, "")


def _decoded(found: Mapping[bytes, bytes]) -> dict[bytes, Bundle]:
    bundles = {digest: _undamaged(data) for digest, data in found.items()}
    return {digest: bundle for digest, bundle in bundles.items() if bundle is not None}


def _undamaged(data: bytes) -> Bundle | None:
    """A cached bundle; a row that does not decode is a miss."""
    try:
        return _decode(data)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None


def _computed(
    missing: Sequence[_Job], sizes: Mapping[str, int], analyses: Sequence[type[Analysis]], jobs: int, *, keep: bool
) -> Iterator[tuple[str, Bundle, dict[bytes, bytes]]]:
    """Path and bundle of every job, with what the cache should ``keep`` of it."""
    total = sum(sizes[job.path] for job in missing)
    if jobs <= 1 or total < _POOL_BYTES:
        for job, data, bundle in _compute(missing, analyses):
            yield job.path, bundle, {key(job, data): _encode(bundle)} if keep else {}
        return
    # One process need not pay for this: it is a twentieth of the start-up.
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    # fork inherits the imported rules; elsewhere each worker imports them anew
    context = multiprocessing.get_context("fork" if sys.platform.startswith("linux") else "spawn")
    chunks = list(_chunks(missing, sizes, total // (jobs * 8) + 1))
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        for results in pool.map(_compute_all, [(chunk, analyses) for chunk in chunks]):
            for path, digest, encoded in results:
                yield path, _decode(encoded), {digest: encoded} if keep else {}


def _chunks(missing: Sequence[_Job], sizes: Mapping[str, int], most: int) -> Iterator[list[_Job]]:
    """Jobs in chunks of about ``most`` bytes, largest files first so that no worker ends on a big one."""
    chunk: list[_Job] = []
    held = 0
    for job in sorted(missing, key=lambda job: (-sizes[job.path], job.path)):
        chunk.append(job)
        held += sizes[job.path]
        if held >= most:
            yield chunk
            chunk, held = [], 0
    if chunk:
        yield chunk


def _compute_all(work: tuple[Sequence[_Job], Sequence[type[Analysis]]]) -> list[tuple[str, bytes, bytes]]:
    return [(job.path, key(job, data), _encode(bundle)) for job, data, bundle in _compute(*work)]


def _compute(files: Sequence[_Job], analyses: Sequence[type[Analysis]]) -> Iterator[tuple[_Job, bytes, Bundle]]:
    with no_collection():
        for job in files:
            data = content(job)
            yield job, data, _bundle(job, data, analyses)


@contextmanager
def no_collection() -> Iterator[None]:
    """No cyclic garbage collection: trees are many and acyclic, and looking at them again and again costs a fifth."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _bundle(job: _Job, data: bytes, analyses: Iterable[type[Analysis]]) -> Bundle:
    source = _source(job, data)
    seen = role(job.path, data, len(data)) if job.named_role == "project" else job.named_role
    return bundled(source, seen, analyses)


def bundled(source: Source, seen: str, analyses: Iterable[type[Analysis]], tree: ast.Module | None = None) -> Bundle:
    """The facts of a source whose role was ``seen``, and what the analyses collect of it.

    ``tree``: what ``ast`` made of the same text, where somebody has parsed it already.
    """
    facts, bodies = extract(source, seen, tree)
    collected = {}
    if seen == "project":
        parts = FileParts(facts, bodies, source)
        for analysis in analyses:
            value = analysis.collect(parts)
            if value is not None:
                collected[f"{analysis.__module__}.{analysis.__qualname__}"] = msgspec.Raw(_encode(value))
    return Bundle(facts, collected)


def _source(job: _Job, data: bytes) -> Source:
    if len(data) > _LARGEST:
        return Source(job.path, "", problems=((1, f"larger than {_LARGEST // 1024 // 1024} MiB"),))
    try:
        if not data and job.instead is None:
            Path(job.root, job.path).open("rb").close()
        return read_source(job.path, data)
    except UnreadableError as error:
        return Source(job.path, "", problems=((error.line, error.message),))
    except OSError as error:
        return Source(job.path, "", problems=((1, f"cannot be opened: {error.strerror}"),))
