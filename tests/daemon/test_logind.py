"""The agent hears that the person leaves: on a real bus, from one who plays logind."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from smime_agent.daemon.bus import BusKind
from smime_agent.daemon.logind import SessionWatch
from tests.support.dbus import LOGIND, LOGIND_PATH, SOMEBODY_ELSE, FakeLogind, PrivateBus, Somebody, private_bus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path


BEGINS, ENDS = True, False


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[PrivateBus]:
    with private_bus(tmp_path) as made:
        yield made


@dataclass
class Agent:
    """Notes the reasons for which it was told to lock."""

    watch: SessionWatch = field(init=False)
    reasons: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    locking: Callable[[str], Awaitable[None]] | None = None

    def lock(self, reason: str) -> Awaitable[None] | None:
        self.reasons.put_nowait(reason)
        return self.locking(reason) if self.locking else None

    async def locked(self) -> str:
        async with asyncio.timeout(5):
            return await self.reasons.get()

    async def is_up(self, expected: bool = True) -> None:  # noqa: FBT001, FBT002
        async with asyncio.timeout(10):
            while self.watch.logind.is_up is not expected:  # noqa: ASYNC110 - it is only a fact
                await asyncio.sleep(0.005)


@asynccontextmanager
async def watching(bus: PrivateBus, *, locking: Callable[[str], Awaitable[None]] | None = None) -> AsyncIterator[Agent]:
    agent = Agent(locking=locking)
    environment = {BusKind.SYSTEM.value: bus.address, "XDG_RUNTIME_DIR": "/nowhere"}
    agent.watch = SessionWatch(agent.lock, environment=environment, first_pause=0.02)
    running = asyncio.create_task(agent.watch.run())
    try:
        await agent.is_up()
        yield agent
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def heard(bus: PrivateBus, say: Callable[[FakeLogind], None], **facts: object) -> str:
    """For which reason the agent locks, first, when logind says that; ``none`` before a suspend."""

    async def main() -> str:
        logind = await FakeLogind.on(bus)
        for name, value in facts.items():
            setattr(logind, name, value)
        async with watching(bus) as agent:
            say(logind)
            logind.manager_says("PrepareForSleep", "b", BEGINS)
            reason = await agent.locked()
            return "none" if reason == "suspend" else reason

    return bus.run(main())


def test_the_machine_sleeps(bus: PrivateBus) -> None:
    async def main() -> str:
        logind = await FakeLogind.on(bus)
        async with watching(bus) as agent:
            logind.manager_says("PrepareForSleep", "b", BEGINS)
            return await agent.locked()

    assert bus.run(main()) == "suspend"


def test_the_machine_is_shut_down(bus: PrivateBus) -> None:
    assert heard(bus, lambda logind: logind.manager_says("PrepareForShutdown", "b", BEGINS)) == "shutdown"


def test_the_session_is_locked(bus: PrivateBus) -> None:
    assert heard(bus, lambda logind: logind.session_says_lock()) == "screen lock"


def test_the_screen_says_that_it_is_locked(bus: PrivateBus) -> None:
    assert heard(bus, lambda logind: logind.session_hints(BEGINS)) == "screen lock"


def test_the_screen_says_that_it_is_unlocked(bus: PrivateBus) -> None:
    assert heard(bus, lambda logind: logind.session_hints(ENDS)) == "none"


def test_the_session_of_somebody_else_is_locked(bus: PrivateBus) -> None:
    assert heard(bus, lambda logind: logind.session_says_lock(LOGIND_PATH + "/session/_39")) == "none"


def test_the_session_at_the_seat_ends(bus: PrivateBus) -> None:
    say = lambda logind: logind.manager_says("SessionRemoved", "so", "2", LOGIND_PATH + "/session/_32")  # noqa: E731
    assert heard(bus, say) == "logout"


SEAT = (os.getuid(), "seat0", LOGIND_PATH + "/session/_32")
AFAR = (os.getuid(), "", LOGIND_PATH + "/session/_37")


def test_one_session_from_afar_of_two_ends(bus: PrivateBus) -> None:
    say = lambda logind: logind.manager_says("SessionRemoved", "so", "7", LOGIND_PATH + "/session/_37")  # noqa: E731
    assert heard(bus, say, sessions={"2": SEAT, "7": AFAR}) == "none"


def test_the_last_session_from_afar_ends(bus: PrivateBus) -> None:
    say = lambda logind: logind.manager_says("SessionRemoved", "so", "7", LOGIND_PATH + "/session/_37")  # noqa: E731
    assert heard(bus, say, sessions={"7": AFAR}) == "logout"


def test_the_session_of_somebody_else_ends(bus: PrivateBus) -> None:
    say = lambda logind: logind.manager_says("SessionRemoved", "so", "9", LOGIND_PATH + "/session/_39")  # noqa: E731
    assert heard(bus, say) == "none"


def test_the_user_has_no_session_left(bus: PrivateBus) -> None:
    path = LOGIND_PATH + "/user/_1"
    assert heard(bus, lambda logind: logind.manager_says("UserRemoved", "uo", os.getuid(), path)) == "logout"


def test_another_user_has_no_session_left(bus: PrivateBus) -> None:
    path = LOGIND_PATH + "/user/_1"
    assert heard(bus, lambda logind: logind.manager_says("UserRemoved", "uo", SOMEBODY_ELSE, path)) == "none"


def test_a_session_that_is_new_is_watched_too(bus: PrivateBus) -> None:
    async def main() -> str:
        logind = await FakeLogind.on(bus)
        async with watching(bus) as agent:
            logind.sessions["7"] = AFAR
            logind.manager_says("SessionNew", "so", "7", AFAR[2])
            logind.session_says_lock(AFAR[2])
            return await agent.locked()

    assert bus.run(main()) == "screen lock"


def test_a_screen_that_is_locked_already_is_noticed(bus: PrivateBus) -> None:
    async def main() -> str:
        logind = await FakeLogind.on(bus)
        logind.is_locked = True
        async with watching(bus) as agent:
            return await agent.locked()

    assert bus.run(main()) == "screen lock"


def test_the_machine_waits_for_the_lock_and_no_longer(bus: PrivateBus) -> None:
    async def main() -> tuple[bool, bool]:
        logind = await FakeLogind.on(bus)
        may_end = asyncio.Event()

        async def lock(_reason: str) -> None:
            await may_end.wait()

        async with watching(bus, locking=lock) as agent:
            logind.manager_says("PrepareForSleep", "b", BEGINS)
            await agent.locked()
            await asyncio.sleep(0.3)
            os.set_blocking(logind.inhibitors[0], False)
            with suppress(BlockingIOError):
                return os.read(logind.inhibitors[0], 1) == b"", False
            may_end.set()
            return False, await logind.inhibitor_is_released()

    assert bus.run(main()) == (False, True)


def test_a_lock_that_hangs_does_not_keep_the_machine_awake(bus: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smime_agent.daemon.logind._LOCK_SECONDS", 0.1)

    async def main() -> tuple[bool, bool]:
        logind = await FakeLogind.on(bus)
        may_end, ended = asyncio.Event(), asyncio.Event()

        async def lock(_reason: str) -> None:
            await may_end.wait()
            ended.set()

        async with watching(bus, locking=lock):
            logind.manager_says("PrepareForSleep", "b", BEGINS)
            released = await logind.inhibitor_is_released()
            may_end.set()
            async with asyncio.timeout(2):
                await ended.wait()  # it was not cut off
            return released, ended.is_set()

    assert bus.run(main()) == (True, True)


def test_after_sleep_the_next_sleep_is_waited_for_again(bus: PrivateBus) -> None:
    async def main() -> int:
        logind = await FakeLogind.on(bus)
        async with watching(bus) as agent:
            for _ in range(2):
                logind.manager_says("PrepareForSleep", "b", BEGINS)
                assert await agent.locked() == "suspend"
                assert await logind.inhibitor_is_released()
                logind.manager_says("PrepareForSleep", "b", ENDS)
                await asyncio.sleep(0.2)
            return len(logind.inhibitors)

    assert bus.run(main()) == 3


def test_without_leave_to_delay_sleep_it_is_heard_all_the_same(bus: PrivateBus) -> None:
    assert heard(bus, lambda logind: logind.session_says_lock(), refuses=True) == "screen lock"


def test_somebody_who_is_not_logind_is_not_believed(bus: PrivateBus) -> None:
    async def main() -> str:
        logind = await FakeLogind.on(bus)
        async with watching(bus) as agent:
            liar = await FakeLogind.on(bus, name=None)
            for name in (None, *[call.sender for call in logind.calls]):  # to all, and to the agent alone
                from dbus_fast.constants import MessageType
                from dbus_fast.message import Message

                lie = Message(
                    name, LOGIND_PATH, LOGIND + ".Manager", "PrepareForSleep", MessageType.SIGNAL, signature="b",
                    body=[True],
                )  # fmt: skip
                liar.connection.send(lie)
            await asyncio.sleep(0.2)
            logind.session_says_lock()
            return await agent.locked()

    assert bus.run(main()) == "screen lock"


def test_a_signal_that_says_something_else_is_left_alone(bus: PrivateBus) -> None:
    def say(logind: FakeLogind) -> None:
        logind.manager_says("PrepareForSleep", "s", "yes")
        logind.manager_says("SessionRemoved", "")
        logind.manager_says("UserRemoved", "s", "1")
        logind.says(SEAT[2], "org.freedesktop.DBus.Properties", "PropertiesChanged", "s", LOGIND + ".Session")
        logind.session_says_lock()

    assert heard(bus, say) == "screen lock"


def test_a_bus_that_goes_away_is_waited_for(bus: PrivateBus) -> None:
    async def main() -> str:
        await FakeLogind.on(bus)
        async with watching(bus) as agent:
            bus.stop()
            await agent.is_up(expected=False)
            assert agent.reasons.empty()
            bus.start()
            logind = await FakeLogind.on(bus)
            await agent.is_up()
            logind.session_says_lock()
            return await agent.locked()

    assert bus.run(main()) == "screen lock"


def test_logind_may_be_started_again(bus: PrivateBus) -> None:
    async def main() -> str:
        first = await FakeLogind.on(bus)
        async with watching(bus) as agent:
            await first.end()
            await agent.is_up(expected=False)
            second = await FakeLogind.on(bus)
            await agent.is_up()
            second.session_says_lock()
            return await agent.locked()

    assert bus.run(main()) == "screen lock"


@pytest.mark.parametrize("name", ["freedesktop", "gnome"])
def test_the_desktop_locks_its_screen_without_logind(bus: PrivateBus, name: str) -> None:
    async def main() -> tuple[str, bool]:
        saver = await Somebody.on(bus, f"org.{name}.ScreenSaver")
        agent = Agent()
        environment = {BusKind.SESSION.value: bus.address, BusKind.SYSTEM.value: "unix:path=/nowhere"}
        agent.watch = SessionWatch(agent.lock, environment=environment)
        running = asyncio.create_task(agent.watch.run())
        while not agent.watch.desktop.is_up:  # noqa: ASYNC110 - it is only a fact
            await asyncio.sleep(0.005)
        path = f"/org/{name}/ScreenSaver"
        saver.says(path, f"org.{name}.ScreenSaver", "ActiveChanged", "b", ENDS)
        saver.says(path, f"org.{name}.ScreenSaver", "ActiveChanged", "b", BEGINS)
        reason = await agent.locked()
        running.cancel()
        return reason, agent.reasons.empty()

    assert bus.run(main()) == ("screen lock", True)


def without_a_bus() -> SessionWatch:
    environment = {"XDG_RUNTIME_DIR": "/nowhere", BusKind.SYSTEM.value: "unix:path=/nowhere"}
    return SessionWatch(lambda _reason: None, environment=environment)


def test_without_a_bus_it_says_so_and_ends() -> None:
    assert asyncio.run(without_a_bus().run()) is False


@pytest.mark.parametrize("address", ["", "nonsense", "unix:", "tcp:host=127.0.0.1,port=1", "unix:path=/dev/null"])
def test_an_address_that_is_none_is_no_bus(address: str) -> None:
    watch = SessionWatch(lambda _reason: None, environment={kind.value: address for kind in BusKind})
    assert asyncio.run(watch.run()) is False


def test_without_dbus_fast_it_says_so_and_ends(bus: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dbus_fast.aio", None)
    watch = SessionWatch(lambda _reason: None, environment={kind.value: bus.address for kind in BusKind})
    assert asyncio.run(watch.run()) is False


def test_dbus_fast_is_not_loaded_before_there_is_a_bus() -> None:
    import subprocess

    code = "import sys, smime_agent.daemon.logind; print('dbus_fast' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
