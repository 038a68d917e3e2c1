"""The dialogue through pinentry, GnuPG's program that asks for a PIN and nothing else.

It is started for one question and ended after it, always. Source: pinentry's manual, "Protocol".
"""

from __future__ import annotations

import math
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Final

from smime_agent.daemon.assuan import Kind, Response
from smime_agent.daemon.dialogue import CannotAskError, lines, one_line
from smime_agent.daemon.pinentry_process import PinentryProcess
from smime_agent.daemon.terminal_device import TerminalDevice, cleaning_up
from smime_agent.errors import PinUnavailableError
from smime_agent.keys import Pin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smime_agent.daemon.dialogue import Screen

# libgpg-error: the lower half of a code says what happened, the rest who says so.
_CODE: Final = 0xFFFF
_TIMEOUT, _CANCELED, _NOT_CONFIRMED, _LOCALE_PROBLEM, _FULLY_CANCELED = 62, 99, 114, 166, 198
_DECLINED: Final = frozenset({_CANCELED, _NOT_CONFIRMED, _FULLY_CANCELED})
_LONGEST_OPTION: Final = 200


class Pinentry:
    """Asks through a pinentry, each time through a new one."""

    source = "pinentry"

    def __init__(self, program: str, screen: Screen, *, seconds: float) -> None:
        """Ask through ``program`` whoever sits at ``screen``, for so long at most."""
        self._program, self._screen, self._seconds = program, screen, seconds

    def pin(self, title: str, text: str) -> Pin:
        """The PIN.

        Raises:
            CannotAskError: this pinentry cannot show the question here.
            PinUnavailableError: nobody answered it, or with no PIN.
        """
        with self._started() as process:
            process.tell("SETPROMPT", "PIN:")
            answer = _ask(process, "GETPIN", title, text)
            typed = process.data()
            try:
                if answer.kind is Kind.ERROR:
                    raise self._failure(answer)
                if not typed:
                    raise PinUnavailableError("no PIN was entered")
                return Pin(typed)
            finally:
                typed[:] = bytes(len(typed))

    def confirm(self, title: str, text: str, yes: str) -> bool:
        """Whether the person pressed the button that says ``yes``.

        Raises:
            CannotAskError: this pinentry cannot show the question here.
            PinUnavailableError: nobody answered it.
        """
        with self._started() as process:
            process.tell("SETOK", _button(yes))
            process.tell("SETCANCEL", "No")
            answer = _ask(process, "CONFIRM", title, text)
            declined = answer.code & _CODE == _NOT_CONFIRMED or (answer.code & _CODE in _DECLINED and self._seen)
            if answer.kind is Kind.ERROR and not declined:
                raise self._failure(answer)
            return answer.kind is Kind.OK

    @property
    def _seen(self) -> bool:
        """The question can have been seen: pinentry-tty without a terminal says that it was cancelled."""
        return bool(self._screen.tty or self._screen.has_display)

    def _failure(self, answer: Response) -> PinUnavailableError:
        code = answer.code & _CODE
        if code in _DECLINED and self._seen:
            return PinUnavailableError("no PIN was entered: the dialogue was cancelled")
        if code == _TIMEOUT:
            return PinUnavailableError("nobody answered the dialogue in time")
        return CannotAskError(f"pinentry says: {one_line(answer.text) or f'error {answer.code}'}")

    @contextmanager
    def _started(self) -> Iterator[PinentryProcess]:
        """One of its processes, which has greeted and knows the person's screen."""
        deadline = time.monotonic() + self._seconds
        with ExitStack() as stack:
            device = self._device()
            if device:
                stack.enter_context(device)
                device.lock(deadline)
            process = PinentryProcess(self._program, self._screen, deadline)

            def clean() -> None:
                if process.end() and device:
                    device.restore()

            stack.enter_context(cleaning_up(clean))
            process.greeting()
            for name, value in _options(self._screen, device):
                process.tell("OPTION", f"{name}={value}")
            # It shall give up before we do: then it leaves the terminal in order by itself.
            process.tell("SETTIMEOUT", str(max(1, math.ceil(self._seconds) - 1)))
            yield process

    def _device(self) -> TerminalDevice | None:
        """The person's terminal. What is none, or another's, is not told to a program that would write to it."""
        with suppress(CannotAskError):
            return TerminalDevice.opened(self._screen.tty) if self._screen.tty else None
        return None


def _ask(process: PinentryProcess, command: str, title: str, text: str) -> Response:
    """The answer to a question, which is asked in ASCII where the person's locale cannot show it otherwise."""
    # Not each pinentry shows a title. Qt takes a text for HTML when there is a tag in its first line: that is ours.
    shown = lines(f"{title.replace('<', '(')}\n\n{text}")
    process.tell("SETTITLE", lines(title).replace("\n", " "))
    process.tell("SETDESC", shown)
    answer = process.ask(command)
    if answer.code & _CODE == _LOCALE_PROBLEM and not shown.isascii():
        process.tell("SETDESC", shown.encode("ascii", "backslashreplace").decode())
        answer = process.ask(command)
    return answer


def _options(screen: Screen, device: TerminalDevice | None) -> list[tuple[str, str]]:
    """Where the person is. Of a password cache, nothing: it would keep the PIN where we do not see it."""
    locale = screen.environment.get
    everything = locale("LC_ALL")
    options = [
        ("ttyname", device.name if device else None),
        ("ttytype", locale("TERM") if device else None),
        ("lc-ctype", everything or locale("LC_CTYPE") or locale("LANG")),
        ("lc-messages", everything or locale("LC_MESSAGES") or locale("LANG")),
    ]
    return [(name, value) for name, value in options if value and value.isascii() and len(value) <= _LONGEST_OPTION]


def _button(text: str) -> str:
    """What a button says; an underline would make the letter after it a short cut."""
    return one_line(text).replace("_", "__")
