"""What others may have signed with, and for how much it counts: hash functions and signature algorithms by their OIDs.

:mod:`smime_agent.algorithms` has what we produce. Here is what is read: more, for old archives and for signers with
other taste; what is weak says so, and what is not here is not supported (MD2, MD4, RIPEMD, GOST, HashML-DSA).
"""

from __future__ import annotations

import hashlib
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Final, Protocol

from smime_agent import der
from smime_agent.algorithms import KeyKind

if TYPE_CHECKING:
    from collections.abc import Callable

_SHA_2: Final = "2.16.840.1.101.3.4.2"
#: INTEGER 512, the length that RFC 8419, 2.3, wants of id-shake256-len.
_512_BITS: Final = der.integer(512)


class Hashing(Protocol):
    """A hash function at work."""

    def update(self, data: bytes, /) -> None:
        """Take in octets."""

    def digest(self) -> bytes:
        """The digest of all octets so far."""


class HashFunction(Enum):
    """A hash function that a signature may be made with. The value is its name in :mod:`hashlib`."""

    MD5 = "md5"
    SHA1 = "sha1"
    SHA224 = "sha224"
    SHA256 = "sha256"
    SHA384 = "sha384"
    SHA512 = "sha512"
    SHA512_224 = "sha512_224"
    SHA512_256 = "sha512_256"
    SHA3_224 = "sha3_224"
    SHA3_256 = "sha3_256"
    SHA3_384 = "sha3_384"
    SHA3_512 = "sha3_512"
    SHAKE128 = "shake_128"  # with 256 bits of output, RFC 8702, 3.1
    SHAKE256 = "shake_256"  # with 512

    # Compared and hashed by what they are, as members of an Enum can be: a name is not hashed each time.
    __hash__ = object.__hash__

    def __str__(self) -> str:
        """``SHA-256``, ``SHA-512/256``, ``SHA3-256``, ``SHAKE256``, ``MD5``: the names of the standards."""
        return _NAMES[self.value]

    @cached_property
    def oid(self) -> str:
        """The object identifier, dotted."""
        return _HASH_OIDS[self.value]

    @cached_property
    def is_weak(self) -> bool:
        """Two contents with the same digest can be made: a signature by it proves little."""
        return self in {HashFunction.MD5, HashFunction.SHA1}

    @cached_property
    def size(self) -> int:
        """The length of a digest, in octets."""
        return len(self.new().digest())

    def new(self) -> Hashing:
        """Begin to hash."""
        # MD5 and SHA-1 are looked at for what they are worth, where policy forbids them for security.
        return _SHAKES[self.value]() if self.value in _SHAKES else hashlib.new(self.value, usedforsecurity=False)

    def of(self, data: bytes) -> bytes:
        """The digest of ``data``."""
        hashing = self.new()
        hashing.update(data)
        return hashing.digest()

    @staticmethod
    def by_oid(oid: str, parameters: bytes | None = None) -> HashFunction | None:
        """The function of an AlgorithmIdentifier, nothing if it is not supported.

        Parameters are absent or NULL (RFC 5754, 2: both are read); only id-shake256-len has some.
        """
        if oid == f"{_SHA_2}.18":
            return HashFunction.SHAKE256 if parameters == _512_BITS else None
        return _BY_OID.get(oid) if parameters in {None, der.NULL} else None


class _Shake:
    """A SHAKE with output of a fixed length."""

    def __init__(self, name: str, size: int) -> None:
        self._hashing = {"shake_128": hashlib.shake_128, "shake_256": hashlib.shake_256}[name]()
        self._size = size

    def update(self, data: bytes, /) -> None:
        self._hashing.update(data)

    def digest(self) -> bytes:
        return self._hashing.digest(self._size)


