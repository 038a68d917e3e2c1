"""Input that is made to cost much: each is small to write down, and nothing real."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

from tests.spoofs.asn1 import context, integer, octets, oid, sequence, set_of, tlv
from tests.spoofs.cms import DATA, SIGNED_DATA, SignedData, SignerInfo, usual
from tests.spoofs.collection import WORKSHOP
from tests.spoofs.mime import ALICE, ENTITY, OPAQUE, Clear, sent_by
from tests.spoofs.mime import opaque as opaque_part

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB: Final = 1 << 20
_PIECE: Final = 1024


def signed_data(content: bytes = b"", certificates: bytes = b"", signer_infos: bytes = b"") -> bytes:
    """A SignedData of parts that are encoded already."""
    inner = context(0, content) if content else b""
    outer = (integer(1), set_of(), sequence(oid(DATA), inner))
    chosen = tlv(0xA0, certificates) if certificates else b""
    return sequence(oid(SIGNED_DATA), context(0, sequence(*outer, chosen, tlv(0x31, signer_infos))))


def in_pieces(size: int) -> bytes:
    """A constructed OCTET STRING of that many octets, in pieces of 1 KiB."""
    return tlv(0x24, octets(bytes(_PIECE)) * (size // _PIECE))


def empty_strings(count: int) -> bytes:
    """A constructed OCTET STRING of empty ones."""
    return tlv(0x24, b"\x04\x00" * count)


def nested(count: int, tag: int = 0x30) -> bytes:
    """Values inside values, none of which says its length."""
    return bytes((tag, 0x80)) * count + b"\0\0" * count


def many_certificates(count: int) -> bytes:
    """A clear-signed mail with so many certificates that all are named like the signer's, before those that belong."""
    alice = WORKSHOP.alice
    return _with_certificates(_copies(alice.certificate, count))


def many_authorities(count: int) -> bytes:
    """A clear-signed mail with so many CAs that could all have issued the signer's certificate, and one another's."""
    return _with_certificates(_copies(WORKSHOP.issuing.certificate, count))


def _copies(certificate: bytes, count: int) -> tuple[bytes, ...]:
    """The certificate so many times, each with another signature, none of which is right."""
    return tuple(certificate[:-8] + number.to_bytes(8, "big") for number in range(count))


def _with_certificates(certificates: tuple[bytes, ...]) -> bytes:
    alice = WORKSHOP.alice
    return clear(SignedData((SignerInfo(alice, usual(ENTITY)),), (*certificates, *alice.chain)).der)


def many_signers(count: int) -> bytes:
    """A clear-signed mail with the same signature so many times."""
    alice = WORKSHOP.alice
    return clear(signed_data(b"", b"".join(alice.chain), SignerInfo(alice, usual(ENTITY)).der * count))


def clear(cms: bytes, header: bytes = b"") -> bytes:
    """A clear-signed mail of Alice's."""
    return header + sent_by(ALICE) + Clear(ENTITY, cms).whole


def opaque_entity(cms: bytes) -> bytes:
    """An opaque-signed mail of Alice's."""
    return sent_by(ALICE) + opaque_part(cms)


def opaque(size: int) -> Iterator[bytes]:
    """An opaque-signed mail of Alice's with a content of about that many octets, in blocks."""
    content = ENTITY + b"All work and no play makes Jack a dull boy, all day long.\r\n" * (size // 59)
    alice = WORKSHOP.alice
    cms = SignedData((SignerInfo(alice, usual(content)),), alice.chain, content=content).der
    yield sent_by(ALICE) + b"Content-Type: %b\r\nContent-Transfer-Encoding: base64\r\n\r\n" % OPAQUE
    for start in range(0, len(cms), 57 * 10_000):
        yield base64.encodebytes(cms[start : start + 57 * 10_000]).replace(b"\n", b"\r\n")
