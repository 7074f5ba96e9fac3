"""The must-analysis behind MLD401 and MLD402: what counts as seeded, on which way, and in which order."""

from __future__ import annotations

import random
from collections.abc import Callable
from textwrap import dedent

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mldebt_rules.randomness.events import Events
from mldebt_rules.randomness.guards import NEUTRAL, OPTION, PLAIN, guard
from mldebt_rules.randomness.seeding import Seeding

from mldebt.project.project import Project, ProjectOptions
from mldebt.sources.artefacts import EntryPoint, Repository

Build = Callable[..., Project]

HEAD = """
import argparse, random, sys
import numpy as np
import torch
from torch import nn
from sklearn.linear_model import Ridge
"""

TAIL = """
if __name__ == "__main__":
    main()
"""


def verdict(project: Project) -> dict[str, tuple[list[str], list[str]]]:
    """Of each judged entry the libraries that are unseeded, and those seeded too late."""
    seeding = project[Seeding]
    return {entry.name: (sorted(seeding.exposed(entry)), sorted(seeding.late(entry))) for entry in seeding.entries()}


def judged(project: Build, main: str, **others: str) -> tuple[list[str], list[str]]:
    """The verdict on ``train.py`` with this code between the imports and the main block; it always trains."""
    files = {"train.py": HEAD + dedent(main) + TAIL, **{f"{name}.py": text for name, text in others.items()}}
    return verdict(project(files))["train.py"]


NUMPY_DRAW = "np.random.permutation(10)"
TRAINS = "Ridge().fit(np.load('x.npy')[order], np.load('y.npy'))"

DOMINATED = {
    "a seed": "np.random.seed(0)",
    "a seed from the clock": "import time; np.random.seed(int(time.time()))",
    "a seed from entropy": "np.random.seed(None)",
    "an option": "if args.seed is not None: np.random.seed(args.seed)",
    "an option's truth": "if args.seed: np.random.seed(args.seed)",
    "an option above zero": "if args.seed >= 0: np.random.seed(args.seed)",
    "a key": "if 'seed' in cfg: np.random.seed(cfg['seed'])",
    "a default from a draw": "seed = args.seed if args.seed else random.randint(0, 9)\n    np.random.seed(seed)",
    "either arm": "if args.fast: np.random.seed(1)\n    else: np.random.seed(2)",
    "an arm that is not left alive": "if args.seed is None: sys.exit('no seed')\n    np.random.seed(args.seed)",
    "an arm that raises": "if args.bad: raise ValueError\n    else: np.random.seed(1)",
    "a parser's error": "if args.bad: parser.error('bad')\n    else: np.random.seed(1)",
    "a device": "if torch.cuda.is_available(): np.random.seed(1)",
    "a rank": "if rank == 0: np.random.seed(1)",
    "a try whose handler leaves": "try: np.random.seed(1)\n    except ValueError: raise SystemExit",
    "a finally": "try: open('x')\n    finally: np.random.seed(1)",
    "a loop over libraries": "for seed in (random.seed, np.random.seed): seed(1)",
    "a function of an unknown library": "from acme import set_seed; set_seed(1)",
    "a wrapper": "def fix(s): np.random.seed(s)\n    fix(3)",
    "a wrapper with a default": "def fix(s=None):\n        if s is None: s = 4\n        np.random.seed(s)\n    fix()",
    "a wrapper given a seed": "def fix(s=None):\n        if s is not None: np.random.seed(s)\n    fix(3)",
    "a wrapper given an option": (
        "def fix(s=None):\n        if s is None: return\n        np.random.seed(s)\n    fix(args.seed)"
    ),
}

EXPOSED = {
    "nothing": "pass",
    "another library": "random.seed(0)",
    "one arm": "if args.debug: np.random.seed(1)",
    "a loop that may not run": "while args.more: np.random.seed(1)",
    "a try that may fail": "try: np.random.seed(int(args.text))\n    except ValueError: pass",
    "a wrapper given nothing": "def fix(s=None):\n        if s is not None: np.random.seed(s)\n    fix()",
    "a wrapper nobody calls": "def fix(s): np.random.seed(s)",
    "a generator of its own": "rng = np.random.default_rng(0)",
    "an environment": "env.seed(0)",
    "the device's seed": "torch.cuda.manual_seed_all(0)",
}


