"""What EnvelopedData and AuthEnvelopedData have in common: a content, encrypted for recipients, to be opened."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from smime_agent import der
from smime_agent.cms import oids
from smime_agent.cms.content_cipher import opened
from smime_agent.cms.content_encryption import check_content_encryption, content_cipher, is_authenticated
from smime_agent.cms.content_info import content_type
from smime_agent.cms.enveloped_data import AuthEnvelopedData, EnvelopedData
from smime_agent.verdict import Code, UntrustworthyError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from smime_agent.cms.attributes import Attribute
    from smime_agent.cms.content import Content
    from smime_agent.cms.signer_info import AlgorithmIdentifier
    from smime_agent.keys import ContentKey
    from smime_agent.source import Source


@dataclass(frozen=True, slots=True)
class Envelope:
    """An EnvelopedData, or an AuthEnvelopedData if ``is_authenticated``; ``content`` is none when it is elsewhere.

    ``recipient_infos`` are encoded, for :func:`.read_recipient_info`. ``trailing`` is the number of octets that
    follow the ContentInfo. ``content_type`` is what the envelope says, which only its attributes can authenticate.
    """

    recipient_infos: tuple[bytes, ...]
    content_type: str
    algorithm: AlgorithmIdentifier
    content: Content | None
    is_authenticated: bool
    trailing: int
    mac: bytes | None = field(default=None, repr=False)
    encoded_attributes: bytes | None = field(default=None, repr=False)

    def check_algorithm(self, *, legacy: bool) -> Content:
        """See that it can be opened once there is a key, before anybody is asked for one; what is to be decrypted.

        ``legacy`` permits Triple DES and RC2.

        Raises:
            PolicyError: only ``legacy`` permits it.
            UntrustworthyError: the algorithm is not supported, is damaged, or is not one for such an envelope; the
                content is elsewhere.
        """
        check_content_encryption(self.algorithm, legacy=legacy)
        # Whoever can change a message can write EnvelopedData over AuthEnvelopedData, and another mode beside the same
        # key, to have the tag overlooked and to make an oracle of what comes out (RFC 9709, 1). An algorithm stands
        # in the kind of envelope that it is made for, or nowhere.
        if is_authenticated(self.algorithm) != self.is_authenticated:
            self._misplaced()
        if self.content is None:
            raise UntrustworthyError(Code.NO_CONTENT, "the encrypted content is not in the message")
        return self.content

    def _misplaced(self) -> NoReturn:
        from smime_agent.names import name_of

        kind = "AuthEnvelopedData" if self.is_authenticated else "EnvelopedData"
        text = f"{name_of(self.algorithm.oid)} in {kind}, where it does not belong"
        raise UntrustworthyError(Code.ALGORITHM_MISMATCH, text)


def read_envelope(source: Source) -> Envelope:
    """The EnvelopedData or AuthEnvelopedData in a ContentInfo at the beginning of ``source``, which must stay open.

    Raises:
        UntrustworthyError: it is neither, or more of it than is held.
        FileError: it cannot be read.
    """
    if content_type(source) != oids.ID_AUTH_ENVELOPED_DATA:
        data = EnvelopedData.read(source)
        info = data.encrypted_content_info
        return Envelope(
            data.recipient_infos,
            info.content_type,
            info.content_encryption_algorithm,
            info.content,
            is_authenticated=False,
            trailing=data.trailing,
        )
    authenticated = AuthEnvelopedData.read(source)
    info = authenticated.encrypted_content_info
    _check_content_type(info.content_type, authenticated.authenticated_attributes)
    return Envelope(
        authenticated.recipient_infos,
        info.content_type,
        info.content_encryption_algorithm,
        info.content,
        is_authenticated=True,
        trailing=authenticated.trailing,
        mac=authenticated.mac,
        encoded_attributes=authenticated.encoded_attributes,
    )


def open_envelope(envelope: Envelope, key: ContentKey, *, legacy: bool) -> Source:
    """The plaintext, for the caller to close; what the envelope was read from must stay open for it.

    Of what is authenticated not one octet is given before the tag was verified. What is larger than
    ``Source.IN_MEMORY`` is decrypted where it is read, and never stored. ``legacy`` permits Triple DES and RC2.

    Raises:
        DecryptionError: the key, the padding or the tag is wrong.
        PolicyError: only ``legacy`` permits it.
        UntrustworthyError: the algorithm is not supported, is damaged, or is not one for such an envelope; the content
            is elsewhere.
        FileError: it cannot be read, or was changed; reads of the plaintext raise it too.
    """
    content = envelope.check_algorithm(legacy=legacy)
    cipher = content_cipher(envelope.algorithm, key.reveal(), legacy=legacy, additional=envelope.encoded_attributes)
    return opened(cipher, content.source(), envelope.mac)


def _check_content_type(dotted: str, attributes: Iterable[Attribute]) -> None:
    """See that the attributes, which are authenticated, say the same as the envelope (RFC 5652, 11.1)."""
    said = [one.values for one in attributes if one.oid == oids.CONTENT_TYPE]
    if said and said != [(der.object_identifier(dotted),)]:
        text = f"the content says it is {dotted}, and the authenticated attributes say something else"
        raise UntrustworthyError(Code.CONTENT_TYPE_MISMATCH, text)
