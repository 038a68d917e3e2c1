"""Who comes to the agent's socket and is no good client of its user: refused or survived, and said clearly."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from smime_agent.daemon.client import AgentClient
from smime_agent.daemon.protocol import MAX_REQUEST, frame
from smime_agent.daemon.runtime import listen
from smime_agent.daemon.server import MOST_CLIENTS
from smime_agent.errors import AgentError
from tests.daemon.uses import Line, User, descriptors, resident, sign_request, status, until
from tests.support.agent import RunningAgent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.faulty import Faulty
    from tests.support.softhsm import SoftToken

NOBODY = 65534


@pytest.fixture(scope="module")
def agent(softhsm: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAgent]:
    """An agent that all tests of this file share: each of them has to leave it alive."""
    del softhsm
    with RunningAgent(tmp_path_factory.mktemp("shared")) as one:
        yield one


@pytest.fixture
def line(agent: RunningAgent) -> Iterator[Line]:
    """A connection of somebody who has said nothing yet; the agent lives on afterwards."""
    with Line(agent.socket) as one:
        yield one
    assert status(agent)["pid"] == agent.process.pid


# --- another user ----------------------------------------------------------------------------------------------------


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can enter."""
    with tempfile.TemporaryDirectory(prefix="smime-agent-open-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="to be another user takes root")
def test_another_user_is_refused_in_words(softhsm: object, open_folder: Path) -> None:
    del softhsm
    with RunningAgent(open_folder) as agent:
        agent.socket.parent.chmod(0o711)
        agent.socket.chmod(0o666)
        code = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(s.recv(4096))"
        done = subprocess.run(
            ["/usr/bin/python3", "-c", code, str(agent.socket)],
            user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, text=True, timeout=20, check=True,
        )  # fmt: skip
        assert "the agent serves its own user alone" in done.stdout
        assert '"code":"policy"' in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="to be another user takes root")
def test_a_client_does_not_talk_to_an_agent_of_another_user(open_folder: Path) -> None:
    open_folder.chmod(0o777)
    path = open_folder / "agent.sock"
    code = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); s.accept()[0].recv(9)"
    )
    with subprocess.Popen(["/usr/bin/python3", "-c", code, path], user=NOBODY, group=NOBODY, extra_groups=[]) as other:
        try:
            until(path.exists)
            with pytest.raises(AgentError, match="others may use it"):
                AgentClient.connect(path=path)
            open_folder.chmod(0o700)
            with pytest.raises(AgentError, match="no socket of yours"):
                AgentClient.connect(path=path)
            os.chown(path, 0, 0)
            with pytest.raises(AgentError, match="another user"):
                AgentClient.connect(path=path)
        finally:
            other.kill()


