"""Addresses that look alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smime_agent.trust.lookalike import skeleton


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("alice@example.org", "\u0430lice@example.org"),  # a Cyrillic letter
        ("alice@example.org", "alice@ex\u0430mple.org"),
        ("alice@example.org", "alice@xn--exmple-4nf.org"),  # the same domain in A-labels
        ("alice@example.org", "al\u0456ce@example.org"),
        ("alice@example.org", "Alice@Example.ORG"),
        ("paul@example.org", "pau1@example.org"),
        ("modern@example.org", "modem@example.org"),
        ("alice@example.org", "ali\u200bce@example.org"),  # a space of no width
        ("alice@example.org", "\uff41lice@example.org"),  # a letter of full width
        ("alice@example.org", "al\u00edce@example.org"),
    ],
)
def test_they_have_one_skeleton(one: str, other: str) -> None:
    assert skeleton(one) == skeleton(other)


@pytest.mark.parametrize(("one", "other"), [("alice@example.org", "alice@example.com"), ("a@x.org", "b@x.org")])
def test_they_have_two(one: str, other: str) -> None:
    assert skeleton(one) != skeleton(other)


@given(st.text())
def test_every_text_has_a_skeleton(text: str) -> None:
    assert isinstance(skeleton(text), str)
