"""The output formats there are: the one table that options, configuration and rendering read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct


class Format(Struct, frozen=True):
    """One output format.

    Args:
        name: As users write it.
        help: What reads it.
        module: The module with its ``render(report)``, imported when the format is asked for.
        mends: Carries fixes, so rules are asked for them.
        sheets: Carries the rules' pages.
        contents: Looks at the files findings are in, for columns in its own units and for hashes of lines.
        checkout: Its reader wants paths from the top of the git checkout, not from the scanned root.
        drawn: Laid out for a terminal: ``render`` takes colour and width too.
        counted: With ``--statistics``, counts stand in its place.
    """

    name: str
    help: str
    module: str
    mends: bool = False
    sheets: bool = False
    contents: bool = False
    checkout: bool = False
    drawn: bool = False
    counted: bool = False


_ALL = (
    Format("text", "for people, at a terminal", "mldebt.report.text", mends=True, drawn=True, counted=True),
    Format("concise", "one line a finding", "mldebt.report.concise", counted=True),
    Format("grouped", "one block a file", "mldebt.report.grouped", counted=True),
    Format("json", "everything, with a schema", "mldebt.report.json", mends=True),
    Format("json-lines", "one JSON object a finding", "mldebt.report.json_lines", mends=True),
    Format(
        "sarif",
        "GitHub code scanning and other SARIF 2.1.0 readers",
        "mldebt.report.sarif",
        mends=True,
        sheets=True,
        contents=True,
        checkout=True,
    ),
    Format("github", "annotations of a GitHub workflow", "mldebt.report.github", contents=True, checkout=True),
    Format("gitlab", "GitLab code quality", "mldebt.report.gitlab", contents=True, checkout=True),
    Format("junit", "test reports of Jenkins and others", "mldebt.report.junit", contents=True),
    Format("checkstyle", "Checkstyle XML", "mldebt.report.checkstyle", contents=True),
    Format("rdjson", "reviewdog", "mldebt.report.rdjson", mends=True, contents=True, checkout=True),
    Format(
        "rdjsonl", "reviewdog, one line a finding", "mldebt.report.rdjsonl", mends=True, contents=True, checkout=True
    ),
    Format("azure", "Azure Pipelines", "mldebt.report.azure", contents=True, checkout=True),
    Format("sonar", "SonarQube's generic issues", "mldebt.report.sonar", sheets=True, contents=True),
    Format("pylint", "tools that read pylint's output", "mldebt.report.pylint"),
    Format("markdown", "summaries of workflow runs and comments", "mldebt.report.markdown"),
)
FORMATS = {each.name: each for each in _ALL}

if TYPE_CHECKING:
    FormatName = str
else:
    FormatName = Literal[tuple(FORMATS)]
