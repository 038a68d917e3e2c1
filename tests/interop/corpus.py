"""Mails as people and programs write them, byte for byte, each with the trait that its name says.

They are made here and not kept as files, so that a reader sees which octet is there on purpose, and none is lost to a
tool that tidies line ends. All are from ``alice@example.org``.
"""

# ruff: noqa: RUF001 - letters of other scripts that look like ours are the point

from __future__ import annotations

import random
from base64 import encodebytes
from quopri import encodestring
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    Builder = Callable[[], bytes]

CORPUS: Final[dict[str, Builder]] = {}

_PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c63000100000500010d0a2db40000000049454e44ae426082"
)
_JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\r\n\x0a\x0d\xff\xd9"
_P7S = b"0\x80\x06\t*\x86H\x86\xf7\r\x01\x07\x02\xa0\x80" + bytes(range(256)) * 3


def mail(build: Builder) -> Builder:
    """Take a mail into the corpus."""
    CORPUS[build.__name__] = build
    return build


def noise(size: int, seed: int = 1) -> bytes:
    """Octets as in a compressed file, the same each time."""
    return random.Random(seed).randbytes(size)  # noqa: S311 - no secret


def crlf(text: str | bytes) -> bytes:
    """Lines as they travel."""
    octets = text.encode() if isinstance(text, str) else text
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def letter(entity: bytes, *fields: bytes, subject: bytes = b"Minutes of Monday") -> bytes:
    """A mail around an entity: the usual fields, and more."""
    usual = (
        b"Return-Path: <alice@example.org>\n"
        b"Received: from laptop.example.org (laptop.example.org [192.0.2.7])\n"
        b"\tby mx.example.org (Postfix) with ESMTPSA id 4Z1x9K3q2Tz8sW1\n"
        b"\tfor <bob@example.com>; Tue, 24 Nov 2026 09:30:02 +0100 (CET)\n"
        b"From: Alice Example <alice@example.org>\n"
        b"To: Bob Example <bob@example.com>\n"
        b"Date: Tue, 24 Nov 2026 09:30:00 +0100\n"
        b"Message-ID: <20261124083000.4711@laptop.example.org>\n"
        b"Subject: " + subject + b"\n"
    )
    return crlf(usual + b"".join(field + b"\n" for field in fields)) + b"MIME-Version: 1.0\r\n" + entity


def part(fields: bytes, body: bytes) -> bytes:
    """An entity: its header fields (LF will do), and its body exactly."""
    return crlf(fields) + b"\r\n\r\n" + body


def text(body: str, charset: str = "us-ascii", encoding: bytes = b"7bit", kind: bytes = b"plain") -> bytes:
    """A text in a charset, its lines ending with CRLF."""
    fields = b'Content-Type: text/%b; charset="%b"\nContent-Transfer-Encoding: %b'
    return part(fields % (kind, charset.encode(), encoding), body.replace("\n", "\r\n").encode(charset))


def base64(kind: bytes, octets: bytes, *fields: bytes) -> bytes:
    """A part in base64."""
    header = b"\n".join((b"Content-Type: " + kind, b"Content-Transfer-Encoding: base64", *fields))
    return part(header, crlf(encodebytes(octets)))


def attached(name: bytes, kind: bytes, octets: bytes) -> bytes:
    """An attachment with a file name."""
    return base64(b'%b; name="%b"' % (kind, name), octets, b'Content-Disposition: attachment; filename="%b"' % name)


def multipart(
    kind: bytes, *parts: bytes, boundary: bytes = b"", preamble: bytes = b"", epilogue: bytes = b"\r\n"
) -> bytes:
    """A multipart; its boundary is made of its kind unless given."""
    boundary = boundary or b"----=_NextPart_%b_%d" % (kind.partition(b";")[0], len(parts))
    mark = b"\r\n--" + boundary
    body = b"".join(mark + b"\r\n" + each for each in parts) + mark + b"--" + epilogue
    head = b'Content-Type: multipart/%b;\n boundary="%b"' % (kind, boundary)
    return part(head, preamble + body if preamble else body.removeprefix(b"\r\n"))


