"""Encoded words (RFC 2047), read as leniently as the most lenient mail program reads them."""

from __future__ import annotations

import binascii
import re
from functools import lru_cache
from typing import Final

_START: Final = re.compile(r"=\?([A-Za-z0-9_.:+-]{1,40})(?:\*[A-Za-z0-9-]{0,40})?\?([bBqQ])\?")
_ASCII: Final = bytes(one for one in range(0x20, 0x7F) if one not in b"\\~")  # some have a yen sign and a line there
_NOT_BLANK: Final = re.compile(r"\S*")
_WITH_MARK: Final = frozenset({"utf-16", "utf-32"})
_MARKS: Final = frozenset({b"\xfe\xff", b"\xff\xfe", b"\0\0"})
#: Labels that mail programs know (WHATWG's list, which Thunderbird and browsers follow; Windows) and Python does not.
_LABELS: Final = {
    **dict.fromkeys(("csunicode11utf7", "unicode-2-0-utf-7", "x-unicode-1-1-utf-7", "x-unicode-2-0-utf-7"), "utf-7"),
    **dict.fromkeys(("unicode-1-1-utf-8", "x-unicode20utf8", "unicode11utf8", "unicode20utf8"), "utf-8"),
    **dict.fromkeys(("csgb2312", "x-gbk", "gb_2312", "gb_2312-80", "x-cp20936"), "gbk"),
    **dict.fromkeys(("x-sjis", "windows-31j", "ms932", "x-ms-cp932"), "cp932"),
    **dict.fromkeys(("x-euc-jp", "x-euc", "cseucpkdfmtjapanese"), "euc_jp"),
    **dict.fromkeys(("cn-big5", "csbig5", "x-x-big5"), "big5"),
    **dict.fromkeys(("windows-949", "cseuckr", "korean", "ks_c_5601-1989", "ksc5601", "x-cp20949"), "cp949"),
}
_WORD_LIMIT: Final = 1000  # in one text
_NOT_BASE64: Final = re.compile(rb"[^A-Za-z0-9+/]")
# Codecs of the standard library that are text, and that no mail program knows as a charset.
_NO_CHARSETS: Final = ("idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined")


def decoded(text: str, charset: str | None = None) -> str:
    """The text with each encoded word replaced by what it stands for, wherever it stands and however it ends.

    White space between two of them goes (RFC 2047, 6.2). What is not known as a charset is read as Latin-1. With a
    ``charset`` those are read in it whose own makes something else of ASCII, as by one that does not know it.
    """
    if "=?" not in text:
        return text
    out: list[str] = []
    pending: tuple[str, bytes] | None = None  # neighbours of one charset may share a character
    position = 0
    for _ in range(_WORD_LIMIT):
        match = _START.search(text, position)
        if match is None:
            break
        between = text[position : match.start()]
        end, position = _word_end(text, match.end())
        own = match[1].lower()
        word = (charset if charset and not _shows_ascii(own) else own, _octets(match[2], text[match.end() : end]))
        if pending is not None and not between.strip() and pending[0] == word[0]:
            pending = (word[0], pending[1] + word[1])
            continue
        out.append(_text(pending))
        if pending is None or between.strip():
            out.append(between)
        pending = word
    out.append(_text(pending))
    out.append(text[position:])
    return "".join(out)


def _word_end(text: str, start: int) -> tuple[int, int]:
    """Where the encoded text ends, and where what follows begins; a word that never ends goes on to a blank."""
    end = text.find("?=", start)
    if end >= 0:
        return end, end + 2
    match = _NOT_BLANK.match(text, start)
    end = match.end() if match else start
    return end, end


@lru_cache(maxsize=64)
def _shows_ascii(charset: str) -> bool:
    """Whether ASCII in this charset is ASCII: nothing is hidden in it from a program that does not know it."""
    return _text((charset, _ASCII)) == _ASCII.decode()


def _octets(encoding: str, text: str) -> bytes:
    raw = text.encode("utf-8", "surrogateescape")
    if encoding in "qQ":
        return binascii.a2b_qp(raw.replace(b" ", b"_"), header=True)
    symbols = _NOT_BASE64.sub(b"", raw)
    symbols = symbols[: len(symbols) - (len(symbols) % 4 == 1)]
    return binascii.a2b_base64(symbols + b"=" * (-len(symbols) % 4))


def _text(word: tuple[str, bytes] | None) -> str:
    if word is None:
        return ""
    charset, octets = _LABELS.get(word[0], word[0]), word[1]
    if charset in _WITH_MARK and octets[:2] not in _MARKS:
        charset += "-be"  # RFC 2781, 4.3
    if charset.replace("-", "_") not in _NO_CHARSETS:
        try:
            return _whole(octets.decode(charset, "replace"))
        except (LookupError, ValueError):  # ValueError covers UnicodeError
            pass
    return octets.decode("latin-1")


def _whole(text: str) -> str:
    """The same text without halves of surrogate pairs, which UTF-7 can write and which are no characters."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
