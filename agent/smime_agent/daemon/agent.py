"""The agent's process: hardened first, then listening."""

from __future__ import annotations

import asyncio
import os
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from smime_agent.config import load_config, state_directory
from smime_agent.daemon.audit import AuditLog
from smime_agent.daemon.hardening import harden
from smime_agent.daemon.logins import check_policies
from smime_agent.daemon.runtime import listen, socket_path
from smime_agent.daemon.server import Server
from smime_agent.daemon.systemd import listening_sockets

if TYPE_CHECKING:
    from pathlib import Path


def run(path: Path | None, version: str) -> None:
    """Be the agent until it is stopped: on the sockets that systemd hands over, else on one of its own.

    Raises:
        ConfigError: the configuration cannot be used.
        ModuleLoadError: there is no PKCS#11 module.
        AgentError: it cannot listen.
        AuditError: the log cannot be written.
    """
    config = load_config()
    check_policies(config.agent)
    hardening = harden(variables=config.pin_variables)
    with ExitStack() as resources:
        sockets = listening_sockets()
        if not sockets:
            where = path or socket_path()
            listener, lock = listen(where)
            resources.callback(os.close, lock)
            resources.callback(where.unlink, missing_ok=True)
            sockets = [listener]
        audit = resources.enter_context(AuditLog.open(state_directory(), now=lambda: datetime.now(UTC)))

        async def serve() -> None:
            await Server(config, audit, hardening, version).run(sockets)

        asyncio.run(serve())
