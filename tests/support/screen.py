"""A program in a terminal of its own, which draws on it as it likes: what is to be seen is awaited, keys are typed."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from typing import TYPE_CHECKING, Self

import pyte

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_SECONDS = 30.0
#: A session leader without a terminal gets the first that it opens; then that is its standard input and output too.
_SHELL = 'exec <>"$0" >&0 2>&0; exec "$@"'


class Screen:
    """A run of a program, and what its terminal of 100 by 40 shows."""

    COLUMNS, LINES = 100, 40

    def __init__(self, command: Sequence[str | Path], env: Mapping[str, str], cwd: Path | None = None) -> None:
        """Start it."""
        self._ours, self._theirs = pty.openpty()
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("HHHH", self.LINES, self.COLUMNS, 0, 0))
        self._display = pyte.Screen(self.COLUMNS, self.LINES)
        self._stream = pyte.ByteStream(self._display)
        self.process = subprocess.Popen(
            ["sh", "-c", _SHELL, os.ttyname(self._theirs), *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**env, "TERM": "linux"},
            cwd=cwd,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        """The run itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing of it is left."""
        self.process.kill()
        self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)

    @property
    def text(self) -> str:
        """What is on the screen, without the blanks at the ends of lines."""
        return "\n".join(line.rstrip() for line in self._display.display)

    @property
    def lines(self) -> list[str]:
        """The same by lines."""
        return self.text.split("\n")

    def expect(self, *texts: str) -> str:
        """Wait until all of these are on the screen at once; the screen is returned."""
        return self.until(lambda: all(text in self.text for text in texts), " and ".join(map(repr, texts)))

    def expect_any(self, *texts: str) -> str:
        """Wait until one of these is on the screen; which one is returned."""
        self.until(lambda: any(text in self.text for text in texts), " or ".join(map(repr, texts)))
        return next(text for text in texts if text in self.text)

    def until(self, there: Callable[[], bool], what: str) -> str:
        """Wait until something is the case."""
        deadline = time.monotonic() + _SECONDS
        while not there():
            assert time.monotonic() < deadline, f"no {what}; the screen shows\n{self.text}"
            assert self.read(0.2) or self.process.poll() is None, f"ended without {what}:\n{self.text}"
        return self.text

    def type(self, keys: str) -> None:
        """Press keys; Enter is a carriage return."""
        os.write(self._ours, keys.encode())

    def answer(self, question: str, keys: str) -> None:
        """Wait for a question, and answer it."""
        self.expect(question)
        self.type(keys)

    def end(self) -> int:
        """Wait for the end: the exit code."""
        deadline = time.monotonic() + _SECONDS
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it does not end; the screen shows\n{self.text}"
            self.read(0.1)
        while self.read(0.05):
            pass
        return self.process.wait()

    def read(self, seconds: float) -> bool:
        """Take in what is drawn, if anything is within that time."""
        if not select.select([self._ours], [], [], seconds)[0]:
            return False
        self._stream.feed(os.read(self._ours, 65536))
        return True
