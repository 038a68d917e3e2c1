"""Where neomutt looks certificates and keys up: two folders, each with a file ``.index``.

They are a copy of what the contacts and the history of keys hold, under names that neomutt can put into a command: the
first half of the certificate's SHA-256 in hexadecimal. No private key is in them. A line of an index is an address, the
name, a label, the issuer, how good it is, and what it is for::

    bob@example.org 3f0c9a...  Bob_Example ? t e
"""

from __future__ import annotations

import re
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from smime_agent.config import data_directory
from smime_agent.errors import FileError, NoKeyError
from smime_agent.files import write_file
from smime_agent.tokens.uri import SCHEME, Pkcs11Uri
from smime_agent.x509 import InvalidCertificateError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from smime_agent.certificates.contacts import Contacts
    from smime_agent.certificates.history import History
    from smime_agent.keyring.sightings import Sighting
    from smime_agent.x509 import Certificate

_NAME_LENGTH: Final = 32
_NAME: Final = re.compile(r"[0-9a-f]{32}")
_ADDRESS: Final = re.compile(r"[!#-'*+./0-9=?A-Z^_a-z{|}~-]{1,64}@[0-9A-Za-z.-]{1,255}")
#: Of these, what means nothing else in a pattern of neomutt but its dots and pluses.
_PLAIN_ADDRESS: Final = re.compile(r"[0-9A-Za-z._+=-]+@[0-9A-Za-z.-]+")
_UNSAFE: Final = re.compile(r"[^0-9A-Za-z@._+-]+")
_LABEL_LENGTH: Final = 40
#: After that an index is made anew although nothing was added: certificates expire.
_DAY_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True)
class OwnKey:
    """A certificate whose key was seen on a token, and where: the latest first."""

    certificate: Certificate
    sightings: tuple[Sighting, ...]

    @property
    def name(self) -> str:
        """What neomutt calls it."""
        return name_of(self.certificate)

    def uris(self) -> Iterator[str]:
        """The key on each token that it was seen on, as ``--key`` takes it."""
        for seen in self.sightings:
            token = Pkcs11Uri(token=seen.label, serial=seen.serial or None, id=seen.key_id or None)
            yield str(token)

    def is_current(self, now: datetime) -> bool:
        """It is valid now."""
        return self.certificate.not_before <= now <= self.certificate.not_after


@dataclass(frozen=True, slots=True)
class Identity:
    """The keys of one mail address: the one to sign with, and one that others encrypt to, if there is one."""

    address: str
    signing: OwnKey
    encryption: OwnKey | None


def name_of(certificate: Certificate) -> str:
    """What a certificate is called in neomutt: a word that no shell takes apart."""
    return certificate.fingerprint.hex()[:_NAME_LENGTH]


def own_keys(history: History) -> list[OwnKey]:
    """All that was seen on tokens together with its key."""
    found: dict[Certificate, list[Sighting]] = {}
    for seen in history.entries():
        with suppress(InvalidCertificateError):
            if seen.has_key:
                found.setdefault(seen.certificate, []).append(seen)
    return [OwnKey(certificate, tuple(sightings)) for certificate, sightings in found.items()]


def identities(keys: Iterable[OwnKey], now: datetime) -> list[Identity]:
    """Who can sign now, by address; of several certificates the newest. Addresses that neomutt cannot take are not."""
    current = sorted(
        (key for key in keys if key.is_current(now)), key=lambda key: key.certificate.not_before, reverse=True
    )
    found: dict[str, Identity] = {}
    for key in current:
        if not key.certificate.permits_signing:
            continue
        for address in filter(_ADDRESS.fullmatch, key.certificate.mailboxes):
            others = (one for one in (key, *current) if one.certificate.permits_encryption)
            to = next((one for one in others if one.certificate.covers(address)), None)
            found.setdefault(address.lower(), Identity(address, key, to))
    return list(found.values())


def chosen(people: list[Identity], keys: Iterable[OwnKey], wanted: str | None) -> Identity:
    """The identity that ``wanted`` means: an address, a ``pkcs11:`` URI, or a hexadecimal id or fingerprint.

    Raises:
        NoKeyError: no certificate to sign with was seen on a token, or none that is meant.
    """
    hint = "plug the token in and use it once, such as by 'smime-agent cert list': it is remembered"
    if not people:
        msg = "no key with a current certificate for signing mail was seen on a token"
        raise NoKeyError(msg, hint=hint)
    if wanted is None:
        return people[0]
    meant = {key.name for key in keys if _is_meant(key, wanted)}
    for identity in people:
        if identity.signing.name in meant and ("@" not in wanted or _same(identity.address, wanted)):
            return identity
    msg = f"no key '{wanted}' with a current certificate for signing mail was seen on a token"
    raise NoKeyError(msg, hint=f"--key takes an address, a hexadecimal id or a pkcs11: URI; {hint}")


def _same(one: str, other: str) -> bool:
    return one.lower() == other.lower()


