from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mldebt.finding import Confidence, Related, Severity
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .rank_seeds import RankSeeds
from .set_epoch import SetEpochs

if TYPE_CHECKING:
    from mldebt.project.project import Project


class DistributedRng(ProjectRule):
    """A distributed program shuffles in the same order in every epoch, or augments the same way on every rank.

    A `DistributedSampler` that shuffles is never told the epoch, or the generator of an augmentation has one constant
    seed on all ranks. Or the other way round: a seed that knows the rank comes before the model, and gradients are
    averaged by hand, with nothing that makes the parameters alike.

    ## Why it is debt

    `DistributedSampler` seeds its order with `seed + epoch`, and the epoch stays 0 until `set_epoch` is called: every
    epoch then sees the same batches, with no error and a somewhat worse model. An augmentation generator with one seed
    on all ranks draws the same crops on each of them, so eight GPUs see an eighth of the variety.

    ## How to pay it back

    Call `sampler.set_epoch(epoch)` first thing in the loop over epochs. Give an augmentation's generator a seed that
    knows its rank: `default_rng((seed, rank))`.

    ## When to leave it

    Lightning, Accelerate, the Hugging Face `Trainer` and others call `set_epoch` themselves, and nothing is
    reported where they run the loop; nor for samplers of evaluation or with `shuffle=False`. The same seed on
    every rank for the initial parameters is what you want.

    ## References

    - PyTorch, DistributedSampler: https://pytorch.org/docs/stable/data.html#torch.utils.data.distributed.DistributedSampler
    """

    code = "MLD414"
    severity = Severity.MAJOR
    confidence = Confidence.MEDIUM
    minutes = 10

    examples = (
        Bad(
            """
            import torch
            from torch.utils.data import DataLoader
            from torch.utils.data.distributed import DistributedSampler


            def main(data, epochs=10):
                torch.distributed.init_process_group("nccl")
                sampler = DistributedSampler(data)
                loader = DataLoader(data, sampler=sampler)
                model = torch.nn.Linear(4, 1)
                for epoch in range(epochs):
                    for x, y in loader:
                        ((model(x) - y) ** 2).mean().backward()


            if __name__ == "__main__":
                main(torch.load("data.pt"))
            """,
            anchors=("example.py:8",),
        ),
        Bad(
            {
                "data.py": """
                    from torch.utils.data import DataLoader, DistributedSampler


                    def make_loader(data, train=True):
                        return DataLoader(data, sampler=DistributedSampler(data, shuffle=train), batch_size=8)
                    """,
                "train.py": """
                    import torch

                    from data import make_loader


                    def train_one_epoch(model, loader):
                        for x, y in loader:
                            ((model(x) - y) ** 2).mean().backward()


                    def main():
                        loader = make_loader(torch.load("data.pt"))
                        model = torch.nn.Linear(4, 1)
                        for epoch in range(3):
                            train_one_epoch(model, loader)


                    if __name__ == "__main__":
                        main()
                    """,
            },
            anchors=("data.py:5",),
        ),
        Bad(
            """
            import numpy as np
            import torch


            class RandomCrop:
                def __init__(self):
                    self.rng = np.random.default_rng(0)

                def __call__(self, x):
                    return x[self.rng.integers(8) :]


            def main(data):
                torch.distributed.init_process_group("gloo")
                crop = RandomCrop()
                for epoch in range(3):
                    for x in data:
                        crop(x).backward()


            if __name__ == "__main__":
                main(torch.load("data.pt"))
            """
        ),
        Bad(
            {
                "sync.py": """
                    import torch.distributed as dist


                    def average_gradients(module):
                        for p in module.parameters():
                            dist.all_reduce(p.grad, op=dist.ReduceOp.SUM)
                            p.grad /= dist.get_world_size()
                    """,
                "worker.py": """
                    import torch
                    import torch.distributed as dist
                    from torch import nn

                    from sync import average_gradients


                    def main(seed=0):
                        dist.init_process_group("gloo")
                        torch.manual_seed(seed + dist.get_rank())
                        model = nn.Linear(8, 1)
                        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                        for x, y in torch.load(f"shard_{dist.get_rank()}.pt"):
                            ((model(x) - y) ** 2).mean().backward()
                            average_gradients(model)
                            optimizer.step()


                    if __name__ == "__main__":
                        main()
                    """,
            },
            anchors=("worker.py:10",),
        ),
        Good(
            {
                "sync.py": """
                    import torch.distributed as dist


                    def average_gradients(module):
                        for p in module.parameters():
                            dist.all_reduce(p.grad, op=dist.ReduceOp.SUM)
                            p.grad /= dist.get_world_size()


                    def same_start(module):
                        for p in module.parameters():
                            dist.broadcast(p.data, src=0)
                    """,
                "worker.py": """
                    import torch
                    import torch.distributed as dist
                    from torch import nn

                    from sync import average_gradients, same_start


                    def main(seed=0):
                        dist.init_process_group("gloo")
                        torch.manual_seed(seed + dist.get_rank())
                        model = nn.Linear(8, 1)
                        same_start(model)
                        for x, y in torch.load(f"shard_{dist.get_rank()}.pt"):
                            ((model(x) - y) ** 2).mean().backward()
                            average_gradients(model)


                    if __name__ == "__main__":
                        main()
                    """,
            }
        ),
        Good(
            """
            import torch
            import torch.distributed as dist
            from torch import nn


            def main(seed=0):
                dist.init_process_group("gloo")
                torch.manual_seed(seed)
                model = nn.Linear(8, 1)
                torch.manual_seed(seed + dist.get_rank())
                for x, y in torch.load(f"shard_{dist.get_rank()}.pt"):
                    ((model(x) - y) ** 2).mean().backward()
                    for p in model.parameters():
                        dist.all_reduce(p.grad)


            if __name__ == "__main__":
                main()
            """
        ),
        Good(
            """
            import torch
            from torch.utils.data import DataLoader
            from torch.utils.data.distributed import DistributedSampler


            def main(data, epochs=10):
                sampler = DistributedSampler(data)
                loader = DataLoader(data, sampler=sampler)
                model = torch.nn.Linear(4, 1)
                for epoch in range(epochs):
                    sampler.set_epoch(epoch)
                    for x, y in loader:
                        ((model(x) - y) ** 2).mean().backward()


            if __name__ == "__main__":
                main(torch.load("data.pt"))
            """
        ),
        Good(
            """
            import torch
            from torch.utils.data import DataLoader
            from torch.utils.data.distributed import DistributedSampler


            def main(data, val_data, epochs=10):
                loader = DataLoader(data, sampler=DistributedSampler(data, shuffle=False))
                val_loader = DataLoader(val_data, sampler=DistributedSampler(val_data))
                model = torch.nn.Linear(4, 1)
                for epoch in range(epochs):
                    for x, y in loader:
                        ((model(x) - y) ** 2).mean().backward()
                    print(sum(model(x).sum() for x, _ in val_loader))


            if __name__ == "__main__":
                main(torch.load("data.pt"), torch.load("val.pt"))
            """
        ),
        Good(
            """
            import pytorch_lightning as pl
            import torch
            from torch.utils.data import DataLoader
            from torch.utils.data.distributed import DistributedSampler


            def main(model, data):
                loader = DataLoader(data, sampler=DistributedSampler(data))
                for epoch in range(2):
                    pl.Trainer(max_epochs=1).fit(model, loader)


            if __name__ == "__main__":
                main(torch.load("model.pt"), torch.load("data.pt"))
            """
        ),
        Good(
            """
            import numpy as np
            import torch


            class RandomCrop:
                def __init__(self, rank):
                    self.rng = np.random.default_rng((0, rank))

                def __call__(self, x):
                    return x[self.rng.integers(8) :]


            def main(data):
                torch.distributed.init_process_group("gloo")
                torch.manual_seed(0)
                model = torch.nn.Linear(8, 1)
                crop = RandomCrop(torch.distributed.get_rank())
                for x in data:
                    model(crop(x)).backward()


            if __name__ == "__main__":
                main(torch.load("data.pt"))
            """
        ),
        Good(
            """
            from torch.utils.data import DataLoader
            from torch.utils.data.distributed import DistributedSampler


            def make_loader(data):
                return DataLoader(data, sampler=DistributedSampler(data))
            """
        ),
    )

    def check(self, project: Project, /) -> Iterator[Problem]:
        for module, site, loop, header in project[SetEpochs].missing():
            yield Problem(
                module.place(site),
                "this sampler shuffles, but nothing tells it the epoch, so every epoch has the same order",
                (Related(loop.place(header), "the loop over epochs"),),
                evidence=("no call of set_epoch on the way", "no framework that calls it runs the loop"),
            )
        for module, site, name in project[SetEpochs].equal():
            yield Problem(
                module.place(site),
                f"{name.rpartition('.')[2]}() has one constant seed, so every rank augments in the same way",
                evidence=("the program runs on several ranks", "the seed does not know the rank"),
            )
        for one in project[RankSeeds].apart():
            yield Problem(
                one.seed.module.place(one.seed.site),
                "the seed knows the rank and the model is built after it, so every rank trains other parameters",
                (
                    Related(one.seed.module.place(one.built), "the model is built here", "effect"),
                    Related(one.reducing.place(one.reduced), "only its gradients are averaged"),
                ),
                evidence=("nothing broadcasts or loads the parameters on the way",),
            )
