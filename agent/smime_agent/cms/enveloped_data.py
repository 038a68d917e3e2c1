"""EnvelopedData and AuthEnvelopedData, read: typed views that hold everything but the content.

::

    EnvelopedData ::= SEQUENCE {                                                     -- RFC 5652, 6.1
      version CMSVersion,
      originatorInfo [0] IMPLICIT OriginatorInfo OPTIONAL,
      recipientInfos SET SIZE (1..MAX) OF RecipientInfo,
      encryptedContentInfo EncryptedContentInfo,
      unprotectedAttrs [1] IMPLICIT SET OF Attribute OPTIONAL }
    AuthEnvelopedData ::= SEQUENCE {                                                 -- RFC 5083, 2.1
      version, originatorInfo [0], recipientInfos, authEncryptedContentInfo,
      authAttrs [1] IMPLICIT SET OF Attribute OPTIONAL,
      mac OCTET STRING,
      unauthAttrs [2] IMPLICIT SET OF Attribute OPTIONAL }
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from smime_agent import der
from smime_agent.cms import oids
from smime_agent.cms.attributes import Attribute, read_attributes
from smime_agent.cms.ber import CONSTRUCTED, Reader, integer, malformed, object_identifier
from smime_agent.cms.content import Content
from smime_agent.cms.content_info import CONTEXT_0, CONTEXT_1, OBJECT_IDENTIFIER, open_content_info
from smime_agent.cms.normal import to_der
from smime_agent.cms.recipient_info import CONTEXT_2
from smime_agent.cms.signer_info import AlgorithmIdentifier, read_algorithm

if TYPE_CHECKING:
    from smime_agent.cms.ber import Element, Fields
    from smime_agent.source import Source

#: Recipients of one message: large lists exist.
MAX_RECIPIENTS: Final = 10_000
#: An authentication tag, in octets.
MAX_MAC: Final = 64
_STRING: Final = (der.OCTET_STRING, der.OCTET_STRING | CONSTRUCTED)
_ENCRYPTED_CONTENT: Final = (0x80, CONTEXT_0)  # [0] IMPLICIT OCTET STRING, in one piece or in several


@dataclass(frozen=True, slots=True)
class OriginatorInfo:
    """Certificates and CRLs that an originator sends along, encoded, exactly as they came (RFC 5652, 6.1)."""

    certificates: tuple[bytes, ...]
    crls: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class EncryptedContentInfo:
    """What was encrypted, and how; ``content`` is none when it travels elsewhere (RFC 5652, 6.1)."""

    content_type: str
    content_encryption_algorithm: AlgorithmIdentifier
    content: Content | None


@dataclass(frozen=True, slots=True)
class EnvelopedData:
    """An EnvelopedData. Nothing of it is checked but its structure.

    ``recipient_infos`` are encoded, for :func:`.read_recipient_info`: one that cannot be read is no obstacle to the
    others. ``trailing`` is the number of octets that follow the ContentInfo.
    """

    version: int
    originator_info: OriginatorInfo | None
    recipient_infos: tuple[bytes, ...]
    encrypted_content_info: EncryptedContentInfo
    unprotected_attributes: tuple[Attribute, ...]
    trailing: int

    @classmethod
    def read(cls, source: Source) -> EnvelopedData:
        """The EnvelopedData in a ContentInfo that begins where ``source`` begins, which must stay open.

        Raises:
            UntrustworthyError: it is none, or more of it than is held.
            FileError: it cannot be read.
        """
        reader, fields, end = opened(source, oids.ID_ENVELOPED_DATA)
        version = integer(reader.contents(fields.required(der.INTEGER)))
        originator_info = _originator_info(reader, fields.optional(CONTEXT_0))
        recipient_infos = _recipient_infos(reader, fields.required(der.SET))
        content_info = read_encrypted_content_info(reader, source, fields.required(der.SEQUENCE))
        unprotected = optional_attributes(reader, fields.optional(CONTEXT_1))
        fields.finish()
        return cls(version, originator_info, recipient_infos, content_info, unprotected, source.size - end)


@dataclass(frozen=True, slots=True)
class AuthEnvelopedData:
    """An AuthEnvelopedData: ``mac`` covers the content and ``authenticated_attributes``. The rest is as above.

    ``encoded_attributes`` are the authenticated ones as they are authenticated, in DER with the tag of SET OF
    (RFC 5083, 2.2), or none.
    """

    version: int
    originator_info: OriginatorInfo | None
    recipient_infos: tuple[bytes, ...]
    encrypted_content_info: EncryptedContentInfo
    authenticated_attributes: tuple[Attribute, ...]
    encoded_attributes: bytes | None
    mac: bytes
    unauthenticated_attributes: tuple[Attribute, ...]
    trailing: int

    @classmethod
    def read(cls, source: Source) -> AuthEnvelopedData:
        """The AuthEnvelopedData in a ContentInfo that begins where ``source`` begins, which must stay open.

        Raises:
            UntrustworthyError: it is none, or more of it than is held.
            FileError: it cannot be read.
        """
        reader, fields, end = opened(source, oids.ID_AUTH_ENVELOPED_DATA)
        version = integer(reader.contents(fields.required(der.INTEGER)))
        originator_info = _originator_info(reader, fields.optional(CONTEXT_0))
        recipient_infos = _recipient_infos(reader, fields.required(der.SET))
        content_info = read_encrypted_content_info(reader, source, fields.required(der.SEQUENCE))
        authenticated = fields.optional(CONTEXT_1)
        mac = reader.string(fields.required(*_STRING), MAX_MAC)
        unauthenticated = fields.optional(CONTEXT_2)
        fields.finish()
        return cls(
            version=version,
            originator_info=originator_info,
            recipient_infos=recipient_infos,
            encrypted_content_info=content_info,
            authenticated_attributes=optional_attributes(reader, authenticated),
            encoded_attributes=None
            if authenticated is None
            else to_der(bytes((der.SET,)) + reader.encoded(authenticated)[1:]),
            mac=mac,
            unauthenticated_attributes=optional_attributes(reader, unauthenticated),
            trailing=source.size - end,
        )


def read_encrypted_content_info(reader: Reader, source: Source, element: Element) -> EncryptedContentInfo:
    """``SEQUENCE { contentType, contentEncryptionAlgorithm, encryptedContent [0] IMPLICIT OCTET STRING OPTIONAL }``.

    Raises:
        UntrustworthyError: it is something else.
        FileError: it cannot be read.
    """
    fields = reader.fields(element, der.SEQUENCE)
    content_type = object_identifier(reader.contents(fields.required(OBJECT_IDENTIFIER)))
    algorithm = read_algorithm(reader, fields.required(der.SEQUENCE))
    content = fields.optional(*_ENCRYPTED_CONTENT)
    fields.finish()
    return EncryptedContentInfo(content_type, algorithm, None if content is None else Content(source, reader, content))


def optional_attributes(reader: Reader, element: Element | None) -> tuple[Attribute, ...]:
    """The attributes in a field that may be absent.

    Raises:
        UntrustworthyError: it holds something else.
        FileError: it cannot be read.
    """
    return () if element is None else read_attributes(reader, element)


def opened(source: Source, content_type: str) -> tuple[Reader, Fields, int]:
    """A reader, the fields of the object of that type in a ContentInfo, and where the ContentInfo ends.

    Raises:
        UntrustworthyError: it is something else.
        FileError: it cannot be read.
    """
    reader = Reader(source)
    dotted, element, end = open_content_info(reader)
    if dotted != content_type:
        malformed(f"it is of another type: {dotted}")
    return reader, reader.fields(element, der.SEQUENCE), end


def _originator_info(reader: Reader, element: Element | None) -> OriginatorInfo | None:
    """``SEQUENCE { certs [0] IMPLICIT CertificateSet OPTIONAL, crls [1] IMPLICIT RevocationInfoChoices OPTIONAL }``."""
    if element is None:
        return None
    fields = reader.fields(element, CONTEXT_0)
    certificates, crls = fields.optional(CONTEXT_0), fields.optional(CONTEXT_1)
    fields.finish()
    return OriginatorInfo(_chosen(reader, certificates), _chosen(reader, crls))


def _chosen(reader: Reader, choices: Element | None) -> tuple[bytes, ...]:
    """The certificates, or the CRLs; what else there may be is left out."""
    members = reader.members(choices) if choices is not None else []
    return tuple([reader.encoded(one) for one in members if one.tag == der.SEQUENCE])


def _recipient_infos(reader: Reader, element: Element) -> tuple[bytes, ...]:
    return tuple([reader.encoded(one) for one in reader.members(element, MAX_RECIPIENTS)])
