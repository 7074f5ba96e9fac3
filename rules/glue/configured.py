"""What an option is when nobody says otherwise: the default of a parser, the leaf of a configuration file, a field."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mldebt.facts.arguments import UNKNOWN, argument
from mldebt.facts.schema import Annotate, Attribute, Call, Const, Expr, Ref, Subscript
from mldebt.rule import Analysis

from ..configuration.lineage import CALL, INSTANCE, Lineage  # noqa: TID252 - installed under another name
from ..configuration.owners import Owner, Owners  # noqa: TID252 - installed under another name
from ..configuration.parsers import Parsers  # noqa: TID252 - installed under another name

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project
    from mldebt.sources.artefacts import ConfigFile

Valued = tuple["Module", int, Expr]
_FLAGS = frozenset({"absl.flags.DEFINE_string", "tensorflow.flags.DEFINE_string", "absl.flags.DEFINE_enum"})
_FLAG_OBJECTS = frozenset({"FLAGS", "flags.FLAGS", "absl.flags.FLAGS"})
_CLICK = frozenset({"click.option", "click.argument"})
_GROUPS_DEEP = 4
_INTERPOLATION = re.compile(r"\$\{([^${}]*)\}")


class Configured(Analysis):
    """Answers the one value of an option, as a text or as the expression that gives it; None when it has several."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._flags: dict[str, dict[str, Expr]] = {}

    def value(self, module: Module, scope: int, expr: Expr) -> str | Valued | None:
        """What ``args.out``, ``cfg.data.path`` or ``cfg["data"]["path"]`` is by default."""
        if not _is_read(expr):
            return None
        flag = self._flag(module, scope, expr)
        if flag is not None:
            return flag
        # One option may have several owners (a test's parser, a second file): only agreement tells.
        found: dict[object, str | Valued] = {}
        for owner in sorted(self.project[Owners].of(module, scope, expr)):
            for value in self._of(owner):
                found.setdefault(value if isinstance(value, str) else id(value[2]), value)
        if not found:
            found = {id(value[2]): value for value in self._fields(module, scope, expr)}
        values = list(found.values())
        return values[0] if len(values) == 1 else None

    def _of(self, owner: Owner) -> Iterator[str | Valued]:
        kind, identity, *section = owner
        if not section:
            return
        if kind == "parser":
            yield from self._declared(identity, section)
        elif kind == "file":
            yield from self._leaf(identity, section)
        elif kind == "hydra":
            yield from self._composed(identity, section)
        elif kind == "class":
            definition = self.project.definition(identity) if ":" in identity else None
            if definition is not None:
                yield from self._field(definition, section)

    def _declared(self, parser: str, section: Sequence[str]) -> Iterator[Valued]:
        """The default of an argparse option."""
        path = parser.split(":", 1)[0]
        if len(section) != 1:
            return
        declared = self.project[Parsers].by_dest.get(section[0], ())
        own = [one for one in declared if one.module.path == path] or declared
        for one in own if len(own) == 1 else ():
            default = one.keyword("default")
            if default is not None:
                yield one.module, one.scope, default

    def _leaf(self, file: str, section: Sequence[str]) -> Iterator[str]:
        for config in self._files(file):
            for leaf in config.leaves:
                if leaf.keys == tuple(section) and isinstance(leaf.value, str):
                    yield _interpolated(leaf.value, config)

    def _files(self, name: str) -> list[ConfigFile]:
        """The configuration files a path may mean: that one, else those it is the end of."""
        configs = self.project.repository.configs
        exact = [config for config in configs if config.path == name]
        ending = f"/{name.lstrip('./')}"
        return exact or [config for config in configs if config.path.endswith(ending)]

    def _composed(self, config: str, section: Sequence[str]) -> Iterator[str]:
        """A leaf of a hydra configuration: of the main file, else of a group's files."""
        folder = posixpath.dirname(config)
        main = [one for one in self.project.repository.configs if posixpath.splitext(one.path)[0] == config]
        for one in main:
            values = [leaf.value for leaf in one.leaves if leaf.keys == tuple(section)]
            if values:
                yield from (_interpolated(value, one) for value in values if isinstance(value, str))
                return
        for count in range(1, min(len(section), _GROUPS_DEEP)):
            group = posixpath.join(folder, *section[:count])
            for one in self.project.repository.configs:
                if posixpath.dirname(one.path) == group:
                    for leaf in one.leaves:
                        if leaf.keys == tuple(section[count:]) and isinstance(leaf.value, str):
                            yield _interpolated(leaf.value, one)

    def _fields(self, module: Module, scope: int, expr: Expr) -> Iterator[Valued]:
        """The field of a class whose instance is read: by its construction, or by its annotation."""
        for one in self.project[Lineage].of(module, scope, expr):
            if one.kind in (INSTANCE, CALL) and one.section and ":" in one.name:
                definition = self.project.definition(one.name)
                if definition is not None and definition.is_class:
                    yield from self._field(definition, one.section)

    def _field(self, owner: Definition, section: Sequence[str]) -> Iterator[Valued]:
        for name in self.project.mro(owner.name):
            definition = self.project.definition(name) if ":" in name else None
            if definition is None:
                continue
            for stmt in definition.body:
                if isinstance(stmt, Annotate) and isinstance(stmt.target, Ref) and stmt.target.name == section[0]:
                    if len(section) > 1:
                        yield from self._nested(definition, stmt, section[1:])
                    elif (value := _default(stmt.value)) is not None:
                        yield definition.module, definition.index, value
                    return

    def _nested(self, owner: Definition, stmt: Annotate, section: Sequence[str]) -> Iterator[Valued]:
        for name in self.project.types.annotated(owner.module, owner.index, stmt.annotation):
            definition = self.project.definition(name) if ":" in name else None
            if definition is not None and definition.is_class:
                yield from self._field(definition, section)

    # absl and click.

    def _flag(self, module: Module, scope: int, expr: Expr) -> Valued | None:
        """``FLAGS.data_dir`` by its ``DEFINE_string``."""
        if not isinstance(expr, Ref) or "FLAGS" not in expr.name:
            return None
        head, _, last = expr.name.rpartition(".")
        if head not in _FLAG_OBJECTS:
            return None
        known = self._flags.get(module.path)
        if known is None:
            known = self._flags[module.path] = {}
            for _, site in module.calls_of(_FLAGS):
                name = argument(site.call, "name", 0)
                default = argument(site.call, "default", 1)
                if isinstance(name, Const) and isinstance(name.value, str) and isinstance(default, Const):
                    known[name.value] = default
        return (module, 0, known[last]) if last in known else None

    def parameter(self, definition: Definition, name: str) -> Valued | None:
        """What a parameter is when nobody in the project calls the function: click's default, or its own."""
        outer = max(definition.scope.parent, 0)
        for decorator in definition.scope.decorators:
            if isinstance(decorator, Call) and _CLICK.intersection(definition.module.names(outer, decorator.function)):
                flags = [arg.value for arg in decorator.args if isinstance(arg, Const) and isinstance(arg.value, str)]
                if name in {flag.lstrip("-").replace("-", "_") for flag in flags}:
                    default = argument(decorator, "default")
                    return None if default is None or default is UNKNOWN else (definition.module, outer, default)
        declared = next((one.default for one in definition.scope.parameters if one.name == name), None)
        value = _default(declared)
        return (definition.module, outer, value) if value is not None else None


