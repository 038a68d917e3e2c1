"""What is said of a signed mail in the end: a verdict, and the reasons for it, each with a code that stays.

A verdict is one for the whole message, the worst that any reason asks for. The codes are an interface: programs
compare them, and ``docs/json.md`` describes them one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import TYPE_CHECKING

from smime_agent.errors import InvalidMessageError

if TYPE_CHECKING:
    from collections.abc import Iterable


class Verdict(Enum):
    """What becomes of a message, from best to worst; the value is its name in JSON."""

    TRUSTED = "trusted"
    UNSIGNED = "unsigned"
    MISMATCH = "mismatch"
    UNTRUSTED = "untrusted"
    INVALID = "invalid"

    @property
    def exit_code(self) -> int:
        """The exit code of ``verify``."""
        return {"trusted": 0, "unsigned": 3, "mismatch": 4, "untrusted": 5, "invalid": 6}[self.value]

    @staticmethod
    def worst(verdicts: Iterable[Verdict]) -> Verdict:
        """The worst of them; trusted where there is none."""
        return max(verdicts, key=lambda verdict: verdict.exit_code, default=Verdict.TRUSTED)


class Code(StrEnum):
    """A reason, by its stable name."""

    # unsigned: no signature over what is shown
    NOT_SIGNED = "not-signed"
    ENCRYPTED = "encrypted"  # only its recipients can tell whether a signature is inside
    CERTIFICATES_ONLY = "certificates-only"
    OTHER_PROTECTION = "other-protection"  # OpenPGP and its like
    PARTIAL = "partial"  # a signed part inside an unsigned multipart
    SIGNED_ATTACHMENT = "signed-attachment"  # only an attached mail is signed
    TRAILING_DATA = "trailing-data"  # text after what was signed

    # mismatch: signed, but not by who the mail says, or not when
    FROM_MISSING = "from-missing"
    FROM_UNREADABLE = "from-unreadable"
    SEVERAL_FROM = "several-from"  # more than one From field
    FROM_MISMATCH = "from-mismatch"  # a From address that no signer's certificate covers
    SENDER_MISMATCH = "sender-mismatch"  # the same of Sender
    SIGNER_MISMATCH = "signer-mismatch"  # a signer whose certificate covers none of the From addresses
    DISPLAY_NAME = "display-name"  # a display name that holds another address
    HEADER_INJECTION = "header-injection"  # control characters in a name or address
    LOOKALIKE = "lookalike"  # differs from the certificate's address in letters that look alike
    NO_MAILBOX = "no-mailbox"  # the certificate has no address
    EXPECTED_SENDER = "expected-sender"  # another sender was asked for
    DATE_MISMATCH = "date-mismatch"  # the mail says it was written after it was signed

    # untrusted: the certificate, or the algorithms
    NO_CERTIFICATE = "no-certificate"  # the signer's certificate is not there
    SELF_SIGNED = "self-signed"
    UNKNOWN_ISSUER = "unknown-issuer"  # no path to a trust anchor
    NOT_YET_VALID = "not-yet-valid"
    EXPIRED = "expired"
    ISSUER_EXPIRED = "issuer-expired"  # a certificate above the signer's, or not yet valid
    REVOKED = "revoked"
    ISSUER_REVOKED = "issuer-revoked"
    REVOCATION_UNKNOWN = "revocation-unknown"  # required, and nobody could say
    KEY_USAGE = "key-usage"
    EXTENDED_KEY_USAGE = "extended-key-usage"
    ISSUER_NOT_CA = "issuer-not-ca"  # basicConstraints or keyUsage of a certificate above
    PATH_LENGTH = "path-length"
    NAME_CONSTRAINTS = "name-constraints"
    CERTIFICATE_POLICY = "certificate-policy"
    CRITICAL_EXTENSION = "critical-extension"  # one that is not known
    CERTIFICATE_SIGNATURE = "certificate-signature"  # a certificate of the path was not signed by its issuer
    CERTIFICATE_UNREADABLE = "certificate-unreadable"
    PATH_INVALID = "path-invalid"  # anything else of RFC 5280, 6
    WEAK_DIGEST = "weak-digest"  # MD5, SHA-1
    WEAK_KEY = "weak-key"  # RSA under 2048 bits
    LEGACY_ALGORITHM = "legacy-algorithm"  # DSA
    SIGNING_TIME_IN_FUTURE = "signing-time-in-future"
    SIGNING_TIME_TOO_EARLY = "signing-time-too-early"  # before the certificate was valid

    # invalid: the message or the signature
    MALFORMED_MAIL = "malformed-mail"
    MALFORMED_CMS = "malformed-cms"
    LIMIT_EXCEEDED = "limit-exceeded"  # deeper, longer or more than is read
    SEVERAL_CONTENT_TYPES = "several-content-types"  # fields that must stand once and that decide what is shown
    NO_SIGNER = "no-signer"
    NO_CONTENT = "no-content"  # nothing that the signature could be over
    UNEXPECTED_CONTENT = "unexpected-content"  # a detached signature that brings a content of its own
    DIGEST_MISMATCH = "digest-mismatch"  # the content was changed
    SIGNATURE_MISMATCH = "signature-mismatch"  # the key did not make this signature
    MISSING_ATTRIBUTE = "missing-attribute"
    DUPLICATE_ATTRIBUTE = "duplicate-attribute"
    CONTENT_TYPE_MISMATCH = "content-type-mismatch"
    ALGORITHM_MISMATCH = "algorithm-mismatch"  # digest and signature algorithms that do not agree
    CERTIFICATE_MISMATCH = "certificate-mismatch"  # signingCertificate names another one
    UNSUPPORTED_ALGORITHM = "unsupported-algorithm"

    # notes: worth knowing, and no verdict depends on them
    REVOCATION_NOT_CHECKED = "revocation-not-checked"
    REVOCATION_UNAVAILABLE = "revocation-unavailable"
    NO_SENDER = "no-sender"  # bare CMS: nobody claims to have sent it
    OTHER_SIGNER = "other-signer"  # an inner layer is signed by somebody else than the sender
    NESTED_MESSAGE = "nested-message"  # a mail is attached, whose sender nobody vouches for
    COUNTERSIGNED = "countersigned"
    PREAMBLE = "preamble"  # text before the first boundary, which no mail program shows
    NOT_CLOSED = "not-closed"  # the closing delimiter is missing: the mail may have been cut off after the signature
    SIGNING_TIME_MISSING = "signing-time-missing"

    @property
    def verdict(self) -> Verdict:
        """The verdict that this reason alone asks for; trusted for a note."""
        return _VERDICTS[self]


def _verdicts() -> dict[Code, Verdict]:
    """The blocks of :class:`Code`, by the first of each."""
    starts = {
        Code.NOT_SIGNED: Verdict.UNSIGNED,
        Code.FROM_MISSING: Verdict.MISMATCH,
        Code.NO_CERTIFICATE: Verdict.UNTRUSTED,
        Code.MALFORMED_MAIL: Verdict.INVALID,
        Code.REVOCATION_NOT_CHECKED: Verdict.TRUSTED,
    }
    verdicts: dict[Code, Verdict] = {}
    current = Verdict.UNSIGNED
    for code in Code:
        current = starts.get(code, current)
        verdicts[code] = current
    return verdicts


_VERDICTS = _verdicts()


@dataclass(frozen=True, slots=True)
class Reason:
    """A code, and one sentence for people, without a full stop. What it quotes of a mail is not yet escaped."""

    code: Code
    text: str


class UntrustworthyError(InvalidMessageError):
    """A message whose structure or signature is wrong; ``reason`` says how."""

    reason: Reason

    def __init__(self, code: Code, text: str, *, hint: str | None = None) -> None:
        super().__init__(text, hint=hint)
        self.reason = Reason(code, text)
