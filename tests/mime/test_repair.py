"""Header fields of parts: they say the same, and survive."""

from __future__ import annotations

import base64
import email
import email.header
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smime_agent.mime.fields import field_value, parse_parameterized, split_fields, transfer_encoding
from smime_agent.mime.repair import repaired
from smime_agent.mime.robust import weakness


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (b"Content-ID: <x>  \r\n", b"Content-ID: <x>\r\n"),
        (b"Content-Type: a/b; \r\n\tx=y \t\r\n", b"Content-Type: a/b;\r\n\tx=y\r\n"),
        (b"Content-Type: a/b\r\n \r\n\t\r\n x\r\n", b"Content-Type: a/b\r\n x\r\n"),
        (b"Content-Type: \r\n a/b\r\n", b"Content-Type:\r\n a/b\r\n"),
        (b"Content-Description: \r\n", b"Content-Description:\r\n"),
        (b"Content-Description: a\rb\0c\r\n", b"Content-Description: a b c\r\n"),
        (b"From : x\r\n", b"From: x\r\n"),
        (
            b"Content-Description: my caf\xc3\xa9 and\xc3\xa9 more\r\n",
            b"Content-Description: my =?utf-8?b?Y2Fmw6kgYW5kw6k=?= more\r\n",
        ),
        (b"Content-Description: caf\xe9\r\n", b"Content-Description: =?unknown-8bit?b?Y2Fm6Q==?=\r\n"),
        (
            b'Content-Type: text/plain; charset=utf-8; name="caf\xc3\xa9; x.txt"\r\n',
            b"Content-Type: text/plain;\r\n\tcharset=utf-8;\r\n\tname*=utf-8''caf%C3%A9%3B%20x.txt\r\n",
        ),
        (
            b"Content-Disposition: attachment; filename=caf\xe9.txt; filename*=utf-8''caf%C3%A9.txt\r\n",
            b"Content-Disposition: attachment;\r\n\tfilename*=utf-8''caf%C3%A9.txt\r\n",
        ),
        (b"Content-Type: t\xc3\xa9xt/plain (\xc3\xa9)\r\n", b"Content-Type: t?xt/plain\r\n"),
    ],
)
def test_repaired(field: bytes, expected: bytes) -> None:
    assert repaired([field]) == expected


@pytest.mark.parametrize("field", [b"X: y\r\n", b"X:\r\n y\r\n\tz\r\n", b"x:y\r\n", b"X: " + b"y" * 995 + b"\r\n"])
def test_robust_fields_stay(field: bytes) -> None:
    assert repaired([field]) == field


def test_only_what_is_fragile_changes() -> None:
    assert repaired([b"A:  b;c\r\n", b"C: d \r\n"]) == b"A:  b;c\r\nC: d\r\n"


def test_long_line_is_folded_at_white_space() -> None:
    out = repaired([b"X: " + b"word  " * 400 + b"\r\n"])
    assert weakness(out) is None
    assert field_value(out) == (b"word  " * 400).strip()


def test_long_file_name_is_written_in_sections() -> None:
    name = "\u00e9" * 300
    out = repaired([f'Content-Disposition: attachment; filename="{name}"\r\n'.encode()])
    assert weakness(out) is None
    assert all(len(line) <= 78 for line in out.split(b"\r\n"))
    assert email.message_from_bytes(out).get_filename() == name
    assert parse_parameterized(field_value(out)).parameters[b"filename"] == name.encode()


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0", exclude_categories=["Cc", "Cs"])))
def test_text_says_the_same(text: str) -> None:
    text = f"a{text}\u00e9"
    out = repaired([f"Content-Description: {text}\r\n".encode()])
    assert weakness(out) is None
    assert all(len(word) <= 75 for word in out.split() if word.startswith(b"=?"))
    said = str(email.header.make_header(email.header.decode_header(field_value(out).decode("ascii"))))
    assert "=?" in text or said == text


def test_no_character_is_cut_in_two() -> None:
    out = repaired([("Content-Description: a" + "\u20ac" * 100 + "\r\n").encode()])
    words = re.findall(rb"=\?utf-8\?b\?(.*?)\?=", out)
    assert len(words) > 5
    assert "".join(base64.b64decode(word).decode() for word in words) == "a" + "\u20ac" * 100


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1))
def test_file_name_says_the_same(name: str) -> None:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    out = repaired([f'Content-Disposition: attachment; filename="{quoted}"\r\n'.encode()])
    assert weakness(out) is None
    assert parse_parameterized(field_value(out)).parameters[b"filename"] == name.encode()
    assert email.message_from_bytes(out).get_filename() is not None


@given(st.binary(max_size=200).filter(lambda value: b"\n" not in value))
def test_repair_is_idempotent(value: bytes) -> None:
    out = repaired([b"Content-Type: a/b; c=d" + value + b"\r\n"])
    assert weakness(out) is None
    assert repaired(split_fields(out)) == out


@pytest.mark.parametrize(
    ("value", "kind", "parameters"),
    [
        (b"Text/Plain", b"text/plain", {}),
        (b"text / plain ; Charset = utf-8", b"text/plain", {b"charset": b"utf-8"}),
        (b'a/b; x="1;2"; y=3', b"a/b", {b"x": b"1;2", b"y": b"3"}),
        (b'a/b; x="\\"\\\\"', b"a/b", {b"x": b'"\\'}),
        (b"a/b (c; d=e); f=g", b"a/b", {b"f": b"g"}),
        (b'a/b (it"s); f="(g)"', b"a/b", {b"f": b"(g)"}),
        (b"a/b; x=(((unclosed", b"a/b", {b"x": b"(((unclosed"}),
        (b"a/b; x=1; X=2", b"a/b", {b"x": b"1"}),
        (b"a/b; x=raw; x*=utf-8'en'%41%42", b"a/b", {b"x": b"AB"}),
        (b"a/b; x*1=c; x*0*=utf-8''%61b", b"a/b", {b"x": b"abc"}),
        (b"a/b; ; x=1;", b"a/b", {b"x": b"1"}),
        (b'a/b; x="open', b"a/b", {b"x": b"open"}),
        (b"", b"", {}),
        (b";", b"", {}),
    ],
)
def test_parse_parameterized(value: bytes, kind: bytes, parameters: dict[bytes, bytes]) -> None:
    parsed = parse_parameterized(value)
    assert (parsed.value, parsed.parameters) == (kind, parameters)


@given(st.binary(max_size=80) | st.text('ab/;=*0"\\() \t', max_size=40).map(str.encode))
def test_parsing_garbage_is_no_error(value: bytes) -> None:
    parse_parameterized(value)
    transfer_encoding([b"Content-Transfer-Encoding: " + value + b"\r\n"])


def test_split_fields_with_nul() -> None:
    assert split_fields(b"A: b\0\n c\nD: e\r\n\tf") == [b"A: b\0\r\n c\r\n", b"D: e\r\n\tf\r\n"]
