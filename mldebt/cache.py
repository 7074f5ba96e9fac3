"""What scans remember of file contents: bytes by key in one SQLite file, which may vanish or rot at any time.

A cache is never the reason a scan fails. A damaged file is deleted, a locked, full or read-only one is done without,
and every value is checked against its checksum before anybody decodes it. Values are bytes: nothing is unpickled.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from types import TracebackType

FILE = "facts-1.sqlite"
LIMIT = 512 << 20  # bytes of the file above which what was not used for longest is dropped
_KEEP = 0.75  # share of the limit left after that
_CHUNK = 500  # keys in one SELECT; SQLite before 3.32 takes at most 999
_PATIENCE = 5.0  # seconds to wait for another scan's transaction
_CHECKSUM = 8  # bytes
_DAY = 86_400
_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# This directory holds caches of mldebt and can be deleted.\n"

# ``uses`` stands apart: marking a key as used must not rewrite its value.
_SCHEMA = (
    "CREATE TABLE facts (key BLOB PRIMARY KEY, value BLOB NOT NULL)",
    "CREATE TABLE uses (key BLOB PRIMARY KEY, day INTEGER NOT NULL, size INTEGER NOT NULL) WITHOUT ROWID",
)

_SELECT = "SELECT f.key, f.value, u.day FROM facts f LEFT JOIN uses u ON u.key = f.key WHERE f.key IN ({})"


class Cache:
    """Bytes by key, of one fingerprint. Use as a context manager, from one thread.

    ``notes`` say what went wrong, for the user to read; a cache that had to give up answers nothing and keeps nothing.
    """

    def __init__(self, database: Path | None, fingerprint: str, limit: int = LIMIT) -> None:
        self.notes: list[str] = []
        self._database = database
        self._salt = blake2b(fingerprint.encode(), digest_size=32).digest()
        self._limit = limit
        self._day = int(time.time() // _DAY)
        self._used: dict[bytes, int] = {}
        self._connection: sqlite3.Connection | None = None
        if database is not None:
            self._connect(database)

    @classmethod
    def open(cls, directory: Path | None, fingerprint: str, limit: int = LIMIT) -> Cache:
        """The cache in a directory, which is made if need be.

        Args:
            directory: Where it lies; None: keep nothing.
            fingerprint: What values depend on beside their keys: versions of mldebt, schema, analyses, interpreter.
            limit: Bytes to keep at most, about.
        """
        if directory is None:
            return cls(None, fingerprint)
        try:
            _prepare(directory)
        except OSError as error:
            # An existing cache in a read-only directory can still be read.
            if not (directory / FILE).is_file():
                cache = cls(None, fingerprint)
                cache.notes.append(f"{directory}: no cache: {error.strerror}")
                return cache
        return cls(directory / FILE, fingerprint, limit)

    @property
    def keeps(self) -> bool:
        """Whether there is a database at all."""
        return self._database is not None

    def get_many(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """The values of those keys that are known and undamaged."""
        wanted = {self._salted(key): key for key in keys}
        found: dict[bytes, bytes] = {}
        with self._guarded() as connection:
            if connection is None:
                return {}
            for chunk in _chunks(list(wanted)):
                for salted, value, day in connection.execute(_SELECT.format(",".join("?" * len(chunk))), chunk):
                    content = _checked(salted, value)
                    if content is not None:
                        found[wanted[salted]] = content
                    if content is not None and day != self._day:
                        self._used[salted] = len(value)
        return found

    def put_many(self, items: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep values by key, in one transaction."""
        rows = {self._salted(key): value for key, value in items}
        with self._guarded() as connection:
            if connection is None or not rows:
                return
            with _transaction(connection):
                sealed = ((salted, _checksum(salted, value) + value) for salted, value in rows.items())
                connection.executemany("REPLACE INTO facts VALUES (?, ?)", sealed)
                self._used |= {salted: len(value) + _CHECKSUM for salted, value in rows.items()}
                self._mark(connection)
                self._prune(connection)

    def close(self) -> None:
        with self._guarded() as connection:
            if connection is not None and self._used:
                with _transaction(connection):
                    self._mark(connection)
        self._disconnect()

    def __enter__(self) -> Cache:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _salted(self, key: bytes) -> bytes:
        return blake2b(key, digest_size=20, key=self._salt).digest()

    def _mark(self, connection: sqlite3.Connection) -> None:
        """Note that keys were used today."""
        rows = [(key, self._day, size) for key, size in self._used.items()]
        connection.executemany("REPLACE INTO uses VALUES (?, ?, ?)", rows)
        self._used = {}

    def _prune(self, connection: sqlite3.Connection) -> None:
        """Drop what was not used for longest, when the file has grown over its limit."""
        excess = _size(connection) - self._limit
        if excess <= 0:
            return
        excess += int(self._limit * (1 - _KEEP))
        dropped: list[tuple[bytes]] = []
        for key, size in connection.execute("SELECT key, CAST(size AS INTEGER) FROM uses ORDER BY day, key"):
            if excess <= 0:
                break
            dropped.append((key,))
            excess -= size
        connection.executemany("DELETE FROM facts WHERE key = ?", dropped)
        connection.executemany("DELETE FROM uses WHERE key = ?", dropped)

    @contextmanager
    def _guarded(self) -> Iterator[sqlite3.Connection | None]:
        """The connection, if any; what SQLite complains about ends the cache, not the scan."""
        try:
            yield self._connection
        except sqlite3.Error as error:
            self._disconnect()
            if _is_damage(error) and self._database is not None:
                self._start_again(self._database)
            else:
                self.notes.append(f"{self._database}: cache given up: {error}")

    def _connect(self, database: Path) -> None:
        try:
            self._connection = _opened(database)
        except sqlite3.Error as error:
            if _is_damage(error):
                self._start_again(database)
            else:
                self.notes.append(f"{database}: no cache: {error}")

    def _start_again(self, database: Path) -> None:
        self.notes.append(f"{database}: cache was damaged, and starts afresh")
        try:
            for suffix in ("", "-journal", "-wal", "-shm"):
                database.with_name(database.name + suffix).unlink(missing_ok=True)
            self._connection = _opened(database)
        except (OSError, sqlite3.Error) as error:
            self.notes.append(f"{database}: no cache: {error}")

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def _prepare(directory: Path) -> None:
    """Make the directory and say in it what it is, to backup programs and to git."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in (("CACHEDIR.TAG", _TAG), (".gitignore", "*\n")):
        # Exclusive creation: a link that lies there is never written through.
        with suppress(FileExistsError), (directory / name).open("x", encoding="ascii") as file:
            file.write(text)


def _opened(database: Path) -> sqlite3.Connection:
    """A connection to a database that is ours, made if there is none.

    Raises:
        sqlite3.DatabaseError: The file is damaged or somebody else's; or (OperationalError) cannot be used now.
    """
    if database.is_symlink() or (database.exists() and not database.is_file()):
        raise sqlite3.OperationalError("not a regular file")
    connection = sqlite3.connect(database, timeout=_PATIENCE, isolation_level=None)
    try:
        # A cache can be lost: no need to wait for the disk. Its file may come with a scanned repository: no trust.
        for pragma in ("synchronous = OFF", "trusted_schema = OFF", "cell_size_check = ON"):
            connection.execute(f"PRAGMA {pragma}")
        if _tables(connection) != _SCHEMA:
            with _transaction(connection):
                tables = _tables(connection)  # another scan may have made them while this one waited
                if tables not in ((), _SCHEMA):
                    raise sqlite3.DatabaseError("not a cache of this version")
                for statement in () if tables else _SCHEMA:
                    connection.execute(statement)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _tables(connection: sqlite3.Connection) -> tuple[str, ...]:
    rows = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").fetchall()
    return tuple(sql for (sql,) in rows)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _is_damage(error: sqlite3.Error) -> bool:
    # The base class itself means SQLITE_CORRUPT or SQLITE_NOTADB; what is locked, full or read-only is a subclass.
    return type(error) is sqlite3.DatabaseError


def _size(connection: sqlite3.Connection) -> int:
    """Bytes of the file that are in use; SQLite knows them without looking."""
    pages, free, size = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def _checksum(salted: bytes, value: bytes) -> bytes:
    return blake2b(value, digest_size=_CHECKSUM, key=salted).digest()


def _checked(salted: bytes, value: object) -> bytes | None:
    if not isinstance(value, bytes) or _checksum(salted, value[_CHECKSUM:]) != value[:_CHECKSUM]:
        return None
    return value[_CHECKSUM:]


def _chunks(keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    return (keys[start : start + _CHUNK] for start in range(0, len(keys), _CHUNK))
