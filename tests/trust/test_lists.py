"""Long CRLs cut down: the entries that matter stay, wherever they are and whatever looks like them."""

from __future__ import annotations

import os

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from smime_agent import der
from smime_agent.trust.evidence import GivenEvidence, RevocationMode
from smime_agent.trust.lists import issuer_of, shortened
from smime_agent.trust.path import PathValidator, RevocationStatus, TrustPolicy
from tests.support.pki import DAY, NOW, Party, rsa_key, signed_list, signer

CA = Party("Example CA", key=rsa_key())
ALICE = signer(CA, serial_number=0x112233445566778899AABBCCDDEEFF)
WHEN = der.time(NOW - DAY)


def entry(serial_number: int, *extensions: bytes) -> bytes:
    return der.sequence(der.integer(serial_number), WHEN, der.sequence(*extensions) if extensions else b"")


def comment(octets: bytes) -> bytes:
    """An extension that nobody knows, with whatever inside."""
    return der.sequence(der.object_identifier("1.2.3.4"), der.octet_string(octets))


def kept(entries: list[bytes], *serial_numbers: int) -> list[int]:
    short = shortened(signed_list(CA, b"".join(entries)), [der.integer(number) for number in serial_numbers])
    return [one.serial_number for one in x509.load_der_x509_crl(short.encoded)]


def test_an_entry_that_is_asked_for_stays() -> None:
    assert kept([entry(1), entry(2), entry(3)], 2) == [2]


def test_several_stay_in_their_order() -> None:
    assert kept([entry(300), entry(2), entry(100)], 100, 300) == [300, 100]


def test_no_entry_is_left_where_none_is_asked_for() -> None:
    assert kept([entry(1), entry(2)], 3) == []


def test_octets_that_only_look_like_an_entry() -> None:
    """An extension holds a whole entry, tags and all; the serial number itself is not listed."""
    assert kept([entry(1, comment(entry(4711)))], 4711) == []


def test_the_right_entry_behind_octets_that_look_like_it() -> None:
    assert kept([entry(1, comment(entry(4711))), entry(4711)], 4711) == [4711]


def test_a_serial_number_that_another_begins_with() -> None:
    assert kept([entry(0x4711), entry(0x471100)], 0x47) == []


def test_long_entries_are_stepped_over() -> None:
    assert kept([entry(1, comment(bytes(70_000))), entry(2)], 2) == [2]


def test_entries_that_name_another_issuer_stay() -> None:
    """They hold for those that follow (RFC 5280, 5.3.3)."""
    name = der.context(4, Party("Another CA").distinguished_name.public_bytes())
    other = der.sequence(der.object_identifier("2.5.29.29"), b"\x01\x01\xff", der.octet_string(der.sequence(name)))
    assert kept([entry(1, other), entry(2), entry(3)], 3) == [1, 3]


def test_a_list_without_entries() -> None:
    assert kept([], 1) == []


def test_the_signature_is_over_all_of_it() -> None:
    whole = signed_list(CA, entry(1) + entry(2))
    assert shortened(whole, []).signed == x509.load_der_x509_crl(whole).tbs_certlist_bytes


def test_whose_list_it_is() -> None:
    assert issuer_of(signed_list(CA, entry(1))) == CA.distinguished_name.public_bytes()


@given(st.binary(max_size=300))
def test_garbage_is_no_list(octets: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        shortened(octets, [b"\x02\x01\x01"])


@given(st.data())
def test_a_damaged_list_raises_nothing_else(data: st.DataObject) -> None:
    damaged = bytearray(signed_list(CA, entry(1) + entry(2)))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        shortened(bytes(damaged), [der.integer(1), der.integer(2)])
    except ValueError:
        return


def hundred_thousand(*last: bytes) -> bytes:
    others = b"".join(entry(int.from_bytes(b"\x5a" + os.urandom(18), "big")) for _ in range(100_000))
    return signed_list(CA, others + b"".join(last))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("last", "status"),
    [
        ((), RevocationStatus.GOOD),
        ((entry(ALICE.serial_number),), RevocationStatus.REVOKED),
        ((entry(1, comment(der.integer(ALICE.serial_number))),), RevocationStatus.GOOD),
    ],
    ids=["absent", "listed", "elsewhere"],
)
def test_a_list_of_a_hundred_thousand(last: tuple[bytes, ...], status: RevocationStatus) -> None:
    policy = TrustPolicy((CA.anchor,), NOW, RevocationMode.REQUIRE)
    validator = PathValidator(policy, GivenEvidence((hundred_thousand(*last),)))
    assert validator.validate(ALICE.certificate, []).revocation is status
