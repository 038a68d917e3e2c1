"""When the person leaves: the machine sleeps, the screen is locked, the session ends. Heard from D-Bus where it is.

logind says all three (org.freedesktop.login1(5)); the desktop's screen saver says the second where logind is not told.
Whoever can lock the screen can lock the agent, and no more: nothing here unlocks anything.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from smime_agent.daemon.bus import Bus, BusError, BusKind, Remote, Signal, connected

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    Lock = Callable[[str], Awaitable[None] | None]

SUSPEND, SCREEN_LOCK, LOGOUT, SHUTDOWN = "suspend", "screen lock", "logout", "shutdown"

_LOGIND = "org.freedesktop.login1"
_SESSION, _PROPERTIES = "org.freedesktop.login1.Session", "org.freedesktop.DBus.Properties"
_MANAGER = Remote(_LOGIND, "/org/freedesktop/login1", "org.freedesktop.login1.Manager")
_DAEMON = "org.freedesktop.DBus"

#: The one that KDE and others have, and those of desktops that have their own. All say ActiveChanged(boolean).
_SCREEN_SAVERS = tuple(f"org.{name}.ScreenSaver" for name in ("freedesktop", "gnome", "cinnamon", "mate", "xfce"))

#: logind waits five seconds for a delay inhibitor (InhibitDelayMaxSec): the lock ends before, or without us.
_LOCK_SECONDS = 4
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0


@dataclass(slots=True)
class Hearing:
    """Whether one of the two can be heard now, in words for ``status``."""

    words: str
    is_up: bool = False


class SessionWatch:
    """Watches both buses. ``logind`` and ``desktop`` say whether they can be heard."""

    def __init__(
        self, lock: Lock, *, environment: Mapping[str, str] = os.environ, first_pause: float = _FIRST_PAUSE
    ) -> None:
        """Call ``lock`` with the reason. ``environment`` says where the buses are."""
        self.logind = Hearing("suspend, screen lock and logout, from logind")
        self.desktop = Hearing("screen lock, from the desktop")
        self._lock_agent = lock
        self._environment = environment
        self._first_pause = first_pause
        self._locking: set[asyncio.Future[None]] = set()

    async def run(self) -> bool:
        """Call ``lock`` each time that the person leaves, until cancelled.

        ``False``, at once, where neither bus is there. A bus that was there is waited for when it goes away, with a
        pause that grows to a minute; that it went is no reason to lock.
        """
        async with asyncio.TaskGroup() as group:
            logind = group.create_task(self._keep(self._watch_logind, self.logind))
            desktop = group.create_task(self._keep(self._watch_desktop, self.desktop))
        return logind.result() or desktop.result()

    async def _keep(self, watch: Callable[[], Awaitable[None]], hearing: Hearing) -> bool:
        pause, was_there = self._first_pause, False
        while True:
            try:
                with suppress(BusError):
                    await watch()
                if hearing.is_up:
                    pause, was_there = self._first_pause, True
            finally:
                hearing.is_up = False
            if not was_there:
                return False
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _lock(self, reason: str) -> None:
        """Lock, and wait for it, but no longer than logind would. It goes on all the same."""
        if not inspect.isawaitable(awaitable := self._lock_agent(reason)):
            return
        locking = asyncio.ensure_future(awaitable)
        self._locking.add(locking)
        locking.add_done_callback(self._locking.discard)
        done, _ = await asyncio.wait({locking}, timeout=_LOCK_SECONDS)
        for each in done:
            each.result()

    async def _watch_desktop(self) -> None:
        async with connected(BusKind.SESSION, self._environment) as bus:
            for interface in _SCREEN_SAVERS:
                await bus.subscribe(f"interface='{interface}',member='ActiveChanged'")
            self.desktop.is_up = True
            async for signal in bus.signals():
                if signal.interface in _SCREEN_SAVERS and signal.says(bool) and signal.body[0]:
                    await self._lock(SCREEN_LOCK)

    async def _watch_logind(self) -> None:
        async with connected(BusKind.SYSTEM, self._environment) as bus:
            await bus.subscribe(f"sender='{_LOGIND}',interface='{_MANAGER.interface}'")
            await bus.subscribe(f"sender='{_LOGIND}',interface='{_SESSION}',member='Lock'")
            await bus.subscribe(f"sender='{_LOGIND}',interface='{_PROPERTIES}',arg0='{_SESSION}'")
            await bus.subscribe(f"sender='{_DAEMON}',member='NameOwnerChanged',arg0='{_LOGIND}'")
            logind = _Logind(bus, await bus.owner(_LOGIND), self._lock)
            await logind.list_sessions()
            try:
                await logind.inhibit()
                self.logind.is_up = True
                if await logind.is_locked():
                    await self._lock(SCREEN_LOCK)
                async for signal in bus.signals():
                    await logind.hear(signal)
            finally:
                logind.release()


@dataclass(frozen=True, slots=True)
class _Login:
    """One of this user's sessions."""

    path: str
    is_local: bool  # it has a seat: somebody sits there


