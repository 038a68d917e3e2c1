"""How a message is encrypted, out of what its recipients can decrypt: a pure function, and why it says what it says.

RFC 8551, 2.7.1, lets the first choice of a recipient win. Here the strongest algorithm that all can decrypt wins, in an
order of our own: authenticated before not, and longer keys before shorter ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from smime_agent.algorithms import ContentEncryption, KeyKind
from smime_agent.cms.key_transport import needs_oaep

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from smime_agent.smime.recipients import Recipient

#: The strongest first.
PREFERENCE: Final = (
    ContentEncryption.AES256_GCM,
    ContentEncryption.AES128_GCM,
    ContentEncryption.CHACHA20_POLY1305,
    ContentEncryption.AES256_CBC,
    ContentEncryption.AES192_CBC,
    ContentEncryption.AES128_CBC,
)
#: What everybody can decrypt who conforms to S/MIME 3.2 or later (RFC 5751, 2.7; RFC 8551, 2.7).
COMMON: Final = ContentEncryption.AES128_CBC
_UNKNOWN: Final = "it is not known what they can decrypt"
_AT_CURVES: Final = "programs that know their kind of key know AES-256-GCM as a rule"
_AT_LEAST: Final = f"{COMMON} is what every S/MIME program reads"


class RsaPadding(Enum):
    """How a content-encryption key is encrypted to an RSA key. The value is its name on the command line."""

    PKCS1 = "pkcs1"
    OAEP = "oaep"

    def __str__(self) -> str:
        """The name of the standards."""
        return "RSAES-OAEP with SHA-256" if self is RsaPadding.OAEP else "RSAES-PKCS1-v1_5"


@dataclass(frozen=True, slots=True)
class Wrapping:
    """How one recipient gets the content-encryption key; ``how`` is for people, ``because`` a sentence or empty.

    ``can_decrypt`` are the content-encryption algorithms that they are taken to know, and ``limits`` says why.
    """

    recipient: Recipient
    how: str
    can_decrypt: frozenset[ContentEncryption]
    limits: str
    oaep: bool = False
    because: str = ""


@dataclass(frozen=True, slots=True)
class Negotiated:
    """The content-encryption algorithm, how each recipient gets the key, and why: sentences without a full stop.

    ``warnings`` are about recipients who, as they say themselves, may not be able to read it.
    """

    cipher: ContentEncryption
    because: tuple[str, ...]
    wrappings: tuple[Wrapping, ...]
    warnings: tuple[str, ...] = ()


def negotiate(
    recipients: Sequence[Recipient],
    own: Sequence[Recipient] = (),
    *,
    cipher: ContentEncryption | None = None,
    padding: RsaPadding | None = None,
) -> Negotiated:
    """How to encrypt to these recipients; ``own`` are those of the sender, who reads whatever this program writes.

    ``cipher`` and ``padding`` are what a person wants, and win. Whether the certificates may be used is not asked.
    """
    wrappings = tuple(_wrapping(recipient, padding) for recipient in recipients)
    ours = tuple(_wrapping(recipient, padding, own=True) for recipient in own)
    chosen, because = (cipher, ("it was asked for",)) if cipher else _chosen(wrappings or ours)
    warnings = tuple(dict.fromkeys(_warnings(chosen, wrappings)))
    return Negotiated(chosen, because, (*wrappings, *ours), warnings)


def _warnings(chosen: ContentEncryption, wrappings: Sequence[Wrapping]) -> Iterator[str]:
    for wrapping in wrappings:
        said = wrapping.recipient.capabilities
        if said is not None and (said.content_encryption or said.retired) and chosen not in said.content_encryption:
            named = ", ".join([*map(str, said.content_encryption), *said.retired])
            yield f"{wrapping.recipient.certificate.holder} may not be able to decrypt {chosen}: they name only {named}"


def _chosen(wrappings: Sequence[Wrapping]) -> tuple[ContentEncryption, tuple[str, ...]]:
    common = frozenset(PREFERENCE).intersection(*(wrapping.can_decrypt for wrapping in wrappings))
    if not common:
        text = f"the recipients have no algorithm in common, and {COMMON} is what S/MIME programs must read"
        return COMMON, (text,)
    chosen = next(cipher for cipher in PREFERENCE if cipher in common)
    if chosen is PREFERENCE[0]:
        return chosen, (_all_can(wrappings, chosen),)
    stronger = PREFERENCE[: PREFERENCE.index(chosen)]
    held_back = [wrapping for wrapping in wrappings if not set(stronger) <= wrapping.can_decrypt]
    reasons = dict.fromkeys(f"{wrapping.recipient.certificate.holder}: {wrapping.limits}" for wrapping in held_back)
    return chosen, ("it is the strongest that all can decrypt", *reasons)


def _all_can(wrappings: Sequence[Wrapping], chosen: ContentEncryption) -> str:
    known = [wrapping.recipient.capabilities for wrapping in wrappings]
    said = all(capabilities is not None and capabilities.content_encryption for capabilities in known)
    return f"all say that they can decrypt {chosen}" if said else f"all can be taken to decrypt {chosen}"


def _wrapping(recipient: Recipient, padding: RsaPadding | None, *, own: bool = False) -> Wrapping:
    can_decrypt, limits = (frozenset(PREFERENCE), "it is the sender") if own else _can_decrypt(recipient)
    key = recipient.certificate.key_algorithm
    if key.kind is KeyKind.RSA:
        chosen, because = _padding(recipient, padding)
        oaep = chosen is RsaPadding.OAEP
        return Wrapping(recipient, str(chosen), can_decrypt, limits, oaep=oaep, because=because)
    if key.kind is KeyKind.X25519:
        how = "X25519 with HKDF-SHA256"
    else:
        how = f"ECDH on P-{key.curve.bits} with {key.curve.digest.micalg.upper()}" if key.curve else "ECDH"
    return Wrapping(recipient, how, can_decrypt, limits)


def _padding(recipient: Recipient, wanted: RsaPadding | None) -> tuple[RsaPadding, str]:
    if needs_oaep(recipient.certificate):
        return RsaPadding.OAEP, "the key is for OAEP alone"
    if wanted is not None:
        return wanted, "it was asked for"
    if recipient.capabilities is not None and recipient.capabilities.oaep_sha256:
        return RsaPadding.OAEP, "they say that they can decrypt it"
    return RsaPadding.PKCS1, "it is not known that they can decrypt OAEP"


def _can_decrypt(recipient: Recipient) -> tuple[frozenset[ContentEncryption], str]:
    """What a recipient counts with, and why it is not more (RFC 8551, 2.7.1.1 and 2.7.1.2)."""
    if recipient.capabilities is not None:
        said = recipient.capabilities.content_encryption
        if said:
            return frozenset(said), f"they say that they can decrypt {', '.join(map(str, said))}"
        if recipient.capabilities.retired:  # RFC 8551, 2.7.2: too weak, whoever asks for it
            names = " and ".join(recipient.capabilities.retired)
            return frozenset({COMMON}), f"they name only {names}, which is never used here, and {_AT_LEAST}"
    if recipient.certificate.key_algorithm.kind is KeyKind.RSA:
        return frozenset({COMMON}), f"{_UNKNOWN}, and {_AT_LEAST}"
    return frozenset(PREFERENCE), f"{_UNKNOWN}, and {_AT_CURVES}"
