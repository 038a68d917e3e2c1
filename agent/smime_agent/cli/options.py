"""The options that several commands share, and secrets that are typed; tokens are in :mod:`~smime_agent.cli.access`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from smime_agent.cli import ui
from smime_agent.tokens.pins import PinSource

if TYPE_CHECKING:
    from smime_agent.keys import Pin

TokenOption = Annotated[
    str | None,
    typer.Option(
        "--token",
        metavar="TOKEN",
        help="A pkcs11: URI or a token's label.",
    ),
]
ModuleOption = Annotated[
    str | None,
    typer.Option(
        "--module",
        metavar="PATH",
        help="The PKCS#11 module to use, instead of all that are registered.",
    ),
]
PinSourceOption = Annotated[
    str | None,
    typer.Option(
        "--pin-source", metavar="SOURCE", help="Where the PIN comes from: prompt, env:NAME, file:PATH or fd:N."
    ),
]
LastTryOption = Annotated[
    bool, typer.Option("--use-last-pin-try", help="Allow the PIN to be tried when one try is left.")
]
KeyOption = Annotated[
    str | None, typer.Option("--key", metavar="KEY", help="A pkcs11: URI, a hexadecimal id, a label or a mail address.")
]
AgentOption = Annotated[
    bool | None,
    typer.Option("--agent/--no-agent", help="Insist on the agent, or go to the token; left out, the agent if it runs."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def secret(source: str | None, prompt: str) -> Pin:
    """An SO PIN or a new PIN: from its source, else typed at the terminal."""
    parsed = PinSource.parse(source or "prompt")
    return ui.ask_secret(prompt) if str(parsed) == "prompt:" else parsed.read()


def new_secret(source: str | None, what: str) -> Pin:
    """A secret that is to be set: typed twice at the terminal, or read once from a source."""
    first = secret(source, f"{what}: ")
    if source in (None, "prompt"):
        second = ui.ask_secret(f"{what}, again: ")
        same = first.reveal() == second.reveal()
        second.wipe()
        if not same:
            msg = "the two differ"
            raise typer.BadParameter(msg)
    return first
