"""Keys that are the same in every run: each is made from a label.

RSA and DSA are done by hand, for digests and paddings that no library signs with any more.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final, Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.spoofs.asn1 import NULL, bits, context, integer, octets, oid, sequence

if TYPE_CHECKING:
    from collections.abc import Iterator

DIGESTS: Final = {
    "md5": "1.2.840.113549.2.5",
    "sha1": "1.3.14.3.2.26",
    "sha256": "2.16.840.1.101.3.4.2.1",
    "sha384": "2.16.840.1.101.3.4.2.2",
    "sha512": "2.16.840.1.101.3.4.2.3",
}
_HASHES: Final[dict[str, type[hashes.SHA1 | hashes.SHA256 | hashes.SHA384 | hashes.SHA512]]] = {
    "sha1": hashes.SHA1,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}
_RSA: Final = "1.2.840.113549.1.1"
_RSA_WITH: Final = {"md5": f"{_RSA}.4", "sha1": f"{_RSA}.5", "sha256": f"{_RSA}.11", "sha512": f"{_RSA}.13"}
_ECDSA: Final = "1.2.840.10045.4"
_ECDSA_WITH: Final = {"sha1": f"{_ECDSA}.1", "sha256": f"{_ECDSA}.3.2", "sha384": f"{_ECDSA}.3.3"}
_ECDSA_WITH["sha512"] = f"{_ECDSA}.3.4"
_DSA_WITH: Final = {"sha1": "1.2.840.10040.4.3", "sha256": "2.16.840.1.101.3.4.3.2"}
_SMALL_PRIMES: Final = tuple(n for n in range(3, 2000) if all(n % k for k in range(2, int(n**0.5) + 1)))


def digest(name: str, data: bytes) -> bytes:
    """A hash by its name here."""
    return hashlib.new(name, data, usedforsecurity=False).digest()


def digest_algorithm(name: str) -> bytes:
    """Its AlgorithmIdentifier, without parameters (RFC 5754, 2)."""
    return sequence(oid(DIGESTS[name]))


class Key(Protocol):
    """A key that signs whatever it is told to."""

    @property
    def public_info(self) -> bytes:
        """The SubjectPublicKeyInfo."""

    def algorithm(self, digest_name: str) -> bytes:
        """The AlgorithmIdentifier of its signatures."""

    def sign(self, data: bytes, digest_name: str) -> bytes:
        """A signature."""


@dataclass(frozen=True)
class EcKey:
    """ECDSA, without randomness (RFC 6979)."""

    private: ec.EllipticCurvePrivateKey

    @property
    def public_info(self) -> bytes:
        """The SubjectPublicKeyInfo."""
        return self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def pem(self) -> bytes:
        """The private key in PEM."""
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def algorithm(self, digest_name: str) -> bytes:
        """ecdsa-with-SHA*."""
        return sequence(oid(_ECDSA_WITH[digest_name]))

    def sign(self, data: bytes, digest_name: str) -> bytes:
        """Ecdsa-Sig-Value."""
        return self.private.sign(data, ec.ECDSA(_HASHES[digest_name](), deterministic_signing=True))


@dataclass(frozen=True)
class Ed25519Key:
    """EdDSA; the name of a digest only says what messageDigest is made with (RFC 8419, 3.1)."""

    private: ed25519.Ed25519PrivateKey

    @property
    def public_info(self) -> bytes:
        """The SubjectPublicKeyInfo."""
        return self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def algorithm(self, _digest_name: str) -> bytes:
        """id-Ed25519."""
        return sequence(oid("1.3.101.112"))

    def sign(self, data: bytes, _digest_name: str) -> bytes:
        """Sixty-four octets."""
        return self.private.sign(data)


@dataclass(frozen=True)
class RsaKey:
    """RSASSA-PKCS1-v1_5."""

    p: int
    q: int
    e: int

    @property
    def n(self) -> int:
        """The modulus."""
        return self.p * self.q

    @property
    def size(self) -> int:
        """The octets of a signature."""
        return (self.n.bit_length() + 7) // 8

    @property
    def public_info(self) -> bytes:
        """The SubjectPublicKeyInfo."""
        return sequence(sequence(oid(f"{_RSA}.1"), NULL), bits(sequence(integer(self.n), integer(self.e))))

    def algorithm(self, digest_name: str) -> bytes:
        """sha*WithRSAEncryption."""
        return sequence(oid(_RSA_WITH[digest_name]), NULL)

    def sign(self, data: bytes, digest_name: str) -> bytes:
        """RFC 8017, 8.2.1."""
        info = digest_info(data, digest_name)
        padded = b"\x00\x01" + b"\xff" * (self.size - len(info) - 3) + b"\x00" + info
        d = pow(self.e, -1, (self.p - 1) * (self.q - 1))
        return pow(int.from_bytes(padded), d, self.n).to_bytes(self.size)


@dataclass(frozen=True)
class PssKey(RsaKey):
    """The same key with RSASSA-PSS, whose parameters can say another digest than the one that is used."""

    says: str = ""

    def algorithm(self, digest_name: str) -> bytes:
        """id-RSASSA-PSS with its parameters (RFC 4055, 3.1)."""
        hashed = sequence(oid(DIGESTS[self.says or digest_name]))
        salt = len(digest(self.says or digest_name, b""))
        mask = sequence(oid(f"{_RSA}.8"), hashed)
        return sequence(oid(f"{_RSA}.10"), sequence(context(0, hashed), context(1, mask), context(2, integer(salt))))

    def sign(self, data: bytes, digest_name: str) -> bytes:
        """RFC 8017, 8.1.1."""
        d = pow(self.e, -1, (self.p - 1) * (self.q - 1))
        public = rsa.RSAPublicNumbers(self.e, self.n)
        exponents = (d % (self.p - 1), d % (self.q - 1), pow(self.q, -1, self.p))
        private = rsa.RSAPrivateNumbers(self.p, self.q, d, *exponents, public).private_key()
        chosen = _HASHES[self.says or digest_name]()
        return private.sign(data, padding.PSS(padding.MGF1(chosen), chosen.digest_size), chosen)


@dataclass(frozen=True)
class DsaKey:
    """DSA with 1024 bits."""

    p: int
    q: int
    x: int

    @property
    def g(self) -> int:
        """A generator of the subgroup."""
        return pow(2, (self.p - 1) // self.q, self.p)

    @property
    def public_info(self) -> bytes:
        """The SubjectPublicKeyInfo."""
        parameters = sequence(integer(self.p), integer(self.q), integer(self.g))
        return sequence(sequence(oid("1.2.840.10040.4.1"), parameters), bits(integer(pow(self.g, self.x, self.p))))

    def algorithm(self, digest_name: str) -> bytes:
        """dsa-with-SHA*."""
        return sequence(oid(_DSA_WITH[digest_name]))

    def sign(self, data: bytes, digest_name: str) -> bytes:
        """FIPS 186-4, 4.6."""
        hashed = int.from_bytes(digest(digest_name, data)[: self.q.bit_length() // 8])
        k = int.from_bytes(digest("sha512", data)) % self.q
        r = pow(self.g, k, self.p) % self.q
        s = pow(k, -1, self.q) * (hashed + self.x * r) % self.q
        return sequence(integer(r), integer(s))


def digest_info(data: bytes, name: str) -> bytes:
    """The DigestInfo of RFC 8017, 9.2."""
    return sequence(sequence(oid(DIGESTS[name]), NULL), octets(digest(name, data)))


@cache
def ec_key(label: str) -> EcKey:
    """A key on P-256."""
    return EcKey(ec.derive_private_key(int.from_bytes(digest("sha256", label.encode())) >> 1, ec.SECP256R1()))


@cache
def ed25519_key(label: str) -> Ed25519Key:
    """A key of Ed25519."""
    return Ed25519Key(ed25519.Ed25519PrivateKey.from_private_bytes(digest("sha256", label.encode())))


@cache
def rsa_key(label: str, size: int = 2048, e: int = 65537) -> RsaKey:
    """An RSA key."""
    p, q = (_prime(f"{label} {name}", size // 2, e) for name in "pq")
    return RsaKey(p, q, e)


@cache
def pss_key(label: str, says: str = "") -> PssKey:
    """An RSA key for PSS."""
    plain = rsa_key(label)
    return PssKey(plain.p, plain.q, plain.e, says)


@cache
def dsa_key(label: str) -> DsaKey:
    """A DSA key."""
    q = _prime(f"{label} q", 160, 3)
    start = (1 << 1023 | next(_numbers(f"{label} p", 1023))) // (2 * q) * (2 * q) + 1
    p = next(n for n in range(start, start << 1, 2 * q) if _is_prime(n))
    return DsaKey(p, q, next(_numbers(f"{label} x", 150)))


def _numbers(label: str, size: int) -> Iterator[int]:
    count = 0
    while True:
        yield (
            int.from_bytes(hashlib.shake_256(f"{label} {size} {count}".encode()).digest(size // 8 + 1)) >> 8 - size % 8
        )
        count += 1


def _prime(label: str, size: int, e: int) -> int:
    high = 3 << size - 2
    start = next(_numbers(label, size)) | high | 1
    return next(n for n in range(start, start << 1, 2) if n % e != 1 and _is_prime(n))


def _is_prime(number: int) -> bool:
    """Probably: random numbers that pass Fermat's test are prime for all that these tests need."""
    return all(number % small for small in _SMALL_PRIMES) and pow(2, number - 1, number) == 1
