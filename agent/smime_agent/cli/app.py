"""The command tree. A command's module is loaded when it is called or listed, never before: start-up is felt."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

#: The commands in the order in which they are listed, each with the module that holds its Typer app.
COMMANDS = {
    "sign": "sign",
    "verify": "verify",
    "encrypt": "encrypt",
    "decrypt": "decrypt",
    "inspect": "inspect",
    "token": "token",
    "key": "key",
    "cert": "cert",
    "audit": "audit",
    "setup": "setup",
    "agent": "agent",
    "doctor": "doctor",
    "demo": "demo",
}
#: What other programs call and nobody types: it is not listed.
UNLISTED = {"neomutt": "neomutt"}


class LazyGroup(TyperGroup):
    """The top of the tree."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002 - Typer's own signature
        """The names, in our order."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401, ARG002 - Typer's own signature
        """Load one command."""
        module = COMMANDS.get(cmd_name) or UNLISTED.get(cmd_name)
        if module is None:
            return None
        loaded = typer.main.get_command(import_module(f"smime_agent.cli.{module}").app)
        loaded.name = cmd_name
        return loaded


def _show_version(value: bool) -> None:
    if value:
        from smime_agent import __version__

        typer.echo(f"smime-agent {__version__}")
        raise typer.Exit


def _show_completion(shell: str | None) -> None:
    if shell is None:
        return
    from smime_agent.cli.completion import script

    typer.echo(script(shell), nl=False)
    raise typer.Exit


app = typer.Typer(
    cls=LazyGroup,
    name="smime-agent",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    completion: Annotated[
        str | None,
        typer.Option(
            "--show-completion",
            metavar="SHELL",
            callback=_show_completion,
            is_eager=True,
            help="Print the completion script for bash, zsh, fish or powershell, and exit.",
        ),
    ] = None,
) -> None:
    """Sign and decrypt mail with keys that never leave their smart card or HSM; encrypt and verify mail.

    What a person reads goes to standard error, results go to standard output or to -o FILE.
    """


def command() -> Any:  # noqa: ANN401 - Typer keeps its Click to itself
    """The whole tree as one command; it also answers the shell's questions for completion."""
    tree = typer.main.get_command(app)
    if "_SMIME_AGENT_COMPLETE" not in os.environ:
        return tree
    from smime_agent.cli.completion import completer

    return completer(tree, os.environ["_SMIME_AGENT_COMPLETE"])