def program(before: str) -> str:
    return f"""
def main():
    parser = argparse.ArgumentParser()
    args = cfg = parser.parse_args()
    rank = args.rank
    {before}
    order = {NUMPY_DRAW}
    {TRAINS}
"""


@pytest.mark.parametrize("before", DOMINATED.values(), ids=DOMINATED.keys())
def test_seeded_on_every_way(before: str, project: Build) -> None:
    assert judged(project, program(before)) == ([], [])


@pytest.mark.parametrize("before", EXPOSED.values(), ids=EXPOSED.keys())
def test_not_seeded_on_every_way(before: str, project: Build) -> None:
    assert judged(project, program(before)) == (["numpy"], [])


OWNED = {
    "a generator with a seed": "np.random.default_rng(args.seed).permutation(10)",
    "a state object": "np.random.RandomState(1).permutation(10)",
    "a split with a state": "train_test_split(x, random_state=args.seed)",
    "a split that does not shuffle": "train_test_split(x, shuffle=False)",
    "a split with unknown arguments": "train_test_split(x, **options)",
    "folds without shuffling": "list(KFold(5).split(x))",
    "a colour": "pick_color()",
    "a port": "port = random.randint(2000, 3000)",
    "a back-off": "time.sleep(random.random())",
    "a name": "print(f'run {random.random()}')",
    "a seed": "args.seed = random.randint(0, 9)",
    "an identifier": "uuid.uuid4()",
    "the system's entropy": "random.SystemRandom().random()",
}


@pytest.mark.parametrize("draw", OWNED.values(), ids=OWNED.keys())
def test_owned_and_cosmetic_draws_need_no_seed(draw: str, project: Build) -> None:
    main = f"""
import time, uuid
from sklearn.model_selection import KFold, train_test_split

def pick_color():
    return random.choice(["red", "blue"])

def main():
    args = argparse.ArgumentParser().parse_args()
    x, options = np.load("x.npy"), vars(args)
    {draw}
    Ridge().fit(x, np.load("y.npy"))
"""
    assert judged(project, main) == ([], [])


def test_generator_argument_is_resolved_at_the_call(project: Build) -> None:
    main = """
        def noise(n, rng=None):
            rng = rng or np.random.default_rng()
            return rng.normal(size=n)

        def main():
            Ridge().fit(noise(9{rng}), np.load("y.npy"))
        """
    given_one = judged(project, main.replace("{rng}", ", np.random.default_rng(1)"))
    assert given_one == ([], [])
    assert judged(project, main.replace("{rng}", "")) == (["numpy"], [])


def test_a_flag_decides_at_the_call_whether_there_is_a_draw(project: Build) -> None:
    main = """
        def load(noisy=False):
            x = np.load("x.npy")
            if noisy:
                x = x + np.random.normal()
            return x

        def main():
            Ridge().fit(load({flag}), np.load("y.npy"))
        """
    assert judged(project, main.replace("{flag}", "")) == ([], [])
    assert judged(project, main.replace("{flag}", "noisy=True")) == (["numpy"], [])


def test_recursion_ends_and_finds_the_draw(project: Build) -> None:
    main = """
        def grow(depth):
            if depth:
                return shrink(depth - 1)
            return random.random()

        def shrink(depth):
            return grow(depth - 1)

        def main():
            Ridge().fit(np.load("x.npy") * grow(4), np.load("y.npy"))
        """
    assert judged(project, main) == (["python"], [])


def test_a_recursive_wrapper_seeds_if_its_base_case_does(project: Build) -> None:
    main = """
        def fix(tries):
            if tries:
                return fix(tries - 1)
            random.seed(1)

        def main():
            fix(3)
            Ridge().fit(np.load("x.npy") * random.random(), np.load("y.npy"))
        """
    assert judged(project, main) == ([], [])


def test_modules_run_in_import_order(project: Build) -> None:
    draws = "import numpy as np\nROWS = np.random.permutation(10)\n"
    seeds = "import numpy as np\nnp.random.seed(0)\n"
    main = """
        from {first}
        from {second}

        def main():
            Ridge().fit(np.load("x.npy")[rows.ROWS], np.load("y.npy"))
        """
    before = main.format(first="repro import np as _", second="rows import ROWS").replace("rows.ROWS", "ROWS")
    after = main.format(first="rows import ROWS", second="repro import np as _").replace("rows.ROWS", "ROWS")
    assert judged(project, before, rows=draws, repro=seeds) == ([], [])
    assert judged(project, after, rows=draws, repro=seeds) == ([], ["numpy"])


