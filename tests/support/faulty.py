"""The command with the faulty module in front of the tests' SoftHSM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.program import Result, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faulty import FaultScript


@dataclass(frozen=True)
class Faulty:
    """The module's path and the script of its faults."""

    module: Path
    script: FaultScript

    def run(self, *arguments: str | Path, stdin: bytes = b"", env: dict[str, str] | None = None) -> Result:
        """Run ``smime-agent`` with it; the PIN is in the variable ``PIN``."""
        variables = {**self.script.environment, **(env or {})}
        return run(*arguments, stdin=stdin, env=variables, module=str(self.module))

    def logins(self) -> int:
        """How often a PIN was tried."""
        return self.script.calls().count("C_Login")
