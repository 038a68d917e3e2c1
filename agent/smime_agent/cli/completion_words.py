"""How a shell reads words and how they are written for it: as much of it as a cursor in the middle of one needs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_BLANKS: Final = " \t\n"
#: What bash leaves as it is; letters and signs beyond ASCII are left alone, too.
_SPECIAL: Final = re.compile(r"([^0-9A-Za-z@%_+=:,./\x80-\U0010ffff-])")
_IN_DOUBLE_QUOTES: Final = re.compile(r'(["\\$`])')


@dataclass(frozen=True, slots=True)
class Word:
    """A word: what it means, as it stands there, and the quote that is still open in it, if one is."""

    text: str
    raw: str
    quote: str


def split(line: str) -> list[Word]:
    """The words of a line, the last one being that at the cursor: empty after a blank."""
    words: list[Word] = []
    text: list[str] = []
    quote, start, position, begun = "", 0, 0, False
    while position < len(line):
        character = line[position]
        if not quote and character in _BLANKS:
            if begun:
                words.append(Word("".join(text), line[start:position], ""))
            text, begun = [], False
            position += 1
            start = position
            continue
        begun = True
        meant, quote, position = _read(line, position, quote)
        text.append(meant)
    words.append(Word("".join(text), line[start:], quote))
    return words


def _read(line: str, position: int, quote: str) -> tuple[str, str, int]:
    """What a character in a word means, the quote that is open after it, and where the next one is."""
    character, following = line[position], line[position + 1 : position + 2]
    if character == quote:
        return "", "", position + 1
    if not quote and character in "'\"":
        return "", character, position + 1
    if character == "\\" and following and (not quote or (quote == '"' and following in '"\\$`')):
        return following, quote, position + 2
    return character, quote, position + 1


def unquoted(word: str) -> str:
    """What a word means that may not be finished."""
    return " ".join(one.text for one in split(word))


def bash_word(value: str, word: Word, breaks: str) -> str | None:
    """A value as bash puts it in the place of a word, or nothing where it cannot.

    Readline takes as the word only what stands behind the last of ``breaks`` (COMP_WORDBREAKS) outside of quotes, and
    behind an open quote.
    """
    if word.quote == "'":
        written = value.replace("'", "'\\''")
    elif word.quote:
        written = "" if "!" in value else _IN_DOUBLE_QUOTES.sub(r"\\\1", value)  # which is the history, even there
    else:
        written = _SPECIAL.sub(r"\\\1", value)
    if word.quote:
        return written if word.raw.startswith(word.quote) and written else None
    behind = _behind_the_last(breaks, word.raw)
    return written[behind:] if written.startswith(word.raw[:behind]) else None


def _behind_the_last(breaks: str, raw: str) -> int:
    """Where the part of a word begins that Readline takes for all of it."""
    quote, position, behind = "", 0, 0
    while position < len(raw):
        character, was = raw[position], quote
        _, quote, position = _read(raw, position, quote)
        if not was and not quote and character in breaks and character not in "\"'\\":
            behind = position
    return behind
