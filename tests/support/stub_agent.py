"""An agent that knows nothing but what its sandbox lets it do. A client that asks gets that as JSON.

``stub_agent.py MODULE agent run`` is what the unit starts, ``stub_agent.py ask`` is the client.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smime_agent.daemon import systemd

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import NoReturn


def attempt(action: Callable[[], object]) -> object:
    """What comes of it, or why nothing does."""
    try:
        return action()
    except OSError as error:
        return f"OSError: {error.strerror}" if type(error) is OSError else type(error).__name__


def facts(client: socket.socket, path: str, module: str) -> dict[str, Any]:
    """Everything that the units promise or must not break."""
    pid, _, _ = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    umask = os.umask(0)
    os.umask(umask)
    soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    return {
        "arguments": sys.argv[2:],
        "socket": path,
        "umask": umask,
        "core": resource.getrlimit(resource.RLIMIT_CORE),
        "memory lock is the most": soft == hard,
        "no new privileges": "NoNewPrivs:\t1\n" in Path("/proc/self/status").read_text(encoding="utf-8"),
        "program of the client": attempt(lambda: Path(f"/proc/{pid}/exe").resolve() == Path(sys.executable).resolve()),
        "own user namespace": not Path("/proc/self/uid_map").read_text(encoding="utf-8").split()[2].startswith("42949"),
        "callback of ctypes": attempt(callback),
        "writable and executable memory": attempt(
            lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        ),
        "socket of the net": attempt(lambda: socket.socket(socket.AF_INET)),
        "namespace": attempt(unshare),
        "memory of another process": attempt(lambda: read_memory(os.getppid())),
        "a limit of its own": attempt(lambda: limited(resource.RLIMIT_NOFILE)),
        "signature by SoftHSM": sign(module),
        "PC/SC": readers(),
        **{name: attempt(lambda name=name: pinentry(name)) for name in ("pinentry-tty", "pinentry-curses")},  # type: ignore[misc]  # mypy does not see the default
    }


def callback() -> int:
    """A closure of libffi, which older ones make in writable and executable memory."""
    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)
    return int(kind(lambda number: number + 1)(2))


def unshare() -> None:
    """A user namespace, which anybody may make elsewhere."""
    checked(ctypes.CDLL(None, use_errno=True).unshare(0x10000000))


def read_memory(pid: int) -> None:
    """The memory of another process of this user."""
    buffer = ctypes.create_string_buffer(8)
    vector = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 8)
    checked(ctypes.CDLL(None, use_errno=True).process_vm_readv(pid, vector, 1, vector, 1, 0))


def checked(result: int) -> None:
    """An OSError for what a call of C returned."""
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def limited(which: int) -> object:
    """A limit lowered: a process that hardens itself does so."""
    resource.setrlimit(which, (64, 64))
    return resource.getrlimit(which)


def sign(path: str) -> bool:
    """A new token in the home directory, a new key, and a signature by it."""
    import pkcs11

    home, label = Path.home(), str(os.getpid())
    (home / "tokens").mkdir(exist_ok=True)
    (home / "softhsm2.conf").write_text(f"directories.tokendir = {home / 'tokens'}\n", encoding="utf-8")
    os.environ["SOFTHSM2_CONF"] = str(home / "softhsm2.conf")
    utility = ("softhsm2-util", "--module", path, "--init-token", "--free", "--label", label)
    subprocess.run([*utility, "--pin", "1234", "--so-pin", "1234"], check=True, capture_output=True)
    with pkcs11.lib(path).get_token(token_label=label).open(rw=True, user_pin="1234") as session:
        pair: Any = session.generate_keypair(pkcs11.KeyType.RSA, 2048, store=True)
        return bool(pair[0].verify(b"x", pair[1].sign(b"x")))


def readers() -> str:
    """What PC/SC says: here its socket is not there, which is not to be refused."""
    from smartcard.pcsc.PCSCExceptions import BaseSCardException
    from smartcard.System import readers as known

    try:
        return f"{len(known())} readers"
    except BaseSCardException:
        return "there is no pcscd"


def pinentry(name: str) -> str:
    """The greeting of a pinentry."""
    done = subprocess.run([name], input="BYE\n", capture_output=True, text=True, check=True)
    return done.stdout[:2]


def tell(what: str) -> None:
    """A line of the log."""
    with Path("log").open("a", encoding="utf-8") as log:
        log.write(f"{what}\n")


def leave(_number: int, _frame: FrameType | None) -> NoReturn:
    """At SIGTERM."""
    tell("stopped")
    os._exit(0)


def run() -> None:
    """The agent."""
    os.chdir(Path.home())
    if Path("wrong").exists():
        tell("wrong")
        sys.exit(2)
    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGHUP, lambda *_: tell("locked"))
    listening = systemd.listening_sockets()
    tell("started")
    systemd.notify(f"{systemd.READY}\n{systemd.status('ready')}")
    while True:
        client, _ = listening[0].accept()
        with client:
            client.sendall(json.dumps(facts(client, listening[0].getsockname(), sys.argv[1])).encode())


def ask() -> None:
    """A client."""
    with socket.socket(socket.AF_UNIX) as agent:
        agent.connect(f"{os.environ['XDG_RUNTIME_DIR']}/smime-agent/agent.sock")
        agent.settimeout(60)
        sys.stdout.write("".join(iter(lambda: agent.recv(1 << 16).decode(), "")) + "\n")


if __name__ == "__main__":
    ask() if sys.argv[1:] == ["ask"] else run()
