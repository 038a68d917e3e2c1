"""Honest signed mails as MIME, in all forms."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.spoofs.cms import (
    signed,
)
from tests.spoofs.mime import (
    ALICE,
    BOUNDARY,
    ENTITY,
    OPAQUE,
    SIGNATURE,
    SIGNED,
    TEXT,
    Clear,
    field,
    head,
    multipart,
    opaque,
    part,
    sent_by,
)
from tests.spoofs.spoof import Honest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.spoofs.workshop import Workshop


def honest_structures(workshop: Workshop) -> Iterator[Honest]:
    """All of them."""
    yield from _clear_signed(workshop)
    yield from _opaque(workshop)
    yield from _contents(workshop)


def _clear_signed(workshop: Workshop) -> Iterator[Honest]:
    clear = Clear(ENTITY, signed(workshop.alice, ENTITY).der)
    old = SIGNED.replace(b"pkcs7-signature", b"x-pkcs7-signature")
    no_protocol = SIGNED.replace(b' protocol="application/pkcs7-signature";', b"")
    thunderbird = b"This is a cryptographically signed message in MIME format.\r\n\r\n"
    named = SIGNATURE + b"\r\nContent-Disposition: attachment; filename=smime.p7s\r\nContent-Description: S/MIME"
    token = SIGNED.replace(b'"application/pkcs7-signature"', b"application/pkcs7-signature")
    for label, changed, why in (
        ("old-type", replace(clear, kind=old, signature_kind=b"application/x-pkcs7-signature"), "the type before 1998"),
        ("old-protocol-only", replace(clear, kind=old), "protocol of one form, part of the other"),
        ("no-protocol", replace(clear, kind=no_protocol), "protocol missing: the second part says what it is"),
        ("micalg-wrong", replace(clear, kind=SIGNED.replace(b"sha-256", b"sha1")), "micalg is a hint"),
        ("micalg-unknown", replace(clear, kind=SIGNED.replace(b"sha-256", b"unknown")), "or unknown"),
        ("micalg-missing", replace(clear, kind=SIGNED.replace(b" micalg=sha-256;", b"")), "or missing"),
        ("micalg-list", replace(clear, kind=SIGNED.replace(b"sha-256", b'"sha-256,sha1"')), "or a list"),
        ("preamble", replace(clear, preamble=thunderbird), "a text that no mail program shows"),
        ("preamble-line", replace(clear, preamble=b"\r\n"), "an empty line"),
        ("epilogue-line", replace(clear, epilogue=b"\r\n\r\n"), "empty lines after the end"),
        ("signature-fields", replace(clear, signature_kind=named), "more fields of the signature part"),
        ("unquoted-protocol", replace(clear, kind=token), "protocol without quotes, as many write it"),
        ("type-upper", replace(clear, kind=SIGNED.replace(b"multipart/signed", b"Multipart/SIGNED")), "letter case"),
        ("octet-stream", replace(clear, signature_kind=b"application/octet-stream; name=smime.p7s"), "by its name"),
    ):
        yield Honest(f"clear-{label}", sent_by(ALICE) + changed.whole, why)
    padded = clear.whole.replace(b"--" + BOUNDARY + b"\r\n", b"--" + BOUNDARY + b" \t \r\n")
    yield Honest("clear-padding", sent_by(ALICE) + padded, "transport padding after the delimiters")
    whole = sent_by(ALICE) + clear.whole
    yield Honest("clear-lf", whole.replace(b"\r\n", b"\n"), "stored with LF")
    yield Honest("clear-no-last-newline", whole.rstrip(b"\r\n"), "no line end after the last delimiter")
    from_line = b"From alice@example.org Sun Mar  1 10:00:00 2026\n"
    yield Honest("clear-mbox-line", from_line + whole.replace(b"\r\n", b"\n"), "the first line of an mbox")
    no_version = whole.replace(b"MIME-Version: 1.0\r\n", b"")
    yield Honest("clear-no-mime-version", no_version, "no MIME-Version")
    utf8_subject = whole.replace(b"Subject: Invoice", "Subject: R\u00e9sum\u00e9".encode())
    yield Honest("clear-utf8-header", utf8_subject, "UTF-8 in another field")
    base64_lines = (b"\n", b" \r\n", b"\r\n\r\n")
    der = base64.b64encode(clear.cms)
    for label, size, end in zip(("long", "spaces", "gaps"), (900, 61, 4), base64_lines, strict=True):
        wrapped = end.join(der[begin : begin + size] for begin in range(0, len(der), size)) + b"\r\n"
        mail = whole.replace(base64.encodebytes(clear.cms).replace(b"\n", b"\r\n"), wrapped)
        yield Honest(f"clear-base64-{label}", mail, "base64 with odd lines")
    late = head(field("From", ALICE), date="Sun, 01 Mar 2026 10:30:00 +0000") + clear.whole
    yield Honest("clear-date-later", late, "clocks differ by half an hour")
    zone = head(field("From", ALICE), date="Sun, 01 Mar 2026 19:00:00 +0900") + clear.whole
    yield Honest("clear-date-zone", zone, "the same time in another zone")


def _opaque(workshop: Workshop) -> Iterator[Honest]:
    cms = signed(workshop.alice, ENTITY, attached=True).der
    for label, kind, why in (
        ("plain", OPAQUE, "opaque"),
        ("old-type", b"application/x-pkcs7-mime; smime-type=signed-data; name=smime.p7m", "the type before 1998"),
        ("no-smime-type", b"application/pkcs7-mime; name=smime.p7m", "without smime-type"),
        ("no-parameters", b"application/pkcs7-mime", "without any parameter"),
        ("smime-type-case", b"application/pkcs7-mime; smime-type=Signed-Data", "letter case"),
        ("octet-stream", b"application/octet-stream; name=smime.p7m", "by its name alone (RFC 8551, 3.2.1)"),
    ):
        yield Honest(f"opaque-{label}", sent_by(ALICE) + opaque(cms, kind), why)
    binary = b"Content-Type: %b\r\nContent-Transfer-Encoding: binary\r\n\r\n%b" % (OPAQUE, cms)
    yield Honest("opaque-binary", sent_by(ALICE) + binary, "in binary")
    lf = (sent_by(ALICE) + opaque(cms)).replace(b"\r\n", b"\n")
    yield Honest("opaque-lf", lf, "stored with LF")
    lf_content = signed(workshop.alice, ENTITY.replace(b"\r\n", b"\n"), attached=True).der
    yield Honest("opaque-lf-content", sent_by(ALICE) + opaque(lf_content), "signed with LF, as it is")


def _contents(workshop: Workshop) -> Iterator[Honest]:
    latin = ENTITY.replace(b"utf-8", b"iso-8859-1").replace(b"today", b"f\xe9vrier")
    image = part(b"image/png", bytes(range(256)))
    message = b"Content-Type: message/rfc822\r\n\r\n" + sent_by("dave@example.net") + TEXT
    alternative = multipart(b"multipart/alternative", TEXT, TEXT.replace(b"plain", b"html"), boundary=b"=_alternative")
    delimiter_like = ENTITY + b"--" + BOUNDARY[:-1] + b"\r\n-- \r\nAlice\r\n"
    for label, entity, why in (
        ("empty-body", b"Content-Type: text/plain\r\n\r\n", "an empty body"),
        ("no-header", b"\r\nHello\r\n", "no field at all"),
        ("no-final-newline", ENTITY.rstrip(b"\r\n"), "no line end at the end"),
        ("blank-lines", ENTITY + b"\r\n\r\n\r\n", "empty lines at the end"),
        ("eight-bit", latin, "eight-bit text"),
        ("trailing-spaces", ENTITY + b"with spaces   \r\n\t\r\n", "white space at the ends of lines"),
        ("multipart", multipart(b"multipart/mixed", alternative, image), "multiparts in each other"),
        ("attached-mail", multipart(b"multipart/mixed", TEXT, message), "somebody else's mail as an attachment"),
        ("like-delimiter", delimiter_like, "lines that are nearly delimiters"),
        ("from-line", ENTITY + b"From here on\r\n", "a line that begins with From"),
        ("long-line", ENTITY + b"x" * 5000 + b"\r\n", "a long line"),
        ("nested-own", workshop.entity(workshop.alice), "signed twice by herself"),
        ("nested-other", workshop.entity(workshop.carol), "she signed what another had signed"),
    ):
        boundary = b"=_nesting" if label.startswith("nested") else BOUNDARY
        clear = Clear(entity, signed(workshop.alice, entity).der, boundary=boundary)
        yield Honest(f"content-{label}", sent_by(ALICE) + clear.whole, why)
