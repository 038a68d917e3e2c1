"""The ports through which the roads reach a key, and the plain values that pass through them.

Each port is one power. Another power is another Protocol, never a flag.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, NewType, Protocol

from smime_agent.errors import PinUnavailableError

if TYPE_CHECKING:
    from smime_agent.algorithms import SignatureScheme

#: DER SignedAttributes with the tag of SET OF: the only bytes that mail ever asks a key to sign (RFC 5652, 5.4).
ToBeSigned = NewType("ToBeSigned", bytes)


class SignerCertificate(Protocol):
    """As much of a certificate as it takes to sign with its key; see :class:`~smime_agent.x509.Certificate`."""

    @property
    def encoded(self) -> bytes:
        """DER."""
        ...

    @property
    def issuer_encoded(self) -> bytes:
        """The issuer's name, in DER."""
        ...

    @property
    def serial_number(self) -> int:
        """The serial number."""
        ...

    @property
    def fingerprint(self) -> bytes:
        """The SHA-256 digest of the encoding."""
        ...

    @property
    def mailboxes(self) -> tuple[str, ...]:
        """The mailboxes that it covers."""
        ...

    def covers(self, address: str, /) -> bool:
        """One of the mailboxes is ``address``."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    """Who signs: the certificate of the key, what leads from it towards a root, and where to send encrypted mail.

    ``chain`` holds the CA certificates nearest first, up to and not including the root.
    """

    certificate: SignerCertificate
    chain: tuple[SignerCertificate, ...] = ()
    encryption_certificate: SignerCertificate | None = None


class Signer(Protocol):
    """A key that signs mail."""

    @property
    def identity(self) -> Identity:
        """Who signs."""
        ...

    @property
    def scheme(self) -> SignatureScheme:
        """How."""
        ...

    def sign(self, tbs: ToBeSigned) -> bytes:
        """The signature over ``tbs`` as a SignerInfo carries it."""
        ...


class ContentKey:
    """A content-encryption key in memory that does not print."""

    __slots__ = ("_octets",)

    def __init__(self, octets: bytes) -> None:
        """Hold ``octets``."""
        self._octets = octets

    def __repr__(self) -> str:
        """Never the key."""
        return "ContentKey(...)"

    def reveal(self) -> bytes:
        """The octets, for a cipher and nothing else."""
        return self._octets


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A content-encryption key as one recipient got it: all that a key is ever asked to unwrap.

    ``recipient_info`` is one RecipientInfo, encoded; ``position`` tells which of its RecipientEncryptedKeys is meant,
    and is 0 where it has none (RFC 5652, 6.2). ``content_encryption`` is the DER AlgorithmIdentifier of the content,
    which says how long the key is.
    """

    recipient_info: bytes
    position: int
    content_encryption: bytes


class Decrypter(Protocol):
    """A key that unwraps content-encryption keys."""

    @property
    def name(self) -> str:
        """Which key on which token, for people."""
        ...

    def unwrap(self, wrapped: WrappedKey, *, legacy: bool = False) -> ContentKey:
        """The content-encryption key, by one private-key operation that is never repeated.

        Where RSAES-PKCS1-v1_5 fails, a random key of the right length is returned, and nobody can tell
        (RFC 3218, 2.3.2). ``legacy`` permits keys wrapped with Triple DES.

        Raises:
            DecryptionError: the key is another one, or was changed; never with RSAES-PKCS1-v1_5.
            UntrustworthyError: the RecipientInfo is damaged, or of a kind that this key cannot unwrap.
            PolicyError: only ``legacy`` permits it.
            TokenError, PinError: from the token.
        """
        ...


@dataclass(frozen=True, slots=True)
class KeyQuery:
    """Which key is wanted: one that a person named, else one whose certificate covers an address.

    ``name`` is a ``pkcs11:`` URI, a hexadecimal id, a label, a mail address or the SHA-1 or SHA-256 fingerprint of a
    certificate. With neither, the only key will do.
    """

    name: str | None = None
    addresses: tuple[str, ...] = ()


class Pin:
    """A PIN in memory that does not print, and that can be wiped."""

    __slots__ = ("_octets",)

    def __init__(self, octets: bytes | bytearray) -> None:
        """Hold a copy of ``octets``."""
        self._octets = bytearray(octets)

    def __repr__(self) -> str:
        """Never the PIN."""
        return "Pin(...)"

    def __bool__(self) -> bool:
        """There is something in it, and it was not wiped."""
        return any(self._octets)

    def reveal(self) -> bytearray:
        """The octets themselves, not a copy: for the call into the token and nothing else."""
        return self._octets

    def text(self) -> str:
        """The same as text, for a call that takes no octets.

        Raises:
            PinUnavailableError: it is not UTF-8, which all PINs are (PKCS#11 v2.40, 5.6).
        """
        try:
            return self._octets.decode()
        except UnicodeDecodeError:  # without its cause, which holds the octets
            msg = "this PIN is not text in UTF-8"
            raise PinUnavailableError(msg, hint="a file or a variable may hold it in another encoding") from None

    def wipe(self) -> None:
        """Overwrite the octets, and let go of them where no call still looks at them."""
        self._octets[:] = bytes(len(self._octets))
        with suppress(BufferError):
            self._octets.clear()


@dataclass(frozen=True, slots=True)
class PinRequest:
    """What a person should know before typing a PIN.

    ``tries_left`` is ``None`` when the token does not say; ``warning`` is a sentence when the token says that
    tries were spent before.
    """

    token: str
    serial: str
    purpose: str
    tries_left: int | None = None
    warning: str | None = None


class Prompter(Protocol):
    """Where PINs and touches come from."""

    def pin(self, request: PinRequest) -> Pin:
        """The PIN for a token.

        Raises:
            PinUnavailableError: nobody can be asked, or the answer was no.
        """
        ...

    def pad(self, token: str) -> None:
        """The PIN is about to be wanted on the token's own pad."""
        ...

    def touch(self, token: str) -> None:
        """The token has not answered for a second: it may be waiting for a touch."""
        ...
