"""Many mails in one login, in this process or in several."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING

from smime_agent.api import signing
from smime_agent.api.signing import Format
from smime_agent.cli import ui
from smime_agent.cli.messages import expanded
from smime_agent.errors import FileError, SmimeAgentError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from smime_agent.api.signing import OpenToken, Signed, SignOptions
    from smime_agent.cli.options import Access


@dataclass(frozen=True, slots=True)
class Job:
    """One mail: where it is, and where its result goes."""

    message: Path
    output: Path


NO_JOB = Job(Path(), Path())  # what a worker's login is the outcome of


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job: exit code 0 and perhaps warnings, or an error with its hint."""

    job: Job
    exit_code: int = 0
    error: str = ""
    hint: str | None = None
    notes: tuple[str, ...] = ()


def sign_many(access: Access, options: SignOptions, messages: Sequence[Path], folder: Path, workers: int) -> int:
    """Sign every message into ``folder``; the worst exit code is returned, the failures were listed."""
    jobs = plan_jobs(messages, folder, options)
    _make_folder(folder)
    with ui.Progress(len(jobs), "signing") as progress:
        if workers > 1 and len(jobs) > 1:
            from smime_agent.cli.workers import sign_in_workers

            failed = list(_noted(sign_in_workers(access, options, jobs, min(workers, len(jobs))), progress))
        else:
            with access.open() as token:
                failed = list(_noted(sign_jobs(token, options, jobs), progress))
    return _report(failed, len(jobs))


def plan_jobs(messages: Sequence[Path], folder: Path, options: SignOptions) -> list[Job]:
    """What is to be signed and under which name; a folder stands for the mails in it.

    Raises:
        UsageError: there is none, two would have one name, or a result would overwrite a message.
    """
    suffix = "" if options.form is Format.SMIME else ".p7m" if options.opaque else ".p7s"
    if any(str(path) == "-" for path in messages):
        msg = "standard input has no name to write its result under"
        raise UsageError(msg, hint="leave --output-dir out, or name files")
    jobs = [Job(path, folder / (path.name + suffix)) for path in expanded(messages)]
    if not jobs:
        msg = "there is no message to sign"
        raise UsageError(msg, hint="name mails, or a folder that holds some")
    by_name: dict[str, Job] = {}
    for job in jobs:
        if job.output.name in by_name:
            msg = f"{by_name[job.output.name].message} and {job.message} would both be written to {job.output}"
            raise UsageError(msg, hint="sign them in two runs, with two output folders")
        by_name[job.output.name] = job
    _refuse_to_overwrite_messages(jobs, folder)
    return jobs


def _refuse_to_overwrite_messages(jobs: Sequence[Job], folder: Path) -> None:
    """A result may stand where its own message is, or another one under a second name."""
    present = [job.output for job in jobs if job.output.exists()] if folder.is_dir() else []
    files = {_identity(job.message) for job in jobs} if present else set()
    for output in present:
        if _identity(output) in files:
            msg = f"{output} would overwrite a message that is to be read"
            raise UsageError(msg, hint="choose another folder for the results")


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file is meant, whatever it is called; nothing where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def sign_jobs(token: OpenToken, options: SignOptions, jobs: Iterable[Job]) -> Iterator[Outcome]:
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


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"cannot make the folder {folder}: {error.strerror}"
        raise FileError(msg) from error
    if not os.access(folder, os.W_OK):
        msg = f"cannot write into the folder {folder}: permission denied"
        raise FileError(msg)


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
