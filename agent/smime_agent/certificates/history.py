"""The memory of certificates of ours: which was seen on which token, and when, be the token plugged in or not.

It is one small file of public facts. It is a help and never in the way: what cannot be read is set aside or left alone,
what cannot be written is not kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from smime_agent.certificates import history_file
from smime_agent.certificates.history_file import MAX_ENTRIES, MAX_SIZE, Condition, Contents
from smime_agent.cms.certificate_index import names_of
from smime_agent.errors import FileError
from smime_agent.keyring.sightings import Sighting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date
    from pathlib import Path

    from smime_agent.cms.recipient_info import IssuerAndSerialNumber, KeyIdentifier
    from smime_agent.tokens.objects import TokenObjects
    from smime_agent.tokens.token import TokenInfo

#: Certificates of one token that are remembered: an HSM may hold more than a person ever had.
_MOST_OF_ONE_TOKEN: Final = 250
_LONGEST_KEY_ID: Final = 64


def history_path(data_directory: Path) -> Path:
    """Where it is."""
    return data_directory / "history.json"


class History:
    """A :class:`~smime_agent.keyring.sightings.KeyHistory` in a file, which other processes may write too."""

    def __init__(self, path: Path, warn: Callable[[str], None] = lambda _: None) -> None:
        """Remember in the file at ``path``; ``warn`` is told, once, if something is wrong with it."""
        self._path = path
        self._warn = warn
        self._has_warned = False
        self._recorded: set[_Look] = set()

    def entries(self) -> tuple[Sighting, ...]:
        """All that is remembered, what was seen last first."""
        return tuple(sorted(self._read().entries, key=_latest, reverse=True))

    def find(self, identifier: IssuerAndSerialNumber | KeyIdentifier) -> tuple[Sighting, ...]:
        """Where the certificates were seen that an identifier names, what was seen last first."""
        from smime_agent.keyring.matching import Comparisons, KnownCertificates

        entries = self.entries()
        known = KnownCertificates(entry.encoded for entry in entries)
        named = {certificate.encoded for certificate in known.find(identifier, Comparisons())}
        return tuple(entry for entry in entries if entry.encoded in named)

    def record(self, token: TokenInfo, objects: TokenObjects, today: date) -> None:
        """Remember the certificates on a token, CAs' left out. The file is written only where that is news."""
        look = _Look.at(token, objects, today)
        if look in self._recorded:
            return
        self._recorded.add(look)
        contents = self._read()
        if contents.condition is Condition.UNTOUCHABLE or look.added_to(contents.entries) == contents.entries:
            return
        try:
            self._write(look)
        except OSError as error:
            self._tell(f"cannot be written: {error.strerror}")
        except FileError as error:
            self._tell(f"is not kept: {error}")

    def _write(self, look: _Look) -> None:
        """Add what was seen to what the file holds by now.

        Raises:
            OSError, FileError: it cannot be written.
        """
        folder = self._path.parent
        if not history_file.is_ours(folder):
            return
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with history_file.locked(self._path):
            contents = history_file.read(self._path)
            if contents.condition is Condition.UNTOUCHABLE:
                return
            if contents.condition is Condition.DAMAGED:
                self._path.replace(self._path.with_name(self._path.name + ".damaged"))
            history_file.write(self._path, _bounded(look.added_to(contents.entries)))

    def _read(self) -> Contents:
        contents = history_file.read(self._path)
        if contents.complaint is not None:
            self._tell(contents.complaint)
        return contents

    def _tell(self, complaint: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            self._warn(f"the history of keys, {self._path}, {complaint}")


@dataclass(frozen=True, slots=True)
class _Look:
    """What was seen on a token at once; ``shows_private_keys``: a key that was not seen is not there."""

    sightings: tuple[Sighting, ...]
    shows_private_keys: bool

    @classmethod
    def at(cls, token: TokenInfo, objects: TokenObjects, today: date) -> _Look:
        found = sorted(_sightings(token, objects, today), key=_latest, reverse=True)
        return cls(tuple(found[:_MOST_OF_ONE_TOKEN]), any(key.private_seen for key in objects.keys))

    def added_to(self, entries: tuple[Sighting, ...]) -> tuple[Sighting, ...]:
        """The entries with these among them: the same if nothing is new."""
        merged = {_identity(entry): entry for entry in entries}
        for one in self.sightings:
            old = merged.get(_identity(one))
            if old is None:
                merged[_identity(one)] = one
                continue
            # Before a login the key may only be hidden.
            has_key = one.has_key or (old.has_key and not self.shows_private_keys)
            merged[_identity(one)] = replace(
                old,
                key_id=one.key_id if one.has_key else old.key_id,
                has_key=has_key,
                first_seen=min(old.first_seen, one.first_seen),
                last_seen=max(old.last_seen, one.last_seen),
            )
        return tuple(merged.values())


def _sightings(token: TokenInfo, objects: TokenObjects, today: date) -> Iterator[Sighting]:
    for found in objects.certificates:
        certificate = found.certificate
        if certificate.is_ca or names_of(certificate.encoded) is None:
            continue
        key = objects.key_of(certificate)
        key_id = (found if key is None else key).id
        yield Sighting(
            encoded=certificate.encoded,
            label=token.label,
            serial=token.serial,
            manufacturer=token.manufacturer,
            model=token.model,
            key_id=key_id if len(key_id) <= _LONGEST_KEY_ID else b"",
            has_key=key is not None,
            first_seen=today,
            last_seen=today,
        )


def _bounded(entries: tuple[Sighting, ...]) -> list[Sighting]:
    """As many as a file may hold; those go first that were not seen for the longest time."""
    left, room = MAX_ENTRIES, MAX_SIZE
    kept = set[tuple[object, ...]]()
    for entry in sorted(entries, key=_latest, reverse=True):
        left, room = left - 1, room - history_file.size_of(entry)
        if left < 0 or room < 0:
            break
        kept.add(_identity(entry))
    return [entry for entry in entries if _identity(entry) in kept]


def _identity(entry: Sighting) -> tuple[object, ...]:
    return (entry.encoded, entry.label, entry.serial, entry.manufacturer, entry.model)


def _latest(entry: Sighting) -> tuple[object, ...]:
    """What to sort by: the latest, and of two of one day the one that had its key."""
    return (entry.last_seen, entry.has_key, entry.encoded)
