"""What the signed attributes say, and whether they may say so (RFC 5652, 5.3 and 11)."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from smime_agent import der
from smime_agent.cms import oids
from smime_agent.cms.ber import malformed, object_identifier
from smime_agent.cms.certificate_reference import check_certificate_reference
from smime_agent.cms.content_info import OBJECT_IDENTIFIER
from smime_agent.cms.normal import value, values
from smime_agent.cms.signature_algorithm import signature_algorithm
from smime_agent.cms.signer_info import algorithm_of
from smime_agent.verdict import Code, UntrustworthyError

if TYPE_CHECKING:
    from smime_agent.cms.signed_data import SignedData
    from smime_agent.cms.signer_info import AlgorithmIdentifier, SignerInfo
    from smime_agent.x509 import Certificate

#: Attributes that must not stand twice, nor with two values, by what people call them: RFC 5652, 11.1 to 11.3;
#: RFC 6211, 2; RFC 5035, 3 and RFC 2634, 5.4; RFC 2634, 2.2 to 2.9, 3.2, 4.2; RFC 8551, 2.5.2 and 2.5.3; RFC 6019, 3.
_SINGLE: Final = {
    oids.CONTENT_TYPE: "contentType",
    oids.MESSAGE_DIGEST: "messageDigest",
    oids.SIGNING_TIME: "signingTime",
    oids.CMS_ALGORITHM_PROTECTION: "CMSAlgorithmProtection",
    oids.SIGNING_CERTIFICATE: "signingCertificate",
    oids.SIGNING_CERTIFICATE_V2: "signingCertificateV2",
    oids.SMIME_CAPABILITIES: "SMIMECapabilities",
    oids.ENCRYPTION_KEY_PREFERENCE: "SMIMEEncryptionKeyPreference",
    oids.RECEIPT_REQUEST: "receiptRequest",
    oids.SECURITY_LABEL: "eSSSecurityLabel",
    oids.ML_EXPANSION_HISTORY: "mlExpansionHistory",
    oids.CONTENT_HINT: "contentHint",
    oids.MESSAGE_SIGNATURE_DIGEST: "msgSigDigest",
    oids.CONTENT_IDENTIFIER: "contentIdentifier",
    oids.EQUIVALENT_LABELS: "equivalentLabels",
    oids.CONTENT_REFERENCE: "contentReference",
    oids.BINARY_SIGNING_TIME: "binarySigningTime",
}
_KNOWN: Final = frozenset(
    {
        *_SINGLE, oids.COUNTERSIGNATURE, oids.MICROSOFT_KEY_PREFERENCE, oids.TIME_STAMP_TOKEN, oids.SIGNATURE_POLICY,
        oids.COMMITMENT_TYPE, oids.SIGNER_LOCATION, oids.SIGNER_ATTRIBUTES,
    }
)  # fmt: skip
_TIME: Final = re.compile(rb"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z")
_SIGNATURE_ALGORITHM: Final = 0xA1


@dataclass(frozen=True, slots=True)
class Claims:
    """What signed attributes say of a signature; ``message_digest`` is none where there are no signed attributes.

    ``capabilities`` and ``key_preference`` are for answers, encoded as they were signed, and not looked into.
    """

    message_digest: bytes | None = None
    signing_time: datetime | None = None
    capabilities: bytes | None = None
    key_preference: bytes | None = None
    receipt_request: bool = False
    unknown: tuple[str, ...] = ()
    countersignatures: int = 0


def check_claims(signed_data: SignedData, signer: SignerInfo, certificate: Certificate) -> Claims:
    """What the attributes of a signer say, once all of them that RFCs restrict are as they have to be.

    Raises:
        UntrustworthyError: one is missing, stands twice, is damaged, or says something else than the rest.
    """
    countersignatures = sum(len(one.values) for one in signer.unsigned_attributes if one.oid == oids.COUNTERSIGNATURE)
    unsigned = dict.fromkeys(one.oid for one in signer.unsigned_attributes if one.oid not in _KNOWN)
    if signer.signed_attributes is None:
        if signed_data.content_type != oids.ID_DATA:  # RFC 5652, 5.3
            text = f"a content of the type {signed_data.content_type} has to be signed with attributes"
            raise UntrustworthyError(Code.MISSING_ATTRIBUTE, text)
        return Claims(unknown=tuple(unsigned), countersignatures=countersignatures)
    single = _single_values(signer)
    _check_content_type(_required(single, oids.CONTENT_TYPE), signed_data.content_type)
    digest = value(_required(single, oids.MESSAGE_DIGEST), der.OCTET_STRING)
    if (protection := single.get(oids.CMS_ALGORITHM_PROTECTION)) is not None:
        _check_protection(protection, signer)
    for oid in (oids.SIGNING_CERTIFICATE, oids.SIGNING_CERTIFICATE_V2):
        if (reference := single.get(oid)) is not None:
            check_certificate_reference(reference, certificate, has_hash=oid == oids.SIGNING_CERTIFICATE_V2)
    time = single.get(oids.SIGNING_TIME)
    unknown = dict.fromkeys(one.oid for one in signer.signed_attributes if one.oid not in _KNOWN)
    return Claims(
        message_digest=digest,
        signing_time=signing_time(time) if time is not None else None,
        capabilities=single.get(oids.SMIME_CAPABILITIES),
        key_preference=single.get(oids.ENCRYPTION_KEY_PREFERENCE) or _microsoft_key_preference(signer),
        receipt_request=oids.RECEIPT_REQUEST in single,
        unknown=tuple(unknown | unsigned),
        countersignatures=countersignatures,
    )


def _single_values(signer: SignerInfo) -> dict[str, bytes]:
    """The value of each attribute that must have exactly one."""
    found: dict[str, bytes] = {}
    for attribute in signer.signed_attributes or ():
        name = _SINGLE.get(attribute.oid)
        if name is None:
            continue
        if attribute.oid in found or len(attribute.values) > 1:
            raise UntrustworthyError(Code.DUPLICATE_ATTRIBUTE, f"the attribute {name} is signed twice")
        if not attribute.values:
            raise UntrustworthyError(Code.MISSING_ATTRIBUTE, f"the attribute {name} has no value")
        found[attribute.oid] = attribute.values[0]
    return found


def _microsoft_key_preference(signer: SignerInfo) -> bytes | None:
    """The key preference from before there was a standard, if it stands once; Outlook signs both."""
    found = [one for one in signer.signed_attributes or () if one.oid == oids.MICROSOFT_KEY_PREFERENCE]
    return found[0].values[0] if len(found) == 1 and len(found[0].values) == 1 else None


def _required(single: dict[str, bytes], oid: str) -> bytes:
    if oid not in single:
        raise UntrustworthyError(Code.MISSING_ATTRIBUTE, f"the attribute {_SINGLE[oid]} is missing")
    return single[oid]


def _check_content_type(attribute: bytes, content_type: str) -> None:
    """RFC 5652, 11.1."""
    signed = object_identifier(value(attribute, OBJECT_IDENTIFIER))
    if signed != content_type:
        text = f"the content says it is {content_type}, and the signer signed that it is {signed}"
        raise UntrustworthyError(Code.CONTENT_TYPE_MISMATCH, text)


def signing_time(encoded: bytes) -> datetime:
    """A signingTime, in seconds and in UTC (RFC 5652, 11.3). GeneralizedTime before 2050 is read too."""
    found = values(encoded)
    tag, digits = found[0].tag, found[0].contents
    if tag == der.UTC_TIME:
        digits = (b"20" if digits < b"50" else b"19") + digits
    elif tag != der.GENERALIZED_TIME:
        digits = b""
    if len(found) == 1 and (match := _TIME.fullmatch(digits)) is not None:
        with suppress(ValueError):  # the 30th of February
            year, month, day, hour, minute, second = map(int, match.groups())
            return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    return malformed("a signingTime that is no time")


def _check_protection(encoded: bytes, signer: SignerInfo) -> None:
    """CMSAlgorithmProtection (RFC 6211, 3.1)."""
    parts = values(value(encoded, der.SEQUENCE))
    if [part.tag for part in parts] != [der.SEQUENCE, _SIGNATURE_ALGORITHM]:
        malformed("a CMSAlgorithmProtection that is none")
    digest = algorithm_of(parts[0].encoded)
    signature = algorithm_of(bytes((der.SEQUENCE,)) + parts[1].encoded[1:])
    if not (_same(digest, signer.digest_algorithm) and _same(signature, signer.signature_algorithm)):
        text = "the signer signed with other algorithms than the signature says"
        raise UntrustworthyError(Code.ALGORITHM_MISMATCH, text)


def _same(one: AlgorithmIdentifier, other: AlgorithmIdentifier) -> bool:
    """RFC 6211, 3: NULL and nothing are the same, and so are a default and nothing."""
    if one.oid != other.oid:
        return False
    if one.effective_parameters == other.effective_parameters:
        return True
    try:
        return signature_algorithm(one) == signature_algorithm(other)
    except UntrustworthyError:
        return False
