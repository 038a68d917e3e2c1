"""Bytes of any size that can be read again and again."""

from __future__ import annotations

import io
import os
import stat
from typing import TYPE_CHECKING, BinaryIO, ClassVar, Protocol, Self

from smime_agent.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
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

    Made by one of the methods that begin with ``from``. Up to ``IN_MEMORY`` octets are held in memory; a larger
    file is read with ``pread``, so that nobody's file position is used, and is watched: once it is changed, every
    further read is a ``FileError``. A larger stream is spooled: it is kept in an unlinked temporary file, encrypted
    unless the caller knows that it is no secret. ``close``, or leaving the ``with`` block, lets go of it.
    """

    CHUNK: ClassVar[int] = 256 * 1024
    IN_MEMORY: ClassVar[int] = 1024 * 1024

    __slots__ = ("_close", "_data", "_descriptor", "_file", "_offset", "_reader", "_stamp", "size")

    size: int

    def __init__(self, data: bytes | None, *, size: int) -> None:
        self._data = data
        self._descriptor = -1
        self._file: BinaryIO | None = None  # the descriptor is as long as this is
        self._reader: Callable[[int, int], bytes] | None = None
        self._close: Callable[[], None] | None = None
        self._offset = 0
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
            source._close = file.close  # noqa: SLF001 - ours to close, as a spool is
        else:
            file.close()
        return source

    @classmethod
    def from_stream(cls, stream: Readable, *, secret: bool = True) -> Source:
        """All that a stream has left; beyond ``IN_MEMORY`` octets it is spooled.

        Raises ``FileError`` if the stream cannot be read or the temporary file cannot be written.
        """
        return cls.from_blocks(_blocks(stream, cls.CHUNK), secret=secret)

    @classmethod
    def from_blocks(cls, blocks: Iterable[bytes], *, secret: bool = True) -> Source:
        """All that these blocks hold; beyond ``IN_MEMORY`` octets they are spooled.

        Raises ``FileError`` if the temporary file cannot be written, and what ``blocks`` raises.
        """
        held: list[bytes] = []
        size = 0
        rest = iter(blocks)
        for block in rest:
            held.append(block)
            size += len(block)
            if size > cls.IN_MEMORY:
                return cls._spooled(held, rest, secret=secret)
        return cls(b"".join(held), size=size)

    @classmethod
    def _spooled(cls, held: list[bytes], rest: Iterator[bytes], *, secret: bool) -> Source:
        from smime_agent.spool import Spool  # most mail is small

        spool = Spool(secret=secret)
        try:
            for block in held:
                spool.write(block)
            held.clear()
            for block in rest:
                spool.write(block)
        except BaseException:
            spool.close()
            raise
        return cls.from_reader(spool.read, spool.size, spool.close)

    @classmethod
    def from_reader(
        cls, read: Callable[[int, int], bytes], size: int, close: Callable[[], None] | None = None
    ) -> Source:
        """What ``read(start, end)`` gives: exactly these octets of ``size``, whatever and however often it is asked."""
        source = cls(None, size=size)
        source._reader, source._close = read, close
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
        if self._reader is not None:
            return self._reader(self._offset + start, self._offset + stop)
        if self._file is None:
            raise FileError("the message was closed already, and can be read no more")
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
        part._file, part._descriptor, part._reader = self._file, self._descriptor, self._reader
        part._stamp = self._stamp
        part._offset = self._offset + start
        return part

    def close(self) -> None:
        """Let go of the bytes, and of the temporary file if there is one. Whoever reads on is told, not cut short."""
        self._data = None
        close, self._close = self._close, None
        if close is not None:
            close()
        self._file, self._reader, self._descriptor = None, None, -1

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


def _blocks(stream: Readable, size: int) -> Iterator[bytes]:
    while True:
        try:
            block = stream.read(size)
        except OSError as error:
            raise _unreadable(error) from error
        if block is None:  # A stream that does not block has nothing *yet*: the end of the mail it is not.
            raise FileError("the input is not ready to be read", hint="give a file, or a pipe that blocks")
        if not block:
            return
        yield block


def _unreadable(error: OSError) -> FileError:
    return FileError(f"the input cannot be read: {error.strerror or error}")