def forwarded(inner: bytes, encoding: bytes = b"") -> bytes:
    """A note and a whole mail below it."""
    label = b"\nContent-Transfer-Encoding: " + encoding if encoding else b""
    fields = b"Content-Type: message/rfc822" + label + b'\nContent-Disposition: attachment; filename="mail.eml"'
    return multipart(b"mixed", text("FYI\n"), part(fields, inner), boundary=b"forward-%d" % len(inner))


HELLO: Final = text("Dear Bob,\n\nthe minutes are attached.\n\nAlice\n")

# --- plain and HTML


@mail
def plain() -> bytes:
    return letter(HELLO)


@mail
def plain_before_mime() -> bytes:
    return b"From: alice@example.org\r\nTo: bob@example.com\r\nSubject: hi\r\n\r\nHello Bob\r\n"


@mail
def html_alternative() -> bytes:
    html = "<html><body><p>Dear Bob,</p><p>see <a href='https://example.org/?a=1&amp;b=2'>here</a>.</p></body></html>\n"
    return letter(multipart(b"alternative", text("Dear Bob, see https://example.org/\n"), text(html, kind=b"html")))


@mail
def html_with_inline_images() -> bytes:
    html = '<html><body><img src="cid:logo@example.org" alt="logo"><img src="cid:photo@example.org"></body></html>\n'
    images = (
        base64(b"image/png; name=logo.png", _PNG, b"Content-ID: <logo@example.org>", b"Content-Disposition: inline"),
        base64(b"image/jpeg", _JPEG + noise(5000), b"Content-ID: <photo@example.org>", b"Content-Disposition: inline"),
    )
    related = multipart(b'related; type="text/html"', text(html, "utf-8", b"8bit", b"html"), *images)
    return letter(multipart(b"alternative", text("see the pictures\n"), related))


@mail
def html_by_outlook() -> bytes:
    html = "<div class=MsoNormal><span style='font-size:11.0pt'>Grüße – “bis morgen”…<o:p></o:p></span></div>\n" * 20
    quoted = encodestring(html.replace("\n", "\r\n").encode("cp1252"))
    alternative = multipart(
        b"alternative",
        text("Gruesse\n"),
        part(
            b'Content-Type: text/html; charset="windows-1252"\nContent-Transfer-Encoding: quoted-printable',
            crlf(quoted.replace(b"=0D\n", b"\n")),
        ),
        boundary=b"_000_DB9PR04MB8106A1_",
    )
    return letter(
        alternative,
        b"Thread-Index: AQHbPkV4rT8wq0K1hUOq==",
        b"X-MS-Has-Attach:",
        b"Accept-Language: de-DE, en-US",
        b"Content-Language: de-DE",
        b"x-ms-exchange-messagesentrepresentingtype: 1",
    )


@mail
def newsletter_with_overlong_lines() -> bytes:
    html = "<table>" + "<tr><td style='padding:0;margin:0'>offer</td></tr>" * 200 + "</table>\n"
    return letter(
        multipart(b"alternative", text("offers\n"), text(html, kind=b"html")),
        b"List-Unsubscribe: <https://example.org/u?x=1>, <mailto:leave@example.org>",
        b"List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        b"Precedence: bulk",
    )


@mail
def html_in_quoted_printable_with_soft_breaks() -> bytes:
    body = b"<p>=\r\nA line that ends in a blank=20\r\nand one =E2=82=AC sign, =\r\nand a tab=09\r\n=3D</p>\r\n"
    return letter(part(b"Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable", body))


# --- calendar, contacts, patches

_ICS: Final = """BEGIN:VCALENDAR
PRODID:-//Example//Calendar 1.0//EN
VERSION:2.0
METHOD:REQUEST
BEGIN:VEVENT
UID:4711@example.org
DTSTAMP:20261124T083000Z
DTSTART;TZID=Europe/Berlin:20261201T100000
DTEND;TZID=Europe/Berlin:20261201T110000
SUMMARY:Jour fixe – Rückblick
ORGANIZER;CN=Alice Example:mailto:alice@example.org
ATTENDEE;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE;CN=Bob
 Example:mailto:bob@example.com
DESCRIPTION:one\\, two\\;\\n
 \tthree
END:VEVENT
END:VCALENDAR
"""


@mail
def calendar_invitation() -> bytes:
    ics = _ICS.replace("\n", "\r\n").encode()
    request = b"Content-Type: text/calendar; charset=UTF-8; method=REQUEST\nContent-Transfer-Encoding: 8bit"
    alternative = multipart(
        b"alternative", text("You are invited.\n"), text("<p>Invited</p>\n", kind=b"html"), part(request, ics)
    )
    return letter(multipart(b"mixed", alternative, attached(b"invite.ics", b"application/ics", ics)))


