"""Certificates as values: a typed, read-only view of what others issued.

asn1crypto reads them; nothing of it leaves this module. Only the questions that our roads ask are answered here, and no
answer says that a certificate can be trusted.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode
from datetime import datetime
from enum import Enum
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Final

from asn1crypto import core, keys
from asn1crypto import x509 as asn1

from smime_agent.algorithms import Curve, Digest, KeyAlgorithm, KeyKind
from smime_agent.asn1 import mend_asn1crypto
from smime_agent.errors import UsageError
from smime_agent.mailbox import is_mailbox, same_mailbox_key
from smime_agent.pem import armor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: What asn1crypto raises on garbage, as measured; none of it may reach a caller.
_GARBAGE = (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, RecursionError)
_SMTP_UTF8_MAILBOX = "1.3.6.1.5.5.7.8.9"  # RFC 9598, 3
_SHORT_NAMES = {  # RFC 4514, 3, and the names that OpenSSL made usual
    "common_name": "CN",
    "locality_name": "L",
    "state_or_province_name": "ST",
    "organization_name": "O",
    "organizational_unit_name": "OU",
    "country_name": "C",
    "street_address": "STREET",
    "domain_component": "DC",
    "user_id": "UID",
    "email_address": "emailAddress",
    "surname": "SN",
    "given_name": "GN",
    "serial_number": "serialNumber",
    "organization_identifier": "organizationIdentifier",
}
_EXTENSIONS: Final = (
    "subject_alt_name",
    "key_identifier",
    "authority_key_identifier",
    "key_usage",
    "extended_key_usage",
    "certificate_policies",
    "basic_constraints",
)
_LARGEST_CERTIFICATE: Final = 65_536  # octets
_LARGEST_SERIAL_NUMBER: Final = 1 << 512  # RFC 5280, 4.1.2.2, wants 20 octets, and Python prints no giants
_LARGEST_NAME: Final = 4_096  # octets; asn1crypto takes milliseconds for so many
_LARGEST_KEPT: Final = 65_536
#: CA/Browser Forum, S/MIME Baseline Requirements, 7.1.6.1.
_VALIDATION_POLICY: Final = re.compile(r"2\.23\.140\.1\.5\.([1-4])\.[1-3]")
#: RFC 5639, 4.1; SEC 2. Curves that others use.
_OTHER_CURVES: Final = {
    "1.3.36.3.3.2.8.1.1.7": ("brainpoolP256r1", 256),
    "1.3.36.3.3.2.8.1.1.11": ("brainpoolP384r1", 384),
    "1.3.36.3.3.2.8.1.1.13": ("brainpoolP512r1", 512),
    "1.2.840.10045.3.1.1": ("secp192r1", 192),
    "1.3.132.0.33": ("secp224r1", 224),
    "1.3.132.0.10": ("secp256k1", 256),
}
#: RFC 8410, 3; RFC 9881, 2. Keys without parameters.
_BARE_KEYS: Final = {
    "1.3.101.110": KeyAlgorithm(KeyKind.X25519, 256),
    "1.3.101.112": KeyAlgorithm(KeyKind.ED25519, 256),
    "1.3.101.113": KeyAlgorithm(KeyKind.ED448, 456),
    "2.16.840.1.101.3.4.3.17": KeyAlgorithm(KeyKind.ML_DSA, variant="44"),
    "2.16.840.1.101.3.4.3.18": KeyAlgorithm(KeyKind.ML_DSA, variant="65"),
    "2.16.840.1.101.3.4.3.19": KeyAlgorithm(KeyKind.ML_DSA, variant="87"),
}
_SIGN_ONLY: Final = frozenset((KeyKind.ED25519, KeyKind.ED448, KeyKind.DSA, KeyKind.ML_DSA))
_PEM = re.compile(
    rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----(.*?)-----END (?:X509 |TRUSTED )?CERTIFICATE-----", re.DOTALL
)


__all__ = [
    "Certificate",
    "InvalidCertificateError",
    "Validation",
    "certificate_of",
    "chain_of",
    "load_certificates",
    "same_mailbox_key",
    "same_name",
]


class Validation(Enum):
    """What the CA says that it validated (S/MIME Baseline Requirements, 1.1). The value is its name in JSON."""

    MAILBOX = "mailbox"
    ORGANIZATION = "organization"
    SPONSOR = "sponsor"
    INDIVIDUAL = "individual"
    UNKNOWN = "unknown"

    @classmethod
    def of(cls, policies: Iterable[str]) -> Validation:
        """What was validated, by the policies of the S/MIME Baseline Requirements; unknown if they are not just one."""
        types = {match[1] for match in map(_VALIDATION_POLICY.fullmatch, policies) if match}
        return list(cls)[int(types.pop()) - 1] if len(types) == 1 else cls.UNKNOWN


class InvalidCertificateError(UsageError):
    """The bytes are no X.509 certificate."""


class Certificate:
    """One X.509 certificate, compared and hashed by its encoding."""

    def __init__(self, encoded: bytes) -> None:
        """Read a DER certificate.

        Raises:
            InvalidCertificateError: it is none.
        """
        self.encoded = encoded
        mend_asn1crypto()
        try:
            if len(encoded) > _LARGEST_CERTIFICATE:
                raise ValueError
            self._read(asn1.Certificate.load(encoded, strict=True)["tbs_certificate"])
        except _GARBAGE as error:
            msg = "not an X.509 certificate"
            raise InvalidCertificateError(msg) from error

    def _read(self, tbs: Any) -> None:  # noqa: ANN401 - asn1crypto has no types
        """Read now whatever is asked later, so that garbage is met here and nowhere else."""
        found = {extension["extn_id"].native: extension["extn_value"] for extension in tbs["extensions"]}
        if len(found) != len(tbs["extensions"]):  # RFC 5280, 4.2: readers would differ in which one they take
            raise ValueError
        # Of those that mean nothing to us the value need not be DER.
        extensions = {name: found[name].parsed for name in _EXTENSIONS if name in found}

        def native(name: str) -> Any:  # noqa: ANN401 - the same
            return extensions[name].native if name in extensions else None

        self.serial_number: int = tbs["serial_number"].native
        if abs(self.serial_number) > _LARGEST_SERIAL_NUMBER:
            raise ValueError
        self.issuer_encoded: bytes = tbs["issuer"].dump()
        self.subject_encoded: bytes = tbs["subject"].dump()
        #: The distinguished names, for people.
        self.issuer, self.subject = _name(tbs["issuer"]), _name(tbs["subject"])
        #: The DER SubjectPublicKeyInfo.
        self.public_key_info: bytes = tbs["subject_public_key_info"].dump()
        self.key_algorithm = _key_algorithm(self.public_key_info)
        self.not_before = _time(tbs["validity"]["not_before"])
        self.not_after = _time(tbs["validity"]["not_after"])
        self.mailboxes: tuple[str, ...] = tuple(_mailboxes(extensions.get("subject_alt_name"), tbs["subject"]))
        #: The shortest name a person knows the subject by: its common name, a mailbox, or all of the subject.
        self.name = _common_name(tbs["subject"]) or (self.mailboxes[0] if self.mailboxes else self.subject)
        self.subject_key_identifier: bytes | None = native("key_identifier")
        self.authority_key_identifier: bytes | None = (native("authority_key_identifier") or {}).get("key_identifier")
        #: The bits of keyUsage by their asn1crypto names (``digital_signature``), ``None`` when it is absent.
        self.key_usage: frozenset[str] | None = _set(native("key_usage"))
        #: The purposes of extKeyUsage (``email_protection``, or dotted), ``None`` when it is absent.
        self.extended_key_usage: frozenset[str] | None = _set(native("extended_key_usage"))
        #: The certificatePolicies, dotted.
        self.policies = frozenset(
            policy["policy_identifier"].dotted for policy in extensions.get("certificate_policies") or ()
        )
        #: The basicConstraints extension says that the subject is a CA.
        self.is_ca = bool((native("basic_constraints") or {}).get("ca"))

    def __eq__(self, other: object) -> bool:
        """Two certificates are the same when their encodings are."""
        return isinstance(other, Certificate) and self.encoded == other.encoded

    def __hash__(self) -> int:
        """The hash of the encoding."""
        return hash(self.encoded)

    def __repr__(self) -> str:
        """The subject and the serial number."""
        return f"<Certificate {self.subject!r} serial {self.serial_number:x}>"

    @property
    def holder(self) -> str:
        """Whom the certificate is for: its mailboxes, else its name."""
        return ", ".join(self.mailboxes) or self.name

    @property
    def pem(self) -> bytes:
        """The certificate in PEM."""
        return b"".join(armor([self.encoded], "CERTIFICATE"))

    @cached_property
    def fingerprint(self) -> bytes:
        """The SHA-256 digest of the encoding."""
        return Digest.SHA256.of(self.encoded)

    @cached_property
    def sha1_fingerprint(self) -> bytes:
        """The SHA-1 digest of the encoding: a name, by which GnuPG knows a certificate, and no proof of anything."""
        return hashlib.sha1(self.encoded, usedforsecurity=False).digest()

    @property
    def is_self_issued(self) -> bool:
        """Subject and issuer are one, as in a root."""
        return self.subject_encoded == self.issuer_encoded

    @property
    def is_for_mail(self) -> bool:
        """The extKeyUsage is absent, or holds emailProtection or any (RFC 8550, 4.4.4)."""
        usage = self.extended_key_usage
        return usage is None or bool(usage & {"email_protection", "any_extended_key_usage"})

    @property
    def permits_signing(self) -> bool:
        """The keyUsage is absent, or holds digitalSignature or nonRepudiation (RFC 8550, 4.4.2), and it is for mail."""
        usage = self.key_usage
        return self.is_for_mail and (usage is None or bool(usage & {"digital_signature", "non_repudiation"}))

    @property
    def permits_encryption(self) -> bool:
        """The keyUsage is absent, or holds what the key's kind needs to be encrypted to, and it is for mail."""
        if self.key_algorithm.kind in _SIGN_ONLY or not self.is_for_mail:
            return False
        wanted = "key_encipherment" if self.key_algorithm.kind is KeyKind.RSA else "key_agreement"
        return self.key_usage is None or wanted in self.key_usage

    @property
    def validation(self) -> Validation:
        """What the certificate says of itself that was validated. Only its path tells whether that holds."""
        return Validation.of(self.policies)

    def covers(self, address: str) -> bool:
        """One of the mailboxes is ``address``; letter case of ASCII does not count (RFC 8550, 3)."""
        return is_mailbox(address) and same_mailbox_key(address) in self._mailbox_keys

    @cached_property
    def _mailbox_keys(self) -> frozenset[str]:
        return frozenset(map(same_mailbox_key, self.mailboxes))

    def may_have_issued(self, other: Certificate) -> bool:
        """Names and key identifiers of ``other`` lead here. No signature is checked: this only orders a chain."""
        theirs, ours = other.authority_key_identifier, self.subject_key_identifier
        return self.subject_encoded == other.issuer_encoded and (not theirs or not ours or theirs == ours)


