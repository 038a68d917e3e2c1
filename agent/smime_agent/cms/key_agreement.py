"""A content-encryption key for a key that agrees: KeyAgreeRecipientInfo by ECDH and X25519, and the way back.

::

    KeyAgreeRecipientInfo ::= SEQUENCE {                                             -- RFC 5652, 6.2.2
      version CMSVersion, originator [0] EXPLICIT OriginatorIdentifierOrKey,
      ukm [1] EXPLICIT UserKeyingMaterial OPTIONAL,
      keyEncryptionAlgorithm KeyEncryptionAlgorithmIdentifier,
      recipientEncryptedKeys SEQUENCE OF RecipientEncryptedKey }
    ECC-CMS-SharedInfo ::= SEQUENCE {                                                -- RFC 5753, 7.2
      keyInfo AlgorithmIdentifier, entityUInfo [0] EXPLICIT OCTET STRING OPTIONAL,
      suppPubInfo [2] EXPLICIT OCTET STRING }
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from smime_agent import der
from smime_agent.accepted import EC_PUBLIC_KEY_OID
from smime_agent.algorithms import Curve, Digest, KeyKind
from smime_agent.cms.ber import malformed
from smime_agent.cms.ciphers import DecryptionError
from smime_agent.cms.recipient_name import RecipientName, key_agree_recipient_identifier
from smime_agent.cms.signer_info import algorithm_of
from smime_agent.errors import PolicyError, UsageError
from smime_agent.verdict import Code, UntrustworthyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.hashes import HashAlgorithm

    from smime_agent.algorithms import ContentEncryption, KeyAlgorithm
    from smime_agent.cms.recipient_info import OriginatorPublicKey
    from smime_agent.cms.signer_info import AlgorithmIdentifier
    from smime_agent.x509 import Certificate

X25519_OID: Final = "1.3.101.110"
#: RFC 5753, 7.1.4: standard and cofactor Diffie-Hellman, which are one on curves with the cofactor 1, as all ours are.
_X963: Final = {
    "1.3.133.16.840.63.0.2": "SHA1",
    "1.3.133.16.840.63.0.3": "SHA1",
    **{
        f"1.3.132.1.{scheme}.{number}": name
        for scheme in (11, 14)
        for number, name in enumerate(("SHA224", "SHA256", "SHA384", "SHA512"))
    },
}
_STANDARD_DH: Final = {
    Digest.SHA256: "1.3.132.1.11.1",
    Digest.SHA384: "1.3.132.1.11.2",
    Digest.SHA512: "1.3.132.1.11.3",
}
#: RFC 8418, 7.
_HKDF: Final = {f"1.2.840.113549.1.9.16.3.{19 + i}": name for i, name in enumerate(("SHA256", "SHA384", "SHA512"))}
_HKDF_SHA256: Final = "1.2.840.113549.1.9.16.3.19"
_AES: Final = "2.16.840.1.101.3.4.1"
#: RFC 3565, 2.3.2; RFC 5649, 5. The length of their keys, in octets.
_AES_WRAP: Final = {f"{_AES}.{number}": size for number, size in ((5, 16), (25, 24), (45, 32))}
_AES_WRAP_PAD: Final = {f"{_AES}.{number}": size for number, size in ((8, 16), (28, 24), (48, 32))}
_TRIPLE_DES_WRAP: Final = "1.2.840.113549.1.9.16.3.6"
_TRIPLE_DES_WRAPPED: Final = 40
_KEYING_MATERIAL_SIZE: Final = 32
_VERSION: Final = der.integer(3)
_BIT_STRING: Final = 0x03


def key_agreement(
    certificate: Certificate,
    content_key: bytes,
    cipher: ContentEncryption,
    *,
    name: RecipientName = RecipientName.ISSUER_AND_SERIAL_NUMBER,
    randomness: Callable[[int], bytes],
) -> bytes:
    """The DER RecipientInfo for a key on P-256, P-384, P-521 or Curve25519, with a key pair made for it alone.

    ``randomness`` gives the user keying material; the key pair is of OpenSSL's own.

    Raises:
        UsageError: the key is for something else, or damaged; or the certificate cannot be named by ``name``.
    """
    identifier = key_agree_recipient_identifier(certificate, name)
    ephemeral, secret = _agreed(certificate)
    key = certificate.key_algorithm
    kdf = _STANDARD_DH[key.curve.digest] if key.curve else _HKDF_SHA256
    # RFC 8551, 2.3: the keys of the wrapping and of the content have one size.
    wrap = der.algorithm(next(oid for oid, size in _AES_WRAP.items() if size == cipher.key_size))
    algorithm = algorithm_of(der.algorithm(kdf, wrap))
    ukm = randomness(_KEYING_MATERIAL_SIZE)  # RFC 5753, 3.1.1; RFC 8418, 9: it should be there
    scheme = _scheme(algorithm)
    # RFC 5753, 3.1.1: the parameters of id-ecPublicKey absent. RFC 8410, 3: the same of id-X25519.
    originator = der.algorithm(EC_PUBLIC_KEY_OID if key.curve else X25519_OID) + der.tlv(_BIT_STRING, b"\0", ephemeral)
    encrypted_key = der.sequence(identifier, der.octet_string(_wrapped(scheme.key(secret, ukm), content_key)))
    return der.context(
        1,
        _VERSION,
        der.context(0, der.context(1, originator)),
        der.context(1, der.octet_string(ukm)),
        der.algorithm(kdf, wrap),
        der.sequence(encrypted_key),
    )


def check_agreement(algorithm: AlgorithmIdentifier, *, legacy: bool) -> None:
    """Refuse what :func:`unwrap_agreed` would refuse whatever the secret is, before a token is asked for one.

    Raises:
        PolicyError: only ``legacy`` permits it.
        UntrustworthyError: the algorithm is not supported, or its parameters are damaged.
    """
    if _scheme(algorithm).wrap.oid == _TRIPLE_DES_WRAP and not legacy:
        hint = "if you want to read it all the same: --legacy"
        raise PolicyError("the key is wrapped with Triple DES, which is weak", hint=hint)


def unwrap_agreed(
    shared_secret: bytes,
    algorithm: AlgorithmIdentifier,
    ukm: bytes | None,
    encrypted_key: bytes,
    *,
    legacy: bool = False,
) -> bytes:
    """The content-encryption key of a KeyAgreeRecipientInfo, by the secret that originator and recipient share.

    ``shared_secret`` is what the token derived: the x coordinate, as long as the field. ``algorithm`` is the
    keyEncryptionAlgorithm. ``legacy`` permits keys wrapped with Triple DES.

    Raises:
        PolicyError: only ``legacy`` permits it.
        UntrustworthyError: the algorithm is not supported, or its parameters are damaged.
        DecryptionError: the secret is another one, or the key was changed.
    """
    check_agreement(algorithm, legacy=legacy)
    scheme = _scheme(algorithm)
    # RFC 8418, 2: a point of low order gives the same secret to everybody.
    if algorithm.oid in _HKDF and not any(shared_secret):
        raise DecryptionError
    return _unwrapped(scheme, scheme.key(shared_secret, ukm), encrypted_key)


def originator_point(originator: OriginatorPublicKey, recipient: KeyAlgorithm) -> bytes:
    """The public key of an originator, on the recipient's curve: an uncompressed point, or the 32 octets of X25519.

    Raises:
        UntrustworthyError: it is of another kind, or no point of the curve.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    if recipient.kind is KeyKind.X25519:
        if originator.algorithm.oid != X25519_OID or len(originator.public_key) != 32:  # noqa: PLR2004 - RFC 7748, 6.1
            malformed("the originator's key is not one of X25519, as the recipient's is")
        return originator.public_key
    name = recipient.curve.value if recipient.curve else recipient.variant
    if recipient.kind is not KeyKind.EC or name not in _curves():
        raise UntrustworthyError(Code.UNSUPPORTED_ALGORITHM, f"a key of type {recipient} does not agree with others")
    if originator.algorithm.oid != EC_PUBLIC_KEY_OID:
        malformed("the originator's key is not one of an elliptic curve, as the recipient's is")
    named = originator.algorithm.effective_parameters  # RFC 5753, 3.1.1: absent, NULL or the curve of the recipient
    if recipient.curve and named not in {None, der.object_identifier(recipient.curve.oid)}:
        malformed("the originator's key is on another curve than the recipient's")
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(_curves()[name](), originator.public_key)
    except (ValueError, UnsupportedAlgorithm):
        malformed("the originator's key is no point of the recipient's curve")
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


