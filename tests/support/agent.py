"""An agent that runs for one test: its folders, its configuration, its pinentry, and the commands that use it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from smime_agent.daemon.audit import read_log
from smime_agent.daemon.client import AgentClient
from tests.support.pinentry import FakePinentry
from tests.support.program import Result, run
from tests.support.softhsm import MODULE, PIN

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from smime_agent.daemon.audit import Entry

_SECONDS = 15.0


@dataclass
class RunningAgent:
    """``smime-agent agent run`` in folders of its own; ``pins`` is what its pinentry answers, for ever if it is one."""

    folder: Path
    config: str = ""
    pins: Sequence[str] = ()
    confirms: Sequence[str] = ()
    afterwards: str = PIN
    module: str = MODULE
    variables: dict[str, str] = field(default_factory=dict)
    pinentry: FakePinentry = field(init=False)
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        """Write the configuration and the pinentry."""
        for name in ("run", "state", "data", "cache", "config"):
            (self.folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        self.pinentry = FakePinentry(self.folder / "pinentry", self.pins, self.confirms, afterwards=self.afterwards)
        (self.folder / "config" / "config.toml").write_text(self.config)

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it, and whatever it left."""
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.folder / "run" / "agent.sock"

    @property
    def audit_log(self) -> Path:
        """The folder of its audit log."""
        return self.folder / "state" / "smime-agent"

    @property
    def environment(self) -> dict[str, str]:
        """What it and the commands that use it have in their environment."""
        return {
            "SMIME_AGENT_SOCKET": str(self.socket),
            "SMIME_AGENT_CONFIG": str(self.folder / "config" / "config.toml"),
            "SMIME_AGENT_MODULE": self.module,
            "XDG_STATE_HOME": str(self.folder / "state"),
            "XDG_DATA_HOME": str(self.folder / "data"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "DBUS_SESSION_BUS_ADDRESS": "disabled:",
            "DBUS_SYSTEM_BUS_ADDRESS": "disabled:",
            **self.pinentry.environment,
            **self.variables,
        }

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "smime_agent", "agent", "run"],
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + _SECONDS
        while True:
            client = AgentClient.connect(path=self.socket) if self.socket.exists() else None
            if client is not None:
                client.close()
                return
            assert self.process.poll() is None, f"the agent ended with {self.process.returncode}"
            assert time.monotonic() < deadline, "the agent does not listen"
            time.sleep(0.01)

    def run(self, *arguments: str | Path, stdin: bytes = b"", env: dict[str, str] | None = None) -> Result:
        """Run ``smime-agent``, which finds this agent."""
        return run(*arguments, stdin=stdin, env={**self.environment, **(env or {})}, module=None)

    def client(self) -> AgentClient:
        """A connection to it."""
        client = AgentClient.connect(path=self.socket)
        assert client is not None
        return client

    def hang_up(self) -> None:
        """SIGHUP, as when its terminal goes away."""
        self.process.send_signal(signal.SIGHUP)

    def log(self, *events: str) -> list[Entry]:
        """What its audit log has of these events, or of all."""
        return [entry for entry in read_log(self.audit_log) if not events or entry.event in events]
