"""What makes people take a mailbox for another one: an address in a name, characters that do not show or that steer."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

from smime_agent.mailbox import same_mailbox_key
from smime_agent.mime.encoded_words import decoded
from smime_agent.verdict import Code, Reason

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from smime_agent.mime.address_list import MailboxText

_ADDRESS_LIMIT: Final = 320  # RFC 5321, 4.5.3.1: 64, an at sign, 255
_QUOTED: Final = 200  # characters of a mail in a reason
# Controls, line separators, and what turns the direction of text (embeddings, overrides, isolates). The marks U+200E
# and U+200F turn nothing but what is beside them, and stand in many Hebrew and Arabic names.
_STEERING: Final = re.compile("[\0-\x08\n-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
# What no font shows: default-ignorable code points of Unicode.
_INVISIBLE: Final = re.compile(
    "[\0-\x08\n-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_BLANKS: Final = re.compile("[ \t]+")
# Dots of IDNA (RFC 3490, 3.1); backslashes, which some programs take away outside of quotes too.
_FOLDED: Final = str.maketrans({"\u3002": ".", "\uff61": ".", "\uff0e": ".", "\u2024": ".", "\\": None})
_LOCAL: Final = re.compile('[^\\s<>(),;:"\\[\\]\\\\@\u00ab\u00bb\u2010-\u205e]+\\Z')
_LOCAL_LIMIT: Final = 100
_DOMAIN: Final = re.compile("[^\0-,/:-@\\[-^`{-\x7f\\s\u00ab\u00bb\u2010-\u205e\u3000-\u3020]+")
_AROUND: Final = "'`*|{}~.-_"


def printable(text: str) -> str:
    """The text with U+FFFD for octets that were no text, so that every encoding can write it."""
    return _SURROGATE.sub("\ufffd", text)


def shown(text: str) -> str:
    """The text as it is shown: blanks made one. What steers a terminal stays, and is for the caller to escape."""
    return _BLANKS.sub(" ", printable(text)).strip(" \t")


def name_problems(names: Iterable[str], own: Collection[str], field: str) -> Iterator[Reason]:
    """The problems of what is shown beside the addresses ``own``: names, comments, names of groups."""
    for name in names:
        if _STEERING.search(name):
            text = f"a name in the {field} field holds control characters, or some that turn the direction of text"
            yield Reason(Code.HEADER_INJECTION, text)
        for found in addresses_in(name):
            if not any(_is_same(found, address) for address in own):
                other = printable(found)[:_QUOTED]
                yield Reason(Code.DISPLAY_NAME, f"a name in the {field} field holds another address: {other}")
                break


def address_problems(mailbox: MailboxText, field: str, unreadable: Code) -> Iterator[Reason]:
    """The problems of an address itself; ``unreadable`` is the code for what mail programs read differently."""
    tokens = list(mailbox.tokens)
    spec = tokens[tokens.index("<") :] if "<" in tokens else tokens
    text = "".join(spec)
    if _INVISIBLE.search(text) or _STEERING.search(text):
        yield Reason(Code.HEADER_INJECTION, f"an address in the {field} field holds characters that do not show")
    if mailbox.address is None:
        return
    why = _why_unreadable(spec, mailbox.address)
    if why is not None:
        yield Reason(unreadable, f"an address in the {field} field {why}: {printable(text)[:_QUOTED]}")


def addresses_in(name: str) -> Iterator[str]:
    """Everything in a text that a person may take for an address, in the form in which it is compared."""
    if "@" not in name and name.isascii():
        return
    text = unicodedata.normalize("NFKC", _INVISIBLE.sub("", name).translate(_FOLDED))
    before, *pieces = text.split("@")
    for piece in pieces:
        left, right = before.rstrip(), piece.lstrip()
        spaced = left != before or right != piece
        before = piece
        start, end = _LOCAL.search(left[-_LOCAL_LIMIT:]), _DOMAIN.match(right)
        if start is None or end is None:
            continue
        local, domain = start.group().lstrip(_AROUND), end.group().rstrip(_AROUND)
        if not spaced:
            yield f"{local}@{domain}"
        elif "." in domain:  # "Alice @ Work" is a name
            yield f"{local} @ {domain}"


def _is_same(found: str, own: str) -> bool:
    domain, own_domain = found.casefold().rpartition("@")[2], own.casefold().rpartition("@")[2]
    if domain[:1] == " ":  # "Team @ Example.org" is a name too, where that is the domain of the sender
        return f".{own_domain}".endswith(f".{domain[1:]}")
    if "." not in domain and domain in own_domain.split("."):  # as is "Sales@Example"
        return True
    return same_mailbox_key(found) == same_mailbox_key(own)


def _why_unreadable(spec: list[str], address: str) -> str | None:
    """Why mail programs may show or use another address than this one."""
    if "=?" in address and decoded(address) != address:
        return "holds an encoded word"
    if spec.count("@") > 1:
        return "has a route, and may be read as another one"
    if unicodedata.normalize("NFKC", address).count("@") > 1 or "<" in address:
        return "holds another address"
    if _SURROGATE.search(address):
        return "holds bytes that are no text"
    return "is longer than any mail system takes" if len(address) > _ADDRESS_LIMIT else None
