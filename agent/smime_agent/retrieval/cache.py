"""Answers on the disk: one file each, written whole or not at all, never more than so many octets."""

# ruff: noqa: PTH103, PTH104, PTH108, PTH118 - descriptors and scandir give sizes and owners with the names

from __future__ import annotations

import contextlib
import os
import re
import stat
import struct
import zlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from smime_agent.files import write_all

if TYPE_CHECKING:
    from pathlib import Path

_MAGIC: Final = b"smime-agent answer 1\n"
#: When it was fetched, in seconds of Unix time, and a checksum over the name, that time and the answer.
_HEAD: Final = struct.Struct(f">{len(_MAGIC)}sqI")
_BLOCK: Final = 4096
_NAME: Final = re.compile(r"[0-9a-f]{64}\.(?:crl|ocsp)")
_BESIDE: Final = re.compile(r"\.smime-agent\.[0-9a-f]{16}\.part")
#: A file beside one that is being written is forgotten after this many seconds.
_FORGOTTEN: Final = 3600
#: Between two looks at the whole directory, so many files are written.
_WRITES_BETWEEN: Final = 256


class DiskCache:
    """A directory of answers, which other processes may use at the same time.

    The directory and its files are the user's alone. A file that somebody else owns, or that is damaged, is as good as
    none. A directory that cannot be written keeps nothing, and that is no error.
    """

    def __init__(self, directory: Path, octets: int, age: timedelta) -> None:
        """Keep answers in a directory, made when the first one is kept; ``age`` is how old one can be of any use."""
        self._directory = os.fspath(directory)
        self._octets = octets
        self._age = age
        self._used = 0
        self._writes_left = 0

    def read(self, name: str, most: int) -> tuple[bytes, datetime] | None:
        """The answer of that name and when it was fetched."""
        try:
            # O_NONBLOCK: a FIFO of that name must not make us wait.
            flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            descriptor = os.open(os.path.join(self._directory, name), flags)
        except OSError:
            return None
        try:
            status = os.fstat(descriptor)
            is_ours = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
            if not is_ours or status.st_size > most + _HEAD.size:
                return None
            with os.fdopen(descriptor, "rb", buffering=0, closefd=False) as file:
                head, answer = file.read(_HEAD.size), file.read()
        except OSError:
            return None
        finally:
            os.close(descriptor)
        return _checked(name, head, answer)

    def write(self, name: str, answer: bytes, fetched: datetime) -> None:
        """Keep an answer, and make room for it."""
        if _size(len(answer)) > self._octets:
            return
        seconds = int(fetched.timestamp())
        head = _HEAD.pack(_MAGIC, seconds, _checksum(name, seconds, answer))
        with contextlib.suppress(OSError):
            os.makedirs(self._directory, mode=0o700, exist_ok=True)
            if self._writes_left <= 0 or self._used + _size(len(answer)) > self._octets:
                self._make_room(_size(len(answer)), fetched)
            self._write_beside(name, head, answer)
            self._used += _size(len(answer))
            self._writes_left -= 1

    def _write_beside(self, name: str, head: bytes, answer: bytes) -> None:
        beside = os.path.join(self._directory, f".smime-agent.{os.urandom(8).hex()}.part")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            try:
                write_all(descriptor, (head, answer))
            finally:
                os.close(descriptor)
            os.rename(beside, os.path.join(self._directory, name))
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(beside)
            raise

    def _make_room(self, octets: int, now: datetime) -> None:
        """Remove what is too old, and then the oldest, until there is room; other files are not touched."""
        seconds = now.timestamp()
        kept: list[tuple[float, int, str]] = []
        with os.scandir(self._directory) as entries:
            for entry in entries:
                longest = self._longest(entry.name)
                if longest is None or not entry.is_file(follow_symlinks=False):
                    continue
                with contextlib.suppress(FileNotFoundError):  # another process was faster
                    status = entry.stat(follow_symlinks=False)
                    if seconds - status.st_mtime > longest:
                        os.unlink(entry.path)
                    else:
                        kept.append((status.st_mtime, _size(status.st_size), entry.path))
        self._used = sum(size for _, size, _ in kept)
        for _, size, path in sorted(kept):
            if self._used + octets <= self._octets:
                break
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            self._used -= size
        self._writes_left = _WRITES_BETWEEN

    def _longest(self, name: str) -> float | None:
        """How many seconds a file of that name may stay; nothing for one that is not ours."""
        if _NAME.fullmatch(name):
            return self._age.total_seconds()
        return _FORGOTTEN if _BESIDE.fullmatch(name) else None


def _size(octets: int) -> int:
    """What so many octets, with a head, take on a disk."""
    return -(-(octets + _HEAD.size) // _BLOCK) * _BLOCK


def _checksum(name: str, seconds: int, answer: bytes) -> int:
    return zlib.crc32(answer, zlib.crc32(f"{name} {seconds}".encode()))


def _checked(name: str, head: bytes, answer: bytes) -> tuple[bytes, datetime] | None:
    try:
        magic, seconds, checksum = _HEAD.unpack(head)
        fetched = datetime.fromtimestamp(seconds, UTC)
    except (struct.error, ValueError, OverflowError, OSError):
        return None
    if magic != _MAGIC or checksum != _checksum(name, seconds, answer):
        return None
    return answer, fetched
