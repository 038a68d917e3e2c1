"""What a person sees as the sender, and the tricks with it."""

from __future__ import annotations

import base64
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smime_agent.mime.sender import read_claims
from smime_agent.verdict import Code


def problems(value: bytes | str) -> set[Code]:
    raw = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    return {problem.code for problem in read_claims([b"From: " + raw + b"\r\n"]).problems}


@pytest.mark.parametrize(
    "value",
    [
        "jane@example.org",
        "Jane <jane@example.org>",
        '"Doe, Jane" <jane@example.org>',
        '"Jane \\"J\\" Doe" <jane@example.org>',
        "jane@example.org <jane@example.org>",
        '"jane@example.org" <JANE@example.org>',
        "'jane@example.org' <jane@example.org>",
        "\"'jane@example.org'\" <jane@example.org>",
        "<jane@example.org>",
        "jane@example.org (Jane Doe)",
        "Jane (work) Doe <jane@example.org>",
        "Alice @ Work <alice@example.org>",
        "Jane (@jane) <jane@example.org>",
        "@jane <jane@example.org>",
        "Team @ Example.org <team@mail.example.org>",
        "Sales@Example <sales@example.org>",
        "=?utf-8?q?J=C3=B6rg?= <jorg@example.org>",
        "=?utf-8?B?SsO2cmc=?= =?utf-8?q?_M=C3=BCller?= <jorg@example.org>",
        '"=?utf-8?q?J=C3=B6rg?=" <jorg@example.org>',
        "=?iso-8859-1?q?Andr=E9?= Pirard <pirard@example.org>",
        "=?utf-8?q?jane=40example=2Eorg?= <jane@example.org>",
        "alice@example.org via List <alice@example.org>",
        "Jörg Müller <jörg@exämple.org>",
        "jörg@exämple.org <jörg@xn--exmple-cua.org>",
        "J\udcf6rg <jorg@example.org>",
        "\u200f\u05d9\u05d5\u05e1\u05d9 <yossi@example.org>",
        "Dr. med. Jane Doe <jane@example.org>",
        "Jane <jane@example.org>, Bob <bob@example.org>",
        "Editors: Jane <jane@example.org>, bob@example.org;",
        '"jane smith"@example.org',
        "jane@[192.0.2.1]",
        "jane @ example . org (obsolete)",
        ",jane@example.org,",
        "Ｊａｎｅ <jane@example.org>",  # noqa: RUF001 - full-width letters are the point
        "Jane\tDoe <jane@example.org>",
        "O'Hara <o'hara@example.org>",
        "Name: not a group <jane@example.org>",
        "jane+tag@example.org",
        "C=DE/O=X <c=de/o=x@example.org>",
    ],
)
def test_an_ordinary_sender_has_no_problem(value: str) -> None:
    assert problems(value) == set()


OTHER = "alice@example.org"
WIDE, SMALL = "\uff20", "\ufe6b"


