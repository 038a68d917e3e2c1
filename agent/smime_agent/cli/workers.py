"""Signing in several processes, each with the module and a login of its own: an HSM works in parallel, one lock does not.

The PIN was tried once before any worker starts, so none of them can spend a second try on a wrong one. A worker is
started by exec, never by fork: a PKCS#11 module does not survive one. On its standard input come its task as a line of
JSON, the PIN as a line, and then a line of JSON for each job; it answers each job with one line.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

from smime_agent.cli.bulk import Job, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from smime_agent.api import SignOptions
    from smime_agent.cli.options import Access

_AHEAD = 8  # jobs that a worker has before it has answered the first: it never waits for the parent
_TOKEN_FAILED = 8


def sign_in_workers(access: Access, options: SignOptions, jobs: Sequence[Job], workers: int) -> Iterator[Outcome]:
    """Sign in ``workers`` processes; outcomes come as they are ready."""
    task, pin = access.verified_login(options)
    waiting = iter(jobs)
    outcomes: SimpleQueue[Outcome | None] = SimpleQueue()
    lock = threading.Lock()

    def next_job() -> Job | None:
        with lock:
            return next(waiting, None)

    def drive(process: subprocess.Popen[bytes]) -> None:
        """Keep one worker busy until there is nothing left, or it dies."""
        given: list[Job] = []
        try:
            while True:
                while len(given) < _AHEAD and (job := next_job()):
                    given.append(job)
                    _send(process, json.dumps([str(job.message), str(job.output)]).encode())
                if not given:
                    return
                answer = process.stdout.readline() if process.stdout else b""
                if not answer:
                    return
                outcomes.put(_outcome(given.pop(0), answer))
        except OSError:  # it died while it was written to
            return
        finally:
            for job in given:
                outcomes.put(Outcome(job, _TOKEN_FAILED, "the worker died: its PKCS#11 module crashed or was killed"))
            outcomes.put(None)

    processes = [_start(task, pin) for _ in range(workers)]
    threads = [threading.Thread(target=drive, args=(process,), daemon=True) for process in processes]
    for thread in threads:
        thread.start()
    try:
        for _ in threads:
            yield from iter(outcomes.get, None)
        while job := next_job():
            yield Outcome(job, _TOKEN_FAILED, "not tried: every worker died")
    finally:
        for process in processes:
            _stop(process)


def _start(task: dict[str, object], pin: bytes) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(  # noqa: S603 - this very program
        [sys.executable, "-m", "smime_agent.cli.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    _send(process, json.dumps(task).encode(), pin)
    return process


def _send(process: subprocess.Popen[bytes], *lines: bytes) -> None:
    if process.stdin:
        process.stdin.write(b"".join(line + b"\n" for line in lines))
        process.stdin.flush()


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End of input is the end of a worker; one that does not listen is killed."""
    try:
        if process.stdin:
            process.stdin.close()
    except OSError:
        pass  # it is gone already
    try:
        process.wait(timeout=2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()


def _outcome(job: Job, answer: bytes) -> Outcome:
    values = json.loads(answer)
    return Outcome(job, values["exit_code"], values["error"], values["hint"], tuple(values["notes"]))
