"""How the agent asks a person: for a PIN, or whether a key may be used; where that person sits is said by the caller.

A dialogue goes through pinentry, and through the caller's terminal where there is none that works.
"""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from smime_agent.errors import PinUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from smime_agent.keys import Pin

_Answer = TypeVar("_Answer")

#: What of a caller's environment a dialogue needs to appear before its eyes, in its language; and no other variable.
VARIABLES: Final = frozenset(
    {
        "DBUS_SESSION_BUS_ADDRESS",
        "DISPLAY",
        "LANG",
        "LANGUAGE",
        "TERM",
        "WAYLAND_DISPLAY",
        "XAUTHORITY",
        "XDG_RUNTIME_DIR",
    }
)
_LOCALE: Final = "LC_"
_LONGEST_VALUE: Final = 1024
_MOST_VARIABLES: Final = 32
_LONGEST_PIECE: Final = 120
_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Screen:
    """Where the person is who asked, as the caller's process says: its terminal, and how to reach its display.

    Of ``environment`` only what a dialogue needs is kept (``VARIABLES`` and ``LC_*``), and nothing that is no text.
    """

    tty: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Keep what may be kept: it comes from another process."""
        kept = [(name, value) for name, value in self.environment.items() if _may_pass(name, value)]
        object.__setattr__(self, "environment", dict(sorted(kept)[:_MOST_VARIABLES]))
        if self.tty is not None and not (self.tty.isascii() and self.tty.isprintable()):
            object.__setattr__(self, "tty", None)

    @property
    def has_display(self) -> bool:
        """Windows can be shown there."""
        return "DISPLAY" in self.environment or "WAYLAND_DISPLAY" in self.environment

    @property
    def speaks_utf8(self) -> bool:
        """The person's locale has UTF-8 as its encoding."""
        names = ("LC_ALL", "LC_CTYPE", "LANG")  # POSIX, 8.2: the first that is set
        locale = next(filter(None, map(self.environment.get, names)), "")
        return "UTF8" in locale.upper().replace("-", "")

    @classmethod
    def here(cls) -> Screen:
        """Where this process itself is: for a caller to tell the agent."""
        return cls(_controlling_terminal(), os.environ)


class Dialogue(Protocol):
    """A way to ask the person. What others chose in a text, such as a token's label, goes through :func:`one_line`."""

    @property
    def source(self) -> str:
        """``pinentry`` or ``terminal``, for the audit log; of the last answer, when there was one."""
        ...

    def pin(self, title: str, text: str) -> Pin:
        """The PIN that the person typed, never empty.

        Raises:
            PinUnavailableError: cancelled, timed out, or nobody is there.
        """
        ...

    def confirm(self, title: str, text: str, yes: str) -> bool:
        """Whether the person agreed; ``yes`` is what the button says, in the words of what will happen.

        Raises:
            PinUnavailableError: nobody answered, or nobody is there.
        """
        ...


def dialogue_on(screen: Screen, program: str | None = None, *, seconds: float = _SECONDS) -> Dialogue:
    """The dialogue for one who sits there; each question waits ``seconds`` at most.

    ``program`` is the pinentry of the configuration; else it is PINENTRY_PROGRAM of this process, else what is on
    the PATH. Where there is none, or it cannot start, the question is asked on the caller's terminal.
    """
    from smime_agent.daemon.pinentry import Pinentry
    from smime_agent.daemon.terminal import TerminalDialogue

    named = program or os.environ.get("PINENTRY_PROGRAM")
    path = (shutil.which(named) or named) if named else _on_the_path()
    terminal = TerminalDialogue(screen, seconds=seconds)
    return FallingBack(Pinentry(path, screen, seconds=seconds), terminal) if path else terminal


class CannotAskError(PinUnavailableError):
    """The person has not seen the question, so that it can be asked in another way."""

    code = PinUnavailableError.code


class FallingBack:
    """A dialogue that goes another way where the first one cannot even show its question."""

    def __init__(self, first: Dialogue, second: Dialogue) -> None:
        """Ask through ``first``, else through ``second``."""
        self._first, self._second = first, second
        self.source = first.source

    def pin(self, title: str, text: str) -> Pin:
        """The PIN."""
        return self._answer(text, lambda dialogue, shown: dialogue.pin(title, shown))

    def confirm(self, title: str, text: str, yes: str) -> bool:
        """The answer."""
        return self._answer(text, lambda dialogue, shown: dialogue.confirm(title, shown, yes))

    def _answer(self, text: str, ask: Callable[[Dialogue, str], _Answer]) -> _Answer:
        try:
            self.source = self._first.source
            return ask(self._first, text)
        except CannotAskError as error:
            reason = error
        try:
            self.source = self._second.source
            return ask(self._second, f"{text}\n({one_line(str(reason))})")
        except CannotAskError as error:
            raise PinUnavailableError(f"nobody can be asked: {reason}; {error}", hint=error.hint) from None


def one_line(text: str, longest: int = _LONGEST_PIECE) -> str:
    """A piece of a text that somebody else chose, fit to stand in ours: one line, no control characters, bounded.

    Characters that reorder a line or do not show are spelt out.
    """
    cut = text if len(text) <= longest else text[: longest - 3] + "..."
    return "".join(map(_shown, cut))


def lines(text: str) -> str:
    """A whole text, where line breaks are ours, and nothing else may move the cursor or reorder a line."""
    return "".join(c if c == "\n" else _shown(c) for c in text)


def _shown(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def _may_pass(name: str, value: str) -> bool:
    known = name in VARIABLES or (name.startswith(_LOCALE) and name.isascii() and name.isidentifier())
    return known and 0 < len(value) <= _LONGEST_VALUE and value.isprintable()


def _on_the_path() -> str | None:
    names = ("pinentry-mac", "pinentry") if sys.platform == "darwin" else ("pinentry", "pinentry-mac")
    return next((path for name in names if (path := shutil.which(name))), None)


def _controlling_terminal() -> str | None:
    """Its device, also where no descriptor leads to it: git gives a program three pipes.

    ``/dev/tty`` is another device in each process: its name tells the agent nothing.
    """
    for name in _of_the_session():
        return name
    for descriptor in (0, 1, 2):
        with suppress(OSError):
            return os.ttyname(descriptor)
    return None


def _of_the_session() -> list[str]:
    """The terminal that /proc gives this process (proc(5), ``tty_nr``), as its device."""
    try:
        number = int(Path("/proc/self/stat").read_bytes().rpartition(b") ")[2].split()[4])
        # proc(5): the minor number is in bits 31 to 20 and 7 to 0, as the low 32 bits of a dev_t.
        device = os.makedev(number >> 8 & 0xFFF, (number >> 12 & 0xFFF00) | number & 0xFF)
        names = [f"/dev/pts/{os.minor(device)}", f"/dev/tty{os.minor(device)}"]
        return [name for name in names if number and Path(name).exists() and Path(name).stat().st_rdev == device]
    except (OSError, ValueError, IndexError):
        return []