def same_name(one: bytes, other: bytes) -> bool:
    """Whether two DER distinguished names are the same, in whatever string types and letter case (RFC 5280, 7.1)."""
    if one == other:
        return True
    if max(len(one), len(other)) > _LARGEST_NAME:
        return False
    try:
        return bool(asn1.Name.load(one, strict=True) == asn1.Name.load(other, strict=True))
    except _GARBAGE:
        return False


def certificate_of(encoded: bytes) -> Certificate:
    """A certificate, read once for as long as it is among the latest.

    Raises:
        InvalidCertificateError: it is none.
    """
    return _certificate_of(encoded) if len(encoded) <= _LARGEST_KEPT else Certificate(encoded)


_certificate_of = lru_cache(maxsize=512)(Certificate)


def load_certificates(data: bytes) -> list[Certificate]:
    """All certificates of a file: one DER certificate, or any number in PEM with text around them.

    Raises:
        InvalidCertificateError: there is none, or one of them cannot be read.
    """
    if b"-----BEGIN" not in data:
        return [Certificate(data)]
    try:
        blocks = [b64decode(b"".join(match.split()), validate=True) for match in _PEM.findall(data)]
    except ValueError as error:
        msg = "the PEM text of a certificate is damaged"
        raise InvalidCertificateError(msg) from error
    if not blocks:
        msg = "no certificate in this PEM file"
        raise InvalidCertificateError(msg)
    return [Certificate(block) for block in blocks]


