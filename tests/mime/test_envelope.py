"""Where a layer is, and which octets a clear signature is over: one reading, or none."""

from __future__ import annotations

import base64
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smime_agent.errors import SmimeAgentError
from smime_agent.mime.envelope import LayerKind, clear_signed, cms_of, layer_of
from smime_agent.mime.part import read_mail, read_part
from smime_agent.source import Source
from smime_agent.verdict import Code, UntrustworthyError

if TYPE_CHECKING:
    from smime_agent.mime.envelope import ClearSigned
    from smime_agent.mime.part import Part

SIGNATURE = b"Content-Type: application/pkcs7-signature; name=smime.p7s\n\n"
TYPE = b'multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256; boundary="b"'
CONTENT = b"Content-Type: text/plain\n\nHello\n"


def mail(body: bytes, kind: bytes = TYPE, extra: bytes = b"") -> Part:
    return read_mail(Source.from_bytes(b"From: a@b\n" + extra + b"Content-Type: " + kind + b"\n\n" + body))


def signed(body: bytes, kind: bytes = TYPE) -> ClearSigned:
    return clear_signed(mail(body, kind))


def body(
    content: bytes = CONTENT, *, before: bytes = b"", mark: bytes = b"--b", after: bytes = b"", end: bytes = b"\n"
) -> bytes:
    return before + mark + end + content + end + mark + end + SIGNATURE + b"c2ln" + end + mark + b"--" + end + after


def refused(body: bytes, kind: bytes = TYPE) -> Code:
    with pytest.raises(UntrustworthyError) as caught:
        signed(body, kind)
    return caught.value.reason.code


# Layers


@pytest.mark.parametrize(
    ("kind", "layer"),
    [
        (TYPE, LayerKind.CLEAR_SIGNED),
        (TYPE.replace(b"pkcs7", b"x-pkcs7"), LayerKind.CLEAR_SIGNED),
        (b"Multipart/Signed; Protocol=application/PKCS7-signature; boundary=b", LayerKind.CLEAR_SIGNED),
        (b"multipart/signed; boundary=b", LayerKind.CLEAR_SIGNED),
        (b'multipart/signed; protocol="application/pgp-signature"; boundary=b', LayerKind.OTHER_PROTECTION),
        (b'multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b', LayerKind.OTHER_PROTECTION),
        (b"application/pkcs7-mime; smime-type=signed-data", LayerKind.CMS),
        (b"application/x-pkcs7-mime", LayerKind.CMS),
        (b"application/cms", LayerKind.CMS),
        (b"application/octet-stream; name=smime.p7m", LayerKind.CMS),
        (b'application/octet-stream; name="SMIME.P7M"', LayerKind.CMS),
        (b"application/octet-stream; name*=utf-8''smime.p7m", LayerKind.CMS),
        (b"application/x-unknown; name=smime.p7m", None),
        (b"application/octet-stream; name=smime.p7c", LayerKind.CMS),
        (b"application/x-unknown; name=smime.p7c", None),
        (b"application/pkcs7-signature; name=smime.p7s", LayerKind.CMS),
        (b"application/octet-stream", None),
        (b"text/plain; name=smime.p7m", None),
        (b"multipart/mixed; boundary=b", None),
    ],
)
def test_a_layer_is_known_by_its_type_or_name(kind: bytes, layer: LayerKind | None) -> None:
    assert layer_of(mail(body(), kind)) is layer


def test_the_name_may_be_that_of_the_disposition() -> None:
    extra = b"Content-Disposition: attachment; filename=smime.p7m\n"
    assert layer_of(mail(b"", b"application/octet-stream", extra)) is LayerKind.CMS


def test_a_multipart_signed_without_protocol_is_what_its_second_part_is() -> None:
    pgp = body().replace(b"pkcs7", b"pgp").replace(b".p7s", b".asc")
    assert layer_of(mail(pgp, b"multipart/signed; boundary=b")) is LayerKind.OTHER_PROTECTION