@mail
def calendar_reply() -> bytes:
    ics = _ICS.replace("REQUEST", "REPLY", 1).replace("\n", "\r\n").encode()
    return letter(base64(b"text/calendar; charset=utf-8; method=REPLY", ics), subject=b"Accepted: Jour fixe")


@mail
def contact_card() -> bytes:
    card = "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Zoë Müller\r\nEMAIL:zoe@example.com\r\nEND:VCARD\r\n"
    vcard = part(
        b'Content-Type: text/vcard; charset=utf-8; name="zoe.vcf"\nContent-Transfer-Encoding: 8bit', card.encode()
    )
    return letter(multipart(b"mixed", HELLO, vcard))


@mail
def patch_by_git() -> bytes:
    body = (
        "Say why.\n\nSigned-off-by: Alice Example <alice@example.org>\n---\n a.c | 2 +-\n 1 file changed\n\n"
        "diff --git a/a.c b/a.c\n--- a/a.c\n+++ b/a.c\n@@ -1,2 +1,2 @@\n \n-\treturn 0;\n+\treturn 1;\t\n"
        "-- \n2.39.5\n\n"
    )
    header = b"From 4735f0c9a1d2e3f4a5b6c7d8e9f00112233445566 Mon Sep 17 00:00:00 2001\r\n"
    return header + b"From: Alice Example <alice@example.org>\r\nSubject: [PATCH] a: return 1\r\n\r\n" + crlf(body)


# --- eight bits in several charsets

_TEXTS: Final = {
    "utf-8": "Grüße aus Köln, 你好, привет, 🙂\nund „Tschüß“\n",
    "iso-8859-1": "Grüße aus Köln à bientôt ¡olé!\nÿþýüûúùø\n",
    "iso-8859-15": "10 € für Œuvre\nŽ ž Š š\n",
    "windows-1252": "“quoted” – 10 € … ™\nGrüße\n",
    "iso-2022-jp": "こんにちは、議事録です。\nカタカナ\n",
    "shift_jis": "こんにちは、表示ソ能\n議事録です。\n",
    "euc-jp": "こんにちは\n議事録です。\n",
    "koi8-r": "Привет, Боб!\nПротокол прилагается.\n",
    "windows-1251": "Привет, Боб!\nПротокол прилагается.\n",
    "gb18030": "你好,鲍勃。\n会议纪要见附件。\n",
    "big5": "你好,鮑勃。\n會議記錄見附件。功許蓋\n",
    "euc-kr": "안녕하세요\n회의록입니다.\n",
    "iso-8859-8": "שלום בוב\n",
}


def _in_charset(charset: str) -> Builder:
    encoding = b"7bit" if charset == "iso-2022-jp" else b"8bit"
    return lambda: letter(text(_TEXTS[charset], charset, encoding))


for _charset in _TEXTS:
    CORPUS[f"text_in_{_charset}"] = _in_charset(_charset)


@mail
def two_charsets_in_one_mail() -> bytes:
    return letter(
        multipart(
            b"mixed", *(text(_TEXTS[each], each, b"8bit") for each in ("koi8-r", "gb18030", "utf-8", "iso-8859-1"))
        )
    )


@mail
def utf_16_in_base64() -> bytes:
    return letter(base64(b"text/plain; charset=utf-16", _TEXTS["utf-8"].encode("utf-16")))


@mail
def eight_bits_without_a_label() -> bytes:
    return b"From: alice@example.org\r\nSubject: hi\r\n\r\n" + "Grüße\r\n".encode("latin-1")


@mail
def eight_bit_label_on_ascii() -> bytes:
    return letter(text("nothing but ASCII\n", encoding=b"8bit"))


# --- lists


@mail
def list_footer_as_epilogue() -> bytes:
    footer = crlf("\n_______________________________________________\nminutes mailing list\nhttps://example.org/list\n")
    return letter(multipart(b"mixed", HELLO, attached(b"a.txt", b"text/plain", b"a\r\n"), epilogue=footer))


