"""Rewrites of an example that must not change a rule's verdict: other spellings of the same program.

Each takes files (name to text) and gives files, or None where it does not apply. Only what is certainly the same
program is rewritten; everything else is left alone.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import PurePosixPath

Files = Mapping[str, str]
_BUILTINS = frozenset(dir(builtins))
_LIBRARIES = frozenset("numpy torch sklearn random scipy pandas tensorflow keras torchvision os math jax".split())
_ScopeNode = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class Text:
    """A source text that is edited by ``ast`` positions."""

    def __init__(self, text: str) -> None:
        self.text, self.tree = text, ast.parse(text)
        self._starts = [0]
        for line in text.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line.encode()))
        self._edits: list[tuple[int, int, str]] = []

    def replace(self, node: ast.AST, text: str) -> None:
        start = self._starts[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
        end = self._starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]
        self._edits.append((start, end, text))

    def replace_lines(self, first: int, last: int, text: str) -> None:
        self._edits.append((self._starts[first - 1], self._starts[last], text))

    def result(self, before: str = "") -> str:
        data = self.text.encode()
        for start, end, text in sorted(self._edits, reverse=True):
            data = data[:start] + text.encode() + data[end:]
        return before + data.decode()


def variants(files: Files) -> Iterator[tuple[str, dict[str, str]]]:
    """Every rewrite that applies, by name."""
    for name, rewrite in REWRITES.items():
        changed = rewrite(files)
        if changed is not None and changed != dict(files):
            yield name, changed


def _each(files: Files, rewrite: Callable[[str], str | None]) -> dict[str, str] | None:
    changed = {path: rewrite(text) if path.endswith(".py") else None for path, text in files.items()}
    if not any(changed.values()):
        return None
    return {path: text if new is None else new for path, new in changed.items() for text in [files[path]]}


def alias_imports(files: Files) -> dict[str, str] | None:
    """``import numpy as np`` becomes ``import numpy as np_0``."""
    return _each(files, _alias)


def _alias(source: str) -> str | None:
    text = Text(source)
    renamed: dict[str, str] = {}
    for node in text.tree.body:
        if not isinstance(node, (ast.Import, ast.ImportFrom)) or getattr(node, "module", "") == "__future__":
            continue
        for alias in node.names:
            bound = alias.asname or alias.name
            if "." in bound or bound == "*" or not _bound_once(text.tree, bound) or _exported(text.tree, bound):
                continue
            renamed[bound] = f"{bound}_0"
            text.replace(alias, f"{alias.name} as {bound}_0")
    for name in ast.walk(text.tree):
        if isinstance(name, ast.Name) and name.id in renamed:
            text.replace(name, renamed[name.id])
    return text.result() if renamed else None


def from_imports(files: Files) -> dict[str, str] | None:
    """``np.random.seed(0)`` becomes ``seed_0(0)`` after ``from numpy.random import seed as seed_0``."""
    return _each(files, lambda source: _short(source, lambda names: "".join(_import_line(*name) for name in names)))


def re_exports(files: Files) -> dict[str, str] | None:
    """The same names, imported through ``reexported/__init__.py``."""
    return _through_package(files, lambda names: f"from reexported import {', '.join(sorted(n[2] for n in names))}\n")


def star_imports(files: Files) -> dict[str, str] | None:
    """The same names, imported by ``from reexported import *``."""
    return _through_package(files, lambda _: "from reexported import *\n")


def _through_package(files: Files, line: Callable[[set[tuple[str, str, str]]], str]) -> dict[str, str] | None:
    exported: set[tuple[str, str, str]] = set()

    def through(names: set[tuple[str, str, str]]) -> str:
        exported.update(names)
        return line(names)

    changed = _each(files, lambda source: _short(source, through))
    if changed is None:
        return None
    inner = "".join(_import_line(*name) for name in sorted(exported))
    return {**changed, "reexported/__init__.py": "from .inner import *\n", "reexported/inner.py": inner}


def _import_line(module: str, name: str, bound: str) -> str:
    return f"from {module} import {name} as {bound}\n"


def _short(source: str, imported: Callable[[set[tuple[str, str, str]]], str]) -> str | None:
    """Library functions called through a module are called by a name of their own."""
    text = Text(source)
    modules = {
        alias.asname or alias.name: alias.name
        for node in text.tree.body
        if isinstance(node, ast.Import)
        for alias in node.names
        if ("." not in alias.name or alias.asname) and alias.name.split(".")[0] in _LIBRARIES
    }
    names: set[tuple[str, str, str]] = set()
    for node in ast.walk(text.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            chain = _chain(node.func)
            if (
                chain
                and chain[0] in modules
                and _bound_once(text.tree, chain[0])
                and all(p.islower() for p in chain[1:-1])
            ):
                bound = f"{chain[-1]}_0"
                names.add((".".join([modules[chain[0]], *chain[1:-1]]), chain[-1], bound))
                text.replace(node.func, bound)
    if not names or len({name[2] for name in names}) < len(names):
        return None
    result = text.result()
    first = _first_statement(ast.parse(result))
    rows = result.splitlines(keepends=True)
    return "".join([*rows[: first - 1], imported(names), *rows[first - 1 :]])


def _first_statement(tree: ast.Module) -> int:
    for node in tree.body:
        documented = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        if not documented and not future:
            return node.lineno
    return 1


def callee_moved(files: Files) -> dict[str, str] | None:
    """Functions that need nothing but imports and each other move into a sibling file."""
    added: dict[str, str] = {}
    for path, source in files.items():
        if path.endswith(".py") and not path.endswith("__init__.py"):
            moved = _move(path, source, files)
            if moved is not None:
                added.update(moved)
    return {**files, **added} if added else None


def _move(path: str, source: str, files: Files) -> dict[str, str] | None:
    text = Text(source)
    imports = [node for node in text.tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    known = {alias.asname or alias.name.split(".")[0] for node in imports for alias in node.names} | _BUILTINS
    called = {n.func.id for n in ast.walk(text.tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    functions = [
        node
        for node in text.tree.body
        if isinstance(node, ast.FunctionDef)
        and not node.decorator_list
        and node.name in called
        and node.name != "main"
        and _free(node) <= known | {node.name}
    ]
    if not functions:
        return None
    rows = source.splitlines(keepends=True)
    sibling = f"{PurePosixPath(path).stem}_moved"
    folder = PurePosixPath(path).parent
    dot = "." if str(folder / "__init__.py") in files else ""
    for node in functions:
        text.replace_lines(node.lineno, node.end_lineno or 0, f"from {dot}{sibling} import {node.name}\n")
    body = "\n\n".join("".join(rows[node.lineno - 1 : node.end_lineno]) for node in functions)
    head = "".join("".join(rows[node.lineno - 1 : node.end_lineno]) for node in imports)
    return {path: text.result(), str(folder / f"{sibling}.py"): f"{head}\n\n{body}"}


def wrapped(files: Files) -> dict[str, str] | None:
    """Code at module level moves into a function that is called at the end."""
    if any(_imported_elsewhere(path, files) for path in files if path.endswith(".py")):
        return None
    return _each(files, _wrap)


def _wrap(source: str) -> str | None:
    text = Text(source)
    loose = [node for node in text.tree.body if not isinstance(node, (*_ScopeNode, ast.Import, ast.ImportFrom))]
    first = next(
        (index for index, node in enumerate(text.tree.body) if node in loose and not _is_docstring(node)), None
    )
    loose = [node for node in loose if not _is_docstring(node)]
    if first is None or text.tree.body[first:] != loose or any(_mentions_main(node) for node in loose):
        return None
    rows = source.splitlines(keepends=True)
    start = loose[0].lineno
    functions = [node for node in text.tree.body[:first] if isinstance(node, _ScopeNode)]
    assigned = {
        n.id for node in loose for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
    if any(assigned & _free(node) for node in functions) or "'''" in source or '"""' in "".join(rows[start - 1 :]):
        return None
    body = "".join(f"    {row}" if row.strip() else row for row in rows[start - 1 :])
    return "".join(rows[: start - 1]) + "def run_all():\n" + body.rstrip("\n") + "\n\n\nrun_all()\n"


