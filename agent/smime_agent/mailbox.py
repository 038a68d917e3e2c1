"""Mailboxes, compared: which texts are one, and which of them are the same (RFC 8550, 3; RFC 9598, 5)."""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress
from functools import lru_cache
from typing import Final

#: RFC 5321, 4.5.3.1, allows 64 octets and 255; certificates exceed it.
_LONGEST: Final = 1_000
_LONGEST_LABEL: Final = 63  # RFC 1035, 2.3.4
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_QUOTED_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)
_ATOM: Final = r'[^\x00-\x20\x7f@"(),:;<>\[\\\]]'
#: Dots may stand anywhere: some providers give such addresses.
_LOCAL_PART: Final = re.compile(rf"{_ATOM}+")
_DOMAIN: Final = re.compile(
    r"[A-Za-z0-9_\-\u0080-\U0010ffff]+(?:\.[A-Za-z0-9_\-\u0080-\U0010ffff]+)*|\[[A-Za-z0-9.:]+\]"
)


def is_mailbox(text: str) -> bool:
    """Whether a text is a local part, an ``@`` and a domain, and nothing that only looks like it.

    No control or format character, no white space outside of ASCII, none at all without quotes.
    """
    if len(text) > _LONGEST or any(_is_invisible(character) for character in text):
        return False
    local, at, domain = text.rpartition("@")
    return (
        bool(at)
        and _DOMAIN.fullmatch(domain) is not None
        and bool(_QUOTED.fullmatch(local) or _LOCAL_PART.fullmatch(local))
    )


def _is_invisible(character: str) -> bool:
    return character != " " and unicodedata.category(character)[0] in "CZ"


def same_mailbox_key(address: str) -> str:
    """What two spellings of one mailbox have in common, and nothing else has.

    Letter case of ASCII counts neither in the local part nor in the domain (RFC 8550, 3), quotes without need do not
    count, domains are compared as A-labels. Other local parts are compared exactly (RFC 9598, 5): U+212A is no k.
    """
    # A From field may have a megabyte: only what is short is kept.
    return _key(address) if len(address) <= _LONGEST else _key.__wrapped__(address)


@lru_cache(maxsize=1024)
def _key(address: str) -> str:
    local, at, domain = address.rpartition("@")
    if (quoted := _QUOTED.fullmatch(local)) is not None:
        content = _QUOTED_PAIR.sub(r"\1", quoted[1])
        local = content if _LOCAL_PART.fullmatch(content) else '"' + re.sub(r'(["\\])', r"\\\1", content) + '"'
    if local.isascii():
        local = local.lower()
    return local + at + (domain.lower() if domain.isascii() else ".".join(map(_label, domain.split("."))))


def _label(label: str) -> str:
    """A label of a domain as an A-label, if it is an IDN by the rules of 2003 and of 2008 alike, else as it stands.

    IDNA 2003 makes "ss" of a sharp s, which is another domain today (RFC 5894, 7.2), and ASCII of letters that look
    like it.
    """
    if label.isascii():
        return label.lower()
    folded = "".join(lower if (lower := one.lower()).isascii() is one.isascii() else one for one in label)
    if len(label) <= _LONGEST_LABEL:  # Python's codecs are quadratic
        with suppress(UnicodeError):
            by_2003 = folded.encode("idna").decode()
            if by_2003 == "xn--" + unicodedata.normalize("NFC", folded).encode("punycode").decode():
                return by_2003
    return folded
