"""A process that holds one token for the agent: it alone loads the PKCS#11 module, and sees a PIN.

It is started by exec, reads one JSON object a line from its standard input and answers each with one line; what it has
to tell in between is an ``event``. The end of its input is its end, and to lock a token is to end it. What the module
prints goes to standard error.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

from smime_agent.daemon.places import error_values
from smime_agent.daemon.protocol import MAX_REQUEST, Fields, Frames, ProtocolError, frame
from smime_agent.errors import SmimeAgentError, TokenError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from smime_agent.daemon.bench import Bench

#: What a worker is asked for, and the method of :class:`.Bench` that does it.
TASKS: Final = ("list", "bind", "look", "find", "choose", "login", "join", "sign", "unwrap", "check", "confirm")
_READ: Final = 1 << 16
#: What a client said, and who and where it is, which takes more room than it did there.
_LONGEST: Final = 8 * MAX_REQUEST


class Line:
    """The worker's end of its line to the agent."""

    def __init__(self, reading: int, writing: int) -> None:
        """Read from and write to these descriptors."""
        self._reading, self._writing = reading, writing
        self._frames = Frames(_LONGEST)
        self._waiting: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def next(self) -> dict[str, Any] | None:
        """The next request; nothing at the end."""
        while not self._waiting:
            octets = os.read(self._reading, _READ)
            if not octets:
                return None
            self._waiting += self._frames.feed(octets)
        return self._waiting.pop(0)

    def tell(self, message: Mapping[str, Any]) -> None:
        """Send a message; any thread may."""
        octets = memoryview(frame(message))
        with self._lock:
            while octets:
                octets = octets[os.write(self._writing, octets) :]


def serve(line: Line) -> None:
    """Answer requests until there are no more; the first one is ``start``."""
    bench: Bench | None = None
    while (request := line.next()) is not None:
        try:
            fields = Fields(request, "the request")
            task = fields.text("task")
            if bench is None:
                bench = _started(task, fields, line)
                result: Mapping[str, Any] = {}
            else:
                result = _done(bench, task, fields)
        except SmimeAgentError as error:
            line.tell({"error": error_values(error)})
        except Exception as error:  # noqa: BLE001 - an oddity of a module costs one answer
            line.tell({"error": error_values(_unexpected(error))})
        else:
            line.tell({"result": result})


def _started(task: str, fields: Fields, line: Line) -> Bench:
    if task != "start":
        raise ProtocolError("the worker was not started")
    from smime_agent.daemon.bench import Bench

    return Bench(fields, lambda event, **facts: line.tell({"event": event, **facts}))


def _done(bench: Bench, task: str, fields: Fields) -> Mapping[str, Any]:
    if task not in TASKS:
        raise ProtocolError(f"there is no task '{task}'")
    result: Mapping[str, Any] = getattr(bench, "do_" + task)(fields)
    return result


def _unexpected(error: Exception) -> TokenError:
    """Without what the error says: it may hold what came from the token."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else "?"  # noqa: PTH119
    return TokenError(f"the token is failing: {type(error).__name__} at {where}", hint="'smime-agent doctor' tries it")


def main() -> None:
    """Run one worker."""
    from smime_agent.config import load_config
    from smime_agent.daemon.hardening import die_with_parent, harden

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C at the terminal that the agent was started from
    sys.excepthook = sys.unraisablehook = _say_nothing
    die_with_parent(int(sys.argv[1]))
    answers = os.dup(1)
    os.dup2(2, 1)  # a module that prints must not print into our answers
    harden(variables=load_config().pin_variables)
    serve(Line(0, answers))
    # A module may hang or crash when it is taken down, and a PIN must not outlive this line.
    os._exit(0)


def _say_nothing(*_: object) -> None:
    """Nobody reads a traceback, which may show what is secret."""


if __name__ == "__main__":
    main()
