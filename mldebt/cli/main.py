"""The ``mldebt`` command: finds the subcommand, imports only that, and turns what happens into an exit code."""

from __future__ import annotations

import atexit
import difflib
import gc
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

from mldebt import __version__
from mldebt.errors import MldebtError

OK, FINDINGS, TROUBLE, INTERRUPTED = 0, 1, 2, 130

# Names to modules and one-line helps. `mldebt --version` and `mldebt --help` must not pay for libcst, rich and rules,
# so the modules are imported on demand.
COMMANDS = (
    ("scan", "mldebt.cli.scan", "Find debt, score the repository, and say what to pay back first."),
    ("init", "mldebt.cli.init", "Set a repository up: settings, baseline, pre-commit hooks and a workflow."),
    ("baseline", "mldebt.cli.baseline", "Accept the debt there is, so that scans report new debt only."),
    ("rule", "mldebt.cli.rule", "Explain one rule: what it finds, why it is debt, how to pay it back."),
    ("rules", "mldebt.cli.rules", "List all rules by family."),
    ("entries", "mldebt.cli.entries", "List what can be run, and what each entry does, draws and seeds."),
    ("knobs", "mldebt.cli.knobs", "List every setting with its values, where they stand and who reads them."),
    ("artefacts", "mldebt.cli.artefacts", "List what programs write and read, who does, and what declares it."),
    ("why", "mldebt.cli.why", "Say why there is a finding at a line, or why there is none."),
    ("server", "mldebt.cli.server", "Serve editors by the language server protocol."),
    ("completion", "mldebt.cli.completion", "Print the script that completes this command in a shell."),
    ("action", "mldebt.cli.action", "Scan in a GitHub workflow: annotations, summary, SARIF and outputs."),
    ("test", "mldebt.cli.test", "Run rules' own examples, as written and in other spellings."),
)
ALIASES = {"check": "scan"}


class Commands(click.Group):
    """A group whose subcommands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name, _, _ in COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        wanted = ALIASES.get(cmd_name, cmd_name)
        module = next((module for name, module, _ in COMMANDS if name == wanted), None)
        if module is None:
            return None
        command: click.Command = importlib.import_module(module).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not name.startswith("-") and name not in ALIASES and name not in self.list_commands(ctx):
            near = difflib.get_close_matches(name, self.list_commands(ctx), 1)
            hint = f" Did you mean 'mldebt {near[0]}'?" if near else ""
            hint = f" Did you mean 'mldebt scan {name}'?" if os.path.exists(name) else hint  # noqa: PTH110
            ctx.fail(f"No such command {name!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, _, text in COMMANDS])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names and helps from the table: importing every command to hide the hidden ones takes half a second."""
        found = [CompletionItem(name, help=text) for name, _, text in COMMANDS if name.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The way in of a process that ends with the command: no garbage in it is worth collecting."""
        gc.disable()
        atexit.register(gc.freeze)  # the interpreter's own last collection passes over what is frozen
        return super().__call__(*args, **kwargs)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run, and leave with the code of DESIGN 5: 0 clean, 1 findings, 2 trouble, 130 interrupted."""
        try:
            code = super().main(args, prog_name or "mldebt", complete_var, standalone_mode=False, **extra)
        except MldebtError as error:
            click.echo(f"error: {error}", err=True)
            code = TROUBLE
        except click.exceptions.Abort:
            click.echo("interrupted", err=True)
            code = INTERRUPTED
        except click.ClickException as error:
            error.show()
            code = TROUBLE
        except Exception:  # noqa: BLE001 - Python would leave with 1, which says that there are findings
            traceback.print_exc()
            click.echo(f"error: this is a bug in mldebt {__version__}; please report it", err=True)
            code = TROUBLE
        if not standalone_mode:
            return code
        sys.exit(code or OK)


@click.command("mldebt", cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mldebt", message="%(prog)s %(version)s")
def main() -> None:
    """Find machine-learning technical debt that line linters cannot see.

    mldebt reads a repository without ever running it, says what each finding costs, and what to pay back first.
    """
