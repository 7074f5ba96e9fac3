"""What a shell completes beside commands, options and files."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem


def rules(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Codes and names of rules; after a comma, of the next one in a list."""
    # Imported here: completing anything else must not wait for the rules.
    from mldebt.registry import installed
    from mldebt.settings.selectors import META

    head, comma, word = incomplete.rpartition(",")
    named = {code: name for code, (name, _) in META.items()} | {
        rule.code: rule.name() for rule in installed().announced
    }
    spellings = {**named, **{name: code for code, name in named.items()}}
    return [
        CompletionItem(f"{head}{comma}{spelling}", help=other)
        for spelling, other in sorted(spellings.items())
        if spelling.lower().startswith(word.lower())
    ]
