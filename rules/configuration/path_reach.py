"""Literal paths of one machine, and whether they reach a call that opens files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct

from mldebt.facts.graph import targets
from mldebt.facts.names import binding_scope, last_segment
from mldebt.facts.schema import (
    CLASS,
    FUNCTION,
    KWARGS,
    VARARGS,
    Annotate,
    Assign,
    Attribute,
    Binary,
    Bind,
    Boolean,
    Build,
    Call,
    Compare,
    Comprehension,
    Conditional,
    Const,
    Define,
    Expr,
    For,
    Format,
    If,
    Ref,
    Return,
    Starred,
    Stmt,
    Subscript,
    Wait,
)
from mldebt.facts.walk import blocks, expressions, statements, walk
from mldebt.rule import Analysis, FileParts, Row, Table

from ..glue.accesses import DIRECTORY, FILE, GLOB, Accesses  # noqa: TID252 - installed under another name
from .literal_places import Around, nested
from .machine_paths import TELLTALES, MachinePath, any_starts_like_one, machine_path

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

_MOST_STEPS = 40  # uses one literal is followed through
_ARGUMENT = re.compile(
    r"(?:^|_)(?:path|paths|dir|directory|folder|file|files|filename|root|data|dataset|datasets|ckpt|checkpoint|weights"
    r"|src|dst|source|target|output|input|out|csv|json|cache|prefix|home|location|uri|model|dest|where|base)s?$"
    r"|^(?:path|file|dir|root|data|img|image|model|save|load|output|input|ckpt|checkpoint)"
)
# What gives the path on: strings, path objects and lists of them.
_TRANSPARENT = frozenset(
    """os.path.join os.path.expanduser os.path.abspath os.path.normpath os.path.realpath os.fspath posixpath.join
    pathlib.Path pathlib.PurePath pathlib.PosixPath pathlib.WindowsPath pathlib.PureWindowsPath builtins.str
    builtins.list builtins.sorted builtins.tuple builtins.dict builtins.iter builtins.enumerate builtins.zip""".split()
)
_SAME = frozenset(
    "format joinpath with_suffix with_name expanduser resolve absolute as_posix strip items values".split()
)
_OPENS = frozenset(
    "open read_text read_bytes write_text write_bytes glob rglob iterdir mkdir unlink touch rename stat".split()
)
# Options, messages, tests and text work: what is given to these is no path that is opened.
_HARMLESS = re.compile(
    r"^(?:print|pprint|debug|info|warning|warn|error|exception|critical|log|write|writelines|echo|fail|skip|startswith"
    r"|endswith|replace|split|rsplit|rstrip|lstrip|strip|removeprefix|removesuffix|find|index|count|compile|match|search"
    r"|sub|fullmatch|findall|finditer|fnmatch|escape|add_argument|Option|Argument|option|argument|DEFINE_\w+|Field|field"
    r"|getenv|get|getattr|setattr|setdefault|env|config|store|route|post|put|delete|patch|add_url_rule|mount|exists"
    r"|isdir|isfile|is_dir|is_file|len|hash|isinstance|assert\w*|raises|relative_to|commonpath|basename|dirname"
    r"|HelpOption|add_option|set_defaults|Default|Flag|flag|StringFlag|parse_args|Literal|Text|Markdown|HTML|\w*Error"
    r"|\w*Exception|\w*Warning)$"
)
_SURROUNDINGS = re.compile(
    r"(?:^|\.)(?:exists|isdir|isfile|is_dir|modules|environ|getenv|platform|system|name|gethostname|uname|in_colab)$",
    re.IGNORECASE,
)
_PLATFORMS = re.compile(r"(?:^|[._])(?:modules|environ|getenv|exists|isdir)$|colab|kaggle", re.IGNORECASE)
_CONFIGURATION = re.compile(
    r"(?:^|/)(?:[\w-]*_)?(?:config|configs|configurations?|conf|cfg|settings|constants|consts|const|paths|hparams|params|options"
    r"|defaults|arguments|args|opts|env|environment|globals|locations)(?:_[\w-]*)?(?:/.*)?\.py$"
)
_FIELDS = re.compile(r"(?:^|\.)(?:dataclass|dataclasses|define|frozen|mutable|attrs|s|struct)$")
_FIELD_CLASS = re.compile(
    r"(?:Config|Configuration|Cfg|Args|Arguments|Options|Opts|Settings|HParams|Hyperparameters|Params|Paths|Defaults)$"
)
_FIELD_BASES = frozenset(
    {
        "BaseModel",
        "BaseSettings",
        "NamedTuple",
        "TypedDict",
        "Struct",
        "Enum",
        "StrEnum",
        "Tap",
    }
)


class FileCall(Row, frozen=True, kw_only=True):
    """A call that takes a path; ``every``: each of its positional arguments is one."""

    argument: str
    position: int = 0
    every: bool = False


class PathLiteral(Struct, frozen=True, eq=False):
    """A literal path that is used. ``reached`` says by what, ``line`` where when that is another line."""

    path: MachinePath
    module: Module
    scope: int
    statement: Stmt
    reached: str
    default: bool  # of a parameter


class _Step(Struct, frozen=True):
    """A name to follow: ``name`` as bound in ``scope`` of ``module``; ``attribute`` of a class's instances if set."""

    module: Module
    scope: int
    name: str
    attribute: str = ""


