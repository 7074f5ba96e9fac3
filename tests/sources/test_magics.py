from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mldebt.sources.magics import mask


@pytest.mark.parametrize(
    ("cell", "python", "magics"),
    [
        ("%matplotlib inline", "pass", ["%matplotlib inline"]),
        ("!pip install x", "pass", ["!pip install x"]),
        ("!!ls", "pass", ["!!ls"]),
        (
            "if colab:\n    !pip install x\n    %cd /content",
            "if colab:\n    pass\n    pass",
            ["!pip install x", "%cd /content"],
        ),
        ("files = !ls *.csv", "files = None", ["files = !ls *.csv"]),
        ("d['a'] = %sql select 1", "d['a'] = None", ["d['a'] = %sql select 1"]),
        ("%time model.fit(X)", "pass; model.fit(X)", ["%time model.fit(X)"]),
        ("%timeit -n 10 -r3 y = f(x)", "pass;             y = f(x)", ["%timeit -n 10 -r3 y = f(x)"]),
        ("r = %time f(x)", "r =       f(x)", ["r = %time f(x)"]),
        ("r = %timeit -o f(x)", "r = None", ["r = %timeit -o f(x)"]),
        ("%time for x in y: f()", "pass", ["%time for x in y: f()"]),
        ("df?", "pass", ["df?"]),
        ("?df.head", "pass", ["?df.head"]),
        ("np.*load*??", "pass", ["np.*load*??"]),
        ("pip install x\ny = 1", "pass\ny = 1", ["pip install x"]),
        ("!python train.py \\\n  --lr 1\nx = 1", "pass\n\nx = 1", ["!python train.py \\\n  --lr 1"]),
        ("%%time\nmodel.fit(X)\n!ls", "pass\nmodel.fit(X)\npass", ["%%time", "!ls"]),
        ("# first\n\n%%capture out\n%%time\nf()", "# first\n\npass\npass\nf()", ["%%capture out", "%%time"]),
        ("%%bash\ncd x\npython train.py", "\n\n", ["%%bash\ncd x\npython train.py"]),
        ("%%writefile a.py\nimport os", "\n", ["%%writefile a.py\nimport os"]),
    ],
)
def test_masks_line_for_line(cell: str, python: str, magics: list[str]) -> None:
    masked = mask(cell.split("\n"))
    assert "\n".join(masked.lines) == python
    assert [text for _, text in masked.magics] == magics
    ast.parse(python)


@pytest.mark.parametrize(
    "cell",
    [
        "x = (a\n  % b)",
        's = """\n%time f()\n!ls\n"""',
        "x = 'a' \\\n  % b",
        'print("x= %d" % x)',
        "x != y",
        "time = 3\nrun = time + 1",
        "f(a=1, # it's (\n  b=2)\n# df?",
        "x = a == b",
        "s = 'what?'",
        's = """it\'s""" + \'"\'\nt = f"{x}"',
        "run -= 1\nls = run",
    ],
)
def test_leaves_python_alone(cell: str) -> None:
    ast.parse(cell)
    masked = mask(cell.split("\n"))
    assert "\n".join(masked.lines) == cell
    assert masked.magics == []


ROWS = st.sampled_from(
    [
        "%time f()",
        "!ls \\",
        "x = !ls",
        "x = (",
        ")",
        '"""',
        "'''",
        "a?",
        "%%time",
        "%%bash",
        "  y = 1",
        "",
        "# c",
        "\\",
        "'",
    ]
)


@given(st.lists(ROWS | st.text(alphabet="%!?=x \"'#([)\\;", max_size=8), max_size=8))
def test_any_cell_keeps_its_number_of_lines(rows: list[str]) -> None:
    masked = mask(rows)
    assert len(masked.lines) == len(rows)
    numbers = [number for number, _ in masked.magics]
    assert numbers == sorted(set(numbers))
    for number, text in masked.magics:
        assert text.split("\n")[0].strip() == rows[number].strip()
