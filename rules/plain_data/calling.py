"""What calls give: instances, what project functions return, what layers and activations make of their input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from mldebt.facts.arguments import UNKNOWN as NOT_KNOWN
from mldebt.facts.arguments import argument
from mldebt.facts.names import last_segment
from mldebt.facts.schema import Attribute, Call, Const, Expr, Ref, Starred, Subscript
from mldebt.facts.walk import returned_values
from mldebt.project.annotations import is_class_like
from mldebt.project.attributes import is_class_method
from mldebt.project.library import KNOWLEDGE as LIBRARY

from .knowledge import FunctionRow, Knowledge
from .layers import Layers, is_pretrained
from .returns import returns
from .values import (
    UNKNOWN,
    Constant,
    Context,
    Display,
    Evidence,
    Frame,
    Instance,
    Member,
    Method,
    Named,
    Partial,
    Super,
    Tensor,
    Value,
    Values,
    Where,
)

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.definitions import Definition

    from .evaluation import Evaluation

_MOST_RETURNS = 8
_MOST_STEPS_TO_CHOICE = 5
_CHAINING = LIBRARY.chaining["torch.nn.Module"] | {"compile"}
_PREPARES = frozenset({"prepare", "prepare_model", "unwrap_model", "setup", "setup_module", "initialize"})
_BUILDS = frozenset({"load_from_checkpoint", "from_pretrained", "from_config", "from_checkpoint"})
_PREDICTS = frozenset({"predict", "predict_on_batch", "__call__", "call", "forward"})
_FIELDS = frozenset({"dataclasses.field", "attr.ib", "attrs.field", "pydantic.Field", "pydantic.fields.Field"})
_ARRAYS = ("torch", "tensorflow", "keras", "jax", "numpy", "lightning", "pytorch_lightning", "transformers", "sklearn")


class Calls:
    """Evaluates calls for one ``Evaluation``."""

    def __init__(self, evaluation: Evaluation) -> None:
        self._evaluation = evaluation
        self._project = evaluation.project
        self.knowledge = Knowledge(self._project)
        self._layers = Layers(evaluation, self)
        self._arrays: dict[str, bool] = {}
        self._inferences: dict[tuple[object, ...], tuple[str, ...]] = {}

    def of(self, where: Where, call: Call, depth: int) -> Iterable[Value]:
        """The values of a call."""
        functions = self.callees(where, call, depth)
        return [value for function in functions for value in self.apply(where, call, function, depth)]

    def callees(self, where: Where, call: Call, depth: int) -> Values:
        """What a call may call."""
        function = call.function
        if isinstance(function, Ref) and function.name == "super":
            return (Named("builtins.super"),)
        if self._evaluation.measuring:
            return tuple(self._evaluation.plain(where, function, depth))  # ``predict_proba`` itself is no probability
        return self._evaluation.of(where, function, depth)

    def apply(self, where: Where, call: Call, function: Value, depth: int) -> Values:
        """What calling one value gives."""
        if isinstance(function, Named):
            return self._named(where, call, function.name, depth)
        if isinstance(function, Instance):
            return self._instance(where, call, function, depth)
        if isinstance(function, Method):
            return self._method(where, call, function, depth)
        if isinstance(function, Member):
            return self._member(where, call, function, depth)
        if isinstance(function, Partial) and len(function.call.args) == 1:
            return self.apply(where, _with_keywords(call, function.call), function.function, depth)
        return self._inferred(where, call, depth)

    def given(self, where: Where, call: Call, name: str, position: int | None, depth: int) -> Values:
        """The values of an argument; () when it is not given."""
        found = argument(call, name, position)
        if found is None:
            return ()
        return UNKNOWN if found is NOT_KNOWN or isinstance(found, Starred) else self._evaluation.of(where, found, depth)

    def _inferred(self, where: Where, call: Call, depth: int) -> Values:
        """Calling an instance of the class astroid infers, where the question itself hangs on that class."""
        if not self._evaluation.inferring or (where.module.path, where.scope) != self._evaluation.asked:
            return UNKNOWN
        classes = self.inferred(where, call.function)
        return tuple(v for name in classes for v in self._instance(where, call, Instance(name), depth)) or UNKNOWN

    def inferred(self, where: Where, function: Expr) -> tuple[str, ...]:
        """The classes a callee may be an instance of, by the inference door; asked once for each place.

        Only where a class is chosen by a computed key: everything else linked facts have answered already.
        """
        if not isinstance(function, (Ref, Attribute, Call, Subscript)):
            return ()
        key = (where.module.path, function.line, function.column, type(function))
        if key not in self._inferences:
            chosen = self._is_chosen(where.module, where.scope, function, _MOST_STEPS_TO_CHOICE)
            self._inferences[key] = self._project.inference.classes(where.module, function) if chosen else ()
        return self._inferences[key]

    def _is_chosen(self, module: Module, scope: int, expr: Expr, depth: int) -> bool:
        """Whether a value comes out of a table or module by a computed key: ``LOSSES[k]()``, ``getattr(nn, k)()``."""
        if depth <= 0:
            return False
        if isinstance(expr, Subscript):
            return not isinstance(expr.index, Const)
        if isinstance(expr, Call):
            function = expr.function
            if isinstance(function, Ref) and function.name == "getattr":
                return True
            if self._is_chosen(module, scope, function, depth - 1):
                return True
            names = module.names(scope, function) if isinstance(function, (Ref, Attribute)) else ()
            made = [self._project.definition(name) for name in names if ":" in name]
            return any(self._returns_choice(one, depth - 1) for one in made if one is not None)
        if isinstance(expr, Ref):
            return any(
                self._is_chosen(module, at, value, depth - 1) for at, value in self._sources(module, scope, expr)
            )
        return False

    def _returns_choice(self, definition: Definition, depth: int) -> bool:
        if not definition.is_function:
            return False
        values = returned_values(definition.body)
        return any(self._is_chosen(definition.module, definition.index, value, depth) for value in values)

    def _sources(self, module: Module, scope: int, ref: Ref) -> Iterator[tuple[int, Expr]]:
        """The expressions a name or an attribute of ``self`` is assigned from."""
        head, _, rest = ref.name.partition(".")
        for origin in self._project.flow(module.definition(scope)).origins(ref):
            if origin.kind == "assign" and origin.value is not None:
                yield scope, origin.value
        receiver = self._evaluation.receivers.of(module, scope)
        if receiver is not None and head == receiver.name and rest and "." not in rest:
            owner = self._project.definition(receiver.owner)
            for binding in self._evaluation.attributes.bindings(owner).get(rest, ()) if owner is not None else ():
                if binding.value is not None:
                    yield binding.scope, binding.value

    # Named functions and classes.

    def _named(self, where: Where, call: Call, name: str, depth: int) -> Values:
        if ":" in name:
            definition = self._project.definition(name)
            if definition is None or definition.is_module:
                return UNKNOWN
            if definition.is_class:
                return (Instance(name, call, where),)
            frame = Frame(call, where.module, where.scope, where.context, 1 if is_class_method(definition) else 0)
            return self.returned(definition, frame, where.context, depth)
        row = self.knowledge.row(self.knowledge.functions, name)
        if row is None and self._evaluation.measuring:
            told = self._evaluation.measures.function(where, call, name, depth)
            if told is not None:
                return told
        if row is not None:
            return self._by_row(where, call, row, name, self._input(where, call, row, depth))
        if name == "builtins.super":
            return self._super(where)
        if name == "functools.partial" and call.args:
            return tuple(Partial(value, call) for value in self._evaluation.of(where, call.args[0], depth))
        if name == "builtins.getattr" and len(call.args) > 1:
            return self._getattr(where, call, depth)
        if name in _FIELDS:
            return self.given(where, call, "default", 0 if name.startswith("pydantic") else None, depth) or UNKNOWN
        if LIBRARY.returns.get(name) == "argument" or name in LIBRARY.wrappers.names:
            return self._evaluation.of(where, call.args[0], depth) if call.args else UNKNOWN
        if is_class_like(name) or name == "builtins.dict" or is_pretrained(name):
            return (Instance(name, call, where),)
        return self._inferred(where, call, depth)

    def _input(self, where: Where, call: Call, row: FunctionRow, depth: int) -> Values:
        if row.gives:
            return UNKNOWN  # whatever it was
        return self.given(where, call, row.argument, row.position, depth) or (
            self._evaluation.of(where, call.args[0], depth)
            if call.args and not isinstance(call.args[0], Starred)
            else UNKNOWN
        )

    def _by_row(self, where: Where, call: Call, row: FunctionRow, name: str, inputs: Values) -> Values:
        """What a function makes of its input."""
        if row.gives:
            return (Tensor(Evidence(row.gives, name, where.module.place(call))),)
        if row.keeps:
            return inputs
        found: list[Value] = []
        for value in inputs:
            quantity = row.converts.get(value.evidence.quantity) if isinstance(value, Tensor) else None
            found.append(None if quantity is None else Tensor(Evidence(quantity, name, where.module.place(call))))
        return tuple(found)

    def _super(self, where: Where) -> Values:
        owner = self._evaluation.receivers.owner(where.module, where.scope)
        if owner is None:
            return UNKNOWN
        return (Super(where.context.selves.get(owner) or Instance(owner), owner),)

    def _getattr(self, where: Where, call: Call, depth: int) -> Values:
        names = self._evaluation.of(where, call.args[1], depth)
        if len(names) != 1 or not isinstance(names[0], Constant) or not isinstance(names[0].value, str):
            return UNKNOWN
        return self._evaluation.members.of_all(self._evaluation.of(where, call.args[0], depth), names[0].value, depth)

    def handed_back(self, where: Where, call: Call, path: tuple[int | str, ...], depth: int) -> Values:
        """``model, opt = accelerator.prepare(model, opt)``: each argument comes back as itself."""
        step = path[0]
        if len(path) > 1 or not isinstance(step, int) or not 0 <= step < len(call.args):
            return ()
        function = call.function
        last = last_segment(function)
        if last not in _PREPARES or any(isinstance(arg, Starred) for arg in call.args):
            return ()
        if any(":" in name for name in where.module.names(where.scope, function)):
            return ()
        return self._evaluation.of(where, call.args[step], depth)

    # Project functions.

    def returned(self, definition: Definition, frame: Frame | None, context: Context, depth: int) -> Values:
        """What a function returns on every way through it."""
        scope = definition.scope
        if depth <= 0 or scope.generator or scope.asynchronous:
            return UNKNOWN
        frames: Mapping[str, Frame] = context.frames
        if frame is not None:
            frames = {**frames, definition.name: frame}
        inner = Where(definition.module, definition.index, Context(frames, context.selves, context.base))
        found, through = returns(self._evaluation, inner, definition.body, depth - 1)
        if len(found) > _MOST_RETURNS or (through and not found):
            return UNKNOWN
        values: list[Value] = [Constant(None)] if through else []
        for stmt in found:
            values += (Constant(None),) if stmt.value is None else self._evaluation.of(inner, stmt.value, depth - 1)
        return tuple(values)

    def _method(self, where: Where, call: Call, method: Method, depth: int) -> Values:
        definition, instance = method.definition, method.instance
        static = any(isinstance(one, Ref) and one.name == "staticmethod" for one in definition.scope.decorators)
        frame = Frame(call, where.module, where.scope, where.context, 0 if static else 1)
        return self.returned(definition, frame, self.within(instance, where.context), depth)

    def within(self, instance: Instance, context: Context) -> Context:
        """The context in which a method of an instance runs: ``self`` is the instance, built as it was."""
        return self._evaluation.members.within(instance, context)

    def _instance(self, where: Where, call: Call, instance: Instance, depth: int) -> Values:
        """Calling an instance: a module's ``forward``, a layer."""
        if ":" not in instance.name:
            if self._evaluation.measuring:
                told = self._evaluation.measures.called(where, call, instance)
                if told is not None:
                    return told
            return self._layers.called(where, call, instance, depth)
        name = self._project.types.call_method(instance.name)
        definition = self._project.method(instance.name, name)
        if definition is not None:
            return self._method(where, call, Method(instance, definition), depth)
        return self._layers.inherited(where, call, instance, depth)

    # Methods nobody in the project defines.

    def _member(self, where: Where, call: Call, member: Member, depth: int) -> Values:
        value, name = member.value, member.name
        if self._evaluation.measuring:
            told = self._evaluation.measures.method(where, call, value, name)
            if told is not None:
                return told
        if isinstance(value, Instance):
            return self._of_instance(where, call, value, name, depth)
        if isinstance(value, Named):
            if ":" in value.name:
                return (Instance(value.name),) if name in _BUILDS else UNKNOWN
            return UNKNOWN
        if isinstance(value, Display):
            return self._evaluation.members.looked_up(where, call, value, depth) if name == "get" else UNKNOWN
        if isinstance(value, Super):
            return self._layers.super_called(where, call, value, name, depth)
        row = self.knowledge.rows(self.knowledge.methods).get(name)
        unmistakable = row is not None and self._evaluation.measuring and "_" in name and bool(row.gives)
        if row is not None and (
            isinstance(value, Tensor) or (value is None and (unmistakable or self._has_arrays(where)))
        ):
            return self._by_row(where, call, row, f"{name}()", (value,))
        if name in _PREPARES and len(call.args) == 1:
            return self._evaluation.of(where, call.args[0], depth)
        return self._inferred(where, call, depth) if value is None else UNKNOWN

    def _of_instance(self, where: Where, call: Call, instance: Instance, name: str, depth: int) -> Values:
        if name == "parse_args" and not call.args and instance.name == "argparse.ArgumentParser":
            return (Instance("argparse.Namespace", call, where),)
        if name in _PREDICTS or (name == "apply" and self._is_flax(instance)):
            return (
                self._instance(where, call, instance, depth)
                if name != "predict" or "keras" in self._root(instance)
                else UNKNOWN
            )
        if name in _CHAINING and self._project.types.is_a(instance.name, "torch.nn.Module"):
            return (instance,)
        row = self.knowledge.rows(self.knowledge.methods).get(name)
        if row is not None and row.gives and name.startswith(("predict_", "decision_")):
            return self._by_row(where, call, row, f"{name}()", UNKNOWN)
        if name in _PREPARES and len(call.args) == 1:
            return self._evaluation.of(where, call.args[0], depth)
        return UNKNOWN

    def _root(self, instance: Instance) -> str:
        return ".".join(self._project.mro(instance.name) or (instance.name,))

    def _is_flax(self, instance: Instance) -> bool:
        return any(base.startswith("flax.") for base in self._project.mro(instance.name))

    def _has_arrays(self, where: Where) -> bool:
        """Whether the file imports an array library, so that ``x.softmax()`` is a tensor's."""
        path = where.module.path
        if path not in self._arrays:
            tops = {fact.module.partition(".")[0] for fact in where.module.facts.imports if not fact.level}
            self._arrays[path] = not tops.isdisjoint(_ARRAYS)
        return self._arrays[path]


def _with_keywords(call: Call, partial: Call) -> Call:
    keywords = [*call.keywords, *partial.keywords]
    return Call(call.function, call.args, keywords, call.line, call.column, call.end_line, call.end_column)


def positional(call: Call) -> Iterator[Expr]:
    """The plain positional arguments, up to the first starred one."""
    for arg in call.args:
        if isinstance(arg, Starred):
            return
        yield arg