@mail
def list_footer_as_part() -> bytes:
    footer = part(
        b'Content-Type: text/plain; charset="us-ascii"\nMIME-Version: 1.0\nContent-Transfer-Encoding: 7bit\n'
        b"Content-Disposition: inline",
        crlf("_______________________________________________\nminutes mailing list -- minutes@example.org\n"),
    )
    return letter(
        multipart(b"mixed", HELLO, footer, boundary=b"===============0815471108154711=="),
        b"List-Id: Minutes <minutes.example.org>",
        b"List-Post: <mailto:minutes@example.org>",
        b"Errors-To: minutes-bounces@example.org",
        b"Sender: minutes-bounces@example.org",
        b"X-Mailman-Version: 3.3.8",
        subject=b"[minutes] Re: [minutes] Monday",
    )


@mail
def list_footer_below_a_signed_mail() -> bytes:
    footer = text("_____\nminutes mailing list\n")
    return letter(multipart(b"mixed", _signed(HELLO), footer), b"List-Id: <minutes.example.org>")


# --- text with a shape


@mail
def format_flowed() -> bytes:
    body = (
        "Dear Bob, this paragraph was written without a thought of where its lines \n"
        "would end, and each but the last ends with a blank. \n \n> so it was said \n> in two lines\n>> deeper \n"
        " From here a line is stuffed with a blank.\n\n-- \nAlice\n"
    )
    kind = b"Content-Type: text/plain; charset=utf-8; format=flowed; delsp=yes\nContent-Transfer-Encoding: 7bit"
    return letter(part(kind, crlf(body)))


@mail
def format_flowed_in_eight_bits() -> bytes:
    body = "Grüße \nund noch eine Zeile \n> zitiert \n-- \nAlice\n"
    kind = b"Content-Type: text/plain; charset=utf-8; format=flowed\nContent-Transfer-Encoding: 8bit"
    return letter(part(kind, crlf(body)))


@mail
def trailing_blanks_and_tabs() -> bytes:
    return letter(text("one \ntwo\t\n \n\t\n   \nthree  \t \n"))


@mail
def from_lines() -> bytes:
    return letter(text("From the beginning:\n\nFrom here on,\n>From there\nFROM\nFrom\n>>From \n"))


@mail
def lone_dots() -> bytes:
    return letter(text(".\n..\n...\n.\nnot the end\n.hidden\n.\n"))


@mail
def very_long_lines() -> bytes:
    return letter(text("x" * 998 + "\n" + "y" * 999 + "\n" + "word " * 3000 + "\n" + "z" * 70000 + "\n"))


@mail
def uuencoded_text() -> bytes:
    body = b"begin 644 minutes.txt\n#86)C\n`\nend\n\nbegin 644 b\nM" + b"!" * 60 + b"\n`\nend\n"
    return letter(part(b"Content-Type: text/plain; charset=us-ascii", crlf(b"see below\n\n" + body)))


@mail
def openpgp_inline() -> bytes:
    body = (
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nDear Bob,\n\n- -- \nAlice\n- From me\n"
        "-----BEGIN PGP SIGNATURE-----\n\niHUEARYKAB0WIQQ=\n=abcd\n-----END PGP SIGNATURE-----\n"
    )
    return letter(text(body))


@mail
def looks_like_our_own_boundary() -> bytes:
    return letter(text("--=_0123456789abcdef0123456789abcdef\n\n--=_0123456789abcdef--\n--\n-- \n----\n"))


# --- line ends and bodies at the edge


@mail
def empty_body() -> bytes:
    return letter(part(b"Content-Type: text/plain", b""))


@mail
def header_only() -> bytes:
    return b"From: alice@example.org\r\nTo: bob@example.com\r\nSubject: see subject (eom)\r\n"


@mail
def no_final_newline() -> bytes:
    return letter(part(b"Content-Type: text/plain; charset=us-ascii", b"first\r\nlast without an end"))


@mail
def only_newlines() -> bytes:
    return letter(part(b"Content-Type: text/plain", b"\r\n" * 5))


@mail
def bare_line_feeds() -> bytes:
    return calendar_invitation().replace(b"\r\n", b"\n")


@mail
def mixed_line_ends() -> bytes:
    kind = b"Content-Type: text/plain; charset=us-ascii"
    return letter(part(kind, b"crlf\r\nlf\ncrlf\r\n\nlf\n\r\nlast\n"), b"X-Mixed: yes").replace(b"yes\r\n", b"yes\n")


