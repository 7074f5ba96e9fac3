"""Calls that read or write an artefact, by the knowledge table; their paths as texts that may have slots."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct

from mldebt.facts.arguments import UNKNOWN, argument
from mldebt.facts.schema import Attribute, Build, Call, Expr, Ref, Stmt
from mldebt.rule import Analysis, Row, Table

from .paths import Paths
from .patterns import UNKNOWN_TEXT, Text, combined, concatenated

if TYPE_CHECKING:
    from mldebt.module import CallSite, Module
    from mldebt.project.project import Project

READ, WRITE = "read", "write"
FILE, DIRECTORY, TABLE, GLOB = "file", "directory", "table", "glob"
_RECEIVER, _KEYWORD_ONLY = -1, -2
_MOST_CALLS = 4000  # of one file: a generated one says nothing about a pipeline

_LONGEST_CHAIN = 12

_TABLE = r"(?:[\"`\[]?[A-Za-z_][\w$]*[\"`\]]?\.){0,2}[\"`\[]?[A-Za-z_][\w$]*[\"`\]]?"
_READS = re.compile(rf"\b(?:from|join)\s+({_TABLE}|'[^']+')", re.IGNORECASE)
_WRITES = re.compile(
    rf"\b(?:insert\s+(?:overwrite\s+)?into|create\s+(?:or\s+replace\s+)?(?:temp(?:orary)?\s+)?table"
    rf"(?:\s+if\s+not\s+exists)?)\s+({_TABLE})|\bto\s+('[^']+')",
    re.IGNORECASE,
)
_DEFINED = re.compile(r"\b(\w+)\s+as\s*\(", re.IGNORECASE)
_SUFFIXES = {
    "figure": frozenset({".png", ".jpg", ".jpeg", ".svg", ".pdf", ".html", ".gif", ".md", ".eps", ".tex"}),
    "log": frozenset({".log", ".out", ".err"}),
    "config": frozenset({".yaml", ".yml", ".toml", ".ini", ".cfg", ".env"}),
    "model": frozenset(
        ".pt .pth .ckpt .h5 .hdf5 .keras .onnx .safetensors .joblib .model .bin .tflite".split()
    ),
}  # fmt: skip


class AccessRow(Row, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One function or method; see the head of accesses.toml."""

    argument: str = ""
    position: int = 0
    direction: str = ""
    mode: str = ""
    mode_position: int = 1
    mode_default: str = "r"
    kind: str = "data"
    form: str = FILE
    suffix: str = ""  # put on when the path has none
    only: tuple[str, ...] = ()  # suffixes without which the call is about something else
    libraries: tuple[str, ...] = ()
    target: str = ""  # a second path, which is written
    target_position: int = 0
    bucket: str = ""
    bucket_position: int = 0
    object: str = ""
    object_position: int = 0


class RawAccess(Struct, frozen=True, eq=False):
    """A call that touches an artefact. ``text`` may hold slots of the function it stands in, or of a constructor.

    Args:
        kind: data, model, figure, log or config.
        form: file, directory, table or glob.
        sure: False when the text is one of several alternatives.
    """

    module: Module
    scope: int
    call: Call
    statement: Stmt
    api: str
    direction: str
    kind: str
    form: str
    text: Text
    sure: bool = True


