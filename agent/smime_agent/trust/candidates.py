"""Certification paths that could be: from a certificate upward by names, to a trust anchor.

The certificates of a message are a stranger's. Only those whose subject leads upward are read, a bounded number of
them; a path visits no name and key twice; and there is one budget of steps for all paths, so that certificates which
sign each other in circles cost no more than honest ones. Source: RFC 4158.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from smime_agent.trust.octets import name_key, names
from smime_agent.trust.signatures import issued
from smime_agent.x509 import Certificate, InvalidCertificateError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from smime_agent.trust.anchors import Anchor

MAXIMUM_POOL = 20_000  # certificates that are looked at: their names only
MAXIMUM_READ = 64  # certificates that are read
MAXIMUM_DEPTH = 16  # certificates of a path
MAXIMUM_STEPS = 200  # certificates that are tried as an issuer, over all paths of one question


class Pool:
    """Certificates that nobody vouches for, found by their subject."""

    def __init__(self, encoded: Iterable[bytes]) -> None:
        """Take DER certificates, or what claims to be; garbage is left out."""
        self._encoded: dict[object, list[bytes]] = {}
        self._read: dict[bytes, Certificate | None] = {}
        for one in dict.fromkeys(islice(encoded, MAXIMUM_POOL)):
            try:
                subject = names(one).subject
            except ValueError:
                continue
            self._encoded.setdefault(name_key(subject), []).append(one)

    def named(self, name: bytes) -> list[Certificate]:
        """The certificates whose subject is the encoded ``name``, as far as they can be read."""
        found = (self._certificate(encoded) for encoded in self._encoded.get(name_key(name), ()))
        return [certificate for certificate in found if certificate is not None]

    def _certificate(self, encoded: bytes) -> Certificate | None:
        if encoded not in self._read:
            if len(self._read) >= MAXIMUM_READ:
                return None
            try:
                self._read[encoded] = Certificate(encoded)
            except InvalidCertificateError:
                self._read[encoded] = None
        return self._read[encoded]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chain of certificates, leaf first, and the anchor that it ends with, if it does.

    The anchor's certificate is the last of the chain. Where the leaf itself is the anchor, it is all of the chain.
    """

    chain: tuple[Certificate, ...]
    anchor: Anchor | None = None


@dataclass
class Search:
    """The search for the paths of one leaf."""

    anchors: dict[object, list[Anchor]]
    pool: Pool
    at: datetime
    longest: tuple[Certificate, ...] = ()
    _steps: int = field(default=MAXIMUM_STEPS)

    def paths(self, leaf: Certificate) -> Iterator[Candidate]:
        """The paths from ``leaf`` to an anchor, the likeliest first; where there is none, how far one gets.

        Paths whose signatures are right come first. Only when there is none are the others shown, to say what is wrong.
        """
        count = 0
        for signed in (True, False):
            self._steps = MAXIMUM_STEPS
            for candidate in self._from((leaf,), signed=signed):
                count += 1
                yield candidate
            if count:
                return
        yield Candidate(self.longest)

    def _from(self, chain: tuple[Certificate, ...], *, signed: bool) -> Iterator[Candidate]:
        """The paths that continue ``chain``; ``signed`` asks that each certificate is signed by the next."""
        last = chain[-1]
        if len(chain) > len(self.longest):
            self.longest = chain
        if len(chain) == 1:
            named = self.anchors.get(name_key(last.subject_encoded), ())
            yield from (Candidate(chain, anchor) for anchor in named if anchor.certificate == last)
        if len(chain) >= MAXIMUM_DEPTH:
            return
        anchors = self.anchors.get(name_key(last.issuer_encoded), ())
        above: list[tuple[Certificate, Anchor | None]] = [(anchor.certificate, anchor) for anchor in anchors]
        above.extend((issuer, None) for issuer in self._issuers(chain))
        for issuer, anchor in above:
            self._steps -= 1
            if self._steps < 0:
                return
            if issuer in chain or (anchor and not anchor.may_issue):
                continue
            if not (issued(last, issuer) if signed else issuer.may_have_issued(last)):
                continue
            if anchor:
                yield Candidate((*chain, issuer), anchor)
            else:
                yield from self._from((*chain, issuer), signed=signed)

    def _issuers(self, chain: tuple[Certificate, ...]) -> list[Certificate]:
        """Who of the pool may have issued the last of ``chain``, the likeliest first."""
        last = chain[-1]
        seen = {(name_key(c.subject_encoded), c.public_key_info) for c in chain}
        found = (
            c
            for c in self.pool.named(last.issuer_encoded)
            if (name_key(c.subject_encoded), c.public_key_info) not in seen
        )

        def rank(issuer: Certificate) -> tuple[bool, bool, bool, datetime]:
            theirs, ours = last.authority_key_identifier, issuer.subject_key_identifier
            valid = issuer.not_before <= self.at <= issuer.not_after
            return (theirs is None or ours is None or theirs == ours, valid, issuer.is_ca, issuer.not_after)

        return sorted(found, key=rank, reverse=True)


def by_name(anchors: Iterable[Anchor]) -> dict[object, list[Anchor]]:
    """Anchors by the subjects of their certificates; one that cannot be read vouches for nobody."""
    found: dict[object, list[Anchor]] = {}
    for anchor in {anchor.certificate.encoded: anchor for anchor in reversed(tuple(anchors))}.values():
        try:
            subject = names(anchor.certificate.encoded).subject
        except ValueError:
            continue
        found.setdefault(name_key(subject), []).append(anchor)
    return found
