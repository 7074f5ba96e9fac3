"""The must-analysis (DESIGN 8): one summary per body, bottom-up over strongly connected components.

``gen`` starts at top and falls, ``exposed`` starts empty and grows, until a component is stable; so no answer depends
on the order of entries or files.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mldebt.project.components import components

from .binding import Binder
from .calling import Calls
from .compiling import Compiler
from .interpreter import Interpreter
from .programs import Block, ImportOp, Key, Op, Program
from .states import Summary

if TYPE_CHECKING:
    from mldebt.project.project import Project

_ROUNDS = 30  # a component that is not stable by then is left as it is: under-reported, and the same in any order


class Summaries:
    """Summaries of all bodies that were asked about, and of what they call."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.calls = Calls(project)
        self.binder = Binder(project)
        self._programs: dict[Key, Program] = {}
        self._summaries: dict[Key, Summary] = {}
        self._bodies: dict[str, Block] = {}

    def program(self, key: Key) -> Program:
        program = self._programs.get(key)
        if program is None:
            definition = self.project.modules[key.path].definition(key.index)
            program = self._programs[key] = Compiler(self.calls, key, definition).program()
        return program

    def of(self, key: Key) -> Summary:
        if key not in self._summaries:
            for component in components([key], self._pending):
                self._solve(component)
        return self._summaries[key]

    def run(self, program: Program) -> Summary:
        """The summary of a program that is nobody's body: an entry's."""
        for key in program.callees():
            self.of(key)
        return Interpreter(program, self._summaries.__getitem__, self.binder, self._body).summary()

    def _body(self, path: str) -> Block:
        """What importing a module runs; nothing if neither it nor what it imports acts."""
        if path not in self._bodies:
            for component in components([path], self._imported):
                self._settle(component)
        return self._bodies[path]

    def _imported(self, path: str) -> Iterator[str]:
        return (target for target in self.program(Key(path, 0)).imports() if target not in self._bodies)

    def _settle(self, paths: list[str]) -> None:
        programs = {path: self.program(Key(path, 0)) for path in paths}
        acts = any(
            program.acts() or any(self._bodies.get(target) for target in program.imports())
            for program in programs.values()
        )
        for path, program in programs.items():
            for key in program.callees():
                self.of(key)
            self._bodies[path] = tuple(op for op in program.block if self._matters(op, paths)) if acts else ()

    def _matters(self, op: Op, paths: list[str]) -> bool:
        return not isinstance(op, ImportOp) or any(one in paths or self._bodies[one] for one in op.targets)

    def _solve(self, component: list[Key]) -> None:
        for key in component:
            self._summaries[key] = Summary()
        programs = [self.program(key) for key in sorted(component)]
        recursive = len(component) > 1 or component[0] in programs[0].callees()
        for _ in range(_ROUNDS if recursive else 1):
            fresh = {program.key: self._transfer(program) for program in programs}
            changed = any(self._summaries[key] != summary for key, summary in fresh.items())
            self._summaries.update(fresh)
            if not changed:
                break

    def _transfer(self, program: Program) -> Summary:
        return Interpreter(program, self._summaries.__getitem__, self.binder).summary()

    def _pending(self, key: Key) -> Iterator[Key]:
        return (callee for callee in self.program(key).callees() if callee not in self._summaries)