def made_methods(files: Files) -> dict[str, str] | None:
    """Functions called only in their own file become static methods of a class."""
    return _each(files, lambda source: None if _shared(source, files) else _methods(source))


def _methods(source: str) -> str | None:
    text = Text(source)
    functions = [
        node
        for node in text.tree.body
        if isinstance(node, ast.FunctionDef)
        and not node.decorator_list
        and node.name != "main"
        and _only_called(text.tree, node.name)
    ]
    if not functions or '"""' in source:
        return None
    rows = source.splitlines(keepends=True)
    for node in functions:
        body = "".join(f"    {row}" if row.strip() else row for row in rows[node.lineno - 1 : node.end_lineno])
        text.replace_lines(node.lineno, node.end_lineno or 0, "")
        holder = f"class Holder_{node.name}:\n    @staticmethod\n{body}\n"
        text._edits[-1] = (*text._edits[-1][:2], holder)
    inside = {id(n) for node in functions for n in ast.walk(node)}
    names = {node.name for node in functions}
    for call in ast.walk(text.tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in names:
            if id(call) in inside:
                return None  # edits would overlap
            text.replace(call.func, f"Holder_{call.func.id}.{call.func.id}")
    return text.result()


def renamed_locals(files: Files) -> dict[str, str] | None:
    """Local variables of functions become ``v1``, ``v2`` ..."""
    return _each(files, _rename)


def _rename(source: str) -> str | None:
    text = Text(source)
    changed = False
    for function in ast.walk(text.tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        inner = [n for n in ast.walk(function) if isinstance(n, (*_ScopeNode, ast.Lambda)) and n is not function]
        declared = {name for n in ast.walk(function) if isinstance(n, (ast.Global, ast.Nonlocal)) for name in n.names}
        if inner or any(isinstance(n, ast.ExceptHandler) and n.name for n in ast.walk(function)):
            continue
        stored = [n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
        parameters = {arg.arg for arg in ast.walk(function.args) if isinstance(arg, ast.arg)}
        names = {name: f"v{i}" for i, name in enumerate(dict.fromkeys(stored), 1) if name not in declared | parameters}
        for node in ast.walk(function):
            if isinstance(node, ast.Name) and node.id in names:
                text.replace(node, names[node.id])
                changed = True
    return text.result() if changed else None


def _chain(node: ast.expr) -> list[str] | None:
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [node.id, *reversed(parts)] if isinstance(node, ast.Name) else None


def _names_bound(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, _ScopeNode):
            yield node.name
        elif isinstance(node, ast.alias):
            yield node.asname or node.name.split(".")[0]
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            yield from node.names


def _bound_once(tree: ast.AST, name: str) -> bool:
    return sum(bound == name for bound in _names_bound(tree)) == 1


def _exported(tree: ast.Module, name: str) -> bool:
    """Other files may import it from here: a package's ``__init__``, or ``__all__`` names it."""
    return any(isinstance(node, ast.Constant) and node.value == name for node in ast.walk(tree)) or not any(
        isinstance(node, ast.Name) and node.id == name for node in ast.walk(tree)
    )


def _free(function: ast.AST) -> set[str]:
    bound = set(_names_bound(function))
    return {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and n.id not in bound}


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _mentions_main(node: ast.AST) -> bool:
    return any(isinstance(n, ast.Name) and n.id in ("__name__", "__all__") for n in ast.walk(node))


def _imports(files: Files) -> Iterable[tuple[str, str]]:
    for path, source in files.items():
        if path.endswith(".py"):
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.Import):
                    yield from ((path, alias.name) for alias in node.names)
                elif isinstance(node, ast.ImportFrom):
                    yield path, node.module or ""
                    yield from ((path, alias.name) for alias in node.names)


def _imported_elsewhere(path: str, files: Files) -> bool:
    stem = PurePosixPath(path).stem
    return any(name.split(".")[-1] == stem and importer != path for importer, name in _imports(files))


def _shared(source: str, files: Files) -> bool:
    return any(_imported_elsewhere(path, files) for path, text in files.items() if text == source)


def _only_called(tree: ast.Module, name: str) -> bool:
    called = {id(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
    uses = [n for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id == name]
    return bool(uses) and all(id(use) in called for use in uses) and _bound_once(tree, name)


REWRITES: Mapping[str, Callable[[Files], dict[str, str] | None]] = {
    "alias": alias_imports,
    "from-import": from_imports,
    "re-export": re_exports,
    "star-import": star_imports,
    "callee-moved": callee_moved,
    "wrapped": wrapped,
    "made-methods": made_methods,
    "locals-renamed": renamed_locals,
}