def test_a_package_seeds_before_its_own_modules_draw(project: Build) -> None:
    files = {
        "kit/__init__.py": "import random\nrandom.seed(1)\nfrom .table import ORDER\n",
        "kit/table.py": "import random\nORDER = random.sample(range(9), 9)\n",
        "train.py": HEAD + "from kit import ORDER\nRidge().fit(np.load('x.npy')[ORDER], np.load('y.npy'))\n",
    }
    assert verdict(project(files)) == {"train.py": ([], [])}


CLASSES = """
class Base:
    def __init__(self, seed):
        self.prepare()
        np.random.seed(seed)

    def prepare(self):
        pass

    def run(self):
        self.load()
        Ridge().fit(self.x, np.load("y.npy"))

class Plain(Base):
    def load(self):
        self.x = np.load("x.npy")[np.random.permutation(10)]

class Early(Base):
    def prepare(self):
        self.rows = np.random.permutation(10)

    def load(self):
        self.x = np.load("x.npy")[self.rows]

class Forgetful(Plain):
    def __init__(self):
        self.ready = True

def main():
    {use}
"""


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        ("Plain(1).run()", ([], [])),
        ("runner = Plain(seed=1)\n    runner.run()", ([], [])),
        ("Early(1).run()", ([], ["numpy"])),
        ("Forgetful().run()", (["numpy"], [])),
    ],
)
def test_methods_are_those_of_the_object_at_hand(
    use: str, expected: tuple[list[str], list[str]], project: Build
) -> None:
    assert judged(project, CLASSES.replace("{use}", use)) == expected


def test_decorators_and_context_managers_seed(project: Build) -> None:
    main = """
        import contextlib, functools

        def seeded(value):
            def decorate(function):
                @functools.wraps(function)
                def wrapper(*args, **kwargs):
                    random.seed(value)
                    return function(*args, **kwargs)
                return wrapper
            return decorate

        @contextlib.contextmanager
        def numpy_seed(value):
            state = np.random.get_state()
            np.random.seed(value)
            try:
                yield
            finally:
                np.random.set_state(state)

        @seeded(3)
        def draw():
            return random.random()

        def main():
            with numpy_seed(4):
                order = np.random.permutation(10)
            Ridge().fit(np.load("x.npy")[order] * draw(), np.load("y.npy"))
            {after}
        """
    assert judged(project, main.replace("{after}", "pass")) == ([], [])
    after = judged(project, main.replace("{after}", "np.random.shuffle(order)"))
    assert after == (["numpy"], []), "what the manager puts back at its end is unseeded again"


def test_seeds_in_loader_workers_do_not_count_and_their_draws_are_torchs(project: Build) -> None:
    main = """
        from torch.utils.data import DataLoader, Dataset

        def seed_worker(worker_id):
            np.random.seed(worker_id)

        class Noisy(Dataset):
            def __getitem__(self, index):
                return np.random.normal(), random.random()

        def main():
            torch.manual_seed(1)
            loader = DataLoader(Noisy(), num_workers={workers}, worker_init_fn=seed_worker)
            for x, y in loader:
                loss(x).backward()
                optimizer.step()
        """
    assert judged(project, main.replace("{workers}", "4")) == ([], [])
    # In the main process nothing calls worker_init_fn, and torch's seed says nothing of the others.
    found = judged(project, main.replace("{workers}", "0").replace(", worker_init_fn=seed_worker", ""))
    assert found == (["numpy", "python"], [])


def test_initial_parameters_matter_where_they_are_trained(project: Build) -> None:
    main = """
        def main():
            model = nn.Linear(2, 1)
            {then}
            for x, y in torch.load("batches.pt"):
                (model(x) - y).sum().backward()
                optimizer.step()
            {finally_}
        """

    def found(then: str = "pass", finally_: str = "pass") -> tuple[list[str], list[str]]:
        return judged(project, main.replace("{then}", then).replace("{finally_}", finally_))

    load = "model.load_state_dict(torch.load('m.pt'))"
    assert found() == (["torch"], [])
    assert found(load) == ([], [])
    assert found(f"if model.old: {load}") == (["torch"], []), "a checkpoint that may not be there"
    assert found(finally_=load) == (["torch"], []), "the best weights, after training"
    assert found(f"{load}; model.head = nn.Linear(2, 3)") == (["torch"], []), "a new head"
    assert found("torch.manual_seed(0)") == ([], ["torch"])


