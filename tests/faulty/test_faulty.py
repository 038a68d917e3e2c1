"""Each fault of the faulty module, seen through python-pkcs11 in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.faulty import CKR, FaultScript, build, failure

if TYPE_CHECKING:
    from pathlib import Path

# What a process of a test begins with. `outcome` runs one step and prints its value, or the name of its error.
PRELUDE = """
import os, pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass, TokenFlag
from pkcs11.util.ec import encode_named_curve_parameters

def outcome(step):
    try:
        print(step())
    except Exception as error:
        print(type(error).__name__)

def write(text):
    path = os.environ["FAULTY_SCRIPT"]
    with open(path + ".new", "w") as draft:
        draft.write(text)
    os.replace(path + ".new", path)

def login(pin="1234"):
    return token.open(user_pin=pin, rw=True)

def try_pin(pin):
    login(pin).close()
    return "right"

def flags():
    names = ("COUNT_LOW", "FINAL_TRY", "LOCKED")
    return [name for name in names if module.get_token(token_label="L").flags & TokenFlag["USER_PIN_" + name]]

def ec_key(session, id=b"\\x01"):
    curve = session.create_domain_parameters(
        KeyType.EC, {Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}, local=True
    )
    return curve.generate_keypair(id=id)[1]

def sign(key, **options):
    return len(key.sign(bytes(32), mechanism=Mechanism.ECDSA, **options))

module = pkcs11.lib(os.environ["FAULTY_SO"])
"""
FIND = 'token = module.get_token(token_label="L")\n'
KEY = FIND + "session = login()\nkey = ec_key(session)\n"


@dataclass(frozen=True)
class Token:
    """A SoftHSM token behind the faulty module."""

    script: FaultScript
    environment: dict[str, str]

    def start(self, code: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", PRELUDE + code]
        return subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, text=True)

    def run(self, code: str, returncode: int = 0) -> list[str]:
        """Run a process to its end and return the lines it printed."""
        process = self.start(code)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == returncode
        return output.splitlines()


@pytest.fixture(scope="session")
def faulty_so(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("faulty"))


@pytest.fixture
def token(tmp_path: Path, faulty_so: Path) -> Token:
    (tmp_path / "tokens").mkdir()
    conf = tmp_path / "softhsm2.conf"
    conf.write_text(f"directories.tokendir = {tmp_path / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n")
    script = FaultScript(tmp_path / "faults")
    environment = {
        **{name: value for name, value in os.environ.items() if name != "FAULTY_MODULE"},
        **script.environment,
        "FAULTY_SO": str(faulty_so),
        "SOFTHSM2_CONF": str(conf),
    }
    initialise(environment, "L")
    return Token(script, environment)


def initialise(environment: dict[str, str], label: str) -> None:
    command = ["softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", "12345678", "--pin", "1234"]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)


def test_without_faults_everything_passes_through(token: Token) -> None:
    code = """