class PathReach(Analysis):
    """Answers which literal paths of one machine a file opens, directly or through names and parameters."""

    file_calls: ClassVar = Table("file_calls.toml", "file_calls", FileCall)
    collected = bool

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._told = project.collected(PathReach)

    @classmethod
    def collect(cls, file: FileParts) -> bool | None:
        text = file.source.text
        return True if any(one in text for one in TELLTALES) else None

    @cached_property
    def _calls(self) -> dict[str, FileCall]:
        found = {
            name: FileCall(name=name, argument=row.argument, position=row.position, every=bool(row.target))
            for name, row in self.project.rows(Accesses.table).items()
            if row.form in (FILE, DIRECTORY, GLOB) and row.argument
        }
        return found | dict(self.project.rows(self.file_calls))

    def of(self, module: Module) -> tuple[PathLiteral, ...]:
        """The literals of a file that are opened somewhere, in source order of each scope."""
        if module.path not in self._told and not any_starts_like_one(module.facts.strings):
            return ()
        if _CONFIGURATION.search(module.path) or module.path.endswith("setup.py"):
            return ()
        found: list[PathLiteral] = []
        for index in range(len(module.facts.scopes)):
            if module.scope(index).kind == CLASS and self._has_fields(module, index):
                continue
            for stmt, tests in _guarded(module.body(index)):
                for one in self._in_statement(module, index, stmt):
                    platform = one.path.kind in ("Colab", "Kaggle")
                    if not platform or not any(_asks(module, index, test, _PLATFORMS) for test in tests):
                        found.append(one)
        return tuple(found)

    def _in_statement(self, module: Module, index: int, stmt: Stmt) -> Iterator[PathLiteral]:
        for root in expressions(stmt, module.facts.scopes):
            if not any(type(node) is Const and type(node.value) is str and len(node.value) > 5 for node in walk(root)):
                continue
            for node, around in nested(root):
                if type(node) is not Const or not isinstance(node.value, str):
                    continue
                path = machine_path(node.value)
                if path is None or (path.kind == "Colab" and not path.certain and module.path.endswith(".ipynb")):
                    continue  # a notebook's own working directory there
                followed = _Followed(self, path)
                reached = followed.from_node(module, index, stmt, root, node, around)
                if reached:
                    yield PathLiteral(path, module, index, stmt, reached, isinstance(stmt, Define))

    def _has_fields(self, module: Module, index: int) -> bool:
        """Whether a class's body is a list of options with defaults."""
        scope = module.scope(index)
        if _FIELD_CLASS.search(scope.name):
            return True
        named = [getattr(one, "function", one) for one in scope.decorators]
        if any(isinstance(one, Ref) and _FIELDS.search(one.name) for one in named):
            return True
        bases = self.project.mro(module.definition(index).name)
        return any(base.rpartition(".")[2] in _FIELD_BASES for base in bases)

    def opened_by(self, module: Module, scope: int, call: Call, child: Expr) -> str:
        """The file call that takes ``child`` as a path, "" when it is none."""
        if not isinstance(call.function, (Ref, Attribute)):
            return ""
        for name in module.names(scope, call.function):
            row = self._calls.get(name)
            if row is not None and (
                _fills(call, child, row.argument, row.position) or (row.every and child in call.args)
            ):
                return name
        return ""


