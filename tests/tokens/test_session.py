"""Logins and failures behind the faulty module, through the library, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.faulty import CKR, failure
from tests.support.softhsm import PIN

if TYPE_CHECKING:
    from tests.support.faulty import Faulty
    from tests.support.softhsm import SoftToken

# What a process of a test begins with. `outcome` runs one step and prints its value, or its error and exit code.
PRELUDE = """
import os, sys
from smime_agent.algorithms import SignatureScheme
from smime_agent.errors import SmimeAgentError
from smime_agent.tokens.objects import read_objects
from smime_agent.tokens.session import TokenSession
from smime_agent.tokens.signer import SigningKey
from smime_agent.tokens.token import Search
from tests.faulty import CKR, FaultScript, failure
from pathlib import Path
from tests.support.softhsm import KnownPin

def outcome(step):
    try:
        print(step())
    except SmimeAgentError as error:
        print(error.exit_code, type(error).__name__, error)

class Script(FaultScript):
    def __init__(self):
        self.path = Path(os.environ["FAULTY_SCRIPT"])
        self.log = self.path.with_name(self.path.name + ".log")
        self.state = self.path.with_name(self.path.name + ".state")

script = Script()
prompter = KnownPin()
search = Search("alice", os.environ["FAULTY_SO"])

def opened(**options):
    return TokenSession(search.one(), prompter, **options)

def signing(session):
    session.login("to sign")
    (key,) = read_objects(session).keys
    return SigningKey(session, key, SignatureScheme.for_key(key.algorithm))

def sign(key):
    return 64 <= len(key.sign(b"tbs")) <= 72
"""
SIGNING = "session = opened()\nkey = signing(session)\n"


def run(faulty: Faulty, code: str) -> list[str]:
    """The lines that a process printed."""
    environment = {**os.environ, **faulty.script.environment, "FAULTY_SO": str(faulty.module)}
    command = [sys.executable, "-W", "error", "-c", PRELUDE + code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "smime_agent" not in done.stderr  # python-pkcs11 grumbles in its destructors
    assert PIN not in done.stdout
    return done.stdout.splitlines()


@pytest.fixture(autouse=True)
def _token(alice: SoftToken) -> None:
    """The token is there, and the last PIN was right."""
    alice.open().close()


def test_without_faults_a_login_signs_often(faulty: Faulty) -> None:
    assert run(faulty, SIGNING + "for _ in range(3): outcome(lambda: sign(key))") == ["True"] * 3
    assert faulty.logins() == 1
    assert faulty.script.calls().count("C_SignInit") == 3


@pytest.mark.parametrize("function", ["C_SignInit", "C_Sign"])
@pytest.mark.parametrize("rv", [CKR.DEVICE_ERROR, CKR.GENERAL_ERROR, CKR.FUNCTION_FAILED])
def test_a_failed_signature_does_not_spoil_the_next(faulty: Faulty, function: str, rv: CKR) -> None:
    faulty.script.write(fail=failure(function, rv, nth=1, times=1), stuck_operations=True)
    lines = run(faulty, SIGNING + "outcome(lambda: sign(key))\noutcome(lambda: sign(key))")
    assert lines[0].startswith("8 TokenError token 'alice' failed: ")
    assert lines[1:] == ["True"]
    assert faulty.logins() == 1


def test_an_operation_is_never_repeated_by_itself(faulty: Faulty) -> None:
    faulty.script.write(fail=failure("C_SignInit", CKR.DEVICE_ERROR, nth=1, times=1))
    run(faulty, SIGNING + "outcome(lambda: sign(key))")
    assert faulty.script.calls().count("C_SignInit") == 1


def test_after_a_wrong_context_pin_the_next_signature_has_a_session_of_its_own(faulty: Faulty) -> None:
    faulty.script.write(always_authenticate="all", stuck_operations=True, context_pin="9999")
    code = "outcome(lambda: sign(key))\nprompter.answer = '9999'\noutcome(lambda: sign(key))"
    assert run(faulty, SIGNING + code) == [
        "9 PinIncorrectError wrong PIN for token 'alice'",
        "True",
    ]


def test_a_key_that_wants_the_pin_each_time_asks_for_it_each_time(faulty: Faulty) -> None:
    faulty.script.write(always_authenticate="all")
    code = """
for _ in range(3): outcome(lambda: sign(key))
print([request.purpose for request in prompter.requests])
"""
    again = "this key wants the PIN for every signature"
    assert run(faulty, SIGNING + code) == ["True"] * 3 + [str(["to sign", again, again])]
    # The login, and one before each signature.
    assert faulty.logins() == 4


def test_the_pin_is_wiped_after_its_use(faulty: Faulty) -> None:
    faulty.script.write(always_authenticate="all")
    code = """
