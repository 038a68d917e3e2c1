"""Keys that exist in software already, put on a token: of vectors, and of people whom strangers' programs play too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pkcs11 import Attribute, KeyType, ObjectClass

from smime_agent import der
from smime_agent.algorithms import Curve
from smime_agent.tokens.objects import read_objects
from smime_agent.tokens.provision import store_certificate
from smime_agent.x509 import Certificate

if TYPE_CHECKING:
    from tests.support.softhsm import SoftToken

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | x25519.X25519PrivateKey
Template = dict[Attribute, Any]


def import_key(token: SoftToken, key: PrivateKey, certificate: bytes, label: str) -> None:
    """Put a private key that decrypts, its public key and its certificate (DER) on a token."""
    with token.session(writable=True) as session:
        session.login("for a test")
        common: Template = {
            Attribute.TOKEN: True,
            Attribute.ID: read_objects(session).free_id(),
            Attribute.LABEL: label,
        }
        private, public = _templates(key)
        with session.calling():
            session.working().create_object({**common, **_PRIVATE, **private})
            session.working().create_object({**common, Attribute.CLASS: ObjectClass.PUBLIC_KEY, **public})
        store_certificate(session, Certificate(certificate), label)


_PRIVATE: Template = {
    Attribute.CLASS: ObjectClass.PRIVATE_KEY,
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
}


def _templates(key: PrivateKey) -> tuple[Template, Template]:
    """What is said of the private and of the public key, by kind."""
    if isinstance(key, rsa.RSAPrivateKey):
        return _rsa(key)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        curve = next(curve for curve in Curve if curve.value == key.curve.name)
        common = {Attribute.KEY_TYPE: KeyType.EC, Attribute.EC_PARAMS: der.object_identifier(curve.oid)}
        value = key.private_numbers().private_value.to_bytes((key.key_size + 7) // 8)
        point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    else:  # SoftHSM 2.6 has Curve25519 under the key type of Edwards curves
        common = {Attribute.KEY_TYPE: KeyType.EC_EDWARDS, Attribute.EC_PARAMS: der.object_identifier("1.3.101.110")}
        value, point = key.private_bytes_raw(), key.public_key().public_bytes_raw()
    private = {**common, Attribute.DERIVE: True, Attribute.VALUE: value}
    return private, {**common, Attribute.EC_POINT: der.octet_string(point)}


def _rsa(key: rsa.RSAPrivateKey) -> tuple[Template, Template]:
    numbers = key.private_numbers()
    common = {
        Attribute.KEY_TYPE: KeyType.RSA,
        Attribute.MODULUS: _octets(numbers.public_numbers.n),
        Attribute.PUBLIC_EXPONENT: _octets(numbers.public_numbers.e),
    }
    private = {
        **common,
        Attribute.DECRYPT: True,
        Attribute.PRIVATE_EXPONENT: _octets(numbers.d),
        Attribute.PRIME_1: _octets(numbers.p),
        Attribute.PRIME_2: _octets(numbers.q),
        Attribute.EXPONENT_1: _octets(numbers.dmp1),
        Attribute.EXPONENT_2: _octets(numbers.dmq1),
        Attribute.COEFFICIENT: _octets(numbers.iqmp),
    }
    return private, {**common, Attribute.ENCRYPT: True}


def _octets(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8)
