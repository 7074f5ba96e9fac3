"""MLD315: the configuration is rewritten far from where it is made."""

from __future__ import annotations

from collections.abc import Iterator

from mldebt.finding import Confidence, Related, Severity
from mldebt.project.project import Project
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .config_objects import CLASS, FILE, HYDRA, Root
from .distant_writes import Distant, DistantWrites

_MOST_NAMED = 6
_MOST_RELATED = 20


class ConfigMutatedAtDistance(ProjectRule):
    """Options are assigned again in other files than the one that parses or loads them: in two files, or three options
    in one.

    ## Why it is debt

    What the program was started with is not what it runs with, and the configuration it really has stands nowhere: the
    log shows `hidden=512`, the model was built with 256 because another file halved it, and a third one that runs
    before sees 512 still. "It should be easy to see the difference in configuration between two models" is one of the
    principles of good configuration.

    ## How to pay it back

    Compute what follows from options once, right after parsing, and hand the finished (frozen) configuration on; keep
    what one function needs in a variable of its own: `hidden = cfg.hidden // 2`.

    ## When to leave it

    Silent on its own: the file that parses or builds the object and the program that asks for it, methods of the
    configuration class, copies (`deepcopy`, `replace`, `merge`, `clone`), a library's `model.config`, presets
    (`args.x = getattr(args, "x", 512)`) and whatever fills in what is missing (`if args.x is None: args.x = 512`),
    overrides right behind the call that loads, options no program declares, the state of the process and
    its launch (`args.rank`, `args.device`, `args.output_dir`, `args.nnodes`),
    tests, and files that take no part in training.

    ## References

    D. Sculley et al., "Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, section 6, principle 3.
    """

    code = "MLD315"
    severity, confidence, minutes = Severity.MAJOR, Confidence.HIGH, 20
    preview = True  # all 5 findings left were right: too few to tell

    examples = (
        Bad(
            {
                "train.py": """
                import argparse
                from data import loaders
                from model import build

                def main():
                    parser = argparse.ArgumentParser()
                    parser.add_argument("--hidden", type=int, default=512)
                    parser.add_argument("--batch-size", type=int, default=64)
                    args = parser.parse_args()
                    run(build(args), loaders(args), args)

                if __name__ == "__main__":
                    main()
                """,
                "data.py": """
                def loaders(args):
                    if small():
                        args.batch_size = 8
                    return make(args.batch_size)
                """,
                "model.py": """
                def build(args):
                    args.hidden = args.hidden // 2
                    return net(args.hidden)
                """,
            },
            anchors=("data.py:3",),
        ),
        Bad(
            {
                "run.py": """
                import argparse
                from exp import Experiment

                parser = argparse.ArgumentParser()
                parser.add_argument("--seq-len", type=int, default=96)
                parser.add_argument("--pred-len", type=int, default=24)
                parser.add_argument("--enc-in", type=int, default=7)
                args = parser.parse_args()
                Experiment(args).train()
                """,
                "exp.py": """
                class Experiment:
                    def __init__(self, args):
                        self.args = args

                    def train(self):
                        data = load(self.args.seq_len)
                        self.args.seq_len = data.longest
                        self.args.pred_len = 0
                        self.args.enc_in = data.width
                        fit(data, self.args)
                """,
            },
            anchors=("exp.py:7",),
        ),
        Bad(
            {
                "train.py": """
                import hydra
                from data import loader
                from net import model

                @hydra.main(config_path="conf", config_name="train")
                def main(cfg):
                    fit(model(cfg.model), loader(cfg))

                if __name__ == "__main__":
                    main()
                """,
                "conf/train.yaml": """
                batch: 32
                model:
                  width: 64
                """,
                "data.py": """
                def loader(cfg):
                    cfg.batch = cfg.batch * 2
                    return make(cfg.batch)
                """,
                "net.py": """
                def model(section):
                    setattr(section, "width", section.width * 2)
                    return build(section.width)
                """,
            }
        ),
        Good(  # derived right after parsing
            {
                "train.py": """
                import argparse
                from model import build

                def main():
                    parser = argparse.ArgumentParser()
                    parser.add_argument("--hidden", type=int, default=512)
                    parser.add_argument("--heads", type=int, default=8)
                    args = parser.parse_args()
                    args.hidden = args.hidden // 2
                    args.heads = max(args.heads, 1)
                    args.width = args.hidden * 4
                    build(args)

                main()
                """,
                "model.py": """
                def build(args):
                    hidden = args.hidden // 2
                    return net(hidden, args.heads, args.width)
                """,
            }
        ),
        Good(
            {
                "train.py": """
                import argparse
                from data import loaders
                from model import build

                parser = argparse.ArgumentParser()
                parser.add_argument("--hidden", type=int, default=512)
                parser.add_argument("--batch-size", type=int, default=64)
                args = parser.parse_args()
                run(build(args), loaders(args))
                """,
                "data.py": """
                import copy

                def loaders(args):
                    args = copy.deepcopy(args)
                    args.batch_size = 8
                    return make(args.batch_size)
                """,
                "model.py": """
                from argparse import Namespace

                def build(args):
                    own = Namespace(**vars(args))
                    own.hidden = own.hidden // 2
                    return net(own.hidden)
                """,
            }
        ),
        Good(
            {
                "train.py": """
                import argparse
                from dist import init
                from log import start

                parser = argparse.ArgumentParser()
                parser.add_argument("--lr", type=float, default=0.1)
                parser.add_argument("--world-size", type=int, default=1)
                args = parser.parse_args()
                init(args)
                start(args)
                fit(args.lr)
                """,
                "dist.py": """
                import os

                def init(args):
                    args.rank = int(os.environ["RANK"])
                    args.world_size = int(os.environ["WORLD_SIZE"])
                    args.gpu = args.rank % 8
                    args.distributed = True
                """,
                "log.py": """
                def start(args):
                    args.output_dir = make(args.lr)
                """,
            }
        ),
        Good(
            {
                "train.py": """
                from transformers import AutoModel
                from heads import widen
                from tails import narrow

                model = AutoModel.from_pretrained("bert-base-uncased")
                widen(model)
                narrow(model)
                """,
                "heads.py": """
                def widen(model):
                    model.config.hidden_size = 1024
                """,
                "tails.py": """
                def narrow(model):
                    model.config.num_labels = 2
                """,
            }
        ),
        Good(
            {
                "train.py": """
                import argparse
                from presets import base, large

                parser = argparse.ArgumentParser()
                parser.add_argument("--arch", default="base")
                args = parser.parse_args()
                base(args)
                large(args)
                fit(args.layers)
                """,
                "presets.py": """
                def base(args):
                    args.layers = getattr(args, "layers", 6)
                    args.heads = getattr(args, "heads", 8)
                    args.width = getattr(args, "width", 512)

                def large(args):
                    args.layers = getattr(args, "layers", 12)
                """,
            }
        ),
        Good(  # what nobody gave is filled in, and the number of nodes is the launcher's
            {
                "train.py": """
                import argparse
                from data import loaders
                from launch import prepare

                parser = argparse.ArgumentParser()
                parser.add_argument("--source", default=None)
                parser.add_argument("--batch-size", type=int, default=None)
                parser.add_argument("--nnodes", type=int, default=1)
                parser.add_argument("--workers", type=int, default=0)
                args = parser.parse_args()
                prepare(args)
                run(loaders(args), args)
                """,
                "data.py": """
                def loaders(args):
                    if args.source is None:
                        args.source = guess()
                    if not args.batch_size:
                        args.batch_size = 8
                    args.workers = args.workers or cores()
                    return make(args.source, args.batch_size, args.workers)
                """,
                "launch.py": """
                def prepare(args):
                    args.nnodes = count()
                    if args.source is None:
                        args.source = guess()
                """,
            }
        ),
    )

    def check(self, project: Project, /) -> Iterator[Problem]:
        for one in project[DistantWrites].all:
            yield _problem(one)


def _problem(one: Distant) -> Problem:
    first, *others = one.writes
    names = ", ".join(one.options[:_MOST_NAMED])
    more = f" and {len(one.options) - _MOST_NAMED} more" if len(one.options) > _MOST_NAMED else ""
    files = "one other file" if one.files == 1 else f"{one.files} other files"
    return Problem(
        first.place,
        f"{_called(one.root)} is rewritten in {files}: {names}{more}",
        related=tuple(
            Related(event.place, f"assigns {'.'.join(event.names)}" if event.names else "assigns options")
            for event in others[:_MOST_RELATED]
        ),
        evidence=(
            f"{len(one.writes)} assignments of {len(one.options)} options outside the files that make the object",
            "none of them is made on a copy, or fills in what is missing",
        ),
        symbol=one.root.key,
    )


def _called(root: Root) -> str:
    if root.kind == CLASS:
        return f"the configuration {root.key.rpartition(':')[2]}"
    if root.kind in (FILE, HYDRA):
        return f"the configuration {root.key}"
    return f"the namespace that {root.path} parses"
