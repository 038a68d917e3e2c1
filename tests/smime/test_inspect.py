"""The tree of a mail and of CMS: as OpenSSL sees it, and small and without errors whatever the input is."""

from __future__ import annotations

import base64
import re
import subprocess
import time
import tracemalloc
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING

import pytest
from asn1crypto import cms as asn1
from hypothesis import given, settings
from hypothesis import strategies as st

from smime_agent import der
from smime_agent.cms import oids
from smime_agent.cms.compressed_data import ID_ZLIB
from smime_agent.cms.oids import ID_DATA, ID_SIGNED_DATA, TIME_STAMP_TOKEN
from smime_agent.smime.inspect import Node, NodeType, inspect
from smime_agent.smime.inspect.tree import MAX_DEPTH, MAX_NODES, MAX_SHOWN
from smime_agent.source import Source
from tests.conftest import VECTORS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ID_TST_INFO = "1.2.840.113549.1.9.16.1.4"
# What OpenSSL prints of the same CMS object
NUMBERS = re.compile(rb"serialNumber: (0x)?([0-9A-F]+)")
RECIPIENTS = re.compile(rb"d\.(ktri|kari|kekri|pwri|ori):")
KINDS = {
    "KeyTransRecipientInfo": b"ktri",
    "KeyAgreeRecipientInfo": b"kari",
    "KEKRecipientInfo": b"kekri",
    "PasswordRecipientInfo": b"pwri",
    "OtherRecipientInfo": b"ori",
}


def tree_of(octets: bytes) -> Node:
    return inspect(Source.from_bytes(octets))


def nodes(root: Node) -> Iterator[Node]:
    yield root
    for child in root.children:
        yield from nodes(child)


def of(root: Node, kind: NodeType) -> list[Node]:
    return [node for node in nodes(root) if node.type is kind]


def texts(node: Node, name: str) -> list[str]:
    return [value.text for value in node.values if value.name == name]


def depth_of(root: Node) -> int:
    deepest, level = 0, [root]
    while level:
        deepest, level = deepest + 1, [child for node in level for child in node.children]
    return deepest


def signed_data(content: bytes = b"", certificates: bytes = b"", signers: bytes = b"") -> bytes:
    """A ContentInfo with a SignedData of this content."""
    inside = der.sequence(der.object_identifier(ID_DATA), der.context(0, der.octet_string(content)))
    fields = (der.integer(1), der.set_of([]), inside, der.tlv(0xA0, certificates), der.tlv(der.SET, signers))
    return der.sequence(der.object_identifier(ID_SIGNED_DATA), der.context(0, der.sequence(*fields)))


def compressed_data(content: bytes) -> bytes:
    inside = der.sequence(der.object_identifier(ID_DATA), der.context(0, der.octet_string(zlib.compress(content))))
    fields = (der.integer(0), der.algorithm(ID_ZLIB), inside)
    return der.sequence(der.object_identifier(oids.ID_COMPRESSED_DATA), der.context(0, der.sequence(*fields)))


def cms_part(octets: bytes) -> bytes:
    head = b"Content-Type: application/pkcs7-mime\nContent-Transfer-Encoding: base64\n\n"
    return head + base64.encodebytes(octets)


def multipart(*parts: bytes) -> bytes:
    head = b"From: alice@example.org\nContent-Type: multipart/mixed; boundary=b\n\n"
    return head + b"".join(b"--b\n%b\n" % part for part in parts) + b"--b--\n"


# The vectors, and what OpenSSL makes of them


def vector_files() -> list[Path]:
    patterns = ("thunderbird/*.eml", "rfc4134/*.bin", "rfc4134/*.eml", "cms-on-rfc9216/*.p7m", "rfc9788/*.eml")
    return sorted(path for pattern in patterns for path in VECTORS.glob(pattern) if path.name != "ExContent.bin")


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


@pytest.mark.vectors
@pytest.mark.parametrize("path", vector_files(), ids=name)
def test_all_of_a_vector_can_be_read(path: Path) -> None:
    assert [node.unreadable for node in nodes(tree_of(path.read_bytes())) if node.unreadable] == []


@lru_cache(maxsize=1)
def printed(path: Path) -> bytes:
    """What OpenSSL prints of it."""
    arguments = ["openssl", "cms", "-cmsout", "-print", "-noout", "-inform", "DER", "-in", str(path)]
    return subprocess.run(arguments, capture_output=True, check=True).stdout


