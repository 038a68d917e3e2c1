"""The S/MIME mails of a mail client's own tests, against the verdicts that it expects of itself."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from smime_agent.verdict import Verdict
from tests.conftest import VECTORS
from tests.vectors.verdicts import codes, verifier

if TYPE_CHECKING:
    from pathlib import Path

    from smime_agent.smime.verification import Verification

pytestmark = pytest.mark.vectors
FOLDER = VECTORS / "thunderbird"


def rows(*, nested: bool) -> list[Any]:
    """The rows of ``expected.json``; none where there are no vectors."""
    if not FOLDER.is_dir():
        return []
    expected = json.loads((FOLDER / "expected.json").read_text())
    return [pytest.param(row, id=row["file"]) for row in expected if row["nested"] is nested]


def opened(mail: bytes, folder: Path) -> bytes:
    """The mail as Bob reads it: OpenSSL takes the encryption off, the fields outside stay."""
    key = folder / "bob.pem"
    pkcs12 = ("openssl", "pkcs12", "-in", FOLDER / "Bob.p12", "-passin", "pass:nss", "-legacy", "-nodes")
    subprocess.run((*pkcs12, "-nocerts", "-out", key), check=True, capture_output=True)
    decrypt = ("openssl", "cms", "-decrypt", "-inkey", key)
    done = subprocess.run(decrypt, input=mail, check=True, capture_output=True)
    header = mail.partition(b"\nContent-Type:")[0]
    return header + b"\n" + done.stdout


def verdict_on(row: dict[str, Any], folder: Path) -> Verification:
    mail = (FOLDER / row["file"]).read_bytes()
    if row["encrypted"]:
        mail = opened(mail, folder)
    return verifier(FOLDER / "TestCA.pem").verify(mail)


@pytest.mark.parametrize("row", rows(nested=False))
def test_a_plain_mail_has_the_verdict_of_the_mail_client(row: dict[str, Any], tmp_path: Path) -> None:
    found = verdict_on(row, tmp_path)
    assert (found.verdict is not Verdict.UNSIGNED, found.verdict is Verdict.TRUSTED) == (row["signed"], row["good"])


def test_a_mail_dated_after_its_signature_says_so(vectors: Path) -> None:
    mail = (vectors / "thunderbird" / "alice.future.dsig.SHA256.multipart.eml").read_bytes()
    assert codes(verifier(FOLDER / "TestCA.pem").verify(mail)) == {"date-mismatch"}


def verdict_of_the_outermost_signature(row: dict[str, Any]) -> Verdict:
    """What OpenSSL makes of it, which knows one layer; SHA-1 is our own affair."""
    if row["file"] == "alice.env.eml":
        return Verdict.UNSIGNED
    command = ("openssl", "cms", "-verify", "-in", FOLDER / row["file"], "-CAfile", FOLDER / "TestCA.pem")
    if subprocess.run(command, check=False, capture_output=True).returncode:
        return Verdict.INVALID
    return Verdict.UNTRUSTED if "SHA1" in row["file"] else Verdict.TRUSTED


@pytest.mark.interop
@pytest.mark.parametrize("row", rows(nested=True))
def test_a_nested_mail_is_judged_by_its_outermost_signature(row: dict[str, Any]) -> None:
    """RFC 9787: a layer directly inside another belongs to the envelope, whatever the form of the two.

    Where it differs from the mail client: docs/design.md, "Nested layers".
    """
    found = verifier(FOLDER / "TestCA.pem").verify((FOLDER / row["file"]).read_bytes())
    assert found.verdict is verdict_of_the_outermost_signature(row)
    if row["good"]:
        assert found.verdict is Verdict.TRUSTED
