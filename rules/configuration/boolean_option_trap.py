"""MLD309: options that cannot be switched off."""

from __future__ import annotations

from collections.abc import Iterator

from mldebt import cst
from mldebt.facts.schema import Ref, Stmt
from mldebt.finding import Confidence, Fix, Related, Severity
from mldebt.module import Module
from mldebt.project.project import Project
from mldebt.rule import Alone, Bad, Good, Problem, Rule

from .boolean_traps import BOOL, TEXT, BooleanTraps, Trap
from .option_mending import mended

_SAYS = {
    BOOL: "is converted by bool(), which is True for every text but the empty one: {flag} False gives True",
    "list": "is converted by list(), which splits a text into its letters: {flag} ab gives ['a', 'b']",
    "tuple": "is converted by tuple(), which splits a text into its letters: {flag} ab gives ('a', 'b')",
    "set": "is converted by set(), which splits a text into its letters",
    "frozenset": "is converted by frozenset(), which splits a text into its letters",
    "dict": "is converted by dict(), which refuses every text",
    "eval": "is converted by eval(), which runs whatever text is given",
}


class BooleanOptionTrap(Rule["cst.Call"]):
    """An argparse option is converted by something that does not read text: `bool`, `list`, `dict`, `eval`.

    Also an option that holds "true" or "false" as a text and is tested for plain truth somewhere.

    ## Why it is debt

    `type=bool` calls `bool("False")`, and that is `True`: the option cannot be switched off, and an ablation
    that passes `--augment False` measures the augmented model twice. Nothing fails, the run's name says one thing and
    the run does another.

    ## How to pay it back

    `action=argparse.BooleanOptionalAction` gives `--augment` and `--no-augment` (Python 3.9); where commands pass a
    value, a converter that reads the text. `nargs="+"` for lists, `json.loads` or `ast.literal_eval` for structures.

    ## When to leave it

    Silent on its own: converters of your own (`str2bool`), parsers that give `bool` another meaning
    (`parser.register("type", bool, ...)`, jsonargparse), click, texts that are compared (`args.amp == "true"`) or
    rewritten after parsing.

    ## References

    https://docs.python.org/3/library/argparse.html#type ("The bool() function is not recommended as a type converter")
    https://docs.python.org/3/library/argparse.html#argparse.BooleanOptionalAction
    """

    code = "MLD309"
    severity, confidence, minutes = Severity.MAJOR, Confidence.HIGH, 5
    alone = Alone.REPORT

    examples = (
        Bad(
            """
            import argparse

            parser = argparse.ArgumentParser()
            parser.add_argument("--augment", type=bool, default=True, help="augment images")
            args = parser.parse_args()
            """,
            fixed="""
            import argparse

            parser = argparse.ArgumentParser()
            parser.add_argument("--augment", action=argparse.BooleanOptionalAction, default=True, help="augment images")
            args = parser.parse_args()
            """,
            anchors=("example.py:4",),
        ),
        Bad(
            {
                "options.py": """
                from argparse import ArgumentParser

                def add_options(group):
                    add = group.add_argument
                    add("--layers", type=list, default=[1, 2])
                    add("--amp", default=False, type=bool)

                def parse():
                    parser = ArgumentParser()
                    add_options(parser.add_argument_group("model"))
                    return parser.parse_args()
                """,
                "train.py": """
                from options import parse

                print(parse().amp)
                """,
                "run.sh": "python train.py --amp False",
            },
            fixed={
                "options.py": """
                from argparse import ArgumentParser

                def add_options(group):
                    add = group.add_argument
                    add("--layers", nargs="+", type=int, default=[1, 2])
                    add("--amp", default=False, type=lambda text: text.lower() in ("1", "true", "yes", "on"))

                def parse():
                    parser = ArgumentParser()
                    add_options(parser.add_argument_group("model"))
                    return parser.parse_args()
                """,
                "train.py": """
                from options import parse

                print(parse().amp)
                """,
                "run.sh": "python train.py --amp False",
            },
            findings=2,
        ),
        Bad(
            {
                "train.py": """
                import argparse
                from loop import run

                parser = argparse.ArgumentParser()
                parser.add_argument("--resume", default="false")
                run(parser.parse_args())
                """,
                "loop.py": """
                def run(args):
                    if args.resume:
                        load()
                """,
            },
            anchors=("train.py:5",),
        ),
        Bad(
            """
            import argparse

            TABLE = [("--shuffle", True), ("--cache", False)]
            parser = argparse.ArgumentParser()
            for flag, default in TABLE:
                parser.add_argument(flag, type=bool, default=default)
            args = parser.parse_args()
            """
        ),
        Good(
            """
            import argparse

            def str2bool(text):
                return text.lower() in ("1", "true", "yes")

            parser = argparse.ArgumentParser()
            parser.add_argument("--augment", type=str2bool, default=True)
            parser.add_argument("--amp", action="store_true")
            parser.add_argument("--size", type=int, default=3)
            """
        ),
        Good(
            """
            import argparse

            parser = argparse.ArgumentParser()
            parser.register("type", bool, lambda text: text.lower() == "true")
            parser.add_argument("--augment", type=bool, default=True)
            """
        ),
        Good(
            """
            import argparse

            parser = argparse.ArgumentParser()
            parser.add_argument("--resume", default="false", choices=["true", "false"])
            args = parser.parse_args()
            if args.resume == "true":
                load()
            """
        ),
        Good(
            """
            import argparse

            parser = argparse.ArgumentParser()
            parser.add_argument("--resume", default="false")
            args = parser.parse_args()
            args.resume = args.resume.lower() == "true"
            if args.resume:
                load()
            """
        ),
        Good(
            """
            import click

            @click.command()
            @click.option("--augment", type=bool, default=True)
            def main(augment):
                print(augment)
            """
        ),
        Good(
            """
            from jsonargparse import ArgumentParser

            parser = ArgumentParser()
            parser.add_argument("--augment", type=bool, default=True)
            """
        ),
    )

    def statements(self, module: Module) -> list[tuple[Stmt, int]]:
        traps = module.project[BooleanTraps].of(module)
        # Several calls may stand in one statement; it is opened once.
        found = {id(one.declared.statement): (one.declared.statement, one.declared.scope) for one in traps}
        return list(found.values())

    def check(self, node: cst.Call, module: Module) -> Iterator[Problem]:
        trap = _trap_at(module, module.place(node).span.line, module.place(node).span.column)
        if trap is not None:
            yield _problem(trap, node, module)

    def mend(self, problem: Problem, project: Project) -> Fix | None:
        module = project.modules[problem.place.path]
        trap = _trap_at(module, problem.place.span.line, problem.place.span.column)
        return mended(trap, project) if trap is not None else None


