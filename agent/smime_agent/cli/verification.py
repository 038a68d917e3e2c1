"""One message or many, verified and shown."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from smime_agent.cli import ui
from smime_agent.cli.card import card
from smime_agent.cli.findings import as_json
from smime_agent.cli.main import unexpected
from smime_agent.cli.output import check_output, open_source, refuse_same_file, write_result
from smime_agent.errors import FileError, SmimeAgentError, UsageError
from smime_agent.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smime_agent.api.verifying import Verifier
    from smime_agent.certificates.contacts import Contacts
    from smime_agent.cli.remembering import Kept, Memory
    from smime_agent.smime.signers import SignerCheck
    from smime_agent.smime.verification import Verification

_STANDARD_OUTPUT = Path("-")


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be done with each message; ``content`` and ``output`` are for one alone.

    ``files`` are others that were named, and must not be overwritten.
    """

    content: Path | None
    expected_sender: str | None
    output: Path | None
    legacy: bool
    json: bool
    files: tuple[Path, ...] = ()


def verify_one(verifier: Verifier, path: Path | None, task: Task, memory: Memory | None = None) -> int:
    """Verify one message, or standard input, and remember who is trusted in ``memory``; the exit code is returned."""
    to_stdout = task.output == _STANDARD_OUTPUT
    if to_stdout and task.json:
        msg = "the JSON goes to standard output, so what was signed cannot"
        raise UsageError(msg, hint="name a file with -o")
    target = None if to_stdout else task.output
    if task.output is not None:
        check_output(target)
    if target is not None:
        for given in filter(None, (path or Path("/dev/stdin"), task.content, *task.files)):
            refuse_same_file(given, target)
    with (
        open_source(path) as source,
        verifier.opened(source, content=task.content, expected_sender=task.expected_sender) as found,
    ):
        if task.output is not None:
            signed = found.signed_content(legacy=task.legacy)
            if signed is not None:
                write_result(signed(), target)
            else:
                ui.warning(f"nothing is written: {_why_not(found)}")
    if not task.json:
        (ui.note if to_stdout else ui.out)(*card(found))
    kept = memory.keep(found, alone=True) if memory is not None else None
    if kept is not None:
        ui.note(*kept.lines)
    if task.json:
        _print_json(found, path, kept)
    return found.verdict.exit_code


def _why_not(found: Verification) -> str:
    if found.signed_content(legacy=True) is not None:
        return "it is signed with an old algorithm, which only --legacy lets pass"
    return "there is no valid signature over it"


def verify_many(verifier: Verifier, paths: Sequence[Path], task: Task, memory: Memory | None = None) -> int:
    """The same of each, in order; the worst exit code is returned."""
    worst = 0
    counts = dict.fromkeys(Verdict, 0)
    with ui.Progress(len(paths), "verifying") as progress:
        for path in paths:
            try:
                with open_source(path) as source:
                    found = verifier.verify(source, expected_sender=task.expected_sender)
            except (FileError, UsageError) as error:
                _tell_failure(path, error)
                worst = max(worst, error.exit_code)
            except Exception as error:  # noqa: BLE001 - one message must not keep the others from being verified
                ui.note(f"in {path}:")
                worst = max(worst, unexpected(error))
            else:
                worst = max(worst, found.verdict.exit_code)
                counts[found.verdict] += 1
                progress.pause()
                kept = memory.keep(found, alone=False) if memory is not None else None
                if kept is not None:
                    ui.note(*kept.lines)
                if task.json:
                    _print_json(found, path, kept)
                else:
                    ui.out(*card(found, str(path)), "")
            progress.step()
    if sys.stderr is not None and sys.stderr.isatty():
        ui.note(", ".join(f"{count} {verdict.value}" for verdict, count in counts.items() if count))
    return worst


def memory_of(contacts: Contacts | None, check: SignerCheck) -> Memory | None:
    """Where senders are remembered, if they are."""
    if contacts is None:
        return None
    from smime_agent.cli.remembering import Memory

    return Memory(contacts, check)


def tell_host(host: str) -> None:
    """Say whom we wait for."""
    if sys.stderr is not None and sys.stderr.isatty():
        ui.note(f"asking {host} about revocation ...")


def _print_json(found: Verification, path: Path | None, kept: Kept | None) -> None:
    file = None if path is None or str(path) == "-" else str(path)
    ui.json_line("verify/1", **as_json(found, file), remembered=kept.facts if kept is not None else None)


def _tell_failure(path: Path, error: SmimeAgentError) -> None:
    name = str(path)
    ui.note(f"smime-agent: error: {'' if name in str(error) else name + ': '}{error}")