class Accesses(Analysis):
    """Finds the accesses of the project's own files, tests left out."""

    table: ClassVar[Table[AccessRow]] = Table("accesses.toml", "accesses", AccessRow)

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._paths = project[Paths]
        self._imported: dict[str, frozenset[str]] = {}

    @cached_property
    def all(self) -> tuple[RawAccess, ...]:
        """Every access whose path has something constant or a parameter in it, in the order of files."""
        return tuple(access for module in self._modules() for access in self.of(module))

    @property
    def files(self) -> int:
        """How many files may have some."""
        return sum(not self._words.isdisjoint(module.mentions) for module in self._modules())

    def within(self, names: Set[str]) -> tuple[RawAccess, ...]:
        """Those that stand in definitions of these names."""
        paths = {name.partition(":")[0] for name in names}
        return tuple(access for module in self._modules() if module.path in paths for access in self.of(module, names))

    def _modules(self) -> Iterator[Module]:
        return (module for module in self.project.modules.values() if module.role == "project" and not module.is_test)

    def of(self, module: Module, names: Set[str] | None = None) -> Iterator[RawAccess]:
        """The accesses of one file, scope by scope; ``names``: of these definitions only."""
        words, count = self._words, 0
        for index in module.scopes_using(words):
            if names is not None and module.definition(index).name not in names:
                continue
            for site in module.call_sites(index):
                function = site.call.function
                if isinstance(function, (Ref, Attribute)) and function.name.rpartition(".")[2] in words:
                    count += 1
                    if count > _MOST_CALLS:
                        return
                    row = self._row(module, site, function)
                    if row is not None:
                        yield from self._read(module, site, row)

    @cached_property
    def _rows(self) -> dict[str, AccessRow]:
        return dict(self.project.rows(self.table))

    @cached_property
    def _words(self) -> frozenset[str]:
        names = frozenset(name for name in self._rows if not name.startswith("."))
        methods = {name.rpartition(".")[2] for name in self._rows if name.startswith(".")}
        return self.project.spellings(names) | methods

    def _row(self, module: Module, site: CallSite, function: Ref | Attribute) -> AccessRow | None:
        last = function.name.rpartition(".")[2]
        names = self._names(module, site.scope, function, last)
        for name in names:
            if ":" in name:
                return None
            row = self._rows.get(name) or self._method(function, last)
            if row is not None and (row.name == name or self._allowed(row, name.partition(".")[0])):
                return row
        if names or (isinstance(function, Ref) and "." not in function.name):
            return None
        row = self._method(function, last)
        if row is None or (row.libraries and not self._libraries(module).intersection(row.libraries)):
            return None
        return row

    def _names(self, module: Module, scope: int, function: Ref | Attribute, last: str) -> tuple[str, ...]:
        """The linked names of what is called; through the receiver's class only where the name may be a method's."""
        if isinstance(function, Ref):
            names = self.project.resolve(module, scope, function.name)
            if names or ("." in function.name and last not in self._methods):
                return names
        elif last not in self._methods:
            return ()
        return module.names(scope, function)

    @cached_property
    def _methods(self) -> frozenset[str]:
        """Names of methods in the table: of any class, or of a class that a function's row names."""
        found = {name.rpartition(".")[2] for name in self._rows if name.startswith(".")}
        owned = {
            name.rpartition(".")[2] for name in self._rows if name.rpartition(".")[0].rpartition(".")[2][:1].isupper()
        }
        return frozenset(found | owned)

    def _method(self, function: Ref | Attribute, last: str) -> AccessRow | None:
        """The row of a method: by its name, or with a reader or writer before it, ``df.write.mode("x").parquet``."""
        if last in self._staged:
            for before in _chain(function):
                row = self._rows.get(f".{before}.{last}")
                if row is not None:
                    return row
        return self._rows.get(f".{last}")

    @cached_property
    def _staged(self) -> frozenset[str]:
        return frozenset(name.rpartition(".")[2] for name in self._rows if name.count(".") > 1 and name[0] == ".")

    @staticmethod
    def _allowed(row: AccessRow, library: str) -> bool:
        return library in row.libraries if row.libraries else library != "builtins"

    def _libraries(self, module: Module) -> frozenset[str]:
        known = self._imported.get(module.path)
        if known is None:
            known = frozenset(fact.module.partition(".")[0] for fact in module.facts.imports if not fact.level)
            self._imported[module.path] = known
        return known

    # Reading one call.

    def _read(self, module: Module, site: CallSite, row: AccessRow) -> Iterator[RawAccess]:
        if row.form == "bucket":
            yield from self._bucket(module, site, row)
            return
        path = _path(site.call, row)
        if path is None:
            return
        if row.form == "query":
            yield from self._query(module, site, row, path)
            return
        for direction in _directions(module, site, row):
            yield from self._made(module, site, row, direction, self._texts(module, site.scope, path))
        if row.target:
            given = argument(site.call, row.target, row.target_position)
            if given is not None and given is not UNKNOWN:
                yield from self._made(module, site, row, WRITE, self._texts(module, site.scope, given))

    def _texts(self, module: Module, scope: int, path: Expr) -> tuple[Text, ...]:
        """The texts of a path, or of a list or dict of them: ``data_files={"train": "a.csv"}``."""
        if isinstance(path, Build):
            return tuple(one for item in path.items[:20] for one in self._texts(module, scope, item))
        return self._paths.texts(module, scope, path)

    def _made(
        self, module: Module, site: CallSite, row: AccessRow, direction: str, texts: tuple[Text, ...]
    ) -> Iterator[RawAccess]:
        api = row.name.lstrip(".")
        for path in texts:
            ends = path[-1] if isinstance(path[-1], str) else ""
            if path == UNKNOWN_TEXT or (row.only and not ends.lower().endswith(row.only)):
                continue
            last = ends.rpartition("/")[2]
            bare = row.suffix and ends and "." not in last and not last.endswith("*")
            one = concatenated((path, (row.suffix,))) if bare else path
            kind = _kind(ends) if row.kind == "any" else row.kind
            sure = len(texts) == 1 or isinstance(_path(site.call, row), Build)
            yield RawAccess(
                module, site.scope, site.call, site.statement, api, direction, kind, row.form, one, sure
            )  # fmt: skip

    def _query(self, module: Module, site: CallSite, row: AccessRow, path: Expr) -> Iterator[RawAccess]:
        """The tables a constant query names."""
        value = module.constant(site.scope, path)
        if not isinstance(value, str):
            return
        if " " not in value.strip():
            found = [(READ, value.strip())]
        else:
            defined = {name.lower() for name in _DEFINED.findall(value)}
            found = [(READ, name) for name in _READS.findall(value) if name.lower() not in defined]
            if row.direction == "both":
                found += [(WRITE, first or second) for first, second in _WRITES.findall(value)]
        for direction, name in found:
            form = FILE if name.startswith("'") else TABLE
            yield RawAccess(
                module, site.scope, site.call, site.statement, row.name, direction, "data", form,
                (name.strip("'\"`[]"),),
            )  # fmt: skip

    def _bucket(self, module: Module, site: CallSite, row: AccessRow) -> Iterator[RawAccess]:
        """``upload_file(path, bucket, key)`` touches an object and, locally, a file."""
        parts = []
        for name, position in ((row.bucket, row.bucket_position), (row.object, row.object_position)):
            given = argument(site.call, name, position if position >= 0 else None)
            if given is None or given is UNKNOWN:
                return
            parts.append(self._paths.texts(module, site.scope, given))
        texts = combined(lambda two: concatenated([("s3://",), two[0], ("/",), two[1]]), parts)
        yield from self._made(module, site, row, row.direction, texts)


