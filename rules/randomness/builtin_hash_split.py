from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mldebt.facts.schema import (
    Attribute,
    Binary,
    Build,
    Call,
    Compare,
    Const,
    Expr,
    Format,
    Opaque,
    Ref,
    Return,
    Subscript,
    Unary,
)
from mldebt.facts.walk import walk
from mldebt.finding import Applicability, Confidence, Edit, Fix, Place, Related, Severity, Span
from mldebt.rule import Alone, Bad, Good, Problem, ProjectRule

from .following import Following, Use
from .kinds import TEXT, Kinds
from .origins import Origins

if TYPE_CHECKING:
    from mldebt.module import CallSite, Module
    from mldebt.project.project import Project

_SHORT_LIVED = "short-lived"
# Builtins of Python 2, whose texts hash to the same number in every process.
_PYTHON_2 = frozenset("basestring execfile raw_input unichr unicode xrange".split())
_ONLY_PYTHON_2 = re.compile(r"<\s*3(\.0)*\s*(,|$)|(==|~=)\s*2\b")
_MANIFESTS = frozenset({"setup.py", "setup.cfg", "pyproject.toml"})
_HASH = frozenset({"builtins.hash"})
_KEEPS = frozenset({"builtins.abs", "builtins.int", "builtins.str", "builtins.hex", "builtins.float", "os.path.join"})
_WRITES = frozenset(
    "json.dump json.dumps pickle.dump joblib.dump torch.save numpy.save numpy.savez builtins.open io.open "
    "yaml.dump yaml.safe_dump pandas.DataFrame.to_csv".split()
)
_FILES = frozenset({"pathlib.Path", "os.path.join", "os.path.exists", "os.makedirs", *_WRITES})
_STORES = frozenset("to_csv to_parquet to_json to_pickle to_sql to_hdf writerow writerows setex hset".split())
_SEEDS = re.compile(r"(^|\.)(manual_seed|seed|default_rng|RandomState|Random|PRNGKey|seed_everything|set_seed)$")
_SEED_NAME = re.compile(r"seed|random_state", re.IGNORECASE)
# A bucket that lives and dies with the process: a colour, a lock, a thread of the pool.
_PASSING = re.compile(r"colou?r|palette|cmap|lock|queue|worker|thread|pool|port\b|proxy|proxies|device", re.IGNORECASE)
_TEMPORARY = re.compile(r"(^|/)tmp\b")
_FILE_NAME = re.compile(r"path|file|fname|folder|(^|_)dir$", re.IGNORECASE)
_SETTINGS = re.compile(
    r"(^|/)(Dockerfile[^/]*|Makefile|[^/]*\.(sh|env|ya?ml|toml|ini|cfg|bash|slurm|sbatch))$|(^|/)\.env"
)


