"""A connection to D-Bus, as little of it as the agent needs: calls, and signals in order.

dbus-fast is loaded with the first connection, and may be missing. Everything that goes wrong is a :class:`BusError`.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smime_agent.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from dbus_fast.aio import MessageBus
    from dbus_fast.message import Message

_CONNECT_SECONDS = 10
_CALL_SECONDS = 10
_MOST_WAITING = 256


class BusError(AgentError):
    """There is no bus, nobody there who answers, or the connection is lost."""

    code = "bus"


class BusKind(Enum):
    """Which of the two buses."""

    SYSTEM = "DBUS_SYSTEM_BUS_ADDRESS"
    SESSION = "DBUS_SESSION_BUS_ADDRESS"

    def address(self, environment: Mapping[str, str]) -> str | None:
        """Where it is, by the environment or by convention; ``None`` where there is none."""
        if address := environment.get(self.value):
            return address
        path = Path("/run/dbus/system_bus_socket")
        if self is BusKind.SESSION:
            path = Path(environment.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}") / "bus"
        return f"unix:path={path}" if path.is_socket() else None


@dataclass(frozen=True, slots=True)
class Remote:
    """An interface of an object of somebody on the bus."""

    destination: str
    path: str
    interface: str


_DAEMON = Remote("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal: who sent it (a unique name, by the daemon's word), about which object, and what it says."""

    sender: str
    path: str
    interface: str
    member: str
    body: tuple[Any, ...]

    def says(self, *types: type) -> bool:
        """Its arguments are of these types. What comes from a bus may be anything."""
        return len(self.body) == len(types) and all(map(isinstance, self.body, types))


class Bus:
    """A connection. :func:`connected` makes it and ends it."""

    def __init__(self, connection: MessageBus, lost: asyncio.Future[None]) -> None:
        """Take a connection that is made, and what is done when it is lost; signals wait from now on."""
        self._connection = connection
        self._lost = lost
        self._waiting: asyncio.Queue[Signal] = asyncio.Queue(_MOST_WAITING)
        connection.add_message_handler(self._receive)

    async def call(
        self, remote: Remote, member: str, signature: str = "", body: Sequence[Any] = ()
    ) -> tuple[tuple[Any, ...], list[int]]:
        """What a method returns, and the descriptors in it, which belong to the caller.

        Raises:
            BusError: nobody is there, it says no, or does not answer within ten seconds.
        """
        from dbus_fast.errors import DBusFastError
        from dbus_fast.message import Message

        try:
            call = Message(
                remote.destination, remote.path, remote.interface, member, signature=signature, body=list(body)
            )
            async with asyncio.timeout(_CALL_SECONDS):
                reply: Message | None = await self._connection.call(call)
        except (OSError, EOFError, ValueError, TypeError, DBusFastError) as error:  # a TimeoutError is an OSError
            msg = f"{remote.destination} does not answer {member}"
            raise BusError(msg) from error
        if reply is None or reply.error_name is not None:  # none: the connection ended
            msg = f"{remote.destination} does not do {member}"
            raise BusError(msg, details=() if reply is None else (str(reply.error_name),))
        return tuple(reply.body), list(reply.unix_fds)

    async def subscribe(self, rule: str) -> None:
        """From now on :meth:`signals` has those that the match rule names (D-Bus specification, "Match Rules").

        Raises:
            BusError: the daemon does not do it.
        """
        await self.call(_DAEMON, "AddMatch", "s", [f"type='signal',{rule}"])

    async def owner(self, name: str) -> str:
        """The unique name of who has a well-known one; started by that, where the bus can.

        Raises:
            BusError: nobody has it.
        """
        with suppress(BusError):
            await self.call(_DAEMON, "StartServiceByName", "su", [name, 0])
        return str((await self.call(_DAEMON, "GetNameOwner", "s", [name]))[0][0])

    async def signals(self) -> AsyncIterator[Signal]:
        """Signals as they come. With 256 that wait, further ones are dropped.

        Raises:
            BusError: the connection is lost.
        """
        while True:
            arrival = asyncio.ensure_future(self._waiting.get())
            try:
                await asyncio.wait((arrival, self._lost), return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not arrival.done():
                    arrival.cancel()
            if arrival.cancelled() or not arrival.done():
                msg = "the connection to D-Bus is lost"
                raise BusError(msg)
            yield arrival.result()

    def _receive(self, message: Message) -> None:
        from dbus_fast.constants import MessageType

        if message.message_type is MessageType.SIGNAL:
            signal = Signal(
                message.sender or "",
                message.path or "",
                message.interface or "",
                message.member or "",
                tuple(message.body),
            )
            with suppress(asyncio.QueueFull):
                self._waiting.put_nowait(signal)
        for descriptor in message.unix_fds if message.message_type is not MessageType.METHOD_RETURN else ():
            os.close(descriptor)  # nobody asked for it


@asynccontextmanager
async def connected(kind: BusKind, environment: Mapping[str, str]) -> AsyncIterator[Bus]:
    """A connection to a bus, for as long as the block lasts.

    Raises:
        BusError: dbus-fast is not installed, there is no such bus, or it does not let us in.
    """
    address = kind.address(environment)
    if address is None:
        msg = f"there is no {kind.name.lower()} bus"
        raise BusError(msg)
    try:
        from dbus_fast.aio import MessageBus
        from dbus_fast.errors import DBusFastError
    except ImportError as error:
        msg = "dbus-fast is not installed"
        raise BusError(msg, hint="pip install dbus-fast") from error
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            connection = await MessageBus(address, negotiate_unix_fd=True).connect()
    except (OSError, EOFError, ValueError, TypeError, DBusFastError) as error:
        msg = f"the {kind.name.lower()} bus does not let us in"
        raise BusError(msg) from error
    lost: asyncio.Future[None] = asyncio.ensure_future(connection.wait_for_disconnect())  # type: ignore[no-untyped-call] # it returns None
    try:
        yield Bus(connection, lost)
    finally:
        connection.disconnect()
        await asyncio.wait((lost,), timeout=1)  # until then it is not closed
        lost.cancel()
        if lost.done() and not lost.cancelled():
            lost.exception()  # why it was lost is nobody's concern, and asyncio wants it to be looked at
