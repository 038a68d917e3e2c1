"""The tree of a mail's parts, and the layers in it that protect nothing but themselves."""

from __future__ import annotations

import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smime_agent.mime.part import read_part
from smime_agent.mime.tree import DEPTH_LIMIT, PART_LIMIT, Node, errant_layers, walk
from smime_agent.source import Source

SIGNED = (
    b'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; boundary=s\n\n'
    b"--s\n\nHello\n--s\nContent-Type: application/pkcs7-signature\n\nsig\n--s--\n"
)
OPAQUE = b"Content-Type: application/pkcs7-mime; name=smime.p7m\n\nMIAG\n"


def nodes(data: bytes) -> list[Node]:
    return list(walk(read_part(Source.from_bytes(data))))


def multipart(*parts: bytes, name: bytes = b"m", subtype: bytes = b"mixed") -> bytes:
    mark = b"\n--" + name + b"\n"
    head = b"Content-Type: multipart/" + subtype + b"; boundary=" + name + b"\n\npreamble"
    return head + b"".join(mark + part for part in parts) + b"\n--" + name + b"--\nepilogue\n"


def message(inner: bytes, encoding: bytes = b"") -> bytes:
    return b"Content-Type: message/rfc822\n" + encoding + b"\n" + inner


def shape(data: bytes) -> list[tuple[tuple[int, ...], bytes]]:
    return [(node.path, node.part.kind.value) for node in nodes(data)]


def test_a_leaf_is_a_tree() -> None:
    assert shape(b"From: a@b\n\nx") == [((), b"text/plain")]


def test_parts_come_before_what_they_hold() -> None:
    inner = multipart(b"\none", b"Content-Type: text/html\n\ntwo", name=b"i", subtype=b"alternative")
    assert shape(multipart(inner, message(b"From: c@d\n\nthree"), b"Content-Type: image/png\n\nfour")) == [
        ((), b"multipart/mixed"),
        ((0,), b"multipart/alternative"),
        ((0, 0), b"text/plain"),
        ((0, 1), b"text/html"),
        ((1,), b"message/rfc822"),
        ((1, 0), b"text/plain"),
        ((2,), b"image/png"),
    ]


def test_each_part_has_its_octets() -> None:
    data = multipart(b"\none\n", message(b"From: c@d\n\nthree"), b"A: b\n\nfour")
    assert [b"".join(node.part.raw()) for node in nodes(data)] == [
        data,
        b"\none\n",
        b"Content-Type: message/rfc822\n\nFrom: c@d\n\nthree",
        b"From: c@d\n\nthree",
        b"A: b\n\nfour",
    ]


def test_the_default_in_a_digest_is_a_message() -> None:
    assert shape(multipart(b"\nFrom: a@b\n\nx", subtype=b"digest"))[1:] == [
        ((0,), b"message/rfc822"),
        ((0, 0), b"text/plain"),
    ]


def test_what_stands_in_an_attached_mail_is_marked() -> None:
    assert [node.in_message for node in nodes(multipart(message(multipart(b"\nx", name=b"i")), b"\ny"))] == [
        *(False, False, True, True, False)
    ]


@pytest.mark.parametrize("encode", [base64.encodebytes, lambda data: data.replace(b"=", b"=3D")])
def test_an_encoded_mail_is_looked_into(encode: object) -> None:
    name = b"base64" if encode is base64.encodebytes else b"quoted-printable"
    inner = multipart(b"\nx", b"\ny", name=b"i")
    data = multipart(message(encode(inner), b"Content-Transfer-Encoding: " + name + b"\n"), b"\nz")  # type: ignore[operator]  # a function
    assert [node.path for node in nodes(data)] == [(), (0,), (0, 0), (0, 0, 0), (0, 0, 1), (1,)]


def test_a_large_encoded_mail_is_not() -> None:
    data = message(base64.encodebytes(bytes(1_000_000)), b"Content-Transfer-Encoding: base64\n")
    (node,) = nodes(data)
    assert node.why_not is not None


@pytest.mark.parametrize(
    "data",
    [
        b"Content-Type: multipart/mixed\n\n--m\n\nx\n--m--\n",
        b"Content-Type: multipart/mixed; boundary=m\n\nx\n",
        b"Content-Type: multipart/mixed; boundary=m\n\n--m--\n",
        b'Content-Type: multipart/mixed; boundary=""\n\n----\n',
    ],
)
def test_a_multipart_without_parts_says_so(data: bytes) -> None:
    (node,) = nodes(data)
    assert node.why_not is not None


def test_an_outer_delimiter_ends_an_inner_multipart() -> None:
    inner = b"Content-Type: multipart/mixed; boundary=i\n\n--i\n\nx"
    data = multipart(inner, b"\ny")
    assert [(node.path, b"".join(node.part.decoded())) for node in nodes(data)][1:] == [
        ((0,), b"--i\n\nx"),
        ((0, 0), b"x"),
        ((1,), b"y"),
    ]


def test_cms_is_not_looked_into() -> None:
    assert len(nodes(OPAQUE)) == 1


# Errant layers


