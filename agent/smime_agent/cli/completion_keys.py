"""Tokens and keys that were seen before, to choose from: from the file of public facts alone."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from smime_agent.certificates import history_file
from smime_agent.certificates.history import history_path
from smime_agent.config import data_directory
from smime_agent.x509 import InvalidCertificateError

if TYPE_CHECKING:
    from collections.abc import Iterator


def tokens() -> Iterator[tuple[str, str]]:
    """Labels, and which token it is."""
    for seen in history_file.read(history_path(data_directory())).entries:
        if seen.label:
            yield seen.label, f"{seen.manufacturer} {seen.model}, serial {seen.serial}"


def keys(token: str | None) -> Iterator[tuple[str, str]]:
    """Addresses and ids of keys on a token of that label, or on any."""
    entries = history_file.read(history_path(data_directory())).entries
    chosen = [seen for seen in entries if seen.has_key and seen.label == token]
    for seen in chosen or [seen for seen in entries if seen.has_key]:
        with suppress(InvalidCertificateError):
            certificate = seen.certificate
            about = f"{certificate.name} on {seen.token_name}, until {certificate.not_after:%Y-%m-%d}"
            yield from ((mailbox, about) for mailbox in certificate.mailboxes)
            if seen.key_id:
                yield seen.key_id.hex(), about
