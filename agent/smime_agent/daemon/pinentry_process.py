"""A process of pinentry: started with nothing of ours but what leads it to the person, and ended whatever it does."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from smime_agent.daemon import tethered
from smime_agent.daemon.assuan import Kind, Receiver, Response, command
from smime_agent.daemon.dialogue import CannotAskError, one_line
from smime_agent.errors import PinUnavailableError

if TYPE_CHECKING:
    from smime_agent.daemon.dialogue import Screen

_GREETING_SECONDS: Final = 10.0
_ENDING_SECONDS: Final = 0.5
#: In this order. On SIGINT pinentry-tty puts its terminal right, on SIGTERM it does not.
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


class PinentryProcess:
    """One pinentry, which never holds us longer than to its deadline (of ``time.monotonic``)."""

    def __init__(self, program: str, screen: Screen, deadline: float) -> None:
        """Start it.

        Raises:
            CannotAskError: that is not possible.
        """
        self._program, self._deadline = one_line(program), deadline
        self._receiver = Receiver()
        self._is_waiting = True  # for the answer to something
        self._has_ended = False
        command_line = [*tethered.command_line(), str(Path(program).absolute())]  # it starts in another folder
        if display := screen.environment.get("DISPLAY"):
            command_line += ["--display", display]
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the person's own pinentry
                command_line,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={**screen.environment, **environment, **tethered.ENVIRONMENT},
                # In the session of an agent that runs in a terminal's foreground, no other process group may read
                # from that terminal. From another session, it may.
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "no such name"
            raise CannotAskError(f"cannot start {self._program}: {reason}") from None

    def greeting(self) -> None:
        """Wait until it is there.

        Raises:
            CannotAskError: it is no pinentry, or one that cannot work here.
        """
        try:
            answer = self._answer(min(self._deadline, time.monotonic() + _GREETING_SECONDS))
        except PinUnavailableError as error:
            raise CannotAskError(f"cannot use {self._program}: {error}") from None
        if answer.kind is not Kind.OK:
            raise CannotAskError(f"cannot start {self._program}: {one_line(answer.text)}")

    def tell(self, name: str, argument: str) -> None:
        """Say something that need not be understood."""
        self._send(command(name, argument))
        self._answer(self._deadline)

    def ask(self, name: str) -> Response:
        """Say something that a person has to answer."""
        self._wipe(self._receiver.data())
        self._send(command(name))
        return self._answer(self._deadline)

    def data(self) -> bytearray:
        """What was typed, for the caller to wipe."""
        return self._receiver.data()

    def end(self) -> bool:
        """End it, and say whether it had to be told by a signal: then its terminal is not in order.

        May be called twice.
        """
        if self._has_ended:
            return False
        self._has_ended = True
        self._receiver.wipe()
        in_order = not self._is_waiting
        if in_order:
            self._send(command("BYE"))
        for stream in filter(None, (self._process.stdin, self._process.stdout)):
            stream.close()
        if in_order and self._ends_soon():
            return False
        for number in _SIGNALS:
            if self._process.poll() is None:  # else its process group may be another's
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, number)
            if self._ends_soon():
                break
        return True

    def _ends_soon(self) -> bool:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_ENDING_SECONDS)
            return True
        return False

    def _send(self, line: bytes) -> None:
        self._is_waiting = True
        if self._process.stdin:
            with suppress(OSError):  # it has ended: so does what it says
                self._process.stdin.write(line)

    def _answer(self, deadline: float) -> Response:
        """The next answer."""
        while True:
            response = self._receiver.response()
            if response and response.kind is Kind.INQUIRE:
                self._send(command("CAN"))  # it wants to know how good a new password is, or the like
            elif response:
                self._is_waiting = False
                return response
            else:
                self._read(deadline)

    def _read(self, deadline: float) -> None:
        if self._process.stdout is None or self._has_ended:
            raise PinUnavailableError("pinentry was ended")
        descriptor = self._process.stdout.fileno()
        if not select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise PinUnavailableError("nobody answered the dialogue in time")
        count = os.readv(descriptor, [self._receiver.space()])
        if not count:
            raise PinUnavailableError("pinentry ended without an answer")
        self._receiver.added(count)

    @staticmethod
    def _wipe(octets: bytearray) -> None:
        octets[:] = bytes(len(octets))
