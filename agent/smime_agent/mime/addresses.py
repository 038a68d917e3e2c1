"""The addresses in a field such as From: addr-specs only, by the grammar of RFC 5322, 3.4, and RFC 6532, 3.2.

The standard library's parser would do, but it takes 20 ms to import and raises errors of its own on broken fields.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from smime_agent.mime.fields import without_comments

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN: Final = re.compile(
    r'(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<literal>\[[^][\\]*\])|(?P<special>[<>,;:@.])|(?P<atom>[^\s<>,;:@."[\]\\()]+)'
    r'|(?P<open>"[\s\S]*)|(?P<bad>\S)',  # a string that never ends is looked at once
    re.DOTALL,
)
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
    text = without_comments(value).decode("utf-8", "surrogateescape")
    return tuple(address for mailbox in _mailboxes(text) if (address := _addr_spec(mailbox)))


def _mailboxes(text: str) -> Iterator[list[str]]:
    """The tokens of each mailbox, without the display names of groups."""
    mailbox: list[str] = []
    in_angle = False
    for match in _TOKEN.finditer(text):
        token = match.group()
        in_angle = token == "<" or (in_angle and token != ">")  # noqa: S105 - no secret
        if token in {",", ";"} and not in_angle:
            yield mailbox
            mailbox = []
        elif token == ":" and not in_angle:  # noqa: S105 - no secret
            mailbox = []  # what went before is the name of a group
        else:
            mailbox.append(token)
    yield mailbox


def _addr_spec(tokens: list[str]) -> str | None:
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


def _local_part(tokens: list[str]) -> str | None:
    if len(tokens) == 1 and tokens[0].startswith('"'):
        content = _QUOTED_PAIR.sub(r"\1", tokens[0][1:-1])
        return content if _DOT_ATOM.fullmatch(content) else tokens[0]
    return "".join(tokens) if _is_dot_atom(tokens) else None


def _is_dot_atom(tokens: list[str]) -> bool:
    """Whether it is atoms with one dot between each two; white space may surround the dots (RFC 5322, 4.4)."""
    return len(tokens) % 2 == 1 and _DOT_ATOM.fullmatch("".join(tokens)) is not None and set(tokens[1::2]) <= {"."}
