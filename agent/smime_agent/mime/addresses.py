"""The mailboxes in a field such as From, by the grammar of RFC 5322, 3.4 and 4.4, and RFC 6532, 3.2.

The standard library's parser would do, but it takes 20 ms to import and raises errors of its own on broken fields.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN: Final = re.compile(
    r'(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<literal>\[[^][\\()]*\])|(?P<special>[<>,;:@.])|(?P<atom>[^\s<>,;:@."[\]\\()]+)'
    r'|(?P<open>"[\s\S]*)|(?P<bad>\S)',  # a string that never ends is looked at once
    re.DOTALL,
)
QUOTED_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_IN_COMMENT: Final = re.compile(r"\\.|[()]", re.DOTALL)
_KEPT: Final = 1000
_QUOTED_PAIR: Final = re.compile(r"(?s)\\(.)")
_DOT_ATOM: Final = re.compile(r'[^\s<>,;:@"[\]\\().]+(?:\.[^\s<>,;:@"[\]\\().]+)*')


def addr_specs(value: bytes) -> list[str]:
    """The addr-spec of each mailbox in an unfolded address list, groups included; what is malformed is left out.

    A local part that is a quoted string without need loses its quotes (RFC 5321, 4.1.2).
    """
    # A field may have a megabyte: only what is short is kept.
    return list(_addr_specs(value) if len(value) <= _KEPT else _addr_specs.__wrapped__(value))


@lru_cache(maxsize=128)  # the mails of one run have few senders
def _addr_specs(value: bytes) -> tuple[str, ...]:
    text = value.decode("utf-8", "surrogateescape")
    texts = (element.tokens for element in elements(text) if not element.opens_group)
    return tuple(address for tokens in texts if (address := addr_spec(tokens)))


class Element:
    """What stands between two separators of an address list."""

    __slots__ = ("angle", "comments", "end", "in_group", "opens_group", "start", "tokens")

    def __init__(self, start: int, *, in_group: bool) -> None:
        self.tokens: list[str] = []
        self.comments: list[tuple[int, int]] = []
        self.start = self.end = self.angle = start
        self.opens_group = False
        self.in_group = in_group

    def phrase(self, text: str) -> str:
        """What stands before "<", with a blank for each comment."""
        pieces = []
        position = self.start
        for start, end in self.comments:
            if start < self.angle:
                pieces.append(text[position:start])
                position = end
        pieces.append(text[position : self.angle])
        return " ".join(pieces).strip()


def elements(text: str) -> Iterator[Element]:
    """The elements of an address list; the name of a group is one that ``opens_group``."""
    element = Element(0, in_group=False)
    in_angle = False
    for start, token in _tokens(text):
        if token[0] == "(" and len(token) > 1:
            element.comments.append((start, start + len(token)))
            continue
        if token == "<" and "<" not in element.tokens:  # noqa: S105 - no secret
            element.angle = start
        in_angle = token == "<" or (in_angle and token != ">")  # noqa: S105 - no secret
        if in_angle or token not in {",", ";", ":"}:
            element.tokens.append(token)
            continue
        element.end = start
        element.opens_group = token == ":"  # noqa: S105 - no secret
        yield element
        element = Element(start + 1, in_group=element.opens_group or (element.in_group and token == ","))  # noqa: S105
    element.end = len(text)
    yield element


def _tokens(text: str) -> Iterator[tuple[int, str]]:
    """Each token and where it stands; a comment is one (RFC 5322, 3.2.2)."""
    position = 0
    closed = True
    while match := _TOKEN.search(text, position):
        token = match.group()
        end = match.end()
        if token == "(" and closed:  # noqa: S105 - no secret
            after = _comment_end(text, end)
            closed = after is not None  # what never ends is no comment, and is looked at once
            if after is not None:
                token, end = text[match.start() : after], after
        yield match.start(), token
        position = end


def _comment_end(text: str, position: int) -> int | None:
    depth = 1
    for match in _IN_COMMENT.finditer(text, position):
        depth += {"(": 1, ")": -1}.get(match.group(), 0)
        if depth == 0:
            return match.end()
    return None


def addr_spec(tokens: list[str]) -> str | None:
    """The addr-spec of the tokens of one mailbox, or None if it is malformed."""
    if "<" in tokens:
        inner = tokens[tokens.index("<") + 1 :]
        if inner[-1:] != [">"]:
            return None
        tokens = inner[:-1]
        if ":" in tokens:  # RFC 5322, 4.4: an obsolete route
            tokens = tokens[len(tokens) - tokens[::-1].index(":") :]
    if tokens.count("@") != 1:
        return None
    at = tokens.index("@")
    local, domain = _local_part(tokens[:at]), "".join(tokens[at + 1 :])
    valid_domain = (len(tokens) == at + 2 and domain.startswith("[")) or _is_dot_atom(tokens[at + 1 :])
    return f"{local}@{domain}" if local and valid_domain else None


def unquoted(token: str) -> str:
    """A quoted string without its quotes and backslashes; another token as it is."""
    if len(token) > 1 and token[0] == token[-1] == '"':
        return _QUOTED_PAIR.sub(r"\1", token[1:-1])
    return token


def _local_part(tokens: list[str]) -> str | None:
    if len(tokens) == 1 and tokens[0].startswith('"'):
        content = unquoted(tokens[0])
        return content if _DOT_ATOM.fullmatch(content) else tokens[0]
    return "".join(tokens) if _is_dot_atom(tokens) else None


def _is_dot_atom(tokens: list[str]) -> bool:
    """Whether it is atoms with one dot between each two; white space may surround the dots (RFC 5322, 4.4)."""
    return len(tokens) % 2 == 1 and _DOT_ATOM.fullmatch("".join(tokens)) is not None and set(tokens[1::2]) <= {"."}