@mail
def lone_carriage_returns() -> bytes:
    return letter(part(b"Content-Type: text/plain; charset=us-ascii", b"at 10%\rat 20%\rdone\r\nnext\r\r\n"))


@mail
def nul_and_control_characters() -> bytes:
    return letter(part(b"Content-Type: text/plain; charset=us-ascii", b"a\0b\x07\x0c\x1b[1mbold\x1b[0m\x7f\r\n"))


# --- attachments


@mail
def office_attachments() -> bytes:
    return letter(
        multipart(
            b"mixed",
            HELLO,
            attached(b"minutes.pdf", b"application/pdf", b"%PDF-1.7\r\n%\xe2\xe3\xcf\xd3\n" + noise(40000)),
            attached(
                b"minutes.docx",
                b"application/vnd.openxmlformats-officedocument.wordprocessingml.document",
                b"PK\3\4" + noise(30000, 2),
            ),
            attached(b"empty.txt", b"text/plain", b""),
        )
    )


@mail
def binary_attachment() -> bytes:
    raw = part(
        b"Content-Type: application/octet-stream\nContent-Transfer-Encoding: binary",
        b"\0\1\2\n\r\r\n--not a boundary\n" + noise(5000, 3).replace(b"\n--", b"..") + b"end",
    )
    return letter(multipart(b"mixed", HELLO, raw))


@mail
def winmail_dat() -> bytes:
    tnef = b"\x78\x9f\x3e\x22" + noise(3000, 4)
    return letter(
        multipart(b"mixed", HELLO, attached(b"winmail.dat", b"application/ms-tnef", tnef)),
        b"X-MS-TNEF-Correlator: <47110815@example.org>",
    )


@mail
def text_attachment_in_unwrapped_base64() -> bytes:
    octets = encodebytes("Grüße\r\n".encode() * 800).replace(b"\n", b"")
    return letter(part(b"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64", octets + b"\r\n"))


@mail
def base64_in_odd_lines() -> bytes:
    encoded = encodebytes(noise(3000, 5)).replace(b"\n", b"")
    lines = b" \r\n".join(encoded[at : at + 61] for at in range(0, len(encoded), 61))
    return letter(part(b"Content-Type: image/png\nContent-Transfer-Encoding: BASE64", lines + b"\r\n\r\n"))


@mail
def file_names_beyond_ascii() -> bytes:
    raw = 'attachment; filename="Übersicht für Zoë – 会议.txt"'.encode()
    return letter(
        multipart(
            b"mixed",
            HELLO,
            part(b"Content-Type: text/plain\nContent-Disposition: " + raw, b"raw\r\n"),
            part(b"Content-Type: text/plain; name*=utf-8''%C3%9Cbersicht.txt", b"RFC 2231\r\n"),
            part(b'Content-Type: text/plain; name="=?utf-8?q?=C3=9Cbersicht=2Etxt?="', b"RFC 2047\r\n"),
            part('Content-Type: text/plain; name="Übersicht.txt"'.encode("latin-1"), b"Latin-1\r\n"),
        )
    )


@mail
def unknown_transfer_encoding() -> bytes:
    return letter(
        part(b"Content-Type: text/plain\nContent-Transfer-Encoding: x-uuencode", b"begin 644 a\r\n`\r\nend\r\n")
    )


# --- forwarded and reported


def _signed(entity: bytes) -> bytes:
    """A part as another program signed it. Its octets must not change."""
    signature = attached(b"smime.p7s", b"application/pkcs7-signature", _P7S)
    kind = b'signed; protocol="application/pkcs7-signature"; micalg=sha-256'
    return multipart(kind, entity, signature, boundary=b"------------ms0815")


@mail
def forwarded_mail() -> bytes:
    return letter(forwarded(plain()), subject=b"Fwd: Minutes of Monday")


@mail
def forwarded_twice() -> bytes:
    return letter(forwarded(letter(forwarded(calendar_invitation(), b"8bit")), b"8bit"))


@mail
def forwarded_signed_mail() -> bytes:
    return letter(forwarded(letter(_signed(HELLO))))


@mail
def forwarded_signed_mail_with_blanks() -> bytes:
    """The signature in it covers octets that no relay respects."""
    return letter(forwarded(letter(_signed(text("Grüße \n\n-- \nAlice\n", "utf-8", b"8bit"))), b"8bit"))


