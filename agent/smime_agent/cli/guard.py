"""A module that crashes takes its process with it: so the command runs in a process that may be lost.

Just before foreign code first runs, the process splits. The child goes on with the command; the parent waits, and where
the child dies of a signal, it says so and gives the exit code that a dead child cannot give. It also ends a child that
hangs inside a module and so does not hear Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)
_TOKEN_FAILED = 8
_GRACE_SECONDS = 2.0

_state = {"guarded": False, "loaded": 0}


def guard(module: str) -> None:
    """Split the process, once: this returns in the child, which is about to load ``module``."""
    _state["loaded"] += 1
    if _state["guarded"]:
        return
    _state["guarded"] = True
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()  # or both processes would write what waits in it
    child = os.fork()
    if child:
        os._exit(_wait(child, module))


def _wait(child: int, module: str) -> int:
    """The exit code to leave with, once the child has ended."""
    killed = False

    def forward(number: int, _frame: FrameType | None) -> None:
        os.kill(child, number)

    def interrupted(_number: int, _frame: FrameType | None) -> None:
        # The terminal has told the child too. Inside a module it does not hear; give it a moment, then end it.
        signal.setitimer(signal.ITIMER_REAL, _GRACE_SECONDS)

    def end(_number: int, _frame: FrameType | None) -> None:
        nonlocal killed
        killed = True
        os.kill(child, signal.SIGKILL)

    signal.signal(signal.SIGALRM, end)
    signal.signal(signal.SIGINT, interrupted)
    signal.signal(signal.SIGTERM, forward)
    signal.signal(signal.SIGHUP, forward)
    while True:
        try:
            _, status = os.waitpid(child, 0)
            break
        except InterruptedError:
            continue
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return code
    return _told(-code, module, killed=killed)


def _told(number: int, module: str, *, killed: bool) -> int:
    from smime_agent.cli import ui

    if killed:
        ui.error("interrupted; the token did not answer", None)
        return 130
    if number not in _CRASHES:
        return 128 + number
    name = signal.Signals(number).name
    ui.error(
        f"the PKCS#11 module {module} crashed ({name})",
        "a result that exists is whole; 'smime-agent doctor' tries each module by itself, --module names another one",
    )
    return _TOKEN_FAILED
