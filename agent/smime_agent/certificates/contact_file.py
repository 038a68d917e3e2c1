"""One certificate of somebody else, as a file that a person can read, and what can be read of files.

A file of ours begins with lines for people. Then come PEM blocks: the certificate, what its holder can decrypt, and
certificates above it. A file of a person may be any that holds certificates.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from smime_agent import cms
from smime_agent.cms.capabilities import read_capabilities
from smime_agent.pem import armor, dearmored
from smime_agent.source import Source
from smime_agent.verdict import UntrustworthyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from smime_agent.cms.capabilities import Capabilities
    from smime_agent.x509 import Certificate

#: Certificates of one file.
MAX_CERTIFICATES: Final = 1_000
#: Characters of a line for people.
_LONGEST: Final = 200
_CERTIFICATE: Final = frozenset({"CERTIFICATE", "X509 CERTIFICATE"})
_CERTIFICATES_ONLY: Final = frozenset({"PKCS7", "CMS"})
_CAPABILITIES: Final = "SMIME CAPABILITIES"
_BEGIN: Final = b"-----BEGIN "
_SEEN: Final = re.compile(rb"^last signed: (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)\r?$", re.MULTILINE)
_SIGNED_DATA: Final = re.compile(rb"\x30[\x80-\x84].{0,4}\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ContactFile:
    """What a file says: certificates in DER, what can be decrypted (encoded), and the latest signature that was seen.

    Nothing of it was checked, the certificates may be garbage.
    """

    certificates: tuple[bytes, ...]
    capabilities: bytes | None = None
    seen: datetime | None = None


def read_contact_file(data: bytes) -> ContactFile:
    """What a file says: PEM with any text around it, a certificate in DER, or certificates in CMS (``.p7c``).

    Raises:
        ValueError: it is none of these.
    """
    if _BEGIN not in data:
        return ContactFile(tuple(_of_der(data)))
    found = [*dearmored(data, _CERTIFICATE)]
    for encoded in dearmored(data, _CERTIFICATES_ONLY):
        found += _of_der(encoded)
    capabilities = dearmored(data, {_CAPABILITIES})
    seen = _SEEN.search(data.partition(_BEGIN)[0])
    moment = None
    if seen is not None:
        with suppress(ValueError):  # the 30th of February
            moment = datetime.fromisoformat(seen[1].decode()).astimezone(UTC)
    return ContactFile(tuple(found[:MAX_CERTIFICATES]), capabilities[0] if capabilities else None, moment)


def write_contact_file(
    certificate: Certificate, capabilities: Capabilities | None, seen: datetime | None, chain: Iterable[Certificate]
) -> bytes:
    """The file of one certificate; the same gives the same."""
    lines = [*_lines(certificate, capabilities, seen), ""]
    blocks = [certificate.pem]
    if capabilities is not None:
        blocks += armor([capabilities.encoded], _CAPABILITIES)
    blocks += (above.pem for above in chain)
    return "\n".join(lines).encode() + b"\n" + b"".join(blocks)


def capabilities_of(file: ContactFile) -> Capabilities | None:
    """What the file says that its holder can decrypt; nothing where that cannot be read."""
    with suppress(UntrustworthyError):
        return read_capabilities(file.capabilities) if file.capabilities is not None else None
    return None


def _lines(certificate: Certificate, capabilities: Capabilities | None, seen: datetime | None) -> Iterator[str]:
    yield "# Written by smime-agent. Delete the file to forget the certificate."
    yield f"name: {_plain(certificate.name)}"
    yield f"addresses: {_plain(', '.join(certificate.mailboxes))}"
    yield f"issuer: {_plain(certificate.issuer)}"
    yield f"serial number: {certificate.serial_number:x}"
    yield f"valid: {certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}"
    yield f"key: {certificate.key_algorithm}"
    yield f"SHA-256: {certificate.fingerprint.hex()}"
    if seen is not None:
        yield f"last signed: {seen.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    if capabilities is not None:
        reads = [*map(str, capabilities.content_encryption), *["RSAES-OAEP"] * capabilities.oaep_sha256]
        yield f"reads: {', '.join(reads) or 'nothing that we write'}"


def _plain(text: str) -> str:
    """A name for a line of its own: nothing of it breaks the line, or is taken for the beginning of PEM."""
    shown = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text[:_LONGEST])
    return shown.replace("-----", "- - - - -")


def _of_der(encoded: bytes) -> tuple[bytes, ...]:
    """The certificates of a SignedData, or the octets themselves, which may be a certificate.

    Raises:
        ValueError: it is a SignedData that cannot be read.
    """
    if _SIGNED_DATA.match(encoded) is None:
        return (encoded,)
    try:
        return cms.SignedData.read(Source.from_bytes(encoded)).certificates[:MAX_CERTIFICATES]
    except UntrustworthyError as error:
        raise ValueError from error
