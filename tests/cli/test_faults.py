"""``sign`` on tokens that misbehave: the exit code, one line of words and a hint, and nothing half done."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from tests.faulty import CKR, failure
from tests.support.mails import MAIL
from tests.support.softhsm import PIN
from tests.support.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.faulty import Faults
    from tests.support.faulty import Faulty
    from tests.support.program import Result
    from tests.support.softhsm import SoftHsm, SoftToken

WRONG = "wrong-pin-4711"
SIGN = ("sign", "--token", "alice", "--pin-source", "env:PIN")


@pytest.fixture(autouse=True)
def _token(alice: SoftToken) -> None:
    """The token is there, and the last PIN was right: SoftHSM remembers a wrong one."""
    alice.open().close()


def told(result: Result) -> list[str]:
    """What standard error says; it is never more than an error and a hint, and never Python's words."""
    lines = result.err.splitlines()
    assert lines[0].startswith("smime-agent: error: "), result.err
    assert len(lines) <= 2, result.err
    assert all(line.startswith("hint: ") for line in lines[1:]), result.err
    assert not re.search(r"Traceback|Exception|Fatal Python|\.py\b|<[a-z_]+ ", result.err), result.err
    assert PIN not in result.err
    assert WRONG not in result.err
    return [lines[0].removeprefix("smime-agent: error: "), *(line.removeprefix("hint: ") for line in lines[1:])]


def nothing_written(folder: Path) -> bool:
    """Not even a piece under another name."""
    return [path for path in folder.iterdir() if not path.name.startswith("faults")] == []


# --- the PIN ---


def test_a_wrong_pin_is_tried_once(faulty: Faulty, tmp_path: Path) -> None:
    result = faulty.run(*SIGN, "-o", tmp_path / "out.eml", stdin=MAIL, env={"PIN": WRONG})
    assert (result.code, result.out) == (9, b"")
    assert told(result) == [
        "wrong PIN for token 'alice'",
        "fewer tries are left",
    ]
    assert faulty.logins() == 1
    assert nothing_written(tmp_path)


@pytest.mark.parametrize(
    ("tries", "words", "hint"),
    [
        (3, "wrong PIN for token 'alice'", "fewer tries are left"),
        (2, "wrong PIN for token 'alice'", "one try is left; it will not be spent without --use-last-pin-try"),
    ],
)
def test_the_tries_left_are_told(faulty: Faulty, tries: int, words: str, hint: str) -> None:
    faulty.script.write(tries=tries)
    result = faulty.run(*SIGN, stdin=MAIL, env={"PIN": WRONG})
    assert (result.code, told(result)) == (9, [words, hint])
    assert faulty.script.tries_left == tries - 1
    assert faulty.logins() == 1


def test_the_last_try_is_not_spent(faulty: Faulty) -> None:
    faulty.script.write(tries=1)
    result = faulty.run(*SIGN, stdin=MAIL)
    assert result.code == 9
    assert told(result) == [
        "token 'alice' has one PIN try left, and it was not spent",
        "if you are sure of the PIN, repeat the command with --use-last-pin-try",
    ]
    assert faulty.logins() == 0
    assert faulty.script.tries_left == 1


def test_the_last_try_is_spent_on_demand(faulty: Faulty) -> None:
    faulty.script.write(tries=1)
    result = faulty.run(*SIGN, "--use-last-pin-try", stdin=MAIL)
    assert (result.code, result.err) == (0, "")
    assert faulty.script.tries_left == 3


def test_the_last_try_that_is_wrong_locks(faulty: Faulty) -> None:
    faulty.script.write(tries=1)
    result = faulty.run(*SIGN, "--use-last-pin-try", stdin=MAIL, env={"PIN": WRONG})
    assert result.code == 9
    assert told(result) == [
        "wrong PIN for token 'alice', which is locked now",
        "it must be unblocked with the PUK or SO PIN",
    ]
    assert faulty.logins() == 1


