"""``smime-agent inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from smime_agent.cli import ui
from smime_agent.cli.output import open_source
from smime_agent.errors import InvalidMessageError
from smime_agent.smime.inspect import NodeType, inspect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smime_agent.smime.inspect import Node

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_LONGEST: Final = 130  # characters of a value on the screen: a digest of 64 octets fits
_INDENT: Final = "  "
#: Values that stand beside the name of a node; the others are below it.
_BESIDE: Final = frozenset({"value", "version", "charset", "encoding"})
_LABELS: Final = {NodeType.CMS: "CMS", NodeType.CRL: "CRL", NodeType.RECIPIENT_KEY: "recipient key"}
_NAMES: Final = {"sha256": "SHA-256", "ca": "CA", "mac": "MAC", "smime_type": "smime-type"}
#: They are known by their names alone.
_NAMED: Final = frozenset({NodeType.CMS, NodeType.ATTRIBUTE, NodeType.ATTRIBUTES})


@app.command(name="inspect")
def inspect_message(
    message: Annotated[
        Path | None, typer.Argument(metavar="[MESSAGE]", help="A mail or CMS object; else standard input.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")] = False,
) -> None:
    """Show what a mail or a CMS object is made of.

    Nothing is checked, nothing trusted, no key used. The exit code is 0 if it could be read as something, 6 if it is
    neither a mail nor CMS.
    """
    with open_source(message) as source:
        root = inspect(source)
    if json:
        ui.json_line("inspect/1", **as_json(root))
    if root.type is NodeType.UNKNOWN:
        raise InvalidMessageError(
            "this is neither a mail nor a CMS object",
            hint="a mail begins with its header; CMS is DER, BER, PEM or base64",
            details=(root.unreadable or "",),
        )
    if not json:
        for line in lines(root):
            ui.out(line)


def as_json(node: Node) -> dict[str, Any]:
    """The fields of a node, with those of all below it."""
    return {
        "type": node.type.value,
        "name": node.name,
        "oid": node.oid,
        "path": node.path,
        "offset": node.offset,
        "size": node.size,
        "values": [{"name": one.name, "text": one.text, "oid": one.oid} for one in node.values],
        "notes": list(node.notes),
        "unreadable": node.unreadable,
        "children": [as_json(child) for child in node.children],
        "more": node.more,
    }


def lines(root: Node) -> Iterator[str]:
    """The tree for people: a line for each node, with its values below it, and what is in it below them."""
    stack: list[tuple[Node | str, int, int]] = [(root, 0, 0)]
    while stack:
        node, depth, width = stack.pop()
        indent = _INDENT * depth
        if isinstance(node, str):
            yield indent + node
            continue
        yield from (f"{indent}{line}" for line in _own_lines(node, width))
        column = max((len(child.name) for child in node.children if _is_single(child)), default=0)
        if node.more:
            stack.append((f"and {node.more:,} more", depth + 1, 0))
        stack += [(child, depth + 1, column) for child in reversed(node.children)]


def _own_lines(node: Node, width: int) -> Iterator[str]:
    """A headline, and the values that have no place in it."""
    label = _label(node)
    beside = [] if node.type in _NAMED or not node.name else [node.name]
    beside += [
        f"version {one.text}" if one.name == "version" else one.text for one in node.values if one.name in _BESIDE
    ]
    if node.size is not None:
        beside.append(f"{node.size:,} octets" + (f" at {node.offset:,}" if node.offset else ""))
    yield f"{label.ljust(width)}  {_cut(', '.join(beside))}".rstrip()
    below = [
        (_NAMES.get(one.name) or one.name.replace("_", " "), one.text) for one in node.values if one.name not in _BESIDE
    ]
    below += [("note", note) for note in node.notes]
    if node.unreadable is not None:
        below.append(("unreadable", node.unreadable))
    column = max((len(name) for name, _ in below), default=0)
    yield from (f"{_INDENT}{name.ljust(column)}  {_cut(text)}" for name, text in below)


def _label(node: Node) -> str:
    if node.type in _NAMED and node.name:
        return f"{node.name} attributes" if node.type is NodeType.ATTRIBUTES else node.name
    label = _LABELS.get(node.type, node.type.value)
    return f"{label} {node.path}" if node.type is NodeType.PART else label


def _is_single(node: Node) -> bool:
    """A name and a value, as most attributes are."""
    return node.type is NodeType.ATTRIBUTE and {one.name for one in node.values} == {"value"} and not node.children


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
