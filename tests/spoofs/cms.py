"""SignedData that says whatever it is told to (RFC 5652, 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.spoofs.asn1 import NULL, context, implicit, integer, octets, oid, sequence, set_of, time, tlv
from tests.spoofs.keys import digest, digest_algorithm

if TYPE_CHECKING:
    from tests.spoofs.certificates import Identity
    from tests.spoofs.keys import Key

_PKCS7: Final = "1.2.840.113549.1.7"
DATA, SIGNED_DATA, ENVELOPED_DATA = f"{_PKCS7}.1", f"{_PKCS7}.2", f"{_PKCS7}.3"
DIGESTED_DATA: Final = f"{_PKCS7}.5"
COMPRESSED_DATA: Final = "1.2.840.113549.1.9.16.1.9"
_PKCS9: Final = "1.2.840.113549.1.9"
COUNTERSIGNATURE: Final = f"{_PKCS9}.6"
AT: Final = "260301100000Z"


def attribute(kind: str, *values: bytes) -> bytes:
    """One attribute."""
    return sequence(oid(kind), set_of(*values))


def content_type(*kinds: str) -> bytes:
    """The attribute contentType."""
    return attribute(f"{_PKCS9}.3", *map(oid, kinds or (DATA,)))


def message_digest(content: bytes, name: str = "sha256") -> bytes:
    """The attribute messageDigest."""
    return attribute(f"{_PKCS9}.4", octets(digest(name, content)))


def signing_time(*times: str) -> bytes:
    """The attribute signingTime."""
    return attribute(f"{_PKCS9}.5", *map(time, times or (AT,)))


def signing_certificate(certificate: bytes) -> bytes:
    """The attribute signingCertificateV2, for SHA-256 (RFC 5035, 3)."""
    return attribute(f"{_PKCS9}.16.2.47", sequence(sequence(sequence(octets(digest("sha256", certificate))))))


def old_signing_certificate(certificate: bytes) -> bytes:
    """The attribute signingCertificate (RFC 2634, 5.4)."""
    return attribute(f"{_PKCS9}.16.2.12", sequence(sequence(sequence(octets(digest("sha1", certificate))))))


def algorithm_protection(key: Key, digest_name: str = "sha256", signature_digest: str = "") -> bytes:
    """The attribute CMSAlgorithmProtection (RFC 6211, 2)."""
    signature = key.algorithm(signature_digest or digest_name)[1:]
    return attribute(f"{_PKCS9}.52", sequence(digest_algorithm(digest_name), b"\xa1" + signature))


def usual(content: bytes, name: str = "sha256", at: str = AT) -> tuple[bytes, ...]:
    """The attributes of an honest signature."""
    return (content_type(), signing_time(at), message_digest(content, name))


@dataclass(frozen=True)
class SignerInfo:
    """One signature. Without attributes it is over ``content``; ``over`` is signed instead of either."""

    signer: Identity
    attributes: tuple[bytes, ...] = ()
    content: bytes = b""
    digest: str = "sha256"
    signature_digest: str = ""  # if another than of the content
    by_key_identifier: bool = False
    over: bytes | None = None
    signature: bytes | None = None
    key: Key | None = None  # another than the certificate's
    algorithm: bytes | None = None  # another than the key's
    unsigned: tuple[bytes, ...] = ()
    encoded: bytes | None = None  # what travels as signedAttrs instead

    @property
    def to_be_signed(self) -> bytes:
        """What an honest signature is over."""
        return set_of(*self.attributes) if self.attributes else self.content

    @property
    def signed(self) -> bytes:
        """The signature."""
        if self.signature is not None:
            return self.signature
        over = self.to_be_signed if self.over is None else self.over
        return (self.key or self.signer.key).sign(over, self.signature_digest or self.digest)

    @property
    def der(self) -> bytes:
        """The SignerInfo."""
        attributes = tlv(0xA0, *sorted(self.attributes)) if self.attributes else b""
        named = sequence(self.signer.issuer, integer(self.signer.serial))
        key = self.key or self.signer.key
        return sequence(
            integer(3 if self.by_key_identifier else 1),
            implicit(0, self.signer.key_identifier) if self.by_key_identifier else named,
            digest_algorithm(self.digest),
            attributes if self.encoded is None else self.encoded,
            self.algorithm or key.algorithm(self.signature_digest or self.digest),
            octets(self.signed),
            tlv(0xA1, *self.unsigned) if self.unsigned else b"",
        )


@dataclass(frozen=True)
class SignedData:
    """SignedData; ``content`` is there where the signature is not detached."""

    signer_infos: tuple[SignerInfo, ...]
    certificates: tuple[bytes, ...] = ()
    content: bytes | None = None
    content_type: str = DATA
    crls: tuple[bytes, ...] = ()
    digests: tuple[str, ...] | None = None

    @property
    def body(self) -> bytes:
        """The SignedData alone."""
        names = sorted({each.digest for each in self.signer_infos}) if self.digests is None else self.digests
        content = b"" if self.content is None else context(0, octets(self.content))
        version = 3 if self.content_type != DATA or any(each.by_key_identifier for each in self.signer_infos) else 1
        return sequence(
            integer(version),
            tlv(0x31, *map(digest_algorithm, names)),
            sequence(oid(self.content_type), content),
            tlv(0xA0, *self.certificates) if self.certificates else b"",
            tlv(0xA1, *self.crls) if self.crls else b"",
            tlv(0x31, *(each.der for each in self.signer_infos)),
        )

    @property
    def der(self) -> bytes:
        """The ContentInfo."""
        return content_info(SIGNED_DATA, self.body)


def content_info(kind: str, body: bytes) -> bytes:
    """A ContentInfo."""
    return sequence(oid(kind), context(0, body))


def signed(signer: Identity, content: bytes, *, attached: bool = False) -> SignedData:
    """An honest signature; what lies is made of it with ``dataclasses.replace``."""
    return SignedData((SignerInfo(signer, usual(content)),), signer.chain, content=content if attached else None)


def enveloped() -> bytes:
    """EnvelopedData that nobody can open."""
    cipher = sequence(oid("2.16.840.1.101.3.4.1.2"), octets(b"\0" * 16))
    algorithm = sequence(oid("1.2.840.113549.1.1.1"), NULL)
    recipient = sequence(integer(2), implicit(0, b"\1" * 20), algorithm, octets(b"\2" * 256))
    encrypted = sequence(oid(DATA), cipher, implicit(0, b"\0" * 32))
    return sequence(integer(2), tlv(0x31, recipient), encrypted)
