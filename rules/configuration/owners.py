"""Which configuration object an option is read from: a parser's namespace, a file, the environment, a config class."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from mldebt.facts.names import last_segment
from mldebt.facts.schema import Attribute, Call, Const, Expr, Ref
from mldebt.facts.walk import walk
from mldebt.rule import Analysis

from .lineage import CALL, INSTANCE, NAMED, PARAMETER, Creation, Lineage
from .option_defaults import default_text, path_text

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.project import Project

ENVIRONMENT = ("environment", "os.environ")

PARSE_METHODS = frozenset(
    """parse_args parse_known_args parse_intermixed_args parse_known_intermixed_args parse_args_into_dataclasses
    parse_args_and_config""".split()
)
LOADERS = frozenset(
    """yaml.safe_load yaml.load yaml.full_load yaml.unsafe_load toml.load toml.loads tomllib.load tomllib.loads
    tomli.load tomli.loads omegaconf.OmegaConf.load omegaconf.OmegaConf.from_cli hydra.compose
    hydra.experimental.compose mmcv.Config.fromfile mmengine.Config.fromfile mmengine.config.Config.fromfile
    anyconfig.load ruamel.yaml.safe_load ruamel.yaml.YAML.load oyaml.safe_load configobj.ConfigObj
    pyhocon.ConfigFactory.parse_file tyro.cli simple_parsing.parse pyrallis.parse draccus.parse
    docopt.docopt""".split()
)
# JSON and pickles hold data as often as settings: the file's own name has to say which.
DATA_LOADERS = frozenset({"json.load", "json.loads", "msgspec.json.decode", "orjson.loads"})
_TEXTS = ("yaml.", "json.", "oyaml.", "ruamel.", "msgspec.", "orjson.")
_SETTINGS = re.compile(r"conf(?!us)|cfg|param|setting|option|hparam", re.IGNORECASE)
_FILE = re.compile(r".*\.(?:ya?ml|json|toml|ini|cfg|conf)$", re.IGNORECASE)
_CONFIG_CLASS = re.compile(
    r"(?:Config|Configuration|Cfg|Args|Arguments|Options|Opts|Settings|HParams|HyperParameters|Params)$"
)
_ANY_CLASS = frozenset({"PretrainedConfig", "PreTrainedConfig", "DictConfig", "BaseConfig", "Config", "ConfigDict"})
_NAMED = frozenset({"wandb.config", "flags.FLAGS", "absl.flags.FLAGS"})
_HYDRA = frozenset({"hydra.main", "hydra.main.main", "pytorch_lightning.cli"})

# Methods of a path, or of an open file, that lead to what is in the file.
_OPENERS = frozenset("open read read_text read_bytes resolve absolute expanduser as_posix joinpath with_suffix".split())
_MOST_OPENED = 4  # steps from what is loaded back to its path

Owner = tuple[str, ...]


class Owners(Analysis):
    """Names the configuration objects an expression may stand for; () when it is none that can be proved."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._lineage = project[Lineage]

    def of(self, module: Module, scope: int, expr: Expr) -> frozenset[Owner]:
        """The owners, each a kind, an identity and the section of it: ``("file", "train.yaml", "model")``."""
        return frozenset(
            owner for creation in self._lineage.of(module, scope, expr) for owner in self._owners(creation)
        )

    def _owners(self, creation: Creation) -> Iterator[Owner]:
        if creation.kind == NAMED:
            if creation.name == "os.environ" and not creation.section:
                yield ENVIRONMENT
            elif creation.name in _NAMED:
                yield ("named", creation.name, *creation.section)
        elif creation.kind == CALL and creation.expr is not None:
            yield from self._of_call(creation, creation.expr)
        elif creation.kind == INSTANCE:
            yield from self._of_class(creation.name, creation)
        elif creation.kind == PARAMETER:
            yield from self._of_parameter(creation)

    # Calls.

    def _of_call(self, creation: Creation, expr: Expr) -> Iterator[Owner]:
        if not isinstance(expr, Call) or not isinstance(expr.function, (Ref, Attribute)):
            return
        method = expr.function.name.rpartition(".")[2]
        if method in PARSE_METHODS:
            section = creation.section
            if method.startswith("parse_known") or method == "parse_args_and_config":
                if section[:1] != ("[0]",):
                    return
                section = section[1:]
            for identity in self._parsers(creation, expr):
                yield ("parser", identity, *section)
        elif any(one.startswith("[") for one in creation.section):
            return
        elif creation.name in LOADERS or creation.name in DATA_LOADERS:
            file = self._file(creation, expr)
            named = _FILE.match(file) is not None and creation.name in LOADERS
            if named or not creation.name.startswith(_TEXTS) or self._says_settings(creation, expr, file):
                yield ("file", file, *creation.section)
        elif _CONFIG_CLASS.search(creation.name.removesuffix(".from_pretrained")):
            yield from self._of_class(creation.name.removesuffix(".from_pretrained"), creation)

    def _parsers(self, creation: Creation, call: Call) -> Iterator[str]:
        module = self.project.modules[creation.path]
        made = False
        receiver = receiver_of(call)
        if receiver is not None:
            for one in self._lineage.of(module, creation.scope, receiver):
                if one.kind in (CALL, INSTANCE):
                    made = True
                    yield f"{one.path}:{one.line}:{one.column}"
        if not made:
            yield f"{creation.path}:{creation.line}:{creation.column}"

    def _says_settings(self, creation: Creation, call: Call, file: str) -> bool:
        """Whether what is loaded is called configuration by its file, its function, its module or its argument."""
        module = self.project.modules[creation.path]
        names = [module.scope(creation.scope).qualname, posixpath.basename(module.path)]
        if _FILE.match(file):
            names.append(posixpath.basename(file))
        names += [node.name for value in call.args for node in walk(value) if isinstance(node, Ref)]
        for value in call.args[:1]:
            for one in self._lineage.of(module, creation.scope, value):
                if isinstance(one.expr, Call):
                    names += [node.name for arg in one.expr.args for node in walk(arg) if isinstance(node, Ref)]
        return any(_SETTINGS.search(name) for name in names)

    def _file(self, creation: Creation, call: Call) -> str:
        """The file a loading call reads, as far as texts tell; else the call's own place."""
        module = self.project.modules[creation.path]
        for text in self._texts(module, creation.scope, call):
            if _FILE.match(text):
                return posixpath.normpath(text)
        for text in creation.given:
            if _FILE.match(text):
                return posixpath.normpath(text)
        return ":".join((creation.path, str(creation.line), str(creation.column), *creation.given))

    def _texts(self, module: Module, scope: int, call: Call) -> Iterator[str]:
        """Texts that may name the file a call reads: constants in its arguments, and the paths they come from."""
        for value in (*call.args, *(keyword.value for keyword in call.keywords)):
            for node in walk(value):
                if isinstance(node, (Const, Ref)):
                    yield from self._text(module, scope, node)
            yield from self._opened(module, scope, value, _MOST_OPENED)

    def _text(self, module: Module, scope: int, expr: Expr) -> Iterator[str]:
        text = path_text(module, scope, expr)
        if not text and isinstance(expr, Ref):
            elsewhere: list[Module] = []
            if not expr.name.startswith("self.") and "." in expr.name:
                closure = self.project.imports.closure(module.path)
                elsewhere = [one for one in self._declaring if one.path in closure]
            text = default_text(module, expr, elsewhere)
        if text:
            yield text

    @cached_property
    def _declaring(self) -> list[Module]:
        """The files that declare options of a command line."""
        return [module for module in self.project.modules.values() if "add_argument" in module.mentions]

    def _opened(self, module: Module, scope: int, expr: Expr, depth: int) -> Iterator[str]:
        """The path that an open file, or what is read of one, comes from: ``f``, ``args.config.read_text()``."""
        if not depth:
            return
        if isinstance(expr, Call):
            receiver = receiver_of(expr) if last_segment(expr.function) in _OPENERS else None
            for value in (*expr.args[:1], *([receiver] if receiver is not None else ())):
                yield from self._text(module, scope, value)
                yield from self._opened(module, scope, value, depth - 1)
        elif isinstance(expr, Ref):
            for one in self._lineage.of(module, scope, expr):
                if one.kind != CALL or not isinstance(one.expr, Call) or one.section:
                    continue
                opened = self.project.modules[one.path]
                yield from self._text(opened, one.scope, one.expr)
                yield from self._opened(opened, one.scope, one.expr, depth - 1)
                if isinstance(one.expr.function, Attribute) or "." in getattr(one.expr.function, "name", ""):
                    yield from one.given

    # Classes and parameters.

    def _of_class(self, name: str, creation: Creation) -> Iterator[Owner]:
        last = name.rpartition(":")[2].rpartition(".")[2]
        if _CONFIG_CLASS.search(last) and last not in _ANY_CLASS:
            yield ("class", name, *creation.section)

    def _of_parameter(self, creation: Creation) -> Iterator[Owner]:
        module = self.project.modules[creation.path]
        definition = module.definition(creation.scope)
        scope = definition.scope
        for decorator in scope.decorators:
            function = decorator.function if isinstance(decorator, Call) else decorator
            first = bool(scope.parameters) and scope.parameters[0].name == creation.name
            outer = max(scope.parent, 0)
            if first and isinstance(function, Ref) and _HYDRA.intersection(module.names(outer, function)):
                yield ("hydra", self.hydra_config(module, decorator) or definition.name, *creation.section)
        parameter = next((one for one in scope.parameters if one.name == creation.name), None)
        if parameter is None or parameter.annotation is None:
            return
        for name in self.project.types.annotated(module, max(scope.parent, 0), parameter.annotation):
            if name == "argparse.Namespace" and self._only_parser is not None:
                yield ("parser", self._only_parser, *creation.section)
            else:
                yield from self._of_class(name, creation)

    def hydra_config(self, module: Module, decorator: Expr) -> str:
        """The configuration a ``hydra.main`` decorator names, relative to the root and without suffix; "" for none."""
        if not isinstance(decorator, Call):
            return ""
        texts = {
            keyword.name: keyword.value.value
            for keyword in decorator.keywords
            if isinstance(keyword.value, Const) and isinstance(keyword.value.value, str)
        }
        if "config_name" not in texts:
            return ""
        folder = posixpath.join(posixpath.dirname(module.path), str(texts.get("config_path", "")))
        return posixpath.join(posixpath.normpath(folder), str(texts["config_name"]).removesuffix(".yaml"))

    @cached_property
    def _only_parser(self) -> str | None:
        """The parser of a project that makes exactly one: what an ``argparse.Namespace`` anywhere comes from."""
        found = [
            f"{module.path}:{site.call.line}:{site.call.column}"
            for module in self.project.modules.values()
            if not module.is_test
            for _, site in module.calls_of(_PARSERS)
        ]
        return found[0] if len(found) == 1 else None


_PARSERS = frozenset({"argparse.ArgumentParser"})


def receiver_of(call: Call) -> Expr | None:
    """``x`` of ``x.method(...)``."""
    function = call.function
    if isinstance(function, Ref):
        head = function.name.rpartition(".")[0]
        return Ref(head, function.line, function.column) if head else None
    if isinstance(function, Attribute):
        head = function.name.rpartition(".")[0]
        return Attribute(function.value, head, 0, 0, 0, 0) if head else function.value
    return None
