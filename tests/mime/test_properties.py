"""What holds for every mail: robust, idempotent, the same to a reader, the same however it is read."""

from __future__ import annotations

import base64
import email
import quopri
import tracemalloc
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smime_agent.mime.message import split
from smime_agent.mime.robust import weakness
from smime_agent.mime.structure import lay_out
from smime_agent.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message as EmailMessage

    from smime_agent.mime.canonical import Entity

# Mails are made as bytes with LF; their line ends are chosen last. "\r" stands alone and inside lines only, because
# the standard library, the reader we compare with, takes it for a line end before a boundary.

LINES = st.sampled_from(
    [
        *b"plain||trailing |tab\t|From me|>From me|.|..|a\0b|a\rb|--|--b|--b0x|-- |=|=41=|Subject: no header".split(
            b"|"
        ),
        *(b"caf\xc3\xa9", b"\xff\xfe", b"x" * 998, b"y" * 999),
    ]
)
PLAIN_LINES = st.sampled_from([b"plain", b"", b"..", b"x" * 998, b"--", b"--b", b"=", b"Subject: no header"])


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    lines = draw(st.lists(draw(st.sampled_from([LINES, PLAIN_LINES, PLAIN_LINES])), max_size=6))
    return b"\n".join(lines)


TYPES = st.sampled_from(
    [b"text/plain", b"text/plain; charset=utf-8", b"text/html", b"application/json", b"image/png", b"Text"]
)
EXTRA = st.sampled_from(
    [b"", b"Content-ID: <a@b>\n", b"Content-Description: caf\xc3\xa9 \n", b"Content-Language:\n en\n \n"]
)


@st.composite
def leaves(draw: st.DrawFn) -> bytes:
    encoding = draw(st.sampled_from([b"", b"", b"7bit", b"8bit", b"binary", b"quoted-printable", b"Base64"]))
    body = draw(bodies())
    if encoding == b"quoted-printable":
        body = quopri.encodestring(body.replace(b"\r", b"")).replace(b"=41", b" =41")
        body = body.replace(b"plain", draw(st.sampled_from([b"plain", b"From ", b"z" * 1200, b"\xe9"])))
    elif encoding == b"Base64":
        body = base64.encodebytes(body).replace(b"\n", draw(st.sampled_from([b"\n", b" \n", b""])))
    fields = b"Content-Type: " + draw(TYPES) + b"\n" if draw(st.integers(0, 4)) else b""
    fields += draw(EXTRA) + (b"Content-Transfer-Encoding: %b\n" % encoding if encoding else b"")
    return fields + b"\n" + body


@st.composite
def multiparts(draw: st.DrawFn, children: st.SearchStrategy[bytes]) -> bytes:
    parts = draw(st.lists(children, min_size=1, max_size=3))
    # Made of the parts, so that no part has the same one, but perhaps a prefix of it.
    digits = b"%08x" % zlib.crc32(b"".join(parts))
    boundary = draw(st.sampled_from([b"b%b", b"%b", b"bb", b"=_%b:'()+,-./?", b"a b%b"])).replace(b"%b", digits)
    if boundary == b"bb":
        boundary += b"b" * max((part.count(b"boundary=") for part in parts), default=0)
    fields = b'Content-Type: multipart/mixed;\n boundary="%b"\n' % boundary
    if draw(st.booleans()):
        fields += b"Content-Transfer-Encoding: 8bit\n"
    preamble = draw(st.sampled_from([b"", b"preamble\n", b"caf\xc3\xa9\n"]))
    padding = draw(st.sampled_from([b"", b"", b" \t"]))
    end = draw(st.sampled_from([b"--\n", b"--", b"--\nepilogue \n", b"--\nepilogue\n"]))
    mark = b"\n--" + boundary
    body = mark[1:] + padding + b"\n" + (mark + padding + b"\n").join(parts) + mark + end
    return fields + b"\n" + preamble + body


@st.composite
def messages(draw: st.DrawFn, children: st.SearchStrategy[bytes]) -> bytes:
    fields = draw(
        st.sampled_from([b"", b"", b"From: \xff\n", b"DKIM-Signature: v=1\n", b"Subject: x \n", b"A: " + b"b " * 600])
    )
    fields = fields if fields.endswith(b"\n") or not fields else fields + b"x\n"
    return b"Content-Type: message/rfc822\n\nFrom: a@b\nTo: c@d\n" + fields + draw(children)


ENTITIES = st.recursive(leaves(), lambda children: multiparts(children) | messages(children), max_leaves=6)


@st.composite
def mails(draw: st.DrawFn) -> bytes:
    mail = b"From: a@b\nSubject: x\nMIME-Version: 1.0\n" + draw(ENTITIES)
    return mail.replace(b"\n", b"\r\n") if draw(st.booleans()) else mail


def entity_of(mail: bytes) -> Entity:
    return split(Source.from_bytes(mail)).entity


def octets(entity: Entity) -> bytes:
    return b"".join(entity.chunks())


@given(mails())
def test_canonical_form_is_robust(mail: bytes) -> None:
    entity = entity_of(mail)
    out = octets(entity)
    assert weakness(out) is None
    assert b"\n" not in out.replace(b"\r\n", b"")
    assert entity.robust
    assert entity.seven_bit


@given(mails())
def test_canonical_form_is_its_own(mail: bytes) -> None:
    out = octets(entity_of(mail))
    assert octets(entity_of(out)) == out


@given(mails())
def test_line_ends_of_the_mail_make_no_difference_to_text(mail: bytes) -> None:
    if b"binary" in mail or any(kind in mail for kind in (b"image/", b"application/")):
        return  # there they may be no line ends
    lines = mail.replace(b"\r\n", b"\n")
    assert octets(entity_of(lines)) == octets(entity_of(lines.replace(b"\n", b"\r\n")))