BARE = [path for path in vector_files() if path.suffix in {".bin", ".p7m"}]


@pytest.mark.vectors
@pytest.mark.interop
@pytest.mark.parametrize("path", BARE, ids=name)
def test_the_serial_numbers_are_those_that_openssl_prints(path: Path) -> None:
    expected = [int(number, 16 if hexadecimal else 10) for hexadecimal, number in NUMBERS.findall(printed(path))]
    shown = [node for node in nodes(tree_of(path.read_bytes())) if node.type is not NodeType.ATTRIBUTE]
    found = [int(text, 16) for node in shown for text in texts(node, "serial")]
    revoked = sum(int(text) for node in shown for text in texts(node, "revoked"))  # OpenSSL prints each
    countersigners = sum(node.name == "countersignature" for node in nodes(tree_of(path.read_bytes())))  # and these not
    assert len(found) + revoked - countersigners == len(expected)
    assert set(found) <= set(expected)


@pytest.mark.vectors
@pytest.mark.interop
@pytest.mark.parametrize("path", BARE, ids=name)
def test_the_recipients_are_those_that_openssl_prints(path: Path) -> None:
    found = [KINDS[node.name] for node in of(tree_of(path.read_bytes()), NodeType.RECIPIENT)]
    assert found == RECIPIENTS.findall(printed(path))


@pytest.mark.vectors
@pytest.mark.interop
@pytest.mark.parametrize("path", BARE, ids=name)
def test_the_algorithms_are_those_that_openssl_prints(path: Path) -> None:
    root = tree_of(path.read_bytes())
    outside = [node for node in nodes(root) if node.type is not NodeType.ATTRIBUTE]
    found = {value.oid for node in outside for value in node.values if value.name.endswith("algorithm")}
    assert {oid for oid in found if oid is not None} <= set(
        re.findall(r"\(([\d.]+)\)", printed(path).decode("latin-1"))
    )


# What is in a tree


@pytest.fixture
def countersigned(vectors: Path) -> Node:
    return tree_of((vectors / "rfc4134" / "4.4.bin").read_bytes())


def test_a_signer_has_the_name_of_its_certificate(countersigned: Node) -> None:
    assert of(countersigned, NodeType.SIGNER)[0].name == "AliceDSS"


def test_a_countersignature_is_a_signer_below_its_attribute(countersigned: Node) -> None:
    (attribute,) = (node for node in nodes(countersigned) if node.name == "countersignature")
    assert [child.type for child in attribute.children] == [NodeType.SIGNER]


def test_the_entries_of_a_crl_are_counted(countersigned: Node) -> None:
    (crl,) = of(countersigned, NodeType.CRL)
    assert texts(crl, "revoked") == ["5"]


def test_a_detached_content_is_called_so(vectors: Path) -> None:
    (content,) = of(tree_of((vectors / "rfc4134" / "4.3.bin").read_bytes()), NodeType.CONTENT)
    assert texts(content, "value") == ["detached"]


def test_the_parts_of_a_mail_are_numbered() -> None:
    inner = b"Content-Type: message/rfc822\n\n" + multipart(b"\none", b"\ntwo")
    root = tree_of(multipart(b"Content-Type: text/html\n\n<p>", inner.replace(b"=b", b"=c").replace(b"--b", b"--c")))
    assert [node.path for node in nodes(root)] == ["1", "1.1", "1.2", "1.2.1", "1.2.1.1", "1.2.1.2"]


def test_a_part_says_where_it_is() -> None:
    octets = multipart(b"Content-Type: text/html\n\n<p>")
    (part,) = tree_of(octets).children
    assert part.offset is not None
    assert part.size is not None
    assert octets[part.offset : part.offset + part.size] == b"Content-Type: text/html\n\n<p>"


def test_header_fields_are_decoded_for_people() -> None:
    root = tree_of(b"From: a@example.org\nSubject: =?utf-8?q?caf=C3=A9?=\nDate: Mon, 1 Jun 2026 10:00:00 +0200\n\nHi\n")
    shown = {value.name: value.text for value in root.values}
    assert shown == {"from": "a@example.org", "subject": "café", "date": "2026-06-01T10:00:00+02:00"}


