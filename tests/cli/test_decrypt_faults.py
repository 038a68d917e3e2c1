"""``decrypt`` on tokens that misbehave: the exit code, one line of words and a hint, one use of a key, no output."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from smime_agent.algorithms import KeyType, KeyUsage
from smime_agent.tokens.objects import read_objects
from tests.faulty import CKR, failure
from tests.support.ca import Wanted
from tests.support.envelopes import ENTITY, enveloped
from tests.support.softhsm import PIN

if TYPE_CHECKING:
    from pathlib import Path

    from smime_agent.x509 import Certificate
    from tests.support.ca import Authority
    from tests.support.faulty import Faulty
    from tests.support.program import Result
    from tests.support.softhsm import SoftHsm, SoftToken

WRONG = "wrong-pin-4711"
RSA, CURVE = "decrypts rsa", "decrypts ec"
#: The calls that use a private key.
USES = ("C_Decrypt", "C_DeriveKey")
CKM_RSA_X_509 = 0x03


@dataclass(frozen=True)
class Holder:
    """A token with one key, and the key's certificate."""

    token: SoftToken
    certificate: Certificate


def holder(softhsm: SoftHsm, authority: Authority, label: str, key_type: KeyType) -> Holder:
    token = softhsm.new_token(label)
    wanted = Wanted(("bob@example.org",), label, key_encipherment=True, key_agreement=key_type is not KeyType.RSA_2048)
    token.enrol(authority, key_type, wanted, KeyUsage.DECRYPT)
    with token.session() as session:
        return Holder(token, read_objects(session).certificates[0].certificate)


@pytest.fixture(scope="module")
def rsa(softhsm: SoftHsm, issuing_ca: Authority) -> Holder:
    return holder(softhsm, issuing_ca, RSA, KeyType.RSA_2048)


@pytest.fixture(scope="module")
def curve(softhsm: SoftHsm, issuing_ca: Authority) -> Holder:
    return holder(softhsm, issuing_ca, CURVE, KeyType.EC_P256)


@pytest.fixture(autouse=True)
def _the_last_pin_was_right(rsa: Holder, curve: Holder) -> None:
    """SoftHSM remembers a wrong one."""
    rsa.token.open().close()
    curve.token.open().close()


def decrypt(
    faulty: Faulty, tmp_path: Path, whose: Holder, *options: str, pin: str = PIN, message: bytes | None = None
) -> Result:
    """Into a file of a folder that has nothing else."""
    (tmp_path / "out").mkdir(exist_ok=True)
    arguments = ("decrypt", "--token", whose.token.label, "--pin-source", "env:PIN", *options)
    octets = enveloped(whose.certificate) if message is None else message
    return faulty.run(*arguments, "-o", tmp_path / "out" / "mail.eml", stdin=octets, env={"PIN": pin})


def failed(result: Result, tmp_path: Path) -> tuple[int, str, str]:
    """The exit code, the error and the hint; nothing else is said but whom the message is for, and nothing written."""
    first, *between, last = result.err.splitlines()
    assert first.startswith("smime-agent: error: "), result.err
    assert last.startswith("hint: "), result.err
    assert all(line.startswith("  it is for CN=decrypts ") for line in between), result.err
    assert not re.search(r"Traceback|Exception|\.py\b", result.err), result.err
    assert PIN not in result.err
    assert WRONG not in result.err
    assert (result.out, list((tmp_path / "out").iterdir())) == (b"", [])
    return result.code, first.removeprefix("smime-agent: error: "), last.removeprefix("hint: ")


def uses(faulty: Faulty) -> int:
    """How often a private key was used."""
    return sum(call in USES for call in faulty.script.calls())


# --- all is well -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("absent", [[], [CKM_RSA_X_509]], ids=["padding on the host", "padding on the token"])
def test_a_message_costs_one_use_of_an_rsa_key_and_one_login(
    faulty: Faulty, tmp_path: Path, rsa: Holder, absent: list[int]
) -> None:
    faulty.script.write(no_mechanism=absent)
    assert decrypt(faulty, tmp_path, rsa).code == 0
    assert (tmp_path / "out" / "mail.eml").read_bytes() == ENTITY
    assert (uses(faulty), faulty.logins()) == (1, 1)


