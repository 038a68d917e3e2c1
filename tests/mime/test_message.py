"""Splitting a mail: what stays outside, what goes in, what is no mail."""

from __future__ import annotations

import pytest

from smime_agent.errors import InvalidMessageError
from smime_agent.mime.message import Message, Protection, split
from smime_agent.source import Source


def take_apart(mail: bytes) -> Message:
    return split(Source.from_bytes(mail))


def canonical(mail: bytes) -> bytes:
    return b"".join(take_apart(mail).entity.chunks())


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_content_fields_move_in_and_the_others_stay_as_they_are(line_end: bytes) -> None:
    mail = (
        b"From: a@example.com\nContent-Language: en\nSUBJECT:  two\n\tlines \nX-Raw: caf\xc3\xa9\n"
        b"Mime-version: 1.0\ncontent-type: text/plain\nTo: b@example.com\n\nbody\n"
    ).replace(b"\n", line_end)
    message = take_apart(mail)
    assert message.outer == (
        b"From: a@example.com\r\n",
        b"SUBJECT:  two\r\n\tlines \r\n",
        b"X-Raw: caf\xc3\xa9\r\n",
        b"To: b@example.com\r\n",
    )
    assert b"".join(message.entity.chunks()) == b"Content-Language: en\r\ncontent-type: text/plain\r\n\r\nbody\r\n"


def test_mixed_line_ends() -> None:
    message = take_apart(b"From: a@b\r\nTo: c@d\n e\r\n\nx\r\ny\n")
    assert message.outer == (b"From: a@b\r\n", b"To: c@d\r\n e\r\n")
    assert b"".join(message.entity.chunks()).endswith(b"\r\n\r\nx\r\ny\r\n")


def test_mailbox_line_is_kept() -> None:
    message = take_apart(b"From ann Mon Jan  1 00:00:00 2026\nFrom: a@b\n\nx\n")
    assert message.mbox_line == b"From ann Mon Jan  1 00:00:00 2026\r\n"
    assert message.outer == (b"From: a@b\r\n",)


def test_mail_without_mailbox_line() -> None:
    assert take_apart(b"From: a@b\n\nx").mbox_line == b""


@pytest.mark.parametrize(
    ("body", "charset"),
    [(b"hello\n", "us-ascii"), ("gr\u00fc\u00df\n".encode(), "utf-8"), (b"gr\xfc\xdf\n", "unknown-8bit")],
)
def test_type_is_declared_when_it_is_not(body: bytes, charset: str) -> None:
    entity = take_apart(b"From: a@b\n\n" + body).entity
    assert entity.header_value("Content-Type") == f"text/plain; charset={charset}"
    assert b"".join(entity.chunks()).startswith(f"Content-Type: text/plain; charset={charset}\r\n".encode())


def test_type_is_declared_before_the_other_fields() -> None:
    out = canonical(b"Content-Language: en\nTo: a@b\nContent-ID: <x>\n\nx")
    fields = b"Content-Type: text/plain; charset=us-ascii\r\nContent-Language: en\r\nContent-ID: <x>\r\n\r\n"
    assert out == fields + b"x"


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_declared_charset_is_found_across_chunks(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Source, "CHUNK", size)
    mail = "From: a@b\n\n\u20ac\u20ac \U0001f600\n".encode()
    assert take_apart(mail).entity.header_value("content-type") == "text/plain; charset=utf-8"


def test_header_value_is_unfolded() -> None:
    entity = take_apart(b"From: a@b\nContent-Type: text/html;\n charset=utf-8\n\nx").entity
    assert entity.header_value("content-TYPE") == "text/html; charset=utf-8"
    assert entity.header_value("content-id") is None


@pytest.mark.parametrize("mail", [b"From: a@b", b"From: a@b\n", b"From: a@b\r\n\r\n", b"From: a@b\n\n"])
def test_empty_body(mail: bytes) -> None:
    message = take_apart(mail)
    assert message.outer == (b"From: a@b\r\n",)
    assert b"".join(message.entity.chunks()) == b"Content-Type: text/plain; charset=us-ascii\r\n\r\n"


def test_missing_final_newline_stays_missing() -> None:
    assert canonical(b"A: b\n\nlast line").endswith(b"\r\n\r\nlast line")


