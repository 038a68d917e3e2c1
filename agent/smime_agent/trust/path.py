"""Whether a certificate can be trusted: a path to an anchor, what each certificate of it allows, and revocation.

The roads ask :class:`PathValidator`; what it needs stands beside this module. Source: RFC 5280, 6; RFC 8550, 4.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING

from smime_agent.trust.candidates import Pool, Search, by_name
from smime_agent.trust.evidence import Evidence, GivenEvidence, RevocationMode
from smime_agent.trust.library import PolicyInputs
from smime_agent.trust.requirements import Purpose, of_leaf, of_path
from smime_agent.trust.signatures import GARBAGE, issued, parsed
from smime_agent.verdict import Code, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from smime_agent.trust.anchors import Anchor
    from smime_agent.trust.candidates import Candidate
    from smime_agent.trust.evidence import RevocationSource
    from smime_agent.trust.status import Finding
    from smime_agent.x509 import Certificate

__all__ = ["PathResult", "PathValidator", "PolicyInputs", "Purpose", "RevocationStatus", "TrustPolicy"]

MAXIMUM_PATHS = 24  # paths that are judged for one certificate
MAXIMUM_GATHERED = 3  # paths for which revocation data is gathered
MAXIMUM_REMEMBERED = 1024
LONG = 1 << 16  # octets from which a CRL is called long
MAXIMUM_KEPT = 64 << 20  # octets of long CRLs that are kept to be known again
_ANY_POLICY = "any_policy"
_OF_USAGE = frozenset({Code.KEY_USAGE, Code.EXTENDED_KEY_USAGE})
#: What may be wrong with a path that one can still ask about revocation, with what is at hand.
_ASKED_ALL_THE_SAME = _OF_USAGE | {Code.EXPIRED, Code.NOT_YET_VALID, Code.ISSUER_EXPIRED}


class RevocationStatus(StrEnum):
    """What is known about revocation, of all certificates below the anchor together."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"
    NOT_CHECKED = "not-checked"


@dataclass(frozen=True, slots=True)
class PathResult:
    """What came out. No reasons: the certificate is trusted.

    ``chain`` is the best path there was, leaf first and anchor last, also when it is not valid. Where no anchor was
    reached, it ends with the last certificate that was found. ``policies`` hold for the whole path; those of a
    certificate that is an anchor itself are its own.
    """

    chain: tuple[Certificate, ...]
    reasons: tuple[Reason, ...] = ()
    notes: tuple[Reason, ...] = ()
    revocation: RevocationStatus = RevocationStatus.NOT_CHECKED
    anchor: Anchor | None = None
    policies: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """Whom to believe, when, and how much to ask.

    ``in_retrospect``: ``at`` is another time than now, and a later revocation does not count.
    ``weak_digests`` lets MD5, SHA-1, DSA and short keys pass in certificates and revocation data: for archives.
    """

    anchors: tuple[Anchor, ...]
    at: datetime
    revocation: RevocationMode = RevocationMode.PREFER
    weak_digests: bool = False
    in_retrospect: bool = False
    policies: PolicyInputs = field(default_factory=PolicyInputs)


