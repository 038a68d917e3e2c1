"""What one run keeps in mind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from smime_agent.retrieval.answers import Answer
from smime_agent.retrieval.memory import Memory

NOW = datetime(2026, 6, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def of(size: int) -> Answer:
    return Answer(bytes(size), NOW, None)


def test_an_answer_is_kept_until_its_time() -> None:
    memory = Memory(1 << 20)
    kept = of(1)
    memory.keep("a", kept, LATER)
    assert memory.answer("a", NOW) is kept
    assert memory.answer("a", LATER) is None


def test_a_failure_is_kept_until_its_time() -> None:
    memory = Memory(1 << 20)
    memory.fail("a", "why", LATER)
    assert (memory.failure("a", NOW), memory.failure("a", LATER)) == ("why", None)


def test_those_that_were_not_used_for_longest_go_first() -> None:
    memory = Memory(10_000)
    for key in "ab":
        memory.keep(key, of(3000), LATER)
    memory.answer("a", NOW)
    memory.keep("c", of(3000), LATER)
    assert [key for key in "abc" if memory.answer(key, NOW)] == ["a", "c"]


def test_one_that_is_larger_than_all_is_kept_alone() -> None:
    memory = Memory(1000)
    memory.keep("a", of(100), LATER)
    memory.keep("b", of(5000), LATER)
    assert [key for key in "ab" if memory.answer(key, NOW)] == ["b"]


def test_what_is_kept_again_counts_once() -> None:
    memory = Memory(10_000)
    for _ in range(10):
        memory.keep("a", of(3000), LATER)
    memory.keep("b", of(3000), LATER)
    assert memory.answer("a", NOW)


def test_failures_have_a_bound() -> None:
    memory = Memory(1000)
    for number in range(5000):
        memory.fail(str(number), "why", LATER)
    assert (memory.failure("0", NOW), memory.failure("4999", NOW)) == (None, "why")
