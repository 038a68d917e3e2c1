"""Files that belong to systemd and udev: written beside and renamed, and those of others left alone."""

from __future__ import annotations

import contextlib
import stat
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from smime_agent.cli import ui
from smime_agent.daemon.units import Text
from smime_agent.errors import FileError
from smime_agent.files import write_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_LARGEST: Final = 1 << 20  # octets; ours are a few thousand


class State(Enum):
    """What is under the name of a file."""

    ABSENT = auto()
    CURRENT = auto()
    OURS = auto()
    FOREIGN = auto()


@dataclass(frozen=True, slots=True)
class UnitFile:
    """A file and what it is to say."""

    path: Path
    text: Text

    def state(self) -> State:
        """What is there now. A link is not ours: systemd masks a unit by a link to ``/dev/null``.

        Raises:
            FileError: it cannot be read.
        """
        try:
            found = self.path.lstat()
            if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST:
                return State.FOREIGN
            content = self.path.read_bytes()
        except FileNotFoundError:
            return State.ABSENT
        except OSError as error:
            msg = f"cannot read {self.path}: {error.strerror}"
            raise FileError(msg) from error
        if content == self.text.content.encode():
            return State.CURRENT
        there = Text(self.text.name, content.decode("utf-8", "replace"))
        return State.OURS if there.is_ours else State.FOREIGN


def write(files: Iterable[UnitFile], *, force: bool) -> bool:
    """Write those that are not as they should be, all of them or, where one is somebody else's, none.

    Whether any was written is returned. Each is told. ``force`` overwrites what is somebody else's.

    Raises:
        FileError: a file is not ours, or cannot be written.
    """
    states = [(file, file.state()) for file in files]
    foreign = [str(file.path) for file, state in states if state is State.FOREIGN]
    if foreign and not force:
        msg = "a file is in the way that 'smime-agent agent install' did not write"
        raise FileError(msg, hint="look at it; --force overwrites it", details=foreign)
    for file, state in states:
        if state is State.CURRENT:
            ui.note(f"unchanged  {file.path}")
            continue
        with _telling(file.path):
            file.path.parent.mkdir(parents=True, exist_ok=True)
            if file.path.is_symlink():  # else what it leads to would be written
                file.path.unlink()
        write_file(file.path, [file.text.content.encode()], mode=0o644)
        ui.note(f"written    {file.path}")
    return any(state is not State.CURRENT for _, state in states)


def remove(files: Iterable[UnitFile], links: Iterable[Path] = ()) -> bool:
    """Remove those that are ours, and links that lead nowhere then; whether there was any is returned.

    Raises:
        FileError: one cannot be removed.
    """
    found = False
    for file in files:
        state = file.state()
        if state is State.FOREIGN:
            ui.note(f"left       {file.path}: 'smime-agent agent install' did not write it")
        elif state is not State.ABSENT:
            _remove(file.path)
            found = True
    for link in links:
        if link.is_symlink() and not link.exists():
            _remove(link)
    return found


def _remove(path: Path) -> None:
    with _telling(path):
        path.unlink()
    ui.note(f"removed    {path}")


@contextlib.contextmanager
def _telling(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        msg = f"cannot write {path}: {error.strerror}"
        raise FileError(msg) from error


def who_else_can_change(path: Path) -> Path | None:
    """A folder or file on the way to a program that not only root can change, if there is one.

    Both ways count where a link is on it: what it is called, and where it leads.
    """
    named, real = path.absolute(), path.resolve()
    for one in (named, *named.parents, real, *real.parents):
        with contextlib.suppress(OSError):
            found = one.stat()
            shared = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not found.st_mode & stat.S_ISVTX
            if found.st_uid or shared:
                return one
    return None