pins = []
give = prompter.pin
prompter.pin = lambda request: pins.append(give(request)) or pins[-1]
session = opened()
key = signing(session)
sign(key); sign(key)
session.close()
print([any(pin.reveal()) for pin in pins])
"""
    assert run(faulty, code) == ["[False, False]"]


def test_the_pin_of_a_login_is_wiped_at_the_end(faulty: Faulty) -> None:
    code = """
pins = []
give = prompter.pin
prompter.pin = lambda request: pins.append(give(request)) or pins[-1]
session = opened()
key = signing(session)
sign(key)
session.close()
print([any(pin.reveal()) for pin in pins])
"""
    assert run(faulty, code) == ["[False]"]


def test_a_wrong_pin_is_wiped(faulty: Faulty) -> None:
    code = """
pins = []
prompter.answer = "wrong-pin"
give = prompter.pin
prompter.pin = lambda request: pins.append(give(request)) or pins[-1]
outcome(lambda: opened().login("to sign"))
print([any(pin.reveal()) for pin in pins])
"""
    assert run(faulty, code)[1:] == ["[False]"]


def test_what_holds_a_pin_does_not_print_it(faulty: Faulty) -> None:
    code = """
import gc
session = opened()
key = signing(session)
for one in (session, key, session.token, session.token.info, prompter, search):
    print(type(one).__name__, "fairly-secret" in repr(one) + str(one))
"""
    assert {line.split()[-1] for line in run(faulty, code)} == {"False"}


def test_a_login_is_done_once(faulty: Faulty) -> None:
    assert run(
        faulty, "session = opened()\nfor _ in range(3): session.login('to sign')\nprint(len(prompter.requests))"
    ) == ["1"]
    assert faulty.logins() == 1


def test_closing_logs_out_once(faulty: Faulty) -> None:
    run(faulty, SIGNING + "session.close(); session.close()")
    assert faulty.script.calls().count("C_Logout") == 1


@pytest.mark.parametrize("function", ["C_Logout", "C_CloseSession"])
def test_closing_never_fails(faulty: Faulty, function: str) -> None:
    faulty.script.write(fail=failure(function, CKR.DEVICE_ERROR))
    assert run(faulty, SIGNING + "outcome(lambda: sign(key))\noutcome(session.close)") == ["True", "None"]


def test_a_token_that_was_removed_is_told_and_found_again(faulty: Faulty) -> None:
    faulty.script.write(remove_at="C_Sign:1")
    code = """
outcome(lambda: sign(key))
outcome(lambda: sign(key))
outcome(search.one)
session.close()
script.write()
outcome(lambda: sign(signing(opened())))
"""
    gone = "8 TokenRemovedError token 'alice' was removed"
    lines = run(faulty, SIGNING + code)
    assert lines[:2] == [gone, gone]
    assert lines[2].startswith("8 TokenAbsentError no token 'alice' is plugged in")
    assert lines[3:] == ["True"]


@pytest.mark.parametrize(
    ("function", "rv"),
    [
        ("C_Sign", CKR.DEVICE_ERROR),
        ("C_Sign", CKR.USER_NOT_LOGGED_IN),
        ("C_Sign", CKR.SESSION_HANDLE_INVALID),
        ("C_SignInit", CKR.GENERAL_ERROR),
    ],
)
def test_whatever_the_module_says_a_token_that_is_gone_was_removed(faulty: Faulty, function: str, rv: CKR) -> None:
    code = f"script.write(fail=failure({function!r}, {int(rv)}), removed=True)\noutcome(lambda: sign(key))"
    assert run(faulty, SIGNING + code) == ["8 TokenRemovedError token 'alice' was removed"]


def test_a_call_that_takes_long_is_told_once(faulty: Faulty) -> None:
    faulty.script.write(slow="C_SignInit:1700")
    code = "outcome(lambda: sign(key))\nprint(prompter.touches)"
    assert run(faulty, SIGNING + code) == ["True", str(["token 'alice'"])]


def test_a_call_that_is_quick_is_not_told(faulty: Faulty) -> None:
    faulty.script.write(slow="C_SignInit:500")
    assert run(faulty, SIGNING + "outcome(lambda: sign(key))\nprint(prompter.touches)") == ["True", "[]"]


def test_one_attribute_that_fails_spoils_nothing(faulty: Faulty) -> None:
    cka_always_authenticate, cka_unwrap = 0x202, 0x107
    faulty.script.write(attribute_fails=[cka_always_authenticate, cka_unwrap])
    assert run(faulty, SIGNING + "outcome(lambda: sign(key))") == ["True"]


def test_two_threads_take_turns(faulty: Faulty) -> None:
    code = """
import threading
signed = []
def many():
    for _ in range(20): signed.append(sign(key))
threads = [threading.Thread(target=many) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(signed), all(signed))
"""
    assert run(faulty, SIGNING + code) == ["60 True"]
