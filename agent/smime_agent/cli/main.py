"""From argv to an exit code: every error becomes one line, a hint and a number here, and nowhere else."""

from __future__ import annotations

import errno
import gc
import os
import signal
import sys
from typing import TYPE_CHECKING

from smime_agent.cli.guard import ended
from smime_agent.errors import SmimeAgentError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType
    from typing import NoReturn

_BUG = 1
_INTERRUPTED = 130
_MANY_OBJECTS = 100_000


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and leave the process with its exit code."""
    leave_after(run, sys.argv[1:] if arguments is None else arguments)


def leave_after(work: Callable[[Sequence[str]], int], arguments: Sequence[str]) -> NoReturn:
    """Do the work of a program of ours in a process that is fit for it, and leave it with the exit code."""
    gc.set_threshold(_MANY_OBJECTS)  # a start makes many objects and no garbage: a tenth of it was collecting
    _fill_standard_descriptors()
    silence_destructors()
    _no_core()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, _terminate)
    if sys.stdout is not None:
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a name may be beyond the locale
    code = work(arguments)
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError as error:
            code = code or _cannot_write(error)
    ended()
    # Nothing is left to be done: PKCS#11 modules are known to crash when the interpreter takes them down.
    os._exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command; the exit code is returned, and what went wrong was told on standard error."""
    from smime_agent.cli import ui
    from smime_agent.cli.app import command

    try:
        result = command().main(list(arguments), prog_name="smime-agent", standalone_mode=False)
    except SmimeAgentError as error:
        ui.error(str(error), error.hint, error.details)
        return error.exit_code
    except KeyboardInterrupt:
        ui.error("interrupted", None)
        return _INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the one place where all ends
        return unexpected(error)
    if result == _INTERRUPTED:  # Typer turns a KeyboardInterrupt into this exit code
        ui.error("interrupted", None)
    return result if isinstance(result, int) else 0


def _no_core() -> None:
    """No image of the memory, in which a PIN may be, goes to the disk when a module crashes."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def unexpected(error: Exception) -> int:
    """Tell of usage errors of the command parser, of broken pipes and of bugs; the exit code is returned."""
    from smime_agent.cli import ui

    describe = getattr(error, "format_message", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        ui.note(*(describe() if describe else "").split("\n"))
        return 2
    if describe is not None:  # a ClickException, from wherever this version of Typer keeps its Click
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "smime-agent"
        message = describe().rstrip(".")
        ui.error(message[:1].lower() + message[1:], f"'{path} --help' shows what it takes")
        return 2
    if type(error).__name__ == "Abort":
        ui.error("interrupted", None)
        return _INTERRUPTED
    if isinstance(error, OSError) and (error.filename or error.errno in (errno.EPIPE, errno.EIO, errno.ENOSPC)):
        return _cannot_write(error)
    if isinstance(error, MemoryError):
        ui.error("out of memory", None)
        return _BUG
    where = _place(error)
    ui.error(
        f"this is a bug in smime-agent: {type(error).__name__} at {where}",
        "please report it with the command that you gave; SMIME_AGENT_DEBUG=1 shows where it happened",
    )
    if os.environ.get("SMIME_AGENT_DEBUG"):
        import traceback

        # Without the values: an exception's text may hold what came from the mail or the token.
        ui.note(*"".join(traceback.format_tb(error.__traceback__)).split("\n"))
    return _BUG


def _cannot_write(error: OSError) -> int:
    from smime_agent.cli import ui

    what = f"use {error.filename}" if error.filename else "write to standard output"
    ui.error(f"cannot {what}: {error.strerror}", None)
    return 2


def _fill_standard_descriptors() -> None:
    """Open what the caller closed, so that no file of ours becomes somebody's standard output."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest that is free


def silence_destructors() -> None:
    """Print no traceback of an exception that nobody can catch.

    After an error that it has raised already, python-pkcs11 fails once more in a destructor (C_FindObjectsFinal).
    """
    sys.excepthook = _say_nothing
    sys.unraisablehook = _say_nothing


def _say_nothing(*_: object) -> None:
    """Every exception that matters comes to :func:`run`."""


def _place(error: Exception) -> str:
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return "an unknown place"
    code = traceback.tb_frame.f_code
    return f"{code.co_filename.rpartition('/')[2]}:{traceback.tb_lineno}"


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    """Leave by an exception, so that unfinished outputs are removed."""
    raise KeyboardInterrupt
