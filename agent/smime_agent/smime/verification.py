"""What is found when a message is verified: frozen values, from the whole message down to each signer."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from smime_agent.verdict import Verdict
from smime_agent.x509 import Validation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from smime_agent.verdict import Reason
    from smime_agent.x509 import Certificate


class LayerType(Enum):
    """What a layer does to what is in it; the value is its name in JSON."""

    SIGNED = "signed"
    ENCRYPTED = "encrypted"
    COMPRESSED = "compressed"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a signer says about answers, signed but not looked into, and what came with the signature, not even signed.

    ``capabilities`` is an SMIMECapabilities, ``key_preference`` an SMIMEEncryptionKeyPreference or that of Microsoft
    (RFC 8551, 2.5.2 and 2.5.3). All of it is encoded.
    """

    capabilities: bytes | None
    key_preference: bytes | None
    certificates: tuple[bytes, ...]
    crls: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Signer:
    """One SignerInfo, and how much it is worth.

    ``certificate`` is none when it is not there; ``named`` says then whom the signature names. ``algorithm`` is empty
    where the signature was not looked at. ``is_valid`` says that the key did sign the content, by whatever algorithm.
    ``chain`` begins with the certificate and ends with a trust anchor, or is empty; ``policies`` are those that hold
    for all of it. ``announcement`` is there if it is valid.
    """

    certificate: Certificate | None
    named: str
    algorithm: str = ""
    claimed_at: datetime | None = None
    is_valid: bool = False
    is_weak: bool = False
    chain: tuple[Certificate, ...] = ()
    revocation: str = "not-checked"
    policies: frozenset[str] = frozenset()
    reasons: tuple[Reason, ...] = ()
    notes: tuple[Reason, ...] = ()
    announcement: Announcement | None = field(default=None, repr=False)

    @property
    def validation(self) -> str:
        """What the CA checked: ``mailbox``, ``organization``, ``sponsor``, ``individual``; else ``unknown``.

        It is what the policies of the whole path say, if the path is trusted.
        """
        if self.certificate is None or not self.is_valid or self.verdict is not Verdict.TRUSTED:
            return "unknown"
        return Validation.of(self.policies).value

    @property
    def verdict(self) -> Verdict:
        """The worst that a reason asks for."""
        return Verdict.worst(reason.code.verdict for reason in self.reasons)


@dataclass(frozen=True, slots=True)
class Encryption:
    """How a layer that was opened had been encrypted, and with which key of ours it was opened.

    ``algorithm`` and ``key_algorithm`` are names of the standards. ``is_authenticated`` says that the algorithm would
    have noticed a change. ``certificate`` is that of the key, where one is known; ``key`` names the key and its token.
    """

    algorithm: str
    key_algorithm: str
    is_authenticated: bool
    recipients: int
    certificate: Certificate | None
    key: str


@dataclass(frozen=True, slots=True)
class Layer:
    """One cryptographic layer, outermost first. ``form`` is its media type, or ``cms`` for bare CMS.

    ``content`` gives what is in it, none where that cannot be read; ``encryption`` is there if it was decrypted.
    """

    type: LayerType
    form: str
    signers: tuple[Signer, ...] = ()
    reasons: tuple[Reason, ...] = ()
    notes: tuple[Reason, ...] = ()
    content: Callable[[], Iterator[bytes]] | None = None
    encryption: Encryption | None = None

    @property
    def verdict(self) -> Verdict:
        """The worst of its signers and its own reasons."""
        own = (reason.code.verdict for reason in self.reasons)
        return Verdict.worst([*own, *(signer.verdict for signer in self.signers)])


@dataclass(frozen=True, slots=True)
class Verification:
    """What is to be said of one message.

    ``reasons`` are those of the message and of all its layers; ``senders`` are the From addresses as they stand in the
    mail, nothing of them proved.
    """

    reasons: tuple[Reason, ...]
    notes: tuple[Reason, ...]
    senders: tuple[str, ...]
    layers: tuple[Layer, ...]

    @property
    def verdict(self) -> Verdict:
        """The one verdict: the worst that any reason asks for."""
        return Verdict.worst(reason.code.verdict for reason in self.reasons)

    @property
    def signers(self) -> tuple[Signer, ...]:
        """All signers, of the outermost layer first."""
        return tuple(signer for layer in self.layers for signer in layer.signers)

    @property
    def outermost_signed(self) -> Layer | None:
        """The signed layer that says who the sender is: around it there may be encryption and compression."""
        return next((layer for layer in self.layers if layer.type is LayerType.SIGNED), None)

    def signed_content(self, *, legacy: bool = False) -> Callable[[], Iterator[bytes]] | None:
        """Exactly the octets that the outermost signature covers, if every signature of that layer is valid.

        Signatures by weak algorithms count with ``legacy`` only.
        """
        layer = self.outermost_signed
        if (
            layer is None
            or not layer.signers
            or any(reason.code.verdict is Verdict.INVALID for reason in layer.reasons)
        ):
            return None
        if not all(signer.is_valid and (legacy or not signer.is_weak) for signer in layer.signers):
            return None
        return layer.content
