"""The workers of one token, and whose turn it is with them: one for a card, several for an HSM.

The first lane asks for the PIN and logs in; where there are others, it hands the PIN on to their workers through pipes
that the agent makes and never reads. They work for as long as the login lasts. A lane whose worker fails costs one
answer, and is out of use until the next login unless it is the only one.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from smime_agent.daemon.logins import clock
from smime_agent.daemon.turns import Turns
from smime_agent.errors import AgentError, LoginEndedError, SmimeAgentError, TokenError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Sequence

    from smime_agent.daemon.places import TokenPlace
    from smime_agent.daemon.requester import Requester
    from smime_agent.daemon.workers import WorkerProcess

_Answer = TypeVar("_Answer")
#: What waits for one token, of all clients.
MOST_WAITING: Final = 1024


class ElsewhereError(Exception):
    """This is for the first lane: the job is queued again."""


class StartWorker(Protocol):
    """Starts a worker for a module: see :meth:`.WorkerProcess.start`."""

    def __call__(self, module: str, relays: Sequence[int], relay: int | None) -> Awaitable[WorkerProcess]:
        """With these descriptors to hand a PIN on, or this one to get it."""
        ...


@dataclass(slots=True, eq=False)
class Lane:
    """One worker and what it does now. It takes a turn when it is ``open``."""

    worker: WorkerProcess | None = None
    job: Job | None = None
    open: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_alive(self) -> bool:
        """Its worker runs."""
        return self.worker is not None and not self.worker.is_ended

    def end(self, because: SmimeAgentError) -> None:
        """End its worker."""
        worker, self.worker = self.worker, None
        if worker is not None:
            worker.end(because)


@dataclass(slots=True, eq=False)
class Job:
    """What one client wants of a token; ``run`` is called with the lane when it is its turn."""

    requester: Requester
    run: Callable[[Lane], Awaitable[Any]]
    answer: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def fail(self, error: SmimeAgentError) -> None:
        """Answer with an error, unless who asked has gone."""
        if not self.answer.done():
            self.answer.set_exception(error)


class Lanes:
    """The queue of a token, and the lanes that serve it."""

    def __init__(self, place: TokenPlace, number: int, seconds: float, start: StartWorker) -> None:
        """Serve the token at ``place`` with as many as ``number`` workers, which ``start`` starts."""
        self.place = place
        self._seconds, self._start = seconds, start
        self._turns: Turns[Hashable, Job] = Turns()
        self.lanes = [Lane() for _ in range(number)]
        self.first.open.set()
        self._pipes: list[int] = []  # where the first worker hands on the PIN, for the others to read
        self._ends = 0  # how often all workers were ended
        self._closed: SmimeAgentError | None = None
        self.last_used = clock()
        self._tasks = [asyncio.create_task(self._serve(lane)) for lane in self.lanes]

    @property
    def first(self) -> Lane:
        """The lane that logs in."""
        return self.lanes[0]

    @property
    def waiting(self) -> int:
        """How many wait, or are served."""
        return len(self._turns) + sum(lane.job is not None for lane in self.lanes)

    @property
    def workers(self) -> list[int]:
        """The numbers of the workers that run."""
        return [lane.worker.pid for lane in self.lanes if lane.worker is not None and lane.is_alive]

    async def do(self, requester: Requester, run: Callable[[Lane], Awaitable[_Answer]]) -> _Answer:
        """What ``run`` gives, once it is its turn.

        Raises:
            TokenError: too many wait already.
            SmimeAgentError: whatever ``run`` raises, or why nobody is served any more.
        """
        if self._closed is not None:
            raise self._closed
        if len(self._turns) >= MOST_WAITING:
            raise TokenError(f"{self.place.name} is busy: {MOST_WAITING} operations wait for it")
        job = Job(requester, run)
        self._turns.put(requester.client, job)
        try:
            answer: _Answer = await job.answer
        except asyncio.CancelledError:
            job.answer.cancel()
            requester.is_gone = True
            for lane in self.lanes:
                if lane.job is job and requester.is_asked:  # nobody is there to answer the dialogue
                    lane.end(LoginEndedError("the program that asked has gone"))
            raise
        return answer

    async def _serve(self, lane: Lane) -> None:
        while True:
            await lane.open.wait()
            job = await self._turns.get()
            if job.answer.done():  # who asked has gone
                continue
            if not lane.open.is_set():  # it was closed meanwhile
                self._turns.put(job.requester.client, job)
                continue
            lane.job = job
            try:
                result = await job.run(lane)
            except ElsewhereError:
                self._turns.put(job.requester.client, job)
            except SmimeAgentError as error:
                job.fail(error)
            except Exception as error:  # noqa: BLE001 - a bug of ours costs one answer
                job.fail(AgentError(f"this is a bug in the agent: {type(error).__name__}"))
            else:
                if not job.answer.done():
                    job.answer.set_result(result)
            finally:
                lane.job = None
                self.last_used = clock()

    async def worker(self, lane: Lane) -> WorkerProcess:
        """The worker of a lane, which is started if there is none.

        Raises:
            TokenError: it does not start, or the token is not there.
        """
        if lane.worker is None or lane.worker.is_ended:
            if lane is not self.first:
                lane.open.clear()  # else it would take the same job again, for ever
                raise ElsewhereError
            relays = [os.pipe() for _ in self.lanes[1:]]
            self._close_pipes()
            self._pipes = [reading for reading, _ in relays]
            try:
                lane.worker = await self._bound([writing for _, writing in relays], None)
            finally:
                for _, writing in relays:
                    os.close(writing)
        return lane.worker

    async def widen(self) -> None:
        """Start the other lanes, once the first is logged in."""
        pipes, self._pipes = self._pipes, []
        waiting = [lane for lane in self.lanes[1:] if not lane.is_alive]
        try:
            await asyncio.gather(*(self._enlist(lane, pipe) for lane, pipe in zip(waiting, pipes, strict=False)))
        finally:
            for pipe in pipes:
                os.close(pipe)

    async def _enlist(self, lane: Lane, pipe: int) -> None:
        """A lane that cannot work is none: the others do its work."""
        ends = self._ends
        with suppress(SmimeAgentError):
            worker = await self._bound((), pipe)
            try:
                await worker.call("join", seconds=self._seconds)
            except BaseException:
                worker.end()
                raise
            if ends != self._ends:  # the login has ended meanwhile
                worker.end()
                return
            lane.worker = worker
            lane.open.set()

    async def _bound(self, relays: Sequence[int], relay: int | None) -> WorkerProcess:
        worker = await self._start(self.place.module, relays, relay)
        try:
            await worker.call("bind", seconds=self._seconds, token=self.place.values())
        except BaseException:
            worker.end()
            raise
        return worker

    def failed(self, lane: Lane) -> bool:
        """A lane has lost its worker. Whether no other has one."""
        lane.worker = None
        alive = any(one.is_alive for one in self.lanes)
        if alive:
            lane.open.clear()
        return not alive

    def end(self, because: SmimeAgentError) -> None:
        """End all workers at once; what they do ends with ``because``."""
        self._ends += 1
        for lane in self.lanes:
            lane.end(because)
            lane.open.clear()
        self.first.open.set()
        self._close_pipes()

    def close(self, because: SmimeAgentError) -> None:
        """Serve nobody any more; whoever waits, or comes later, is told ``because``."""
        self._closed = because
        self.end(because)
        for task in self._tasks:
            task.cancel()
        for job in [*(lane.job for lane in self.lanes if lane.job is not None), *self._turns.drain()]:
            job.fail(because)

    def _close_pipes(self) -> None:
        pipes, self._pipes = self._pipes, []
        for pipe in pipes:
            os.close(pipe)
