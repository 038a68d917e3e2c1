"""CMS objects as nodes, field by field: what cannot be read is reported in its place, and the rest goes on."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from smime_agent import der
from smime_agent.cms import oids
from smime_agent.cms.ber import CONSTRUCTED, Reader, header, integer, malformed, object_identifier
from smime_agent.cms.compressed_data import (
    CompressedData,
    DigestedData,
    EncryptedData,
)
from smime_agent.cms.content import Content
from smime_agent.cms.content_info import CONTEXT_0, CONTEXT_1, OBJECT_IDENTIFIER, open_content_info, typed_content
from smime_agent.cms.enveloped_data import (
    AuthEnvelopedData,
    EnvelopedData,
)
from smime_agent.cms.signer_info import read_algorithm, read_signer_info
from smime_agent.names import name_of
from smime_agent.smime.inspect import tree, words
from smime_agent.smime.inspect.attributes import VALUE, attributes
from smime_agent.smime.inspect.certificates import add_certificates, add_crls, names_of_holders
from smime_agent.smime.inspect.recipients import algorithm, identifier, recipient_node
from smime_agent.smime.inspect.tree import Draft, Node, NodeType
from smime_agent.source import Source
from smime_agent.verdict import UntrustworthyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from smime_agent.cms.attributes import Attribute
    from smime_agent.cms.ber import Element
    from smime_agent.cms.enveloped_data import EncryptedContentInfo, OriginatorInfo
    from smime_agent.cms.signer_info import SignerInfo
    from smime_agent.smime.inspect.certificates import Holders
    from smime_agent.smime.inspect.tree import Budget, Value

#: CMS objects inside CMS objects, by way of what they hold.
MAX_LAYERS: Final = 10
#: What a CompressedData may expand to before it is looked into, in octets, for one input in all.
MAX_EXPANDED: Final = 64 * 1024 * 1024
_STRING: Final = (der.OCTET_STRING, der.OCTET_STRING | CONSTRUCTED)
_BEGINNING: Final = 120  # octets of a text, or of an object
_ID_TST_INFO: Final = "1.2.840.113549.1.9.16.1.4"
#: Attributes whose values are structures of CMS.
_TIME_STAMPS: Final = frozenset({oids.TIME_STAMP_TOKEN, "1.3.6.1.4.1.311.3.3.1"})


class ObjectReader:
    """Reads CMS objects; what they hold is handed to ``inside``, with the number of layers around it."""

    def __init__(self, budget: Budget, inside: Callable[[Source, int], list[Node]]) -> None:
        self._budget = budget
        self._inside = inside
        self._expanded = MAX_EXPANDED

    def read(self, source: Source, layers: int) -> Node:
        """The CMS object in a ContentInfo.

        Raises:
            UntrustworthyError: it is no ContentInfo, not even a damaged one.
            FileError: it cannot be read.
        """
        self._budget.spend()
        try:
            dotted, _, end = open_content_info(Reader(source))
        except UntrustworthyError as error:
            dotted = _likely_type(source)
            return Node(NodeType.CMS, name_of(dotted), dotted, size=source.size, unreadable=str(error))
        draft = Draft(NodeType.CMS, name_of(dotted), dotted, size=end)
        if end < source.size:
            draft.notes.append(f"{source.size - end} octets follow after it")
        if layers > MAX_LAYERS:
            draft.unreadable = f"it is inside more than {MAX_LAYERS} others"
            return draft.node()
        read = {
            oids.ID_DATA: self._data,
            oids.ID_SIGNED_DATA: self._signed_data,
            oids.ID_ENVELOPED_DATA: self._enveloped_data,
            oids.ID_AUTH_ENVELOPED_DATA: self._auth_enveloped_data,
            oids.ID_COMPRESSED_DATA: self._compressed_data,
            oids.ID_DIGESTED_DATA: self._digested_data,
            oids.ID_ENCRYPTED_DATA: self._encrypted_data,
        }.get(dotted)
        if read is None:
            draft.notes.append("what is in it is not read")
            return draft.node()
        try:
            read(draft, source, layers)
        except UntrustworthyError as error:
            draft.unreadable = str(error)
        return draft.node()

    def _data(self, draft: Draft, source: Source, layers: int) -> None:
        """Nothing but a content (RFC 5652, 4)."""
        reader = Reader(source)
        _, content, _ = open_content_info(reader)
        if content.tag not in _STRING:
            malformed("data that is no OCTET STRING")
        self._content(draft, oids.ID_DATA, Content(source, reader, content), layers)

    # SignedData (RFC 5652, 5.1)

    def _signed_data(self, draft: Draft, source: Source, layers: int) -> None:
        reader = Reader(source)
        _, whole, _ = open_content_info(reader)
        fields = reader.fields(whole, der.SEQUENCE)
        draft.values.append(tree.value("version", integer(reader.contents(fields.required(der.INTEGER)))))
        digests = reader.members(fields.required(der.SET), tree.MAX_SHOWN)
        draft.values += [algorithm("digest_algorithm", read_algorithm(reader, one)) for one in digests]
        self._encapsulated(draft, reader, source, fields.required(der.SEQUENCE), layers)
        certificates = _members(reader, fields.optional(CONTEXT_0), draft)
        add_certificates(draft, certificates, self._budget)
        add_crls(draft, _members(reader, fields.optional(CONTEXT_1), draft), self._budget)
        signers = fields.required(der.SET)
        fields.finish()
        holders = names_of_holders(draft, certificates)
        for count, signer in enumerate(reader.children(signers)):
            if count >= tree.MAX_SHOWN or self._budget.is_spent:
                draft.more += 1
            else:
                draft.children.append(self._signer(reader, signer, holders, layers))

    def _encapsulated(self, draft: Draft, reader: Reader, source: Source, element: Element, layers: int) -> None:
        dotted, inside = typed_content(reader, element)
        if inside is None:
            self._content(draft, dotted, None, layers)
        elif inside.tag in _STRING:
            self._content(draft, dotted, Content(source, reader, inside), layers)
        else:  # PKCS #7 has ANY there
            size = inside.end - inside.start
            draft.children.append(Node(NodeType.CONTENT, name_of(dotted), dotted, offset=inside.start, size=size))

    def _content(self, draft: Draft, dotted: str, content: Content | None, layers: int) -> None:
        """What is signed, digested or compressed, and what is in it."""
        self._budget.spend()
        if content is None:
            node = Node(NodeType.CONTENT, name_of(dotted), dotted, values=(tree.value(VALUE, "detached"),))
        else:
            with content.source() as source:
                node = self._held(dotted, source, layers)
        draft.children.append(node)

    def _held(self, dotted: str, source: Source, layers: int) -> Node:
        below = self._inside(source, layers + 1) if dotted == oids.ID_DATA and not self._budget.is_spent else []
        values = _time_stamp(source) if dotted == _ID_TST_INFO else () if below else tuple(_beginning(source))
        return Node(NodeType.CONTENT, name_of(dotted), dotted, size=source.size, values=values, children=tuple(below))

    def _signer(self, reader: Reader, element: Element, holders: Holders, layers: int) -> Node:
        self._budget.spend(element.end - element.start)
        try:
            info = read_signer_info(reader, element)
        except UntrustworthyError as error:
            return Node(NodeType.SIGNER, size=element.end - element.start, unreadable=str(error))
        sid = info.sid
        name = holders.get(sid.subject_key_identifier or (sid.issuer, sid.serial_number), "")
        return self._signer_node(info, name, layers)

    def _signer_node(self, info: SignerInfo, name: str, layers: int) -> Node:
        values = [tree.value("version", info.version), *identifier(info.sid)]
        values.append(algorithm("digest_algorithm", info.digest_algorithm))
        values.append(algorithm("signature_algorithm", info.signature_algorithm))
        values.append(tree.count_of("signature", info.signature))
        children = self._attributes("signed", info.signed_attributes or (), layers)
        children += self._attributes("unsigned", info.unsigned_attributes, layers)
        return Node(NodeType.SIGNER, name, values=tuple(values), children=tuple(children))

    def _attributes(self, kind: str, found: Sequence[Attribute], layers: int) -> list[Node]:
        def nested(oid: str, encoded: bytes) -> Node | None:
            return self._nested(oid, encoded, layers + 1)

        return attributes(kind, found, self._budget, nested)

    def _nested(self, oid: str, encoded: bytes, layers: int) -> Node | None:
        """A countersignature (RFC 5652, 11.4) or a time-stamp (RFC 3161, appendix A) as a node."""
        if layers > MAX_LAYERS or self._budget.is_spent:
            return None
        source = Source.from_bytes(encoded)
        if oid == oids.COUNTERSIGNATURE:
            reader = Reader(source)
            try:
                return self._signer(reader, reader.element(0, reader.size), {}, layers)
            except UntrustworthyError as error:
                return Node(NodeType.SIGNER, size=len(encoded), unreadable=str(error))
        if oid in _TIME_STAMPS:
            try:
                return self.read(source, layers)
            except UntrustworthyError as error:
                return Node(NodeType.CMS, size=len(encoded), unreadable=str(error))
        return None

    # EnvelopedData and its kin (RFC 5652, 6 and 8; RFC 5083, 2.1)

    def _enveloped_data(self, draft: Draft, source: Source, layers: int) -> None:
        found = EnvelopedData.read(source)
        draft.values.append(tree.value("version", found.version))
        self._recipients(draft, found.originator_info, found.recipient_infos)
        self._encrypted(draft, found.encrypted_content_info)
        draft.children += self._attributes("unprotected", found.unprotected_attributes, layers)

    def _auth_enveloped_data(self, draft: Draft, source: Source, layers: int) -> None:
        found = AuthEnvelopedData.read(source)
        draft.values.append(tree.value("version", found.version))
        draft.values.append(tree.octets_of("mac", found.mac))
        self._recipients(draft, found.originator_info, found.recipient_infos)
        self._encrypted(draft, found.encrypted_content_info)
        draft.children += self._attributes("authenticated", found.authenticated_attributes, layers)
        draft.children += self._attributes("unauthenticated", found.unauthenticated_attributes, layers)

    def _encrypted_data(self, draft: Draft, source: Source, layers: int) -> None:
        found = EncryptedData.read(source)
        draft.values.append(tree.value("version", found.version))
        self._encrypted(draft, found.encrypted_content_info)
        draft.children += self._attributes("unprotected", found.unprotected_attributes, layers)

    def _recipients(self, draft: Draft, originator: OriginatorInfo | None, recipients: Sequence[bytes]) -> None:
        if originator is not None:
            add_certificates(draft, originator.certificates, self._budget)
            add_crls(draft, originator.crls, self._budget)
        draft.add(self._budget.nodes(recipients, lambda encoded: recipient_node(encoded, self._budget)))

    def _encrypted(self, draft: Draft, info: EncryptedContentInfo) -> None:
        self._budget.spend()
        name = name_of(info.content_type)
        values = [algorithm("content_encryption_algorithm", info.content_encryption_algorithm)]
        if info.content is None:
            values.append(tree.value(VALUE, "detached"))
        size = info.content.size if info.content is not None else None
        draft.children.append(Node(NodeType.CONTENT, name, info.content_type, size=size, values=tuple(values)))

    # CompressedData and DigestedData (RFC 3274, 1.1; RFC 5652, 7)

    def _compressed_data(self, draft: Draft, source: Source, layers: int) -> None:
        found = CompressedData.read(source)
        draft.values.append(tree.value("version", found.version))
        draft.values.append(algorithm("compression_algorithm", found.compression_algorithm))
        if found.content is None:
            self._content(draft, found.content_type, None, layers)
            return
        draft.values.append(tree.value("compressed_size", f"{found.content.size} octets"))
        blocks = _Blocks(found.decompressed(self._expanded), self._spend_expanded)
        with Source.from_stream(blocks) as expanded:
            self._budget.spend()
            draft.children.append(self._held(found.content_type, expanded, layers))

    def _spend_expanded(self, octets: int) -> None:
        self._expanded -= octets

    def _digested_data(self, draft: Draft, source: Source, layers: int) -> None:
        found = DigestedData.read(source)
        draft.values.append(tree.value("version", found.version))
        draft.values.append(algorithm("digest_algorithm", found.digest_algorithm))
        draft.values.append(tree.octets_of("digest", found.digest))
        self._content(draft, found.content_type, found.content, layers)


def _likely_type(source: Source) -> str:
    """The content type of what begins like a ContentInfo, whether it goes on like one or not."""
    octets = source.read(0, _BEGINNING)
    tag, at, _ = header(octets, 0)
    kind, start, length = header(octets, at)
    if (tag, kind) != (der.SEQUENCE, OBJECT_IDENTIFIER):
        malformed("it is no ContentInfo")
    return object_identifier(octets[start : start + max(length, 0)])


def _members(reader: Reader, choices: Element | None, draft: Draft) -> list[bytes]:
    """The certificates, or the CRLs, of a set of choices; the others are counted."""
    members = reader.members(choices) if choices is not None else []
    chosen = [reader.encoded(one) for one in members if one.tag == der.SEQUENCE]
    if len(chosen) < len(members):
        draft.notes.append(f"{len(members) - len(chosen)} of another kind than certificate or CRL are left out")
    return chosen


def _time_stamp(source: Source) -> tuple[Value, ...]:
    """``TSTInfo ::= SEQUENCE { version, policy, messageImprint, serialNumber, genTime, ... }`` (RFC 3161, 2.4.2)."""
    found: list[Value] = []
    with suppress(UntrustworthyError):
        reader = Reader(source)
        fields = reader.fields(reader.element(0, reader.size), der.SEQUENCE)
        fields.required(der.INTEGER)
        policy = object_identifier(reader.contents(fields.required(OBJECT_IDENTIFIER)))
        found.append(tree.named("policy", policy))
        fields.required(der.SEQUENCE)
        found.append(tree.value("serial", f"{integer(reader.contents(fields.required(der.INTEGER))):x}"))
        moment = fields.required(der.GENERALIZED_TIME)
        found.append(tree.value("time", words.time(moment.tag, reader.contents(moment))))
    return tuple(found)


def _beginning(source: Source) -> Iterator[Value]:
    """How a text begins; nothing of what is none."""
    text = source.read(0, _BEGINNING).decode("utf-8", "ignore")
    if text.replace("\r", "").replace("\n", "").replace("\t", "").isprintable() and text.strip():
        yield tree.value("begins", " ".join(text.split()))


class _Blocks:
    """Blocks of octets as a stream, for as many octets as are left."""

    def __init__(self, blocks: Iterator[bytes], spend: Callable[[int], None]) -> None:
        self._blocks = blocks
        self._spend = spend

    def read(self, _size: int, /) -> bytes:
        """The next block that is not empty; nothing at the end."""
        block = next(filter(None, self._blocks), b"")
        self._spend(len(block))
        return block