def test_correlated_conditions(project: Build) -> None:
    main = """
        def main():
            args = argparse.ArgumentParser().parse_args()
            if args.train:
                np.random.seed(1)
            x = np.load("x.npy")
            if args.train:
                order = np.random.permutation(10)
                Ridge().fit(x[order], np.load("y.npy"))
        """
    assert judged(project, main) == ([], [])


def test_users_own_seeding_function(project: Build) -> None:
    main = "def main():\n    from acme.repro import begin\n    begin()\n" + f"    order = {NUMPY_DRAW}\n    {TRAINS}\n"
    files = {"train.py": HEAD + main + TAIL}
    assert verdict(project(files)) == {"train.py": (["numpy"], [])}
    rows = {"seeds": [{"name": "acme.repro.begin", "seeds": ["numpy", "torch"]}]}
    taught = project(files, options=ProjectOptions(knowledge=rows))
    assert verdict(taught) == {"train.py": ([], [])}


def test_describes_an_entry(project: Build) -> None:
    main = program("if args.seed is not None: np.random.seed(args.seed)")
    seeding = project({"train.py": HEAD + dedent(main) + TAIL})[Seeding]
    (entry,) = seeding.entries()
    assert seeding.describe_entry(entry) == [("seeds", "numpy (opt-in)"), ("draws", "numpy")]


@pytest.mark.parametrize(
    ("test", "kind", "subject", "positive"),
    [
        ("seed is not None", OPTION, "seed", True),
        ("seed is None", OPTION, "seed", False),
        ("not seed", OPTION, "seed", False),
        ("rng is None", OPTION, "rng", False),
        ("cfg.get('seed')", OPTION, "?", True),
        ("'seed' not in cfg", OPTION, "?", False),
        ("args.seed > 0", OPTION, "?", True),
        ("args.seed == -1", OPTION, "?", False),
        ("torch.cuda.is_available()", NEUTRAL, "", True),
        ("rank != 0", NEUTRAL, "", True),
        ("args.debug", PLAIN, "", True),
        ("args.mode != 'x'", PLAIN, "", False),
    ],
)
def test_conditions(test: str, kind: str, subject: str, positive: bool, project: Build) -> None:
    linked = project({"one.py": f"def f(seed, rng, cfg, args, rank):\n    if {test}:\n        pass\n"})
    stmt = linked.modules["one.py"].body(1)[0]
    found = guard(stmt.test, {"seed", "rng", "cfg", "args"})  # type: ignore[union-attr]
    assert (found.kind, found.subject) == (kind, subject)
    if kind != NEUTRAL:
        assert found.positive is positive


def test_table_rows_name_known_libraries() -> None:
    libraries = {"python", "numpy", "torch", "tensorflow", "dgl", "imgaug"}
    for row in Events.seed_table.rows.values():
        assert row.source, row.name
        assert set(row.seeds) <= libraries, row.name
    for draw in Events.draw_table.rows.values():
        assert draw.source, draw.name
        assert draw.draws in libraries, draw.name
        assert draw.kind in {"draw", "lazy", "init", "layer", "head", "constructor"}, draw.name


# Statements of generated functions. {call} is a call of any of them.
LINES = (
    "random.seed(1)",
    "np.random.seed(1)",
    "x = random.random()",
    "x = np.random.rand()",
    "if a: {call}",
    "else_arm(a) if a else {call}",
    "for i in a: {call}",
    "while a: {call}",
    "try: {call}\n    finally: {call2}",
    "{call}",
    "{call2}",
    "return None",
    "if seed is not None: random.seed(seed)",
)