def test_header_may_end_at_a_line_that_is_no_field() -> None:
    message = take_apart(b"From: a@b\nHello Bob\n")
    assert b"".join(message.entity.chunks()).endswith(b"\r\n\r\nHello Bob\r\n")
    assert "no header field" in message.entity.notes[0]


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"\n",
        b"\r\n\r\nbody",
        b"hello\n",
        b" folded: x\n",
        b"\x89PNG\r\n\x1a\n",
        b"0\x82\x01\x02: x\n",
        b"-----BEGIN PKCS7-----\n",
        b"From: a\0b\n\nx",
        b"From ann Mon\n",
        b"From: a\rTo: b\r\rx",
        b"From: a\r\r\nTo: b\r\r\n\r\r\nx",
        b"caf\xc3\xa9: x\n",
    ],
)
def test_what_is_no_mail(junk: bytes) -> None:
    with pytest.raises(InvalidMessageError) as caught:
        take_apart(junk)
    assert caught.value.hint


def test_no_mail_hint_says_how_to_sign_a_file() -> None:
    with pytest.raises(InvalidMessageError) as caught:
        take_apart(b"\0\1\2")
    assert caught.value.hint == "to sign any file as it is, use --format der or --format pem"


@pytest.mark.parametrize("line", [b"X: y\n", b"X: y\n " + b"z" * 100 + b"\n"])
def test_header_is_bounded(line: bytes) -> None:
    with pytest.raises(InvalidMessageError, match="1 MiB"):
        take_apart(line * (1 + (1 << 20) // len(line)) + b"\nbody")


def test_header_of_many_chunks() -> None:
    fields = b"X-Long: value\n" * 20_000
    message = take_apart(fields + b"\n" + b"body\n" * 500_000)
    assert len(message.outer) == 20_000


SMIME = b"Content-Type: application/pkcs7-mime"


@pytest.mark.parametrize(
    ("fields", "protection"),
    [
        (b"Content-Type: text/plain", None),
        (b"Content-Type: text/plain; name=signed.p7m", None),
        (b"Content-Type: multipart/mixed; boundary=a7", None),
        (
            b'Content-Type: multipart/signed;\n protocol="application/pkcs7-signature"; micalg=sha-256; boundary=a',
            Protection.SIGNED,
        ),
        (b"Content-Type: multipart/signed; protocol=Application/X-PKCS7-Signature; boundary=a", Protection.SIGNED),
        (b'Content-Type: Multipart/Signed; protocol="application/pgp-signature"; boundary=a', Protection.OTHER),
        (b'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=a', Protection.OTHER),
        (SMIME + b"; smime-type=signed-data; name=smime.p7m", Protection.SIGNED),
        (SMIME + b'; smime-type="enveloped-data"; name=smime.p7m', Protection.ENCRYPTED),
        (SMIME + b"; smime-type=authEnveloped-data", Protection.ENCRYPTED),
        (SMIME + b"; smime-type=compressed-data; name=smime.p7z", Protection.OTHER),
        (SMIME + b"; smime-type=certs-only", Protection.OTHER),
        (SMIME + b"; name=smime.p7m", Protection.SIGNED_OR_ENCRYPTED),
        (SMIME + b"; smime-type=x-new; name=smime.p7m", Protection.SIGNED_OR_ENCRYPTED),
        (SMIME, Protection.SIGNED_OR_ENCRYPTED),
        (SMIME + b"\nContent-Disposition: attachment; filename=certs.p7c", Protection.OTHER),
        (b"Content-Type: application/x-pkcs7-mime; smime-type=enveloped-data", Protection.ENCRYPTED),
        (b"Content-Type: application/octet-stream; name=SMIME.P7M", Protection.SIGNED_OR_ENCRYPTED),
        (
            b"Content-Type: application/octet-stream\nContent-Disposition: attachment; filename=smime.p7m",
            Protection.SIGNED_OR_ENCRYPTED,
        ),
        (b"Content-Type: application/octet-stream; name=a7.bin", None),
        (b"Content-Type: application/pkcs7-signature; name=smime.p7s", Protection.OTHER),
    ],
)
def test_protection(fields: bytes, protection: Protection | None) -> None:
    assert take_apart(b"From: a@b\n" + fields + b"\n\nx").protection is protection


@pytest.mark.parametrize(
    ("field", "sent"),
    [
        (b"X-Old : x\n", b"X-Old: x\r\n"),
        (b"X-Old\t : x : y\n", b"X-Old: x : y\r\n"),
        (b"Subject: a\n \n b\n", b"Subject: a\r\n b\r\n"),
        (b"Subject: a : b \n", b"Subject: a : b \r\n"),
    ],
)
def test_a_field_that_would_end_the_header_for_some_is_tidied(field: bytes, sent: bytes) -> None:
    assert split(Source.from_bytes(b"From: a@example.org\n" + field + b"\nbody\n")).outer[1] == sent


def test_a_from_field_with_a_blank_before_its_colon_is_no_mailbox_line() -> None:
    message = split(Source.from_bytes(b"From : alice@example.org\nTo: bob@example.org\n\nHello.\n"))
    assert (message.mbox_line, message.from_addresses()) == (b"", ["alice@example.org"])
