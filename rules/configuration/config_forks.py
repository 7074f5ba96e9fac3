"""Configuration files that are copies of one another: groups, what a group has in common, and each file's delta."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.rule import Analysis
from mldebt.sources.artefacts import ConfigFile, Leaf, Scalar

if TYPE_CHECKING:
    from mldebt.project.project import Project

# 1, 1.0 and true are not the same setting: keys, the type's name, value.
_Identity = tuple[tuple[str, ...], str, Scalar]
_LEAST_LEAVES = 8
_LEAST_FILES = 3
_SHARE = 0.8
_LIST = 10  # a plain list of so many values is one setting: class names, column names
_MOST_LEADERS = 40  # groups a file is compared with: those that share most of its rarest settings
_INHERITS = frozenset(
    """defaults _base_ base __base__ _base_config_ base_config base_cfg extends extend inherit inherits inherit_from
    inherit_config include includes _include_ import imports parent parents template from_config config_base @base
    @include super derives_from overrides_of based_on _parent_ parent_config""".split()
)
# What tools other than the project's own programs read, and what programs write.
_OTHERS = re.compile(
    r"(?:^|/)\.|(?:^|/)(?:third_?party|_?vendor(?:ed)?|externals?|site-packages|docs?|tests?|testing|node_modules|charts?|templates?|helm|k8s|kubernetes|deploy|deployment|manifests"
    r"|docker|grafana|dashboards?|locales?|i18n|translations?|outputs?|multirun|wandb|mlruns|logs?|runs|checkpoints?"
    r"|results?|fixtures|schemas?|annotations?|generated|datasets?_?cards?|\w*catalog(?:ue)?s?)/"
    r"|(?:^|/)(?:docker-compose|compose|environment|conda|env|mkdocs|package|package-lock|tsconfig|jsconfig|pyproject|setup"
    r"|tox|pytest|mypy|ruff|openapi|swagger|codecov|readthedocs|azure-pipelines|cloudbuild|buildspec|appveyor|meta|dvc"
    r"|dataset_infos?|dataset_card|tokenizer_config|special_tokens_map|generation_config|preprocessor_config|model_index"
    r"|model_card|metadata|manifest|index|results?|metrics|predictions|labels?|classes|CITATION|vercel|renovate)"
    r"(?:[-_.][^/]*)?\.\w+$|\.(?:lock|schema|geo|dvc)\.?\w*$|\.(?:component|workflow|pipeline)\.ya?ml$",
    re.IGNORECASE,
)
_SWEEP = re.compile(
    r"(?:^|[/_.-])(?:sweeps?|grid(?:search)?|autogen|hpo|trials?|ablation_grid)(?:[/_.-]|\d|$)"
    r"|\d{4}|(?:^|[-_.])(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{7,40}(?:[-_.]|$)|[a-z]\w*=[^/]*",
    re.IGNORECASE,
)
_CHECKPOINT = frozenset({"vocab_size", "hidden_size", "num_attention_heads"})  # of Hugging Face's config.json
_CLUSTER = frozenset(
    {
        "apiVersion",
        "openapi",
        "swagger",
        "$schema",
        "jobs",
        "services",
        "nbformat",
        "repos",
        "stages",
    }
)


class Delta(Struct, frozen=True):
    """One file of a group: what it sets that not all do, by dotted key."""

    config: ConfigFile
    settings: Mapping[str, Scalar]


class Fork(Struct, frozen=True):
    """Files that are copies of one another, in the order of paths. ``base``: the settings all of them have."""

    base: Mapping[str, Scalar]
    files: tuple[Delta, ...]
    varied: tuple[str, ...]  # keys in which they differ

    @property
    def largest(self) -> int:
        return max(len(self.base) + len(one.settings) for one in self.files)


class _Group(Struct):
    leader: frozenset[int]
    members: list[int]


class ConfigForks(Analysis):
    """Finds groups of at least three files of one format that share four fifths of their settings.

    Each file is compared with the first files of existing groups only, and of those only with such as share one of its
    rarest fifth of settings (two sets that overlap in 80 % of the larger must): near-linear in the number of files.
    """

    def __init__(self, project: Project) -> None:
        super().__init__(project)

    @cached_property
    def forks(self) -> tuple[Fork, ...]:
        """Every group, by the path of its first file."""
        by_format: dict[str, list[ConfigFile]] = {}
        for config in self.project.repository.configs:
            if _is_own(config):
                by_format.setdefault(config.format, []).append(config)
        found = [fork for configs in by_format.values() for fork in _forks(configs)]
        return tuple(sorted(found, key=lambda fork: fork.files[0].config.path))


def _is_own(config: ConfigFile) -> bool:
    """Whether a file is configuration of the project's own programs that does not build on another."""
    if len(config.leaves) < _LEAST_LEAVES or config.problem is not None:
        return False
    if _OTHERS.search(config.path):
        return False
    if _SWEEP.search(config.path.rpartition(".")[0]):
        return False
    if _is_architecture(config):
        return False
    line = 0
    for leaf in config.leaves:
        if leaf.tag.lower() in ("!include", "!inc", "!import", "!extends", "!inherit") or leaf.line < line:
            return False  # what stands above its place came through an alias
        line = leaf.line
        if leaf.keys and (leaf.keys[0] in _CLUSTER or not _INHERITS.isdisjoint(key.lower() for key in leaf.keys[:3])):
            return False
    return True