@pytest.mark.parametrize(
    "value",
    [
        f"{OTHER} <mallory@evil.example>",
        f'"{OTHER}" <mallory@evil.example>',
        f'"\\"{OTHER}\\"" <mallory@evil.example>',
        f"'{OTHER}' <mallory@evil.example>",
        f'"Alice <{OTHER}>" <mallory@evil.example>',
        f"Alice ({OTHER}) <mallory@evil.example>",
        f"mallory@evil.example ({OTHER})",
        f"mallory@evil.example ((nested {OTHER}))",
        f"({OTHER}) mallory@evil.example",
        f"<mallory@evil.example> ({OTHER})",
        f"mallory@evil.example via {OTHER} <mallory@evil.example>",
        "=?utf-8?q?alice=40example.org?= <mallory@evil.example>",
        "=?utf-8?b?YWxpY2VAZXhhbXBsZS5vcmc=?= <mallory@evil.example>",
        '"=?utf-8?b?YWxpY2VAZXhhbXBsZS5vcmc=?=" <mallory@evil.example>',
        "=?utf-8*en?q?alice=40example.org?= <mallory@evil.example>",
        "=?x-unknown?q?alice=40example.org?= <mallory@evil.example>",
        "=?utf-7?q?alice+AEA-example.org?= <mallory@evil.example>",
        "=?utf-8?q?alice=40example.org <mallory@evil.example>",
        "=?cp037?q?alice=40example.org?= <mallory@evil.example>",
        "=?utf-16?q?alice=40example.org?= <mallory@evil.example>",
        "=?utf-16?b?AGEAbABpAGMAZQBAAGUAeABhAG0AcABsAGUALgBvAHIAZw==?= <mallory@evil.example>",
        "=?utf-16le?q?a=00l=00i=00c=00e=00=40=00e=00x=00.=00o=00r=00g=00?= <mallory@evil.example>",
        "alice\\@example.org <mallory@evil.example>",
        'alice"@"example.org <mallory@evil.example>',
        '"alice"@example.org <mallory@evil.example>',
        "alice(x)@example.org <mallory@evil.example>",
        "kate@example.org <\u212aate@example.org>",
        "al=?utf-8?q?ice=40ex?=ample.org <mallory@evil.example>",
        "alice\u2009@\u2009example.org <mallory@evil.example>",
        "=?utf-8?q?alice=40?= =?utf-8?q?example.org?= <mallory@evil.example>",
        "=?utf-8?q?alice?==?utf-8?q?=40example.org?= <mallory@evil.example>",
        "=?utf-8?b?YWxpY2X=?= =?utf-8?b?77w=?= =?utf-8?b?oGV4YW1wbGUub3Jn?= <mallory@evil.example>",
        "=?utf-8?q?=3D=3Futf-8=3Fq=3Falice=3D40example=2Eorg=3F=3D?= <mallory@evil.example>",
        "mallory@evil.example (=?utf-8?q?alice=40example.org?=)",
        f"{OTHER.replace('@', WIDE)} <mallory@evil.example>",
        f"{OTHER.replace('@', SMALL)} <mallory@evil.example>",
        "alice\u200b@example.org <mallory@evil.example>",
        "alice@\u2060exam\u00adple.org <mallory@evil.example>",
        "alice@example\u3002org <mallory@evil.example>",
        "alice @ example.org <mallory@evil.example>",
        "alice@localhost <mallory@evil.example>",
        f"{OTHER}: mallory@evil.example;",
        f'"{OTHER}": mallory@evil.example;',
        "=?utf-8?q?alice=40example.org?=: mallory@evil.example;",
        f"mallory@evil.example {OTHER} <mallory@evil.example>",
        f"Alice [{OTHER}] <mallory@evil.example>",
        f"mailto:{OTHER} <mallory@evil.example>",
        f'"x" "{OTHER}" <mallory@evil.example>',
        f"Alice <mallory@evil.example>, {OTHER} <bob@example.org>",
    ],
)
def test_a_name_with_another_address_is_seen(value: str) -> None:
    assert Code.DISPLAY_NAME in problems(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "<>",
        "Alice",
        "Alice <>",
        "undisclosed:;",
        "<alice@example.org> <mallory@evil.example>",
        "<alice@example.org>, junk",
        "alice@example.org mallory@evil.example",
        "alice@example.org@evil.example",
        "Alice <mallory@evil.example> alice@example.org",
        "Alice <alice@example.org> <mallory@evil.example>",
        "<@example.org:mallory@evil.example>",
        "<@alice@example.org:mallory@evil.example>",
        '"alice@example.org"@evil.example',
        "mallory@[alice@example.org]",
        "alice\uff20example.org@evil.example",
        "=?utf-8?q?alice?=@evil.example",
        "=?utf-8?q?alice=40example.org?=@evil.example",
        "<=?utf-8?q?alice=40example.org?=>",
        "=?utf-8?q?Alice_=3Calice=40example.org=3E?=",
        "alice@example.org.",
        "alice@example..org",
        "evil!alice",
        "<alice@example.org",
        "alice@example.org>",
        '"alice@example.org',
        "<alice@example.org,mallory@evil.example>",
        "a" * 400 + "@example.org",
        "al\udcffice@example.org",
        "x" * 70_000 + " <alice@example.org>",
    ],
)
def test_what_readers_do_not_all_read_the_same_is_unreadable(value: str) -> None:
    assert Code.FROM_UNREADABLE in problems(value)


