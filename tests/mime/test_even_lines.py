"""Lines of one length are looked over in a shorter way: what is found is what a look at each line finds."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smime_agent.mime.robust import LINE_LIMIT, Lines, Weakness, look_over

_BARE_CR = re.compile(rb"\r(?!\n)")


def expected(octets: bytes) -> Lines:
    """What RFC 2045, 2.7 says of them, as it stands there."""
    if _BARE_CR.search(octets):
        return Lines(Weakness.BARE_CR, 0)
    lines = octets.replace(b"\r\n", b"\n")
    if not octets.isascii():
        return Lines(Weakness.EIGHT_BIT, 0)
    if b"\0" in octets:
        return Lines(Weakness.NUL, 0)
    if any(len(line) > LINE_LIMIT for line in lines.split(b"\n")):
        return Lines(Weakness.LONG_LINE, 0)
    return Lines(None, len(lines.replace(b"\n", b"\r\n")) - len(octets))


@given(
    st.integers(0, 90),
    st.integers(1, 40),
    st.sampled_from([b"\n", b"\r\n"]),
    st.lists(
        st.tuples(st.integers(0, 3600), st.sampled_from([b"\r", b"\n", b"\r\n", b"\0", b"\xff", b" ", b"x"])),
        max_size=1,
    ),
    st.integers(1, 4000),
)
def test_even_lines_are_found_to_be_what_they_are(
    length: int, count: int, end: bytes, changes: list[tuple[int, bytes]], cut: int
) -> None:
    octets = bytearray((b"x" * length + end) * count)
    for at, changed in changes:
        octets[at : at + len(changed)] = changed
    chunks = [bytes(octets[at : at + cut]) for at in range(0, len(octets), cut)]
    found, wanted = look_over(chunks, enclosed=True), expected(bytes(octets))
    assert found.weakness is wanted.weakness
    assert found.weakness is not None or found.growth == wanted.growth


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("length", range(LINE_LIMIT - 3, LINE_LIMIT + 4))
def test_even_lines_may_be_as_long_as_others(length: int, end: bytes) -> None:
    octets = (b"x" * length + end) * 3
    assert look_over([octets], enclosed=True).weakness is expected(octets).weakness