def _is_architecture(config: ConfigFile) -> bool:
    """Whether a file is the published definition of a model: layers in nested lists, or what goes with a checkpoint."""
    layers = sum(1 for leaf in config.leaves if sum(key.isdigit() for key in leaf.keys) > 1)
    top = {leaf.keys[0] for leaf in config.leaves if len(leaf.keys) == 1}
    return 2 * layers > len(config.leaves) or top.issuperset(_CHECKPOINT)


def _forks(configs: Sequence[ConfigFile]) -> Iterable[Fork]:
    numbers: dict[_Identity, int] = {}
    sets = [frozenset(numbers.setdefault(one, len(numbers)) for one in _settings(config)) for config in configs]
    counts = Counter(number for one in sets for number in one)
    groups: list[_Group] = []
    index: dict[int, list[int]] = {}
    for at, settings in enumerate(sets):
        rarest = sorted(settings, key=lambda number: (counts[number], number))
        rarest = rarest[: len(rarest) - math.ceil(_SHARE * len(rarest)) + 1]
        leaders = Counter(group for number in rarest for group in index.get(number, ()))
        for group, _ in leaders.most_common(_MOST_LEADERS):
            if _share(groups[group].leader, settings) >= _SHARE:
                groups[group].members.append(at)
                break
        else:
            for number in rarest:
                index.setdefault(number, []).append(len(groups))
            groups.append(_Group(settings, [at]))
    for found in groups:
        members = [configs[at] for at in found.members]
        if len(members) >= _LEAST_FILES:
            yield _fork(members)


def _settings(config: ConfigFile) -> dict[_Identity, Leaf]:
    """The settings of a file: its leaves, with the elements of long plain lists as one."""
    found: dict[_Identity, Leaf] = {}
    listed: list[Leaf] = []
    for leaf in config.leaves:
        if listed and (not leaf.keys[-1:] or not leaf.keys[-1].isdigit() or leaf.keys[:-1] != listed[0].keys[:-1]):
            found.update(_elements(listed))
            listed = []
        if leaf.keys and leaf.keys[-1].isdigit():
            listed.append(leaf)
        else:
            found[leaf.keys, type(leaf.value).__name__, leaf.value] = leaf
    found.update(_elements(listed))
    return found


def _elements(leaves: Sequence[Leaf]) -> Iterator[tuple[_Identity, Leaf]]:
    if len(leaves) < _LIST:
        for leaf in leaves:
            yield (leaf.keys, type(leaf.value).__name__, leaf.value), leaf
    else:
        keys, value = leaves[0].keys[:-1], ", ".join(str(leaf.value) for leaf in leaves)
        yield (keys, "list", value), Leaf(keys, f"[{value}]", leaves[0].line)


def _share(one: frozenset[int], other: frozenset[int]) -> float:
    return len(one & other) / max(len(one), len(other))


def _fork(members: Sequence[ConfigFile]) -> Fork:
    leaves = [_settings(config) for config in members]
    common = set(leaves[0]).intersection(*leaves[1:])
    base = {".".join(leaf.keys): leaf.value for key, leaf in leaves[0].items() if key in common}
    deltas = []
    for config, own in zip(members, leaves, strict=True):
        rest = {".".join(leaf.keys): leaf.value for key, leaf in own.items() if key not in common}
        deltas.append(Delta(config, rest))
    varied = dict.fromkeys(key for delta in deltas for key in delta.settings)
    return Fork(base, tuple(deltas), tuple(varied))