@dataclass(slots=True)
class _Logind:
    """What logind said on one connection."""

    bus: Bus
    owner: str
    lock: Callable[[str], Awaitable[None]]
    sessions: dict[str, _Login] = field(default_factory=dict)
    inhibitor: int | None = None

    async def list_sessions(self) -> None:
        """Learn which sessions are this user's."""
        body, _descriptors = await self.bus.call(_MANAGER, "ListSessions")
        match body:
            case ([*sessions],):
                self.sessions = {
                    name: _Login(path, bool(seat))
                    for name, uid, _user, seat, path in filter(_is_session, sessions)
                    if uid == os.getuid()
                }

    async def is_locked(self) -> bool:
        """One of the sessions is locked already: nobody told us, for we were not there."""
        for session in self.sessions.values():
            with suppress(BusError):  # it ended
                remote = Remote(_LOGIND, session.path, _PROPERTIES)
                body, _descriptors = await self.bus.call(remote, "Get", "ss", [_SESSION, "LockedHint"])
                if body and _is_true(body[0]):
                    return True
        return False

    async def hear(self, signal: Signal) -> None:
        """Do what a signal asks for. Any process can send us any signal: only logind's count.

        Raises:
            BusError: logind itself was started again, and knows nothing of us.
        """
        if signal.sender == _DAEMON and signal.member == "NameOwnerChanged":
            msg = "logind was started again"
            raise BusError(msg)
        if signal.sender != self.owner:
            return
        match signal.member:
            case "PrepareForSleep" | "PrepareForShutdown" if signal.says(bool):
                await self._prepare(SUSPEND if signal.member == "PrepareForSleep" else SHUTDOWN, signal.body[0])
            case "Lock" if self._is_ours(signal.path):
                await self.lock(SCREEN_LOCK)
            case "PropertiesChanged" if self._is_ours(signal.path) and signal.says(str, dict, list):
                if _is_true(signal.body[1].get("LockedHint")):
                    await self.lock(SCREEN_LOCK)
            case "SessionNew":
                await self.list_sessions()
            case "SessionRemoved" if signal.says(str, str):
                await self._removed(signal.body[0])
            case "UserRemoved" if signal.says(int, str) and signal.body[0] == os.getuid():
                await self.lock(LOGOUT)

    async def inhibit(self) -> None:
        """Have logind wait for us before the machine sleeps. Where it does not let us, the lock may come too late."""
        if self.inhibitor is None:
            with suppress(BusError):
                why = ["sleep:shutdown", "smime-agent", "Logins to tokens end first", "delay"]
                _body, descriptors = await self.bus.call(_MANAGER, "Inhibit", "ssss", why)
                self.inhibitor = descriptors[0] if descriptors else None

    def release(self) -> None:
        """The machine may sleep."""
        if self.inhibitor is not None:
            os.close(self.inhibitor)
            self.inhibitor = None

    async def _prepare(self, reason: str, begins: bool) -> None:  # noqa: FBT001 - as logind says it
        if begins:
            try:
                await self.lock(reason)
            finally:
                self.release()
        else:
            await self.inhibit()

    async def _removed(self, name: str) -> None:
        """Somebody left a seat, or the last session ended. That one of many from afar ended means nothing."""
        session = self.sessions.pop(name, None)
        if session is not None and (session.is_local or not self.sessions):
            await self.lock(LOGOUT)

    def _is_ours(self, path: str) -> bool:
        return any(session.path == path for session in self.sessions.values())


def _is_session(value: object) -> bool:
    """The identifier, the user's number and name, the seat, the path."""
    match value:
        case [str(), int(), str(), str(), str()]:
            return True
    return False


def _is_true(variant: object) -> bool:
    return getattr(variant, "value", None) is True
