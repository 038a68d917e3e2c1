"""Transfer encodings: what is decoded is what was encoded, and each line survives."""

from __future__ import annotations

import base64
import quopri
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smime_agent.mime import transfer
from smime_agent.mime.robust import Weakness, weakness, weakness_of

if TYPE_CHECKING:
    from smime_agent.mime.transfer import Coder

FRAGMENTS = st.sampled_from(
    [*b"From |.|\n|\r\n|\r| |\t|=|=41|=\n|=\r\n|x|\xc3\xa9|\0".split(b"|"), b"y" * 75, b"z" * 4094, b"long " * 300]
)
NASTY = st.lists(FRAGMENTS | st.binary(max_size=4), max_size=25).map(b"".join)
CUTS = st.lists(st.integers(1, 5000), max_size=8)


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    pieces = []
    for size in cuts:
        pieces.append(data[:size])
        data = data[size:]
    return [*pieces, data]


def run(coder: Coder, data: bytes, cuts: list[int] | None = None) -> bytes:
    return b"".join(coder(cut(data, cuts or [])))


CODERS = [
    transfer.canonical_lines,
    transfer.base64_encode,
    transfer.base64_encode_lines,
    transfer.base64_repair,
    transfer.quoted_printable_encode,
    transfer.quoted_printable_repair,
]


@pytest.mark.parametrize("coder", CODERS)
@given(data=NASTY, cuts=CUTS)
def test_cuts_make_no_difference(coder: Coder, data: bytes, cuts: list[int]) -> None:
    assert run(coder, data, cuts) == run(coder, data)


@given(NASTY)
def test_canonical_lines(data: bytes) -> None:
    out = run(transfer.canonical_lines, data)
    assert out == data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


@given(NASTY)
def test_base64_encode(data: bytes) -> None:
    out = run(transfer.base64_encode, data)
    assert base64.b64decode(out) == data
    assert weakness(out) is None
    assert all(len(line) <= 76 for line in out.split(b"\r\n"))


def test_base64_in_lines_of_64() -> None:
    out = b"".join(transfer.base64_encode([b"x" * 100], 64))
    assert out == b"\r\n".join([base64.b64encode(b"x" * 48), base64.b64encode(b"x" * 48), base64.b64encode(b"x" * 4)])


@given(NASTY)
def test_quoted_printable_encode(data: bytes) -> None:
    out = run(transfer.quoted_printable_encode, data)
    assert quopri.decodestring(out) == run(transfer.canonical_lines, data)
    assert weakness(out) is None
    assert all(len(line) <= 76 for line in out.split(b"\r\n"))
    assert b"From " not in out or b"\r\nFrom " not in b"\r\n" + out


def test_soft_break_within_an_endless_line_keeps_the_limit() -> None:
    out = run(transfer.quoted_printable_encode, b"=" * 15 + b"x" * 5000)  # 76 octets are left before that break
    assert max(len(line) for line in out.split(b"\r\n")) == 76


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        (b"From me\nFrom you", b"=46rom me\r\n=46rom you"),
        (b".\n..\n.", b"=2E\r\n..\r\n=2E"),
        (b"a \nb\t\nc ", b"a=20\r\nb=09\r\nc=20"),
        (b"1=1", b"1=3D1"),
        (b"caf\xe9\r\n", b"caf=E9\r\n"),
        (b"a\rb", b"a=0Db"),
        (b"x" * 77, b"x" * 75 + b"=\r\nxx"),
        (b"x" * 76, b"x" * 76),
        (b"x" * 74 + b"\xe9y", b"x" * 74 + b"=\r\n=E9y"),
        (b"x" * 75 + b"From y", b"x" * 75 + b"=\r\n=46rom y"),
        (b"", b""),
    ],
)
def test_quoted_printable_by_hand(text: bytes, encoded: bytes) -> None:
    assert run(transfer.quoted_printable_encode, text) == encoded


