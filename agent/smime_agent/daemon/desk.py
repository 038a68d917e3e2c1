"""What the agent hears from the desktop and the readers, and what it tells a person who is not at a terminal."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from smime_agent.daemon.logind import SCREEN_LOCK, SUSPEND, SessionWatch
from smime_agent.daemon.notification import notify
from smime_agent.daemon.readers import ReaderEvents, holders_of_reader
from smime_agent.tokens.readers import EventKind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Mapping

    from smime_agent.config import AgentConfig

#: Seconds for which a notification of a touch is shown, unless the touch is over before.
_SHOWN: Final = 30


class Desk:
    """Watches for the moments at which logins end, and for cards."""

    def __init__(
        self,
        config: AgentConfig,
        lock: Callable[[str], object],
        readers_changed: Callable[[str | None], Awaitable[None]],
    ) -> None:
        """Call ``lock`` with the reason when the person leaves, ``readers_changed`` when a card comes or goes."""
        self._config, self._lock_agent, self._readers_changed = config, lock, readers_changed
        self._session = SessionWatch(self._left)
        self._readers = ReaderEvents()
        self._held: list[str] = []
        self._held_until = 0.0
        self._notices: dict[Hashable, asyncio.Task[None]] = {}

    def start(self) -> list[asyncio.Task[Any]]:
        """The tasks that watch."""
        return [asyncio.create_task(self._session.run()), asyncio.create_task(self._watch_readers())]

    def tells(self, client: Hashable, event: str, facts: Mapping[str, Any]) -> None:
        """A client was told something: for a touch, its terminal may be behind another window."""
        if event == "touch" and client not in self._notices:
            self._notices[client] = asyncio.create_task(
                self._notify(f"{facts['token']} waits", "Touch it if it blinks.")
            )

    def is_done(self, client: Hashable) -> None:
        """What a client was told is over."""
        if (task := self._notices.pop(client, None)) is not None:
            task.cancel()

    def status(self) -> dict[str, Any]:
        """What can be heard."""
        return {
            "watching": {
                "readers": self._readers.is_available,
                "logind": self._session.logind.is_up,
                "desktop": self._session.desktop.is_up,
            },
            "holders": self._holders(),
        }

    def _holders(self) -> list[str]:
        """What programs hold a card. It takes a look at all processes, so one does for a second."""
        now = asyncio.get_running_loop().time()
        if now >= self._held_until:
            self._held, self._held_until = [program.description for program in holders_of_reader()], now + 1
        return self._held

    def _left(self, reason: str) -> None:
        wanted = {SUSPEND: self._config.lock_on_sleep, SCREEN_LOCK: self._config.lock_on_screen_lock}
        if wanted.get(reason, True):
            self._lock_agent(reason)

    async def _watch_readers(self) -> None:
        async for event in self._readers.watch():
            if event.event in {EventKind.INSERTED, EventKind.REMOVED, EventKind.READER_REMOVED}:
                is_gone = event.event is not EventKind.INSERTED
                await self._readers_changed(event.reader if is_gone else None)

    async def _notify(self, summary: str, body: str) -> None:
        """Show it until this is cancelled."""
        shown = asyncio.create_task(notify(summary, body, timeout=_SHOWN))
        try:
            await asyncio.shield(shown)
            await asyncio.sleep(_SHOWN)
        finally:
            if (notification := await shown) is not None:  # it may be over before it is shown
                await notification.close()