class PathValidator:
    """Validates the certificates of signers and recipients under one policy, and remembers what came out."""

    def __init__(self, policy: TrustPolicy, source: RevocationSource | None = None, crls: Sequence[bytes] = ()) -> None:
        """``source`` gathers revocation data beside what a message brings; ``crls`` are given by a person, in DER."""
        self.policy = policy
        self._source = source
        self._crls = tuple(crls)
        self._anchors: dict[object, list[Anchor]] | None = None
        self._remembered: OrderedDict[object, PathResult] = OrderedDict()
        self._fingerprints = _Fingerprints()
        self._last_pool: tuple[bytes, Pool] | None = None

    def validate(
        self,
        leaf: Certificate,
        pool: Iterable[bytes],
        purpose: Purpose = Purpose.SIGN,
        crls: Sequence[bytes] = (),
    ) -> PathResult:
        """Find and judge a path for ``leaf``.

        ``pool`` are certificates in DER that nobody vouches for, as they come in a message; ``crls`` CRLs in DER that
        came with them. Both may be garbage.
        """
        pool = tuple(pool)
        fingerprint = self._fingerprints.of(pool)
        key = (leaf.encoded, purpose, fingerprint, self._fingerprints.of(crls))
        result = self._remembered.get(key)
        if result is None:
            result = self._validate(leaf, self._pool(fingerprint, pool), purpose, tuple(crls))
            self._remembered[key] = result
            if len(self._remembered) > MAXIMUM_REMEMBERED:
                self._remembered.popitem(last=False)
        return result

    def _pool(self, fingerprint: bytes, encoded: tuple[bytes, ...]) -> Pool:
        """The certificates of a message, which are looked through once for all that may have signed it."""
        if self._last_pool is None or self._last_pool[0] != fingerprint:
            self._last_pool = fingerprint, Pool(encoded)
        return self._last_pool[1]

    def _validate(self, leaf: Certificate, pool: Pool, purpose: Purpose, crls: tuple[bytes, ...]) -> PathResult:
        if self._anchors is None:
            self._anchors = by_name(self.policy.anchors)
        own = tuple(of_leaf(leaf, purpose, self.policy.at))
        best: PathResult | None = None
        gathered = 0
        search = Search(self._anchors, pool, self.policy.at)
        for candidate in islice(search.paths(leaf), MAXIMUM_PATHS):
            result = self._judge(candidate, own)
            if candidate.anchor and {reason.code for reason in result.reasons} <= _ASKED_ALL_THE_SAME:
                if gathered == MAXIMUM_GATHERED:
                    break  # a path that nobody was asked about is none
                result = self._with_revocation(result, pool, crls)
                gathered += 1
            if best is None or _rank(result) < _rank(best):
                best = result
            if not result.reasons or any(reason.code is Code.REVOKED for reason in result.reasons):
                break  # another path cannot help who is revoked
        return best or PathResult((leaf,), own)

    def _judge(self, candidate: Candidate, own: tuple[Reason, ...]) -> PathResult:
        """A path without what is known about revocation."""
        chain, anchor = candidate.chain, candidate.anchor
        leaf = chain[0]
        if anchor is None:
            return PathResult(chain, (_no_anchor(chain), *own))
        reasons = list(own)
        try:
            reasons.extend(of_path(chain, self.policy.at, weak_digests=self.policy.weak_digests))
        except GARBAGE as error:
            reasons.append(_unreadable(leaf, error))
        if not anchor.believes(leaf):
            text = (
                f"what {anchor.certificate.name} issued after {anchor.distrust_after:%Y-%m-%d} is not believed any more"
            )
            reasons.append(Reason(Code.UNKNOWN_ISSUER, text))
        policies = leaf.policies
        if len(chain) > 1 and {reason.code for reason in reasons} <= _OF_USAGE:
            others, policies = self._by_library(chain)
            reasons.extend(others)
        return PathResult(chain, tuple(dict.fromkeys(reasons)), anchor=anchor, policies=policies)

    def _by_library(self, chain: tuple[Certificate, ...]) -> tuple[list[Reason], frozenset[str]]:
        """What pyhanko-certvalidator has against a path in which nothing else is wrong, and the policies that hold.

        It has the last word.
        """
        from pyhanko_certvalidator.errors import PathValidationError

        from smime_agent.trust import library

        try:
            valid = library.validate(chain, self.policy.at, self.policy.policies)
        except PathValidationError as error:
            if self.policy.policies.require_explicit or _speaks_of_policies(chain):
                text = f"no certificate policy holds for the whole path of {chain[0].name}"
                return [Reason(Code.CERTIFICATE_POLICY, text)], frozenset()
            return [Reason(Code.PATH_INVALID, f"the path of {chain[0].name} is not valid ({error})")], frozenset()
        except Exception as error:  # noqa: BLE001 - the library lets anything out on what strangers send
            return [_unreadable(chain[0], error)], frozenset()
        return [], chain[0].policies & valid if valid != {_ANY_POLICY} else chain[0].policies

    def _with_revocation(self, result: PathResult, pool: Pool, crls: tuple[bytes, ...]) -> PathResult:
        """The same path with what is known about revocation.

        A source that has to fetch is asked only where the CRLs that a person gave do not tell, and about a path in
        which nothing else is wrong: a stranger's mail cannot make us call anybody. What a message brings never keeps us
        from asking: it may bring the last CRL from before it was revoked.
        """
        if self.policy.revocation is RevocationMode.OFF:
            note = Reason(Code.REVOCATION_NOT_CHECKED, "revocation was not checked")
            return replace(result, notes=(note,))
        if len(result.chain) == 1:
            text = f"the certificate of {result.chain[0].name} is trusted by itself: revocation was not checked"
            if self.policy.revocation is RevocationMode.REQUIRE:
                return replace(result, reasons=(*result.reasons, Reason(Code.REVOCATION_UNKNOWN, text)))
            return replace(result, notes=(Reason(Code.REVOCATION_NOT_CHECKED, text),))
        evidence = Evidence(self._crls)
        findings = self._looked_up(result, evidence, pool)
        if any(not finding.good and finding.since is None for finding in findings):
            evidence = Evidence((*self._crls, *crls))
            if self._source and (not result.reasons or isinstance(self._source, GivenEvidence)):
                found = self._source.gather(result.chain, self.policy.at)
                evidence = Evidence((*found.crls, *evidence.crls), found.ocsp_responses, found.problems)
            findings = self._looked_up(result, evidence, pool)
        return _concluded(
            result, findings, evidence.problems, required=self.policy.revocation is RevocationMode.REQUIRE
        )

    def _looked_up(self, result: PathResult, evidence: Evidence, pool: Pool) -> list[Finding]:
        from smime_agent.trust.status import look_up

        return look_up(result.chain, evidence, pool, self.policy)


