"""CompressedData, DigestedData and EncryptedData, read (RFC 3274, 1.1; RFC 5652, 7 and 8).

::

    CompressedData ::= SEQUENCE { version, compressionAlgorithm, encapContentInfo }
    DigestedData ::= SEQUENCE { version, digestAlgorithm, encapContentInfo, digest OCTET STRING }
    EncryptedData ::= SEQUENCE { version, encryptedContentInfo, unprotectedAttrs [1] IMPLICIT OPTIONAL }
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from smime_agent import der
from smime_agent.cms import oids
from smime_agent.cms.ber import CONSTRUCTED, exceeded, integer, malformed
from smime_agent.cms.content import Content
from smime_agent.cms.content_info import CONTEXT_1, typed_content
from smime_agent.cms.enveloped_data import (
    EncryptedContentInfo,
    opened,
    optional_attributes,
    read_encrypted_content_info,
)
from smime_agent.cms.signer_info import AlgorithmIdentifier, read_algorithm
from smime_agent.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smime_agent.cms.attributes import Attribute
    from smime_agent.cms.ber import Element, Reader

ID_ZLIB: Final = "1.2.840.113549.1.9.16.3.8"  # RFC 3274, 2
#: A digest, in octets.
MAX_DIGEST: Final = 1_024
#: How far a content may expand: zlib makes up to 1,032 octets of one, text and tables ten to fifty. What is small may
#: expand to something that no disk minds, and nothing to more than the largest mail that anybody moves.
EXPANDED_FREELY: Final = 100 * 1024 * 1024
MAX_RATIO: Final = 100
MAX_EXPANDED: Final = 4 * 1024 * 1024 * 1024
_STRING: Final = (der.OCTET_STRING, der.OCTET_STRING | CONSTRUCTED)


@dataclass(frozen=True, slots=True)
class CompressedData:
    """A CompressedData; ``content`` is compressed, and none when it travels elsewhere."""

    version: int
    compression_algorithm: AlgorithmIdentifier
    content_type: str
    content: Content | None
    trailing: int

    @classmethod
    def read(cls, source: Source) -> CompressedData:
        """The CompressedData in a ContentInfo that begins where ``source`` begins, which must stay open.

        Raises:
            UntrustworthyError: it is none, or more of it than is held.
            FileError: it cannot be read.
        """
        reader, fields, end = opened(source, oids.ID_COMPRESSED_DATA)
        version = integer(reader.contents(fields.required(der.INTEGER)))
        algorithm = read_algorithm(reader, fields.required(der.SEQUENCE))
        content_type, content = _encapsulated(reader, source, fields.required(der.SEQUENCE))
        fields.finish()
        return cls(version, algorithm, content_type, content, source.size - end)

    @property
    def most(self) -> int:
        """How far it may expand, in octets: to 100 MiB or a hundred times what it is, and to 4 GiB at most."""
        size = self.content.size if self.content is not None else 0
        return min(max(EXPANDED_FREELY, MAX_RATIO * size), MAX_EXPANDED)

    def expanded(self, most: int = MAX_EXPANDED) -> Source:
        """The content as a source, for the caller to close: at most ``most`` octets, and no more than it may expand.

        Raises:
            UntrustworthyError: there is none, it is damaged or cut off, it is more than that, or the algorithm is not
                zlib, the only one there is.
            FileError: it cannot be read, or there is no room for it.
        """
        return Source.from_blocks(self.decompressed(min(most, self.most)))

    def decompressed(self, most: int) -> Iterator[bytes]:
        """The content, in blocks of at most 256 KiB.

        Raises:
            UntrustworthyError: there is none, it is damaged or cut off, it is more than ``most`` octets, or the
                algorithm is not zlib, the only one there is.
            FileError: it cannot be read.
        """
        if self.compression_algorithm.oid != ID_ZLIB:
            malformed(f"it is compressed with {self.compression_algorithm.oid}, and only zlib is known")
        if self.content is None:
            malformed("there is no content to decompress")
        decompressor = zlib.decompressobj()
        left = most
        try:
            for chunk in self.content.chunks():
                rest = chunk
                while rest and not decompressor.eof:
                    block = decompressor.decompress(rest, Source.CHUNK)
                    rest = decompressor.unconsumed_tail
                    left -= len(block)
                    if left < 0:
                        exceeded(f"a content that expands to more than {most} octets")
                    yield block
        except zlib.error:
            malformed("the compressed content cannot be read")
        if not decompressor.eof:
            malformed("the compressed content is cut off")


@dataclass(frozen=True, slots=True)
class DigestedData:
    """A DigestedData; ``content`` is none when it travels elsewhere."""

    version: int
    digest_algorithm: AlgorithmIdentifier
    content_type: str
    content: Content | None
    digest: bytes
    trailing: int

    @classmethod
    def read(cls, source: Source) -> DigestedData:
        """The DigestedData in a ContentInfo that begins where ``source`` begins, which must stay open.

        Raises:
            UntrustworthyError: it is none, or more of it than is held.
            FileError: it cannot be read.
        """
        reader, fields, end = opened(source, oids.ID_DIGESTED_DATA)
        version = integer(reader.contents(fields.required(der.INTEGER)))
        algorithm = read_algorithm(reader, fields.required(der.SEQUENCE))
        content_type, content = _encapsulated(reader, source, fields.required(der.SEQUENCE))
        digest = reader.string(fields.required(*_STRING), MAX_DIGEST)
        fields.finish()
        return cls(version, algorithm, content_type, content, digest, source.size - end)


@dataclass(frozen=True, slots=True)
class EncryptedData:
    """An EncryptedData: the key is known to those who need it, and nothing here names it."""

    version: int
    encrypted_content_info: EncryptedContentInfo
    unprotected_attributes: tuple[Attribute, ...]
    trailing: int

    @classmethod
    def read(cls, source: Source) -> EncryptedData:
        """The EncryptedData in a ContentInfo that begins where ``source`` begins, which must stay open.

        Raises:
            UntrustworthyError: it is none, or more of it than is held.
            FileError: it cannot be read.
        """
        reader, fields, end = opened(source, oids.ID_ENCRYPTED_DATA)
        version = integer(reader.contents(fields.required(der.INTEGER)))
        content_info = read_encrypted_content_info(reader, source, fields.required(der.SEQUENCE))
        unprotected = optional_attributes(reader, fields.optional(CONTEXT_1))
        fields.finish()
        return cls(version, content_info, unprotected, source.size - end)


def _encapsulated(reader: Reader, source: Source, element: Element) -> tuple[str, Content | None]:
    """``EncapsulatedContentInfo ::= SEQUENCE { eContentType, eContent [0] EXPLICIT OCTET STRING OPTIONAL }``."""
    dotted, inside = typed_content(reader, element)
    if inside is None:
        return dotted, None
    if inside.tag not in _STRING:
        malformed("a content that is no OCTET STRING")
    return dotted, Content(source, reader, inside)
