"""What the test of chaos is made of: clients that want something, somebody who breaks things, and an activator.

What is done is drawn from a seed: which client signs or unwraps what and when it hangs up, what is broken after how
many operations. How these meet is up to the machine.
"""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from smime_agent.daemon.client import AgentClient
from smime_agent.daemon.protocol import frame
from smime_agent.daemon.remote import RemoteDecrypter
from smime_agent.errors import AgentError, SmimeAgentError
from smime_agent.keys import ToBeSigned
from tests.daemon.uses import User, descendants, sign_request, until, verify, wrapped
from tests.support.agent import RunningAgent
from tests.support.softhsm import PIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from smime_agent.daemon.places import KeyPlace
    from smime_agent.x509 import Certificate
    from tests.faulty import FaultScript

#: Seconds that a client waits for one answer. A module that hangs costs its timeout (2), perhaps some times in a row.
PATIENCE = 30.0
TRIES = 20
WRONG = "wrong-" + PIN
#: Runs as the activator's child: the socket becomes descriptor 3, as sd_listen_fds(3) wants it.
_ACTIVATED = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.executable, [sys.executable, "-m", "smime_agent", "agent", "run"])
"""


@dataclass
class ActivatedAgent(RunningAgent):
    """An agent behind a socket that stays, whatever becomes of the agent, as under systemd."""

    listener: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        """Listen."""
        super().__post_init__()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(self.socket))
        self.socket.chmod(0o600)
        self.listener.listen(128)

    def start(self) -> None:
        """Start it on the socket, and wait until it answers."""
        number = self.listener.fileno()
        self.process = subprocess.Popen(
            [sys.executable, "-c", _ACTIVATED, str(number)],
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            pass_fds=[number],
            start_new_session=True,
        )
        self.client().close()

    def restart(self) -> None:
        """End it, and start another one."""
        self.process.terminate()
        self.process.wait(10)
        self.start()

    def __exit__(self, *_: object) -> None:
        """End it, and close the socket."""
        super().__exit__()
        self.listener.close()


@dataclass
class Record:
    """What happened."""

    signed: list[bytes] = field(default_factory=list)
    unwrapped: int = 0
    left: int = 0
    slowest: float = 0.0
    failures: Counter[str] = field(default_factory=Counter)
    wrong_answers: list[str] = field(default_factory=list)
    is_over: bool = False
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def done(self) -> int:
        """How many operations are over."""
        return len(self.signed) + self.unwrapped + self.left

    def has_done(self, number: int) -> bool:
        """That many operations are over."""
        return self.done >= number


class Client(threading.Thread):
    """One program: it wants so many things, one after the other, and tries each until it gets it."""

    def __init__(self, agent: RunningAgent, record: Record, key: KeyPlace, recipient: Certificate, seed: str) -> None:
        """Sign with the token that ``key`` is on; unwrap with ``key``, whose certificate is ``recipient``."""
        super().__init__(name=seed, daemon=True)
        self._agent, self._record, self._key, self._recipient = agent, record, key, recipient
        self._random = Random(seed)  # noqa: S311 - it is to be the same each time
        self._user: User | None = None
        self.operations = 0

    def run(self) -> None:
        """Want all of it."""
        for _ in range(self.operations):
            if self._record.is_over:
                break
            kind = self._random.choices((self._sign, self._unwrap, self._leave), (55, 35, 10))[0]
            octets, pause = self._random.randbytes(32), self._random.uniform(0.02, 0.2)
            try:
                self._insist(kind, octets, pause)
            except Exception as error:  # noqa: BLE001 - of any kind: it is what the test is for
                self._record.wrong_answers.append(f"{self.name}: {kind.__name__}: {error!r}")
                self._hang_up()
        self._hang_up()

    def _insist(self, kind: Callable[[bytes], None], octets: bytes, pause: float) -> None:
        deadline = time.monotonic() + 4 * PATIENCE
        while True:
            begun = time.monotonic()
            try:
                kind(octets)
            except SmimeAgentError as error:
                with self._record.changed:
                    self._record.failures[error.code] += 1
                if self._record.is_over or str(error) == "the agent does not answer" or time.monotonic() > deadline:
                    raise
                if isinstance(error, AgentError):
                    self._hang_up()
                time.sleep(pause)
            else:
                return
            finally:
                self._record.slowest = max(self._record.slowest, time.monotonic() - begun)

    def _connected(self) -> User:
        if self._user is None:
            client = AgentClient.connect(path=self._agent.socket)
            assert client is not None
            client._connection.settimeout(PATIENCE)
            self._user = User(client, self._key.token.label)
        return self._user

    def _hang_up(self) -> None:
        user, self._user = self._user, None
        if user is not None:
            user.client.close()

    def _sign(self, octets: bytes) -> None:
        user = self._connected()
        tbs = user.attributes(octets)
        verify(user.signer.identity.certificate.encoded, user.signer.sign(ToBeSigned(tbs)), tbs)
        self._over(lambda: self._record.signed.append(sha256(octets).digest()))

    def _unwrap(self, octets: bytes) -> None:
        decrypter = RemoteDecrypter(self._connected().client, self._key)
        assert decrypter.unwrap(wrapped(self._recipient, octets)).reveal() == octets, "another key"
        self._over(lambda: setattr(self._record, "unwrapped", self._record.unwrapped + 1))

    def _leave(self, octets: bytes) -> None:
        user = self._connected()
        with suppress(OSError):
            user.client._connection.sendall(frame(sign_request(user, user.attributes(octets))))
        time.sleep(octets[0] / 255 * 0.02)
        self._hang_up()
        self._over(lambda: setattr(self._record, "left", self._record.left + 1))

    def _over(self, write: Callable[[], None]) -> None:
        with self._record.changed:
            write()
            self._record.changed.notify_all()


class Mischief(threading.Thread):
    """Who breaks things: one after so many operations each."""

    def __init__(self, agent: ActivatedAgent, script: FaultScript, record: Record, seed: str, every: int) -> None:
        """Break the agent, the module behind ``script``, and the disk."""
        super().__init__(name="mischief", daemon=True)
        self._agent, self._script, self._record, self._every = agent, script, record, every
        self._random = Random(seed)  # noqa: S311 - it is to be the same each time
        self.deeds: Counter[str] = Counter()
        self.wrong_pins = 0
        self.fewest_tries = TRIES
        self.seen: set[int] = set()
        self.total = 0
        self.failure: Exception | None = None

    def run(self) -> None:
        """Break something now and then, and each kind of thing as often as any other."""
        kinds = [self.kill, self.hang, self.crash, self.fail, self.pull_out, self.mistype, self.lock, self.hang_up]
        kinds += [self.restart, self.fill]
        deeds: list[Callable[[], None]] = []
        for number in range(self._every, self.total - self._every, self._every):
            deeds = deeds or self._random.sample(kinds, len(kinds))
            with self._record.changed:
                self._record.changed.wait_for(partial(self._record.has_done, number), 4 * PATIENCE)
            deed = deeds.pop()
            self.deeds[deed.__name__] += 1
            self.look()
            try:
                deed()
            except Exception as error:  # noqa: BLE001 - told by the test
                self.failure, self._record.is_over = error, True
                return
            self.look()

    def look(self) -> None:
        """Note which processes there are, and how many tries the PIN has left."""
        self.seen |= descendants(self._agent.process.pid)
        with suppress(FileNotFoundError, IndexError):
            self.fewest_tries = min(self.fewest_tries, self._script.tries_left)

    def quiet(self, **faults: str | bool) -> None:
        """Only these faults."""
        self._script.write(tries=TRIES, tries_max=TRIES, **faults)  # type: ignore[arg-type]

    def _for_a_while(self, seconds: float, **faults: str | bool) -> None:
        self.quiet(**faults)
        time.sleep(seconds)
        self.quiet()

    def kill(self) -> None:
        """Kill a worker."""
        below = workers_and_dialogues(self._agent.process.pid)
        with suppress(ProcessLookupError, IndexError):
            os.kill(self._random.choice(below), 9)

    def hang(self) -> None:
        """The module hangs: until the agent has enough of it."""
        self._for_a_while(0.2, hang=self._random.choice(("C_Sign", "C_Decrypt", "C_Login", "C_GetTokenInfo")))

    def crash(self) -> None:
        """The module crashes."""
        self._for_a_while(0.2, crash=self._random.choice(("C_Sign", "C_DecryptInit", "C_Login", "C_OpenSession")))

    def fail(self) -> None:
        """The module fails, but not as for a wrong padding, for which there is another key and no error (RFC 3218)."""
        self._for_a_while(0.2, fail=self._random.choice(("C_Sign:0x30", "C_SignInit:0x5", "C_Decrypt:0x31")))

    def pull_out(self) -> None:
        """The token is out for a moment."""
        self._for_a_while(0.3, removed=True)

    def mistype(self) -> None:
        """Somebody mistypes the PIN."""
        self._agent.pinentry.answer(pins=[WRONG])
        self.wrong_pins += 1
        self.lock()

    def lock(self) -> None:
        """Somebody locks the agent."""
        with self._agent.client() as client:
            client.ask("lock")

    def hang_up(self) -> None:
        """SIGHUP."""
        self._agent.hang_up()

    def restart(self) -> None:
        """Another agent takes its place."""
        self._agent.restart()

    def fill(self) -> None:
        """The disk of the log is full."""
        with disk_full(self._agent):
            time.sleep(0.3)


class disk_full:  # noqa: N801 - used as a function
    """No octet more fits into the audit log: its file may not grow, which is EFBIG where a full disk is ENOSPC."""

    def __init__(self, agent: RunningAgent) -> None:
        """For this agent."""
        self._pid = agent.process.pid
        self._folder = agent.audit_log
        self._before = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        self._ballast = Path(agent.folder / "state" / "ballast")

    def __enter__(self) -> None:
        """Fill it."""
        if os.path.ismount(self._ballast.parent):
            with suppress(OSError), self._ballast.open("wb", buffering=0) as file:
                while file.write(bytes(4096)):
                    pass
            with suppress(OSError), self._ballast.open("ab", buffering=0) as file:
                while file.write(b"\0"):
                    pass
            return
        size = (self._folder / "audit.jsonl").stat().st_size + 100
        self._before = resource.prlimit(self._pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def __exit__(self, *_: object) -> None:
        """Make room."""
        if os.path.ismount(self._ballast.parent):
            self._ballast.unlink()
        else:
            resource.prlimit(self._pid, resource.RLIMIT_FSIZE, self._before)


def leftovers(*marks: str) -> list[str]:
    """The processes that have one of these in their command line or environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            text = (path / "cmdline").read_bytes() + (path / "environ").read_bytes()
            if int(path.name) != os.getpid() and any(mark.encode() in text for mark in marks):
                found.append(f"{path.name} {text[:200]!r}")
    return found


def settled(agent: RunningAgent) -> None:
    """Wait until neither a worker nor a pinentry runs any more."""
    until(lambda: not workers_and_dialogues(agent.process.pid), 5)


def workers_and_dialogues(pid: int) -> list[int]:
    """The processes below an agent but those that watch the readers."""
    found = []
    for one in descendants(pid):
        with suppress(OSError):
            command = Path(f"/proc/{one}/cmdline").read_bytes()
            if b"daemon.worker" in command or b"pinentry" in command:
                found.append(one)
    return sorted(found)