@dataclass(frozen=True, slots=True)
class _Scheme:
    """A key derivation function, and the algorithm that wraps keys with what it derives."""

    hash_name: str
    with_hkdf: bool
    wrap: AlgorithmIdentifier
    key_info: bytes
    size: int

    def key(self, secret: bytes, ukm: bytes | None) -> bytes:
        """The key-encryption key."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF
        from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF

        function: HashAlgorithm = getattr(hashes, self.hash_name)()
        shared_info = der.sequence(
            self.key_info,
            b"" if ukm is None else der.context(0, der.octet_string(ukm)),
            der.context(2, der.octet_string((8 * self.size).to_bytes(4))),
        )
        if self.with_hkdf:  # RFC 8418, 2.2: the ukm is the salt too
            return HKDF(function, self.size, ukm, shared_info).derive(secret)
        return X963KDF(function, self.size, shared_info).derive(secret)


def _scheme(algorithm: AlgorithmIdentifier) -> _Scheme:
    """The scheme of a keyEncryptionAlgorithm, whose parameters are the KeyWrapAlgorithm."""
    hash_name = _X963.get(algorithm.oid) or _HKDF.get(algorithm.oid)
    if hash_name is None:
        _unsupported(f"the key agreement algorithm {algorithm.oid}")
    if algorithm.parameters is None:
        malformed("a key agreement without a key wrap algorithm")
    wrap = algorithm_of(algorithm.parameters)
    size = {**_AES_WRAP, **_AES_WRAP_PAD, _TRIPLE_DES_WRAP: 24}.get(wrap.oid)
    if size is None:
        _unsupported(f"the key wrap algorithm {wrap.oid}")
    return _Scheme(hash_name, algorithm.oid in _HKDF, wrap, algorithm.parameters, size)


def _agreed(certificate: Certificate) -> tuple[bytes, bytes]:
    """A public key that was made now, encoded, and the secret that its private key shares with the recipient's."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, x25519
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

    algorithm = certificate.key_algorithm
    if algorithm.curve is None and algorithm.kind is not KeyKind.X25519:
        raise UsageError(f"nothing can be encrypted to the key of {certificate.holder}, of type {algorithm}")
    try:
        key = load_der_public_key(certificate.public_key_info)
        if isinstance(key, ec.EllipticCurvePublicKey):
            own = ec.generate_private_key(key.curve)
            point = own.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
            return point, own.exchange(ec.ECDH(), key)
        if isinstance(key, x25519.X25519PublicKey):
            ephemeral = x25519.X25519PrivateKey.generate()
            # A secret that is all zero is refused there (RFC 8418, 2).
            return ephemeral.public_key().public_bytes_raw(), ephemeral.exchange(key)
    except (ValueError, TypeError, OverflowError, UnsupportedAlgorithm) as error:
        raise UsageError(f"the key of {certificate.holder} is damaged") from error
    raise UsageError(f"the key of {certificate.holder} is not what its certificate says")


