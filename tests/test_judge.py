"""Rules in front of a project: which nodes they are handed, and what becomes of what they yield."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import libcst as cst

from mldebt.finding import Confidence, Place, ScanError, Severity, Span
from mldebt.judge import assess, extent
from mldebt.module import Module
from mldebt.pipeline import Outcome
from mldebt.project.project import Project
from mldebt.rule import Assessment, Practice, Problem, ProjectRule, Rule, State

Scanned = Callable[..., Outcome]
Build = Callable[..., Project]


@dataclass(frozen=True)
class Throws(Rule[cst.Call]):
    """Calls, by qualified name."""

    code = "MLD091"
    severity, confidence, minutes = Severity.MAJOR, Confidence.HIGH, 5
    calls = frozenset({"games.dice"})
    examples = ()

    def check(self, node: cst.Call, module: Module, /) -> Iterator[Problem]:
        yield Problem(module.place(node), f"throws {module.code(node)}")

    @classmethod
    def name(cls) -> str:
        return "throws"


@dataclass(frozen=True)
class Compares(Rule[cst.Comparison]):
    """Other nodes, by identifiers their statements mention."""

    code = "MLD092"
    severity, confidence, minutes = Severity.MINOR, Confidence.MEDIUM, 5
    mentions = frozenset({"luck"})
    examples = ()

    def check(self, node: cst.Comparison, module: Module, /) -> Iterator[Problem]:
        yield Problem(module.place(node), f"compares {module.code(node)}")

    @classmethod
    def name(cls) -> str:
        return "compares"


@dataclass(frozen=True)
class Globals(Rule[cst.Global | cst.Nonlocal]):
    """Nodes of the whole file."""

    code = "MLD093"
    severity, confidence, minutes = Severity.MINOR, Confidence.HIGH, 5
    examples = ()

    def check(self, node: cst.Global | cst.Nonlocal, module: Module, /) -> Iterator[Problem]:
        yield Problem(module.place(node), f"has {module.code(node)}")

    @classmethod
    def name(cls) -> str:
        return "globals"


@dataclass(frozen=True)
class Files(ProjectRule):
    """A finding a file, with all a problem may say of itself."""

    code = "MLD094"
    severity, confidence, minutes = Severity.MINOR, Confidence.MEDIUM, 5
    examples = ()
    in_tests = True

    least: str = "medium"

    def check(self, project: Project, /) -> Iterator[Problem]:
        for path in project.modules:
            sure = Confidence[self.least.upper()]
            yield Problem(Place(path, Span(1)), path, severity=Severity.CRITICAL, confidence=sure, minutes=90)

    @classmethod
    def name(cls) -> str:
        return "files"


def told(outcome: Outcome) -> list[tuple[str, int, str]]:
    assert outcome.report.errors == ()
    return [(f.place.path, f.place.span.line, f.message) for f in outcome.report.findings]


def test_calls_are_found_by_what_they_call(scanned: Scanned) -> None:
    outcome = scanned(
        {
            "games.py": "def dice(): ...\n",
            "play.py": """
                import random
                from casino import games
                from games import dice as d

                dice = print
                x = [d(),
                     d(d())]
                dice()

                @d
                def f(y=d()):
                    return lambda: d(3)
                """,
        },
        Throws,
    )
    assert told(outcome) == [], "`games` is the project's own here, and its dice is not the library's"
    outcome = scanned({"games.py": "", "play.py": "from casino import games\nfrom games import dice\n"}, Throws)
    assert told(outcome) == []


def test_every_call_of_a_library_is_handed_over_once(scanned: Scanned) -> None:
    outcome = scanned(
        {
            "play.py": """
                from games import dice as d

                dice = print
                x = [d(),
                     d(d())]
                dice()

                @d()
                def f(y=d(1)):
                    return lambda: d(3)

                if d(4): d(5); d(6)
                elif d(7):
                    pass
                """
        },
        Throws,
    )
    assert [(line, text.removeprefix("throws ")) for _, line, text in told(outcome)] == [
        (4, "d()"),
        (5, "d(d())"),
        (5, "d()"),
        (8, "d()"),
        (9, "d(1)"),
        (10, "d(3)"),
        (12, "d(4)"),
        (12, "d(5)"),
        (12, "d(6)"),
        (13, "d(7)"),
    ]


def test_other_nodes_are_found_by_what_their_statement_mentions(scanned: Scanned) -> None:
    text = """
        import bets.luck
        luck = 3 > 2
        if luck == 3:
            x = 4 == 5
        while luck > (y := 4 > 3): pass
        print(luck < 9); print(luck < 10)

        @luck(1 < 2)
        def f(a=luck is None):
            return 6 == 7
        print(bets.luck != 8, luck.kind == 9)
        if luck: print(10 == 10)
        """
    assert [(line, text) for _, line, text in told(scanned({"play.py": text}, Compares))] == [
        (2, "compares 3 > 2"),
        (3, "compares luck == 3"),
        (5, "compares luck > (y := 4 > 3)"),
        (5, "compares 4 > 3"),
        (6, "compares luck < 9"),
        (6, "compares luck < 10"),
        (8, "compares 1 < 2"),
        (9, "compares luck is None"),
        (11, "compares bets.luck != 8"),
        (11, "compares luck.kind == 9"),
        (12, "compares 10 == 10"),
    ]


def test_a_rule_that_names_nothing_sees_the_whole_file(scanned: Scanned) -> None:
    files = {"play.py": "def f():\n    global x\n    def g():\n        nonlocal y\n    y = 1\n"}
    assert [(line, text) for _, line, text in told(scanned(files, Globals))] == [
        (2, "has global x"),
        (4, "has nonlocal y"),
    ]


def test_a_problem_overrides_its_rule(scanned: Scanned) -> None:
    (finding,) = scanned({"play.py": "x = 1\n"}, Files).report.findings
    assert (finding.severity, finding.confidence, finding.minutes) == (Severity.CRITICAL, Confidence.MEDIUM, 90)
    assert (finding.code, finding.name, finding.preview) == ("MLD094", "files", False)


def test_low_confidence_is_never_shown(scanned: Scanned) -> None:
    assert told(scanned({"play.py": "x = 1\n", "mldebt.toml": '[rules.files]\nleast = "low"\n'}, Files)) == []


def test_whose_code_it_is_decides(scanned: Scanned) -> None:
    dice = "from games import dice\ndice()\n"
    paths = ("play.py", "examples/play.py", "tests/test_play.py", "third_party/play.py", "play_pb2.py")
    findings = scanned(dict.fromkeys(paths, dice), Throws, Files).report.findings
    assert [(f.code, f.place.path, f.severity.label) for f in findings] == [
        ("MLD094", "examples/play.py", "info"),
        ("MLD091", "examples/play.py", "info"),
        ("MLD094", "play.py", "critical"),
        ("MLD091", "play.py", "major"),
        ("MLD094", "tests/test_play.py", "critical"),
    ]


def test_the_configured_severity_wins_even_in_examples(scanned: Scanned) -> None:
    configuration = """
        [rules.throws]
        severity = "critical"
        [[overrides]]
        files = ["old/"]
        severity = { MLD091 = "minor" }
        """
    dice = "from games import dice\ndice()\n"
    outcome = scanned(
        {"play.py": dice, "old/play.py": dice, "examples/play.py": dice, "mldebt.toml": configuration}, Throws
    )
    levels = {finding.place.path: finding.severity.label for finding in outcome.report.findings}
    assert levels == {"play.py": "critical", "old/play.py": "minor", "examples/play.py": "critical"}


def test_alone_only_rules_that_can_are_asked(scanned: Scanned) -> None:
    assert told(scanned({"play.py": ""}, Throws, stdin=("play.py", b"import games\ngames.dice()\n"))) == []


class Broken(Practice):
    """A practice that cannot be told."""

    id = "X7"
    title = "broken"

    def assess(self, project: Project, /) -> Assessment:
        if project.modules:
            raise LookupError("no idea")
        return Assessment(State.MISSING)


def test_a_practice_that_crashes_is_named_and_left_out(project: Build) -> None:
    errors: list[ScanError] = []
    assert assess(project({"play.py": "x = 1"}), [Broken], errors) == []
    assert [error.code for error in errors] == ["MLD005"]
    assert errors[0].message.startswith("X7 X7 crashed: LookupError('no idea')")
    assert len(assess(project({}), [Broken], [])) == 1


def test_the_extent_of_a_statement_is_its_header(project: Build) -> None:
    text = """
        @cached(
            1)
        def f(a,
              b):
            return g(
                a)
        for x in range(
                3):
            y = 1
        """
    module = project({"m.py": text}).modules["m.py"]
    lines = {line: extent(module, line) for line in range(1, 10)}
    assert lines == {
        **dict.fromkeys((1, 2, 3, 4), (1, 4)),
        **dict.fromkeys((5, 6), (5, 6)),
        **dict.fromkeys((7, 8), (7, 8)),
        9: (9, 9),
    }
    assert extent(None, 3) == (3, 3)