def test_a_locked_pin_is_not_tried(faulty: Faulty) -> None:
    faulty.script.write(tries=0)
    for arguments in (SIGN, (*SIGN, "--use-last-pin-try")):
        result = faulty.run(*arguments, stdin=MAIL)
        assert result.code == 9
        assert told(result) == ["the PIN of token 'alice' is locked", "it must be unblocked with the PUK or SO PIN"]
    assert faulty.logins() == 0


def test_a_pin_that_was_locked_meanwhile_is_told(faulty: Faulty) -> None:
    faulty.script.write(fail=failure("C_Login", CKR.PIN_LOCKED))
    result = faulty.run(*SIGN, stdin=MAIL)
    assert (result.code, told(result)[0]) == (9, "the PIN of token 'alice' is locked")


def test_a_token_without_a_pin_is_told(softhsm: SoftHsm, faulty: Faulty) -> None:
    softhsm.new_token("unset", user_pin=False)
    result = faulty.run("sign", "--token", "unset", "--pin-source", "env:PIN", stdin=MAIL)
    assert result.code == 9
    assert told(result) == ["token 'unset' has no user PIN yet", "'smime-agent token pin' sets it"]
    assert faulty.logins() == 0


def test_a_pin_that_expired_is_told(faulty: Faulty) -> None:
    faulty.script.write(fail=failure("C_Login", CKR.PIN_EXPIRED))
    result = faulty.run(*SIGN, stdin=MAIL)
    assert (result.code, told(result)[0]) == (9, "the PIN of token 'alice' has expired")


def test_nobody_to_ask_is_told(faulty: Faulty) -> None:
    result = faulty.run("sign", "--token", "alice", stdin=MAIL)
    assert result.code == 9
    assert told(result) == [
        "there is no terminal to ask for the PIN on",
        "use --pin-source env:NAME, file:PATH or fd:N",
    ]
    assert faulty.logins() == 0


@pytest.mark.parametrize("pin", ["", "x" * 257])
def test_a_source_without_a_pin_costs_no_try(faulty: Faulty, pin: str) -> None:
    result = faulty.run(*SIGN, stdin=MAIL, env={"PIN": pin})
    assert result.code == 9
    assert told(result)[0].startswith("the PIN source env:PIN ")
    assert faulty.logins() == 0


# --- a key that wants the PIN for every signature ---


def test_one_pin_does_for_the_login_and_the_first_signature(faulty: Faulty) -> None:
    faulty.script.write(always_authenticate="all", tries=3)
    with Terminal(
        "sign", "--token", "alice", stdin=MAIL, env=faulty.script.environment, module=str(faulty.module)
    ) as terminal:
        terminal.expect("PIN for token 'alice'")
        terminal.type(PIN)
        code, out = terminal.end()
    assert (code, terminal.screen.count("PIN for")) == (0, 1)
    assert b"multipart/signed" in out
    assert faulty.logins() == 2


def test_a_source_is_asked_again_for_every_signature(faulty: Faulty, tmp_path: Path) -> None:
    faulty.script.write(always_authenticate="all")
    mails = []
    for number in range(3):
        mails.append(tmp_path / f"faults-{number}.eml")
        mails[-1].write_bytes(MAIL)
    result = faulty.run(*SIGN, *mails, "--output-dir", tmp_path / "faults-out")
    assert (result.code, result.err) == (0, "")
    assert len(list((tmp_path / "faults-out").iterdir())) == 3
    assert faulty.logins() == 4


def test_a_wrong_pin_for_a_signature_is_tried_once(faulty: Faulty, tmp_path: Path) -> None:
    faulty.script.write(always_authenticate="all", context_pin="9999", tries=3)
    result = faulty.run(*SIGN, "-o", tmp_path / "out.eml", stdin=MAIL)
    assert result.code == 9
    assert told(result) == ["wrong PIN for token 'alice'", "fewer tries are left"]
    assert faulty.script.tries_left == 2
    assert faulty.logins() == 2
    assert nothing_written(tmp_path)