def test_a_client_does_not_follow_a_symbolic_link(agent: RunningAgent, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir(mode=0o700)
    (folder / "agent.sock").symlink_to(agent.socket)
    with pytest.raises(AgentError, match="no socket of yours"):
        AgentClient.connect(path=folder / "agent.sock")
    (tmp_path / "linked").symlink_to(agent.socket.parent)
    with pytest.raises(AgentError, match="no folder"):
        AgentClient.connect(path=tmp_path / "linked" / "agent.sock")


# --- where the agent itself would listen -----------------------------------------------------------------------------


def starts(path: Path, folder: Path) -> str:
    """What an agent says that cannot listen at ``path``."""
    done = subprocess.run(
        [sys.executable, "-m", "smime_agent", "agent", "run"],
        env={**os.environ, "SMIME_AGENT_SOCKET": str(path), "XDG_STATE_HOME": str(folder / "state")},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 8, done.stderr
    assert "Traceback" not in done.stderr
    return " ".join(done.stderr.split())


def private(path: Path) -> Path:
    """A folder of the user alone."""
    path.mkdir(mode=0o700)
    return path


def test_the_agent_does_not_listen_through_a_symbolic_link(softhsm: object, tmp_path: Path) -> None:
    del softhsm
    folder = private(tmp_path / "run")
    (folder / "agent.sock").symlink_to(tmp_path / "elsewhere")
    assert "something else than a socket" in starts(folder / "agent.sock", tmp_path)
    (tmp_path / "linked").symlink_to(folder)
    assert "no folder" in starts(tmp_path / "linked" / "other.sock", tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_the_agent_does_not_listen_where_others_may_enter(softhsm: object, tmp_path: Path) -> None:
    del softhsm
    folder = private(tmp_path / "run")
    folder.chmod(0o755)
    assert "others may use it" in starts(folder / "agent.sock", tmp_path)


def test_the_agent_replaces_no_file(softhsm: object, tmp_path: Path) -> None:
    del softhsm
    path = private(tmp_path / "run") / "agent.sock"
    path.write_text("mine")
    assert "something else than a socket" in starts(path, tmp_path)
    assert path.read_text() == "mine"


def test_a_path_that_is_too_long_for_a_socket_is_said_to_be(softhsm: object, tmp_path: Path) -> None:
    del softhsm
    assert "longer than 107 octets" in starts(private(tmp_path / ("a" * 100)) / "agent.sock", tmp_path)


def test_a_second_agent_does_not_take_the_place_of_the_first(agent: RunningAgent, tmp_path: Path) -> None:
    assert "listens" in starts(agent.socket, tmp_path)
    assert status(agent)["pid"] == agent.process.pid


def test_the_socket_of_an_agent_that_was_killed_is_replaced(softhsm: object, tmp_path: Path) -> None:
    del softhsm
    with RunningAgent(tmp_path) as agent:
        agent.process.kill()
        agent.process.wait()
        assert agent.socket.exists()
        agent.start()
        assert status(agent)["pid"] == agent.process.pid


# --- what is no request ----------------------------------------------------------------------------------------------

HELLO = b'{"id":1,"method":"hello","params":{"version":1}}\n'
NO_REQUESTS = {
    "garbage": (b"GET / HTTP/1.1\r\n\r\n", "not JSON"),
    "binary": (bytes(range(256)) + b"\n", "not JSON"),
    "no UTF-8": (b'{"id":1,"method":"\xff"}\n', "not JSON"),
    "deep": (b"[" * 100_000 + b"\n", "not JSON"),
    "deep objects": (b'{"a":' * 20_000 + b"\n", "not JSON"),
    "a list": (b"[]\n", "no JSON object"),
    "a number of many digits": (b'{"id":' + b"9" * 10_000 + b"}\n", "not JSON"),
    "too large a number": (b'{"id":99999999999999999999,"method":"status","params":{}}\n', "no such number"),
    "a negative number": (b'{"id":-1,"method":"status","params":{}}\n', "no such number"),
    "a boolean for a number": (b'{"id":true,"method":"status","params":{}}\n', "no such number"),
    "no method": (b'{"id":1,"params":{}}\n', "has no 'method'"),
    "more than there is": (b'{"id":1,"method":"status","params":{},"x":1}\n', "must not have"),
    "no hello": (b'{"id":1,"method":"status","params":{}}\n', "the first request is 'hello'"),
    "another version": (b'{"id":1,"method":"hello","params":{"version":99}}\n', "version 99"),
    "an environment of numbers": (
        b'{"id":1,"method":"hello","params":{"version":1,"environment":{"A":1}}}\n',
        "string",
    ),
    "an oversized line": (b" " * (MAX_REQUEST + 1), f"more than {MAX_REQUEST} octets"),
    "an oversized line with an end": (HELLO + b'{"a":"' + b"x" * MAX_REQUEST + b'"}\n', "octets"),
}


@pytest.mark.parametrize("name", NO_REQUESTS)
def test_what_is_no_request_is_refused_in_words(name: str, line: Line) -> None:
    octets, reason = NO_REQUESTS[name]
    line.send(octets)
    assert reason in line.answers()[-1]["error"]["message"]


UNUSABLE = (
    "\0",
    "\ud800",
    "x" * 4000,
    "pkcs11:%",
    "pkcs11:token=%00",
    "pkcs11:?module-path=/etc/passwd",
    "pkcs11:object=%ff",
)


@pytest.mark.parametrize("name", UNUSABLE, ids=ascii)
@pytest.mark.parametrize("member", ["token", "module"])
def test_a_token_that_no_one_can_mean_is_no_bug(member: str, name: str, line: Line) -> None:
    line.greet()
    line.ask(1, "tokens", **{member: name})
    answer = line.answer()
    assert "bug" not in str(answer.get("error")), answer


@pytest.mark.slow
def test_who_does_not_come_to_the_point_is_hung_up_on_after_ten_seconds(line: Line, agent: RunningAgent) -> None:
    begun = time.monotonic()
    with Line(agent.socket) as half, Line(agent.socket) as slow, Line(agent.socket) as blank:
        half.greet()
        half.send(b'{"id":1,')
        slow.greet()
        with ThreadPoolExecutor(4) as pool:
            trickled = [pool.submit(trickle, one, octet) for one, octet in ((slow, b"["), (blank, b"\n"))]
            for one in (line, half):
                assert "nothing whole was said" in one.answer()["error"]["message"]
            assert all(one.result() < 13 for one in trickled)
        assert "nothing whole was said" in slow.answer()["error"]["message"]
    assert 9 < time.monotonic() - begun < 14


def trickle(line: Line, octet: bytes) -> float:
    """Send one octet after the other, until the agent hangs up; the seconds that it took."""
    begun = time.monotonic()
    while time.monotonic() - begun < 16:
        try:
            line.send(octet)
        except OSError:
            break
        time.sleep(0.25)
    return time.monotonic() - begun


# --- how many, and how greedy ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_ten_thousand_connections_leave_nothing_behind(agent: RunningAgent) -> None:
    pid = agent.process.pid
    for _ in range(300):
        with Line(agent.socket) as one:
            one.greet()
    before = descriptors(pid), resident(pid)
    for number in range(10_000):
        with Line(agent.socket) as one:
            if number % 2:
                one.greet()
    until(lambda: status(agent)["clients"] == 1)
    assert descriptors(pid) <= before[0] + 2
    assert resident(pid) - before[1] < 16 << 20  # a kilobyte and a half for each would be found


@pytest.mark.slow
def test_three_hundred_clients_at_once_are_too_many(agent: RunningAgent) -> None:
    with ExitStack() as stack:
        lines = [stack.enter_context(Line(agent.socket)) for _ in range(300)]
        for one in lines:
            one.ask(0, "hello", version=1)
        first = [one.answer() for one in lines]
    refused = [answer["error"]["message"] for answer in first if "error" in answer]
    assert len(refused) == 300 - MOST_CLIENTS
    assert set(refused) == {f"the agent has {MOST_CLIENTS} clients already"}
    until(lambda: status(agent)["clients"] == 1)


def test_who_connects_waits_while_too_many_others_do(tmp_path: Path) -> None:
    path = private(tmp_path / "run") / "agent.sock"
    with ExitStack() as stack:
        listener, lock = listen(path)
        stack.callback(os.close, lock)
        stack.enter_context(listener)
        listener.listen(1)
        for _ in range(2):
            stack.enter_context(Line(path))
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(AgentClient.connect, path=path)
            with pytest.raises(TimeoutError):
                waiting.result(0.5)
            for _ in range(2):
                listener.accept()[0].close()
            until(lambda: answered(listener) or waiting.done())
            client = waiting.result(5)
            assert client is not None
            client.close()


def answered(listener: socket.socket) -> bool:
    """Whether somebody came who was greeted as an agent greets."""
    try:
        connection, _ = listener.accept()
    except BlockingIOError:
        return False
    with connection:
        connection.settimeout(5)
        connection.recv(4096)
        connection.sendall(frame({"id": 1, "result": {"version": 1, "pid": 1}}))
    return True


@pytest.mark.slow
def test_a_client_that_never_reads_its_answers_is_cut_off(line: Line, agent: RunningAgent) -> None:
    line.greet()
    requests = b"".join(frame({"id": number, "method": "tokens", "params": {}}) for number in range(1, 20_000))
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        line.send(requests)
    until(lambda: status(agent)["clients"] == 1)
    assert resident(agent.process.pid) < 200 << 20


def test_fifty_clients_at_once_get_their_signatures(alice: SoftToken, tmp_path: Path) -> None:
    with RunningAgent(tmp_path) as agent, ThreadPoolExecutor(50) as pool:
        assert len(set(pool.map(lambda number: sign_once(agent, alice.label, number), range(50)))) == 50
        assert agent.pinentry.asked() == 1


def sign_once(agent: RunningAgent, token: str, number: int) -> bytes:
    """A signature for a client of its own."""
    with agent.client() as client:
        return User(client, token).sign(b"%d" % number)


@pytest.mark.slow
def test_a_greedy_client_delays_another_by_one_request(alice: SoftToken, faulty: Faulty, tmp_path: Path) -> None:
    faulty.script.write(slow="C_SignInit:100")
    with slowly_signing(faulty, tmp_path) as agent, agent.client() as one, agent.client() as other:
        greedy, modest = User(one, alice.label), User(other, alice.label)
        modest.sign()
        requests = [frame(sign_request(greedy, greedy.attributes(b"%d" % n), 100 + n)) for n in range(60)]
        one._connection.sendall(b"".join(requests))
        until(lambda: len(agent.log("use")) >= 3)
        for _ in range(5):
            before = len(agent.log("outcome"))
            modest.sign()
            assert len(agent.log("outcome")) - before <= 3  # the one that runs, this one, and the next may have begun


def slowly_signing(faulty: Faulty, folder: Path) -> RunningAgent:
    """An agent with the module that fails on request."""
    return RunningAgent(folder / "agent", module=str(faulty.module), variables=faulty.script.environment)


def test_a_request_is_cancelled_while_it_waits_and_while_it_runs(
    alice: SoftToken, faulty: Faulty, tmp_path: Path
) -> None:
    with slowly_signing(faulty, tmp_path) as agent, agent.client() as client, Line(agent.socket) as line:
        user = User(client, alice.label)
        user.sign()
        line.greet()
        faulty.script.write(slow="C_SignInit:300")
        for number in (1, 2, 3):
            line.send(frame(sign_request(user, user.attributes(b"%d" % number), number)))
        until(lambda: len(agent.log("use")) == 2)
        line.ask(4, "cancel", request=1)
        line.ask(5, "cancel", request=2)
        answers = [line.answer() for _ in range(3)]
        assert [answer["id"] for answer in answers] == [4, 5, 3]
        assert "signature" in answers[2]["result"]
        assert len(agent.log("use")) == 3  # the second was never begun


def test_who_asks_for_too_much_and_leaves_is_not_served(alice: SoftToken, faulty: Faulty, tmp_path: Path) -> None:
    with slowly_signing(faulty, tmp_path) as agent, agent.client() as client, Line(agent.socket) as line:
        user = User(client, alice.label)
        user.sign()
        line.greet()
        faulty.script.write(slow="C_SignInit:200")
        line.send(b"".join(frame(sign_request(user, user.attributes(b"%d" % n), n + 1)) for n in range(100)))
        until(lambda: len(agent.log("use")) == 2)
        line.socket.shutdown(socket.SHUT_RDWR)
        line.socket.close()
        faulty.script.write()
        user.sign()
        assert len(agent.log("use")) <= 4
