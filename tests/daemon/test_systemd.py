"""What systemd gives and is told: with systemd's own programs, and without."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from smime_agent.daemon import systemd
from smime_agent.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# One process that is given descriptor 3 and on by the test, and says what listening_sockets() makes of them.
GIVEN = """
import os, sys
for number, source in enumerate(map(int, sys.argv[2:]), 3):
    os.dup2(source, number, inheritable=True)
os.environ["LISTEN_PID"] = str(os.getpid())
from smime_agent.daemon import systemd
from smime_agent.errors import SmimeAgentError
try:
    sockets = systemd.listening_sockets()
except SmimeAgentError as error:
    print(type(error).__name__, error)
else:
    print(*(one.getsockname() for one in sockets), *(f"inherited={one.get_inheritable()}" for one in sockets))
    print(*(name for name in systemd.VARIABLES if name in os.environ))
"""

# What systemd-socket-activate starts: it answers one client with what it was given, and leaves.
ACTIVATED = """
import os
from smime_agent.daemon import systemd
[listening] = systemd.listening_sockets()
again = systemd.listening_sockets()
client, _ = listening.accept()
client.sendall(f"{listening.getsockname()} {again} {os.environ.get('LISTEN_FDS')}".encode())
"""


@pytest.fixture(autouse=True)
def _no_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in systemd.VARIABLES:
        monkeypatch.delenv(name, raising=False)


def taken(*given: socket.socket | int, **variables: str) -> str:
    """What a process says that has these as descriptors 3 and on."""
    numbers = [one if isinstance(one, int) else one.fileno() for one in given]
    # Descriptors of the test begin at 50: none is overwritten before it was copied.
    spare = [os.dup2(number, 50 + at, inheritable=True) for at, number in enumerate(numbers)]
    try:
        done = subprocess.run(
            [sys.executable, "-c", GIVEN, "x", *map(str, spare)],
            env={**os.environ, "LISTEN_FDS": str(len(given)), **variables},
            pass_fds=spare,
            capture_output=True,
            check=True,
            text=True,
        )
    finally:
        for number in spare:
            os.close(number)
    return done.stdout.strip()


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "agent.sock"))
        one.listen()
        yield one


def test_without_systemd_there_is_no_socket() -> None:
    assert systemd.listening_sockets() == []


def test_a_socket_that_listens_is_taken_and_kept_from_other_programs(listening: socket.socket, tmp_path: Path) -> None:
    assert taken(listening) == f"{tmp_path / 'agent.sock'} inherited=False"


def test_two_sockets_with_names_are_taken(listening: socket.socket, tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    said = taken(listening, listening, LISTEN_FDNAMES="agent:other")
    assert said == f"{path} {path} inherited=False inherited=False"


def test_what_was_said_to_another_process_is_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PID", str(os.getppid()))
    monkeypatch.setenv("LISTEN_FDS", "nonsense")
    assert systemd.listening_sockets() == []


def test_the_variables_are_gone_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID"):
        monkeypatch.setenv(name, "1")
    systemd.listening_sockets()
    assert not [name for name in os.environ if name.startswith("LISTEN_")]


@pytest.mark.parametrize(
    ("pid", "count"),
    [
        (None, "1"),
        ("", "1"),
        ("0x1", "1"),
        ("-1", "1"),
        ("\u0661", "1"),  # a digit to int(), none to systemd
        ("9" * 5000, "1"),  # which int() refuses with a ValueError
        ("own", None),
        ("own", ""),
        ("own", "1e3"),
        ("own", "-1"),
        ("own", "17"),
        ("own", "9" * 5000),
    ],
)
def test_wrong_values_are_told(monkeypatch: pytest.MonkeyPatch, pid: str | None, count: str | None) -> None:
    for name, value in (("LISTEN_PID", pid), ("LISTEN_FDS", count)):
        if value is not None:
            monkeypatch.setenv(name, str(os.getpid()) if value == "own" else value)
    with pytest.raises(ConfigError, match="LISTEN_"):
        systemd.listening_sockets()


def test_names_for_another_number_of_sockets_are_told(listening: socket.socket) -> None:
    said = taken(listening, LISTEN_FDNAMES="agent:other")
    assert said == "ConfigError LISTEN_FDNAMES does not name 1 sockets, which LISTEN_FDS says there are"


def test_a_descriptor_that_is_not_open_is_told() -> None:
    said = taken(LISTEN_FDS="1")
    assert said == "ConfigError descriptor 3 from systemd cannot be used: Bad file descriptor"


def test_one_wrong_descriptor_of_two_is_told(listening: socket.socket) -> None:
    reading, writing = os.pipe()
    said = taken(listening, reading)
    os.close(reading)
    os.close(writing)
    assert said == "ConfigError descriptor 4 from systemd is not a socket"


def test_a_socket_of_the_net_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one:
        assert taken(one) == "ConfigError descriptor 3 from systemd is not a stream socket of this machine"


def test_a_datagram_socket_is_told(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        one.bind(str(tmp_path / "datagrams"))
        assert taken(one) == "ConfigError descriptor 3 from systemd is not a stream socket of this machine"


def test_a_socket_that_does_not_listen_is_told() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert taken(one) == "ConfigError descriptor 3 from systemd does not listen"


def test_a_socket_that_every_user_reaches_is_told() -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(f"\0smime-agent-test-{os.getpid()}")
        one.listen()
        assert taken(one) == "ConfigError descriptor 3 from systemd has no path"


@pytest.mark.interop
def test_systemd_gives_its_socket(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    command = ["systemd-socket-activate", f"--listen={path}", "--fdname=agent", *passed_on(), "--"]
    activate = subprocess.Popen([*command, sys.executable, "-c", ACTIVATED], stderr=subprocess.DEVNULL)
    try:
        assert answer(path) == f"{path} [] None"
    finally:
        activate.kill()
        activate.wait()


def passed_on() -> list[str]:
    """The program gets no variable that is not named."""
    return [f"--setenv={name}" for name in ("PATH", "PYTHONPATH", "HOME") if name in os.environ]


def answer(path: Path) -> str:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX) as client, suppress(FileNotFoundError, ConnectionRefusedError):
            client.connect(str(path))
            client.settimeout(20)
            return client.recv(4096).decode()
        time.sleep(0.02)
    return "nobody listens"


# What systemd is told


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The manager's end, which does not wait."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        one.bind(str(tmp_path / "notify"))
        one.settimeout(0)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield one


def test_systemd_is_told(manager: socket.socket) -> None:
    systemd.notify(f"{systemd.READY}\n{systemd.status('two tokens')}")
    assert manager.recv(4096) == b"READY=1\nSTATUS=two tokens"


def test_a_socket_with_an_abstract_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"smime-agent-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        one.bind(f"\0{name}")
        one.settimeout(0)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        systemd.notify(systemd.STOPPING)
        assert one.recv(4096) == b"STOPPING=1"


@pytest.mark.parametrize("address", [None, "", "@", "relative", "vsock:2:1", "/nonexistent/socket", "/" + "x" * 200])
def test_a_manager_that_does_not_hear_fails_nothing(monkeypatch: pytest.MonkeyPatch, address: str | None) -> None:
    if address is not None:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    systemd.notify(systemd.READY)


@pytest.mark.slow
def test_a_manager_that_does_not_read_delays_for_a_moment_only(manager: socket.socket) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as full, suppress(BlockingIOError):
        full.settimeout(0)
        while True:
            full.sendto(b"x", manager.getsockname())
    begin = time.monotonic()
    systemd.notify(systemd.READY)
    assert 0.5 < time.monotonic() - begin < 5


def test_a_label_in_the_status_says_nothing_else() -> None:
    assert systemd.status("token 'a\nMAINPID=1\u2028'") == "STATUS=token 'a?MAINPID=1?'"


def test_a_status_has_an_end() -> None:
    assert len(systemd.status("x" * 100_000)) < 300


def test_text_that_is_not_unicode_fails_nothing(manager: socket.socket) -> None:
    systemd.notify(systemd.status("\udcff"))
    assert manager.recv(4096) == b"STATUS=?"


def test_reloading_tells_the_time_in_microseconds() -> None:
    assert systemd.reloading(12_345_678) == "RELOADING=1\nMONOTONIC_USEC=12345"


@pytest.mark.parametrize(
    ("period", "watched", "seconds"),
    [
        ("30000000", None, 15),
        ("30000000", "own", 15),
        ("30000000", "1", None),
        ("30000000", "nonsense", None),
        ("0", None, None),
        ("-1", None, None),
        ("x", None, None),
        ("9" * 5000, None, None),
        (None, None, None),
    ],
)
def test_a_watchdog_is_fed_twice_a_period(
    monkeypatch: pytest.MonkeyPatch, period: str | None, watched: str | None, seconds: float | None
) -> None:
    for name, value in (("WATCHDOG_USEC", period), ("WATCHDOG_PID", watched)):
        if value is not None:
            monkeypatch.setenv(name, str(os.getpid()) if value == "own" else value)
    assert systemd.watchdog_seconds() == seconds


def test_a_watchdog_is_fed_as_long_as_the_loop_runs(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "20000")

    async def run() -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(systemd.keep_watchdog(), 0.2)

    asyncio.run(run())
    assert [manager.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3


def test_without_a_watchdog_none_is_fed(manager: socket.socket) -> None:
    asyncio.run(systemd.keep_watchdog())
    with pytest.raises(BlockingIOError):
        manager.recv(100)


@pytest.mark.interop
def test_the_messages_are_those_that_systemd_sends(manager: socket.socket) -> None:
    subprocess.run(["systemd-notify", "--no-block", "--ready", "--status=ready"], check=True)
    theirs = sorted(line for line in manager.recv(4096).decode().splitlines() if not re.match("MAINPID", line))
    systemd.notify(f"{systemd.READY}\n{systemd.status('ready')}")
    assert sorted(manager.recv(4096).decode().splitlines()) == theirs
