"""CRLs: are they what was asked for, of when, and did the issuer sign them (RFC 5280, 5)."""

from __future__ import annotations

import binascii
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Final

from smime_agent.der import GENERALIZED_TIME, INTEGER, SEQUENCE, UTC_TIME
from smime_agent.retrieval.answers import GARBAGE, Answer, Question, UnavailableError, refusals
from smime_agent.trust.octets import element, elements, name_key, whole

if TYPE_CHECKING:
    from datetime import timedelta

    from cryptography.x509 import CertificateRevocationList

    from smime_agent.retrieval.limits import Limits
    from smime_agent.retrieval.pointers import DistributionPoint
    from smime_agent.trust.octets import Element

_BEGIN: Final = b"-----BEGIN X509 CRL-----"
_END: Final = b"-----END X509 CRL-----"
_TIMES: Final = {UTC_TIME, GENERALIZED_TIME}


@dataclass(frozen=True, slots=True)
class CrlQuestion(Question):
    """The CRL of a distribution point, at one of its URLs; ``is_delta`` if it is to be a delta CRL."""

    point: DistributionPoint
    is_delta: bool = False

    kind = "crl"

    @property
    def body(self) -> bytes:
        """Nothing: a CRL is the same for everybody."""
        return b""

    def bounds(self, limits: Limits) -> tuple[int, timedelta]:
        """As much as the largest CRLs have."""
        return limits.crl_octets, limits.crl_age

    def judge(self, octets: bytes, now: datetime) -> Answer:  # noqa: ARG002 - an OCSP response needs it
        """The CRL, every entry of it read, in DER also where the server sent PEM."""
        answer = self.recall(_without_armor(octets))
        return Answer(answer.octets, answer.this_update, answer.next_update, self._doubt(answer.octets))

    def recall(self, octets: bytes) -> Answer:
        """The CRL, of which only the head is read."""
        try:
            issuer, this_update, next_update = read_head(octets)
        except GARBAGE as error:
            msg = f"{self.host} sent something that is no CRL"
            raise UnavailableError(msg) from error
        if name_key(issuer) != name_key(self.point.issuer):
            msg = f"{self.host} sent the CRL of another issuer"
            raise UnavailableError(msg)
        return Answer(octets, this_update, next_update)

    def _doubt(self, octets: bytes) -> str | None:
        """Why the CRL does not settle the question, though it is of the right issuer."""
        from cryptography.x509 import load_der_x509_certificate, load_der_x509_crl

        try:
            crl = load_der_x509_crl(octets)
        except refusals() as error:
            msg = f"{self.host} sent a CRL that cannot be read"
            raise UnavailableError(msg) from error
        with suppress(*refusals()):
            key = load_der_x509_certificate(self.issuer.encoded).public_key()
            is_the_issuers = name_key(self.point.issuer) == name_key(self.issuer.subject_encoded)
            if is_the_issuers and crl.is_signature_valid(key):  # type: ignore[arg-type]  # another key raises
                return None if self._is_about(crl) else f"the CRL of {self.host} is about something else"
        return f"the CRL of {self.host} is not signed with the issuer's key"

    def _is_about(self, crl: CertificateRevocationList) -> bool:
        """The CRL is the one of this place (RFC 5280, 6.3.3 (b)), and not another one that the issuer signed too.

        Somebody on the way could send that in its stead, and it would be kept to its nextUpdate.
        """
        from cryptography import x509

        extensions = {extension.oid: extension.value for extension in crl.extensions}
        if (x509.DeltaCRLIndicator.oid in extensions) is not self.is_delta:
            return False
        scope = extensions.get(x509.IssuingDistributionPoint.oid)
        if not isinstance(scope, x509.IssuingDistributionPoint):
            return True
        names = {name.value for name in scope.full_name or () if isinstance(name, x509.UniformResourceIdentifier)}
        is_other_kind = scope.only_contains_user_certs if self.certificate.is_ca else scope.only_contains_ca_certs
        is_here = not names or not names.isdisjoint(self.point.names)
        return is_here and not is_other_kind and not scope.only_contains_attribute_certs


def read_head(octets: bytes) -> tuple[bytes, datetime, datetime | None]:
    """The issuer's name in DER, thisUpdate and nextUpdate of a DER CRL of any size, without a look at its entries.

    Raises:
        ValueError: it is none.
    """
    outer = whole(octets)
    tbs = element(octets, outer.contents, outer.end)
    head = list(islice(elements(octets, tbs.contents, tbs.end), 5))
    if head and head[0].tag == INTEGER:  # the version, absent in the first
        del head[0]
    if len(head) < 3 or tbs.tag != SEQUENCE or head[1].tag != SEQUENCE:  # noqa: PLR2004 - signature, issuer, thisUpdate
        raise ValueError("no TBSCertList")
    issuer, this_update, *rest = head[1:]
    is_dated = bool(rest) and rest[0].tag in _TIMES
    next_update = _time(octets, rest[0]) if is_dated else None
    return octets[issuer.start : issuer.end], _time(octets, this_update), next_update


def _time(octets: bytes, found: Element) -> datetime:
    """A Time, in Zulu and with seconds (RFC 5280, 4.1.2.5)."""
    text = octets[found.contents : found.end].decode("ascii")
    if found.tag == UTC_TIME:
        text = ("19" if text[:2] >= "50" else "20") + text
    if found.tag not in _TIMES or not (text[:-1].isdecimal() and len(text) == len("20260101000000Z")):
        raise ValueError("no time")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _without_armor(octets: bytes) -> bytes:
    """The DER of a CRL that came in PEM, as some servers send it; anything else as it is."""
    begin = octets.find(_BEGIN, 0, 1 << 16)
    end = octets.find(_END, begin)
    if octets[:1] == bytes((SEQUENCE,)) or begin < 0 or end < 0:
        return octets
    try:
        return binascii.a2b_base64(octets[begin + len(_BEGIN) : end])
    except ValueError:
        return octets
