"""Base64 that is decoded where it is read, against the standard library's reading of all of it."""

from __future__ import annotations

import base64
import binascii
import os
import tracemalloc
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smime_agent.errors import FileError
from smime_agent.mime import base64_lines
from smime_agent.mime.base64_lines import decoded_in_place
from smime_agent.mime.decode import Base64Decoder
from smime_agent.source import Source
from smime_agent.verdict import Code, UntrustworthyError

if TYPE_CHECKING:
    from pathlib import Path

OCTETS = os.urandom(10_000)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a few lines, so that there are many of them."""
    monkeypatch.setattr(base64_lines, "_BLOCK", 2000)


def lined(octets: bytes, columns: int = 76, end: bytes = b"\r\n") -> bytes:
    text = base64.b64encode(octets)
    return b"".join(text[at : at + columns] + end for at in range(0, len(text), columns))


def in_place(text: bytes, before: bytes = b"", after: bytes = b"") -> tuple[Source, bool] | None:
    whole = Source.from_bytes(before + text + after)
    return decoded_in_place(whole, len(before), len(before) + len(text))


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
@pytest.mark.parametrize("columns", [4, 60, 64, 76, 996])
@pytest.mark.parametrize("size", [10_000, 9_999, 9_998, 57 * 170])
def test_lines_of_one_length_are_decoded_where_they_are_read(columns: int, end: bytes, size: int) -> None:
    found = in_place(lined(OCTETS[:size], columns, end), b"Subject: x\n\n", b"--b--\r\n")
    assert found is not None
    source, trailing = found
    assert (source.size, source.read(), trailing) == (size, OCTETS[:size], False)


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_any_part_can_be_read(start: int, end: int) -> None:
    found = in_place(lined(OCTETS))
    assert found is not None
    assert found[0].read(start, end) == OCTETS[start:end]


def test_what_follows_the_padding_is_told_and_not_decoded() -> None:
    found = in_place(lined(OCTETS) + b"AAAA\r\n")
    assert found is not None
    assert (found[0].read(), found[1]) == (OCTETS, True)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"QUJD",
        b"\r\n" + lined(OCTETS),
        b" " + lined(OCTETS),
        lined(OCTETS[:57]) + b"\r\n\r\n" + lined(OCTETS),
        lined(OCTETS[:5700], 76, b"\n") + lined(OCTETS),
        b"-" + lined(OCTETS)[1:],
        lined(OCTETS, 78),
    ],
)
def test_other_lines_are_not_decoded_in_place(text: bytes) -> None:
    assert in_place(text) is None


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(st.integers(0, 5_500), st.sampled_from([b"", b"=", b"A", b"ABCD", b"!", b"\r\n", b"\n", b" "])),
        min_size=1,
        max_size=3,
    )
)
def test_what_is_decoded_in_place_is_what_a_lenient_reader_decodes(changes: list[tuple[int, bytes]]) -> None:
    text = bytearray(lined(OCTETS[:4000]))
    for at, octets in changes:
        text[at : at + len(octets)] = octets
    decoder = Base64Decoder()
    expected = b"".join(decoder.decode([bytes(text)]))
    found = in_place(bytes(text))
    if found is not None:
        with suppress(UntrustworthyError):  # it is refused, or it is read as all do
            pieces = b"".join(found[0].read(at, at + 333) for at in range(0, found[0].size, 333))
            assert (pieces, found[1]) == (expected, decoder.trailing)


@pytest.mark.parametrize("octets", [b"=", b"!", b"-", b"\n"])
def test_what_stands_in_a_line_and_does_not_belong_there_is_refused(octets: bytes) -> None:
    text = bytearray(lined(OCTETS))
    text[4000:4001] = octets
    found = in_place(bytes(text))
    assert found is not None
    with pytest.raises(UntrustworthyError, match="stands something else") as caught:
        found[0].read()
    assert caught.value.reason.code is Code.MALFORMED_CMS


@given(st.lists(st.sampled_from([b"QUJD", b"Q", b"+/", b"\r\n", b"\n", b" ", b"!", b"\0", b"\xff"]), max_size=60))
def test_the_decoder_passes_over_what_the_standard_library_does(pieces: list[bytes]) -> None:
    text = b"".join(pieces)
    symbols = len(text.translate(None, b"\r\n !\0\xff"))
    expected = binascii.a2b_base64(text + b"=" * (-symbols % 4)) if symbols % 4 != 1 else None
    if expected is not None:
        assert b"".join(Base64Decoder().decode([text])) == expected


def test_lines_that_are_others_later_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "body"
    text = lined(OCTETS * 150)
    path.write_bytes(text)
    with Source.from_path(path) as whole:
        found = decoded_in_place(whole, 0, whole.size)
        assert found is not None
        path.write_bytes(b"\r\n" * (len(text) // 2))
        with pytest.raises(FileError, match="changed while it was read"):
            found[0].read(0, 1000)


def test_memory_does_not_grow_with_the_body(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    block = lined(bytes(57 * 1000))
    whole = Source.from_reader(lambda start, end: (block * 6)[start % len(block) :][: end - start], 400 * len(block))
    tracemalloc.start()
    try:
        found = decoded_in_place(whole, 0, whole.size)
        assert found is not None
        assert sum(map(len, found[0].chunks())) == 57 * 1000 * 400
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20
