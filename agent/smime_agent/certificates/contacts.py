"""Certificates of other people, in a folder: remembered from what they signed, or put there by hand.

What is here was checked when it was remembered, if at all. Whoever encrypts checks again.
"""

# ruff: noqa: PTH118 - scandir gives names and sizes without a call for each

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final

from smime_agent.certificates.contact_file import (
    ContactFile,
    capabilities_of,
    read_contact_file,
    write_contact_file,
)
from smime_agent.cms.capabilities import capabilities_of_certificate
from smime_agent.errors import FileError
from smime_agent.files import write_file
from smime_agent.mailbox import same_mailbox_key
from smime_agent.smime.recipients import Recipient
from smime_agent.x509 import InvalidCertificateError, certificate_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from smime_agent.cms.capabilities import Capabilities
    from smime_agent.x509 import Certificate

#: Files that are looked at, and the octets of one.
MAX_FILES: Final = 10_000
MAX_SIZE: Final = 256 * 1024
#: Certificates that are read for one address, and CA certificates of other files that may help to judge them.
MAX_FOUND: Final = 100
MAX_POOL: Final = 1_000
#: A signing time that is later than this is one of a wrong clock, or of a liar (RFC 8551, 2.7.1).
CLOCK_TOLERANCE: Final = timedelta(hours=1)
_SUFFIXES: Final = (".pem", ".crt", ".cer", ".der", ".p7c")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9@._+-]")
_NAME_LENGTH: Final = 64
#: basicConstraints with cA TRUE, critical or not, in DER.
_CA: Final = re.compile(rb"\x06\x03\x55\x1d\x13(?:\x01\x01\xff)?\x04.\x30.\x01\x01\xff", re.DOTALL)
_PLAIN: Final = re.compile(r'[^"\\]+')


@dataclass(frozen=True, slots=True)
class Contact:
    """A certificate of somebody, where it is, and what was said and seen with it.

    ``seen`` is the signing time of the latest signature that was.
    """

    path: Path
    certificate: Certificate
    capabilities: Capabilities | None
    seen: datetime | None


@dataclass(frozen=True, slots=True)
class _Scanned:
    """A file, and its certificates in small letters: what is in none of them need not be looked for in each."""

    file: ContactFile
    lowered: bytes

    @classmethod
    def of(cls, file: ContactFile) -> _Scanned:
        return cls(file, b"".join(file.certificates).lower())


def contacts_folder(data: Path) -> Path:
    """Where the contacts are in the data directory."""
    return data / "contacts"


