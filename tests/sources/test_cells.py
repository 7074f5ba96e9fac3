from __future__ import annotations

from mldebt.sources.text import Source, read_source

DATABRICKS = """\
# Databricks notebook source
# MAGIC %md
# MAGIC # Churn model

# COMMAND ----------

# MAGIC %pip install mlflow==2.9
# MAGIC %pip install -r requirements.txt

# COMMAND ----------

# MAGIC %run ./features

# COMMAND ----------

# DBTITLE 1,Train
import mlflow

model = fit(df)

# COMMAND ----------

# MAGIC %sh
# MAGIC cd /tmp
# MAGIC python train.py
"""


def read(text: str) -> Source:
    return read_source("notebook.py", text.encode())


def spans(source: Source) -> list[tuple[int, int, int]]:
    return [(cell.index, cell.line, cell.end_line) for cell in source.cells]


def test_databricks_cells_are_counted_with_markdown() -> None:
    source = read(DATABRICKS)
    assert spans(source) == [(2, 7, 8), (3, 12, 12), (4, 17, 19), (5, 23, 25)]
    assert source.text == DATABRICKS
    assert not source.notebook


def test_databricks_magics_are_read_from_comments() -> None:
    assert [(magic.line, magic.text) for magic in read(DATABRICKS).magics] == [
        (7, "%pip install mlflow==2.9"),
        (8, "%pip install -r requirements.txt"),
        (12, "%run ./features"),
        (23, "%sh\ncd /tmp\npython train.py"),
    ]


def test_databricks_with_windows_lines() -> None:
    assert spans(read(DATABRICKS.replace("\n", "\r\n"))) == spans(read(DATABRICKS))


def test_percent_format() -> None:
    source = read("# %% [markdown]\n# # Title\n\n# %%\n# %pip install x\nimport a\n\n# %% plot\n# !ls data\nb = 1\n")
    assert spans(source) == [(2, 5, 6), (3, 9, 10)]
    assert [(magic.line, magic.text) for magic in source.magics] == [(5, "%pip install x"), (9, "!ls data")]


def test_percent_cell_magic_takes_the_comments_under_it() -> None:
    source = read("# %%\n# %%bash\n# python train.py\n# ls\n\n# %%\nx = 1\n")
    assert [(magic.line, magic.text) for magic in source.magics] == [(2, "%%bash\npython train.py\nls")]


def test_code_before_the_first_mark_is_a_cell() -> None:
    assert spans(read("import a\n\n# %%\nb = 1\n")) == [(1, 1, 1), (2, 4, 4)]
    assert spans(read("# licence\n\n# %%\nb = 1\n")) == [(1, 4, 4)]


def test_spyder_marks() -> None:
    assert spans(read("# In[1]:\n\n\nimport a\n\n\n# In[ ]:\n\n\nb = 1\n")) == [(1, 4, 4), (2, 10, 10)]


def test_an_ordinary_script_has_no_cells() -> None:
    source = read('"""100 # %%d"""\n# COMMAND ----------\n# MAGIC %pip install x\n# %d is a number\n# !important\n')
    assert (source.cells, source.magics) == ((), ())
