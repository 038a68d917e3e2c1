"""Work that is done ahead in a thread: order, errors, and an end to it."""

from __future__ import annotations

import threading
import time
from itertools import count
from typing import TYPE_CHECKING

import pytest

from smime_agent.ahead import ahead
from smime_agent.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Iterator


def numbered(most: int, made: list[int] | None = None) -> Iterator[bytes]:
    for number in range(most):
        if made is not None:
            made.append(number)
        yield str(number).encode()


@pytest.mark.parametrize("most", [0, 1, 7, 8, 9, 1000])
def test_all_pieces_come_in_order(most: int) -> None:
    assert list(ahead(numbered(most))) == list(numbered(most))


def test_an_error_comes_after_what_was_made_before_it() -> None:
    def failing() -> Iterator[bytes]:
        yield b"one"
        raise FileError("the input was changed")

    pieces = ahead(failing())
    assert next(pieces) == b"one"
    with pytest.raises(FileError, match="was changed"):
        next(pieces)


def test_it_runs_ahead_and_not_far() -> None:
    made: list[int] = []
    pieces = ahead(numbered(1000, made))
    next(pieces)
    deadline = time.monotonic() + 5
    while len(made) < 8 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert 8 <= len(made) <= 12
    pieces.close()


def test_what_is_given_up_stops() -> None:
    made: list[int] = []

    def endless() -> Iterator[bytes]:
        for number in count():
            made.append(number)
            yield b"x"

    before = threading.active_count()
    pieces = ahead(endless())
    next(pieces)
    pieces.close()
    assert threading.active_count() == before
    stopped = len(made)
    time.sleep(0.05)
    assert len(made) == stopped
