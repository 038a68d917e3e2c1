"""A module that crashes takes its process with it: so the command runs in a process that may be lost.

Just before foreign code first runs, the process splits. The child goes on with the command; the parent waits, and where
the child dies of a signal or is ended by a module, it says so and gives the exit code that the child cannot give. It
passes signals on, and ends a child that hangs inside a module and so does not hear them.
"""

from __future__ import annotations

import os
import signal
import sys

from smime_agent.errors import TokenError

_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP, signal.SIGSYS)
_GRACE_SECONDS = 2.0
_PR_SET_PDEATHSIG = 1
_ENDED = b"\0"

#: In the child: where it tells the parent which module it loads, and that it ends by itself.
_telling = -1


def guard(module: str) -> None:
    """Split the process, once: this returns in the child, which is about to load ``module``."""
    if _telling < 0 and hasattr(signal, "sigtimedwait"):  # macOS has none: there a crash is a crash
        _split()
    if _telling >= 0:
        os.write(_telling, module.encode(errors="surrogateescape") + b"\n")


def ended() -> None:
    """Tell the parent, if there is one, that the command and not a module ends this process."""
    if _telling >= 0:
        os.write(_telling, _ENDED)


def _split() -> None:
    global _telling  # noqa: PLW0603
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()  # or both processes would write what waits in it
    wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    heard = {one for one in wanted if signal.getsignal(one) is not signal.SIG_IGN}  # nohup, or a job of a script
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*heard, signal.SIGCHLD})
    reading, writing = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child:
        os.close(writing)
        os._exit(_wait(child, reading, heard))
    os.close(reading)
    _telling = writing
    _die_with(parent)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _die_with(parent: int) -> None:
    """Be told to end when the parent is killed: nobody else would."""
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
    if os.getppid() != parent:
        os._exit(128 + signal.SIGKILL)


def _wait(child: int, reading: int, heard: set[signal.Signals]) -> int:
    """The exit code to leave with, once the child has ended."""
    asked = False
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            break
        news = {*heard, signal.SIGCHLD}
        info = signal.sigtimedwait(news, _GRACE_SECONDS) if asked else signal.sigwaitinfo(news)
        if info is None:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return _told(signal.SIGKILL, _last(reading), killed=True)
        if info.si_signo != signal.SIGCHLD:
            asked = True
            # Ctrl-C (from the kernel, pid 0) goes to both of us; a hang-up only to the leader of the session.
            if info.si_pid or info.si_signo != signal.SIGINT:
                os.kill(child, info.si_signo)
    code = os.waitstatus_to_exitcode(status)
    told = _last(reading)
    if code < 0:
        return _told(-code, told, killed=False)
    return code if told == _ENDED else _left(told)


def _last(reading: int) -> bytes:
    """The module that was loaded last, or that the child ended by itself."""
    told = b""
    while piece := os.read(reading, 1 << 16):
        told += piece
    return _ENDED if told.endswith(_ENDED) else told.rstrip(b"\n").rpartition(b"\n")[2]


def _left(module: bytes) -> int:
    from smime_agent.cli import ui

    ui.error(f"the PKCS#11 module {os.fsdecode(module)} ended the program", "--module names another one")
    return TokenError.exit_code


def _told(number: int, module: bytes, *, killed: bool) -> int:
    from smime_agent.cli import ui

    if killed:
        ui.error("interrupted; the token did not answer", None)
        return 130
    name = signal.Signals(number).name
    if number not in _CRASHES:
        ui.error(f"the command was killed ({name})", None)
        return 128 + number
    ui.error(
        f"the PKCS#11 module {os.fsdecode(module)} crashed ({name})",
        "a result that exists is whole; 'smime-agent doctor' tries each module by itself, --module names another one",
    )
    return TokenError.exit_code
