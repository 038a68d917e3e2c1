"""The audit log: what was done with which key for which program, in lines that only ever grow in number.

Each line is chained to the one before it: see :mod:`~smime_agent.daemon.audit_lines`. The log is a folder (0700) with
``audit.jsonl`` (0600). When that is full it is renamed to ``audit-<number of its first line>.jsonl``, and the next one
begins with a line ``continued``. Nothing is ever deleted.

What is appended is in the kernel's hands at once, by one call, so it survives whatever becomes of this process. When
the machine crashes, what was appended since the last :meth:`AuditLog.sync` may be lost, always from the end. An fsync
for each line would cost 0.2 to 10 ms of each signature, more than many tokens need for it; the agent calls ``sync`` in
another thread shortly after a use instead, and whoever can crash the machine at will is beyond what a file defends.

A line that a crash left unfinished is ended by the next start, which states its octets in a line ``recovered``.
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, Any, Final, Self

from smime_agent.daemon.audit_chain import BrokenLogError, Chain, Damage, Report, verify_log
from smime_agent.daemon.audit_folder import EMPTY, AuditFolder, tail_of
from smime_agent.daemon.audit_lines import GENESIS, Entry, encode
from smime_agent.daemon.audit_reading import CURRENT, read_log
from smime_agent.errors import AuditError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

__all__ = ["AuditLog", "BrokenLogError", "Chain", "Damage", "Entry", "Report", "read_log", "verify_log"]

#: Octets of a file, from which on another is begun.
MAX_SIZE: Final = 16 * 1024 * 1024


class AuditLog:
    """The one writer of a log. All of it is for one thread, but :meth:`sync`."""

    def __init__(self, folder: AuditFolder, now: Callable[[], datetime], max_size: int) -> None:
        self._folder, self._now, self._max_size = folder, now, max_size
        self._descriptor = -1
        self._size = 0  # octets of whole lines
        self._excess = False  # there is more in the file, which could not be cut off
        self._first = self._number = 0
        self._head = GENESIS
        self._closing = threading.Lock()

    @classmethod
    def open(cls, folder: Path, *, now: Callable[[], datetime], max_size: int = MAX_SIZE) -> Self:
        """The log in a folder, which is made where there is none. ``now`` is asked for the time of each line.

        Raises:
            AuditError: another process writes it, it is not the account's own, or its end was changed.
        """
        held = AuditFolder.open(folder)
        log = cls(held, now, max_size)
        try:
            log._take_up()
        except BaseException:
            log._close_file()
            held.close()
            raise
        return log

    @property
    def head(self) -> str:
        """The hash of the last line, which stands for all lines: to be noted elsewhere."""
        return self._head

    @property
    def sequence_number(self) -> int:
        """The number of the last line; 0 where there is none."""
        return self._number

    def append(self, event: str, /, **facts: Any) -> Entry:  # noqa: ANN401 - any JSON
        """Write one line; when this returns, it is written.

        Raises:
            AuditError: it cannot be written whole; then nothing of it is there.
        """
        self._make_ready()
        entry, line = encode(self._number + 1, self._now(), event, facts, self._head)
        holds_a_line = self._number > self._first or self._first == 1  # beside the one that it begins with
        if holds_a_line and self._size + len(line) > self._max_size:
            self._rotate()
            entry, line = encode(self._number + 1, self._now(), event, facts, self._head)
        return self._write_entry(entry, line)

    def sync(self) -> None:
        """Have on the disk what was appended before. It may take long; another thread may call it meanwhile.

        Raises:
            AuditError: the disk failed.
        """
        with self._closing:  # a rotation closes the file, after it was synchronised
            if self._descriptor < 0:
                return
            descriptor = os.dup(self._descriptor)
        try:
            os.fdatasync(descriptor)
        except OSError as error:
            raise _cannot("keep", error) from error
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Let another process write the log."""
        with contextlib.suppress(AuditError):
            self.sync()
        self._close_file()
        self._folder.close()

    def __enter__(self) -> Self:
        """The log itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def _take_up(self) -> None:
        """Go on where the log ends, whatever ended it."""
        self._descriptor = self._folder.open_current()
        tail = tail_of(self._descriptor, CURRENT) if self._descriptor >= 0 else EMPTY
        last = tail.last or self._folder.last_rotated()
        self._size, self._first = tail.size, tail.first
        if last is not None:
            self._number, self._head = last.sequence_number, last.hash
        if tail.torn is not None:
            facts = {"octets": tail.torn.size, "sha256": tail.torn.digest}
            entry, line = encode(self._number + 1, self._now(), "recovered", facts, self._head)
            self._write_entry(entry, line if tail.ended else b"\n" + line)
        elif not tail.ended:
            self._write(b"\n")  # it is all that the last line lacks
        self._make_ready()

    def _make_ready(self) -> None:
        """Have a file that ends with a whole line; after a failure it may not."""
        if self._folder.closed:
            msg = "the audit log is closed"
            raise AuditError(msg)
        self._cut_off()
        if self._descriptor < 0:
            self._descriptor = self._folder.create_current()
            self._size = self._first = 0
        if not self._size and self._number:
            facts = {"after": self._number}
            self._write_entry(*encode(self._number + 1, self._now(), "continued", facts, self._head))

    def _rotate(self) -> None:
        """Begin another file."""
        self._check_file()
        self.sync()
        self._folder.rotate(self._first)
        self._close_file()
        self._make_ready()

    def _write_entry(self, entry: Entry, line: bytes) -> Entry:
        self._write(line)
        self._first = self._first or entry.sequence_number
        self._number, self._head = entry.sequence_number, entry.hash
        return entry

    def _write(self, octets: bytes) -> None:
        """Write all octets, or none."""
        self._check_file()
        try:
            written = os.write(self._descriptor, octets)
            while written < len(octets):  # the disk is full, and says so to the next call
                written += os.write(self._descriptor, octets[written:])
        except BaseException as error:
            self._excess = True
            with contextlib.suppress(AuditError):
                self._cut_off()
            if isinstance(error, OSError):
                raise _cannot("write", error) from error
            raise
        self._size += len(octets)

    def _cut_off(self) -> None:
        """Remove what was written of a line that could not be written whole."""
        if not self._excess:
            return
        try:
            os.ftruncate(self._descriptor, self._size)
        except OSError as error:
            raise _cannot("mend", error) from error
        self._excess = False

    def _check_file(self) -> None:
        """It is still there, and nobody else has written to it or cut it: what is written would not be found."""
        if self._folder.current_size(self._descriptor) != self._size:
            msg = f"{self._folder.path / CURRENT} is not as it was left: somebody changed, moved or removed it"
            raise AuditError(msg, hint="put it back, or start the agent again: it goes on with what is there")

    def _close_file(self) -> None:
        with self._closing:
            if self._descriptor >= 0:
                os.close(self._descriptor)
            self._descriptor = -1


def _cannot(what: str, error: OSError) -> AuditError:
    hint = "no key is used for as long as that cannot be written down"
    return AuditError(f"cannot {what} the audit log: {error.strerror}", hint=hint)
