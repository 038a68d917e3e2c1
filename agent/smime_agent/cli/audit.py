"""``smime-agent audit``: what was done with which key, and whether that is all."""

from __future__ import annotations

import re
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from smime_agent.cli import ui
from smime_agent.config import state_directory
from smime_agent.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from smime_agent.daemon.audit import BrokenLogError, Entry, Report

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Show and verify the log of all uses of keys by the agent.",
)

_HASH: Final = re.compile(r"[0-9a-f]{64}")

FileOption = Annotated[
    Path | None,
    typer.Option("--file", metavar="PATH", help="Another log, or one of its files, instead of that of your agent."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]


@app.command()
def show(
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Only what happened since then, such as 2026-06-01T00:00:00Z."),
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="KEY", help="Only uses of this key: its hexadecimal id or its label.")
    ] = None,
    last: Annotated[int | None, typer.Option("--last", metavar="N", min=1, help="Only the last N lines.")] = None,
    file: FileOption = None,
    json: JsonOption = False,
) -> None:
    """Show what was done with which key and for which program, the newest last."""
    from smime_agent.cli.audit_rows import rows
    from smime_agent.cli.audit_rows import show as show_rows

    begin = None
    if since is not None:
        from smime_agent.cli.trust import moment

        begin = moment(since, "--since")
    log = _Log(file)

    def wanted(skip: int) -> Iterator[Any]:
        found = _of_key(_since(log.entries(skip), begin), key)
        return found if json else rows(found)

    found = _last(wanted, last, log.files) if last else wanted(log.files_before(begin))
    if json:
        for entry in found:
            ui.json_line("audit/1", **_values(entry))
    else:
        show_rows(found)
    if log.broken is not None:
        ui.warning(f"{log.broken}; 'smime-agent audit verify' says more")


@app.command()
def verify(
    head: Annotated[
        str | None,
        typer.Option("--head", metavar="HASH", help="The hash of a line, noted before, that must be in the log."),
    ] = None,
    file: FileOption = None,
    json: JsonOption = False,
) -> None:
    """Tell whether the log is what was written: no line changed, removed, inserted or moved.

    That lines at the end were cut off, or that all was written anew, shows only by a hash that was noted elsewhere.
    """
    from smime_agent.daemon.audit import BrokenLogError, verify_log

    expected = head.strip().lower() if head is not None else None
    if expected is not None and not _HASH.fullmatch(expected):
        msg = f"--head takes the hash of a line, 64 hexadecimal digits, not '{head}'"
        raise UsageError(msg, hint="'smime-agent agent status' and 'smime-agent audit verify' tell the latest")
    try:
        report = verify_log(file or state_directory(), expected)
    except BrokenLogError as error:
        if json:
            _tell_json(None, error)
        raise
    if json:
        _tell_json(report, None)
        return
    ui.fields(_lines(report))
    if expected is None:
        ui.note(
            "what was cut off at the end shows only by a hash noted elsewhere: 'smime-agent audit verify --head HASH'"
        )


class _Log:
    """A log that is read, and judged in passing."""

    def __init__(self, file: Path | None) -> None:
        from smime_agent.daemon.audit_chain import no_log
        from smime_agent.daemon.audit_reading import files_of

        self._path = file or state_directory()
        found = files_of(self._path)
        if not any(map(_exists, found)):
            raise no_log(self._path)
        self._one_file = found == [self._path]
        self.files = len(found)
        self.broken: BrokenLogError | None = None

    def entries(self, skip: int) -> Iterator[Entry]:
        """What can be read of it; afterwards ``broken`` says what is wrong with it."""
        from smime_agent.daemon.audit import BrokenLogError, Chain
        from smime_agent.daemon.audit_lines import ChangedLineError
        from smime_agent.daemon.audit_reading import read_pieces

        self.broken = None
        chain = Chain(whole=not self._one_file and not skip)
        for piece in read_pieces(self._path, skip):
            entry = None
            try:
                entry = chain.take(piece) if self.broken is None else piece.entry
            except BrokenLogError as error:
                self.broken = error
                with suppress(ChangedLineError):
                    entry = piece.entry
            except ChangedLineError:
                pass
            if entry is not None:
                yield entry
        if self.broken is None:
            try:
                chain.end()
            except BrokenLogError as error:
                self.broken = error

    def files_before(self, begin: datetime | None) -> int:
        """How many files, from the oldest on, hold nothing but what is older."""
        from smime_agent.daemon.audit import read_log

        if begin is not None and not self._one_file:
            for skip in range(self.files - 1, 0, -1):
                first = next(read_log(self._path, skip), None)
                if first is not None and first.time < begin:
                    return skip
        return 0


def _exists(path: Path) -> bool:
    import os

    return os.path.lexists(path)  # what cannot be read is told when it is opened


def _last(wanted: Any, count: int, files: int) -> Iterable[Any]:  # noqa: ANN401 - entries or rows
    """The last of them: the newest file is read first, and more where it does not hold as many."""
    taken = 1
    while True:
        skip = max(0, files - taken)
        found = deque(wanted(skip), maxlen=count)
        if len(found) == count or not skip:
            return found
        taken *= 2


def _since(entries: Iterator[Entry], begin: datetime | None) -> Iterator[Entry]:
    return entries if begin is None else (entry for entry in entries if entry.time >= begin)


def _of_key(entries: Iterator[Entry], key: str | None) -> Iterator[Entry]:
    """Those of one key, and the outcomes of its uses."""
    uses: set[int] = set()
    plain = key.lower().replace(":", "") if key is not None else None
    for entry in entries:
        of = entry.facts.get("of")
        match entry.facts.get("key"):
            case _ if key is None:
                pass
            case {"id": identifier, "label": label} if key == label or plain == identifier:
                uses.add(entry.sequence_number)
            case _ if isinstance(of, int) and of in uses:
                uses.discard(of)
            case _:
                if entry.event == "agent-started":  # no outcome comes any more
                    uses.clear()
                continue
        yield entry


def _values(entry: Entry) -> dict[str, Any]:
    from smime_agent.daemon.audit_lines import time_text

    return {
        "seq": entry.sequence_number,
        "time": time_text(entry.time),
        "event": entry.event,
        **entry.facts,
        "prev": entry.previous,
        "hash": entry.hash,
    }


def _tell_json(report: Report | None, error: BrokenLogError | None) -> None:
    from smime_agent.daemon.audit_lines import time_text

    ui.json_line(
        "audit-verify/1",
        whole=error is None,
        entries=report and report.entries,
        files=report and report.files,
        first=time_text(report.first.time) if report and report.first else None,
        last=time_text(report.last.time) if report and report.last else None,
        head=report and report.head,
        after_head=report and report.after_head,
        recovered=report and report.recovered,
        damage=error and {"code": error.damage.value, "file": error.file, "line": error.line, "text": str(error)},
    )


def _lines(report: Report) -> Iterator[tuple[str, str]]:
    from smime_agent.cli.audit_rows import time_to_the_second

    files = "one file" if report.files <= 1 else f"{report.files} files"
    yield "Whole", f"{report.entries} entries in {files}"
    if report.first and report.last:
        yield "From", f"{time_to_the_second(report.first)} UTC, entry {report.first.sequence_number}"
        yield "To", f"{time_to_the_second(report.last)} UTC, entry {report.last.sequence_number}"
        if report.first.sequence_number > 1:
            yield "Continues", report.first.previous
    if report.recovered:
        yield "Crashes", f"{report.recovered} left a line unfinished"
    if report.after_head is not None:
        yield "Since", f"{report.after_head} entries after the hash that was noted"
    yield "Head", report.head
