"""What the agent hears from the desktop and the readers, and what it tells a person who is not at a terminal."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from smime_agent.daemon.logind import SCREEN_LOCK, SUSPEND, SessionWatch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from smime_agent.config import AgentConfig


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
        self._readers: Any = None
        self._notices: set[asyncio.Task[None]] = set()

    def start(self) -> list[asyncio.Task[Any]]:
        """The tasks that watch."""
        return [asyncio.create_task(self._session.run()), asyncio.create_task(self._watch_readers())]

    def tells(self, event: str, facts: Mapping[str, Any]) -> None:
        """A client was told something: for a touch, its terminal may be behind another window."""
        if event == "touch":
            task = asyncio.create_task(self._notify(f"{facts['token']} waits", "Touch it if it blinks."))
            self._notices.add(task)
            task.add_done_callback(self._notices.discard)

    def status(self) -> dict[str, Any]:
        """What can be heard."""
        return {
            "watching": {
                "readers": self._readers is not None and self._readers.is_available,
                "logind": self._session.logind.is_up,
                "desktop": self._session.desktop.is_up,
            }
        }

    def _left(self, reason: str) -> None:
        wanted = {SUSPEND: self._config.lock_on_sleep, SCREEN_LOCK: self._config.lock_on_screen_lock}
        if wanted.get(reason, True):
            self._lock_agent(reason)

    async def _watch_readers(self) -> None:
        from smime_agent.daemon.readers import ReaderEvents

        self._readers = ReaderEvents()
        async for event in self._readers.watch():
            removed = event.reader if event.event == "removed" else None
            await self._readers_changed(removed)

    async def _notify(self, summary: str, body: str) -> None:
        from smime_agent.daemon.notification import notify

        with suppress(Exception):  # a desktop that is not there is no reason to do anything else
            await notify(summary, body, timeout=15)
