"""Files that are written whole or not at all: beside their name first, then renamed onto it."""

# ruff: noqa: PTH104, PTH108, PTH110, PTH112, PTH113, PTH118, PTH120, PTH123 - a Path costs as much as the call it is for

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from smime_agent.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

#: Chunks are gathered to at least this many octets before they are written: a small file costs one call.
_GATHER = 1 << 16
#: From so many octets on room is reserved.
_LARGE = 1 << 22


def write_file(path: Path, chunks: Iterable[bytes], *, mode: int = 0o666, size: int = 0) -> None:
    """Write a file: all of it, or nothing under that name. Devices and pipes are written through.

    ``mode`` is what is permitted with a new file, as far as the umask lets it. ``size`` is about how many octets there
    will be, where that is known: room for many is reserved, so that a disk that is too full is known at once.

    Raises:
        FileError: it cannot be written.
    """
    name = os.fspath(path)
    there = os.path.exists(name)
    if there and os.path.isdir(name):
        msg = f"cannot write {path}: it is a directory"
        raise FileError(msg)
    try:
        if there and not os.path.isfile(name):
            with open(name, "wb", buffering=0) as device:
                write_all(device.fileno(), chunks)
        else:
            _write_beside(name, chunks, mode, size)
    except OSError as error:
        msg = f"cannot write {path}: {error.strerror}"
        raise FileError(msg) from error


def write_all(descriptor: int, chunks: Iterable[bytes]) -> None:
    """Write every octet to a descriptor, in few calls.

    Raises:
        OSError: it takes no more.
    """
    pending: list[bytes] = []
    size = 0
    for chunk in chunks:
        pending.append(chunk)
        size += len(chunk)
        if size >= _GATHER:
            _drain(descriptor, b"".join(pending))
            pending, size = [], 0
    _drain(descriptor, b"".join(pending))


def _drain(descriptor: int, octets: bytes) -> None:
    written = os.write(descriptor, octets) if octets else 0
    while written < len(octets):
        written += os.write(descriptor, memoryview(octets)[written:])


def _write_beside(path: str, chunks: Iterable[bytes], mode: int, size: int) -> None:
    beside = os.path.join(os.path.dirname(path), f".smime-agent.{os.urandom(8).hex()}.part")
    descriptor = -1
    try:
        try:
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            if size <= _LARGE:
                write_all(descriptor, chunks)
            else:
                os.posix_fallocate(descriptor, 0, size)  # which is also faster than to find room for each piece
                write_all(descriptor, chunks)
                os.ftruncate(descriptor, os.lseek(descriptor, 0, os.SEEK_CUR))
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        os.rename(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
