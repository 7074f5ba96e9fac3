from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mldebt.finding import Confidence, Fix, Related, Severity
from mldebt.rule import Bad, Good, Problem, ProjectRule

from .per_item_generator import made_per_item
from .worker_copies import Shared, WorkerCopies

if TYPE_CHECKING:
    from mldebt.project.project import Project


class RngObjectSharedAcrossWorkers(ProjectRule):
    """A data set, transform or collator draws from a generator made before the `DataLoader` started its workers.

    Every worker process receives a copy of the object, the generator with its state included: all workers draw the
    same numbers, and as they are started again for every epoch, every epoch repeats the last.

    ## Why it is debt

    With four workers four samples of a batch share one crop, one flip, one noise; the augmentation a paper reports is a
    fraction of what was trained with, and nothing fails. PyTorch gives each worker its own seed for `torch`,
    and since 1.9 for `random` and `numpy.random`, but it cannot know of generator objects. So the modern advice, a
    `numpy.random.Generator` passed around instead of global state, brings this bug in when it is followed naively.

    ## How to pay it back

    Make the generator where it is used, from what differs: `np.random.default_rng((self.seed, self.epoch, index))` in
    `__getitem__`. It does not depend on the number of workers, and every item can be reproduced alone. Or rebind it
    in `worker_init_fn`: `info = get_worker_info(); info.dataset.rng = np.random.default_rng(info.seed)`; or make it on
    first use from `torch.initial_seed()`.

    ## When to leave it

    Silent: loaders with no workers, for certain or by every default and launch command known; generators that
    only `__init__` draws from, that are made or reseeded per item, per worker or on first use, or that are used
    where the code asks `get_worker_info()`: workers that shuffle alike to share rows out must draw alike. Samplers
    and the `generator=` of a loader work in the main process. A `worker_init_fn` that cannot be seen is trusted.

    ## References

    - PyTorch, torch.utils.data, Randomness in multi-process data loading: https://pytorch.org/docs/stable/data.html
    - PyTorch, My data loader workers return identical random numbers:
      https://pytorch.org/docs/stable/notes/faq.html#dataloader-workers-random-seed
    - NEP 19, Random number generator policy: https://numpy.org/neps/nep-0019-rng-policy.html
    """

    code = "MLD406"
    severity = Severity.CRITICAL
    confidence = Confidence.HIGH
    minutes = 15

    examples = (
        Bad(
            {
                "data.py": """
                    import numpy as np
                    from torch.utils.data import Dataset


                    class Crops(Dataset):
                        def __init__(self, images, seed=0):
                            self.images = images
                            self.rng = np.random.default_rng(seed)

                        def __len__(self):
                            return len(self.images)

                        def __getitem__(self, index):
                            return self._jitter(self.images[index])

                        def _jitter(self, image):
                            return image * self.rng.uniform(0.8, 1.2)
                    """,
                "train.py": """
                    import torch
                    from torch.utils.data import DataLoader

                    from data import Crops


                    def main():
                        images = torch.load("images.pt")
                        for batch in DataLoader(Crops(images), batch_size=32, num_workers=4):
                            print(batch.mean())


                    if __name__ == "__main__":
                        main()
                    """,
            },
            anchors=("data.py:8",),
        ),
        Bad(
            {
                "transforms.py": """
                    import random


                    class RandomErase:
                        def __init__(self, share, seed):
                            self.share = share
                            self.random = random.Random(seed)

                        def __call__(self, image):
                            return image.erase() if self.random.random() < self.share else image
                    """,
                "train.py": """
                    import argparse

                    import torch
                    import torchvision

                    from transforms import RandomErase


                    def make_loader(args):
                        steps = torchvision.transforms.Compose([RandomErase(0.1, args.seed)])
                        data = torchvision.datasets.ImageFolder(args.root, transform=steps)
                        return torch.utils.data.DataLoader(data, shuffle=True, num_workers=args.workers)


                    def main():
                        parser = argparse.ArgumentParser()
                        parser.add_argument("--root")
                        parser.add_argument("--seed", type=int, default=0)
                        parser.add_argument("--workers", type=int, default=8)
                        for batch in make_loader(parser.parse_args()):
                            print(batch)


                    main()
                    """,
            },
            anchors=("transforms.py:7",),
        ),
        Bad(
            """
            import numpy as np
            import torch
            from torch.utils.data import DataLoader, Dataset

            RNG = np.random.RandomState(13)


            def collate(batch):
                return torch.stack(batch) + RNG.normal()


            class Rows(Dataset):
                def __init__(self, rows):
                    self.rows = rows

                def __getitem__(self, index):
                    return self.rows[index]


            def seed_worker(worker_id):
                np.random.seed(torch.initial_seed() % 2**32)


            def loader(rows):
                return DataLoader(Rows(rows), num_workers=2, collate_fn=collate, worker_init_fn=seed_worker)
            """,
            anchors=("example.py:5",),
        ),
        Bad(
            """
            import numpy as np
            import torch
            from torch.utils.data import ConcatDataset, DataLoader, Dataset


            class Noisy(Dataset):
                rng = None

                def __init__(self, rows, rng):
                    self.rows, self.rng = rows, rng

                def __getitem__(self, index):
                    return add_noise(self.rows[index], self.rng)


            class Labelled(Noisy):
                def __getitem__(self, index):
                    return super().__getitem__(index), index


            def add_noise(row, rng):
                return row + rng.normal(size=row.shape)


            class Data:
                def __init__(self, parts, num_workers: int = 4):
                    self.num_workers = num_workers
                    self.train = ConcatDataset([Labelled(part, np.random.default_rng(1)) for part in parts])

                def train_dataloader(self):
                    options = {"batch_size": 16, "num_workers": self.num_workers}
                    return DataLoader(self.train, **options)


            def main(parts):
                return Data(parts).train_dataloader()
            """,
        ),
        Bad(
            """
            import numpy as np
            from torch.utils.data import DataLoader, Dataset


            class Noisy(Dataset):
                def __init__(self, rows, seed):
                    self.rows = rows
                    self.rng = np.random.default_rng(seed)

                def __getitem__(self, index):
                    noise = self.rng.normal(size=3)
                    return self.rows[index] + noise * self.rng.random()


            def loader(rows):
                return DataLoader(Noisy(rows, 0), num_workers=4)
            """,
            fixed="""
            import numpy as np
            from torch.utils.data import DataLoader, Dataset


            class Noisy(Dataset):
                def __init__(self, rows, seed):
                    self.rows = rows
                    self.rng_seed = seed

                def __getitem__(self, index):
                    rng = np.random.default_rng((self.rng_seed, index))
                    noise = rng.normal(size=3)
                    return self.rows[index] + noise * rng.random()


            def loader(rows):
                return DataLoader(Noisy(rows, 0), num_workers=4)
            """,
        ),
        Good(
            """
            import numpy as np
            from torch.utils.data import DataLoader, Dataset


            class PerItem(Dataset):
                def __init__(self, rows, seed):
                    self.rows, self.seed, self.epoch = rows, seed, 0

                def __getitem__(self, index):
                    rng = np.random.default_rng((self.seed, self.epoch, index))
                    return self.rows[index] + rng.normal()


            def loader(rows):
                return DataLoader(PerItem(rows, 3), num_workers=4)
            """
        ),
        Good(
            """
            import numpy as np
            from torch.utils.data import DataLoader, Dataset


            class Subsampled(Dataset):
                def __init__(self, rows, seed):
                    self.rng = np.random.default_rng(seed)
                    self.rows = [rows[i] for i in self.rng.permutation(len(rows))[:1000]]

                def __getitem__(self, index):
                    return self.rows[index]


            class Serial(Dataset):
                def __init__(self, rows):
                    self.rows, self.rng = rows, np.random.default_rng(0)

                def __getitem__(self, index):
                    return self.rows[index] + self.rng.normal()


            def loaders(rows):
                return DataLoader(Subsampled(rows, 0), num_workers=8), DataLoader(Serial(rows), num_workers=0)
            """
        ),
        Good(
            {
                "data.py": """
                    import numpy as np
                    from torch.utils.data import Dataset, get_worker_info


                    class Rebound(Dataset):
                        def __init__(self, rows):
                            self.rows, self.rng = rows, np.random.default_rng(0)

                        def __getitem__(self, index):
                            return self.rows[index] + self.rng.normal()


                    def init_worker(worker_id):
                        info = get_worker_info()
                        info.dataset.rng = np.random.default_rng(info.seed)
                    """,
                "train.py": """
                    from torch.utils.data import DataLoader

                    from data import Rebound, init_worker


                    def loader(rows):
                        return DataLoader(Rebound(rows), num_workers=4, worker_init_fn=init_worker)
                    """,
            }
        ),
        Good(
            """
            import random

            import numpy as np
            import torch
            from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info


            class Lazy(Dataset):
                def __init__(self, rows):
                    self.rows, self._rng = rows, None

                @property
                def rng(self):
                    if self._rng is None:
                        self._rng = np.random.default_rng(torch.initial_seed())
                    return self._rng

                def __getitem__(self, index):
                    return self.rows[index] + self.rng.normal()


            class Shards(IterableDataset):
                def __init__(self, files, seed):
                    self.files, self.shuffler = files, random.Random(seed)

                def __iter__(self):
                    info = get_worker_info()
                    files = list(self.files)
                    self.shuffler.shuffle(files)
                    yield from files[info.id :: info.num_workers]


            def loaders(rows, files):
                data = Shards(files, 0)
                return DataLoader(Lazy(rows), num_workers=4), DataLoader(data, num_workers=4)
            """
        ),
        Good(
            """
            import torch
            from torch.utils.data import DataLoader, Dataset, RandomSampler


            class Rows(Dataset):
                def __init__(self, rows):
                    self.rows = rows

                def __getitem__(self, index):
                    return self.rows[index]


            def loader(rows, seed):
                generator = torch.Generator().manual_seed(seed)
                data = Rows(rows)
                sampler = RandomSampler(data, generator=generator)
                return DataLoader(data, sampler=sampler, num_workers=4, generator=generator)
            """
        ),
    )

    def check(self, project: Project) -> Iterator[Problem]:
        for shared in project[WorkerCopies].shared():
            yield Problem(
                shared.at,
                _message(shared),
                related=tuple(_related(shared)),
                evidence=tuple(_evidence(shared)),
                symbol=shared.name,
            )

    def mend(self, problem: Problem, project: Project) -> Fix | None:
        """A generator per item; None where other code draws from the shared one too."""
        return made_per_item(project.modules[problem.place.path], problem.place.span.line)


