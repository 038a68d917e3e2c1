"""Whether the certificates of a path were revoked, as far as the CRLs and OCSP responses at hand can tell.

What a stranger sends is sorted first. A CRL counts when its issuer is the issuer of a certificate of the path, or named
in its distribution points (RFC 5280, 6.3.3 (b)), and when a key of the path, or a CRL issuer's beside it, signed it. An
OCSP response counts when its CertID is that of a certificate of the path; of the certificates that travel with it, only
those are kept that a CA of the path signed. What is left is judged by pyhanko-certvalidator.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any

from smime_agent import der
from smime_agent.trust import library
from smime_agent.trust.lists import issuer_of, shortened
from smime_agent.trust.octets import element, elements, name_key, whole
from smime_agent.trust.signatures import GARBAGE, SignatureChecker, issued, parsed, unread
from smime_agent.x509 import Certificate, InvalidCertificateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from smime_agent.trust.candidates import Pool
    from smime_agent.trust.evidence import Evidence
    from smime_agent.trust.path import TrustPolicy

MAXIMUM_LISTS = 200
MAXIMUM_POINTS = 50  # distribution points of a certificate, and CRL issuers of each
MAXIMUM_RESPONSES = 100
MAXIMUM_RESPONSE_SIZE = 1 << 20
MAXIMUM_RESPONDERS = 8  # certificates in one response
MAXIMUM_SINGLE_RESPONSES = 1000
_IDENTIFIER_DIGESTS = ("sha1", "sha256")  # no others are in use, and the library knows no others
_BASIC, _SUCCESSFUL = "1.3.6.1.5.5.7.48.1.1", b"\x0a\x01\x00"
#: Reasons after which nothing that the key ever did is to be believed, whatever the date says (RFC 5280, 5.3.1).
_COMPROMISED = frozenset({"key_compromise", "ca_compromise", "aa_compromise"})
_TAKEN_BACK = frozenset({"certificate_hold", "remove_from_crl"})


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of one certificate: revoked since ``since``, or known not to be, or (``why``) unknown."""

    certificate: Certificate
    good: bool = False
    since: datetime | None = None
    reason: str = ""
    why: str = ""


class _Matter:
    """The evidence as far as it concerns one path, sorted and checked for who signed it."""

    def __init__(self, chain: Sequence[Certificate], policy: TrustPolicy) -> None:
        self.chain = chain
        self.policy = policy
        self.checker = SignatureChecker(weak_digests=policy.weak_digests)
        for issuer, certificate in pairwise(reversed(chain)):
            self.checker.inherits(parsed(certificate.encoded).public_key, parsed(issuer.encoded).public_key)
        #: Certificates of CRL issuers and responders beside the path, each signed by a CA of the path.
        self.others: dict[bytes, Certificate] = {}
        #: CRLs as asn1crypto has them, by their issuer.
        self.lists: list[tuple[object, Any]] = []
        self._taken: list[tuple[bytes, object, list[Certificate]]] = []
        #: OCSP responses as asn1crypto has them, each with the number of a SingleResponse, and whom that is about.
        self.responses: list[tuple[Any, int, tuple[object, ...]]] = []

    def vouches_for(self, certificate: Certificate) -> bool:
        """``certificate`` is one of the path, or a CA of the path signed it. It is kept then."""
        if certificate in self.chain:
            return True
        signed = any(
            name_key(ca.subject_encoded) == name_key(certificate.issuer_encoded) and issued(certificate, ca)
            for ca in self.chain[1:]
        )
        if signed:
            self.others[certificate.encoded] = certificate
        return signed

    def take_response(self, encoded: bytes) -> None:
        """Keep an OCSP response, with the certificates in it that can be vouched for."""
        from asn1crypto import ocsp

        head, certificates = _opened(encoded)
        kept = [one for one in certificates if (read := _read(one)) and self.vouches_for(read)]
        basic = der.sequence(head, der.context(0, der.sequence(*kept)) if kept else b"")
        bytes_ = der.sequence(der.object_identifier(_BASIC), der.octet_string(basic))
        response = ocsp.OCSPResponse.load(der.sequence(_SUCCESSFUL, der.context(0, bytes_)), strict=True)
        self.responses.extend((response, number, about) for number, about in _subjects(response))

    def take_list(self, encoded: bytes, pool: Pool) -> None:
        """Keep a CRL, if there is somebody who can be vouched for and may have signed it."""
        name = issuer_of(encoded)
        key = name_key(name)
        signers = [ca for ca in self.chain[1:] if name_key(ca.subject_encoded) == key]
        signers += [other for other in pool.named(name) if other != self.chain[0] and self.vouches_for(other)]
        if signers:
            self._taken.append((encoded, key, signers))

    def read_lists(self) -> None:
        """Read the CRLs that were taken, as far as they are about anybody who is known by now, and signed."""
        from asn1crypto import crl

        asked = [*self.chain[:-1], *self.others.values()]
        numbers = {parsed(one.encoded)["tbs_certificate"]["serial_number"].dump() for one in asked}
        for encoded, key, signers in self._taken:
            with suppress(*GARBAGE):
                short = shortened(encoded, numbers)
                self.checker.stands_for(short.to_be_signed, short.signed)
                one = crl.CertificateList.load(short.encoded, strict=True)
                if any(self._is_signed(one, signer) for signer in signers):
                    self.lists.append((key, one))

    def _is_signed(self, certificate_list: Any, signer: Certificate) -> bool:  # noqa: ANN401 - asn1crypto has no types
        from cryptography.exceptions import InvalidSignature

        try:
            self.checker.validate_signature(
                certificate_list["signature"].native,
                certificate_list["tbs_cert_list"].dump(),
                parsed(signer.encoded).public_key,
                certificate_list["signature_algorithm"],
            )
        except InvalidSignature:
            return False
        return True

    def list_issuers(self, certificate: Certificate) -> set[object]:
        """By whom CRLs about ``certificate`` may be: its issuer, and whom its distribution points name."""
        found: set[object] = {name_key(certificate.issuer_encoded)}
        with suppress(*GARBAGE):
            for point in islice(parsed(certificate.encoded).crl_distribution_points_value or (), MAXIMUM_POINTS):
                for name in islice(point["crl_issuer"] or (), MAXIMUM_POINTS):
                    if name.name == "directory_name":
                        found.add(name_key(name.chosen.untag().dump()))
        return found


