"""What the input is, told by its content."""

from __future__ import annotations

import base64
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smime_agent.errors import SmimeAgentError
from smime_agent.mime.recognition import Form, cms_of_pem, recognise
from smime_agent.pem import armor
from smime_agent.source import Source
from smime_agent.verdict import Code, UntrustworthyError

OID = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"
DER = b"\x30\x82\x01\x00" + OID + bytes(range(240))
BER = b"\x30\x80" + OID + bytes(100)
LONG = b"\x30\x84\x00\x10\x00\x00" + OID + bytes(1_048_576 - 11)


def pem(der: bytes = DER, label: str = "CMS") -> bytes:
    return b"".join(armor((der,), label))


def form(data: bytes) -> Form:
    return recognise(Source.from_bytes(data))


@pytest.mark.parametrize(
    "data",
    [
        DER,
        BER,
        LONG,
        b"\x30\x20" + OID,
        b"\x30\x80\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17",
        b"\x30\x83broken",
        b"\x30\x80",
    ],
)
def test_der_and_ber(data: bytes) -> None:
    assert form(data) is Form.DER


@pytest.mark.parametrize("label", ["CMS", "PKCS7", "PKCS #7 SIGNED DATA", "SIGNED MESSAGE", "ENCRYPTED MESSAGE"])
@pytest.mark.parametrize("before", [b"", b"\n", b"some text\n", b"Note: not a field of a mail\n\n"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_pem_with_text_around_it(label: str, before: bytes, end: bytes) -> None:
    data = (before + pem(DER, label) + b"trailing text\n").replace(b"\n", end)
    assert form(data) is Form.PEM
    assert cms_of_pem(Source.from_bytes(data)).read() == DER


@pytest.mark.parametrize("der", [DER, BER, LONG])
def test_base64_without_a_label(der: bytes) -> None:
    data = base64.encodebytes(der)
    assert form(data) is Form.BASE64
    with cms_of_pem(Source.from_bytes(data)) as cms:
        assert cms.read() == der


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"0",
        b"From: a@b\n\n" + pem(),
        b"From a@b Mon\nSubject: x\n\n" + pem(),
        b"Received: x\n" + pem(),
        b"MIIB",
        b"MIME-Version: 1.0\n\n",
        b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        b"0: x\n",
        b"text -----BEGIN CMS-----\n",
    ],
)
def test_everything_else_is_for_the_reader_of_mails(data: bytes) -> None:
    assert form(data) is Form.MAIL


@pytest.mark.parametrize(
    "data",
    [
        pem()[:100],
        pem().replace(b"END CMS", b"END PKCS7"),
        pem().replace(b"-----END", b"----END"),
        pem().replace(b"AA", b"A*"),
        pem().replace(b"\n-----END", b"=AAAA\n-----END"),
        b"-----BEGIN CMS-----\nA-B\n-----END CMS-----\n",
        b"-----BEGIN CMS-----",
        b"MI?",
    ],
)
def test_damaged_text_is_refused(data: bytes) -> None:
    with pytest.raises(UntrustworthyError) as caught:
        cms_of_pem(Source.from_bytes(data))
    assert caught.value.reason.code is Code.MALFORMED_CMS


@pytest.mark.parametrize("size", range(262_100, 262_160, 7))
def test_the_end_line_is_found_wherever_a_block_ends(size: int) -> None:
    der = b"\x30\x83" + bytes(size * 3 // 4)
    with cms_of_pem(Source.from_bytes(pem(der))) as cms:
        assert cms.read() == der


@given(st.binary(max_size=100) | st.binary(max_size=60).map(lambda data: b"-----BEGIN CMS-----\n" + data))
def test_garbage_is_no_error_but_ours(data: bytes) -> None:
    form(data)
    with suppress(SmimeAgentError):
        cms_of_pem(Source.from_bytes(data))


@pytest.mark.parametrize("piece", [b"-", b"-----BEGIN CMS-----\n", b"\n", b" ", b"MI", b"A:\n", b"0\x80", b"M I"])
def test_a_megabyte_of_anything_takes_a_second_at_most(piece: bytes) -> None:
    source = Source.from_bytes(piece * (1_000_000 // len(piece)))
    start = time.process_time()
    recognise(source)
    with suppress(UntrustworthyError):
        cms_of_pem(source)
    assert time.process_time() - start < 1
