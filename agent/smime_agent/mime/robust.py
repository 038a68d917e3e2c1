"""What does not survive its way: the octets that a relay, a mailbox or a gateway may rewrite."""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

# One of three weaknesses is here, or none is. It begins with a literal octet, so it runs at the speed of C; in text a
# search for b" \n" or b"\nFrom " stops at every other word.
_SUSPECT = re.compile(rb"\n(?:(?<=[ \t]\n)|From |\.\n)")
# RFC 5321, 4.5.3.1.6: 1000 octets with the CRLF.
LINE_LIMIT = 998


class Weakness(Enum):
    """Why some octets may not arrive as they were sent; the value completes "it holds ..."."""

    EIGHT_BIT = "bytes beyond ASCII"  # RFC 8551, 3.1.3: relays re-encode them
    NUL = "a NUL byte"
    BARE_CR = "a carriage return that ends no line"  # RFC 5321, 2.3.8
    BARE_LF = "a line feed that ends no line"  # asked for in binary data only
    LONG_LINE = "a line of more than 998 octets"
    TRAILING_SPACE = "a space or tab at the end of a line"
    FROM_LINE = 'a line that begins with "From "'  # mailboxes write ">From "
    LONE_DOT = "a line that is a single dot"  # the end of the mail for careless SMTP


def line_feeds(block: bytes) -> bytes | None:
    """The block with LF line ends, or None if a CR stands alone in it."""
    if b"\r" not in block:
        return block
    plain = block.replace(b"\r", b"")
    if block.count(b"\r\n") != len(block) - len(plain):
        return None
    return plain


def weakness_of_lines(lines: bytes, *, enclosed: bool = False) -> Weakness | None:
    """The first weakness found in lines that end with LF; nothing precedes or follows them.

    ``enclosed`` lines only have to be 7bit (RFC 2045, 2.7): whoever takes them out may send them on as they are. Each
    test is one search at the speed of C: a regular expression over the same body takes twenty times as long.
    """
    if not lines.isascii():
        return Weakness.EIGHT_BIT
    if b"\0" in lines:
        return Weakness.NUL
    on_its_way = None if enclosed else _weakness_on_its_way(lines)
    if on_its_way is None and _has_long_line(lines):
        return Weakness.LONG_LINE
    return on_its_way


def _weakness_on_its_way(lines: bytes) -> Weakness | None:
    """What 7bit lines may lose where they are not enclosed in anything."""
    suspect = _SUSPECT.search(lines) is not None
    if (suspect and (b" \n" in lines or b"\t\n" in lines)) or lines.endswith((b" ", b"\t")):
        return Weakness.TRAILING_SPACE
    if (suspect and b"\nFrom " in lines) or lines.startswith(b"From "):
        return Weakness.FROM_LINE
    if suspect or lines.startswith(b".\n") or lines.endswith(b"\n.") or lines == b".":
        return Weakness.LONE_DOT
    return None


def weakness(block: bytes) -> Weakness | None:
    """The first weakness found in lines that end with CRLF or LF; nothing precedes or follows them."""
    lines = line_feeds(block)
    return Weakness.BARE_CR if lines is None else weakness_of_lines(lines)


class Lines(NamedTuple):
    """The first weakness that was found in lines, and how many octets more they have with CRLF line ends."""

    weakness: Weakness | None
    growth: int


def weakness_of(chunks: Iterable[bytes], *, binary: bool = False) -> Weakness | None:
    """The first weakness found in octets of any size; in ``binary`` data a bare LF is one too."""
    return look_over(chunks, binary=binary).weakness


def look_over(chunks: Iterable[bytes], *, binary: bool = False, enclosed: bool = False) -> Lines:
    """The same; how much the octets grow is told where no weakness is. ``enclosed``: as above."""
    rest = b""
    growth = 0
    for chunk in chunks:
        data = rest + chunk
        cut = data.rfind(b"\n") + 1
        found = _look_at(data[:cut], enclosed=enclosed)
        rest = data[cut:]
        growth += found.growth
        if found.weakness is not None:
            return found
        if binary and found.growth:
            return Lines(Weakness.BARE_LF, growth)
        if len(rest) > LINE_LIMIT + 1:  # one for a CR whose LF is still to come
            return Lines(Weakness.LONG_LINE, growth)
    return Lines(_look_at(rest, enclosed=enclosed).weakness, growth)


def _look_at(block: bytes, *, enclosed: bool) -> Lines:
    """One block of lines, none of which goes on after it."""
    growth = _growth_of_even(block) if enclosed else None
    if growth is not None:
        return Lines(None, growth)
    lines = block.replace(b"\r", b"")
    canonical = lines.replace(b"\n", b"\r\n")
    if canonical != block and len(block) - len(lines) != block.count(b"\r\n"):
        return Lines(Weakness.BARE_CR, 0)
    return Lines(weakness_of_lines(lines, enclosed=enclosed), len(canonical) - len(block))


def _has_long_line(lines: bytes) -> bool:
    # Hop from one line feed to the last one that is near enough, instead of looking at every line.
    size = len(lines)
    position = 0
    while size - position > LINE_LIMIT:
        line_feed = lines.rfind(b"\n", position, position + LINE_LIMIT + 1)
        if line_feed < 0:
            return True
        position = line_feed + 1
    return False


def _growth_of_even(block: bytes) -> int | None:
    """How much lines of one length, as those of base64 are, grow with CRLF line ends; None where they are not even.

    Or not 7bit. It takes a fourth of the time of finding line ends wherever they are.
    """
    length = block.find(b"\n") + 1
    count, rest = divmod(len(block), length or 1)
    if rest or not 1 < length <= LINE_LIMIT:
        return None
    width = 2 if block[length - 2 : length] == b"\r\n" else 1
    others = bytearray(block)
    for end, at in zip(b"\n\r"[:width], (length - 1, length - 2), strict=False):
        if block[at::length].count(end) != count:
            return None
        others[at::length] = b" " * count
    is_clean = others.isascii() and not any(octet in others for octet in (b"\0", b"\r", b"\n"))
    return count * (2 - width) if is_clean else None