def test_a_message_costs_one_use_of_a_key_on_a_curve_and_one_login(
    faulty: Faulty, tmp_path: Path, curve: Holder
) -> None:
    assert decrypt(faulty, tmp_path, curve).code == 0
    assert (uses(faulty), faulty.logins()) == (1, 1)


def test_many_messages_cost_one_use_each_and_one_login(faulty: Faulty, tmp_path: Path, rsa: Holder) -> None:
    (tmp_path / "in").mkdir()
    for number in range(4):
        (tmp_path / "in" / f"{number}.p7m").write_bytes(enveloped(rsa.certificate))
    result = faulty.run("decrypt", "--pin-source", "env:PIN", tmp_path / "in", "--output-dir", tmp_path / "out")
    assert (result.code, len(list((tmp_path / "out").iterdir()))) == (0, 4)
    assert (uses(faulty), faulty.logins()) == (4, 1)


def test_a_message_that_was_changed_costs_no_second_use(faulty: Faulty, tmp_path: Path, rsa: Holder) -> None:
    message = bytearray(enveloped(rsa.certificate))
    message[-1] ^= 1
    code, told, _ = failed(decrypt(faulty, tmp_path, rsa, message=bytes(message)), tmp_path)
    assert (code, told) == (6, "the content cannot be decrypted")
    assert uses(faulty) == 1


def test_a_message_for_nobody_here_costs_neither_use_nor_login(
    faulty: Faulty, tmp_path: Path, rsa: Holder, curve: Holder
) -> None:
    code, told, _ = failed(decrypt(faulty, tmp_path, rsa, message=enveloped(curve.certificate)), tmp_path)
    assert (code, told) == (7, f"no key on token '{RSA}' opens this message")
    assert (uses(faulty), faulty.logins()) == (0, 0)


# --- the token -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key_type", ["rsa", "curve"])
@pytest.mark.parametrize(
    "where", ["C_OpenSession:1", "C_Login:1", "C_FindObjectsInit:2", "C_GetMechanismList:1", "the use of the key"]
)
def test_a_token_that_is_removed_is_exit_8(
    faulty: Faulty, tmp_path: Path, request: pytest.FixtureRequest, key_type: str, where: str
) -> None:
    whose: Holder = request.getfixturevalue(key_type)
    use = "C_Decrypt" if key_type == "rsa" else "C_DeriveKey"
    faulty.script.write(remove_at=use if where == "the use of the key" else where)
    assert failed(decrypt(faulty, tmp_path, whose), tmp_path) == (
        8,
        f"token '{whose.token.label}' was removed",
        "plug it in again and repeat the command",
    )
    assert uses(faulty) <= 1


@pytest.mark.parametrize(
    ("function", "rv", "code", "told", "hint"),
    [
        ("C_OpenSession", CKR.SESSION_COUNT, 8, "allows no more sessions", "close other programs that use it"),
        ("C_Decrypt", CKR.SESSION_COUNT, 8, "allows no more sessions", "close other programs that use it"),
        ("C_DecryptInit", CKR.GENERAL_ERROR, 8, "failed: GeneralError", "'smime-agent doctor' shows"),
        ("C_Decrypt", CKR.HOST_MEMORY, 8, "has no room left", "delete objects"),
        ("C_Decrypt", CKR.USER_NOT_LOGGED_IN, 8, "is no longer logged in", "it was reset by another program"),
        ("C_Login", CKR.PIN_LOCKED, 9, "is locked", "it must be unblocked with the PUK or SO PIN"),
        ("C_Login", CKR.DEVICE_ERROR, 8, "failed: DeviceError", "'smime-agent doctor' shows"),
    ],
)
def test_an_error_of_a_token_with_an_rsa_key_is_said(  # noqa: PLR0913, PLR0917 - what fails, and what is said
    faulty: Faulty, tmp_path: Path, rsa: Holder, function: str, rv: CKR, code: int, told: str, hint: str
) -> None:
    faulty.script.write(fail=failure(function, rv))
    found = failed(decrypt(faulty, tmp_path, rsa), tmp_path)
    assert found[0] == code
    assert f"token '{RSA}'" in found[1]
    assert found[1].endswith(told)
    assert found[2].startswith(hint)
    assert uses(faulty) <= 1