def _concluded(result: PathResult, findings: list[Finding], problems: tuple[str, ...], *, required: bool) -> PathResult:
    """A path with its findings as reasons and notes."""
    leaf = result.chain[0]
    reasons, notes, status = list(result.reasons), list(result.notes), RevocationStatus.GOOD
    for finding in findings:
        name = finding.certificate.name
        if finding.since is not None:
            status = RevocationStatus.REVOKED
            code = Code.REVOKED if finding.certificate == leaf else Code.ISSUER_REVOKED
            text = f"the certificate of {name} was revoked on {finding.since:%Y-%m-%d} ({finding.reason})"
            reasons.append(Reason(code, text))
        elif not finding.good:
            status = RevocationStatus.REVOKED if status is RevocationStatus.REVOKED else RevocationStatus.UNKNOWN
            why = "; ".join(dict.fromkeys((finding.why, *problems)))
            text = f"nobody could say whether the certificate of {name} was revoked: {why}"
            if required:
                reasons.append(Reason(Code.REVOCATION_UNKNOWN, text))
            elif not result.reasons:
                notes.append(Reason(Code.REVOCATION_UNAVAILABLE, text))
    return replace(result, reasons=tuple(reasons), notes=tuple(notes), revocation=status)


def _no_anchor(chain: tuple[Certificate, ...]) -> Reason:
    """Why nobody vouches for the first of ``chain``."""
    leaf, last = chain[0], chain[-1]
    if last.is_self_issued:
        if len(chain) == 1 and issued(leaf, leaf):
            return Reason(Code.SELF_SIGNED, f"the certificate of {leaf.name} is signed by itself")
        return Reason(
            Code.UNKNOWN_ISSUER, f"{last.name}, which the certificate of {leaf.name} leads to, is not trusted"
        )
    return Reason(
        Code.UNKNOWN_ISSUER, f"the certificate of {last.name} was issued by {last.issuer}, which is not known"
    )


def _unreadable(leaf: Certificate, error: Exception) -> Reason:
    text = f"a certificate of the path of {leaf.name} cannot be read ({type(error).__name__})"
    return Reason(Code.CERTIFICATE_UNREADABLE, text)


def _speaks_of_policies(chain: tuple[Certificate, ...]) -> bool:
    """Some CA of the path can make it fail for its certificate policies (RFC 5280, 4.2.1.5 and 4.2.1.11)."""
    own = (parsed(certificate.encoded) for certificate in chain[:-1])
    return any(one.policy_constraints_value or one.policy_mappings_value for one in own)


def _rank(result: PathResult) -> tuple[bool, int]:
    """How bad a path is. That the certificate was revoked is what a person must hear; else fewer reasons are better."""
    revoked = any(reason.code is Code.REVOKED for reason in result.reasons)
    return bool(result.reasons) and not revoked, len(result.reasons)


class _Fingerprints:
    """What tells apart what messages brought. A long CRL that comes again, as the same object, is read once."""

    def __init__(self) -> None:
        self._long: OrderedDict[int, tuple[bytes, bytes]] = OrderedDict()
        self._kept = 0

    def of(self, encoded: Iterable[bytes]) -> bytes:
        """The fingerprint of these in this order."""
        digest = hashlib.sha256()
        for one in encoded:
            digest.update(len(one).to_bytes(8, "big"))
            digest.update(one if len(one) < LONG else self._of_long(one))
        return digest.digest()

    def _of_long(self, encoded: bytes) -> bytes:
        known = self._long.get(id(encoded))
        if known and known[0] is encoded:
            return known[1]
        digest = hashlib.sha256(encoded).digest()
        self._long[id(encoded)] = encoded, digest
        self._kept += len(encoded)
        while self._kept > MAXIMUM_KEPT:
            _, (oldest, _) = self._long.popitem(last=False)
            self._kept -= len(oldest)
        return digest
