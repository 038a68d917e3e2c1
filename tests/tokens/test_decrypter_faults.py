"""Unwrapping behind the faulty module: what is asked of the token, and what becomes of its answers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from smime_agent.algorithms import KeyType, KeyUsage
from tests.faulty import CKR, failure
from tests.support.softhsm import PIN

if TYPE_CHECKING:
    from tests.support.faulty import Faulty
    from tests.support.softhsm import SoftHsm, SoftToken

# What a process of a test begins with. `outcome` prints what a key was unwrapped to, or the error with its exit code.
PRELUDE = """
import os, signal, sys
from pathlib import Path
from smime_agent import der
from smime_agent.accepted import HashFunction
from smime_agent.algorithms import KeyKind
from smime_agent.errors import SmimeAgentError
from smime_agent.tokens.decrypter import TokenDecrypter
from smime_agent.tokens.objects import read_objects
from smime_agent.tokens.session import TokenSession
from smime_agent.tokens.token import Search
from tests.faulty import CKR, FaultScript, failure
from tests.support.softhsm import KnownPin
from tests.tokens.wrapping import CONTENT_KEY, agreed, block, oaep, pkcs1_v1_5, raw, rsa_public, transported

RANDOM = b"\\xee" * 32
prompter = KnownPin()

def outcome(made, wrapped):
    try:
        key = made.unwrap(wrapped).reveal()
        print({CONTENT_KEY: "key", RANDOM: "random"}.get(key, key))
    except SmimeAgentError as error:
        print(error.exit_code, type(error).__name__, error)

session = TokenSession(Search("beset", os.environ["FAULTY_SO"]).one(), prompter)
session.login("to decrypt")
keys = {key.algorithm.kind: key for key in read_objects(session).keys}
kinds = (KeyKind.RSA, KeyKind.EC)
rsa, ec = (TokenDecrypter(session, keys[kind], substitute=lambda _, size: RANDOM[:size]) for kind in kinds)
SHA1 = oaep(HashFunction.SHA1, HashFunction.SHA1)
right = transported(pkcs1_v1_5(rsa.key))
wrong = transported(raw(rsa.key, block(rsa.key, head=b"\\0\\1")))
curve = agreed(ec.key)
def right_oaep():
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding
    sha1 = hashes.SHA1()
    return transported(rsa_public(rsa.key).encrypt(CONTENT_KEY, padding.OAEP(padding.MGF1(sha1), sha1, None)), SHA1)
