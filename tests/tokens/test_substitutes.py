"""Keys that stand for what cannot be decrypted."""

from __future__ import annotations

import pytest

from smime_agent.tokens.substitutes import OF_THIS_PROCESS, SubstituteKeys


@pytest.mark.parametrize("size", [5, 8, 16, 24, 32, 40, 128])
def test_a_key_is_as_long_as_it_is_to_be(size: int) -> None:
    assert len(SubstituteKeys()(b"a ciphertext", size)) == size


def test_it_is_the_same_for_the_same_ciphertext_and_another_for_another() -> None:
    keys = SubstituteKeys()
    assert keys(b"a", 32) == keys(b"a", 32) != keys(b"b", 32)


def test_nobody_else_can_know_it() -> None:
    assert SubstituteKeys()(b"a", 32) != SubstituteKeys()(b"a", 32)
    assert SubstituteKeys(lambda size: b"\1" * size)(b"a", 32) != SubstituteKeys(lambda size: b"\2" * size)(b"a", 32)


def test_no_octets_come_twice() -> None:
    key = OF_THIS_PROCESS(b"a ciphertext", 128)
    assert len({key[at : at + 32] for at in range(0, 128, 32)}) == 4


def test_the_secret_is_not_shown() -> None:
    assert repr(SubstituteKeys(lambda size: b"secret" * size)) == "SubstituteKeys(...)"


def test_who_adopts_the_secret_gives_the_same_keys() -> None:
    ours, theirs = SubstituteKeys(), SubstituteKeys()
    assert ours(b"a ciphertext", 32) != theirs(b"a ciphertext", 32)
    theirs.adopt(ours.reveal())
    assert ours(b"a ciphertext", 32) == theirs(b"a ciphertext", 32)
