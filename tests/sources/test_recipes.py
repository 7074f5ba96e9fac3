"""Rules of Makefiles and Snakefiles."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mldebt.sources.artefacts import Recipe
from mldebt.sources.recipes import make_recipes, snake_recipes


def nothing(path: str) -> str | None:
    return None


def made(text: str) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    return [(one.outputs, one.inputs) for one in make_recipes(text, "Makefile", nothing)]


def test_a_target_has_outputs_and_inputs() -> None:
    assert made("a.csv b.csv: clean.py | data\n\tpython clean.py\n") == [(("a.csv", "b.csv"), ("clean.py", "data"))]


def test_variables_with_one_value_are_put_in_and_others_are_holes() -> None:
    text = "D := data\nX = 1\nX = 2\n$(D)/a.csv: $(X)/raw.csv\n"
    assert made(text) == [(("data/a.csv",), ("*/raw.csv",))]


def test_pattern_rules_and_continuation_lines() -> None:
    assert made("data/%.csv: \\\n  raw/%.txt\n\tx\n") == [(("data/*.csv",), ("raw/*.txt",))]


def test_assignments_special_targets_and_recipes_are_no_rules() -> None:
    assert made("A := b:c\n.PHONY: all\nall:\n\techo a: b\n# x: y\n") == [(("all",), ())]


def test_a_snakemake_rule_has_the_texts_of_its_sections() -> None:
    text = """
configfile: "config.yaml"

rule clean:
    input:
        "data/raw_{city}.csv",
        script="clean.py",
    output: table="data/{city}.csv", log="logs/{city}.txt"
    shell: "python {input.script}"

checkpoint train:
    input: expand("data/{city}.csv", city=CITIES)
    output:
        # the model
        "model.pkl"
    run:
        open("other.txt")
"""
    found = snake_recipes(text, "workflow/Snakefile")
    assert found == [
        Recipe(
            "clean", ("data/*.csv", "logs/*.txt"), ("data/raw_*.csv", "clean.py"), "workflow/Snakefile", 4, "snakemake"
        ),
        Recipe("train", ("model.pkl",), ("data/*.csv",), "workflow/Snakefile", 11, "snakemake"),
    ]


@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    make_recipes(text, "Makefile", nothing)
    snake_recipes(text, "Snakefile")
