"""Attributes, whoever they belong to: ``SEQUENCE { attrType, attrValues SET OF AttributeValue }`` (RFC 5652, 5.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from smime_agent import der
from smime_agent.cms.ber import malformed, object_identifier
from smime_agent.cms.content_info import OBJECT_IDENTIFIER
from smime_agent.cms.normal import value, values

if TYPE_CHECKING:
    from smime_agent.cms.ber import Element, Reader

#: Attributes in one set, and values in one attribute.
MAX_ATTRIBUTES: Final = 1_000


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute by its dotted OID, with its values: in DER if it is signed, as they came if it is not."""

    oid: str
    values: tuple[bytes, ...]


def attributes_of(encoded: bytes) -> tuple[Attribute, ...]:
    """The attributes of a ``SET SIZE (1..MAX) OF Attribute`` that is DER already, but for its order.

    Raises:
        UntrustworthyError: it is none, or there are more than 1,000.
    """
    attributes = []
    for attribute in values(value(encoded, der.SET), MAX_ATTRIBUTES):
        parts = values(attribute.contents, MAX_ATTRIBUTES) if attribute.tag == der.SEQUENCE else []
        if [part.tag for part in parts] != [OBJECT_IDENTIFIER, der.SET]:
            malformed("an attribute that is none")
        found = tuple([one.encoded for one in values(parts[1].contents, MAX_ATTRIBUTES)])
        attributes.append(Attribute(object_identifier(parts[0].contents), found))
    if not attributes:
        malformed("a set of attributes without one")
    return tuple(attributes)


def read_attributes(reader: Reader, element: Element) -> tuple[Attribute, ...]:
    """The attributes of a set under any tag, their values exactly as they came: nothing is signed here.

    Raises:
        UntrustworthyError: it is none, or there are more than 1,000.
        FileError: it cannot be read.
    """
    attributes = []
    for attribute in reader.members(element, MAX_ATTRIBUTES):
        fields = reader.fields(attribute, der.SEQUENCE)
        dotted = object_identifier(reader.contents(fields.required(OBJECT_IDENTIFIER)))
        found = reader.members(fields.required(der.SET), MAX_ATTRIBUTES)
        fields.finish()
        attributes.append(Attribute(dotted, tuple(map(reader.encoded, found))))
    return tuple(attributes)
