"""Distinguished names in words (RFC 4514, 2): of what came from others, and of certificates that are not at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from smime_agent import der
from smime_agent.cms.ber import object_identifier
from smime_agent.cms.normal import to_der, value, values
from smime_agent.names import name_of
from smime_agent.verdict import UntrustworthyError

if TYPE_CHECKING:
    from collections.abc import Iterator

UNREADABLE: Final = "(unreadable)"
_EMPTY: Final = "(empty name)"
#: Octets that are shown of what is no text.
_MAX_HEXADECIMAL: Final = 256
#: How the strings of a name are encoded (X.690, 8.23); what else there is is ASCII.
_ENCODINGS: Final = {0x0C: "utf-8", 0x14: "latin-1", 0x1C: "utf-32-be", 0x1E: "utf-16-be"}
_STRINGS: Final = frozenset({*range(0x12, 0x17), 0x19, 0x1A, 0x1B, *_ENCODINGS})


def distinguished_name(encoded: bytes) -> str:
    """A Name in DER or BER, the most specific part first; it may be long, and hold any character."""
    try:
        sets = values(value(to_der(encoded), der.SEQUENCE))
        return ", ".join("+".join(_parts(one.contents)) for one in reversed(sets)) or _EMPTY
    except (UntrustworthyError, IndexError, ValueError):
        return UNREADABLE


def string(tag: int, contents: bytes) -> str:
    """A character string of any type, else its octets in hexadecimal."""
    if tag in _STRINGS:
        return contents.decode(_ENCODINGS.get(tag, "ascii"), "replace")
    if len(contents) <= _MAX_HEXADECIMAL:
        return f"#{contents.hex()}"
    return f"#{contents[:_MAX_HEXADECIMAL].hex()} ... ({len(contents)} octets)"


def _parts(contents: bytes) -> Iterator[str]:
    for part in values(contents):
        oid, text = values(value(part.encoded, der.SEQUENCE))[:2]
        yield f"{name_of(object_identifier(oid.contents))}={string(text.tag, text.contents)}"
