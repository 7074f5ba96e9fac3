"""The rooms of the house, as tables: who may import whom, who holds which door, and how big anything may grow."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[1]

# From the ground up. A room imports rooms below it and its own files; a folder is one room.
ROOMS = (
    "errors finding cst __init__",
    "settings",
    "config configure",
    "sources",
    "facts",
    "tree",
    "inference",
    "module",
    "project",
    "announced",
    "rule view",
    "registry",
    "page",
    "rulebook",
    "judge",
    "fingerprint weights cache",
    "score waivers fixes baseline baseline_format changes",
    "applicability size reading",
    "comparing",
    "report",
    "locating mending",
    "pipeline alone",
    "variants",
    "testing",
    "server",
    "adopting",
    "cli",
    "flake8",
)
LEVEL = {room: level for level, rooms in enumerate(ROOMS) for room in rooms.split()}

# What a rule may import of the core, for types or for use: the interface rule packs of others are written against.
FOR_RULES = frozenset(
    {
        "mldebt.cst",
        "mldebt.rule",
        "mldebt.view",
        "mldebt.finding",
        "mldebt.module",
        *(f"mldebt.facts.{name}" for name in "schema walk flow graph names arguments constants comments".split()),
        *(f"mldebt.sources.{name}" for name in "artefacts dvc_templates launchers shell text".split()),
    }
)
# Families whose rules stand on another family's analyses.
STANDS_ON = {
    "configuration": {"glue"},  # artefacts link the programs whose settings must agree
    "experiments": {"configuration"},  # flags are options
    "glue": {"experiments", "configuration"},  # options give paths
    "data": {"glue", "configuration"},  # rows pass from program to program through artefacts; programs share models
    "practices": {"randomness", "configuration", "experiments", "plain_data"},
}

# Doors to the outside, and to what is dear: each is opened in these files only.
DOORS = {
    "libcst": {"tree", "cst"},
    "astroid": {"inference"},
    "subprocess": {"sources.git"},
    "tomlkit": {"adopting.toml_files"},
    "yaml": {"adopting.hooks", "sources.yaml_leaves"},
    "sqlite3": {"cache"},
    "multiprocessing": {"reading"},
    "concurrent": {"reading"},
    "importlib": {"announced", "registry", "cli.main", "cli.rendering"},
    "click": {"cli"},
    "rich": {"cli", "report"},
    "platformdirs": {"cli"},
    "pygls": {"server"},
    "lsprotocol": {"server"},
}
NEVER_IMPORTED = frozenset("socket urllib http ssl ftplib asyncio pickle marshal shelve runpy code codeop imp".split())
NEVER_CALLED = frozenset({"eval", "exec", "__import__", "breakpoint"})
CHANGES = frozenset("append add update setdefault extend insert pop popitem remove discard clear".split())

BROAD = {
    ("mldebt.judge", "guarded"): "one rule's bug must not lose the others' findings",
    ("mldebt.registry", "_from_package"): "raises PluginError",
    ("mldebt.registry", "_from_file"): "raises PluginError",
    ("mldebt.cli.main", "main"): "the last resort: a bug leaves with 2",
    ("mldebt.server.runs", "_attempt"): "a bug in one scan must not end the server",
    ("mldebt.cache", "_transaction"): "rolls back and raises again",
}

LONGEST_FILE, LONGEST_FUNCTION = 300, 40
LONGER_FILES = {
    "mldebt.facts.extract": "one walk over every kind of statement: split, each part would need the others",
    "mldebt.facts.graph": "one control-flow graph: every kind of statement has its edges here",
    "mldebt.facts.schema": "declarations only: the body IR",
    "mldebt.project.types": "one recursion over every kind of expression",
    "mldebt.project.project": "the interface of the project: one short method a question",
    "mldebt.variants": "one rewrite after another, each short",
}
LONGER_FUNCTIONS = {
    ("mldebt.pipeline", "_line"): "the line: one stage after another, and no stage hidden",
    ("mldebt.facts.extract", "_define"): "one definition's facts, in the order Python evaluates them",
    ("mldebt.configure", "configure"): "one argument a line",
}


@dataclass(frozen=True)
class File:
    name: str  # mldebt.facts.walk, mldebt_rules.glue.cohesion
    text: str
    is_package: bool = False

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def room(self) -> str:
        return self.name.split(".")[1] if "." in self.name else "__init__"

    def imports(self, *, types: bool) -> Iterator[str]:
        """Dotted names of the modules it imports; ``types``: those under ``if TYPE_CHECKING`` too."""
        pending: list[ast.AST] = [self.tree]
        while pending:
            node = pending.pop()
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test) and not types:
                pending += node.orelse
                continue
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                package = self.name.split(".")[: len(self.name.split(".")) - node.level + self.is_package]
                base = ".".join([*(package if node.level else ()), *([node.module] if node.module else ())])
                yield from (
                    full if (full := f"{base}.{alias.name}") in ALL or not node.module else base for alias in node.names
                )
            pending += ast.iter_child_nodes(node)

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        for node in ast.walk(self.tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield node


def files(folder: str, package: str) -> dict[str, File]:
    found = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        parts = [package, *path.relative_to(ROOT / folder).with_suffix("").parts]
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        found[name] = File(name, path.read_text(encoding="utf-8"), is_package)
    return found


CORE = files("mldebt", "mldebt")
RULES = files("rules", "mldebt_rules")
ALL: Mapping[str, File] = {**CORE, **RULES}


def test_imports_are_seen_in_every_form() -> None:
    text = """
        import mldebt.rule
        from mldebt import waivers
        from . import flow
        from .schema import Call
        if TYPE_CHECKING:
            from mldebt.cli import main
        def late():
            from mldebt import pipeline
    """
    file = File("mldebt.facts.example", dedent(text))
    late = {"mldebt.rule", "mldebt.waivers", "mldebt.facts.flow", "mldebt.facts.schema", "mldebt.pipeline"}
    assert set(file.imports(types=False)) == late
    assert set(file.imports(types=True)) == late | {"mldebt.cli.main"}


def test_every_room_has_its_place() -> None:
    assert {file.room for file in CORE.values()} == set(LEVEL)


def test_imports_go_downward() -> None:
    upward = {
        (file.name, name)
        for file in CORE.values()
        for name in file.imports(types=False)
        if name.split(".")[0] == "mldebt" and (room := CORE[known(name)].room) != file.room
        if LEVEL[room] > LEVEL[file.room]
    }
    assert upward == set()


def known(name: str) -> str:
    """The module an import reaches: ``mldebt.errors`` for ``mldebt.errors.UsageError``."""
    return name if name in ALL else known(name.rpartition(".")[0])


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = {name: {each for each in file.imports(types=False) if each in ALL} for name, file in ALL.items()}
    while leaves := [name for name, targets in graph.items() if not targets & graph.keys() - {name}]:
        for name in leaves:
            del graph[name]
    assert graph == {}


def test_the_core_knows_no_rule() -> None:
    for file in CORE.values():
        words = {node.value for node in ast.walk(file.tree) if isinstance(node, ast.Constant)}
        assert "mldebt_rules" not in file.text, file.name
        assert not {word for word in words if isinstance(word, str) and re.fullmatch(r"MLD[1-9]\d\d", word)}, file.name


def test_rules_stand_on_the_public_interface_and_their_family() -> None:
    private = set()
    for file in RULES.values():
        for name in file.imports(types=True):
            head, *rest = name.split(".")
            if head == "mldebt" and name not in FOR_RULES and not name.startswith("mldebt.project."):
                private.add((file.name, name))
            if head == "mldebt_rules" and rest and rest[0] not in {file.room, *STANDS_ON.get(file.room, ())}:
                private.add((file.name, name))
    assert private == set()


def test_doors_are_opened_where_they_are_kept() -> None:
    through = {
        (file.name, name)
        for file in ALL.values()
        for name in file.imports(types=False)
        if (head := name.split(".")[0]) in NEVER_IMPORTED
        or (head in DOORS and not name.startswith("importlib.metadata") and not may_open(file, head))
    }
    assert through == set()


def may_open(file: File, door: str) -> bool:
    """A rule judges values: of all that is outside it sees libcst's nodes only, and those through ``mldebt.cst``."""
    return file.name not in RULES and not {file.name.removeprefix("mldebt."), file.room}.isdisjoint(DOORS[door])