def chain_of(leaf: Certificate, pool: list[Certificate]) -> tuple[Certificate, ...]:
    """The CA certificates above ``leaf`` that ``pool`` holds, nearest first, without the root."""
    chain: list[Certificate] = []
    current = leaf
    while not current.is_self_issued:
        above = [c for c in pool if c.is_ca and c.may_have_issued(current) and c not in chain and not c.is_self_issued]
        if not above:
            break
        current = max(above, key=lambda certificate: certificate.not_after)
        chain.append(current)
    return tuple(chain)


def _mailboxes(names: Any, subject: Any) -> Iterator[str]:  # noqa: ANN401 - asn1crypto has no types
    """The mailboxes of the SAN; those of the DN only where there is no SAN (RFC 8550, 3). What is none is left out."""
    if names is None:
        values = (part["value"] for names in subject.chosen for part in names if part["type"].native == "email_address")
        found = [_text(value, "ascii") for value in values]
    else:
        found = [_san_mailbox(general_name) for general_name in names]
    yield from (mailbox for mailbox in found if mailbox is not None and is_mailbox(mailbox))


def _san_mailbox(general_name: Any) -> str | None:  # noqa: ANN401 - the same
    if general_name.name == "rfc822_name":
        return _text(general_name.chosen, "ascii")
    if general_name.name == "other_name" and general_name.chosen["type_id"].dotted == _SMTP_UTF8_MAILBOX:
        value = general_name.chosen["value"].parsed
        return _text(value, "utf-8") if isinstance(value, core.UTF8String) else None
    return None


