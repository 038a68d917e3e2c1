"""SignedData, read: a typed view of it that holds everything but the content (RFC 5652, 5.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from smime_agent import der
from smime_agent.cms import oids
from smime_agent.cms.ber import CONSTRUCTED, Reader, integer, malformed
from smime_agent.cms.certificate_index import CertificateIndex
from smime_agent.cms.content import Content
from smime_agent.cms.content_info import CONTEXT_0, CONTEXT_1, open_content_info, typed_content
from smime_agent.cms.normal import to_der
from smime_agent.cms.signer_info import (
    AlgorithmIdentifier,
    SignerIdentifier,
    SignerInfo,
    read_algorithm,
    read_signer_info,
)
from smime_agent.source import Source

if TYPE_CHECKING:
    from smime_agent.cms.ber import Element

#: Signers and digest algorithms of one SignedData.
MAX_SIGNERS: Final = 100
_STRING: Final = frozenset((der.OCTET_STRING, der.OCTET_STRING | CONSTRUCTED))


@dataclass(frozen=True, slots=True)
class SignedData:
    """A SignedData. Nothing of it is checked but its structure.

    Certificates and CRLs are encoded, exactly as they came, in their order; ``other_certificates`` counts attribute
    certificates and their like, ``other_crls`` what is no CRL. ``trailing`` is the number of octets that follow the
    ContentInfo, of which nobody can say what they are. ``content`` is none when it travels beside the signature.
    """

    version: int
    digest_algorithms: tuple[AlgorithmIdentifier, ...]
    content_type: str
    content: Content | None
    certificates: tuple[bytes, ...]
    crls: tuple[bytes, ...]
    signer_infos: tuple[SignerInfo, ...]
    trailing: int
    other_certificates: int = 0
    other_crls: int = 0
    _index: CertificateIndex = field(default_factory=lambda: CertificateIndex(()), repr=False, compare=False)

    @classmethod
    def read(cls, source: Source) -> SignedData:
        """The SignedData in a ContentInfo that begins where ``source`` begins, which must stay open for the content.

        Raises:
            UntrustworthyError: it is none, or more of it than is held.
            FileError: it cannot be read.
        """
        reader = Reader(source)
        dotted, element, end = open_content_info(reader)
        if dotted != oids.ID_SIGNED_DATA:
            malformed(f"it is no SignedData, its type is {dotted}")
        fields = reader.fields(element, der.SEQUENCE)
        version = integer(reader.contents(fields.required(der.INTEGER)))
        digest_algorithms = reader.members(fields.required(der.SET), MAX_SIGNERS)
        content_type, content = _encapsulated(reader, source, fields.required(der.SEQUENCE))
        certificates, other_certificates = _chosen(reader, fields.optional(CONTEXT_0))
        crls, other_crls = _chosen(reader, fields.optional(CONTEXT_1))
        signer_infos = reader.members(fields.required(der.SET), MAX_SIGNERS)
        fields.finish()
        return cls(
            version=version,
            digest_algorithms=tuple(read_algorithm(reader, one) for one in digest_algorithms),
            content_type=content_type,
            content=content,
            certificates=certificates,
            crls=crls,
            signer_infos=tuple(read_signer_info(reader, one) for one in signer_infos),
            trailing=source.size - end,
            other_certificates=other_certificates,
            other_crls=other_crls,
            _index=CertificateIndex(certificates),
        )

    def certificates_for(self, sid: SignerIdentifier) -> tuple[bytes, ...]:
        """The certificates that ``sid`` names, encoded, 16 at most; several may share a subjectKeyIdentifier."""
        return self._index.find(sid)


def _encapsulated(reader: Reader, source: Source, element: Element) -> tuple[str, Content | None]:
    """``EncapsulatedContentInfo ::= SEQUENCE { eContentType, eContent [0] EXPLICIT OCTET STRING OPTIONAL }``."""
    dotted, inside = typed_content(reader, element)
    if inside is None:
        return dotted, None
    if inside.tag in _STRING:
        return dotted, Content(source, reader, inside)
    # PKCS #7 has ANY there, and signs its DER without identifier and length (RFC 5652, 5.2.1).
    encoded = Source.from_bytes(to_der(reader.encoded(inside)))
    own = Reader(encoded)
    whole = own.element(0, own.size)
    return dotted, Content(encoded, own, whole._replace(tag=der.OCTET_STRING))


def _chosen(reader: Reader, choices: Element | None) -> tuple[tuple[bytes, ...], int]:
    """The certificates of CertificateChoices, or the CRLs of RevocationInfoChoices, and the number of all others."""
    if choices is None:
        return (), 0
    members = reader.members(choices)
    chosen = tuple([reader.encoded(one) for one in members if one.tag == der.SEQUENCE])
    return chosen, len(members) - len(chosen)
