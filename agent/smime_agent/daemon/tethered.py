"""Become another program that ends when the one who asked for it does; run as a script, by its path.

A worker that is killed could not end its pinentry, which would keep the person's terminal. Only the kernel can, and
only a process itself can ask it to (prctl(2), PR_SET_PDEATHSIG). Between fork and exec nothing of this is safe: hence
a program in between. It greets as an Assuan server that failed where the other program cannot be started.
"""

from __future__ import annotations

import os
import signal
import sys

_SET_PARENT_DEATH_SIGNAL = 1
#: What the environment needs besides; the other program does not see it. Python would put in LC_CTYPE (PEP 538).
ENVIRONMENT = {"PYTHONCOERCECLOCALE": "0"}


def command_line() -> list[str]:
    """What goes before a command line to tether it to this process."""
    return [sys.executable, "-s", "-P", "-S", __file__, str(os.getpid())]


def main(arguments: list[str]) -> int:
    """``PARENT PROGRAM [ARGUMENT...]``: the process that it hangs on, and what to become."""
    parent, program = int(arguments[0]), arguments[1]
    # Of all signals, pinentry-tty puts its terminal right for this one only; who started us may have ignored it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and what is ignored stays so
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGINT, 0, 0, 0)
    if os.getppid() != parent:  # it ended before that
        return 1
    for name in ENVIRONMENT:
        os.environ.pop(name, None)
    try:
        os.execv(program, arguments[1:])  # noqa: S606 - the person's own pinentry
    except OSError as error:
        os.write(1, f"ERR 1 {error.strerror}\n".encode())
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
