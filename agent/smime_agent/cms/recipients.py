"""For whom a message is: each RecipientInfo, and each RecipientEncryptedKey in one, as a value of its own."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from smime_agent import der
from smime_agent.accepted import RSA_ENCRYPTION_OID
from smime_agent.algorithms import KeyKind
from smime_agent.cms.ber import exceeded
from smime_agent.cms.distinguished_name import distinguished_name
from smime_agent.cms.enveloped_data import MAX_RECIPIENTS
from smime_agent.cms.recipient_info import (
    IssuerAndSerialNumber,
    KEKRecipientInfo,
    KEMRecipientInfo,
    KeyAgreeRecipientInfo,
    KeyIdentifier,
    KeyTransRecipientInfo,
    OriginatorPublicKey,
    OtherRecipientInfo,
    PasswordRecipientInfo,
    read_recipient_info,
)
from smime_agent.keys import WrappedKey
from smime_agent.verdict import UntrustworthyError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from smime_agent.algorithms import KeyAlgorithm
    from smime_agent.cms.signer_info import AlgorithmIdentifier

_LONGEST_NAME: Final = 300  # characters
_LONGEST_SHOWN: Final = 64  # octets of a key identifier
_EC_PUBLIC_KEY: Final = "1.2.840.10045.2.1"  # RFC 5480, 2.1.1
_ID_ECDH: Final = "1.3.132.1.12"  # the same, for agreement alone
_X25519: Final = "1.3.101.110"  # RFC 8410, 3
_KINDS: Final = {
    RSA_ENCRYPTION_OID: KeyKind.RSA,
    _EC_PUBLIC_KEY: KeyKind.EC,
    _ID_ECDH: KeyKind.EC,
    _X25519: KeyKind.X25519,
}


class RecipientKind(Enum):
    """How a recipient gets the content-encryption key. The value is its name for people.

    The keys of tokens are for the first two.
    """

    KEY_TRANSPORT = "RSA key transport"
    KEY_AGREEMENT = "key agreement"
    KEY_ENCRYPTION_KEY = "a key that was agreed on before"
    PASSWORD = "a password"  # noqa: S105 - it is none
    KEY_ENCAPSULATION = "key encapsulation (KEM)"
    UNKNOWN = "a method that is not known here"
    UNREADABLE = "a recipient that cannot be read"


@dataclass(frozen=True, slots=True)
class KeyRecipient:
    """A recipient that a key of ours may be.

    ``key_algorithm`` is the dotted OID of the key-encryption algorithm; ``public_key_algorithm`` that of the kind of
    the recipient's key, and empty where the message does not tell.
    """

    identifier: IssuerAndSerialNumber | KeyIdentifier
    kind: RecipientKind
    key_algorithm: str
    public_key_algorithm: str
    wrapped: WrappedKey

    @property
    def name(self) -> str:
        """Who is meant, for people: it may hold any character."""
        return named(self.identifier)

    def fits(self, algorithm: KeyAlgorithm) -> bool:
        """A key of this algorithm can be the recipient's."""
        if not self.public_key_algorithm:
            return algorithm.kind in {KeyKind.EC, KeyKind.X25519}
        return algorithm.kind is _KINDS.get(self.public_key_algorithm)


@dataclass(frozen=True, slots=True)
class OtherRecipient:
    """A recipient that no key on a token can be. ``name`` is for people, and empty where it has none."""

    kind: RecipientKind
    name: str = ""


Recipients = tuple[KeyRecipient | OtherRecipient, ...]


def read_recipients(recipient_infos: Sequence[bytes], content_encryption: AlgorithmIdentifier) -> Recipients:
    """All recipients of a message, in its order. One that cannot be read is no obstacle to the others.

    Raises:
        UntrustworthyError: there are more than anybody writes to.
    """
    algorithm = der.algorithm(content_encryption.oid, content_encryption.parameters or b"")
    found: list[KeyRecipient | OtherRecipient] = []
    for encoded in recipient_infos:
        found.extend(_read(encoded, algorithm))
        if len(found) > MAX_RECIPIENTS:
            exceeded(f"more than {MAX_RECIPIENTS} recipients")
    return tuple(found)


def named(identifier: IssuerAndSerialNumber | KeyIdentifier) -> str:
    """A certificate by serial number and issuer, or a key by its identifier, as the message names it."""
    if isinstance(identifier, KeyIdentifier):
        shown = identifier.identifier[:_LONGEST_SHOWN].hex() or "(empty)"
        return f"the key with identifier {shown}{'...' * (len(identifier.identifier) > _LONGEST_SHOWN)}"
    issuer = distinguished_name(identifier.issuer)
    if len(issuer) > _LONGEST_NAME:
        issuer = f"{issuer[:_LONGEST_NAME]} ..."
    return f"the certificate with serial number {identifier.serial_number:x} of {issuer}"


def _read(encoded: bytes, content_encryption: bytes) -> Iterator[KeyRecipient | OtherRecipient]:
    try:
        info = read_recipient_info(encoded)
    except UntrustworthyError:
        yield OtherRecipient(RecipientKind.UNREADABLE)
        return
    match info:
        case KeyTransRecipientInfo():
            # By whatever algorithm: of the keys that are in use only RSA's encrypt.
            yield KeyRecipient(
                info.recipient,
                RecipientKind.KEY_TRANSPORT,
                info.key_encryption_algorithm.oid,
                RSA_ENCRYPTION_OID,
                WrappedKey(encoded, 0, content_encryption),
            )
        case KeyAgreeRecipientInfo():
            originator = info.originator
            for position, key in enumerate(info.recipient_encrypted_keys):
                yield KeyRecipient(
                    key.recipient,
                    RecipientKind.KEY_AGREEMENT,
                    info.key_encryption_algorithm.oid,
                    originator.algorithm.oid if isinstance(originator, OriginatorPublicKey) else "",
                    WrappedKey(encoded, position, content_encryption),
                )
        case KEKRecipientInfo():
            yield OtherRecipient(RecipientKind.KEY_ENCRYPTION_KEY, named(info.key))
        case PasswordRecipientInfo():
            yield OtherRecipient(RecipientKind.PASSWORD)
        case KEMRecipientInfo():
            yield OtherRecipient(RecipientKind.KEY_ENCAPSULATION, named(info.recipient))
        case OtherRecipientInfo():
            yield OtherRecipient(RecipientKind.UNKNOWN, info.oid)
