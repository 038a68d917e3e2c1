"""Token keys as private keys of the ``cryptography`` package, for its builders of requests and CMS objects.

Its builders ask whether a key is one of its own abstract classes, and then call ``sign``. Nothing else works here:
the key stays where it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, Self, cast

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from smime_agent.algorithms import Digest, KeyKind, Padding, SignatureScheme
from smime_agent.errors import MechanismError, UsageError
from smime_agent.tokens.signer import SigningKey

if TYPE_CHECKING:
    Buffer = bytes | bytearray | memoryview
    from cryptography.hazmat.primitives import hashes

    from smime_agent.tokens.objects import TokenKey
    from smime_agent.tokens.session import TokenSession


class _OnToken:
    """What all of them share: where the key is, and that it cannot be taken out."""

    def __init__(self, session: TokenSession, key: TokenKey) -> None:
        if key.public_key_info is None:
            msg = f"{session.name} does not show the public key of {key.name}"
            raise MechanismError(msg, hint="import its certificate first")
        self._session, self._key = session, key
        self._public_key = load_der_public_key(key.public_key_info)

    def public_key(self) -> Any:  # noqa: ANN401 - each class has its own
        """The public half."""
        return self._public_key

    @property
    def key_size(self) -> int:
        """In bits."""
        return self._key.algorithm.bits

    def _sign(self, data: Buffer, digest: Digest | None, rsa_padding: Padding | None = None) -> bytes:
        scheme = SignatureScheme.for_key(self._key.algorithm, digest, rsa_padding)
        return SigningKey(self._session, self._key, scheme).sign(bytes(data))

    def _stays(self, *_: object, **__: object) -> NoReturn:
        msg = f"{self._key.name} cannot leave {self._session.name}"
        raise MechanismError(msg)

    private_bytes = private_bytes_raw = private_numbers = decrypt = exchange = _stays

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


class TokenRsaKey(_OnToken, rsa.RSAPrivateKey):
    """An RSA key on a token."""

    def sign(self, data: Buffer, padding: object, algorithm: object) -> bytes:
        """A signature over ``data``, which is hashed here."""
        return self._sign(data, _digest(algorithm), _padding(padding))


class TokenEcKey(_OnToken, ec.EllipticCurvePrivateKey):
    """An ECDSA key on a token."""

    @property
    def curve(self) -> ec.EllipticCurve:
        """The curve."""
        return cast("ec.EllipticCurvePublicKey", self._public_key).curve

    def sign(self, data: Buffer, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """A DER ECDSA-Sig-Value over ``data``, which is hashed here."""
        return self._sign(data, _digest(signature_algorithm.algorithm))


class TokenEd25519Key(_OnToken, ed25519.Ed25519PrivateKey):
    """An Ed25519 key on a token."""

    def sign(self, data: Buffer) -> bytes:
        """A signature over ``data``, which goes to the token whole."""
        return self._sign(data, None)


def private_key(session: TokenSession, key: TokenKey) -> TokenRsaKey | TokenEcKey | TokenEd25519Key:
    """The key as ``cryptography`` takes it.

    Raises:
        UsageError: keys of this kind cannot sign.
    """
    match key.algorithm.kind:
        case KeyKind.RSA:
            return TokenRsaKey(session, key)
        case KeyKind.EC:
            return TokenEcKey(session, key)
        case KeyKind.ED25519:
            return TokenEd25519Key(session, key)
    msg = f"a key of type {key.algorithm} cannot sign"
    raise UsageError(msg, hint="a certificate for it must be requested by other means than a signed request")


def _digest(algorithm: object) -> Digest:
    name = cast("hashes.HashAlgorithm", algorithm).name
    try:
        return Digest(name)
    except ValueError:
        msg = f"token keys sign with SHA-256, SHA-384 and SHA-512, not with {name}"
        raise UsageError(msg) from None


def _padding(value: object) -> Padding:
    return Padding.PSS if isinstance(value, padding.PSS) else Padding.PKCS1
