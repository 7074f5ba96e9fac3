"""Which format renders a report, and for which width and colours."""

from __future__ import annotations

import shutil

from mldebt.cli.session import Session
from mldebt.report import concise, json
from mldebt.report.result import Report


def rendered(report: Report, session: Session, *, counts: bool, to_file: bool) -> str:
    """The report in the session's format; never coloured in a file unless that was asked for.

    Args:
        report: What to show.
        session: Says the format, and whether to colour.
        counts: Counts by rule instead of findings; JSON carries all of them anyway.
        to_file: It will stand in a file, whose reader's width and liking for colours are unknown.
    """
    color = session.color and (not to_file or session.color_forced)
    width = 100 if to_file else shutil.get_terminal_size((100, 25)).columns
    if session.config.output_format == "json":
        return json.render(report)
    if session.config.output_format == "concise" and not counts:
        return concise.render(report)
    # These two draw with rich, which formats for programs need not wait for.
    from mldebt.report import statistics, text

    if counts:
        return statistics.render(report, color=color, width=width)
    return text.render(report, color=color, width=width)
