"""A PC/SC daemon of one's own with two virtual readers, and the smallest card that can be put into one.

pcscd takes a socket that it is given as by systemd, and its clients go where PCSCLITE_CSOCK_NAME says: so there can be
several of them, and none of them is the machine's. A card is a TCP client of the reader's driver (vsmartcard's vpcd).
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

DRIVER = Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")
#: What a card says of itself when it gets power: T=1, no historical characters (ISO 7816-3, 8.2).
ATR = bytes.fromhex("3b80800101")
_READER = 'FRIENDLYNAME "Virtual {number}"\nDEVICENAME /dev/null:0x{port:X}\nLIBPATH {driver}\nCHANNELID 0x{port:X}\n'
#: Gives the socket the number that systemd would, and says for which process it is.
_ACTIVATE = """
import os, sys
listening = int(sys.argv[1])
os.dup2(listening, 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execvp(sys.argv[2], sys.argv[2:])
"""


@dataclass
class Pcscd:
    """The daemon. Readers are called ``Virtual 1 00 00`` and ``Virtual 1 00 01`` on ``port`` and the next."""

    folder: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    listening: socket.socket | None = field(default=None, repr=False)

    @property
    def socket_path(self) -> Path:
        return self.folder / "pcscd.comm"

    @property
    def environment(self) -> dict[str, str]:
        """For its clients."""
        return {"PCSCLITE_CSOCK_NAME": str(self.socket_path)}

    def start(self) -> None:
        configuration = self.folder / "readers"
        configuration.mkdir(exist_ok=True)
        self.port = self.port or _free_ports()
        (configuration / "vpcd").write_text(_READER.format(number=1, port=self.port, driver=DRIVER))
        self.socket_path.unlink(missing_ok=True)
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(str(self.socket_path))
        self.listening.listen(16)
        command = ["pcscd", "--foreground", "--config", str(configuration)]
        with (self.folder / "pcscd.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _ACTIVATE, str(self.listening.fileno()), *command],
                pass_fds=[self.listening.fileno()],
                stdout=log,
                stderr=log,
                env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"},
            )

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
            self.process.kill()
            self.process.wait()
        if self.listening is not None:
            self.listening.close()
        self.socket_path.unlink(missing_ok=True)


@contextmanager
def pcscd(folder: Path) -> Iterator[Pcscd]:
    """One that runs."""
    daemon = Pcscd(folder)
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.stop()


@contextmanager
def card_in(daemon: Pcscd, slot: int = 0, atr: bytes = ATR) -> Iterator[None]:
    """A card in a reader for as long as the block lasts. It answers every command with "instruction not supported"."""
    connection = _connect(daemon.port + slot)
    answering = threading.Thread(target=_answer, args=(connection, atr), daemon=True)
    answering.start()
    try:
        yield
    finally:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        answering.join(5)
        connection.close()


def _connect(port: int) -> socket.socket:
    end = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=10)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.01)


def _answer(connection: socket.socket, atr: bytes) -> None:
    """Speak the driver's protocol: two octets of length, then a command; of one octet, it is about power or the ATR."""
    connection.settimeout(None)
    with suppress(OSError), connection.makefile("rb") as commands:
        while len(head := commands.read(2)) == 2:
            command = commands.read(int.from_bytes(head, "big"))
            if command == b"\x04":
                connection.sendall(len(atr).to_bytes(2, "big") + atr)
            elif len(command) > 1:
                connection.sendall(b"\x00\x02\x6d\x00")


def _free_ports() -> int:
    """The first of two ports in a row that are free."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("", 0))
            port = int(first.getsockname()[1])
            with suppress(OSError, OverflowError):
                second.bind(("", port + 1))
                return port
