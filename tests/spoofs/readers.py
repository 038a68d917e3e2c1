"""Mails that another program reads otherwise than we do: what it shows is not what was signed."""

from __future__ import annotations

import base64
import io
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tests.spoofs.asn1 import context, integer, octets, oid, sequence, tlv
from tests.spoofs.certificates import name_constraints, rfc822
from tests.spoofs.cms import DATA, SIGNED_DATA, SignedData, SignerInfo, attribute, content_info, signed, usual
from tests.spoofs.keys import digest_algorithm
from tests.spoofs.mime import ALICE, ENTITY, MALLORY, OPAQUE, Clear, field, opaque, part, sent_by
from tests.spoofs.spoof import Spoof
from tests.spoofs.workshop import AUTHORITY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.spoofs.workshop import Workshop

_EVIL: Final = b"Content-Type: text/plain\r\n\r\nPlease pay the account 0815 now.\r\n"
_PDF: Final = b"%PDF-1.4\ntrailer<</Root 1 0 R>>\n%%EOF\n"
#: Charsets in which the octets are a full-width or encoded @, by the names that mail programs know.
_CHARSETS: Final = {
    "x-gbk": "=A3=C0",
    "csgb2312": "=A3=C0",
    "x-euc-jp": "=A1=F7",
    "windows-949": "=A3=C0",
    "x-x-big5": "=A2I",
    "csUnicode11UTF7": "+AEA-",
    "unicode-2-0-utf-7": "+AEA-",
    "x-unicode-2-0-utf-7": "+AEA-",
}


def readers(workshop: Workshop) -> Iterator[Spoof]:
    """All of them."""
    yield from _attachments(workshop)
    yield from _polyglots(workshop)
    yield from _two_objects(workshop)
    yield from _boundaries(workshop)
    yield from _fields(workshop)
    yield from _dates(workshop)
    yield from _entities(workshop)
    yield from _constraints(workshop)


def _attachments(workshop: Workshop) -> Iterator[Spoof]:
    """What is beside the signed content in CMS is anybody's; under another name it is an attachment."""
    alice = workshop.alice
    honest = SignerInfo(alice, usual(ENTITY))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr(zipfile.ZipInfo("invoice.txt"), "Pay the account 0815.\n")
    with_archive = replace(honest, unsigned=(attribute("1.3.6.1.4.1.99999.3", octets(archive.getvalue())),))
    zipped = SignedData((with_archive,), alice.chain).der
    for label, cms, kind in (
        ("zip", zipped, b'application/zip; name="smime.p7s"\r\nContent-Disposition: attachment; filename="a.zip"'),
        (
            "pdf",
            _with_pdf(workshop),
            b'application/pdf; name="smime.p7s"\r\nContent-Disposition: inline; filename=a.pdf',
        ),
        (
            "pdf-name",
            _with_pdf(workshop),
            b'application/pdf; name="a.pdf"\r\nContent-Disposition: inline; filename=x.p7s',
        ),
        ("other-name", _with_pdf(workshop), b'application/pkcs7-signature; name="a.pdf"'),
        ("two-names", _with_pdf(workshop), b'application/pkcs7-signature; name="a.p7s"; name="a.pdf"'),
        ("extended-name", _with_pdf(workshop), b"application/pkcs7-signature; name=a.p7s; name*=utf-8''a.pdf"),
    ):
        mail = sent_by(ALICE) + Clear(ENTITY, cms, signature_kind=kind).whole
        yield Spoof(f"attachment-{label}", mail, "invalid", "malformed-mail", "the signature is a file of another kind")
    inside = _with_pdf(workshop, ENTITY)
    named = b'Content-Disposition: attachment; filename="a.pdf"\r\n'
    mail = sent_by(ALICE) + named + opaque(inside)
    yield Spoof("attachment-opaque", mail, "invalid", "malformed-mail", "the same of an opaque mail")
    mail = sent_by(ALICE) + named.replace(b"a.pdf", b"a.p7m") + part(b'application/pdf; name="a.pdf"', inside)
    yield Spoof("attachment-opaque-type", mail, "unsigned", "not-signed", "a PDF file that is CMS too")


def _with_pdf(workshop: Workshop, content: bytes | None = None) -> bytes:
    """Alice's honest signature, and a file where it does not cover anything."""
    return _with_junk(workshop, sequence(oid("1.3.6.1.4.1.99999.9"), octets(_PDF)), content)


