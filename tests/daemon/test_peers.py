"""Who is asking: told from real processes on real sockets."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smime_agent.daemon import peers, runtime
from smime_agent.daemon.peers import Peer, Program
from smime_agent.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Iterator

CONNECT = "import socket,sys; s = socket.socket(socket.AF_UNIX); s.connect({!r}); s.recv(1)\n"
AS_NOBODY = ["setpriv", "--reuid=65534", "--clear-groups"] if os.getuid() == 0 else []
SOURCE = str(Path(peers.__file__).parents[2])
PYTHON = Path(sys.executable).resolve()


@dataclass
class Server:
    path: Path
    listening: socket.socket

    @contextmanager
    def asked_by(self, *command: str | Path) -> Iterator[Peer]:
        with subprocess.Popen(command, cwd=self.path.parent) as process:
            connection, _ = self.listening.accept()
            with connection:
                yield Peer.of(connection)
            process.wait(10)

    def script(self, name: str, interpreter: str | Path, text: str | None = None) -> Path:
        path = self.path.parent / name
        path.write_text(f"#!{interpreter}\n{text or CONNECT.format(str(self.path))}")
        path.chmod(0o755)
        return path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        listening.settimeout(10)
        yield Server(tmp_path / "s", listening)


def test_the_kernel_says_which_user_and_process_connected() -> None:
    one, other = socket.socketpair()
    with one, other:
        peer = Peer.of(one)
    assert (peer.pid, peer.uid) == (os.getpid(), os.getuid())


def test_a_socket_that_does_not_say_who_connects_is_an_error_of_ours() -> None:
    with socket.socket(socket.AF_UNIX) as closed:
        closed.close()
        with pytest.raises(AgentError, match="does not say who"):
            Peer.of(closed)


def test_a_system_that_does_not_say_who_connects_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "SO_PEERCRED")
    with socket.socket(socket.AF_UNIX) as connection, pytest.raises(AgentError, match="cannot tell who connects"):
        Peer.of(connection)


def test_a_script_is_called_by_its_name_and_not_by_that_of_its_interpreter(server: Server) -> None:
    with server.asked_by(server.script("fetch-mail", PYTHON)) as peer:
        assert peer.program.name == "fetch-mail"


def test_the_kernel_says_which_executable_it_is(server: Server) -> None:
    with server.asked_by(server.script("fetch-mail", PYTHON)) as peer:
        assert peer.program.executable == str(PYTHON)


def test_the_command_line_is_told(server: Server) -> None:
    with server.asked_by(server.script("fetch-mail", PYTHON), "--all", "b c") as peer:
        assert peer.program.command[-2:] == ("--all", "b c")


def test_a_command_of_ours_is_asked_in_the_name_of_its_caller(server: Server) -> None:
    ours = server.script("smime-agent", PYTHON)
    tool = server.script("tool", "/bin/sh", f"{ours} sign\necho >/dev/null\n")
    with server.asked_by(tool) as peer:
        assert peer.program.asking.name == "tool"


def test_a_shell_between_a_program_and_our_command_is_not_the_one_that_asks(server: Server) -> None:
    ours = server.script("smime-agent-gpgsm", PYTHON)
    # What a mail client does: system(3). The second command keeps the shell from replacing itself by the first.
    tool = server.script("mail-client", PYTHON, f"import os\nos.system('{ours} --sign; true')\n")
    with server.asked_by(tool) as peer:
        assert peer.program.asking.name == "mail-client"


def test_a_dialogue_reads_in_what_the_program_runs(server: Server) -> None:
    inner = server.script("git", PYTHON)
    outer = server.script("editor", "/bin/sh", f"{inner}\ntrue\n")
    with server.asked_by(outer) as peer:
        assert peer.program.description.startswith("git (in editor, in ")


def test_a_dialogue_names_three_parents_at_most() -> None:
    parents = tuple(Program(name) for name in "abcdefgh")
    assert Program("git", parents=parents).description == "git (in a, in b, in c)"


def test_a_chain_of_the_same_program_is_named_once() -> None:
    parents = (Program("bash"), Program("bash"), Program("tmux"), Program("systemd"))
    assert Program("bash", parents=parents).description == "bash (in tmux)"


def test_parents_are_eight_at_most(server: Server) -> None:
    nested = str(server.script("asks", PYTHON))
    for depth in range(10):
        nested = str(server.script(f"level{depth}", "/bin/sh", f"{nested}\ntrue\n"))
    with server.asked_by(nested) as peer:
        assert [parent.name for parent in peer.program.parents] == [f"level{depth}" for depth in range(8)]


def test_a_script_and_its_interpreter_are_who_it_is(server: Server) -> None:
    script = server.script("fetch mail", PYTHON)
    with server.asked_by(script, "--one") as first, server.asked_by(script, "--two") as second:
        assert first.program.identity == second.program.identity == f"{PYTHON} '{script}'"


def test_a_relative_path_of_a_script_is_the_same_script(server: Server) -> None:
    script = server.script("fetch-mail", PYTHON)
    with server.asked_by(PYTHON, "./fetch-mail") as peer:
        assert peer.program.identity == f"{PYTHON} {script}"


def test_two_pieces_of_code_are_two_programs(server: Server) -> None:
    code = CONNECT.format(str(server.path))
    with server.asked_by(PYTHON, "-c", code) as one, server.asked_by(PYTHON, "-Ic", code + "1") as other:
        assert one.program.identity != other.program.identity


def test_a_program_that_ended_is_unknown_and_no_error(server: Server) -> None:
    with socket.socket(socket.AF_UNIX) as ours:
        ours.bind(str(server.path) + "2")
        ours.listen()
        code = CONNECT.format(str(server.path) + "2").replace("; s.recv(1)", "")
        subprocess.run([sys.executable, "-c", code], check=True)
        connection, _ = ours.accept()
        with connection:
            peer = Peer.of(connection)
    assert (peer.program.name, peer.uid, peer.still_there()) == ("unknown", os.getuid(), False)


def test_a_program_that_ended_is_not_there_any_more(server: Server) -> None:
    with server.asked_by(server.script("fetch-mail", PYTHON)) as peer:
        assert peer.still_there()
    assert not peer.still_there()


def test_a_number_that_became_another_process_is_not_the_one_that_connected() -> None:
    program = Program.of(os.getpid())
    assert program.started is not None
    assert not replace(program, started=program.started - 1).still_there()


def test_a_number_that_became_another_process_while_it_was_read_is_unknown(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = CONNECT.format(str(server.path)).replace("; s.recv(1)", "")
    subprocess.run([sys.executable, "-c", code], check=True)
    connection, _ = server.listening.accept()
    another = Program.of(os.getpid())
    monkeypatch.setattr(Program, "of", lambda _pid: another)
    with connection:
        assert Peer.of(connection).program.name == "unknown"


def test_a_zombie_is_not_there() -> None:
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        program = Program.of(process.pid)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it ended, and nobody asked yet how
        assert not program.still_there()


def test_a_process_of_another_user_gives_what_is_known() -> None:
    # Of process 1, nobody but root may read where its executable is.
    code = "from smime_agent.daemon.peers import Program; p = Program.of(1); print(p.name != 'unknown', p.executable)"
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    done = subprocess.run([*AS_NOBODY, sys.executable, "-c", code], env=environment, capture_output=True, check=False)
    assert done.stdout.split() == [b"True", b"None"], done.stderr


@contextmanager
def running(executable: Path) -> Iterator[int]:
    with subprocess.Popen([executable, "60"]) as process:
        end = time.monotonic() + 10
        while Path(f"/proc/{process.pid}/exe").readlink() != executable and time.monotonic() < end:
            time.sleep(0.01)
        try:
            yield process.pid
        finally:
            process.kill()


def test_a_name_with_parentheses_and_spaces_does_not_move_the_fields(tmp_path: Path) -> None:
    odd = Path(shutil.copy("/bin/sleep", tmp_path / "a) S 1 (b"))
    with running(odd) as pid:
        program = Program.of(pid)
    assert (program.name, program.parents[0].pid) == ("a) S 1 (b", os.getpid())


def test_an_executable_that_was_replaced_keeps_its_path(tmp_path: Path) -> None:
    replaced = Path(shutil.copy("/bin/sleep", tmp_path / "sleep"))
    with running(replaced) as pid:
        replaced.unlink()
        assert Program.of(pid).executable == str(replaced)


def test_an_executable_whose_name_says_deleted_is_not_cut(tmp_path: Path) -> None:
    named_so = Path(shutil.copy("/bin/sleep", tmp_path / "sleep (deleted)"))
    with running(named_so) as pid:
        assert Program.of(pid).executable == str(named_so)


def test_a_long_command_line_is_cut() -> None:
    with subprocess.Popen(["/bin/sh", "-c", "sleep 60; true", *["x" * 1000] * 100]) as process:
        while len((program := Program.of(process.pid)).command) < 2:
            time.sleep(0.01)
        process.kill()
    assert len(program.command) <= 32
    assert max(map(len, program.command)) <= 256


@pytest.mark.parametrize(
    ("executable", "arguments", "script"),
    [
        ("/usr/bin/python3.12", ["-I", "-X", "dev", "-Werror", "/usr/bin/hg", "log"], "/usr/bin/hg"),
        ("/usr/bin/python3", ["-Pm", "smime_agent", "sign"], "smime_agent"),
        ("/usr/bin/python3", ["-mhttp.server"], "http.server"),
        ("/usr/bin/python3", [], None),
        ("/usr/bin/python3", ["-"], None),
        ("/bin/bash", ["--rcfile", "/etc/rc", "-o", "pipefail", "/usr/bin/x"], "/usr/bin/x"),
        ("/bin/bash", ["-i"], None),
        ("/bin/bash", ["/dev/fd/3"], None),
        ("/bin/bash", ["-l", "--", "/usr/bin/x"], "/usr/bin/x"),
        ("/usr/bin/perl", ["-w", "-I", "/lib", "/usr/bin/git-send-email"], "/usr/bin/git-send-email"),
        ("/usr/bin/git", ["/usr/bin/x"], None),
    ],
)
def test_the_script_of_an_interpreter_is_found(executable: str, arguments: list[str], script: str | None) -> None:
    assert peers._script(executable, [executable, *arguments], Path("/nowhere")) == script


@given(
    st.sampled_from(["/usr/bin/python3", "/bin/sh", "/usr/bin/perl", "/usr/bin/node"]),
    st.lists(st.text() | st.sampled_from(["-c", "-m", "-", "--", "-X", "--rcfile", "-Ic"])),
)
def test_no_command_line_is_an_error(executable: str, arguments: list[str]) -> None:
    script = peers._script(executable, arguments, Path("/nowhere"))
    assert script is None or script


@pytest.mark.parametrize(
    "program",
    [
        Program("smime-agent", "/usr/bin/python3", script="/usr/local/bin/smime-agent"),
        Program("smime-agent-gpgsm", "/usr/bin/python3", script="/opt/v/bin/smime-agent-gpgsm"),
        Program("smime_agent", "/usr/bin/python3", script="smime_agent"),
        Program("gpgsm", "/usr/bin/python3", script="smime_agent.cli.gpgsm"),
    ],
)
def test_what_is_a_command_of_ours(program: Program) -> None:
    assert program.is_ours


@pytest.mark.parametrize("script", ["/usr/bin/not-smime-agent", "/usr/bin/smime-agentx", "-c 00", None])
def test_what_is_none(script: str | None) -> None:
    assert not Program("python3", "/usr/bin/python3", script=script).is_ours


def test_the_descriptors_of_a_process_are_told() -> None:
    with socket.socket(socket.AF_UNIX) as held:
        inode = os.fstat(held.fileno()).st_ino
        assert f"socket:[{inode}]" in peers.descriptors(os.getpid())


def test_this_process_is_one_of_our_own() -> None:
    assert os.getpid() in peers.own_processes()


def test_a_process_that_hides_from_others_is_still_one_of_our_own() -> None:
    hide = "import ctypes; ctypes.CDLL(None).prctl(4, 0, 0, 0, 0); print(1, flush=True); input()"
    look = "from smime_agent.daemon.peers import own_processes; print(*own_processes())"
    command = [*AS_NOBODY, sys.executable, "-c"]
    with subprocess.Popen([*command, hide], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        environment = {**os.environ, "PYTHONPATH": SOURCE}
        looked = subprocess.run([*command, look], env=environment, capture_output=True, check=True)
        process.kill()
    assert str(process.pid).encode() in looked.stdout.split()


def test_the_credentials_are_those_of_the_kernel() -> None:
    assert runtime._UCRED.size == struct.calcsize("3i")
