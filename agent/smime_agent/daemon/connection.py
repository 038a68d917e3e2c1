"""One client of the agent: what it sends, what it is told, and what is stopped when it goes away."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from smime_agent.daemon.dialogue import Screen
from smime_agent.daemon.peers import Peer
from smime_agent.daemon.places import error_values
from smime_agent.daemon.protocol import MAX_ANSWER, MAX_REQUEST, VERSION, Fields, Frames, ProtocolError, frame
from smime_agent.daemon.requester import Requester
from smime_agent.errors import AgentError, SmimeAgentError

if TYPE_CHECKING:
    from smime_agent.daemon.server import Server

#: Requests of one client that are worked on at once; those after them wait until one is done.
MOST_AT_ONCE: Final = 64
#: Requests of one client that wait for that; those after them are not read.
_MOST_LATER: Final = 256
#: Seconds for the rest of a line that has begun, and for the first one.
PATIENCE: Final = 10.0
#: Seconds for a client to read why the agent hangs up.
_PARTING: Final = 1.0
#: Octets that a client does not take, after which nothing more is read from it.
_UNREAD: Final = 1024 * 1024


class Connection(asyncio.Protocol):
    """A connection, from the kernel's word about who it is to its end."""

    def __init__(self, server: Server) -> None:
        """Belong to ``server``."""
        self._server = server
        self._frames = Frames(MAX_REQUEST)
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._later: deque[dict[str, Any]] = deque()
        self._screen: Screen | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_ended = False

    # --- what asyncio calls ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Find out who it is."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - of a stream socket
        self._transport = transport
        transport.set_write_buffer_limits(high=MAX_ANSWER + _UNREAD)
        try:
            self._peer = Peer.of(transport.get_extra_info("socket"))
            self._server.welcome(self, self._peer)
        except SmimeAgentError as error:
            self._refuse(error)
            return
        self._set_timer()

    def data_received(self, data: bytes) -> None:
        """Begin what was asked for."""
        if self._is_ended:
            return
        before = len(self._later)
        try:
            for message in self._frames.feed(data):
                self._take(message)
            is_said = len(self._later) > before
            self._begin_some()
        except ProtocolError as error:
            self._refuse(error)
            return
        self._set_timer(anew=is_said)
        # Earlier, it would not be seen that the client has gone, and what it asked for would be done for nobody.
        if len(self._later) >= _MOST_LATER:
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Stop what nobody waits for any more."""
        self._is_ended = True
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks.values():
            task.cancel()
        self._server.farewell(self)

    def pause_writing(self) -> None:
        """It does not read its answers: it gets no new ones."""
        self._is_ended = True
        self._transport.abort()

    # --- requests ----------------------------------------------------------------------------------------------------

    def _take(self, message: dict[str, Any]) -> None:
        """Queue a request; one that takes another back is not to wait behind it."""
        if message.get("method") == "cancel" and self._screen is not None:
            self._begin(message)
        else:
            self._later.append(message)

    def _begin_some(self) -> None:
        while self._later and len(self._tasks) < MOST_AT_ONCE:
            self._begin(self._later.popleft())

    def _begin(self, message: dict[str, Any]) -> None:
        fields = Fields(message, "the request")
        number, method = fields.number("id"), fields.text("method", longest=64)
        parameters = fields.object("params")
        fields.finish()
        if method == "hello":
            self._greet(number, parameters)
        elif self._screen is None:
            raise ProtocolError("the first request is 'hello'")
        elif method == "cancel":
            self._cancel(number, parameters)
        elif number in self._tasks:
            raise ProtocolError(f"there is a request {number} already")
        else:
            task = asyncio.get_running_loop().create_task(self._serve(number, method, parameters))
            self._tasks[number] = task
            task.add_done_callback(lambda _: self._done(number))

    def _greet(self, number: int, fields: Fields) -> None:
        version, tty = fields.number("version"), fields.optional_text("tty")
        self._screen = Screen(tty, fields.mapping("environment"))
        fields.raw("program")  # which version of which client: for whoever reads along
        fields.finish()
        if version != VERSION:
            raise ProtocolError(f"the client speaks version {version} of the protocol, the agent version {VERSION}")
        self._send({"id": number, "result": {"version": VERSION, "pid": self._server.pid}})

    def _cancel(self, number: int, fields: Fields) -> None:
        request = fields.number("request")
        fields.finish()
        task = self._tasks.get(request)
        if task is not None:
            task.cancel()
        waiting = [message for message in self._later if message.get("id") == request]
        for message in waiting:
            self._later.remove(message)
        self._send({"id": number, "result": {"cancelled": task is not None or bool(waiting)}})

    async def _serve(self, number: int, method: str, fields: Fields) -> None:
        def tell(event: str, **facts: Any) -> None:  # noqa: ANN401 - any JSON
            self._send({"id": number, "event": event, **facts})
            self._server.tells(self, event, facts)

        requester = Requester(self, self._peer.program, self._screen or Screen(), tell)
        try:
            result = await self._server.do(method, requester, fields)
        except SmimeAgentError as error:
            self._send({"id": number, "error": error_values(error)})
        except Exception as error:  # noqa: BLE001 - a bug of ours costs one answer
            bug = AgentError(f"this is a bug in the agent: {type(error).__name__}")
            self._send({"id": number, "error": error_values(bug)})
        else:
            self._send({"id": number, "result": result})
        finally:
            self._server.is_done(self)

    def _done(self, number: int) -> None:
        self._tasks.pop(number, None)
        if self._is_ended:
            return
        try:
            self._begin_some()
        except ProtocolError as error:
            self._refuse(error)
            return
        if len(self._later) < _MOST_LATER and not self._transport.is_reading():
            self._set_timer(anew=True)
            with suppress(RuntimeError):  # it is being closed
                self._transport.resume_reading()

    # --- the line ----------------------------------------------------------------------------------------------------

    def _send(self, message: dict[str, Any]) -> None:
        if not self._is_ended:
            self._transport.write(frame(message))

    def _refuse(self, error: SmimeAgentError) -> None:
        """Say why, and hang up."""
        self._send({"id": None, "error": error_values(error)})
        self._is_ended = True
        self._transport.close()
        asyncio.get_running_loop().call_later(_PARTING, self._transport.abort)  # it need not read that

    def _set_timer(self, *, anew: bool = True) -> None:
        """A line that has begun has to end, and the first one to come; ``anew`` where another line begins."""
        is_waiting = (self._frames.is_partial or self._screen is None) and len(self._later) < _MOST_LATER
        if self._timer is not None and (anew or not is_waiting):
            self._timer.cancel()
            self._timer = None
        if is_waiting and self._timer is None:
            late = ProtocolError(f"nothing whole was said within {PATIENCE:.0f} seconds")
            self._timer = asyncio.get_running_loop().call_later(PATIENCE, self._refuse, late)

    def close(self) -> None:
        """Hang up."""
        self._transport.abort()
