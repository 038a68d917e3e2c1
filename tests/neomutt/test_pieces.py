"""What neomutt hands over, and what it is handed: octets and words in which it could lose its way."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from smime_agent.cli import neomutt_keys, neomutt_mail
from smime_agent.cli.neomutt_keys import Folders, OwnKey, hook_of, identities
from smime_agent.cli.setup_neomutt import _quoted
from smime_agent.keyring.sightings import Sighting
from smime_agent.x509 import Certificate
from tests.support.ca import Wanted
from tests.support.correspondents import key

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.ca import Authority

NOW = datetime.now(UTC)


@given(st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\r\n", b" "]), max_size=12), st.integers(1, 4))
def test_lines_end_alike_wherever_the_blocks_do(pieces: list[bytes], size: int) -> None:
    octets = b"".join(pieces)
    blocks = [octets[start : start + size] for start in range(0, len(octets), size)]
    assert b"".join(neomutt_mail._with_crlf(blocks)) == re.sub(rb"(?<!\r)\n", b"\r\n", octets)


LEFT = b'Content-Disposition: attachment; filename="smime.p7m"\n'


def whole(tmp_path: Path, octets: bytes) -> bytes:
    path = tmp_path / "mail"
    path.write_bytes(octets)
    with neomutt_mail.whole_mail(path) as source:
        return source.read()


def test_a_mail_that_neomutt_did_not_touch_is_left_as_it_is(tmp_path: Path) -> None:
    mail = b"From: x\nMime-Version: 1.0\n" + LEFT + b"Content-Disposition: inline\n\nbody"
    assert whole(tmp_path, mail) == mail


def test_what_neomutt_left_of_an_encrypted_mail_is_taken_off(tmp_path: Path) -> None:
    mail = b"From: x\n" + LEFT + b"Content-Type: text/plain\nContent-Disposition: inline\n\nbody"
    expected = b"MIME-Version: 1.0\r\nFrom: x\nContent-Type: text/plain\nContent-Disposition: inline\n\nbody"
    assert whole(tmp_path, mail) == expected


def test_the_only_content_disposition_stays(tmp_path: Path) -> None:
    mail = b"From: x\n" + LEFT + b"\nContent-Disposition: inline\n"
    assert whole(tmp_path, mail) == b"MIME-Version: 1.0\r\n" + mail


def test_a_mail_of_any_size_is_whole(tmp_path: Path) -> None:
    mail = b"From: x\n\n" + b"A line.\n" * 300_000
    assert whole(tmp_path, mail) == b"MIME-Version: 1.0\r\n" + mail


@given(st.binary(max_size=200))
def test_no_octets_of_a_mail_are_lost(tmp_path_factory: pytest.TempPathFactory, octets: bytes) -> None:
    assert whole(tmp_path_factory.getbasetemp(), octets).endswith(octets)


def own(authority: Authority, *, kind: str = "rsa", number: int = 0, **wanted: object) -> OwnKey:
    """A certificate that was seen on a token."""
    said = {"key_encipherment": True, **wanted}
    issued = authority.issue(key(kind, number).public_key(), Wanted(**said))  # type: ignore[arg-type]  # fields of it
    encoded = issued.public_bytes(Encoding.DER)
    day = date(2026, 1, 1)
    seen = Sighting(encoded, "a token", "0a", "maker", "model", b"\x01", has_key=True, first_seen=day, last_seen=day)
    return OwnKey(Certificate(encoded), (seen,))


def test_a_key_is_named_on_its_token(issuing_ca: Authority) -> None:
    assert list(own(issuing_ca).uris()) == ["pkcs11:token=a%20token;serial=0a;id=%01"]


def test_of_two_certificates_the_newer_one_signs(issuing_ca: Authority) -> None:
    older, newer = own(issuing_ca, not_before=-9), own(issuing_ca, not_before=-2)
    assert [one.signing for one in identities([older, newer], NOW)] == [newer]


def test_an_expired_certificate_does_not_sign(issuing_ca: Authority) -> None:
    assert identities([own(issuing_ca, not_before=-9, not_after=-1)], NOW) == []


def test_answers_are_encrypted_to_the_certificate_that_is_for_it(issuing_ca: Authority) -> None:
    signing = own(issuing_ca, key_encipherment=False)
    other = own(issuing_ca, digital_signature=False, not_before=-5)
    (found,) = identities([signing, other], NOW)
    assert (found.signing, found.encryption) == (signing, other)


@pytest.mark.parametrize(
    "address", ["o'brien@example.org", "a$b@example.org", "a|b@example.org", "a*@example.org", "{x}@example.org"]
)
def test_an_address_that_is_a_pattern_makes_no_hook(issuing_ca: Authority, address: str) -> None:
    assert [line for one in identities([own(issuing_ca, addresses=(address,))], NOW) for line in hook_of(one)] == []


def test_the_dots_of_an_address_are_dots(issuing_ca: Authority) -> None:
    (one,) = identities([own(issuing_ca, addresses=("a.b+c@example.org",))], NOW)
    assert all(line.startswith(r"send2-hook '~f ^a\.b\+c@example\.org$' '") for line in hook_of(one))


NAMES = ["Bob; rm -rf ~", "$(id)", "a\tb c", "\u202eevil", "`x`", "%s", "x" * 500, "\u00fc\u00fc"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_a_certificate_is_one_word_of_an_index(issuing_ca: Authority, name: str) -> None:
    index = neomutt_keys._index([own(issuing_ca, name=name[:64]).certificate], NOW).decode("ascii")
    assert re.fullmatch(r"alice@example\.org [0-9a-f]{32} [0-9A-Za-z@._+-]{1,40} \? t es\n", index)


def test_an_address_with_a_blank_is_in_no_index(issuing_ca: Authority) -> None:
    names = x509.SubjectAlternativeName([x509.RFC822Name('"a b"@example.org'), x509.RFC822Name("bob@example.org")])
    certificate = own(issuing_ca, addresses=(), extra=((names, False),)).certificate
    assert [line.split()[0] for line in neomutt_keys._index([certificate], NOW).splitlines()] == [b"bob@example.org"]


def test_one_certificate_of_an_address_is_taken_without_a_question(issuing_ca: Authority) -> None:
    certificates = [own(issuing_ca, not_before=-days).certificate for days in (2, 3, 4)]
    lines = neomutt_keys._index(certificates, NOW).decode().splitlines()
    assert [line.split()[4] for line in lines] == ["t", "u", "u"]
    assert lines[0].split()[1] == neomutt_keys.name_of(certificates[0])


@pytest.mark.parametrize("name", ["../../etc/passwd", "alice", "0" * 31, "0" * 33, "A" * 32, ""])
def test_a_name_that_is_none_of_neomutts_is_no_file(tmp_path: Path, name: str) -> None:
    assert Folders(tmp_path).certificate_file(f"/some/where/{name}") is None


def test_what_neomutt_would_expand_is_quoted() -> None:
    assert _quoted('a"b\\c$d`e') == 'a\\"b\\\\c\\$d\\`e'
