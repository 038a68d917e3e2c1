"""What changes a token: initialising it, its PINs, new keys, and certificates for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pkcs11 import Attribute, CertificateType, KeyType, Mechanism, MechanismFlag, ObjectClass

from smime_agent import der
from smime_agent.algorithms import KeyKind, KeyUsage
from smime_agent.errors import NoKeyError, PinIncorrectError, TokenError, UsageError
from smime_agent.tokens.mechanisms import quirks_of
from smime_agent.tokens.objects import TokenCertificate, TokenKey, read_objects

if TYPE_CHECKING:
    from smime_agent.algorithms import KeyType as GeneratedKey
    from smime_agent.keys import Pin
    from smime_agent.tokens.session import TokenSession
    from smime_agent.tokens.token import Token
    from smime_agent.x509 import Certificate

_LABEL_OCTETS = 32
_SIGN = MechanismFlag.SIGN | MechanismFlag.VERIFY
_TRANSPORT = MechanismFlag.DECRYPT | MechanismFlag.ENCRYPT | MechanismFlag.UNWRAP | MechanismFlag.WRAP
_AGREEMENT = MechanismFlag.DERIVE


def init_token(token: Token, label: str, so_pin: Pin) -> None:
    """Initialise a token: everything on it is destroyed, it gets ``label`` and, if it was blank, the SO PIN.

    Raises:
        UsageError: the label is empty or longer than 32 octets.
        PinIncorrectError: it was initialised before, with another SO PIN.
        TokenError: it refuses, as when another program uses it.
    """
    if not label or len(_text(label).encode()) > _LABEL_OCTETS:
        msg = "a token's label has 1 to 32 octets"
        raise UsageError(msg)
    try:
        with token.module.calling(token.info.name):
            token.module.functions.init_token(token.slot.slot_id, so_pin.reveal(), label)
    except PinIncorrectError as error:
        msg = f"{token.info.name} does not accept this SO PIN"
        hint = "SoftHSM wants 4 to 255 characters; a token in use keeps the SO PIN it has"
        raise PinIncorrectError(msg, hint=hint) from error


def set_user_pin(session: TokenSession, so_pin: Pin, pin: Pin) -> None:
    """Give a token its user PIN, in a writable session: the security officer sets the first one, or a new one.

    Raises:
        PinIncorrectError: the SO PIN is wrong, or the token takes no such user PIN.
    """
    session.login_security_officer(so_pin)
    try:
        session.set_pin(pin)
    except PinIncorrectError as error:
        msg = f"{session.name} takes no such PIN"
        raise PinIncorrectError(msg, hint="SoftHSM wants 4 to 255 characters, PIV cards 6 to 8") from error
    finally:
        pin.wipe()


def change_user_pin(session: TokenSession, old: Pin, new: Pin) -> None:
    """Change the user PIN, in a writable session: one try is spent on the old one."""
    session.check_tries()
    try:
        session.change_pin(old, new)
    finally:
        old.wipe()
        new.wipe()


def generate_key(
    session: TokenSession, key_type: GeneratedKey, usage: KeyUsage, key_id: bytes | None, label: str
) -> TokenKey:
    """A new key pair on the token, in a writable session that is logged in. The private key never leaves it.

    Raises:
        UsageError: such a key cannot be used so, or the id is taken.
        TokenError: the token cannot make such a key.
    """
    capabilities = _capabilities(key_type, usage)
    existing = read_objects(session)
    chosen = existing.free_id() if key_id is None else key_id
    if any(key.id == chosen for key in existing.keys):
        msg = f"{session.name} has a key with the id {chosen.hex()}"
        raise UsageError(msg, hint="leave --id out to take a free one")
    common: dict[str, Any] = {"id": chosen, "label": _text(label), "store": True, "capabilities": capabilities}
    private = {
        Attribute.PRIVATE: True,
        Attribute.SENSITIVE: True,
        Attribute.EXTRACTABLE: False,
        Attribute.SIGN: MechanismFlag.SIGN in capabilities,
        Attribute.DECRYPT: MechanismFlag.DECRYPT in capabilities,
        Attribute.UNWRAP: MechanismFlag.UNWRAP in capabilities,
        Attribute.DERIVE: MechanismFlag.DERIVE in capabilities,
    }
    with session.calling(), session.patience:
        working = session.working()
        if key_type.algorithm.kind is KeyKind.RSA:
            working.generate_keypair(KeyType.RSA, key_type.algorithm.bits, private_template=private, **common)
        else:
            kind, parameters, mechanism = _curve(session, key_type)
            domain = working.create_domain_parameters(kind, {Attribute.EC_PARAMS: parameters}, local=True)
            domain.generate_keypair(mechanism=mechanism, private_template=private, **common)
    return next(key for key in read_objects(session).keys if key.id == chosen)


def store_certificate(session: TokenSession, certificate: Certificate, label: str | None) -> TokenCertificate:
    """Put a certificate beside its key, in a writable session that is logged in; one that is there stays.

    Raises:
        NoKeyError: no key on the token is its key.
    """
    objects = read_objects(session)
    key = objects.key_of(certificate)
    if key is None:
        msg = f"no key on {session.name} is the key of this certificate ({certificate.subject})"
        raise NoKeyError(msg, hint="'smime-agent key list' shows the keys; another token may hold it")
    for found in objects.certificates:
        if found.certificate == certificate:
            return found
    chosen = _text(label if label is not None else key.label or certificate.name)
    with session.calling():
        session.working().create_object(
            {
                Attribute.CLASS: ObjectClass.CERTIFICATE,
                Attribute.CERTIFICATE_TYPE: CertificateType.X_509,
                Attribute.TOKEN: True,
                Attribute.PRIVATE: False,
                Attribute.ID: key.id,
                Attribute.LABEL: chosen,
                Attribute.SUBJECT: certificate.subject_encoded,
                Attribute.ISSUER: certificate.issuer_encoded,
                Attribute.SERIAL_NUMBER: der.integer(certificate.serial_number),
                Attribute.VALUE: certificate.encoded,
            }
        )
    return TokenCertificate(key.id, chosen, certificate)


def _text(label: str) -> str:
    """The label, which must be text: python-pkcs11 crashes on one that cannot be encoded."""
    try:
        label.encode()
    except UnicodeEncodeError:
        msg = "a label is text in UTF-8"
        raise UsageError(msg) from None
    return label


def _capabilities(key_type: GeneratedKey, usage: KeyUsage) -> MechanismFlag:
    """What the key may be used for, as PKCS#11 says it."""
    kind = key_type.algorithm.kind
    decrypts = _TRANSPORT if kind is KeyKind.RSA else _AGREEMENT
    possible = {KeyKind.ED25519: KeyUsage.SIGN, KeyKind.X25519: KeyUsage.DECRYPT}.get(kind, usage)
    if usage is not possible:
        msg = f"a key of type {key_type.value} can only be used with --usage {possible.value}"
        raise UsageError(msg)
    return {KeyUsage.SIGN: _SIGN, KeyUsage.DECRYPT: decrypts, KeyUsage.BOTH: _SIGN | decrypts}[usage]


def _curve(session: TokenSession, key_type: GeneratedKey) -> tuple[KeyType, bytes, Mechanism]:
    """The PKCS#11 key type, CKA_EC_PARAMS and mechanism that make a key on a curve."""
    algorithm = key_type.algorithm
    if algorithm.curve:
        return KeyType.EC, der.object_identifier(algorithm.curve.oid), Mechanism.EC_KEY_PAIR_GEN
    if algorithm.kind is KeyKind.X25519 and not quirks_of(session.token.info.library_description).x25519_as_edwards:
        msg = f"{session.name}: X25519 keys of this module cannot be made from here"
        raise TokenError(msg, hint="choose ec:p256, or make the key with the token's own tool")
    oid = "1.3.101.112" if algorithm.kind is KeyKind.ED25519 else "1.3.101.110"
    return KeyType.EC_EDWARDS, der.object_identifier(oid), Mechanism.EC_EDWARDS_KEY_PAIR_GEN
