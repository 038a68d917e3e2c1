"""The reader that steps over what nobody asks for."""

from __future__ import annotations

import io
import time
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smime_agent import der
from smime_agent.cms import ber
from smime_agent.cms.ber import Reader
from smime_agent.cms.content import Content
from smime_agent.source import Source
from smime_agent.verdict import Code, UntrustworthyError
from tests.cms.forge import indefinite

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def reader_of(octets: bytes) -> Reader:
    return Reader(Source.from_bytes(octets))


def contents(octets: bytes) -> bytes:
    """The octets of the OCTET STRING."""
    source = Source.from_bytes(octets)
    reader = Reader(source)
    content = Content(source, reader, reader.element(0, reader.size))
    joined = b"".join(content.chunks())
    assert content.size == len(joined)
    with content.source() as own:
        assert own.read() == joined
    return joined


@pytest.mark.parametrize(
    ("octets", "held"),
    [
        ("0403 616263", "abc"),
        ("0481 03 616263", "abc"),
        ("0400", ""),
        ("2400", ""),
        ("2480 0000", ""),
        ("2480 0401 61 0402 6263 0000", "abc"),
        ("2480 2480 0401 61 0000 2403 0401 62 0401 63 0000", "abc"),
        ("2408 0400 0401 61 0401 62", "ab"),
    ],
)
def test_a_string_is_read_in_whatever_pieces(octets: str, held: str) -> None:
    assert contents(bytes.fromhex(octets)) == held.encode()


@pytest.mark.parametrize(
    "octets",
    [
        "",
        "04",
        "0401",
        "0480 0000",
        "04ff",
        "0489 000000000000000001 61",
        "0488 7fffffffffffffff",
        "2480",
        "2480 0401 61",
        "2480 0401 61 00",
        "2480 0401 61 0001",
        "2480 0405 61 0000",
        "2480 0c01 61 0000",
        "2403 0c01 61",
        "2402 0000",
        "2480 0480 0000 0000",
        "2480 1f20 00 0000",
        "1f20 00",
        "2480 04ff 0000",
        "2480 0488 ffffffffffffffff 0000 000000000000",
    ],
)
def test_a_string_that_is_none_is_refused(octets: str) -> None:
    with pytest.raises(UntrustworthyError) as caught:
        contents(bytes.fromhex(octets))
    assert caught.value.reason.code is Code.MALFORMED_CMS


@given(st.binary(max_size=100))
def test_any_octets_are_read_or_refused(octets: bytes) -> None:
    try:
        contents(octets)
        contents(b"\x24" + octets[1:])
    except UntrustworthyError:
        return


@given(st.lists(st.binary(max_size=200), max_size=8), st.integers(0, 40))
def test_pieces_are_put_together(pieces: list[bytes], layers: int) -> None:
    octets = b"".join(map(der.octet_string, pieces))
    for layer in range(layers):
        octets = indefinite(0x24, octets) if layer % 2 else der.tlv(0x24, octets)
    assert contents(indefinite(0x24, octets)) == b"".join(pieces)


@given(
    st.lists(st.tuples(st.sampled_from([0, 1, 5, 200, 4096]), st.integers(1, 90)), max_size=4),
    st.integers(0, 5000),
    st.none() | st.integers(0, 255),
)
def test_pieces_of_one_length_are_stepped_over_as_others_are(
    runs: list[tuple[int, int]], place: int, octet: int | None
) -> None:
    octets = bytearray(indefinite(0x24, *(der.octet_string(bytes(size)) * count for size, count in runs)))
    if octet is not None:
        octets[place % len(octets)] = octet

    def found() -> object:
        reader = reader_of(bytes(octets))
        try:
            return reader.string_pieces(reader.element(0, reader.size))
        except UntrustworthyError as error:
            return error.reason

    together = found()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ber, "_alike", lambda *_: range(0))
        assert found() == together


