"""The outgoing mail: what is signed is exactly the entity, and the rest of the world can read it."""

from __future__ import annotations

import base64
import email
import email.policy
import os
from typing import Any

import pytest

from smime_agent.mime.assemble import multipart_signed, pkcs7_mime
from smime_agent.mime.message import Protection, split
from smime_agent.source import Source

MAIL = b"From x\nFrom: a@b\nMIME-Version: 1.0\nSubject: caf\xc3\xa9\nContent-Type: text/plain\n\nhello\n"
MESSAGE = split(Source.from_bytes(MAIL))
ENTITY = b"Content-Type: text/plain\r\n\r\nhello\r\n"
DER = os.urandom(5000)


def test_multipart_signed_carries_the_entity_as_it_is() -> None:
    out = b"".join(multipart_signed(MESSAGE, DER, "sha-256", "BOUND"))
    assert out.split(b"--BOUND")[1] == b"\r\n" + ENTITY + b"\r\n"


def test_multipart_signed_is_mime() -> None:
    out = b"".join(multipart_signed(MESSAGE, DER, "sha-384", "BOUND"))
    mail: Any = email.message_from_bytes(out, policy=email.policy.SMTPUTF8)
    assert mail.get_content_type() == "multipart/signed"
    assert mail.get_param("protocol") == "application/pkcs7-signature"
    assert mail.get_param("micalg") == "sha-384"
    assert mail["From"] == "a@b"
    assert mail["MIME-Version"] == "1.0"
    assert mail.get_all("Content-Type") == [mail["Content-Type"]]
    text, signature = mail.get_payload()
    assert text.get_content_type() == "text/plain"
    assert signature.get_content_type() == "application/pkcs7-signature"
    assert signature.get_filename() == "smime.p7s"
    assert signature.get_payload(decode=True) == DER


def test_outer_fields_come_first_and_as_they_were() -> None:
    out = b"".join(multipart_signed(MESSAGE, DER, "sha-256", "B"))
    assert out.startswith(b"From x\r\nFrom: a@b\r\nSubject: caf\xc3\xa9\r\nMIME-Version: 1.0\r\n")


@pytest.mark.parametrize(
    ("smime_type", "name", "protection"),
    [
        ("signed-data", "smime.p7m", Protection.SIGNED),
        ("enveloped-data", "smime.p7m", Protection.ENCRYPTED),
        ("authEnveloped-data", "smime.p7m", Protection.ENCRYPTED),
        ("certs-only", "smime.p7c", Protection.OTHER),
        ("compressed-data", "smime.p7z", Protection.OTHER),
    ],
)
def test_pkcs7_mime(smime_type: str, name: str, protection: Protection | None) -> None:
    out = b"".join(pkcs7_mime(MESSAGE, [DER[:1], DER[1:3000], DER[3000:]], smime_type))
    mail = email.message_from_bytes(out)
    assert mail.get_content_type() == "application/pkcs7-mime"
    assert mail.get_param("smime-type") == smime_type
    assert mail.get_filename() == mail.get_param("name") == name
    assert mail.get_content_disposition() == "attachment"
    assert mail.get_payload(decode=True) == DER
    assert split(Source.from_bytes(out)).protection is protection


def test_output_is_robust_lines() -> None:
    for out in (b"".join(multipart_signed(MESSAGE, DER, "sha-256", "B")), b"".join(pkcs7_mime(MESSAGE, [DER]))):
        lines = out.split(b"\r\n")
        assert lines[-1] == b""
        assert all(b"\n" not in line and b"\r" not in line and len(line) <= 78 for line in lines)


def test_base64_has_lines_of_76() -> None:
    body = b"".join(pkcs7_mime(MESSAGE, [DER])).split(b"\r\n\r\n")[1]
    assert body == base64.encodebytes(DER).replace(b"\n", b"\r\n").removesuffix(b"\r\n") or body.endswith(b"\r\n")
    assert {len(line) for line in body.split(b"\r\n")[:-2]} == {76}
