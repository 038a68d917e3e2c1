"""Which messages a command line names: files, folders of files, Maildirs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smime_agent.errors import FileError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def message_path(text: str) -> Path:
    """A message that a command line names; an empty one is a shell's unset variable, not the folder one is in.

    Raises:
        UsageError: it is empty.
    """
    if not text:
        msg = "the name of a message is empty"
        raise UsageError(msg)
    return Path(text)


MessagesArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        parser=message_path,
        metavar="[MESSAGE]...",
        help="Mails or CMS objects, folders of them, Maildirs; else standard input.",
    ),
]


def expanded(messages: Sequence[Path]) -> Iterator[Path]:
    """Each file, and in the place of each folder the files in it, by name; of a Maildir those in ``new`` and ``cur``.

    Raises:
        FileError: a folder cannot be read.
    """
    for path in messages:
        if not path.is_dir():
            yield path
            continue
        folders = [path / name for name in ("new", "cur") if (path / name).is_dir()] or [path]  # a Maildir has both
        try:
            inside = [found for folder in folders for found in folder.iterdir()]
        except OSError as error:
            msg = f"cannot read {path}: {error.strerror}"
            raise FileError(msg) from error
        yield from sorted(found for found in inside if not found.name.startswith(".") and found.is_file())