@pytest.mark.parametrize("rv", [CKR.GENERAL_ERROR, CKR.DEVICE_ERROR, CKR.FUNCTION_FAILED])
def test_what_may_be_a_wrong_padding_is_never_called_an_error_of_the_token(
    faulty: Faulty, tmp_path: Path, rsa: Holder, rv: CKR
) -> None:
    faulty.script.write(fail=failure("C_Decrypt", rv))
    assert failed(decrypt(faulty, tmp_path, rsa), tmp_path)[:2] == (6, "the content cannot be decrypted")
    assert uses(faulty) == 1


@pytest.mark.parametrize("rv", [CKR.GENERAL_ERROR, CKR.DEVICE_ERROR])
def test_a_key_on_a_curve_that_fails_is_the_tokens_fault(
    faulty: Faulty, tmp_path: Path, curve: Holder, rv: CKR
) -> None:
    faulty.script.write(fail=failure("C_DeriveKey", rv))
    code, told, _ = failed(decrypt(faulty, tmp_path, curve), tmp_path)
    assert (code, told.split(": ")[0]) == (8, f"token '{CURVE}' failed")
    assert uses(faulty) == 1


def test_a_token_that_fails_at_one_of_many_is_not_troubled_with_the_rest(
    faulty: Faulty, tmp_path: Path, curve: Holder
) -> None:
    faulty.script.write(fail=failure("C_DeriveKey", CKR.DEVICE_ERROR, nth=2))
    (tmp_path / "in").mkdir()
    for number in range(4):
        (tmp_path / "in" / f"{number}.p7m").write_bytes(enveloped(curve.certificate))
    result = faulty.run("decrypt", "--pin-source", "env:PIN", tmp_path / "in", "--output-dir", tmp_path / "out")
    assert (result.code, [path.name for path in (tmp_path / "out").iterdir()]) == (8, ["0.p7m"])
    assert result.err.count("not tried: ") == 2
    assert uses(faulty) <= 3  # a session from before may have died, and is made anew once


# --- the PIN ---------------------------------------------------------------------------------------------------------


def test_a_wrong_pin_is_tried_once(faulty: Faulty, tmp_path: Path, rsa: Holder) -> None:
    faulty.script.write(tries=3)
    result = decrypt(faulty, tmp_path, rsa, pin=WRONG)
    assert failed(result, tmp_path) == (9, f"wrong PIN for token '{RSA}'", "fewer tries are left")
    assert (faulty.logins(), faulty.script.tries_left, uses(faulty)) == (1, 2, 0)


def test_a_wrong_pin_is_tried_once_for_many_messages(faulty: Faulty, tmp_path: Path, rsa: Holder) -> None:
    faulty.script.write(tries=3)
    (tmp_path / "in").mkdir()
    for number in range(3):
        (tmp_path / "in" / f"{number}.p7m").write_bytes(enveloped(rsa.certificate))
    arguments = ("decrypt", "--pin-source", "env:PIN", tmp_path / "in", "--output-dir", tmp_path / "out")
    result = faulty.run(*arguments, env={"PIN": WRONG})
    assert (result.code, list((tmp_path / "out").iterdir())) == (9, [])
    assert (faulty.logins(), faulty.script.tries_left) == (1, 2)


def in_workers(faulty: Faulty, tmp_path: Path, whose: Holder, *, pin: str) -> Result:
    """Three messages in two processes."""
    (tmp_path / "in").mkdir()
    for number in range(3):
        (tmp_path / "in" / f"{number}.p7m").write_bytes(enveloped(whose.certificate))
    places = (tmp_path / "in", "--output-dir", tmp_path / "out")
    options = ("--token", whose.token.label, "--pin-source", "env:PIN", "--workers", "2")
    return faulty.run("decrypt", *options, *places, env={"PIN": pin})