@mail
def forwarded_eight_bit_mail() -> bytes:
    return letter(forwarded(letter(text(_TEXTS["utf-8"], "utf-8", b"8bit")), b"8bit"))


@mail
def forwarded_mail_with_raw_header() -> bytes:
    return letter(forwarded(letter(HELLO, "X-Name: Zoë Müller".encode(), subject="Grüße".encode()), b"8bit"))


@mail
def forwarded_dkim_signed_mail() -> bytes:
    return letter(forwarded(letter(text("Dear Bob, \n\nFrom here \n", encoding=b"8bit"), _DKIM)))


@mail
def forwarded_inline() -> bytes:
    body = "FYI\n\n-------- Forwarded Message --------\nSubject: x\nFrom: Bob <bob@example.com>\n\n> text\n"
    return letter(text(body))


@mail
def delivery_status_report() -> bytes:
    status = crlf(
        "Reporting-MTA: dns; mx.example.org\nArrival-Date: Tue, 24 Nov 2026 09:30:02 +0100\n\n"
        "Final-Recipient: rfc822; bob@example.com\nAction: failed\nStatus: 5.1.1\n"
        "Diagnostic-Code: smtp; 550 5.1.1 <bob@example.com>: user unknown\n"
    )
    headers = crlf("From: alice@example.org\nTo: bob@example.com\nSubject: Minutes\n")
    return letter(
        multipart(
            b"report; report-type=delivery-status",
            text("This is the mail system. Your mail could not be delivered.\n"),
            part(b"Content-Type: message/delivery-status", status),
            part(b"Content-Type: text/rfc822-headers", headers),
        ),
        b"Auto-Submitted: auto-replied",
        subject=b"Undelivered Mail Returned to Sender",
    )


@mail
def read_receipt() -> bytes:
    notice = crlf(
        "Reporting-UA: laptop.example.org; Mailer 1.0\nFinal-Recipient: rfc822; alice@example.org\n"
        "Original-Message-ID: <1@example.com>\nDisposition: manual-action/MDN-sent-manually; displayed\n"
    )
    return letter(
        multipart(
            b"report; report-type=disposition-notification",
            text("The mail was displayed. This is no promise that it was read.\n"),
            part(b"Content-Type: message/disposition-notification", notice),
        )
    )


@mail
def digest() -> bytes:
    parts = [b"\r\n" + crlf(f"From: a{n}@example.com\nSubject: {n}\n\nbody {n}\n") for n in range(3)]
    return letter(multipart(b"mixed", HELLO, multipart(b"digest", *parts)))


@mail
def external_body() -> bytes:
    fields = b'Content-Type: message/external-body; access-type=URL; URL="https://example.org/a.pdf"'
    inner = crlf("Content-Type: application/pdf\nContent-ID: <a@example.org>\n\n")
    return letter(multipart(b"mixed", HELLO, part(fields, inner)))


# --- header fields

_DKIM: Final = (
    b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=example.org; s=2026;\n"
    b"\tt=1795509000; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\n"
    b"\th=From:To:Subject:Date:Message-ID:Content-Type:From;\n"
    b"\tb=Zm9yIHRlc3RzIG9ubHksIG5vdCBhIHNpZ25hdHVyZSBhdCBhbGwsIGJ1dCBsb25nIGVub3VnaA"
    b"\n\t RvIGJlIG9uZQ=="
)


@mail
def dkim_signed() -> bytes:
    return letter(
        HELLO,
        _DKIM,
        b"ARC-Seal: i=1; a=rsa-sha256; t=1795509000; cv=none; d=example.org; s=2026; b=YWJj",
        b"Authentication-Results: mx.example.org; dkim=pass header.d=example.org",
    )


@mail
def many_recipients() -> bytes:
    people = b",\n\t".join(b'"Person, No. %d" <p%d@example.com>' % (n, n) for n in range(400))
    return letter(HELLO, b"Cc: " + people, b"Bcc:")


@mail
def folded_fields() -> bytes:
    return letter(
        HELLO,
        b"X-Folded: one\n two\n\tthree\n \t four",
        b"X-Empty:",
        b"X-Blank-Line-Fold: a\n \n b",
        b"References: " + b"\n ".join(b"<%d.%d@example.com>" % (n, n) for n in range(60)),
        b"X-Long: " + b"k" * 990,
        b"X-NoSpace:value",
        b"Resent-From: bob@example.com",
    )


