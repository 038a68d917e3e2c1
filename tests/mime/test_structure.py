"""The canonical form, rule by rule."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from smime_agent.errors import InvalidMessageError
from smime_agent.mime import structure
from smime_agent.mime.message import split
from smime_agent.source import Source

if TYPE_CHECKING:
    from smime_agent.mime.canonical import Entity


def entity(mail: bytes) -> Entity:
    return split(Source.from_bytes(mail)).entity


def canonical(mail: bytes) -> bytes:
    """The canonical form with LF, for legible tests: that it has CRLF only is checked here, once for all of them."""
    out = b"".join(entity(mail).chunks())
    assert b"\n" not in out.replace(b"\r\n", b"")
    return out.replace(b"\r\n", b"\n")


def leaf(fields: bytes, body: bytes) -> bytes:
    return fields + b"\n\n" + body


TEXT = b"Content-Type: text/plain; charset=utf-8"
CTE = b"\nContent-Transfer-Encoding: "
E_ACUTE = b"caf\xc3\xa9 and enough ASCII around it\n"


# Leaves


@pytest.mark.parametrize("encoding", [b"", CTE + b"7bit", CTE + b"8BIT", CTE + b"Binary (sic)", CTE + b"\n 8bit"])
def test_fragile_text_becomes_quoted_printable(encoding: bytes) -> None:
    if b"inary" in encoding:
        expected = b"base64\n\n" + base64.b64encode(E_ACUTE)
    else:
        expected = b"quoted-printable\n\ncaf=C3=A9 and enough ASCII around it\n"
    assert canonical(leaf(TEXT + encoding, E_ACUTE)) == TEXT + CTE + expected


def test_text_that_would_be_illegible_becomes_base64() -> None:
    body = "\u043f\u0440\u0438\u0432\u0435\u0442\n".encode()
    lines = body.replace(b"\n", b"\r\n")
    assert canonical(leaf(TEXT, body)) == TEXT + CTE + b"base64\n\n" + base64.b64encode(lines)


def test_encoding_field_is_replaced_where_it_stands() -> None:
    mail = b"Content-Transfer-Encoding:\n 8bit\nContent-ID: <x@y>\n" + TEXT + b"\n\n" + E_ACUTE
    fields = b"Content-Transfer-Encoding: quoted-printable\nContent-ID: <x@y>\n" + TEXT
    assert canonical(mail).partition(b"\n\n")[0] == fields


@pytest.mark.parametrize(
    "body",
    [b"caf\xe9", b"a\0b", b"a\rb", b"x" * 999, b"a \nb", b"a\t", b"From me\n", b"x\nFrom me\n", b"a\n.\nb\n", b"."],
)
def test_each_weakness_is_encoded(body: bytes) -> None:
    out = entity(leaf(b"Content-Type: application/json", body))
    assert b"".join(out.chunks()).endswith(b"base64\r\n\r\n" + base64.encodebytes(body).strip().replace(b"\n", b"\r\n"))
    assert out.robust
    assert out.seven_bit
    assert out.notes == ()


@pytest.mark.parametrize("body", [b"plain\n", b"no newline", b"", b"\n\n\n", b"x" * 998, b">From me\n..\n.x\n \tx\n"])
def test_robust_leaf_stays_byte_for_byte(body: bytes) -> None:
    for kind in (TEXT, b"Content-Type: image/png", TEXT + CTE + b"base64", TEXT + CTE + b"x-uuencode"):
        assert canonical(leaf(kind, body)) == leaf(kind, body)


def test_octets_that_are_no_text_keep_their_line_ends() -> None:
    body = b"\xff\n\r\n\r\xff\n"
    assert canonical(leaf(b"Content-Type: image/png", body)).endswith(base64.b64encode(body))


def test_binary_with_bare_line_feeds_is_no_text() -> None:
    body = b"one\ntwo\r\n"
    mail = leaf(b"Content-Type: application/x" + CTE + b"binary", body)
    assert canonical(mail).endswith(b"Encoding: base64\n\n" + base64.b64encode(body))


def test_binary_in_a_part_is_seen_although_all_is_robust() -> None:
    mail = b"Content-Type: multipart/mixed; boundary=b\n\n--b\nCONTENT-TRANSFER-ENCODING:\n BINARY\n\na\nb\n--b--\n"
    assert base64.b64encode(b"a\nb") in canonical(mail)


@pytest.mark.parametrize("charset", [b"utf-16", b'"UTF-16LE"', b"UTF-32"])
def test_wide_charsets_have_no_line_ends_to_convert(charset: bytes) -> None:
    body = "\u010a\n".encode("utf-16-le")
    assert canonical(leaf(b"Content-Type: text/plain; charset=" + charset, body)).endswith(base64.b64encode(body))


@pytest.mark.parametrize("label", [b"8bit", b"BINARY"])
def test_label_of_ascii_becomes_7bit(label: bytes) -> None:
    body = b"ascii\r\n"
    assert canonical(leaf(TEXT + CTE + label, body)) == leaf(TEXT + CTE + b"7bit", b"ascii\n")


def test_quoted_printable_is_repaired() -> None:
    mail = leaf(TEXT + CTE + b"Quoted-Printable", b"a=20\nb \nFrom c=C3=A9\n.\nd\xc3\xa9")
    expected = b"a=20\nb\n=46rom c=C3=A9\n=2E\nd=C3=A9"
    assert canonical(mail) == leaf(TEXT + CTE + b"Quoted-Printable", expected)


def test_base64_is_repaired() -> None:
    encoded = base64.b64encode(bytes(900))
    mail = leaf(b"Content-Type: image/png" + CTE + b"BASE64", encoded + b" \n")
    wrapped = base64.encodebytes(bytes(900))
    assert canonical(mail) == leaf(b"Content-Type: image/png" + CTE + b"BASE64", wrapped)


def test_unknown_encoding_stays_with_a_note() -> None:
    out = entity(leaf(TEXT + CTE + b"x-own", b"\xff\n"))
    assert b"".join(out.chunks()) == leaf(TEXT + CTE + b"x-own", b"\xff\n").replace(b"\n", b"\r\n")
    assert not out.robust
    assert not out.seven_bit
    assert "x-own" in out.notes[0]


def test_malformed_type_is_text() -> None:
    assert canonical(leaf(b"Content-Type: text", E_ACUTE)).endswith(b"caf=C3=A9 and enough ASCII around it\n")


# Multiparts


def mixed(body: bytes, boundary: bytes = b"b", subtype: bytes = b"mixed", fields: bytes = b"") -> bytes:
    return b"Content-Type: multipart/" + subtype + b"; boundary=" + boundary + fields + b"\n\n" + body


def test_only_the_fragile_part_changes() -> None:
    mail = mixed(b"preamble\n--b\n\n" + E_ACUTE + b"\n--b\n\nplain\n--b--\nepilogue\n")
    encoded = CTE[1:] + b"quoted-printable\n\ncaf=C3=A9 and enough ASCII around it\n"
    assert canonical(mail) == mixed(b"preamble\n--b\n" + encoded + b"\n--b\n\nplain\n--b--\nepilogue\n")


def test_line_end_before_a_boundary_is_no_part_of_the_body() -> None:
    mail = mixed(b"--b\nContent-Type: image/png\n\n\xff\n--b\nContent-Type: image/png\n\n\xff\r\n\r\n--b--")
    one, two = base64.b64encode(b"\xff"), base64.b64encode(b"\xff\r\n")
    png = b"Content-Type: image/png" + CTE + b"base64\n\n"
    assert canonical(mail) == mixed(b"--b\n" + png + one + b"\n--b\n" + png + two + b"\n--b--")


@pytest.mark.parametrize(
    "body",
    [
        b"--b\n\n--b--",  # an empty body
        b"--b\n\n\n--b--\n",  # a body of nothing, with its line end
        b"--b\n--b--\n",  # nothing at all
        b"--b\nContent-ID: <a>\n--b--\n",  # a header only
        b"\n--b\n\nx\n--b--\n",  # an empty preamble
        b"--b\n\nx\n",  # no close delimiter
        b"--b\n\nx",
        b"--b\n",
        b"--b",
        b"--b--",
        b"--b--\n",
        b"--b\n\nx\n--b--\n--b\n\ny\n--b--\n",  # a second multipart in the epilogue
        b"--b\n\nx\n--bb\n--b-\n--b--x\n --b\nx--b\n--B\n--b--\n",  # what looks like a delimiter
        b"--b\nno field\n--b--",
        b"--b\n\nx\n--\n--b--\n",  # hyphens, and then the delimiter
    ],
)
def test_odd_but_robust_structures_stay(body: bytes) -> None:
    assert canonical(mixed(body)) == mixed(body)
    # The same again by the slow path, for a fragile part behind or before each of them.
    around = mixed(b"--o\n\n\xff\n--o\n" + mixed(body) + b"\n--o--\n", b"o")
    assert mixed(body) + b"\n--o--\n" in canonical(around)
    fragile_first = mixed(b"--o\n" + mixed(body) + b"\n--o\n\n\xff\n--o--\n", b"o")
    assert b"--o\n" + mixed(body) + b"\n--o\n" in canonical(fragile_first)


def test_transport_padding_is_stripped() -> None:
    assert canonical(mixed(b"--b \t\n\nx\n--b--  \n")) == mixed(b"--b\n\nx\n--b--\n")
    assert canonical(mixed(b"--b\n\nx\n--b-- ")) == mixed(b"--b\n\nx\n--b--")


def test_boundary_and_its_prefix_are_two() -> None:
    inner = mixed(b"--abcd\n\n" + E_ACUTE + b"--abcd--\n", b"abcd")
    out = canonical(mixed(b"--abc\n" + inner + b"--abc\n\nx\n--abc--\n", b"abc"))
    assert b"caf=C3=A9 and enough ASCII around it\n--abcd--\n--abc\n\nx\n--abc--\n" in out


def test_outer_delimiter_ends_an_open_inner_multipart() -> None:
    inner = mixed(b"--i\n\n" + E_ACUTE, b"i")
    mail = mixed(b"--b\n" + inner + b"--b\nContent-Type: image/png\n\n\xff\n--b--\n")
    out = canonical(mail)
    assert out.endswith(b"ASCII around it\n--b\nContent-Type: image/png" + CTE + b"base64\n\n/w==\n--b--\n")


@pytest.mark.parametrize(
    ("parameter", "delimiter"),
    [
        (b'"with space:=?"', b"with space:=?"),
        (b'"quo\\"ted\\\\"', b'quo"ted\\'),
        (b"\n\tfolded", b"folded"),
        (b"b (a comment; boundary=c)", b"b"),
        (b"=_a; charset=x", b"=_a"),
        (b'"trailing "', b"trailing"),
    ],
)
def test_boundary_parameters(parameter: bytes, delimiter: bytes) -> None:
    out = canonical(mixed(b"--%b\n\n\xe9 and some more\n--%b--\n" % (delimiter, delimiter), parameter))
    assert b"=E9 and some more\n--%b--" % delimiter in out


def test_boundary_in_sections() -> None:
    mail = b"Content-Type: multipart/mixed; boundary*0=a; boundary*1=b\n\n--ab\n\n\xe9 and some more\n--ab--\n"
    assert b"=E9 and" in canonical(mail)


def test_boundary_that_looks_like_a_field() -> None:
    body = b"--a:b\nContent-Type: image/png\n--a:b\n\n" + E_ACUTE + b"--a:b--\n"
    expected = b"--a:b\nContent-Type: image/png\n--a:b\nContent-Transfer-Encoding: quoted-printable\n\ncaf=C3=A9 and"
    assert expected in canonical(mixed(body, b'"a:b"'))


def test_padding_without_end_is_no_padding() -> None:
    body = b"caf\xe9 and enough ASCII\n--b" + b" " * 1500 + b"x\n"
    assert b"ASCII\n--b" + b" " * 72 + b"=\n" in canonical(mixed(b"--b\n\n" + body + b"--b--"))


def test_parts_of_a_digest_are_messages() -> None:
    mail = mixed(b"--b\n\nSubject: x\n\n" + E_ACUTE + b"--b--\n", subtype=b"digest")
    expected = b"Subject: x\nContent-Transfer-Encoding: quoted-printable\n\ncaf=C3=A9 and enough ASCII around it"
    assert canonical(mail) == mixed(b"--b\n\n" + expected + b"\n--b--\n", subtype=b"digest")


def test_composite_no_longer_says_8bit() -> None:
    inner = mixed(b"--i\n\n" + E_ACUTE + b"--i--\n", b"i", fields=CTE + b"8bit")
    out = canonical(mixed(b"--b\n" + inner + b"--b--\n", fields=CTE + b"binary"))
    assert out.count(CTE + b"7bit") == 2


def test_composite_no_longer_says_8bit_when_a_part_is_enclosed() -> None:
    inner = DKIM + b"Subject: trailing \n" + TEXT + CTE + b"8bit\n\nascii\n"
    mail = forwarded(inner).replace(b"boundary=b", b"boundary=b" + CTE + b"8bit")
    assert canonical(mail) == enclosed(inner).replace(b"boundary=b", b"boundary=b" + CTE + b"7bit")


def test_composite_says_8bit_while_a_part_is() -> None:
    mail = mixed(b"--b\n" + TEXT + CTE + b"x-own\n\n\xff\n--b--\n", fields=CTE + b"8bit")
    assert canonical(mail) == mail


@pytest.mark.parametrize(
    ("mail", "kept"),
    [
        (mixed(b"caf\xe9\n--b\n\nx\n--b--\nfine\n"), mixed(b"\n--b\n\nx\n--b--\nfine\n")),
        (mixed(b"fine\n--b\n\nx\n--b--\nFrom me\n"), mixed(b"fine\n--b\n\nx\n--b--\n")),
    ],
)
def test_fragile_preamble_and_epilogue_are_left_out(mail: bytes, kept: bytes) -> None:
    assert canonical(mail) == kept
    assert "is left out" in entity(mail).notes[0]
    assert entity(mail).robust


@pytest.mark.parametrize(
    "mail",
    [
        b"Content-Type: multipart/mixed\n\n--b\n\n\xe9\n--b--\n",
        mixed(b"nothing delimits \xe9\n"),
        mixed(b"--b\n\n\xe9\n--b--\n", b'""'),
        mixed(b"--caf\xe9\n\n\xe9\n--caf\xe9--\n", b"caf%E9").replace(b"boundary=", b"boundary*=latin1''"),
        mixed(b"--b\n\n\xe9\n--b--\n", fields=CTE + b"base64"),
        mixed(b"--b\n\n\xe9\n--b--\n", fields=CTE + b"quoted-printable"),
    ],
)
def test_multipart_that_cannot_be_read_is_left_alone(mail: bytes) -> None:
    assert canonical(mail) == mail
    assert not entity(mail).robust
    assert "cannot be taken apart" in entity(mail).notes[0]


def test_part_without_an_empty_line_gets_one_when_it_is_encoded() -> None:
    out = canonical(mixed(b"--b\nContent-ID: <x>\ncaf\xe9 is no field, but text\n--b--\n"))
    part = b"Content-ID: <x>\nContent-Transfer-Encoding: quoted-printable\n\ncaf=E9 is no field, but text"
    assert out == mixed(b"--b\n" + part + b"\n--b--\n")


# Messages


def forwarded(inner: bytes, fields: bytes = b"") -> bytes:
    return mixed(b"--b\nContent-Type: message/rfc822" + fields + b"\n\n" + inner + b"\n--b--\n")


def enclosed(inner: bytes) -> bytes:
    encoded = base64.encodebytes(inner.replace(b"\n", b"\r\n")).strip()
    return mixed(b"--b\nContent-Type: message/global" + CTE + b"base64\n\n" + encoded + b"\n--b--\n")


def test_forwarded_mail_is_encoded_inside() -> None:
    out = canonical(forwarded(b"From: a@b\n\n" + E_ACUTE, CTE + b"8bit"))
    inner = b"From: a@b\nContent-Transfer-Encoding: quoted-printable\n\ncaf=C3=A9 and enough ASCII around it\n"
    assert out == forwarded(inner, CTE + b"7bit")


DKIM = b"From: a@b\nDKIM-Signature: v=1\n"
SIGNED = (
    b"Content-Type: multipart/signed; boundary=s\n\n--s\n\n%b\n--s\nContent-Type: application/pgp-signature\n\nx\n--s--"
)


@pytest.mark.parametrize(
    "inner",
    [
        b"From: caf\xc3\xa9@b\n\nplain\n",
        b"From: a@b\nDKIM-Signature: v=1\n\n" + E_ACUTE,
        b"From: a@b\nARC-Message-Signature: i=1\n\ntrailing \n",
        b"From: a@b\nDkim-signature: v=1\n\n--\nx \n",
        # One alteration each: of the encoded body, a header, a delimiter, a preamble, an epilogue
        DKIM + TEXT + CTE + b"quoted-printable\n\nx \n",
        DKIM + b"Subject: x \n\nx\n",
        DKIM + mixed(b"--i \n\nx\n--i--", b"i"),
        DKIM + mixed(b"From\t\n--i\n\nx\n--i--", b"i"),
        DKIM + mixed(b"--i\n\nx\n--i--\nx \n", b"i"),
        b"From: a@b\n" + SIGNED % b"caf\xc3\xa9",
        b"From: a@b\n" + TEXT + CTE + b"x-own\n\n\xff",
        b"From ann Mon\nFrom: a@b\n\nplain\n",
    ],
)
def test_forwarded_mail_that_must_not_change_is_enclosed(inner: bytes) -> None:
    assert canonical(forwarded(inner)) == enclosed(inner)
    assert "message/global" in entity(forwarded(inner)).notes[0]
    assert entity(forwarded(inner)).robust


def test_enclosed_mail_keeps_its_parameters_and_description() -> None:
    fields = b'; name="x.eml"\nContent-Description: a mail'
    out = canonical(forwarded(b"From: \xff\n\nx", fields))
    assert b'Content-Type: message/global; name="x.eml"\nContent-Description: a mail\nContent-Transfer-Enc' in out


def test_enclosed_binary_mail_keeps_its_line_feeds() -> None:
    inner = b"From: \xff\nContent-Type: image/png" + CTE + b"binary\n\na\nb"
    out = canonical(forwarded(inner, CTE + b"binary"))
    assert base64.encodebytes(inner).strip() in out


def test_robust_signed_forward_keeps_its_labels() -> None:
    mail = forwarded(b"From: a@b\nDKIM-Signature: v=1\n" + TEXT + CTE + b"8bit\n\nascii\n", CTE + b"8bit")
    assert canonical(mail) == mail


def test_only_the_mail_that_must_not_change_is_enclosed() -> None:
    signed = b"From: a@b\nDKIM-Signature: v=1\n\n" + E_ACUTE
    out = canonical(mixed(b"--o\n" + forwarded(signed) + b"\n--o\n\n" + E_ACUTE + b"\n--o--\n", b"o"))
    assert enclosed(signed) in out
    assert b"caf=C3=A9" in out


@pytest.mark.parametrize("inner", [b"From: \xff\n" + mixed(b"--i\n\nx\n--i--", b"i"), b"From: \xff"])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_line_end_after_an_enclosed_mail_belongs_to_the_boundary(inner: bytes, line_end: bytes) -> None:
    # Inside it would be the end of a closing delimiter, or of a header.
    assert canonical(forwarded(inner).replace(b"\n", line_end)) == enclosed(inner)


def test_signature_of_the_outer_forward_encloses_it_whole() -> None:
    inner = b"From: a@b\nDKIM-Signature: v=1\n" + forwarded(b"From: c@d\n\n" + E_ACUTE).replace(b"=b", b"=c").replace(
        b"--b", b"--c"
    )
    assert canonical(forwarded(inner)) == enclosed(inner)


def test_message_global_becomes_base64() -> None:
    mail = b"Content-Type: message/global\n\nFrom: \xc3\xa9@b\n\nx\n"
    assert canonical(mail).endswith(b"base64\n\n" + base64.b64encode(b"From: \xc3\xa9@b\r\n\r\nx\r\n"))


def test_delivery_status_has_a_twin() -> None:
    mail = b"Content-Type: message/delivery-status\n\nReporting-MTA: dns; x \n"
    assert canonical(mail).startswith(b"Content-Type: message/global-delivery-status" + CTE + b"base64\n\n")


@pytest.mark.parametrize("kind", [b"message/partial; id=x", b"message/external-body", b"message/x-own"])
def test_other_messages_are_left_alone(kind: bytes) -> None:
    mail = b"Content-Type: " + kind + b"\n\nSubject: caf\xe9\n\nx\n"
    assert canonical(mail) == mail
    assert "may not arrive intact" in entity(mail).notes[0]


@pytest.mark.parametrize("encoding", [b"base64", b"quoted-printable", b"x-own"])
def test_encoded_message_is_left_alone(encoding: bytes) -> None:
    mail = b"Content-Type: message/rfc822" + CTE + encoding + b"\n\nSubject: caf\xe9\n\nx\n"
    assert canonical(mail) == mail
    assert not entity(mail).robust


# What is protected already


@pytest.mark.parametrize("kind", [b"multipart/signed", b"multipart/encrypted"])
def test_protected_parts_are_never_altered(kind: bytes) -> None:
    mail = SIGNED.replace(b"multipart/signed", kind) % b"caf\xc3\xa9 \nFrom"
    assert canonical(mail) == mail
    assert "opaque signing is safer" in entity(mail).notes[0]
    inside = mixed(b"--b\n" + mail + b"\n--b\n\n" + E_ACUTE + b"\n--b--\n")
    assert b"--b\n" + mail + b"\n--b\n" in canonical(inside)
    assert b"caf=C3=A9" in canonical(inside)


def test_robust_protected_mail_needs_no_note() -> None:
    assert entity(SIGNED % b"plain").notes == ()
    assert canonical(SIGNED % b"plain") == SIGNED % b"plain"


def test_cms_octets_are_kept_exactly() -> None:
    der = b"0\x82\n\r\n\n\xff"
    mail = leaf(b"Content-Type: application/pkcs7-mime" + CTE + b"binary", der)
    assert canonical(mail).endswith(base64.b64encode(der))


# Headers of parts, and bounds


def test_part_headers_are_repaired() -> None:
    mail = mixed(b'--b\nContent-Disposition: attachment; filename="caf\xc3\xa9.txt" \n \n\nx\n--b--\n')
    assert b"\nContent-Disposition: attachment;\n\tfilename*=utf-8''caf%C3%A9.txt\n\nx\n" in canonical(mail)


def test_header_that_cannot_be_folded_is_told() -> None:
    out = entity(mixed(b"--b\nContent-ID: <" + b"x" * 1000 + b">\n\nx\n--b--\n"))
    assert not out.robust
    assert "header field" in out.notes[0]


def nested(depth: int) -> bytes:
    mail = b"\n\xe9\n"
    for level in range(depth):
        name = b"n%d" % level
        mail = mixed(b"--" + name + b"\n" + mail + b"\n--" + name + b"--", name)
    return mail


def test_depth_is_bounded() -> None:
    assert b"=E9" in canonical(nested(100)) or b"6Q==" in canonical(nested(100)) or b"6Q0K" in canonical(nested(100))
    with pytest.raises(InvalidMessageError, match="levels"):
        canonical(nested(101))


def test_depth_of_messages_is_bounded() -> None:
    with pytest.raises(InvalidMessageError, match="levels"):
        canonical(b"Content-Type: message/rfc822\n\n" * 101 + b"\n\xe9")


def test_parts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(structure, "PART_LIMIT", 10)
    assert canonical(mixed(b"--b\n\n\xe9\n" * 10))
    with pytest.raises(InvalidMessageError, match="parts"):
        canonical(mixed(b"--b\n\n\xe9\n" * 11))


@pytest.mark.parametrize("line", [b"X: y\n", b" " + b"x" * 90 + b"\n"])
def test_part_header_is_bounded(line: bytes) -> None:
    header = b"X: y\n" + line * (1 + (1 << 20) // len(line))
    with pytest.raises(InvalidMessageError, match="1 MiB"):
        canonical(mixed(b"--b\n" + header + b"\n\xe9\n--b--\n"))


def test_headers_of_all_parts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(structure, "_HEADERS_LIMIT", 1000)
    with pytest.raises(InvalidMessageError, match="16 MiB"):
        canonical(mixed((b"--b\nX: " + b"y" * 100 + b"\n\n\xe9\n") * 10))


def test_body_without_line_ends_is_no_header() -> None:
    body = b"\xe9" * (3 << 20)
    assert entity(mixed(b"--b\n" + body + b"\n--b--\n")).robust


# What an entity is


def test_chunks_begin_anew() -> None:
    out = entity(mixed(b"--b\n\n\xe9\n--b--\n"))
    first = out.chunks()
    next(first)
    assert b"".join(out.chunks()) == b"".join(out.chunks())


def test_nothing_is_read_before_it_is_asked_for() -> None:
    assert split(Source.from_bytes(nested(200))).outer == ()


def test_chunks_are_small() -> None:
    big = entity(leaf(TEXT, b"caf\xc3\xa9 " * 200_000))
    small = entity(leaf(b"Content-Type: image/png", b"\xff" * 700_000))
    assert max(map(len, big.chunks())) <= 2 * Source.CHUNK + 64 * 1024
    assert max(map(len, small.chunks())) <= Source.CHUNK


# What is enclosed in an encryption


def to_be_encrypted(mail: bytes) -> bytes:
    return b"".join(entity(mail).enclosed().chunks())


@pytest.mark.parametrize("body", [b"From the start", b"a blank \t", b".", b"From x\r\n.\r\nblank \r\n"])
def test_what_only_a_relay_would_change_stays_where_none_sees_it(body: bytes) -> None:
    mail = leaf(TEXT, body + b"\nplain\n")
    expected = mail.replace(b"\r", b"").replace(b"\n", b"\r\n")
    assert to_be_encrypted(mail) == expected != b"".join(entity(mail).chunks())


@pytest.mark.parametrize("body", [E_ACUTE, b"a\0b", b"x" * 999, b"a\rb", E_ACUTE + b"\n.\n"])
def test_what_is_not_7bit_is_encoded_there_too(body: bytes) -> None:
    mail = leaf(TEXT, body + b"\n")
    assert to_be_encrypted(mail) == b"".join(entity(mail).chunks())


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize(
    "body", [b"plain%b", b"From x%b. %b.%b", b"%bno end", b"caf\xc3\xa9%b", b"a%bb\n", b"a%bb\r\n"]
)
def test_a_large_one_is_the_same_as_a_small_one_and_knows_its_size(
    body: bytes, end: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = leaf(TEXT, body.replace(b"%b", end) * 50)
    small = [to_be_encrypted(mail), b"".join(entity(mail).chunks())]
    monkeypatch.setattr(Source, "IN_MEMORY", 10)
    monkeypatch.setattr(Source, "CHUNK", 64)
    large = entity(mail)
    assert [to_be_encrypted(mail), b"".join(large.chunks())] == small
    assert [large.enclosed().size, large.size] == [len(octets) for octets in small]
