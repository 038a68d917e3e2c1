"""Whether a certificate should be encrypted to, and what a person may override.

A wrong recipient certificate is a letter to somebody else: all that is asked of a signer's certificate is asked of it,
and what encryption needs besides.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from smime_agent.algorithms import ContentEncryption
from smime_agent.cms.enveloped_data_builder import recipient_info
from smime_agent.cms.recipient_name import RecipientName
from smime_agent.errors import RecipientRefusedError, UsageError
from smime_agent.trust.evidence import RevocationMode
from smime_agent.trust.path import Purpose, RevocationStatus
from smime_agent.trust.requirements import weaknesses
from smime_agent.verdict import Code, Reason, UntrustworthyError, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from smime_agent.trust.path import PathResult, PathValidator
    from smime_agent.x509 import Certificate

#: What cannot be done cannot be overridden.
_NEVER: Final = frozenset({Code.UNSUPPORTED_ALGORITHM})
#: What can only be wrong with a signature.
_OF_SIGNERS: Final = frozenset({Code.NO_CERTIFICATE, Code.SIGNING_TIME_IN_FUTURE, Code.SIGNING_TIME_TOO_EARLY})
_MOST_SHOWN: Final = 4


@dataclass(frozen=True, slots=True)
class Finding:
    """What stands against a certificate, and notes that stop nobody. No reasons: encrypt to it."""

    certificate: Certificate
    reasons: tuple[Reason, ...] = ()
    notes: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class RecipientCheck:
    """How recipients are checked: by a validator, as of its moment; ``name`` is what will name them in the message."""

    validator: PathValidator
    name: RecipientName = RecipientName.ISSUER_AND_SERIAL_NUMBER

    def of(self, certificate: Certificate, addresses: Sequence[str], pool: Iterable[bytes]) -> Finding:
        """What stands against encrypting to a certificate; with addresses, one of them must be in it.

        ``pool`` are certificates in DER that may complete its path.
        """
        path = self.validator.validate(certificate, pool, Purpose.ENCRYPT)
        reasons = [
            *_of_address(certificate, addresses),
            *self._of_key(certificate),
            *weaknesses([certificate]),
            *path.reasons,
        ]
        notes = list(path.notes)
        mode = self.validator.policy.revocation
        if _is_unasked(path, mode):
            text = f"whether the certificate of {certificate.name} was revoked is not known: nobody was asked about it"
            if mode is RevocationMode.REQUIRE:
                reasons.append(Reason(Code.REVOCATION_UNKNOWN, text))
            else:
                notes.append(Reason(Code.REVOCATION_UNAVAILABLE, text))
        return Finding(certificate, tuple(dict.fromkeys(reasons)), tuple(notes))

    def of_own(self, certificate: Certificate) -> Finding:
        """The same of a certificate whose key is known to be the sender's: nobody else has to vouch for it."""
        reasons = list(self._of_key(certificate))
        if not certificate.permits_encryption:
            text = f"the certificate of {certificate.name} is not one to encrypt to"
            reasons.append(Reason(Code.KEY_USAGE, text))
        if not certificate.not_before <= self.validator.policy.at <= certificate.not_after:
            reasons.append(Reason(Code.EXPIRED, f"the certificate of {certificate.name} is not valid now"))
        return Finding(certificate, tuple(reasons))

    def _of_key(self, certificate: Certificate) -> Iterable[Reason]:
        """A key is tried: that tells all that can be wrong with it."""
        cipher = ContentEncryption.AES128_GCM
        key = bytes(cipher.key_size)
        try:
            recipient_info(certificate, key, cipher, oaep=False, randomness=os.urandom, name=self.name)
        except (UsageError, UntrustworthyError) as error:
            yield Reason(Code.UNSUPPORTED_ALGORITHM, str(error))


def is_acceptable(code: Code) -> bool:
    """Whether it can stand against a recipient and be overridden."""
    return code is Code.NO_MAILBOX or (code.verdict is Verdict.UNTRUSTED and code not in _OF_SIGNERS)


def accepted_code(text: str) -> Code:
    """A reason that a person is ready to accept, by its code.

    Raises:
        UsageError: it is no reason to refuse a recipient, or one that nobody can accept.
    """
    known = {code.value: code for code in Code if is_acceptable(code)}
    if text not in known:
        raise UsageError(f"'{text}' is no reason that can be accepted", hint="--explain shows the reasons there are")
    return known[text]


def overridden(findings: Sequence[Finding], *, accept: Iterable[Code] = (), force: bool = False) -> tuple[Reason, ...]:
    """The reasons that stand against these recipients and were overridden: for a person to read.

    ``accept`` overrides exactly the reasons with these codes; ``force`` those of one more code, if there is only one.

    Raises:
        RecipientRefusedError: something else stands against one of them.
    """
    accepted = set(accept) - _NEVER
    left = _codes(findings) - accepted
    if force and len(left) == 1:
        accepted |= left - _NEVER
        left -= accepted
    if not left:
        return tuple(dict.fromkeys(reason for finding in findings for reason in finding.reasons))
    refused = [finding for finding in findings if not {reason.code for reason in finding.reasons} <= accepted]
    raise RecipientRefusedError(
        _sentence(refused), hint=_hint(left, force=force), details=[_line(finding, accepted) for finding in refused]
    )


def _codes(findings: Iterable[Finding]) -> set[Code]:
    return {reason.code for finding in findings for reason in finding.reasons}


def _sentence(refused: Sequence[Finding]) -> str:
    if len(refused) == 1:
        return f"nothing should be encrypted to the certificate of {refused[0].certificate.holder}"
    return f"nothing should be encrypted to {len(refused)} of the certificates"


def _line(finding: Finding, accepted: set[Code]) -> str:
    told = [f"{reason.text} ({reason.code})" for reason in finding.reasons if reason.code not in accepted]
    return f"{finding.certificate.holder}: {'; '.join(told)}"


def _hint(left: set[Code], *, force: bool) -> str:
    if left & _NEVER:
        return "ask for another certificate, or leave this recipient out"
    if len(left) == 1 and not force:
        return "if you are sure: --force"
    options = " ".join(f"--accept {code}" for code in sorted(left))
    return f"--force overrides one kind of reason, and there are several; if you are sure of each: {options}"


def _is_unasked(path: PathResult, mode: RevocationMode) -> bool:
    """No server was asked about the path, as something else is wrong in it: who overrides that should know it."""
    is_known = path.revocation in {RevocationStatus.GOOD, RevocationStatus.REVOKED}
    if mode is RevocationMode.OFF or not path.reasons or is_known:
        return False
    if mode is RevocationMode.PREFER and (path.anchor is None or len(path.chain) == 1):
        return False  # there is nobody whom it would make sense to ask
    return all(reason.code is not Code.REVOCATION_UNKNOWN for reason in path.reasons)


def _of_address(certificate: Certificate, addresses: Sequence[str]) -> Iterable[Reason]:
    """An address that a message goes to is one of the certificate: people and directories mix files up."""
    if addresses and not any(map(certificate.covers, addresses)):
        whose = ", ".join(certificate.mailboxes) or "no address"
        shown = ", ".join((*addresses[:_MOST_SHOWN], *(["..."] if len(addresses) > _MOST_SHOWN else [])))
        yield Reason(Code.NO_MAILBOX, f"the certificate is for {whose}, not for {shown}")
