"""Messages that are made to cost much, or to be opened in vain: seconds of the processor, and memory."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Final

import pytest

from smime_agent.algorithms import KeyType
from smime_agent.api.decrypting import Decryptor
from smime_agent.api.verifying import Verifier, VerifyOptions
from smime_agent.cms.ciphers import DecryptionError
from smime_agent.errors import NoKeyError, PolicyError
from smime_agent.trust.evidence import RevocationMode
from smime_agent.verdict import Code, UntrustworthyError, Verdict
from tests.bench import measure
from tests.keyring.people import close_rings, enrolled, ring
from tests.spoofs.asn1 import NULL, context, indefinite, integer, octets, oid, sequence, set_of, tlv, utf8
from tests.spoofs.collection import WORKSHOP
from tests.spoofs.envelopes import Seal, auth_enveloped, bob_of, compressed
from tests.spoofs.mime import ALICE, sent_by
from tests.support.host_keys import HostKeys
from tests.support.softhsm import MODULE, PIN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from smime_agent.cms.recipients import Recipients
    from smime_agent.x509 import Certificate
    from tests.support.ca import Authority
    from tests.support.host_keys import HostMatch
    from tests.support.softhsm import SoftHsm, SoftToken

SECOND: Final = 3.0  # what takes a second at most on the machine it was promised on, with room for slower ones
MIB: Final = 1 << 20
CONTENT: Final = b"Content-Type: text/plain\r\n\r\nThe plan is to meet at nine.\r\n"
KEY: Final = bytes(range(32))
RSA: Final = sequence(oid("1.2.840.113549.1.1.1"), NULL)


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Verifier:
    """One that trusts the root of the spoofs."""
    root = tmp_path_factory.mktemp("root") / "root.pem"
    root.write_bytes(WORKSHOP.files()["root"])
    options = VerifyOptions((root,), system_roots=False, revocation=RevocationMode.OFF, offline=True)
    return Verifier(options)


@pytest.fixture(scope="module")
def decryptor(verifier: Verifier) -> Decryptor:
    """Bob's, with keys in memory."""
    return Decryptor(HostKeys(bob_of("ec"), bob_of("rsa")), verifier)


@pytest.fixture(scope="module")
def mine() -> bytes:
    """A RecipientInfo for Bob."""
    return Seal((bob_of().certificate,)).recipient_infos(KEY)[0]


def opened(decryptor: Decryptor, octets_: bytes) -> bytes:
    """What came out, in good time."""
    begin = time.process_time()
    with decryptor.opened(octets_) as found:
        content = b"".join(found.content())
    assert time.process_time() - begin < SECOND
    return content


def refused(decryptor: Decryptor, octets_: bytes) -> Code:
    """The reason for which it is refused, in good time."""
    begin = time.process_time()
    with pytest.raises(UntrustworthyError) as raised, decryptor.opened(octets_):
        pass
    assert time.process_time() - begin < SECOND
    return raised.value.reason.code


def stranger(number: int, issuer: bytes | None = None) -> bytes:
    """A RecipientInfo for the holder of another certificate of Bob's CA, or of any."""
    named = sequence(issuer or bob_of().certificate.issuer_encoded, integer((1 << 60) + number))
    return sequence(integer(0), named, RSA, octets(number.to_bytes(256)))


def strangers_in_one(mine: bytes, count: int, encrypted_key: bytes) -> bytes:
    """A KeyAgreeRecipientInfo with so many keys, Bob's the last of them."""
    version, originator, *others, keys = _values(_contents(mine))
    issuer = bob_of().certificate.issuer_encoded
    named = (sequence(issuer, integer((1 << 60) + number)) for number in range(count - 1))
    many = b"".join(sequence(one, octets(encrypted_key)) for one in named)
    return tlv(0xA1, version, originator, *others, sequence(many, _contents(keys)))


def _contents(value: bytes) -> bytes:
    return value[2 + (value[1] & 0x7F if value[1] & 0x80 else 0) :]


