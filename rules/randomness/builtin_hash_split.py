from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mldebt.facts.schema import (
    Attribute,
    Build,
    Call,
    Const,
    Expr,
    Opaque,
    Ref,
    Subscript,
)
from mldebt.finding import Applicability, Confidence, Edit, Fix, Place, Related, Severity, Span
from mldebt.rule import Alone, Bad, Good, Problem, ProjectRule

from .following import Following
from .hash_sinks import purpose
from .kinds import TEXT, Kinds
from .origins import Origins

if TYPE_CHECKING:
    from mldebt.module import CallSite, Module
    from mldebt.project.project import Project

# Builtins of Python 2, whose texts hash to the same number in every process.
_PYTHON_2 = frozenset("basestring execfile raw_input unichr unicode xrange".split())
_ONLY_PYTHON_2 = re.compile(r"<\s*3(\.0)*\s*(,|$)|(==|~=)\s*2\b")
_MANIFESTS = frozenset({"setup.py", "setup.cfg", "pyproject.toml"})
_HASH = frozenset({"builtins.hash"})
_FROZEN = frozenset({"builtins.frozenset", "builtins.tuple"})
_MAPS = frozenset({"map", "apply"})
_TEXT_NAME = re.compile(
    r"(^|[._])(text|prompt|sentence|caption|question|url|email|filename|file_?name|file_?path|word|username|title)$",
    re.IGNORECASE,
)
_CONFIGS = re.compile(
    r"(^|[._])(cfg|conf|config|configs|kwargs|params|hparams|settings|opts?|options|args)$", re.IGNORECASE
)
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
        Bad(
            {
                "cache.py": """
                    from pathlib import Path

                    import numpy as np


                    class Vectors:
                        def __init__(self, encoder, root=Path("cache")):
                            self.encoder, self.root = encoder, root

                        def get(self, text: str):
                            path = self.root / f"{hash(text):x}.npy"
                            if not path.exists():
                                np.save(path, self.encoder.encode(text))
                            return np.load(path)
                    """,
                "search.py": """
                    import sys

                    from cache import Vectors


                    def main(encoder):
                        return Vectors(encoder).get(sys.argv[1])
                    """,
            },
            anchors=("cache.py:11",),
        ),
        Bad(
            """
            import json
            import shelve
            from pathlib import Path

            ANSWERS = Path("answers.json")


            def answer(prompt: str, ask):
                known = json.loads(ANSWERS.read_text()) if ANSWERS.exists() else {}
                key = str(hash(prompt))
                if key not in known:
                    known[key] = ask(prompt)
                    ANSWERS.write_text(json.dumps(known))
                return known[key]


            def embed(sentence: str, encode):
                with shelve.open("vectors.db") as vectors:
                    key = hex(hash(sentence))[2:]
                    if key not in vectors:
                        vectors[key] = encode(sentence)
                    return vectors[key]
            """,
            findings=2,
        ),
        Bad(
            """
            import sys

            import pandas as pd


            def parts(path):
                rows = pd.read_csv(path)
                bucket = rows["user"].astype(str).map(hash).abs() % 10
                return rows[bucket < 8], rows[bucket >= 8]


            def is_test(name: str) -> bool:
                return abs(hash(name)) / sys.maxsize < 0.2
            """,
            findings=2,
        ),
        Bad(
            """
            import json
            import sqlite3


            def export(texts: list[str], target):
                index = {hash(text): text for text in texts}
                with open(target, "w") as file:
                    json.dump(index, file)


            def remember(prompt, answer):
                with sqlite3.connect("answers.db") as database:
                    database.execute("insert into answers values (?, ?)", (hash(prompt), answer))
            """,
            findings=2,
        ),
        Good(
            """
            import json
            import logging
            import tempfile
            from pathlib import Path


            class Answers:
                def __init__(self):
                    self.known = {}

                def get(self, prompt: str, ask):
                    key = str(hash(prompt))
                    if key not in self.known:
                        self.known[key] = ask(prompt)
                    return self.known[key]


            def unique(texts: list[str], target):
                seen = {}
                for text in texts:
                    seen.setdefault(hash(text), text)
                target.write_text(json.dumps(list(seen.values())))


            def scratch(text: str):
                logging.info("%x", hash(text))
                return Path(tempfile.gettempdir()) / f"{hash(text):x}.txt"


            def column(rows):
                return rows["age"].astype(int).map(hash) % 10
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
                for site, what in self._maps(project, module):
                    groups.setdefault(site.scope, []).append((site, what))
                yield from (_problem(module, group) for group in groups.values())

    def _decides(self, project: Project, module: Module, site: CallSite) -> str | None:
        call = site.call
        if len(call.args) != 1 or _in_dunder(module, site.scope) or not _is_text(module, site.scope, call.args[0]):
            return None
        start = project[Following].start(module, site.scope, site.statement, call)
        return purpose(project, start) if start is not None else None

    def _maps(self, project: Project, module: Module) -> Iterator[tuple[CallSite, str]]:
        """``column.map(hash)`` and ``map(hash, texts)``, where what they hold is text."""
        for index in module.scopes_using({"hash"}):
            for site in module.call_sites(index):
                call, function = site.call, site.call.function
                if not isinstance(function, (Ref, Attribute)) or function.name.rpartition(".")[2] not in _MAPS:
                    continue
                given = call.args[0] if call.args else None
                if not isinstance(given, Ref) or _HASH.isdisjoint(module.names(index, given)):
                    continue
                held = call.args[1] if len(call.args) > 1 else _receiver(function)
                start = project[Following].start(module, index, site.statement, call)
                if held is None or start is None or project[Kinds].held(module, index, held) != TEXT:
                    continue
                what = purpose(project, start)
                if what is not None:
                    yield site, what

    def mend(self, problem: Problem, project: Project) -> Fix | None:
        """``zlib.crc32(text.encode())``, where plain texts are hashed."""
        module = project.modules[problem.place.path]
        places = {problem.place, *(one.place for one in problem.related)}
        edits = []
        for _, site in module.calls_of(_HASH):
            if module.place(site) not in places:
                continue
            argument = site.call.args[0] if site.call.args else None
            if not isinstance(argument, Ref) or _may_be_bytes(module, site, argument):
                return None
            edits.append(Edit(module.place(site), f"zlib.crc32({argument.name}.encode())"))
        if not edits:
            return None  # ``column.map(hash)``
        if not any(fact.bound == "zlib" and not fact.scope for fact in module.facts.imports):
            edits.append(Edit(_first_line(module), "import zlib\n"))
        return Fix(Applicability.SUGGEST, "use a hash that is the same in every process", tuple(edits))


def _is_text(module: Module, scope: int, value: Expr) -> bool:
    """Whether what is hashed is text, or a tuple or set that holds text."""
    kinds = module.project[Kinds]
    known = kinds.of(module, scope, value)
    if known == TEXT or (not known and _is_called_text(value)):
        return True
    if isinstance(value, Build) and value.kind == "tuple":
        return any(_is_text(module, scope, item) for item in value.items)
    if not isinstance(value, Call) or not value.args:
        return isinstance(value, Ref) and any(
            one.startswith("pathlib.") for one in module.project.types.of(module, scope, value)
        )
    names = module.names(scope, value.function)
    if "pathlib.Path" in names:
        return True
    inner = value.args[0]
    if _FROZEN.isdisjoint(names):
        return False
    if isinstance(inner, Call) and "builtins.sorted" in module.names(scope, inner.function) and inner.args:
        inner = inner.args[0]
    return kinds.held(module, scope, inner) == TEXT or _are_settings(inner)


def _is_called_text(value: Expr) -> bool:
    """``prompt``, ``row["sentence"]``: named after what can be nothing but text."""
    name = value.name if isinstance(value, (Ref, Attribute)) else ""
    if isinstance(value, Subscript) and isinstance(value.index, Const):
        name = str(value.index.value)
    return _TEXT_NAME.search(name) is not None


def _are_settings(value: Expr) -> bool:
    """``config.items()``: the names of options are texts."""
    function = value.function if isinstance(value, Call) else None
    if isinstance(function, Ref) and function.name.endswith(".items"):
        return _CONFIGS.search(function.name.removesuffix(".items")) is not None
    return False


def _receiver(function: Ref | Attribute) -> Expr | None:
    if isinstance(function, Attribute):
        return function.value
    head, dot, _ = function.name.rpartition(".")
    return Ref(head, function.line, function.column) if dot else None


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
