"""RecipientInfo: for whom a content-encryption key is wrapped, and how (RFC 5652, 6.2; RFC 9629, 3).

::

    RecipientInfo ::= CHOICE {
      ktri KeyTransRecipientInfo,
      kari [1] KeyAgreeRecipientInfo,
      kekri [2] KEKRecipientInfo,
      pwri [3] PasswordRecipientInfo,
      ori [4] OtherRecipientInfo }
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from smime_agent import der
from smime_agent.cms.ber import CONSTRUCTED, Reader, exceeded, integer, malformed, object_identifier
from smime_agent.cms.content_info import CONTEXT_0, CONTEXT_1, OBJECT_IDENTIFIER
from smime_agent.cms.normal import to_der
from smime_agent.cms.signer_info import AlgorithmIdentifier, algorithm_of, read_algorithm
from smime_agent.source import Source

if TYPE_CHECKING:
    from collections.abc import Callable

    from smime_agent.cms.ber import Element, Fields

#: An encrypted key (the largest ciphertext of ML-KEM has 1,568 octets), a user keying material, and an identifier.
MAX_ENCRYPTED_KEY: Final = 16_384
MAX_KEYING_MATERIAL: Final = 16_384
MAX_IDENTIFIER: Final = 1_024
#: Recipients that share one ephemeral key.
MAX_RECIPIENT_KEYS: Final = 10_000
ID_ORI_KEM: Final = "1.2.840.113549.1.9.16.13.3"  # RFC 9629, 3
CONTEXT_2, CONTEXT_3, CONTEXT_4 = 0xA2, 0xA3, 0xA4
_BIT_STRING, _GENERALIZED_TIME = 0x03, 0x18
_OCTET_STRING: Final = (der.OCTET_STRING, der.OCTET_STRING | CONSTRUCTED)
_KEY_IDENTIFIER: Final = (0x80, CONTEXT_0)  # an OCTET STRING in one piece, or in several


@dataclass(frozen=True, slots=True)
class IssuerAndSerialNumber:
    """A certificate by its issuer (DER) and its serial number (RFC 5652, 10.2.4)."""

    issuer: bytes
    serial_number: int


@dataclass(frozen=True, slots=True)
class KeyIdentifier:
    """A key by the subjectKeyIdentifier of its certificate, or by a name that both sides gave it.

    ``date`` is a GeneralizedTime as it was written; ``other`` is an encoded OtherKeyAttribute (RFC 5652, 10.2.7).
    """

    identifier: bytes
    date: str | None = None
    other: bytes | None = None


@dataclass(frozen=True, slots=True)
class OriginatorPublicKey:
    """A public key that was made for one message; ``public_key`` is the BIT STRING without its first octet."""

    algorithm: AlgorithmIdentifier
    public_key: bytes


@dataclass(frozen=True, slots=True)
class KeyTransRecipientInfo:
    """The key is encrypted to the public key of a certificate (RFC 5652, 6.2.1)."""

    version: int
    recipient: IssuerAndSerialNumber | KeyIdentifier
    key_encryption_algorithm: AlgorithmIdentifier
    encrypted_key: bytes


@dataclass(frozen=True, slots=True)
class RecipientEncryptedKey:
    """One recipient of a KeyAgreeRecipientInfo."""

    recipient: IssuerAndSerialNumber | KeyIdentifier
    encrypted_key: bytes


@dataclass(frozen=True, slots=True)
class KeyAgreeRecipientInfo:
    """The key is wrapped by one that originator and recipients agree on (RFC 5652, 6.2.2)."""

    version: int
    originator: IssuerAndSerialNumber | KeyIdentifier | OriginatorPublicKey
    user_keying_material: bytes | None
    key_encryption_algorithm: AlgorithmIdentifier
    recipient_encrypted_keys: tuple[RecipientEncryptedKey, ...]


@dataclass(frozen=True, slots=True)
class KEKRecipientInfo:
    """The key is wrapped by one that was handed over before (RFC 5652, 6.2.3)."""

    version: int
    key: KeyIdentifier
    key_encryption_algorithm: AlgorithmIdentifier
    encrypted_key: bytes


@dataclass(frozen=True, slots=True)
class PasswordRecipientInfo:
    """The key is wrapped by one that a password gives (RFC 5652, 6.2.4)."""

    version: int
    key_derivation_algorithm: AlgorithmIdentifier | None
    key_encryption_algorithm: AlgorithmIdentifier
    encrypted_key: bytes


@dataclass(frozen=True, slots=True)
class KEMRecipientInfo:
    """The key is wrapped by one that a key encapsulation mechanism gives (RFC 9629, 3)."""

    version: int
    recipient: IssuerAndSerialNumber | KeyIdentifier
    kem_algorithm: AlgorithmIdentifier
    kem_ciphertext: bytes
    key_derivation_algorithm: AlgorithmIdentifier
    key_encryption_key_length: int
    user_keying_material: bytes | None
    key_encryption_algorithm: AlgorithmIdentifier
    encrypted_key: bytes


@dataclass(frozen=True, slots=True)
class OtherRecipientInfo:
    """A kind of recipient that is not known here: its dotted OID and its encoded value (RFC 5652, 6.2.5)."""

    oid: str
    value: bytes


RecipientInfo = (
    KeyTransRecipientInfo
    | KeyAgreeRecipientInfo
    | KEKRecipientInfo
    | PasswordRecipientInfo
    | KEMRecipientInfo
    | OtherRecipientInfo
)


@lru_cache(maxsize=16)  # who finds the recipient and who unwraps its key read the same one
def read_recipient_info(encoded: bytes) -> RecipientInfo:
    """One RecipientInfo, in BER.

    Raises:
        UntrustworthyError: it is none.
    """
    reader = Reader(Source.from_bytes(encoded))
    element = reader.element(0, reader.size)
    if element.end != reader.size:
        malformed("more than one recipient where one belongs")
    kinds: dict[int, Callable[[Reader, Element], RecipientInfo]] = {
        der.SEQUENCE: _key_transport,
        CONTEXT_1: _key_agreement,
        CONTEXT_2: _key_encryption_key,
        CONTEXT_3: _password,
        CONTEXT_4: _other,
    }
    if element.tag not in kinds:
        malformed("a recipient of a kind that CMS does not have")
    return kinds[element.tag](reader, element)


def _key_transport(reader: Reader, element: Element) -> KeyTransRecipientInfo:
    fields = reader.fields(element, der.SEQUENCE)
    info = KeyTransRecipientInfo(
        version=_version(reader, fields),
        recipient=_recipient_identifier(reader, fields),
        key_encryption_algorithm=_algorithm(reader, fields),
        encrypted_key=_encrypted_key(reader, fields),
    )
    fields.finish()
    return info


def _key_agreement(reader: Reader, element: Element) -> KeyAgreeRecipientInfo:
    fields = reader.fields(element, CONTEXT_1)
    version = _version(reader, fields)
    originator = _originator(reader, _only(reader, fields.required(CONTEXT_0)))
    keying_material = _keying_material(reader, fields.optional(CONTEXT_1))
    algorithm = _algorithm(reader, fields)
    keys = reader.members(fields.required(der.SEQUENCE), MAX_RECIPIENT_KEYS)
    info = KeyAgreeRecipientInfo(
        version, originator, keying_material, algorithm, tuple(_recipient_encrypted_key(reader, key) for key in keys)
    )
    fields.finish()
    return info


def _key_encryption_key(reader: Reader, element: Element) -> KEKRecipientInfo:
    fields = reader.fields(element, CONTEXT_2)
    info = KEKRecipientInfo(
        version=_version(reader, fields),
        key=_key_identifier(reader, reader.fields(fields.required(der.SEQUENCE), der.SEQUENCE)),
        key_encryption_algorithm=_algorithm(reader, fields),
        encrypted_key=_encrypted_key(reader, fields),
    )
    fields.finish()
    return info


def _password(reader: Reader, element: Element) -> PasswordRecipientInfo:
    fields = reader.fields(element, CONTEXT_3)
    version = _version(reader, fields)
    derivation = fields.optional(CONTEXT_0)
    info = PasswordRecipientInfo(
        version=version,
        key_derivation_algorithm=None if derivation is None else _implicit_algorithm(reader, derivation),
        key_encryption_algorithm=_algorithm(reader, fields),
        encrypted_key=_encrypted_key(reader, fields),
    )
    fields.finish()
    return info


def _other(reader: Reader, element: Element) -> OtherRecipientInfo | KEMRecipientInfo:
    parts = reader.members(element, 2)
    if len(parts) != 2 or parts[0].tag != OBJECT_IDENTIFIER:  # noqa: PLR2004 - its type and its value
        malformed("a recipient without a type or a value")
    dotted = object_identifier(reader.contents(parts[0]))
    if dotted == ID_ORI_KEM:
        return _kem(reader, parts[1])
    return OtherRecipientInfo(dotted, reader.encoded(parts[1]))


def _kem(reader: Reader, element: Element) -> KEMRecipientInfo:
    fields = reader.fields(element, der.SEQUENCE)
    info = KEMRecipientInfo(
        version=_version(reader, fields),
        recipient=_recipient_identifier(reader, fields),
        kem_algorithm=_algorithm(reader, fields),
        kem_ciphertext=_encrypted_key(reader, fields),
        key_derivation_algorithm=_algorithm(reader, fields),
        key_encryption_key_length=integer(reader.contents(fields.required(der.INTEGER))),
        user_keying_material=_keying_material(reader, fields.optional(CONTEXT_0)),
        key_encryption_algorithm=_algorithm(reader, fields),
        encrypted_key=_encrypted_key(reader, fields),
    )
    fields.finish()
    return info


def _recipient_encrypted_key(reader: Reader, element: Element) -> RecipientEncryptedKey:
    fields = reader.fields(element, der.SEQUENCE)
    by_key = fields.optional(CONTEXT_0)
    if by_key is not None:  # rKeyId [0] IMPLICIT RecipientKeyIdentifier
        recipient: IssuerAndSerialNumber | KeyIdentifier = _key_identifier(reader, reader.fields(by_key, CONTEXT_0))
    else:
        recipient = issuer_and_serial_number(reader, fields.required(der.SEQUENCE))
    encrypted_key = _encrypted_key(reader, fields)
    fields.finish()
    return RecipientEncryptedKey(recipient, encrypted_key)


def _recipient_identifier(reader: Reader, fields: Fields) -> IssuerAndSerialNumber | KeyIdentifier:
    """``CHOICE { issuerAndSerialNumber, subjectKeyIdentifier [0] IMPLICIT OCTET STRING }``."""
    return _named(reader, fields.required(der.SEQUENCE, *_KEY_IDENTIFIER))


def _named(reader: Reader, element: Element) -> IssuerAndSerialNumber | KeyIdentifier:
    if element.tag in _KEY_IDENTIFIER:
        return KeyIdentifier(reader.string(element, MAX_IDENTIFIER))
    return issuer_and_serial_number(reader, element)


def _originator(reader: Reader, element: Element) -> IssuerAndSerialNumber | KeyIdentifier | OriginatorPublicKey:
    """``CHOICE { issuerAndSerialNumber, subjectKeyIdentifier [0], originatorKey [1] }``."""
    if element.tag != CONTEXT_1:
        return _named(reader, element)
    fields = reader.fields(element, CONTEXT_1)
    algorithm = _algorithm(reader, fields)
    bits = reader.contents(fields.required(_BIT_STRING))
    fields.finish()
    if len(bits) > MAX_ENCRYPTED_KEY:
        exceeded(f"a public key of more than {MAX_ENCRYPTED_KEY} octets")
    if bits[:1] != b"\0":  # X.690, 8.6.2: no bit of the last octet is unused
        malformed("a public key that is not made of octets")
    return OriginatorPublicKey(algorithm, bits[1:])


def issuer_and_serial_number(reader: Reader, element: Element) -> IssuerAndSerialNumber:
    """``SEQUENCE { issuer Name, serialNumber INTEGER }``.

    Raises:
        UntrustworthyError: it is something else.
    """
    fields = reader.fields(element, der.SEQUENCE)
    issuer = to_der(reader.encoded(fields.required(der.SEQUENCE)))
    serial_number = integer(reader.contents(fields.required(der.INTEGER)))
    fields.finish()
    return IssuerAndSerialNumber(issuer, serial_number)


def _key_identifier(reader: Reader, fields: Fields) -> KeyIdentifier:
    """``SEQUENCE { keyIdentifier, date GeneralizedTime OPTIONAL, other OtherKeyAttribute OPTIONAL }``."""
    identifier = reader.string(fields.required(*_OCTET_STRING), MAX_IDENTIFIER)
    date = fields.optional(_GENERALIZED_TIME)
    other = fields.optional(der.SEQUENCE)
    fields.finish()
    return KeyIdentifier(
        identifier,
        None if date is None else reader.contents(date).decode("ascii", "replace"),
        None if other is None else reader.encoded(other),
    )


def _version(reader: Reader, fields: Fields) -> int:
    return integer(reader.contents(fields.required(der.INTEGER)))


def _algorithm(reader: Reader, fields: Fields) -> AlgorithmIdentifier:
    return read_algorithm(reader, fields.required(der.SEQUENCE))


def _encrypted_key(reader: Reader, fields: Fields) -> bytes:
    return reader.string(fields.required(*_OCTET_STRING), MAX_ENCRYPTED_KEY)


def _keying_material(reader: Reader, wrapper: Element | None) -> bytes | None:
    if wrapper is None:
        return None
    inside = _only(reader, wrapper)
    if inside.tag not in _OCTET_STRING:
        malformed("user keying material that is no string")
    return reader.string(inside, MAX_KEYING_MATERIAL)


def _only(reader: Reader, wrapper: Element) -> Element:
    inside = reader.members(wrapper, 2)
    if len(inside) != 1:
        malformed("not exactly one value in a tag of its own")
    return inside[0]


def _implicit_algorithm(reader: Reader, element: Element) -> AlgorithmIdentifier:
    """An AlgorithmIdentifier under an implicit tag."""
    return algorithm_of(bytes((der.SEQUENCE,)) + reader.encoded(element)[1:])
