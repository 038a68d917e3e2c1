"""The tree that ``inspect`` gives: frozen nodes, and the budget that keeps it small whatever the input is."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

from smime_agent.names import name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

#: Nodes of one tree, roughly: large things count more.
MAX_NODES: Final = 10_000
#: Nodes inside nodes.
MAX_DEPTH: Final = 100
#: Nodes of one kind in one place: certificates of one SignedData, say. The others are only counted.
MAX_SHOWN: Final = 100
#: Characters of one value; a longer one is cut.
MAX_TEXT: Final = 1_000
_MAX_HEX: Final = 256  # octets
_OCTETS_A_NODE: Final = 1024


class NodeType(Enum):
    """What a node is; the value is its name in JSON."""

    UNKNOWN = "unknown"
    MAIL = "mail"
    PART = "part"
    CMS = "cms"
    CONTENT = "content"
    CERTIFICATE = "certificate"
    CRL = "crl"
    SIGNER = "signer"
    ORIGINATOR = "originator"
    RECIPIENT = "recipient"
    RECIPIENT_KEY = "recipient-key"
    ATTRIBUTES = "attributes"
    ATTRIBUTE = "attribute"


@dataclass(frozen=True, slots=True)
class Value:
    """A name of ours, a text that may come from outside, and the dotted OID that it is the name of, if it is one."""

    name: str
    text: str
    oid: str | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """One thing that was found.

    ``name`` says which of its type it is, ``oid`` is the identifier that it is the name of. ``size`` and ``offset`` are
    in octets, ``offset`` in what the node stands in, decoded. ``path`` is the number of a MIME part.
    ``unreadable`` says why there is not more; ``notes`` say what is odd; ``more`` children were left out.
    """

    type: NodeType
    name: str = ""
    oid: str | None = None
    path: str | None = None
    offset: int | None = None
    size: int | None = None
    values: tuple[Value, ...] = ()
    notes: tuple[str, ...] = ()
    unreadable: str | None = None
    children: tuple[Node, ...] = ()
    more: int = 0


@dataclass(slots=True)
class Draft:
    """A node while it is made."""

    type: NodeType
    name: str = ""
    oid: str | None = None
    path: str | None = None
    offset: int | None = None
    size: int | None = None
    values: list[Value] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unreadable: str | None = None
    children: list[Node] = field(default_factory=list)
    more: int = 0

    def add(self, found: tuple[list[Node], int]) -> None:
        """Children, and the number of those that were left out."""
        self.children += found[0]
        self.more += found[1]

    def node(self) -> Node:
        """What it has become."""
        return Node(
            self.type,
            self.name,
            self.oid,
            self.path,
            self.offset,
            self.size,
            tuple(self.values),
            tuple(self.notes),
            self.unreadable,
            tuple(self.children),
            self.more,
        )


class Budget:
    """How many nodes may still be made for one input."""

    def __init__(self) -> None:
        self._left = MAX_NODES

    @property
    def is_spent(self) -> bool:
        """Nothing more is to be looked at."""
        return self._left <= 0

    def spend(self, octets: int = 0, octets_a_node: int = _OCTETS_A_NODE) -> None:
        """One more node, which took so many octets to be read; ``octets_a_node`` of them count as another one."""
        self._left -= 1 + octets // octets_a_node

    def nodes(
        self, items: Sequence[bytes], node_of: Callable[[bytes], Node], octets_a_node: int = _OCTETS_A_NODE
    ) -> tuple[list[Node], int]:
        """A node for each item while there may be more, and the number of those that were left out."""
        found: list[Node] = []
        for item in items[:MAX_SHOWN]:
            if self.is_spent:
                break
            self.spend(len(item), octets_a_node)
            found.append(node_of(item))
        return found, len(items) - len(found)


def value(name: str, text: str | int) -> Value:
    """A text under a name."""
    return Value(name, cut(str(text)))


def named(name: str, oid: str, text: str | None = None) -> Value:
    """What an OID names, or a text that begins with that."""
    return Value(name, cut(text if text is not None else name_of(oid)), oid)


def octets_of(name: str, octets: bytes) -> Value:
    """Octets in hexadecimal."""
    return Value(name, hexadecimal(octets))


def count_of(name: str, octets: bytes) -> Value:
    """How many octets there are: what they are tells nobody anything."""
    return Value(name, f"{len(octets)} octets")


def hexadecimal(octets: bytes) -> str:
    """Octets in hexadecimal, cut where there are many."""
    if len(octets) <= _MAX_HEX:
        return octets.hex()
    return f"{octets[:_MAX_HEX].hex()} ... ({len(octets)} octets)"


def cut(text: str) -> str:
    """A text of decent length."""
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]} ..."


def joined(texts: Iterable[str]) -> str:
    """A list as one text."""
    return cut(", ".join(texts))
