"""Messages encrypted: what is asked before, what is told, and where the results go."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from smime_agent.api.encrypting import Addressing, Encrypted, EncryptOptions, Encryptor
from smime_agent.api.signing import Format
from smime_agent.certificates.chains import stored_chain
from smime_agent.certificates.contacts import Contacts, contacts_folder
from smime_agent.certificates.history import History, history_path
from smime_agent.cli import ui
from smime_agent.cli.explanation import explanation, plan_as_json
from smime_agent.cli.jobs import Job, make_folder, plan_jobs
from smime_agent.cli.messages import expanded
from smime_agent.cli.output import check_output, open_source, refuse_same_file, write_result
from smime_agent.cli.trust import warn_of_no_anchors
from smime_agent.cli.verification import tell_host
from smime_agent.config import data_directory
from smime_agent.errors import SmimeAgentError, UsageError, ends_the_run, not_tried
from smime_agent.smime.choosing import Given
from smime_agent.x509 import InvalidCertificateError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from smime_agent.api.planning import Plan
    from smime_agent.api.signing import SigningToken
    from smime_agent.cli.access import Access

#: What follows the name of a file whose result is no mail.
_SUFFIXES: Final = {Format.SMIME: "", Format.DER: ".p7m", Format.PEM: ".pem"}
_STANDARD_INPUT: Final = Path("/dev/stdin")


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be done with each message. ``files`` were named too, and must not be overwritten.

    With ``explain`` nothing is written. ``output`` is for one message alone; with neither it nor ``output_dir`` the
    result goes to standard output.
    """

    options: EncryptOptions
    addressing: Addressing
    output: Path | None
    output_dir: Path | None
    files: tuple[Path, ...]
    explain: bool
    json: bool


def encrypt_messages(task: Task, access: Access | None, paths: Sequence[Path]) -> int:
    """Encrypt each, or tell how it would be; with ``access`` they are signed first. The exit code is returned.

    Where there is one message, what goes wrong is raised; of several, the failures are listed.
    """
    task = _checked(task)
    if len(paths) <= 1 and not any(path.is_dir() for path in paths):
        path = paths[0] if paths and str(paths[0]) != "-" else None
        if not task.explain:
            _check_places(task, path)
        with ExitStack() as resources:
            _Work(task, access, resources).encrypt(path, _job_output(task, path), ui.warning)
        return 0
    jobs = _planned(task, paths)
    worst, done = 0, 0
    broken: SmimeAgentError | None = None
    with ui.Progress(len(jobs), "encrypting") as progress, ExitStack() as resources:
        work = _Work(task, access, resources, [job.output for job in jobs])
        for job in jobs:
            try:
                if broken is not None:
                    raise not_tried(broken)
                work.encrypt(job.message, job.output, _warning_of(job.message, progress))
                done += 1
            except SmimeAgentError as error:
                worst = max(worst, error.exit_code)
                broken = broken or (error if ends_the_run(error) else None)
                progress.pause()
                _tell_failure(job.message, error)
            progress.step()
    if done < len(jobs) or (sys.stderr is not None and sys.stderr.isatty()):
        ui.note(f"{done} of {len(jobs)} {'could be ' * task.explain}encrypted")
    return worst


class _Work:
    """What is kept from one message to the next: what is known of certificates, and the login of a token."""

    def __init__(self, task: Task, access: Access | None, resources: ExitStack, outputs: Sequence[Path] = ()) -> None:
        self._task, self._access, self._resources = task, access, resources
        self._taken = set(outputs)
        self._token: SigningToken | None = None
        data = data_directory()
        self._encryptor = Encryptor(
            task.options, Contacts(contacts_folder(data)), own=_own(data), chain=stored_chain(data), on_fetch=tell_host
        )
        warn_of_no_anchors(trusts_anybody=self._encryptor.trusts_anybody)

    def encrypt(self, path: Path | None, output: Path | None, warn: Callable[[str], None]) -> None:
        """Encrypt one message, to ``output`` or to standard output, or tell how it would be."""
        task, plan = self._task, None
        name = None if path is None else str(path)
        try:
            with open_source(path) as source:
                prepared = self._encryptor.prepare(source)
                plan = self._encryptor.plan(prepared, task.addressing)
                if task.explain:
                    self._explain(plan, name)
                    return
                plan = plan.accepted(task.options.accept, force=task.options.force)
                _check_number(plan, task)
                if self._access is not None and self._token is None:
                    self._token = self._resources.enter_context(self._access.open())
                messages = self._encryptor.encrypt_prepared(prepared, plan, self._token)
                notes = tuple(dict.fromkeys(note for message in messages for note in message.notes))
                for text in notes:
                    warn(text)
                outputs = self._write(messages, path, output)
        except SmimeAgentError as error:
            if task.json:
                known = plan.messages() if plan is not None else ()
                missing, told = (plan.missing, plan.notes) if plan is not None else ((), ())
                _print(plan_as_json(known, name, missing=missing, notes=told, error=error))
            raise
        if task.json:
            planned = [message.plan for message in messages]
            _print(plan_as_json(planned, name, outputs=outputs, notes=notes, encrypted=True))

    def _explain(self, plan: Plan, name: str | None) -> None:
        """Tell, and end as encrypting would."""
        if not self._task.json:
            heading = (f"{name}:",) if self._taken else ()  # there are several
            ui.out(*heading, *explanation(plan, signs=self._access is not None))
        accepted = plan.accepted(self._task.options.accept, force=self._task.options.force)
        if self._task.json:
            messages = accepted.messages()
            warnings = (text for message in messages for text in message.negotiated.warnings)
            _print(plan_as_json(messages, name, notes=(*accepted.notes, *warnings)))

    def _write(self, messages: Sequence[Encrypted], path: Path | None, output: Path | None) -> list[Path | None]:
        """Write the messages, all of them or none; where they are is returned."""
        if self._task.output_dir is None or output is None:
            write_result(messages[0].chunks, output, size=messages[0].at_least)
            return [output]
        places = [output if not message.plan.name else _beside(output, message.plan.name) for message in messages]
        for place in places:
            if place != output and place in self._taken:
                msg = f"two messages would be written to {place}"
                raise UsageError(msg, hint="encrypt them in two runs, with two output folders")
            for given in (path or _STANDARD_INPUT, *self._task.files):
                refuse_same_file(given, place)
        make_folder(self._task.output_dir)
        _write_all(messages, places)
        self._taken.update(places)
        if len(messages) > 1 and not self._task.json:
            for message, place in zip(messages, places, strict=True):
                if message.plan.name:
                    ui.note(f"{place} is for {message.plan.people[0].name} alone")
        return [*places]


