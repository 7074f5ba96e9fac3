"""MLD406 beyond its examples: how many workers there are, what reaches them, and what puts a generator right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from textwrap import dedent

import pytest
from mldebt_rules.randomness.rng_object_shared_across_workers import RngObjectSharedAcrossWorkers

from mldebt.finding import Finding
from mldebt.pipeline import Outcome

Scanned = Callable[..., Outcome]
Found = Callable[[Mapping[str, str]], tuple[Finding, ...]]

DATA = """
import numpy as np
from torch.utils.data import Dataset


class Noisy(Dataset):
    def __init__(self, rows, seed=0):
        self.rows = rows
        self.rng = np.random.default_rng(seed)

    def __getitem__(self, index):
        return self.rows[index] + self.rng.normal()
"""


@pytest.fixture
def found(scanned: Scanned) -> Found:
    """The findings of MLD406 in some files."""

    def call(files: Mapping[str, str]) -> tuple[Finding, ...]:
        report = scanned(files, RngObjectSharedAcrossWorkers).report
        assert report.errors == ()
        return report.findings

    return call


def loading(body: str) -> dict[str, str]:
    """The noisy data set, and a file that loads it."""
    head = "import argparse\nimport os\n\nimport numpy as np\nimport torch\nfrom torch.utils.data import *\n\n"
    head += "from data import Noisy\n\n"
    return {"data.py": DATA, "train.py": head + dedent(body)}


WORKERS = {
    "fields of settings": """
        from dataclasses import asdict, dataclass, field

        @dataclass
        class Loading:
            batch_size: int = 8
            num_workers: int = 6

        @dataclass
        class Settings:
            loading: Loading = field(default_factory=Loading)

        def make(data, settings):
            return DataLoader(data, **asdict(settings.loading))

        loader = make(Noisy([]), Settings())
    """,
    "settings of pydantic": """
        from pydantic import BaseModel, Field

        class Loading(BaseModel):
            num_workers: int = Field(default=6, ge=0)

        def make(data, loading: Loading):
            return DataLoader(data, **loading.model_dump())

        loader = make(Noisy([]), Loading())
    """,
    "keywords handed on": """
        def make(data, **options):
            return DataLoader(data, batch_size=2, **options)

        loader = make(Noisy([]), num_workers=3)
    """,
    "a constant": "loader = DataLoader(Noisy([]), 8, True, None, None, 4)",
    "a module constant": "WORKERS = 4\nloader = DataLoader(Noisy([]), num_workers=WORKERS)",
    "all cores": "loader = DataLoader(Noisy([]), num_workers=os.cpu_count())",
    "a choice": "loader = DataLoader(Noisy([]), num_workers=0 if os.environ.get('DEBUG') else 4)",
    "options": "options = dict(num_workers=2, pin_memory=True)\nloader = DataLoader(Noisy([]), **options)",
    "updated options": """
        def make(cuda):
            options = {"batch_size": 4}
            if cuda:
                options.update({"num_workers": 1})
            return DataLoader(Noisy([]), **options)
        """,
    "a default": """
        def make(rows, num_workers=4):
            return DataLoader(Noisy(rows), num_workers=num_workers)
        """,
    "a caller": """
        def make(rows, num_workers=0):
            return DataLoader(Noisy(rows), num_workers=num_workers)

        make([], num_workers=2)
        """,
    "a command line": """
        parser = argparse.ArgumentParser()
        parser.add_argument("-j", "--workers", default=4, type=int)
        args = parser.parse_args()
        loader = DataLoader(Noisy([]), num_workers=args.workers)
        """,
    "an attribute": """
        class Data:
            def __init__(self, workers=4):
                self.workers = workers

            def train_dataloader(self):
                return DataLoader(Noisy([]), num_workers=self.workers)
        """,
    "a subclass": """
        class Loader(DataLoader):
            pass

        loader = Loader(Noisy([]), num_workers=3)
        """,
}


@pytest.mark.parametrize("body", WORKERS.values(), ids=WORKERS)
def test_loaders_with_workers(body: str, found: Found) -> None:
    (finding,) = found(loading(body))

    assert (finding.place.path, finding.place.span.line) == ("data.py", 8)


NO_WORKERS = {
    "one worker that stays": "loader = DataLoader(Noisy([]), num_workers=1, persistent_workers=True)",
    "settings without workers": """
        from pydantic import BaseModel

        class Loading(BaseModel):
            num_workers: int = 0

        def make(data, loading: Loading):
            return DataLoader(data, **loading.model_dump())

        loader = make(Noisy([]), Loading())
    """,
    "settings that leave the workers out": """
        from pydantic import BaseModel

        class Loading(BaseModel):
            num_workers: int = 6

        def make(data, loading: Loading):
            return DataLoader(data, **loading.model_dump(exclude={"num_workers"}))

        loader = make(Noisy([]), Loading())
    """,
    "none by default": "loader = DataLoader(Noisy([]), batch_size=4)",
    "zero": "loader = DataLoader(Noisy([]), num_workers=0)",
    "a zero default nobody changes": """
        def make(rows, num_workers=0):
            return DataLoader(Noisy(rows), num_workers=num_workers)

        make([])
        """,
    "a command line of zero": """
        parser = argparse.ArgumentParser()
        parser.add_argument("--workers", default=0, type=int)
        args = parser.parse_args()
        loader = DataLoader(Noisy([]), num_workers=args.workers)
        """,
    "other options": "options = {'pin_memory': True}\nloader = DataLoader(Noisy([]), **options)",
    "no loader": "item = Noisy([1])[0]",
}


@pytest.mark.parametrize("body", NO_WORKERS.values(), ids=NO_WORKERS)
def test_loaders_without_workers(body: str, found: Found) -> None:
    assert found(loading(body)) == ()


def test_a_launch_script_sets_the_workers(found: Found) -> None:
    files = loading(NO_WORKERS["a command line of zero"])

    assert len(found({**files, "run.sh": "python train.py --workers 8\n"})) == 1


@pytest.mark.parametrize(("number", "findings"), [(4, 1), (0, 0)])
def test_a_section_of_a_configuration_file_sets_the_workers(number: int, findings: int, found: Found) -> None:
    files = loading("def make(cfg):\n    return DataLoader(Noisy([]), **cfg.data.loader)\n")
    other = f"other:\n  num_workers: 9\ndata:\n  loader:\n    num_workers: {number}\n"

    assert len(found({**files, "conf/all.yaml": other})) == findings


@pytest.mark.parametrize(("number", "findings"), [(4, 1), (0, 0)])
def test_a_configuration_file_sets_the_workers(number: int, findings: int, found: Found) -> None:
    files = loading("def make(cfg):\n    return DataLoader(Noisy([]), num_workers=cfg.data.num_workers)\n")

    assert len(found({**files, "conf/data.yaml": f"data:\n  num_workers: {number}\n"})) == findings


REACHES = {
    "wrapped": "loader = DataLoader(Subset(ConcatDataset([Noisy([])]), [0]), num_workers=2)",
    "split": "train, test = random_split(Noisy([]), [8, 2])\nloader = DataLoader(train, num_workers=2)",
    "from a table": """
        SETS = {"noisy": Noisy}

        def make(name):
            return DataLoader(SETS[name]([]), num_workers=2)
        """,
    "from a factory": """
        def build(split):
            data = Noisy([]) if split == "train" else None
            return data

        loader = DataLoader(build("train"), num_workers=2)
        """,
    "from a dictionary": """
        sets = {split: Noisy([]) for split in ("train", "test")}
        loaders = {split: DataLoader(sets[split], num_workers=2) for split in sets}
        """,
    "by inheritance": """
        class Flipped(Noisy):
            def __getitem__(self, index):
                return -super().__getitem__(index)

        loader = DataLoader(Flipped([]), num_workers=2)
        """,
    "inside another": """
        class Cached(Dataset):
            def __init__(self, inner):
                self.inner = inner

            def __getitem__(self, index):
                return self.inner[index]

        loader = DataLoader(Cached(Noisy([])), num_workers=2)
        """,
    "set up later": """
        class Module:
            def setup(self, stage):
                self.train = Noisy([])

            def train_dataloader(self):
                return self._loader(self.train)

            def _loader(self, data):
                return DataLoader(data, num_workers=4)
        """,
    "with a seed function for globals": """
        def init(worker_id):
            np.random.seed(worker_id)

        loader = DataLoader(Noisy([]), num_workers=4, worker_init_fn=init)
        """,
}


@pytest.mark.parametrize("body", REACHES.values(), ids=REACHES)
def test_what_reaches_the_workers(body: str, found: Found) -> None:
    assert len(found(loading(body))) == 1


PUT_RIGHT = {
    "rebound in the worker": """
        def init(worker_id):
            info = torch.utils.data.get_worker_info()
            info.dataset.rng = np.random.default_rng(info.seed)

        loader = DataLoader(Noisy([]), num_workers=4, worker_init_fn=init)
        """,
    "rebound through a wrapper": """
        def reseed(data, seed):
            while hasattr(data, "dataset"):
                data = data.dataset
            data.rng = np.random.default_rng(seed)

        def init(worker_id):
            info = torch.utils.data.get_worker_info()
            reseed(info.dataset, info.seed)

        loader = DataLoader(Subset(Noisy([]), []), num_workers=4, worker_init_fn=init)
        """,
    "by somebody else": """
        from elsewhere import init

        loader = DataLoader(Noisy([]), num_workers=4, worker_init_fn=init)
        """,
    "in a lambda": "loader = DataLoader(Noisy([]), num_workers=4, worker_init_fn=lambda worker: None)",
}


@pytest.mark.parametrize("body", PUT_RIGHT.values(), ids=PUT_RIGHT)
def test_what_puts_it_right(body: str, found: Found) -> None:
    assert found(loading(body)) == ()


HARMLESS = {
    "reseeded for every item": ("self.rng = np.random.RandomState(0)", "self.rng.seed(index); return self.rng.rand()"),
    "drawn from in the constructor": (
        "rng = self.rng = np.random.default_rng(0); self.a = rng.random()",
        "return self.a",
    ),
    "one for each worker": ("self.rngs = [np.random.default_rng(i) for i in range(9)]", "return 0"),
    "made in the worker": ("self.rng = None", "self.rng = self.rng or np.random.default_rng(index); return self.rng"),
    "a local one": ("self.seed = 0", "return np.random.default_rng((self.seed, index)).random()"),
    "the global state": ("self.seed = 0", "return np.random.rand()"),
}


@pytest.mark.parametrize(("init", "item"), HARMLESS.values(), ids=HARMLESS)
def test_generators_that_do_no_harm(init: str, item: str, found: Found) -> None:
    code = "import numpy as np\nfrom torch.utils.data import DataLoader, Dataset\n\n\nclass Rows(Dataset):\n"
    code += f"    def __init__(self):\n        {init}\n\n    def __getitem__(self, index):\n        {item}\n\n\n"

    assert found({"train.py": code + "loader = DataLoader(Rows(), num_workers=4)\n"}) == ()


def test_a_generator_handed_in(found: Found) -> None:
    code = """
        import torch
        from torch.utils.data import DataLoader, Dataset


        class Rows(Dataset):
            def __init__(self, rows, generator):
                self.rows = rows
                self.generator = generator

            def __getitem__(self, index):
                return self.rows[index] + torch.randn(1, generator=self.generator)


        def main(rows):
            generator = torch.Generator()
            generator.manual_seed(0)
            return DataLoader(Rows(rows, generator), num_workers=2, generator=generator)
        """

    (finding,) = found({"train.py": code})

    assert finding.place.span.line == 8
    assert "Generator()" in finding.message


def test_a_sampler_works_in_the_main_process(found: Found) -> None:
    code = """
        import numpy as np
        from torch.utils.data import DataLoader, Dataset, Sampler


        class Shuffled(Sampler):
            def __init__(self, data):
                self.data, self.rng = data, np.random.default_rng(0)

            def __iter__(self):
                return iter(self.rng.permutation(len(self.data)))


        class Rows(Dataset):
            def __getitem__(self, index):
                return index


        def main():
            data = Rows()
            return DataLoader(data, sampler=Shuffled(data), num_workers=8)
        """

    assert found({"train.py": code}) == ()


def test_only_the_loader_with_the_transform_counts(found: Found) -> None:
    code = """
        import random

        from torch.utils.data import DataLoader, Dataset


        class Flip:
            def __init__(self, seed):
                self.random = random.Random(seed)

            def __call__(self, x):
                return -x if self.random.random() < 0.5 else x


        class Rows(Dataset):
            def __init__(self, rows, transform=None):
                self.rows, self.transform = rows, transform

            def __getitem__(self, index):
                row = self.rows[index]
                return self.transform(row) if self.transform else row


        def main(rows):
            plain = DataLoader(Rows(rows), num_workers=8)
            return plain, DataLoader(Rows(rows, transform=Flip(1)), num_workers={workers})
        """

    assert found({"train.py": code.replace("{workers}", "0")}) == ()
    assert len(found({"train.py": code.replace("{workers}", "2")})) == 1


def test_workers_that_share_files_out_shuffle_alike(found: Found) -> None:
    code = """
        import random

        from torch.utils.data import DataLoader, IterableDataset, get_worker_info


        class Shards(IterableDataset):
            def __init__(self, files):
                self.files, self.rng = files, random.Random(0)

            def mine(self, files):
                info = get_worker_info()
                return files[info.id :: info.num_workers]

            def __iter__(self):
                files = list(self.files)
                self.rng.shuffle(files)
                for file in self.mine(files):
                    yield {row}


        loader = DataLoader(Shards([]), num_workers=2)
        """

    assert found({"train.py": code.replace("{row}", "file")}) == ()
    assert len(found({"train.py": code.replace("{row}", "file, self.rng.random()")})) == 1


HANDED = {
    "a closure": """
        def loader(rows):
            rng = np.random.default_rng(0)

            def collate(batch):
                return torch.stack(batch) + rng.normal()

            return DataLoader(rows, num_workers=2, collate_fn=collate)
        """,
    "a lambda": """
        def loader(rows):
            rng = np.random.default_rng(0)
            return DataLoader(rows, num_workers=2, collate_fn=lambda batch: add(batch, rng))
        """,
    "a partial": """
        from functools import partial

        def loader(rows):
            return DataLoader(rows, num_workers=2, collate_fn=partial(add, rng=np.random.default_rng(0)))
        """,
    "an object": """
        class Collate:
            def __init__(self):
                self.rng = np.random.default_rng(0)

            def __call__(self, batch):
                return add(batch, self.rng)

        def loader(rows):
            return DataLoader(rows, num_workers=2, collate_fn=Collate())
        """,
    "an object of a module": """
        class Jitter:
            def __init__(self, rng):
                self.rng = rng

            def __call__(self, batch):
                return add(batch, self.rng)

        JITTER = Jitter(np.random.default_rng(0))

        def collate(batch):
            return JITTER(torch.stack(batch))

        def loader(rows):
            return DataLoader(rows, num_workers=2, collate_fn=collate)
        """,
}


@pytest.mark.parametrize("body", HANDED.values(), ids=HANDED)
def test_collate_functions_that_hold_a_generator(body: str, found: Found) -> None:
    head = "import numpy as np\nimport torch\nfrom torch.utils.data import DataLoader\n\n"
    head += "def add(batch, rng):\n    return torch.stack(batch) + rng.normal()\n\n"

    assert len(found({"train.py": head + dedent(body)})) == 1