secret = session.generate_key(KeyType.AES, 128)
public, private = session.generate_keypair(KeyType.RSA, 2048)
outcome(lambda: sign(key))
outcome(lambda: private.decrypt(public.encrypt(b"hello", mechanism=Mechanism.RSA_PKCS), mechanism=Mechanism.RSA_PKCS))
outcome(lambda: secret.decrypt(secret.encrypt(b"hello", mechanism_param=bytes(16)), mechanism_param=bytes(16)))
outcome(lambda: len(session.generate_random(64)))
outcome(lambda: len(list(session.get_objects())))
"""
    assert token.run(KEY + code) == ["64", "b'hello'", "b'hello'", "8", "5"]


def test_the_log_has_the_names_of_the_functions_and_nothing_else(token: Token) -> None:
    token.run(KEY + "sign(key)")
    calls = token.script.calls()
    assert calls[:3] == ["C_GetFunctionList", "C_Initialize", "C_GetInfo"]
    # python-pkcs11 calls C_Sign twice, first for the length of the signature.
    assert [calls.count(name) for name in ("C_Login", "C_GenerateKeyPair", "C_SignInit", "C_Sign")] == [1, 1, 1, 2]
    assert all(name.startswith("C_") for name in calls)
    token.script.forget_calls()
    assert token.script.calls() == []


def test_an_unknown_function_in_the_script_aborts(token: Token) -> None:
    token.script.write(crash="C_Sgin")
    token.run("", returncode=-signal.SIGABRT)


@pytest.mark.parametrize("line", ["sloww = C_Sign:1", "nonsense", "removed ="])
def test_a_line_that_means_nothing_aborts(token: Token, line: str) -> None:
    token.script.path.write_text(line + "\n")
    token.run("", returncode=-signal.SIGABRT)


def test_wrong_pins_count_down_over_processes_and_lock(token: Token) -> None:
    token.script.write(tries=3)
    attempt = FIND + 'print(flags())\noutcome(lambda: try_pin("0000"))'
    assert token.run(attempt) == ["[]", "PinIncorrect"]
    assert token.run(attempt) == ["['COUNT_LOW']", "PinIncorrect"]
    assert token.script.tries_left == 1
    assert token.run(attempt) == ["['COUNT_LOW', 'FINAL_TRY']", "PinIncorrect"]
    assert token.run(FIND + "print(flags())\noutcome(lambda: try_pin('1234'))") == [
        "['COUNT_LOW', 'LOCKED']",
        "PinLocked",
    ]
    assert token.script.tries_left == 0


def test_a_right_pin_restores_the_tries(token: Token) -> None:
    token.script.write(tries=1, tries_max=5)
    assert token.run(FIND + "print(flags())\nprint(try_pin('1234'))\nprint(flags())") == [
        "['COUNT_LOW', 'FINAL_TRY']",
        "right",
        "[]",
    ]
    assert token.script.tries_left == 5


def test_the_tries_start_anew_with_another_number_or_on_request(token: Token) -> None:
    attempt = FIND + 'outcome(lambda: try_pin("0000"))'
    token.script.write(tries=3)
    token.run(attempt)
    token.script.write(tries=3, slow="C_Login:1")
    token.run(attempt)
    assert token.script.tries_left == 1
    token.script.write(tries=2)
    token.run(attempt)
    assert token.script.tries_left == 1
    token.script.forget_tries()
    token.run(attempt)
    assert token.script.tries_left == 1


def test_the_so_does_not_use_up_the_users_tries(token: Token) -> None:
    token.script.write(tries=1)
    assert token.run(FIND + "flags()\noutcome(lambda: token.open(rw=True, so_pin='wrong-so-pin'))") == ["PinIncorrect"]
    assert token.script.tries_left == 1


def test_a_wrong_pin_of_the_so_in_a_change_does_not_either(token: Token) -> None:
    token.script.write(tries=1)
    code = "session = token.open(rw=True, so_pin='12345678')\noutcome(lambda: session.set_pin('0000', '4321'))\nflags()"
    assert token.run(FIND + code) == ["PinIncorrect"]
    assert token.script.tries_left == 1


def test_the_so_unlocks_the_user_pin(token: Token) -> None:
    token.script.write(tries=0)
    code = "outcome(login)\ntoken.open(rw=True, so_pin='12345678').init_pin('4321')\nprint(flags())"
    assert token.run(FIND + code) == ["PinLocked", "[]"]
    assert token.script.tries_left == 3


def test_a_change_of_the_pin_with_a_wrong_old_one_uses_up_a_try(token: Token) -> None:
    token.script.write(tries=3)
    assert token.run(KEY + "outcome(lambda: session.set_pin('0000', '4321'))") == ["PinIncorrect"]
    assert token.script.tries_left == 2


def test_always_authenticate_wants_a_login_for_each_signature(token: Token) -> None:
    token.script.write(always_authenticate="all")
    code = """
print(key[Attribute.ALWAYS_AUTHENTICATE])
outcome(lambda: sign(key))
outcome(lambda: sign(key, pin="1234"))
outcome(lambda: sign(key))
"""
    assert token.run(KEY + code) == ["True", "UserNotLoggedIn", "64", "UserNotLoggedIn"]


def test_always_authenticate_wants_a_login_to_decrypt(token: Token) -> None:
    token.script.write(always_authenticate="all")
    code = """
