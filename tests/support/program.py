"""The program as a person runs it: a process with arguments, standard input and an environment."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.softhsm import MODULE, PIN

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Result:
    """How a run ended."""

    code: int
    out: bytes
    err: str


def run(
    *arguments: str | Path,
    stdin: bytes = b"",
    env: dict[str, str] | None = None,
    module: str | None = MODULE,
    cwd: Path | None = None,
    timeout: float = 60,
) -> Result:
    """Run ``smime-agent`` with SoftHSM as its module and the PIN in the variable ``PIN``.

    The run is as a stranger's: no configuration file, no data directory but that of the test (``HOME`` in ``env``).
    """
    variables = {**os.environ, "PIN": PIN, "COLUMNS": "80", "NO_COLOR": "1", **(env or {})}
    if module is not None:
        variables.setdefault("SMIME_AGENT_MODULE", module)
    done = subprocess.run(
        [sys.executable, "-m", "smime_agent", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        env=variables,
        cwd=cwd,
        timeout=timeout,
        check=False,
        start_new_session=True,  # no terminal: nobody is asked
    )
    return Result(done.returncode, done.stdout, done.stderr.decode())
