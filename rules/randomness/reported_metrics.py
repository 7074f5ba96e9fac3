"""Calls that report how good a model is: they print, log or write a measure, or are a framework's own evaluation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mldebt.facts.names import last_segment
from mldebt.facts.schema import Attribute, Build, Call, Const, Expr, Ref
from mldebt.facts.walk import given_values, walk
from mldebt.rule import Analysis

if TYPE_CHECKING:
    from mldebt.module import CallSite, Module
    from mldebt.project.project import Project

_MEASURE = re.compile(
    r"(?<![a-z])(m?acc|accuracy|accuracies|f1|f_score|auc|auroc|roc_auc|mAP|iou|miou|dice|precision|recall|bleu"
    r"|rouge\w{0,2}|wer|cer|perplexity|ppl|rmse|rmsle|mae|mape|mse|r2|r_squared|scores?|error_rate|top-?[15]|psnr|ssim"
    r"|fid|mrr|ndcg|hits|logloss|rewards?|(mean|average|avg|episode|eval|test)[ _-]returns?"
    r"|(test|val|valid|validation|eval)[ _-]?(loss|error|metrics?|results?|acc))(?![a-z])",
    re.IGNORECASE,
)
_SINKS = frozenset(
    """print pprint echo secho info warning log log_metric log_metrics log_dict add_scalar add_scalars log_scalar dump
    dumps write write_text writelines writerow to_csv to_json save_metrics add_row append_row report""".split()
)
# Methods that report by themselves, by the class they are called on.
_EVALUATIONS = re.compile(
    r"(^|\.)(Trainer|Seq2SeqTrainer|SFTTrainer)\.(evaluate|test|validate|predict)$|keras\.(models\.)?\w*(Model|Sequential)\.evaluate$"
)
_METRICS = re.compile(r"^(sklearn\.metrics|torchmetrics|torcheval\.metrics|evaluate)\.|\.evaluation\.evaluate_policy$")
_EVALUATES = frozenset({"evaluate", "test", "validate"})
_SEEDS = frozenset({"seed", "random_state", "random_seed"})
_MEASURES = frozenset({"score", "evaluate", "compute"})


class ReportedMetrics(Analysis):
    """``project[ReportedMetrics].of(module)``, and what is given a seed there: ``.seeded(module)``."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._found: dict[str, tuple[CallSite, ...]] = {}
        self._seeded: dict[str, tuple[CallSite, ...]] = {}

    def of(self, module: Module) -> tuple[CallSite, ...]:
        """The calls of a file that report a measure, by scope."""
        found = self._found.get(module.path)
        if found is None:
            sites = _sites(module, _SINKS | _EVALUATES)
            found = self._found[module.path] = tuple(site for site in sites if self._reports(module, site))
        return found

    def seeded(self, module: Module) -> tuple[CallSite, ...]:
        """The calls of a file that are given a seed which is not None, as far as it is known."""
        found = self._seeded.get(module.path)
        if found is None:
            given = not _SEEDS.isdisjoint(module.mentions)
            scopes = range(len(module.facts.scopes)) if given else ()
            sites = (site for index in scopes for site in module.call_sites(index))
            found = self._seeded[module.path] = tuple(site for site in sites if _is_given(module, site))
        return found

    def _reports(self, module: Module, site: CallSite) -> bool:
        call, scope = site.call, site.scope
        last = last_segment(call.function)
        if last in _EVALUATES:
            return any(map(_EVALUATIONS.search, module.names(scope, call.function)))
        if last not in _SINKS:
            return False
        given = given_values(call)
        return any(self._measures(module, scope, node) for value in given for node in walk(value))

    def _measures(self, module: Module, scope: int, node: Expr) -> bool:
        if isinstance(node, Const):
            return isinstance(node.value, str) and _MEASURE.search(node.value) is not None
        if isinstance(node, (Ref, Attribute)):
            return _MEASURE.search(last_segment(node)) is not None
        if isinstance(node, Build):
            return any(isinstance(key, Const) and self._measures(module, scope, key) for key in node.keys)
        if isinstance(node, Call):
            if last_segment(node.function) in _MEASURES:
                return True
            return any(map(_METRICS.search, module.names(scope, node.function))) or _is_seeded(node)
        return False


def _sites(module: Module, segments: frozenset[str]) -> Iterator[CallSite]:
    for index in module.scopes_using(segments):
        yield from module.call_sites(index)


def _is_given(module: Module, site: CallSite) -> bool:
    values = [keyword.value for keyword in site.call.keywords if keyword.name in _SEEDS]
    return any(module.constant(site.scope, value) is not None for value in values)


def _is_seeded(call: Call) -> bool:
    """``print(run(seed=0))``."""
    return any(keyword.name == "seed" and isinstance(keyword.value, Const) for keyword in call.keywords)