def _values(octets_: bytes) -> list[bytes]:
    found = []
    while octets_:
        rest = _contents(octets_)
        length = octets_[1] if octets_[1] < 0x80 else int.from_bytes(octets_[2 : len(octets_) - len(rest)])
        size = len(octets_) - len(rest) + length
        found.append(octets_[:size])
        octets_ = octets_[size:]
    return found


# --- recipients ----------------------------------------------------------------------------------------------------


def test_the_last_of_ten_thousand_recipients_is_found(decryptor: Decryptor, mine: bytes) -> None:
    infos = [*map(stranger, range(9_999)), mine]
    assert opened(decryptor, auth_enveloped(infos, CONTENT, KEY)) == CONTENT


def test_the_last_of_ten_thousand_keys_that_were_agreed_on_is_found(decryptor: Decryptor, mine: bytes) -> None:
    info = strangers_in_one(mine, 10_000, bytes(40))
    assert opened(decryptor, auth_enveloped([info], CONTENT, KEY)) == CONTENT


def test_more_than_ten_thousand_recipients_are_refused(decryptor: Decryptor, mine: bytes) -> None:
    infos = [*map(stranger, range(10_000)), mine]
    assert refused(decryptor, auth_enveloped(infos, CONTENT, KEY)) is Code.LIMIT_EXCEEDED


def test_more_than_ten_thousand_in_all_are_refused(decryptor: Decryptor, mine: bytes) -> None:
    infos = [strangers_in_one(mine, 6_000, bytes(40)), strangers_in_one(mine, 6_000, bytes(40))]
    assert refused(decryptor, auth_enveloped(infos, CONTENT, KEY)) is Code.LIMIT_EXCEEDED


