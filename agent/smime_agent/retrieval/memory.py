"""What one run has learned: answers, and who does not answer."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from smime_agent.retrieval.answers import Answer

_MAXIMUM_FAILURES: Final = 4096
#: What an answer takes besides its octets.
_OVERHEAD: Final = 1024


class Memory:
    """Answers and failures, each until some time; of the answers those that were used last, within a bound."""

    def __init__(self, octets: int) -> None:
        """Keep answers of so many octets together."""
        self._octets = octets
        self._used = 0
        self._answers: OrderedDict[str, tuple[Answer, datetime]] = OrderedDict()
        self._failures: OrderedDict[str, tuple[str, datetime]] = OrderedDict()

    def answer(self, key: str, now: datetime) -> Answer | None:
        """The answer of that key, if it may still be used."""
        answer, until = self._answers.get(key, (None, now))
        if answer is None:
            return None
        if now >= until:
            self._forget(key)
            return None
        self._answers.move_to_end(key)
        return answer

    def keep(self, key: str, answer: Answer, until: datetime) -> None:
        """Keep an answer, and forget those that were not used for longest."""
        self._forget(key)
        self._failures.pop(key, None)
        self._answers[key] = answer, until
        self._used += len(answer.octets) + _OVERHEAD
        while self._used > self._octets and len(self._answers) > 1:
            self._forget(next(iter(self._answers)))

    def failure(self, key: str, now: datetime) -> str | None:
        """Why a question or a server failed, if it is too early to ask again."""
        text, until = self._failures.get(key, (None, now))
        return text if now < until else None

    def fail(self, key: str, text: str, until: datetime) -> None:
        """Keep in mind that a question or a server failed."""
        self._failures.pop(key, None)
        self._failures[key] = text, until
        while len(self._failures) > _MAXIMUM_FAILURES:
            self._failures.popitem(last=False)

    def _forget(self, key: str) -> None:
        answer, _ = self._answers.pop(key, (None, None))
        if answer is not None:
            self._used -= len(answer.octets) + _OVERHEAD