def test_every_from_field_is_shown() -> None:
    root = tree_of(b"From: a@example.org\nFrom: b@example.org\nSubject: two\n\nHi\n")
    assert texts(root, "from") == ["a@example.org", "b@example.org"]


def test_what_is_signed_is_shown_below_the_signature() -> None:
    root = tree_of(signed_data(multipart(cms_part(signed_data(b"hello")))))
    assert [node.name for node in nodes(root) if node.type is NodeType.CMS] == ["SignedData", "SignedData"]


def test_a_compressed_content_is_looked_into() -> None:
    (part,) = of(tree_of(compressed_data(b"Content-Type: text/html\r\n\r\n<p>")), NodeType.PART)
    assert part.name == "text/html"


def test_a_time_stamp_is_read_below_its_attribute() -> None:
    info = (der.integer(1), der.object_identifier("1.2.3"), der.sequence(), der.integer(255))
    stamp = der.sequence(*info, der.tlv(der.GENERALIZED_TIME, b"20260517123001Z"))
    inside = der.sequence(der.object_identifier(ID_TST_INFO), der.context(0, der.octet_string(stamp)))
    fields = (der.integer(3), der.set_of([]), inside, der.set_of([]))
    token = der.sequence(der.object_identifier(ID_SIGNED_DATA), der.context(0, der.sequence(*fields)))
    attribute = der.sequence(der.object_identifier(TIME_STAMP_TOKEN), der.set_of([token]))
    algorithm = der.algorithm("2.16.840.1.101.3.4.2.1")
    name = der.sequence(der.sequence(), der.integer(1))
    signer = (der.integer(1), name, algorithm, algorithm, der.octet_string(b"s"), der.context(1, attribute))
    content = of(tree_of(signed_data(signers=der.sequence(*signer))), NodeType.CONTENT)[-1]
    shown = {value.name: value.text for value in content.values}
    assert shown == {"policy": "1.2.3", "serial": "ff", "time": "2026-05-17T12:30:01Z"}


def test_a_mail_in_a_mailbox_file_is_read_although_verify_refuses_it() -> None:
    octets = b"From alice Mon Jun  1 10:00:00 2026\nFrom: a@example.org\nContent-Type: a/b\nContent-Type: c/d\n\nHi\n"
    assert tree_of(octets).type is NodeType.MAIL


def test_a_text_that_is_no_mime_entity_is_shown_as_it_begins() -> None:
    (content,) = of(tree_of(signed_data(b"hello\r\nworld")), NodeType.CONTENT)
    assert texts(content, "begins") == ["hello world"]


def test_pem_is_read() -> None:
    body = base64.encodebytes(signed_data(b"hello"))
    root = tree_of(b"-----BEGIN CMS-----\n" + body + b"-----END CMS-----\n")
    assert (root.type, root.name) == (NodeType.CMS, "SignedData")


def test_data_alone_is_read() -> None:
    root = tree_of(der.sequence(der.object_identifier(ID_DATA), der.context(0, der.octet_string(b"hello"))))
    assert [texts(node, "begins") for node in of(root, NodeType.CONTENT)] == [["hello"]]


# What is broken is said in its place, and the rest goes on


def test_a_broken_certificate_hides_no_other(vectors: Path) -> None:
    certificate = (vectors / "rfc4134" / "AliceRSASignByCarl.cer").read_bytes()
    broken, whole = of(tree_of(signed_data(certificates=der.sequence(der.NULL) + certificate)), NodeType.CERTIFICATE)
    assert (broken.unreadable, whole.unreadable) == ("not an X.509 certificate", None)


def test_a_broken_signer_hides_no_other(vectors: Path) -> None:
    octets = (vectors / "rfc4134" / "4.2.bin").read_bytes()
    signer = asn1.ContentInfo.load(octets)["content"]["signer_infos"][0].dump()
    broken, whole = of(tree_of(signed_data(signers=der.sequence(der.NULL) + signer)), NodeType.SIGNER)
    assert broken.unreadable is not None
    assert whole.unreadable is None


def test_what_is_cut_off_is_shown_as_far_as_it_goes(vectors: Path) -> None:
    mail = (vectors / "thunderbird" / "alice.dsig.SHA256.multipart.eml").read_bytes()
    root = tree_of(mail[: mail.index(b"Content-Transfer-Encoding: base64") + 1000])
    (object_,) = of(root, NodeType.CMS)
    assert (object_.name, root.unreadable) == ("SignedData", None)
    assert object_.unreadable is not None