def _fills(call: Call, child: Expr, argument: str, position: int) -> bool:
    if any(keyword.name == argument and keyword.value is child for keyword in call.keywords):
        return True
    return 0 <= position < len(call.args) and call.args[position] is child


class _Followed:
    """One literal on its way."""

    def __init__(self, reach: PathReach, path: MachinePath) -> None:
        self._reach, self._project, self._path = reach, reach.project, path
        self._steps = 0
        self._seen: set[tuple[str, int, str, str]] = set()

    def from_node(
        self,
        module: Module,
        scope: int,
        stmt: Stmt,
        root: Expr,
        node: Expr,
        around: Around,
    ) -> str:
        """What opens the value of ``node``, "" if nothing is seen to."""
        self._steps += 1
        if self._steps > _MOST_STEPS:
            return ""
        child = node
        rest = list(around)
        while rest:
            parent = rest.pop(0)
            if isinstance(parent, Call):
                if parent.function is child:
                    method = last_segment(child)
                    if method in _OPENS:
                        return f"{method}()"
                    if method not in _SAME:
                        return ""
                else:
                    passed = self._argument(module, scope, parent, child)
                    if passed is not None:
                        return passed
            elif isinstance(parent, Comprehension):
                if parent.element is not child:
                    return self._loop(module, scope, parent, child, rest)
            elif not _gives_on(parent, child) or self._chosen(module, scope, parent):
                return ""
            child = parent
        return self._bound(module, scope, stmt, root)

    @staticmethod
    def _chosen(module: Module, scope: int, parent: Expr) -> bool:
        """Whether an arm is chosen by a look at the machine: each arm is right on its own."""
        return isinstance(parent, Conditional) and _asks(module, scope, parent.test, _SURROUNDINGS)

    def _argument(self, module: Module, scope: int, call: Call, child: Expr) -> str | None:
        """What a call does with an argument: opens it, gives it back (None) or nothing of interest ("")."""
        opened = self._reach.opened_by(module, scope, call, child)
        if opened:
            return opened.removeprefix("builtins.")
        if not isinstance(call.function, (Ref, Attribute)):
            return ""
        names = module.names(scope, call.function)
        if not _TRANSPARENT.isdisjoint(names):
            return None
        last = call.function.name.rpartition(".")[2]
        if any(_HARMLESS.match(one.rpartition(".")[2]) for one in (*names, last)):
            return ""
        keyword = next((one.name or "" for one in call.keywords if one.value is child), "")
        inner = self._parameter(module, scope, call, child)
        if inner is not None:
            return inner
        if keyword in (
            "help",
            "description",
            "title",
            "name",
            "label",
            "pattern",
            "regex",
            "message",
            "text",
        ):
            return ""
        if (self._path.certain and self._path.kind != "mount") or (keyword and _ARGUMENT.search(keyword)):
            return f"{last}()"
        return ""

    def _parameter(self, module: Module, scope: int, call: Call, child: Expr) -> str | None:
        """What a function of the project does with it; None when the call is not to one."""
        for edge in self._project.calls.targets(module, scope, call):
            target = edge.target
            parameter = _parameter_of(target, call, child)
            if parameter is None or edge.confidence == "cha":
                continue
            inside = self._uses(_Step(target.module, target.index, parameter))
            if inside:
                return inside
            if self._path.certain and _ARGUMENT.search(parameter):
                return f"{target.scope.name}({parameter}=...)"
            return ""
        return None

    def _loop(
        self,
        module: Module,
        scope: int,
        parent: Comprehension,
        child: Expr,
        rest: list[Expr],
    ) -> str:
        """``[load(p) for p in ["/data/a", "/data/b"]]``."""
        for generator in parent.generators:
            if generator.iterable is child:
                names = {name for name, _ in targets(generator.target)}
                for node, around in nested(parent.element):
                    if isinstance(node, Ref) and node.name.partition(".")[0] in names and around:
                        found = self.from_node(module, scope, _NOWHERE, parent, node, around)
                        if found:
                            return found
        return ""

    def _bound(self, module: Module, scope: int, stmt: Stmt, root: Expr) -> str:
        """What uses the names a statement gives the value to."""
        if isinstance(stmt, Define):
            inner = module.scope(stmt.scope)
            for parameter in inner.parameters:
                if parameter.default is root:
                    found = self._uses(_Step(module, stmt.scope, parameter.name))
                    return found if self._path.is_major else ""
            return ""
        if isinstance(stmt, Return):
            return "the function's callers" if self._path.certain and _ARGUMENT.search(module.scope(scope).name) else ""
        if isinstance(stmt, Assign) and stmt.value is root:
            bound = [name for target in stmt.targets for name, _ in targets(target)]
            bound += [t.value.name for t in stmt.targets if isinstance(t, Subscript) and isinstance(t.value, Ref)]
        elif isinstance(stmt, Annotate) and stmt.value is root and isinstance(stmt.target, Ref):
            bound = [stmt.target.name]
        elif isinstance(stmt, For) and stmt.iterable is root:
            bound = [name for name, _ in targets(stmt.target)]
        else:
            return ""
        for name in bound:
            found = self._name(module, scope, name)
            if found:
                return found
        return ""

    def _name(self, module: Module, scope: int, name: str) -> str:
        head, dot, attribute = name.partition(".")
        facts = module.facts
        if dot:
            owner = self._project.types.owner_of(module, scope, head)
            definition = self._project.definition(owner) if owner else None
            if definition is None or "." in attribute:
                return ""
            return self._uses(_Step(definition.module, definition.index, head, attribute))
        if facts.scopes[scope].kind == CLASS:
            return self._uses(_Step(module, scope, "self", name))
        bound = binding_scope(facts, scope, head)
        return self._uses(_Step(module, scope if bound is None else bound, name))

    def _uses(self, step: _Step) -> str:
        """What opens the value of a name, in all that reads it."""
        key = (step.module.path, step.scope, step.name, step.attribute)
        if key in self._seen:
            return ""
        self._seen.add(key)
        for module, scope, wanted in self._readers(step):
            for stmt in statements(module.body(scope)):
                for root in expressions(stmt, module.facts.scopes):
                    if isinstance(stmt, (Assign, Annotate)) and root is not stmt.value:
                        continue
                    for node, around in nested(root):
                        if isinstance(node, Ref) and (node.name == wanted or node.name.startswith(f"{wanted}.")):
                            found = self._use(module, scope, stmt, root, node, around, wanted)
                            if found:
                                return found
        return ""

    def _use(
        self,
        module: Module,
        scope: int,
        stmt: Stmt,
        root: Expr,
        node: Ref,
        around: Around,
        wanted: str,
    ) -> str:
        rest = node.name[len(wanted) + 1 :]
        if rest and around and isinstance(around[0], Call) and around[0].function is node:
            method = rest.rpartition(".")[2]
            if method in _OPENS:
                return f"{method}()"
            if method not in _SAME:
                return ""
            return self.from_node(module, scope, stmt, root, around[0], around[1:])
        if rest and rest.partition(".")[0] not in ("parent", "parents"):
            return ""
        return self.from_node(module, scope, stmt, root, node, around)

    def _readers(self, step: _Step) -> Iterator[tuple[Module, int, str]]:
        """The scopes that may read the name, and how it is written there."""
        module, facts = step.module, step.module.facts
        if step.attribute:
            for index, scope in enumerate(facts.scopes):
                if scope.kind == FUNCTION and scope.parent == step.scope and scope.parameters:
                    wanted = f"{scope.parameters[0].name}.{step.attribute}"
                    if _reads(scope.uses, wanted):
                        yield module, index, wanted
            return
        for index, scope in enumerate(facts.scopes):
            if not _reads(scope.uses, step.name):
                continue
            if index == step.scope or binding_scope(facts, index, step.name) == step.scope:
                yield module, index, step.name
        if step.scope == 0:
            yield from self._importing(step)

    def _importing(self, step: _Step) -> Iterator[tuple[Module, int, str]]:
        name = f"{step.module.path}:{step.name}"
        for path in sorted(self._project.imports.importers(step.module.path)):
            other = self._project.modules[path]
            for index in range(len(other.facts.scopes)) if step.name in other.mentions else ():
                for wanted in _spelled(other.scope(index).uses, step.name):
                    if name in self._project.resolve(other, index, wanted):
                        yield other, index, wanted