class BuiltinHashSplit(ProjectRule):
    """`hash()` of a text decides a split, a bucket, a seed or a file name, and is another number in every process.

    Python salts the hash of `str` and `bytes`, and of tuples that hold them, anew whenever it starts.

    ## Why it is debt

    A row that was held out by `hash(user_id) % 10 == 0` is trained on in the next run, a feature that was hashed into
    column 17 is in another column when the model is loaded, and a cache that is keyed by `hash(prompt)` never hits
    again. Nothing fails: the numbers are merely wrong.

    ## How to pay it back

    Use a hash that is a function of the text alone: `zlib.crc32(text.encode()) % n` for buckets,
    `hashlib.sha256(text.encode()).hexdigest()` for file names and keys. The suggested fix does the first.

    ## When to leave it

    Hashes of integers, and of tuples of integers, are not salted and not reported; nor is a value whose type is not
    known, a `__hash__` method, a key of a dictionary in memory, a colour, a lock or a queue of the same process. A
    repository whose launch files set `PYTHONHASHSEED` has switched the salt off; setting it in `os.environ` of the
    program that is already running does nothing. Python 2 salted nothing: files that use its builtins, such as
    `xrange`, and projects that declare no other Python are silent.

    ## References

    - Python, `object.__hash__` (values are salted): https://docs.python.org/3/reference/datamodel.html#object.__hash__
    - Python, PYTHONHASHSEED: https://docs.python.org/3/using/cmdline.html#envvar-PYTHONHASHSEED
    """

    code = "MLD411"
    severity = Severity.MAJOR
    confidence = Confidence.HIGH
    minutes = 5
    alone = Alone.REPORT

    examples = (
        Bad(
            """
            def is_test(user_id: str) -> bool:
                return hash(user_id) % 10 == 0
            """,
            fixed="""
            import zlib
            def is_test(user_id: str) -> bool:
                return zlib.crc32(user_id.encode()) % 10 == 0
            """,
            anchors=("example.py:2",),
        ),
        Bad(
            {
                "split.py": """
                    def bucket(key):
                        return abs(hash(key))
                    """,
                "train.py": """
                    import csv

                    from split import bucket


                    def load(path):
                        train, test = [], []
                        with open(path) as file:
                            for row in csv.DictReader(file):
                                part = test if bucket(row["patient"]) % 100 < 20 else train
                                part.append(row)
                        return train, test
                    """,
            },
            anchors=("split.py:2",),
        ),
        Bad(
            """
            import json
            from pathlib import Path


            def cached(prompt: str, model: str, ask):
                digest = hash((prompt, model, 0))
                path = Path("cache") / f"{digest}.json"
                if not path.exists():
                    path.write_text(json.dumps(ask(prompt)))
                return json.loads(path.read_text())
            """
        ),
        Bad(
            """
            import os
            import random


            def sample(folder):
                for name in os.listdir(folder):
                    random.seed(hash(name))
                    yield name, random.random()
            """
        ),
        Good(
            """
            import zlib


            def is_test(user_id: str) -> bool:
                return zlib.crc32(user_id.encode()) % 10 == 0
            """
        ),
        Good(
            """
            import numpy as np


            def generator(seed: int, epoch: int, index: int):
                return np.random.default_rng(hash((seed, epoch, index)) % 2**32)


            def is_test(row: int) -> bool:
                return hash(row) % 10 == 0
            """
        ),
        Good(
            """
            class Token:
                def __init__(self, text: str):
                    self.text = text

                def __hash__(self):
                    return hash(self.text) % 2**31


            def unique(tokens: list[str]):
                seen = {}
                for token in tokens:
                    seen[hash(token)] = token
                return seen
            """
        ),
        Good(
            """
            COLORS = ["red", "green", "blue"]


            def color_of(name: str) -> str:
                return COLORS[hash(name) % len(COLORS)]


            def lock_of(locks, name: str):
                return locks[hash(name) % len(locks)]
            """
        ),
        Good(
            """
            def part(key, parts):
                return hash(key) % parts
            """
        ),
        Good(
            {
                "split.py": """
                    from stable import hash


                    def is_test(user: str):
                        return hash(user) % 10 == 0
                    """,
                "stable.py": """
                    import zlib


                    def hash(text):
                        return zlib.crc32(text.encode())
                    """,
            }
        ),
        Good(
            {
                "split.py": """
                    def is_test(user: str):
                        return hash(user) % 10 == 0
                    """,
                "Dockerfile": """
                    FROM python:3.12
                    ENV PYTHONHASHSEED=0
                    """,
            }
        ),
        Good(
            """
            def interactions(row, size):
                for i in xrange(len(row)):
                    for j in xrange(i + 1, len(row)):
                        yield hash(str(row[i]) + "_" + str(row[j])) % size
            """
        ),
        Good(
            {
                "pyproject.toml": """
                    [project]
                    name = "folds"
                    version = "1.0"
                    requires-python = ">=2.7,<3"
                    """,
                "folds.py": """
                    def is_test(user):
                        return hash("user-" + user) % 10 == 0
                    """,
            }
        ),
    )

    def check(self, project: Project, /) -> Iterator[Problem]:
        if any(self._found(project)) and not _is_unsalted(project) and not _declares_python_2(project):
            yield from self._found(project)

    def _found(self, project: Project) -> Iterator[Problem]:
        for module in project.modules.values():
            if module.role == "project" and "hash" in module.mentions and not _is_of_python_2(module):
                groups: dict[int, list[tuple[CallSite, str]]] = {}
                for _, site in module.calls_of(_HASH):
                    what = self._decides(project, module, site)
                    if what is not None:
                        groups.setdefault(site.scope, []).append((site, what))
                yield from (_problem(module, group) for group in groups.values())

    def _decides(self, project: Project, module: Module, site: CallSite) -> str | None:
        call = site.call
        if len(call.args) != 1 or _in_dunder(module, site.scope):
            return None
        if project[Kinds].of(module, site.scope, call.args[0]) != TEXT:
            return None
        start = project[Following].start(module, site.scope, site.statement, call)
        return _purpose(project, start) if start is not None else None

    def mend(self, problem: Problem, project: Project) -> Fix | None:
        """``zlib.crc32(text.encode())``, where plain texts are hashed."""
        module = project.modules[problem.place.path]
        places = {problem.place, *(one.place for one in problem.related)}
        edits = []
        for _, site in module.calls_of(_HASH):
            if module.place(site) not in places:
                continue
            argument = site.call.args[0]
            if not isinstance(argument, Ref) or _may_be_bytes(module, site, argument):
                return None
            edits.append(Edit(module.place(site), f"zlib.crc32({argument.name}.encode())"))
        if not any(fact.bound == "zlib" and not fact.scope for fact in module.facts.imports):
            edits.append(Edit(_first_line(module), "import zlib\n"))
        return Fix(Applicability.SUGGEST, "use a hash that is the same in every process", tuple(edits))