@pytest.mark.parametrize("size", [5 << 10, MIB])
def test_fifty_megabytes_of_junk_for_recipients_are_refused(decryptor: Decryptor, mine: bytes, size: int) -> None:
    infos = [octets(bytes(size))] * (50 * MIB // size - 1)
    assert refused(decryptor, auth_enveloped([*infos[:9_999], mine], CONTENT, KEY)) is Code.LIMIT_EXCEEDED


def test_fifteen_megabytes_of_junk_among_the_recipients_are_read_over(decryptor: Decryptor, mine: bytes) -> None:
    infos = [sequence(os.urandom(1_500))] * 9_999
    assert opened(decryptor, auth_enveloped([*infos, mine], CONTENT, KEY)) == CONTENT


def test_ten_thousand_certificates_of_the_originator_are_read_over(decryptor: Decryptor, mine: bytes) -> None:
    alice = WORKSHOP.alice.certificate
    certificates = tlv(0xA0, *(alice[:-8] + number.to_bytes(8) for number in range(10_000)))
    octets_ = auth_enveloped([mine], CONTENT, KEY, originator=context(0, certificates))
    assert opened(decryptor, octets_) == CONTENT


class Counting(HostKeys):
    """Keys that know how often they were asked for."""

    used = 0

    def pairs(self, recipients: Recipients) -> Iterator[HostMatch]:
        """Count."""
        for match in super().pairs(recipients):
            self.used += 1
            yield match


def test_no_more_than_ten_keys_are_used_for_a_message(verifier: Verifier, mine: bytes) -> None:
    keys = Counting(bob_of())
    infos = [mine[:-1] + bytes((number,)) for number in range(200) if number != mine[-1]]
    with pytest.raises(DecryptionError), Decryptor(keys, verifier).opened(auth_enveloped(infos, b"", KEY)):
        pass
    assert keys.used == 10


def test_layers_share_the_keys_that_may_be_tried_in_vain(verifier: Verifier, mine: bytes) -> None:
    """Ten layers of ten tries would be a hundred touches."""
    wrong = [mine[:-1] + bytes((number,)) for number in range(200) if number != mine[-1]]
    inner = auth_enveloped([*wrong[:5], mine], CONTENT, KEY)
    few, many = (auth_enveloped([*wrong[:number], mine], inner, KEY) for number in (4, 9))
    keys = Counting(bob_of())
    assert (opened(Decryptor(keys, verifier), few), keys.used) == (CONTENT, 5 + 6)
    keys = Counting(bob_of())
    with pytest.raises(DecryptionError), Decryptor(keys, verifier).opened(many):
        pass
    assert keys.used == 10 + 1


def test_a_recipient_that_is_damaged_is_no_obstacle_to_the_next(decryptor: Decryptor) -> None:
    """Both are Bob's; the first is wrapped in a way that is not supported."""
    ec, rsa = (Seal((bob_of(kind).certificate,)).recipient_infos(KEY)[0] for kind in ("ec", "rsa"))
    unsupported = rsa.replace(oid("1.2.840.113549.1.1.7"), oid("1.2.840.113549.1.1.9"))
    assert unsupported != rsa
    assert opened(decryptor, auth_enveloped([unsupported, ec], CONTENT, KEY)) == CONTENT


def test_a_recipient_that_wants_legacy_is_no_obstacle_to_the_next(decryptor: Decryptor, mine: bytes) -> None:
    version, originator, *_, keys = _values(_contents(mine))
    triple_des_wrap = sequence(oid("1.2.840.113549.1.9.16.3.6"), NULL)
    weak = tlv(0xA1, version, originator, sequence(oid("1.3.133.16.840.63.0.2"), triple_des_wrap), keys)
    with pytest.raises(PolicyError), decryptor.opened(auth_enveloped([weak], CONTENT, KEY)):
        pass
    assert opened(decryptor, auth_enveloped([weak, mine], CONTENT, KEY)) == CONTENT


# --- forms ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [190_000])
def test_a_content_in_pieces_of_one_octet_is_read_up_to_a_bound(decryptor: Decryptor, mine: bytes, size: int) -> None:
    content = CONTENT + bytes(size)
    assert opened(decryptor, auth_enveloped([mine], content, KEY, pieces=1)) == content


def test_a_megabyte_in_pieces_of_one_octet_is_refused(decryptor: Decryptor, mine: bytes) -> None:
    octets_ = auth_enveloped([mine], bytes(MIB), KEY, pieces=1)
    assert refused(decryptor, octets_) is Code.LIMIT_EXCEEDED


def test_lengths_that_are_not_said_are_read_everywhere(decryptor: Decryptor, mine: bytes) -> None:
    assert opened(decryptor, _indefinite(auth_enveloped([mine], CONTENT, KEY, pieces=7))) == CONTENT


def _indefinite(value: bytes) -> bytes:
    if value[1] == 0x80:  # it is so already
        return value
    if not value[0] & 0x20:
        return value
    return indefinite(value[0], *map(_indefinite, _values(_contents(value))))


# --- layers and compression ----------------------------------------------------------------------------------------


def test_ten_layers_are_opened(decryptor: Decryptor) -> None:
    seal, octets_ = Seal((bob_of().certificate,)), CONTENT
    for _ in range(10):
        octets_ = seal.on(octets_)
    assert opened(decryptor, octets_) == CONTENT


@pytest.mark.slow
def test_ten_thousand_layers_take_no_longer_than_ten(decryptor: Decryptor) -> None:
    seal, octets_ = Seal((bob_of().certificate,)), CONTENT
    for _ in range(3_000):
        octets_ = seal.on(octets_)
    begin = time.process_time()
    with decryptor.opened(octets_) as found:
        assert (found.exit_code, found.verification.verdict) == (6, Verdict.INVALID)
        assert [reason.code for reason in found.reasons] == [Code.LIMIT_EXCEEDED]
        assert len(found.encryptions) == 10
    assert time.process_time() - begin < SECOND


def test_what_expands_without_end_is_refused(decryptor: Decryptor) -> None:
    assert refused(decryptor, compressed(bytes(101 * MIB))) is Code.LIMIT_EXCEEDED


def test_what_expands_without_end_inside_encryption_stays_closed(decryptor: Decryptor) -> None:
    bomb = compressed(bytes(101 * MIB))
    with decryptor.opened(Seal((bob_of().certificate,)).on(bomb)) as found:
        assert (found.exit_code, b"".join(found.content())) == (6, bomb)
        assert [reason.code for reason in found.reasons] == [Code.LIMIT_EXCEEDED]


def test_compression_in_compression_expands_no_further_than_once(decryptor: Decryptor) -> None:
    """Each layer alone would be let through: ten of them were a thousand times their size, ten times over."""
    octets_ = compressed(compressed(CONTENT + bytes(60 * MIB)) + bytes(60 * MIB))
    with decryptor.opened(Seal((bob_of().certificate,)).on(octets_)) as found:
        assert [reason.code for reason in found.reasons] == [Code.LIMIT_EXCEEDED]


def test_who_should_have_signed_and_did_not_is_missed(decryptor: Decryptor) -> None:
    mail = sent_by(ALICE) + Seal((bob_of().certificate,)).entity(CONTENT)
    with decryptor.opened(mail, expected_sender=ALICE) as found:
        assert (found.exit_code, found.signature is not None) == (3, True)


def test_a_file_that_looks_like_an_object_is_a_file(decryptor: Decryptor) -> None:
    certificate = WORKSHOP.alice.certificate
    with decryptor.opened(Seal((bob_of().certificate,)).on(certificate)) as found:
        assert (found.exit_code, b"".join(found.content())) == (0, certificate)


# --- a token -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def token(softhsm: SoftHsm) -> SoftToken:
    """A token."""
    return softhsm.new_token("many recipients")


@pytest.fixture(scope="module")
def certificate(token: SoftToken, issuing_ca: Authority) -> Certificate:
    """Of the key on it."""
    return enrolled(token, issuing_ca, KeyType.EC_P256, "Bob")


@pytest.fixture
def token_decryptor(token: SoftToken, verifier: Verifier) -> Iterator[Decryptor]:
    """The keys of the token."""
    yield Decryptor(ring(token).keyring, verifier)
    close_rings()


def long_name(number: int) -> bytes:
    """A name of 20 parts, another for each number."""
    return sequence(*(set_of(sequence(oid("2.5.4.3"), utf8(f"{number} {part} " + "x" * 40))) for part in range(20)))


def test_ten_thousand_recipients_of_whom_none_is_ours_are_told_in_a_second(
    token_decryptor: Decryptor, certificate: Certificate
) -> None:
    assert certificate.serial_number
    octets_ = auth_enveloped([stranger(number, long_name(number)) for number in range(10_000)], CONTENT, KEY)
    begin = time.process_time()
    with pytest.raises(NoKeyError) as raised, token_decryptor.opened(octets_):
        pass
    assert time.process_time() - begin < SECOND
    assert max(map(len, raised.value.details)) < 500


def test_the_last_of_ten_thousand_is_found_on_a_token_in_little_memory(
    token: SoftToken, certificate: Certificate, tmp_path: Path
) -> None:
    issuer = certificate.issuer_encoded
    infos = [*(stranger(number, issuer) for number in range(9_999)), *Seal((certificate,)).recipient_infos(KEY)]
    message = tmp_path / "many.p7m"
    message.write_bytes(auth_enveloped(infos, CONTENT, KEY))
    options = ("--token", token.label, "--pin-source", "env:PIN", "--revocation", "off", "-o", tmp_path / "out")
    command = (sys.executable, "-m", "smime_agent", "decrypt", message, *options)
    ran = measure.run(command, env={"PIN": PIN, "SMIME_AGENT_MODULE": MODULE})
    assert (tmp_path / "out").read_bytes() == CONTENT
    assert ran.peak_kib < 100 * 1024