def _write_all(messages: Sequence[Encrypted], places: Sequence[Path]) -> None:
    written: list[Path] = []
    try:
        for message, place in zip(messages, places, strict=True):
            message.write_to(place)
            written.append(place)
    except BaseException:
        for place in written:
            with suppress(OSError):
                os.unlink(place)  # noqa: PTH108 - as in files.py
        raise


def _checked(task: Task) -> Task:
    """The task, with standard output for ``-``.

    Raises:
        UsageError: it contradicts itself.
    """
    if task.output is not None and task.output_dir is not None:
        msg = "-o and --output-dir exclude each other"
        raise UsageError(msg)
    output = None if task.output == Path("-") else task.output
    if task.json and not task.explain and output is None and task.output_dir is None:
        msg = "the JSON goes to standard output, so the message cannot"
        raise UsageError(msg, hint="name a file with -o, or a folder with --output-dir")
    return replace(task, output=output)


def _own(data: Path) -> list[Given]:
    """The certificates that were seen on tokens with their keys: those of whoever runs this, the newest first."""
    found: list[Given] = []
    for seen in History(history_path(data), ui.warning).entries():
        with suppress(InvalidCertificateError):
            if seen.has_key and seen.certificate.permits_encryption:
                found.append(Given(seen.certificate, seen.token_name))
    return sorted(found, key=lambda one: one.certificate.not_before, reverse=True)


def _check_places(task: Task, path: Path | None) -> None:
    """Refuse a place that will not take the result before anything is asked.

    Raises:
        UsageError, FileError: it would overwrite what was named, or cannot be written.
    """
    if task.output_dir is None:
        check_output(task.output, binary=task.options.form is Format.DER)
    if task.output is not None:
        for given in (path or _STANDARD_INPUT, *task.files):
            refuse_same_file(given, task.output)


def _planned(task: Task, paths: Sequence[Path]) -> list[Job]:
    """Each message, and where its result goes.

    Raises:
        UsageError: there is no folder for the results, or one would overwrite something.
        FileError: the folder cannot be made or written.
    """
    if task.explain:
        return [Job(path, path) for path in expanded(paths)]
    if task.output_dir is None:
        several = f"{len(paths)} messages" if len(paths) > 1 else f"{paths[0]} is a folder, and its messages"
        msg = f"{several} need --output-dir"
        raise UsageError(msg, hint="the results keep the names of the messages there")
    jobs = plan_jobs(paths, task.output_dir, "encrypt", _SUFFIXES[task.options.form])
    make_folder(task.output_dir)
    return jobs


def _job_output(task: Task, path: Path | None) -> Path | None:
    if task.output_dir is None:
        return task.output
    return task.output_dir / ((path.name if path is not None else "mail.eml") + _SUFFIXES[task.options.form])


def _beside(output: Path, name: str) -> Path:
    """``mail.bcc-1.eml`` beside ``mail.eml``."""
    return output.with_name(f"{output.stem}.{name}{output.suffix}")


def _check_number(plan: Plan, task: Task) -> None:
    """Raise ``UsageError`` if there are several messages and one place."""
    count = len(plan.messages())
    if count > 1 and task.output_dir is None:
        msg = f"there are {count} messages, since Bcc recipients get their own, and one place for them"
        raise UsageError(msg, hint="name a folder with --output-dir")


def _warning_of(path: Path, progress: ui.Progress) -> Callable[[str], None]:
    def warn(text: str) -> None:
        progress.pause()
        ui.warning(f"{path}: {text}")

    return warn


def _tell_failure(path: Path, error: SmimeAgentError) -> None:
    name = str(path)
    ui.error(f"{'' if name in str(error) else name + ': '}{error}", error.hint, error.details)


def _print(fields: dict[str, object]) -> None:
    ui.json_line("encrypt/1", **fields)