public, private = session.generate_keypair(KeyType.RSA, 2048)
secret = public.encrypt(b"hello", mechanism=Mechanism.RSA_PKCS)
outcome(lambda: private.decrypt(secret, mechanism=Mechanism.RSA_PKCS))
outcome(lambda: private.decrypt(secret, mechanism=Mechanism.RSA_PKCS, pin="1234"))
"""
    assert token.run(KEY + code) == ["UserNotLoggedIn", "b'hello'"]


def test_always_authenticate_only_concerns_the_keys_with_that_id(token: Token) -> None:
    token.script.write(always_authenticate=[b"\x9c\x01", "03"])
    code = """
for id in (b"\\x01", b"\\x9c\\x01", b"\\x03"):
    key = ec_key(session, id)
    print(key[Attribute.ALWAYS_AUTHENTICATE])
    outcome(lambda: sign(key))
"""
    assert token.run(KEY + code) == ["False", "64", "True", "UserNotLoggedIn", "True", "UserNotLoggedIn"]


def test_always_authenticate_does_not_concern_secret_keys(token: Token) -> None:
    token.script.write(always_authenticate="all")
    code = """
aes = session.generate_key(KeyType.AES, 128)
outcome(lambda: aes.decrypt(aes.encrypt(b"hello", mechanism_param=bytes(16)), mechanism_param=bytes(16)))
"""
    assert token.run(KEY + code) == ["b'hello'"]


def test_the_context_pin_may_be_another_one_and_uses_up_tries(token: Token) -> None:
    token.script.write(always_authenticate="all", context_pin="9999", tries=3)
    code = """
outcome(lambda: sign(key, pin="1234"))
outcome(lambda: sign(key, pin="9999"))
outcome(lambda: sign(key, pin="1234"))
"""
    assert token.run(KEY + code) == ["PinIncorrect", "64", "PinIncorrect"]
    assert token.script.tries_left == 2


def test_a_stuck_operation_stays_active(token: Token) -> None:
    token.script.write(always_authenticate="all", stuck_operations=True)
    code = 'outcome(lambda: sign(key, pin="0000"))\noutcome(lambda: sign(key, pin="1234"))'
    assert token.run(KEY + code) == ["PinIncorrect", "OperationActive"]


def test_a_pin_pad_logs_in_after_its_delay(token: Token) -> None:
    token.script.write(protected_path=True, pinpad_pin="1234", pinpad_delay_ms=300)
    code = """
import time
print(bool(token.flags & TokenFlag.PROTECTED_AUTHENTICATION_PATH))
began = time.monotonic()
session = token.open(user_pin=pkcs11.PROTECTED_AUTH, rw=True)
print(time.monotonic() - began >= 0.3)
outcome(lambda: sign(ec_key(session)))
"""
    assert token.run(FIND + code) == ["True", "True", "64"]


def test_a_person_cancels_at_the_pin_pad(token: Token) -> None:
    token.script.write(protected_path=True)
    assert token.run(FIND + "outcome(lambda: token.open(user_pin=pkcs11.PROTECTED_AUTH))") == ["FunctionCancelled"]


def test_a_wrong_pin_at_the_pin_pad_uses_up_a_try(token: Token) -> None:
    token.script.write(protected_path=True, pinpad_pin="0000", tries=3)
    assert token.run(FIND + "outcome(lambda: token.open(user_pin=pkcs11.PROTECTED_AUTH))") == ["PinIncorrect"]
    assert token.script.tries_left == 2


# What can be seen of a token: a signature, its slot, itself, its mechanisms, a new session.
LOOK = """
def look():
    outcome(lambda: sign(key))
    outcome(lambda: len([slot for slot in module.get_slots(token_present=True) if slot.slot_id == token.slot.slot_id]))
    outcome(lambda: token.slot.get_token().label)
    outcome(lambda: len(token.slot.get_mechanisms()) > 0)
    outcome(lambda: token.open().close())
"""
OUT = ["SessionHandleInvalid", "0", "TokenNotPresent", "TokenNotPresent", "TokenNotPresent"]
BACK = ["SessionHandleInvalid", "1", "L", "True", "None"]


@pytest.mark.parametrize("reinsert", ["removed = 0\nremove_at = C_SignInit:2\n", ""])
def test_a_removed_token_is_out_until_the_script_puts_it_in(token: Token, reinsert: str) -> None:
    token.script.write(remove_at="C_SignInit:2")
    code = f"""
outcome(lambda: sign(key))
outcome(lambda: sign(key))
look()
write({reinsert!r})
look()
key = ec_key(login())
outcome(lambda: sign(key))
"""
    assert token.run(KEY + LOOK + code) == ["64", "DeviceRemoved", *OUT, *BACK, "64"]


def test_a_token_can_be_removed_between_calls_in_every_process(token: Token) -> None:
    code = "write('removed = 1\\n')\nlook()\nwrite('')\nlook()"
    assert token.run(KEY + LOOK + code) == [*OUT, *BACK]


def test_a_removed_token_leaves_the_others_alone(token: Token) -> None:
    initialise(token.environment, "M")
    token.script.write(remove_at="C_Sign:1")
    code = """
other = module.get_token(token_label="M").open(user_pin="1234", rw=True)
outcome(lambda: sign(key))
outcome(lambda: sign(ec_key(other)))
outcome(lambda: sorted(token.label for token in module.get_tokens() if token.label))
"""
    assert token.run(KEY + code) == ["DeviceRemoved", "64", "['M']"]


def test_a_removed_token_says_so_in_its_slots_flags(token: Token) -> None:
    token.script.write(remove_at="C_Sign")
    code = """
def present():
    flags = next(slot.flags for slot in module.get_slots() if slot.slot_id == token.slot.slot_id)
    return bool(flags & pkcs11.SlotFlag.TOKEN_PRESENT)
outcome(present)
outcome(lambda: sign(key))
outcome(present)
"""
    assert token.run(KEY + code) == [
        "True",
        "DeviceRemoved",
        "False",
    ]


def test_a_failure_lasts_from_the_nth_call_for_m_times(token: Token) -> None:
    token.script.write(fail=failure("C_SignInit", CKR.DEVICE_ERROR, nth=2, times=2))
    code = "for _ in range(4): outcome(lambda: sign(key))"
    assert token.run(KEY + code) == ["64", "DeviceError", "DeviceError", "64"]


def test_several_functions_fail_for_ever(token: Token) -> None:
    token.script.write(fail=[failure("C_Sign", CKR.GENERAL_ERROR), failure("C_GenerateRandom", CKR.FUNCTION_FAILED)])
    code = "for _ in range(2): outcome(lambda: sign(key)); outcome(lambda: session.generate_random(8))"
    assert token.run(KEY + code) == ["GeneralError", "FunctionFailed"] * 2


@pytest.mark.parametrize(
    ("function", "step"),
    [
        ("C_Initialize", "module.reinitialize()"),
        ("C_Finalize", "module.finalize()"),
        ("C_GetSlotList", "module.get_slots()"),
        ("C_GetSlotInfo", "module.get_slots()"),
        ("C_GetTokenInfo", "token.slot.get_token()"),
        ("C_GetMechanismList", "token.slot.get_mechanisms()"),
        ("C_GetMechanismInfo", "token.slot.get_mechanism_info(Mechanism.ECDSA)"),
        ("C_OpenSession", "token.open()"),
        ("C_CloseSession", "token.open().close()"),
        ("C_Login", "login()"),
        ("C_Logout", "session.close()"),
        ("C_FindObjectsInit", "list(session.get_objects())"),
        ("C_FindObjects", "list(session.get_objects())"),
        ("C_GetAttributeValue", "key[Attribute.ID]"),
        ("C_SignInit", "sign(key)"),
        ("C_Sign", "sign(key)"),
        ("C_DecryptInit", "aes.decrypt(bytes(16), mechanism_param=bytes(16))"),
        ("C_Decrypt", "aes.decrypt(bytes(16), mechanism_param=bytes(16))"),
        ("C_DeriveKey", "key.derive_key(KeyType.AES, 128, mechanism_param=(pkcs11.KDF.NULL, None, POINT))"),
        ("C_GenerateKeyPair", "ec_key(session)"),
        ("C_CreateObject", "session.create_object({Attribute.CLASS: ObjectClass.DATA})"),
        ("C_InitPIN", "session.init_pin('1234')"),
        ("C_SetPIN", "session.set_pin('1234', '1234')"),
    ],
)
def test_each_function_can_fail(token: Token, function: str, step: str) -> None:
    code = f"""
POINT = bytes(65)
aes = session.generate_key(KeyType.AES, 128)
write("fail = {function}:0x30\\n")
outcome(lambda: {step})
write("")
"""
    assert token.run(KEY + code) == ["DeviceError"]


def init_token(token: Token, label: str) -> int:
    """The exit code of softhsm2-util, through the faulty module: python-pkcs11 has no C_InitToken."""
    options = ["--init-token", "--token", "L", "--label", label, "--so-pin", "12345678", "--pin", "4321"]
    command = ["softhsm2-util", "--module", token.environment["FAULTY_SO"], *options]
    return subprocess.run(command, env=token.environment, check=False, capture_output=True).returncode


def test_a_token_cannot_be_initialised(token: Token) -> None:
    token.script.write(fail=failure("C_InitToken", CKR.DEVICE_ERROR))
    assert init_token(token, "N") != 0
    assert token.script.calls()[-2:] == ["C_InitToken", "C_Finalize"]


def test_a_new_token_has_all_its_tries(token: Token) -> None:
    token.script.write(tries=0)
    assert init_token(token, "N") == 0
    assert token.script.tries_left == 3


def test_a_module_without_information_does_not_start(token: Token) -> None:
    token.script.write(fail=failure("C_GetInfo", CKR.GENERAL_ERROR))
    token.run("", returncode=1)
    assert "C_GetInfo" in token.script.calls()


def test_a_module_that_fails_to_give_its_functions_does_not_load(token: Token) -> None:
    token.script.write(fail=failure("C_GetFunctionList", CKR.GENERAL_ERROR))
    token.run("", returncode=1)
    assert token.script.calls() == ["C_GetFunctionList"]


def test_a_missing_real_module_does_not_load(token: Token) -> None:
    token.environment["FAULTY_MODULE"] = str(token.script.path.with_name("absent.so"))
    token.run("", returncode=1)
    assert token.script.calls() == ["C_GetFunctionList"]


def test_a_slow_function_takes_its_time(token: Token) -> None:
    token.script.write(slow="C_Sign:400")
    code = "import time\nbegan = time.monotonic()\nsign(key)\nprint(time.monotonic() - began >= 0.4)"
    assert token.run(KEY + code) == ["True"]


def test_a_hanging_function_does_not_return(token: Token) -> None:
    token.script.write(hang="C_Sign")
    process = token.start(KEY + "sign(key)")
    deadline = time.monotonic() + 30
    while "C_Sign" not in token.script.calls() and time.monotonic() < deadline:
        time.sleep(0.02)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.3)
    process.kill()
    process.communicate()
    assert token.script.calls()[-1] == "C_Sign"


@pytest.mark.parametrize(
    "function", ["load", "C_GetFunctionList", "C_Initialize", "C_GetSlotList", "C_Login", "C_Sign"]
)
def test_a_crash_takes_the_process_along(token: Token, function: str) -> None:
    token.script.write(crash=function)
    token.run(KEY + "sign(key)", returncode=-signal.SIGSEGV)
    assert token.script.calls()[-1:] == ([] if function == "load" else [function])


def test_a_missing_mechanism_is_neither_listed_nor_usable(token: Token) -> None:
    ckm_ecdsa = 0x1041
    token.script.write(no_mechanism=ckm_ecdsa)
    code = """
print(Mechanism.ECDSA in token.slot.get_mechanisms(), Mechanism.RSA_PKCS in token.slot.get_mechanisms())
outcome(lambda: token.slot.get_mechanism_info(Mechanism.ECDSA))
outcome(lambda: sign(key))
"""
    assert token.run(KEY + code) == ["False True", "MechanismInvalid", "MechanismInvalid"]


def test_an_attribute_spoils_the_list_it_is_in(token: Token) -> None:
    cka_label = 0x03
    token.script.write(attribute_fails=cka_label)
    code = """
outcome(lambda: key[Attribute.ID])
outcome(lambda: key[Attribute.LABEL])
outcome(lambda: key.get_attributes([Attribute.ID, Attribute.LABEL]))
"""
    assert token.run(KEY + code) == ["b'\\x01'", "AttributeTypeInvalid", "AttributeTypeInvalid"]
