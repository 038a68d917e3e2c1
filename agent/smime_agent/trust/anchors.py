"""Trust anchors: the certificates whose word is taken, and where each comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from smime_agent.x509 import Certificate, InvalidCertificateError

if TYPE_CHECKING:
    from datetime import datetime


class UnreadCertificate(Certificate):
    """A certificate that is read when something of it is asked for: a list of roots has a hundred, a path one."""

    def __init__(self, encoded: bytes) -> None:
        """Keep the DER octets. Whatever is asked later may raise :class:`InvalidCertificateError`."""
        self.encoded = encoded

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the attributes of a certificate are of many types
        """Read all of it, once."""
        if name.startswith("__") or "was_read" in self.__dict__:
            raise AttributeError(name)
        super().__init__(self.encoded)
        self.was_read = True
        return getattr(self, name)

    def __hash__(self) -> int:
        """The hash of the encoding."""
        return hash(self.encoded)

    def __eq__(self, other: object) -> bool:
        """Two certificates are the same when their encodings are."""
        return isinstance(other, Certificate) and self.encoded == other.encoded


@dataclass(frozen=True, slots=True)
class Anchor:
    """A certificate that is trusted because somebody said so: a name and a key (RFC 5280, 6.1.1 (d)).

    A root or an intermediate CA vouches for whom it issued certificates to. An end-entity certificate vouches for
    nobody but itself. An anchor whose certificate has expired vouches for nobody: the RFC leaves it open, and mail
    programs and OpenSSL refuse it. One that was made after the time in question (a root renewed with the same key)
    is taken: name and key are what counts.

    ``origin`` tells a person where it comes from, such as a file. ``distrust_after`` is set by a list of roots: what
    the anchor issued later is not believed.
    """

    certificate: Certificate
    origin: str
    distrust_after: datetime | None = None

    @property
    def may_issue(self) -> bool:
        """It says of itself that it is a CA, or is a root so old (version 1) that it could not say so."""
        certificate = self.certificate
        try:
            usage = certificate.key_usage
        except InvalidCertificateError:
            return False
        if certificate.is_ca:
            return usage is None or "key_cert_sign" in usage
        return _is_version_1(certificate.encoded) and certificate.is_self_issued and not certificate.mailboxes

    def believes(self, leaf: Certificate) -> bool:
        """``leaf`` was not issued after the anchor came to be distrusted."""
        return self.distrust_after is None or leaf.not_before <= self.distrust_after


def _is_version_1(encoded: bytes) -> bool:
    from smime_agent.trust.octets import element, whole

    try:
        outer = whole(encoded)
        tbs = element(encoded, outer.contents, outer.end)
        return element(encoded, tbs.contents, tbs.end).tag == 0x02  # noqa: PLR2004 - no [0]: the version is its default
    except ValueError:
        return False