def test_the_cms_of_an_opaque_mail_is_decoded() -> None:
    part = mail(
        base64.encodebytes(b"0\x80x") + b"=AAAA\n", b"application/pkcs7-mime", b"Content-Transfer-Encoding: base64\n"
    )
    source, trailing = cms_of(part)
    assert (source.read(), trailing) == (b"0\x80x", True)


# What is signed


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_the_content_ends_before_the_line_break_of_the_delimiter(end: bytes) -> None:
    halves = signed(body(b"Hello" + end, end=end))
    assert b"".join(halves.raw_chunks()) == b"Hello" + end
    assert b"".join(halves.content_chunks()) == b"Hello\r\n"
    assert b"".join(halves.signature.decoded()) == b"c2ln"


def test_line_ends_may_be_mixed() -> None:
    halves = signed(b"--b\r\nH\r\n\nello\n\r\n--b\n" + SIGNATURE + b"\r\n--b--")
    assert b"".join(halves.content_chunks()) == b"H\r\n\r\nello\r\n"


def test_nothing_may_be_signed() -> None:
    assert b"".join(signed(b"--b\n\n--b\n" + SIGNATURE + b"--b--").content_chunks()) == b""


def test_two_boundaries_in_a_row_share_their_line_break() -> None:
    with pytest.raises(UntrustworthyError):
        signed(b"--b\n--b\n" + SIGNATURE + b"--b--")


def test_a_carriage_return_before_the_line_break_is_content() -> None:
    assert b"".join(signed(body(b"x\r", end=b"\r\n")).content_chunks()) == b"x\r"


def test_padding_after_a_boundary_is_no_part_of_it() -> None:
    padded = body().replace(b"--b\n", b"--b \t\n")
    assert b"".join(signed(padded).raw_chunks()) == CONTENT


def test_the_content_is_an_entity() -> None:
    part = signed(body()).content_part()
    assert (part.kind.value, b"".join(part.decoded())) == (b"text/plain", b"Hello\n")


def test_a_boundary_in_the_middle_of_a_line_is_text() -> None:
    assert b"".join(signed(body(b"x\n\nsee --b\n>--b\n")).raw_chunks()) == b"x\n\nsee --b\n>--b\n"


@pytest.mark.parametrize(
    ("after", "epilogue"), [(b"", False), (b"\n \r\n\t", False), (b"footer", True), (b"\n\n.\n", True)]
)
def test_text_after_the_last_part_is_seen(after: bytes, epilogue: bool) -> None:  # noqa: FBT001 - what is expected
    assert signed(body(after=after)).epilogue is epilogue


@pytest.mark.parametrize(("before", "preamble"), [(b"", False), (b"\n\n", False), (b"This is S/MIME.\n", True)])
def test_text_before_the_first_part_is_seen(before: bytes, preamble: bool) -> None:  # noqa: FBT001 - what is expected
    assert signed(body(before=before)).preamble is preamble


def test_a_mail_that_was_cut_off_is_read_and_is_not_closed() -> None:
    whole, cut = signed(body()), signed(body().removesuffix(b"\n--b--\n"))
    assert (whole.closed, cut.closed) == (True, False)
    assert b"".join(cut.raw_chunks()) == CONTENT


@pytest.mark.parametrize("name", [b"abc", b"a b", b"=_a/b:c?d.e+f,g(h)'i", b"-", b"--", b"b--", b"@#$%^&*"])
def test_any_boundary_of_rfc_2046_and_a_few_more_can_be_read(name: bytes) -> None:
    kind = TYPE.replace(b'"b"', b'"' + name + b'"')
    assert b"".join(signed(body(mark=b"--" + name), kind).raw_chunks()) == CONTENT


def test_a_boundary_may_stand_without_quotes() -> None:
    kind = TYPE.replace(b'"b"', b"----=_Part_1.2")
    assert b"".join(signed(body(mark=b"------=_Part_1.2"), kind).raw_chunks()) == CONTENT


