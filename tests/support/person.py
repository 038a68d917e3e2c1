"""A person at a terminal with a session of its own: what the agent asks there can be awaited, and answered."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self, TypeVar

from smime_agent.daemon.dialogue import Screen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

_Result = TypeVar("_Result")
_SECONDS = 20.0
_SESSION = 'exec 9<>"$0"; exec sleep 600 9>&-'  # a session leader without a terminal gets the first that it opens
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\([A-Z0-9]|[=>])")


class Person:
    """A terminal in which another session runs, and the keyboard of it."""

    def __init__(self) -> None:
        """Start the session."""
        self.ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.tty = os.ttyname(self.theirs)
        self._session = subprocess.Popen(["sh", "-c", _SESSION, self.tty], start_new_session=True)
        self._pool = ThreadPoolExecutor()
        self.text = ""
        deadline = time.monotonic() + _SECONDS
        while self._foreground() != self._session.pid:
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def __enter__(self) -> Self:
        """The person."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing of it is left."""
        self._session.kill()
        self._session.wait()
        os.close(self.ours)
        os.close(self.theirs)
        self._pool.shutdown()

    def screen(self, environment: Mapping[str, str] | None = None) -> Screen:
        """Where the person is; with ``environment`` in another language or terminal."""
        return Screen(self.tty, {"TERM": "xterm", "LANG": "C.UTF-8"} if environment is None else environment)

    def asked(self, question: Callable[[], _Result]) -> Future[_Result]:
        """Ask in another thread, so that this one can answer."""
        return self._pool.submit(question)

    def expect(self, text: str) -> None:
        """Wait until it was shown, from the last answer on; how it was painted does not matter."""
        deadline = time.monotonic() + _SECONDS
        while text not in self.text:
            assert time.monotonic() < deadline, f"the terminal shows {self.text!r}"
            self.look(0.1)

    def type(self, keys: str) -> None:
        """Press keys; what was shown before is forgotten."""
        self.text = ""
        os.write(self.ours, keys.encode())

    def look(self, seconds: float = 0.3) -> str:
        """What is shown until nothing more comes for so long."""
        while select.select([self.ours], [], [], seconds)[0]:
            self.text += _ESCAPES.sub("", os.read(self.ours, 65536).decode())
        return self.text

    def attributes(self) -> list[object]:
        """The mode of the terminal."""
        return termios.tcgetattr(self.theirs)

    def until_it_is(self, attributes: list[object]) -> None:
        """Wait until the terminal is in a mode."""
        deadline = time.monotonic() + _SECONDS
        while self.attributes() != attributes:
            assert time.monotonic() < deadline, "the terminal is not as it was"
            time.sleep(0.01)

    def _foreground(self) -> int:
        return int.from_bytes(fcntl.ioctl(self.ours, termios.TIOCGPGRP, bytes(4)), sys.byteorder)
