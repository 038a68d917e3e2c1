"""Work in a second thread: while the token signs one message, this thread reads the next and writes the last."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

T = TypeVar("T")
R = TypeVar("R")
_DEPTH = 2  # the other thread never waits for this one, and little is held


def look_ahead(make: Callable[[T], R], items: Iterable[T]) -> Generator[R]:
    """What ``make`` gives for each item, in order, made in a thread of its own a few items ahead.

    Items are taken in the caller's thread. An exception of ``make`` is raised where its result would have come. After
    the generator is closed ``make`` is not called again; a call that is under way is not waited for.
    """
    waiting: SimpleQueue[tuple[T] | None] = SimpleQueue()
    made: SimpleQueue[tuple[R] | BaseException] = SimpleQueue()
    closed = threading.Event()

    def work() -> None:
        while (item := waiting.get()) is not None and not closed.is_set():
            try:
                made.put((make(item[0]),))
            except BaseException as error:  # noqa: BLE001 - it is raised where the results are taken
                made.put(error)

    def taken() -> R:
        result = made.get()
        if isinstance(result, BaseException):
            raise result
        return result[0]

    threading.Thread(target=work, name="look-ahead", daemon=True).start()
    under_way = 0
    try:
        for item in items:
            waiting.put((item,))
            under_way += 1
            if under_way > _DEPTH:
                yield taken()
                under_way -= 1
        for _ in range(under_way):
            yield taken()
    finally:
        closed.set()
        waiting.put(None)
