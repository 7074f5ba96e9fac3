"""Whether configuration files are written by a program: they say so, or one of the project writes such files."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from mldebt.facts.schema import Call, Const, Format, Ref
from mldebt.facts.walk import expressions, statements, walk
from mldebt.rule import Analysis

if TYPE_CHECKING:
    from mldebt.module import Module
    from mldebt.project.project import Project

_WRITERS = frozenset(
    """yaml.dump yaml.safe_dump yaml.dump_all yaml.safe_dump_all ruamel.yaml.YAML.dump ruamel.yaml.dump json.dump
    json.dumps toml.dump toml.dumps tomli_w.dump tomli_w.dumps tomlkit.dump tomlkit.dumps omegaconf.OmegaConf.save
    configparser.ConfigParser.write""".split()
)
_GENERATED = re.compile(
    r"auto-?\s?generated|generated (?:by|from|with|file)|do not edit|do not modify",
    re.IGNORECASE,
)
_HEAD = 600  # bytes of a file in which a note that it is generated stands


def is_generated(project: Project, paths: Sequence[str]) -> bool:
    """Whether most of some files say that they are generated, or a program here writes files of such names."""
    said = sum(_GENERATED.search(_head(project, path)) is not None for path in paths)
    return 2 * said > len(paths) or project[Generators].write(paths)


def _head(project: Project, path: str) -> str:
    try:
        with (project.root / path).open("rb") as file:
            text = file.read(_HEAD).decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(row for row in text.splitlines() if row.lstrip().startswith(("#", "//", ";", '"_', '"//')))


class Generators(Analysis):
    """Answers whether programs of the project write configuration files."""

    def write(self, paths: Sequence[str]) -> bool:
        """Whether one writes files under the names of these, as far as its texts tell."""
        suffixes = {posixpath.splitext(path)[1] for path in paths}
        folders = {posixpath.basename(posixpath.dirname(path)) for path in paths} - {""}
        stem = posixpath.commonprefix([posixpath.basename(path) for path in paths])
        return any(
            (len(stem) > 2 and stem in template) or not folders.isdisjoint(parts)
            for template, parts in self._written
            if any(suffix in template for suffix in suffixes)
        )

    @cached_property
    def _written(self) -> list[tuple[str, frozenset[str]]]:
        """Texts with holes of the functions that write, and at the top of their files, with the parts of all texts."""
        found = []
        for module in self.project.modules.values():
            sites = [site for _, site in module.calls_of(_WRITERS)] if module.role == "project" else []
            for index in {site.scope for site in sites} | {0} if sites else ():
                found += [(template, frozenset(text.split("/"))) for template, text in _templates(module, index)]
        return found


def _templates(module: Module, index: int) -> Iterator[tuple[str, str]]:
    """Texts with holes that a scope builds, and all constant text of the scope beside them."""
    found: list[str] = []
    texts: list[str] = []
    for stmt in statements(module.body(index)):
        for root in expressions(stmt, module.facts.scopes):
            for node in walk(root):
                if isinstance(node, Format):
                    found.append("{}".join(str(one.value) for one in node.parts if isinstance(one, Const)))
                elif isinstance(node, Const) and isinstance(node.value, str):
                    texts.append(node.value)
                    if "{}" in node.value or "%" in node.value:
                        found.append(node.value)
                elif isinstance(node, Ref) and index and isinstance(value := module.constant(index, node), str):
                    texts.append(value)
                elif isinstance(node, Call) and isinstance(node.function, Ref) and node.function.name.endswith("Path"):
                    texts += [str(one.value) for one in node.args if isinstance(one, Const)]
    constant = "/".join([*texts, *found])
    yield from ((template, constant) for template in found)
