"""Octets to a tree: a mail part by part, and the CMS objects in it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from smime_agent.mime.dates import parse_date
from smime_agent.mime.encoded_words import decoded
from smime_agent.mime.envelope import LayerKind, layer_of
from smime_agent.mime.fields import field_name, field_value, first_value, mailbox_line_end, parse_parameterized
from smime_agent.mime.part import read_mail, read_part
from smime_agent.mime.recognition import Form, cms_of_pem, recognise
from smime_agent.mime.tree import walk
from smime_agent.smime.inspect import tree
from smime_agent.smime.inspect.objects import ObjectReader
from smime_agent.smime.inspect.tree import Budget, Draft, Node, NodeType
from smime_agent.verdict import UntrustworthyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smime_agent.mime.part import Part
    from smime_agent.mime.tree import Node as PartNode
    from smime_agent.smime.inspect.tree import Value
    from smime_agent.source import Source

#: Header fields that say who wrote to whom, when and about what.
_FIELDS: Final = (b"from", b"sender", b"to", b"cc", b"subject", b"date")
#: Parameters of a Content-Type that are worth a line.
_PARAMETERS: Final = (b"charset", b"protocol", b"micalg", b"smime-type", b"hp")
_MAX_FIELDS: Final = 20
_MAILBOX_LINE: Final = 4096
_MAX_FIELD: Final = 8 * 1024  # octets of one that are decoded


def inspect(source: Source) -> Node:
    """What a mail or a bare CMS object is made of, as a tree. No key is used, nothing is checked or trusted.

    Raises:
        FileError: it cannot be read. Whatever is wrong with it is in the tree: what is neither a mail nor CMS is a
            node of the type ``UNKNOWN``.
    """
    return _Inspector().input(source)


class _Inspector:
    """One input, on a budget."""

    def __init__(self) -> None:
        self._budget = Budget()
        self._objects = ObjectReader(self._budget, self._inside)
        self._depth = 0

    def input(self, source: Source) -> Node:
        """The whole."""
        try:
            match recognise(source):
                case Form.MAIL:
                    return self._mail(source)
                case Form.DER:
                    return self._objects.read(source, 0)
                case Form.PEM | Form.BASE64:
                    with cms_of_pem(source) as octets:
                        return self._objects.read(octets, 0)
        except UntrustworthyError as error:
            return Node(NodeType.UNKNOWN, size=source.size, unreadable=str(error))

    def _mail(self, source: Source) -> Node:
        """A mail; one that ``verify`` would not take for a mail is shown as far as it goes."""
        notes = []
        try:
            part = read_mail(source)
        except UntrustworthyError as error:
            notes.append(str(error))
            part = read_part(source, _after_mailbox_line(source))
            if not part.fields:
                raise
        root = self._entity(part, 0)
        return replace(root, type=NodeType.MAIL, notes=(*notes, *root.notes))

    def _inside(self, source: Source, layers: int) -> list[Node]:
        """What is in a CMS object, if it is a MIME entity or CMS itself."""
        try:
            form = recognise(source)
            if form is Form.DER:
                return [self._objects.read(source, layers)]
            part = read_part(source)
        except UntrustworthyError:
            return []
        names = {field_name(field) for field in part.fields[:_MAX_FIELDS]}
        if form is not Form.MAIL or not (names & {b"content-type", b"mime-version", *_FIELDS}):
            return []
        return [self._entity(part, layers)]

    def _entity(self, part: Part, layers: int) -> Node:
        """A MIME entity with all its parts, each below the one that it is in."""
        base = self._depth
        open_parts: list[Draft] = []
        for found in walk(part):
            while len(open_parts) > max(found.depth, 1):
                _close(open_parts)
            if base + found.depth >= tree.MAX_DEPTH:
                open_parts[-1].more += 1
                continue
            self._budget.spend()
            self._depth = base + found.depth + 1
            open_parts.append(self._part(found, layers))
            if self._budget.is_spent:
                open_parts[-1].notes.append("the tree is as large as it may be: what follows is left out")
                break
        self._depth = base
        while len(open_parts) > 1:
            _close(open_parts)
        return open_parts[0].node()

    def _part(self, found: PartNode, layers: int) -> Draft:
        part = found.part
        draft = Draft(
            NodeType.PART,
            name=_text(part.kind.value),
            path=".".join(str(number + 1) for number in (0, *found.path)),
            offset=part.start,
            size=part.end - part.start,
            unreadable=found.why_not,
        )
        draft.values += _part_values(part)
        if not part.separated and part.body < part.end:
            draft.notes.append("the header ends at a line that is no header field")
        is_multipart = part.kind.value.startswith(b"multipart/")
        if not is_multipart and found.why_not is None and layer_of(part) is LayerKind.CMS:
            draft.children.append(self._cms(part, layers, draft))
        return draft

    def _cms(self, part: Part, layers: int, draft: Draft) -> Node:
        source, trailing = part.decode_to_source()
        if trailing:
            draft.notes.append("data follows after the end of the base64")
        with source:
            try:
                return self._objects.read(source, layers)
            except UntrustworthyError as error:
                return Node(NodeType.CMS, size=source.size, unreadable=str(error))


def _after_mailbox_line(source: Source) -> int:
    """Where a mail begins that stands in a mailbox, or may."""
    return mailbox_line_end(source.read(0, _MAILBOX_LINE))


def _close(open_parts: list[Draft]) -> None:
    """The last part is complete, and belongs to the one before it."""
    closed = open_parts.pop()
    open_parts[-1].children.append(closed.node())


def _part_values(part: Part) -> Iterator[Value]:
    shown = [field for field in part.fields if field_name(field) in _FIELDS]
    for field in shown[:_MAX_FIELDS]:
        yield _field(field_name(field), field_value(field[:_MAX_FIELD]))
    if len(shown) > _MAX_FIELDS:
        yield tree.value("further_fields", len(shown) - _MAX_FIELDS)
    disposition = parse_parameterized(first_value(part.fields, b"content-disposition") or b"")
    file_name = disposition.parameters.get(b"filename") or part.kind.parameters.get(b"name")
    if file_name:
        yield tree.value("file_name", decoded(_text(file_name)))
    for name in _PARAMETERS:
        if name in part.kind.parameters:
            yield tree.value(_text(name).replace("-", "_"), _text(part.kind.parameters[name]))
    if first_value(part.fields, b"content-transfer-encoding") is not None:
        yield tree.value("encoding", _text(part.encoding))


def _field(name: bytes, value: bytes) -> Value:
    if name == b"date" and (moment := parse_date(value)) is not None:
        return tree.value("date", moment.isoformat())
    return tree.value(_text(name), decoded(_text(value)))


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")