def _message(shared: Shared) -> str:
    loader = shared.loaders[0]
    copied = f"{shared.name} is one {shared.made.rpartition('.')[2]}(), copied with its state into"
    if loader.workers.most == 1:
        return f"{copied} a new worker process for every epoch (num_workers=1): each repeats the draws of the first"
    epochs = "" if loader.persistent else ", and every epoch repeats them"
    same = f"all workers draw the same numbers in {shared.where}(){epochs}"
    return f"{copied} every worker of the loader ({loader.workers.text}): {same}"


def _related(shared: Shared) -> Iterator[Related]:
    yield Related(shared.use, f"draws from {shared.name} in a worker", "effect")
    for loader in shared.loaders[:3]:
        yield Related(loader.module.place(loader.call), f"copies it into its workers ({loader.workers.text})")


def _evidence(shared: Shared) -> Iterator[str]:
    yield f"{shared.made} makes {shared.name} before the workers start"
    for loader in shared.loaders[:3]:
        numbers = ", ".join(str(number) for number in sorted(loader.workers.numbers)) or "not known"
        where = f"{loader.module.path}:{loader.call.line}"
        yield f"{where}: num_workers is {numbers}" + (" or another value" if loader.workers.open else "")
        init = "no worker_init_fn" if loader.worker_init is None else f"worker_init_fn leaves {shared.name} as it is"
        yield f"{where}: {init}"
    yield f"no code of the workers makes {shared.name} anew or reseeds it from something that varies"