"""
CKM_RSA_X_509 = 0x03
#: A return value for all that can be wrong with a ciphertext: of modules that were seen, and of ones to come.
REFUSALS = [
    CKR.ENCRYPTED_DATA_INVALID,
    CKR.ENCRYPTED_DATA_LEN_RANGE,
    CKR.DATA_INVALID,
    CKR.DATA_LEN_RANGE,
    CKR.GENERAL_ERROR,
    CKR.FUNCTION_FAILED,
    CKR.DEVICE_ERROR,
    CKR.ARGUMENTS_BAD,
    CKR.VENDOR_DEFINED + 7,
]


@pytest.fixture(scope="module")
def bob(softhsm: SoftHsm) -> SoftToken:
    token = softhsm.new_token("beset")
    token.generate(KeyType.RSA_2048, KeyUsage.DECRYPT, "rsa")
    token.generate(KeyType.EC_P256, KeyUsage.DECRYPT, "ec")
    return token


def start(faulty: Faulty, code: str) -> subprocess.Popen[str]:
    environment = {**os.environ, **faulty.script.environment, "FAULTY_SO": str(faulty.module)}
    command = [sys.executable, "-W", "error", "-c", PRELUDE + code]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(faulty: Faulty, code: str) -> list[str]:
    """The lines that a process printed."""
    process = start(faulty, code)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "smime_agent" not in err  # python-pkcs11 grumbles in its destructors
    assert PIN not in out + err
    return out.splitlines()


def count(faulty: Faulty, *names: str) -> list[int]:
    calls = faulty.script.calls()
    return [calls.count(name) for name in names]


pytestmark = pytest.mark.usefixtures("bob")


@pytest.mark.parametrize("absent", [[], [CKM_RSA_X_509]], ids=["padding on the host", "padding on the token"])
def test_an_rsa_key_is_used_once_for_each_message(faulty: Faulty, absent: list[int]) -> None:
    faulty.script.write(no_mechanism=absent)
    assert run(faulty, "for one in (right, wrong, right_oaep()): outcome(rsa, one)") == ["key", "random", "key"]
    assert count(faulty, "C_DecryptInit", "C_Decrypt", "C_Login") == [3, 3, 1]


def test_a_key_on_a_curve_is_used_once_for_each_message_and_leaves_nothing(faulty: Faulty) -> None:
    assert run(faulty, "for _ in range(3): outcome(ec, curve)") == ["key"] * 3
    assert count(faulty, "C_DeriveKey", "C_DestroyObject", "C_Login") == [3, 3, 1]


@pytest.mark.parametrize("absent", [[], [CKM_RSA_X_509]], ids=["padding on the host", "padding on the token"])
@pytest.mark.parametrize("rv", REFUSALS)
def test_whatever_is_answered_to_a_ciphertext_is_a_random_key(faulty: Faulty, rv: int, absent: list[int]) -> None:
    faulty.script.write(fail=failure("C_Decrypt", rv, nth=1, times=1), stuck_operations=True, no_mechanism=absent)
    assert run(faulty, "outcome(rsa, right)\noutcome(rsa, right)") == ["random", "key"]
    assert count(faulty, "C_Decrypt", "C_Login") == [2, 1]


@pytest.mark.parametrize("rv", REFUSALS)
def test_with_oaep_it_is_an_error_and_always_the_same(faulty: Faulty, rv: int) -> None:
    faulty.script.write(fail=failure("C_Decrypt", rv, nth=1, times=1))
    assert run(faulty, "one = right_oaep()\noutcome(rsa, one)\noutcome(rsa, one)") == [
        "6 DecryptionError the content cannot be decrypted",
        "key",
    ]


@pytest.mark.parametrize("key", ["rsa, right", "rsa, right_oaep()", "ec, curve"])
@pytest.mark.parametrize(
    ("rv", "said"),
    [
        (CKR.DEVICE_REMOVED, "8 TokenRemovedError token 'beset' was removed"),
        (CKR.TOKEN_NOT_PRESENT, "8 TokenRemovedError token 'beset' was removed"),
        (CKR.SESSION_HANDLE_INVALID, "8 TokenRemovedError token 'beset' was removed"),
        (CKR.SESSION_COUNT, "8 TokenError token 'beset' allows no more sessions"),
        (CKR.HOST_MEMORY, "8 TokenError token 'beset' has no room left"),
        (CKR.USER_NOT_LOGGED_IN, "8 TokenError token 'beset' is no longer logged in"),
        (CKR.PIN_LOCKED, "9 PinLockedError the PIN of token 'beset' is locked"),
        (CKR.FUNCTION_CANCELED, "9 PinUnavailableError the PIN for token 'beset' was cancelled on its pad"),
        (CKR.KEY_FUNCTION_NOT_PERMITTED, "8 MechanismError token 'beset' cannot do this (FunctionNotSupported)"),
    ],
)
def test_what_has_nothing_to_do_with_the_message_is_said(faulty: Faulty, key: str, rv: CKR, said: str) -> None:
    function = "C_DeriveKey" if key.startswith("ec") else "C_Decrypt"
    faulty.script.write(fail=failure(function, rv, nth=1, times=1))
    assert run(faulty, f"outcome({key})\noutcome({key})") == [said, "key"]


@pytest.mark.parametrize("rv", [CKR.DEVICE_ERROR, CKR.GENERAL_ERROR, CKR.FUNCTION_FAILED])
def test_a_key_on_a_curve_that_fails_is_the_tokens_fault(faulty: Faulty, rv: CKR) -> None:
    faulty.script.write(fail=failure("C_DeriveKey", rv, nth=1, times=1))
    lines = run(faulty, "outcome(ec, curve)\noutcome(ec, curve)")
    assert lines[0].startswith("8 TokenError token 'beset' failed: ")
    assert lines[1:] == ["key"]
    assert count(faulty, "C_DeriveKey") == [2]


@pytest.mark.parametrize("rv", [CKR.DEVICE_ERROR, CKR.GENERAL_ERROR])
def test_a_failure_of_the_session_is_said(faulty: Faulty, rv: CKR) -> None:
    faulty.script.write(fail=failure("C_DecryptInit", rv))
    lines = run(faulty, "outcome(rsa, right)")
    assert lines[0].startswith("8 TokenError token 'beset' failed: ")
    assert count(faulty, "C_DecryptInit", "C_Decrypt") == [1, 0]


@pytest.mark.parametrize(
    ("function", "key"),
    [
        ("C_DecryptInit", "rsa, right"),
        ("C_Decrypt", "rsa, right"),
        ("C_Decrypt", "rsa, right_oaep()"),
        ("C_DeriveKey", "ec, curve"),
    ],
)
def test_a_token_that_is_pulled_out_is_said_to_be(faulty: Faulty, function: str, key: str) -> None:
    faulty.script.write(remove_at=function)
    assert run(faulty, f"outcome({key})") == ["8 TokenRemovedError token 'beset' was removed"]


def test_a_token_that_is_out_cannot_answer_for_its_key(faulty: Faulty) -> None:
    # ykcs11 says CKR_DEVICE_ERROR then, which in a token that is there would be a wrong padding.
    code = """