_NOWHERE = Return(0, 0, 0, None)


def _guarded(body: Sequence[Stmt]) -> Iterator[tuple[Stmt, tuple[Expr, ...]]]:
    """Every statement of a body with the tests it stands under."""
    stack: list[tuple[Stmt, tuple[Expr, ...]]] = [(stmt, ()) for stmt in reversed(body)]
    while stack:
        stmt, tests = stack.pop()
        yield stmt, tests
        inner = (*tests, stmt.test) if isinstance(stmt, If) else tests
        stack += [(one, inner) for block in reversed(blocks(stmt)) for one in reversed(block)]


def _asks(module: Module, scope: int, test: Expr, wanted: re.Pattern[str]) -> bool:
    """Whether a test reads something of such a name."""
    read = [node for node in walk(test) if isinstance(node, (Ref, Attribute))]
    return any(wanted.search(name) for node in read for name in (node.name, *module.names(scope, node)))


def _spelled(uses: Sequence[str], name: str) -> list[str]:
    """The chains up to and with ``name`` by which a scope may read it: ``NAME``, ``config.NAME``."""
    found = set()
    for chain in uses:
        parts = chain.split(".")
        if name in parts:
            found.add(".".join(parts[: parts.index(name) + 1]))
    return sorted(found)


def _reads(uses: Sequence[str], name: str) -> bool:
    return any(chain == name or chain.startswith(f"{name}.") for chain in uses)