def test_several_mails_do_not_spend_a_try_each(faulty: Faulty, tmp_path: Path) -> None:
    faulty.script.write(always_authenticate="all", context_pin="9999", tries=3)
    mails = []
    for number in range(3):
        mails.append(tmp_path / f"faults-{number}.eml")
        mails[-1].write_bytes(MAIL)
    result = faulty.run(*SIGN, *mails, "--output-dir", tmp_path / "faults-out")
    assert result.code == 9
    assert faulty.script.tries_left == 2
    assert list((tmp_path / "faults-out").iterdir()) == []


# --- a pin pad ---


def test_a_pin_is_typed_on_the_pad(faulty: Faulty) -> None:
    faulty.script.write(protected_path=True, pinpad_pin=PIN)
    result = faulty.run("sign", "--token", "alice", stdin=MAIL)
    assert result.code == 0
    assert result.err.splitlines()[0] == "token 'alice': type the PIN on its pad"
    assert faulty.logins() == 1


def test_a_wrong_pin_on_the_pad_is_tried_once(faulty: Faulty) -> None:
    faulty.script.write(protected_path=True, pinpad_pin="0000", tries=3)
    result = faulty.run("sign", "--token", "alice", stdin=MAIL)
    assert result.code == 9
    assert "smime-agent: error: wrong PIN for token 'alice'" in result.err
    assert faulty.logins() == 1


def test_a_pad_that_is_cancelled_is_exit_9(faulty: Faulty) -> None:
    faulty.script.write(protected_path=True)
    result = faulty.run("sign", "--token", "alice", stdin=MAIL)
    assert result.code == 9
    assert "smime-agent: error: the PIN for token 'alice' was cancelled on its pad\n" in result.err


@pytest.mark.parametrize(("tries", "words"), [(0, "is locked"), (1, "one PIN try left")])
def test_the_pad_is_not_asked_where_a_try_would_be_lost(faulty: Faulty, tries: int, words: str) -> None:
    faulty.script.write(protected_path=True, pinpad_pin=PIN, tries=tries)
    result = faulty.run("sign", "--token", "alice", stdin=MAIL)
    assert result.code == 9
    assert words in told(result)[0]
    assert faulty.logins() == 0


# --- the token ---


def test_a_token_that_is_absent_is_exit_8(faulty: Faulty) -> None:
    result = faulty.run("sign", "--token", "nobody", "--pin-source", "env:PIN", stdin=MAIL)
    assert result.code == 8
    assert told(result)[0] == "no token 'nobody' is plugged in"
    faulty.script.write(removed=True)
    result = faulty.run(*SIGN, stdin=MAIL)
    assert result.code == 8
    assert told(result)[0] == "no token 'alice' is plugged in"


@pytest.mark.parametrize(
    "where",
    [
        "C_OpenSession:1", "C_OpenSession:2", "C_Login:1", "C_FindObjectsInit:1", "C_FindObjects:1",
        "C_GetAttributeValue:3", "C_GetMechanismList:1", "C_FindObjectsInit:4", "C_SignInit:1", "C_Sign:1", "C_Sign:2",
    ],
)  # fmt: skip
def test_a_token_that_is_removed_is_exit_8(faulty: Faulty, tmp_path: Path, where: str) -> None:
    faulty.script.write(remove_at=where)
    result = faulty.run(*SIGN, "-o", tmp_path / "out.eml", stdin=MAIL)
    assert (result.code, result.out) == (8, b"")
    assert told(result) == ["token 'alice' was removed", "plug it in again and repeat the command"]
    assert nothing_written(tmp_path)