@st.composite
def repositories(draw: st.DrawFn) -> dict[str, str]:
    """Small projects whose functions call each other across files in every way, recursion included."""
    modules = draw(st.integers(1, 3))
    names = [f"f{number}" for number in range(draw(st.integers(2, 6)))]
    home = {name: draw(st.integers(0, modules - 1)) for name in names}
    files = {f"m{number}.py": "import random\nimport numpy as np\n" for number in range(modules)}
    for path in files:
        files[path] += "".join(f"import m{number}\n" for number in range(modules))

    def call() -> str:
        name = draw(st.sampled_from(names))
        return f"m{home[name]}.{name}(a{draw(st.sampled_from(['', ', None', ', seed', ', 3']))})"

    for name in names:
        lines = draw(st.lists(st.sampled_from(LINES), min_size=1, max_size=5))
        body = "\n    ".join(line.replace("{call2}", call()).replace("{call}", call()) for line in lines)
        files[f"m{home[name]}.py"] += f"\ndef {name}(a, seed=None):\n    {body}\n"
    for number in range(2):
        files[f"run{number}.py"] = (
            "import numpy as np\nfrom sklearn.linear_model import Ridge\n"
            + "".join(f"import m{module}\n" for module in range(modules))
            + f"\nif __name__ == '__main__':\n    {call().replace('seed', '1')}\n"
            + "    Ridge().fit(np.load('x'), np.load('y'))\n"
        )
    return files


