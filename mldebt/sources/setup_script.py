"""setup.py as a manifest: the constant arguments of its ``setup()`` call. It is parsed, never run."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping

from msgspec import Struct

from mldebt.sources.artefacts import Dependency, EntryPoint
from mldebt.sources.manifests import Manifest, entry_point_lines, requirement, script_entry

_CHANGES = frozenset({"append", "extend", "insert", "remove", "update", "pop"})
_MAX_STEPS = 20_000


class _Text(Struct, frozen=True):
    """A constant string and the line it stands on."""

    value: str
    line: int


def read_setup(text: str, path: str) -> Manifest:
    """Read what ``setup()`` is given: constants, and names the module binds once to them. Anything else is absent."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            tree = ast.parse(text)
    except SyntaxError as error:
        return Manifest(path, problems=((error.lineno or 1, f"not valid Python: {error.msg}"),))
    except (ValueError, RecursionError, MemoryError) as error:
        return Manifest(path, problems=((1, f"not valid Python: {error}"),))
    names = _constants(tree)
    call = next((node for node in ast.walk(tree) if _is_setup(node)), None)
    if not isinstance(call, ast.Call):
        return Manifest(path)
    given = _keywords(call, names)

    def value(name: str) -> str | None:
        node = given.get(name)
        return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None

    packages = given.get("packages")
    finds = isinstance(packages, ast.Call) and "find" in _callee(packages)
    return Manifest(
        path,
        name=value("name"),
        requires_python=value("python_requires"),
        installable=True,
        packages=tuple(_directory(item.value, given.get("package_dir")) for item in _texts(packages, names)),
        find_in=(next(iter(_finding(packages, "where", 0, names)), "."),) if finds else (),
        include=_finding(packages, "include", 2, names) if finds else (),
        exclude=_finding(packages, "exclude", 1, names) if finds else (),
        dependencies=tuple(_dependencies(given, names, path)),
        entry_points=tuple(_entry_points(given, names, path)),
    )


def _is_setup(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    return _callee(node) == "setup"


def _callee(call: ast.Call) -> str:
    """The last part of the called name."""
    if isinstance(call.func, ast.Name):
        return call.func.id
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def _constants(tree: ast.Module) -> dict[str, ast.expr]:
    """The module's names with one plain assignment in the whole file, and no other change."""
    bound: dict[str, ast.expr] = {}
    several: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            several |= {node.id} & bound.keys()
            bound.setdefault(node.id, node)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr in _CHANGES:
            several.add(node.value.id)
    values = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return {name: value for name, value in values.items() if name not in several}


def _keywords(call: ast.Call, names: Mapping[str, ast.expr]) -> dict[str, ast.expr]:
    """The arguments of the call, those of a ``**`` of a constant dict included."""
    given: dict[str, ast.expr] = {}
    for keyword in call.keywords:
        if keyword.arg is not None:
            given[keyword.arg] = _named(keyword.value, names)
            continue
        spread = _named(keyword.value, names)
        if isinstance(spread, ast.Dict):
            for key, item in zip(spread.keys, spread.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    given[key.value] = _named(item, names)
    return given


def _named(node: ast.expr, names: Mapping[str, ast.expr]) -> ast.expr:
    return names.get(node.id, node) if isinstance(node, ast.Name) else node


def _texts(node: ast.expr | None, names: Mapping[str, ast.expr]) -> Iterator[_Text]:
    """The constant strings of a list, a sum of lists or a named one, in order; the rest is passed over."""
    stack = [node] if node is not None else []
    steps = 0
    while stack and steps < _MAX_STEPS:
        steps += 1
        item = _named(stack.pop(), names)
        if isinstance(item, ast.Constant) and isinstance(item.value, str):
            yield _Text(item.value, item.lineno)
        elif isinstance(item, (ast.List, ast.Tuple, ast.Set)):
            stack.extend(reversed(item.elts))
        elif isinstance(item, ast.BinOp) and isinstance(item.op, ast.Add):
            stack.extend((item.right, item.left))
        elif isinstance(item, ast.Starred):
            stack.append(item.value)


def _dependencies(given: Mapping[str, ast.expr], names: Mapping[str, ast.expr], path: str) -> Iterator[Dependency]:
    groups: list[tuple[str, ast.expr | None]] = [("", given.get("install_requires"))]
    extras = given.get("extras_require")
    if isinstance(extras, ast.Dict):
        pairs = zip(extras.keys, extras.values, strict=True)
        groups.extend((str(key.value), item) for key, item in pairs if isinstance(key, ast.Constant))
    groups.append(("test", given.get("tests_require")))
    for group, node in groups:
        for text in _texts(node, names):
            for offset, line in enumerate(text.value.split("\n")):
                if dependency := requirement(line, path, text.line + offset, group):
                    yield dependency


def _entry_points(given: Mapping[str, ast.expr], names: Mapping[str, ast.expr], path: str) -> Iterator[EntryPoint]:
    declared = given.get("entry_points")
    if isinstance(declared, ast.Dict):
        for key, item in zip(declared.keys, declared.values, strict=True):
            if isinstance(key, ast.Constant):
                lines = [(text.line, text.value) for text in _texts(item, names)]
                yield from entry_point_lines(str(key.value), lines, path)
    elif isinstance(declared, ast.Constant) and isinstance(declared.value, str):
        group = ""
        for offset, line in enumerate(declared.value.split("\n")):
            if line.strip().startswith("["):
                group = line.strip().strip("[]").strip()
            else:
                yield from entry_point_lines(group, [(declared.lineno + offset, line)], path)
    for text in _texts(given.get("scripts"), names):
        yield script_entry(text.value, path, text.line)


def _finding(call: ast.expr | None, name: str, position: int, names: Mapping[str, ast.expr]) -> tuple[str, ...]:
    """The constant strings of an argument of ``find_packages(where, exclude, include)``."""
    if not isinstance(call, ast.Call):
        return ()
    given = [*call.args[position : position + 1], *(keyword.value for keyword in call.keywords if keyword.arg == name)]
    return tuple(text.value for node in given for text in _texts(node, names))


def _directory(package: str, package_dir: ast.expr | None) -> str:
    """The directory of a package name under a constant ``package_dir``."""
    parts = package.replace(".", "/")
    if isinstance(package_dir, ast.Dict):
        for key, item in zip(package_dir.keys, package_dir.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(item, ast.Constant) and isinstance(item.value, str):
                if key.value == "":
                    return f"{item.value.rstrip('/')}/{parts}".removeprefix("./")
                if package == key.value:
                    return item.value
    return parts
