"""Verify messages against anchors that were chosen once."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from smime_agent.api.content import open_content
from smime_agent.config import cache_directory
from smime_agent.errors import UsageError
from smime_agent.pem import dearmored
from smime_agent.smime.signers import SignerCheck
from smime_agent.smime.verify import verify
from smime_agent.trust.anchors import Anchor
from smime_agent.trust.evidence import RevocationMode
from smime_agent.trust.path import PathValidator, TrustPolicy
from smime_agent.x509 import InvalidCertificateError, load_certificates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from smime_agent.api.content import Content
    from smime_agent.smime.verification import Verification
    from smime_agent.trust.evidence import RevocationSource


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """How to verify; the defaults are right for mail that came just now.

    ``ca_files`` hold trust anchors, beside those of NSS unless ``system_roots`` is false. ``crl_files`` hold CRLs.
    ``at`` is the time as of which certificates are judged, now if left out. ``legacy`` lets certificates with MD5,
    SHA-1, DSA and short keys into the path, as archives hold them; such signers are never trusted. ``offline`` asks
    no server.
    """

    ca_files: tuple[Path, ...] = ()
    system_roots: bool = True
    crl_files: tuple[Path, ...] = ()
    revocation: RevocationMode = RevocationMode.PREFER
    offline: bool = False
    at: datetime | None = None
    legacy: bool = False


_DEFAULTS = VerifyOptions()
_LARGEST_FILE = 64 * 1024 * 1024  # octets, of CA files and CRLs


class Verifier:
    """Verifies any number of messages; what is found out about certificates is kept from one to the next.

    It judges as of the moment when it was made.
    """

    def __init__(self, options: VerifyOptions = _DEFAULTS, *, on_fetch: Callable[[str], None] | None = None) -> None:
        """Read anchors and CRLs; ``on_fetch`` is told the host when a server is asked.

        Raises:
            FileError, UsageError: a file cannot be read, or holds something else.
        """
        now = datetime.now(UTC)
        given = tuple(anchor for path in options.ca_files for anchor in _anchors(path))
        policy = TrustPolicy(
            (*given, *(_system_roots() if options.system_roots else ())),
            at=options.at or now,
            revocation=options.revocation,
            weak_digests=options.legacy,
            in_retrospect=options.at is not None,
        )
        self._check = SignerCheck(
            PathValidator(policy, _revocation_source(options, on_fetch), _given_crls(options)),
            now=now,
            in_retrospect=options.at is not None,
            known=tuple(anchor.certificate for anchor in given),
        )

    @property
    def trusts_anybody(self) -> bool:
        """There is a trust anchor at all: NSS's list is not installed everywhere."""
        return bool(self._check.validator.policy.anchors)

    def verify(
        self, message: Content, *, content: Content | None = None, expected_sender: str | None = None
    ) -> Verification:
        """What is to be said of one message, a mail or bare CMS, of any size.

        ``content`` is what a bare detached signature is over. ``expected_sender`` is an address that must have signed.

        Raises:
            FileError: it cannot be read. Whatever is wrong with the message itself is in the result.
        """
        with self.opened(message, content=content, expected_sender=expected_sender) as verification:
            return verification

    @contextmanager
    def opened(
        self, message: Content, *, content: Content | None = None, expected_sender: str | None = None
    ) -> Iterator[Verification]:
        """The same, while the signed content can still be read: see :meth:`.Verification.signed_content`."""
        with ExitStack() as resources:
            source = open_content(message)
            if source is not message:
                resources.enter_context(source)
            beside = open_content(content) if content is not None else None
            if beside is not None and beside is not content:
                resources.enter_context(beside)
            yield verify(source, self._check, resources, expected_sender=expected_sender, content=beside)


def _anchors(path: Path) -> list[Anchor]:
    data = _read(path, "CA file")
    try:
        return [Anchor(certificate, str(path)) for certificate in load_certificates(data)]
    except InvalidCertificateError as error:
        msg = f"there is no CA in {path}: {error}"
        raise UsageError(msg) from error


def _given_crls(options: VerifyOptions) -> list[bytes]:
    return [crl for path in options.crl_files for crl in _crls(path)]


def _crls(path: Path) -> list[bytes]:
    """The CRLs of a file, in DER.

    Raises:
        UsageError: it cannot be read, or holds something else.
    """
    from cryptography.x509 import InvalidVersion, load_der_x509_crl

    data = _read(path, "CRL file")
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


def _read(path: Path, what: str) -> bytes:
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


def _revocation_source(options: VerifyOptions, on_fetch: Callable[[str], None] | None) -> RevocationSource | None:
    if options.revocation is RevocationMode.OFF:
        return None
    from smime_agent.retrieval import NetworkSource

    return NetworkSource(cache_directory(), offline=options.offline, on_fetch=on_fetch)
