"""Whom to believe, as verifying and encrypting say it alike: anchors, CRLs, and where to ask about revocation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from smime_agent.config import cache_directory
from smime_agent.errors import UsageError
from smime_agent.pem import dearmored
from smime_agent.trust.anchors import Anchor
from smime_agent.trust.evidence import RevocationMode
from smime_agent.trust.path import PathValidator, TrustPolicy
from smime_agent.x509 import InvalidCertificateError, load_certificates

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from smime_agent.trust.evidence import RevocationSource

_LARGEST_FILE = 64 * 1024 * 1024  # octets, of files that a person names


class TrustOptions(Protocol):
    """What a person says about trust.

    ``ca_files`` hold trust anchors, beside those of NSS unless ``system_roots`` is false. ``crl_files`` hold CRLs.
    ``offline`` asks no server.
    """

    @property
    def ca_files(self) -> tuple[Path, ...]: ...  # noqa: D102 - described above
    @property
    def system_roots(self) -> bool: ...  # noqa: D102 - the same
    @property
    def crl_files(self) -> tuple[Path, ...]: ...  # noqa: D102 - the same
    @property
    def revocation(self) -> RevocationMode: ...  # noqa: D102 - the same
    @property
    def offline(self) -> bool: ...  # noqa: D102 - the same


@dataclass(frozen=True, slots=True)
class Trust:
    """A validator of paths, and the anchors that a person named, which may be the certificates of people too."""

    validator: PathValidator
    given: tuple[Anchor, ...]

    @property
    def trusts_anybody(self) -> bool:
        """There is a trust anchor at all: NSS's list is not installed everywhere."""
        return bool(self.validator.policy.anchors)


def trust_of(
    options: TrustOptions,
    at: datetime,
    *,
    in_retrospect: bool = False,
    weak_digests: bool = False,
    on_fetch: Callable[[str], None] | None = None,
) -> Trust:
    """Read anchors and CRLs; ``on_fetch`` is told the host when a server is asked.

    Raises:
        UsageError: a file cannot be read, or holds something else.
    """
    given = tuple(anchor for path in options.ca_files for anchor in _anchors(path))
    policy = TrustPolicy(
        (*given, *(_system_roots() if options.system_roots else ())),
        at=at,
        revocation=options.revocation,
        weak_digests=weak_digests,
        in_retrospect=in_retrospect,
    )
    crls = [crl for path in options.crl_files for crl in _crls(path)]
    return Trust(PathValidator(policy, _revocation_source(options, on_fetch), crls), given)


def _anchors(path: Path) -> list[Anchor]:
    data = read_named(path, "CA file")
    try:
        return [Anchor(certificate, str(path)) for certificate in load_certificates(data)]
    except InvalidCertificateError as error:
        msg = f"there is no CA in {path}: {error}"
        raise UsageError(msg) from error


def _crls(path: Path) -> list[bytes]:
    """The CRLs of a file, in DER.

    Raises:
        UsageError: it cannot be read, or holds something else.
    """
    from cryptography.x509 import InvalidVersion, load_der_x509_crl

    data = read_named(path, "CRL file")
    try:
        crls = dearmored(data, {"X509 CRL"}) if b"-----BEGIN" in data else [data]
        for crl in crls:
            load_der_x509_crl(crl)
    except (ValueError, InvalidVersion):
        crls = []
    if not crls:
        msg = f"there is no CRL in {path}"
        raise UsageError(msg)
    return crls


def read_named(path: Path, what: str) -> bytes:
    """A file that a person named.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        msg = f"cannot read the {what} {path}: {error.strerror}"
        raise UsageError(msg) from error
    if len(data) > _LARGEST_FILE:
        msg = f"the {what} {path} is larger than any"
        raise UsageError(msg)
    return data


def _system_roots() -> Sequence[Anchor]:
    from smime_agent.tokens.roots import mail_roots

    return mail_roots()


def _revocation_source(options: TrustOptions, on_fetch: Callable[[str], None] | None) -> RevocationSource | None:
    if options.revocation is RevocationMode.OFF:
        return None
    from smime_agent.retrieval import NetworkSource

    return NetworkSource(cache_directory(), offline=options.offline, on_fetch=on_fetch)
