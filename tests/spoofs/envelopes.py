"""EnvelopedData, AuthEnvelopedData and CompressedData that say whatever they are told to, for people with keys here."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import rsa, x25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from smime_agent.algorithms import ContentEncryption
from smime_agent.cms.enveloped_data_builder import encrypt, recipient_info
from smime_agent.x509 import Certificate
from tests.spoofs.asn1 import context, implicit, integer, octets, oid, sequence, tlv
from tests.spoofs.cms import COMPRESSED_DATA, DATA, ENVELOPED_DATA, content_info
from tests.spoofs.keys import EcKey, RsaKey, digest, ec_key, rsa_key
from tests.spoofs.mime import part
from tests.spoofs.workshop import Workshop
from tests.support.host_keys import HostKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.spoofs.certificates import Identity

AUTH_ENVELOPED_DATA: Final = "1.2.840.113549.1.9.16.1.23"
ZLIB: Final = "1.2.840.113549.1.9.16.3.8"
ENVELOPED: Final = b"application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m"
AUTH_ENVELOPED: Final = b"application/pkcs7-mime; smime-type=authEnveloped-data; name=smime.p7m"
COMPRESSED: Final = b"application/pkcs7-mime; smime-type=compressed-data; name=smime.p7z"
GCM, CBC, CHACHA20 = (
    ContentEncryption.AES256_GCM,
    ContentEncryption.AES128_CBC,
    ContentEncryption.CHACHA20_POLY1305,
)


@cache
def bob_of(kind: str = "ec") -> HostKey:
    """Bob, with a key on P-256, an RSA key that is short so that it is quick (``rsa``), or one of ``x25519``."""
    if kind == "x25519":
        private = x25519.X25519PrivateKey.from_private_bytes(digest("sha256", b"bob"))
        public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        identity = Workshop().person("bob@example.org", key=ec_key("bob x25519"), public_info=public)
        return HostKey(private, Certificate(identity.certificate))
    key = ec_key("bob") if kind == "ec" else rsa_key("bob", 1024)
    return host_key(Workshop().person("bob@example.org", key=key))


def host_key(identity: Identity) -> HostKey:
    """A key that decrypts."""
    certificate = Certificate(identity.certificate)
    if isinstance(identity.key, EcKey):
        return HostKey(identity.key.private, certificate)
    assert isinstance(identity.key, RsaKey)
    return HostKey(_rsa_private(identity.key), certificate)


def _rsa_private(key: RsaKey) -> rsa.RSAPrivateKey:
    d = pow(key.e, -1, (key.p - 1) * (key.q - 1))
    exponents = (d % (key.p - 1), d % (key.q - 1), pow(key.q, -1, key.p))
    return rsa.RSAPrivateNumbers(key.p, key.q, d, *exponents, rsa.RSAPublicNumbers(key.e, key.n)).private_key()


@dataclass(frozen=True)
class Seal:
    """How a content is encrypted, and for whom."""

    to: tuple[Certificate, ...]
    cipher: ContentEncryption = GCM
    oaep: bool = True

    def recipient_infos(self, key: bytes) -> list[bytes]:
        """One for each certificate."""
        return [recipient_info(each, key, self.cipher, oaep=self.oaep, randomness=os.urandom) for each in self.to]

    def on(self, content: bytes) -> bytes:
        """An honest object in DER."""
        key = os.urandom(self.cipher.key_size)
        infos = self.recipient_infos(key)
        return b"".join(encrypt([content], len(content), self.cipher, key, infos, randomness=os.urandom))

    def entity(self, content: bytes) -> bytes:
        """The same as a part of a mail."""
        return part(AUTH_ENVELOPED if self.cipher.is_authenticated else ENVELOPED, self.on(content))


def enveloped_cbc(  # noqa: PLR0913 - what an EnvelopedData is made of
    infos: Sequence[bytes],
    content: bytes,
    key: bytes,
    *,
    kind: str = DATA,
    originator: bytes = b"",
    encrypted: bytes | None = None,
    after: bytes = b"",
) -> bytes:
    """An EnvelopedData with AES-CBC; ``encrypted`` is an encoded encryptedContent in place of the honest one."""
    vector = os.urandom(16)
    padding = 16 - len(content) % 16
    encryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
    ciphertext = encryptor.update(content + bytes((padding,)) * padding)
    cipher = sequence(oid("2.16.840.1.101.3.4.1.2"), octets(vector))
    info = sequence(oid(kind), cipher, implicit(0, ciphertext) if encrypted is None else encrypted)
    return content_info(ENVELOPED_DATA, sequence(integer(2), originator, tlv(0x31, *infos), info, after))


def auth_enveloped(  # noqa: PLR0913 - what an AuthEnvelopedData is made of
    infos: Sequence[bytes],
    content: bytes,
    key: bytes,
    *,
    kind: str = DATA,
    originator: bytes = b"",
    attributes: bytes = b"",
    pieces: int = 0,
) -> bytes:
    """An AuthEnvelopedData with AES-GCM; ``attributes`` are authenticated, ``pieces`` cuts the content in BER."""
    nonce = os.urandom(12)
    encryptor = Cipher(algorithms.AES(key), modes.GCM(nonce)).encryptor()
    if attributes:
        encryptor.authenticate_additional_data(tlv(0x31, attributes))
    ciphertext = encryptor.update(content) + encryptor.finalize()
    name = {16: "6", 32: "46"}[len(key)]
    cipher = sequence(oid(f"2.16.840.1.101.3.4.1.{name}"), sequence(octets(nonce), integer(16)))
    encrypted = implicit(0, ciphertext)
    if pieces:
        cut = (ciphertext[at : at + pieces] for at in range(0, len(ciphertext), pieces))
        encrypted = b"\xa0\x80" + b"".join(map(octets, cut)) + b"\0\0"
    authenticated = tlv(0xA1, attributes) if attributes else b""
    info = sequence(oid(kind), cipher, encrypted)
    body = sequence(integer(0), originator, tlv(0x31, *infos), info, authenticated, octets(encryptor.tag))
    return content_info(AUTH_ENVELOPED_DATA, body)


def compressed(content: bytes, kind: str = DATA) -> bytes:
    """A CompressedData in DER."""
    packed = zlib.compress(content, 9)
    inside = sequence(oid(kind), context(0, octets(packed)))
    return content_info(COMPRESSED_DATA, sequence(integer(0), sequence(oid(ZLIB)), inside))
