"""Noticing that a call into a token takes long, which mostly means that it waits for a finger."""

from __future__ import annotations

import _thread
import threading
from time import monotonic
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

_SECONDS = 1.0
_LOOK = 0.25


class Patience:
    """A context for calls: ``notify`` is called, once for each, when one takes more than a second.

    A thread looks four times a second for as long as this lives: arming it costs the call nothing.
    """

    def __init__(self, notify: Callable[[], None]) -> None:
        """Start nothing before the first call."""
        self._notify = notify
        self._since: float | None = None
        self._closed = threading.Event()
        self._thread: int | None = None

    def __enter__(self) -> Self:
        """A call begins."""
        if self._thread is None:
            # Not threading.Thread, whose start() waits until the thread runs.
            self._thread = _thread.start_new_thread(self._look, ())
        self._since = monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        """It has returned."""
        self._since = None

    def close(self) -> None:
        """Stop looking."""
        self._closed.set()

    def _look(self) -> None:
        told = None
        while not self._closed.wait(_LOOK):
            since = self._since
            if since is not None and since != told and monotonic() - since > _SECONDS:
                told = since
                self._notify()
