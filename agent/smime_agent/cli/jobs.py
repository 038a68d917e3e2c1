"""Many messages: which there are, and where their results go."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smime_agent.cli.messages import expanded
from smime_agent.errors import FileError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Job:
    """One mail: where it is, and where its result goes."""

    message: Path
    output: Path


def plan_jobs(messages: Sequence[Path], folder: Path, verb: str, suffix: str = "") -> list[Job]:
    """What is to be done (``verb``) and under which name; a folder stands for the mails in it.

    Raises:
        UsageError: there is none, two would have one name, or a result would overwrite a message.
    """
    if any(str(path) == "-" for path in messages):
        msg = "standard input has no name to write its result under"
        raise UsageError(msg, hint="leave --output-dir out, or name files")
    jobs = [Job(path, folder / (path.name + suffix)) for path in expanded(messages)]
    if not jobs:
        msg = f"there is no message to {verb}"
        raise UsageError(msg, hint="name mails, or a folder that holds some")
    by_name: dict[str, Job] = {}
    for job in jobs:
        if job.output.name in by_name:
            msg = f"{by_name[job.output.name].message} and {job.message} would both be written to {job.output}"
            raise UsageError(msg, hint=f"{verb} them in two runs, with two output folders")
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


def make_folder(folder: Path) -> None:
    """Make the folder for results, if it is not there.

    Raises:
        FileError: it cannot be made, or not be written into.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"cannot make the folder {folder}: {error.strerror}"
        raise FileError(msg) from error
    if not os.access(folder, os.W_OK):
        msg = f"cannot write into the folder {folder}: permission denied"
        raise FileError(msg)