@pytest.mark.parametrize("size", [255, 1023, 262_143, 262_144, 1_048_576 - 20, 1_048_576 - 3, 1_048_576 + 5])
def test_a_boundary_is_found_wherever_a_block_ends(size: int) -> None:
    content = b"x" * 50 + b"\n" + b"y" * size + b"\n"
    assert b"".join(signed(body(content)).raw_chunks()) == content


# What readers would read in different ways


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"no parts",
        b"--b\nonly one\n--b--\n",
        b"--b\nonly one\n",
        b"--b--\n",
        b"--b\none\n--b\ntwo\n--b\nthree\n--b--\n",
        body(after=b"--b\nmore\n--b--\n"),
        body(after=b"--b--\n"),
        body(b"x\n--bc\ny\n"),
        body(b"x\n--b--c\ny\n"),
        body(b"x\n--b \tc\ny\n"),
        body(b"x\n--b-\ny\n"),
        body(b"x\n--b" + b" " * 1001 + b"\ny\n"),
        body(b"x\n--b\r\r\ny\n"),
        body(b"x\r--b\ny\n"),
        body(b"x\x0b--b\ny\n"),
        body(b"x\x85--b\ny\n"),
        body(before=b"--bevil\n"),
        body(before=b"\r--b\r\nevil\n"),
        body(after=b"--b0\n"),
        body(b"Content-Type: multipart/mixed; boundary=b1\n\n--b1\n\nx\n--b1--\n"),
        body(b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--\n"),
        body().replace(b"pkcs7-signature", b"pgp-signature").replace(b".p7s", b".asc"),
        body().replace(b"application/pkcs7-signature", b"text/html"),
        body().replace(SIGNATURE, SIGNATURE[:-1]),
        body().replace(SIGNATURE, b"Content-Type : application/pkcs7-signature\n\n"),
    ],
)
def test_a_body_that_readers_would_split_differently_is_refused(text: bytes) -> None:
    assert refused(text) is Code.MALFORMED_MAIL


@pytest.mark.parametrize(
    "parameter",
    [
        b"",
        b"boundary",
        b"boundary=",
        b'boundary=""',
        b'boundary=" "',
        b'boundary="b "',
        b'boundary="b\n "',
        b'boundary="b\n b"',
        b'boundary="b  b"',
        b'boundary="b" x',
        b"boundary=b (c)",
        b"boundary=(b) b",
        b"(; boundary=b)",
        b"boundary=b b",
        b'boundary="\\b"',
        b'boundary="b',
        b"boundary*=utf-8''b",
        b"boundary*0=b",
        b"boundary=b; boundary=c",
        b"boundary=b; BOUNDARY=b",
        b"boundary=b; boundary*=c",
        b'boundary=b; x="; boundary=c"',
        b'boundary="b\xe4"',
        b'boundary="' + b"b" * 201 + b'"',
    ],
)
def test_a_boundary_that_readers_read_differently_is_refused(parameter: bytes) -> None:
    assert (
        refused(body(), b"multipart/signed; protocol=application/pkcs7-signature; " + parameter) is Code.MALFORMED_MAIL
    )


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (b"Content-Type: text/html\n", Code.SEVERAL_CONTENT_TYPES),
        (b"content-type : text/html\n", Code.SEVERAL_CONTENT_TYPES),
        (b"MIME-Version: 1.0\nMIME-Version: 2.0\n", Code.SEVERAL_CONTENT_TYPES),
        (b"Content-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64\n", Code.SEVERAL_CONTENT_TYPES),
        (b"Content-Transfer-Encoding: base64\n", Code.MALFORMED_MAIL),
        (b"Content-Transfer-Encoding: x-unknown\n", Code.MALFORMED_MAIL),
        (b"Subject: x\n \n evil\n", Code.MALFORMED_MAIL),
        (b"Subject: x\n\t\r\n", Code.MALFORMED_MAIL),
        (b"Subject: x\ry\n", Code.MALFORMED_MAIL),
        (b"Subject: x\0\n", Code.MALFORMED_MAIL),
        (b"MIME-Version : 1.0\n", Code.MALFORMED_MAIL),
        (b"Subject : x\n", Code.MALFORMED_MAIL),
    ],
)
def test_a_header_that_readers_read_differently_is_refused(header: bytes, code: Code) -> None:
    with pytest.raises(UntrustworthyError) as caught:
        clear_signed(mail(body(), extra=header))
    assert caught.value.reason.code is code


