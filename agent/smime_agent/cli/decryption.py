"""One message or many, decrypted and shown."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from smime_agent.cli import ui
from smime_agent.cli.card import decryption_card
from smime_agent.cli.findings import decryption_as_json, failure_as_json
from smime_agent.cli.jobs import make_folder, plan_jobs
from smime_agent.cli.output import check_output, open_source, refuse_same_file, write_result
from smime_agent.cli.verification import tell_host
from smime_agent.errors import PinError, SmimeAgentError, TokenError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from smime_agent.api.decrypting import Decryptor
    from smime_agent.api.verifying import VerifyOptions
    from smime_agent.cli.options import Access
    from smime_agent.smime.decrypt import Decryption

_STANDARD_INPUT = Path("-")


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be done with each message; ``part`` and ``output`` are for one alone."""

    expected_sender: str | None
    part: str | None
    key: str | None
    output: Path | None
    output_dir: Path | None
    legacy: bool
    json: bool


def decrypt_one(access: Access, options: VerifyOptions, path: Path | None, task: Task) -> int:
    """Decrypt one message, or standard input; the exit code is returned."""
    target = None if task.output in (None, _STANDARD_INPUT) else task.output
    to_stdout = target is None and (task.output is not None or not task.json)
    if to_stdout and task.json:
        msg = "the JSON goes to standard output, so the message cannot"
        raise UsageError(msg, hint="name a file with -o")
    if target is not None or to_stdout:
        check_output(target)
    if target is not None:
        for given in filter(None, (path or Path("/dev/stdin"), *options.ca_files, *options.crl_files)):
            refuse_same_file(given, target)
    with open_source(path) as source:
        try:
            with (
                _decryptor(access, options, task) as decryptor,
                decryptor.opened(source, part=task.part, expected_sender=task.expected_sender) as found,
            ):
                if target is not None or to_stdout:
                    write_result(found.content(), target, secret=True)
                _show(found, path, json=task.json)
                return found.exit_code
        except SmimeAgentError as error:
            if task.json:
                _print_json(failure_as_json(error, _name(path)))
            raise


def decrypt_many(access: Access, options: VerifyOptions, paths: Sequence[Path], task: Task) -> int:
    """Decrypt each in order; the worst exit code is returned, the failures are listed."""
    if task.part is not None:
        msg = "--part is for one message"
        raise UsageError(msg)
    jobs = _planned(paths, task.output_dir)
    worst, done = 0, 0
    broken: SmimeAgentError | None = None
    with ui.Progress(len(paths), "decrypting") as progress, _decryptor(access, options, task) as decryptor:
        for path, output in jobs:
            try:
                if broken is not None:  # each try may cost one
                    raise type(broken)(f"not tried: {broken}", hint=broken.hint)
                worst = max(worst, _decrypt_into(decryptor, path, output, task, progress))
                done += 1
            except SmimeAgentError as error:
                worst = max(worst, error.exit_code)
                broken = broken or (error if isinstance(error, (PinError, TokenError)) else None)
                progress.pause()
                _tell_failure(path, error, json=task.json)
            progress.step()
    if done < len(paths) or (sys.stderr is not None and sys.stderr.isatty()):
        failed = len(paths) - done
        ui.note(f"{done} of {len(paths)} decrypted" + (f", {failed} failed" if failed else ""))
    return worst


def _decrypt_into(decryptor: Decryptor, path: Path, output: Path | None, task: Task, progress: ui.Progress) -> int:
    with (
        open_source(path) as source,
        decryptor.opened(source, expected_sender=task.expected_sender) as found,
    ):
        if output is not None:
            write_result(found.content(), output, secret=True)
        progress.pause()
        if task.json:
            _print_json(decryption_as_json(found, str(path)))
        elif found.exit_code or not found.is_authenticated:
            ui.note(*decryption_card(found, str(path)), "")
        return found.exit_code


@contextmanager
def _decryptor(access: Access, options: VerifyOptions, task: Task) -> Iterator[Decryptor]:
    from smime_agent.api.decrypting import Decryptor
    from smime_agent.api.verifying import Verifier

    with access.decryption_keys(task.key) as keys:
        yield Decryptor(keys, Verifier(options, on_fetch=tell_host), legacy=task.legacy)


def _planned(paths: Sequence[Path], folder: Path | None) -> list[tuple[Path, Path | None]]:
    """Each message, and where its result goes.

    Raises:
        UsageError: there is nothing to do, two results would have one name, or one would overwrite a message.
        FileError: the folder cannot be made or written.
    """
    if folder is None:
        return [(path, None) for path in paths]
    jobs = plan_jobs(paths, folder, "decrypt")
    make_folder(folder)
    return [(job.message, job.output) for job in jobs]


def _show(found: Decryption, path: Path | None, *, json: bool) -> None:
    if json:
        _print_json(decryption_as_json(found, _name(path)))
    else:
        ui.note(*decryption_card(found))


def _name(path: Path | None) -> str | None:
    return None if path in (None, _STANDARD_INPUT) else os.fspath(path)


def _print_json(fields: dict[str, object]) -> None:
    ui.json_line("decrypt/1", **fields)


def _tell_failure(path: Path, error: SmimeAgentError, *, json: bool) -> None:
    if json:
        _print_json(failure_as_json(error, str(path)))
    name = str(path)
    ui.note(f"smime-agent: error: {'' if name in str(error) else name + ': '}{error}")
    if error.hint:
        ui.note(f"hint: {error.hint}")
