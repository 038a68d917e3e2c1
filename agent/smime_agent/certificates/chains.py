"""CA certificates that were imported, one PEM file each in the data directory, to complete chains with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smime_agent.errors import FileError
from smime_agent.files import write_file
from smime_agent.x509 import Certificate, InvalidCertificateError, load_certificates

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def chain_folder(data_directory: Path) -> Path:
    """Where they are."""
    return data_directory / "chain"


def stored_chain(data_directory: Path) -> list[Certificate]:
    """All of them; a file that is none is passed over."""
    return list(_readable(chain_folder(data_directory)))


def store_chain_certificate(data_directory: Path, certificate: Certificate) -> Path:
    """Keep a CA certificate. It is not trusted by that: it only completes the chains that are sent along.

    Raises:
        FileError: the folder cannot be written.
    """
    folder = chain_folder(data_directory)
    path = folder / f"{certificate.fingerprint.hex()[:32]}.pem"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"cannot make the folder {folder}: {error.strerror}"
        raise FileError(msg) from error
    write_file(path, [certificate.pem])
    return path


def _readable(folder: Path) -> Iterator[Certificate]:
    try:
        paths = sorted(folder.glob("*.pem"))
    except OSError:
        return
    for path in paths:
        try:
            yield from load_certificates(path.read_bytes())
        except (OSError, InvalidCertificateError):
            continue