@given(mails())
def test_a_robust_mail_is_the_same_whether_its_structure_is_looked_at_or_not(mail: bytes) -> None:
    message = split(Source.from_bytes(octets(entity_of(mail))))
    entity = message.entity
    out = octets(entity)
    layout = lay_out(entity._source, entity._fields, entity._body)
    pieces = [
        piece if isinstance(piece, bytes) else b"".join(piece.coder([entity._source.read(piece.start, piece.end)]))
        for piece in layout.pieces
    ]
    assert b"".join(pieces) == out


@contextmanager
def reading(chunk: int, in_memory: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Source, "CHUNK", chunk)
        patch.setattr(Source, "IN_MEMORY", in_memory)
        yield


@given(mails(), st.integers(1, 40) | st.integers(40, 3000), st.sampled_from([0, 1 << 20]))
@settings(max_examples=150)
def test_chunks_make_no_difference(mail: bytes, chunk: int, in_memory: int) -> None:
    message = split(Source.from_bytes(mail))
    expected, notes = octets(message.entity), message.entity.notes
    with reading(chunk, in_memory):
        again = split(Source.from_bytes(mail))
        assert octets(again.entity) == expected
        assert again.entity.notes == notes
        assert again.outer == message.outer


@given(mails())
def test_a_reader_sees_the_same_mail(mail: bytes) -> None:
    before = email.message_from_bytes(mail)
    after = email.message_from_bytes(octets(entity_of(mail)))
    assert tree(after) == tree(before)


def tree(part: EmailMessage) -> object:
    """Types and decoded bodies; line ends as LF, and what a transport may add to their left removed."""
    if part.get_content_type() == "message/global":
        return tree_of_message(email.message_from_bytes(base64.b64decode(str(children(part)[0].get_payload()))))
    if part.get_content_type() == "message/rfc822":
        return tree_of_message(children(part)[0])
    if part.is_multipart():
        return part.get_content_type(), [tree(child) for child in children(part)]
    body = cast("bytes", part.get_payload(decode=True)).replace(b"\r\n", b"\n")
    if part.get_content_maintype() == "text" or part["content-transfer-encoding"] == "quoted-printable":
        body = b"\n".join(line.rstrip(b" \t") for line in body.split(b"\n"))
    return part.get_content_type(), part.get("content-id"), body


def tree_of_message(mail: EmailMessage) -> object:
    return "message", mail["To"], mail["DKIM-Signature"], tree(mail)


def children(part: EmailMessage) -> list[EmailMessage]:
    return cast("list[EmailMessage]", part.get_payload())


SOUP = st.lists(
    st.sampled_from(
        [
            *b"--b|--b--|--i|--i--|\n--b\n|\n--i\n|\n|\n\n|\r\n|\r| |\xc3\xa9|\0|From |.|text|=41|:|a: b".split(b"|"),
            *(b"Content-Transfer-Encoding: " + name for name in (b"base64", b"quoted-printable", b"binary", b"8bit")),
            *(b"Content-Type: multipart/" + kind for kind in (b"mixed; boundary=i", b"digest; boundary=b")),
            *(b"Content-Type: message/" + kind for kind in (b"rfc822", b"partial", b"global", b"delivery-status")),
            *(b"Content-Type: multipart/signed; boundary=i", b"DKIM-Signature: x"),
        ]
    ),
    max_size=40,
).map(b"".join)


@given(SOUP)
@settings(max_examples=400)
def test_soup_is_robust_or_says_why_and_is_its_own(soup: bytes) -> None:
    mail = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n" + soup
    entity = entity_of(mail)
    out = octets(entity)
    assert entity.robust or entity.notes
    assert not entity.robust or weakness(out) is None
    again = entity_of(out)
    assert octets(again) == out
    assert again.robust == entity.robust


@given(SOUP, st.integers(1, 60))
def test_chunks_make_no_difference_to_soup(soup: bytes, chunk: int) -> None:
    mail = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n" + soup
    expected = octets(entity_of(mail))
    with reading(chunk, 0):
        assert octets(entity_of(mail)) == expected


class Repeated:
    """A stream of 100 MB that is nowhere in memory."""

    def __init__(self, head: bytes, line: bytes, size: int, tail: bytes) -> None:
        self._blocks = iter([head, *([line * (65536 // len(line))] * (size // 65536)), tail])

    def read(self, _: int) -> bytes:
        return next(self._blocks, b"")


PARTS = b"From: a@b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n%b\n\n"


@pytest.mark.parametrize(
    ("head", "line"),
    [
        (PARTS % b"Content-Transfer-Encoding: base64", b"QUJD" * 19 + b"\r\n"),  # robust
        (PARTS % b"\n\xc3\xa9\n--b\nContent-Transfer-Encoding: base64", b"QUJD" * 19 + b"\n"),  # one part is not
        (PARTS % b"Content-Type: image/png", b"\xff\n\r\0"),  # becomes base64
        (PARTS % b"Content-Type: message/rfc822\n\nSubject: \xff", b"text\n"),  # is enclosed
        (PARTS % b"Content-Type: text/plain", b"\xe9" + b"x" * 1023),  # one line, quoted-printable
    ],
)
def test_memory_is_bounded(head: bytes, line: bytes) -> None:
    size = 100 << 20 if line.startswith(b"QUJD") else 16 << 20
    with Source.from_stream(Repeated(head, line, size, b"\n--b--\n")) as source:
        tracemalloc.start()
        entity = split(source).entity
        largest = total = 0
        for chunk in entity.chunks():
            largest = max(largest, len(chunk))
            total += len(chunk)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert entity.robust
    assert total >= size - (1 << 20)
    assert largest <= 1 << 20
    assert peak <= 12 << 20
