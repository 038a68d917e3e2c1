"""Many mails in one login, in this process or in several."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING

from smime_agent.api import signing
from smime_agent.api.signing import Format
from smime_agent.cli import ui
from smime_agent.cli.jobs import Job, make_folder, plan_jobs
from smime_agent.errors import SmimeAgentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from smime_agent.api.signing import Signed, SigningToken, SignOptions
    from smime_agent.cli.access import Access


NO_JOB = Job(Path(), Path())  # what a worker's login is the outcome of


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job: an error with its hint and details, or none and perhaps lines that a person should read.

    ``report`` is a line for standard output.
    """

    job: Job
    exit_code: int = 0
    error: str = ""
    hint: str | None = None
    notes: tuple[str, ...] = ()
    report: str = ""
    details: tuple[str, ...] = ()


def sign_many(access: Access, options: SignOptions, messages: Sequence[Path], folder: Path, workers: int | None) -> int:
    """Sign every message into ``folder``; the worst exit code is returned, the failures were listed.

    ``workers`` is what the command line says: processes of this command, and not of the agent.
    """
    suffix = "" if options.form is Format.SMIME else ".p7m" if options.opaque else ".p7s"
    jobs = plan_jobs(messages, folder, "sign", suffix)
    make_folder(folder)
    with ui.Progress(len(jobs), "signing") as progress, ExitStack() as resources:
        failed = list(_noted(_outcomes(access, options, jobs, workers, resources), progress))
    return _report(failed, len(jobs))


def _outcomes(
    access: Access, options: SignOptions, jobs: Sequence[Job], workers: int | None, resources: ExitStack
) -> Iterator[Outcome]:
    """The outcomes, in the way that is fastest here; ``resources`` are closed after the last."""
    if workers is None and (token := access.through_agent()) is not None:
        from smime_agent.cli.threads import sign_in_threads

        tokens = [resources.enter_context(token)]
        while len(tokens) < min(access.config.workers + 1, len(jobs)):
            another = access.through_agent()
            if another is None:  # it has just gone: what is left is told by the first connection
                break
            tokens.append(resources.enter_context(another))
        return sign_in_threads(tokens, options, jobs)
    number = workers or access.config.workers
    if number > 1 and len(jobs) > 1:
        from smime_agent.cli.workers import in_workers

        task, pin = access.verified_login(options)
        return in_workers({"verb": "sign", **task}, pin, jobs, number)
    return sign_jobs(resources.enter_context(access.open_here()), options, jobs)


def sign_jobs(token: SigningToken, options: SignOptions, jobs: Iterable[Job]) -> Iterator[Outcome]:
    """Sign one after the other. Once the token or the PIN fails, the rest is not tried."""
    ours, theirs = tee(jobs)
    results = signing.sign_all((job.message for job in theirs), token, options)
    return (_written(job, result) for job, result in zip(ours, results, strict=True))


def _written(job: Job, result: Signed | SmimeAgentError) -> Outcome:
    if isinstance(result, SmimeAgentError):
        return Outcome(job, result.exit_code, str(result), result.hint)
    try:
        result.write_to(job.output)
    except SmimeAgentError as error:
        return Outcome(job, error.exit_code, str(error), error.hint)
    return Outcome(job, notes=result.notes)


def _noted(outcomes: Iterable[Outcome], progress: ui.Progress) -> Iterator[Outcome]:
    """The failures; warnings are shown as they come."""
    for outcome in outcomes:
        progress.step()
        for text in outcome.notes:
            ui.warning(f"{outcome.job.message}: {text}")
        if outcome.exit_code:
            yield outcome


def _report(failed: Sequence[Outcome], total: int) -> int:
    """List the failures at the end, each hint once."""
    for outcome in failed:
        name = str(outcome.job.message)
        ui.note(f"smime-agent: error: {'' if name in outcome.error else name + ': '}{outcome.error}")
    for hint in dict.fromkeys(outcome.hint for outcome in failed if outcome.hint):
        ui.note(f"hint: {hint}")
    if failed or (sys.stderr is not None and sys.stderr.isatty()):
        ui.note(f"{total - len(failed)} of {total} signed" + (f", {len(failed)} failed" if failed else ""))
    return max((outcome.exit_code for outcome in failed), default=0)
