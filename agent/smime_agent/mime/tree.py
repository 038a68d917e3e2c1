"""The parts of a mail as a tree, for those who look for signatures where none counts, and for people."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from smime_agent.mime.envelope import LayerKind, is_detached_signature, layer_of
from smime_agent.mime.fields import HEADER_LIMIT, mailbox_line_end
from smime_agent.mime.part import TEXT_PLAIN, Part, read_part
from smime_agent.mime.window import Window
from smime_agent.verdict import UntrustworthyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smime_agent.mime.window import Delimiter
    from smime_agent.source import Source

DEPTH_LIMIT: Final = 100
PART_LIMIT: Final = 10_000
_HEADERS_LIMIT: Final = 16 * 1024 * 1024  # of all parts together: they are kept in memory
_DECODED_LIMIT: Final = 16 * 1024 * 1024  # of all mails that are attached in base64 or quoted-printable
_BOUNDARY_LIMIT: Final = 900
_HEADER_GUESS: Final = 4096
_MESSAGES: Final = frozenset({b"message/rfc822", b"message/global"})  # RFC 2046, 5.2.1; RFC 6532, 3.7
_ENCODED: Final = frozenset({b"base64", b"quoted-printable"})
_TOO_DEEP: Final = f"it is deeper than {DEPTH_LIMIT} levels"
_TOO_MANY: Final = f"the mail has more than {PART_LIMIT} parts, or headers of more than 16 MiB: nothing more is read"
_TOO_LARGE: Final = "it is encoded, and too large to look into"
_LONG_HEADER: Final = "its header is longer than 1 MiB"
_NO_PARTS: Final = "its boundary is missing, or does not occur"


@dataclass(frozen=True, slots=True)
class Node:
    """A part in the tree: ``depth`` of the root is 0, ``path`` are the numbers of its ancestors among their siblings.

    ``why_not`` says why nothing is below it, where something should be; ``in_message``: it stands in an attached mail.
    """

    part: Part
    depth: int
    path: tuple[int, ...]
    why_not: str | None = None
    in_message: bool = False


def walk(part: Part) -> Iterator[Node]:
    """The part and all below it, each before what it holds: in multiparts and attached mails, never in CMS.

    It stops at 10,000 parts, with a last node that says so. Raises ``FileError`` only.
    """
    budget = _Budget()
    open_nodes = [iter(_Survey(part, Node(part, 0, ()), budget).nodes())]
    while open_nodes:
        node = next(open_nodes[-1], None)
        if node is None:
            open_nodes.pop()
            continue
        if node.part.kind.value not in _MESSAGES or node.part.encoding not in _ENCODED or node.why_not:
            yield node
            if node.why_not == _TOO_MANY:
                return
            continue
        inner, why_not = _enclosed(node, budget)
        yield replace(node, why_not=why_not)
        if inner is not None:
            below = Node(inner, node.depth + 1, (*node.path, 0), in_message=True)
            open_nodes.append(iter(_Survey(inner, below, budget).nodes()))


def errant_layers(part: Part) -> list[Node]:
    """The cryptographic layers below a part that protect only a piece of it (RFC 9787: errant).

    A layer that is all of the content of a clear-signed one around it is none of them, nor is what lies in an errant
    layer. ``in_message`` tells the attached mail from a part of a multipart.
    """
    errant: list[Node] = []
    envelope: tuple[int, ...] | None = ()  # the path of the innermost layer of the envelope while we are in it
    skipped: tuple[int, ...] | None = None
    for node in walk(part):
        if skipped is not None and node.path[: len(skipped)] == skipped:
            continue
        kind = layer_of(node.part)
        if node.path == envelope:
            envelope = (*envelope, 0) if kind is LayerKind.CLEAR_SIGNED else None
        elif kind is not None and not is_detached_signature(node.part):
            errant.append(node)
            skipped = node.path
    return errant


def _enclosed(node: Node, budget: _Budget) -> tuple[Part | None, str | None]:
    """The mail in an encoded attachment: small ones only, which are held in memory."""
    size = node.part.end - node.part.body
    limit = node.part.source.IN_MEMORY
    if size > limit or size > budget.decoded:
        return None, _TOO_LARGE
    if node.depth >= DEPTH_LIMIT:
        return None, _TOO_DEEP
    budget.decoded -= size
    source, _ = node.part.decode_to_source()
    try:
        return read_part(source, _after_mailbox_line(source, 0)), None
    except UntrustworthyError:
        return None, _LONG_HEADER


def _after_mailbox_line(source: Source, start: int) -> int:
    head = source.read(start, start + _HEADER_GUESS)
    return start + mailbox_line_end(head.removeprefix(b">")) + head.startswith(b">From ")


@dataclass(slots=True)
class _Budget:
    """What is left of the limits for the whole mail."""

    parts: int = PART_LIMIT
    header: int = _HEADERS_LIMIT
    decoded: int = _DECODED_LIMIT


@dataclass(slots=True)
class _Open:
    """A part whose end is not known yet. ``level`` is that of its boundary; an attached mail has none."""

    slot: int
    level: int | None
    default: bytes = TEXT_PLAIN
    children: int = field(default=0)


class _Survey:
    """One pass over a part that finds where each part in it ends."""

    def __init__(self, part: Part, root: Node, budget: _Budget) -> None:
        self._source = part.source
        self._window = Window(part.source, part.end)
        self._budget = budget
        self._nodes: list[Node] = [root]
        self._open: list[_Open] = []
        self._boundaries: list[bytes] = []
        self._stopped = False

    def nodes(self) -> list[Node]:
        """All nodes, each before what it holds."""
        delimiter = self._enter(0)
        while delimiter.level is not None and not self._stopped:
            self._close_down_to(delimiter.level, delimiter.start)
            delimiter = self._leave(delimiter) if delimiter.closing else self._enter(self._add(delimiter.stop))
        self._close_down_to(-1, self._window.size)
        return self._nodes

    def _enter(self, slot: int) -> Delimiter:
        """Look into a part; the delimiter that follows its header, or its body."""
        node = self._nodes[slot]
        part = node.part
        kind = part.kind.value
        while kind in _MESSAGES and part.encoding not in _ENCODED and not self._stopped:
            if node.depth >= DEPTH_LIMIT:
                self._nodes[slot] = replace(node, why_not=_TOO_DEEP)
                break
            self._open.append(_Open(slot, None))
            slot = self._add(part.body, in_message=True)
            node = self._nodes[slot]
            part, kind = node.part, node.part.kind.value
        why_not = self._open_multipart(slot, node) if kind.startswith(b"multipart/") else None
        if why_not is not None:
            self._nodes[slot] = replace(node, why_not=why_not)
        delimiter = self._window.delimiter(part.body, self._boundaries)
        if not self._open or self._open[-1].slot != slot:
            self._end(slot, delimiter.start)
        return delimiter

    def _open_multipart(self, slot: int, node: Node) -> str | None:
        boundary = node.part.kind.parameters.get(b"boundary", b"").rstrip(b" \t")
        if not 0 < len(boundary) <= _BOUNDARY_LIMIT or b"\n" in boundary:
            return _NO_PARTS
        if node.depth >= DEPTH_LIMIT:
            return _TOO_DEEP
        default = b"message/rfc822" if node.part.kind.value == b"multipart/digest" else TEXT_PLAIN
        self._open.append(_Open(slot, len(self._boundaries), default))
        self._boundaries.append(boundary)
        return None

    def _leave(self, closing: Delimiter) -> Delimiter:
        """From the closing delimiter of the innermost multipart to the delimiter that ends its epilogue."""
        multipart = self._open.pop()
        self._boundaries.pop()
        delimiter = self._window.delimiter(closing.stop, self._boundaries)
        self._end(multipart.slot, delimiter.start)
        if multipart.children == 0:
            self._nodes[multipart.slot] = replace(self._nodes[multipart.slot], why_not=_NO_PARTS)
        return delimiter

    def _close_down_to(self, level: int, end: int) -> None:
        """End what a delimiter of an outer multipart ends."""
        while self._open and (self._open[-1].level is None or self._open[-1].level > level):
            closed = self._open.pop()
            self._end(closed.slot, end)
            if closed.level is not None:
                self._boundaries.pop()
                if closed.children == 0:
                    self._nodes[closed.slot] = replace(self._nodes[closed.slot], why_not=_NO_PARTS)

    def _end(self, slot: int, end: int) -> None:
        if slot:  # where the root ends was known
            node = self._nodes[slot]
            self._nodes[slot] = replace(node, part=replace(node.part, end=max(node.part.body, end)))

    def _add(self, start: int, *, in_message: bool = False) -> int:
        """Read the header at ``start``: a new node in the innermost open part, whose end is not known yet."""
        parent = self._open[-1]
        above = self._nodes[parent.slot]
        why_not = None
        try:
            part = self._read(_after_mailbox_line(self._source, start) if in_message else start, parent.default)
        except UntrustworthyError:
            part, why_not = read_part(self._source, start, start), _LONG_HEADER
        self._budget.parts -= 1
        self._budget.header -= part.body - part.start
        if self._budget.parts <= 0 or self._budget.header < 0:
            why_not, self._stopped = _TOO_MANY, True
        path = (*above.path, parent.children)
        parent.children += 1
        self._nodes.append(Node(part, above.depth + 1, path, why_not, above.in_message or in_message))
        return len(self._nodes) - 1

    def _read(self, start: int, default: bytes) -> Part:
        """The part at ``start``; a delimiter ends its header, even where it looks like a field."""
        delimiter = self._window.delimiter(start, self._boundaries, stop=start + _HEADER_GUESS)
        if delimiter.level is None:
            head = read_part(self._source, start, min(start + _HEADER_GUESS, self._window.size))
            if head.end - head.body < 4:  # noqa: PLR2004 - a line end that is cut off: the header may go on
                delimiter = self._window.delimiter(start, self._boundaries, stop=start + HEADER_LIMIT + 2)
        limit = self._window.size if delimiter.level is None else delimiter.line
        return replace(read_part(self._source, start, limit, default=default), end=self._window.size)
