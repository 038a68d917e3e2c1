"""The examples of RFC 4134, RFC 9216 and RFC 9788, and CMS objects on the keys of RFC 9216."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from smime_agent.verdict import Verdict
from tests.conftest import VECTORS
from tests.vectors.verdicts import codes, verifier

pytestmark = pytest.mark.vectors
RSA_ROOT = VECTORS / "rfc9216" / "00-3_1_RSA_Certification_Authority_Root_Certificate.pem"
ED25519_ROOT = VECTORS / "rfc9216" / "13-6_1_Ed25519_Certification_Authority_Root_Certificate.pem"
IN_1999 = datetime(1999, 9, 20, tzinfo=UTC)
PLAINTEXT = b"This is some sample content."


def cms_example(name: str) -> bytes:
    return (VECTORS / "cms-on-rfc9216" / f"{name}.p7m").read_bytes()


@pytest.mark.parametrize(
    ("name", "signer"),
    [
        ("signedByAliceRSA", "alice@smime.example"),
        ("signedByAliceRSAPSS", "alice@smime.example"),
        ("signedByCarlosEd25519", "carlos@smime.example"),
    ],
)
def test_an_attached_example_is_trusted(name: str, signer: str) -> None:
    with verifier(RSA_ROOT, ED25519_ROOT).opened(cms_example(name), expected_sender=signer) as found:
        assert (found.verdict, codes(found)) == (Verdict.TRUSTED, set())
        content = found.signed_content()
        assert content is not None
        assert b"".join(content()) == PLAINTEXT


def test_the_detached_example_is_trusted_with_its_content() -> None:
    found = verifier(ED25519_ROOT).verify(
        cms_example("signedByCarlosDetached"), content=PLAINTEXT, expected_sender="carlos@smime.example"
    )
    assert (found.verdict, codes(found)) == (Verdict.TRUSTED, set())


def test_signers_without_certificates_are_named_and_not_trusted() -> None:
    found = verifier(RSA_ROOT, ED25519_ROOT).verify(cms_example("signedByAliceAndCarlosNoCerts"))
    assert (codes(found), len(found.signers)) == ({"no-certificate"}, 2)


@pytest.mark.parametrize("name", ["encryptedForBobAndDana", "authEnvelopedForBobChaCha20Poly1305", "encryptedKekri"])
def test_an_encrypted_example_is_not_signed_as_far_as_one_can_see(name: str) -> None:
    found = verifier(RSA_ROOT).verify(cms_example(name))
    assert (found.verdict, codes(found)) == (Verdict.UNSIGNED, {"encrypted"})


# RFC 4134: DSA and SHA-1 of 1999. Nothing of it is trusted; what can be said is whether the signature is right.

_SIGNED = {
    "4.1": (1, {"legacy-algorithm", "weak-digest"}),
    "4.2": (1, {"weak-digest", "weak-key"}),
    "4.3": (1, {"legacy-algorithm", "weak-digest"}),
    "4.4": (1, {"legacy-algorithm", "weak-digest"}),
    "4.6": (2, {"legacy-algorithm", "weak-digest"}),  # the second signer's DSA parameters are its issuer's
    "4.5": (1, {"weak-digest", "weak-key"}),
}


@pytest.mark.parametrize("name", _SIGNED)
def test_an_example_of_1999_is_valid_and_legacy(name: str) -> None:
    folder = VECTORS / "rfc4134"
    check = verifier(folder / "CarlDSSSelf.cer", folder / "CarlRSASelf.cer", at=IN_1999, legacy=True)
    content = (folder / "ExContent.bin").read_bytes() if name == "4.3" else None
    with check.opened((folder / f"{name}.bin").read_bytes(), content=content) as found:
        signers, reasons = _SIGNED[name]
        assert found.verdict is Verdict.UNTRUSTED
        assert (len(found.signers), codes(found) & reasons) == (signers, reasons)
        signed = found.signed_content(legacy=True)
        assert signed is not None
        assert b"".join(signed()) == (folder / "ExContent.bin").read_bytes()
        assert found.signed_content() is None


@pytest.mark.parametrize("name", ["4.8", "4.9"])
def test_a_mail_of_1999_is_valid_and_legacy(name: str) -> None:
    folder = VECTORS / "rfc4134"
    check = verifier(folder / "CarlDSSSelf.cer", folder / "CarlRSASelf.cer", at=IN_1999, legacy=True)
    found = check.verify((folder / f"{name}.eml").read_bytes())
    assert all(signer.is_valid for signer in found.signers)
    assert found.signers
    assert {"legacy-algorithm", "weak-digest"} <= codes(found)


def test_certificates_only_sign_nothing() -> None:
    found = verifier(RSA_ROOT).verify((VECTORS / "rfc4134" / "4.11.bin").read_bytes())
    assert codes(found) == {"certificates-only"}


# RFC 9788: as plain S/MIME


def _header_protected() -> list[Any]:
    path = VECTORS / "rfc9788" / "expected.json"
    if not path.is_file():
        return []
    return [pytest.param(row, id=row["section"]) for row in json.loads(path.read_text())["vectors"]]


@pytest.mark.parametrize("row", _header_protected())
def test_a_header_protected_mail_verifies_as_plain_smime(row: dict[str, Any]) -> None:
    at = datetime(2021, 2, 20, 17, tzinfo=UTC)
    found = verifier(RSA_ROOT, at=at).verify((VECTORS / "rfc9788" / row["file"]).read_bytes())
    protection = row["protection"]
    expected = {"not-signed"} if protection == "none" else {"encrypted"} if "encrypted" in protection else set()
    assert codes(found) == expected
