"""What is said of a signed mail in the end: a verdict, and the reasons for it, each with a code that stays.

A verdict is one for the whole message, the worst that any reason asks for. The codes are an interface: programs
compare them, and ``docs/json.md`` describes them one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Self

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
    """A reason, by its stable name, with the verdict that it alone asks for; trusted for a note."""

    _value_: str
    verdict: Verdict

    def __new__(cls, name: str, verdict: Verdict | None = None) -> Self:
        """A member is its name, and none is made without its verdict. ``Code("partial")`` looks one up."""
        if verdict is None:
            raise TypeError(name)
        code = str.__new__(cls, name)
        code._value_ = name
        code.verdict = verdict
        return code

    # unsigned: no signature over what is shown
    NOT_SIGNED = "not-signed", Verdict.UNSIGNED
    ENCRYPTED = "encrypted", Verdict.UNSIGNED  # only its recipients can tell whether a signature is inside
    CERTIFICATES_ONLY = "certificates-only", Verdict.UNSIGNED
    OTHER_PROTECTION = "other-protection", Verdict.UNSIGNED  # OpenPGP and its like
    PARTIAL = "partial", Verdict.UNSIGNED  # a signed part inside an unsigned multipart
    SIGNED_ATTACHMENT = "signed-attachment", Verdict.UNSIGNED  # only an attached mail is signed
    TRAILING_DATA = "trailing-data", Verdict.UNSIGNED  # text after what was signed

    # mismatch: signed, but not by who the mail says, or not when
    FROM_MISSING = "from-missing", Verdict.MISMATCH
    FROM_UNREADABLE = "from-unreadable", Verdict.MISMATCH
    SEVERAL_FROM = "several-from", Verdict.MISMATCH  # more than one From field
    FROM_MISMATCH = "from-mismatch", Verdict.MISMATCH  # a From address that no signer's certificate covers
    SENDER_MISMATCH = "sender-mismatch", Verdict.MISMATCH  # the same of Sender
    SIGNER_MISMATCH = "signer-mismatch", Verdict.MISMATCH  # a signer who is none of From
    DISPLAY_NAME = "display-name", Verdict.MISMATCH  # a display name that holds another address
    HEADER_INJECTION = "header-injection", Verdict.MISMATCH  # control characters in a name or address
    LOOKALIKE = "lookalike", Verdict.MISMATCH  # differs from the certificate's address in letters that look alike
    NO_MAILBOX = "no-mailbox", Verdict.MISMATCH  # the certificate has no address
    EXPECTED_SENDER = "expected-sender", Verdict.MISMATCH  # another sender was asked for
    DATE_MISMATCH = "date-mismatch", Verdict.MISMATCH  # the mail says it was written after it was signed

    # untrusted: the certificate, or the algorithms
    NO_CERTIFICATE = "no-certificate", Verdict.UNTRUSTED  # the signer's certificate is not there
    SELF_SIGNED = "self-signed", Verdict.UNTRUSTED
    UNKNOWN_ISSUER = "unknown-issuer", Verdict.UNTRUSTED  # no path to a trust anchor
    NOT_YET_VALID = "not-yet-valid", Verdict.UNTRUSTED
    EXPIRED = "expired", Verdict.UNTRUSTED
    ISSUER_EXPIRED = "issuer-expired", Verdict.UNTRUSTED  # a certificate above the signer's, or not yet valid
    REVOKED = "revoked", Verdict.UNTRUSTED
    ISSUER_REVOKED = "issuer-revoked", Verdict.UNTRUSTED
    REVOCATION_UNKNOWN = "revocation-unknown", Verdict.UNTRUSTED  # required, and nobody could say
    KEY_USAGE = "key-usage", Verdict.UNTRUSTED
    EXTENDED_KEY_USAGE = "extended-key-usage", Verdict.UNTRUSTED
    ISSUER_NOT_CA = "issuer-not-ca", Verdict.UNTRUSTED  # basicConstraints or keyUsage of a certificate above
    PATH_LENGTH = "path-length", Verdict.UNTRUSTED
    NAME_CONSTRAINTS = "name-constraints", Verdict.UNTRUSTED
    CERTIFICATE_POLICY = "certificate-policy", Verdict.UNTRUSTED
    CRITICAL_EXTENSION = "critical-extension", Verdict.UNTRUSTED  # one that is not known
    CERTIFICATE_SIGNATURE = "certificate-signature", Verdict.UNTRUSTED  # not made by the issuer
    CERTIFICATE_UNREADABLE = "certificate-unreadable", Verdict.UNTRUSTED
    PATH_INVALID = "path-invalid", Verdict.UNTRUSTED  # anything else of RFC 5280, 6
    WEAK_DIGEST = "weak-digest", Verdict.UNTRUSTED  # MD5, SHA-1
    WEAK_KEY = "weak-key", Verdict.UNTRUSTED  # RSA under 2048 bits
    LEGACY_ALGORITHM = "legacy-algorithm", Verdict.UNTRUSTED  # DSA
    SIGNING_TIME_IN_FUTURE = "signing-time-in-future", Verdict.UNTRUSTED
    SIGNING_TIME_TOO_EARLY = "signing-time-too-early", Verdict.UNTRUSTED  # before the certificate was valid

    # invalid: the message or the signature
    MALFORMED_MAIL = "malformed-mail", Verdict.INVALID
    MALFORMED_CMS = "malformed-cms", Verdict.INVALID
    LIMIT_EXCEEDED = "limit-exceeded", Verdict.INVALID  # deeper, longer or more than is read
    SEVERAL_CONTENT_TYPES = "several-content-types", Verdict.INVALID  # and their like
    NO_SIGNER = "no-signer", Verdict.INVALID
    NO_CONTENT = "no-content", Verdict.INVALID  # nothing that the signature could be over
    UNEXPECTED_CONTENT = "unexpected-content", Verdict.INVALID  # a detached signature that brings a content of its own
    DIGEST_MISMATCH = "digest-mismatch", Verdict.INVALID  # the content was changed
    SIGNATURE_MISMATCH = "signature-mismatch", Verdict.INVALID  # the key did not make this signature
    MISSING_ATTRIBUTE = "missing-attribute", Verdict.INVALID
    DUPLICATE_ATTRIBUTE = "duplicate-attribute", Verdict.INVALID
    CONTENT_TYPE_MISMATCH = "content-type-mismatch", Verdict.INVALID
    ALGORITHM_MISMATCH = "algorithm-mismatch", Verdict.INVALID  # digest and signature algorithms that do not agree
    CERTIFICATE_MISMATCH = "certificate-mismatch", Verdict.INVALID  # signingCertificate names another one
    UNSUPPORTED_ALGORITHM = "unsupported-algorithm", Verdict.INVALID

    # notes: worth knowing, and no verdict depends on them
    REVOCATION_NOT_CHECKED = "revocation-not-checked", Verdict.TRUSTED
    REVOCATION_UNAVAILABLE = "revocation-unavailable", Verdict.TRUSTED
    NO_SENDER = "no-sender", Verdict.TRUSTED  # bare CMS: nobody claims to have sent it
    OTHER_SIGNER = "other-signer", Verdict.TRUSTED  # an inner layer is signed by somebody else than the sender
    OTHER_SENDER = "other-sender", Verdict.TRUSTED  # what was encrypted names another sender than the mail around it
    NO_KEY = "no-key", Verdict.TRUSTED  # an inner layer is encrypted for somebody else
    NESTED_MESSAGE = "nested-message", Verdict.TRUSTED  # a mail is attached, whose sender nobody vouches for
    COUNTERSIGNED = "countersigned", Verdict.TRUSTED
    PREAMBLE = "preamble", Verdict.TRUSTED  # text before the first boundary, which no mail program shows
    NOT_CLOSED = "not-closed", Verdict.TRUSTED  # the closing delimiter is missing
    SIGNING_TIME_MISSING = "signing-time-missing", Verdict.TRUSTED


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
        self.code = code.value
