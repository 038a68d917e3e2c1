"""``verify --remember``, as it is called."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from smime_agent.algorithms import KeyType, KeyUsage
from smime_agent.certificates.contacts import Contacts
from smime_agent.x509 import Certificate
from tests.support.ca import Authority, Wanted
from tests.support.mails import MAIL

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Command
    from tests.support.program import Result
    from tests.support.softhsm import SoftHsm, SoftToken

TRUSTED, USAGE, REFUSED = 0, 2, 10


@pytest.fixture
def root(issuing_ca: Authority, tmp_path: Path) -> Path:
    """The file of the trust anchor."""
    path = tmp_path / "root.pem"
    path.write_bytes(issuing_ca.pem)
    return path


def verify(command: Command, root: Path, *arguments: str | Path, message: bytes = b"") -> Result:
    return command("verify", "--ca-file", root, "--revocation", "off", *arguments, stdin=message)


def verified(command: Command, root: Path, *arguments: str | Path, message: bytes = b"") -> dict[str, Any]:
    value: dict[str, Any] = json.loads(verify(command, root, "--json", *arguments, message=message).out)
    return value


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where senders are remembered."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    return tmp_path / "share" / "smime-agent" / "contacts"


class Stranger:
    """Somebody who signs with OpenSSL, and has a certificate for encryption beside."""

    def __init__(self, issuing_ca: Authority, folder: Path) -> None:
        key, other_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        signing = issuing_ca.issue(key.public_key(), Wanted())
        wanted = Wanted(digital_signature=False, key_agreement=True)
        encryption = issuing_ca.issue(other_key.public_key(), wanted).public_bytes(Encoding.DER)
        folder.mkdir()
        self.folder = folder
        self.encryption = Certificate(encryption)
        (folder / "cert.pem").write_bytes(signing.public_bytes(Encoding.PEM))
        (folder / "other.pem").write_bytes(self.encryption.pem)
        for name, private in (("key.pem", key), ("other.key", other_key)):
            (folder / name).write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    def sign(self, *, sender: str = "alice@example.org") -> bytes:
        command = ["openssl", "cms", "-sign", "-signer", "cert.pem", "-inkey", "key.pem", "-certfile", "other.pem"]
        said = ["-from", sender, "-subject", "Hello", "-text"]
        return subprocess.run(
            [*command, *said], input=b"Hello, Bob.\n", cwd=self.folder, capture_output=True, check=True
        ).stdout

    def decrypt(self, message: bytes) -> bytes:
        """With the key for encryption alone."""
        command = ["openssl", "cms", "-decrypt", "-inkey", "other.key", "-recip", "other.pem"]
        return subprocess.run(command, input=message, cwd=self.folder, capture_output=True, check=True).stdout


@pytest.fixture
def stranger(issuing_ca: Authority, tmp_path: Path) -> Stranger:
    return Stranger(issuing_ca, tmp_path / "stranger")


def test_a_stranger_is_remembered_with_what_openssl_says(
    command: Command, root: Path, stranger: Stranger, folder: Path
) -> None:
    done = verify(command, root, "--remember", message=stranger.sign())
    assert (done.code, "the certificate of alice@example.org was remembered" in done.err) == (TRUSTED, True)
    (recipient,) = Contacts(folder).find("alice@example.org")
    assert recipient.certificate == stranger.encryption
    assert recipient.capabilities is not None
    assert [str(cipher) for cipher in recipient.capabilities.content_encryption] == [
        "AES-256-CBC",
        "AES-192-CBC",
        "AES-128-CBC",
    ]


def test_json_says_who_is_remembered(command: Command, root: Path, stranger: Stranger, folder: Path) -> None:
    value = verified(command, root, "--remember", message=stranger.sign())
    assert value["remembered"] == [{"address": "alice@example.org", "sha256": stranger.encryption.fingerprint.hex()}]
    assert len(list(folder.iterdir())) == 1


def test_nobody_is_remembered_who_was_not_asked_for(
    command: Command, root: Path, stranger: Stranger, folder: Path
) -> None:
    assert verified(command, root, message=stranger.sign())["remembered"] is None
    assert not folder.exists()


def test_nobody_is_remembered_for_the_mail_of_another(
    command: Command, root: Path, stranger: Stranger, folder: Path
) -> None:
    value = verified(command, root, "--remember", message=stranger.sign(sender="bob@example.org"))
    assert (value["verdict"], value["remembered"]) == ("mismatch", [])
    assert not folder.exists()


def test_it_is_said_why_nobody_is_remembered(command: Command, root: Path, alice: SoftToken, folder: Path) -> None:
    signed = command("sign", "--token", alice.label, "--pin-source", "env:PIN", stdin=MAIL)
    done = verify(command, root, "--remember", message=signed.out)
    assert done.err.endswith("nobody is remembered: no certificate in the mail can be encrypted to\n")
    assert not folder.exists()


@pytest.mark.usefixtures("folder")
def test_a_second_certificate_is_told(
    command: Command, root: Path, stranger: Stranger, issuing_ca: Authority, tmp_path: Path
) -> None:
    other = Stranger(issuing_ca, tmp_path / "other")
    verify(command, root, "--remember", message=stranger.sign())
    done = verify(command, root, "--remember", message=other.sign())
    assert "a new certificate for alice@example.org was remembered, issued by CN=Test Issuing CA; the one" in done.err


def test_each_of_many_mails_is_asked_for_itself(
    command: Command, root: Path, stranger: Stranger, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "good.eml").write_bytes(stranger.sign())
    (tmp_path / "bad.eml").write_bytes(stranger.sign(sender="bob@example.org"))
    done = verify(command, root, "--remember", "--json", tmp_path / "bad.eml", tmp_path / "good.eml")
    remembered = [json.loads(line)["remembered"] for line in done.out.splitlines()]
    assert ([len(one) for one in remembered], len(list(folder.iterdir()))) == ([0, 1], 1)


def test_a_folder_that_cannot_be_written_is_a_warning(
    command: Command, root: Path, stranger: Stranger, folder: Path
) -> None:
    folder.parent.mkdir(parents=True)
    folder.write_bytes(b"")
    done = verify(command, root, "--remember", message=stranger.sign())
    assert (done.code, "warning: nobody is remembered: cannot make the folder" in done.err) == (TRUSTED, True)


def test_nobody_is_remembered_as_of_another_time(command: Command, root: Path, stranger: Stranger) -> None:
    done = verify(command, root, "--remember", "--at", "2026-06-01T00:00:00Z", message=stranger.sign())
    assert (done.code, "--remember" in done.err) == (USAGE, True)


# What it is for: an answer


@pytest.fixture
def other(issuing_ca: Authority, tmp_path: Path) -> Stranger:
    """The same person with other keys."""
    return Stranger(issuing_ca, tmp_path / "other")


ANSWER = b"From: Bob <bob@example.org>\nTo: Alice <alice@example.org>\nContent-Type: text/plain\n\nHello, Alice.\n"


def answer(command: Command, root: Path, *arguments: str, message: bytes = ANSWER) -> Result:
    return command("encrypt", "--ca-file", root, "--revocation", "off", "--no-self", *arguments, stdin=message)


@pytest.mark.usefixtures("folder")
def test_an_answer_is_encrypted_to_who_was_remembered(command: Command, root: Path, stranger: Stranger) -> None:
    assert answer(command, root).code == REFUSED
    verify(command, root, "--remember", message=stranger.sign())
    done = answer(command, root)
    assert (done.code, done.err) == (TRUSTED, "")
    assert stranger.decrypt(done.out).endswith(b"Hello, Alice.\r\n")


@pytest.mark.usefixtures("folder")
def test_an_answer_is_encrypted_with_what_the_mail_said(command: Command, root: Path, stranger: Stranger) -> None:
    verify(command, root, "--remember", message=stranger.sign())
    shown = answer(command, root, "--explain").out.decode()
    assert shown.startswith(
        "the message: AES-256-CBC, not authenticated\n  because     it is the strongest that all can"
    )
    assert "  known from  contacts\n" in shown
    assert "  decrypts    they say that they can decrypt AES-256-CBC, AES-192-CBC," in shown


@pytest.mark.usefixtures("folder")
def test_an_answer_is_refused_to_who_was_not_trusted(command: Command, root: Path, tmp_path: Path) -> None:
    mallory = Stranger(Authority("Nobody knows me", rsa_key=False), tmp_path / "mallory")
    verify(command, root, "--remember", message=mallory.sign())
    assert answer(command, root).code == REFUSED


@pytest.mark.usefixtures("folder")
def test_who_was_remembered_is_judged_again_for_each_answer(command: Command, root: Path, stranger: Stranger) -> None:
    verify(command, root, "--remember", message=stranger.sign())
    root.write_bytes(Authority("Another CA", rsa_key=False).pem)
    done = answer(command, root)
    assert (done.code, "(unknown-issuer)" in done.err) == (REFUSED, True)


def test_of_two_that_were_remembered_the_one_that_signed_last_is_taken(
    command: Command, root: Path, stranger: Stranger, other: Stranger, folder: Path
) -> None:
    verify(command, root, "--remember", message=stranger.sign())
    verify(command, root, "--remember", message=other.sign())
    older = next(path for path in folder.iterdir() if stranger.encryption.fingerprint.hex()[:32] in path.name)
    older.write_bytes(re.sub(rb"last signed: \d{4}", b"last signed: 2020", older.read_bytes()))
    os.utime(folder)
    shown = answer(command, root, "--explain").out.decode()
    assert (f"{other.encryption.serial_number:x}" in shown, shown.count("\nfor ")) == (True, 1)
    assert other.decrypt(answer(command, root).out).endswith(b"Hello, Alice.\r\n")


def test_one_that_expired_stands_in_nobody_s_way(
    command: Command, root: Path, stranger: Stranger, folder: Path, issuing_ca: Authority
) -> None:
    verify(command, root, "--remember", message=stranger.sign())
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    wanted = Wanted(digital_signature=False, key_agreement=True, not_before=-9, not_after=-1)
    (folder / "a.pem").write_bytes(issuing_ca.issue(key, wanted).public_bytes(Encoding.PEM))
    assert stranger.decrypt(answer(command, root).out).endswith(b"Hello, Alice.\r\n")


@pytest.mark.usefixtures("folder")
def test_a_named_certificate_comes_before_one_that_was_remembered(
    command: Command, root: Path, stranger: Stranger, other: Stranger
) -> None:
    verify(command, root, "--remember", message=stranger.sign())
    done = answer(command, root, "--to", "alice@example.org", "--cert", str(other.folder / "other.pem"))
    assert other.decrypt(done.out).endswith(b"Hello, Alice.\r\n")


@pytest.mark.usefixtures("folder")
def test_what_is_known_of_a_named_certificate_counts(command: Command, root: Path, stranger: Stranger) -> None:
    verify(command, root, "--remember", message=stranger.sign())
    shown = answer(command, root, "--cert", str(stranger.folder / "other.pem"), "--explain").out
    assert shown.startswith(b"the message: AES-256-CBC")


@pytest.mark.usefixtures("folder")
def test_two_people_with_tokens_need_nothing_else(
    command: Command, root: Path, softhsm: SoftHsm, issuing_ca: Authority
) -> None:
    """A signed mail of ours says which certificate to encrypt to; the answer is decrypted with its key."""
    token = softhsm.new_token("both")
    token.enrol(issuing_ca, KeyType.EC_P256)
    wanted = Wanted(digital_signature=False, key_agreement=True)
    token.enrol(issuing_ca, KeyType.EC_P256, wanted, KeyUsage.DECRYPT)
    signed = command("sign", "--token", "both", "--pin-source", "env:PIN", stdin=MAIL)
    assert verified(command, root, "--remember", message=signed.out)["verdict"] == "trusted"
    done = answer(command, root)
    assert done.code == TRUSTED, done.err
    read = command("decrypt", "--token", "both", "--pin-source", "env:PIN", stdin=done.out)
    assert read.out.endswith(b"Hello, Alice.\r\n")