@mail
def space_before_the_colon() -> bytes:
    return letter(HELLO, b"X-Obsolete : RFC 5322, 4.5")


@mail
def internationalised_header() -> bytes:
    return (
        "From: Älice Exämple <alice@example.org>\r\nTo: Zoë <zoë@exämple.com>, 用户 <用户@例子.com>\r\n"
        "Subject: Grüße aus Köln\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n"
    ).encode()


@mail
def encoded_words() -> bytes:
    return letter(
        HELLO, b"X-Who: =?iso-8859-1?q?Zo=EB?= =?utf-8?b?TcO8bGxlcg==?=", subject=b"=?utf-8?q?Gr=C3=BC=C3=9Fe?="
    )


@mail
def mailbox_line() -> bytes:
    return b"From alice@example.org Tue Nov 24 09:30:00 2026\r\n" + plain()


# --- structure


@mail
def preamble_and_epilogue() -> bytes:
    return letter(
        multipart(
            b"mixed",
            HELLO,
            text("two\n"),
            preamble=b"This is a multi-part message in MIME format.\r\n",
            epilogue=b"\r\nNobody sees this.\r\n",
        )
    )


@mail
def preamble_that_no_relay_respects() -> bytes:
    return letter(multipart(b"mixed", HELLO, preamble="Diese Nachricht ist größer. \r\n".encode(), epilogue=b"  "))


@mail
def boundary_of_specials() -> bytes:
    return letter(multipart(b"mixed", HELLO, text("two\n"), boundary=b"'()+_,-./:=? 0aZ'"))


@mail
def boundary_that_begins_another() -> bytes:
    inner = multipart(b"alternative", text("a\n"), text("b\n", kind=b"html"), boundary=b"bound-inner")
    return letter(multipart(b"mixed", inner, text("c\n"), boundary=b"bound"))


@mail
def boundary_without_quotes_and_with_padding() -> bytes:
    body = b"--abc  \r\n\r\none\r\n--abc\t\r\nContent-Type: text/html\r\n\r\n<p>two\r\n--abc-- \r\n"
    return letter(part(b"Content-Type: multipart/mixed; boundary=abc", body))


@mail
def no_closing_boundary() -> bytes:
    return letter(part(b"Content-Type: multipart/mixed; boundary=b", b"--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n"))


@mail
def deep_multipart() -> bytes:
    entity = text("the bottom, Grüße\n", "utf-8", b"8bit")
    for level in range(30):
        entity = multipart(b"mixed", text(f"level {level}\n"), entity, boundary=b"level-%d-" % level)
    return letter(entity)


@mail
def many_parts() -> bytes:
    return letter(multipart(b"mixed", *(attached(b"%d.bin" % n, b"application/x-n", noise(50, n)) for n in range(150))))


@mail
def parts_without_fields_or_body() -> bytes:
    return letter(
        part(
            b"Content-Type: multipart/mixed; boundary=b",
            b"--b\r\n\r\nno fields\r\n--b\r\nX-A: b\r\n\r\n\r\n--b\r\n\r\n--b--\r\n",
        )
    )


@mail
def apple_mail_with_pdf_between_texts() -> bytes:
    pdf = base64(
        b"application/pdf;\n\tname=a.pdf;\n\tx-unix-mode=0644",
        noise(4000, 6),
        b"Content-Disposition: inline;\n\tfilename=a.pdf",
    )
    html = multipart(b"mixed", text("<html>one\n", kind=b"html"), pdf, text("<html>two\n", kind=b"html"))
    return letter(
        multipart(b"alternative", text("one\n\ntwo\n"), html, boundary=b"Apple-Mail=_0A1B2C3D-4E5F-6071-8293"),
        b"X-Mailer: Apple Mail (2.3826.200.121)",
        b"X-Universally-Unique-Identifier: 0A1B2C3D",
    )


def attachment_of_25_megabytes() -> bytes:
    """Beside the corpus: it is judged once in each form."""
    return letter(multipart(b"mixed", HELLO, attached(b"video.mp4", b"video/mp4", noise(25 << 20, 7))))
