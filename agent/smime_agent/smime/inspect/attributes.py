"""Attributes of CMS objects as nodes: the known ones read, the others in hexadecimal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from smime_agent import der
from smime_agent.cms import oids
from smime_agent.cms.ber import integer, object_identifier
from smime_agent.cms.content_info import OBJECT_IDENTIFIER
from smime_agent.cms.distinguished_name import string
from smime_agent.cms.normal import to_der, value, values
from smime_agent.cms.signer_info import algorithm_of
from smime_agent.names import name_of
from smime_agent.smime.inspect import tree, words
from smime_agent.smime.inspect.tree import Node, NodeType
from smime_agent.verdict import UntrustworthyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from smime_agent.cms.attributes import Attribute
    from smime_agent.cms.normal import Value as DerValue
    from smime_agent.smime.inspect.tree import Budget, Value

#: The value of an attribute that has only one.
VALUE: Final = "value"
_CONTEXT: Final = 0xA0
_PRIMITIVE: Final = 0x80
_SMIME: Final = "1.2.840.113549.1.9.16"
_ALL_OR_FIRST_TIER: Final = {0: "all receipts", 1: "first-tier recipients"}  # RFC 2634, 2.7
_CLASSIFICATIONS: Final = ("unmarked", "unclassified", "restricted", "confidential", "secret", "top secret")


def attributes(
    kind: str, found: Sequence[Attribute], budget: Budget, nested: Callable[[str, bytes], Node | None]
) -> list[Node]:
    """A node with the attributes of that kind (``signed``), or nothing where there are none.

    ``nested`` makes a node of a value that is a structure of CMS itself, given the OID of the attribute.
    """
    if not found:
        return []
    budget.spend()
    shown: list[Node] = []
    for attribute in found[: tree.MAX_SHOWN]:
        if budget.is_spent:
            break
        budget.spend(sum(map(len, attribute.values)))
        shown.append(_attribute(attribute, nested))
    return [Node(NodeType.ATTRIBUTES, kind, children=tuple(shown), more=len(found) - len(shown))]


def _attribute(attribute: Attribute, nested: Callable[[str, bytes], Node | None]) -> Node:
    texts: list[Value] = []
    below: list[Node] = []
    unreadable = None
    for encoded in attribute.values[: tree.MAX_SHOWN]:
        inside = nested(attribute.oid, encoded)
        if inside is not None:
            below.append(inside)
            continue
        try:
            texts += _DECODERS.get(attribute.oid, _unknown)(to_der(encoded))
        except UntrustworthyError as error:
            unreadable = str(error)
        except (IndexError, ValueError):  # a field that is missing
            unreadable = "it is not made of what belongs there"
    more = max(len(attribute.values) - tree.MAX_SHOWN, 0)
    size = sum(map(len, attribute.values)) if unreadable is not None or not attribute.values else None
    name = name_of(attribute.oid)
    return Node(
        NodeType.ATTRIBUTE,
        name,
        attribute.oid,
        size=size,
        values=tuple(texts),
        unreadable=unreadable,
        children=tuple(below),
        more=more,
    )


def _unknown(encoded: bytes) -> Iterator[Value]:
    yield _octets(encoded)


def _octets(octets: bytes) -> Value:
    return tree.octets_of(VALUE, octets)


def _oid(encoded: bytes) -> Iterator[Value]:
    yield tree.named(VALUE, object_identifier(value(encoded, OBJECT_IDENTIFIER)))


def _octet_string(encoded: bytes) -> Iterator[Value]:
    yield _octets(value(encoded, der.OCTET_STRING))


def _time(encoded: bytes) -> Iterator[Value]:
    (found,) = values(encoded)
    if found.tag not in {der.UTC_TIME, der.GENERALIZED_TIME}:
        raise ValueError
    yield tree.value(VALUE, words.time(found.tag, found.contents))


def _text(encoded: bytes) -> Iterator[Value]:
    (found,) = values(encoded)
    yield tree.value(VALUE, string(found.tag, found.contents))


def _binary_time(encoded: bytes) -> Iterator[Value]:
    """Seconds since 1970 (RFC 6019, 2)."""
    yield tree.value(VALUE, f"{integer(value(encoded, der.INTEGER))} seconds since 1970")


def _capabilities(encoded: bytes) -> Iterator[Value]:
    """SMIMECapabilities (RFC 8551, 2.5.2)."""
    found = values(value(encoded, der.SEQUENCE))
    yield tree.value(VALUE, tree.joined(words.algorithm(algorithm_of(one.encoded)) for one in found[: tree.MAX_SHOWN]))


def _protection(encoded: bytes) -> Iterator[Value]:
    """CMSAlgorithmProtection (RFC 6211, 2)."""
    names = {der.SEQUENCE: "digest_algorithm", _CONTEXT | 1: "signature_algorithm", _CONTEXT | 2: "mac_algorithm"}
    for field in values(value(encoded, der.SEQUENCE)):
        identifier = algorithm_of(bytes((der.SEQUENCE,)) + field.encoded[1:])
        yield tree.named(names.get(field.tag, VALUE), identifier.oid, words.algorithm(identifier))


def _key_preference(encoded: bytes) -> Iterator[Value]:
    """SMIMEEncryptionKeyPreference (RFC 8551, 2.5.3), and that of Microsoft, which has no tag."""
    (choice,) = values(encoded)
    if choice.tag in {_CONTEXT, der.SEQUENCE}:
        yield from _issuer_and_serial(values(choice.contents))
    elif choice.tag == _CONTEXT | 1:
        yield tree.octets_of("subject_key_identifier", values(choice.contents)[0].contents)
    else:
        yield tree.octets_of("subject_key_identifier", choice.contents)


def _issuer_and_serial(fields: Sequence[DerValue]) -> Iterator[Value]:
    issuer, serial = fields
    yield tree.value("issuer", words.distinguished_name(issuer.encoded))
    yield tree.value("serial", f"{integer(serial.contents):x}")


def _signing_certificate(encoded: bytes) -> Iterator[Value]:
    """SigningCertificate and SigningCertificateV2 (RFC 2634, 5.4; RFC 5035, 4)."""
    certificates, *policies = values(value(encoded, der.SEQUENCE))
    for certificate in values(certificates.contents)[: tree.MAX_SHOWN]:
        fields = values(certificate.contents)
        if fields[0].tag == der.SEQUENCE:
            identifier = algorithm_of(fields.pop(0).encoded)
            yield tree.named("hash_algorithm", identifier.oid, words.algorithm(identifier))
        yield tree.octets_of("certificate_hash", fields[0].contents)
        if len(fields) > 1:
            issuer, serial = values(fields[1].contents)
            yield tree.value("issuer", words.issuer_serial(issuer.contents))
            yield tree.value("serial", f"{integer(serial.contents):x}")
    if policies:
        found = [values(policy.contents)[0] for policy in values(policies[0].contents)[: tree.MAX_SHOWN]]
        yield tree.value("policies", tree.joined(object_identifier(policy.contents) for policy in found))


def _receipt_request(encoded: bytes) -> Iterator[Value]:
    """ReceiptRequest (RFC 2634, 2.7)."""
    identifier, receipts_from, receipts_to = values(value(encoded, der.SEQUENCE))
    yield tree.octets_of("content_identifier", identifier.contents)
    if receipts_from.tag == _PRIMITIVE:
        number = integer(receipts_from.contents)
        yield tree.value("receipts_from", _ALL_OR_FIRST_TIER.get(number, str(number)))
    else:
        lists = values(receipts_from.contents)
        yield tree.value("receipts_from", tree.joined(name for one in lists for name in _general_names(one.contents)))
    lists = values(receipts_to.contents)
    yield tree.value("receipts_to", tree.joined(name for one in lists for name in _general_names(one.contents)))


def _general_names(contents: bytes) -> Iterator[str]:
    for name in values(contents)[: tree.MAX_SHOWN]:
        if name.tag == _CONTEXT | 4:
            yield words.distinguished_name(name.contents)
        elif name.tag in {_PRIMITIVE | 1, _PRIMITIVE | 2, _PRIMITIVE | 6}:  # rfc822Name, dNSName, URI
            yield name.contents.decode("ascii", "backslashreplace")
        else:
            yield f"#{tree.hexadecimal(name.encoded)}"


def _content_hint(encoded: bytes) -> Iterator[Value]:
    """ContentHints (RFC 2634, 2.9)."""
    *description, content_type = values(value(encoded, der.SEQUENCE))
    for one in description:
        yield tree.value("description", string(one.tag, one.contents))
    yield tree.named("content_type", object_identifier(content_type.contents))


def _content_reference(encoded: bytes) -> Iterator[Value]:
    """ContentReference (RFC 2634, 2.11)."""
    content_type, identifier, signature = values(value(encoded, der.SEQUENCE))
    yield tree.named("content_type", object_identifier(content_type.contents))
    yield tree.octets_of("content_identifier", identifier.contents)
    yield tree.octets_of("signature", signature.contents)


def _security_label(encoded: bytes) -> Iterator[Value]:
    """ESSSecurityLabel (RFC 2634, 3.2)."""
    for field in values(value(encoded, der.SET)):
        if field.tag == OBJECT_IDENTIFIER:
            yield tree.named("policy", object_identifier(field.contents))
        elif field.tag == der.INTEGER:
            number = integer(field.contents)
            known = 0 <= number < len(_CLASSIFICATIONS)
            yield tree.value("classification", _CLASSIFICATIONS[number] if known else number)
        elif field.tag == der.SET:
            yield tree.count_of("categories", field.contents)
        else:
            yield tree.value("privacy_mark", string(field.tag, field.contents))


def _first_oid(encoded: bytes) -> Iterator[Value]:
    """What begins with an OID that says it all: a policy, a type of commitment (RFC 5126, 5.8.1, 5.11.1)."""
    yield tree.named(VALUE, object_identifier(values(value(encoded, der.SEQUENCE))[0].contents))


_DECODERS: Final[dict[str, Callable[[bytes], Iterator[Value]]]] = {
    oids.CONTENT_TYPE: _oid,
    oids.MESSAGE_DIGEST: _octet_string,
    oids.SIGNING_TIME: _time,
    oids.SMIME_CAPABILITIES: _capabilities,
    oids.CMS_ALGORITHM_PROTECTION: _protection,
    oids.RECEIPT_REQUEST: _receipt_request,
    oids.SECURITY_LABEL: _security_label,
    oids.CONTENT_HINT: _content_hint,
    oids.MESSAGE_SIGNATURE_DIGEST: _octet_string,
    f"{_SMIME}.2.6": _oid,
    oids.CONTENT_IDENTIFIER: _octet_string,
    oids.CONTENT_REFERENCE: _content_reference,
    oids.ENCRYPTION_KEY_PREFERENCE: _key_preference,
    oids.MICROSOFT_KEY_PREFERENCE: _key_preference,
    oids.SIGNING_CERTIFICATE: _signing_certificate,
    oids.SIGNING_CERTIFICATE_V2: _signing_certificate,
    oids.SIGNATURE_POLICY: _first_oid,
    oids.COMMITMENT_TYPE: _first_oid,
    oids.BINARY_SIGNING_TIME: _binary_time,
    "1.2.840.113549.1.9.2": _text,
}
