"""The dialogue on the caller's terminal, where there is no pinentry that works."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from smime_agent.daemon.assuan import LONGEST_DATA
from smime_agent.daemon.dialogue import CannotAskError, lines
from smime_agent.daemon.terminal_device import TerminalDevice, cleaning_up
from smime_agent.errors import PinUnavailableError
from smime_agent.keys import Pin

if TYPE_CHECKING:
    from collections.abc import Callable

    from smime_agent.daemon.dialogue import Screen

_Answer = TypeVar("_Answer")
_LONGEST_ANSWER = 64
_GRACE_SECONDS = 0.2


class TerminalDialogue:
    """Asks on the terminal that a :class:`~smime_agent.daemon.dialogue.Screen` names."""

    source = "terminal"

    def __init__(self, screen: Screen, *, seconds: float) -> None:
        """Ask there, for so long at most."""
        self._screen, self._seconds = screen, seconds

    def pin(self, title: str, text: str) -> Pin:
        """The PIN, typed without an echo."""
        return self._ask(f"{title}\n{text}\nPIN: ", _read_pin, echo=False)

    def confirm(self, title: str, text: str, yes: str) -> bool:
        """Whether ``yes`` was typed, in full."""
        return self._ask(f"{title}\n{text}\n{yes}? Type yes to agree: ", _read_yes, echo=True)

    def _ask(self, question: str, read: Callable[[TerminalDevice, float], _Answer], *, echo: bool) -> _Answer:
        if not self._screen.tty:
            raise CannotAskError("there is no terminal to ask on", hint="use --no-agent, or install pinentry")
        deadline = time.monotonic() + self._seconds
        with TerminalDevice.opened(self._screen.tty) as device:
            device.lock(deadline)
            try:
                with cleaning_up(device.restore):
                    device.cook(echo=echo)
                    device.write(_encoded(f"\n{lines(question)}", self._screen), deadline)
                    return read(device, deadline)
            except PinUnavailableError:
                device.leave_line(time.monotonic() + _GRACE_SECONDS)
                raise
            except OSError as error:
                raise PinUnavailableError(f"the terminal {device.name} is gone: {error.strerror}") from None


def _read_pin(device: TerminalDevice, deadline: float) -> Pin:
    buffer = bytearray(LONGEST_DATA + 1)
    typed = bytearray()
    try:
        typed = buffer[: device.read_line(buffer, deadline)]
        if not typed:
            raise PinUnavailableError("no PIN was entered")
        return Pin(typed)
    except EOFError:
        raise PinUnavailableError("no PIN was entered") from None
    finally:
        for octets in (buffer, typed):
            octets[:] = bytes(len(octets))


def _read_yes(device: TerminalDevice, deadline: float) -> bool:
    buffer = bytearray(_LONGEST_ANSWER)
    try:
        return buffer[: device.read_line(buffer, deadline)].strip().lower() == b"yes"
    except EOFError:
        return False


def _encoded(text: str, screen: Screen) -> bytes:
    """For the terminal, in its encoding where that is UTF-8, else in ASCII with the rest spelt out."""
    return text.encode() if screen.speaks_utf8 else text.encode("ascii", "backslashreplace")
