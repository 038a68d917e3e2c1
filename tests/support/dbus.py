"""A real message bus of one's own, and somebody on it who plays logind, a screen saver or a notification server."""

from __future__ import annotations

import asyncio
import os
import subprocess
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeVar

from dbus_fast.aio import MessageBus
from dbus_fast.constants import MessageType
from dbus_fast.message import Message
from dbus_fast.signature import Variant

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from pathlib import Path

_CONFIGURATION = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={}</listen><policy context="default">
<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>"""

Result = TypeVar("Result")

LOGIND, LOGIND_PATH = "org.freedesktop.login1", "/org/freedesktop/login1"
SESSION_PATH = LOGIND_PATH + "/session/_32"
SOMEBODY_ELSE = os.getuid() + 1


@dataclass
class PrivateBus:
    """A dbus-daemon. It can be stopped and started."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None
    everybody: list[Somebody] = field(default_factory=list)

    def run(self, main: Coroutine[Any, Any, Result]) -> Result:
        """Run ``main``, and end the connections that were made in it."""

        async def run() -> Result:
            try:
                return await main
            finally:
                while self.everybody:
                    await self.everybody.pop().end()

        return asyncio.run(run())

    @property
    def address(self) -> str:
        return f"unix:path={self.folder / 'bus'}"

    def start(self) -> None:
        configuration = self.folder / "bus.conf"
        configuration.write_text(_CONFIGURATION.format(self.folder / "bus"))
        (self.folder / "bus").unlink(missing_ok=True)
        command = ["dbus-daemon", f"--config-file={configuration}", "--nofork", "--print-address=1"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        assert self.process.stdout.readline()

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()


@contextmanager
def private_bus(folder: Path) -> Iterator[PrivateBus]:
    """A bus that runs."""
    bus = PrivateBus(folder)
    bus.start()
    try:
        yield bus
    finally:
        bus.stop()


@dataclass
class Somebody:
    """A connection that has a name on a bus."""

    connection: MessageBus
    calls: list[Message] = field(default_factory=list)

    @classmethod
    async def on(cls, bus: PrivateBus, name: str | None = None) -> Self:
        connection = await MessageBus(bus.address, negotiate_unix_fd=True).connect()
        made = cls(connection)
        bus.everybody.append(made)
        connection.add_message_handler(made.answer)
        if name is not None:
            await connection.request_name(name)
        return made

    def answer(self, call: Message) -> Message | None:
        if call.message_type is not MessageType.METHOD_CALL or call.member is None:
            return None
        self.calls.append(call)
        method = getattr(self, call.member, None)
        return method(call) if method else None

    def says(self, path: str, interface: str, member: str, signature: str = "", *body: Any) -> None:  # noqa: ANN401
        signal = Message(None, path, interface, member, MessageType.SIGNAL, signature=signature, body=list(body))
        self.connection.send(signal)

    async def end(self) -> None:
        self.connection.disconnect()
        with suppress(OSError, EOFError):
            await self.connection.wait_for_disconnect()  # type: ignore[no-untyped-call] # it returns None


@dataclass
class FakeLogind(Somebody):
    """logind, as org.freedesktop.login1(5) describes it: one session at a seat, one of somebody else."""

    sessions: dict[str, tuple[int, str, str]] = field(
        default_factory=lambda: {
            "2": (os.getuid(), "seat0", SESSION_PATH),
            "9": (SOMEBODY_ELSE, "seat0", LOGIND_PATH + "/session/_39"),
        }
    )
    is_locked: bool = False
    refuses: bool = False
    inhibitors: list[int] = field(default_factory=list)

    @classmethod
    async def on(cls, bus: PrivateBus, name: str | None = LOGIND) -> Self:
        return await super().on(bus, name)

    def ListSessions(self, call: Message) -> Message:  # noqa: N802 - its name on the bus
        listed = [[name, uid, "user", seat, path] for name, (uid, seat, path) in self.sessions.items()]
        return Message.new_method_return(call, "a(susso)", [listed])

    def Get(self, call: Message) -> Message:  # noqa: N802
        return Message.new_method_return(call, "v", [Variant("b", self.is_locked)])

    def Inhibit(self, call: Message) -> Message:  # noqa: N802
        if self.refuses:
            return Message.new_error(call, "org.freedesktop.DBus.Error.AccessDenied", "no")
        ours, theirs = os.pipe()
        self.inhibitors.append(ours)
        asyncio.get_running_loop().call_later(0.1, os.close, theirs)  # it was sent by then
        return Message.new_method_return(call, "h", [0], [theirs])

    async def inhibitor_is_released(self, number: int = -1) -> bool:
        """Wait up to two seconds until the other end is closed."""
        os.set_blocking(self.inhibitors[number], False)
        for _ in range(200):
            try:
                return os.read(self.inhibitors[number], 1) == b""
            except BlockingIOError:
                await asyncio.sleep(0.01)
        return False

    def manager_says(self, member: str, signature: str, *body: Any) -> None:  # noqa: ANN401
        self.says(LOGIND_PATH, LOGIND + ".Manager", member, signature, *body)

    def session_says_lock(self, path: str = SESSION_PATH) -> None:
        self.says(path, LOGIND + ".Session", "Lock")

    def session_hints(self, locked: bool, path: str = SESSION_PATH) -> None:  # noqa: FBT001
        changed = {"LockedHint": Variant("b", locked)}
        arguments: tuple[Any, ...] = (LOGIND + ".Session", changed, [])
        self.says(path, "org.freedesktop.DBus.Properties", "PropertiesChanged", "sa{sv}as", *arguments)
