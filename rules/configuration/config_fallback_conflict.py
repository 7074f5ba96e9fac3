"""MLD303: one option, several defaults."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from itertools import combinations

from mldebt.finding import Confidence, Related, Severity
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .agreement import agree, differ_in_kind, may_meet, normal
from .fallbacks import Fallback
from .options import BY_NAME, Options
from .owners import ENVIRONMENT, Owner
from .uses import Use, use

# Set by the launcher or the machine; every reader brings what it needs when it is run alone.
_LAUNCHED = re.compile(
    r"(?:LOCAL_|NODE_|GROUP_|ROLE_)?RANK$|(?:LOCAL_)?WORLD_SIZE$|MASTER_(?:ADDR|PORT)$|(?:SLURM|OMPI|PMI|MPI|PBS|LSB|SGE)_"
    r"|CUDA_|NCCL_|OMP_|MKL_|XDG_|HOME$|USER(?:NAME)?$|PATH$|TMP(?:DIR)?$|TEMP$|SHELL$|TERM$|HOSTNAME$|PWD$|COLUMNS$|LANG"
)
_MOST_READS = 60  # of one key: a word that common is no one option's
# How one program is run, which is its own affair; and what one service has of its own beside.
_PROCESS = re.compile(r"(?:^|_)(?:PORT|HOST|WORKERS?|TIMEOUT|THREADS?|PROCESSES|CONCURRENCY)$", re.IGNORECASE)
_OPERATIONAL = re.compile(
    r"(?:^|_)(?:PORT|HOST|WORKERS?|TIMEOUT|THREADS?|PROCESSES|CONCURRENCY|ADDR(?:ESS)?|DEVICE|BATCH(?:_?SIZE)?|LOG\w*|DEBUG"
    r"|URL|URI|PATH|DIR|ROOT|RETRIES|INTERVAL|NAME|ENV(?:IRONMENT)?|CACHE\w*|QUEUE\w*|TOPIC|TOKEN|KEY|SECRET)$",
    re.IGNORECASE,
)
# What an identity is set to when there is none: two readers then only word differently that nothing is set.
_IDENTITY = re.compile(r"(?:^|_)(?:NAME|ID|UUID|VERSION|REVISION|COMMIT|SHA|TAG)$", re.IGNORECASE)
_NOBODY = frozenset(
    "local localhost unknown unset undefined none null n/a na anonymous missing unnamed untitled".split()
)
_COMPOSE = re.compile(r"(?:^|/)(?:docker-)?compose[^/]*\.ya?ml$")
_GENERIC = frozenset({"type", "id", "name", "model", "version", "port", "host", "path", "debug", "log_level", "url"})


class ConfigFallbackConflict(ProjectRule):
    """One option is read in several places, and each falls back to another value when it is not set.

    A fallback is the default that a reader brings along: `getattr(args, "beam", 5)`, `cfg.get("depth", 4)`,
    `os.environ.get("CACHE", "1")`, `cfg["k"] if "k" in cfg else 3`.

    ## Why it is debt

    As long as the option is set nobody notices. When it is not, one part of the program trains with one value and
    another evaluates with a second one, and neither appears in any configuration. A text in one place and a boolean in
    the other is worse: `"False"` given on the command line is true for the reader that tests plain truth.
    "It should be hard to make manual errors, omissions, or oversights" is one of the principles of good configuration.

    ## How to pay it back

    Give the option one default where it is declared (the parser, the dataclass, the settings file) and read it without
    a fallback: `cfg.tie_embeddings`.

    ## When to leave it

    Silent on its own: objects that are not proved to be configuration (records, `kwargs`), fallbacks that are equal
    however they are spelled (`int(os.environ.get("N", "4"))` and `4`), falsy ones that are only tested for truth,
    architecture presets (`args.x = getattr(args, "x", 512)`), the two arms of a branch, classes to choose from, code
    that upgrades old files, variables a launcher sets (`RANK`) or that say how one of several services is run (`PORT`,
    `WORKERS`), names and ids of the program that fall back to a word for none (`local`, `unknown`), other sections and
    other files. If two programs are meant to differ, give the option two names.

    ## References

    D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 6.
    M. McAteer, "Nitpicking Machine Learning Technical Debt", 2020, best practice 17.
    """

    code = "MLD303"
    severity, confidence, minutes = Severity.MAJOR, Confidence.HIGH, 10

    examples = (
        Bad(
            {
                "train.py": """
                import argparse
                from model import build
                from loop import run

                def main():
                    parser = argparse.ArgumentParser()
                    parser.add_argument("--lr", type=float, default=0.1)
                    args = parser.parse_args()
                    run(build(args), args)

                if __name__ == "__main__":
                    main()
                """,
                "model.py": """
                def build(args):
                    tied = getattr(args, "tie_embeddings", True)
                    return make(tied)
                """,
                "loop.py": """
                def run(net, args):
                    if getattr(args, "tie_embeddings", False):
                        net.tie()
                """,
            },
            anchors=("loop.py:2",),
        ),
        Bad(
            {
                "train.py": """
                import yaml
                from trainer import Trainer

                with open("config.yaml") as f:
                    cfg = yaml.safe_load(f)
                window = cfg["model"].get("window", 4)
                Trainer(cfg).fit(window)
                """,
                "trainer.py": """
                class Trainer:
                    def __init__(self, cfg):
                        self.cfg = cfg

                    def fit(self, blocks):
                        step(blocks, self.cfg["model"].get("window", 3))
                """,
            },
            anchors=("train.py:6",),
        ),
        Bad(
            {
                "cache.py": """
                import os

                USE_CACHE = os.environ.get("FEATURE_CACHE", "1") == "1"
                """,
                "features.py": """
                import os
                from cache import USE_CACHE

                def load(path):
                    if os.getenv("FEATURE_CACHE", "0") == "1":
                        return read(path)
                """,
            }
        ),
        Bad(
            {
                "run.py": """
                import hydra
                from data import loader
                from net import model

                @hydra.main(config_path="conf", config_name="train")
                def main(cfg):
                    fit(model(cfg.model), loader(cfg))
                """,
                "data.py": """
                def loader(cfg):
                    return make_loader(size=cfg.model.get("image_size", 224))
                """,
                "net.py": """
                def model(section):
                    return make(section.get("image_size", 256))
                """,
            }
        ),
        Bad(
            {
                "services/index/job.py": """
                import os

                MAX_TOKENS = int(os.environ.get("MAX_TOKENS", "512"))
                encode(load(), MAX_TOKENS)
                """,
                "services/query/app.py": """
                from os import getenv

                def encoder():
                    return make(max_length=int(getenv("MAX_TOKENS", "256")))
                """,
                "docker-compose.yml": """
                services:
                  index:
                    build: services/index
                  query:
                    build: ./services/query
                """,
            },
            anchors=("services/index/job.py:3",),
        ),
        Bad(
            {
                "adapter.py": """
                from torch import nn


                class Adapter(nn.Module):
                    def __init__(self, args):
                        super().__init__()
                        self.drop = nn.Dropout(getattr(args, "adapter_dropout", 0.3))
                """,
                "model.py": """
                from torch import nn

                from adapter import Adapter


                class Encoder(nn.Module):
                    def __init__(self, args):
                        super().__init__()
                        self.drop = nn.Dropout(getattr(args, "adapter_dropout", 0.1))
                        self.adapter = Adapter(args) if args.adapter else nn.Identity()
                """,
                "train.py": """
                import argparse

                from model import Encoder


                def main():
                    parser = argparse.ArgumentParser()
                    parser.add_argument("--adapter", action="store_true")
                    parser.add_argument("--adapter-dropout", type=float, default=argparse.SUPPRESS)
                    print(Encoder(parser.parse_args()))


                if __name__ == "__main__":
                    main()
                """,
            },
            anchors=("adapter.py:7",),
        ),
        Good(
            {
                "services/index/job.py": """
                import os

                encode(load(), int(os.environ.get("REQUEST_TIMEOUT", "512")), int(os.environ.get("INDEX_WORKERS", "8")))
                """,
                "services/query/app.py": """
                import os

                serve(int(os.environ.get("REQUEST_TIMEOUT", "1")), int(os.environ.get("INDEX_WORKERS", "2")))
                """,
                "docker-compose.yml": """
                services:
                  index:
                    build: services/index
                  query:
                    build: services/query
                """,
            }
        ),
        Good(
            {
                "train.py": """
                import argparse
                from model import build
                from loop import run

                args = argparse.ArgumentParser().parse_args()
                run(build(args), args)
                """,
                "model.py": """
                def build(args):
                    if getattr(args, "tie_embeddings", None):
                        return 1
                """,
                "loop.py": """
                def run(net, args):
                    if not getattr(args, "tie_embeddings", False):
                        net.tie()
                """,
            }
        ),
        Good(
            """
            import os

            workers = int(os.environ.get("WORKERS", "4"))

            def pool():
                return start(os.environ.get("WORKERS", 4))
            """
        ),
        Good(
            """
            def clean(record):
                return record.get("label", 0)

            def show(record):
                return record.get("label", "unknown")
            """
        ),
        Good(
            """
            import argparse

            def base(args):
                args.layers = getattr(args, "layers", 6)

            def big(args):
                args.layers = getattr(args, "layers", 24)

            args = argparse.ArgumentParser().parse_args()
            base(args)
            big(args)
            """
        ),
        Good(
            """
            import yaml

            cfg = yaml.safe_load(open("config.yaml"))
            train_batch = cfg["train"].get("batch_size", 64)
            test_batch = cfg["test"].get("batch_size", 256)
            """
        ),
        Good(
            {
                "settings.py": """
                import yaml

                def load_settings(path):
                    with open(path) as f:
                        return yaml.safe_load(f)
                """,
                "train.py": """
                import argparse
                from settings import load_settings

                parser = argparse.ArgumentParser()
                parser.add_argument("--config", default="configs/train.yaml")
                args = parser.parse_args()
                fit(load_settings(args.config).get("batch_size", 64))
                """,
                "serve.py": """
                import argparse
                from settings import load_settings

                parser = argparse.ArgumentParser()
                parser.add_argument("--config", default="configs/serve.yaml")
                args = parser.parse_args()
                serve(load_settings(args.config).get("batch_size", 1))
                """,
            }
        ),
        Good(
            {
                "api.py": """
                import os

                serve(port=int(os.environ.get("PORT", "8000")))
                """,
                "dashboard/app.py": """
                import os

                serve(port=int(os.environ.get("PORT", "8501")))
                """,
            }
        ),
        Good(
            """
            import os

            def make(kind):
                if kind == "small":
                    return net(os.environ.get("WIDTH", "64"))
                return net(os.environ.get("WIDTH", "128"))
            """
        ),
        Good(
            """
            import os

            def describe():
                return {"name": os.environ.get("CLOUD_APP_NAME", "trainer")}

            def tag_run(run):
                # set where the app is deployed
                run.tag(os.environ.get("CLOUD_APP_NAME", "local"))
            """
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        options = project[Options]
        for key, reads in options.fallbacks.items():
            wanted = [read for read in reads if not read.preset][:_MOST_READS]
            if len({repr(normal(read.value)) + type(read.value).__name__ for read in wanted}) < 2:
                continue
            used = {id(read): use(read.module, read.scope, read.statement, read.node, read.value) for read in wanted}
            # Whose the option is costs most to find out, so only for reads that disagree with some other.
            apart = [pair for pair in combinations(wanted, 2) if not agree(used[id(pair[0])], used[id(pair[1])])]
            if not any(may_meet(one, other, project) for one, other in apart):
                continue
            odd = {id(read) for pair in apart for read in pair}
            for group, owners in options.shared(tuple(read for read in wanted if id(read) in odd)):
                yield from self._conflict(project, key, group, owners, used)

    def _conflict(
        self,
        project: Project,
        key: str,
        group: tuple[Fallback, ...],
        owners: frozenset[Owner],
        used: dict[int, Use],
    ) -> Iterator[Problem]:
        if len(group) < 2 or (ENVIRONMENT in owners and _LAUNCHED.match(key)):
            return
        pairs = [
            (one, other)
            for one, other in combinations(group, 2)
            if not agree(used[id(one)], used[id(other)])
            and not _says_unset(key, one, other, owners)
            and _linked(project, key, one, other, owners)
            and may_meet(one, other, project)
        ]
        if not pairs:
            return
        first = pairs[0][0]
        others = [read for read in group if any(read in pair for pair in pairs) and read is not first]
        critical = any(differ_in_kind(used[id(one)], used[id(other)]) for one, other in pairs)
        yield Problem(
            first.module.place(first.node if hasattr(first.node, "line") else first.statement),
            _message(key, first, others, used),
            related=tuple(
                Related(
                    read.module.place(read.node if hasattr(read.node, "line") else read.statement),
                    f"falls back to {read.value!r}",
                    "counterpart",
                )
                for read in others
            ),
            severity=Severity.CRITICAL if critical else Severity.MAJOR,
            evidence=_evidence(key, group, owners),
            confidence=Confidence.MEDIUM if all(owner[0] in BY_NAME for owner in owners) else Confidence.HIGH,
            symbol=key,
        )


def _says_unset(key: str, one: Fallback, other: Fallback, owners: frozenset[Owner]) -> bool:
    """Whether a variable of the environment only identifies the program, and a fallback says that nothing does."""
    texts = [read.value for read in (one, other) if isinstance(read.value, str)]
    return (
        owners == {ENVIRONMENT}
        and _IDENTITY.search(key) is not None
        and len(texts) == 2
        and any(text.strip().lower() in _NOBODY for text in texts)
    )


def _linked(project: Project, key: str, one: Fallback, other: Fallback, owners: frozenset[Owner]) -> bool:
    """Whether two readers of the environment belong to one program; other configuration objects are shared by proof."""
    if owners != {ENVIRONMENT} or one.module is other.module:
        return True
    paths = [one.module.path, other.module.path]
    closures = [project.imports.closure(path) | {path} for path in paths]
    if paths[1] in closures[0] or paths[0] in closures[1]:
        return True
    if any(closure >= set(paths) for closure in (project.imports.closure(path) for path in _entries(project))):
        return True
    if key.lower() in _GENERIC or _PROCESS.search(key):
        return False
    if closures[0] & closures[1] or paths[0].rpartition("/")[0] == paths[1].rpartition("/")[0]:
        return True
    return not _OPERATIONAL.search(key) and _serve_together(project, key, paths)


def _serve_together(project: Project, key: str, paths: list[str]) -> bool:
    """Whether two programs are services of one system: composed by one file, or set by other variables they share."""
    for config in project.repository.configs:
        if _COMPOSE.search(config.path):
            base = posixpath.dirname(config.path)
            texts = [leaf.value for leaf in config.leaves if isinstance(leaf.value, str)]
            named = {posixpath.normpath(posixpath.join(base, text)) for text in texts if not text.startswith("/")}
            if all(any(path.startswith(f"{one}/") for one in named - {"."}) for path in paths):
                return True
    for other, reads in project[Options].fallbacks.items():
        if other == key or other.lower() in _GENERIC or _LAUNCHED.match(other) or _OPERATIONAL.search(other):
            continue
        values = [{repr(normal(r.value)) for r in reads if r.owner is None and r.module.path == path} for path in paths]
        if values[0] & values[1]:
            return True
    return False


def _entries(project: Project) -> list[str]:
    return sorted({entry.definition.module.path for entry in project.entries if not entry.is_test})


def _message(key: str, first: Fallback, others: list[Fallback], used: dict[int, Use]) -> str:
    seen = {repr(first.value): ""}
    parts = []
    for read in others:
        if repr(read.value) not in seen:
            seen[repr(read.value)] = ""
            line = getattr(read.node, "line", read.statement.line)
            parts.append(f"{read.value!r} at {read.module.path}:{line}")
    return f"{key!r} falls back to {first.value!r} here, but to {' and '.join(parts)}"


def _evidence(key: str, group: tuple[Fallback, ...], owners: frozenset[Owner]) -> tuple[str, ...]:
    owned = sorted(" ".join(owner) for owner in owners)
    return (
        f"{len(group)} reads of {key!r} with a default of their own",
        f"read from {', '.join(owned)}",
        "not the arms of one branch, not sibling classes, not a preset that writes the value back",
    )