def _wrapped(key: bytes, content_key: bytes) -> bytes:
    from cryptography.hazmat.primitives.keywrap import aes_key_wrap

    return aes_key_wrap(key, content_key)


def _unwrapped(scheme: _Scheme, key: bytes, encrypted_key: bytes) -> bytes:
    from cryptography.hazmat.primitives import keywrap

    if scheme.wrap.oid == _TRIPLE_DES_WRAP:
        return _triple_des_unwrapped(key, encrypted_key)
    unwrap = keywrap.aes_key_unwrap if scheme.wrap.oid in _AES_WRAP else keywrap.aes_key_unwrap_with_padding
    try:
        return unwrap(key, encrypted_key)
    except (keywrap.InvalidUnwrap, ValueError):
        raise DecryptionError from None


def _triple_des_unwrapped(key: bytes, encrypted_key: bytes) -> bytes:
    """A Triple DES key wrapped with another (RFC 3217, 3.2)."""
    from hashlib import sha1
    from hmac import compare_digest

    from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
    from cryptography.hazmat.primitives.ciphers import Cipher, modes

    if len(encrypted_key) != _TRIPLE_DES_WRAPPED:
        raise DecryptionError
    outer = Cipher(TripleDES(key), modes.CBC(bytes.fromhex("4adda22c79e82105"))).decryptor().update(encrypted_key)[::-1]
    inner = Cipher(TripleDES(key), modes.CBC(outer[:8])).decryptor().update(outer[8:])
    content_key, checksum = inner[:24], inner[24:]
    if not compare_digest(sha1(content_key, usedforsecurity=False).digest()[:8], checksum):
        raise DecryptionError
    return content_key


def _curves() -> dict[str, type]:
    """The curves of ``cryptography`` by their names in OpenSSL; all have the cofactor 1."""
    from cryptography.hazmat.primitives.asymmetric import ec

    return {
        Curve.P256.value: ec.SECP256R1,
        Curve.P384.value: ec.SECP384R1,
        Curve.P521.value: ec.SECP521R1,
        "brainpoolP256r1": ec.BrainpoolP256R1,
        "brainpoolP384r1": ec.BrainpoolP384R1,
        "brainpoolP512r1": ec.BrainpoolP512R1,
        "secp256k1": ec.SECP256K1,
    }


def _unsupported(what: str) -> NoReturn:
    raise UntrustworthyError(Code.UNSUPPORTED_ALGORITHM, f"{what} is not supported")