def look_up(chain: Sequence[Certificate], evidence: Evidence, pool: Pool, policy: TrustPolicy) -> list[Finding]:
    """What is known of each certificate but the anchor's, from the top down; nothing below one that is revoked."""
    matter = _Matter(chain, policy)
    for encoded in islice(evidence.ocsp_responses, MAXIMUM_RESPONSES):
        with suppress(*GARBAGE):
            matter.take_response(encoded)
    _take_lists(matter, evidence.crls, pool)
    others = tuple(unread(encoded) for encoded in matter.others)
    data = library.RevocationData(library.path_of(chain), others, matter.checker, policy.at, policy.weak_digests)
    findings: list[Finding] = []
    for place in range(1, len(chain)):
        findings.append(_about(matter, data, place))
        if findings[-1].since is not None:
            break
    return findings


def _take_lists(matter: _Matter, crls: Sequence[bytes], pool: Pool) -> None:
    """Keep the CRLs about the certificates of the path, then those about who signed these."""
    waiting: dict[bytes, object] = {}
    for encoded in islice(crls, MAXIMUM_LISTS):
        with suppress(ValueError):
            waiting[encoded] = name_key(issuer_of(encoded))
    for _ in range(3):  # the path; its CRL issuers and responders; theirs
        asked = [*matter.chain[:-1], *matter.others.values()]
        wanted = set().union(*(matter.list_issuers(one) for one in asked))
        for encoded in [encoded for encoded, key in waiting.items() if key in wanted]:
            del waiting[encoded]
            matter.take_list(encoded, pool)
    matter.read_lists()


def _about(matter: _Matter, data: library.RevocationData, place: int) -> Finding:
    """One certificate, by its place below the anchor. Who says that it is revoked is believed before who says no."""
    certificate, issuer = matter.chain[-1 - place], matter.chain[-place]
    subjects = [_certificate_identifier(certificate, issuer, digest) for digest in _IDENTIFIER_DIGESTS]
    responses = [(response, number) for response, number, subject in matter.responses if subject in subjects]
    names = matter.list_issuers(certificate)
    lists = [one for key, one in matter.lists if key in names]
    for other in matter.others.values():
        if name_key(other.subject_encoded) in names:
            names |= matter.list_issuers(other)
    all_lists = [one for key, one in matter.lists if key in names]
    answers: list[Finding] = []
    if responses:
        ask = partial(library.ask_responses, data, place, responses, all_lists)
        answers.append(_answer(certificate, matter.policy, ask))
    if lists:
        answers.append(_answer(certificate, matter.policy, partial(library.ask_crls, data, place, all_lists)))
    if not any(answer.since is not None for answer in answers):
        answers.extend(_listed(certificate, lists, matter.policy))
    revoked = [answer for answer in answers if answer.since is not None]
    good = [answer for answer in answers if answer.good]
    return next(iter(revoked + good + answers), Finding(certificate, why="no CRL or OCSP response is about it"))


