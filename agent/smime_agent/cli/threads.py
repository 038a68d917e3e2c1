"""Many mails signed through the agent: while it has one signed, the next is read and the last is written.

Each thread has a connection of its own. The agent decides how many signatures are made at once.
"""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

from smime_agent.cli.bulk import sign_jobs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from smime_agent.api.signing import SigningToken, SignOptions
    from smime_agent.cli.bulk import Outcome
    from smime_agent.cli.jobs import Job


def sign_in_threads(tokens: Sequence[SigningToken], options: SignOptions, jobs: Sequence[Job]) -> Iterator[Outcome]:
    """Sign each; outcomes come as they are ready. Once the token or the PIN fails, the rest is not tried."""
    shared = _Shared(jobs)
    first, *others = [sign_jobs(token, options, shared) for token in tokens]
    for outcome in first:  # alone: a PIN that is refused is asked for by one, and once
        yield outcome
        if not outcome.exit_code:  # else the token may not have been asked for anything yet
            break
    outcomes: SimpleQueue[Outcome | Exception | None] = SimpleQueue()
    threads = [threading.Thread(target=_drain, args=(one, outcomes), daemon=True) for one in (first, *others)]
    for thread in threads:
        thread.start()
    for _ in threads:
        while (found := outcomes.get()) is not None:
            if isinstance(found, Exception):  # else its mail would be missing, and be counted as signed
                raise found
            yield found


def _drain(outcomes: Iterator[Outcome], into: SimpleQueue[Outcome | Exception | None]) -> None:
    try:
        for outcome in outcomes:
            into.put(outcome)
    except Exception as error:  # noqa: BLE001 - the thread that waits raises it
        into.put(error)
    finally:
        into.put(None)


class _Shared:
    """Jobs of which each is taken by one thread."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = iter(jobs)
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[Job]:
        return self

    def __next__(self) -> Job:
        with self._lock:
            return next(self._jobs)
