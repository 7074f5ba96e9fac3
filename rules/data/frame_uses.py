"""What a program does with a frame it reads: which columns it names, and whether the whole of it goes anywhere.

``FrameUses(project, module, scope, call)`` follows the frame a call gives forwards: through variables, attributes of
objects, parameters and results of the project's functions, and methods that keep its columns. ``escapes`` says where it
is used as a whole, which leaves no column unused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mldebt.facts.arguments import UNKNOWN
from mldebt.facts.schema import (
    Assign,
    Attribute,
    Binary,
    Build,
    Call,
    Compare,
    Comprehension,
    Const,
    Do,
    Expr,
    For,
    Lambda,
    Ref,
    Return,
    Slice,
    Stmt,
    Subscript,
    Unary,
)
from mldebt.facts.walk import children, expressions, given_values, statements
from mldebt.finding import Place, Span
from mldebt.module import Module
from mldebt.project.attributes import self_name
from mldebt.project.callers import Site, given
from mldebt.project.definitions import Definition
from mldebt.project.project import Project

from .known_columns import texts_of
from .mutations import called, owner

_KEEPS = frozenset(
    """copy dropna query sort_values reset_index head tail sample fillna astype set_index replace sort_index assign
    convert_dtypes infer_objects ffill bfill interpolate rename merge join nlargest nsmallest reindex append where mask
    between_time truncate filter_rows pipe with_columns sort drop""".split()
)
_WIDENS = frozenset("rename merge join reindex append pipe with_columns replace set_index reset_index".split())
_LOOKS = frozenset("info describe nunique memory_usage duplicated isna isnull count".split())
_NO_USE = frozenset({"shape", "index", "empty", "size", "ndim", "dtypes"})
_LOOKING = frozenset({"len", "print", "display", "isinstance", "id", "type", "bool", "info", "debug"})
_NAMING = frozenset({"query", "sort_values", "set_index", "drop"})
_NAMES = frozenset({"by", "keys", "subset", "on", "left_on", "expr"})
_JOINS = frozenset({"concat", "train_test_split", "shuffle", "merge"})
_CELLS = frozenset({"loc", "iloc", "at", "iat"})
_TESTS = frozenset(
    "isin notna isna notnull isnull between contains duplicated eq ne gt lt ge le startswith endswith".split()
)
_LISTING = frozenset({"list", "tuple", "sorted"})
_MOST_SCOPES = 40
_DEEPEST = 12


@dataclass
class FrameUses:
    """The uses of one frame."""

    project: Project
    module: Module
    scope: int
    call: Call
    escapes: list[Expr] = field(default_factory=list)
    named: set[str] = field(default_factory=set)
    created: dict[str, tuple[Module, Stmt]] = field(default_factory=dict)
    modules: set[str] = field(default_factory=set)
    selected: set[str] = field(default_factory=set)  # of ``named``, what stands in a subscript
    listed: dict[str, Place] = field(default_factory=dict)  # of ``selected``, what a configuration file lists
    shown: bool = False  # somebody looks at all of it
    widened: bool = False  # it may have got columns whose names are not seen
    assigned: set[str] = field(default_factory=set)  # what ``assign`` adds
    _parameters: set[tuple[str, int, str]] = field(default_factory=set)
    _results: set[str] = field(default_factory=set)
    _attributes: set[tuple[str, str]] = field(default_factory=set)
    _rows: set[tuple[str, int, str]] = field(default_factory=set)
    _pending: list[tuple[Module, int]] = field(default_factory=list)
    _aliases: dict[tuple[str, int, int, str], bool] = field(default_factory=dict)

    def follow(self) -> FrameUses:
        self._look(self.module, self.scope)
        seen = 0
        while self._pending and not self.escapes:
            module, scope = self._pending.pop()
            seen += 1
            if seen > _MOST_SCOPES:
                self.escapes.append(self.call)
            self._scan(module, scope)
        return self

    def _look(self, module: Module, scope: int) -> None:
        """Have a scope read (again): something new in it is the frame."""
        self._aliases.clear()
        if (module, scope) not in self._pending:
            self._pending.append((module, scope))

    # What is the frame.

    def is_frame(self, module: Module, scope: int, expr: Expr, depth: int = _DEEPEST) -> bool:
        """Whether an expression is the frame, with all its columns."""
        if depth <= 0:
            return False
        if isinstance(expr, Ref):
            return self._is_named(module, scope, expr, depth)
        if isinstance(expr, Call):
            return self._is_result(module, scope, expr, depth)
        if isinstance(expr, Subscript):
            return self._is_selection(module, scope, expr, depth)
        return False

    def _is_named(self, module: Module, scope: int, ref: Ref, depth: int) -> bool:
        key = (module.path, ref.line, ref.column, ref.name)
        known = self._aliases.get(key)
        if known is None:
            self._aliases[key] = False  # of itself
            known = self._aliases[key] = self._find_named(module, scope, ref, depth)
        return known

    def _find_named(self, module: Module, scope: int, ref: Ref, depth: int) -> bool:
        definition = module.definition(scope)
        head, _, rest = ref.name.partition(".")
        if rest and head == self_name(definition):
            return definition.parent is not None and (definition.parent.name, rest) in self._attributes
        origins = self.project.flow(definition).origins(ref)
        if not origins and scope and "." not in ref.name:
            return self._is_global(module, ref.name, depth)
        for origin in origins:
            if origin.name != ref.name:
                continue
            if origin.kind == "parameter" and origin.statement is None:
                if (module.path, scope, origin.name) in self._parameters:
                    return True
            elif origin.kind == "assign" and origin.value is not None:
                if origin.path and not self._splits(module, scope, origin.value):
                    continue
                if self.is_frame(module, scope, origin.value, depth - 1):
                    return True
        return False

    def _is_global(self, module: Module, name: str, depth: int) -> bool:
        definitions = self.project.flow(module.definition(0)).definitions(name)
        return any(
            one.value is not None and not one.path and self.is_frame(module, 0, one.value, depth - 1)
            for one in definitions
        )

    @staticmethod
    def _splits(module: Module, scope: int, value: Expr) -> bool:
        return isinstance(value, Call) and called(module, scope, value.function) == "train_test_split"

    def _is_result(self, module: Module, scope: int, call: Call, depth: int) -> bool:
        if call is self.call:
            return True
        held = owner(call.function)
        last = called(module, scope, call.function)
        if held is not None and last in _KEEPS and self.is_frame(module, scope, held, depth - 1):
            self.widened = self.widened or last in _WIDENS
            if last == "assign":
                self.assigned.update(one.name for one in call.keywords if one.name)
            return True
        if last in _JOINS and any(self.is_frame(module, scope, one, depth - 1) for one in _flat(call.args)):
            self.widened = self.widened or last in ("concat", "merge")
            return not (last == "train_test_split" and self._is_second(module, scope, call, depth))
        edges = self.project.calls.targets(module, scope, call) if self._results else ()
        return any(edge.target.name in self._results for edge in edges)

    def _is_second(self, module: Module, scope: int, call: Call, depth: int) -> bool:
        """Whether the frame is not what is split alone."""
        return len(call.args) != 1 or not self.is_frame(module, scope, call.args[0], depth - 1)

    def _is_selection(self, module: Module, scope: int, expr: Subscript, depth: int) -> bool:
        """Rows of the frame: ``df[df.a > 0]``, ``df.loc[mask]``, ``df.iloc[:10]``."""
        held, index = expr.value, expr.index
        if isinstance(held, (Ref, Attribute)) and held.name.rpartition(".")[2] in _CELLS:
            inner = owner(held)
            if inner is None or not self.is_frame(module, scope, inner, depth - 1):
                return False
            if isinstance(index, Build) and index.kind == "tuple":
                return len(index.items) == 2 and index.items[1] == Slice(None, None, None)
            return True
        return self.is_frame(module, scope, held, depth - 1) and self._is_mask(module, scope, index)

    def _is_mask(self, module: Module, scope: int, index: Expr, depth: int = 3) -> bool:
        """Whether an index chooses rows."""
        if isinstance(index, (Compare, Slice)):
            return True
        if isinstance(index, (Binary, Unary)):
            return index.op in ("&", "|", "^", "~")
        if isinstance(index, Call):
            last = called(module, scope, index.function)
            return last in _TESTS
        if isinstance(index, Ref) and depth > 0:
            origins = self.project.flow(module.definition(scope)).origins(index)
            values = [one.value for one in origins if one.kind == "assign" and one.value is not None]
            return bool(values) and all(self._is_mask(module, scope, value, depth - 1) for value in values)
        return False

    # What is done with it.

    def _scan(self, module: Module, scope: int) -> None:
        self.modules.add(module.path)
        for stmt in statements(module.body(scope)):
            if self.escapes:
                return
            self._statement(module, scope, stmt)

    def _statement(self, module: Module, scope: int, stmt: Stmt) -> None:
        if isinstance(stmt, Assign):
            self._assign(module, scope, stmt)
            return
        if isinstance(stmt, Return) and stmt.value is not None:
            if self.is_frame(module, scope, stmt.value):
                self._inside(module, scope, stmt.value)
                self._returned(module.definition(scope))
                return
            if isinstance(stmt.value, Build) and any(self.is_frame(module, scope, one) for one in stmt.value.items):
                self.escapes.append(stmt.value)
                return
        if isinstance(stmt, For) and self._loops(module, scope, stmt):
            return
        for expr in expressions(stmt, module.facts.scopes):
            if isinstance(stmt, Do) and self.is_frame(module, scope, expr):
                self.shown = self.shown or module.path.endswith(".ipynb")
                self._inside(module, scope, expr)
            else:
                self._visit(module, scope, expr)

    def _assign(self, module: Module, scope: int, stmt: Assign) -> None:
        target = stmt.targets[0]
        if isinstance(target, Build) and isinstance(stmt.value, Build) and len(target.items) == len(stmt.value.items):
            for one, value in zip(target.items, stmt.value.items, strict=True):  # tr, te = df[mask], df[~mask]
                self._assign(module, scope, Assign(stmt.line, stmt.column, stmt.end_line, [one], value))
            return
        if self.is_frame(module, scope, stmt.value):
            self._inside(module, scope, stmt.value)
            for target in stmt.targets:
                self._bound(module, scope, target)
        else:
            self._visit(module, scope, stmt.value)
        for target in stmt.targets:
            if isinstance(target, Subscript) and self.is_frame(module, scope, _held(target)):
                key = module.constant(scope, target.index)
                if isinstance(key, str):
                    self.created.setdefault(key, (module, stmt))
                else:
                    self.widened = True
                    self._visit(module, scope, target.index)

    def _bound(self, module: Module, scope: int, target: Expr) -> None:
        """A name for the frame. ``self.frame`` is one in every method; a global may be one in every function."""
        definition = module.definition(scope)
        if isinstance(target, Ref) and "." in target.name:
            head, _, attribute = target.name.partition(".")
            if head != self_name(definition) or "." in attribute or definition.parent is None:
                self.escapes.append(target)
                return
            key = (definition.parent.name, attribute)
            if key not in self._attributes:
                self._attributes.add(key)
                for index, one in enumerate(module.facts.scopes):
                    if one.parent == definition.parent.index:
                        self._look(module, index)
        elif isinstance(target, Ref) and scope == 0:
            self._global(module, target.name)
        elif isinstance(target, Subscript):
            self.escapes.append(target)

    def _global(self, module: Module, name: str) -> None:
        for index in range(1, len(module.facts.scopes)):
            if any(use.partition(".")[0] == name for use in module.facts.scopes[index].uses):
                self._look(module, index) if (module.path, index, name) not in self._rows else None
                self._rows.add((module.path, index, name))
        for path in self.project.imports.importers(module.path):
            if name in self.project.modules[path].mentions:
                self.escapes.append(self.call)

    def _returned(self, definition: Definition) -> None:
        if definition.name in self._results:
            return
        self._results.add(definition.name)
        sites = self.project.callers.of(definition)
        if sites is None or not sites or definition.scope.generator:
            self.escapes.append(self.call)
            return
        for site in sites:
            self._look(site.module, site.module.scope_at(site.call.line) if site.scope < 0 else site.scope)

    def _loops(self, module: Module, scope: int, stmt: For) -> bool:
        """``for _, row in df.iterrows()``: rows whose fields are named."""
        value = stmt.iterable
        held = owner(value.function) if isinstance(value, Call) else None
        last = called(module, scope, value.function) if isinstance(value, Call) else ""
        if held is None or last not in ("iterrows", "itertuples") or not self.is_frame(module, scope, held):
            return False
        target = stmt.target
        if last == "iterrows" and isinstance(target, Build) and len(target.items) == 2:
            target = target.items[1]
        if not isinstance(target, Ref) or not self._names_fields(module, stmt.body, target.name):
            self.escapes.append(value)
        return True

    def _names_fields(self, module: Module, body: Sequence[Stmt], name: str) -> bool:
        """Whether a row is only asked for fields by name."""
        for stmt in statements(body):
            for expr in expressions(stmt, module.facts.scopes):
                if not self._only_fields(expr, name):
                    return False
        return True

    def _only_fields(self, expr: Expr, name: str) -> bool:
        if isinstance(expr, Subscript) and isinstance(expr.value, Ref) and expr.value.name == name:
            return isinstance(expr.index, Const)
        if isinstance(expr, Ref):
            head, _, rest = expr.name.partition(".")
            return head != name or (bool(rest) and rest.partition(".")[0] not in ("values", "to_dict", "_asdict"))
        return all(self._only_fields(part, name) for part in children(expr))

    # Expressions the frame may stand in.

    def _inside(self, module: Module, scope: int, expr: Expr) -> None:
        """The arguments on the way to an expression that is the frame."""
        if isinstance(expr, Call):
            held = owner(expr.function)
            if held is not None and self.is_frame(module, scope, held):
                self._inside(module, scope, held)
            self._arguments(module, scope, expr)
        elif isinstance(expr, Subscript):
            self._visit(module, scope, expr.index)

    def _arguments(self, module: Module, scope: int, call: Call) -> None:
        last = called(module, scope, call.function)
        if any(self._is_open(module, scope, value) for value in _column_arguments(call, last)):
            self.escapes.append(call)  # columns that only a run knows
            return
        runs = last in ("pipe", "assign")
        for value in given_values(call):
            if runs and isinstance(value, Lambda):
                if not all(self._only_fields(value.body, name) for name in value.parameters):
                    self.escapes.append(value)
            elif self.is_frame(module, scope, value):
                if last not in _JOINS | _KEEPS:
                    self._handed(module, scope, call)
                    return
            elif isinstance(value, Build) and last in _JOINS:
                continue
            else:
                self._visit(module, scope, value)

    @staticmethod
    def _is_open(module: Module, scope: int, value: Expr) -> bool:
        constant = module.constant(scope, value)
        return constant is UNKNOWN and texts_of(module, scope, value) is None

    def _visit(self, module: Module, scope: int, expr: Expr) -> None:
        if self.escapes:
            return
        if isinstance(expr, Subscript) and self._selects(module, scope, expr):
            return
        if isinstance(expr, Call) and self._is_harmless(module, scope, expr):
            return
        if isinstance(expr, Compare) and self._asks(module, scope, expr):
            self._visit(module, scope, expr.left)
            return
        if isinstance(expr, Ref):
            self._read(module, scope, expr)
            return
        if self.is_frame(module, scope, expr):
            self._inside(module, scope, expr)
            self.escapes.append(expr)
            return
        if isinstance(expr, Call):
            held = owner(expr.function)
            if held is not None and self.is_frame(module, scope, held):
                self.escapes.append(expr)
                return
            if any(self.is_frame(module, scope, one) for one in given_values(expr)):
                self._handed(module, scope, expr)
                return
        for part in children(expr):
            self._visit(module, scope, part)

    def _asks(self, module: Module, scope: int, expr: Compare) -> bool:
        """``name in frame.columns``, which says nothing of what is used."""
        where = expr.comparators[0]
        if expr.ops not in (["in"], ["not in"]) or not isinstance(where, (Ref, Attribute)):
            return False
        held = owner(where) if where.name.endswith("columns") else where
        return held is not None and self.is_frame(module, scope, held)

    def _read(self, module: Module, scope: int, ref: Ref) -> None:
        """``df`` alone, or a column ``df.age``."""
        if self.is_frame(module, scope, ref):
            self.escapes.append(ref)
            return
        names = ref.name.split(".")
        for count in range(1, len(names)):
            if self.is_frame(module, scope, Ref(".".join(names[:count]), ref.line, ref.column)):
                first = names[count]
                if first in ("values", "T", "columns", "style", "to_numpy"):
                    self.escapes.append(ref)
                elif first not in _NO_USE:
                    self.named.add(first)
                return

    def _selects(self, module: Module, scope: int, expr: Subscript) -> bool:
        """Columns by name: ``df["age"]``, ``df[FEATURES]``, ``df.loc[rows, ["age"]]``, ``df.groupby("a")["b"]``."""
        index: Expr = expr.index
        held = _held(expr)
        cells = held is not expr.value
        if not self.is_frame(module, scope, held):
            group = held if isinstance(held, Call) else None
            inner = owner(group.function) if group is not None else None
            if group is None or inner is None or not self.is_frame(module, scope, inner):
                return False
            if called(module, scope, group.function) != "groupby":
                return False
            for value in group.args:
                self._visit(module, scope, value)
        if cells:
            if not isinstance(index, Build) or len(index.items) != 2:
                return False
            self._visit(module, scope, index.items[0])
            index = index.items[1]
        column = module.constant(scope, index)
        names = [column] if isinstance(column, str) else texts_of(module, scope, index)
        if names is None:
            found = self._configured(module, scope, index)
            if found is None:
                return False
            self.listed.update(found)
            names = list(found)
        self.named.update(names)
        self.selected.update(names)
        return True

    def _configured(self, module: Module, scope: int, index: Expr) -> dict[str, Place] | None:
        """The texts a configuration file lists under the key an index takes: ``df[config["features"]]``."""
        index = self._listed_by(module, scope, index)
        key = module.constant(scope, index.index) if isinstance(index, Subscript) else None
        if isinstance(index, Ref) and "." in index.name and self._is_configuration(index.name):
            key = index.name.rpartition(".")[2]
        if isinstance(index, Call) and called(module, scope, index.function) == "get" and len(index.args) in (1, 2):
            key = module.constant(scope, index.args[0])
        if not isinstance(key, str) or (isinstance(index, Subscript) and self.is_frame(module, scope, index.value)):
            return None
        found: dict[str, dict[str, Place]] = {}
        for file in self.project.repository.configs:
            for leaf in file.leaves:
                listed = len(leaf.keys) > 1 and leaf.keys[-2] == key and leaf.keys[-1].isdigit()
                if (listed or leaf.keys[-1:] == (key,)) and isinstance(leaf.value, str):
                    found.setdefault(file.path, {})[leaf.value] = Place(file.path, Span(leaf.line))
        return next(iter(found.values())) if len(found) == 1 else None

    def _listed_by(self, module: Module, scope: int, index: Expr, depth: int = 4) -> Expr:
        """``config["features"]`` behind a variable, ``list(...)`` or ``[c for c in ... if c in frame.columns]``."""
        if depth <= 0:
            return index
        listing = isinstance(index, Call) and isinstance(index.function, Ref) and index.function.name in _LISTING
        if isinstance(index, Call) and listing and len(index.args) == 1:
            return self._listed_by(module, scope, index.args[0], depth - 1)
        if isinstance(index, Comprehension) and len(index.generators) == 1:
            one = index.generators[0]
            if isinstance(index.element, Ref) and index.element == _at(one.target, index.element):
                return self._listed_by(module, scope, one.iterable, depth - 1)
        if isinstance(index, Ref) and "." not in index.name:
            flow = self.project.flow(module.definition(scope))
            origins = flow.origins(index) or self.project.flow(module.definition(0)).definitions(index.name)
            made = [one.value for one in origins if one.kind == "assign" and not one.path]
            if len(origins) == 1 and made and made[0] is not None:
                return self._listed_by(module, scope, made[0], depth - 1)
        return index

    @staticmethod
    def _is_configuration(name: str) -> bool:
        return name.partition(".")[0].lower() in ("cfg", "config", "conf", "settings", "params", "args")

    def _is_harmless(self, module: Module, scope: int, call: Call) -> bool:
        """Calls that only look at the frame, group it by name, or go through its rows by name."""
        last = called(module, scope, call.function)
        held = owner(call.function)
        frames = [one for one in call.args if self.is_frame(module, scope, one)]
        self.shown = self.shown or (
            last in ("print", "display") and bool(frames or self._looks_inside(module, scope, call))
        )
        if frames and last in _LOOKING:
            for one in frames:
                self._inside(module, scope, one)
            return True
        if isinstance(held, Call) and called(module, scope, held.function) == "groupby":
            inner = owner(held.function)
            if inner is not None and self.is_frame(module, scope, inner):
                if last in ("size", "ngroup", "agg", "aggregate") and (call.args or call.keywords or last != "agg"):
                    for value in [*held.args, *call.args, *(one.value for one in call.keywords)]:
                        self._visit(module, scope, value)
                    return True
                return False
        if held is None or not self.is_frame(module, scope, held):
            return last in _LOOKING and isinstance(call.function, Ref) and self._looks_inside(module, scope, call)
        if last in _LOOKS:
            return True
        if last in ("filter", "select") and self._chooses(module, scope, call, last):
            return True
        if last in ("pop", "get", "value_counts", "pivot_table", "pivot", "crosstab", "insert", "plot", "hist"):
            known = [module.constant(scope, one) for one in call.args]
            return bool(known or call.keywords) and not any(one is UNKNOWN for one in known[:1])
        if last == "apply" and call.args and isinstance(call.args[0], Lambda):
            function = call.args[0]
            return all(self._only_fields(function.body, name) for name in function.parameters)
        return False

    def _chooses(self, module: Module, scope: int, call: Call, last: str) -> bool:
        """``df.filter(items=["age"])``, and ``df.select(["age"])`` or ``df.select("age", "sex")`` of polars."""
        given_names = [one.value for one in call.keywords if one.name == "items"] if last == "filter" else call.args
        names: list[str] = []
        for value in given_names:
            text = module.constant(scope, value)
            found = [text] if isinstance(text, str) else texts_of(module, scope, value)
            if found is None:
                return False
            names += found
        self.named.update(names)
        self.selected.update(names)
        return bool(names)

    def _looks_inside(self, module: Module, scope: int, call: Call) -> bool:
        """``print(df.head())``."""
        given_frames = [one for one in call.args if self._shows(module, scope, one)]
        return len(given_frames) == len(call.args) and bool(call.args)

    def _shows(self, module: Module, scope: int, expr: Expr) -> bool:
        if isinstance(expr, Const):
            return True
        return isinstance(expr, Call) and self.is_frame(module, scope, expr)

    def _handed(self, module: Module, scope: int, call: Call) -> None:
        """The frame goes to a function: followed in the project's, used as a whole by any other."""
        edges = [
            edge for edge in self.project.calls.targets(module, scope, call) if edge.confidence in ("exact", "method")
        ]
        if len(edges) != 1 or not edges[0].target.is_function:
            self.escapes.append(call)
            return
        target = edges[0].target
        spellings = self.project.callers.spellings(target)
        found = False
        for parameter in target.scope.parameters:
            value = given(Site(module, scope, call), target, parameter.name, spellings)
            if value is None or value is UNKNOWN:
                continue
            if self.is_frame(module, scope, value):
                self._inside(module, scope, value)
                found = True
                key = (target.module.path, target.index, parameter.name)
                if key not in self._parameters:
                    self._parameters.add(key)
                    self._look(target.module, target.index)
            else:
                self._visit(module, scope, value)
        if not found:
            self.escapes.append(call)


def _at(target: Expr, place: Ref) -> Expr:
    """A name as it would stand at another place."""
    return Ref(target.name, place.line, place.column) if isinstance(target, Ref) else target


def _column_arguments(call: Call, last: str) -> Iterator[Expr]:
    """The arguments of a method that name columns."""
    if last in _NAMING and call.args:
        yield call.args[0]
    yield from (one.value for one in call.keywords if one.name in _NAMES and not isinstance(one.value, Build))


def _held(expr: Subscript) -> Expr:
    """``df`` of ``df["a"]`` and ``df.loc[rows, "a"]``."""
    held = expr.value
    if isinstance(held, (Ref, Attribute)) and held.name.rpartition(".")[2] in _CELLS:
        return owner(held) or held
    return held


def _flat(values: Sequence[Expr]) -> Iterator[Expr]:
    for value in values:
        if isinstance(value, Build):
            yield from value.items
        else:
            yield value
