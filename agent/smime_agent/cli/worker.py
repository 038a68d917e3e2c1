"""One process of several that sign or decrypt: see :mod:`smime_agent.cli.workers`, which starts it."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from smime_agent.algorithms import Digest, Padding
from smime_agent.api.signing import Format, SignOptions, open_token
from smime_agent.certificates.chains import stored_chain
from smime_agent.cli import ui
from smime_agent.cli.bulk import NO_JOB, Outcome, sign_jobs
from smime_agent.cli.jobs import Job
from smime_agent.cli.main import silence_destructors, unexpected
from smime_agent.config import data_directory
from smime_agent.errors import SmimeAgentError
from smime_agent.files import write_all
from smime_agent.keys import Pin, PinRequest

_Outcomes = Callable[[Iterable[Job]], Iterator[Outcome]]
#: Where the parent reads: a module that prints must not print into our answers.
_ANSWERS = os.dup(1)


class _Given:
    """A prompter that was given the PIN at the start."""

    def __init__(self, pin: bytes) -> None:
        self._pin = pin

    def pin(self, request: PinRequest) -> Pin:  # noqa: ARG002 - the same for every request
        """The PIN."""
        return Pin(self._pin)

    def pad(self, token: str) -> None:
        """Tell the person, past the parent."""
        ui.TerminalPrompter().pad(token)

    def touch(self, token: str) -> None:
        """Tell the person, past the parent."""
        ui.TerminalPrompter().touch(token)


def work() -> None:
    """Read the task, log in, and answer the login and every job with a line."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it and closes our input
    lines = sys.stdin.buffer
    line = lines.readline()
    if not line:  # another one's PIN was refused, and this one is not to try it
        return
    task = json.loads(line)
    prompter = _Given(lines.readline().rstrip(b"\n"))
    begin = {"sign": _signing, "decrypt": _decrypting}[task["verb"]]
    with ExitStack() as resources:
        try:
            outcomes = resources.enter_context(begin(task, prompter))
        except SmimeAgentError as error:
            _answer(Outcome(NO_JOB, error.exit_code, str(error), error.hint))
            return
        _answer(Outcome(NO_JOB))
        for outcome in outcomes(_jobs()):
            _answer(outcome)


@contextmanager
def _signing(task: dict[str, Any], prompter: _Given) -> Iterator[_Outcomes]:
    options = SignOptions(
        form=Format(task["form"]),
        opaque=task["opaque"],
        again=task["again"],
        key=task["key"],
        digest=task["digest"] and Digest(task["digest"]),
        padding=task["padding"] and Padding(task["padding"]),
    )
    chain = stored_chain(data_directory())
    with open_token(task["token"], module=task["module"], pin_from=prompter, extra_chain=chain) as token:
        yield lambda jobs: sign_jobs(token, options, jobs)


@contextmanager
def _decrypting(task: dict[str, Any], prompter: _Given) -> Iterator[_Outcomes]:
    from smime_agent.cli.bulk_decryption import decrypting_in_worker

    with decrypting_in_worker(task, prompter) as outcomes:
        yield outcomes


def _jobs() -> Iterator[Job]:
    for line in iter(sys.stdin.buffer.readline, b""):
        message, output = json.loads(line)
        yield Job(Path(message), Path(output))


def _answer(outcome: Outcome) -> None:
    values = asdict(outcome)
    del values["job"]
    write_all(_ANSWERS, [json.dumps(values).encode() + b"\n"])


if __name__ == "__main__":
    silence_destructors()
    os.dup2(2, 1)
    try:
        work()
    except Exception as error:  # noqa: BLE001 - the one place where all ends, in this process
        unexpected(error)
    sys.stdout.flush()
    os._exit(0)
