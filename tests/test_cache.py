from __future__ import annotations

import multiprocessing
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mldebt import cache as cache_module
from mldebt.cache import FILE, Cache

VALUES = {bytes([number]) * 20: f"facts of file {number}".encode() * 50 for number in range(40)}


def kept(directory: Path, fingerprint: str = "1") -> dict[bytes, bytes]:
    with Cache.open(directory, fingerprint) as cache:
        return cache.get_many(VALUES)


def keep(directory: Path, fingerprint: str = "1") -> list[str]:
    with Cache.open(directory, fingerprint) as cache:
        cache.put_many(VALUES.items())
    return cache.notes


def test_what_is_kept_is_found_again(tmp_path: Path) -> None:
    assert keep(tmp_path / "deep/er") == []
    assert kept(tmp_path / "deep/er") == VALUES


def test_a_fingerprint_sees_only_its_own(tmp_path: Path) -> None:
    keep(tmp_path, "schema 1")
    assert kept(tmp_path, "schema 2") == {}


def test_unknown_keys_are_left_out(tmp_path: Path) -> None:
    keep(tmp_path)
    with Cache.open(tmp_path, "1") as cache:
        assert cache.get_many([b"unknown", bytes(20)]) == {bytes(20): VALUES[bytes(20)]}
        assert cache.get_many([]) == {}


def test_no_directory_is_no_cache() -> None:
    with Cache.open(None, "1") as cache:
        cache.put_many(VALUES.items())
        assert cache.get_many(VALUES) == {}
    assert cache.notes == []


def test_more_keys_than_one_statement_takes(tmp_path: Path) -> None:
    many = {number.to_bytes(4, "big"): b"x" for number in range(2_500)}
    with Cache.open(tmp_path, "1") as cache:
        cache.put_many(many.items())
        assert cache.get_many(many) == many


def test_the_directory_says_what_it_is(tmp_path: Path) -> None:
    keep(tmp_path / "c")
    tag = (tmp_path / "c/CACHEDIR.TAG").read_text()
    assert tag.startswith("Signature: 8a477f597d28d172789f06886806bc55\n")
    assert (tmp_path / "c/.gitignore").read_text() == "*\n"


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.binary(max_size=40), st.binary(max_size=300), max_size=20))
def test_any_bytes_come_back(items: dict[bytes, bytes]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        with Cache.open(Path(directory), "1") as cache:
            cache.put_many(items.items())
        with Cache.open(Path(directory), "1") as cache:
            assert cache.get_many(items) == items


@pytest.mark.parametrize("content", [b"", b"not a database at all", b"SQLite format 3\0" + bytes(3000)])
def test_a_file_that_is_no_cache_is_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    keep(tmp_path)
    assert kept(tmp_path) == VALUES


def test_somebody_elses_database_is_replaced(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / FILE)
    other.execute("CREATE TABLE facts (key, value)")
    other.execute("CREATE TRIGGER t AFTER INSERT ON facts BEGIN DELETE FROM facts; END")
    other.commit()
    other.close()
    (note,) = keep(tmp_path)
    assert "was damaged" in note
    assert kept(tmp_path) == VALUES


@pytest.mark.parametrize("start", [0, 16, 100, 4096, 9000, 20_000])
def test_overwritten_bytes_never_give_a_wrong_value(tmp_path: Path, start: int) -> None:
    keep(tmp_path)
    content = bytearray((tmp_path / FILE).read_bytes())
    content[start : start + 600] = b"\xa5" * 600
    (tmp_path / FILE).write_bytes(content)
    found = kept(tmp_path)
    assert found.items() <= VALUES.items()
    keep(tmp_path)
    assert kept(tmp_path) == VALUES


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_file_cut_short_never_gives_a_wrong_value(tmp_path: Path, share: float) -> None:
    keep(tmp_path)
    content = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(content[: int(len(content) * share)])
    assert kept(tmp_path).items() <= VALUES.items()
    keep(tmp_path)
    assert kept(tmp_path) == VALUES


def test_a_changed_value_is_a_miss(tmp_path: Path) -> None:
    keep(tmp_path)
    database = sqlite3.connect(tmp_path / FILE)
    database.execute("UPDATE facts SET value = substr(value, 1, 12) || x'00' || substr(value, 14)")
    database.execute("UPDATE facts SET value = 'text' WHERE rowid = 1")
    database.commit()
    database.close()
    assert kept(tmp_path) == {}


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / FILE).symlink_to(tmp_path / "precious")
    (note,) = keep(tmp_path / "cache")
    assert "not a regular file" in note
    assert not (tmp_path / "precious").exists()


