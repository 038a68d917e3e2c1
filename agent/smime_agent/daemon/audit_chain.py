"""Whether a log is what was written: each line with its hash, each on the line before it.

What a chain cannot show is that lines at its end were cut off, or that all of it was written anew: there is no secret
in it. For that a head is compared that was noted elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from smime_agent.daemon.audit_lines import GENESIS, ChangedLineError
from smime_agent.daemon.audit_reading import CURRENT, Torn, files_of, read_pieces
from smime_agent.errors import AuditError, FileError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import NoReturn

    from smime_agent.daemon.audit_lines import Entry
    from smime_agent.daemon.audit_reading import Piece


class Damage(StrEnum):
    """What is wrong with a log, by the first place where that shows."""

    CHANGED = "changed"  # a line is not what it was
    MISSING = "missing"  # lines before it are not there
    OUT_OF_ORDER = "out-of-order"  # a line stands a second time, or at a wrong place
    REPLACED = "replaced"  # a line has the right number, and another line before it
    TORN = "torn"  # octets that are no line, and no line after them says so
    CUT = "cut"  # the head that was noted is not there


class BrokenLogError(AuditError):
    """A log is not what was written; what ``damage`` it is, and in which ``line`` of which ``file`` that shows."""

    exit_code = 6

    def __init__(self, message: str, damage: Damage, file: str | None = None, line: int | None = None) -> None:
        super().__init__(message, hint="what stands before that is as it was written; a copy may have the rest")
        self.damage, self.file, self.line = damage, file, line


@dataclass(frozen=True, slots=True)
class Report:
    """A whole log: how many entries in how many files, the first and the last; ``head`` is the hash of the last.

    ``recovered`` counts the places where a crash left octets that are no line. ``after_head`` is how many entries
    follow the head that was expected.
    """

    entries: int
    files: int
    first: Entry | None
    last: Entry | None
    head: str
    recovered: int
    after_head: int | None


class Chain:
    """Takes the pieces of a log in order, and raises at the first that does not hang on those before.

    ``whole`` says that the log begins with the first of all lines, and not somewhere.
    """

    def __init__(self, *, whole: bool, expected_head: str | None = None) -> None:
        self._whole, self._expected_head = whole, expected_head
        self._first: Entry | None = None
        self._last: Entry | None = None
        self._entries = self._recovered = 0
        self._files: set[str] = set()
        self._torn: Torn | None = None
        self._after_head = 0 if whole and expected_head == GENESIS else None

    def take(self, piece: Piece) -> Entry | None:
        """What a piece says, where it is a line.

        Raises:
            BrokenLogError: it is not the line that was written there.
        """
        if piece.file not in self._files:
            self._refuse_torn()
            self._files.add(piece.file)
        try:
            entry = piece.entry
        except ChangedLineError:
            msg = f"line {piece.line} of {piece.file} was changed"
            raise BrokenLogError(msg, Damage.CHANGED, piece.file, piece.line) from None
        if entry is None:
            self._torn = self._torn or Torn(piece.file, piece.line)
            self._torn.add(piece)
            return None
        self._check_recovery(entry, piece)
        self._check_place(entry, piece)
        self._first = self._first or entry
        self._last = entry
        self._entries += 1
        if self._after_head is not None:
            self._after_head += 1
        elif entry.hash == self._expected_head:
            self._after_head = 0
        return entry

    def end(self) -> Report:
        """There are no more pieces.

        Raises:
            BrokenLogError: the last line is not whole, or the head that was expected did not come.
        """
        self._refuse_torn()
        if self._expected_head is not None and self._after_head is None:
            msg = "no line of the log has the hash that was noted: its end was cut off, or it was written anew"
            error = BrokenLogError(msg, Damage.CUT)
            error.hint = "if the hash is of this log, somebody changed the log after it was noted"
            raise error
        head = self._last.hash if self._last else GENESIS
        return Report(self._entries, len(self._files), self._first, self._last, head, self._recovered, self._after_head)

    def _check_recovery(self, entry: Entry, piece: Piece) -> None:
        """After octets that are no line there is one that states them, and only there."""
        torn, self._torn = self._torn, None
        stated = None
        if entry.event == "recovered":
            self._recovered += 1
            stated = (entry.facts.get("octets"), entry.facts.get("sha256"))
        if torn is not None and stated != (torn.size, torn.digest):
            msg = f"line {torn.line} of {torn.file} was changed, or is not whole, and no line after it says so"
            raise BrokenLogError(msg, Damage.CHANGED, torn.file, torn.line)
        if torn is None and stated is not None:
            msg = f"line {piece.line} of {piece.file} tells of octets before it that are not there"
            raise BrokenLogError(msg, Damage.MISSING, piece.file, piece.line)

    def _check_place(self, entry: Entry, piece: Piece) -> None:
        """It has the number that is due, and names the line before it."""
        before = self._last
        number = entry.sequence_number
        if before is None and not self._whole and (number == 1) == (entry.previous == GENESIS):
            if entry.previous == self._expected_head:
                self._after_head = 0
            return
        due = before.sequence_number + 1 if before else 1
        where = f"line {piece.line} of {piece.file}"

        def broken(text: str, damage: Damage) -> NoReturn:
            raise BrokenLogError(text, damage, piece.file, piece.line)

        if number > due:
            missing = f"entry {due} is" if number == due + 1 else f"entries {due} to {number - 1} are"
            broken(f"{missing} missing before {where}, or stand elsewhere", Damage.MISSING)
        if number < due:
            broken(f"{where} is entry {number}, and {due} is due: it was put there", Damage.OUT_OF_ORDER)
        if entry.previous != (before.hash if before else GENESIS):
            broken(f"{where} does not continue the line before it: one of them was replaced", Damage.REPLACED)

    def _refuse_torn(self) -> None:
        torn = self._torn
        if torn is not None:
            msg = f"line {torn.line} of {torn.file} is not whole, and no line after it says so"
            error = BrokenLogError(msg, Damage.TORN, torn.file, torn.line)
            if torn.file == CURRENT:
                error.hint = "after a crash that is so until the agent starts again, which writes it down"
            raise error


def verify_log(log: Path, expected_head: str | None = None) -> Report:
    """What a whole log is, or one of its files; ``expected_head`` is the hash of a line that should be in it.

    Raises:
        BrokenLogError: it is not whole, or does not hold that line.
        FileError: there is none, or it cannot be read.
    """
    files = files_of(log)
    if not any(path.exists() for path in files) and (expected_head is None or files == [log]):
        raise no_log(log)
    chain = Chain(whole=files != [log], expected_head=expected_head)
    for piece in read_pieces(log):
        chain.take(piece)
    return chain.end()


def no_log(log: Path) -> FileError:
    """What is raised where there is none."""
    return FileError(f"there is no audit log {log}", hint="the agent begins it when it first starts; --file names one")
