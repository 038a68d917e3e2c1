"""Compressed contents, expanded as far as is sane."""

from __future__ import annotations

import os
import tempfile
import time
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smime_agent import der
from smime_agent.cms import compressed_data, oids
from smime_agent.cms.compressed_data import EXPANDED_FREELY, ID_ZLIB, CompressedData
from smime_agent.errors import SmimeAgentError
from smime_agent.source import Source
from smime_agent.verdict import Code, UntrustworthyError

CONTENT = b"Content-Type: text/plain\r\n\r\nHello, Bob.\r\n"


def compressed(octets: bytes, pieces: int = 0) -> CompressedData:
    """A CompressedData with that content, in pieces of so many octets if any."""
    content = der.octet_string(octets)
    if pieces:
        cut = [der.octet_string(octets[at : at + pieces]) for at in range(0, len(octets), pieces)]
        content = b"\x24\x80" + b"".join(cut) + bytes(2)
    inside = der.sequence(der.object_identifier(oids.ID_DATA), der.context(0, content))
    object_ = der.sequence(der.integer(0), der.algorithm(ID_ZLIB), inside)
    encoded = der.sequence(der.object_identifier(oids.ID_COMPRESSED_DATA), der.context(0, object_))
    return CompressedData.read(Source.from_bytes(encoded))


@pytest.mark.parametrize(
    "size", [0, 1, Source.CHUNK - 1, Source.CHUNK, Source.CHUNK + 1, 2 * Source.CHUNK, Source.IN_MEMORY, 3_000_000]
)
@pytest.mark.parametrize("pieces", [0, 7, 1000])
def test_a_content_of_any_size_comes_back(size: int, pieces: int) -> None:
    with compressed(zlib.compress(bytes(size)), pieces).expanded() as source:
        assert source.size == size
        assert source.read() == bytes(size)


@given(st.binary(max_size=2000), st.integers(0, 9), st.integers(0, 300))
def test_what_was_compressed_comes_back(content: bytes, level: int, pieces: int) -> None:
    with compressed(zlib.compress(content, level), pieces).expanded() as source:
        assert source.read() == content


def test_a_bomb_is_refused_before_it_has_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = zlib.compress(bytes(EXPANDED_FREELY + 1))
    began = time.process_time()
    seen = _spooled(monkeypatch)
    with pytest.raises(UntrustworthyError) as caught:
        compressed(bomb).expanded()
    assert caught.value.reason.code is Code.LIMIT_EXCEEDED
    assert time.process_time() - began < 2
    assert all(file.closed for file in seen)


def _spooled(monkeypatch: pytest.MonkeyPatch) -> list[tempfile._TemporaryFileWrapper[bytes]]:
    """The temporary files that are made from now on."""
    seen: list[tempfile._TemporaryFileWrapper[bytes]] = []
    make = tempfile.TemporaryFile

    def made(*, buffering: int) -> object:
        seen.append(make(buffering=buffering))  # type: ignore[arg-type]
        return seen[-1]

    monkeypatch.setattr(tempfile, "TemporaryFile", made)
    return seen


def test_what_is_large_may_expand_a_hundredfold_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compressed_data, "EXPANDED_FREELY", 100)
    content = b"".join([bytes(200) + os.urandom(1) for _ in range(2500)])
    octets = zlib.compress(content)
    assert 50 * len(octets) < len(content) < 100 * len(octets)
    compressed(octets).expanded().close()
    with pytest.raises(UntrustworthyError):
        compressed(zlib.compress(bytes(510_000))).expanded()


def test_nothing_expands_to_more_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compressed_data, "MAX_EXPANDED", 1000)
    compressed(zlib.compress(bytes(1000))).expanded().close()
    with pytest.raises(UntrustworthyError):
        compressed(zlib.compress(bytes(1001))).expanded()


@pytest.mark.slow
def test_a_large_content_takes_little_memory() -> None:
    found = compressed(zlib.compress(bytes(64 << 20)))
    tracemalloc.start()
    try:
        with found.expanded() as source:
            assert source.size == 64 << 20
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * Source.IN_MEMORY


def test_whatever_was_flipped_or_cut_off_only_errors_of_ours_come_out() -> None:
    octets = zlib.compress(CONTENT)
    for place in range(len(octets)):
        changed = bytearray(octets)
        changed[place] ^= 0x55
        for one in (bytes(changed), octets[:place]):
            try:
                with compressed(one).expanded() as source:
                    assert source.read() == CONTENT
            except SmimeAgentError:
                continue
