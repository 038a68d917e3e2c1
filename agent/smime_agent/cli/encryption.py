"""A message encrypted: what is asked before, what is told, and where the results go."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from smime_agent.api.encrypting import Addressing, Encrypted, EncryptOptions, Encryptor
from smime_agent.api.signing import Format
from smime_agent.certificates.chains import stored_chain
from smime_agent.certificates.contacts import Contacts
from smime_agent.certificates.history import History, history_path
from smime_agent.cli import ui
from smime_agent.cli.explanation import explanation
from smime_agent.cli.jobs import make_folder
from smime_agent.cli.output import check_output, open_source, refuse_same_file, write_result
from smime_agent.cli.verification import tell_host
from smime_agent.config import data_directory
from smime_agent.errors import UsageError
from smime_agent.smime.choosing import Given
from smime_agent.x509 import InvalidCertificateError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smime_agent.api.planning import Plan
    from smime_agent.cli.options import Access

_SUFFIXES: Final = {Format.SMIME: ".eml", Format.DER: ".p7m", Format.PEM: ".pem"}
_STANDARD_INPUT: Final = Path("/dev/stdin")


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be encrypted, how, for whom, and where to. ``files`` were named too, and must not be overwritten."""

    message: Path | None
    options: EncryptOptions
    addressing: Addressing
    output: Path | None
    output_dir: Path | None
    files: tuple[Path, ...]
    explain: bool


def encrypt_message(task: Task, access: Access | None) -> None:
    """Encrypt one message, or tell how it would be; with ``access`` it is signed first."""
    if not task.explain:
        _check_places(task)
    data = data_directory()
    encryptor = Encryptor(
        task.options, Contacts(data / "contacts"), own=_own(data), chain=stored_chain(data), on_fetch=tell_host
    )
    if not encryptor.trusts_anybody:
        ui.warning("NSS's list of CAs is not installed and --ca-file names none, so nobody can be trusted")
    with open_source(task.message) as source:
        prepared = encryptor.prepare(source)
        plan = encryptor.plan(prepared, task.addressing)
        if task.explain:
            ui.out(*explanation(plan, signs=access is not None))
            return
        plan = plan.accepted(task.options.accept, force=task.options.force)
        _check_number(plan, task)
        if access is None:
            _write(encryptor.encrypt_prepared(prepared, plan), task)
            return
        with access.open() as token:
            _write(encryptor.encrypt_prepared(prepared, plan, token), task)


def _own(data: Path) -> list[Given]:
    """The certificates that were seen on tokens with their keys: those of whoever runs this, the newest first."""
    found: list[Given] = []
    for seen in History(history_path(data), ui.warning).entries():
        with suppress(InvalidCertificateError):
            if seen.has_key and seen.certificate.permits_encryption:
                found.append(Given(seen.certificate, seen.token_name))
    return sorted(found, key=lambda one: one.certificate.not_before, reverse=True)


def _check_places(task: Task) -> None:
    """Refuse a place that will not take the result before anything is asked.

    Raises:
        UsageError, FileError: it would overwrite what was named, or cannot be written.
    """
    if task.output_dir is None:
        check_output(task.output, binary=task.options.form is Format.DER)
    if task.output is not None:
        for given in (task.message or _STANDARD_INPUT, *task.files):
            refuse_same_file(given, task.output)


def _check_number(plan: Plan, task: Task) -> None:
    """Raise ``UsageError`` if there are several messages and one place."""
    count = len(plan.messages())
    if count > 1 and task.output_dir is None:
        msg = f"there are {count} messages, since Bcc recipients get their own, and one place for them"
        raise UsageError(msg, hint="name a folder with --output-dir")


def _write(messages: Sequence[Encrypted], task: Task) -> None:
    """Write the messages, all of them or none."""
    for text in messages[0].notes:
        ui.warning(text)
    if task.output_dir is None:
        write_result(messages[0].chunks, task.output)
        return
    places = [task.output_dir / _name(task, message.plan.name) for message in messages]
    for place in places:
        for given in (task.message or _STANDARD_INPUT, *task.files):
            refuse_same_file(given, place)
    make_folder(task.output_dir)
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


def _name(task: Task, name: str) -> str:
    """``mail.eml`` for the message that all may see, ``mail.bcc-1.eml`` for one of a Bcc recipient."""
    own = task.message if task.message is not None and str(task.message) != "-" else Path("mail.eml")
    suffix = _SUFFIXES[task.options.form]
    stem = own.stem if task.options.form is Format.SMIME else own.name
    if task.options.form is Format.SMIME and own.suffix:
        suffix = own.suffix
    return f"{stem}.{name}{suffix}" if name else f"{stem}{suffix}"
