"""``smime-agent inspect``: what people and programs see of the tree."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from smime_agent.cli.inspect import as_json, lines
from smime_agent.smime.inspect import Node, NodeType, Value, inspect
from smime_agent.source import Source
from tests.support.mails import MAIL

if TYPE_CHECKING:
    from tests.support.command import Command

ROOT = Path(__file__).resolve().parent.parent.parent
FIELDS = {"type", "name", "oid", "path", "offset", "size", "values", "notes", "unreadable", "children", "more"}


def shown(*children: Node, **fields: Any) -> list[str]:  # noqa: ANN401 - those of a node
    return list(lines(Node(**{"type": NodeType.MAIL, **fields}, children=children)))


def test_a_mail_is_shown(command: Command) -> None:
    result = command("inspect", stdin=MAIL)
    assert result.code == 0
    assert result.out.decode().splitlines() == [
        f"mail  text/plain, utf-8, {len(MAIL)} octets",
        "  from     Alice <alice@example.org>",
        "  to       Bob <bob@example.org>",
        "  subject  Greetings",
    ]


def test_a_file_is_read(command: Command, tmp_path: Path) -> None:
    (tmp_path / "mail.eml").write_bytes(MAIL)
    assert command("inspect", tmp_path / "mail.eml").out.startswith(b"mail  text/plain")


def test_json_has_the_same_tree(command: Command) -> None:
    value = json.loads(command("inspect", "--json", stdin=MAIL).out)
    assert (value["schema"], value["type"], value["size"]) == ("smime-agent.inspect/1", "mail", len(MAIL))


def test_what_is_neither_a_mail_nor_cms_is_exit_code_6(command: Command) -> None:
    result = command("inspect", stdin=b"\0\1\2")
    assert (result.code, result.out) == (6, b"")
    assert "error: this is neither a mail nor a CMS object" in result.err


def test_json_says_so_too(command: Command) -> None:
    result = command("inspect", "--json", stdin=b"\0\1\2")
    assert result.code == 6
    assert json.loads(result.out)["type"] == "unknown"


def test_what_cannot_be_read_is_exit_code_2(command: Command, tmp_path: Path) -> None:
    assert command("inspect", tmp_path / "absent.eml").code == 2


def test_nothing_from_outside_moves_the_cursor(command: Command) -> None:
    mail = b"From: a@example.org\nSubject: =?utf-8?q?=1B[2Jtrusted=0Atrusted?= \xe2\x80\xae\n\nHi\n"
    out = command("inspect", stdin=mail).out.decode()
    assert all(line.isprintable() for line in out.splitlines())
    assert len(out.splitlines()) == 3


def test_values_stand_in_a_column() -> None:
    assert shown(values=(Value("a", "1"), Value("longer", "2"))) == ["mail", "  a       1", "  longer  2"]


def test_attributes_with_one_value_stand_in_a_column() -> None:
    attributes = [Node(NodeType.ATTRIBUTE, name, values=(Value("value", "x"),)) for name in ("contentType", "a")]
    group = Node(NodeType.ATTRIBUTES, "signed", children=tuple(attributes))
    assert shown(group) == ["mail", "  signed attributes", "    contentType  x", "    a            x"]


def test_what_was_left_out_is_counted_after_the_rest() -> None:
    assert shown(Node(NodeType.CRL), more=9_900) == ["mail", "  CRL", "  and 9,900 more"]


def test_what_is_unreadable_says_why() -> None:
    assert shown(unreadable="it is cut off") == ["mail", "  unreadable  it is cut off"]


def test_a_long_value_is_cut() -> None:
    (_, line) = shown(values=(Value("subject", "x" * 1000),))
    assert len(line) < 160


def test_a_part_says_where_it_is() -> None:
    part = Node(NodeType.PART, "text/plain", path="1.2", offset=1234, size=56)
    assert shown(part) == ["mail", "  part 1.2  text/plain, 56 octets at 1,234"]


def fields_of(value: dict[str, Any]) -> list[set[str]]:
    return [set(value), *(fields for child in value["children"] for fields in fields_of(child))]


def test_every_node_has_the_same_fields() -> None:
    tree = as_json(Node(NodeType.MAIL, children=(Node(NodeType.PART, children=(Node(NodeType.CMS),)),)))
    assert all(fields == FIELDS for fields in fields_of(tree))


@pytest.mark.vectors
def test_a_vector_is_shown_without_a_line_that_is_too_long(command: Command, vectors: Path) -> None:
    out = command("inspect", vectors / "rfc4134" / "4.10.bin").out.decode()
    assert max(map(len, out.splitlines())) <= 180


@pytest.mark.vectors
def test_a_tree_is_indented_by_two(command: Command, vectors: Path) -> None:
    out = command("inspect", vectors / "thunderbird" / "alice.dsig.SHA256.multipart.eml").out.decode()
    indents = [len(re.match(" *", line)[0]) for line in out.splitlines()]  # type: ignore[index]  # it always matches
    assert all(indent % 2 == 0 for indent in indents)
    assert indents[0] == 0


# What docs/json.md says of it


@lru_cache(maxsize=1)
def documented() -> dict[str, set[str]]:
    """The names of values that each type of node may have."""
    text = (ROOT / "docs" / "json.md").read_text(encoding="utf-8").partition("### Types of nodes")[2]
    rows = re.findall(r"^\| (`.*?) \| ?(.*?) ?\| .* \|$", text, re.MULTILINE)
    names = re.compile(r"`([a-z0-9_-]+)`")
    return {
        kind: set(names.findall(re.sub(r"\(.*?\)", "", values)))
        for kinds, values in rows
        for kind in names.findall(kinds)
    }


def undocumented(node: Node) -> set[tuple[str, str]]:
    found = {(node.type.value, value.name) for value in node.values}
    known = {(kind, name) for kind, names in documented().items() for name in names}
    return {*(found - known), *(one for child in node.children for one in undocumented(child))}


def test_every_type_of_node_is_documented() -> None:
    assert set(documented()) == {kind.value for kind in NodeType}


@pytest.mark.vectors
def test_every_value_is_documented(vectors: Path) -> None:
    paths = [
        path
        for folder in ("rfc4134", "cms-on-rfc9216", "thunderbird", "rfc9788")
        for path in (vectors / folder).iterdir()
    ]
    found = set()
    for path in paths:
        with Source.from_path(path) as source:
            found |= undocumented(inspect(source))
    assert found == set()
