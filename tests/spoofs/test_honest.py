"""Strictness refuses no honest mail."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.spoofs.collection import WORKSHOP
from tests.spoofs.mime import ALICE, ENTITY
from tests.spoofs.spoof import Honest
from tests.spoofs.workshop import pem

if TYPE_CHECKING:
    from pathlib import Path

    from tests.spoofs.conftest import Shelf

_OPENSSL = {
    "clear": (),
    "clear-crlf": ("-crlfeol",),
    "clear-stream": ("-stream",),
    "opaque": ("-nodetach",),
    "opaque-stream": ("-nodetach", "-stream"),
    "opaque-indef": ("-nodetach", "-indef", "-binary"),
    "key-identifier": ("-keyid",),
    "no-attributes": ("-noattr",),
    "no-attributes-opaque": ("-noattr", "-nodetach"),
    "no-capabilities": ("-nosmimecap",),
    "sha512": ("-md", "sha512"),
    "certificate-identifiers": ("-cades",),
}


def test_every_honest_mail_is_trusted(shelf: Shelf, honest_mails: list[Honest]) -> None:
    findings = shelf.verify("honest", honest_mails)
    refused = {
        mail.name: findings[mail.name]["reasons"]
        for mail in honest_mails
        if findings[mail.name]["verdict"] != "trusted"
    }
    assert not refused


@pytest.mark.interop
def test_every_mail_of_openssl_is_trusted(shelf: Shelf, tmp_path: Path) -> None:
    mails = [Honest(name, _signed(tmp_path, *options), "by OpenSSL") for name, options in _OPENSSL.items()]
    findings = shelf.verify("openssl", mails)
    refused = {name: finding["reasons"] for name, finding in findings.items() if finding["verdict"] != "trusted"}
    assert not refused


def _signed(folder: Path, *options: str) -> bytes:
    alice = WORKSHOP.alice
    for name, content in (
        ("key", WORKSHOP.alice_pem),
        ("certificate", pem(alice.certificate)),
        ("chain", b"".join(map(pem, alice.above))),
        ("entity", ENTITY),
    ):
        (folder / name).write_bytes(content)
    people = ("-from", ALICE, "-to", "bob@example.org", "-subject", "Invoice")
    files = ("-in", "entity", "-signer", "certificate", "-inkey", "key", "-certfile", "chain")
    command = ["openssl", "cms", "-sign", *files, *people, *options]
    return subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout
