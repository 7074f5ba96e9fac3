"""How trap options are declared as they are meant: the edits, and whether they keep every known command working."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from mldebt import cst
from mldebt.finding import Applicability, Edit, Fix, Place, Span

from .boolean_traps import BOOL, TEXT, Trap
from .launches import Launches, passes

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.project import Project

_SIMPLE = frozenset({"type", "default", "help", "dest", "required"})
_CONVERTER = 'lambda text: text.lower() in ("1", "true", "yes", "on")'
_KNOWN = re.compile(r"_?(?:str2bool|str_to_bool|strtobool|string_to_bool|parse_bool|str2boolean|boolean_string)")
_READERS = {"eval": ("ast", "literal_eval"), "dict": ("json", "loads"), "tuple": ("ast", "literal_eval")}


def mended(trap: Trap, project: Project) -> Fix | None:
    """The fix of a trap; None when the option has to be thought over."""
    declared = trap.declared
    module = declared.module
    fragment = module.open(declared.statement, declared.scope)
    node = fragment.find(module.span(declared.call), cst.Call) if fragment is not None else None
    if node is None:
        return None
    kind = next((arg for arg in node.args if arg.keyword is not None and arg.keyword.value == "type"), None)
    if trap.kind == TEXT:
        return _of_text(trap, module, node, kind)
    if kind is None:
        return None
    if trap.kind == BOOL:
        return _of_bool(trap, project, kind)
    if trap.kind == "list":
        return _of_list(trap, module, kind)
    return _by_reader(trap, module, kind)


def _of_bool(trap: Trap, project: Project, kind: cst.Arg) -> Fix:
    declared = trap.declared
    module = declared.module
    keywords = {keyword.name for keyword in declared.call.keywords}
    default = declared.constant("default")
    long = [flag for flag in declared.flags or () if flag.startswith("--")]
    fits = keywords <= _SIMPLE and bool(long) and (default is None or isinstance(default, bool))
    if fits and _has_optional_action(project) and not _is_given_a_value(trap, project):
        name, edits = _imported(module, "argparse", "BooleanOptionalAction")
        edit = module.replace(kind, f"action={name}")
        return Fix(Applicability.SAFE, f"Declare {long[0]} and --no-{long[0][2:]}", (*edits, edit))
    return Fix(Applicability.SUGGEST, "Convert the text", (module.replace(kind, f"type={_converter(module)}"),))


def _of_text(trap: Trap, module: Module, node: cst.Call, kind: cst.Arg | None) -> Fix | None:
    default = trap.declared.constant("default")
    given = {arg.keyword.value: arg for arg in node.args if arg.keyword is not None}
    if "choices" in given or not isinstance(default, str) or "default" not in given:
        return None
    value = default.lower() in ("true", "yes", "on")
    edits = [module.replace(given["default"], f"default={value}")]
    converted = f"type={_converter(module)}"
    if kind is not None:
        edits.append(module.replace(kind, converted))
    else:
        edits[0] = module.replace(given["default"], f"{converted}, default={value}")
    return Fix(Applicability.SUGGEST, "Make the option a boolean", tuple(edits))


def _of_list(trap: Trap, module: Module, kind: cst.Arg) -> Fix:
    default = trap.declared.constant("default")
    items = {type(one) for one in default} if isinstance(default, (list, tuple)) else set()
    element = next(iter(items)).__name__ if len(items) == 1 and items <= {int, float} else "str"
    counted = trap.declared.keyword("nargs") is not None
    text = f"type={element}" if counted else f'nargs="+", type={element}'
    return Fix(Applicability.SUGGEST, "Take several values", (module.replace(kind, text),))


def _by_reader(trap: Trap, module: Module, kind: cst.Arg) -> Fix | None:
    default = trap.declared.constant("default")
    if trap.kind == "eval" and isinstance(default, (int, float)) and not isinstance(default, bool):
        return Fix(Applicability.SUGGEST, "Read a number", (module.replace(kind, f"type={type(default).__name__}"),))
    if trap.kind not in _READERS:
        return None
    name, edits = _imported(module, *_READERS[trap.kind])
    return Fix(Applicability.SUGGEST, f"Read the value with {name}", (*edits, module.replace(kind, f"type={name}")))


def _converter(module: Module) -> str:
    """A converter the file has already, or one that stands for itself."""
    return next((name for name in module.facts.scopes[0].bindings if _KNOWN.fullmatch(name)), _CONVERTER)


def _imported(module: Module, library: str, attribute: str) -> tuple[str, tuple[Edit, ...]]:
    """How a file spells ``library.attribute``, and the import it needs for that."""
    for one in module.facts.imports:
        if one.scope == 0 and not one.level and one.module == library:
            if one.attribute is None:
                return f"{one.bound}.{attribute}", ()
            if one.attribute == attribute:
                return one.bound, ()
    lines = [
        one.line for one in module.facts.imports if one.scope == 0 and one.module != "__future__" and not one.column
    ]
    future = [one.line + 1 for one in module.facts.imports if one.module == "__future__"]
    at = min(lines) if lines else max(future, default=1)
    return f"{library}.{attribute}", (Edit(Place(module.path, Span(at, 1, at, 1)), f"import {library}\n"),)


def _has_optional_action(project: Project) -> bool:
    """``BooleanOptionalAction`` came with Python 3.9."""
    required = project.repository.requires_python
    try:
        return required is None or not SpecifierSet(required).contains("3.8.18")
    except InvalidSpecifier:
        return False


def _is_given_a_value(trap: Trap, project: Project) -> bool:
    """Whether a command, a configuration file or code passes a value to the option, which the fix would refuse."""
    declared = trap.declared
    flags = declared.flags or ()
    for launch in project[Launches].all:
        reached = project.imports.closure(launch.target) | {launch.target} if launch.target else {declared.module.path}
        if declared.module.path in reached and passes(launch, flags):
            return True
    quoted = re.compile("|".join(rf"[\"']{re.escape(flag)}(?:=|[\"'])" for flag in flags))
    declared_here = sum(flag in (one or ()) for flag in flags for one in [declared.flags])
    found = sum(len(quoted.findall(module.source.text)) for module in project.modules.values() if _may_hold(module))
    if found > declared_here:
        return True
    return any(
        isinstance(leaf.value, str) and any(flag in leaf.value for flag in flags)
        for config in project.repository.configs
        for leaf in config.leaves
    )


def _may_hold(module: Module) -> bool:
    return module.role == "project"
