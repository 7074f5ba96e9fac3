"""Places where the project puts something of its own in the place of a library's module, class or function."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from msgspec import Struct

from mldebt.facts.arguments import argument
from mldebt.facts.flow import Origin
from mldebt.facts.schema import (
    PARAMETER,
    Assign,
    Attribute,
    Build,
    Call,
    Conditional,
    Const,
    Do,
    Expr,
    Lambda,
    Ref,
    Return,
    Stmt,
    Subscript,
    Try,
)
from mldebt.facts.walk import statements, walk
from mldebt.module import Module
from mldebt.rule import Analysis

from .evidence import owner
from .vendors import vendor_of

_FARTHEST = 4
# What a context manager does when it begins, and when it ends.
_ENTERS = frozenset({"__enter__", "__exit__", "__aenter__", "__aexit__"})
_EXITS = frozenset({"__exit__", "__aexit__"})
# What libraries offer to be set, and objects they offer ready made: neither is theirs alone.
_OFFERED = re.compile(
    r"(callback|hook|handler|listener|logger|factory|formatter|encoder|decoder|default_\w+|\w+_category)s?$"
)
_OBJECTS = frozenset(
    "logger log app run config conf session settings state summary flags FLAGS rcParams options registry g".split()
)
_WRAPS = frozenset({"functools.partial", "functools.wraps", "functools.lru_cache", "functools.cache"})
_WRAPPERS = frozenset({"staticmethod", "classmethod", "property", "types.MethodType", "builtins.property"})
_IMPORTS = frozenset({"importlib.import_module", "importlib.reload"})
_REPLACE = frozenset({Lambda, Conditional, Call, Ref})  # the others are constants, or nothing known
WORDS = frozenset({"setattr", "modules", "getsource", "exec"})


class Patch(Struct, frozen=True):
    """One statement that changes a library. ``what`` is the library's name that is changed, or the module."""

    statement: Stmt
    scope: int
    vendor: str
    what: str
    how: str


class Patches(Analysis):
    """Finds patches file by file."""

    def of(self, module: Module) -> Iterator[Patch]:
        """The patches of a file, scope by scope."""
        stored = frozenset(module.facts.stored)
        worded = "sys" in module.mentions or not WORDS.isdisjoint(module.mentions - {"modules"})
        for scope in range(len(module.facts.scopes)) if worded else module.scopes_using(stored):
            if not _may_patch(module, scope, stored, worded):
                continue
            reader = _Reader(module, scope)
            found = [patch for stmt in statements(module.body(scope)) for patch in reader.patches(stmt)]
            if found:
                restored = _restored(module, scope)
                yield from (patch for patch in found if restored.isdisjoint(_targets(patch.statement)))


def _restored(module: Module, scope: int) -> frozenset[str]:
    """The attributes a scope sets only for a time: put back in a ``finally``, behind a ``yield`` or in ``__exit__``."""
    facts = module.scope(scope)
    body = list(statements(module.body(scope)))
    found = {
        name for stmt in body if isinstance(stmt, Try) for inner in statements(stmt.final) for name in _targets(inner)
    }
    if facts.generator:
        counts = Counter(name for stmt in body for name in _targets(stmt))
        found.update(name for name, count in counts.items() if count > 1)
    if facts.name in _ENTERS:
        for index, other in enumerate(module.facts.scopes):
            if other.parent == facts.parent and other.name in _EXITS:
                found.update(name for stmt in statements(module.body(index)) for name in _targets(stmt))
    return frozenset(found)


def _targets(stmt: Stmt) -> Iterator[str]:
    """The attributes a statement sets, as written: ``vendor.module.name``."""
    if isinstance(stmt, Assign):
        for target in stmt.targets:
            for one in target.items if isinstance(target, Build) else [target]:
                if isinstance(one, Ref) and "." in one.name:
                    yield one.name
    elif isinstance(stmt, Do) and isinstance(stmt.value, Call) and isinstance(stmt.value.function, Ref):
        args = stmt.value.args
        if stmt.value.function.name == "setattr" and len(args) == 3 and isinstance(args[0], Ref):
            last = args[1].value if isinstance(args[1], Const) else getattr(args[1], "name", "")
            yield f"{args[0].name}.{last}"


def _may_patch(module: Module, scope: int, stored: frozenset[str], worded: bool) -> bool:
    """Whether a scope may assign to an attribute of anything but ``self`` and parameters: told without its body."""
    bindings = module.scope(scope).bindings
    for chain in module.scope(scope).uses:
        head, dot, rest = chain.partition(".")
        if dot and rest[rest.rfind(".") + 1 :] in stored and head != "self" and bindings.get(head) != PARAMETER:
            return True
        if worded and (chain in WORDS or rest.startswith("modules") or rest in WORDS):
            return True
    return False


