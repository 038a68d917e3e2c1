"""Work in several processes, each with its own copy of the module: an HSM works in parallel, one lock does not.

The PIN was tried once before any worker starts, so none of them can spend a second try on a wrong one. A worker is
started by exec, never by fork: a PKCS#11 module does not survive one. On its standard input come its task as a line of
JSON, the PIN as a line, and then a line of JSON for each job; it says when it is logged in, and answers each job with
one line.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from smime_agent.cli.bulk import NO_JOB, Outcome
from smime_agent.cli.jobs import Job
from smime_agent.errors import PinError, TokenError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_AHEAD = 8  # jobs that a worker has before it has answered the first: it never waits for the parent
_TOKEN_FAILED = TokenError.exit_code


def in_workers(task: dict[str, object], pin: bytes, jobs: Sequence[Job], workers: int) -> Iterator[Outcome]:
    """Do what ``task`` says with each job, in ``workers`` processes; outcomes come as they are ready.

    ``task`` has the ``verb``, and what else that one's half in :mod:`smime_agent.cli.worker` asks for.
    """
    pool = _Pool(jobs)
    processes: list[subprocess.Popen[bytes]] = []
    try:
        processes += [_start() for _ in range(min(workers, len(jobs)))]
        ready, failure = _logged_in(processes, task, pin)
        for process in ready:
            threading.Thread(target=pool.drive, args=(process,), daemon=True).start()
        for _ in ready:
            yield from iter(pool.outcomes.get, None)
        while job := pool.next_job():
            yield replace(failure, job=job)
    finally:
        for process in processes:
            _stop(process)


class _Pool:
    """What the threads that drive the workers share: the jobs that wait, and the outcomes."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._waiting = iter(jobs)
        self._lock = threading.Lock()
        #: Each worker's end is a ``None``.
        self.outcomes: SimpleQueue[Outcome | None] = SimpleQueue()

    def next_job(self) -> Job | None:
        """A job that nobody has."""
        with self._lock:
            return next(self._waiting, None)

    def drive(self, process: subprocess.Popen[bytes]) -> None:
        """Keep one worker busy until there is nothing left, or it dies."""
        given: list[Job] = []
        try:
            while self._give(process, given) and (answer := _read_line(process)):
                self.outcomes.put(_outcome(given.pop(0), answer))
        except (OSError, ValueError):  # it died while it was written to, or was stopped
            pass
        for job in given:
            self.outcomes.put(Outcome(job, _TOKEN_FAILED, "the worker died: its PKCS#11 module crashed or was killed"))
        self.outcomes.put(None)

    def _give(self, process: subprocess.Popen[bytes], given: list[Job]) -> bool:
        """Give a worker as many jobs as it may have; false when it has none and there are none."""
        while len(given) < _AHEAD:
            job = self.next_job()
            if job is None:
                _end(process)  # it may be waiting for more before it answers
                break
            given.append(job)
            _send(process, json.dumps([str(job.message), str(job.output)]).encode())
        return bool(given)


def _logged_in(
    processes: Sequence[subprocess.Popen[bytes]], task: dict[str, object], pin: bytes
) -> tuple[list[subprocess.Popen[bytes]], Outcome]:
    """The workers that are logged in, and what to say of jobs that are left over.

    One after the other, and none works before all are in: SoftHSM rewrites the token's file at each login, and whoever
    reads it then sees half of it. One that the token refuses its PIN is the last to try it.
    """
    ready: list[subprocess.Popen[bytes]] = []
    failure = Outcome(NO_JOB, _TOKEN_FAILED, "not tried: every worker died")
    for process in processes:
        with suppress(OSError):
            _send(process, json.dumps(task).encode(), pin)
        answer = _read_line(process)
        outcome = _outcome(NO_JOB, answer) if answer else failure
        if answer and not outcome.exit_code:
            ready.append(process)
            continue
        failure = outcome
        if outcome.exit_code == PinError.exit_code:
            break
    return ready, failure


def _start() -> subprocess.Popen[bytes]:
    # -P: else Python would look for modules in the current folder first, which may be somebody else's.
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "smime_agent.cli.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def _send(process: subprocess.Popen[bytes], *lines: bytes) -> None:
    if process.stdin:
        process.stdin.write(b"".join(line + b"\n" for line in lines))
        process.stdin.flush()


def _read_line(process: subprocess.Popen[bytes]) -> bytes:
    return process.stdout.readline() if process.stdout else b""


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):  # it may be gone already
        if process.stdin:
            process.stdin.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End of input is the end of a worker; one that does not listen is killed."""
    _end(process)
    try:
        process.wait(timeout=2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()


def _outcome(job: Job, answer: bytes) -> Outcome:
    values: dict[str, Any] = json.loads(answer)
    values |= {name: tuple(values[name]) for name in ("notes", "details")}
    return Outcome(job, **values)
