"""Asking the agent: what commands and libraries use, one request after the other."""

from __future__ import annotations

import os
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Self

from smime_agent.daemon.dialogue import Screen
from smime_agent.daemon.places import read_error
from smime_agent.daemon.protocol import MAX_ANSWER, VERSION, Fields, Frames, ProtocolError, frame
from smime_agent.daemon.runtime import check_place, credentials, socket_path
from smime_agent.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Events = Callable[[str, Fields], None]

#: Seconds for the first answer, which no token is needed for.
_GREETING_SECONDS: Final = 10.0
#: Seconds without a word from the agent: it gives up earlier itself, and a person has two minutes for a dialogue.
_SECONDS: Final = 300.0
_READ: Final = 1 << 18
#: One that does not answer does not hear 'agent stop' either.
_HOW_TO_END: Final = """'pkill -KILL -u "$USER" -f "smime.agent agent run"' ends it"""


class AgentClient:
    """A connection to the agent of this user. It is for one thread."""

    def __init__(self, connection: socket.socket, on_event: Events) -> None:
        """Greet; ``on_event`` hears what happens while a request is worked on.

        Raises:
            AgentError: it does not answer, or speaks another version.
        """
        self._connection, self._on_event = connection, on_event
        self._frames = Frames(MAX_ANSWER)
        self._arrived: list[dict[str, Any]] = []
        self._number = 0
        connection.settimeout(_GREETING_SECONDS)
        screen = Screen.here()
        answer = self.ask(
            "hello", version=VERSION, program="smime-agent", tty=screen.tty, environment=dict(screen.environment)
        )
        if answer.number("version") != VERSION:
            raise AgentError("the agent is of another version", hint=_HOW_TO_END)
        connection.settimeout(_SECONDS)

    @classmethod
    def connect(cls, on_event: Events = lambda _event, _facts: None, path: Path | None = None) -> Self | None:
        """A connection to the agent, or nothing where none listens.

        Raises:
            AgentError: the socket is not the user's, or who listens there does not answer as an agent.
        """
        where = path or socket_path()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # Where many come at once, connect() has to wait; with a timeout of Python's it fails instead (EAGAIN).
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", int(_GREETING_SECONDS), 0))
            try:
                if not where.exists():
                    raise FileNotFoundError  # noqa: TRY301 - as connect() would
                check_place(where)
                connection.connect(os.fspath(where))
            except (FileNotFoundError, ConnectionRefusedError):
                connection.close()
                return None
            _check_server(connection)
            return cls(connection, on_event)
        except OSError as error:
            connection.close()
            raise AgentError(f"the agent at {where} cannot be reached: {error.strerror or error}") from error
        except AgentError:
            connection.close()
            raise

    def __enter__(self) -> Self:
        """The connection itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up."""
        self.close()

    def close(self) -> None:
        """Hang up: what was asked for and not answered is stopped."""
        with suppress(OSError):
            self._connection.close()

    def ask(self, method: str, **parameters: Any) -> Fields:  # noqa: ANN401 - any JSON
        """What the agent answers.

        Raises:
            AgentError: it does not.
            SmimeAgentError: whatever it answers.
        """
        self._number += 1
        try:
            self._connection.sendall(frame({"id": self._number, "method": method, "params": parameters}))
            while True:
                answer = Fields(self._next(), "the agent's answer")
                if answer.optional_number("id") not in (self._number, None):
                    raise ProtocolError("an answer to another request")  # noqa: TRY301 - told as all that is below
                event = answer.optional_text("event")
                if event is None:
                    break
                self._on_event(event, answer)
        except TimeoutError:
            raise AgentError("the agent does not answer", hint=_HOW_TO_END) from None
        except ProtocolError as error:
            raise ProtocolError(f"who listens does not answer as the agent: {error}", hint=_HOW_TO_END) from error
        except OSError as error:
            raise _gone() from error
        if (failure := answer.raw("error")) is not None:
            raise read_error(Fields(failure, "the agent's error"))
        return answer.object("result")

    def wait_for_end(self) -> None:
        """Until the agent has gone."""
        with suppress(OSError):
            while self._connection.recv(_READ):
                pass

    def _next(self) -> dict[str, Any]:
        while not self._arrived:
            octets = self._connection.recv(_READ)
            if not octets:
                raise _gone()
            self._arrived += self._frames.feed(octets)
        return self._arrived.pop(0)


def _gone() -> AgentError:
    return AgentError("the agent has gone", hint="'smime-agent agent start' starts it anew")


def _check_server(connection: socket.socket) -> None:
    """Who listens is the user: the socket may be older than its folder's permissions.

    Raises:
        AgentError: it is another one.
    """
    _, uid = credentials(connection)
    if uid != os.geteuid():
        raise AgentError("who listens at the agent's socket is another user")