@pytest.mark.parametrize(
    ("broken", "repaired"),
    [
        (b"a \nb=  \nc\t", b"a\r\nb=\r\nc"),
        (b"From me", b"=46rom me"),
        (b".", b"=2E"),
        (b"caf\xe9=C3=A9", b"caf=E9=C3=A9"),
        (b"=41" * 26, b"=41" * 25 + b"=\r\n=41"),
        (b"ok=20\n", b"ok=20\r\n"),
        (b"a=20 \n", b"a=20\r\n"),
    ],
)
def test_quoted_printable_repair_by_hand(broken: bytes, repaired: bytes) -> None:
    assert run(transfer.quoted_printable_repair, broken) == repaired


@given(NASTY)
def test_quoted_printable_repair_keeps_the_value(text: bytes) -> None:
    good = quopri.encodestring(text.replace(b"\r", b"")).replace(b"\n", b" \t\r\n")
    out = run(transfer.quoted_printable_repair, good)
    assert quopri.decodestring(out).replace(b"\r\n", b"\n") == text.replace(b"\r", b"")
    assert weakness(out) is None


@given(NASTY)
def test_quoted_printable_repair_makes_robust_and_is_idempotent(text: bytes) -> None:
    out = run(transfer.quoted_printable_repair, text)
    assert weakness(out) is None
    assert run(transfer.quoted_printable_repair, out) == out


@given(st.binary(max_size=400), st.sampled_from([b" \n", b"\xff\n", b"", b"\0"]))
def test_base64_repair(data: bytes, junk: bytes) -> None:
    out = run(transfer.base64_repair, base64.encodebytes(data).replace(b"\n", junk))
    assert base64.b64decode(out) == data
    assert weakness(out) is None


@pytest.mark.parametrize(("end", "expected"), [(b"", b""), (b"\n", b"\r\n"), (b" \r\n", b"\r\n")])
def test_base64_repair_keeps_the_final_newline(end: bytes, expected: bytes) -> None:
    assert run(transfer.base64_repair, b"QUJD" + end) == b"QUJD" + expected


def test_legible_means_at_most_a_sixth_escaped() -> None:
    assert transfer.is_mostly_literal([b"x" * 50 + b"\xe9" * 10])
    assert not transfer.is_mostly_literal([b"x" * 49, b"\xe9" * 10])


@pytest.mark.parametrize(
    ("block", "found"),
    [
        (b"fine\r\nand\nso on", None),
        (b"", None),
        (b"\xe9", Weakness.EIGHT_BIT),
        (b"\0", Weakness.NUL),
        (b"a\rb", Weakness.BARE_CR),
        (b"a\r\r\n", Weakness.BARE_CR),
        (b"a\n\r", Weakness.BARE_CR),
        (b"x" * 998 + b"\r\n" + b"x" * 998, None),
        (b"x" * 999 + b"\r\n", Weakness.LONG_LINE),
        (b"a\n" + b"x" * 999, Weakness.LONG_LINE),
        (b"a \n", Weakness.TRAILING_SPACE),
        (b"a\t\r\nb", Weakness.TRAILING_SPACE),
        (b"a ", Weakness.TRAILING_SPACE),
        (b"a\t", Weakness.TRAILING_SPACE),
        (b"From x", Weakness.FROM_LINE),
        (b"a\r\nFrom x", Weakness.FROM_LINE),
        (b"From: x\nFromage\n From x", None),
        (b".", Weakness.LONE_DOT),
        (b".\r\n", Weakness.LONE_DOT),
        (b"a\r\n.\r\nb", Weakness.LONE_DOT),
        (b"a\n.", Weakness.LONE_DOT),
        (b"..\n.a\n", None),
    ],
)
def test_weakness(block: bytes, found: Weakness | None) -> None:
    assert weakness(block) is found
    assert weakness_of([block]) is found
    assert weakness_of([bytes((octet,)) for octet in block]) is found


def test_bare_line_feed_is_a_weakness_of_binary_data_only() -> None:
    assert weakness_of([b"a\r\nb\n"]) is None
    assert weakness_of([b"a\r\nb\n"], binary=True) is Weakness.BARE_LF
    assert weakness_of([b"a\r\nb\r\n"], binary=True) is None


@given(NASTY, CUTS)
def test_weakness_of_chunks(data: bytes, cuts: list[int]) -> None:
    assert (weakness_of(cut(data, cuts)) is None) == (weakness(data) is None)