def _listed(certificate: Certificate, lists: Sequence[Any], policy: TrustPolicy) -> Iterator[Finding]:
    """Whether its issuer ever listed it as revoked: a CRL that is out of date is right in that (RFC 5280, 3.3).

    Only what cannot be taken back, and only of CRLs that are about certificates of their own issuer.
    """
    for one in lists:
        with suppress(*GARBAGE):
            scope = one.issuing_distribution_point_value
            indirect = scope is not None and scope["indirect_crl"].native
            if indirect or name_key(one.issuer.dump()) != name_key(certificate.issuer_encoded):
                continue
            for entry in one["tbs_cert_list"]["revoked_certificates"] or ():
                if entry["user_certificate"].native != certificate.serial_number:
                    continue
                reason = _reason_of(entry)
                since = entry["revocation_date"].native
                if reason not in _TAKEN_BACK and (not policy.in_retrospect or since <= policy.at):
                    yield Finding(certificate, since=since, reason=reason.replace("_", " "))


def _reason_of(entry: Any) -> str:  # noqa: ANN401 - asn1crypto has no types
    """The reason of an entry by its name; one that is not known counts like the others (RFC 5280, 5.3)."""
    try:
        value = entry.crl_reason_value
        return "unspecified" if value is None else str(value.native)
    except GARBAGE:
        return "unspecified"


def _answer(certificate: Certificate, policy: TrustPolicy, ask: Callable[..., None]) -> Finding:
    """What the library says, in our terms."""
    from pyhanko_certvalidator.errors import RevokedError

    later = False
    for dated in (False, True):
        try:
            ask(dated=dated)
        except RevokedError as error:
            reason = str(error.reason.native)
            if not policy.in_retrospect or error.revocation_dt <= policy.at or reason in _COMPROMISED:
                return Finding(certificate, since=error.revocation_dt, reason=reason.replace("_", " "))
            later = True  # and something earlier may be among the rest, which is asked next
        except Exception as error:  # noqa: BLE001 - the library lets anything out on what strangers send
            return Finding(certificate, good=later, why=_why(error))
        else:
            return Finding(certificate, good=True)
    return Finding(certificate, good=True)


def _why(error: Exception) -> str:
    """Why nobody knows, in a few words."""
    failures = [str(failure[0]) for failure in getattr(error, "failures", ()) if isinstance(failure, tuple)]
    if not failures:
        return "what is at hand does not tell"
    return "; ".join(dict.fromkeys(failures)).rstrip(".")


def _opened(encoded: bytes) -> tuple[bytes, list[bytes]]:
    """What is signed of an OCSP response, with its signature; and the certificates beside it (RFC 6960, 4.2.1).

    Raises:
        ValueError: it is no successful basic response, or too long.
    """
    if len(encoded) > MAXIMUM_RESPONSE_SIZE:
        raise ValueError("an OCSP response of more than 1 MiB")
    outer = whole(encoded)
    status, tagged = elements(encoded, outer.contents, outer.end)
    if encoded[status.start : status.end] != _SUCCESSFUL:
        raise ValueError("the responder has no answer")
    kind, octets = elements(encoded, *element(encoded, tagged.contents, tagged.end)[2:])
    if encoded[kind.start : kind.end] != der.object_identifier(_BASIC):
        raise ValueError("not a basic response")
    basic = element(encoded, octets.contents, octets.end)
    data, algorithm, signature, *rest = elements(encoded, basic.contents, basic.end)
    del algorithm
    certificates: list[bytes] = []
    if rest:
        inside = element(encoded, rest[0].contents, rest[0].end)
        found = islice(elements(encoded, inside.contents, inside.end), MAXIMUM_RESPONDERS)
        certificates = [encoded[one.start : one.end] for one in found]
    return encoded[data.start : signature.end], certificates


def _read(encoded: bytes) -> Certificate | None:
    try:
        return Certificate(encoded)
    except InvalidCertificateError:
        return None


def _subjects(response: Any) -> Iterator[tuple[int, tuple[object, ...]]]:  # noqa: ANN401 - asn1crypto has no types
    """The number of each SingleResponse and its CertID: digest, serial number, digests of the issuer's name and key."""
    singles = response["response_bytes"]["response"].parsed["tbs_response_data"]["responses"]
    for number, single in enumerate(islice(singles, MAXIMUM_SINGLE_RESPONSES)):
        found = single["cert_id"]
        fields = ("serial_number", "issuer_name_hash", "issuer_key_hash")
        yield number, (found["hash_algorithm"]["algorithm"].native, *(found[name].native for name in fields))


def _certificate_identifier(certificate: Certificate, issuer: Certificate, digest: str) -> tuple[object, ...]:
    """The same, as it should be for a certificate (RFC 6960, 4.1.1)."""
    key = bytes(parsed(issuer.encoded).public_key["public_key"])
    name_digest = hashlib.new(digest, certificate.issuer_encoded, usedforsecurity=False).digest()
    key_digest = hashlib.new(digest, key, usedforsecurity=False).digest()
    return (digest, certificate.serial_number, name_digest, key_digest)
