"""How long a login holds, and for what: without a clock."""

from __future__ import annotations

from dataclasses import replace

import pytest

from smime_agent.config import AgentConfig, KeyPolicy, Scope
from smime_agent.daemon.logins import Login, policy_for, words_for
from smime_agent.daemon.places import KeyPlace, TokenPlace

TOKEN = TokenPlace("/m.so", 1, "card", "0001", "maker", "model")
KEY = KeyPlace(TOKEN, b"\x01", "mail", None)
OTHER = KeyPlace(TOKEN, b"\x02", "git", None)
TTL = KeyPolicy(idle=10, absolute=100)
ONCE = KeyPolicy(scope=Scope.OPERATION)
BATCH = KeyPolicy(scope=Scope.BATCH, batch=3)


def login(policy: KeyPolicy, key: KeyPlace | None = KEY) -> Login:
    return Login(key, policy, 1000.0, "pinentry")


def test_a_ttl_login_holds_until_it_is_idle_for_too_long() -> None:
    begun = login(TTL)
    assert begun.permits(KEY, TTL, 1009.9)
    assert not begun.permits(KEY, TTL, 1010.0)


def test_a_use_makes_it_hold_longer_but_not_beyond_its_end() -> None:
    begun = login(TTL)
    for moment in range(1009, 1100, 9):
        assert begun.permits(KEY, TTL, moment)
        begun.use(TTL, moment)
    assert not begun.permits(KEY, TTL, 1100.0)


def test_a_ttl_login_is_for_all_keys_of_the_token() -> None:
    assert login(TTL).permits(OTHER, TTL, 1001.0)


def test_a_key_that_wants_its_pin_each_time_does_not_use_the_login_of_another() -> None:
    assert not login(TTL).permits(OTHER, ONCE, 1001.0)


def test_an_operation_is_one() -> None:
    begun = login(ONCE)
    assert begun.permits(KEY, ONCE, 1001.0)
    begun.use(ONCE, 1001.0)
    assert begun.is_spent
    assert not begun.permits(KEY, ONCE, 1001.0)


def test_a_login_for_one_operation_is_not_for_other_keys() -> None:
    assert not login(ONCE).permits(OTHER, ONCE, 1001.0)


def test_a_batch_is_counted() -> None:
    begun = login(BATCH)
    for _ in range(3):
        assert begun.permits(KEY, BATCH, 1001.0)
        begun.use(BATCH, 1001.0)
    assert not begun.permits(KEY, BATCH, 1001.0)


def test_a_spent_login_is_not_for_a_key_with_a_longer_one_either() -> None:
    begun = login(ONCE)
    begun.use(ONCE, 1001.0)
    assert not begun.permits(OTHER, TTL, 1001.0)


def test_the_shortest_limits_of_all_keys_that_used_it_hold() -> None:
    begun = login(TTL)
    begun.use(replace(TTL, idle=2), 1001.0)
    assert begun.permits(KEY, TTL, 1002.9)
    assert not begun.permits(KEY, TTL, 1003.0)


def test_a_login_for_looking_becomes_that_of_the_first_key() -> None:
    begun = login(TTL, None)
    begun.adopt(KEY, ONCE)
    assert begun.permits(KEY, ONCE, 1001.0)
    begun.use(ONCE, 1001.0)
    begun.adopt(OTHER, ONCE)
    assert not begun.permits(OTHER, ONCE, 1001.0)


@pytest.mark.parametrize("name", ["mail", "01", "0x01", "pkcs11:object=mail", "pkcs11:token=card;id=%01"])
def test_a_policy_names_a_key(name: str) -> None:
    policy = replace(ONCE, key=name)
    config = AgentConfig(keys=(policy,))
    assert policy_for(config, KEY) is policy
    assert policy_for(config, OTHER) is config.policy


def test_a_policy_of_a_key_on_another_token_is_not_for_this_one() -> None:
    config = AgentConfig(keys=(replace(ONCE, key="pkcs11:token=other;id=%01"),))
    assert policy_for(config, KEY) is config.policy


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (ONCE, "for this once"),
        (BATCH, "for 3 uses of this key"),
        (KeyPolicy(), "until it is not used for 10 minutes, and 8 hours at most"),
        (replace(TTL, absolute=3600), "until it is not used for 10 seconds, and 1 hour at most"),
    ],
)
def test_a_person_is_told_what_the_pin_is_good_for(policy: KeyPolicy, words: str) -> None:
    assert words_for(policy) == words