class _Reader:
    """Reads the patches of one scope."""

    def __init__(self, module: Module, scope: int) -> None:
        self._module, self._scope, self._project = module, scope, module.project
        self._uses = {chain.rpartition(".")[2] for chain in module.scope(scope).uses}

    def patches(self, stmt: Stmt) -> Iterator[Patch]:
        if isinstance(stmt, Assign):
            for target in stmt.targets:
                yield from self._assigned(stmt, target, stmt.value)
        elif isinstance(stmt, Do) and isinstance(stmt.value, Call):
            yield from self._called(stmt, stmt.value)

    def _assigned(self, stmt: Stmt, target: Expr, value: Expr) -> Iterator[Patch]:
        if isinstance(target, Build) and isinstance(value, Build) and len(target.items) == len(value.items):
            for one, part in zip(target.items, value.items, strict=True):
                yield from self._assigned(stmt, one, part)
        elif isinstance(target, Subscript):
            yield from self._module_put(stmt, target.value, target.index, value)
        elif isinstance(target, (Ref, Attribute)):
            before, last = owner(target), target.name.rpartition(".")[2]
            if before is None or type(value) not in _REPLACE or _is_setting(last) or self._is_given(before):
                return
            for thing in self._things(before)[:1]:
                yield from self._patch(stmt, thing, last, value)

    def _called(self, stmt: Stmt, call: Call) -> Iterator[Patch]:
        function = call.function
        if not isinstance(function, Ref):
            return
        if function.name == "setattr" and len(call.args) == 3:
            name = self._module.constant(self._scope, call.args[1])
            for thing in self._things(call.args[0]):
                yield from self._patch(stmt, thing, name if isinstance(name, str) else "...", call.args[2])
        elif function.name.endswith("modules.setdefault") and len(call.args) == 2:
            before = owner(function)
            yield from self._module_put(stmt, before, call.args[0], call.args[1]) if before is not None else ()
        elif function.name in ("exec", "builtins.exec") and "getsource" in self._uses:
            yield from self._rewritten(stmt)

    def _patch(self, stmt: Stmt, thing: str, last: str, value: Expr) -> Iterator[Patch]:
        vendor = vendor_of(thing, self._project)
        what = f"{thing}.{last}"
        holder = thing.rpartition(".")[2]
        if vendor is None or _is_setting(last) or holder in _OBJECTS or holder.endswith("config"):
            return
        how = self._replacement(value, what)
        if how is not None:
            yield Patch(stmt, self._scope, vendor, what, how)

    def _module_put(self, stmt: Stmt, holder: Expr, key: Expr, value: Expr) -> Iterator[Patch]:
        if not isinstance(holder, Ref) or self._module.names(self._scope, holder) != ("sys.modules",):
            return
        name = self._module.constant(self._scope, key)
        vendor = vendor_of(name, self._project) if isinstance(name, str) else None
        # A bare name that no library is known by is a module of the project's own under an old name, for old pickles.
        known = isinstance(name, str) and ("." in name or self._project.packages.is_third_party(name))
        if vendor is not None and known:
            yield Patch(stmt, self._scope, vendor, f'sys.modules["{name}"]', "is set by hand")

    def _rewritten(self, stmt: Stmt) -> Iterator[Patch]:
        for site in self._module.call_sites(self._scope):
            if "inspect.getsource" in self._module.names(self._scope, site.call.function) and site.call.args:
                for thing in self._things(site.call.args[0]):
                    vendor = vendor_of(thing, self._project)
                    if vendor is not None:
                        yield Patch(stmt, self._scope, vendor, thing, "is rewritten as text and executed")
                        return

    # What is changed.

    def _is_given(self, expr: Expr) -> bool:
        """Whether an expression begins at a parameter that nothing else is assigned to: told without the flow."""
        head = expr.name.partition(".")[0] if isinstance(expr, Ref) else ""
        return self._module.scope(self._scope).bindings.get(head) == PARAMETER

    def _things(self, expr: Expr, depth: int = _FARTHEST) -> tuple[str, ...]:
        """The names of modules and classes an expression stands for; instances have none."""
        if depth <= 0:
            return ()
        if isinstance(expr, Call):
            return self._imported(expr)
        if isinstance(expr, Attribute):
            return tuple(f"{name}.{expr.name}" for name in self._things(expr.value, depth - 1))
        if not isinstance(expr, Ref):
            return ()
        names = self._project.resolve(self._module, self._scope, expr.name)
        if names:
            return names
        head, _, rest = expr.name.partition(".")
        found = self._variable(Ref(head, expr.line, expr.column), depth)
        return tuple(f"{name}.{rest}" for name in found) if rest else found

    def _variable(self, ref: Ref, depth: int) -> tuple[str, ...]:
        found: list[str] = []
        for origin in self._origins(ref):
            if origin.value is None or origin.path:
                return ()
            if origin.kind == "loop" and isinstance(origin.value, Build) and origin.value.kind != "dict":
                found += [name for item in origin.value.items for name in self._things(item, depth - 1)]
            elif origin.kind == "assign" and isinstance(origin.value, (Ref, Attribute, Call)):
                found += self._things(origin.value, depth - 1)
            else:
                return ()
        return tuple(dict.fromkeys(found))

    def _origins(self, ref: Ref) -> tuple[Origin, ...]:
        return self._project.flow(self._module.definition(self._scope)).origins(ref)

    def _imported(self, call: Call) -> tuple[str, ...]:
        if not isinstance(call.function, (Ref, Attribute)):
            return ()
        if _IMPORTS.isdisjoint(self._module.names(self._scope, call.function)):
            return ()
        given = argument(call, "name", 0)
        name = self._module.constant(self._scope, given) if given else None
        return (name,) if isinstance(name, str) and not name.startswith(".") else ()

    # What is put there.

    def _replacement(self, value: Expr, what: str, depth: int = _FARTHEST) -> str | None:
        """How a value replaces what was there; None for constants, for what is unknown and for the original itself."""
        if depth <= 0:
            return None
        if isinstance(value, Lambda):
            return "is replaced by a lambda"
        if isinstance(value, Conditional):
            return self._replacement(value.then, what, depth - 1) or self._replacement(value.orelse, what, depth - 1)
        if isinstance(value, Call):
            return self._made(value, what)
        if not isinstance(value, (Ref, Attribute)):
            return None
        names = self._project.resolve(self._module, self._scope, value.name) if isinstance(value, Ref) else ()
        if names:
            return self._named(names, what)
        if not isinstance(value, Ref) or "." in value.name:
            return None
        origins = self._origins(value)
        if any(origin.kind == "definition" for origin in origins):
            return f"is replaced by {value.name}"
        values = [origin.value for origin in origins if origin.kind == "assign" and not origin.path]
        return self._replacement(values[0], what, depth - 1) if len(values) == 1 and values[0] is not None else None

    def _named(self, names: tuple[str, ...], what: str) -> str | None:
        if what in names:
            return None  # it is put back
        for name in names:
            if ":" in name:
                definition = self._project.definition(name)
                if definition is None or definition.is_module:
                    return None
            elif name.startswith("builtins.") and name.rpartition(".")[2] in ("None", "True", "False"):
                return None
        shown = names[0].rpartition(":")[2] if ":" in names[0] else names[0].removeprefix("builtins.")
        return f"is replaced by {shown}"

    def _made(self, call: Call, what: str) -> str | None:
        if not isinstance(call.function, (Ref, Attribute)):
            return None
        names = self._module.names(self._scope, call.function)
        last = names[0] if names else call.function.name
        if last in _WRAPS or last.removeprefix("builtins.") in _WRAPPERS:
            return f"is replaced by a {last.rpartition('.')[2]}"
        for part in (node for arg in call.args for node in walk(arg)):
            if isinstance(part, Ref) and what in self._things(part):
                return "is wrapped"
        definition = self._project.definition(names[0]) if len(names) == 1 and ":" in names[0] else None
        if definition is not None and definition.is_function and _gives_function(definition.module, definition.index):
            return f"is replaced by what {definition.scope.name}() makes"
        return None


def _is_setting(last: str) -> bool:
    """Whether a name says that libraries offer it to be set, or is a flag's, whatever it takes."""
    return (last.isupper() and "_" in last) or _OFFERED.search(last.lower()) is not None


def _gives_function(module: Module, index: int) -> bool:
    """Whether all a function returns are functions it defines."""
    scopes = module.facts.scopes
    inner = {scope.name for scope in scopes if scope.parent == index}
    returned = [stmt.value for stmt in statements(module.body(index)) if isinstance(stmt, Return)]
    return bool(returned) and all(
        isinstance(value, Lambda) or (isinstance(value, Ref) and value.name in inner) for value in returned
    )