@pytest.mark.parametrize(
    "value",
    [
        "=?utf-8?q?Alice=0D=0AFrom=3A_bob?= <mallory@evil.example>",
        "=?utf-8?q?Alice=00?= <mallory@evil.example>",
        "=?utf-8?q?Alice=1B[2J?= <mallory@evil.example>",
        "=?utf-8?b?QWxpY2UNCg==?= <mallory@evil.example>",
        "Alice\x1b[1m <mallory@evil.example>",
        "Alice\u202egro <mallory@evil.example>",
        "=?utf-8?q?=E2=80=AEecila?= <mallory@evil.example>",
        "=?utf-8?q?=C2=9B?= <mallory@evil.example>",
        "=?utf-8?q?=E2=80=A8?= <mallory@evil.example>",
        "alice\u200b@example.org",
        "alice@exam\u202eple.org",
        "alice@example.org (=?utf-8?q?=00?=)",
        "=?utf-8?q?=0A?=: alice@example.org;",
    ],
)
def test_characters_that_steer_are_seen(value: str) -> None:
    assert Code.HEADER_INJECTION in problems(value)


def test_no_from_is_a_problem() -> None:
    claims = read_claims([b"To: a@b\r\n"])
    assert (claims.from_fields, [problem.code for problem in claims.problems]) == (0, [Code.FROM_MISSING])


@pytest.mark.parametrize("second", [b"From: b@c\r\n", b"FROM: b@c\r\n", b"from\t: b@c\r\n", b"From: a@b\r\n"])
def test_every_from_field_counts(second: bytes) -> None:
    claims = read_claims([b"From: a@b\r\n", second])
    assert claims.from_fields == 2
    assert claims.problems[-1].code is Code.SEVERAL_FROM
    assert len(claims.senders) == 2


def test_a_blank_before_the_colon_is_read_in_two_ways() -> None:
    assert [problem.code for problem in read_claims([b"From : a@b\r\n"]).problems] == [Code.FROM_UNREADABLE]


@pytest.mark.parametrize("name", [b"Fromage", b"X-From", b"Resent-From"])
def test_another_field_is_no_from(name: bytes) -> None:
    assert read_claims([b"From: a@b\r\n", name + b": c@d\r\n"]).from_fields == 1


def test_the_mailboxes_are_what_a_person_sees() -> None:
    claims = read_claims([b'From: =?utf-8?q?J=C3=B6rg?= "M." <j@x>, (Bob) b@y, G: c@z (Carol);\r\n'])
    assert [(m.display_name, m.address) for m in claims.senders] == [
        ("Jörg M.", "j@x"),
        ("Bob", "b@y"),
        ("Carol", "c@z"),
    ]
    assert claims.groups == ("G",)


def test_raw_bytes_become_text_that_can_be_written() -> None:
    claims = read_claims([b"From: \xff <\xfe@x>\r\n"])
    (mailbox,) = claims.senders
    assert (mailbox.display_name, mailbox.address) == ("\ufffd", "\ufffd@x")


def test_the_sender_field_is_read() -> None:
    claims = read_claims([b"From: a@b\r\n", b"Sender: Sec <s@b>\r\n", b"Reply-To: r@b\r\n"])
    assert claims.sender is not None
    assert (claims.sender_fields, claims.sender.address, claims.problems) == (1, "s@b", ())
    assert [mailbox.address for mailbox in claims.reply_to] == ["r@b"]


@pytest.mark.parametrize("sender", [b"s@b, t@b", b"<a@b> <c@d>", b"junk", b'"a@b"@c'])
def test_a_sender_that_is_not_one_mailbox_is_a_problem(sender: bytes) -> None:
    claims = read_claims([b"From: a@b\r\n", b"Sender: " + sender + b"\r\n"])
    assert Code.SENDER_MISMATCH in {problem.code for problem in claims.problems}


def test_two_sender_fields_are_a_problem() -> None:
    claims = read_claims([b"From: a@b\r\n", b"Sender: a@b\r\n", b"Sender: a@b\r\n"])
    assert [problem.code for problem in claims.problems] == [Code.SENDER_MISMATCH]


EAST = timezone(timedelta(hours=-5))


