"""ContentInfo: what a CMS object is, and where its content stands (RFC 5652, 3)."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from smime_agent import der
from smime_agent.cms.ber import MAX_OBJECT_IDENTIFIER, header, malformed, object_identifier

if TYPE_CHECKING:
    from smime_agent.cms.ber import Element, Reader
    from smime_agent.source import Source

#: The tags ``[0]`` and ``[1]`` of constructed values.
CONTEXT_0, CONTEXT_1 = 0xA0, 0xA1
OBJECT_IDENTIFIER = 0x06
#: Two headers, as long as they can be, and an OBJECT IDENTIFIER.
_HEAD: Final = 20 + MAX_OBJECT_IDENTIFIER


def content_type(source: Source) -> str:
    """The content type of a ContentInfo, dotted. No more than its first octets are looked at.

    Raises:
        UntrustworthyError: it is no ContentInfo.
        FileError: it cannot be read.
    """
    head = source.read(0, _HEAD)
    tag, start, _ = header(head, 0)
    if tag != der.SEQUENCE:
        malformed("a value of another type than belongs there")
    tag, body, length = header(head, start)
    if tag != OBJECT_IDENTIFIER or body + length > len(head):
        malformed("a value is missing, or of another type than belongs there")
    return object_identifier(head[body : body + length])


def open_content_info(reader: Reader) -> tuple[str, Element, int]:
    """The content type, the element that is the content, and where the ContentInfo ends.

    Raises:
        UntrustworthyError: it is no ContentInfo.
        FileError: it cannot be read.
    """
    whole = reader.element(0, reader.size)
    dotted, content = typed_content(reader, whole)
    if content is None:
        malformed("a ContentInfo without a content")
    return dotted, content, whole.end


def typed_content(reader: Reader, whole: Element) -> tuple[str, Element | None]:
    """What a ContentInfo and an EncapsulatedContentInfo are made of: a content type, and ``[0]`` around a content."""
    fields = reader.fields(whole, der.SEQUENCE)
    dotted = object_identifier(reader.contents(fields.required(OBJECT_IDENTIFIER)))
    wrapper = fields.optional(CONTEXT_0)
    fields.finish()
    if wrapper is None:
        return dotted, None
    inside = list(islice(reader.children(wrapper), 2))
    if len(inside) != 1:
        malformed("not exactly one content")
    return dotted, inside[0]
