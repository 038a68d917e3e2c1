"""What we say that we signed, to be compared with what others say."""

from __future__ import annotations

from smime_agent import mime
from smime_agent.source import Source


def entity_of(mail: bytes) -> mime.Entity:
    """The entity of a mail that a signature covers."""
    return mime.split(Source.from_bytes(mail)).entity


def canonical(mail: bytes) -> bytes:
    """Its octets."""
    return b"".join(entity_of(mail).chunks())
