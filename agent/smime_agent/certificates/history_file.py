"""The file of the history: JSON, written beside and renamed under a lock, the person's alone.

::

    {"schema": "smime-agent.history/1", "certificates": [{
      "certificate": "MIIB...", "key_id": "01", "has_key": true, "first_seen": "2026-01-02", "last_seen": "2026-05-17",
      "token": {"label": "my token", "serial": "7349d91d", "manufacturer": "SoftHSM project", "model": "SoftHSM v2"}}]}
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
import time
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import date
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from smime_agent.cms.certificate_index import names_of
from smime_agent.files import write_file
from smime_agent.keyring.sightings import Sighting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

MAX_ENTRIES: Final = 1_000
MAX_SIZE: Final = 4 * 1024 * 1024
_SCHEMA: Final = "smime-agent.history/"
_VERSION: Final = "1"
_LONGEST_TEXT: Final = 256
_FRAME: Final = 400  # octets of an entry that are always there
#: Another process holds the lock for milliseconds; one that was stopped meanwhile is not waited for.
_PATIENCE_SECONDS: Final = 2.0
_PAUSE_SECONDS: Final = 0.005


class Condition(Enum):
    """What can be done with a file."""

    WHOLE = auto()
    DAMAGED = auto()  # what can be read of it is used, and it is set aside before another is written
    UNTOUCHABLE = auto()  # newer than this program, or not to be read: it is left alone


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file holds, and what is to be said about it."""

    entries: tuple[Sighting, ...] = ()
    condition: Condition = Condition.WHOLE
    complaint: str | None = None


def read(path: Path) -> Contents:
    """What is in the file; nothing where there is none. It never fails."""
    try:
        data = _read_bounded(path)
    except FileNotFoundError:
        return Contents()
    except OSError as error:
        return Contents((), Condition.UNTOUCHABLE, f"cannot be read: {error.strerror}")
    if data is None:
        return Contents((), Condition.UNTOUCHABLE, "is no file")
    if len(data) > MAX_SIZE:
        return Contents((), Condition.DAMAGED, "is larger than it ever gets")
    return _parsed(data)


def write(path: Path, entries: Iterable[Sighting]) -> None:
    """Replace the file.

    Raises:
        FileError: it cannot be written.
    """
    values = {"schema": _SCHEMA + _VERSION, "certificates": [_value(entry) for entry in entries]}
    write_file(path, [json.dumps(values, indent=1).encode(), b"\n"], mode=0o600)


def size_of(entry: Sighting) -> int:
    """How many octets an entry takes in the file, at most."""
    texts = len(entry.label) + len(entry.serial) + len(entry.manufacturer) + len(entry.model)
    return len(entry.encoded) * 4 // 3 + 6 * texts + 2 * len(entry.key_id) + _FRAME


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes from writing the file meanwhile.

    Raises:
        OSError: that is not possible, or others do not let go of it.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(path.with_name(path.name + ".lock"), flags, 0o600)
    try:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(_PAUSE_SECONDS)
        yield
    finally:
        os.close(descriptor)


def is_ours(folder: Path) -> bool:
    """The folder, or the one that it would be made in, is the account's own.

    With sudo it may be somebody else's, who could not write there any more.
    """
    for existing in (folder, *folder.parents):
        try:
            return existing.stat().st_uid == os.geteuid()
        except FileNotFoundError:
            continue
        except OSError:
            break
    return False


def _read_bounded(path: Path) -> bytes | None:
    """As much as a file may hold, and an octet more; nothing where it is no file. A FIFO is not waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return file.read(MAX_SIZE + 1)


def _parsed(data: bytes) -> Contents:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return Contents((), Condition.DAMAGED, "is damaged")
    match value:
        case {"schema": str(schema), "certificates": list(found)} if schema == _SCHEMA + _VERSION:
            pass
        case {"schema": str(schema)} if schema.startswith(_SCHEMA) and schema != _SCHEMA + _VERSION:
            return Contents((), Condition.UNTOUCHABLE, "was written by a newer version of this program")
        case _:
            return Contents((), Condition.DAMAGED, "is damaged")
    entries = []
    for one in found[:MAX_ENTRIES]:
        with contextlib.suppress(ValueError):
            entries.append(_entry(one))
    if len(entries) < len(found):
        return Contents(tuple(entries), Condition.DAMAGED, "is damaged in parts")
    return Contents(tuple(entries))


def _entry(value: object) -> Sighting:
    """One entry.

    Raises:
        ValueError: it is none.
    """
    match value:
        case {
            "certificate": str(certificate),
            "key_id": str(key_id),
            "has_key": bool(has_key),
            "first_seen": str(first_seen),
            "last_seen": str(last_seen),
            "token": {
                "label": str(label),
                "serial": str(serial),
                "manufacturer": str(manufacturer),
                "model": str(model),
            },
        } if max(map(len, (label, serial, manufacturer, model, key_id))) <= _LONGEST_TEXT:
            encoded = b64decode(certificate, validate=True)
            if names_of(encoded) is None:
                raise ValueError
            days = date.fromisoformat(first_seen), date.fromisoformat(last_seen)
            return Sighting(encoded, label, serial, manufacturer, model, bytes.fromhex(key_id), has_key, *days)
    raise ValueError


def _value(entry: Sighting) -> dict[str, object]:
    return {
        "certificate": b64encode(entry.encoded).decode(),
        "key_id": entry.key_id.hex(),
        "has_key": entry.has_key,
        "first_seen": f"{entry.first_seen}",
        "last_seen": f"{entry.last_seen}",
        "token": {
            "label": entry.label,
            "serial": entry.serial,
            "manufacturer": entry.manufacturer,
            "model": entry.model,
        },
    }