def errant(data: bytes) -> list[tuple[tuple[int, ...], bool]]:
    return [(node.path, node.in_message) for node in errant_layers(read_part(Source.from_bytes(data)))]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"From: a@b\n\nx", []),
        (SIGNED, []),
        (OPAQUE, []),
        (multipart(SIGNED, b"\nfooter"), [((0,), False)]),
        (multipart(OPAQUE), [((0,), False)]),
        (message(SIGNED), [((0,), True)]),
        (multipart(b"\nx", message(SIGNED)), [((1, 0), True)]),
        (multipart(b"\nx", message(multipart(SIGNED, b"\ny", name=b"i"))), [((1, 0, 0), True)]),
        (message(base64.encodebytes(SIGNED), b"Content-Transfer-Encoding: base64\n"), [((0,), True)]),
        (SIGNED.replace(b"\nHello", SIGNED.replace(b"=s\n", b"=t\n").replace(b"--s", b"--t")), []),
        (SIGNED.replace(b"\nHello", OPAQUE), []),
        (SIGNED.replace(b"\nHello", multipart(OPAQUE)), [((0, 0), False)]),
        (multipart(SIGNED.replace(b"\nHello", OPAQUE)), [((0,), False)]),
        (multipart(b"\nx", b"Content-Type: application/pkcs7-signature\n\nsig"), []),
        (multipart(b"\nx", OPAQUE, SIGNED), [((1,), False), ((2,), False)]),
    ],
)
def test_layers_that_protect_only_a_part_are_errant(data: bytes, found: list[tuple[tuple[int, ...], bool]]) -> None:
    assert errant(data) == found


# Bounds


def nested(depth: int) -> bytes:
    heads = b"".join(b"Content-Type: multipart/mixed; boundary=b%dx\n\n--b%dx\n" % (n, n) for n in range(depth))
    return heads + b"\nx\n" + b"".join(b"--b%dx--\n" % n for n in reversed(range(depth)))


def test_it_does_not_go_deeper_than_the_limit() -> None:
    found = nodes(nested(1000))
    assert len(found) == DEPTH_LIMIT + 1
    assert found[-1].why_not is not None


def test_messages_in_messages_do_not_go_deeper_either() -> None:
    found = nodes(b"Content-Type: message/rfc822\n\n" * 1000)
    assert len(found) == DEPTH_LIMIT + 1
    assert found[-1].why_not is not None


def test_it_stops_at_the_limit_of_parts_and_says_so() -> None:
    found = nodes(multipart(*[b"\nx"] * (PART_LIMIT + 500)))
    assert len(found) == PART_LIMIT + 1
    assert found[-1].why_not is not None
    assert all(node.why_not is None for node in found[:-1])


def test_a_long_header_in_a_part_is_no_error() -> None:
    found = nodes(multipart(b"A: " + b"x" * 1_100_000 + b"\n\nx", b"\ny"))
    assert [node.why_not is None for node in found] == [True, False, True]


def timed(data: bytes) -> float:
    part = read_part(Source.from_bytes(data))
    start = time.process_time()
    errant_layers(part)
    return time.process_time() - start


@pytest.mark.slow
@pytest.mark.parametrize("line", [b"--b\n", b"--b0\n", b"--b89x-\n", b"--b00x\n", b"--\n", b"\n", b"A: b\n", b"--b8"])
def test_near_misses_under_ninety_boundaries_are_read_in_linear_time(line: bytes) -> None:
    assert timed(nested(90).replace(b"\nx\n", b"\n" + line * (3_000_000 // len(line)))) < 4


@pytest.mark.parametrize(
    "part", [b"X: y", b"X: y\n" * 100, b"--b:1x: y", b" folded", b"Content-Type: message/rfc822\n\nX: y"]
)
def test_parts_that_look_like_headers_are_read_in_linear_time(part: bytes) -> None:
    mark = b"\n--b:1\n"
    data = b'Content-Type: multipart/mixed; boundary="b:1"\n' + (mark + part) * min(9000, 3_000_000 // len(part))
    assert timed(data) < 4


LINES = st.sampled_from(
    [
        *(b"--a", b"--a--", b"--b", b"--b--", b"", b"x", b"A: b", b" ", b"From x", b"--a "),
        b"Content-Type: multipart/mixed; boundary=a",
        b"Content-Type: multipart/digest; boundary=b",
        b"Content-Type: multipart/signed; boundary=b",
        b"Content-Type: message/rfc822",
        b"Content-Transfer-Encoding: base64",
        b"Content-Type: application/pkcs7-mime",
        base64.b64encode(b"Content-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=a\n\n--a\n"),
    ]
)


@given(st.lists(LINES, max_size=30), st.sampled_from([b"\n", b"\r\n"]))
def test_every_part_stands_in_the_one_above_and_after_the_one_before(lines: list[bytes], end: bytes) -> None:
    part = read_part(Source.from_bytes(end.join(lines)))
    seen: dict[tuple[int, ...], Node] = {}
    for node in walk(part):
        assert node.part.start <= node.part.body <= node.part.end <= node.part.source.size
        assert len(node.path) == node.depth
        if node.path:
            above = seen[node.path[:-1]]
            same = above.part.source is node.part.source
            assert not same or above.part.body <= node.part.start <= node.part.end <= above.part.end
            assert node.path[-1] == 0 or seen[(*node.path[:-1], node.path[-1] - 1)].part.end <= node.part.start
        seen[node.path] = node
    errant_layers(part)


@given(st.binary(max_size=300))
def test_garbage_is_no_error(data: bytes) -> None:
    errant_layers(read_part(Source.from_bytes(b"Content-Type: multipart/mixed; boundary=b\n" + data)))