def _interpolated(value: str, config: ConfigFile, depth: int = _GROUPS_DEEP) -> str:
    """A leaf with OmegaConf's ``${a.b}`` put in from its own file; what is not there is unknown."""

    def known(match: re.Match[str]) -> str:
        name = match[1].strip()
        if name.startswith("oc.env:"):
            return name.partition(",")[2].strip() or "*"
        keys = tuple(name.split("."))
        found = next((leaf.value for leaf in config.leaves if leaf.keys == keys), None)
        if found is None or not depth:
            return "*"
        return _interpolated(str(found), config, depth - 1)

    return _INTERPOLATION.sub(known, value) if "${" in value else value


_WRAPPERS = frozenset({"field", "Field", "Option", "Argument"})


def _default(value: Expr | None) -> Expr | None:
    """``"x"`` of ``"x"``, ``field(default="x")``, ``Field("x")`` and ``typer.Option("x")``."""
    function = value.function if isinstance(value, Call) else None
    wrapped = isinstance(function, (Ref, Attribute)) and function.name.rpartition(".")[2] in _WRAPPERS
    if isinstance(value, Call) and wrapped:
        given = argument(value, "default", 0)
        return None if given is UNKNOWN or given is None else given
    if isinstance(value, Const) and value.value is None:
        return None
    return value


def _is_read(expr: Expr) -> bool:
    if isinstance(expr, (Ref, Attribute)):
        return "." in expr.name or isinstance(expr, Attribute)
    return isinstance(expr, (Subscript, Call))