def test_a_directory_that_cannot_be_made_is_no_cache(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    (note,) = keep(tmp_path / "file/cache")
    assert "no cache" in note


def _as_nobody(directory: str, results: multiprocessing.SimpleQueue[tuple[int, list[str]]]) -> None:
    if os.getuid() == 0:
        os.setuid(65_534)  # permissions do not hold back root
    with Cache.open(Path(directory), "1") as cache:
        found = len(cache.get_many(VALUES))
        cache.put_many({b"new": b"value"}.items())
    results.put((found, cache.notes))


@pytest.fixture
def read_only() -> Iterator[Path]:
    # Not below tmp_path: pytest's directories are closed to other users.
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "cache"
        path.mkdir()
        Path(directory).chmod(0o755)
        yield path
        path.chmod(0o755)


def in_another_process(directory: Path) -> tuple[int, list[str]]:
    context = multiprocessing.get_context("fork")
    results: multiprocessing.SimpleQueue[tuple[int, list[str]]] = context.SimpleQueue()
    process = context.Process(target=_as_nobody, args=(str(directory), results))
    process.start()
    process.join()
    assert process.exitcode == 0
    return results.get()


def test_a_cache_in_a_read_only_directory_is_read(read_only: Path) -> None:
    keep(read_only)
    for file in read_only.iterdir():
        file.chmod(0o444)
    read_only.chmod(0o555)
    found, notes = in_another_process(read_only)
    assert found == len(VALUES)
    assert len(notes) == 1
    assert "given up" in notes[0]


def test_an_empty_read_only_directory_is_no_cache(read_only: Path) -> None:
    read_only.chmod(0o555)
    found, notes = in_another_process(read_only)
    assert found == 0
    assert len(notes) == 1
    assert "no cache" in notes[0]


def _write_many(directory: str, first: int) -> None:
    for start in range(first, first + 400, 20):
        with Cache.open(Path(directory), "1") as cache:
            cache.put_many(
                (number.to_bytes(4, "big"), str(number).encode() * 99) for number in range(start, start + 20)
            )
            cache.get_many(VALUES)


def test_two_scans_write_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_write_many, args=(str(tmp_path), first)) for first in (0, 400)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    wanted = {number.to_bytes(4, "big"): str(number).encode() * 99 for number in range(800)}
    with Cache.open(tmp_path, "1") as cache:
        assert cache.get_many(wanted) == wanted


def test_a_locked_cache_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(tmp_path)
    monkeypatch.setattr(cache_module, "_PATIENCE", 0.01)
    other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    (note,) = keep(tmp_path)
    assert "locked" in note
    other.execute("COMMIT")
    other.close()
    assert kept(tmp_path) == VALUES


def test_a_full_disk_loses_the_new_and_keeps_the_old(tmp_path: Path) -> None:
    keep(tmp_path)
    with Cache.open(tmp_path, "1") as cache:
        assert cache._connection is not None
        pages = cache._connection.execute("PRAGMA page_count").fetchone()[0]
        cache._connection.execute(f"PRAGMA max_page_count = {pages}")
        cache.put_many([(b"big", os.urandom(1 << 20))])
    assert "full" in cache.notes[0]
    assert kept(tmp_path) == VALUES


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    day = 86_400.0
    limit = 400_000
    for number in range(10):
        monkeypatch.setattr("mldebt.cache.time.time", lambda now=number: now * day)
        with Cache.open(tmp_path, "1", limit) as cache:
            cache.get_many([b"0"])
            cache.put_many([(str(number).encode(), os.urandom(100_000))])
    with Cache.open(tmp_path, "1", limit) as cache:
        found = cache.get_many([str(number).encode() for number in range(10)])
    assert b"0" in found  # old, but used every day
    assert b"9" in found
    assert b"1" not in found
    assert sum(map(len, found.values())) <= limit


def test_values_written_twice_are_the_later(tmp_path: Path) -> None:
    with Cache.open(tmp_path, "1") as cache:
        cache.put_many([(b"k", b"one")])
        cache.put_many([(b"k", b"two")])
        assert cache.get_many([b"k"]) == {b"k": b"two"}
