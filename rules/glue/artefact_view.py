"""``mldebt artefacts``: what is written and read, by whom, and which pipeline file says so."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from mldebt.view import Asked, View

from .accesses import READ, WRITE
from .artefacts import Access, Artefacts, Node
from .dvc_stages import Stages, yaml_text

_SHOWN = 3


class ArtefactView(View):
    """The artefact graph as a table, or as the ``dvc.yaml`` it comes to."""

    command: ClassVar[str] = "artefacts"
    title: ClassVar[str] = "List the files, URIs and tables the code writes and reads, and who does."
    formats: ClassVar[tuple[str, ...]] = ("text", "dvc")

    def names(self) -> Collection[str]:
        return self.project[Artefacts].nodes.keys()

    def values(self, asked: Asked, /) -> Mapping[str, Any]:
        graph = self.project[Artefacts]
        nodes = [node for node in graph.nodes.values() if not asked.name or node.pattern == asked.name]
        shown = [
            node
            for node in nodes
            if asked.covers(node.pattern) or any(asked.covers(one.place.path) for one in node.accesses)
        ]
        patterns = {node.pattern for node in shown}
        return {
            "artefacts": [self._node(graph, node) for node in shown],
            "flows": [
                {
                    "artefact": flow.node.pattern,
                    "writer": flow.writer.name,
                    "reader": flow.reader.name,
                    "confidence": flow.confidence.label,
                }
                for flow in graph.flows
                if flow.node.pattern in patterns
            ],
            "dvc": yaml_text(self.project[Stages].all),
        }

    def _node(self, graph: Artefacts, node: Node) -> dict[str, Any]:
        return {
            "name": node.pattern,
            "kind": node.kind,
            "contents": sorted({access.kind for access in node.accesses}),
            "written": [self._access(graph, one) for one in node.accesses if one.direction == WRITE],
            "read": [self._access(graph, one) for one in node.accesses if one.direction == READ],
            "declared": [
                {
                    "tool": one.tool,
                    "stage": one.stage,
                    "role": one.role,
                    "path": one.place.path,
                    "line": one.place.span.line,
                }
                for one in graph.declared(node)
            ],
        }

    @staticmethod
    def _access(graph: Artefacts, access: Access) -> dict[str, Any]:
        return {
            "path": access.place.path,
            "line": access.place.span.line,
            "function": access.definition.qualname,
            "call": access.api,
            "through": {"path": access.via.path, "line": access.via.span.line} if access.via else None,
            "entries": [entry.name for entry in graph.entries(access)],
            "confidence": access.confidence.label,
        }

    def render(self, values: Mapping[str, Any], form: str, /) -> str:
        if form == "dvc":
            return str(values["dvc"]).rstrip("\n")
        return "\n".join(_text(node) for node in values["artefacts"])


def _text(node: Mapping[str, Any]) -> str:
    rows = [f"{node['name']} ({node['kind']}; {', '.join(node['contents'])})"]
    rows += [_access_text("written", one) for one in node["written"]]
    rows += [_access_text("read", one) for one in node["read"]]
    for one in node["declared"]:
        stage = f" {one['stage']}" if one["stage"] else ""
        rows.append(f"  declared  {one['path']}:{one['line']} {one['tool']}{stage} ({one['role']})")
    return "\n".join(rows) + "\n"


def _access_text(label: str, one: Mapping[str, Any]) -> str:
    through = f" through {one['through']['path']}:{one['through']['line']}" if one["through"] else ""
    more = f" and {len(one['entries']) - _SHOWN} more" if len(one["entries"]) > _SHOWN else ""
    entries = ", ".join(one["entries"][:_SHOWN]) + more
    return f"  {label:<8}  {one['path']}:{one['line']} {one['call']}{through} [{entries or 'no entry reaches it'}]"
