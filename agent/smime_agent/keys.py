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
    from smime_agent.x509 import Certificate

#: DER SignedAttributes with the tag of SET OF: the only bytes that mail ever asks a key to sign (RFC 5652, 5.4).
ToBeSigned = NewType("ToBeSigned", bytes)


@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    """Who signs: the certificate of the key, what leads from it towards a root, and where to send encrypted mail.

    ``chain`` holds the CA certificates nearest first, up to and not including the root.
    """

    certificate: Certificate
    chain: tuple[Certificate, ...] = ()
    encryption_certificate: Certificate | None = None


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


@dataclass(frozen=True, slots=True)
class KeyQuery:
    """Which key is wanted: one that a person named, else one whose certificate covers an address.

    ``name`` is a ``pkcs11:`` URI, a hexadecimal id, a label or a mail address. With neither, the only key will do.
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
