"""How the program speaks.

- Results go to standard output, everything that a person reads to standard error.
- An error is one line, ``smime-agent: error: what happened``, and a line ``hint: what to do`` where there is one.
- Nothing that came from a mail, a certificate or a token reaches the terminal unescaped.
- Progress is shown on a terminal only, and wiped when it is over.
- JSON is one object a line, with a ``schema``.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

from smime_agent.errors import FileError, PinUnavailableError
from smime_agent.keys import Pin

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from smime_agent.keys import PinRequest

_BAR = 24


def printable(text: str) -> str:
    """``text`` with each character that could move the cursor, change a colour or break a line spelt out."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def error(message: str, hint: str | None, details: Iterable[str] = ()) -> None:
    """Tell what went wrong, and what to do about it."""
    note(f"smime-agent: error: {message}", *(f"  {detail}" for detail in details))
    if hint:
        note(f"hint: {hint}")


def warning(message: str) -> None:
    """Tell what a person should know although all went well."""
    note(f"smime-agent: warning: {message}")


def note(*lines: str) -> None:
    """Write lines to standard error; where that is closed there is nobody to tell."""
    if sys.stderr is None:
        return
    with suppress(OSError):
        print("\n".join(map(printable, lines)), file=sys.stderr, flush=True)


def out(*lines: str) -> None:
    """Lines of a result on standard output, where a program that reads them has them at once.

    Raises:
        FileError: it is closed, full, or nobody reads it any more.
    """
    if sys.stdout is None:
        msg = "standard output is closed, and the result would be lost"
        raise FileError(msg)
    try:
        print("\n".join(map(printable, lines)), flush=True)
    except OSError as error:
        msg = f"cannot write to standard output: {error.strerror}"
        raise FileError(msg) from error


def json_line(schema: str, **values: Any) -> None:  # noqa: ANN401 - any JSON
    """One JSON object on standard output."""
    out(json_text(schema, **values))


def json_text(schema: str, **values: Any) -> str:  # noqa: ANN401 - any JSON
    """The same as text, in one line."""
    import json

    text = json.dumps({"schema": f"smime-agent.{schema}", **values})
    return text.replace("\x7f", "\\u007f")  # the one control character that JSON lets through


def table(rows: Sequence[Sequence[str]], heads: Sequence[str]) -> None:
    """Columns with a heading, as wide as they need to be."""
    lines = [[printable(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        out("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def fields(pairs: Iterable[tuple[str, str]]) -> None:
    """Names and values, one pair a line."""
    shown = list(pairs)
    width = max(len(name) for name, _ in shown)
    for name, value in shown:
        out(f"{name.ljust(width)}  {value}")


class Progress:
    """A bar on standard error for long work; silent where that is no terminal."""

    def __init__(self, total: int, what: str) -> None:
        """Count to ``total``."""
        self._total, self._what, self._done, self._shown = total, what, 0, -1
        self._live = total > 1 and sys.stderr is not None and sys.stderr.isatty()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Wipe the bar."""
        self.pause()

    def pause(self) -> None:
        """Wipe the bar, for a line to be written; the next step shows it again."""
        if self._live and self._shown >= 0:
            self._shown = -1
            with suppress(OSError):
                print("\r\033[K", end="", file=sys.stderr, flush=True)

    def step(self) -> None:
        """One more is done."""
        self._done += 1
        percent = self._done * 100 // self._total
        if self._live and percent != self._shown:
            self._shown = percent
            bar = "#" * (percent * _BAR // 100)
            text = f"\r{self._what} [{bar:<{_BAR}}] {self._done}/{self._total}"
            with suppress(OSError):  # the terminal may be gone
                print(text, end="", file=sys.stderr, flush=True)


class TerminalPrompter:
    """Asks the person at the terminal, even while standard input is a mail."""

    def pin(self, request: PinRequest) -> Pin:
        """Ask for the PIN on the terminal itself, without showing it."""
        if request.warning:
            warning(f"token '{request.token}': {request.warning}")
        name = f"token '{request.token}'" + (f" (serial {request.serial})" if request.serial else "")
        return ask_secret(f"PIN for {name}, {request.purpose}: ")

    def pad(self, token: str) -> None:
        """Tell where to type."""
        note(f"{token}: type the PIN on its pad")

    def touch(self, token: str) -> None:
        """Tell that the token waits."""
        note(f"{token} waits: touch the token if it blinks")


def ask_secret(prompt: str) -> Pin:
    """A secret typed at the terminal.

    Raises:
        PinUnavailableError: there is no terminal, or nothing was typed.
    """
    import getpass
    import warnings

    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        msg = "there is no terminal to ask for the PIN on"
        raise PinUnavailableError(msg, hint="use --pin-source env:NAME, file:PATH or fd:N") from None
    try:
        with in_lines(terminal), warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)  # it would show what is typed
            answer = getpass.getpass(printable(prompt))
    except KeyboardInterrupt:
        note("")  # the cursor stands behind the prompt
        raise
    except UnicodeDecodeError:
        msg = "what was typed is not text in the terminal's encoding"
        raise PinUnavailableError(msg) from None
    except (EOFError, OSError, getpass.GetPassWarning):
        msg = "no PIN was entered"
        raise PinUnavailableError(msg) from None
    finally:
        os.close(terminal)
    if not answer:
        msg = "no PIN was entered"
        raise PinUnavailableError(msg)
    return Pin(answer.encode())


@contextmanager
def in_lines(terminal: int) -> Iterator[None]:
    """The terminal takes lines that end with Enter: a mail program that draws on it has switched that off."""
    import termios

    try:
        before = termios.tcgetattr(terminal)
        changed = [*before]
        changed[0] |= termios.ICRNL
        changed[3] |= termios.ICANON | termios.ISIG
        termios.tcsetattr(terminal, termios.TCSADRAIN, changed)
    except termios.error:  # it was hung up, which whoever reads from it will notice
        yield
        return
    try:
        yield
    finally:
        with suppress(termios.error):
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)
