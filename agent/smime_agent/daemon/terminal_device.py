"""A terminal of another session, borrowed for one question, and left as it was."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import stat
import termios
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

from smime_agent.daemon.dialogue import CannotAskError, one_line
from smime_agent.errors import PinUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

_LOOK_AGAIN_SECONDS = 0.1
_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
_INPUT, _OUTPUT, _LOCAL = 0, 1, 3  # of what tcgetattr gives


class TerminalDevice:
    """A terminal that belongs to us, opened and checked, and locked against other questions of the agent.

    It does not become our controlling terminal, and no call on it waits beyond a deadline (of ``time.monotonic``).
    """

    def __init__(self, descriptor: int) -> None:
        """Remember how it is."""
        self.descriptor = descriptor
        self.name = os.ttyname(descriptor)
        self._before = termios.tcgetattr(descriptor)

    @classmethod
    def opened(cls, path: str) -> TerminalDevice:
        """Open it.

        Raises:
            CannotAskError: it is no terminal, it is not ours, or it cannot be used from here.
        """
        shown = one_line(path)
        try:
            # A file is not even opened: for some, to be opened is an event.
            if not (path.startswith("/dev/") and stat.S_ISCHR(os.stat(path).st_mode)):  # noqa: PTH116 - beside fstat
                raise CannotAskError(f"{shown} is not a terminal")
            descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError) as error:
            raise CannotAskError(f"cannot open the terminal {shown}: {_reason(error)}") from None
        try:
            _check(descriptor, shown)
            return cls(descriptor)
        except (OSError, termios.error) as error:
            os.close(descriptor)
            raise CannotAskError(f"cannot use the terminal {shown}: {_reason(error)}") from None
        except CannotAskError:
            os.close(descriptor)
            raise

    def __enter__(self) -> Self:
        """It, to be closed."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it, which lets go of the lock."""
        os.close(self.descriptor)

    def lock(self, deadline: float) -> None:
        """Wait until nobody else of the agent asks on this terminal.

        Raises:
            PinUnavailableError: until the deadline somebody did.
        """
        while True:
            try:
                fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise PinUnavailableError("another question waits on this terminal") from None
                time.sleep(_LOOK_AGAIN_SECONDS)
            except OSError:  # a system that does not lock terminals
                return
            else:
                return

    def cook(self, *, echo: bool) -> None:
        """Line by line, whatever mode it is in; what was typed before is discarded."""
        attributes = list(self._before)
        attributes[_INPUT] |= termios.ICRNL
        attributes[_OUTPUT] |= termios.OPOST | termios.ONLCR
        attributes[_LOCAL] |= termios.ICANON | termios.ISIG | termios.ECHO | termios.ECHONL
        if not echo:
            attributes[_LOCAL] &= ~termios.ECHO
        try:
            termios.tcflush(self.descriptor, termios.TCIFLUSH)
            # Never TCSADRAIN or TCSAFLUSH: where the person stopped the output with Ctrl-S, they wait for ever.
            termios.tcsetattr(self.descriptor, termios.TCSANOW, attributes)
        except termios.error as error:
            raise PinUnavailableError(f"the terminal {self.name} is gone: {_reason(error)}") from None

    def restore(self) -> None:
        """Leave it as it was; half a line that was typed goes to nobody."""
        with suppress(OSError, termios.error):
            termios.tcflush(self.descriptor, termios.TCIFLUSH)
            termios.tcsetattr(self.descriptor, termios.TCSANOW, self._before)

    def leave_line(self, deadline: float) -> None:
        """Move on from a question that was not answered."""
        with suppress(OSError, PinUnavailableError):
            self.write(b"\r\n", deadline)

    def write(self, octets: bytes, deadline: float) -> None:
        """Show something.

        Raises:
            PinUnavailableError: the terminal is gone, or takes nothing.
        """
        left = octets
        while left:
            self._wait(deadline, writing=True)
            with suppress(BlockingIOError):
                left = left[os.write(self.descriptor, left) :]

    def read_line(self, buffer: bytearray, deadline: float) -> int:
        """Read a line into ``buffer``, and how long it is without its end.

        Raises:
            EOFError: the person ended the input.
            PinUnavailableError: no line until the deadline, or the terminal is gone.
        """
        length = 0
        with memoryview(buffer) as view:
            while length < len(buffer):
                self._wait(deadline)
                try:
                    count = os.readv(self.descriptor, [view[length:]])
                except BlockingIOError:
                    continue
                if not count:
                    self._check_alive()
                    raise EOFError
                length += count
                if buffer[length - 1] == ord("\n"):
                    return length - 1
        raise PinUnavailableError(f"what was typed is longer than {len(buffer) - 1} octets, and so no PIN")

    def _check_alive(self) -> None:
        """The end of the input may be the end of the terminal."""
        try:
            termios.tcgetattr(self.descriptor)
        except termios.error as error:
            raise PinUnavailableError(f"the terminal {self.name} is gone: {_reason(error)}") from None

    def _wait(self, deadline: float, *, writing: bool = False) -> None:
        ready = [self.descriptor]
        left = max(0.0, deadline - time.monotonic())
        if not any(select.select([] if writing else ready, ready if writing else [], [], left)):
            raise PinUnavailableError("nobody answered in time on the terminal")


@contextmanager
def cleaning_up(clean: Callable[[], None]) -> Iterator[None]:
    """Call ``clean`` at the end, however it comes: also by a signal that ends this process.

    Signals reach Python in its main thread only; elsewhere this is no more than a ``finally``. ``clean`` may be called
    twice.
    """
    before: dict[signal.Signals, Any] = {}

    def handle(number: int, frame: FrameType | None) -> None:
        clean()
        former = before[signal.Signals(number)]
        if callable(former):
            former(number, frame)
        else:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    try:
        if threading.current_thread() is threading.main_thread():
            for number in _ENDING:
                before[number] = signal.getsignal(number)
                if before[number] not in (None, signal.SIG_IGN):
                    signal.signal(number, handle)
        yield
    finally:
        clean()
        for number, former in before.items():
            if former not in (None, signal.SIG_IGN):
                signal.signal(number, former)


def _check(descriptor: int, shown: str) -> None:
    if not os.isatty(descriptor):
        raise CannotAskError(f"{shown} is not a terminal")
    if os.fstat(descriptor).st_uid != os.getuid():
        raise CannotAskError(f"the terminal {shown} belongs to another user")
    try:
        foreground = os.tcgetpgrp(descriptor)
    except OSError:  # not our controlling terminal, as it should be
        return
    if foreground != os.getpgrp():  # to touch it would stop this process (SIGTTOU)
        raise CannotAskError(f"the agent runs in the background of the terminal {shown}")


def _reason(error: Exception) -> str:
    if isinstance(error, termios.error):  # which is no OSError, but has its arguments
        return str(error.args[-1])
    return getattr(error, "strerror", None) or "no such name"