def _may_be_bytes(module: Module, site: CallSite, argument: Ref) -> bool:
    """Whether the text may be bytes, or a tuple that holds one."""
    ends = module.project[Origins].of(module, site.scope, argument)
    return any(isinstance(end.expr, (Build, Opaque)) for end in ends if not end.path)


def _first_line(module: Module) -> Place:
    lines = [fact.line for fact in module.facts.imports if fact.module != "__future__" and not fact.scope]
    future = [fact.line + 1 for fact in module.facts.imports if fact.module == "__future__"]
    at = min(lines) if lines else max(future, default=min((stmt.line for stmt in module.body(0)), default=1))
    return Place(module.path, Span(at, 1, at, 1))


def _problem(module: Module, group: list[tuple[CallSite, str]]) -> Problem:
    """The hashes of one function have one cause."""
    (site, what), *others = group
    return Problem(
        module.place(site),
        f"hash() of a text is another number in every process, and {what}",
        tuple(Related(module.place(other), f"so is this one, and {then}") for other, then in others),
        evidence=("the hashed value is a text", "no launch file sets PYTHONHASHSEED"),
    )


def _in_dunder(module: Module, scope: int) -> bool:
    name = module.facts.scopes[scope].name
    return name.startswith("__") and name.endswith("__") and name not in ("__init__", "__call__", "__getitem__")


def _purpose(project: Project, start: Use) -> str | None:
    """What the hash decides that outlives the process, in words."""
    uses = list(project[Following].uses(start, _keeps))
    found = [_sink(use) for use in uses]
    if any(_is_temporary(use) for use in uses):
        return None
    if _SHORT_LIVED in found:
        return None
    return next((one for one in found if one), None)


def _keeps(use: Use) -> bool:
    parent = use.around[0]
    if isinstance(parent, Call):
        return use.value is not parent.function and not _KEEPS.isdisjoint(use.names(parent))
    if isinstance(parent, Binary):
        return parent.op in ("+", "-", "*", "/", "^", "//") or (parent.op == "%" and _is_text(parent.left))
    return isinstance(parent, (Format, Unary)) and not (isinstance(parent, Unary) and parent.op == "not")


