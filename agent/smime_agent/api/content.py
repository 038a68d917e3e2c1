"""What the library takes as a message."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from smime_agent.errors import UsageError
from smime_agent.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What can be signed or verified. A path or a stream is read as its octets are needed.
Content = bytes | Path | BinaryIO | Source


def open_content(message: Content) -> Source:
    """The octets of a message.

    Raises:
        FileError: it cannot be read.
    """
    if isinstance(message, Source):
        return message
    if isinstance(message, bytes):
        return Source.from_bytes(message)
    if isinstance(message, Path):
        return Source.from_path(message)
    return Source.from_file(message) if message.seekable() else Source.from_stream(message)


def taken_once(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces of a result, of which there always are some.

    Raises:
        UsageError: while they are taken: there are none, since somebody took them before.
    """
    is_any = False
    for chunk in chunks:
        is_any = True
        yield chunk
    if not is_any:
        raise UsageError("the result was taken already: it is written while it is read, and once")