@pytest.mark.parametrize(
    ("function", "rv", "words"),
    [
        ("C_Sign", CKR.DEVICE_ERROR, "token 'alice' failed: DeviceError"),
        ("C_SignInit", CKR.GENERAL_ERROR, "token 'alice' failed: GeneralError"),
        ("C_Sign", CKR.KEY_FUNCTION_NOT_PERMITTED, "token 'alice' failed: PKCS11Error (Unmapped error code 0x68)"),
        ("C_Sign", 0x80000001, "token 'alice' failed: PKCS11Error (Unmapped error code 0x80000001)"),
        ("C_Sign", CKR.USER_NOT_LOGGED_IN, "token 'alice' is no longer logged in"),
        ("C_SignInit", CKR.MECHANISM_INVALID, "token 'alice' cannot do this (MechanismInvalid)"),
        ("C_OpenSession", CKR.SESSION_COUNT, "token 'alice' allows no more sessions"),
        ("C_Login", CKR.DEVICE_ERROR, "token 'alice' failed: DeviceError"),
        ("C_FindObjectsInit", CKR.DEVICE_ERROR, "token 'alice' failed: DeviceError"),
        ("C_FindObjects", CKR.DEVICE_ERROR, "token 'alice' failed: DeviceError"),
        ("C_GetAttributeValue", CKR.DEVICE_ERROR, "token 'alice' failed: DeviceError"),
        ("C_GetMechanismList", CKR.DEVICE_ERROR, "token 'alice' failed: DeviceError"),
        ("C_GetSlotList", CKR.DEVICE_ERROR, "the module {module} failed: DeviceError"),
        ("C_GetTokenInfo", CKR.DEVICE_ERROR, "no token 'alice' is plugged in"),
        ("C_Initialize", CKR.DEVICE_ERROR, "the PKCS#11 module {module} does not start: DeviceError"),
        ("C_GetInfo", CKR.DEVICE_ERROR, "the PKCS#11 module {module} does not start: DeviceError"),
        ("C_GetFunctionList", CKR.DEVICE_ERROR, "the PKCS#11 module {module} does not start: DeviceError"),
    ],
)
def test_an_error_of_the_token_is_exit_8(faulty: Faulty, tmp_path: Path, function: str, rv: int, words: str) -> None:
    faulty.script.write(fail=failure(function, rv))
    result = faulty.run(*SIGN, "-o", tmp_path / "out.eml", stdin=MAIL)
    assert (result.code, result.out) == (8, b"")
    assert told(result)[0] == words.format(module=faulty.module)
    assert nothing_written(tmp_path)


@pytest.mark.parametrize("function", ["C_Logout", "C_CloseSession"])
def test_a_farewell_that_fails_does_not_matter(faulty: Faulty, function: str) -> None:
    faulty.script.write(fail=failure(function, CKR.DEVICE_ERROR))
    result = faulty.run(*SIGN, stdin=MAIL)
    assert (result.code, result.err) == (0, "")


def test_a_mechanism_that_is_not_there_is_named(faulty: Faulty) -> None:
    faulty.script.write(no_mechanism=0x1041)
    result = faulty.run(*SIGN, stdin=MAIL)
    assert result.code == 8
    assert told(result)[0] == "the token cannot make a signature of ECDSA with SHA-256: it lists no CKM_ECDSA"
    assert "C_SignInit" not in faulty.script.calls()


# --- time ---


def test_a_slow_token_is_told_once(faulty: Faulty) -> None:
    faulty.script.write(slow="C_SignInit:2600")
    result = faulty.run(*SIGN, stdin=MAIL)
    assert (result.code, result.err) == (0, "token 'alice' waits: touch the token if it blinks\n")


def test_a_quick_token_is_silent(faulty: Faulty) -> None:
    result = faulty.run(*SIGN, stdin=MAIL)
    assert (result.code, result.err) == (0, "")