def _sink(use: Use) -> str | None:
    parent = use.around[0] if use.around else None
    if isinstance(parent, Binary) and parent.op in ("%", "&") and parent.left is use.value:
        return _SHORT_LIVED if _is_passing(use) else _bucket(use)
    if isinstance(parent, Call) and use.value is not parent.function:
        names = use.names(parent)
        last = parent.function.name if isinstance(parent.function, (Ref, Attribute)) else ""
        if any(_SEEDS.search(name) for name in names or (last,)):
            return "it seeds a generator"
        if _is_text_made(use.value) and not _FILES.isdisjoint(names):
            return "it names a file"
        if not _WRITES.isdisjoint(names) or last.rpartition(".")[2] in _STORES:
            return "it is written to a file"
    if isinstance(parent, Binary) and parent.op == "/" and _is_text_made(use.value):
        return "it names a file"
    if isinstance(use.statement, Return) and not use.around and _is_text_made(use.value):
        return "it names a file" if _FILE_NAME.search(use.module.facts.scopes[use.scope].name) else None
    return None


def _bucket(use: Use) -> str:
    """What a remainder is good for."""
    around = use.around[1:]
    if any(isinstance(one, Compare) for one in around):
        return "it decides which part a row is in"
    for one in around:
        if isinstance(one, Call) and any(_SEEDS.search(name) for name in use.names(one)):
            return "it seeds a generator"
    return "it decides which bucket a value is in"


def _is_passing(use: Use) -> bool:
    """Whether the bucket is a colour, a lock or the like."""
    words = [use.module.facts.scopes[use.scope].name]
    targets = getattr(use.statement, "targets", ())
    modulo = use.around[0]
    parts = [*targets, *use.around[1:3], *([modulo.right] if isinstance(modulo, Binary) else [])]
    for part in parts:
        held = part.value if isinstance(part, Subscript) else part
        words += [node.name for node in _shallow(held) if isinstance(node, (Ref, Attribute))]
    return any(_PASSING.search(word) for word in words)


def _shallow(expr: Expr) -> list[Expr]:
    return [expr, *expr.args] if isinstance(expr, Call) else [expr]


def _is_temporary(use: Use) -> bool:
    """Whether a name is made for a file of this run alone."""
    parts = [part for one in (use.value, *use.around) for part in walk(one)] if _is_text_made(use.value) else []
    return any(
        isinstance(part, Const) and isinstance(part.value, str) and _TEMPORARY.search(part.value) for part in parts
    )


def _is_text_made(value: Expr) -> bool:
    """Whether the hash was put into a text."""
    if isinstance(value, Call):
        return isinstance(value.function, (Ref, Attribute)) and value.function.name.rpartition(".")[2] in (
            "str",
            "hex",
            "join",
        )
    return isinstance(value, Format) or (isinstance(value, Binary) and _is_text(value)) or isinstance(value, Build)


def _is_text(expr: Expr) -> bool:
    if isinstance(expr, Binary):
        return _is_text(expr.left) or _is_text(expr.right)
    return isinstance(expr, Format) or (isinstance(expr, Const) and isinstance(expr.value, str))


def _declares_python_2(project: Project) -> bool:
    """Whether the project's manifest offers it for Python 2 alone."""
    if _ONLY_PYTHON_2.search(project.repository.requires_python or ""):
        return True
    texts = [project.content(path, 200_000) for path in sorted(project.every & _MANIFESTS)]
    return any(b"Python :: 2" in text and b"Python :: 3" not in text for text in texts)


def _is_of_python_2(module: Module) -> bool:
    """Whether a file reads names that only Python 2 has, which salts nothing, and provides for no other."""
    facts = module.facts
    names = _PYTHON_2.intersection(facts.mentions).difference(fact.bound for fact in facts.imports)
    return any(
        names.intersection(chain.partition(".")[0] for chain in scope.uses)
        and not any(names & scope.bindings.keys() for scope in facts.scopes)
        for scope in facts.scopes
    )


def _is_unsalted(project: Project) -> bool:
    """Whether something that launches programs fixes the salt."""
    return any(
        b"PYTHONHASHSEED" in project.content(path, 200_000) for path in sorted(project.every) if _SETTINGS.search(path)
    ) or any("PYTHONHASHSEED" in word for command in project.repository.commands for word in command.words)
