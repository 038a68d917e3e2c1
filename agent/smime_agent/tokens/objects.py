"""What lies on a token: keys and certificates as plain values, and which belong together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import pkcs11
from pkcs11 import Attribute, ObjectClass

from smime_agent import der
from smime_agent.algorithms import Curve, KeyAlgorithm, KeyKind
from smime_agent.x509 import Certificate, InvalidCertificateError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from smime_agent.tokens.session import TokenSession
    from smime_agent.tokens.uri import Pkcs11Uri

_RSA_ENCRYPTION, _EC_PUBLIC_KEY = "1.2.840.113549.1.1.1", "1.2.840.10045.2.1"
_EDWARDS_AND_MONTGOMERY = {"1.3.101.112": KeyKind.ED25519, "1.3.101.110": KeyKind.X25519}
_CURVE_NAMES = {b"edwards25519": "1.3.101.112", b"curve25519": "1.3.101.110"}  # PKCS#11 v3.0, 2.3.10
#: What modules answer for an attribute that an object does not have or does not show.
_NOT_SHOWN = (
    pkcs11.AttributeTypeInvalid,
    pkcs11.AttributeSensitive,
    pkcs11.FunctionFailed,
    pkcs11.FunctionNotSupported,
    ValueError,
    NotImplementedError,
)


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A key pair on a token.

    ``public_key_info`` is its DER SubjectPublicKeyInfo, ``None`` where the token does not show the public key.
    ``private_seen`` is false where only the public half can be seen, as before the login.
    """

    id: bytes
    label: str
    algorithm: KeyAlgorithm
    public_key_info: bytes | None
    can_sign: bool
    can_decrypt: bool
    always_authenticate: bool
    private_seen: bool

    @property
    def name(self) -> str:
        """How a person is told which key is meant."""
        label = f" '{self.label}'" if self.label else ""
        return f"key {self.id.hex() or '(without id)'}{label}"

    def uri(self, token: Pkcs11Uri) -> Pkcs11Uri:
        """A URI that names this key on that token."""
        return replace(token, id=self.id, object=self.label or None, type="private")


@dataclass(frozen=True, slots=True)
class TokenCertificate:
    """A certificate object on a token."""

    id: bytes
    label: str
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class TokenObjects:
    """All keys and certificates of a token that can be seen now. What cannot be read is left out."""

    keys: tuple[TokenKey, ...]
    certificates: tuple[TokenCertificate, ...]

    def certificates_of(self, key: TokenKey) -> list[TokenCertificate]:
        """The certificates of a key: by public key, or by id where the token does not show the public key."""
        if key.public_key_info is None:
            return [found for found in self.certificates if found.id == key.id and not found.certificate.is_ca]
        return [found for found in self.certificates if found.certificate.public_key_info == key.public_key_info]

    def key_of(self, certificate: Certificate) -> TokenKey | None:
        """The key that a certificate is for."""
        return next((key for key in self.keys if key.public_key_info == certificate.public_key_info), None)

    def free_id(self) -> bytes:
        """The lowest id of one octet that nothing has, and two octets where all are taken."""
        taken = {key.id for key in self.keys} | {found.id for found in self.certificates}
        one = (bytes((number,)) for number in range(1, 256))
        two = (number.to_bytes(2, "big") for number in range(256, 65536))
        return next(candidate for candidates in (one, two) for candidate in candidates if candidate not in taken)


def read_objects(session: TokenSession) -> TokenObjects:
    """Everything that can be seen in this session: private keys as a rule only after the login."""
    with session.calling():
        certificates = tuple(sorted(_certificates(session), key=lambda found: (found.id, found.label)))
        public = [_read_key(found, private=False) for found in session.objects(ObjectClass.PUBLIC_KEY)]
        private = [_read_key(found, private=True) for found in session.objects(ObjectClass.PRIVATE_KEY)]
    known = list(private)
    seen = {(key.id, key.algorithm.kind) for key in private}
    known += [key for key in public if (key.id, key.algorithm.kind) not in seen]
    known.sort(key=lambda key: (key.id, key.label))
    return TokenObjects(tuple(_completed(key, public, certificates) for key in known), certificates)


def labels_of(session: TokenSession, key: TokenKey) -> tuple[str, ...]:
    """The labels of the halves of a key that can be seen now: OpenSC gives them other ones."""
    with session.calling():
        halves = [_read_key(found, private=False) for found in session.objects(ObjectClass.PUBLIC_KEY)]
        halves += [_read_key(found, private=True) for found in session.objects(ObjectClass.PRIVATE_KEY)]
    same = [half for half in halves if (half.id, half.algorithm.kind) == (key.id, key.algorithm.kind)]
    return tuple(half.label for half in same if half.public_key_info in {None, key.public_key_info})


def find_private(session: TokenSession, key: TokenKey) -> pkcs11.PrivateKey:
    """The private key object of ``key``, in the working session. The caller holds the lock.

    Raises:
        pkcs11.NoSuchKey: it is no longer there.
    """
    wanted = {Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.ID: key.id}
    found = list(session.working().get_objects(wanted))
    if len(found) > 1:  # ids can repeat: tell them apart by all that is known
        found = [candidate for candidate in found if _same(_read_key(candidate, private=True), key)]
    if not found:
        raise pkcs11.NoSuchKey
    return cast("pkcs11.PrivateKey", found[0])


