"""The must-analysis (DESIGN 8): one summary per body, bottom-up over strongly connected components.

``gen`` starts at top and falls, ``exposed`` starts empty and grows, until a component is stable; so no answer depends
on the order of entries or files.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .binding import Binder
from .calling import Calls
from .compiling import Compiler
from .interpreter import Interpreter
from .programs import Block, Key, Program
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
            for component in self._components(key):
                self._solve(component)
        return self._summaries[key]

    def run(self, program: Program) -> Summary:
        """The summary of a program that is nobody's body: an entry's."""
        for key in program.callees():
            self.of(key)
        return Interpreter(program, self._summaries.__getitem__, self.binder, self._body).summary()

    def _body(self, path: str) -> Block:
        block = self._bodies.get(path)
        if block is None:
            program = self.program(Key(path, 0))
            for key in program.callees():
                self.of(key)
            block = self._bodies[path] = program.block
        return block

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

    def _components(self, start: Key) -> Iterator[list[Key]]:
        """Strongly connected components of what is not summarised yet, callees first (Tarjan, iterative)."""
        number: dict[Key, int] = {start: 0}
        low: dict[Key, int] = {start: 0}
        held: dict[Key, None] = {start: None}
        stack = [(start, self._pending(start))]
        while stack:
            node, pending = stack[-1]
            following = next((one for one in pending if one not in number or one in held), None)
            if following is None:
                stack.pop()
                if stack:
                    low[stack[-1][0]] = min(low[stack[-1][0]], low[node])
                if low[node] == number[node]:
                    component: list[Key] = []
                    while not component or component[-1] != node:
                        component.append(held.popitem()[0])
                    yield component
            elif following in number:
                low[node] = min(low[node], number[following])
            else:
                number[following] = low[following] = len(number)
                held[following] = None
                stack.append((following, self._pending(following)))

    def _pending(self, key: Key) -> Iterator[Key]:
        return (callee for callee in self.program(key).callees() if callee not in self._summaries)
