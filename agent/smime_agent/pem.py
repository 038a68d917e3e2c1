"""The textual encoding of DER objects (RFC 7468)."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import b2a_base64
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 #]{1,40})-----\r?\n([^-]*)-----END \1-----")
_LINE = 48  # octets that make the 64 characters of a line (RFC 7468, 2)


def armor(chunks: Iterable[bytes], label: str) -> Iterator[bytes]:
    """PEM text of a DER object of any size, in pieces about as large as those that come in."""
    yield f"-----BEGIN {label}-----\n".encode()
    rest = b""
    for chunk in chunks:
        octets = rest + chunk
        whole = len(octets) - len(octets) % _LINE
        if whole:
            yield b"".join(b2a_base64(octets[at : at + _LINE]) for at in range(0, whole, _LINE))
        rest = octets[whole:]
    if rest:
        yield b2a_base64(rest)
    yield f"-----END {label}-----\n".encode()


def dearmored(text: bytes, labels: Container[str]) -> list[bytes]:
    """The DER of every block with one of the labels, in order; what stands around them is left out (RFC 7468, 2).

    Raises:
        ValueError: the base64 of one is damaged.
    """
    return [
        b64decode(b"".join(match[2].split()), validate=True)
        for match in _BLOCK.finditer(text)
        if match[1].decode() in labels
    ]
