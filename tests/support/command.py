"""The program without a process of its own: a hundred times faster, for all that does not depend on one."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

from smime_agent.cli import guard
from smime_agent.cli.main import run as run_command
from tests.support.program import Result
from tests.support.softhsm import MODULE, PIN

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


class Command:
    """Calls ``smime-agent`` in this process, with SoftHSM as its module and the PIN in the variable ``PIN``."""

    def __init__(self, capture: pytest.CaptureFixture[bytes], patch: pytest.MonkeyPatch) -> None:
        """Speak through a capture of the descriptors; nothing is split off before a module is loaded."""
        self._capture, self._patch = capture, patch
        patch.setattr(guard, "_split", lambda: None)
        patch.setenv("SMIME_AGENT_MODULE", MODULE)
        patch.setenv("COLUMNS", "80")

    def __call__(self, *arguments: str | Path, stdin: bytes = b"") -> Result:
        """Run a command to its end."""
        os.environ["PIN"] = PIN  # reading it takes it out of the environment
        self._patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        self._capture.readouterr()
        code = run_command([str(argument) for argument in arguments])
        sys.stdout.flush()
        out, err = self._capture.readouterr()
        os.environ.pop("PIN", None)
        return Result(code, out, err.decode())