def test_a_wrong_pin_is_tried_once_whoever_would_work_with_it(faulty: Faulty, tmp_path: Path, rsa: Holder) -> None:
    faulty.script.write(tries=3)
    assert in_workers(faulty, tmp_path, rsa, pin=WRONG).code == 9
    assert (faulty.logins(), faulty.script.tries_left) == (1, 2)


def test_workers_log_in_once_each_and_use_the_key_once_for_a_message(
    faulty: Faulty, tmp_path: Path, rsa: Holder
) -> None:
    faulty.script.write(tries=3)
    assert in_workers(faulty, tmp_path, rsa, pin=PIN).code == 0
    assert (faulty.logins(), uses(faulty), faulty.script.tries_left) == (3, 3, 3)


@pytest.mark.parametrize("named", [True, False])
def test_the_last_try_is_not_spent_unasked(faulty: Faulty, tmp_path: Path, rsa: Holder, named: bool) -> None:  # noqa: FBT001 - a parameter
    faulty.script.write(tries=1)
    (tmp_path / "out").mkdir()
    token = ("--token", RSA) if named else ()
    arguments = ("decrypt", *token, "--pin-source", "env:PIN", "-o", tmp_path / "out" / "mail.eml")
    assert failed(faulty.run(*arguments, stdin=enveloped(rsa.certificate)), tmp_path) == (
        9,
        f"token '{RSA}' has one PIN try left, and it was not spent",
        "if you are sure of the PIN, repeat the command with --use-last-pin-try",
    )
    assert (faulty.logins(), faulty.script.tries_left) == (0, 1)


def test_the_last_try_is_spent_on_demand(faulty: Faulty, tmp_path: Path, rsa: Holder) -> None:
    faulty.script.write(tries=1)
    assert decrypt(faulty, tmp_path, rsa, "--use-last-pin-try").code == 0
    assert (faulty.logins(), faulty.script.tries_left) == (1, 3)


def test_a_locked_pin_is_not_tried(faulty: Faulty, tmp_path: Path, rsa: Holder) -> None:
    faulty.script.write(tries=0)
    found = failed(decrypt(faulty, tmp_path, rsa, "--use-last-pin-try"), tmp_path)
    assert found == (9, f"the PIN of token '{RSA}' is locked", "it must be unblocked with the PUK or SO PIN")
    assert faulty.logins() == 0


# --- time ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_slow_token_is_told_once_and_used_once(faulty: Faulty, tmp_path: Path, rsa: Holder) -> None:
    faulty.script.write(slow="C_Decrypt:1700")
    result = decrypt(faulty, tmp_path, rsa)
    assert (result.code, uses(faulty)) == (0, 1)
    assert result.err.startswith(f"token '{RSA}' waits: touch the token if it blinks\ndecrypted")
    assert result.err.count("touch the token") == 1


def test_a_token_that_hangs_can_be_interrupted(faulty: Faulty, tmp_path: Path, rsa: Holder) -> None:
    faulty.script.write(hang="C_Decrypt")
    (tmp_path / "mail.p7m").write_bytes(enveloped(rsa.certificate))
    (tmp_path / "out").mkdir()
    environment = {"SMIME_AGENT_MODULE": str(faulty.module), "PIN": PIN, **faulty.script.environment}
    words = ["decrypt", "--pin-source", "env:PIN", tmp_path / "mail.p7m", "-o", tmp_path / "out" / "mail.eml"]
    process = subprocess.Popen(
        [sys.executable, "-m", "smime_agent", *map(str, words)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    with process:
        try:
            deadline = time.monotonic() + 20
            while not uses(faulty) and time.monotonic() < deadline:
                time.sleep(0.02)
            os.killpg(process.pid, signal.SIGINT)  # as the terminal does
            _, err = process.communicate(timeout=20)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "smime-agent: error: interrupted; the token did not answer"
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("where", ["C_Login", "C_DecryptInit", "C_Decrypt"])
def test_a_module_that_crashes_is_named(faulty: Faulty, tmp_path: Path, rsa: Holder, where: str) -> None:
    faulty.script.write(crash=where)
    code, told, _ = failed(decrypt(faulty, tmp_path, rsa), tmp_path)
    assert (code, told) == (8, f"the PKCS#11 module {faulty.module} crashed (SIGSEGV)")
