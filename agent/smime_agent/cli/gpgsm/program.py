"""From the arguments to an exit code, and every error to one line and a status."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TextIO, cast

from smime_agent.cli.gpgsm.arguments import parse, status_descriptor
from smime_agent.cli.gpgsm.status import CANCELLED, StatusLines, code_of
from smime_agent.errors import AmbiguousError, NoKeyError, PinUnavailableError, SmimeAgentError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from smime_agent.cli.gpgsm.arguments import Request

_FAILED: Final = 2
_GENERAL_ERROR: Final = 1
_USAGE: Final = """\
usage: smime-agent-gpgsm [--status-fd N] -bsau KEY         sign standard input
       smime-agent-gpgsm [--status-fd N] --verify SIG -    verify a signature of standard input
       smime-agent-gpgsm [--with-colons] -K [KEY]...       list keys

git calls it: git config gpg.format x509, git config gpg.x509.program smime-agent-gpgsm.
'smime-agent setup git' does that; smime-agent-gpgsm(1) tells the rest."""


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments say; the exit code is returned, and what went wrong was told."""
    where, status = "option-parser", StatusLines(None)
    try:
        # Before all else, so that whatever is wrong with the arguments is told there too.
        status = StatusLines(status_descriptor(arguments))
        request = parse(arguments)
        where = request.command
        _log_to(request.logger)
        return _done(request, status)
    except SmimeAgentError as error:
        _tell(str(error), _hint(error), error.details)
        code = code_of(error)
    except KeyboardInterrupt:
        _tell("interrupted", None)
        code = CANCELLED
    except Exception as error:  # noqa: BLE001 - the one place where all ends
        from smime_agent.cli.main import unexpected

        unexpected(error)
        code = _GENERAL_ERROR
    try:
        status.fail(where, code)
    except SmimeAgentError as error:
        _tell(str(error), error.hint)
    return _FAILED


def _tell(message: str, hint: str | None, details: Iterable[str] = ()) -> None:
    from smime_agent.cli import ui

    ui.error(message, hint, details)


def _done(request: Request, status: StatusLines) -> int:
    match request.command:
        case "sign":
            from smime_agent.cli.gpgsm.signing import sign

            _speak_at_the_terminal()
            sign(request, status)
        case "verify":
            from smime_agent.cli.gpgsm.verifying import verify

            return 0 if verify(request, status) else _FAILED
        case "list":
            from smime_agent.cli.gpgsm.listing import list_keys

            list_keys(request)
        case "version":
            from smime_agent import __version__
            from smime_agent.cli import ui

            # Some programs look for the name and the version of GnuPG in the first line.
            ui.out(f"gpgsm (smime-agent) {__version__}")
        case _:
            from smime_agent.cli import ui

            ui.out(*_USAGE.split("\n"))
    return 0


def _log_to(descriptor: int | None) -> None:
    """Tell people there and not on standard error.

    Raises:
        UsageError: it is not open.
    """
    if descriptor is None:
        return
    try:
        sys.stderr = open(descriptor, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115 - it stays open
    except OSError as error:
        msg = f"--logger-fd {descriptor} cannot be written"
        raise UsageError(msg) from error


class _Both:
    """Standard error, and the terminal."""

    def __init__(self, stream: TextIO, terminal: int) -> None:
        self._stream, self._terminal = stream, terminal

    def write(self, text: str) -> None:
        """Write to both; a terminal that is gone is no reason to stop."""
        with suppress(OSError):
            os.write(self._terminal, text.encode(errors="backslashreplace"))
        self._stream.write(text)

    def flush(self) -> None:
        """See that it is there."""
        self._stream.flush()

    @staticmethod
    def isatty() -> bool:
        """Bars and colours are not for both."""
        return False


def _speak_at_the_terminal() -> None:
    """Say what a person should know at the terminal too, where standard error is none.

    git keeps standard error to itself while it signs: that the token waits for a touch would be read when it is too
    late. And git before 2.41 never shows why signing failed.
    """
    if sys.stderr is None or sys.stderr.isatty():
        return
    try:
        terminal = os.open("/dev/tty", os.O_WRONLY | os.O_NOCTTY)
    except OSError:
        return
    try:
        is_ours = os.tcgetpgrp(terminal) == os.getpgrp()  # else whoever is in front of it has the say
    except OSError:
        is_ours = False
    if is_ours:
        sys.stderr = cast("TextIO", _Both(sys.stderr, terminal))
    else:
        os.close(terminal)


def _hint(error: SmimeAgentError) -> str | None:
    """What to do about it, said to somebody who gave git's command and none of ours."""
    if isinstance(error, NoKeyError):
        return "'smime-agent setup git --key KEY' chooses one, 'smime-agent cert list' shows them"
    if isinstance(error, AmbiguousError):
        return "'git config user.signingKey' takes a fingerprint, or a pkcs11: URI that names the token too"
    if isinstance(error, PinUnavailableError):
        return "start the agent ('smime-agent agent start'), or name a pin_source in the configuration"
    return error.hint