def _trap_at(module: Module, line: int, column: int) -> Trap | None:
    for trap in module.project[BooleanTraps].of(module):
        span = module.span(trap.declared.call)
        if (span.line, span.column) == (line, column):
            return trap
    return None


def _problem(trap: Trap, node: cst.Call, module: Module) -> Problem:
    flags = trap.declared.flags or ()
    flag = next((one for one in flags if one.startswith("--")), flags[0] if flags else "the option")
    says = _SAYS.get(trap.kind, "")
    if trap.kind == TEXT:
        default = trap.declared.constant("default")
        says = f"is a text ({default!r} by default) and tested for truth, which every text but the empty one passes"
    related = [Related(where.place(ref), "its plain truth is tested", "effect") for where, ref in trap.tested]
    converter = trap.declared.keyword("type")
    if isinstance(converter, Ref) and module.span(trap.declared.call).line < converter.line:
        related.append(Related(module.place(converter), "the converter"))
    return Problem(
        module.place(node),
        f"{flag} {says.format(flag=flag)}",
        related=tuple(related),
        evidence=(
            f"the converter is {trap.kind}" if trap.kind != TEXT else "no converter, and no code that rewrites it",
            "no parser.register and no parser class of its own that gives the converter another meaning",
        ),
        symbol=trap.declared.dest,
    )
