"""The folder of an audit log as its one writer has it: locked, the account's own, and closed to others."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from smime_agent.daemon.audit_lines import ChangedLineError, Entry
from smime_agent.daemon.audit_reading import CURRENT, Torn, full_files, pieces_of
from smime_agent.errors import AuditError, FileError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

_LOCK: Final = "audit.lock"
#: Octets at the end of a file in which its last whole line is sought first: four lines of the longest.
_WINDOW: Final = 256 * 1024
_OTHERS: Final = 0o077
_FLAGS: Final = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


@dataclass(frozen=True, slots=True)
class Tail:
    """How a file ends: its last whole line, and the octets behind that are none.

    ``first`` is the number of its first line, 0 where there is none. ``ended`` says whether a new line can follow.
    """

    size: int
    first: int
    last: Entry | None
    torn: Torn | None
    ended: bool


EMPTY: Final = Tail(0, 0, None, None, ended=True)


class AuditFolder:
    """The folder, held under a lock until it is closed."""

    def __init__(self, path: Path, descriptor: int, lock: int) -> None:
        self.path, self._descriptor, self._lock = path, descriptor, lock

    @classmethod
    def open(cls, path: Path) -> Self:
        """The folder, made where there is none.

        Raises:
            AuditError: it is not the account's own, or another process writes the log.
        """
        with contextlib.ExitStack() as stack:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with contextlib.suppress(FileExistsError):
                    path.mkdir(mode=0o700)
                descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
                stack.callback(os.close, descriptor)
                _make_private(descriptor, path, 0o700)
                lock = os.open(_LOCK, _FLAGS | os.O_CREAT, 0o600, dir_fd=descriptor)
                stack.callback(os.close, lock)
                _make_private(lock, path / _LOCK, 0o600)
            except OSError as error:
                raise _cannot_open(path, error) from error
            _hold(lock)
            stack.pop_all()
            return cls(path, descriptor, lock)

    @property
    def closed(self) -> bool:
        """Whether it was let go of."""
        return self._lock < 0

    def close(self) -> None:
        """Let go of it."""
        if not self.closed:
            os.close(self._descriptor)
            os.close(self._lock)
            self._descriptor = self._lock = -1

    def open_current(self) -> int:
        """A descriptor of the file that is written; -1 where there is none.

        Raises:
            AuditError: it is not the account's own, or it cannot be opened.
        """
        return self._open(CURRENT, os.O_APPEND) if self._exists(CURRENT) else -1

    def create_current(self) -> int:
        """The same of a new one."""
        descriptor = self._open(CURRENT, os.O_APPEND | os.O_CREAT | os.O_EXCL)
        with contextlib.suppress(OSError):  # not every file system can
            os.fsync(self._descriptor)
        return descriptor

    def current_size(self, descriptor: int) -> int:
        """How many octets the file has that is written; -1 where it is not there any more."""
        try:
            found = os.stat(CURRENT, dir_fd=self._descriptor, follow_symlinks=False)
        except OSError:
            return -1
        return found.st_size if os.path.samestat(found, os.fstat(descriptor)) else -1

    def rotate(self, first: int) -> None:
        """Rename the file that is written, whose first line has the number ``first``.

        Raises:
            AuditError: that is not possible.
        """
        name = f"audit-{first:012}.jsonl"
        try:
            if self._exists(name):
                msg = f"there is an {self.path / name} already"
                raise AuditError(msg, hint="a copy of a log belongs into a folder of its own")
            os.rename(CURRENT, name, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
        except OSError as error:
            raise _cannot_open(self.path / name, error) from error

    def last_rotated(self) -> Entry | None:
        """The last line of the newest file that is full.

        Raises:
            AuditError: it is damaged.
        """
        try:
            names = full_files(self.path)
        except FileError as error:
            raise AuditError(str(error)) from error
        if not names:
            return None
        descriptor = self._open(names[-1], 0)
        try:
            tail = tail_of(descriptor, names[-1])
        finally:
            os.close(descriptor)
        if tail.last is None or tail.torn is not None:
            raise _damaged(names[-1])
        return tail.last

    def _open(self, name: str, flags: int) -> int:
        try:
            descriptor = os.open(name, _FLAGS | flags, 0o600, dir_fd=self._descriptor)
        except OSError as error:
            raise _cannot_open(self.path / name, error) from error
        try:
            _make_private(descriptor, self.path / name, 0o600)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _exists(self, name: str) -> bool:
        try:
            os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True


def tail_of(descriptor: int, name: str) -> Tail:
    """How a file ends.

    Raises:
        AuditError: its last whole line was changed, or it cannot be read.
    """
    try:
        return _tail_of(descriptor, name)
    except FileError as error:
        raise AuditError(str(error)) from error


def _tail_of(descriptor: int, name: str) -> Tail:
    size = os.fstat(descriptor).st_size
    with os.fdopen(os.dup(descriptor), "rb") as file:
        file.seek(0)
        first = 0
        for piece in pieces_of(name, file):
            with contextlib.suppress(ChangedLineError):
                entry = piece.entry
                if entry is not None:
                    first = entry.sequence_number
                    break
        tail = _tail(file, name, max(0, size - _WINDOW), size, first)
        if tail.last is None and size > _WINDOW:
            tail = _tail(file, name, 0, size, first)
        return tail


def _tail(file: BinaryIO, name: str, offset: int, size: int, first: int) -> Tail:
    """The same, looking at the octets from ``offset`` on."""
    last: Entry | None = None
    torn: Torn | None = None
    changed, ended, inside = False, True, offset > 0  # inside a line that began before
    file.seek(offset)
    for piece in pieces_of(name, file):
        ended = piece.ended
        if inside:
            inside = not ended
            continue
        try:
            entry = piece.entry
        except ChangedLineError:
            changed, torn = True, None
            continue
        if entry is not None:
            last, torn, changed = entry, None, False
        else:
            torn = torn or Torn(name, piece.line)
            torn.add(piece)
    if changed:
        raise _damaged(name)
    return Tail(size, first, last, torn, ended)


def _make_private(descriptor: int, path: Path, mode: int) -> None:
    """Refuse what is not the account's own, and close it to others.

    Raises:
        AuditError: it is somebody else's, or no file or folder.
        OSError: it cannot be closed.
    """
    found = os.fstat(descriptor)
    if found.st_uid != os.geteuid():
        msg = f"{path} belongs to somebody else"
        raise AuditError(msg, hint="with sudo, HOME and XDG_STATE_HOME may be another account's")
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        msg = f"{path} is no file"
        raise AuditError(msg)
    if stat.S_IMODE(found.st_mode) & _OTHERS:
        os.fchmod(descriptor, mode)


def _hold(lock: int) -> None:
    """Be the one that writes.

    Raises:
        AuditError: another process is.
    """
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if not isinstance(error, BlockingIOError):
            msg = f"cannot lock the audit log: {error.strerror}"
            raise AuditError(msg) from error
        who = os.pread(lock, 20, 0).strip()
        msg = f"{f'process {int(who)}' if who.isdigit() else 'another process'} writes the audit log"
        raise AuditError(msg, hint="there is one agent for one user; 'smime-agent agent stop' ends it") from None
    with contextlib.suppress(OSError):  # on a full disk nobody can be told who it is
        os.ftruncate(lock, 0)
        os.pwrite(lock, b"%d\n" % os.getpid(), 0)


def _cannot_open(path: Path, error: OSError) -> AuditError:
    why = "it is a symbolic link" if error.errno in (errno.ELOOP, errno.ENOTDIR) else error.strerror
    return AuditError(f"cannot open {path}: {why}")


def _damaged(name: str) -> AuditError:
    msg = f"the last line of the audit log ({name}) was changed"
    return AuditError(msg, hint="'smime-agent audit verify' says more; move the log elsewhere to begin another")
