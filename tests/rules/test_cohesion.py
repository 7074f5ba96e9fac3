"""What holds a module together."""

from __future__ import annotations

from collections.abc import Callable

from mldebt_rules.glue.cohesion import Cohesion

from mldebt.project.project import Project

Build = Callable[..., Project]


def names(project: Project) -> list[list[str]]:
    return [[member.name for member in component] for component in project[Cohesion].components("m.py")]


def test_using_each_other_or_one_variable_connects(project: Build) -> None:
    text = """
        CACHE = {}

        def a(): return b()
        def b(): return 1
        def c(): CACHE["c"] = 1
        def d(): return CACHE
        class E(F): pass
        class F: pass
        def g(a): return a
        """
    assert names(project({"m.py": text})) == [["a", "b"], ["c", "d"], ["E", "F"], ["g"]]


def test_a_logger_connects_nothing(project: Build) -> None:
    text = """
        import logging

        log = logging.getLogger(__name__)

        def a(): log.info("a")
        def b(): log.info("b")
        """
    assert names(project({"m.py": text})) == [["a"], ["b"]]


def test_callers_are_found_through_any_import(project: Build) -> None:
    files = {
        "m.py": "def a(): pass\ndef b(): pass\ndef c(): pass\ndef d(): pass\n",
        "one/x.py": "from m import a as renamed\n\nrenamed()\n",
        "two/x.py": "import m\n\nm.b()\n",
        "three/x.py": "from m import *\n\nc()\n",
        "four/x.py": "from m import d\n",
        "tests/test_x.py": "from m import d\n\nd()\n",
    }
    callers = project(files)[Cohesion].callers("m.py")
    assert callers == {"a": frozenset({"one"}), "b": frozenset({"two"}), "c": frozenset({"three"})}


def test_libraries_are_counted_by_definition(project: Build) -> None:
    text = """
        import json
        import numpy as np

        def a(): return np.zeros(3)
        def b(x): return np.ones(3) + np.ones(x)
        def c(x): return json.dumps(x)
        """
    assert project({"m.py": text})[Cohesion].libraries("m.py") == {"numpy": 2}


def test_one_vocabulary_is_more_alike_than_many(project: Build) -> None:
    losses = "\n".join(
        f"def {n}_loss(logits, targets): return {n}(logits, targets)" for n in "huber focal dice".split()
    )
    drawer = "def retry(url): get(url)\ndef decay(step): cos(step)\ndef strip(text): text.strip()\n"
    one, many = project({"m.py": losses})[Cohesion], project({"m.py": drawer})[Cohesion]
    assert one.likeness("m.py") > 0.5 > many.likeness("m.py")
    assert one.theme("m.py") == 1.0 > many.theme("m.py")
