"""DER out of BER."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smime_agent import der
from smime_agent.cms import to_der
from smime_agent.cms.normal import MAX_VALUES, encodings, value, values
from smime_agent.verdict import Code, UntrustworthyError
from tests.cms.trees import TREES, Tree


@given(TREES)
def test_what_is_der_stays_as_it_is(tree: Tree) -> None:
    assert to_der(tree.der()) == tree.der()


@given(TREES, st.integers(0))
def test_any_ber_becomes_the_one_der(tree: Tree, seed: int) -> None:
    choose = random.Random(seed).randrange  # noqa: S311 - no secret; hypothesis would take long over each choice
    assert to_der(tree.ber(choose)) == tree.der()


@given(TREES, st.integers(0))
def test_the_order_of_a_set_can_be_kept(tree: Tree, seed: int) -> None:
    definite, *in_order = encodings(tree.ber(random.Random(seed).randrange))  # noqa: S311 - no secret
    assert (in_order or [definite]) == [tree.der()]
    assert len(definite) == len(tree.der())


@given(st.binary(max_size=200))
def test_any_octets_are_normalised_or_refused(octets: bytes) -> None:
    try:
        normal = to_der(octets)
    except UntrustworthyError:
        return
    assert to_der(normal) == normal


@given(TREES, st.integers(0), st.data())
def test_a_damaged_value_is_normalised_or_refused(tree: Tree, seed: int, data: st.DataObject) -> None:
    octets = bytearray(tree.ber(random.Random(seed).randrange))  # noqa: S311 - no secret
    octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    try:
        to_der(bytes(octets))
    except UntrustworthyError as error:
        assert error.reason.code in {Code.MALFORMED_CMS, Code.LIMIT_EXCEEDED}  # noqa: PT017 - or none at all


@given(TREES)
def test_a_value_that_is_cut_off_is_refused(tree: Tree) -> None:
    with pytest.raises(UntrustworthyError):
        to_der(tree.der()[:-1])


@pytest.mark.parametrize(
    "octets",
    [
        "",
        "04",
        "0500 00",  # something follows
        "0500 0500",
        "0000",  # an end-of-contents alone
        "3002 0000",  # in a definite length
        "3080",  # without its end
        "3080 0001 00",
        "0480 0000",  # primitive
        "04ff",  # reserved
        "0489 000000000000000001 00",  # nine octets of length
        "0488 ffffffffffffffff",
        "3080 0405 61626364 0000",
        "3004 0403 6162",
        "1f81 0100",  # a high tag
        "3f",
        "2404 0c02 6162",  # an OCTET STRING of UTF8Strings
        "2304 0402 0061",  # a BIT STRING of OCTET STRINGs
        "2308 0302 0361 0302 0061",  # unused bits in the middle
        "2302 0300",
        "3003 3080 00 00",
    ],
)
def test_what_is_no_ber_is_refused(octets: str) -> None:
    with pytest.raises(UntrustworthyError) as caught:
        to_der(bytes.fromhex(octets))
    assert caught.value.reason.code is Code.MALFORMED_CMS


@pytest.mark.parametrize(
    "octets",
    [
        b"\x30\x80" * 1_000_000,
        b"\x24\x80" * 1_000_000,
        b"".join(der.header(0x30, 2 * n) for n in range(100, 0, -1)),
        b"\x30\x80" + b"\x05\x00" * (MAX_VALUES + 1) + b"\0\0",
        der.octet_string(bytes(17 * 1024 * 1024)),
    ],
    ids=["nested", "nested strings", "nested with lengths", "many", "large"],
)
def test_what_is_more_than_anything_real_is_refused_at_once(octets: bytes) -> None:
    begun = time.monotonic()
    with pytest.raises(UntrustworthyError) as caught:
        to_der(octets)
    assert caught.value.reason.code in {Code.LIMIT_EXCEEDED, Code.MALFORMED_CMS}
    assert time.monotonic() - begun < 1


@given(st.lists(TREES, max_size=5))
def test_values_are_told_apart(trees: list[Tree]) -> None:
    encoded = [tree.der() for tree in trees]
    found = values(b"".join(encoded))
    assert [one.encoded for one in found] == encoded
    assert [one.tag for one in found] == [tree.tag for tree in trees]


@pytest.mark.parametrize("octets", ["30", "3080 0000", "0401", "0482 01"])
def test_values_that_are_no_der_are_refused(octets: str) -> None:
    with pytest.raises(UntrustworthyError):
        values(bytes.fromhex(octets))


def test_more_values_than_wanted_are_refused() -> None:
    with pytest.raises(UntrustworthyError):
        values(b"\x05\x00" * 11, 10)


@pytest.mark.parametrize("octets", ["0500", "0401 61 0500", ""])
def test_a_value_of_another_type_is_refused(octets: str) -> None:
    with pytest.raises(UntrustworthyError):
        value(bytes.fromhex(octets), 0x04)
