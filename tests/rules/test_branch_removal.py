"""Taking a branch out that never runs: what the program does and what its comments say stay."""

from __future__ import annotations

import ast
import io
import tokenize
from itertools import chain
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mldebt_rules.experiments.constant_guarded_branch import ConstantGuardedBranch
from mldebt_rules.experiments.constant_tests import ConstantTests

from mldebt.registry import Registry
from mldebt.testing import run, write

REGISTRY = Registry(rules=(ConstantGuardedBranch,), analyses=(ConstantTests,))
TESTS = st.sampled_from(["False", "True", "0", "1", '""', "not 1", "flag", "not flag", "False and flag"])


def indented(block: list[str]) -> list[str]:
    return [f"    {line}" for line in block]


def numbered(body: list[str]) -> str:
    """The program of a body in which every ``@`` is a number of its own."""
    text = "\n".join(["def program(flag, seen):", *indented(body), "    return seen", ""])
    blocks = text.split("@;")
    return "".join(block.replace("@", str(number)) for number, block in enumerate(blocks))


LEAVES = st.sampled_from(
    [
        ["# about @", "seen.append(@)  #@;"],
        ["seen.append('@')  #@;"],
        ["seen.append('''@", "  é''')  #@;"],
        ["# about @", "seen.append(@ if False else -@)  #@;"],
    ]
)


def branch(inner: st.SearchStrategy[list[str]]) -> st.SearchStrategy[list[str]]:
    @st.composite
    def build(draw: st.DrawFn) -> list[str]:
        lines = [f"if {draw(TESTS)}:", *indented(draw(inner))]
        for _ in range(draw(st.integers(0, 2))):
            lines += [f"elif {draw(TESTS)}:", *indented(draw(inner))]
        if draw(st.booleans()):
            lines += ["else:", *indented(draw(inner))]
        return lines

    return build()


def joined(blocks: list[list[str]]) -> list[str]:
    return list(chain.from_iterable(blocks))


BLOCK = st.recursive(LEAVES, lambda inner: st.lists(inner | branch(inner), min_size=1, max_size=3).map(joined))
PROGRAM = (branch(BLOCK) | BLOCK).map(numbered)


def fixed(text: str, folder: Path) -> str:
    outcome = run(ConstantGuardedBranch, write({"a.py": text}, folder), REGISTRY, fix=True, unsafe=True)
    assert not outcome.report.errors, outcome.report.errors
    return outcome.changes["a.py"][1] if outcome.changes else text


def effects(text: str) -> list[list[object]]:
    names: dict[str, object] = {}
    exec(compile(text, "a.py", "exec"), names)
    program = names["program"]
    assert callable(program)
    return [program(flag, []) for flag in (True, False)]


def live(text: str) -> set[str]:
    """The comments that stand before a statement some call runs."""
    rows = text.split("\n")
    values = {str(value) for effect in effects(text) for value in map(abs_or_same, effect)}
    return {row.strip() for row in rows if row.strip().startswith("# about") and row.split()[-1] in values}


def abs_or_same(value: object) -> object:
    return abs(value) if isinstance(value, int) else value


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=PROGRAM)
def test_the_program_does_the_same_without_its_dead_branches(text: str, tmp_path: Path) -> None:
    after = fixed(text, tmp_path)
    assert effects(after) == effects(text)
    comments = {
        one.string for one in tokenize.generate_tokens(io.StringIO(after).readline) if one.type == tokenize.COMMENT
    }
    assert live(text) <= comments
    tests = [ast.unparse(node.test) for node in ast.walk(ast.parse(after)) if isinstance(node, (ast.If, ast.IfExp))]
    assert set(tests) <= {"flag", "not flag"}


def test_comments_around_a_branch_stay(tmp_path: Path) -> None:
    dead = "# before\nif 0:\n    # inside\n    a = 1\n"
    text = dead + "# between\nelse:  # why\n    b = 2  # two\n    # last\n# after\nc = 3\n"
    after = fixed(text, tmp_path)
    assert after == "# before\n# between\n# why\nb = 2  # two\n# last\n# after\nc = 3\n"


def test_a_body_that_would_be_empty_passes(tmp_path: Path) -> None:
    assert fixed("def f():\n    if False:\n        print(1)\n", tmp_path) == "def f():\n    pass\n"
    assert (
        fixed('def f():\n    """Does."""\n    if False:\n        print(1)\n', tmp_path) == 'def f():\n    """Does."""\n'
    )


def test_removing_the_only_binding_of_a_name_is_a_suggestion(tmp_path: Path) -> None:
    text = "x = 1\n\n\ndef f():\n    if False:\n        x = 2\n    return x\n"
    outcome = run(ConstantGuardedBranch, write({"a.py": text}, tmp_path), REGISTRY, fix=True)
    assert outcome.changes == {}


def test_a_string_of_several_lines_keeps_its_text(tmp_path: Path) -> None:
    text = 'def f():\n    if True:\n        a = """x\n    y\n  """\n    return a\n'
    assert fixed(text, tmp_path) == 'def f():\n    a = """x\n    y\n  """\n    return a\n'
