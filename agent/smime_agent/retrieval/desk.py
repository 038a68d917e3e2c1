"""What is known already, in memory or on the disk, and what is kept of what comes in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smime_agent.retrieval.answers import UnavailableError

if TYPE_CHECKING:
    from datetime import datetime

    from smime_agent.retrieval.answers import Answer, Question
    from smime_agent.retrieval.cache import DiskCache
    from smime_agent.retrieval.inquiry import Course
    from smime_agent.retrieval.limits import Limits
    from smime_agent.retrieval.memory import Memory


class Desk:
    """Answers questions at the time ``now`` from what was learned, in this run or before it."""

    def __init__(self, memory: Memory, disk: DiskCache, limits: Limits, now: datetime, *, offline: bool) -> None:
        self._memory = memory
        self._disk = disk
        self._limits = limits
        self._now = now
        self._offline = offline

    def advance(self, course: Course, answer: Answer | UnavailableError | None = None) -> Question | None:
        """The next question that only the net can answer; those before it are answered with what is known."""
        try:
            question = course.send(answer)  # type: ignore[arg-type]  # nothing starts it
            while known := self.known(question):
                question = course.send(known)
        except StopIteration:
            return None
        return question

    def known(self, question: Question) -> Answer | UnavailableError | None:
        """An answer that may still be used, or why it is no use to ask; nothing if the net has to be asked."""
        try:
            key = question.key
        except UnavailableError as error:
            return error
        if answer := self._memory.answer(key, self._now):
            return answer
        if text := self._memory.failure(key, self._now):
            return UnavailableError(text)
        if answer := self._on_disk(question):
            return answer
        text = self._memory.failure(question.origin, self._now)
        if text is None and self._offline:
            text = f"nothing current is kept of {question.host}, and it is not asked"
        if text is None:
            return None
        self._memory.fail(key, text, self._now + self._limits.retry_after)  # the disk need not be asked again
        return UnavailableError(text)

    def learn(self, question: Question, octets: bytes) -> Answer | UnavailableError:
        """What a server sent, judged; it is kept if it is beyond doubt and current, and else only for a while."""
        try:
            answer = question.judge(octets, self._now)
        except UnavailableError as error:
            self.fail(question, error)
            return error
        until = question.kept_until(answer, self._now, self._limits)
        if answer.doubt or answer.objection(self._now, self._now, self._limits):
            self._memory.keep(question.key, answer, self._now + self._limits.retry_after)
        else:
            self._memory.keep(question.key, answer, until)
            self._disk.write(question.key, answer.octets, self._now)
        return answer

    def fail(self, question: Question, error: UnavailableError) -> None:
        """Leave this question alone for a while, and all others to the same server if it cannot be reached."""
        until = self._now + self._limits.retry_after
        self._memory.fail(question.key, str(error), until)
        if error.is_unreachable:
            self._memory.fail(question.origin, str(error), until)

    def _on_disk(self, question: Question) -> Answer | None:
        most, _ = question.bounds(self._limits)
        kept = self._disk.read(question.key, most)
        if kept is None:
            return None
        octets, fetched = kept
        try:
            answer = question.recall(octets)
        except UnavailableError:
            return None
        until = question.kept_until(answer, fetched, self._limits)
        is_current = fetched <= self._now + self._limits.clock_skew and self._now < until
        if not is_current or answer.objection(self._now, self._now, self._limits):
            return None
        self._memory.keep(question.key, answer, until)
        return answer
