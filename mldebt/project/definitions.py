"""A function, class or module of the project, as the links name it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mldebt.facts.schema import CLASS, FUNCTION, Body, Scope

if TYPE_CHECKING:
    from mldebt.finding import Place
    from mldebt.module import Module


class Definition(msgspec.Struct, frozen=True, eq=False):
    """``module.facts.scopes[index]``; index 0 is the module itself. A project makes one of each (``definition_at``)."""

    module: Module
    index: int

    @property
    def scope(self) -> Scope:
        return self.module.facts.scopes[self.index]

    @property
    def name(self) -> str:
        """``path/to/file.py:Class.method``; ``path/to/file.py:`` for a module."""
        return f"{self.module.path}:{self.scope.qualname}"

    @property
    def qualname(self) -> str:
        return self.scope.qualname

    @property
    def body(self) -> Body:
        return self.module.body(self.index)

    @property
    def is_class(self) -> bool:
        return self.scope.kind == CLASS

    @property
    def is_function(self) -> bool:
        return self.scope.kind == FUNCTION

    @property
    def is_module(self) -> bool:
        return self.index == 0

    @property
    def place(self) -> Place:
        """The definition's statement, header to last line."""
        return self.module.place(self.scope)

    @property
    def parent(self) -> Definition | None:
        """The definition it stands in; None for a module."""
        return None if self.index == 0 else self.module.definition(self.scope.parent)

    def __repr__(self) -> str:
        return f"Definition({self.name!r})"
