"""CRLs cut down to the few entries that somebody asks about, so that a long one costs no more than its digest.

A CRL may have a million entries, and asn1crypto makes several objects of each. Here the octets are searched for the
serial numbers in question. An entry is kept when it is about one of them, or when it names another issuer for those
that follow (RFC 5280, 5.3.3). A number whose octets occur nowhere is not listed, whatever else is in the list.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from smime_agent import der
from smime_agent.trust.octets import Element, element, elements, whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAXIMUM_SIZE = 64 << 20
MAXIMUM_KEPT = 2000  # only entries that name other issuers can be so many
_SEQUENCE = 0x30
#: The fields of a TBSCertList, a letter each: version, signature and issuer; times; entries; extensions.
_KINDS = {0x02: "i", _SEQUENCE: "s", 0x17: "t", 0x18: "t", 0xA0: "x"}
_SHAPE = re.compile("(?P<head>i?ss)tt?(?P<entries>s?)x?")
_CERTIFICATE_ISSUER = der.object_identifier("2.5.29.29")


@dataclass(frozen=True, slots=True)
class ShortenedList:
    """A CertificateList in which most entries are missing, and the octets that its signature is over."""

    encoded: bytes
    to_be_signed: bytes
    signed: bytes


def issuer_of(encoded: bytes) -> bytes:
    """The encoded name of whoever issued a DER CRL.

    Raises:
        ValueError: it is no CRL, or too long.
    """
    issuer = _parts(encoded)[1]
    return encoded[issuer.start : issuer.end]


def shortened(encoded: bytes, serial_numbers: Iterable[bytes]) -> ShortenedList:
    """A DER CRL with only the entries that matter for ``serial_numbers``, each a whole INTEGER.

    Raises:
        ValueError: it is no CRL, or too long, or has too many entries that matter.
    """
    tbs, _, revoked = _parts(encoded)
    kept = _entries(encoded, revoked, tuple(serial_numbers)) if revoked else []
    before = encoded[tbs.contents : revoked.start if revoked else tbs.end]
    after = encoded[revoked.end : tbs.end] if revoked else b""
    to_be_signed = der.sequence(before, der.sequence(*kept) if kept else b"", after)
    return ShortenedList(
        encoded=der.sequence(to_be_signed, encoded[tbs.end :]),
        to_be_signed=to_be_signed,
        signed=encoded[tbs.start : tbs.end],
    )


def _parts(encoded: bytes) -> tuple[Element, Element, Element | None]:
    """The TBSCertList, and of its fields the issuer and the entries (RFC 5280, 5.1)."""
    if len(encoded) > MAXIMUM_SIZE:
        raise ValueError("a CRL of more than 64 MiB")
    outer = whole(encoded)
    tbs = element(encoded, outer.contents, outer.end)
    fields = list(islice(elements(encoded, tbs.contents, tbs.end), 8))
    kinds = "".join(_KINDS.get(field.tag, "?") for field in fields)
    shape = _SHAPE.fullmatch(kinds)
    if not shape:
        raise ValueError("not a TBSCertList")
    entries = fields[shape.start("entries")] if shape["entries"] else None
    return tbs, fields[shape.end("head") - 1], entries


def _entries(signed: bytes, revoked: Element, serial_numbers: tuple[bytes, ...]) -> list[bytes]:
    """The entries that matter. They are gone through only as far as there is something to find among them."""
    places = {place for number in serial_numbers for place in _occurrences(signed, number, revoked)}
    if not places:
        return []
    indirect = signed.find(_CERTIFICATE_ISSUER, revoked.contents, revoked.end) >= 0
    kept: list[bytes] = []
    start, last = revoked.contents, max(places)
    while start <= last:  # the loop that a long list is spent in
        length = signed[start + 1]
        if length < 0x80 and signed[start] == _SEQUENCE:  # noqa: PLR2004 - the short form, which nearly all have
            contents = start + 2
            end = contents + length
        else:
            _, _, contents, end = element(signed, start, revoked.end)
        if contents in places or (indirect and signed.find(_CERTIFICATE_ISSUER, contents, end) >= 0):
            kept.append(signed[start:end])
            if len(kept) > MAXIMUM_KEPT:
                raise ValueError("a CRL of too many issuers")
        start = end
    if start > revoked.end:
        raise ValueError("an entry of a CRL is cut off")
    return kept


def _occurrences(signed: bytes, wanted: bytes, revoked: Element) -> Iterator[int]:
    """Where ``wanted`` occurs among the entries, in whatever they hold."""
    place = signed.find(wanted, revoked.contents, revoked.end)
    while place >= 0:
        yield place
        place = signed.find(wanted, place + 1, revoked.end)
