"""What a hardened process gives to others of the same user: nothing. Told from outside, by such another one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smime_agent.daemon import hardening
from smime_agent.daemon.hardening import cleaned, lock_memory, wipe

SOURCE = str(Path(hardening.__file__).parents[2])
SECRET = "4711-which-nobody-types" * 8

#: Runs as the parent of another process of the same user, which the most careful ptrace_scope but one still allows.
ATTACK = """
import ctypes, json, os, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
victim = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
victim.stdout.readline()
got = []
for name in ("mem", "environ", "maps", "exe", "cwd"):
    try:
        path = f"/proc/{victim.pid}/{name}"
        os.readlink(path) if name in ("exe", "cwd") else open(path, "rb").close()
        got.append(name)
    except OSError:
        pass
if libc.ptrace(16, victim.pid, None, None) == 0:  # PTRACE_ATTACH
    got.append("ptrace")
    libc.ptrace(17, victim.pid, None, None)
victim.kill()
print(json.dumps(got))
"""
VICTIM = "print(1, flush=True); input()"
HARDENED = "from smime_agent.daemon.hardening import harden; harden(); " + VICTIM


def run(code: str, *arguments: str, **environment: str) -> str:
    """What a program prints that runs as a user without privileges."""
    as_nobody = ["setpriv", "--reuid=65534", "--clear-groups"] if os.getuid() == 0 else []
    done = subprocess.run(
        [*as_nobody, sys.executable, "-c", textwrap.dedent(code), *arguments],
        env={**os.environ, "PYTHONPATH": SOURCE, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_hardened(code: str, call: str = "harden()", **environment: str) -> Any:  # noqa: ANN401 - it is JSON
    begin = f"import json, os\nfrom smime_agent.daemon.hardening import harden\nhardening = {call}\n"
    return json.loads(run(begin + textwrap.dedent(code), **environment))


def test_another_process_of_the_same_user_can_look_into_one_that_is_not_hardened() -> None:
    assert json.loads(run(ATTACK, VICTIM)) == ["mem", "environ", "maps", "exe", "cwd", "ptrace"]


def test_another_process_of_the_same_user_cannot_look_into_a_hardened_one() -> None:
    assert json.loads(run(ATTACK, HARDENED)) == []


def test_a_crash_leaves_no_core() -> None:
    assert run_hardened(
        "import resource; print(json.dumps(resource.getrlimit(resource.RLIMIT_CORE)))",
    ) == [0, 0]


def test_files_are_for_the_user_alone() -> None:
    assert (
        run_hardened("""
        import tempfile
        with tempfile.TemporaryDirectory() as folder:
            with open(folder + "/file", "w") as file:
                print(os.fstat(file.fileno()).st_mode & 0o777)
        """)
        == 0o600
    )


def test_no_program_gives_new_privileges() -> None:
    status = run_hardened("print(json.dumps(open('/proc/self/status').read()))")
    assert "NoNewPrivs:\t1" in status


def test_what_was_achieved_is_told_in_words() -> None:
    words = run_hardened("print(json.dumps(hardening.achieved))")
    assert {"no core dumps", "not readable by other processes", "no new privileges"} <= set(words)


def test_what_this_system_does_not_have_is_told_and_no_error() -> None:
    words = run("""
        from smime_agent.daemon import hardening
        hardening._prctl = lambda option, value: False
        print(hardening.harden())
        """)
    assert "missing: not readable by other processes" in words


def test_a_hardened_process_can_start_threads_and_load_libraries_under_the_usual_limit() -> None:
    done = run_hardened("""
        import threading
        threads = [threading.Thread(target=bytes, args=(1 << 20,)) for _ in range(20)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        from cryptography import x509
        print(len(bytearray(64 << 20)))
        """)
    assert done == 64 << 20


def test_inherited_descriptors_are_closed_but_those_to_keep() -> None:
    read, write = os.pipe()
    code = (
        "from smime_agent.daemon.hardening import harden; import json, os; harden(descriptors=[%d]);"
        "print(json.dumps(os.listdir('/proc/self/fd')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code % write],
        pass_fds=[read, write],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": SOURCE},
    )
    os.close(read)
    os.close(write)
    names = set(map(int, json.loads(done.stdout)))
    assert write in names
    assert read not in names


def test_a_closed_standard_error_does_not_become_the_next_file() -> None:
    code = (
        "from smime_agent.daemon.hardening import harden; harden(); import os; print(os.open('/dev/zero', os.O_RDONLY))"
    )
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" -c "$1" <&- 2>&-', sys.executable, code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": SOURCE},
    )
    assert int(done.stdout) > 2


def test_a_pin_in_the_environment_is_nowhere_in_memory_afterwards() -> None:
    # The needle is put together piece by piece, and is not compared with itself: it stands in reverse.
    found = run(
        """
        import ctypes, sys
        from smime_agent.daemon.hardening import harden
        harden()
        ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # let it look into itself again
        backwards = bytearray(sys.argv[1].encode())
        found = 0
        for line in open("/proc/self/maps"):
            begin, end = (int(place, 16) for place in line.split()[0].split("-"))
            if "[v" in line or "r" not in line.split()[1]:
                continue
            with open("/proc/self/mem", "rb", buffering=0) as memory:
                memory.seek(begin)
                octets = bytearray(memory.read(end - begin))
            octets.reverse()
            found += octets.count(backwards)
        print(found)
        """,
        SECRET[::-1],
        MODULE_PIN=SECRET,
    )
    assert int(found) == 0


UNWANTED = (
    "PIN MY_PIN SO_PIN puk STORE_PASSWORD GPG_PASSPHRASE "
    "LD_PRELOAD LD_AUDIT LD_DEBUG_OUTPUT GLIBC_TUNABLES MALLOC_TRACE GCONV_PATH SSLKEYLOGFILE "
    "PYTHONSTARTUP PYTHONINSPECT PYTHONWARNINGS PYTHONPYCACHEPREFIX PYTHONUTF8 BASH_ENV BASH_FUNC_ls%% "
    "PKCS11SPY PKCS11SPY_OUTPUT"
)


@pytest.mark.parametrize("name", UNWANTED.split())
def test_what_no_child_inherits(name: str) -> None:
    assert cleaned({name: "x"}) == {}


NEEDED = (
    "SOFTHSM2_CONF OPENSC_CONF OPENSC_DEBUG TPM2_PKCS11_TCTI TPM2_PKCS11_STORE YKCS11_DBG P11_KIT_SERVER_ADDRESS "
    "ChrystokiConfigurationPath CKNFAST_LOADSHARING AWS_SECRET_ACCESS_KEY LD_LIBRARY_PATH PYTHONPATH PATH HOME DISPLAY "
    "XDG_RUNTIME_DIR SMIME_AGENT_TOKEN PINENTRY_PROGRAM LISTEN_FDS NOTIFY_SOCKET PINNED SPIN"
)


@pytest.mark.parametrize("name", NEEDED.split())
def test_what_the_children_need(name: str) -> None:
    assert cleaned({name: "x"}) == {name: "x"}


def test_a_variable_that_is_asked_for_stays() -> None:
    assert cleaned({"CARD_PIN": "x", "OTHER_PIN": "y"}, keep={"CARD_PIN"}) == {"CARD_PIN": "x"}


@given(st.dictionaries(st.text(), st.text()))
def test_cleaning_only_takes_away(environment: dict[str, str]) -> None:
    assert cleaned(environment).items() <= environment.items()


def test_the_environment_itself_is_cleaned() -> None:
    assert run_hardened("print(json.dumps('MODULE_PIN' in os.environ))", MODULE_PIN=SECRET) is False


def test_names_of_what_was_removed_are_told_and_values_are_not() -> None:
    words = run_hardened("print(json.dumps(repr(hardening)))", MODULE_PIN=SECRET)
    assert "MODULE_PIN" in words
    assert SECRET not in words


CHILD = """
import os, time
from smime_agent.daemon.hardening import die_with_parent
die_with_parent({})
print(os.getpid(), flush=True)
time.sleep(60)
"""


def test_a_worker_ends_when_the_agent_is_killed() -> None:
    parent = "import os, subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    child = CHILD.format("os.getppid()")
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    command = [sys.executable, "-c", parent, child]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        process.kill()
        end = time.monotonic() + 5
        while time.monotonic() < end and is_running(worker):
            time.sleep(0.01)
        assert not is_running(worker)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_worker_whose_agent_has_ended_already_does_not_go_on() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD.format(2**22 + 1)],  # no process has that number
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": SOURCE},
    ) as process:
        _out, error = process.communicate(timeout=10)
    assert "the agent that started this process has ended" in error


@pytest.mark.parametrize("buffer", [bytearray(b"1234"), bytearray(), memoryview(bytearray(b"1234"))])
def test_a_wiped_buffer_holds_zeros_and_keeps_its_place(buffer: bytearray | memoryview) -> None:
    size = len(buffer)
    wipe(buffer)
    assert bytes(buffer) == bytes(size)


def test_a_buffer_can_be_locked_under_the_usual_limit() -> None:
    locked = run("""
        from smime_agent.daemon.hardening import lock_memory
        buffer = bytearray(b"1234")
        assert lock_memory(buffer)
        print(next(line for line in open("/proc/self/status") if line.startswith("VmLck")).split()[1])
        """)
    assert int(locked) in {4, 8, 16, 64}  # a page


def test_a_locked_buffer_can_still_change_its_size() -> None:
    buffer = bytearray(b"1234")
    lock_memory(buffer)
    buffer.clear()
    assert not buffer


def test_an_empty_buffer_needs_no_lock() -> None:
    assert lock_memory(bytearray())


def test_a_used_up_limit_is_told() -> None:
    told = run("""
        import resource
        from smime_agent.daemon.hardening import lock_memory
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
        print(lock_memory(bytearray(b"1234")))
        """)
    assert told.strip() == "False"
