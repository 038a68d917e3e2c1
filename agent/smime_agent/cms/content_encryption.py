"""Content-encryption algorithms: which are written and read, with what parameters and keys.

Sources: RFC 3565, 4.1; RFC 5084, 3.2; RFC 8103, 3; RFC 3370, 5.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NoReturn

from smime_agent import der
from smime_agent.algorithms import ContentEncryption
from smime_agent.cms.ber import integer, malformed
from smime_agent.cms.ciphers import (
    AES_BLOCK,
    DES_BLOCK,
    MAX_CHACHA20,
    MAX_GCM,
    CbcEncryptor,
    ChaCha20Poly1305Encryptor,
    ContentDecryptor,
    ContentEncryptor,
    DecryptionError,
    GcmEncryptor,
    aes_cbc,
    rc2_cbc,
    triple_des_cbc,
)
from smime_agent.cms.content_cipher import CbcCipher, ChaCha20Poly1305Cipher, ContentCipher, GcmCipher
from smime_agent.cms.normal import value, values
from smime_agent.errors import PolicyError
from smime_agent.verdict import Code, UntrustworthyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from smime_agent.cms.signer_info import AlgorithmIdentifier

#: The length of the tags that we write, and of all nonces of ours.
MAC_SIZE: Final = 16
NONCE_SIZE: Final = 12

_AES: Final = "2.16.840.1.101.3.4.1"
_CBC: Final = {f"{_AES}.{number}": size for number, size in ((2, 16), (22, 24), (42, 32))}
_GCM: Final = {f"{_AES}.{number}": size for number, size in ((6, 16), (26, 24), (46, 32))}
_CHACHA20_POLY1305: Final = ContentEncryption.CHACHA20_POLY1305.oid
_DES_EDE3_CBC, _RC2_CBC = "1.2.840.113549.3.7", "1.2.840.113549.3.2"
_KEY_SIZES: Final = {**_CBC, **_GCM, _CHACHA20_POLY1305: 32, _DES_EDE3_CBC: 24}
_LEGACY: Final = {_DES_EDE3_CBC: "Triple DES", _RC2_CBC: "RC2"}
#: RFC 3370, 5.2: how 40, 64 and 128 effective bits are written; from 256 on they stand as they are (RFC 2268, 6).
_RC2_VERSIONS: Final = {160: 40, 120: 64, 58: 128}
_RC2_PLAIN_VERSIONS: Final = range(256, 1025)
_MAX_RC2_KEY: Final = 128
_QUICK_RC2_KEY: Final = 16
#: A content with RC2, in octets: it takes a second and more for each MiB.
MAX_RC2: Final = 16 * 1024 * 1024
#: Tags that RFC 5084, 3.2, has, and nonces that OpenSSL takes.
_ICV_LENGTHS: Final = range(12, 17)
_DEFAULT_ICV_LENGTH: Final = 12
_GCM_NONCES: Final = range(8, 129)

__all__ = [
    "ContentDecryptor",
    "ContentEncryptor",
    "DecryptionError",
    "check_content_encryption",
    "content_cipher",
    "content_encryptor",
    "content_key_lengths",
    "content_key_size",
    "encrypted_size",
    "is_authenticated",
]


def content_encryptor(
    cipher: ContentEncryption, key: bytes, randomness: Callable[[int], bytes]
) -> tuple[bytes, ContentEncryptor]:
    """A DER AlgorithmIdentifier with a fresh nonce in it, and the encryption that it stands for."""
    if not cipher.is_authenticated:
        vector = randomness(AES_BLOCK)
        return der.algorithm(cipher.oid, der.octet_string(vector)), CbcEncryptor(key, vector)
    nonce = randomness(NONCE_SIZE)
    if cipher is ContentEncryption.CHACHA20_POLY1305:
        encryptor = ChaCha20Poly1305Encryptor(key, nonce, b"", encrypts=True)
        return der.algorithm(cipher.oid, der.octet_string(nonce)), encryptor
    parameters = der.sequence(der.octet_string(nonce), der.integer(MAC_SIZE))
    return der.algorithm(cipher.oid, parameters), GcmEncryptor(key, nonce)


def encrypted_size(cipher: ContentEncryption, length: int) -> int:
    """How many octets a content of ``length`` octets has when it is encrypted.

    Raises:
        PolicyError: more than one key may encrypt.
    """
    if not cipher.is_authenticated:
        return length + AES_BLOCK - length % AES_BLOCK
    most = MAX_CHACHA20 if cipher is ContentEncryption.CHACHA20_POLY1305 else MAX_GCM
    if length > most:
        raise PolicyError(f"{cipher} is not safe for more than {most >> 30} GiB in one message")
    return length


def content_key_size(algorithm: AlgorithmIdentifier) -> int:
    """The length of the key, in octets: with RC2 that of the effective bits, though others work.

    Raises:
        UntrustworthyError: the algorithm is not supported, or its parameters are damaged.
    """
    if algorithm.oid == _RC2_CBC:
        return (_rc2_parameters(algorithm)[0] + 7) // 8
    if algorithm.oid not in _KEY_SIZES:
        _unsupported(algorithm.oid)
    return _KEY_SIZES[algorithm.oid]


def is_authenticated(algorithm: AlgorithmIdentifier) -> bool:
    """Whether the algorithm notices changes: such belong in an AuthEnvelopedData, and no others do (RFC 5083, 2.1)."""
    return algorithm.oid in _GCM or algorithm.oid == _CHACHA20_POLY1305


def check_content_encryption(algorithm: AlgorithmIdentifier, *, legacy: bool) -> None:
    """See that a content is encrypted in a way that is read; ``legacy`` permits Triple DES and RC2.

    Raises:
        PolicyError: only ``legacy`` permits it.
        UntrustworthyError: the algorithm is not supported, or its parameters are damaged.
    """
    _prepared(algorithm, b"", legacy=legacy)


def content_cipher(
    algorithm: AlgorithmIdentifier, key: bytes, *, legacy: bool, additional: bytes | None = None
) -> ContentCipher:
    """What decrypts, by a ContentEncryptionAlgorithmIdentifier.

    ``legacy`` permits Triple DES and RC2. ``additional`` are the authenticated attributes of an AuthEnvelopedData, in
    DER with the tag of SET OF (RFC 5083, 2.2). That a key has another length is noticed here, before any content: where
    an attacker may have chosen it, as with RSAES-PKCS1-v1_5, put a random one of :func:`content_key_size` octets in
    its place (RFC 3218, 2.3.2).

    Raises:
        PolicyError: only ``legacy`` permits it.
        UntrustworthyError: the algorithm is not supported, or its parameters are damaged.
        DecryptionError: the key has another length.
    """
    make = _prepared(algorithm, additional or b"", legacy=legacy)
    if len(key) not in content_key_lengths(algorithm):
        raise DecryptionError
    return make(key)


def content_key_lengths(algorithm: AlgorithmIdentifier) -> range:
    """The lengths that a key may have, in octets: one, but with RC2 of other than 128 effective bits.

    All of them take the same time: that of RC2 with 128 bits is done by ``cryptography`` for keys of 16 octets alone,
    in a hundredth of it, and whoever sees the difference would know that the padding around a key of another length
    was right (RFC 3218, 2.3.2).

    Raises:
        UntrustworthyError: the algorithm is not supported, or its parameters are damaged.
    """
    size = content_key_size(algorithm)
    if algorithm.oid == _RC2_CBC and size != _QUICK_RC2_KEY:
        return range(1, _MAX_RC2_KEY + 1)
    return range(size, size + 1)


def _prepared(algorithm: AlgorithmIdentifier, additional: bytes, *, legacy: bool) -> Callable[[bytes], ContentCipher]:
    """What makes a cipher of a key: whatever is damaged is found before there is one."""
    oid = algorithm.oid
    if oid in _GCM:
        nonce, mac_size = _gcm_parameters(algorithm)
        return lambda key: GcmCipher(key, nonce, mac_size, additional)
    if oid == _CHACHA20_POLY1305:
        nonce = _octets(algorithm.parameters, NONCE_SIZE)
        return lambda key: ChaCha20Poly1305Cipher(key, nonce, additional)
    if oid in _CBC:
        vector = _octets(algorithm.parameters, AES_BLOCK)
        return lambda key: CbcCipher(partial(aes_cbc, key), vector, block=AES_BLOCK)
    if oid not in _LEGACY:
        _unsupported(oid)
    if not legacy:
        hint = "if you want to read it all the same: --legacy"
        raise PolicyError(f"the content is encrypted with {_LEGACY[oid]}, which is weak", hint=hint)
    if oid == _DES_EDE3_CBC:
        vector = _octets(algorithm.parameters, DES_BLOCK)
        return lambda key: CbcCipher(partial(triple_des_cbc, key), vector, block=DES_BLOCK)
    bits, vector = _rc2_parameters(algorithm)
    return lambda key: CbcCipher(partial(rc2_cbc, key, bits), vector, block=DES_BLOCK, most=MAX_RC2)


def _gcm_parameters(algorithm: AlgorithmIdentifier) -> tuple[bytes, int]:
    """``SEQUENCE { aes-nonce OCTET STRING, aes-ICVlen INTEGER DEFAULT 12 }`` (RFC 5084, 3.2)."""
    parts = values(value(algorithm.parameters or b"", der.SEQUENCE))
    if [part.tag for part in parts] not in ([der.OCTET_STRING], [der.OCTET_STRING, der.INTEGER]):
        malformed("AES-GCM with parameters that are none")
    mac_size = integer(parts[1].contents) if parts[1:] else _DEFAULT_ICV_LENGTH
    if mac_size not in _ICV_LENGTHS:
        malformed(f"AES-GCM with a tag of {mac_size} octets")
    if len(parts[0].contents) not in _GCM_NONCES:
        text = f"AES-GCM with a nonce of {len(parts[0].contents)} octets is not supported"
        raise UntrustworthyError(Code.UNSUPPORTED_ALGORITHM, text)
    return parts[0].contents, mac_size


def _rc2_parameters(algorithm: AlgorithmIdentifier) -> tuple[int, bytes]:
    """The effective bits and the IV of ``SEQUENCE { rc2ParameterVersion, iv }`` (RFC 3370, 5.2)."""
    parts = values(value(algorithm.parameters or b"", der.SEQUENCE))
    if [part.tag for part in parts] != [der.INTEGER, der.OCTET_STRING]:
        malformed("RC2 with parameters that are none")
    version = integer(parts[0].contents)
    if version not in _RC2_VERSIONS and version not in _RC2_PLAIN_VERSIONS:
        raise UntrustworthyError(Code.UNSUPPORTED_ALGORITHM, f"RC2 with the parameter version {version}")
    return _RC2_VERSIONS.get(version, version), _octets(parts[1].encoded, DES_BLOCK)


def _octets(parameters: bytes | None, size: int) -> bytes:
    """An IV or a nonce, which is all that there is of parameters."""
    octets = value(parameters or b"", der.OCTET_STRING)
    if len(octets) != size:
        malformed(f"an initialisation vector or nonce of {len(octets)} octets, not {size}")
    return octets


def _unsupported(oid: str) -> NoReturn:
    text = f"the content-encryption algorithm {oid} is not supported"
    raise UntrustworthyError(Code.UNSUPPORTED_ALGORITHM, text)