def _chain(function: Ref | Attribute) -> Iterator[str]:
    """The names before the last one, innermost last, through calls in between."""
    node: Expr = function
    for _ in range(_LONGEST_CHAIN):
        if isinstance(node, (Ref, Attribute)):
            yield from reversed(node.name.split("."))
        if isinstance(node, Attribute):
            node = node.value
        elif isinstance(node, Call):
            node = node.function
        else:
            return


def _path(call: Call, row: AccessRow) -> Expr | None:
    """The expression that gives the path."""
    if row.position == _RECEIVER:
        function = call.function
        if isinstance(function, Attribute):
            head = function.name.rpartition(".")[0]
            return Attribute(function.value, head, function.line, function.column, 0, 0) if head else function.value
        if isinstance(function, Ref):
            head = function.name.rpartition(".")[0]
            return Ref(head, function.line, function.column) if head else None
        return None
    found = argument(call, row.argument, None if row.position == _KEYWORD_ONLY else row.position)
    return None if found is None or found is UNKNOWN else found


def _directions(module: Module, site: CallSite, row: AccessRow) -> tuple[str, ...]:
    if not row.mode:
        return (READ, WRITE) if row.direction == "both" else (row.direction,)
    given = argument(site.call, row.mode, row.mode_position)
    if given is UNKNOWN:
        return ()
    mode = row.mode_default if given is None else module.constant(site.scope, given)
    if not isinstance(mode, str):
        return ()
    if any(letter in mode for letter in "wxcn"):
        return (WRITE,)
    if "a" in mode or "+" in mode:
        return (READ, WRITE) if "+" in mode or row.mode_default == "a" else (WRITE,)
    return (READ,)


def _kind(path: str) -> str:
    name = path.lower().rpartition("/")[2]
    suffix = name[name.rfind(".") :] if "." in name else ""
    return next((kind for kind, known in _SUFFIXES.items() if suffix in known), "data")