_SHAKES: Final[dict[str, Callable[[], Hashing]]] = {
    "shake_128": lambda: _Shake("shake_128", 32),
    "shake_256": lambda: _Shake("shake_256", 64),
}
_NAMES: Final = {
    "md5": "MD5",
    "sha1": "SHA-1",
    **{f"sha{bits}": f"SHA-{bits}" for bits in (224, 256, 384, 512)},
    **{f"sha512_{bits}": f"SHA-512/{bits}" for bits in (224, 256)},
    **{f"sha3_{bits}": f"SHA3-{bits}" for bits in (224, 256, 384, 512)},
    **{f"shake_{bits}": f"SHAKE{bits}" for bits in (128, 256)},
}
_HASH_OIDS: Final = {
    "md5": "1.2.840.113549.2.5",
    "sha1": "1.3.14.3.2.26",
    **{
        name: f"{_SHA_2}.{number}"
        for number, name in enumerate(
            (
                "sha256", "sha384", "sha512", "sha224", "sha512_224", "sha512_256",
                "sha3_224", "sha3_256", "sha3_384", "sha3_512", "shake_128", "shake_256",
            ),
            start=1,
        )
    },
}  # fmt: skip
_BY_OID: Final = {function.oid: function for function in HashFunction}


class SignatureFamily(Enum):
    """A signature algorithm without its hash function, by its name in the standards."""

    RSASSA_PKCS1_V1_5 = "RSASSA-PKCS1-v1_5"
    RSASSA_PSS = "RSASSA-PSS"
    ECDSA = "ECDSA"
    DSA = "DSA"
    ED25519 = "Ed25519"
    ED448 = "Ed448"
    ML_DSA_44 = "ML-DSA-44"
    ML_DSA_65 = "ML-DSA-65"
    ML_DSA_87 = "ML-DSA-87"

    __hash__ = object.__hash__

    @cached_property
    def key_kind(self) -> KeyKind:
        """The kind of key that makes such signatures."""
        if self.value.startswith("RSA"):
            return KeyKind.RSA
        if self.value.startswith("ML-DSA"):
            return KeyKind.ML_DSA
        return KeyKind.EC if self is SignatureFamily.ECDSA else KeyKind(self.value)

    @cached_property
    def is_pure(self) -> bool:
        """It signs octets themselves, not a digest of them (RFC 8419, 2.4; RFC 9882, 3.1)."""
        return self.key_kind in {KeyKind.ED25519, KeyKind.ED448, KeyKind.ML_DSA}

    @cached_property
    def is_legacy(self) -> bool:
        """Nobody should sign with it any more (FIPS 186-5)."""
        return self is SignatureFamily.DSA

    @cached_property
    def content_digests(self) -> frozenset[HashFunction] | None:
        """The functions that may digest the content beside signed attributes; all, where none are listed."""
        return _CONTENT_DIGESTS.get(self)


_H = HashFunction
#: RFC 8419, 3.1, where others must not be used; RFC 9882, 3.3, where those weaker than the signature may be refused.
_CONTENT_DIGESTS: Final = {
    SignatureFamily.ED25519: frozenset({_H.SHA512}),
    SignatureFamily.ED448: frozenset({_H.SHAKE256}),
    SignatureFamily.ML_DSA_44: frozenset(
        {_H.SHA256, _H.SHA384, _H.SHA512, _H.SHA3_256, _H.SHA3_384, _H.SHA3_512, _H.SHAKE128, _H.SHAKE256}
    ),
    SignatureFamily.ML_DSA_65: frozenset({_H.SHA384, _H.SHA512, _H.SHA3_384, _H.SHA3_512, _H.SHAKE256}),
    SignatureFamily.ML_DSA_87: frozenset({_H.SHA512, _H.SHA3_512, _H.SHAKE256}),
}

_RSA, _NIST = "1.2.840.113549.1.1", "2.16.840.1.101.3.4.3"
RSASSA_PSS_OID: Final = f"{_RSA}.10"
RSA_ENCRYPTION_OID: Final = f"{_RSA}.1"
EC_PUBLIC_KEY_OID: Final = "1.2.840.10045.2.1"
DSA_OID: Final = "1.2.840.10040.4.1"

