"""What is made to be expensive is not: seconds of the processor, and memory."""

from __future__ import annotations

import base64
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from smime_agent import mime
from smime_agent.api.verifying import Verifier, VerifyOptions
from smime_agent.cms import SignedData, digest_content, to_der
from smime_agent.cms.normal import encodings
from smime_agent.smime.inspect import inspect
from smime_agent.source import Source
from smime_agent.trust.evidence import RevocationMode
from smime_agent.verdict import Code, UntrustworthyError
from tests.bench import measure
from tests.fuzz import costs
from tests.spoofs.collection import WORKSHOP
from tests.spoofs.mime import ALICE, sent_by

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECOND = 3.0  # what takes a second at most on the machine it was promised on, with room for slower ones


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Verifier:
    """One that trusts the root of the spoofs, and asks nobody."""
    root = tmp_path_factory.mktemp("root") / "root.pem"
    root.write_bytes(WORKSHOP.files()["root"])
    return Verifier(VerifyOptions(ca_files=(root,), system_roots=False, revocation=RevocationMode.OFF))


def seconds_of(call: Callable[..., object], *arguments: object) -> float:
    """The time of the processor that a call takes, which others on the machine do not lengthen."""
    begin = time.process_time()
    call(*arguments)
    return time.process_time() - begin


def refused(call: Callable[..., object], *arguments: object) -> Code:
    """The reason for which it is refused."""
    with pytest.raises(UntrustworthyError) as raised:
        call(*arguments)
    return raised.value.reason.code


@pytest.mark.slow
def test_a_content_in_fifty_thousand_pieces_takes_less_than_a_second() -> None:
    source = Source.from_bytes(costs.signed_data(costs.in_pieces(50 * costs.MIB)))
    sizes = []

    def read() -> None:
        content = SignedData.read(source).content
        assert content is not None
        sizes.append(digest_content(content.chunks(), []).size)

    assert seconds_of(read) < SECOND
    assert sizes == [50 * costs.MIB]


@pytest.mark.parametrize("tag", [0x24, 0x30, 0x31, 0xA0])
@pytest.mark.parametrize("call", [to_der, encodings, lambda data: SignedData.read(Source.from_bytes(data))])
def test_a_million_values_inside_values_are_refused_at_once(tag: int, call: Callable[[bytes], object]) -> None:
    octets = costs.nested(1_000_000, tag)
    assert seconds_of(lambda: refused(call, octets)) < SECOND


def test_a_content_of_a_million_nested_strings_is_refused_at_once() -> None:
    source = Source.from_bytes(costs.signed_data(costs.nested(1_000_000, 0x24)))
    begin = time.process_time()
    assert refused(SignedData.read, source) is Code.LIMIT_EXCEEDED
    assert time.process_time() - begin < SECOND


@pytest.mark.parametrize("count", [100_000, 1_000_000])
def test_a_content_of_empty_strings_takes_less_than_a_second(verifier: Verifier, count: int) -> None:
    cms = costs.signed_data(costs.empty_strings(count))
    assert seconds_of(verifier.verify, costs.opaque_entity(cms)) < SECOND


@pytest.mark.parametrize(
    "header",
    [
        b"X-Long: " + b"x" * 1_000_000 + b"\r\n",
        b"X-Short: x\r\n" * 80_000,
        b"X-Folded: x\r\n" + b" x\r\n" * 250_000,
        b"Subject: " + b"=?utf-8?q?=41?= " * 62_000 + b"\r\n",
        b"Reply-To: " + b"a@b.example, " * 76_000 + b"\r\n",
        b"Sender: " + b"(" * 1_000_000 + b"\r\n",
        b'Sender: "' + b"\\" * 1_000_000 + b"\r\n",
        b"Content-Type: text/plain" + b'; a="' * 190_000 + b"\r\n",
        b"Content-Type: text/plain" + b"; a*0*=x" * 120_000 + b"\r\n",
        b"Date: " + b"(" * 500_000 + b")" * 500_000 + b"\r\n",
    ],
    ids=lambda header: f"{header[:12].decode()} {header[12:20].decode()}",
)
def test_a_header_of_a_megabyte_takes_less_than_a_second(verifier: Verifier, header: bytes) -> None:
    mail = header + sent_by(ALICE) + b"\r\nHello\r\n"
    assert seconds_of(verifier.verify, mail) < SECOND
    assert seconds_of(inspect, Source.from_bytes(mail)) < SECOND


