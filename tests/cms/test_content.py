"""The content of a CMS object in many pieces, read as one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smime_agent import der
from smime_agent.cms.ber import Reader
from smime_agent.cms.content import Content
from smime_agent.source import Source


def content_of(pieces: list[bytes]) -> Content:
    encoded = der.tlv(0x24, *(der.octet_string(piece) for piece in pieces))
    source = Source.from_bytes(b"before" + encoded + b"after")
    reader = Reader(source)
    return Content(source, reader, reader.element(6, 6 + len(encoded)))


@given(st.lists(st.binary(max_size=40), max_size=20), st.integers(0, 300), st.integers(0, 300))
def test_any_range_is_that_of_the_octets_of_all_pieces(pieces: list[bytes], start: int, end: int) -> None:
    whole = b"".join(pieces)
    content = content_of(pieces)
    with content.source() as source:
        assert (content.size, source.size) == (len(whole), len(whole))
        assert source.read(start, end) == whole[start:end]
        assert source.read() == b"".join(content.chunks()) == whole


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=2, max_size=20), st.data())
def test_a_view_of_pieces_is_a_range_of_them(pieces: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(pieces)
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))
    assert content_of(pieces).source().read()[start:end] == content_of(pieces).source().view(start, end).read()