@pytest.mark.parametrize("header", [b"MIME-Version: 1.0\nMime-Version: 1.0 (x)\n", b"X:\n y\n"])
def test_a_header_that_is_merely_untidy_is_read(header: bytes) -> None:
    assert b"".join(clear_signed(mail(body(), extra=header)).raw_chunks()) == CONTENT


def test_a_line_of_blanks_at_the_very_end_of_the_header_changes_nothing() -> None:
    part = read_mail(Source.from_bytes(b"From: a@b\nContent-Type: " + TYPE + b"\n \n\n" + body()))
    assert b"".join(clear_signed(part).raw_chunks()) == CONTENT


def test_a_line_that_is_no_field_before_the_body_is_refused() -> None:
    with pytest.raises(UntrustworthyError, match="some readers go on"):
        read_mail(
            Source.from_bytes(b"From: a@b\nContent-Type: " + TYPE + b"\nnot a field\nContent-Type: x/y\n\n" + body())
        )


def test_the_type_of_what_is_signed_stands_once() -> None:
    halves = signed(body(b"Content-Type: text/plain\nContent-Type: text/html\n\nx\n"))
    with pytest.raises(UntrustworthyError) as caught:
        halves.content_part()
    assert caught.value.reason.code is Code.SEVERAL_CONTENT_TYPES


# Whatever comes

LINES = st.sampled_from(
    [b"--b", b"--b--", b"--bc", b"--b ", b"", b"x", b" ", b"Content-Type: application/pkcs7-signature", b"A: b", b"-"]
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r", b"", b"\r\r\n"])


@given(st.lists(st.tuples(LINES, ENDS), max_size=12).map(lambda lines: b"".join(map(b"".join, lines))))
def test_only_our_errors_come_out_and_what_is_signed_holds_no_delimiter(text: bytes) -> None:
    try:
        halves = signed(text)
    except SmimeAgentError:
        return
    lines = b"".join(halves.raw_chunks()).replace(b"\r", b"\n").split(b"\n")
    assert not any(line.startswith(b"--b") for line in lines)


@given(st.binary(max_size=200))
def test_garbage_is_no_error_but_ours(value: bytes) -> None:
    part = read_part(Source.from_bytes(b"Content-Type: " + TYPE + b"\n" + value))
    with suppress(SmimeAgentError):
        layer_of(part)
        clear_signed(part)


@pytest.mark.parametrize("line", [b"--b", b"--b\n", b"-", b"--\n", b"\n", b"\n--b", b" --b\n", b"x--b", b"\r"])
def test_three_megabytes_of_near_misses_take_a_second_at_most(line: bytes) -> None:
    part = mail(b"\n" + line * (3_000_000 // len(line)))
    start = time.process_time()
    with pytest.raises(UntrustworthyError):
        clear_signed(part)
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    "piece", [b";", b"; ", b" ", b"boundary", b'"', b"(", b"; boundary=", b"\\", b"=", b"; a=b", b"\n "]
)
def test_a_content_type_of_a_megabyte_takes_a_second_at_most(piece: bytes) -> None:
    raw = b"From: a@b\nContent-Type: multipart/signed;" + piece * (1_000_000 // len(piece)) + b"\n\nx"
    start = time.process_time()
    with suppress(UntrustworthyError):
        part = read_mail(Source.from_bytes(raw))
        layer_of(part)
        clear_signed(part)
    assert time.process_time() - start < 1