def _gives_on(parent: Expr, child: Expr) -> bool:
    """Whether an expression's value is, or starts with, or holds, its part's."""
    if isinstance(parent, Format):
        return parent.parts[0] is child
    if isinstance(parent, Binary):
        return parent.op in ("+", "/", "%") and parent.left is child
    if isinstance(parent, Build):
        return any(item is child for item in parent.items)
    if isinstance(parent, Conditional):
        return parent.test is not child
    if isinstance(parent, Boolean):
        return parent.values[0] is child
    if isinstance(parent, Subscript):
        return parent.value is child
    return isinstance(parent, (Starred, Bind, Wait, Attribute)) and not isinstance(parent, Compare)


def _parameter_of(target: Definition, call: Call, child: Expr) -> str | None:
    """The parameter of a function that an argument fills."""
    parameters = target.scope.parameters
    for keyword in call.keywords:
        if keyword.value is child:
            return keyword.name if any(one.name == keyword.name for one in parameters) else None
    position = next((index for index, arg in enumerate(call.args) if arg is child), None)
    if position is None or any(isinstance(arg, Starred) for arg in call.args[: position + 1]):
        return None
    parent = target.parent
    if parent is not None and parent.is_class:
        static = any(isinstance(one, Ref) and one.name == "staticmethod" for one in target.scope.decorators)
        position += 0 if static else 1
    names = [one.name for one in parameters if one.kind not in (VARARGS, KWARGS)]
    return names[position] if position < len(names) else None