def _is_meant(key: OwnKey, wanted: str) -> bool:
    if wanted.lower().startswith(SCHEME):
        uri = Pkcs11Uri.parse(wanted)
        return any(
            uri.matches({"id": one.key_id, "token": one.label, "serial": one.serial, "model": one.model})
            for one in key.sightings
        )
    if "@" in wanted:
        return key.certificate.covers(wanted)
    digits = wanted.lower().replace(":", "").removeprefix("0x")
    return key.certificate.fingerprint.hex() == digits or any(one.key_id.hex() == digits for one in key.sightings)


@dataclass(frozen=True, slots=True)
class Folders:
    """The two folders, in one."""

    root: Path

    @property
    def certificates(self) -> Path:
        """Of everybody who can be encrypted to, and of one's own."""
        return self.root / "certificates"

    @property
    def keys(self) -> Path:
        """An index alone: which of them are one's own."""
        return self.root / "keys"

    def certificate_file(self, name: str) -> Path | None:
        """The file of a certificate, by the last part of what neomutt puts in the place of %k and %c."""
        last = name.rpartition("/")[2]
        return self.certificates / last if _NAME.fullmatch(last) else None

    def is_current(self, *sources: Path) -> bool:
        """Nothing was added to the sources since the indices were written, today."""
        try:
            written = min((folder / ".index").stat().st_mtime_ns for folder in (self.certificates, self.keys))
        except OSError:
            return False
        newest = max((_changed(source) for source in sources), default=0)
        return newest < written and time.time_ns() - written < _DAY_SECONDS * 1_000_000_000

    def fill(self, contacts: Contacts, keys: Iterable[OwnKey], now: datetime) -> None:
        """Write them anew.

        Raises:
            FileError: they cannot be written.
        """
        own = list(keys)
        people: dict[Certificate, bytes] = {
            contact.certificate: contact.certificate.pem
            for contact in contacts.everybody()
            if contact.certificate.permits_encryption
        }
        people |= {key.certificate: key.certificate.pem for key in own}
        try:
            for folder in (self.certificates, self.keys):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._write_files(people)
        except OSError as error:
            msg = f"cannot write {self.certificates}: {error.strerror}"
            raise FileError(msg) from error
        index = _index(people, now)
        write_file(self.certificates / ".index", [index], mode=0o600)
        write_file(self.keys / ".index", [_index((key.certificate for key in own), now)], mode=0o600)

    def _write_files(self, people: dict[Certificate, bytes]) -> None:
        wanted = {name_of(certificate): pem for certificate, pem in people.items()}
        there = {path.name for path in self.certificates.iterdir() if _NAME.fullmatch(path.name)}
        for name in there - wanted.keys():
            (self.certificates / name).unlink(missing_ok=True)
        for name, pem in wanted.items():
            write_file(self.certificates / name, [pem], mode=0o600)


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _index(certificates: Iterable[Certificate], now: datetime) -> bytes:
    """One line for each address of each certificate; of one address the newest certificate is the one that is taken."""
    lines: list[str] = []
    taken: set[str] = set()
    for certificate in sorted(certificates, key=lambda one: _rank(one, now), reverse=True):
        uses = "e" * certificate.permits_encryption + "s" * certificate.permits_signing
        for address in filter(_ADDRESS.fullmatch, certificate.mailboxes):
            current = certificate.not_before <= now <= certificate.not_after
            first = current and certificate.permits_encryption and address.lower() not in taken
            taken.update([address.lower()] if first else [])
            # Expired, unverified, or the one that neomutt takes without a question: encrypting judges it again.
            trust = ("t" if first or not certificate.permits_encryption else "u") if current else "e"
            label = _UNSAFE.sub("_", certificate.name)[:_LABEL_LENGTH].strip("_") or "certificate"
            lines.append(f"{address} {name_of(certificate)} {label} ? {trust} {uses or '-'}\n")
    return "".join(lines).encode("ascii")


def _rank(certificate: Certificate, now: datetime) -> tuple[bool, datetime, bytes]:
    return certificate.not_before <= now <= certificate.not_after, certificate.not_before, certificate.fingerprint


def settings_of(identity: Identity) -> Iterator[str]:
    """How neomutt is told to use the keys of an identity."""
    default = identity.encryption or identity.signing
    yield f'set smime_sign_as="{identity.signing.name}"'
    yield f'set smime_default_key="{default.name}"'
    yield f"set smime_self_encrypt={'yes' if identity.encryption else 'no'}"


def hook_of(identity: Identity) -> Iterator[str]:
    """How neomutt is told to use them where the From is that address; nothing for one that it could take for more."""
    if _PLAIN_ADDRESS.fullmatch(identity.address):
        pattern = re.sub(r"([.+])", r"\\\1", identity.address)
        for setting in settings_of(identity):
            yield f"send2-hook '~f ^{pattern}$' '{setting}'"


def refresh() -> None:
    """Bring neomutt's certificates up to date, if anything was added.

    Raises:
        FileError: they cannot be written.
    """
    from smime_agent.certificates.contacts import Contacts, contacts_folder
    from smime_agent.certificates.history import History, history_path

    data = data_directory()
    folders = Folders(data / "neomutt")
    if not folders.is_current(contacts_folder(data), history_path(data)):
        folders.fill(Contacts(contacts_folder(data)), own_keys(History(history_path(data))), datetime.now(UTC))
