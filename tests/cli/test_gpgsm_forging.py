"""Nothing that comes from outside can pass for a status, a signature or a signer."""

from __future__ import annotations

import base64
import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from hypothesis import example, given
from hypothesis import strategies as st

from smime_agent.cli.gpgsm.identity import key_name, user_id
from smime_agent.cli.gpgsm.status import StatusLines, escaped
from smime_agent.x509 import Certificate
from tests.support.ca import Authority, Wanted
from tests.support.git import Repository, stranger

if TYPE_CHECKING:
    from pathlib import Path

FORGED = "[GNUPG:] GOODSIG 0 Linus\n[GNUPG:] TRUST_FULLY 0"  # a common name has 64 octets at most
BLOCK = re.compile(rb"-----BEGIN SIGNED MESSAGE-----\n.*?-----END SIGNED MESSAGE-----\n", re.DOTALL)


@pytest.fixture
def repository(tmp_path: Path, issuing_ca: Authority) -> Repository:
    """A repository whose owner trusts one CA."""
    return Repository(tmp_path, anchors=(issuing_ca,))


def person(repository: Repository, authority: Authority, wanted: Wanted = Wanted()) -> Path:  # noqa: B008 - frozen
    """Somebody who signs."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = authority.issue(key.public_key(), wanted)
    return stranger(repository.folder / f"person-{certificate.serial_number}", certificate, key)


def pem(der: bytes) -> bytes:
    return b"-----BEGIN SIGNED MESSAGE-----\n" + base64.encodebytes(der) + b"-----END SIGNED MESSAGE-----\n"


def signed_tag(repository: Repository, authority: Authority) -> bytes:
    """A signed tag as it is stored."""
    signer = person(repository, authority)
    repository.commit(program=signer)
    repository.git("-c", f"gpg.x509.program={signer}", "tag", "-s", "-m", "A release", "v1")
    return repository.raw("v1", "tag")


def letter_of_tag(repository: Repository, octets: bytes) -> list[str]:
    """The keywords of what is said about a tag."""
    return [line.split()[0] for line in repository.status(repository.store(octets, "tag"), "verify-tag")]


def detached(repository: Repository, authority: Authority, content: bytes, *options: str) -> bytes:
    """A signature by OpenSSL, in DER, with the options of its command ``cms``."""
    folder = person(repository, authority).parent
    command = ("openssl", "cms", "-sign", "-binary", "-outform", "DER", *options)
    keys = ("-signer", folder / "certificate.pem", "-inkey", folder / "key.pem")
    return subprocess.run([*command, *keys], input=content, capture_output=True, check=True).stdout


def verified(repository: Repository, signature: bytes, content: bytes) -> tuple[int, list[str], str]:
    """The exit code, the keywords, and what a person reads."""
    file = repository.folder / "signature"
    file.write_bytes(signature)
    ran = repository.call("--status-fd=1", "--verify", str(file), "-", stdin=content)
    return ran.code, [line.split()[1] for line in ran.out.splitlines()], ran.err


GOOD = ["NEWSIG", "GOODSIG", "VALIDSIG", "TRUST_FULLY"]
NONE = ["NEWSIG", "ERRSIG"]


# --- names -----------------------------------------------------------------------------------------------------------


def test_a_name_with_status_lines_in_it_stays_on_its_line(repository: Repository) -> None:
    mallory = person(repository, Authority("Unknown CA"), Wanted(name=f"Mallory\n{FORGED}"))
    repository.commit(program=mallory)
    assert repository.letter() == "U"
    [good] = [line for line in repository.status() if "GOODSIG" in line]
    assert good.endswith(" Mallory%0A[GNUPG:] GOODSIG 0 Linus%0A[GNUPG:] TRUST_FULLY 0 <alice@example.org>")


def test_a_name_with_status_lines_in_it_forges_none_for_people(repository: Repository) -> None:
    mallory = person(repository, Authority(f"Unknown\n{FORGED}"), Wanted(name=f"Mallory\n{FORGED}"))
    repository.commit(program=mallory)
    read = repository.git("verify-commit", "HEAD", ok=False).err
    assert all(line.startswith("smime-agent: ") for line in read.splitlines())


def test_a_message_with_status_lines_in_it_changes_nothing(repository: Repository, issuing_ca: Authority) -> None:
    repository.commit(f"A change\n\n{FORGED}", program=person(repository, issuing_ca))
    assert repository.letter() == "G"
    changed = repository.store(repository.raw().replace(b"A change", b"A chance"))
    assert repository.letter(changed) == "B"


def test_a_bad_signature_does_not_become_good_by_the_name_of_its_signer(repository: Repository) -> None:
    repository.commit(program=person(repository, Authority("Unknown CA"), Wanted(name=f"Mallory\n{FORGED}")))
    changed = repository.store(repository.raw().replace(b"A change", b"A chance"))
    assert repository.letter(changed) == "B"


def test_only_a_mailbox_stands_in_angle_brackets() -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    issued = Authority("A CA").issue(key, Wanted(addresses=("eve@example.org",), name="Bob <bob@example.org>"))
    certificate = Certificate(issued.public_bytes(Encoding.DER))
    assert user_id(certificate) == "Bob %3Cbob@example.org%3E <eve@example.org>"


def test_the_name_of_a_key_forges_no_status_when_signing(repository: Repository) -> None:
    name = "nobody\n[GNUPG:] SIG_CREATED D 1 8 00 0 0"
    ran = repository.call("--status-fd=2", "-bsau", name, stdin=b"content")
    assert ran.code == 2
    assert not re.search(r"^\[GNUPG:\] SIG_CREATED", ran.err, re.MULTILINE)


@given(st.text())
@example("a\r\nb\x00\x7f\x85\u2028\u202e%\ud800")
def test_what_is_escaped_is_one_line_and_can_be_read_back(text: str) -> None:
    written = escaped(text)
    assert written.isprintable()
    octets = re.sub(rb"%([0-9A-F]{2})", lambda found: bytes.fromhex(found[1].decode()), written.encode())
    assert octets == text.encode("utf-8", "surrogatepass")


@given(st.lists(st.text(), max_size=4))
@example(["\n[GNUPG:] GOODSIG 00 Linus"])
def test_a_status_is_one_line_whatever_is_in_it(values: list[str]) -> None:
    reading, writing = os.pipe()
    StatusLines(writing).write("GOODSIG", *values)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        octets = pipe.read()
    assert octets.startswith(b"[GNUPG:] GOODSIG")
    assert octets.endswith(b"\n")
    assert octets.count(b"\n") == 1
    assert len(octets.decode("utf-8", "replace").splitlines()) == 1


@given(st.text())
def test_what_is_no_ident_is_left_as_it_is(text: str) -> None:
    name = key_name(text)
    assert name == text or f"<{name}>" in text


# --- what stands beside a signature ----------------------------------------------------------------------------------


def test_a_signature_and_nothing_else_is_good(repository: Repository, issuing_ca: Authority) -> None:
    signature = detached(repository, issuing_ca, b"content\n")
    assert verified(repository, pem(signature), b"content\n")[:2] == (0, GOOD)
    assert verified(repository, signature, b"content\n")[:2] == (0, GOOD)


def test_line_ends_of_another_system_around_it_are_no_harm(repository: Repository, issuing_ca: Authority) -> None:
    signature = pem(detached(repository, issuing_ca, b"content\n")).replace(b"\n", b"\r\n")
    assert verified(repository, signature, b"content\n")[0] == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + b"Also approved by Linus\n",
        lambda text: b"Also approved by Linus\n" + text,
        lambda text: text + text,
        lambda text: text + b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        lambda text: text.replace(b"-----\nM", b"-----\nVersion: 1\n\nM"),
        lambda text: text.replace(b"-----\nM", b"-----\n!M"),
        lambda text: text.replace(b"END SIGNED", b"END SEALED"),
        lambda text: text[: len(text) // 2],
        lambda _: b"",
        lambda _: b"0",
        lambda _: b"\x30\x80" * 10_000,
        lambda _: b"-----BEGIN SIGNED MESSAGE-----\n-----END SIGNED MESSAGE-----\n",
    ],
    ids=[
        "after",
        "before",
        "twice",
        "certificate",
        "field",
        "garbage",
        "label",
        "cut",
        "none",
        "short",
        "deep",
        "empty",
    ],
)
def test_what_is_not_one_signature_alone_is_none(repository: Repository, issuing_ca: Authority, change: object) -> None:
    assert callable(change)
    signature = change(pem(detached(repository, issuing_ca, b"content\n")))
    code, keywords, read = verified(repository, signature, b"content\n")
    assert (code, keywords) == (2, NONE)
    assert re.fullmatch(r"smime-agent: the signature cannot be checked: [^\n]+\n", read)


def test_octets_after_the_signature_in_its_block(repository: Repository, issuing_ca: Authority) -> None:
    signature = pem(detached(repository, issuing_ca, b"content\n") + b"more")
    assert verified(repository, signature, b"content\n")[1] == NONE


def test_text_after_the_signature_of_a_tag_is_not_taken_for_signed(
    repository: Repository, issuing_ca: Authority
) -> None:
    tag = signed_tag(repository, issuing_ca)
    assert letter_of_tag(repository, tag) == GOOD
    assert letter_of_tag(repository, tag + b"Also approved by Linus\n") == NONE


def test_text_before_the_signature_of_a_tag_breaks_it(repository: Repository, issuing_ca: Authority) -> None:
    tag = signed_tag(repository, issuing_ca)
    start = tag.index(b"-----BEGIN")
    changed = tag[:start] + b"Also approved by Linus\n" + tag[start:]
    assert letter_of_tag(repository, changed) == ["NEWSIG", "BADSIG"]


def test_a_second_signature_of_a_tag_is_over_the_first(repository: Repository, issuing_ca: Authority) -> None:
    tag = signed_tag(repository, issuing_ca)
    [block] = BLOCK.findall(tag)
    assert letter_of_tag(repository, tag + block) == ["NEWSIG", "BADSIG"]


# --- what the signature is over --------------------------------------------------------------------------------------


def test_a_signature_that_brings_its_own_content_is_over_nothing_else(
    repository: Repository, issuing_ca: Authority
) -> None:
    signature = detached(repository, issuing_ca, b"content\n", "-nodetach")
    assert verified(repository, pem(signature), b"content\n")[1] == NONE


def test_a_content_without_its_last_line_end_is_another(repository: Repository, issuing_ca: Authority) -> None:
    signature = pem(detached(repository, issuing_ca, b"content\n"))
    assert verified(repository, signature, b"content")[1] == ["NEWSIG", "BADSIG"]


def test_another_kind_of_content_is_none(repository: Repository, issuing_ca: Authority) -> None:
    """What a timestamping service signed, say, is not what it says of commits."""
    signature = detached(repository, issuing_ca, b"content\n", "-econtent_type", "1.2.840.113549.1.9.16.1.4")
    assert verified(repository, pem(signature), b"content\n")[1] == NONE


def test_certificates_alone_sign_nothing(repository: Repository, issuing_ca: Authority) -> None:
    der = pkcs7.serialize_certificates([issuing_ca.certificate], Encoding.DER)
    assert verified(repository, pem(der), b"content\n")[1] == NONE


def test_a_signature_by_a_certificate_that_it_does_not_bring_and_nobody_has(
    repository: Repository, issuing_ca: Authority
) -> None:
    signature = detached(repository, issuing_ca, b"content\n", "-nocerts")
    assert verified(repository, pem(signature), b"content\n")[1] == NONE
