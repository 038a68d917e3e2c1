"""What is seen on tokens is remembered: so that a message for a token in a drawer can name it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from smime_agent.certificates.history_glance import is_known
from smime_agent.cli import ui
from smime_agent.config import data_directory
from smime_agent.errors import FileError

if TYPE_CHECKING:
    from pathlib import Path

    from smime_agent.certificates.history import History
    from smime_agent.keyring.sightings import Sighting
    from smime_agent.tokens.objects import TokenObjects
    from smime_agent.tokens.token import TokenInfo
    from smime_agent.tokens.uri import Pkcs11Uri
    from smime_agent.x509 import Certificate


def history_file() -> Path:
    """Where the history of keys is."""
    from smime_agent.certificates.history import history_path

    return history_path(data_directory())


def saw(token: TokenInfo, objects: TokenObjects) -> None:
    """Remember what lies on a token. What is wrong with the history is a warning and no more."""
    today = datetime.now(UTC).date()
    if not is_known(data_directory() / "history.json", token, objects, today):
        _history().record(token, objects, today)


def _history() -> History:
    from smime_agent.certificates.history import History

    return History(history_file(), ui.warning)


def show(token: Pkcs11Uri, *, json: bool) -> None:
    """Show what is remembered of a token, or of all.

    Raises:
        FileError: the history cannot be read at all.
    """
    from smime_agent.certificates import history_file as stored

    path = history_file()
    contents = stored.read(path)
    if contents.condition is stored.Condition.UNTOUCHABLE:
        msg = f"the history of keys, {path}, {contents.complaint}"
        raise FileError(msg)
    entries = [entry for entry in _history().entries() if _was_on(entry, token) and _is_readable(entry)]
    if json:
        ui.json_line("key-history/1", file=str(path), certificates=[_facts(entry) for entry in entries])
    elif not entries:
        ui.note("no certificate of yours was seen on such a token yet, as far as is remembered")
    else:
        ui.table([_row(entry) for entry in entries], ("FOR", "SUBJECT", "SERIAL", "VALID", "TOKEN", "KEY", "LAST SEEN"))


def _was_on(entry: Sighting, token: Pkcs11Uri) -> bool:
    there = {"token": entry.label, "serial": entry.serial, "manufacturer": entry.manufacturer, "model": entry.model}
    return token.matches(there)


def _is_readable(entry: Sighting) -> bool:
    from smime_agent.x509 import InvalidCertificateError

    try:
        return bool(entry.certificate)
    except InvalidCertificateError:
        return False


def _row(entry: Sighting) -> tuple[str, ...]:
    certificate = entry.certificate
    return (
        certificate.holder,
        certificate.subject,
        f"{certificate.serial_number:x}",
        f"{certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}",
        f"{entry.label} ({entry.serial})" if entry.serial else entry.label,
        entry.key_id.hex() if entry.has_key else "none",
        f"{entry.last_seen:%Y-%m-%d}",
    )


def _facts(entry: Sighting) -> dict[str, object]:
    return {
        **certificate_facts(entry.certificate),
        "token": {
            "label": entry.label,
            "serial": entry.serial,
            "manufacturer": entry.manufacturer,
            "model": entry.model,
        },
        "key": entry.key_id.hex() if entry.has_key else None,
        "first_seen": f"{entry.first_seen:%Y-%m-%d}",
        "last_seen": f"{entry.last_seen:%Y-%m-%d}",
    }


def certificate_facts(certificate: Certificate) -> dict[str, object]:
    """What a certificate says, as all JSON has it."""
    return {
        "subject": certificate.subject,
        "mailboxes": list(certificate.mailboxes),
        "issuer": certificate.issuer,
        "serial": f"{certificate.serial_number:x}",
        "not_before": f"{certificate.not_before:%Y-%m-%dT%H:%M:%SZ}",
        "not_after": f"{certificate.not_after:%Y-%m-%dT%H:%M:%SZ}",
        "key_type": str(certificate.key_algorithm),
        "ca": certificate.is_ca,
        "sign": certificate.permits_signing,
        "encrypt": certificate.permits_encryption,
        "sha256": certificate.fingerprint.hex(),
    }
