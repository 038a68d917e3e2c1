"""Which texts are mailboxes, and which of them are the same."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smime_agent.mailbox import is_mailbox, same_mailbox_key


@given(st.text(max_size=80))
def test_any_text_can_be_compared(text: str) -> None:
    assert same_mailbox_key(text) == same_mailbox_key(same_mailbox_key(text))
    assert is_mailbox(text) in {True, False}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("alice@example.org", "ALICE@EXAMPLE.ORG"),
        ('"alice"@example.org', "alice@example.org"),
        ('"al\\ice"@example.org', "alice@example.org"),
        ('"a b"@example.org', '"A\\ b"@example.org'),
        ("alice@b\u00fccher.example", "alice@xn--bcher-kva.example"),
        ("alice@B\u00dcCHER.Example", "alice@XN--BCHER-KVA.example"),
        ("alice@bu\u0308cher.example", "alice@b\u00fccher.example"),  # NFC, in a domain
        ("j\u00fcrgen@b\u00fccher.example", "j\u00fcrgen@xn--bcher-kva.example"),
    ],
)
def test_spellings_of_one_mailbox(one: str, other: str) -> None:
    assert same_mailbox_key(one) == same_mailbox_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("kim@example.org", "\u212aim@example.org"),  # KELVIN SIGN
        ("sam@example.org", "\u017fam@example.org"),  # LATIN SMALL LETTER LONG S
        ("kim@kim.example", "kim@\u212aim.example"),
        ("kim@sam.example", "kim@\u017fam.example"),
        ("kim@\u00fck.example", "kim@\u00fc\u212a.example"),
        ("kim@example.org", "kim@\uff45xample.org"),  # full width
        ("kim@example.org", "kim@example\u3002org"),
        ("kim@example.org", "kim@example\uff0eorg"),
        ("kim@strasse.example", "kim@stra\u00dfe.example"),
        ("i@example.org", "\u0130@example.org"),
        ("i@i.example", "i@\u0130.example"),
        ("\u0131@example.org", "i@example.org"),
        ("ffi@ffi.example", "ffi@\ufb03.example"),
        ("j\u00fcrgen@example.org", "J\u00dcRGEN@example.org"),
        ("j\u00fcrgen@example.org", "ju\u0308rgen@example.org"),  # RFC 9598, 5: not normalised
        ("alice@ex\u00adample.org", "alice@example.org"),  # SOFT HYPHEN
        ("alice@ex\u200dample.org", "alice@example.org"),
        ("alice@example.org", "al.ice@example.org"),
        ('"a@b"@example.org', '"a"@b@example.org'),
        ("alice@example.org", "alice@example.org."),
    ],
)
def test_mailboxes_that_only_look_alike(one: str, other: str) -> None:
    assert same_mailbox_key(one) != same_mailbox_key(other)


@given(st.text(max_size=20), st.text(max_size=20))
def test_nothing_but_ascii_letters_changes_its_case_in_a_local_part(local: str, domain: str) -> None:
    assert same_mailbox_key("x" + local + "x@" + domain).startswith("x")
    if local.isascii():
        assert same_mailbox_key(f"{local}@example.org") == same_mailbox_key(f"{local.upper()}@example.org")


def test_a_megabyte_is_compared_at_once() -> None:
    begun = time.monotonic()
    for text in (
        "a" * 1_000_000,
        "\u00fc" * 1_000_000,
        "a@" + "\u00fc" * 1_000_000,
        "@" * 1_000_000,
        '"' + "\\" * 1_000_000,
    ):
        assert same_mailbox_key(text)
        assert not is_mailbox(text)
    assert same_mailbox_key("a@" + "\u00fc." * 100_000)
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize(
    "text",
    [
        "alice@example.org",
        "a.b+c@example.org",
        "trailing.@example.org",
        "two..dots@example.org",
        '"a b"@example.org',
        '"a@b"@example.org',
        '"a\\"b"@example.org',
        "alice@localhost",
        "alice@[192.0.2.1]",
        "alice@[IPv6:2001:db8::1]",
        "j\u00fcrgen@example.org",
        "alice@b\u00fccher.example",
    ],
)
def test_what_is_a_mailbox(text: str) -> None:
    assert is_mailbox(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "@", "alice", "alice@", "@example.org", "a@b@c", "a b@c", "a@b c", "a@b\0", "a\0@b", "a\n@b", "a@b\n",
        " a@b", "<a@b>", "a@b,c@d", "a@.b", "a@b.", "a@b..c", "a@*", '"a"b@c', '"a\n"@b', "a\u202e@b", "a@b\u200b.c",
        "a@b\u3000", "a\udc80@b", "a@[b", "a@b]", "a" * 1_000 + "@b", "a(b)@c", "a;b@c", "a:b@c", "\u2028a@b",
    ],
)  # fmt: skip
def test_what_is_no_mailbox(text: str) -> None:
    assert not is_mailbox(text)
