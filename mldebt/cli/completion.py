"""``mldebt completion``: the scripts click has for shells."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from mldebt.cli.main import OK
from mldebt.cli.options import GroupedCommand
from mldebt.cli.terminal import emit

# Those click knows; PowerShell since 8.5.
SHELLS = tuple(shell for shell in ("bash", "zsh", "fish", "powershell") if get_completion_class(shell))
_VARIABLE = "_MLDEBT_COMPLETE"


@click.command("completion", cls=GroupedCommand)
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> int:
    """Print the script that completes `mldebt` in a SHELL.

    \b
    bash 4.4+  in ~/.bashrc:  eval "$(mldebt completion bash)"
    zsh        in ~/.zshrc, after compinit:  eval "$(mldebt completion zsh)"
    fish       mldebt completion fish > ~/.config/fish/completions/mldebt.fish
    PowerShell in $PROFILE:  mldebt completion powershell | Out-String | Invoke-Expression
    """
    # Imported here: the group imports this module to run it.
    from mldebt.cli.main import main

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"click cannot complete in {shell}.")
    # Not `source()`: for bash it runs a bash to ask its version, and prints where there is none.
    completion = found(main, {}, "mldebt", _VARIABLE)
    emit(completion.source_template % completion.source_vars())
    return OK