def test_nothing_is_evaluated_and_nothing_printed_but_by_the_command() -> None:
    for file in ALL.values():
        calls = [node.func for node in ast.walk(file.tree) if isinstance(node, ast.Call)]
        called = {function.id for function in calls if isinstance(function, ast.Name)}
        assert not called & NEVER_CALLED, file.name
        assert file.room == "cli" or "print" not in called, file.name
        assert file.room != "report" or "open" not in called, file.name


def test_only_the_listed_functions_catch_everything() -> None:
    broad = {
        (file.name, function.name)
        for file in ALL.values()
        for function in file.functions()
        for handler in ast.walk(function)
        if isinstance(handler, ast.ExceptHandler) and catches_everything(handler)
    }
    assert broad == set(BROAD)


def catches_everything(handler: ast.ExceptHandler) -> bool:
    names = {node.id for node in ast.walk(handler.type or handler) if isinstance(node, ast.Name)}
    return handler.type is None or not names.isdisjoint({"Exception", "BaseException"})


def test_no_state_outside_of_objects() -> None:
    for file in ALL.values():
        nodes = list(ast.walk(file.tree))
        changed = {
            ast.unparse(node.func.value)
            for node in nodes
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGES
        } | {
            ast.unparse(node.value)
            for node in nodes
            if isinstance(node, ast.Subscript) and isinstance(node.ctx, (ast.Store, ast.Del))
        }
        assigned = {
            target.id
            for node in file.tree.body
            if isinstance(node, (ast.Assign, ast.AnnAssign))
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Name) and target.id.lstrip("_").isupper()
        }
        assert not assigned & changed, file.name
        assert not [node for node in nodes if isinstance(node, ast.Global)], file.name


def test_files_are_short() -> None:
    assert {name for name, file in CORE.items() if file.text.count("\n") > LONGEST_FILE} == set(LONGER_FILES)


def test_functions_are_short() -> None:
    longer = {
        (file.name, function.name)
        for file in ALL.values()
        for function in file.functions()
        if length(function) > LONGEST_FUNCTION
    }
    assert longer == set(LONGER_FUNCTIONS)


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines without decorators and docstring."""
    first = function.body[0]
    documented = ast.get_docstring(function) is not None
    docstring = (first.end_lineno or first.lineno) - first.lineno + 1 if documented else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring
