"""``smime-agent decrypt --output-dir``: many messages in one login, in one process and in several."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from smime_agent.algorithms import KeyType, KeyUsage
from smime_agent.tokens.objects import read_objects
from tests.faulty import CKR, failure
from tests.support.ca import Wanted
from tests.support.openssl_cms import OpenSsl
from tests.support.program import run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.ca import Authority
    from tests.support.faulty import Faulty
    from tests.support.program import Result
    from tests.support.softhsm import SoftHsm, SoftToken

TOKEN = "the mail gateway"
MANY = 12
NO_KEY, PIN_WRONG, TOKEN_FAILED = 7, 9, 8
both = pytest.mark.parametrize("workers", ["1", "2"])


@pytest.fixture(scope="module")
def gateway(softhsm: SoftHsm, issuing_ca: Authority) -> SoftToken:
    """A token with an RSA key to decrypt with."""
    token = softhsm.new_token(TOKEN)
    wanted = Wanted(("post@example.org",), "Post", key_encipherment=True)
    token.enrol(issuing_ca, KeyType.RSA_2048, wanted, KeyUsage.DECRYPT)
    return token


@pytest.fixture(scope="module")
def certificate(gateway: SoftToken) -> x509.Certificate:
    """The certificate of that key."""
    with gateway.session() as session:
        return x509.load_der_x509_certificate(read_objects(session).certificates[0].certificate.encoded)


@pytest.fixture
def openssl(tmp_path: Path) -> OpenSsl:
    """OpenSSL as the sender."""
    return OpenSsl(tmp_path)


@pytest.fixture
def mails(openssl: OpenSsl, certificate: x509.Certificate, tmp_path: Path) -> Path:
    """A folder of twelve mails in AES-CBC."""
    folder = tmp_path / "mails"
    folder.mkdir()
    for number in range(MANY):
        (folder / f"{number:02}.eml").write_bytes(openssl.encrypt(text(number), certificate))
    return folder


def text(number: int) -> bytes:
    return b"Content-Type: text/plain\r\n\r\nNumber %d\r\n" % number


def arguments(mails: Path, *others: str | Path) -> tuple[str | Path, ...]:
    fixed = ("decrypt", "--token", TOKEN, "--pin-source", "env:PIN", "--revocation", "off")
    return (*fixed, *others, mails, "--output-dir", mails.parent / "out")


def decrypt(mails: Path, *others: str | Path) -> Result:
    return run(*arguments(mails, *others))


def results(mails: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (mails.parent / "out").iterdir()}


@both
def test_what_was_encrypted_is_written_under_the_names_of_the_messages(mails: Path, workers: str) -> None:
    done = decrypt(mails, "--workers", workers)
    assert done.code == 0
    assert results(mails) == {f"{number:02}.eml": text(number) for number in range(MANY)}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (mails.parent / "out").iterdir()} == {0o600}
    assert done.err.count("decrypted, not authenticated") == MANY


@both
def test_each_has_a_line_of_json(mails: Path, workers: str) -> None:
    (mails / "plain.eml").write_bytes(b"From: a@example.org\r\n\r\nplain\r\n")
    done = decrypt(mails, "--workers", workers, "--json")
    found = {line["file"]: line for line in map(json.loads, done.out.splitlines())}
    assert len(found) == MANY + 1
    assert found.pop(str(mails / "plain.eml"))["reasons"][0]["code"] == "not-encrypted"
    assert all(line["decrypted"] and not line["authenticated"] for line in found.values())


@both
def test_one_that_fails_does_not_stop_the_others(mails: Path, workers: str) -> None:
    (mails / "00.eml").write_bytes(b"From: a@example.org\r\n\r\nplain\r\n")
    broken = (mails / "05.eml").read_bytes()
    (mails / "05.eml").write_bytes(broken[: len(broken) // 2])
    done = decrypt(mails, "--workers", workers)
    assert done.code == 6
    assert set(results(mails)) == {f"{number:02}.eml" for number in range(MANY)} - {"00.eml", "05.eml"}
    assert f"smime-agent: error: {mails / '00.eml'}: the message is not encrypted" in done.err
    assert done.err.splitlines()[-1] == "10 of 12 decrypted, 2 failed"


@both
def test_whose_it_is_what_nobody_here_can_open_is_told(
    mails: Path, openssl: OpenSsl, issuing_ca: Authority, workers: str
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    carol = issuing_ca.issue(key.public_key(), Wanted(("carol@example.org",), "Carol", key_agreement=True))
    for name in ("03.eml", "04.eml"):
        (mails / name).write_bytes(openssl.encrypt(text(3), carol))
    done = decrypt(mails, "--workers", workers)
    assert done.code == NO_KEY
    assert done.err.count(f"{carol.serial_number:x}") == 2, done.err


def test_workers_are_told_all_the_options(
    mails: Path, openssl: OpenSsl, certificate: x509.Certificate, tmp_path: Path
) -> None:
    for path in mails.iterdir():
        path.write_bytes(openssl.encrypt(text(1), certificate, options=("-des3",)))
    assert decrypt(mails, "--workers", "2").code == 10
    done = decrypt(mails, "--workers", "2", "--legacy", "--from", "alice@example.org", "--at", "2026-01-01T00:00:00Z")
    assert done.code == 3  # nobody signed it
    assert set(results(mails).values()) == {text(1)}
    missing = decrypt(mails, "--workers", "2", "--ca-file", tmp_path / "missing.pem")
    assert (missing.code, missing.err.count("error: ")) == (2, 1)


def test_workers_use_the_key_that_is_named(mails: Path, gateway: SoftToken, issuing_ca: Authority) -> None:
    wanted = Wanted(("old@example.org",), "Old", key_encipherment=True)
    gateway.enrol(issuing_ca, KeyType.RSA_2048, wanted, KeyUsage.DECRYPT)
    done = decrypt(mails, "--workers", "2", "--key", "old@example.org")
    assert done.code == 6
    assert b"Number" not in b"".join(results(mails).values())  # by CBC one in 256 comes out as garbage


@pytest.mark.parametrize("pin", ["wrong", ""])
def test_workers_do_not_multiply_a_wrong_pin(faulty: Faulty, gateway: SoftToken, mails: Path, pin: str) -> None:
    gateway.session().close()
    faulty.script.write(tries=3)
    done = faulty.run(*arguments(mails, "--workers", "4"), env={"PIN": pin})
    assert done.code == PIN_WRONG
    assert faulty.logins() == (1 if pin else 0)
    assert not (mails.parent / "out").exists() or not results(mails)


def test_workers_log_in_once_each(faulty: Faulty, mails: Path) -> None:
    assert faulty.run(*arguments(mails, "--workers", "2")).code == 0
    assert faulty.logins() == 3  # the PIN is tried before any worker starts


def test_a_key_that_wants_its_pin_each_time_is_not_for_workers(faulty: Faulty, mails: Path) -> None:
    faulty.script.write(always_authenticate=b"\x01")
    done = faulty.run(*arguments(mails, "--workers", "2"))
    assert done.code == 2
    assert "wants its PIN for every message" in done.err
    assert faulty.logins() == 1


def test_workers_that_crash_are_told_of_in_words(faulty: Faulty, mails: Path) -> None:
    faulty.script.write(crash="C_DecryptInit")
    done = faulty.run(*arguments(mails, "--workers", "2"))
    assert done.code == TOKEN_FAILED
    assert done.err.splitlines()[-1] == "0 of 12 decrypted, 12 failed"
    assert "Traceback" not in done.err
    assert not results(mails)


def test_a_token_that_fails_is_not_asked_for_the_rest(faulty: Faulty, mails: Path) -> None:
    faulty.script.write(fail=failure("C_DecryptInit", CKR.DEVICE_ERROR, nth=3))
    done = faulty.run(*arguments(mails))
    assert done.code == TOKEN_FAILED
    assert set(results(mails)) == {"00.eml", "01.eml"}
    assert done.err.count("not tried: ") == 9