class Contacts:
    """The folder of contacts; a :class:`~smime_agent.smime.recipients.RecipientDirectory`.

    Other processes and people may change the folder at any time.
    """

    def __init__(self, folder: Path, *, at: datetime | None = None) -> None:
        """Nothing is read yet. ``at`` is the time as of which certificates are current, each time now if left out."""
        self._folder = folder
        self._at = at
        self._files: dict[str, _Scanned] = {}
        self._cas: tuple[bytes, ...] = ()
        self._state: object = None

    def find(self, address: str) -> Sequence[Recipient]:
        """The certificates for an address, best first; none of them is checked here.

        First are those that can be encrypted to now, and of them the one whose holder signed last; the others follow,
        since the reason why not is worth knowing.
        """
        return [Recipient(contact.certificate, contact.capabilities) for contact in self.known(address)]

    def known(self, address: str) -> list[Contact]:
        """The same, with where it is known from."""
        part = mark_of(address)
        found: dict[Certificate, Contact] = {}
        for name, scanned in self._scanned().items():
            if part not in scanned.lowered:
                continue
            for encoded in scanned.file.certificates:
                if len(found) < MAX_FOUND and part in encoded.lower():
                    self._add(found, name, scanned.file, encoded, address)
        return sorted(found.values(), key=self._rank, reverse=True)

    def everybody(self) -> Iterator[Contact]:
        """Every certificate that is somebody's, in the order of the files' names."""
        for name, scanned in sorted(self._scanned().items()):
            found: dict[Certificate, Contact] = {}
            for encoded in scanned.file.certificates:
                self._add(found, name, scanned.file, encoded, None)
            yield from found.values()

    def pool(self, address: str) -> tuple[bytes, ...]:
        """Certificates in DER that a path of one that was found may need: all of its files, and CAs of the others."""
        part = mark_of(address)
        scanned = self._scanned().values()
        near = (encoded for one in scanned if part in one.lowered for encoded in one.file.certificates)
        return tuple(dict.fromkeys((*near, *self._cas)))[:MAX_POOL]

    def remember(
        self,
        certificate: Certificate,
        capabilities: Capabilities | None,
        signed_at: datetime | None,
        chain: Iterable[Certificate],
        *,
        now: datetime,
    ) -> bool:
        """Keep a certificate; whether anything is new. It has to be checked before, and so has the signature.

        ``capabilities`` are those that its holder signed at ``signed_at``; they stand for the ones from before if they
        are later (RFC 8551, 2.7.1). Without some, the ones from before stay. ``chain`` are the certificates above it.

        Raises:
            FileError: the folder cannot be written.
        """
        if signed_at is not None:
            signed_at = signed_at.astimezone(UTC).replace(microsecond=0)
            if signed_at - now > CLOCK_TOLERANCE:
                return False
        name = _file_name(certificate)
        before = self._read(name)
        if before is not None and before.certificates[:1] == (certificate.encoded,):
            seen = before.seen if before.seen is not None and before.seen - now <= CLOCK_TOLERANCE else None
            if signed_at is None or (seen is not None and signed_at <= seen):
                return False
            capabilities = capabilities or capabilities_of(before)
        above = [one for one in dict.fromkeys(chain) if not one.is_self_issued and one != certificate]
        self._write(name, write_contact_file(certificate, capabilities, signed_at, above))
        return True

    def _add(
        self, found: dict[Certificate, Contact], name: str, file: ContactFile, encoded: bytes, address: str | None
    ) -> None:
        """Take a certificate in that is for ``address``, or for anybody; of two files the one with the later news."""
        try:
            certificate = certificate_of(encoded)
        except InvalidCertificateError:
            return
        if not (certificate.covers(address) if address is not None else certificate.mailboxes):
            return
        is_first = encoded == file.certificates[0]  # what the file says besides is about its first
        capabilities = capabilities_of(file) if is_first else None
        contact = Contact(
            self._folder / name,
            certificate,
            capabilities or capabilities_of_certificate(certificate),
            file.seen if is_first else None,
        )
        other = found.get(certificate)
        if other is None or (contact.seen or certificate.not_before) > (other.seen or certificate.not_before):
            found[certificate] = contact

    def _rank(self, contact: Contact) -> tuple[bool, bool, datetime, bytes]:
        certificate = contact.certificate
        now = self._at or datetime.now(UTC)
        current = certificate.not_before <= now <= certificate.not_after
        since = contact.seen or certificate.not_before
        return current, certificate.permits_encryption, since, certificate.fingerprint

    def _scanned(self) -> dict[str, _Scanned]:
        """The files of the folder, read again if it was changed."""
        try:
            state: object = self._folder.stat().st_mtime_ns
            if state != self._state:
                self._take({name: _Scanned.of(file) for name, file in self._all()})
                self._state = state
        except OSError:
            self._take({})
            self._state = None
        return self._files

    def _take(self, files: dict[str, _Scanned]) -> None:
        cas = (encoded for one in files.values() for encoded in one.file.certificates if _CA.search(encoded))
        self._files, self._cas = files, tuple(dict.fromkeys(cas))[:MAX_POOL]

    def _all(self) -> Iterator[tuple[str, ContactFile]]:
        with os.scandir(self._folder) as entries:
            names = sorted(entry.name for entry in islice(entries, MAX_FILES) if _is_one(entry.name))
        for name in names:
            file = self._read(name)
            if file is not None:
                yield name, file

    def _read(self, name: str) -> ContactFile | None:
        """A file of the folder; garbage is as good as none."""
        with suppress(OSError, ValueError):
            file = read_contact_file(_octets(os.path.join(self._folder, name)))
            if file.certificates:
                return file
        return None

    def _write(self, name: str, data: bytes) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            current = self._state is not None and self._folder.stat().st_mtime_ns == self._state
        except OSError as error:
            msg = f"cannot make the folder {self._folder}: {error.strerror}"
            raise FileError(msg) from error
        write_file(self._folder / name, [data], mode=0o600)  # whom a person writes to is nobody else's business
        self._state = None
        if current:  # what was read is still right but for this one file
            self._take(self._files | {name: _Scanned.of(read_contact_file(data))})
            with suppress(OSError):
                self._state = self._folder.stat().st_mtime_ns


def _is_one(name: str) -> bool:
    return not name.startswith(".") and name.lower().endswith(_SUFFIXES)


def _octets(path: str) -> bytes:
    """All of a file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is too long, or no file at all.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO must not make us wait
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_SIZE:
            raise ValueError
        return file.read(MAX_SIZE)


def mark_of(address: str) -> bytes:
    """Octets that a certificate for the address has in it, in small letters: with them, few have to be read."""
    local = same_mailbox_key(address).rpartition("@")[0]
    return local.encode(errors="replace").lower() if _PLAIN.fullmatch(local) else b""


def _file_name(certificate: Certificate) -> str:
    """A name that says whose it is, and is that of no other certificate."""
    address = certificate.mailboxes[0] if certificate.mailboxes else "nobody"
    safe = _UNSAFE.sub("_", address)[:_NAME_LENGTH].lstrip(".-")
    return f"{safe}.{certificate.fingerprint.hex()[:32]}.pem"