def _text(value: Any, encoding: str) -> str | None:  # noqa: ANN401 - the same
    """The text of a string as it stands: asn1crypto would read the domain of a mailbox by IDNA 2003."""
    try:
        return str(value.contents, encoding)
    except UnicodeDecodeError:
        return None


def _time(value: Any) -> datetime:  # noqa: ANN401 - the same
    """A Time; what is no date of ours or has no zone is garbage (RFC 5280, 4.1.2.5)."""
    read = value.native
    if not isinstance(read, datetime) or read.tzinfo is None:
        raise ValueError
    return read


def _common_name(name: Any) -> str | None:  # noqa: ANN401 - the same
    values = [part["value"].native for names in name.chosen for part in names if part["type"].native == "common_name"]
    return str(values[-1]) if values else None


def _set(values: Any) -> frozenset[str] | None:  # noqa: ANN401 - the same
    return None if values is None else frozenset(map(str, values))  # a bit without a name is a number there


def _name(name: Any) -> str:  # noqa: ANN401 - asn1crypto has no types
    """A distinguished name as in RFC 4514, the most specific part first."""
    parts = [
        "+".join(
            f"{_SHORT_NAMES.get(part['type'].native, part['type'].native)}={part['value'].native}" for part in names
        )
        for names in name.chosen
    ]
    return ", ".join(reversed(parts)) or "(empty name)"


class _Algorithm(core.Sequence):  # type: ignore[misc]  # asn1crypto has no types
    _fields = [("algorithm", core.ObjectIdentifier), ("parameters", core.Any, {"optional": True})]  # noqa: RUF012 - asn1crypto changes it


class _PublicKeyInfo(core.Sequence):  # type: ignore[misc]  # the same
    """A SubjectPublicKeyInfo of any algorithm: asn1crypto's own has a KeyError for those that it does not know."""

    _fields = [("algorithm", _Algorithm), ("public_key", core.OctetBitString)]  # noqa: RUF012 - the same


def _key_algorithm(encoded: bytes) -> KeyAlgorithm:
    info = _PublicKeyInfo.load(encoded, strict=True)
    oid, parameters = info["algorithm"]["algorithm"].dotted, info["algorithm"]["parameters"].dump()
    match oid:
        case "1.2.840.113549.1.1.1" | "1.2.840.113549.1.1.7" | "1.2.840.113549.1.1.10":  # any use, OAEP, PSS
            modulus = keys.RSAPublicKey.load(info["public_key"].native, strict=True)["modulus"]
            return KeyAlgorithm(KeyKind.RSA, modulus.native.bit_length())
        case "1.2.840.10045.2.1":
            parameters = keys.ECDomainParameters.load(parameters, strict=True)
            named = parameters.chosen.dotted if parameters.name == "named" else ""
            curve = next((curve for curve in Curve if curve.oid == named), None)
            if curve is None:
                variant, bits = _OTHER_CURVES.get(named, ("", 0))
                return KeyAlgorithm(KeyKind.EC, bits, variant=variant)
            return KeyAlgorithm(KeyKind.EC, curve.bits, curve)
        case "1.2.840.10040.4.1":  # parameters may be inherited from the issuer (RFC 3279, 2.3.2)
            if parameters[:1] != b"\x30":
                return KeyAlgorithm(KeyKind.DSA)
            return KeyAlgorithm(KeyKind.DSA, keys.DSAParams.load(parameters, strict=True)["p"].native.bit_length())
        case _:
            return _BARE_KEYS.get(oid, KeyAlgorithm(KeyKind.OTHER))
