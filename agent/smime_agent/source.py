"""Bytes of any size that can be read again and again."""

from __future__ import annotations

import io
import os
import stat
from typing import TYPE_CHECKING, BinaryIO, ClassVar, Protocol, Self

from smime_agent.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

_CHANGED = "the input was changed while it was read"
_CHANGED_HINT = "wait until the program that writes it is done, or make a copy and use that"


class Readable(Protocol):
    """A binary stream, as far as it is used here."""

    def read(self, size: int, /) -> bytes | None:
        """At most ``size`` octets; none at its end; None if it does not block and has nothing yet."""


class Source:
    """Bytes of any size that can be read again and again.

    Made by ``from_bytes``, ``from_file`` or ``from_stream``. Up to ``IN_MEMORY`` octets are held in memory; a larger
    file is read with ``pread``, so that nobody's file position is used, and is watched: once it is changed, every
    further read is a ``FileError``. A spooled stream is closed by ``close`` or by leaving the ``with`` block.
    """

    CHUNK: ClassVar[int] = 256 * 1024
    IN_MEMORY: ClassVar[int] = 1024 * 1024

    __slots__ = ("_data", "_descriptor", "_file", "_offset", "_spooled", "_stamp", "size")

    size: int

    def __init__(self, data: bytes | None, *, size: int) -> None:
        self._data = data
        self._descriptor = -1
        self._file: BinaryIO | None = None
        self._offset = 0
        self._spooled = False
        self._stamp: tuple[int, int, int] | None = None
        self.size = size

    @property
    def in_memory(self) -> bool:
        """All of it is held: there is nothing to close."""
        return self._data is not None

    @classmethod
    def from_bytes(cls, data: bytes) -> Source:
        """The bytes themselves."""
        return cls(data, size=len(data))

    @classmethod
    def from_file(cls, file: BinaryIO) -> Source:
        """What follows the position of a seekable binary file, which stays the caller's and must stay open.

        What is not a plain file of the system (a pipe, a ``BytesIO``, a compressed file) is spooled instead.
        Raises ``FileError`` if it cannot be read.
        """
        # GzipFile has a descriptor too, but of the compressed bytes.
        if not isinstance(getattr(file, "raw", file), io.FileIO):
            return cls.from_stream(file)
        try:
            descriptor = file.fileno()
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return cls.from_stream(file)
            offset = file.tell()
            # Files under /proc say that their size is 0: believe what is read.
            # A buffer of the right size is much cheaper than one that is cut.
            likely = max(status.st_size - offset, 0) + 1
            head = _pread(descriptor, offset, min(likely, cls.IN_MEMORY + 1))
            if len(head) == likely and likely <= cls.IN_MEMORY:
                head += _pread(descriptor, offset + likely, cls.IN_MEMORY + 1 - likely)
        except OSError as error:
            raise _unreadable(error) from error
        if len(head) <= cls.IN_MEMORY:
            return cls(head, size=len(head))
        source = cls(None, size=status.st_size - offset)
        source._file, source._descriptor, source._offset = file, descriptor, offset
        source._stamp = (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        return source

    @classmethod
    def from_path(cls, path: Path) -> Source:
        """The contents of the file at ``path``; a named pipe is spooled.

        Raises:
            FileError: it cannot be read.
        """
        try:
            data = _small_file(path, cls.IN_MEMORY)
            if data is not None:
                return cls(data, size=len(data))
            file = path.open("rb", buffering=0)
        except OSError as error:
            msg = f"cannot read {path}: {error.strerror}"
            raise FileError(msg) from error
        try:
            source = cls.from_file(file)
        except FileError as error:
            file.close()
            msg = f"cannot read {path}: {str(error).removeprefix('the input cannot be read: ')}"
            raise FileError(msg, hint=error.hint) from error
        if source._file is file:  # noqa: SLF001 - our own
            source._spooled = True  # noqa: SLF001 - ours to close, as a spool is
        else:
            file.close()
        return source

    @classmethod
    def from_stream(cls, stream: Readable) -> Source:
        """All that a stream has left; beyond ``IN_MEMORY`` octets it is kept in an unlinked temporary file (0600).

        Raises ``FileError`` if the stream cannot be read or the temporary file cannot be written.
        """
        blocks: list[bytes] = []
        size = 0
        try:
            while size <= cls.IN_MEMORY:
                block = _read_block(stream, cls.CHUNK)
                if not block:
                    return cls(b"".join(blocks), size=size)
                blocks.append(block)
                size += len(block)
            return cls._spool(blocks, stream)
        except OSError as error:
            raise _unreadable(error) from error

    @classmethod
    def _spool(cls, blocks: list[bytes], stream: Readable) -> Source:
        import tempfile  # it takes milliseconds to import, and most mail is small

        spool = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - the source closes it
        try:
            for block in blocks:
                _write_all(spool.fileno(), block)
            while block := _read_block(stream, cls.CHUNK):
                _write_all(spool.fileno(), block)
            size = os.fstat(spool.fileno()).st_size
        except BaseException:
            spool.close()
            raise
        source = cls(None, size=size)
        source._file, source._descriptor, source._spooled = spool, spool.fileno(), True
        return source

    def chunks(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The octets from ``start`` to before ``end``, in blocks of at most ``CHUNK``; every call begins anew.

        Raises ``FileError`` if the file cannot be read or was changed.
        """
        stop = self.size if end is None else min(end, self.size)
        for position in range(start, stop, self.CHUNK):
            yield self.read(position, min(position + self.CHUNK, stop))

    def read(self, start: int = 0, end: int | None = None) -> bytes:
        """The octets from ``start`` to before ``end``, fewer only where the source ends.

        Raises ``FileError`` if the file cannot be read or was changed.
        """
        stop = self.size if end is None else min(end, self.size)
        if self._data is not None:
            return self._data[self._offset + start : self._offset + stop]
        if start >= stop:
            return b""
        try:
            data = _pread(self._descriptor, self._offset + start, stop - start)
            status = os.fstat(self._descriptor)
        except OSError as error:
            raise _unreadable(error) from error
        # Digest and output are two reads: a file that changed between them would carry a signature over other bytes.
        changed = self._stamp is not None and self._stamp != (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        if changed or len(data) < stop - start:
            raise FileError(_CHANGED, hint=_CHANGED_HINT)
        return data

    def view(self, start: int, end: int) -> Source:
        """A source of the octets from ``start`` to before ``end``, without a copy; this one must stay open for it."""
        start = min(start, self.size)
        part = Source(self._data, size=max(min(end, self.size) - start, 0))
        part._file, part._descriptor, part._stamp = self._file, self._descriptor, self._stamp
        part._offset = self._offset + start
        return part

    def close(self) -> None:
        """Let go of the bytes, and of the temporary file if there is one."""
        self._data = b""
        self.size = 0
        if self._spooled and self._file is not None:
            self._file.close()
        self._file, self._descriptor = None, -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _small_file(path: Path, limit: int) -> bytes | None:
    """All of a plain file that is small and says so, else nothing: four calls, where a file object makes nine."""
    status = os.stat(path)  # noqa: PTH116 - a Path costs as much as the call. Before it is opened: a pipe is left alone
    if not stat.S_ISREG(status.st_mode) or not 0 < status.st_size <= limit:
        return None
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.read(descriptor, status.st_size + 1)
    finally:
        os.close(descriptor)
    return data if len(data) == status.st_size else None


def _pread(descriptor: int, offset: int, size: int) -> bytes:
    data = os.pread(descriptor, size, offset)
    if len(data) == size or not data:
        return data
    blocks = [data]
    done = len(data)
    while done < size and (data := os.pread(descriptor, size - done, offset + done)):
        blocks.append(data)
        done += len(data)
    return b"".join(blocks)


def _write_all(descriptor: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(descriptor, view) :]


def _read_block(stream: Readable, size: int) -> bytes:
    block = stream.read(size)
    if block is None:  # A stream that does not block has nothing *yet*: the end of the mail it is not.
        raise FileError("the input is not ready to be read", hint="give a file, or a pipe that blocks")
    return block


def _unreadable(error: OSError) -> FileError:
    return FileError(f"the input cannot be read: {error.strerror or error}")
