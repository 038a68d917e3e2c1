"""Encrypted messages that strangers published, decrypted with the keys that they published, on a token."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from smime_agent.errors import NoKeyError, NotEncryptedError, PolicyError
from smime_agent.smime.verification import LayerType
from smime_agent.verdict import Code, Verdict
from tests.conftest import VECTORS
from tests.vectors.owners import Owners
from tests.vectors.verdicts import codes, verifier

if TYPE_CHECKING:
    from pathlib import Path

    from smime_agent.api.verifying import Verifier
    from smime_agent.smime.decrypt import Decryption
    from smime_agent.smime.verification import Encryption
    from tests.support.softhsm import SoftHsm

pytestmark = pytest.mark.vectors
RSA_ROOT = VECTORS / "rfc9216" / "00-3_1_RSA_Certification_Authority_Root_Certificate.pem"
SAMPLE = b"This is some sample content."
ENCRYPTED, SIGNED = LayerType.ENCRYPTED, LayerType.SIGNED
IN_2021 = datetime(2021, 2, 20, 17, tzinfo=UTC)


@pytest.fixture(scope="module")
def owners(softhsm: SoftHsm, vectors: Path) -> Owners:
    return Owners(softhsm, vectors)


class Opened:
    """A message that was decrypted, and what was in it."""

    def __init__(self, found: Decryption) -> None:
        self.decryption = found
        self.content = b"".join(found.content())
        self.layers = [layer.type for layer in found.verification.layers]
        self.verdict = found.verification.verdict
        self.codes = codes(found.verification)
        self.signed_content = [b"".join(layer.content()) for layer in found.verification.layers if layer.content]

    @property
    def encryption(self) -> Encryption:
        (encryption,) = self.decryption.encryptions
        return encryption


def opened(owners: Owners, owner: str, message: bytes, check: Verifier, *, legacy: bool = False) -> Opened:
    with owners.decryptor(owner, check, legacy=legacy) as decryptor, decryptor.opened(message) as found:
        return Opened(found)


# CMS objects on the keys of RFC 9216


@pytest.mark.parametrize(
    ("name", "owner", "algorithm", "key_algorithm"),
    [
        ("encryptedForBobRSAOaep", "Bob", "AES-128-CBC", "RSAES-OAEP"),
        ("encryptedForBobAndDana", "Bob", "AES-128-CBC", "RSAES-OAEP"),
        ("encryptedForBobAndDana", "Dana", "AES-128-CBC", "ECDH with SHA-256 KDF"),
        ("authEnvelopedForDanaX25519HKDF", "Dana", "AES-128-GCM", "ECDH-HKDF-SHA256"),
        ("authEnvelopedForBobChaCha20Poly1305", "Bob", "ChaCha20-Poly1305", "RSAES-OAEP"),
    ],
)
def test_an_example_is_opened_by_whom_it_is_for(
    owners: Owners, name: str, owner: str, algorithm: str, key_algorithm: str
) -> None:
    message = (VECTORS / "cms-on-rfc9216" / f"{name}.p7m").read_bytes()
    found = opened(owners, f"{owner} of RFC 9216", message, verifier(RSA_ROOT))
    encryption = found.encryption
    assert found.content == SAMPLE
    assert (encryption.algorithm, encryption.key_algorithm) == (algorithm, key_algorithm)
    assert encryption.is_authenticated == name.startswith("authEnveloped")


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("encryptedForBobRSAOaep", "Alice"),
        ("encryptedForBobAndDana", "Alice"),
        ("authEnvelopedForDanaX25519HKDF", "Bob"),
        ("authEnvelopedForBobChaCha20Poly1305", "Dana"),
    ],
)
def test_an_example_for_others_names_them(owners: Owners, name: str, owner: str) -> None:
    message = (VECTORS / "cms-on-rfc9216" / f"{name}.p7m").read_bytes()
    with pytest.raises(NoKeyError) as raised:
        opened(owners, f"{owner} of RFC 9216", message, verifier(RSA_ROOT))
    assert "with serial number" in raised.value.details[0]


def test_a_key_that_was_agreed_on_before_is_no_key_of_ours(owners: Owners) -> None:
    message = (VECTORS / "cms-on-rfc9216" / "encryptedKekri.p7m").read_bytes()
    with pytest.raises(NoKeyError) as raised:
        opened(owners, "Bob of RFC 9216", message, verifier(RSA_ROOT))
    assert "a key that was agreed on before" in raised.value.details[0]


# RFC 4134: Triple DES and RC2 of 1999


def of_1999(owners: Owners, name: str, *, legacy: bool) -> Opened:
    folder = VECTORS / "rfc4134"
    check = verifier(folder / "CarlRSASelf.cer")
    return opened(owners, "Bob of RFC 4134", (folder / name).read_bytes(), check, legacy=legacy)


@pytest.mark.parametrize(
    ("name", "algorithm", "recipients"),
    [("5.1.bin", "DES-EDE3-CBC", 1), ("5.2.bin", "RC2-CBC", 2), ("5.3.eml", "DES-EDE3-CBC", 1)],
)
def test_an_example_of_1999_is_opened_as_legacy(owners: Owners, name: str, algorithm: str, recipients: int) -> None:
    found = of_1999(owners, name, legacy=True)
    assert found.content == SAMPLE
    assert (found.encryption.algorithm, found.encryption.recipients) == (algorithm, recipients)


@pytest.mark.parametrize("name", ["5.1.bin", "5.2.bin", "5.3.eml"])
def test_an_example_of_1999_is_not_opened_else(owners: Owners, name: str) -> None:
    with pytest.raises(PolicyError, match="is weak"):
        of_1999(owners, name, legacy=False)


@pytest.mark.parametrize("name", ["3.1.bin", "4.1.bin", "4.3.bin", "4.11.bin", "6.0.bin"])
def test_what_is_no_envelope_is_not_encrypted(owners: Owners, name: str) -> None:
    """Plain data, a signature, a detached one, certificates alone, a digest."""
    with pytest.raises(NotEncryptedError):
        of_1999(owners, name, legacy=True)


@pytest.mark.parametrize("name", ["7.1.bin", "7.2.bin"])
def test_encrypted_data_without_recipients_is_for_no_key_of_ours(owners: Owners, name: str) -> None:
    with pytest.raises(NoKeyError, match="agreed on before"):
        of_1999(owners, name, legacy=True)


# The mail client's test mails


def client_rows() -> list[Any]:
    """What is encrypted, though the mail client does not see it all; nothing where there are no vectors."""
    path = VECTORS / "thunderbird" / "expected.json"
    if not path.is_file():
        return []
    return [pytest.param(row, id=row["file"]) for row in json.loads(path.read_text()) if ".env." in row["file"]]


def client_mail(owners: Owners, name: str) -> Opened:
    folder = VECTORS / "thunderbird"
    return opened(owners, "Bob of the mail client", (folder / name).read_bytes(), verifier(folder / "TestCA.pem"))


@pytest.mark.parametrize("row", client_rows())
def test_every_encrypted_mail_of_the_client_is_opened(owners: Owners, row: dict[str, Any]) -> None:
    found = client_mail(owners, row["file"])
    assert (found.encryption.algorithm, found.encryption.key_algorithm) == ("AES-128-CBC", "RSAES-PKCS1-v1_5")
    assert found.content.startswith(b"Content-Type: ")


@pytest.mark.parametrize("row", client_rows())
def test_the_layers_of_a_mail_of_the_client_are_those_of_its_name(owners: Owners, row: dict[str, Any]) -> None:
    words = row["file"].split(".")
    named = [
        {"env": ENCRYPTED, "sig": SIGNED, "dsig": SIGNED}[word] for word in words if word in {"env", "sig", "dsig"}
    ]
    # The name tells who did what, in the order in which it was done.
    assert client_mail(owners, row["file"]).layers == named[::-1]


@pytest.mark.parametrize("row", client_rows())
def test_the_verdict_on_what_was_signed_inside_is_that_of_the_client(owners: Owners, row: dict[str, Any]) -> None:
    """A signature around the encryption is none in its eyes, and one in ours: docs/design.md, "Nested layers"."""
    found = client_mail(owners, row["file"])
    if found.layers[0] is ENCRYPTED:
        assert (SIGNED in found.layers, found.verdict is Verdict.TRUSTED) == (row["signed"], row["good"])
    else:
        assert row["nested"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("alice.env.sig.SHA256.opaque.eml", (Verdict.TRUSTED, set(), 0)),
        ("alice.env.sig.SHA1.opaque.eml", (Verdict.UNTRUSTED, {"weak-digest"}, 5)),
        ("alice.env.dsig.SHA256.multipart.eml", (Verdict.INVALID, {"digest-mismatch"}, 6)),
        ("alice.env.sig.SHA256.opaque.dave.sig.SHA256.opaque.eml", (Verdict.TRUSTED, set(), 0)),
    ],
)
def test_a_signature_around_the_encryption_is_judged(
    owners: Owners, name: str, expected: tuple[Verdict, set[str], int]
) -> None:
    found = client_mail(owners, name)
    assert (found.verdict, found.codes, found.decryption.exit_code) == expected


# RFC 9788: header protection, as plain S/MIME


def protected_rows() -> list[Any]:
    """The 19 that are encrypted; nothing where there are no vectors."""
    path = VECTORS / "rfc9788" / "expected.json"
    if not path.is_file():
        return []
    rows = json.loads(path.read_text())["vectors"]
    return [pytest.param(row, id=row["section"]) for row in rows if row["protection"] == "signed+encrypted"]


def protected_mail(owners: Owners, owner: str, row: dict[str, Any], *, sender: bytes | None = None) -> Opened:
    mail = (VECTORS / "rfc9788" / row["file"]).read_bytes()
    if sender is not None:
        head, end, body = mail.partition(b"\r\n\r\n")
        lines = [b"From: " + sender if line.startswith(b"From: ") else line for line in head.split(b"\r\n")]
        mail = b"\r\n".join(lines) + end + body
    return opened(owners, f"{owner} of RFC 9216", mail, verifier(RSA_ROOT, at=IN_2021))


def test_all_encrypted_examples_are_tried() -> None:
    assert len(protected_rows()) == 19


@pytest.mark.parametrize("owner", ["Alice", "Bob"])
@pytest.mark.parametrize("row", protected_rows())
def test_a_header_protected_mail_is_opened_and_trusted(owners: Owners, owner: str, row: dict[str, Any]) -> None:
    found = protected_mail(owners, owner, row)
    assert (found.layers, found.verdict, found.codes) == ([ENCRYPTED, SIGNED], Verdict.TRUSTED, set())
    assert found.decryption.verification.senders == ("alice@smime.example",)
    assert hashlib.sha256(found.signed_content[1]).hexdigest() == row["payload_sha256"]


@pytest.mark.parametrize("row", protected_rows())
def test_another_sender_outside_of_the_encryption_is_a_mismatch(owners: Owners, row: dict[str, Any]) -> None:
    """Nobody protects the outer From: whoever has a mail for Bob can send it to him again in another name."""
    found = protected_mail(owners, "Bob", row, sender=b"Mallory <mallory@smime.example>")
    assert (found.verdict, Code.FROM_MISMATCH.value in found.codes) == (Verdict.MISMATCH, True)
