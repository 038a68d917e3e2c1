"""An entity as it stands in a mail, and its octets without their encoding."""

from __future__ import annotations

import base64
import binascii
import quopri
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smime_agent.mime.decode import decoder_of
from smime_agent.mime.part import Part, read_mail, read_part
from smime_agent.source import Source
from smime_agent.verdict import Code, UntrustworthyError


def part(data: bytes, start: int = 0, end: int | None = None) -> Part:
    return read_part(Source.from_bytes(data), start, end)


def test_a_part_knows_where_it_stands() -> None:
    one = part(b"xxA: b\nContent-Type: text/html; a=B\n\nbody--yy", 2, 43)
    assert (one.start, one.body, one.end, one.separated) == (2, 37, 43, True)
    assert one.fields == (b"A: b\r\n", b"Content-Type: text/html; a=B\r\n")
    assert (one.kind.value, one.kind.parameters, one.encoding) == (b"text/html", {b"a": b"B"}, b"7bit")
    assert b"".join(one.decoded()) == b"body--"


@pytest.mark.parametrize("data", [b"", b"\n", b"\r\n", b"\nbody", b"no field\n\nbody"])
def test_a_part_may_have_no_field(data: bytes) -> None:
    assert part(data).fields == ()
    assert part(data).kind.value == b"text/plain"


def test_the_header_does_not_go_beyond_the_end() -> None:
    assert part(b"A: b\nC: d\n\nx", 0, 5).fields == (b"A: b\r\n",)


def test_what_stands_is_given_as_it_stands_and_with_crlf() -> None:
    one = part(b"A: b\n\nx\ny\r\n")
    assert b"".join(one.raw()) == b"A: b\n\nx\ny\r\n"
    assert b"".join(one.raw(header=False)) == b"x\ny\r\n"
    assert b"".join(one.canonical()) == b"A: b\r\n\r\nx\r\ny\r\n"
    assert b"".join(one.canonical(header=False)) == b"x\r\ny\r\n"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", Code.MALFORMED_MAIL),
        (b"\nbody", Code.MALFORMED_MAIL),
        (b"hello", Code.MALFORMED_MAIL),
        (b"\xef\xbb\xbfFrom: a@b\n\n", Code.MALFORMED_MAIL),
        (b"From: a@b\nX: \0\n\n", Code.MALFORMED_MAIL),
        (b"From: a@b\rX: y\n\n", Code.MALFORMED_MAIL),
        (b"From: a@b\nX: y\r\r\n\n", Code.MALFORMED_MAIL),
        (b"Content-Type: a/b\nContent-Type: a/b\n\n", Code.SEVERAL_CONTENT_TYPES),
        (b"Content-Disposition: inline\nContent-Disposition: attachment\n\n", Code.SEVERAL_CONTENT_TYPES),
        (b"A: " + b"x" * 1_048_600 + b"\n\n", Code.LIMIT_EXCEEDED),
    ],
)
def test_what_is_no_mail_is_refused(data: bytes, code: Code) -> None:
    with pytest.raises(UntrustworthyError) as caught:
        read_mail(Source.from_bytes(data))
    assert caught.value.reason.code is code


@pytest.mark.parametrize(
    "data",
    [
        b"From a@b Mon Jan 1 00:00:00 2026\nFrom: a@b\n\nx",
        b"From: a@b\n \nX: y\n\nx",
        b"From: a@b\nno field\n\nx",
        b"From: a@b\nFrom: c@d\n\nx",
        b"From: a@b",
    ],
)
def test_what_is_merely_odd_and_unsigned_is_read(data: bytes) -> None:
    assert read_mail(Source.from_bytes(data)).fields[0].startswith(b"From: a@b\r\n")


# Transfer encodings


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def decode(encoding: bytes, data: bytes, size: int = 1 << 18) -> tuple[bytes, bool]:
    decoder = decoder_of(encoding)
    return b"".join(decoder.decode(cut(data, size))), decoder.trailing


@pytest.mark.parametrize(
    ("data", "octets", "trailing"),
    [
        (b"YWJj", b"abc", False),
        (b"YW Jj\r\n!", b"abc", False),
        (b"YWI=", b"ab", False),
        (b"YWI", b"ab", False),
        (b"YQ==\r\n\r\n", b"a", False),
        (b"YQ=", b"a", False),
        (b"YQ", b"a", False),
        (b"Y", b"", False),
        (b"YQ==YQ==", b"a", True),
        (b"YQ==\nfooter\n", b"a", True),
        (b"YQ==\n--=\n", b"a", False),
        (b"=YWJj", b"", True),
        (b"", b"", False),
    ],
)
def test_base64_ends_at_its_padding(data: bytes, octets: bytes, trailing: bool) -> None:  # noqa: FBT001 - what is expected
    assert decode(b"base64", data) == (octets, trailing)


@given(st.binary(max_size=300), st.integers(1, 40))
def test_base64_is_the_same_however_it_is_cut(octets: bytes, size: int) -> None:
    assert decode(b"base64", base64.encodebytes(octets), size) == (octets, False)


@given(st.binary(max_size=300), st.integers(1, 40))
def test_anything_can_be_decoded_as_base64(data: bytes, size: int) -> None:
    assert decode(b"base64", data, size) == decode(b"base64", data)


@given(st.text("a\u00e9= \t\n.", max_size=100).map(str.encode), st.integers(1, 40))
def test_quoted_printable_is_the_same_however_it_is_cut(text: bytes, size: int) -> None:
    assert decode(b"quoted-printable", quopri.encodestring(text), size)[0] == text


@given(st.binary(max_size=100) | st.text("=A4 \r\n\t", max_size=60).map(str.encode), st.integers(1, 40))
def test_anything_can_be_decoded_as_quoted_printable(data: bytes, size: int) -> None:
    assert decode(b"quoted-printable", data, size) == decode(b"quoted-printable", data)


def test_a_line_of_quoted_printable_may_have_any_length() -> None:
    data = b"=41=\r\n" + b"b=3D" * 100_000
    assert decode(b"quoted-printable", data, 1000)[0] == b"A" + b"b=" * 100_000


@pytest.mark.parametrize("encoding", [b"7bit", b"8bit", b"binary", b"x-unknown", b""])
def test_other_encodings_leave_it_as_it_is(encoding: bytes) -> None:
    assert decode(encoding, b"=41YWJj\r\n\0") == (b"=41YWJj\r\n\0", False)


@pytest.mark.parametrize("size", [10, 1_600_000])
def test_a_source_of_what_was_decoded(size: int) -> None:
    octets = b"\0\xff" * size
    one = part(b"Content-Transfer-Encoding: base64\n\n" + base64.encodebytes(octets) + b"AAAA")
    source, trailing = one.decode_to_source()
    with source:
        assert source.read() == octets
        assert trailing


def test_a_megabyte_of_header_is_read_in_a_second() -> None:
    start = time.process_time()
    assert len(read_mail(Source.from_bytes(b"A:\n" * 349_000 + b"\nx")).fields) == 349_000
    assert time.process_time() - start < 1


@pytest.mark.slow
def test_base64_is_decoded_at_the_speed_of_memory() -> None:
    text = binascii.b2a_base64(bytes(57), newline=False) + b"\r\n"
    source = Source.from_bytes(text * 650_000)
    start = time.process_time()
    assert sum(map(len, decoder_of(b"base64").decode(source.chunks()))) == 57 * 650_000
    assert time.process_time() - start < 1  # 300 MB/s would be 0.17 s; this machine may be busy