@contextmanager
def started(faulty: Faulty, *arguments: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """A run in a process group of its own, of which nothing is left in the end."""
    variables = {**os.environ, **faulty.script.environment, "SMIME_AGENT_MODULE": str(faulty.module), "PIN": PIN}
    process = subprocess.Popen(
        [sys.executable, "-m", "smime_agent", *map(str, arguments)],
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def wait_for_call(faulty: Faulty, function: str) -> None:
    deadline = time.monotonic() + 20
    while function not in faulty.script.calls():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("where", ["C_Sign", "C_Initialize", "C_Login"])
def test_a_token_that_hangs_can_be_interrupted(faulty: Faulty, tmp_path: Path, where: str) -> None:
    faulty.script.write(hang=where)
    (tmp_path / "faults.eml").write_bytes(MAIL)
    with started(faulty, *SIGN, tmp_path / "faults.eml", "-o", tmp_path / "out.eml") as process:
        wait_for_call(faulty, where)
        began = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)  # as the terminal does
        _, err = process.communicate(timeout=20)
        assert time.monotonic() - began < 4
    assert process.returncode == 130
    assert err.decode().splitlines()[-1] == "smime-agent: error: interrupted; the token did not answer"
    assert nothing_written(tmp_path)


def test_ctrl_c_at_the_prompt_ends_at_once(faulty: Faulty) -> None:
    with Terminal(
        "sign", "--token", "alice", stdin=MAIL, env=faulty.script.environment, module=str(faulty.module)
    ) as terminal:
        terminal.expect("PIN for token 'alice'")
        terminal.interrupt()
        code, out = terminal.end()
    assert (code, out) == (130, b"")
    assert terminal.screen.splitlines()[-1] == "smime-agent: error: interrupted"
    assert faulty.logins() == 0


def test_a_command_that_is_terminated_ends(faulty: Faulty, tmp_path: Path) -> None:
    faulty.script.write(slow="C_SignInit:1500")
    (tmp_path / "faults.eml").write_bytes(MAIL)
    with started(faulty, *SIGN, tmp_path / "faults.eml", "-o", tmp_path / "out.eml") as process:
        wait_for_call(faulty, "C_SignInit")
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode in (130, 143)
    assert nothing_written(tmp_path)


# --- a module that crashes ---

CRASHES = [
    "load",
    "C_GetFunctionList",
    "C_Initialize",
    "C_GetSlotList",
    "C_OpenSession",
    "C_Login",
    "C_SignInit",
    "C_Sign",
]


@pytest.mark.parametrize("where", CRASHES)
def test_a_module_that_crashes_is_named(faulty: Faulty, tmp_path: Path, where: str) -> None:
    faulty.script.write(crash=where)
    result = faulty.run(*SIGN, "-o", tmp_path / "out.eml", stdin=MAIL)
    assert (result.code, result.out) == (8, b"")
    assert told(result)[0] == f"the PKCS#11 module {faulty.module} crashed (SIGSEGV)"
    assert nothing_written(tmp_path)


def test_a_crash_at_the_end_does_not_take_the_result_back(faulty: Faulty) -> None:
    faulty.script.write(crash="C_Finalize")
    result = faulty.run(*SIGN, stdin=MAIL)
    assert (result.code, result.err) == (0, "")


@pytest.mark.parametrize(
    "command",
    [
        ["token", "list"],
        ["token", "info", "--token", "alice"],
        ["key", "list", "--token", "alice"],
        ["cert", "list", "--token", "alice"],
        ["cert", "show", "--token", "alice"],
        ["cert", "export", "--token", "alice"],
        ["key", "generate", "--token", "alice", "--pin-source", "env:PIN"],
        ["cert", "request", "--token", "alice", "--pin-source", "env:PIN", "--key", "01", "--address", "a@b.example"],
    ],
)
def test_every_command_survives_a_crash(faulty: Faulty, command: list[str]) -> None:
    faulty.script.write(crash="C_GetTokenInfo")
    result = faulty.run(*command)
    assert (result.code, result.out) == (8, b"")
    assert "crashed (SIGSEGV)" in told(result)[0]


FAULTS_OF_EVERY_COMMAND: list[Faults] = [
    {"removed": True},
    {"fail": failure("C_OpenSession", CKR.DEVICE_ERROR)},
    {"fail": failure("C_FindObjectsInit", CKR.DEVICE_ERROR)},
]


@pytest.mark.parametrize("faults", FAULTS_OF_EVERY_COMMAND, ids=str)
@pytest.mark.parametrize("command", [["key", "list"], ["cert", "list"], ["cert", "export"]], ids=" ".join)
def test_every_command_tells_of_the_tokens_errors(faulty: Faulty, command: list[str], faults: Faults) -> None:
    faulty.script.write(**faults)
    result = faulty.run(*command, "--token", "alice")
    assert (result.code, result.out) == (8, b"")
    told(result)
