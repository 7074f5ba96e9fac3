"""Options that are assigned far from where the configuration is made: which, of which object, in which files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.facts.names import last_segment
from mldebt.facts.schema import Attribute, Call, Ref, Return, Subscript
from mldebt.facts.walk import statements, walk
from mldebt.rule import Analysis

from .config_objects import CLASS, DYNAMIC, FILE, PARSER, Event, Root
from .declarations import Declarations
from .fill_ins import fills_in
from .namespaces import Namespaces

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition
    from mldebt.project.project import Project

# What a run finds out about itself: the state of a process rather than a setting.
_STATE = re.compile(
    r"(?:.*_)?(?:rank|world_size|gpus?|n_?gpus?|num_gpus|ngpus_per_node|device|devices|device_ids?|distributed|dist_backend|dist_url|cuda|use_cuda|"
    r"master_port|master_addr|is_master|is_main|is_main_process|logger|writer|log|run|run_id|run_name|timestamp|start_time|start_epoch|step|epoch|"
    r"global_step|iteration|best_\w+|best|save_dir|output_dir|log_dir|out_dir|exp_dir|work_dir|root_dir|path|rng|seed|pid|fp16|func|"
    r"n?nodes|nproc_per_node|num_procs|port|rdzv_\w+|init_method|no_spawn|launcher|standalone|"
    r"accelerator|mesh|process_group|dp_group|node_id|nodes|initialized|finished|resume\w*|checkpoint\w*|ckpt\w*)$"
)
_COPIES = frozenset("deepcopy copy replace clone merge create structured Namespace SimpleNamespace dict evolve".split())
_FEWEST_FILES, _FEWEST_OPTIONS = 2, 3


class Distant(Struct, frozen=True):
    """A configuration object that is rewritten elsewhere.

    Args:
        root: The object.
        writes: The assignments, nearest file first.
        files: How many files make them.
        options: The names assigned, each once.
    """

    root: Root
    writes: tuple[Event, ...]
    files: int
    options: tuple[str, ...]


class DistantWrites(Analysis):
    """Answers which configuration objects are rewritten in several places away from where they are made."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._namespaces = project[Namespaces]

    @cached_property
    def all(self) -> tuple[Distant, ...]:
        """One for each set of assignments; objects that come to the same places are one."""
        found: dict[Root, list[Event]] = {}
        for event in (*self._namespaces.writes, *self._set_dynamically):
            if self._counts(event) and event.module.path not in self._homes(event.root):
                found.setdefault(event.root, []).append(event)
        told: set[tuple[str, int, int]] = set()
        judged: list[Distant] = []
        for root in sorted(found, key=lambda one: (-len(found[one]), one)):
            events = [event for event in found[root] if event.order not in told]
            options = tuple(dict.fromkeys(_named(event) for event in events))
            files = {event.module.path for event in events}
            enough = len(files) >= _FEWEST_FILES or len(options) >= _FEWEST_OPTIONS
            if enough and any(self._is_declared(event) for event in events):
                told |= {event.order for event in events}
                ordered = sorted(events, key=lambda event: (self._distance(root, event.module), event.order))
                judged.append(Distant(root, tuple(ordered), len(files), options))
        return tuple(sorted(judged, key=lambda one: one.writes[0].order))

    @cached_property
    def _set_dynamically(self) -> list[Event]:
        return sorted(
            (
                event
                for event in self._namespaces.journal.opened.values()
                if event.how == DYNAMIC and event.who == "setattr"
            ),
            key=lambda event: event.order,
        )

    def _counts(self, event: Event) -> bool:
        """Whether an assignment changes what the program was configured with."""
        module = event.module
        if event.how == "copy" or not event.sure or module.is_test or module.role != "project":
            return False
        if event.how == "write" and (_STATE.match(event.names[-1]) or event.names[-1].startswith("_")):
            return False
        if event.root.kind == FILE and self._is_data(event.root):
            return False
        if fills_in(event) or self._is_copied(event) or self._is_own(event) or self._is_loaded_here(event):
            return False
        return self._is_trained(module)

    def _is_declared(self, event: Event) -> bool:
        """Whether an option is one the program was started with, rather than one that comes to it on the way."""
        root = event.root
        if event.how != "write":
            return True
        if root.kind == CLASS:
            return event.names[-1] in (self._namespaces.schemas.fields_of(root.key) or event.names)
        if root.kind != PARSER:
            return True
        declarations = self.project[Declarations]
        return any(
            one.name == event.names[-1]
            and declarations.related(one)(root)
            and self._is_linked(root.path, one.place.path)
            for one in declarations.arguments
        )

    def _is_linked(self, path: str, other: str) -> bool:
        closure = self.project.imports.closure
        return path == other or path in closure(other) or other in closure(path)

    def _is_data(self, root: Root) -> bool:
        """Whether what is loaded is a mapping nobody knows the keys of: records as likely as settings."""
        return not self._namespaces.schemas.leaves(root)

    def _is_own(self, event: Event) -> bool:
        """``self.x = ...`` in a method of the configuration class."""
        if event.root.kind != CLASS or not isinstance(event.node, Ref):
            return False
        definition = event.module.definition(event.scope)
        return definition.parent is not None and definition.parent.name in self._namespaces.schemas.classes.all

    def _is_loaded_here(self, event: Event) -> bool:
        """Whether the variable assigned through was just given what a call loads: an override in the way in."""
        node = event.node
        while isinstance(node, (Subscript, Attribute)):
            node = node.value
        if not isinstance(node, Ref) or "." not in node.name:
            return False
        holder = Ref(node.name.rpartition(".")[0], node.line, node.column)
        origins = self.project.flow(event.module.definition(event.scope)).origins(holder)
        return bool(origins) and all(
            isinstance(origin.value, Call) and (origin.value.args or origin.value.keywords) for origin in origins
        )

    def _is_copied(self, event: Event) -> bool:
        """Whether the variable assigned through holds a copy there."""
        node = event.node
        while isinstance(node, (Subscript, Attribute)):
            node = node.value
        if isinstance(node, Call) and node.args:
            node = node.args[0]  # setattr(cfg, ...)
        if not isinstance(node, Ref):
            return False
        head = Ref(node.name.partition(".")[0], node.line, node.column)
        origins = self.project.flow(event.module.definition(event.scope)).origins(head)
        for origin in origins:
            for call in walk(origin.value) if origin.value is not None else ():
                if isinstance(call, Call) and last_segment(call.function) in _COPIES:
                    return True
        return False

    def _is_trained(self, module: Module) -> bool:
        """Whether a file takes part in training, as far as it is known what takes part in what."""
        reached = [one for one in self.project.entries if module.path == one.definition.module.path
                   or module.path in self.project.imports.closure(one.definition.module.path)]  # fmt: skip
        roles = [self.project.roles(one) for one in reached if one.kind != "test"]
        known = [one for one in roles if one]
        return not known or any(one & {"train", "tune"} for one in known)

    # Where objects are at home.

    def _homes(self, root: Root) -> frozenset[str]:
        """The files that make an object, and those that ask the ones that do: a program's own way in."""
        known = self._known_homes.get(root)
        if known is None:
            known = self._known_homes[root] = frozenset(self._found_homes(root))
        return known

    @cached_property
    def _known_homes(self) -> dict[Root, frozenset[str]]:
        return {}

    def _found_homes(self, root: Root) -> Iterator[str]:
        yield root.path
        callers = self.project.callers
        if root.kind == PARSER:
            declarations = self.project[Declarations]
            yield from (one.place.path for one in declarations.arguments if declarations.related(one)(root))
        if root.kind == CLASS:
            yield from (path for path, module in self.project.modules.items() if module.facts.main is not None)
            spellings = self.project.spellings(frozenset({root.key}))
            for path, module in self.project.modules.items():
                if any(root.key in module.names(index, site.call.function)
                       for index in module.scopes_using(spellings) for site in module.call_sites(index)
                       if last_segment(site.call.function) in spellings):  # fmt: skip
                    yield path
            return
        for module, scope in self._namespaces.places.get(root, ()):
            yield module.path
            definition = module.definition(scope)
            for _ in range(2):
                sites = callers.of(definition) if definition.is_function and _gives_back(definition) else None
                if not sites:
                    break
                yield from (site.module.path for site in sites)
                definition = sites[0].module.definition(sites[0].scope)

    def _distance(self, root: Root, module: Module) -> int:
        """How far a file is: 1 if the file that makes the object imports it, or it imports that; 2 otherwise."""
        return 1 if self._is_linked(root.path, module.path) else 2


def _gives_back(definition: Definition) -> bool:
    return any(isinstance(stmt, Return) and stmt.value is not None for stmt in statements(definition.body))


def _named(event: Event) -> str:
    return ".".join(event.names) if event.how == "write" else "names that are not constant"
