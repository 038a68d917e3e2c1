"""What we produce, in closed enums, with the standards' names, object identifiers and limits.

Nothing here computes a signature: a scheme says which algorithm identifiers go into a CMS object, and a key says which
schemes it can be used with.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING

from smime_agent import der
from smime_agent.errors import PolicyError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

#: RFC 8551, 4.2: signatures with shorter RSA keys are of historic interest.
MINIMUM_RSA_BITS = 2048


class Digest(Enum):
    """A message digest algorithm. The value is its name on the command line and in :mod:`hashlib`."""

    SHA256 = "sha256"
    SHA384 = "sha384"
    SHA512 = "sha512"

    @cached_property
    def oid(self) -> str:
        """The object identifier, dotted."""
        return f"2.16.840.1.101.3.4.2.{('sha256', 'sha384', 'sha512').index(self.value) + 1}"

    @cached_property
    def size(self) -> int:
        """The length of a digest, in octets."""
        return hashlib.new(self.value).digest_size

    @cached_property
    def micalg(self) -> str:
        """The name in a ``micalg`` parameter (RFC 8551, 3.5.3.2)."""
        return self.value.replace("sha", "sha-")

    @cached_property
    def algorithm_identifier(self) -> bytes:
        """The DER AlgorithmIdentifier, its parameters absent (RFC 5754, 2)."""
        return der.algorithm(self.oid)

    @cached_property
    def algorithm_identifier_with_null(self) -> bytes:
        """The same with NULL parameters, as RFC 8017 (A.2.4, B.1) wants it in DigestInfo and PSS parameters."""
        return der.algorithm(self.oid, der.NULL)

    def of(self, data: bytes) -> bytes:
        """The digest of ``data``."""
        return self.new(data).digest()

    def digest_info(self, digest: bytes) -> bytes:
        """The DigestInfo that RSASSA-PKCS1-v1_5 pads and signs (RFC 8017, 9.2)."""
        return self._digest_info_head + digest

    @cached_property
    def new(self) -> Callable[..., hashlib._Hash]:
        """The constructor in :mod:`hashlib`."""
        constructor: Callable[..., hashlib._Hash] = getattr(hashlib, self.value)
        return constructor

    @cached_property
    def _digest_info_head(self) -> bytes:
        whole = der.sequence(self.algorithm_identifier_with_null, der.octet_string(bytes(self.size)))
        return whole[: -self.size]


#: RFC 5480, 2.1.1.1.
_CURVE_OIDS = {"P256": "1.2.840.10045.3.1.7", "P384": "1.3.132.0.34", "P521": "1.3.132.0.35"}


class Curve(Enum):
    """A NIST curve. The value is its name in SEC 2 and OpenSSL."""

    P256 = "secp256r1"
    P384 = "secp384r1"
    P521 = "secp521r1"

    @cached_property
    def oid(self) -> str:
        """The object identifier, dotted."""
        return _CURVE_OIDS[self.name]

    @cached_property
    def bits(self) -> int:
        """The size of the field, in bits."""
        return int(self.value[4:7])

    @cached_property
    def digest(self) -> Digest:
        """The digest of like strength (RFC 5753, 7)."""
        return {256: Digest.SHA256, 384: Digest.SHA384, 521: Digest.SHA512}[self.bits]


class KeyKind(Enum):
    """What kind of mathematics a key is for."""

    RSA = "RSA"
    EC = "EC"
    ED25519 = "Ed25519"
    ED448 = "Ed448"
    X25519 = "X25519"
    DSA = "DSA"
    ML_DSA = "ML-DSA"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class KeyAlgorithm:
    """The kind of a key, its size in bits and, for elliptic curves over prime fields, its curve.

    ``variant`` names what others use and we do not: another curve (``brainpoolP256r1``), a parameter set (``65``).
    """

    kind: KeyKind
    bits: int = 0
    curve: Curve | None = None
    variant: str = ""

    def __str__(self) -> str:
        """``RSA 2048``, ``EC P-256``, ``EC brainpoolP256r1``, ``Ed25519``, ``ML-DSA-65``."""
        if self.kind in {KeyKind.RSA, KeyKind.DSA}:
            return f"{self.kind.value} {self.bits}" if self.bits else self.kind.value
        if self.kind is KeyKind.EC:
            return f"EC P-{self.curve.bits}" if self.curve else f"EC {self.variant}".rstrip()
        return f"{self.kind.value}-{self.variant}" if self.variant else self.kind.value


class KeyType(Enum):
    """A key that we generate. The value is its name on the command line."""

    RSA_2048 = "rsa:2048"
    RSA_3072 = "rsa:3072"
    RSA_4096 = "rsa:4096"
    EC_P256 = "ec:p256"
    EC_P384 = "ec:p384"
    EC_P521 = "ec:p521"
    ED25519 = "ed25519"
    X25519 = "x25519"

    @cached_property
    def algorithm(self) -> KeyAlgorithm:
        """The algorithm of such a key."""
        family, _, size = self.value.partition(":")
        if family == "rsa":
            return KeyAlgorithm(KeyKind.RSA, int(size))
        if family == "ec":
            return KeyAlgorithm(KeyKind.EC, int(size[1:]), Curve[size.upper()])
        return KeyAlgorithm(KeyKind[self.name], 256)


class KeyUsage(Enum):
    """What a key is generated for. The value is its name on the command line."""

    SIGN = "sign"
    DECRYPT = "decrypt"
    BOTH = "both"


class Padding(Enum):
    """How an RSA signature is padded. The value is its name on the command line."""

    PKCS1 = "pkcs1"
    PSS = "pss"


class SignatureAlgorithm(Enum):
    """A signature algorithm, by its name in the standards."""

    RSASSA_PKCS1_V1_5 = "RSASSA-PKCS1-v1_5"
    RSASSA_PSS = "RSASSA-PSS"
    ECDSA = "ECDSA"
    ED25519 = "Ed25519"


@dataclass(frozen=True)
class SignatureScheme:
    """A signature algorithm with its digest: all that a SignerInfo says about how it was signed."""

    algorithm: SignatureAlgorithm
    digest: Digest

    def __str__(self) -> str:
        """``RSASSA-PSS with SHA-256``; for Ed25519 the digest is that of the content alone."""
        return f"{self.algorithm.value} with {self.digest.micalg.upper()}"

    @cached_property
    def algorithm_identifier(self) -> bytes:
        """The DER SignatureAlgorithmIdentifier of a SignerInfo."""
        match self.algorithm:
            case SignatureAlgorithm.RSASSA_PKCS1_V1_5:  # RFC 3370, 3.2: rsaEncryption is the one all must support
                return der.algorithm("1.2.840.113549.1.1.1", der.NULL)
            case SignatureAlgorithm.RSASSA_PSS:
                return der.algorithm("1.2.840.113549.1.1.10", self._pss_parameters())
            case SignatureAlgorithm.ECDSA:  # ecdsa-with-SHA256 and up, RFC 5758, 3.2: parameters absent
                return der.algorithm(f"1.2.840.10045.4.3.{list(Digest).index(self.digest) + 2}")
            case SignatureAlgorithm.ED25519:  # RFC 8419, 2.2: parameters absent
                return der.algorithm("1.3.101.112")

    def _pss_parameters(self) -> bytes:
        """RSASSA-PSS-params in full, the salt as long as the digest (RFC 4056, 2.2)."""
        digest = self.digest.algorithm_identifier_with_null
        return der.sequence(
            der.context(0, digest),
            der.context(1, der.algorithm("1.2.840.113549.1.1.8", digest)),
            der.context(2, der.integer(self.digest.size)),
        )

    @classmethod
    def for_key(
        cls, key: KeyAlgorithm, digest: Digest | None = None, padding: Padding | None = None
    ) -> SignatureScheme:
        """The scheme a key signs with; what is left open is chosen to match the key.

        Raises:
            UsageError: the key cannot be used with this digest or padding, or cannot sign at all.
            PolicyError: the key is too short.
        """
        if padding is not None and key.kind is not KeyKind.RSA:
            msg = f"--padding is for RSA keys, and this key is {key}"
            raise UsageError(msg)
        if key.kind is KeyKind.RSA:
            if key.bits < MINIMUM_RSA_BITS:
                msg = f"an RSA key of {key.bits} bits is too short to sign with"
                raise PolicyError(msg, hint=f"recipients refuse less than {MINIMUM_RSA_BITS} bits: generate a new key")
            pss = padding is Padding.PSS
            algorithm = SignatureAlgorithm.RSASSA_PSS if pss else SignatureAlgorithm.RSASSA_PKCS1_V1_5
            return cls(algorithm, digest or Digest.SHA256)
        if key.kind is KeyKind.EC and key.curve:
            return cls(SignatureAlgorithm.ECDSA, digest or key.curve.digest)
        if key.kind is KeyKind.ED25519:
            if digest not in (None, Digest.SHA512):  # RFC 8419, 3.1
                msg = "an Ed25519 key signs mail with SHA-512 only"
                raise UsageError(msg, hint="leave --digest out")
            return cls(SignatureAlgorithm.ED25519, Digest.SHA512)
        msg = f"a key of type {key} cannot sign"
        raise UsageError(msg, hint="choose another one with --key; 'smime-agent key list' shows them")


#: RFC 3565, 4.1; RFC 5084, 3.2; RFC 8103, 3.
_CONTENT_ENCRYPTION_OIDS = {
    "aes128-cbc": "2.16.840.1.101.3.4.1.2",
    "aes128-gcm": "2.16.840.1.101.3.4.1.6",
    "aes192-cbc": "2.16.840.1.101.3.4.1.22",
    "aes256-cbc": "2.16.840.1.101.3.4.1.42",
    "aes256-gcm": "2.16.840.1.101.3.4.1.46",
    "chacha20-poly1305": "1.2.840.113549.1.9.16.3.18",
}


class ContentEncryption(Enum):
    """A content-encryption algorithm that we encrypt with. The value is its name on the command line."""

    AES128_GCM = "aes128-gcm"
    AES256_GCM = "aes256-gcm"
    AES128_CBC = "aes128-cbc"
    AES192_CBC = "aes192-cbc"
    AES256_CBC = "aes256-cbc"
    CHACHA20_POLY1305 = "chacha20-poly1305"

    def __str__(self) -> str:
        """``AES-256-GCM``, ``ChaCha20-Poly1305``: the names of the standards."""
        if self is ContentEncryption.CHACHA20_POLY1305:
            return "ChaCha20-Poly1305"
        return f"AES-{self.value[3:6]}-{self.value[7:].upper()}"

    @cached_property
    def oid(self) -> str:
        """The object identifier, dotted."""
        return _CONTENT_ENCRYPTION_OIDS[self.value]

    @cached_property
    def key_size(self) -> int:
        """The length of a content-encryption key, in octets."""
        return 32 if self is ContentEncryption.CHACHA20_POLY1305 else int(self.value[3:6]) // 8

    @cached_property
    def is_authenticated(self) -> bool:
        """Whoever decrypts notices a change: the algorithm is for AuthEnvelopedData, else for EnvelopedData."""
        return not self.value.endswith("-cbc")