#: Signature algorithms; those without a hash function take the one of digestAlgorithm, or have none.
SIGNATURE_ALGORITHMS: Final[dict[str, tuple[SignatureFamily, HashFunction | None]]] = {
    # RFC 3370, 3.2, RFC 5754, 3.2, RFC 8017, A.2.4, RFC 9688, 3.1; and an old one of OIW's
    RSA_ENCRYPTION_OID: (SignatureFamily.RSASSA_PKCS1_V1_5, None),
    f"{_RSA}.4": (SignatureFamily.RSASSA_PKCS1_V1_5, _H.MD5),
    f"{_RSA}.5": (SignatureFamily.RSASSA_PKCS1_V1_5, _H.SHA1),
    "1.3.14.3.2.29": (SignatureFamily.RSASSA_PKCS1_V1_5, _H.SHA1),
    f"{_RSA}.11": (SignatureFamily.RSASSA_PKCS1_V1_5, _H.SHA256),
    f"{_RSA}.12": (SignatureFamily.RSASSA_PKCS1_V1_5, _H.SHA384),
    f"{_RSA}.13": (SignatureFamily.RSASSA_PKCS1_V1_5, _H.SHA512),
    f"{_RSA}.14": (SignatureFamily.RSASSA_PKCS1_V1_5, _H.SHA224),
    f"{_RSA}.15": (SignatureFamily.RSASSA_PKCS1_V1_5, _H.SHA512_224),
    f"{_RSA}.16": (SignatureFamily.RSASSA_PKCS1_V1_5, _H.SHA512_256),
    f"{_NIST}.13": (SignatureFamily.RSASSA_PKCS1_V1_5, _H.SHA3_224),
    f"{_NIST}.14": (SignatureFamily.RSASSA_PKCS1_V1_5, _H.SHA3_256),
    f"{_NIST}.15": (SignatureFamily.RSASSA_PKCS1_V1_5, _H.SHA3_384),
    f"{_NIST}.16": (SignatureFamily.RSASSA_PKCS1_V1_5, _H.SHA3_512),
    RSASSA_PSS_OID: (SignatureFamily.RSASSA_PSS, None),  # its parameters say which
    # RFC 5753, 7.1.3, RFC 9688, 3.2; some signers name the key instead
    EC_PUBLIC_KEY_OID: (SignatureFamily.ECDSA, None),
    "1.2.840.10045.4.1": (SignatureFamily.ECDSA, _H.SHA1),
    "1.2.840.10045.4.3.1": (SignatureFamily.ECDSA, _H.SHA224),
    "1.2.840.10045.4.3.2": (SignatureFamily.ECDSA, _H.SHA256),
    "1.2.840.10045.4.3.3": (SignatureFamily.ECDSA, _H.SHA384),
    "1.2.840.10045.4.3.4": (SignatureFamily.ECDSA, _H.SHA512),
    f"{_NIST}.9": (SignatureFamily.ECDSA, _H.SHA3_224),
    f"{_NIST}.10": (SignatureFamily.ECDSA, _H.SHA3_256),
    f"{_NIST}.11": (SignatureFamily.ECDSA, _H.SHA3_384),
    f"{_NIST}.12": (SignatureFamily.ECDSA, _H.SHA3_512),
    # RFC 3370, 3.1, RFC 5754, 3.1
    DSA_OID: (SignatureFamily.DSA, None),
    "1.2.840.10040.4.3": (SignatureFamily.DSA, _H.SHA1),
    "1.3.14.3.2.27": (SignatureFamily.DSA, _H.SHA1),
    f"{_NIST}.1": (SignatureFamily.DSA, _H.SHA224),
    f"{_NIST}.2": (SignatureFamily.DSA, _H.SHA256),
    # RFC 8419, 2.2; RFC 9882, 2
    "1.3.101.112": (SignatureFamily.ED25519, None),
    "1.3.101.113": (SignatureFamily.ED448, None),
    f"{_NIST}.17": (SignatureFamily.ML_DSA_44, None),
    f"{_NIST}.18": (SignatureFamily.ML_DSA_65, None),
    f"{_NIST}.19": (SignatureFamily.ML_DSA_87, None),
}
