"""The next boundary delimiter is what the definition says, however many boundaries there are."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from smime_agent.mime.window import Delimiter, Window
from smime_agent.source import Source

NAMES = st.sampled_from([b"a", b"a--", b"ab", b"b", b"--", b"-", b"a b", b"x" * 900])
PIECES = st.sampled_from(
    [b"--", b"a", b"b", b"ab", b"-", b" ", b"\t", b"\r", b"\n", b"\r\n", b"\n--a", b"\n--ab--", b" " * 990]
)


def defined(data: bytes, boundaries: list[bytes]) -> Delimiter:
    """The first line that delimits, tried with each boundary in turn (RFC 2046, 5.1.1)."""
    line = 0
    while 0 <= line < len(data):
        for level, boundary in enumerate(boundaries):
            match = re.compile(rb"--" + re.escape(boundary) + rb"((?:--)?)([ \t]*)(\r?\n|\Z)").match(data, line)
            if match is None or len(match.group(2) + match.group(3)) + len(match.group(1)) > 1000:
                continue
            before = data[max(0, line - 2) : line]
            start = line - (2 if before == b"\r\n" else 1 if before.endswith(b"\n") else 0)
            return Delimiter(
                start, line, match.end(), level, match.group(1) != b"", match.group(2) != b"", match.group(3) != b""
            )
        line = data.find(b"\n", line) + 1 or -1
    return Delimiter(len(data), len(data), len(data))


@settings(max_examples=400)
@given(st.lists(PIECES, max_size=12).map(b"".join), st.lists(NAMES, min_size=1, max_size=4))
def test_the_first_delimiter_is_found(data: bytes, boundaries: list[bytes]) -> None:
    assert Window(Source.from_bytes(data)).delimiter(0, boundaries) == defined(data, boundaries)


@given(st.lists(PIECES, max_size=12).map(b"".join), st.integers(0, 20))
def test_a_window_ends_where_it_was_told_to(data: bytes, end: int) -> None:
    assert Window(Source.from_bytes(data), end).delimiter(0, [b"a", b"ab"]) == defined(data[:end], [b"a", b"ab"])
