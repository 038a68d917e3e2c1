"""Header fields: found in the raw octets, and read. Nothing here changes an octet."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HEADER_LIMIT: Final = 1024 * 1024
# RFC 5322, 2.2 and 4.5 (obsolete: white space before the colon). A line that is none of this ends the header.
FIELDS: Final = re.compile(rb"(?:[!-9;-~]+[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*(?:\n|\Z))*")
_FIELD = re.compile(rb"[^\n]+(?:\n[ \t][^\n]*)*(?:\n|\Z)")
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_STRING_OR_PAREN = re.compile(rb'"(?:[^"\\]|\\.)*"?|\(', re.DOTALL)
_IN_COMMENT = re.compile(rb"\\.|[()]", re.DOTALL)
_MAIN = re.compile(rb'[^;"]*')
PARAMETER: Final = re.compile(
    rb';\s*(?P<name>[^\s=;"]+)\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"?|(?P<token>[^;"]*))', re.DOTALL
)
_BLANKS = bytes.maketrans(b"\0\r", b"  ")
_SECTION = re.compile(rb"([^*]+)\*(?:(\d{1,3})(\*)?)?")
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")
_ENCODING = re.compile(rb'[^\s;"]+')

_KEPT: Final = 1000  # octets of a value that is remembered


@dataclass(frozen=True, slots=True)
class Parameterized:
    """A Content-Type or Content-Disposition: its value in lower case, and its parameters (RFC 2045, 5.1; RFC 2231).

    Parameter names are lower case; values are as they stand, without quotes, RFC 2231 sections joined and decoded.
    """

    value: bytes
    parameters: Mapping[bytes, bytes]


def mailbox_line_end(data: bytes) -> int:
    """Where the "From " line of a mailbox that begins ``data`` ends, with its line break; 0 where there is none.

    A From field with a blank before its colon is none, although some readers skip it.
    """
    if not data.startswith(b"From ") or data[5:].lstrip(b" \t").startswith(b":"):
        return 0
    return data.find(b"\n") + 1


def split_fields(block: bytes) -> list[bytes]:
    """The fields of a header block that ``FIELDS`` matches, each complete, with CRLF line ends."""
    block = block.replace(b"\r\n", b"\n")
    if b"\0" in block:
        lines = [match.group().removesuffix(b"\n") for match in _FIELD.finditer(block)]
        return [line.replace(b"\n", b"\r\n") + b"\r\n" for line in lines]
    # NUL stands for the folds while the block is cut at the line ends that remain: no Python code runs per octet.
    lines = block.replace(b"\n ", b"\0 ").replace(b"\n\t", b"\0\t").split(b"\n")
    if not lines[-1]:
        del lines[-1]
    return [line.replace(b"\0", b"\r\n") + b"\r\n" for line in lines]


def field_name(field: bytes) -> bytes:
    """The name of a field, in lower case."""
    return field.partition(b":")[0].rstrip(b" \t").lower()


def field_value(field: bytes) -> bytes:
    """The value of a field, unfolded (RFC 5322, 2.2.3), without the white space around it."""
    value = field.partition(b":")[2].strip()
    if b"\n" in value:
        value = _FOLD.sub(b"", value)
    # Malformed octets, which become blanks when the field is repaired.
    return value.translate(_BLANKS).strip() if b"\0" in value or b"\r" in value else value


def first_value(fields: Sequence[bytes], name: bytes) -> bytes | None:
    """The unfolded value of the first field with that name, or None."""
    size = len(name)
    for field in fields:
        if field[:size].lower() == name and field_name(field) == name:
            return field_value(field)
    return None


def transfer_encoding(fields: Sequence[bytes]) -> bytes:
    """The content-transfer-encoding in lower case; without one it is 7bit (RFC 2045, 6.1)."""
    value = first_value(fields, b"content-transfer-encoding")
    match = _ENCODING.search(without_comments(value)) if value else None
    return match.group().lower() if match else b"7bit"


def parse_parameterized(value: bytes) -> Parameterized:
    """Read the unfolded value of a Content-Type or Content-Disposition; what is malformed is skipped."""
    return _parsed(value) if len(value) <= _KEPT else _parsed.__wrapped__(value)


@lru_cache(maxsize=128)  # the mails of one run are of few types
def _parsed(value: bytes) -> Parameterized:
    value = without_comments(value)
    main = _MAIN.match(value)
    parameters: dict[bytes, bytes] = {}
    sections: dict[bytes, dict[int, bytes]] = {}
    for match in PARAMETER.finditer(value):
        name, text = match["name"].lower(), parameter_value(match)
        section = _SECTION.fullmatch(name)
        if section is None:
            parameters.setdefault(name, text)
            continue
        base, number, extended = section.groups()
        if number is None or extended:
            text = _percent_decoded(text, first=int(number or 0) == 0)
        sections.setdefault(base, {}).setdefault(int(number or 0), text)
    for name, texts in sections.items():
        # RFC 2231, 4.1: the extended form is the one to be believed.
        parameters[name] = b"".join(texts[number] for number in sorted(texts))
    kind = b"".join(main.group().split()).lower() if main else b""
    return Parameterized(kind, parameters)


def parameter_value(match: re.Match[bytes]) -> bytes:
    """The value of a ``PARAMETER`` match, without quotes and backslashes."""
    quoted: bytes | None = match["quoted"]
    if quoted is None:
        return bytes(match["token"]).strip()
    return re.sub(rb"(?s)\\(.)", rb"\1", quoted) if b"\\" in quoted else quoted


def without_comments(value: bytes) -> bytes:
    """A structured value without its comments (RFC 5322, 3.2.2); parentheses in quoted strings stay."""
    if b"(" not in value:
        return value
    out = []
    start = position = 0
    while match := _STRING_OR_PAREN.search(value, position):
        position = match.end()
        if match.group() == b"(":
            end = _comment_end(value, position)
            if end is None:  # what never ends is no comment
                break
            out.append(value[start : match.start()])
            start = position = end
    out.append(value[start:])
    return b" ".join(out)


def _comment_end(value: bytes, position: int) -> int | None:
    depth = 1
    for match in _IN_COMMENT.finditer(value, position):
        depth += {b"(": 1, b")": -1}.get(match.group(), 0)
        if depth == 0:
            return match.end()
    return None


def _percent_decoded(text: bytes, *, first: bool) -> bytes:
    if first and text.count(b"'") >= 2:  # noqa: PLR2004 - charset'language'text
        text = text.split(b"'", 2)[2]
    return _PERCENT.sub(lambda match: bytes.fromhex(match.group(1).decode("ascii")), text)