def test_a_mail_that_verify_refuses_is_shown_with_a_note() -> None:
    root = tree_of(b"From: a@example.org\nContent-Type: text/plain\nContent-Type: text/html\n\nHi\n")
    assert (root.type, len(root.notes)) == (NodeType.MAIL, 1)


@pytest.mark.parametrize("octets", [b"", b"\0\1\2", b"just text\n", b"0\x82\x01\x01", b"-----BEGIN CMS-----\nMII\n"])
def test_what_is_neither_a_mail_nor_cms_is_unknown(octets: bytes) -> None:
    root = tree_of(octets)
    assert root.type is NodeType.UNKNOWN
    assert root.unreadable


def test_octets_after_the_object_are_noted() -> None:
    assert tree_of(signed_data(b"hello") + b"12345").notes == ("5 octets follow after it",)


# Bounds


def assert_bounded(octets: bytes) -> Node:
    started = time.perf_counter()
    root = tree_of(octets)
    assert time.perf_counter() - started < 10  # much less, but machines are busy
    assert sum(1 for _ in nodes(root)) <= MAX_NODES + MAX_SHOWN
    assert depth_of(root) <= MAX_DEPTH + 10
    return root


def test_ten_thousand_certificates_are_counted(vectors: Path) -> None:
    certificate = (vectors / "rfc4134" / "AliceRSASignByCarl.cer").read_bytes()
    root = assert_bounded(signed_data(certificates=certificate * 10_000))
    assert len(of(root, NodeType.CERTIFICATE)) + root.more == 10_000


def test_signatures_inside_signatures_come_to_an_end() -> None:
    octets = b"hello"
    for _ in range(50):
        octets = signed_data(octets)
    assert any(node.unreadable for node in nodes(assert_bounded(octets)))


def test_multiparts_inside_signatures_come_to_an_end() -> None:
    octets = b"Content-Type: text/plain\n\nHi\n"
    for number in range(9):
        octets = cms_part(signed_data(octets))
        for level in range(30):
            mark = b"b%d-%d" % (number, level)
            octets = b"Content-Type: multipart/mixed; boundary=%b\n\n--%b\n%b\n--%b--\n" % (mark, mark, octets, mark)
    assert_bounded(b"From: a@example.org\n" + octets)


def test_twelve_thousand_parts_are_left_out_at_the_end() -> None:
    root = assert_bounded(multipart(*[b"Content-Type: text/plain\n\nHi"] * 12_000))
    assert any(node.notes or node.unreadable for node in nodes(root))


def test_what_expands_without_end_is_expanded_once() -> None:
    assert_bounded(multipart(*[cms_part(compressed_data(bytes(60_000_000)))] * 20))


@pytest.mark.slow
def test_a_large_mail_needs_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.eml"
    with path.open("wb") as file:
        file.write(b"From: a@example.org\n" + cms_part(b"")[:-1])
        content = b"From: a@example.org\r\n\r\n" + b"x" * 100_000_000
        encoded = signed_data(content)
        for start in range(0, len(encoded), 57_000):
            file.write(b"\n" * (start == 0) + base64.encodebytes(encoded[start : start + 57_000]))
    del content, encoded
    with Source.from_path(path) as source:
        tracemalloc.start()
        root = inspect(source)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert of(root, NodeType.PART)[-1].size == 100_000_023
    assert peak < 16 * 1024 * 1024


@given(st.binary(max_size=500))
def test_any_octets_give_a_tree(octets: bytes) -> None:
    assert_bounded(octets)


@given(st.binary(max_size=200))
def test_any_octets_in_a_signed_data_give_a_tree(octets: bytes) -> None:
    assert_bounded(signed_data(octets, octets, octets))


SEEDS = [path for path in vector_files() if path.stat().st_size < 20_000]


@pytest.mark.vectors
@settings(max_examples=300)
@given(st.data())
def test_a_vector_that_was_damaged_gives_a_tree(data: st.DataObject) -> None:
    octets = bytearray(data.draw(st.sampled_from(SEEDS)).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(octets)))
        count = data.draw(st.integers(0, 8))
        octets[at : at + count] = data.draw(st.binary(max_size=8))
    del octets[data.draw(st.integers(0, len(octets))) if data.draw(st.booleans()) else len(octets) :]
    assert_bounded(bytes(octets))
