"""What ``self``, ``cls`` and ``super()`` mean in a scope."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.facts.schema import CLASS, Call, Expr, Ref
from mldebt.project.attributes import is_class_method, self_name

if TYPE_CHECKING:
    from mldebt.module import Module


class Receiver(Struct, frozen=True):
    """The method a scope is in: its first parameter and its class; ``bound`` when the parameter is the class itself."""

    name: str | None
    owner: str
    bound: bool


class Receivers:
    """Finds the enclosing method of scopes, once each."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], Receiver | None] = {}

    def of(self, module: Module, scope: int) -> Receiver | None:
        """The receiver of the innermost method ``scope`` is in; None outside classes."""
        key = (module.path, scope)
        if key not in self._known:
            self._known[key] = _receiver(module, scope)
        return self._known[key]

    def owner(self, module: Module, scope: int) -> str | None:
        """The innermost class around a scope."""
        receiver = self.of(module, scope)
        return receiver.owner if receiver is not None else None

    def class_value(self, module: Module, scope: int, value: Expr) -> str | None:
        """The enclosing class where ``value`` is ``super()``, ``cls``, ``type(self)`` or ``self.__class__``."""
        if isinstance(value, Call):
            function = value.function
            if not isinstance(function, Ref) or function.name not in ("super", "type"):
                return None
        elif not isinstance(value, Ref):
            return None
        receiver = self.of(module, scope)
        if receiver is None:
            return None
        if isinstance(value, Ref):
            is_class = receiver.bound and value.name == receiver.name
            return receiver.owner if is_class or value.name == f"{receiver.name}.__class__" else None
        if is_super(value):
            return receiver.owner
        of_self = len(value.args) == 1 and isinstance(value.args[0], Ref) and value.args[0].name == receiver.name
        return receiver.owner if of_self else None


def is_super(value: Expr) -> bool:
    return isinstance(value, Call) and isinstance(value.function, Ref) and value.function.name == "super"


def _receiver(module: Module, scope: int) -> Receiver | None:
    scopes = module.facts.scopes
    while scope > 0:
        if scopes[scope].kind == CLASS:
            return Receiver(None, module.definition(scope).name, False)
        parent = scopes[scope].parent
        if parent >= 0 and scopes[parent].kind == CLASS:
            method = module.definition(scope)
            return Receiver(self_name(method), module.definition(parent).name, is_class_method(method))
        scope = parent
    return None
