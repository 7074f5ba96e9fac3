"""What calls do with configuration objects: read one option, copy, show, build something of them, or take them away."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mldebt.facts.arguments import UNKNOWN
from mldebt.facts.names import last_segment
from mldebt.facts.schema import (
    KWARGS,
    VARARGS,
    Binary,
    Build,
    Call,
    Const,
    Do,
    Expr,
    For,
    Format,
    If,
    Ref,
    Stmt,
    Subscript,
)
from mldebt.facts.walk import calls_in
from mldebt.project.callers import Site, given

from .config_objects import (
    BUILT,
    DYNAMIC,
    GET,
    GETATTR,
    ITERATED,
    NOTHING,
    PROBE,
    SPREAD,
    UNSEEN,
    Given,
    Hold,
    Holds,
    wrapped,
)
from .owners import receiver_of

if TYPE_CHECKING:
    from mldebt.project.definitions import Definition

    from .config_flow import ConfigFlow

ITEMS = "items()"
# Library calls that give back what they are given, or a copy that reads the same.
_SAME = frozenset(
    """builtins.vars typing.cast omegaconf.open_dict omegaconf.read_write contextlib.nullcontext hydra.utils.call
    builtins.iter builtins.next builtins.reversed builtins.enumerate builtins.sorted builtins.list builtins.tuple
    builtins.set omegaconf.OmegaConf.to_container omegaconf.OmegaConf.to_object""".split()
) - {"hydra.utils.call"}  # fmt: skip
_COPIES = frozenset(
    """builtins.dict copy.copy copy.deepcopy argparse.Namespace types.SimpleNamespace dataclasses.asdict
    dataclasses.replace omegaconf.OmegaConf.create omegaconf.OmegaConf.merge omegaconf.OmegaConf.structured
    omegaconf.OmegaConf.masked_copy easydict.EasyDict munch.Munch munch.munchify addict.Dict box.Box
    ml_collections.ConfigDict attrdict.AttrDict types.MappingProxyType attr.asdict attrs.asdict attr.evolve attrs.evolve
    collections.OrderedDict collections.ChainMap omegaconf.DictConfig""".split()
)
_COPYING = frozenset("copy to_dict _asdict model_dump dict asdict clone copy_and_resolve_references model_copy".split())
_PLAIN = frozenset("freeze defrost lock unlock is_frozen set_immutable set_struct set_readonly validate".split())
# Who only shows or stores what it is given, by the call's last name; and the libraries whose calls all do.
_SHOWS = frozenset(
    """print pprint pformat pp str repr len type isinstance id hash bool info debug warning warn error critical
    exception log dump dumps safe_dump yaml_dump to_yaml save_yaml print_config print_args write writelines echo
    log_params log_param log_dict log_hyperparams log_hparams log_config add_text add_hparams add_config
    log_parameters set_tags log_artifact log_artifacts save savez fsum resolve pretty tabulate rule
    to_json format join print_config_tree issubclass callable""".split()
)
_SHOWING = ("wandb.", "mlflow.", "logging.", "json.", "yaml.", "pprint.", "rich.", "comet_ml.", "neptune.", "clearml.",
            "tensorboardX.", "torch.utils.tensorboard.", "pickle.", "joblib.dump", "torch.save", "loguru.", "trackio.",
            "swanlab.", "toml.", "tomli_w.", "dill.", "aim.")  # fmt: skip
# Who builds objects of a section, by what the section itself says.
_BUILDS = frozenset({"instantiate", "call", "get_object", "get_class", "get_method", "build_from_cfg", "from_config"})
_WRITING = frozenset({"update", "merge_from_file", "merge_from_list", "merge_from_dict", "merge_with", "merge", "load"})
_MOST_PARAMETERS = 60


class Calls:
    """Says what calls make of the objects they are given."""

    def __init__(self, flow: ConfigFlow) -> None:
        self._flow = flow
        self._callers = flow.project.callers

    def value(self, call: Call) -> Holds:
        """What the call gives back."""
        flow = self._flow
        receiver = receiver_of(call)
        owners = flow.value(receiver) if receiver is not None else NOTHING
        if receiver is None and not isinstance(call.function, Ref):
            owners = NOTHING
            flow.value(call.function)
        args = [(arg, flow.value(arg)) for arg in call.args]
        keywords = [(keyword.value, flow.value(keyword.value)) for keyword in call.keywords]
        held = {id(expr): holds for expr, holds in (*args, *keywords) if holds}
        found: Holds = NOTHING
        if owners:
            found |= self._method(call, owners, held)
        if held:
            self._given(call, held)
            return found | self._taken(call, held)
        return found | self._returned(call)

    def _given(self, call: Call, held: dict[int, Holds]) -> None:
        """Options among the arguments."""
        flow = self._flow
        for value in (*call.args, *(keyword.value for keyword in call.keywords)):
            for hold in held.get(id(value), ()):
                if not hold.path and hold.section and flow.schemas.is_leaf(hold):
                    flow.journal.hand(Given(hold.root, hold.section, flow.module, flow.scope, call, value))

    def _returned(self, call: Call) -> Holds:
        if not self._flow.variables.may_return(last_segment(call.function)):
            return NOTHING
        edges = self._flow.project.calls.targets(self._flow.module, self._flow.scope, call)
        return frozenset(
            hold if edge.confidence != "cha" else hold._replace(sure=False)
            for edge in edges
            for hold in self._flow.variables.returned(edge.target)
        )

    # Methods of an object.

    def _method(self, call: Call, owners: Holds, held: dict[int, Holds]) -> Holds:
        """``cfg.get("lr", 1)``, ``cfg.items()``, ``cfg.update(lr=1)``, and methods a configuration class has itself."""
        flow, method = self._flow, last_segment(call.function)
        plain = [hold for hold in owners if not hold.path and not flow.schemas.is_leaf(hold)]
        inside = frozenset(hold for hold in owners if hold.path)
        if method in ("append", "extend", "add", "insert") or not plain:
            return inside if method in ("copy", "pop", "items", "values", "get") else NOTHING
        if method in ("get", "pop", "setdefault", "getattr"):
            return self._got(call, plain)
        if method in ("items", "values", "keys"):
            return frozenset(hold._replace(path=(ITEMS,)) for hold in plain)
        if method in _COPYING:
            return frozenset(hold._replace(copied=True) for hold in plain)
        own = [hold for hold in plain if flow.schemas.method(hold, method) is not None]
        if own:
            return self._own_method(call, own, method)
        if method in _WRITING:
            self._updated(call, plain)
            return frozenset(plain)
        if method in _PLAIN:
            return frozenset(plain)
        if method in _SHOWS:
            flow.show(plain, call, method)
            return NOTHING
        found = flow.pick(plain, method, "attribute", call.function)
        self._runs_option(call, plain, method, held)
        return found if not isinstance(call.function, Ref) else NOTHING

    def _got(self, call: Call, plain: list[Hold]) -> Holds:
        flow = self._flow
        key = flow.module.constant(flow.scope, call.args[0]) if call.args else UNKNOWN
        if isinstance(key, str):
            found: Holds = frozenset(plain)
            for part in key.split(".") if last_segment(call.function) == "get" and "." in key else [key]:
                found = flow.pick(found, part, GET, call)
            return found
        flow.escape(plain, call, "", DYNAMIC)
        return NOTHING

    def _own_method(self, call: Call, own: list[Hold], method: str) -> Holds:
        found: set[Hold] = set()
        for hold in own:
            definition = self._flow.schemas.method(hold, method)
            if definition is not None:
                found |= set(self._flow.variables.returned(definition))
        return frozenset(found)

    def _updated(self, call: Call, plain: list[Hold]) -> None:
        flow = self._flow
        display = call.args[0] if len(call.args) == 1 else None
        names = [keyword.name for keyword in call.keywords]
        if isinstance(display, Build) and display.kind == "dict":
            names += [key.value if isinstance(key, Const) and isinstance(key.value, str) else None
                      for key in display.keys]  # fmt: skip
        elif call.args:
            names.append(None)
        for hold in plain:
            for name in names:
                how = "copy" if hold.copied else "write"
                if name is None:
                    flow.note(flow.journal.opened, hold, hold.section, DYNAMIC, call)
                else:
                    flow.note(flow.journal.writes, hold, (*hold.section, name), how, call)

    def _runs_option(self, call: Call, plain: list[Hold], name: str, held: dict[int, Holds]) -> None:
        """``args.func(args)``: the functions ``set_defaults(func=...)`` names."""
        for hold in plain:
            for definition in self._flow.schemas.functions(hold, name):
                for index, value in enumerate(call.args):
                    if index < len(definition.scope.parameters) and id(value) in held:
                        self._bound(definition, definition.scope.parameters[index].name, held[id(value)], sure=True)

    # Calls that are given objects.

    def _taken(self, call: Call, held: dict[int, Holds]) -> Holds:
        flow, method = self._flow, last_segment(call.function)
        names = flow.module.names(flow.scope, call.function)
        first = held.get(id(call.args[0]), NOTHING) if call.args else NOTHING
        if not names or any(name.startswith("builtins.") for name in names):
            special = self._builtin(call, method, first, held)
            if special is not None:
                return special
        objects = flow.moving(hold for holds in held.values() for hold in holds)
        if not objects:
            return self._returned(call)
        if not _SAME.isdisjoint(names):
            return objects
        if not _COPIES.isdisjoint(names):
            self._copied(call, objects)
            return frozenset(hold._replace(copied=True) for hold in objects if not hold.path) | self._named(call, held)
        return self._passed(call, method, names, held, objects)

    def _copied(self, call: Call, objects: Holds) -> None:
        """``replace(cfg, lr=1)`` gives a changed copy, which nobody calls a mutation; merging takes names not known."""
        if last_segment(call.function) in ("merge", "create", "structured"):
            for hold in objects:
                self._flow.note(self._flow.journal.opened, hold, hold.section, DYNAMIC, call)

    def _named(self, call: Call, held: dict[int, Holds]) -> Holds:
        """``dict(args=args)``."""
        found: set[Hold] = set()
        for keyword in call.keywords:
            if keyword.name is not None:
                found.update(wrapped(held.get(id(keyword.value), ()), keyword.name))
        return frozenset(found)

    def _builtin(self, call: Call, method: str, first: Holds, held: dict[int, Holds]) -> Holds | None:
        """``getattr``, ``hasattr``, ``setattr`` of an object; None for anything else."""
        flow = self._flow
        if method not in ("getattr", "hasattr", "setattr", "delattr") or len(call.args) < 2:
            return None
        plain = [hold for hold in first if not hold.path]
        key = self._constant_names(call.args[1])
        if key is None:
            how = flow.journal.opened if method == "setattr" else flow.journal.escapes
            for hold in plain:
                if not flow.schemas.is_leaf(hold):
                    flow.note(how, hold, hold.section, DYNAMIC, call, method)
            return NOTHING
        found: Holds = NOTHING
        for name in key:
            if method == "setattr":
                flow.written(plain, (name,), call)
            else:
                found |= flow.pick(plain, name, GETATTR if method == "getattr" else PROBE, call)
        return found

    def _constant_names(self, expr: Expr) -> list[str] | None:
        """The names an expression may stand for: a constant, or a loop's variable over constants."""
        flow = self._flow
        value = flow.module.constant(flow.scope, expr)
        if isinstance(value, str):
            return [value]
        if isinstance(expr, Ref) and "." not in expr.name:
            found: list[str] = []
            for origin in flow.project.flow(flow.module.definition(flow.scope)).origins(expr):
                table = origin.value
                if origin.kind != "loop" or table is None or origin.path:
                    return None
                names = flow.module.constant(flow.scope, table)
                if not isinstance(names, (list, tuple, frozenset)) or not all(isinstance(one, str) for one in names):
                    return None
                found += names
            return found or None
        return None

    def _passed(self, call: Call, method: str, names: tuple[str, ...], held: dict[int, Holds], objects: Holds) -> Holds:
        flow = self._flow
        edges = flow.project.calls.targets(flow.module, flow.scope, call)
        for edge in edges:
            self._into(edge.target, call, held, sure=edge.confidence != "cha")
        classes = [name for name in names if self._is_class(name)]
        for name in classes:
            self._constructed(name, call, held, bare=not edges)
        if edges or classes:
            return self._returned(call)
        if self._dispatched(call, held) or method in ("set_defaults", "__class__") or _is_own_class(call):
            return self._returned(call)
        if method == "save_hyperparameters":
            self._remembered(objects)
        elif method in _BUILDS or any(name.startswith("hydra.") for name in names):
            flow.escape(objects, call, method, BUILT)
        elif method in _SHOWS or any(name.startswith(_SHOWING) for name in names):
            flow.show(objects, call, method)
        elif any(hold.path == (ITEMS,) for hold in objects):
            flow.escape(objects, call, method, ITERATED)
        else:
            flow.escape(objects, call, names[0] if names else method, UNSEEN)
        return NOTHING

    def _is_class(self, name: str) -> bool:
        definition = self._flow.project.definition(name) if ":" in name else None
        return definition is not None and definition.is_class

    def _remembered(self, objects: Holds) -> None:
        """Lightning's ``save_hyperparameters(cfg)``: ``self.hparams`` is it."""
        parent = self._flow.module.definition(self._flow.scope).parent
        self._flow.variables.bind_attribute(parent, "hparams", objects)

    # Into functions of the project.

    def _into(self, definition: Definition, call: Call, held: dict[int, Holds], *, sure: bool) -> None:
        """Binds what a call gives to the parameters of a function it runs."""
        flow = self._flow
        site = Site(flow.module, flow.scope, call)
        spellings = self._callers.spellings(definition)
        taken: set[int] = set()
        for parameter in definition.scope.parameters[:_MOST_PARAMETERS]:
            if parameter.kind in (VARARGS, KWARGS):
                continue
            value = given(site, definition, parameter.name, spellings)
            if value is None or value is UNKNOWN:
                continue
            taken.add(id(value))
            holds = held.get(id(value)) or (flow.value(value) if isinstance(value, Ref) else NOTHING)
            self._bound(definition, parameter.name, holds, sure=sure)
        self._spread(definition, call, held, sure=sure)
        rest = next((one.name for one in definition.scope.parameters if one.kind == KWARGS), None)
        for keyword in call.keywords:
            if keyword.name is not None and rest is not None and id(keyword.value) not in taken:
                self._bound(definition, rest, wrapped(held.get(id(keyword.value), ()), keyword.name), sure=sure)
        many = next((one.name for one in definition.scope.parameters if one.kind == VARARGS), None)
        for arg in call.args:
            if id(arg) not in taken and id(arg) in held and many is not None:
                self._bound(definition, many, wrapped(held[id(arg)], "*"), sure=sure)

    def _bound(self, definition: Definition, name: str, holds: Iterable[Hold], *, sure: bool) -> None:
        moving = self._flow.moving(holds)
        if moving:
            kept = moving if sure else frozenset(hold._replace(sure=False) for hold in moving)
            self._flow.variables.bind(definition.module, definition.index, name, kept)

    def _spread(self, definition: Definition, call: Call, held: dict[int, Holds], *, sure: bool) -> None:
        """``train(**vars(args))`` reads the options the function has parameters for."""
        flow = self._flow
        for keyword in call.keywords:
            plain = [hold for hold in held.get(id(keyword.value), ()) if not hold.path]
            if keyword.name is not None or not plain:
                continue
            rest = None
            for parameter in definition.scope.parameters:
                if parameter.kind == KWARGS:
                    rest = parameter.name
                elif parameter.kind != VARARGS:
                    found = flow.pick(plain, parameter.name, SPREAD, call)
                    self._bound(definition, parameter.name, found, sure=sure)
            if rest is not None:
                self._bound(definition, rest, plain, sure=sure)

    def _constructed(self, name: str, call: Call, held: dict[int, Holds], *, bare: bool) -> None:
        """A class of the project is built: its fields take what they are given, or a base nobody sees does."""
        flow = self._flow
        definition = flow.project.definition(name)
        if definition is None or not bare:
            return
        fields = flow.schemas.fields_of(name)
        if fields is None:
            objects = [hold for holds in held.values() for hold in holds]
            flow.escape(objects, call, name.rpartition(":")[2])
            return
        order = list(fields)
        for index, arg in enumerate(call.args):
            if id(arg) in held and index < len(order):
                flow.variables.bind_attribute(definition, order[index], flow.moving(held[id(arg)]))
        for keyword in call.keywords:
            holds = held.get(id(keyword.value), NOTHING)
            if keyword.name is not None:
                flow.variables.bind_attribute(definition, keyword.name, flow.moving(holds))
                continue
            for field in order:
                flow.pick([hold for hold in holds if not hold.path], field, SPREAD, call)

    def _dispatched(self, call: Call, held: dict[int, Holds]) -> bool:
        """``COMMANDS[args.command](args)``, where the table holds functions of the project."""
        flow, function = self._flow, call.function
        table = function.value if isinstance(function, Subscript) else None
        if isinstance(table, Ref):
            origins = flow.project.flow(flow.module.definition(flow.scope)).origins(table) or flow.project.flow(
                flow.module.definition(0)
            ).at_end(table.name)
            table = origins[0].value if len(origins) == 1 and not origins[0].path else None
        if not isinstance(table, Build):
            return False
        found = False
        for item in table.items:
            for name in flow.module.names(flow.scope, item) if isinstance(item, Ref) else ():
                definition = flow.project.definition(name) if ":" in name else None
                if definition is not None and definition.is_function:
                    found = True
                    for parameter, arg in zip(definition.scope.parameters, call.args, strict=False):
                        self._bound(definition, parameter.name, held.get(id(arg), NOTHING), sure=True)
        return found

    # Who only shows.

    def only_shows(self, stmt: Stmt) -> bool:
        """Whether a statement does nothing but print, log or put texts together."""
        if isinstance(stmt, If):
            return all(self.only_shows(one) for one in (*stmt.body, *stmt.orelse))
        if isinstance(stmt, For):
            return all(self.only_shows(one) for one in stmt.body)
        if isinstance(stmt, Do) and isinstance(stmt.value, Call):
            names = self._flow.module.names(self._flow.scope, stmt.value.function)
            inner = [call for call in calls_in(stmt.value) if call is not stmt.value]
            shows = last_segment(stmt.value.function) in _SHOWS or any(name.startswith(_SHOWING) for name in names)
            return shows and all(
                last_segment(one.function) in _SHOWS or last_segment(one.function) == "type" for one in inner
            )
        value = getattr(stmt, "value", None)
        return isinstance(value, (Format, Binary)) and not list(calls_in(value))


def _is_own_class(call: Call) -> bool:
    """``type(self)(self.args)``."""
    return isinstance(call.function, Call) and last_segment(call.function.function) == "type"
