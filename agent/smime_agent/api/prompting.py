"""Who is asked for a PIN, as a program says it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from smime_agent.errors import PinUnavailableError
from smime_agent.tokens.pins import PinSource, SourcePrompter

if TYPE_CHECKING:
    from smime_agent.keys import PinRequest, Prompter


def prompter_of(pin_from: str | Prompter | None) -> Prompter:
    """A source such as ``env:NAME``, or an object that is asked; left out, nobody can be.

    Raises:
        UsageError: it is no source. It is not repeated: it may be the PIN itself.
    """
    if isinstance(pin_from, str):
        return SourcePrompter(PinSource.parse(pin_from), _Nobody())
    return pin_from or _Nobody()


class _Nobody:
    """The prompter of a program that gave none."""

    def pin(self, request: PinRequest) -> NoReturn:
        """There is nobody to ask."""
        msg = f"a PIN is needed for token '{request.token}', and the program gave no source of one"
        raise PinUnavailableError(msg, hint="pass pin_from to open_token or open_keys, such as env:NAME")

    def pad(self, token: str) -> None:
        """There is nobody to tell."""

    def touch(self, token: str) -> None:
        """There is nobody to tell."""