def _with_junk(workshop: Workshop, junk: bytes, content: bytes | None) -> bytes:
    """The same with a digest algorithm that nobody uses."""
    honest = SignerInfo(workshop.alice, usual(ENTITY))
    return content_info(
        SIGNED_DATA,
        sequence(
            integer(1),
            tlv(0x31, junk, digest_algorithm("sha256")),
            sequence(oid(DATA), context(0, octets(content)) if content else b""),
            tlv(0xA0, *workshop.alice.chain),
            tlv(0x31, honest.der),
        ),
    )


def _polyglots(workshop: Workshop) -> Iterator[Spoof]:
    """A mail to some, and CMS of Mallory's to others."""
    own = _pem(signed(workshop.mallory, ENTITY, attached=True).der)
    mail = sent_by(ALICE) + _EVIL + b"\r\n" + own
    for label, lead in (
        ("mark", b"\xef\xbb\xbf"),
        ("empty-line", b"\r\n"),
        ("quoted-mailbox-line", b">From alice Mon Nov 24\r\n"),
    ):
        yield Spoof(f"pem-after-{label}", lead + mail, "invalid", "malformed-mail", "a mail, and a PEM file")
    garbage = b"X-Mailer: x\r\ngarbage\r\n" + mail
    yield Spoof("pem-after-garbage", garbage, "unsigned", "not-signed", "some read on after garbage in the header")
    yield Spoof("pem-before-mail", own + mail, "unsigned", "trailing-data", "the other way round")
    second = _pem(signed(workshop.carol, _EVIL, attached=True).der)
    yield Spoof("pem-twice", own + second, "unsigned", "trailing-data", "which of the two?")


def _pem(der: bytes) -> bytes:
    return b"-----BEGIN CMS-----\n%b-----END CMS-----\n" % base64.encodebytes(der)


def _two_objects(workshop: Workshop) -> Iterator[Spoof]:
    """Alice's object, and one of Mallory's inside it at which OpenSSL begins."""
    own = signed(workshop.mallory, _EVIL, attached=True).der
    honest = signed(workshop.alice, ENTITY, attached=True)
    made = []
    for padding in range(3):
        junk = attribute("1.3.6.1.4.1.99999.3", octets(b"x" * padding + own + bytes(60)))
        infos = (replace(honest.signer_infos[0], unsigned=(junk,)),)
        made.append(replace(honest, signer_infos=infos).der)
    der = next(one for one in made if one.index(own) % 3 == 0)
    head, tail = base64.b64encode(der[: der.index(own)]), base64.encodebytes(der[der.index(own) :])
    encoded = b"Content-Type: %b\r\nContent-Transfer-Encoding: %b\r\n\r\n"
    lines = base64.encodebytes(der[: der.index(own)]).splitlines()
    for label, before in (
        ("odd-lines", b"\n".join(line[:9] + b"!" + line[9:] for line in lines)),
        ("one-odd-line", head[:9] + b"-" + head[9:]),
        ("long-line", head),
    ):
        mail = sent_by(ALICE) + encoded % (OPAQUE, b"base64") + before + b"\n" + tail
        yield Spoof(f"second-object-{label}", mail, "invalid", "malformed-mail", "OpenSSL passes over such lines")
    text = b"\n" + base64.encodebytes(own) + b"-----\n"
    junk = sequence(oid("1.3.6.1.4.1.99999.9"), octets(text))
    mail = sent_by(ALICE) + encoded % (OPAQUE, b"binary") + _with_junk(workshop, junk, ENTITY)
    yield Spoof("second-object-binary", mail, "invalid", "malformed-mail", "OpenSSL decodes every body")
    for encoding in (b"x-uuencode", b"base64x", b"base64 quoted-printable", b"7bit base64"):
        mail = sent_by(ALICE) + encoded % (OPAQUE, encoding) + honest.der
        yield Spoof(f"encoding-{encoding.decode()}", mail, "invalid", "malformed-mail", "some know it, or a part of it")


