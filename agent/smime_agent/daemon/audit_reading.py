"""The files of an audit log, and the lines in them, read with a bound on memory.

``audit.jsonl`` is the newest; before it come ``audit-<number of its first line>.jsonl``, oldest first. The log may be
written meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from smime_agent.daemon.audit_lines import MAX_LINE, ChangedLineError, Entry, decode
from smime_agent.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

CURRENT: Final = "audit.jsonl"
ROTATED: Final = re.compile(r"audit-\d{12}\.jsonl")
#: A line that has no end yet is being written, by one call: it is there at once.
_PAUSES: Final = 5
_PAUSE_SECONDS: Final = 0.01


@dataclass(frozen=True, slots=True)
class Piece:
    """Some octets of a file: a line, or one part of a line that is longer than any of ours.

    ``octets`` are without the newline; ``ended`` says whether there is one. ``line`` is the number of the line.
    """

    file: str
    line: int
    octets: bytes
    begins: bool
    ended: bool

    @property
    def entry(self) -> Entry | None:
        """What it says, where it is a whole line; one that lacks nothing but its newline is whole.

        Raises:
            ChangedLineError: it was one.
        """
        return decode(self.octets) if self.begins else None


@dataclass(slots=True)
class Torn:
    """Octets that are no line, from the end of the last whole line on; a newline at their end is not theirs."""

    file: str
    line: int
    size: int = 0
    ended: bool = False
    _sha256: Any = field(default_factory=sha256)

    def add(self, piece: Piece) -> None:
        """Take more of them."""
        octets = b"\n" + piece.octets if self.ended else piece.octets
        self.size += len(octets)
        self._sha256.update(octets)
        self.ended = piece.ended

    @property
    def digest(self) -> str:
        """Their SHA-256 digest."""
        return str(self._sha256.hexdigest())


def files_of(log: Path) -> list[Path]:
    """The files of a log, oldest first: those in a folder, or the one that ``log`` is."""
    if not _is_folder(log):
        return [log]
    return [log / name for name in full_files(log)] + [log / CURRENT]


def read_pieces(log: Path, skip: int = 0) -> Iterator[Piece]:
    """All octets of a log in order, but for those of its first ``skip`` files; nothing where there is no such file.

    Raises:
        FileError: a file cannot be read.
    """
    with contextlib.ExitStack() as stack:
        # The newest is opened before the others are listed: it may be renamed meanwhile, and is then among them.
        newest = _opened(log / CURRENT, stack) if _is_folder(log) else None
        renamed = False
        for path in files_of(log)[skip:]:
            with contextlib.ExitStack() as inner:
                if newest is not None and path == log / CURRENT:
                    file = None if renamed else newest
                else:
                    file = _opened(path, inner)
                    renamed = renamed or (file is not None and newest is not None and _same(file, newest))
                if file is not None:
                    yield from pieces_of(path.name, file)


def pieces_of(name: str, file: BinaryIO) -> Iterator[Piece]:
    """The octets of a file from where it stands; the first line there is number 1.

    Raises:
        FileError: it cannot be read.
    """
    line, begins = 0, True
    try:
        while octets := file.readline(MAX_LINE):
            line += begins
            if not octets.endswith(b"\n") and len(octets) < MAX_LINE:
                octets += _rest(file, MAX_LINE - len(octets))
            ended = octets.endswith(b"\n")
            yield Piece(name, line, octets.removesuffix(b"\n"), begins, ended)
            begins = ended
    except OSError as error:
        msg = f"cannot read {name}: {error.strerror}"
        raise FileError(msg) from error


def read_log(log: Path, skip: int = 0) -> Iterator[Entry]:
    """The entries of a log that can be read, oldest first; :mod:`~smime_agent.daemon.audit_chain` judges them.

    ``log`` is the folder of a log, or one of its files; ``skip`` of them are left out.

    Raises:
        FileError: a file cannot be read.
    """
    for piece in read_pieces(log, skip):
        with contextlib.suppress(ChangedLineError):
            entry = piece.entry
            if entry is not None:
                yield entry


def full_files(folder: Path) -> list[str]:
    """The names of the files that are full, oldest first; such a name is made of the number of its first line.

    Raises:
        FileError: the folder cannot be read.
    """
    try:
        names = os.listdir(folder)  # noqa: PTH208 - the names are what is wanted
    except OSError as error:
        msg = f"cannot read {folder}: {error.strerror}"
        raise FileError(msg) from error
    return sorted(filter(ROTATED.fullmatch, names))  # the digits are as many in each


def _is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - it says no where a Path would raise


def _opened(path: Path, stack: contextlib.ExitStack) -> BinaryIO | None:
    """A file of the log; a FIFO is not waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        file = stack.enter_context(os.fdopen(descriptor, "rb"))
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            msg = f"{path} is no file"
            raise FileError(msg)
    except FileNotFoundError:
        return None
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror}"
        raise FileError(msg) from error
    return file


def _same(one: BinaryIO, other: BinaryIO) -> bool:
    return os.path.samestat(os.fstat(one.fileno()), os.fstat(other.fileno()))


def _rest(file: BinaryIO, limit: int) -> bytes:
    """What is written after the end of the file while we wait."""
    for _ in range(_PAUSES):
        time.sleep(_PAUSE_SECONDS)
        if octets := file.readline(limit):
            return octets
    return b""
