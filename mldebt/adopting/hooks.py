"""Our hooks in ``.pre-commit-config.yaml``: lines put in, and no other line touched."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from mldebt.adopting.draft import Draft

CONFIG = ".pre-commit-config.yaml"
REPOSITORY = "https://github.com/mldebt/mldebt"
HOOKS = ("mldebt", "mldebt-project")


def add_hooks(draft: Draft, version: str) -> None:
    """The entry of our hooks, in the file there is or in a new one."""
    if not draft.exists(CONFIG):
        draft.create(CONFIG, "repos:\n" + _entry(version, 2, 2))
        return
    text = draft.text(CONFIG)
    if text is not None and _has_ours(text):
        return
    draft.edit(CONFIG, lambda text: _inserted(text, version), f"add the hooks {' and '.join(HOOKS)} of {REPOSITORY}")


def _entry(version: str, dash: int, deeper: int) -> str:
    margin, inner = " " * dash, " " * (dash + 2)
    rows = [f"{margin}- repo: {REPOSITORY}", f"{inner}rev: v{version}", f"{inner}hooks:"]
    return "".join(f"{row}\n" for row in [*rows, *(f"{inner}{' ' * deeper}- id: {hook}" for hook in HOOKS)])


def _has_ours(text: str) -> bool:
    return any(isinstance(node.value, str) and _is_ours(node.value) for node in _scalars(_composed(text)))


def _is_ours(value: str) -> bool:
    return value in HOOKS or value.rstrip("/").removesuffix(".git").endswith("/mldebt")


def _inserted(text: str, version: str) -> str | None:
    repos = _repos(_composed(text))
    if repos is None or repos.flow_style or not repos.value:
        return None
    lines = text.split("\n")
    last = max((mark.line - (mark.column == 0) for mark in _ends(repos)), default=-1)
    while last >= 0 and not lines[last].strip():
        last -= 1
    if last < 0:
        return None
    dash = repos.start_mark.column
    new = _entry(version, dash, _deeper(repos, dash)).rstrip("\n").split("\n")
    after = "\n".join([*lines[: last + 1], *new, *(lines[last + 1 :] or [""])])
    return after if _is_one_more(repos, _repos(_composed(after)), version) else None


def _deeper(repos: yaml.SequenceNode, dash: int) -> int:
    """How far the file indents the hooks below their key."""
    for item in repos.value:
        for key, value in item.value if isinstance(item, yaml.MappingNode) else ():
            if key.value == "hooks" and isinstance(value, yaml.SequenceNode) and not value.flow_style:
                return max(0, value.start_mark.column - dash - 2)
    return 2


def _is_one_more(before: yaml.SequenceNode, after: yaml.SequenceNode | None, version: str) -> bool:
    """Whether the list reads as before, with our entry at its end."""
    if after is None or len(after.value) != len(before.value) + 1:
        return False
    said = [[node.value for node in _scalars(part)] for part in (before, after)]
    ours = ["repo", REPOSITORY, "rev", f"v{version}", "hooks", *(word for hook in HOOKS for word in ("id", hook))]
    return said[1] == said[0] + ours


def _composed(text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError):
        return None


def _repos(node: yaml.Node | None) -> yaml.SequenceNode | None:
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if key.value == "repos":
            return value if isinstance(value, yaml.SequenceNode) else None
    return None


def _ends(node: yaml.Node) -> Iterator[yaml.Mark]:
    """Where what is written ends; a block's own end lies behind the comments and blank lines after it."""
    for here in _nodes(node):
        if isinstance(here, yaml.ScalarNode) or (isinstance(here, yaml.CollectionNode) and here.flow_style):
            yield here.end_mark


def _scalars(node: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    return (here for here in _nodes(node) if isinstance(here, yaml.ScalarNode))


def _nodes(node: yaml.Node | None) -> Iterator[yaml.Node]:
    """Every node in reading order, that of an alias once: it may stand for a million."""
    pending, seen = [node], set[int]()
    while pending:
        here = pending.pop()
        if here is None or id(here) in seen:
            continue
        seen.add(id(here))
        yield here
        if isinstance(here, yaml.SequenceNode):
            pending += reversed(here.value)
        elif isinstance(here, yaml.MappingNode):
            pending += [part for pair in reversed(here.value) for part in reversed(pair)]