def streamed(size: int) -> bytes:
    return indefinite(0x30, indefinite(0xA0, indefinite(0x24, der.octet_string(b"x" * 1024) * (size // 1024))))


def from_bytes(octets: bytes, _: Path) -> Source:
    return Source.from_bytes(octets)


def from_file(octets: bytes, path: Path) -> Source:
    path.write_bytes(octets)
    return Source.from_path(path)


def content_of(source: Source) -> Content:
    reader = Reader(source)
    (wrapper,) = reader.children(reader.element(0, reader.size))
    (string,) = reader.children(wrapper)
    return Content(source, reader, string)


@pytest.mark.parametrize("make", [from_bytes, from_file])
def test_fifty_megabytes_in_pieces_of_a_kilobyte_are_read_at_once(
    make: Callable[[bytes, Path], Source], tmp_path: Path
) -> None:
    size = 50 * 1024 * 1024
    with make(streamed(size), tmp_path / "octets") as source:
        begun = time.monotonic()
        assert sum(map(len, content_of(source).chunks())) == size
        assert time.monotonic() - begun < 1  # 0.15 s on a quiet machine


@pytest.mark.parametrize("make", [from_bytes, from_file])
def test_pieces_are_not_held(make: Callable[[bytes, Path], Source], tmp_path: Path) -> None:
    with make(streamed(8 * 1024 * 1024), tmp_path / "octets") as source:
        tracemalloc.start()
        content = content_of(source)
        largest = max(map(len, content.chunks()))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert largest <= Source.CHUNK + 1024
        assert peak < 2 * 1024 * 1024


@pytest.mark.parametrize(
    "octets",
    [
        b"\x30\x80" * 1_000_000,
        b"\x24\x80" * 1_000_000,
        indefinite(0x30, b"\x30\x80\x00\x00" * (ber.MAX_INDEFINITE + 1)),
        indefinite(0x24, b"\x04\x00" * (ber.MAX_ELEMENTS + 20_000)),
        der.tlv(0x24, b"\x04\x00" * (ber.MAX_ELEMENTS + 20_000)),
    ],
    ids=["nested", "nested strings", "many without a length", "many pieces", "many pieces with a length"],
)
def test_what_is_more_than_anything_real_is_refused(octets: bytes) -> None:
    begun = time.monotonic()
    with pytest.raises(UntrustworthyError) as caught:
        contents(b"\x24" + octets[1:])
    assert caught.value.reason.code is Code.LIMIT_EXCEEDED
    assert time.monotonic() - begun < 4


def test_strings_in_too_many_layers_are_refused() -> None:
    octets = der.octet_string(b"x")
    for _ in range(80):
        octets = der.tlv(0x24, octets)
    with pytest.raises(UntrustworthyError) as caught:
        contents(octets)
    assert caught.value.reason.code is Code.LIMIT_EXCEEDED


def test_values_without_a_length_are_looked_through_once() -> None:
    """Each layer is opened in turn; without a memory of the ends that would take 64 times as long."""
    octets = indefinite(0x30, b"\x04\x00" * 200_000)
    for _ in range(60):
        octets = indefinite(0x30, octets)
    reader = reader_of(octets)
    begun = time.monotonic()
    element = reader.element(0, reader.size)
    first = time.monotonic() - begun
    for _ in range(60):
        (element,) = reader.children(element)
    assert time.monotonic() - begun < 2 * first + 0.1


def test_a_child_that_is_longer_than_its_parent_is_refused() -> None:
    reader = reader_of(bytes.fromhex("3002 0405 616263646500"))
    with pytest.raises(UntrustworthyError):
        list(reader.children(reader.element(0, reader.size)))


def test_a_primitive_value_has_no_children() -> None:
    reader = reader_of(der.octet_string(b"\x05\x00"))
    with pytest.raises(UntrustworthyError):
        list(reader.children(reader.element(0, reader.size)))


def test_more_members_than_wanted_are_refused() -> None:
    reader = reader_of(der.sequence(b"\x05\x00" * 11))
    with pytest.raises(UntrustworthyError) as caught:
        reader.members(reader.element(0, reader.size), 10)
    assert caught.value.reason.code is Code.LIMIT_EXCEEDED


def test_no_more_is_held_than_a_bound() -> None:
    reader = reader_of(der.octet_string(bytes(9 * 1024 * 1024)))
    element = reader.element(0, reader.size)
    reader.encoded(element)
    with pytest.raises(UntrustworthyError) as caught:
        reader.encoded(element)
    assert caught.value.reason.code is Code.LIMIT_EXCEEDED


@pytest.mark.parametrize("size", [0, 10, 70_000, 300_000, 1_500_000])
def test_a_file_and_memory_are_read_alike(size: int) -> None:
    octets = indefinite(0x24, der.octet_string(bytes(size)), der.octet_string(b"y" * 70_000), der.octet_string(b"z"))
    with Source.from_stream(io.BytesIO(octets)) as source:
        reader = Reader(source)
        content = Content(source, reader, reader.element(0, reader.size))
        assert b"".join(content.chunks()) == contents(octets)


@pytest.mark.parametrize(
    ("octets", "dotted"),
    [
        ("2a864886f70d010702", "1.2.840.113549.1.7.2"),
        ("00", "0.0"),
        ("27", "0.39"),
        ("28", "1.0"),
        ("4f", "1.39"),
        ("50", "2.0"),
        ("883703", "2.999.3"),
    ],
)
def test_object_identifiers(octets: str, dotted: str) -> None:
    assert ber.object_identifier(bytes.fromhex(octets)) == dotted


@given(st.lists(st.integers(0, 2**60), min_size=1, max_size=5), st.integers(0, 2), st.integers(0, 39))
def test_object_identifiers_are_read_as_they_are_written(arcs: list[int], first: int, second: int) -> None:
    dotted = ".".join(map(str, (first, second, *arcs)))
    assert ber.object_identifier(der.object_identifier(dotted)[2:]) == dotted


@pytest.mark.parametrize("octets", ["", "2a86", "2a8001", "80", "2a" * 65])
def test_what_is_no_object_identifier_is_refused(octets: str) -> None:
    with pytest.raises(UntrustworthyError):
        ber.object_identifier(bytes.fromhex(octets))


@pytest.mark.parametrize("octets", [b"", b"\1" * 65])
def test_what_is_no_integer_of_ours_is_refused(octets: bytes) -> None:
    with pytest.raises(UntrustworthyError):
        ber.integer(octets)
