"""One message, decrypted and shown."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from smime_agent.cli import ui
from smime_agent.cli.card import decryption_card
from smime_agent.cli.findings import decryption_as_json, failure_as_json
from smime_agent.cli.output import check_output, open_source, refuse_same_file, write_result
from smime_agent.cli.verification import memory_of, tell_host
from smime_agent.errors import SmimeAgentError, UsageError

if TYPE_CHECKING:
    from smime_agent.api.verifying import VerifyOptions
    from smime_agent.certificates.contacts import Contacts
    from smime_agent.cli.access import Access
    from smime_agent.cli.remembering import Memory
    from smime_agent.smime.decrypt import Decryption

_STANDARD_INPUT = Path("-")


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be done with the message; ``contacts`` are where a sender is remembered who is trusted."""

    expected_sender: str | None
    part: str | None
    key: str | None
    output: Path | None
    legacy: bool
    json: bool
    contacts: Contacts | None = None


def decrypt_one(access: Access, options: VerifyOptions, path: Path | None, task: Task) -> int:
    """Decrypt one message, or standard input; the exit code is returned."""
    from smime_agent.api.decrypting import Decryptor
    from smime_agent.api.verifying import Verifier

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
            verifier = Verifier(options, on_fetch=tell_host)
            with (
                access.decryption_keys(task.key) as keys,
                Decryptor(keys, verifier, legacy=task.legacy).opened(
                    source, part=task.part, expected_sender=task.expected_sender
                ) as found,
            ):
                if target is not None or to_stdout:
                    write_result(found.content(), target, secret=True, size=found.size)
                _show(found, path, memory_of(task.contacts, verifier.check), json=task.json)
                return found.exit_code
        except SmimeAgentError as error:
            if task.json:
                _print_json(failure_as_json(error, _name(path)))
            raise


def _show(found: Decryption, path: Path | None, memory: Memory | None, *, json: bool) -> None:
    if not json:
        ui.note(*decryption_card(found))
    kept = memory.keep(found.verification, alone=True) if memory is not None else None
    if kept is not None:
        ui.note(*kept.lines)
    if json:
        _print_json(decryption_as_json(found, _name(path)) | ({"remembered": kept.facts} if kept is not None else {}))


def _name(path: Path | None) -> str | None:
    return None if path in (None, _STANDARD_INPUT) else os.fspath(path)


def _print_json(fields: dict[str, object]) -> None:
    ui.json_line("decrypt/1", **fields)