script = Path(os.environ["FAULTY_SCRIPT"])
lines = script.read_text()
init = session.token.module.functions.decrypt_init
def pull_out(*arguments):
    init(*arguments)
    script.write_text(lines + "removed = 1\\nfail = C_Decrypt:0x30\\n")
session.token.module.functions.decrypt_init = pull_out
outcome(rsa, right)
"""
    assert run(faulty, code) == ["8 TokenRemovedError token 'beset' was removed"]


@pytest.mark.slow
@pytest.mark.parametrize(("function", "key"), [("C_Decrypt", "rsa, right"), ("C_DeriveKey", "ec, curve")])
def test_a_token_that_waits_for_a_finger_is_told_of(faulty: Faulty, function: str, key: str) -> None:
    faulty.script.write(slow=f"{function}:1600")
    assert run(faulty, f"outcome({key})\nprint(prompter.touches)") == ["key", "[\"token 'beset'\"]"]
    assert count(faulty, function) == [1]


def test_a_token_that_hangs_can_be_interrupted(faulty: Faulty) -> None:
    faulty.script.write(hang="C_Decrypt")
    process = start(faulty, "signal.signal(signal.SIGINT, signal.SIG_DFL)\noutcome(rsa, right)")
    deadline = time.monotonic() + 30
    while "C_Decrypt" not in faulty.script.calls() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.terminate()
    process.communicate(timeout=10)
    assert "C_Decrypt" in faulty.script.calls()


# --- parameters that a token does not take -------------------------------------------------------------------------


@pytest.mark.parametrize("rv", [CKR.MECHANISM_PARAM_INVALID, CKR.ARGUMENTS_BAD, CKR.MECHANISM_INVALID])
def test_oaep_that_is_refused_before_the_key_is_used_is_taken_off_on_the_host(faulty: Faulty, rv: CKR) -> None:
    faulty.script.write(fail=failure("C_DecryptInit", rv, nth=1, times=1))
    assert run(faulty, "outcome(rsa, right_oaep())") == ["key"]
    assert count(faulty, "C_DecryptInit", "C_Decrypt") == [2, 1]


@pytest.mark.parametrize("rv", [CKR.MECHANISM_INVALID, CKR.KEY_FUNCTION_NOT_PERMITTED, CKR.KEY_TYPE_INCONSISTENT])
def test_raw_rsa_that_is_listed_and_not_had_is_done_without(faulty: Faulty, rv: CKR) -> None:
    faulty.script.write(fail=failure("C_DecryptInit", rv, nth=1, times=1))
    assert run(faulty, "outcome(rsa, right)") == ["key"]
    assert count(faulty, "C_DecryptInit", "C_Decrypt") == [2, 1]


@pytest.mark.parametrize("rv", [CKR.MECHANISM_PARAM_INVALID, CKR.ARGUMENTS_BAD, CKR.DOMAIN_PARAMS_INVALID])
def test_a_point_in_a_form_that_is_refused_is_given_in_the_other_one(faulty: Faulty, rv: CKR) -> None:
    faulty.script.write(fail=failure("C_DeriveKey", rv, nth=1, times=1))
    assert run(faulty, "outcome(ec, curve)") == ["key"]
    assert count(faulty, "C_DeriveKey") == [2]


def test_an_operation_that_another_failure_left_active_is_got_rid_of(faulty: Faulty) -> None:
    faulty.script.write(fail=failure("C_Decrypt", CKR.DATA_INVALID, nth=1, times=1), stuck_operations=True)
    assert run(faulty, "outcome(rsa, right)\noutcome(rsa, right)") == ["random", "key"]
    assert count(faulty, "C_DecryptInit", "C_Decrypt") == [3, 2]


# --- keys that want the PIN each time ------------------------------------------------------------------------------


def test_a_key_that_wants_the_pin_for_each_message_is_given_it(faulty: Faulty) -> None:
    faulty.script.write(always_authenticate="all")
    code = "for _ in range(3): outcome(rsa, right)\nprint([request.purpose for request in prompter.requests])"
    again = "this key wants the PIN for every message"
    assert run(faulty, code) == ["key"] * 3 + [str(["to decrypt", again, again])]
    assert count(faulty, "C_Login", "C_Decrypt") == [4, 3]


def test_a_wrong_pin_for_a_message_spends_one_try_and_uses_no_key(faulty: Faulty) -> None:
    faulty.script.write(always_authenticate="all", tries=3, context_pin="9999", stuck_operations=True)
    code = "outcome(rsa, right)\nprompter.answer = '9999'\noutcome(rsa, right)"
    assert run(faulty, code) == ["9 PinIncorrectError wrong PIN for token 'beset'", "key"]
    assert count(faulty, "C_Decrypt", "C_Login") == [1, 3]


def test_the_last_try_is_not_spent_on_a_message(faulty: Faulty) -> None:
    faulty.script.write(always_authenticate="all", tries=2, tries_max=2, context_pin="9999")
    lines = run(faulty, "outcome(rsa, right)\noutcome(rsa, right)")
    assert [line.split()[1] for line in lines] == ["PinIncorrectError", "PinLastTryError"]
    assert count(faulty, "C_Login", "C_Decrypt") == [2, 0]
    assert faulty.script.tries_left == 1


def test_a_pin_for_a_message_is_typed_on_the_pad(faulty: Faulty) -> None:
    faulty.script.write(always_authenticate="all", protected_path=True, pinpad_pin=PIN, context_pin=PIN)
    code = "outcome(rsa, right)\nprint(len(prompter.pads), len(prompter.requests))"
    assert run(faulty, code) == ["key", "2 0"]


def test_the_pins_are_wiped(faulty: Faulty) -> None:
    faulty.script.write(always_authenticate="all")
    code = """
pins = []
give = prompter.pin
prompter.pin = lambda request: pins.append(give(request)) or pins[-1]
for _ in range(2): outcome(rsa, right)
session.close()
print([any(pin.reveal()) for pin in pins])
"""
    assert run(faulty, code) == ["key", "key", "[False]"]