def _boundaries(workshop: Workshop) -> Iterator[Spoof]:
    whole = workshop.clear(ALICE, workshop.alice)
    preamble = b"." * 1023 + b"--=_signed\r\n" + _EVIL + b"\r\n"
    long = whole.replace(b"\r\n\r\n--=_signed", b"\r\n\r\n" + preamble + b"--=_signed", 1)
    yield Spoof("boundary-in-a-long-line", long, "invalid", "malformed-mail", "read in pieces, a piece begins with it")
    open_comment = whole.replace(b"micalg=sha-256", b"micalg=s(ha-256").replace(
        b"\r\n\r\n--=_signed", b"\r\n\r\nPay the account 0815.\r\n--=_signed", 1
    )
    yield Spoof("comment-without-end", open_comment, "invalid", "malformed-mail", "some find no boundary behind it")
    unversioned = whole.replace(b"MIME-Version: 1.0\r\n", b"").replace(
        b"\r\n\r\n--=_signed", b"\r\n\r\nPay the account 0815.\r\n--=_signed", 1
    )
    yield Spoof(
        "preamble-without-version", unversioned, "invalid", "malformed-mail", "no MIME to some, and all is text"
    )
    quote = whole.replace(b"multipart/signed;", b'multipart/signed;";', 1)
    yield Spoof("quote-without-end", quote, "invalid", "malformed-mail", "the same with a quote")


def _fields(workshop: Workshop) -> Iterator[Spoof]:
    apparently = field("Apparently-From", f"Alice <{ALICE}>") + workshop.clear(MALLORY)
    yield Spoof("apparently-from", apparently, "mismatch", "several-from", "some show it as the first sender")
    blank = b"X\t:\r\n Please pay\r\n the account 0815.\r\n" + workshop.clear(ALICE, workshop.alice)
    yield Spoof("blank-before-colon", blank, "invalid", "malformed-mail", "some end the header there")
    for charset, at in _CHARSETS.items():
        mail = workshop.clear(f"=?{charset}?Q?alice{at}example.org?= <{MALLORY}>")
        yield Spoof(f"charset-{charset}", mail, "mismatch", "display-name", "an address in a charset of many names")


def _dates(workshop: Workshop) -> Iterator[Spoof]:
    """Alice signed on the first of March; it is sent again in November."""
    new = "Tue, 24 Nov 2026 10:00:00 +0000"
    for label, dates in (
        ("twice", ("Sun, 01 Mar 2026 10:00:00 +0000", new)),
        ("asctime", ("Tue Nov 24 10:00:00 2026",)),
        ("american", ("Tue, Nov 24, 2026 10:00:00 +0000",)),
        ("dots", (new.replace(":", "."),)),
        ("long-zone", (new + "0",)),
        ("text-behind", (new + ' "x"',)),
        ("in-comment", (f"(\\) {new} (x) ) 1 Mar 2026 10:00:00 +0000",)),
        ("twice-in-one", (f"1 Mar 2026 10:00:00 +0000 {new}",)),
        ("iso", ("2026-11-24T10:00:00Z",)),
    ):
        fields = (("From", ALICE), *(("Date", date) for date in dates))
        mail = b"".join(field(*each) for each in fields) + workshop.entity(workshop.alice)
        yield Spoof(f"date-{label}", mail, "mismatch", "date-mismatch", "an old mail sent as a new one")


def _entities(workshop: Workshop) -> Iterator[Spoof]:
    """What is inside says that it is from somebody else, or is no mail."""
    inner = field("From", f"Alice <{ALICE}>") + b'Content-Type: text/plain; hp="clear"\r\n\r\nPay.\r\n'
    wrapped = b"Content-Type: message/rfc822; forwarded=no\r\n\r\n" + inner
    for label, content in (
        ("protected", inner),
        ("protected-before", inner.replace(b'hp="clear"', b'protected-headers="v1"')),
        ("wrapped", wrapped),
    ):
        mail = sent_by(MALLORY) + workshop.entity(workshop.mallory, content)
        yield Spoof(f"inner-from-{label}", mail, "mismatch", "from-mismatch", "programs show the fields inside")
    pdf = b"%PDF-1.7\nContent-Type: text/html\n\n<p>Pay the account 0815.\n"
    mail = sent_by(ALICE) + Clear(pdf, signed(workshop.alice, pdf).der).whole
    yield Spoof("other-file-as-a-mail", mail, "invalid", "malformed-mail", "a file that she signed, read as HTML")


def _constraints(workshop: Workshop) -> Iterator[Spoof]:
    excluding = workshop.authority("Excluding CA", extensions=(*AUTHORITY, name_constraints(excluded=(rfc822(ALICE),))))
    quoted = workshop.person('"alice"@example.org', issuer=excluding)
    mail = workshop.clear(ALICE, quoted)
    yield Spoof("excluded-in-quotes", mail, "untrusted", "name-constraints", "the same mailbox in quotes")
