"""For any mail: what a verifier reads back is the canonical entity, octet for octet."""

from __future__ import annotations

import base64
import quopri
import re
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smime_agent.algorithms import KeyType
from tests.interop.book import Book
from tests.interop.judges import Case, Form, Judge
from tests.interop.ours import canonical, entity_of
from tests.interop.relays import through_all

if TYPE_CHECKING:
    from tests.interop.conftest import Bench

pytestmark = pytest.mark.interop

CASES: Final = [Case(KeyType.RSA_2048), Case(KeyType.EC_P256), Case(KeyType.ED25519)]
CHARSETS: Final = ["us-ascii", "utf-8", "iso-8859-1", "windows-1252", "iso-2022-jp", "shift_jis", "koi8-r", "gb18030"]
ENCODINGS: Final = ["", "7bit", "8BIT", "binary", "quoted-printable", "Base64", "x-unknown"]

line_ends = st.sampled_from([b"\r\n", b"\n"])
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=20)
odd_lines = st.sampled_from(
    [
        "",
        " ",
        "trailing \t",
        "From me",
        ">From me",
        ".",
        "..",
        "-- ",
        "--",
        "--b",
        "--b--",
        "=3D=",
        "\0",
        "a\rb",
        "x" * 1200,
    ]
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Octets of any kind, mostly lines of text in some charset, with line ends of either kind."""
    if draw(st.integers(0, 5)) == 0:
        return draw(st.binary(max_size=200))
    charset = draw(st.sampled_from(CHARSETS))
    lines = draw(st.lists(words | odd_lines, max_size=8))
    ends = draw(st.lists(line_ends, min_size=len(lines), max_size=len(lines)))
    body = b"".join(line.encode(charset, "replace") + end for line, end in zip(lines, ends, strict=True))
    return body if draw(st.booleans()) else body.rstrip(b"\r\n")


@st.composite
def fields(draw: st.DrawFn) -> bytes:
    """A header field that nobody expects, folded somewhere; no CR or NUL, which are refused."""
    name = draw(st.sampled_from(["X-Odd", "Content-Description", "Content-ID", "Content-Language", "x", "Subject"]))
    value = draw(st.lists(words.map(lambda word: word.replace("\0", "")), max_size=4))
    fold = draw(st.sampled_from([" ", "\n ", "\n\t", "\n \n  "]))
    return f"{name}: {fold.join(value)}\n".encode()


@st.composite
def leaves(draw: st.DrawFn) -> bytes:
    """A part with a body, the encoding that it names, and sometimes a lie about it."""
    body, encoding = draw(bodies()), draw(st.sampled_from(ENCODINGS))
    if encoding == "quoted-printable" and draw(st.integers(0, 4)):
        body = quopri.encodestring(body)
    if encoding == "Base64" and draw(st.integers(0, 4)):
        body = base64.encodebytes(body).replace(b"\n", draw(st.sampled_from([b"\r\n", b"\n", b" \n", b""])))
    kind = draw(
        st.sampled_from(["text/plain", "text/html", "image/png", "application/pdf", "text/calendar", "oops", ""])
    )
    charset = draw(st.sampled_from(CHARSETS))
    header = f"Content-Type: {kind}; charset={charset}; name=Zoë\n" if kind else ""
    header += f"Content-Transfer-Encoding: {encoding}\n" if encoding else ""
    return header.encode() + draw(st.just(b"") | fields()) + b"\n" + body


@st.composite
def multiparts(draw: st.DrawFn, children: st.SearchStrategy[bytes]) -> bytes:
    """Parts between boundaries that may be forgotten, padded, or each other's beginnings."""
    boundary = draw(st.sampled_from([b"b", b"b0", b"outer", b"=_x", b"'()+_,-./:=? z"]))
    parts = draw(st.lists(children, max_size=3))
    mark = draw(st.sampled_from([b"\r\n", b"\n"])) + b"--" + boundary
    padding = draw(st.sampled_from([b"", b"", b" "])) + b"\n"
    head = b'Content-Type: multipart/%b; boundary="%b"\n' % (draw(st.sampled_from([b"mixed", b"digest"])), boundary)
    preamble = draw(st.just(b"") | bodies())
    end = draw(st.sampled_from([mark + b"--\r\n", mark + b"--", b"", mark + b"--\nepilogue\xff \n"]))
    return head + b"\n" + preamble + b"".join(mark + padding + part for part in parts) + end


@st.composite
def forwarded(draw: st.DrawFn, children: st.SearchStrategy[bytes]) -> bytes:
    """A mail in a mail."""
    inner = b"From: bob@example.com\n" + draw(st.just(b"") | fields()) + draw(children)
    return b"Content-Type: message/rfc822\n\n" + inner


@st.composite
def mails(draw: st.DrawFn) -> bytes:
    """A mail from Alice around any of them."""
    entity = draw(st.recursive(leaves(), lambda inner: multiparts(inner) | forwarded(inner), max_leaves=5))
    mail = b"From: alice@example.org\n" + draw(st.just(b"") | fields()) + b"MIME-Version: 1.0\n" + entity
    return re.sub(rb"(?<!\r)\n", b"\r\n", mail) if draw(st.booleans()) else mail


def examples(number: int) -> settings:
    """The bench is slow to make, and lasts: that is all that hypothesis could complain about."""
    return settings(max_examples=number, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@examples(300)
@given(mail=mails(), case=st.sampled_from(CASES))
def test_the_book_reads_the_canonical_entity(
    form: Form, bench: Bench, judges: dict[str, Judge], mail: bytes, case: Case
) -> None:
    assert judges[Book.name].verify(bench.sign(mail, case, form), form) == canonical(mail)


@examples(40)
@given(mail=mails(), case=st.sampled_from(CASES[:2]))
def test_openssl_reads_the_canonical_entity(
    form: Form, bench: Bench, judges: dict[str, Judge], mail: bytes, case: Case
) -> None:
    entity = entity_of(mail)
    if entity.robust or form is Form.OPAQUE:  # of the others we say that opaque is safer: OpenSSL drops a lone CR
        assert judges["OpenSSL"].verify(bench.sign(mail, case, form), form) == canonical(mail)


@examples(300)
@given(mail=mails(), case=st.sampled_from(CASES))
def test_what_we_call_robust_survives_every_relay(
    bench: Bench, judges: dict[str, Judge], mail: bytes, case: Case
) -> None:
    entity = entity_of(mail)
    if entity.robust:
        arrived = through_all(bench.sign(mail, case, Form.CLEAR))
        assert judges[Book.name].verify(arrived, Form.CLEAR) == canonical(mail)
