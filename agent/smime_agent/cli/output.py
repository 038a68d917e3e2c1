"""Where messages come from and where results go."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from smime_agent.errors import FileError, UsageError
from smime_agent.files import write_all
from smime_agent.mime import Source

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


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


def write_stdout(chunks: Iterable[bytes], *, binary: bool = False) -> None:
    """Write a result to standard output.

    Raises:
        FileError: nobody reads it any more, or there is no room.
        UsageError: it is binary, and would go to a terminal.
    """
    if sys.stdout is None:
        msg = "standard output is closed"
        raise UsageError(msg, hint="use -o FILE")
    if binary and sys.stdout.isatty():
        msg = "the result is binary, and standard output is the terminal"
        raise UsageError(msg, hint="use -o FILE, or --format pem")
    try:
        write_all(sys.stdout.fileno(), chunks)
    except OSError as error:
        msg = f"cannot write to standard output: {error.strerror}"
        raise FileError(msg) from error


def refuse_same_file(inputs: Iterable[Path], output: Path) -> None:
    """Inputs are never touched.

    Raises:
        UsageError: ``output`` is one of them.
    """
    for path in inputs:
        try:
            same = path.samefile(output)
        except OSError:
            same = False
        if same:
            msg = f"{output} would overwrite the message that is to be read"
            raise UsageError(msg, hint="choose another name for the result")
