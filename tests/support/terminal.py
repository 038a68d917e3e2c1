"""The program at a terminal, where it can ask for a PIN."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Self

from tests.support.softhsm import MODULE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_SECONDS = 20.0
# A session leader without a terminal gets the first that it opens. Standard input and output stay what they are.
_SHELL = 'exec 9<>"$0"; exec "$@" 2>&9 9>&-'


class Terminal:
    """A run of ``smime-agent`` whose terminal is ours: what it says there can be awaited, and answered."""

    def __init__(
        self,
        *arguments: str | Path,
        stdin: bytes = b"",
        env: dict[str, str] | None = None,
        module: str = MODULE,
        program: Sequence[str] = (sys.executable, "-m", "smime_agent"),
        cwd: Path | None = None,
    ) -> None:
        """Start it, or another ``program`` that starts it."""
        self._ours, theirs = pty.openpty()
        command = [*program, *map(str, arguments)]
        self.process = subprocess.Popen(
            ["sh", "-c", _SHELL, os.ttyname(theirs), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "SMIME_AGENT_MODULE": module, **(env or {})},
            cwd=cwd,
            start_new_session=True,
        )
        self._theirs = theirs
        self.screen = ""
        assert self.process.stdin
        self.process.stdin.write(stdin)
        self.process.stdin.close()

    def __enter__(self) -> Self:
        """The run itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing of it is left."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()
        os.close(self._ours)
        os.close(self._theirs)

    def expect(self, pattern: str) -> None:
        """Wait until the terminal shows something, from here on."""
        deadline = time.monotonic() + _SECONDS
        begin = len(self.screen)
        while not re.search(pattern, self.screen[begin:]):
            assert time.monotonic() < deadline, f"the terminal shows {self.screen!r}"
            self._read(0.2)

    def type(self, text: str) -> None:
        """Type a line."""
        os.write(self._ours, text.encode() + b"\n")

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        os.write(self._ours, b"\x03")

    def end(self) -> tuple[int, bytes]:
        """Wait for the end: the exit code, and what went to standard output."""
        assert self.process.stdout
        out = self.process.stdout.read()
        code = self.process.wait(timeout=_SECONDS)
        while self._read(0.05):
            pass
        return code, out

    def _read(self, seconds: float) -> bool:
        if not select.select([self._ours], [], [], seconds)[0]:
            return False
        self.screen += os.read(self._ours, 4096).decode().replace("\r\n", "\n")
        return True
