"""The agent itself: clients on one side, tokens on the other, and what ends logins between them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from smime_agent.daemon import requests
from smime_agent.daemon.broker import Broker
from smime_agent.daemon.connection import Connection
from smime_agent.daemon.desk import Desk
from smime_agent.daemon.logins import clock
from smime_agent.daemon.protocol import VERSION, ProtocolError
from smime_agent.daemon.systemd import READY, STOPPING, keep_watchdog, notify, status
from smime_agent.daemon.workers import all_gone
from smime_agent.errors import AgentError, PolicyError, SmimeAgentError

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence

    from smime_agent.config import Config
    from smime_agent.daemon.audit import AuditLog
    from smime_agent.daemon.hardening import Hardening
    from smime_agent.daemon.holder import Holder
    from smime_agent.daemon.peers import Peer
    from smime_agent.daemon.protocol import Fields
    from smime_agent.daemon.requester import Requester

#: Clients at once.
MOST_CLIENTS: Final = 256
#: Seconds between a use of a key and the moment at which the log of it is on the disk for sure.
_SYNC: Final = 0.5
#: A socket of systemd's stays where it is when the agent ends: Python would remove it from 3.13 on.
_KEPT: Final[dict[str, Any]] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}


class Server:
    """One agent. All of it runs in the thread of the event loop."""

    def __init__(self, config: Config, audit: AuditLog, hardening: Hardening, version: str) -> None:
        """Serve as the configuration says; ``version`` is that of the program."""
        self._version = version
        self.pid = os.getpid()
        self._config, self._audit, self._hardening = config, audit, hardening
        self._broker = Broker(config, audit)
        self._clients: set[Connection] = set()
        self._since = time.time()
        self._stopped = asyncio.Event()
        self._desk = Desk(config.agent, self.lock, self._broker.readers_changed)

    async def run(self, sockets: Sequence[socket.socket]) -> None:
        """Serve on sockets that listen, until it is stopped."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopped.set)
        loop.add_signal_handler(signal.SIGHUP, self.lock, "hang-up")
        servers = [await loop.create_unix_server(lambda: Connection(self), sock=one, **_KEPT) for one in sockets]
        self._audit.append("agent-started", version=self._version, pid=self.pid)
        watching = [asyncio.create_task(one) for one in (self._sync(), keep_watchdog())] + self._desk.start()
        notify(f"{READY}\n{status(f'ready, {len(self._broker.modules)} modules')}")
        try:
            await self._stopped.wait()
        finally:
            notify(STOPPING)
            for server in servers:
                server.close()
            self.lock("stopped")
            for task in watching:
                task.cancel()
            with suppress(SmimeAgentError):
                self._audit.append("agent-stopped")
            self._audit.close()
            await all_gone()

    # --- clients -----------------------------------------------------------------------------------------------------

    def welcome(self, client: Connection, peer: Peer) -> None:
        """Let a client in.

        Raises:
            PolicyError: it is another user's.
            AgentError: there are too many.
        """
        if peer.uid != os.geteuid():
            raise PolicyError("the agent serves its own user alone")
        if len(self._clients) >= MOST_CLIENTS:
            raise AgentError(f"the agent has {MOST_CLIENTS} clients already")
        self._clients.add(client)

    def farewell(self, client: Connection) -> None:
        """A client has gone."""
        self._desk.is_done(client)
        self._clients.discard(client)

    def tells(self, client: Connection, event: str, facts: Mapping[str, Any]) -> None:
        """A client was told something: the desktop may want to know too."""
        self._desk.tells(client, event, facts)

    def is_done(self, client: Connection) -> None:
        """A request of a client has been answered."""
        self._desk.is_done(client)

    async def do(self, method: str, requester: Requester, fields: Fields) -> Mapping[str, Any]:
        """What a client asks for.

        Raises:
            ProtocolError: there is no such method.
            SmimeAgentError: it cannot be done.
        """
        if method in requests.METHODS:
            return await requests.METHODS[method](self._broker, requester, fields)
        if method == "lock":
            fields.finish()
            dropped = self.lock("lock")
            await all_gone()
            return {"dropped": dropped}
        if method == "status":
            fields.finish()
            return self._status()
        if method == "stop":
            fields.finish()
            asyncio.get_running_loop().call_later(0.05, self._stopped.set)  # once this is answered
            return {}
        raise ProtocolError(f"there is no method '{method}'")

    # --- ends --------------------------------------------------------------------------------------------------------

    def lock(self, reason: str) -> int:
        """End every login at once; how many there were."""
        dropped = sum(holder.login is not None for holder in self._broker.holders)
        self._broker.drop_all(reason)
        return dropped

    async def _sync(self) -> None:
        """Have the log on the disk soon after a use."""
        synced = 0
        while True:
            await asyncio.sleep(_SYNC)
            number = self._audit.sequence_number
            if number != synced:
                with suppress(SmimeAgentError):
                    await asyncio.to_thread(self._audit.sync)
                    synced = number

    def _status(self) -> dict[str, Any]:
        now = clock()
        return {
            "version": self._version,
            "protocol": VERSION,
            "pid": self.pid,
            "since": self._since,
            "clients": len(self._clients),
            "modules": self._broker.modules,
            "tokens": [_holder_values(holder, now) for holder in self._broker.holders],
            "audit": {"lines": self._audit.sequence_number, "head": self._audit.head},
            "hardening": {"achieved": list(self._hardening.achieved), "missing": list(self._hardening.missing)},
            **self._desk.status(),
        }


def _holder_values(holder: Holder, now: float) -> dict[str, Any]:
    login = holder.login
    values: dict[str, Any] = {
        "label": holder.place.label,
        "serial": holder.place.serial,
        "module": holder.place.module,
        "workers": holder.lanes.workers,
        "waiting": holder.lanes.waiting,
        "login": None,
    }
    if login is not None:
        values["login"] = {
            "key": login.key.name if login.key is not None else None,
            "scope": login.policy.scope.value,
            "pin": login.pin,
            "used": login.used,
            "allowed": login.allowed,
            "seconds": round(now - login.since),
            "seconds_left": max(0, round(login.ends_at - now)),
        }
    return values
