"""The standards, read once more, for what no program here can do: X25519 and ChaCha20-Poly1305, and all the rest too.

asn1crypto takes the CMS apart, and cryptography does the mathematics. The vectors on the keys of RFC 9216 judge it.
Source: RFC 5652, 6; RFC 5083, 2; RFC 5753, 7.2; RFC 8418, 2; RFC 8103, 2; RFC 4055, 4.1.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from asn1crypto import cms, core, keys, x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, keywrap
from cryptography.hazmat.primitives import padding as block_padding
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, x25519
from cryptography.hazmat.primitives.ciphers import Cipher, aead, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.interop.correspondents import Failed, Person, Stranger

_AES: Final = "2.16.840.1.101.3.4.1"
_WRAPS: Final = {f"{_AES}.5": 16, f"{_AES}.25": 24, f"{_AES}.45": 32}
_KDFS: Final[dict[str, tuple[bool, hashes.HashAlgorithm]]] = {
    "1.3.132.1.11.1": (False, hashes.SHA256()),
    "1.3.132.1.11.2": (False, hashes.SHA384()),
    "1.3.132.1.11.3": (False, hashes.SHA512()),
    "1.2.840.113549.1.9.16.3.19": (True, hashes.SHA256()),
    "1.2.840.113549.1.9.16.3.20": (True, hashes.SHA384()),
    "1.2.840.113549.1.9.16.3.21": (True, hashes.SHA512()),
}
_CBC: Final = {f"{_AES}.2": 16, f"{_AES}.22": 24, f"{_AES}.42": 32}
_GCM: Final = {f"{_AES}.6": 16, f"{_AES}.26": 24, f"{_AES}.46": 32}
_CHACHA: Final = "1.2.840.113549.1.9.16.3.18"


@dataclass(frozen=True)
class Agreement:
    """How the book agrees on a key with an X25519 recipient."""

    kdf: str = "1.2.840.113549.1.9.16.3.19"
    wrap: str = f"{_AES}.45"
    ukm: bytes | None = None


class EnvelopeBook(Stranger):
    """Writes AuthEnvelopedData with ChaCha20-Poly1305, and reads everything that we write."""

    name = "the book"

    def encrypt(self, content: bytes, *recipients: Person, cipher: str = "chacha20-poly1305") -> bytes:
        """For X25519 keys, each by the best that there is."""
        if cipher != "chacha20-poly1305":
            raise Failed(f"{self.name} does not write {cipher}")
        return self.write(content, *((person, Agreement()) for person in recipients))

    def write(self, content: bytes, *recipients: tuple[Person, Agreement]) -> bytes:
        """For X25519 keys, as is said of each."""
        key, nonce = os.urandom(32), os.urandom(12)
        encrypted = aead.ChaCha20Poly1305(key).encrypt(nonce, content, None)
        info = {
            "content_type": "data",
            # RFC 8103, 2.1: the parameters are the nonce, an OCTET STRING.
            "content_encryption_algorithm": {"algorithm": _CHACHA, "parameters": core.OctetString(nonce)},
            "encrypted_content": encrypted[:-16],
        }
        envelope = {
            "version": 0,
            "recipient_infos": [_agreed(person, how, key) for person, how in recipients],
            "auth_encrypted_content_info": info,
            "mac": encrypted[-16:],
        }
        written = cms.ContentInfo({"content_type": "authenticated_enveloped_data", "content": envelope})
        return bytes(written.dump())

    @staticmethod
    def compress(content: bytes) -> bytes:
        """CompressedData (RFC 3274), which OpenSSL makes only where it was built with zlib."""
        compressed = {
            "version": 0,
            "compression_algorithm": {"algorithm": "zlib"},
            "encap_content_info": {"content_type": "data", "content": zlib.compress(content)},
        }
        return bytes(cms.ContentInfo({"content_type": "compressed_data", "content": compressed}).dump())

    def decrypt(self, message: bytes, person: Person) -> bytes:
        """By the recipient that has the issuer and serial number of the certificate, or its key identifier."""
        info = cms.ContentInfo.load(message, strict=True)
        kind, content = info["content_type"].native, info["content"]
        if kind not in {"enveloped_data", "authenticated_enveloped_data"}:
            raise Failed(f"not encrypted: {kind}")
        authenticated = kind == "authenticated_enveloped_data"
        part = content["auth_encrypted_content_info" if authenticated else "encrypted_content_info"]
        key = next((found for one in content["recipient_infos"] if (found := _key(one, person))), None)
        if key is None:
            raise Failed("it is for others")
        mac = content["mac"].native if authenticated else None
        return _plaintext(part["content_encryption_algorithm"], key, part["encrypted_content"].native, mac)


def _key(recipient: Any, person: Person) -> bytes | None:  # noqa: ANN401 - asn1crypto has no types
    """The content-encryption key, if the recipient is this person."""
    if recipient.name == "ktri":
        return _transported(recipient.chosen, person)
    return _agreed_upon(recipient.chosen, person)


def _transported(info: Any, person: Person) -> bytes | None:  # noqa: ANN401 - the same
    if not _is_meant(info["rid"], person) or not isinstance(person.key, rsa.RSAPrivateKey):
        return None
    algorithm = info["key_encryption_algorithm"]
    encrypted = info["encrypted_key"].native
    if algorithm["algorithm"].native == "rsaes_pkcs1v15":
        if algorithm["parameters"].dump() != b"\x05\x00":  # RFC 3370, 4.2.1
            raise Failed("the parameters are not NULL")
        return person.key.decrypt(encrypted, padding.PKCS1v15())
    parameters = algorithm["parameters"]
    digest, mask = (
        {"sha256": hashes.SHA256(), "sha1": hashes.SHA1()}[name]  # noqa: S303 - the default of OAEP
        for name in (
            parameters["hash_algorithm"]["algorithm"].native,
            parameters["mask_gen_algorithm"]["parameters"]["algorithm"].native,
        )
    )
    label = parameters["p_source_algorithm"]["parameters"].native
    return person.key.decrypt(encrypted, padding.OAEP(padding.MGF1(mask), digest, label or None))


def _agreed_upon(info: Any, person: Person) -> bytes | None:  # noqa: ANN401 - the same
    """RFC 5753, 3.1.2 and 7.2; RFC 8418, 2."""
    for one in info["recipient_encrypted_keys"]:
        if not _is_meant(one["rid"], person):
            continue
        algorithm = info["key_encryption_algorithm"]
        wrap = cms.KeyEncryptionAlgorithm.load(algorithm["parameters"].dump())
        ukm = info["ukm"].native
        originator = info["originator"].chosen["public_key"].native
        secret = _secret(person, originator)
        kdf = _KDFS[algorithm["algorithm"].dotted]
        key = _derived(kdf, secret, algorithm["parameters"].dump(), _WRAPS[wrap["algorithm"].dotted], ukm)
        return keywrap.aes_key_unwrap(key, one["encrypted_key"].native)
    return None


def _secret(person: Person, public: bytes) -> bytes:
    if isinstance(person.key, x25519.X25519PrivateKey):
        return person.key.exchange(x25519.X25519PublicKey.from_public_bytes(public))
    if isinstance(person.key, ec.EllipticCurvePrivateKey):
        return person.key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(person.key.curve, public))
    raise Failed("an RSA key agrees with nobody")


def _derived(kdf: tuple[bool, hashes.HashAlgorithm], secret: bytes, wrap: bytes, size: int, ukm: bytes | None) -> bytes:
    with_hkdf, function = kdf
    length = core.OctetString((8 * size).to_bytes(4)).dump()
    shared = wrap
    if ukm is not None:
        shared += _tagged(0, core.OctetString(ukm).dump())
    shared += _tagged(2, length)
    info = b"\x30" + bytes([len(shared)]) + shared
    if with_hkdf:
        return HKDF(function, size, ukm, info).derive(secret)
    return X963KDF(function, size, info).derive(secret)


def _tagged(number: int, encoded: bytes) -> bytes:
    """Under an explicit tag; all is shorter than 128 octets."""
    return bytes([0xA0 | number, len(encoded)]) + encoded


def _is_meant(identifier: Any, person: Person) -> bool:  # noqa: ANN401 - the same
    """CHOICE of issuerAndSerialNumber and, by whatever name, subjectKeyIdentifier."""
    certificate = person.encoded
    chosen = identifier.chosen
    if identifier.name == "issuer_and_serial_number":
        issuer, serial = chosen["issuer"].dump(), chosen["serial_number"].native
        return (issuer, serial) == (certificate.issuer_encoded, certificate.serial_number)
    named = chosen["subject_key_identifier"] if identifier.name == "r_key_id" else chosen
    return bool(named.native == certificate.subject_key_identifier)


def _plaintext(algorithm: Any, key: bytes, encrypted: bytes, mac: bytes | None) -> bytes:  # noqa: ANN401 - the same
    oid, parameters = algorithm["algorithm"].dotted, algorithm["parameters"]
    try:
        if oid in _CBC and mac is None and len(key) == _CBC[oid]:
            opened = Cipher(algorithms.AES(key), modes.CBC(parameters.native)).decryptor().update(encrypted)
            unpadder = block_padding.PKCS7(128).unpadder()
            return unpadder.update(opened) + unpadder.finalize()
        if oid in _GCM and mac is not None and len(key) == _GCM[oid]:
            # RFC 5084, 3.2: SEQUENCE { aes-nonce OCTET STRING, aes-ICVlen INTEGER DEFAULT 12 }
            nonce, size = _gcm_parameters(parameters.dump())
            if len(mac) != size:
                raise Failed("the tag is not as long as it says")
            return aead.AESGCM(key).decrypt(nonce, encrypted + mac, None)
        if oid == _CHACHA and mac is not None:
            return aead.ChaCha20Poly1305(key).decrypt(parameters.native, encrypted + mac, None)
    except (InvalidTag, ValueError) as error:
        raise Failed("it was changed") from error
    raise Failed(f"{oid}, in the wrong place or with a wrong key")


class _GcmParameters(core.Sequence):  # type: ignore[misc]  # asn1crypto has no types
    _fields: ClassVar = [("nonce", core.OctetString), ("icv_length", core.Integer, {"default": 12})]


def _gcm_parameters(encoded: bytes) -> tuple[bytes, int]:
    found = _GcmParameters.load(encoded, strict=True)
    return found["nonce"].native, found["icv_length"].native


def _agreed(person: Person, how: Agreement, key: bytes) -> Any:  # noqa: ANN401 - asn1crypto has no types
    """A KeyAgreeRecipientInfo for an X25519 key (RFC 8418, 3)."""
    assert isinstance(person.key, x25519.X25519PrivateKey)
    own = x25519.X25519PrivateKey.generate()
    wrap = cms.KeyEncryptionAlgorithm({"algorithm": how.wrap})
    encryption_key = _derived(
        _KDFS[how.kdf], own.exchange(person.key.public_key()), wrap.dump(), _WRAPS[how.wrap], how.ukm
    )
    issuer = x509.Name.load(person.encoded.issuer_encoded)
    named = {"issuer": issuer, "serial_number": person.encoded.serial_number}
    public = own.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    fields: dict[str, Any] = {
        "version": 3,
        "originator": cms.OriginatorIdentifierOrKey(
            name="originator_key",
            value=keys.PublicKeyInfo.load(public),
        ),
        "key_encryption_algorithm": {"algorithm": how.kdf, "parameters": wrap},
        "recipient_encrypted_keys": [
            {
                "rid": cms.KeyAgreementRecipientIdentifier(name="issuer_and_serial_number", value=named),
                "encrypted_key": keywrap.aes_key_wrap(encryption_key, key),
            }
        ],
    }
    if how.ukm is not None:
        fields["ukm"] = how.ukm
    return cms.RecipientInfo(name="kari", value=cms.KeyAgreeRecipientInfo(fields))
