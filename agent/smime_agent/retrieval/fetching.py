"""All questions of one gathering at once, on a loop of its own. asyncio and aiohttp are loaded with this module."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from smime_agent.retrieval.answers import UnavailableError
from smime_agent.retrieval.client import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from smime_agent.retrieval.answers import Answer, Question
    from smime_agent.retrieval.desk import Desk
    from smime_agent.retrieval.inquiry import Course
    from smime_agent.retrieval.limits import Limits


def fetch_all(
    desk: Desk,
    waiting: Sequence[tuple[Course, Question]],
    limits: Limits,
    on_fetch: Callable[[str], None] | None,
) -> None:
    """Pursue all courses at the same time, to their ends or until the time for all is over."""

    def run() -> None:
        asyncio.run(_fetch_all(desk, waiting, limits, on_fetch))

    if _is_in_a_loop():  # whose owner called us from a coroutine: it waits, as for any call that is not one
        with ThreadPoolExecutor(1) as pool:
            pool.submit(run).result()
    else:
        run()


def _is_in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _fetch_all(
    desk: Desk,
    waiting: Sequence[tuple[Course, Question]],
    limits: Limits,
    on_fetch: Callable[[str], None] | None,
) -> None:
    locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
    async with Client(limits, on_fetch) as client:
        pursuits = [_Pursuit(desk, client, limits, locks).pursue(course, question) for course, question in waiting]
        tasks = [asyncio.create_task(pursuit) for pursuit in pursuits]
        _, late = await asyncio.wait(tasks, timeout=limits.together)
        for task in late:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):  # a cancelled one has said what it missed
                raise outcome


class _Pursuit:
    """One course in its task."""

    def __init__(self, desk: Desk, client: Client, limits: Limits, locks: defaultdict[str, asyncio.Lock]) -> None:
        self._desk = desk
        self._client = client
        self._limits = limits
        self._locks = locks

    async def pursue(self, course: Course, first: Question) -> None:
        """Fetch what a course asks for, until it asks no more."""
        question: Question | None = first
        while question:
            try:
                async with self._locks[question.key]:  # two courses may ask the same: one of them fetches
                    answer = self._desk.known(question) or await self._ask(question)
            except asyncio.CancelledError:
                text = f"{question.host} did not answer within the {self._limits.together:g} seconds for all"
                error = UnavailableError(text, is_unreachable=True)
                self._desk.fail(question, error)
                with suppress(StopIteration):
                    course.send(error)
                raise
            question = self._desk.advance(course, answer)

    async def _ask(self, question: Question) -> Answer | UnavailableError:
        most, _ = question.bounds(self._limits)
        try:
            octets = await self._client.fetch(question.url, question.body, most)
        except UnavailableError as error:
            self._desk.fail(question, error)
            return error
        return self._desk.learn(question, octets)
