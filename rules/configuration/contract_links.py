"""Which programs use the model another one trains: by the file that is written and read, else by the model's class."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from mldebt.facts.schema import CLASS
from mldebt.finding import Confidence
from mldebt.rule import Analysis

from ..glue.artefacts import Artefacts  # noqa: TID252 - installed under another name
from ..glue.reach import Reach  # noqa: TID252 - installed under another name

if TYPE_CHECKING:
    from mldebt.project.entries import Entry
    from mldebt.project.project import Project

_USES = frozenset({"eval", "predict", "serve", "export"})
_NETWORKS = frozenset(
    """torch.nn.Module torch.nn.modules.module.Module keras.Model tensorflow.keras.Model flax.linen.Module
    lightning.pytorch.LightningModule pytorch_lightning.LightningModule lightning.LightningModule
    transformers.PreTrainedModel transformers.modeling_utils.PreTrainedModel""".split()
)


class Link(Struct, frozen=True):
    """``user`` works with what ``trainer`` trains. ``by``: how that is known."""

    trainer: Entry
    user: Entry
    by: str


class ContractLinks(Analysis):
    """Answers which training programs and which using programs belong together."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._reach = project[Reach]

    @cached_property
    def links(self) -> tuple[Link, ...]:
        """In the order of entries; an artefact in common wins, a class counts only when no artefact is known."""
        programs = [entry for entry in self.project.entries if not entry.is_test and not entry.is_example]
        roles = {entry.name: self.project.roles(entry) for entry in programs}
        trainers = [entry for entry in programs if "train" in roles[entry.name]]
        users = [entry for entry in programs if roles[entry.name] & _USES and "train" not in roles[entry.name]]
        if not trainers or not users:
            return ()
        return tuple(self._linked(trainers, users))

    def _linked(self, trainers: list[Entry], users: list[Entry]) -> Iterator[Link]:
        flows: dict[tuple[str, str], str] = {}
        for flow in self.project[Artefacts].flows:
            if flow.write.kind != "data" or flow.read.kind != "data":
                flows.setdefault((flow.writer.name, flow.reader.name), flow.node.pattern)
        for user in users:
            written = [one for one in trainers if (one.name, user.name) in flows]
            if written:
                yield from (Link(one, user, flows[one.name, user.name]) for one in written)
                continue
            classes = self._classes(user)
            for trainer in trainers if classes else ():
                shared = sorted(classes & self._classes(trainer))
                if shared and not (self._models(trainer, "write") and self._models(user, "read")):
                    yield Link(trainer, user, f"class {shared[0].rpartition(':')[2]}")

    def _classes(self, entry: Entry) -> frozenset[str]:
        """The project's networks a program builds."""
        reached = self._reach.of(entry)
        return frozenset(
            name.rpartition(".")[0]
            for name in reached
            if name.endswith(".__init__") and name.rpartition(".")[0] in self._networks
        ) | frozenset(name for name in self._networks if any(one.startswith(f"{name}.") for one in reached))

    def _models(self, entry: Entry, direction: str) -> bool:
        """Whether a program's model files are known by name; none in common then means another model."""
        artefacts = self.project[Artefacts]
        accesses = artefacts.written_by(entry) if direction == "write" else artefacts.read_by(entry)
        return any(one.kind == "model" and one.confidence is Confidence.HIGH for one in accesses)

    @cached_property
    def _networks(self) -> frozenset[str]:
        """The project's classes of networks."""
        found = set()
        for module in self.project.modules.values():
            if module.role == "project" and not module.is_test:
                for index, scope in enumerate(module.facts.scopes):
                    if scope.kind == CLASS and scope.bases:
                        name = module.definition(index).name
                        if not _NETWORKS.isdisjoint(self.project.mro(name)):
                            found.add(name)
        return frozenset(found)