@given(files=repositories(), shuffler=st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_order_of_files_and_entries_changes_nothing(
    project: Build, files: dict[str, str], shuffler: random.Random
) -> None:
    seeding = project(files)[Seeding]
    expected = {entry.name: seeding.of(entry) for entry in seeding.entries()}
    order = list(files)
    shuffler.shuffle(order)
    other = project({path: files[path] for path in order})[Seeding]
    entries = list(other.entries())
    shuffler.shuffle(entries)
    found = {entry.name: other.of(entry) for entry in entries}
    assert set(expected) == {"run0.py", "run1.py"}
    assert {name: repr(one) for name, one in found.items()} == {name: repr(one) for name, one in expected.items()}


def test_a_mode_that_leaves_the_program_draws_before_no_seed(project: Build) -> None:
    main = """
        def selftest():
            assert np.random.rand(3).size == 3

        def options():
            args = argparse.ArgumentParser().parse_args()
            if args.selftest:
                selftest()
                {leave}
            return args

        def main():
            args = options()
            np.random.seed(args.seed)
            order = np.random.permutation(10)
            Ridge().fit(np.load("x.npy")[order], np.load("y.npy"))
        """
    assert judged(project, main.replace("{leave}", "sys.exit(0)")) == ([], [])
    assert judged(project, main.replace("{leave}", "pass")) == ([], ["numpy"])


def test_a_factory_draws_when_it_is_called(project: Build) -> None:
    main = """
        def main():
            factories = {"one": lambda: nn.Linear(3, 1)}
            torch.manual_seed(0)
            model = factories["one"]()
            model(torch.load("x.pt")).sum().backward()
            torch.optim.SGD(model.parameters()).step()
        """
    assert judged(project, main) == ([], [])


def test_an_object_of_unknown_class_was_built_before_its_methods_run(project: Build) -> None:
    main = """
        class Run:
            def __init__(self, seed):
                {seed}

            def execute(self):
                order = np.random.permutation(10)
                Ridge().fit(np.load("x.npy")[order], np.load("y.npy"))

        def launch(run_class):
            run_class(3).execute()

        def main():
            launch(vars()["Run"])
        """
    assert judged(project, main.replace("{seed}", "np.random.seed(seed)")) == ([], [])
    assert judged(project, main.replace("{seed}", "self.seed = seed")) == (["numpy"], [])


def test_a_command_starts_past_the_main_block(project: Build) -> None:
    code = """
def main():
    order = np.random.permutation(10)
    Ridge().fit(np.load("x.npy")[order], np.load("y.npy"))

if __name__ == "__main__":
    np.random.seed(0)
    main()
"""
    command = EntryPoint("console_scripts", "acme-train", "train:main", "pyproject.toml", 4)
    linked = project({"train.py": HEAD + code}, Repository(entry_points=(command,)))
    assert verdict(linked) == {"train.py": ([], []), "train.py:main": (["numpy"], [])}


def test_of_a_program_that_also_serves_only_what_trains_is_judged(project: Build) -> None:
    main = """
        import uvicorn

        def main():
            args = argparse.ArgumentParser().parse_args()
            if args.command == "serve":
                print(np.random.rand(3))
                uvicorn.run("app:app")
            else:
                {train}
                model = nn.Linear(3, 1)
                model(torch.load("x.pt")).sum().backward()
                torch.optim.SGD(model.parameters()).step()
        """
    assert judged(project, main.replace("{train}", "torch.manual_seed(0)")) == ([], [])
    assert judged(project, main.replace("{train}", "pass")) == (["torch"], [])


def test_a_branch_for_the_base_class_itself_is_not_run_by_a_subclass(project: Build) -> None:
    main = """
        class Base:
            def __init__(self):
                if {test}:
                    np.random.seed(0)

        class Special(Base):
            def __init__(self):
                super().__init__()

        def main():
            {build}()
            order = np.random.permutation(10)
            Ridge().fit(np.load("x.npy")[order], np.load("y.npy"))
        """
    for test in ("self.__class__ is Base", "type(self) == Base"):
        assert judged(project, main.replace("{test}", test).replace("{build}", "Base")) == ([], [])
        assert judged(project, main.replace("{test}", test).replace("{build}", "Special")) == (["numpy"], [])


def test_a_seed_nobody_gives_is_no_later_seed(project: Build) -> None:
    main = """
        def fit(x, seed=None):
            {seed}
            Ridge().fit(x, np.load("y.npy"))

        def main():
            order = np.random.permutation(10)
            fit(np.load("x.npy")[order]{given})
        """
    for seed in ("if seed is not None: np.random.seed(seed)", "np.random.seed(seed)"):
        code = main.replace("{seed}", seed)
        assert judged(project, code.replace("{given}", "")) == (["numpy"], [])
        assert judged(project, code.replace("{given}", ", seed=3")) == ([], ["numpy"])


def test_a_draw_behind_a_flag_counts_where_the_flag_is_given(project: Build) -> None:
    main = """
        def split(x, shuffle=False, seed=None):
            if seed is not None:
                np.random.seed(seed)
            return x[np.random.permutation(len(x)) if shuffle else np.arange(len(x))]

        def main():
            Ridge().fit(split(np.load("x.npy"){given}), np.load("y.npy"))
        """
    assert judged(project, main.replace("{given}", "")) == ([], [])
    assert judged(project, main.replace("{given}", ", shuffle=True, seed=1")) == ([], [])
    assert judged(project, main.replace("{given}", ", shuffle=True")) == (["numpy"], [])


def test_a_number_drawn_for_a_process_is_its_seed(project: Build) -> None:
    main = """
        from multiprocessing import Process

        def work(seed):
            print(seed)

        def main():
            Process(target=work, args=(1, np.random.randint(2**31))).start()
            Ridge().fit(np.load("x.npy"), np.load("y.npy"))
        """
    assert judged(project, main) == ([], [])


def test_a_closure_that_seeds_is_called_or_given_back(project: Build) -> None:
    main = """
        def start(lazy):
            def finish():
                np.random.seed(0)
            if lazy:
                return finish
            {call}

        def main():
            start(sys.argv[1])
            order = np.random.permutation(10)
            Ridge().fit(np.load("x.npy")[order], np.load("y.npy"))
        """
    assert judged(project, main.replace("{call}", "finish()")) == ([], [])
    assert judged(project, main.replace("{call}", "return None")) == (["numpy"], [])


@pytest.mark.parametrize("seeded", [True, False])
def test_modules_that_only_import_lead_to_one_that_seeds(project: Build, seeded: bool) -> None:
    others = {
        "first": "import second\n",
        "second": "import first\nimport third\n",
        "third": "import numpy as np\n" + ("np.random.seed(0)\n" if seeded else ""),
    }
    main = f"import first\n\ndef main():\n    order = {NUMPY_DRAW}\n    {TRAINS}\n"
    assert judged(project, main, **others) == ([] if seeded else ["numpy"], [])


def test_a_picture_to_look_at_is_drawn_freely(project: Build) -> None:
    look = """
        import matplotlib.pyplot as plt

        def main():
            x = np.load("x.npy")
            Ridge().fit(x, x)
            at = random.randint(0, 9)
            shown = np.squeeze(x[at])
            plt.imshow(shown)
            at = random.randint(0, 9)
            plt.imshow(x[at])
            {}
        """
    assert judged(project, look.format("pass")) == ([], [])
    assert judged(project, look.format("Ridge().fit(shown, shown)")) == (["python"], [])
