"""Keys in memory in place of a token's, for what is done thousands of times: they unwrap as a token does."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, x25519

from smime_agent.accepted import RSA_ENCRYPTION_OID
from smime_agent.algorithms import Curve, KeyAlgorithm, KeyKind
from smime_agent.cms.ciphers import DecryptionError
from smime_agent.cms.content_encryption import content_key_lengths, content_key_size
from smime_agent.cms.key_agreement import check_agreement, originator_point, unwrap_agreed
from smime_agent.cms.key_transport import RSAES_OAEP_OID, oaep_parameters
from smime_agent.cms.recipient_info import (
    IssuerAndSerialNumber,
    KeyAgreeRecipientInfo,
    KeyIdentifier,
    KeyTransRecipientInfo,
    OriginatorPublicKey,
    read_recipient_info,
)
from smime_agent.cms.recipients import KeyRecipient
from smime_agent.cms.signer_info import algorithm_of
from smime_agent.errors import NoKeyError
from smime_agent.keys import ContentKey
from smime_agent.verdict import Code, UntrustworthyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smime_agent.cms.recipients import Recipients
    from smime_agent.cms.signer_info import AlgorithmIdentifier
    from smime_agent.keys import WrappedKey
    from smime_agent.x509 import Certificate

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | x25519.X25519PrivateKey


@dataclass(frozen=True)
class HostKey:
    """A :class:`~smime_agent.keys.Decrypter` with a private key of the cryptography package."""

    private: PrivateKey
    certificate: Certificate

    @property
    def name(self) -> str:
        return "a key in memory"

    @property
    def algorithm(self) -> KeyAlgorithm:
        if isinstance(self.private, x25519.X25519PrivateKey):
            return KeyAlgorithm(KeyKind.X25519, 256)
        if isinstance(self.private, rsa.RSAPrivateKey):
            return KeyAlgorithm(KeyKind.RSA, self.private.key_size)
        curve = next(curve for curve in Curve if curve.value == self.private.curve.name)
        return KeyAlgorithm(KeyKind.EC, self.private.key_size, curve)

    def is_named(self, recipient: KeyRecipient) -> bool:
        named, certificate = recipient.identifier, self.certificate
        if isinstance(named, KeyIdentifier):
            return named.identifier == certificate.subject_key_identifier
        ours = IssuerAndSerialNumber(certificate.issuer_encoded, certificate.serial_number)
        return named == ours

    def unwrap(self, wrapped: WrappedKey, *, legacy: bool = False) -> ContentKey:
        cipher = algorithm_of(wrapped.content_encryption)
        lengths = content_key_lengths(cipher)
        info = read_recipient_info(wrapped.recipient_info)
        if isinstance(info, KeyTransRecipientInfo) and isinstance(self.private, rsa.RSAPrivateKey):
            key = _transported(self.private, info, cipher)
        elif isinstance(info, KeyAgreeRecipientInfo) and not isinstance(self.private, rsa.RSAPrivateKey):
            key = self._agreed(info, wrapped.position, legacy=legacy)
        else:
            raise UntrustworthyError(Code.UNSUPPORTED_ALGORITHM, "not for such a key")
        if len(key) not in lengths:
            raise DecryptionError
        return ContentKey(key)

    def _agreed(self, info: KeyAgreeRecipientInfo, position: int, *, legacy: bool) -> bytes:
        check_agreement(info.key_encryption_algorithm, legacy=legacy)
        if not isinstance(info.originator, OriginatorPublicKey):
            raise UntrustworthyError(Code.UNSUPPORTED_ALGORITHM, "a key of a certificate")
        point = originator_point(info.originator, self.algorithm)
        wrapped = info.recipient_encrypted_keys[position].encrypted_key
        material = info.user_keying_material
        return unwrap_agreed(self._secret(point), info.key_encryption_algorithm, material, wrapped, legacy=legacy)

    def _secret(self, point: bytes) -> bytes:
        try:
            if isinstance(self.private, x25519.X25519PrivateKey):
                return self.private.exchange(x25519.X25519PublicKey.from_public_bytes(point))
            assert isinstance(self.private, ec.EllipticCurvePrivateKey)
            return self.private.exchange(
                ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(self.private.curve, point)
            )
        except ValueError:
            raise DecryptionError from None


@dataclass(frozen=True)
class HostMatch:
    """A recipient, and the key that is its."""

    recipient: KeyRecipient
    decrypter: HostKey
    certificate: Certificate | None


class HostKeys:
    """Keys in memory, found by how a message names their certificates."""

    def __init__(self, *keys: HostKey) -> None:
        self._keys = keys

    def pairs(self, recipients: Recipients) -> Iterator[HostMatch]:
        is_any = False
        for recipient in recipients:
            for key in self._keys:
                if isinstance(recipient, KeyRecipient) and key.is_named(recipient) and recipient.fits(key.algorithm):
                    is_any = True
                    yield HostMatch(recipient, key, key.certificate)
        if not is_any:
            raise NoKeyError("no key in memory opens this message")


def _transported(key: rsa.RSAPrivateKey, info: KeyTransRecipientInfo, cipher: AlgorithmIdentifier) -> bytes:
    algorithm = info.key_encryption_algorithm
    if algorithm.oid == RSA_ENCRYPTION_OID:
        random = os.urandom(content_key_size(cipher))
        try:
            octets = key.decrypt(info.encrypted_key, padding.PKCS1v15())  # OpenSSL rejects implicitly
        except ValueError:
            return random
        return octets if len(octets) in content_key_lengths(cipher) else random
    if algorithm.oid != RSAES_OAEP_OID:
        raise UntrustworthyError(Code.UNSUPPORTED_ALGORITHM, f"key transport by {algorithm.oid}")
    found = oaep_parameters(algorithm.parameters)
    digest, mask = (getattr(hashes, one.name, None) for one in (found.hash_function, found.mask_hash))
    if digest is None or mask is None:
        raise UntrustworthyError(Code.UNSUPPORTED_ALGORITHM, "a hash function that is not here")
    try:
        return key.decrypt(info.encrypted_key, padding.OAEP(padding.MGF1(mask()), digest(), found.label or None))
    except UnsupportedAlgorithm:
        raise UntrustworthyError(Code.UNSUPPORTED_ALGORITHM, "hash functions that do not go together here") from None
    except ValueError:
        raise DecryptionError from None