def _same(candidate: TokenKey, key: TokenKey) -> bool:
    if candidate.public_key_info is not None:
        return candidate.public_key_info == key.public_key_info
    return (candidate.label, candidate.algorithm) == (key.label, key.algorithm)


def _completed(key: TokenKey, public: Sequence[TokenKey], certificates: Sequence[TokenCertificate]) -> TokenKey:
    """A private key with its public half, from the public key object or the certificate of the same id.

    PIV cards keep no public key objects; elliptic private keys seldom show their point.
    """
    if key.public_key_info is not None:
        return key
    infos = [other.public_key_info for other in public if other.id == key.id]
    infos += [found.certificate.public_key_info for found in certificates if found.id == key.id]
    algorithms = {found.certificate.public_key_info: found.certificate.key_algorithm for found in certificates}
    algorithms |= {other.public_key_info: other.algorithm for other in public if other.public_key_info}
    for info in infos:
        if info is not None and algorithms[info].kind is key.algorithm.kind:
            return replace(key, algorithm=algorithms[info], public_key_info=info)
    return key


def _certificates(session: TokenSession) -> Iterator[TokenCertificate]:
    for found in session.objects(ObjectClass.CERTIFICATE):
        try:
            certificate = Certificate(bytes(_get(found, Attribute.VALUE, b"")))
        except InvalidCertificateError:
            continue
        yield TokenCertificate(_get(found, Attribute.ID, b""), _get(found, Attribute.LABEL, ""), certificate)


def _read_key(found: pkcs11.Object, *, private: bool) -> TokenKey:
    algorithm, info = _public_key(found)
    signs = _get(found, Attribute.SIGN if private else Attribute.VERIFY, default=False)
    decrypts = (Attribute.DECRYPT, Attribute.UNWRAP) if private else (Attribute.ENCRYPT, Attribute.WRAP)
    return TokenKey(
        id=_get(found, Attribute.ID, b""),
        label=_get(found, Attribute.LABEL, ""),
        algorithm=algorithm,
        public_key_info=info,
        can_sign=signs,
        # The public half of a key for agreement says nothing of what it is for.
        can_decrypt=any(_get(found, attribute, default=False) for attribute in (*decrypts, Attribute.DERIVE))
        or not (private or signs or algorithm.kind is KeyKind.RSA),
        always_authenticate=private and _get(found, Attribute.ALWAYS_AUTHENTICATE, default=False),
        private_seen=private,
    )


def _public_key(found: pkcs11.Object) -> tuple[KeyAlgorithm, bytes | None]:
    """The algorithm of a key object, and its SubjectPublicKeyInfo where its attributes tell."""
    kind = _get(found, Attribute.KEY_TYPE, None)
    if kind is pkcs11.KeyType.RSA:
        return _rsa(found)
    parameters = _get(found, Attribute.EC_PARAMS, b"")
    point = _point(_get(found, Attribute.EC_POINT, b""))
    curve = next((curve for curve in Curve if der.object_identifier(curve.oid) == parameters), None)
    if kind is pkcs11.KeyType.EC:
        algorithm = KeyAlgorithm(KeyKind.EC, curve.bits if curve else 0, curve)
        return algorithm, _info(der.algorithm(_EC_PUBLIC_KEY, parameters), point) if point else None
    for oid, edwards in _EDWARDS_AND_MONTGOMERY.items():
        if parameters == der.object_identifier(oid) or _CURVE_NAMES.get(parameters[2:]) == oid:
            return KeyAlgorithm(edwards, 256), _info(der.algorithm(oid), point) if point else None
    return KeyAlgorithm(KeyKind.OTHER), None


def _rsa(found: pkcs11.Object) -> tuple[KeyAlgorithm, bytes | None]:
    modulus = int.from_bytes(_get(found, Attribute.MODULUS, b""), "big")
    exponent = int.from_bytes(_get(found, Attribute.PUBLIC_EXPONENT, b""), "big")
    algorithm = KeyAlgorithm(KeyKind.RSA, modulus.bit_length())
    if not (modulus and exponent):
        return algorithm, None
    key = der.sequence(der.integer(modulus), der.integer(exponent))
    return algorithm, _info(der.algorithm(_RSA_ENCRYPTION, der.NULL), key)


def _info(algorithm: bytes, key: bytes) -> bytes:
    return der.sequence(algorithm, der.tlv(0x03, b"\0", key))


def _point(value: bytes) -> bytes:
    """CKA_EC_POINT is the DER OCTET STRING of the point; some modules give the bare point."""
    bare = value[2 if value[1:2] < b"\x80" else 3 :]
    return bare if value[:1] == b"\x04" and der.octet_string(bare) == value else value


def _get(found: pkcs11.Object, attribute: Attribute, default: Any) -> Any:  # noqa: ANN401 - attributes have many types
    """One attribute, asked for alone: some modules refuse a whole list for one that they do not know."""
    try:
        value = found[attribute]
    except _NOT_SHOWN:
        return default
    return bytes(value) if isinstance(default, bytes) else value
