"""Random ASN.1 values, as DER and as any of the BER encodings that mean the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from smime_agent import der

if TYPE_CHECKING:
    from collections.abc import Callable

STRINGS = (0x04, 0x0C, 0x13, 0x16, 0x17, 0x1E)
PLAIN = (0x01, 0x02, 0x05, 0x06, 0x0A, 0x80, 0x9E)
CONSTRUCTED = (0x30, 0x31, 0xA0, 0xBE, 0x61)


@dataclass(frozen=True)
class Tree:
    """A value: its DER identifier, and its octets or what is in it."""

    tag: int
    contents: bytes | tuple[Tree, ...]

    def der(self) -> bytes:
        if isinstance(self.contents, bytes):
            return der.tlv(self.tag, self.contents)
        parts = [child.der() for child in self.contents]
        return der.tlv(self.tag, *(sorted(parts) if self.tag == der.SET else parts))

    def ber(self, choose: Callable[[int], int]) -> bytes:
        """One of its BER encodings; ``choose(n)`` says a number below ``n``."""
        if isinstance(self.contents, bytes):
            if self.tag in STRINGS or self.tag == 0x03:
                return self._string(choose)
            return _short_or_long(self.tag, self.contents, choose)
        parts = [child.ber(choose) for child in self.contents]
        if self.tag == der.SET:
            parts = [parts.pop(choose(len(parts))) for _ in range(len(parts))]
        return _wrapped(self.tag, b"".join(parts), choose)

    def _string(self, choose: Callable[[int], int], depth: int = 0) -> bytes:
        assert isinstance(self.contents, bytes)
        bits = self.tag == 0x03
        octets = self.contents[1:] if bits else self.contents
        if depth == 3 or choose(2):
            return _short_or_long(self.tag, self.contents, choose)
        cuts = sorted(choose(len(octets) + 1) for _ in range(choose(3)))
        pieces = [octets[start:end] for start, end in zip([0, *cuts], [*cuts, len(octets)], strict=True)]
        unused = [b"\0" * bits] * (len(pieces) - 1) + [self.contents[:1] * bits]
        tag = self.tag if choose(2) or bits else 0x04
        parts = [Tree(tag, head + piece) for head, piece in zip(unused, pieces, strict=True)]
        return _wrapped(self.tag | 0x20, b"".join(part._string(choose, depth + 1) for part in parts), choose)


def _short_or_long(tag: int, contents: bytes, choose: Callable[[int], int]) -> bytes:
    if choose(2):
        return der.tlv(tag, contents)
    return bytes((tag, 0x80 | 5)) + len(contents).to_bytes(5) + contents


def _wrapped(tag: int, contents: bytes, choose: Callable[[int], int]) -> bytes:
    return bytes((tag, 0x80)) + contents + b"\0\0" if choose(2) else _short_or_long(tag, contents, choose)


def _bits(octets: bytes) -> Tree:
    return Tree(0x03, b"\0" + octets if len(octets) % 2 or not octets else b"\3" + octets[:-1] + b"\xf8")


LEAVES = st.builds(Tree, st.sampled_from(STRINGS + PLAIN), st.binary(max_size=300)) | st.binary(max_size=9).map(_bits)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.builds(Tree, st.sampled_from(CONSTRUCTED), st.lists(inner, max_size=5).map(tuple)),
    max_leaves=20,
)
