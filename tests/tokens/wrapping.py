"""Content-encryption keys wrapped by ``cryptography``, in RecipientInfos that are written here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, x25519
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from smime_agent import der
from smime_agent.algorithms import ContentEncryption
from smime_agent.cms.key_transport import RSAES_OAEP_OID
from smime_agent.keys import WrappedKey

if TYPE_CHECKING:
    from smime_agent.accepted import HashFunction
    from smime_agent.tokens.objects import TokenKey

RSA_ENCRYPTION = der.algorithm("1.2.840.113549.1.1.1", der.NULL)
AES256_CBC = der.algorithm(ContentEncryption.AES256_CBC.oid, der.octet_string(bytes(16)))
RC2_40 = der.algorithm("1.2.840.113549.3.2", der.sequence(der.integer(160), der.octet_string(bytes(8))))
AES256_WRAP = der.algorithm("2.16.840.1.101.3.4.1.45")
NOBODY = der.sequence(der.sequence(), der.integer(1))
CONTENT_KEY = bytes(range(32))


def oaep(hash_function: HashFunction, mask: HashFunction, label: bytes = b"") -> bytes:
    """The AlgorithmIdentifier of RSAES-OAEP."""
    parameters = der.sequence(
        der.context(0, der.algorithm(hash_function.oid, der.NULL)),
        der.context(1, der.algorithm("1.2.840.113549.1.1.8", der.algorithm(mask.oid, der.NULL))),
        der.context(2, der.algorithm("1.2.840.113549.1.1.9", der.octet_string(label))) if label else b"",
    )
    return der.algorithm(RSAES_OAEP_OID, parameters)


def transported(encrypted_key: bytes, algorithm: bytes = RSA_ENCRYPTION, cipher: bytes = AES256_CBC) -> WrappedKey:
    """A KeyTransRecipientInfo."""
    return WrappedKey(der.sequence(der.integer(0), NOBODY, algorithm, der.octet_string(encrypted_key)), 0, cipher)


def rsa_public(key: TokenKey) -> rsa.RSAPublicKey:
    """The public half of an RSA key."""
    assert key.public_key_info is not None
    public = load_der_public_key(key.public_key_info)
    assert isinstance(public, rsa.RSAPublicKey)
    return public


def pkcs1_v1_5(key: TokenKey, content_key: bytes = CONTENT_KEY) -> bytes:
    """A ciphertext by RSAES-PKCS1-v1_5."""
    return rsa_public(key).encrypt(content_key, padding.PKCS1v15())


def raw(key: TokenKey, encoded: bytes) -> bytes:
    """The RSA encryption of a block that may be padded in any way."""
    numbers = rsa_public(key).public_numbers()
    return pow(int.from_bytes(encoded), numbers.e, numbers.n).to_bytes(rsa_public(key).key_size // 8)


def block(key: TokenKey, message: bytes = CONTENT_KEY, *, head: bytes = b"\0\2", gap: bytes = b"\0") -> bytes:
    """A block by RFC 8017, 7.2.1, or one that is wrong in some way."""
    size = rsa_public(key).key_size // 8
    return head + b"\xa5" * (size - len(head) - len(gap) - len(message)) + gap + message


def agreed(
    key: TokenKey,
    *,
    position: int = 0,
    kdf: str = "1.3.132.1.11.1",
    ukm: bytes | None = None,
    wrap: bytes = AES256_WRAP,
) -> WrappedKey:
    """A KeyAgreeRecipientInfo with a key pair made for it; the key stands at ``position``, others before it."""
    assert key.public_key_info is not None
    public = load_der_public_key(key.public_key_info)
    if isinstance(public, x25519.X25519PublicKey):
        own = x25519.X25519PrivateKey.generate()
        point, secret = own.public_key().public_bytes_raw(), own.exchange(public)
        algorithm = der.algorithm("1.3.101.110")
    else:
        assert isinstance(public, ec.EllipticCurvePublicKey)
        ephemeral = ec.generate_private_key(public.curve)
        point = ephemeral.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        secret, algorithm = ephemeral.exchange(ec.ECDH(), public), der.algorithm("1.2.840.10045.2.1")
    spki = der.sequence(algorithm, der.tlv(0x03, b"\0", point))
    return agreement(spki, secret, position=position, kdf=kdf, ukm=ukm, wrap=wrap)


def agreement(  # noqa: PLR0913 - what the structure has
    spki: bytes,
    secret: bytes,
    *,
    position: int = 0,
    kdf: str = "1.3.132.1.11.1",
    ukm: bytes | None = None,
    wrap: bytes = AES256_WRAP,
) -> WrappedKey:
    """The same with any key of the originator, by its SubjectPublicKeyInfo, and with any secret."""
    encrypted_key = aes_key_wrap(derived(secret, wrap, kdf, ukm), CONTENT_KEY)
    keys = [der.sequence(NOBODY, der.octet_string(bytes(40)))] * position
    keys.append(der.sequence(NOBODY, der.octet_string(encrypted_key)))
    info = der.context(
        1,
        der.integer(3),
        der.context(0, b"\xa1" + spki[1:]),  # OriginatorPublicKey has the same fields
        b"" if ukm is None else der.context(1, der.octet_string(ukm)),
        der.algorithm(kdf, wrap),
        der.sequence(*keys),
    )
    return WrappedKey(info, position, AES256_CBC)


def derived(secret: bytes, wrap: bytes, kdf: str, ukm: bytes | None) -> bytes:
    """The key-encryption key for AES-256 (RFC 5753, 7.2; RFC 8418, 2.2)."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF
    from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF

    supplied = b"" if ukm is None else der.context(0, der.octet_string(ukm))
    info = der.sequence(wrap, supplied, der.context(2, der.octet_string((256).to_bytes(4))))
    if kdf.startswith("1.2.840.113549.1.9.16.3."):
        return HKDF(SHA256(), 32, ukm, info).derive(secret)
    return X963KDF(SHA256(), 32, info).derive(secret)
