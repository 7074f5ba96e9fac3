"""Models that predict: which calls do, and which fit the model comes from."""

from __future__ import annotations

from functools import cached_property

from mldebt_rules.glue.accesses import WRITE
from mldebt_rules.glue.artefacts import Access, Artefacts
from mldebt_rules.glue.reach import Reach

from mldebt.facts.arguments import UNKNOWN, argument
from mldebt.facts.names import last_segment
from mldebt.facts.schema import Attribute, Call, Const, Expr, Ref
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Analysis

from .learning import Learning
from .mutations import owner
from .provenance import Provenance, Start
from .stores import Stores

PREDICTS = frozenset(
    "predict predict_proba predict_log_proba decision_function predict_on_batch predict_classes predict_step".split()
)
CALLED = frozenset({"model", "net", "network", "classifier", "clf", "pipe", "pipeline", "predictor", "regressor"})
_LOADED, _MADE, _REGISTERED, _UNKNOWN = "loaded", "made", "registered", "unknown"
_PIPED, _PIPELINE = "piped", "transformers.pipeline"
_REGISTRIES = ("mlflow.",)


class Models(Analysis):
    """Answers for calls that predict."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._provenance = project[Provenance]
        self._lineages: dict[tuple[str, int, int], list[Start]] = {}

    def is_prediction(self, module: Module, scope: int, call: Call) -> bool:
        """Whether a call gives a library model's predictions."""
        function = call.function
        if not isinstance(function, (Ref, Attribute)):
            return False
        last = function.name.rpartition(".")[2]
        if last in PREDICTS:
            edges = self.project.calls.targets(module, scope, call)
            return not any(edge.confidence in ("exact", "method") for edge in edges)
        return last in CALLED and self._is_network(module, scope, function)

    def _is_network(self, module: Module, scope: int, function: Ref | Attribute) -> bool:
        """Whether ``model(x)`` runs a network or a pipeline."""
        types = self.project.types
        if isinstance(function, Ref) and self._is_pipeline(module, scope, function):
            return True
        classes = types.of(module, scope, function)
        return any(
            types.is_a(name, "torch.nn.Module") or name.startswith(("transformers.", "keras.", "tensorflow.keras."))
            for name in classes
        )

    def _is_pipeline(self, module: Module, scope: int, ref: Ref) -> bool:
        """Whether a name stands for ``transformers.pipeline(...)``."""
        origins = self.project.flow(module.definition(scope)).origins(ref)
        if not origins and scope:
            scope, origins = 0, self.project.flow(module.definition(0)).definitions(ref.name)
        return any(
            isinstance(one.value, Call) and _PIPELINE in module.names(scope, one.value.function) for one in origins
        )

    def gives_records(self, module: Module, scope: int, call: Call) -> bool:
        """Whether predictions come as records: ``pipeline(text)[0]["label"]``."""
        function = call.function
        return not (isinstance(function, (Ref, Attribute)) and function.name.rpartition(".")[2] in PREDICTS)

    # Kinship.

    def kinship(self, prediction: Start, learning: Learning) -> str:
        """How the model that predicts is one the fit makes; "" when it is another, or nobody can tell."""
        model = owner(prediction.call.function)
        last = prediction.call.function.name.rpartition(".")[2]  # type: ignore[union-attr]
        held = model if last in PREDICTS else prediction.call.function
        fitted = owner(learning.call.function)
        if held is None:
            return ""
        sources = self._sources(prediction.module, prediction.scope, held)
        mine = self._sources(learning.module, learning.scope, fitted) if fitted is not None else []
        if any(one.call is other.call for one in sources for other in mine):
            return "it is the same object"
        known = [one for one in sources if one.kind != _UNKNOWN]
        for one in known:
            if one.kind == _LOADED:
                found = self._trained(one, learning)
                if found:
                    return found
            if one.kind == _PIPED and self._piped(one, learning):
                return "it is loaded from where this program saves its model"
            if one.kind == _REGISTERED and self._registered(one, learning):
                return "it is the registered model this program logs"
        return "" if known or len(self._programs) != 1 else "it is the only model that is trained here"

    def _sources(self, module: Module, scope: int, held: Expr) -> list[Start]:
        return self._provenance.of(module, scope, held, self._stop)

    def _stop(self, module: Module, scope: int, call: Call) -> str:
        if self.project[Stores].is_read(module, scope, call):
            return _LOADED
        names = module.names(scope, call.function)
        if any(":" in name for name in names):
            return ""
        if any(name.startswith(_REGISTRIES) and name.endswith("load_model") for name in names):
            return _REGISTERED
        if _PIPELINE in names:
            return _PIPED
        last = last_segment(call.function)
        if any(not name.startswith("builtins.") for name in names) and last[:1].isupper():
            return _MADE
        if last in ("pipeline", "from_pretrained", "load_model"):
            return _MADE if any(isinstance(arg, Const) for arg in call.args) else _UNKNOWN
        return ""

    def _trained(self, loaded: Start, learning: Learning) -> str:
        """The file a model is loaded from, where the program of the fit writes it."""
        for write, _ in self._writes(loaded):
            if self._is_one_program(write, learning):
                return f"it is loaded from {write.node}, which this program writes"
        return ""

    def _writes(self, loaded: Start) -> list[tuple[Access, Access]]:
        calls = {id(step.call) for step in loaded.stack} | {id(loaded.call)}
        pairs = self.project[Stores].links(loaded.module, loaded.call)
        return [pair for pair in pairs if id(pair[1].bound.call) in calls] or pairs

    def _is_one_program(self, write: Access, learning: Learning) -> bool:
        if write.definition.module is learning.module:
            return True
        entries = {one.name for one in self.project[Reach].entries(learning.module, learning.scope)}
        return any(one.name in entries for one in self.project[Artefacts].entries(write))

    def _piped(self, loaded: Start, learning: Learning) -> bool:
        """``pipeline(task, model="out/best")`` of a directory that the program of the fit writes."""
        given = argument(loaded.call, "model", 1)
        path = loaded.module.constant(loaded.scope, given) if given is not None and given is not UNKNOWN else None
        node = self.project[Artefacts].run.get(path.rstrip("/")) if isinstance(path, str) else None
        return node is not None and any(self._is_one_program(write, learning) for write in node.writes)

    def _registered(self, loaded: Start, learning: Learning) -> bool:
        """``models:/churn/Production`` and ``registered_model_name="churn"`` in the program of the fit."""
        value = loaded.module.constant(loaded.scope, loaded.call.args[0]) if loaded.call.args else None
        if not isinstance(value, str) or not value.startswith("models:/"):
            return False
        wanted = value.removeprefix("models:/").partition("/")[0].partition("@")[0]
        module = learning.module
        for scope in module.scopes_using({"log_model", "register_model", "save_model"}):
            for site in module.call_sites(scope):
                for name in ("registered_model_name", "name"):
                    given = argument(site.call, name)
                    if given is not None and given is not UNKNOWN and module.constant(scope, given) == wanted:
                        return True
        return False

    @cached_property
    def _programs(self) -> frozenset[str]:
        """The files that write models."""
        graph = self.project[Artefacts]
        return frozenset(
            access.definition.module.path
            for node in graph.run.values()
            for access in node.accesses
            if access.direction == WRITE and access.kind == "model"
        )
