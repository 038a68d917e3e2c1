"""Who a mail seems to be from: each is signed by the attacker, in her own name and rightly."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from tests.spoofs.certificates import smtp_utf8
from tests.spoofs.mime import ALICE, MALLORY, field, head
from tests.spoofs.spoof import Spoof
from tests.spoofs.workshop import Leaf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.spoofs.workshop import Workshop

_BEHIND = f" <{MALLORY}>"


def senders(workshop: Workshop) -> Iterator[Spoof]:
    """All of them."""
    yield from _several_fields(workshop)
    yield from _no_mailbox(workshop)
    yield from _display_names(workshop)
    yield from _encoded_words(workshop)
    yield from _control_characters(workshop)
    yield from _addresses(workshop)
    yield from _other_fields(workshop)


def _several_fields(workshop: Workshop) -> Iterator[Spoof]:
    for name, fields, why in (
        ("from-twice-attacker-first", (("From", MALLORY), ("From", ALICE)), "some show the last From"),
        ("from-twice-attacker-last", (("From", ALICE), ("From", MALLORY)), "some show the first From"),
        ("from-twice-odd-case", (("From", MALLORY), ("fRoM", ALICE)), "names of fields have no letter case"),
        ("from-twice-second-empty", (("From", MALLORY), ("From", "")), "one that sees the last sees nobody"),
    ):
        yield Spoof(name, workshop.headed(*fields), "mismatch", "several-from", why)
    whole = workshop.clear(MALLORY)
    for name, before, why in (
        ("from-before-space-and-colon", b"From : alice@example.org\r\n", "some end the header there"),
        ("from-before-tab-and-colon", b"From\t: alice@example.org\r\n", "the same with a tab"),
        ("from-before-blanks", b"From: alice@example.org\r\n \r\n", "some end the header there"),
        ("from-in-bare-return", b"X: y\rFrom: alice@example.org\r\n", "a bare CR is a line end for some"),
        ("from-after-nul", b"X: y\0\nFrom: alice@example.org\r\n", "a NUL in a field"),
        ("from-after-byte-order-mark", b"\xef\xbb\xbfFrom: alice@example.org\r\n", "some skip the mark"),
        ("from-with-nul-in-name", b"From\0: alice@example.org\r\n", "what ends a string in C"),
        ("from-with-no-break-space", b"From\xc2\xa0: alice@example.org\r\n", "a space that is none"),
    ):
        yield Spoof(name, before + whole, "invalid", "malformed-mail", why)
    garbage = b"From: alice@example.org\r\nthis is no field\r\n" + whole
    yield Spoof("from-before-garbage", garbage, "unsigned", "not-signed", "the header ends where no field is")
    three = (("From", MALLORY), ("Subject", "Hello"), ("From", ALICE), ("FROM", MALLORY))
    yield Spoof("from-three-times", workshop.headed(*three), "mismatch", "several-from", "hidden between two")


def _no_mailbox(workshop: Workshop) -> Iterator[Spoof]:
    yield Spoof("from-missing", workshop.headed(), "mismatch", "from-missing", "nobody to compare with")
    sender = workshop.headed(("Sender", MALLORY))
    yield Spoof("from-missing-with-sender", sender, "mismatch", "from-missing", "Sender does not stand for From")
    for name, value, why in (
        ("from-empty", "", "nobody to compare with"),
        ("from-only-comment", f"({ALICE})", "a comment is shown as the name"),
        ("from-only-group", "Alice and friends:;", "a group without a mailbox"),
        ("from-only-name", "Alice Example", "no address at all"),
        ("from-empty-angles", f'"{ALICE}" <>', "the null address of bounces"),
        ("from-second-unreadable", f"{MALLORY}, {ALICE}@", "a second mailbox that some repair"),
        ("from-no-domain", "alice", "a local part alone"),
        ("from-two-at", f"{ALICE}@evil.example", "which @ divides?"),
        ("from-angle-after-address", f"<{MALLORY}> {ALICE}", "text after the angle"),
        ("from-two-angles", f"Alice <{ALICE}> <{MALLORY}>", "which of two?"),
        ("from-nested-angles", f"<<{ALICE}>{MALLORY}>", "which of two?"),
        ("from-broken-route", f"<{ALICE}:{MALLORY}>", "a route that is none"),
        ("from-open-quote", f'"Alice <{ALICE}>, <{MALLORY}>', "a string that never ends"),
        ("from-trailing-dot", f"{ALICE}.", "a dot that DNS forgives"),
    ):
        yield Spoof(name, workshop.clear(value), "mismatch", "from-unreadable", why)
    blank = workshop.clear(" \r\n \t")
    yield Spoof("from-white-space", blank, "invalid", "malformed-mail", "some end the header at such a line")


def _display_names(workshop: Workshop) -> Iterator[Spoof]:
    for name, value, why in (
        ("name-is-address", f'"{ALICE}"{_BEHIND}', "most lists of mails show the name alone"),
        ("name-is-mailbox", f'"Alice <{ALICE}>"{_BEHIND}', "the whole mailbox, as a name"),
        ("name-single-quotes", f"\"'{ALICE}'\"{_BEHIND}", "in single quotes"),
        ("name-in-a-sentence", f'"On behalf of {ALICE}, Mallory"{_BEHIND}', "in a sentence"),
        ("name-other-address", f'"bob@example.net"{_BEHIND}', "of anybody"),
        ("name-a-label", f'"alice@xn--xample-2of.org"{_BEHIND}', "at an A-label"),
        ("name-mailto", f'"mailto:{ALICE}"{_BEHIND}', "as a link"),
        ("name-address-upper", f'"{ALICE.upper()}"{_BEHIND}', "in capitals"),
        ("name-address-quoted-pairs", rf'"alice\@example\.org"{_BEHIND}', "with quoted pairs"),
        ("name-address-spaces", f'"alice @ example.org"{_BEHIND}', "with spaces around @"),
        ("name-pushes-address-away", f'"Alice {ALICE}{" " * 300}."{_BEHIND}', "the real one is out of view"),
        ("name-in-comment", f"{MALLORY} ({ALICE})", "a comment after the address is an old form of a name"),
        ("name-in-comment-before", f"({ALICE}) {MALLORY}", "or before it"),
        ("name-in-comment-inside", f"Alice <({ALICE}) {MALLORY}>", "or in the angle"),
        ("name-in-nested-comment", f"{MALLORY} (from ({ALICE}))", "or in another"),
        ("name-full-width-at", f'"alice\uff20example.org"{_BEHIND}', "a full-width @"),
        ("name-small-at", f'"alice\ufe6bexample.org"{_BEHIND}', "a small @"),
        ("name-invisible", f'"alice\u200b@exam\u200dple.org"{_BEHIND}', "characters without a width"),
        ("name-soft-hyphen", f'"alice@exam\u00adple.org"{_BEHIND}', "a soft hyphen"),
        ("name-homograph-address", f'"\u0430lice@example.org"{_BEHIND}', "a Cyrillic letter in an address"),
        ("name-full-width-letters", f'"\uff41lice@example\uff0eorg"{_BEHIND}', "a full-width letter and dot"),
        ("name-of-group", f'"{ALICE}": {MALLORY};', "the name of a group is shown like a name"),
        ("name-unquoted-address", f"{ALICE} <{MALLORY}>", "an address where a phrase must be"),
        ("name-open-comment", f"{MALLORY} (<{ALICE}>", "a comment that never ends"),
        ("name-of-group-unquoted", f"{ALICE}: {MALLORY};", "the same, without quotes"),
        ("name-second-mailbox", f'{MALLORY}, "{ALICE}"{_BEHIND}', "the second mailbox of two"),
        ("name-folded", f'"alice\r\n @example.org"{_BEHIND}', "a fold in the middle"),
    ):
        yield Spoof(name, workshop.clear(value), "mismatch", "display-name", why)


def _encoded_words(workshop: Workshop) -> Iterator[Spoof]:
    for name, words, why in (
        ("word-b", _word(ALICE), "base64"),
        ("word-q", "=?utf-8?q?alice=40example=2Eorg?=", "quoted-printable"),
        ("word-split", "=?utf-8?q?alice=40exam?= =?utf-8?b?cGxlLm9yZw==?=", "two words are one (RFC 2047, 6.2)"),
        ("word-split-folded", "=?utf-8?q?alice=40?=\r\n =?utf-8?q?example=2Eorg?=", "with a fold between"),
        ("word-in-quotes", f'"{_word(ALICE)}"', "not to be decoded in quotes, and many do"),
        ("word-utf-16", _word(ALICE, "utf-16-be", "utf-16be"), "UTF-16"),
        ("word-utf-7", _word("alice+AEA-example.org", "ascii", "utf-7"), "UTF-7"),
        ("word-language", "=?utf-8*en?q?alice=40example=2Eorg?=", "with a language (RFC 2231, 5)"),
        ("word-iso-2022", _word("\x1b(Jalice@example.org\x1b(B", "ascii", "iso-2022-jp"), "with escapes"),
        ("word-unknown-charset", _word(ALICE, "ascii", "x-unknown"), "a charset that many guess"),
        ("word-underscores", "=?utf-8?q?_alice=40example=2Eorg_?=", "with blanks"),
        ("word-in-comment", f"{MALLORY} ({_word(ALICE)})", "in a comment"),
        ("word-full-width", _word("alice\uff20example.org"), "with a full-width @"),
    ):
        value = words if MALLORY in words else f"{words}{_BEHIND}"
        yield Spoof(name, workshop.clear(value), "mismatch", "display-name", why)
    # The addr-spec itself: its atoms look like an encoded word, and some decode it there.
    local = _word(f"{ALICE} ").replace("/", "=2F")
    signer = workshop.person(f"{local}@evil.example")
    mail = workshop.clear(f"<{local}@evil.example>", signer)
    yield Spoof("word-as-local-part", mail, "mismatch", "from-unreadable", "an address that decodes to another")


def _control_characters(workshop: Workshop) -> Iterator[Spoof]:
    verdict = _word("A\ntrusted: signed by alice@example.org\n")
    bidi, mailsploit = _word("\u202egro.elpmaxe@ecila"), _word(f"{ALICE}\0")
    injected = "Alice\r\nFrom: alice@example.org\r\nX: "
    for name, value, why in (
        ("injection-crlf-b", f"{_word(injected)}{_BEHIND}", "a line of the header"),
        ("injection-crlf-q", f"=?utf-8?q?Alice=0D=0AFrom:_alice?={_BEHIND}", "a line of the header"),
        ("injection-newline", f"=?utf-8?q?Alice=0AFrom:_alice?={_BEHIND}", "a bare newline"),
        ("injection-nul", f"=?utf-8?q?Alice=00?={_BEHIND}", "what ends a string in C"),
        ("injection-escape", f"=?utf-8?q?=1B[2JAlice?={_BEHIND}", "clears a terminal"),
        ("injection-c1", f"=?utf-8?q?=C2=9B2JAlice?={_BEHIND}", "clears one in eight bits"),
        ("injection-verdict", f"{verdict}{_BEHIND}", "our own words"),
        ("injection-raw-escape", f'"\x1b[31mAlice"{_BEHIND}', "unencoded"),
        ("injection-bidi", f'"\u202egro.elpmaxe@ecila"{_BEHIND}', "read from right to left"),
        ("injection-bidi-word", f"{bidi}{_BEHIND}", "the same, encoded"),
        ("injection-bidi-isolate", f'"Alice \u2067 <{MALLORY}>"{_BEHIND}', "an isolate that never ends"),
        ("injection-line-separator", f'"Alice\u2028trusted"{_BEHIND}', "a line end of Unicode"),
        ("injection-mailsploit", f"{mailsploit}{_BEHIND}", "a NUL after the address"),
    ):
        yield Spoof(name, workshop.clear(value), "mismatch", "header-injection", why)
    for name, value, why in (
        ("injection-raw-nul", f'"Alice\0"{_BEHIND}', "unencoded"),
        ("injection-raw-return", f'"Alice\rFrom: {ALICE}"{_BEHIND}', "a bare CR is a line end for some"),
    ):
        yield Spoof(name, workshop.clear(value), "invalid", "malformed-mail", why)
    signer = workshop.leaf(Leaf((smtp_utf8("m\u202ecila@evil.example"),)))
    mail = workshop.clear("m\u202ecila@evil.example", signer)
    yield Spoof("injection-bidi-address", mail, "mismatch", "header-injection", "an override in a covered address")


def _addresses(workshop: Workshop) -> Iterator[Spoof]:
    for name, value, why in (
        ("mailbox-not-signed-for", f"{ALICE}, {MALLORY}", "two authors, one signature"),
        ("mailbox-not-signed-for-last", f"{MALLORY}, Alice <{ALICE}>", "the same, the other way round"),
        ("mailbox-in-group", f"Friends: {MALLORY}, {ALICE};", "two in a group"),
        ("mailbox-beside-group", f"Friends: {MALLORY};, {ALICE}", "one after a group"),
        ("mailbox-route", f"<@evil.example:{ALICE}>", "a route over the attacker's host"),
        ("mailbox-quoted-local-part", '"alice@example.org"@evil.example', "quoted, at the attacker's"),
        ("mailbox-comment-in-domain", "alice@(evil.example)example.org", "a comment in the domain"),
        ("mailbox-subdomain", "mallory@mail.evil.example", "a subdomain is another domain"),
        ("mailbox-parent-domain", "mallory@example", "and so is the parent"),
        ("mailbox-literal", "mallory@[192.0.2.1]", "an address literal"),
    ):
        yield Spoof(name, workshop.clear(value), "mismatch", "from-mismatch", why)
    for name, value, why in (
        ("lookalike-local-part", "m\u0430llory@evil.example", "a Cyrillic letter"),
        ("lookalike-domain", "mallory@\u0435vil.example", "a Cyrillic letter in the domain"),
        ("lookalike-a-label", "mallory@" + "\u0435vil.example".encode("idna").decode(), "the same as an A-label"),
        ("lookalike-full-width", "mallory@evil\uff0eexample", "a full-width dot"),
    ):
        yield Spoof(name, workshop.clear(value), "mismatch", "lookalike", why)


def _other_fields(workshop: Workshop) -> Iterator[Spoof]:
    for name, fields, code, why in (
        ("sender-attacker", (("From", ALICE), ("Sender", MALLORY)), "from-mismatch", "Sender says the truth"),
        ("sender-first", (("Sender", MALLORY), ("From", ALICE)), "from-mismatch", "the same, in another order"),
        ("sender-victim", (("From", MALLORY), ("Sender", ALICE)), "sender-mismatch", "some show Sender"),
        (
            "sender-twice",
            (("From", MALLORY), ("Sender", MALLORY), ("Sender", ALICE)),
            "sender-mismatch",
            "some show the last",
        ),
        (
            "sender-name-is-address",
            (("From", MALLORY), ("Sender", f'"{ALICE}"{_BEHIND}')),
            "display-name",
            "a name of Sender is shown too",
        ),
        (
            "sender-injection",
            (("From", MALLORY), ("Sender", f"=?utf-8?q?A=0D=0A?={_BEHIND}")),
            "header-injection",
            "a line of the header in the name of Sender",
        ),
        ("sender-list", (("From", MALLORY), ("Sender", f"{MALLORY}, {ALICE}")), "sender-mismatch", "two in one"),
        ("resent-from", (("From", ALICE), ("Resent-From", MALLORY)), "from-mismatch", "who sent it again"),
        (
            "resent-sender",
            (("Resent-From", MALLORY), ("Resent-Sender", MALLORY), ("From", ALICE)),
            "from-mismatch",
            "the same",
        ),
        ("reply-to-attacker", (("From", ALICE), ("Reply-To", MALLORY)), "from-mismatch", "where answers go"),
        ("return-path", (("Return-Path", f"<{MALLORY}>"), ("From", ALICE)), "from-mismatch", "of the envelope"),
    ):
        yield Spoof(name, workshop.headed(*fields), "mismatch", code, why)
    asked = ("--from", "carol@example.org")
    mail = workshop.clear(ALICE, workshop.alice)
    yield Spoof("another-sender-expected", mail, "mismatch", "expected-sender", "honest, and not asked for", asked)
    late = head(field("From", ALICE), date="Sun, 01 Mar 2026 18:00:00 +0000") + workshop.entity(workshop.alice)
    yield Spoof("sent-again-later", late, "mismatch", "date-mismatch", "an old signature under a new date")


def _word(text: str, encoding: str = "utf-8", charset: str = "") -> str:
    return f"=?{charset or encoding}?b?{base64.b64encode(text.encode(encoding)).decode()}?="