@pytest.mark.parametrize(
    ("value", "date"),
    [
        (b"Fri, 21 Nov 1997 09:55:06 -0600", datetime(1997, 11, 21, 15, 55, 6, tzinfo=UTC)),
        (b"21 Nov 97 09:55:06 GMT", datetime(1997, 11, 21, 9, 55, 6, tzinfo=UTC)),
        (b"Fri, 21 Nov 1997 09(comment):   55  :  06 EST (Eastern)", datetime(1997, 11, 21, 9, 55, 6, tzinfo=EAST)),
        (b"Thu,\t13 Feb 1969 23:32 +0000", datetime(1969, 2, 13, 23, 32, tzinfo=UTC)),
        (b"1 Jan 2026 00:00:00 -0000", datetime(2026, 1, 1, tzinfo=UTC)),
        (b"1 Jan 2026 00:00:00 Z", datetime(2026, 1, 1, tzinfo=UTC)),
        (b"31 Dec 2016 23:59:60 +0000", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (b"1 Jan 126 00:00 UT", datetime(2026, 1, 1, tzinfo=UTC)),
        (b"32 Jan 2026 00:00:00 Z", None),
        (b"1 Foo 2026 00:00:00 Z", None),
        (b"1 Jan 2026 00:00:00 +9999", None),
        (b"1 Jan 0000 00:00:00 Z", None),
        (b"1 Jan 2026 25:00:00 Z", None),
        (b"yesterday", None),
        (b"", None),
        (b"1 Jan 2026 00:00:00 +0000" + b" " * 500 + b"x", None),
    ],
)
def test_dates(value: bytes, date: datetime | None) -> None:
    assert read_claims([b"Date: " + value + b"\r\n"]).date == date


def test_of_two_dates_the_first_is_taken_and_both_are_counted() -> None:
    claims = read_claims([b"Date: 1 Jan 2026 00:00 Z\r\n", b"Date: 1 Jan 2027 00:00 Z\r\n"])
    assert (claims.date, claims.date_fields) == (datetime(2026, 1, 1, tzinfo=UTC), 2)


FRAGMENTS = st.sampled_from(
    [
        *("a@b", "<", ">", '"', "(", ")", ",", ";", ":", "@", ".", "\\", " ", "?=", "=40", "\0", "\u202e", "[", "]"),
        *("=?utf-8?q?", "=?utf-16?b?", "=?idna?q?", "=?hex?q?", "=?unicode_escape?q?\\x", "=?utf-7?q?+2AA-"),
        *("\udcff", "\uff20", "\r\n ", "xn--", "\u00e9", "\U000e0041"),
    ]
)
TEXTS = st.lists(FRAGMENTS | st.text(max_size=3), max_size=30).map("".join)


@given(TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(max_size=60))
@example(b"=?utf-7?q?+2AA-=?utf-7?q?+2AA-<")
def test_garbage_is_no_error(value: bytes) -> None:
    claims = read_claims([b"From: " + value, b"Sender: " + value, b"Date: " + value, b"Reply-To:" + value])
    texts = [text for mailbox in claims.senders for text in (mailbox.display_name, mailbox.address or "", mailbox.raw)]
    texts += [*(problem.text for problem in claims.problems), *claims.groups]
    assert "".join(texts).encode() is not None  # strict: no surrogate is left


@pytest.mark.parametrize(
    "piece",
    ["(", ")", '"', "<", ">", ",", ";", ":", "@", "=?", "?=", "a@b,", "=?u?q?", "=?u?q?=", "\\", "[", " ", "(a)"],
)
@pytest.mark.parametrize("size", [60_000, 1_000_000])
def test_a_field_of_any_size_takes_a_second_at_most(piece: str, size: int) -> None:
    field = b"From: " + (piece * (size // len(piece))).encode() + b"\r\n"
    start = time.process_time()
    read_claims([field])
    assert time.process_time() - start < 1


def test_many_fields_are_read_in_a_second() -> None:
    start = time.process_time()
    read_claims([b"From: a@b\r\n"] * 90_000)
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    "name",
    [
        "Österreich",
        "Ärzte",
        "Übung",
        "Straße",
        "Łukasz",
        "Иван Петров",
        "山田太郎",
        "Éric",
        "Αλέξανδρος",
        "משה",
        "김철수",
    ],
)
@pytest.mark.parametrize("charset", ["utf-8", "iso-2022-jp", "koi8-r", "windows-1252", "shift_jis", "euc-kr"])
def test_an_honest_name_is_no_problem_in_any_charset(name: str, charset: str) -> None:
    try:
        octets = name.encode(charset)
    except UnicodeEncodeError:
        octets, charset = name.encode(), "utf-8"
    word = b"=?%b?B?%b?=" % (charset.encode(), base64.b64encode(octets))
    assert read_claims([b"From: " + word + b" <alice@example.org>\r\n"]).problems == ()
