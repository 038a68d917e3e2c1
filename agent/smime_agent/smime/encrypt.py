"""Encrypt: a key for the content, that key wrapped for each recipient, the mail assembled around both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from smime_agent import mime
from smime_agent.ahead import ahead
from smime_agent.cms import enveloped_data_builder
from smime_agent.cms.recipient_name import RecipientName
from smime_agent.errors import PolicyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from smime_agent.smime.negotiation import Negotiated
    from smime_agent.source import Source


#: From so many octets on a thread costs less than it brings.
_LARGE: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Plaintext:
    """What is encrypted: how many octets it has, and these, as often as they are asked for."""

    length: int
    chunks: Callable[[], Iterator[bytes]]

    @classmethod
    def of_entity(cls, entity: mime.Entity) -> Plaintext:
        """The protected entity of a mail, in its canonical form (RFC 8551, 3.1)."""
        return cls(entity.size, entity.chunks)

    @classmethod
    def of_source(cls, source: Source) -> Plaintext:
        """Any content, as it is."""
        return cls(source.size, source.chunks)


def encrypt(
    message: mime.Message,
    plaintext: Plaintext,
    negotiated: Negotiated,
    *,
    randomness: Callable[[int], bytes],
    name: RecipientName = RecipientName.ISSUER_AND_SERIAL_NUMBER,
) -> Iterator[bytes]:
    """A mail encrypted (RFC 8551, 3.3 and 3.4), written while the result is consumed, with CRLF line ends.

    ``plaintext`` is the entity of ``message``, or that entity signed. The fields outside of it stay as they are, but
    for Bcc, which is left out. Whether it may be encrypted (again), and to these recipients, is asked before.

    Raises:
        UsageError: nothing can be encrypted to one of the recipients, or there is none.
        PolicyError: it is longer than one key may encrypt.
        FileError: while it is consumed: the message cannot be read, or was changed.
    """
    smime_type = "authEnveloped-data" if negotiated.cipher.is_authenticated else "enveloped-data"
    cms = encrypt_content(plaintext, negotiated, randomness=randomness, name=name)
    if plaintext.length > _LARGE:
        cms = ahead(cms)  # base64 is made of what was encrypted before
    return mime.pkcs7_mime(message.without_bcc(), cms, smime_type)


def encrypt_content(
    plaintext: Plaintext,
    negotiated: Negotiated,
    *,
    randomness: Callable[[int], bytes],
    name: RecipientName = RecipientName.ISSUER_AND_SERIAL_NUMBER,
) -> Iterator[bytes]:
    """Any content encrypted as it is: a DER ContentInfo (RFC 5652, 6; RFC 5083, 2); else as :func:`encrypt`."""
    cipher = negotiated.cipher
    content_key = randomness(cipher.key_size)
    infos = [
        enveloped_data_builder.recipient_info(
            wrapping.recipient.certificate,
            content_key,
            cipher,
            oaep=wrapping.oaep,
            randomness=randomness,
            name=name,
        )
        for wrapping in negotiated.wrappings
    ]
    return enveloped_data_builder.encrypt(
        plaintext.chunks(), plaintext.length, cipher, content_key, infos, randomness=randomness
    )


def refuse_encrypted(message: mime.Message, *, again: bool) -> None:
    """Refuse a mail that is encrypted, or may be, unless it is to be encrypted again.

    Raises:
        PolicyError: it is.
    """
    if message.protection in {mime.Protection.ENCRYPTED, mime.Protection.SIGNED_OR_ENCRYPTED} and not again:
        msg = f"this mail is already {message.protection.value}"
        raise PolicyError(msg, hint="--again encrypts what is encrypted once more")
