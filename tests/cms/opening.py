"""Messages opened with private keys in memory: what a token and the road of `decrypt` do, without them."""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, x25519

from smime_agent.algorithms import Curve, KeyAlgorithm, KeyKind
from smime_agent.cms import content_type, oids
from smime_agent.cms.content_encryption import content_cipher
from smime_agent.cms.enveloped_data import AuthEnvelopedData, EnvelopedData
from smime_agent.cms.key_agreement import originator_point, unwrap_agreed
from smime_agent.cms.key_transport import RSAES_OAEP_OID, oaep_parameters
from smime_agent.cms.recipient_info import (
    KeyAgreeRecipientInfo,
    KeyTransRecipientInfo,
    OriginatorPublicKey,
    read_recipient_info,
)
from smime_agent.source import Source

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | x25519.X25519PrivateKey


def opened(octets: bytes, key: PrivateKey, *, legacy: bool = False, chunk: int = 1 << 18) -> bytes:
    """The content, by the first recipient whose kind fits the key."""
    source = Source.from_bytes(octets)
    authenticated = content_type(source) == oids.ID_AUTH_ENVELOPED_DATA
    found = AuthEnvelopedData.read(source) if authenticated else EnvelopedData.read(source)
    info = found.encrypted_content_info
    assert info.content is not None
    additional = found.encoded_attributes if isinstance(found, AuthEnvelopedData) else None
    mac = found.mac if isinstance(found, AuthEnvelopedData) else None
    decryptor = content_cipher(
        info.content_encryption_algorithm,
        content_key(found.recipient_infos, key, legacy=legacy),
        legacy=legacy,
        additional=additional,
    ).decryptor()
    assert decryptor.is_authenticated == authenticated
    encrypted = b"".join(info.content.chunks())
    pieces = [decryptor.update(encrypted[at : at + chunk]) for at in range(0, len(encrypted), chunk)]
    return b"".join(pieces) + decryptor.finish(mac)


def content_key(recipient_infos: tuple[bytes, ...], key: PrivateKey, *, legacy: bool = False) -> bytes:
    for encoded in recipient_infos:
        info = read_recipient_info(encoded)
        if isinstance(info, KeyTransRecipientInfo) and isinstance(key, rsa.RSAPrivateKey):
            return key.decrypt(info.encrypted_key, rsa_padding(info))
        if isinstance(info, KeyAgreeRecipientInfo) and not isinstance(key, rsa.RSAPrivateKey):
            assert isinstance(info.originator, OriginatorPublicKey)
            secret = shared_secret(key, info.originator)
            wrapped = info.recipient_encrypted_keys[0].encrypted_key
            algorithm, ukm = info.key_encryption_algorithm, info.user_keying_material
            return unwrap_agreed(secret, algorithm, ukm, wrapped, legacy=legacy)
    raise AssertionError("no recipient fits the key")


def rsa_padding(info: KeyTransRecipientInfo) -> padding.AsymmetricPadding:
    if info.key_encryption_algorithm.oid != RSAES_OAEP_OID:
        return padding.PKCS1v15()
    found = oaep_parameters(info.key_encryption_algorithm.parameters)
    digest, mask = (getattr(hashes, one.name)() for one in (found.hash_function, found.mask_hash))
    return padding.OAEP(padding.MGF1(mask), digest, found.label or None)


def shared_secret(key: ec.EllipticCurvePrivateKey | x25519.X25519PrivateKey, originator: OriginatorPublicKey) -> bytes:
    if isinstance(key, x25519.X25519PrivateKey):
        point = originator_point(originator, KeyAlgorithm(KeyKind.X25519, 256))
        return key.exchange(x25519.X25519PublicKey.from_public_bytes(point))
    curve = next((curve for curve in Curve if curve.value == key.curve.name), None)
    algorithm = KeyAlgorithm(KeyKind.EC, key.curve.key_size, curve, variant="" if curve else key.curve.name)
    point = originator_point(originator, algorithm)
    return key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(key.curve, point))
