"""The second thread: order, errors, and the end."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from smime_agent.lookahead import look_ahead

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_results_come_in_order_and_all_of_them() -> None:
    assert list(look_ahead(lambda number: number * number, range(100))) == [number * number for number in range(100)]


def test_nothing_comes_of_nothing() -> None:
    assert list(look_ahead(lambda item: item, [])) == []


def test_it_is_made_in_another_thread_and_taken_in_ours() -> None:
    taken = []

    def items() -> Iterator[int]:
        taken.append(threading.get_ident())
        yield 1

    assert list(look_ahead(lambda _: threading.get_ident(), items())) != taken == [threading.get_ident()]


def test_an_exception_comes_where_its_result_would_have() -> None:
    results = look_ahead(lambda number: 12 // number, [3, 4, 0, 6])
    assert [next(results), next(results)] == [4, 3]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_after_it_is_closed_nothing_more_is_made() -> None:
    made = []
    slow = threading.Event()

    def make(number: int) -> int:
        made.append(number)
        if number == 1:
            slow.wait(5)
        return number

    results = look_ahead(make, range(10))
    assert next(results) == 0
    results.close()
    slow.set()
    time.sleep(0.05)
    assert made in ([0, 1], [0])


def test_work_goes_on_while_the_caller_does_something_else() -> None:
    made = threading.Semaphore(0)
    results = look_ahead(lambda _: made.release(), range(3))
    next(results)
    assert all(made.acquire(timeout=5) for _ in range(3))