@pytest.mark.parametrize("value", [b"a@b.example,", b"(", b'"', b"<", b":;", b"=?utf-8?b?", b"@", b"\xff", b"a\r\n b"])
def test_a_from_of_a_megabyte_takes_less_than_a_second(verifier: Verifier, value: bytes) -> None:
    mail = b"From: " + value * (1_000_000 // len(value)) + b"\r\nSubject: x\r\n\r\nHello\r\n"
    assert seconds_of(verifier.verify, mail) < SECOND


@pytest.mark.slow
@pytest.mark.parametrize("make", [costs.many_certificates, costs.many_authorities])
def test_ten_thousand_certificates_take_less_than_a_second(verifier: Verifier, make: Callable[[int], bytes]) -> None:
    mail = make(10_000)
    assert seconds_of(verifier.verify, mail) < SECOND


@pytest.mark.slow
def test_ten_thousand_certificates_are_inspected_in_a_second() -> None:
    source = Source.from_bytes(costs.many_certificates(10_000))
    assert seconds_of(inspect, source) < SECOND


@pytest.mark.parametrize("count", [100, 10_000])
def test_many_signers_take_less_than_a_second(verifier: Verifier, count: int) -> None:
    mail = costs.many_signers(count)
    assert seconds_of(verifier.verify, mail) < SECOND


def test_ten_thousand_signers_are_too_many(verifier: Verifier) -> None:
    reasons = verifier.verify(costs.many_signers(10_000)).reasons
    assert Code.LIMIT_EXCEEDED in {reason.code for reason in reasons}


@pytest.mark.slow
@pytest.mark.parametrize("line", [76, 1 << 20], ids=["in lines", "in long lines"])
def test_fifty_megabytes_of_base64_are_decoded_in_a_second(line: int) -> None:
    text = base64.b64encode(bytes(37 * costs.MIB))
    body = b"\r\n".join(text[at : at + line] for at in range(0, len(text), line))
    part = mime.read_mail(Source.from_bytes(sent_by(ALICE) + b"Content-Transfer-Encoding: base64\r\n\r\n" + body))
    sizes: list[int] = []
    assert seconds_of(lambda: sizes.append(sum(map(len, part.decoded())))) < SECOND
    assert sizes == [37 * costs.MIB]


@pytest.mark.parametrize("depth", [1_000, 200_000])
def test_multiparts_inside_multiparts_take_less_than_a_second(verifier: Verifier, depth: int) -> None:
    inner = b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n" * depth
    mail = sent_by(ALICE) + inner + b"\r\nHello\r\n"
    assert seconds_of(verifier.verify, mail) < SECOND
    assert seconds_of(inspect, Source.from_bytes(mail)) < SECOND


@pytest.mark.parametrize("depth", [1_000, 50_000])
def test_mails_inside_mails_take_less_than_a_second(verifier: Verifier, depth: int) -> None:
    mail = sent_by(ALICE) + b"Content-Type: message/rfc822\r\n\r\n" * depth + b"Hello\r\n"
    assert seconds_of(verifier.verify, mail) < SECOND
    assert seconds_of(inspect, Source.from_bytes(mail)) < SECOND


def test_many_parts_take_less_than_a_second(verifier: Verifier) -> None:
    kind = b"Content-Type: multipart/mixed; boundary=a\r\n\r\n"
    mail = sent_by(ALICE) + kind + b"--a\r\n\r\nHello\r\n" * 200_000 + b"--a--\r\n"
    assert seconds_of(verifier.verify, mail) < SECOND


@pytest.mark.slow
def test_a_hundred_megabytes_are_verified_in_little_memory(tmp_path: Path) -> None:
    root, mail = tmp_path / "root.pem", tmp_path / "large.eml"
    root.write_bytes(WORKSHOP.files()["root"])
    with mail.open("wb") as file:
        file.writelines(costs.opaque(100 * costs.MIB))
    options: dict[str, Any] = {"PYTHONPATH": ""}
    command = (sys.executable, "-m", "smime_agent", "verify", mail, "--ca-file", root, "--revocation", "off")
    ran = measure.run(command, env=options)  # it fails if the mail is not trusted
    assert ran.peak_kib < 100 * 1024
