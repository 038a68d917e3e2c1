"""What the library takes as a message."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from smime_agent.source import Source

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
