"""Every mail of the corpus, clear and opaque, before every judge; then through relays; then before a reader."""

from __future__ import annotations

import email
from base64 import b64decode, encodebytes
from email.message import Message
from typing import TYPE_CHECKING

import pytest

from smime_agent.algorithms import KeyType
from smime_agent.api.signing import Format, SignOptions, sign
from tests.interop.book import Book
from tests.interop.corpus import CORPUS, attachment_of_25_megabytes
from tests.interop.extractor import NotSignedError
from tests.interop.judges import Case, Form, Judge, Refused
from tests.interop.ours import canonical
from tests.interop.relays import (
    RELAYS,
    sent_with_stuffed_dots,
    stored_with_carriage_returns_stripped,
    stored_with_line_feeds,
    through_all,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.interop.conftest import Bench

pytestmark = pytest.mark.interop

RSA, P256 = Case(KeyType.RSA_2048), Case(KeyType.EC_P256)

every_mail = pytest.mark.parametrize("mail", CORPUS)
either_key = pytest.mark.parametrize("case", [RSA, P256], ids=str)


@either_key
@every_mail
def test_the_judge_reads_what_we_signed(judge: Judge, mail: str, case: Case, form: Form, bench: Bench) -> None:
    original = CORPUS[mail]()
    signed = bench.signed_once(mail, original, case, form)
    assert judge.verify(signed, form) == canonical(original)


@pytest.mark.slow
def test_25_megabytes(form: Form, bench: Bench, judges: dict[str, Judge]) -> None:
    original = attachment_of_25_megabytes()
    signed = bench.sign(original, RSA, form)
    expected = canonical(original)
    assert len(expected) > 25 << 20
    assert [name for name, judge in judges.items() if judge.verify(signed, form) != expected] == []


@every_mail
def test_the_signature_survives_every_relay(mail: str, form: Form, bench: Bench, judges: dict[str, Judge]) -> None:
    original = CORPUS[mail]()
    arrived = through_all(bench.signed_once(mail, original, RSA, form))
    assert judges["OpenSSL"].verify(arrived, form) == canonical(original)


NAIVE = b"Content-Type: text/plain\n\n\0\nGr\xc3\xbc\xc3\x9fe \n.\nFrom me\n" + b"x" * 1000
ROUND_TRIPS = {sent_with_stuffed_dots}  # harmless, if both sides do it right


def signed_as_it_came(content: bytes, bench: Bench) -> bytes:
    """What a program makes that does not know RFC 8551, 3.1."""
    signature = bytes(sign(content, bench.login(KeyType.RSA_2048), SignOptions(form=Format.DER)))
    return b"".join(
        (
            b'From: alice@example.org\r\nContent-Type: multipart/signed; micalg=sha-256; boundary="b"\r\n\r\n',
            b"\r\n--b\r\n" + content + b"\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\n",
            encodebytes(signature).replace(b"\n", b"\r\n") + b"\r\n--b--\r\n",
        )
    )


@pytest.mark.parametrize("relay", [relay for relay in RELAYS if relay not in ROUND_TRIPS], ids=lambda it: it.__name__)
def test_the_relay_breaks_what_is_signed_as_it_came(
    relay: Callable[[bytes], bytes], bench: Bench, judges: dict[str, Judge]
) -> None:
    """Were the relays harmless, it would show nothing that our signatures survive them."""
    bare = relay in {stored_with_line_feeds, stored_with_carriage_returns_stripped}
    content = NAIVE if bare else NAIVE.replace(b"\n", b"\r\n")
    mail = signed_as_it_came(content, bench)
    assert judges[Book.name].verify(mail, Form.CLEAR) == content
    with pytest.raises((Refused, NotSignedError)):
        judges[Book.name].verify(relay(mail), Form.CLEAR)


# Python's library takes a field that has a blank before its colon (RFC 5322, 4.5) for the end of the header.
MISREAD = {"space_before_the_colon"}


@pytest.mark.parametrize("mail", [mail for mail in CORPUS if mail not in MISREAD])
def test_a_reader_finds_the_same_leaves(mail: str, bench: Bench, judges: dict[str, Judge]) -> None:
    original = CORPUS[mail]()
    signed = bench.signed_once(mail, original, RSA, Form.CLEAR)
    verified = judges["OpenSSL"].verify(signed, Form.CLEAR)
    assert list(leaves(email.message_from_bytes(verified))) == list(leaves(email.message_from_bytes(original)))


def leaves(part: Message) -> Iterator[bytes]:
    """What a mail program would show or save, in order; every line end is LF."""
    if part.get_content_type() == "message/global":
        yield from leaves(email.message_from_bytes(_enclosed(part)))
    elif part.is_multipart():
        for number in range(len(part.get_payload())):
            yield from leaves(_inner(part, number))
    else:
        payload = part.get_payload(decode=True)
        assert isinstance(payload, bytes)
        yield payload.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _enclosed(part: Message) -> bytes:
    """The library takes every message/* for a mail: the text of this one is base64."""
    encoded = _inner(part, 0).get_payload()
    assert isinstance(encoded, str)
    return b64decode(encoded)


def _inner(part: Message, number: int) -> Message:
    inner = part.get_payload(number)
    assert isinstance(inner, Message)
    return inner
