"""Where messages come from and where results go."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from smime_agent.cli import ui
from smime_agent.cli.ui import printable
from smime_agent.errors import FileError, UsageError
from smime_agent.files import write_all, write_file
from smime_agent.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_MIB: Final = 1024 * 1024
#: From so many octets on, a person is shown how far it is.
_LARGE: Final = 32 * _MIB


def open_source(path: Path | None) -> Source:
    """A message to read: a file, or standard input where there is none (``-``).

    Raises:
        UsageError: standard input is a terminal, or the file cannot be read.
    """
    if path is not None and str(path) != "-":
        return Source.from_path(path)
    if sys.stdin is None or sys.stdin.closed:
        msg = "no message was given, and standard input is closed"
        raise UsageError(msg, hint="name a file, or redirect a mail into the command")
    if sys.stdin.isatty():
        msg = "no message was given, and standard input is the terminal"
        raise UsageError(msg, hint="name a file, or redirect a mail into the command")
    return Source.from_stream(sys.stdin.buffer)


def check_output(output: Path | None, *, binary: bool = False) -> None:
    """Refuse a place that will not take the result, before a key is used for it.

    Raises:
        FileError: there is no such folder, or it cannot be written.
        UsageError: standard output is closed, or it is a terminal and the result is ``binary``.
    """
    if output is not None:
        folder = output.parent
        try:
            missing, is_folder = not folder.is_dir(), output.is_dir()
        except OSError as error:  # a name that is too long, or goes round in circles
            msg = f"cannot write {output}: {error.strerror}"
            raise FileError(msg) from error
        if missing:
            msg = f"cannot write {output}: there is no folder {folder}"
            raise FileError(msg)
        device = output.exists() and not output.is_file()  # written through, not renamed onto
        if is_folder or not (device or os.access(folder, os.W_OK)):
            msg = f"cannot write {output}: {'it is a folder' if is_folder else 'permission denied'}"
            raise FileError(msg)
    elif sys.stdout is None:
        msg = "standard output is closed"
        raise UsageError(msg, hint="use -o FILE")
    elif binary and sys.stdout.isatty():
        msg = "the result is binary, and standard output is the terminal"
        raise UsageError(msg, hint="use -o FILE, or PEM")


def write_result(chunks: Iterable[bytes], output: Path | None, *, secret: bool = False, size: int = 0) -> None:
    """Write a result, of about ``size`` octets if that is known, to a file, or to standard output where there is none.

    What is ``secret`` is for the person alone: a new file can be read by nobody else. What goes to a terminal cannot
    steer it.

    Raises:
        FileError: nobody reads it any more, or there is no room.
    """
    if output is not None or not sys.stdout.isatty():
        chunks = _watched(chunks, size)
    if output is not None:
        write_file(output, chunks, mode=0o600 if secret else 0o666, size=size)
        return
    try:
        write_all(sys.stdout.fileno(), _shown(chunks) if sys.stdout.isatty() else chunks)
    except OSError as error:
        msg = f"cannot write to standard output: {error.strerror}"
        raise FileError(msg) from error


def _watched(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same octets, counted on a bar where they are many, ``size`` at least."""
    total = size // _MIB if size >= _LARGE else 0
    done = octets = 0
    with ui.Progress(total, "writing, MiB:") as progress:
        for chunk in chunks:
            yield chunk
            octets += len(chunk)
            while done < min(octets // _MIB, total):
                progress.step()
                done += 1


def _shown(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Text as a terminal may have it: escape sequences would hide or forge what stands below, such as a verdict."""
    import codecs
    import io

    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")("backslashreplace"), translate=True)
    for chunk in chunks:
        yield _printable_text(decoder.decode(chunk))
    yield _printable_text(decoder.decode(b"", final=True))


def _printable_text(text: str) -> bytes:
    shown = "\n".join(printable(line.expandtabs()) for line in text.split("\n"))
    return shown.encode(sys.stdout.encoding, "backslashreplace")  # UTF-8 is full of what steers other terminals


def refuse_same_file(message: Path, output: Path) -> None:
    """A message is never touched.

    Raises:
        UsageError: ``output`` is the message.
    """
    try:
        same = message.samefile(output)
    except OSError:
        return
    if same:
        msg = f"{output} would overwrite the message that is to be read"
        raise UsageError(msg, hint="choose another name for the result")
