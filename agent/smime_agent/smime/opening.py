"""Open an encrypted layer: find out for whom it is, have its key unwrapped by one of ours, decrypt it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from smime_agent.accepted import RSA_ENCRYPTION_OID
from smime_agent.cms.ciphers import DecryptionError
from smime_agent.cms.envelope import open_envelope, read_envelope
from smime_agent.cms.recipients import read_recipients
from smime_agent.errors import PolicyError
from smime_agent.names import name_of
from smime_agent.smime.verification import Encryption
from smime_agent.verdict import UntrustworthyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smime_agent.cms.recipients import KeyRecipient, Recipients
    from smime_agent.errors import SmimeAgentError
    from smime_agent.keys import Decrypter
    from smime_agent.source import Source
    from smime_agent.x509 import Certificate


class KeyMatch(Protocol):
    """A recipient of a message, and a key of ours that may be the recipient's."""

    @property
    def recipient(self) -> KeyRecipient:
        """The recipient."""
        ...

    @property
    def decrypter(self) -> Decrypter:
        """The key."""
        ...

    @property
    def certificate(self) -> Certificate | None:
        """A certificate of the key, if one is known."""
        ...


class DecryptionKeys(Protocol):
    """The keys of ours that could open a message."""

    def pairs(self, recipients: Recipients, /) -> Iterator[KeyMatch]:
        """Those that could, the likeliest first. Nothing is unwrapped by asking, though a PIN may be asked for.

        Raises:
            NoKeyError: none can; whose could is in the message.
            TokenError, PinError: from a token that may hold one.
        """
        ...


@dataclass(frozen=True, slots=True)
class OpenedEnvelope:
    """An encrypted layer that was opened; ``content`` is for the caller to close. It took so many ``tries``."""

    content: Source
    content_type: str
    encryption: Encryption
    trailing: bool
    tries: int


class Opener:
    """Opens the encrypted layers of messages with keys of ours; ``legacy`` permits Triple DES and RC2."""

    def __init__(self, keys: DecryptionKeys, *, legacy: bool = False) -> None:
        self._keys = keys
        self._legacy = legacy

    def open(self, source: Source, most: int) -> OpenedEnvelope:
        """Open EnvelopedData or AuthEnvelopedData. Of what is authenticated nothing is seen before it was checked.

        At most so many keys are tried. A wrong key, a wrong padding and a changed content are one error: a padding
        oracle lives on telling them apart.

        Raises:
            DecryptionError: it was changed, or encrypted for another key than it says.
            NoKeyError: it is not for us.
            PolicyError: only ``legacy`` permits it.
            UntrustworthyError: it is damaged, or by an algorithm that is not supported.
            TokenError, PinError, FileError
        """
        envelope = read_envelope(source)
        envelope.check_algorithm(legacy=self._legacy)  # before anybody is asked for a PIN or a touch
        recipients = read_recipients(envelope.recipient_infos, envelope.algorithm)
        failure: SmimeAgentError | None = None
        for tries, match in enumerate(islice(self._keys.pairs(recipients), most), 1):
            try:
                key = match.decrypter.unwrap(match.recipient.wrapped, legacy=self._legacy)
                content = open_envelope(envelope, key, legacy=self._legacy)
            except DecryptionError as error:
                failure = error
                continue
            except (UntrustworthyError, PolicyError) as error:  # what is wrong with one is no obstacle to the others
                failure = failure or error
                continue
            encryption = Encryption(
                name_of(envelope.algorithm.oid),
                _key_algorithm(match.recipient),
                envelope.is_authenticated,
                len(recipients),
                match.certificate,
                match.decrypter.name,
            )
            return OpenedEnvelope(content, envelope.content_type, encryption, envelope.trailing > 0, tries)
        raise failure or DecryptionError()


def _key_algorithm(recipient: KeyRecipient) -> str:
    oid = recipient.key_algorithm
    return "RSAES-PKCS1-v1_5" if oid == RSA_ENCRYPTION_OID else name_of(oid)
