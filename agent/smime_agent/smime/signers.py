"""The signers of one SignedData: each found, its signature checked, its certificate judged."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from smime_agent import cms
from smime_agent.algorithms import KeyKind
from smime_agent.smime.verification import Announcement, Signer
from smime_agent.trust.requirements import Purpose, weaknesses
from smime_agent.verdict import Code, Reason, UntrustworthyError
from smime_agent.x509 import InvalidCertificateError, certificate_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from smime_agent.trust.path import PathValidator
    from smime_agent.x509 import Certificate

#: How far a signingTime may be from what is possible: clocks differ.
CLOCK_TOLERANCE: Final = timedelta(hours=1)
_CONTENT_LIMIT: Final = 64 * 1024 * 1024  # of a content that has to be held, since the algorithm signs it undigested
_BROKEN_PATH: Final = frozenset({Code.CERTIFICATE_SIGNATURE, Code.CERTIFICATE_UNREADABLE, Code.PATH_INVALID})


@dataclass(frozen=True, slots=True)
class SignerCheck:
    """How signers are checked.

    ``known`` are certificates at hand beside the message's.
    ``in_retrospect`` says that the message is judged as of another time than ``now``: what it says of its own time is
    then not compared with the validity of the certificate. ``purpose`` is what the signers' certificates are to be for.
    """

    validator: PathValidator
    now: datetime
    in_retrospect: bool = False
    known: tuple[Certificate, ...] = ()
    purpose: Purpose = Purpose.SIGN

    def all(self, signed_data: cms.SignedData, content: Callable[[], Iterator[bytes]]) -> Iterator[Signer]:
        """Every signer of it, in order; the content is read once."""
        infos = signed_data.signer_infos
        digests = cms.digest_content(content(), [info.digest_algorithm for info in infos])
        for info in infos:
            yield self._one(signed_data, info, digests, content)

    def _one(
        self,
        signed_data: cms.SignedData,
        info: cms.SignerInfo,
        digests: cms.ContentDigests,
        content: Callable[[], Iterator[bytes]],
    ) -> Signer:
        candidates = self._candidates(signed_data, info.sid)
        if not candidates:
            reason = Reason(Code.NO_CERTIFICATE, f"the certificate of the signer is not there: {info.sid}")
            if signed_data.certificates_for(info.sid):
                text = f"the certificate of the signer cannot be read: {info.sid}"
                reason = Reason(Code.CERTIFICATE_UNREADABLE, text)
            return Signer(None, str(info.sid), reasons=(reason,))
        problem: UntrustworthyError | None = None
        found: list[Signer] = []
        for certificate in candidates:  # several may share a subjectKeyIdentifier, and even the key
            try:
                checked = cms.check_signature(
                    signed_data,
                    info,
                    digests,
                    certificate,
                    content=lambda: _held(content()),
                    public_key_info=self._completed(signed_data, certificate),
                )
            except UntrustworthyError as error:
                problem = problem or error
            else:
                found.append(self._judged(signed_data, info, certificate, checked))
        if found:
            return min(found, key=lambda signer: signer.verdict.exit_code)
        reasons = (problem.reason,) if problem is not None else ()
        return Signer(candidates[0], str(info.sid), reasons=reasons)

    def _completed(self, signed_data: cms.SignedData, certificate: Certificate) -> bytes:
        """The public key, with the parameters from further up the path where it is an old DSA key."""
        info = certificate.public_key_info
        if certificate.key_algorithm.kind is not KeyKind.DSA or not cms.inherits_parameters(info):
            return info
        path = self.validator.validate(certificate, signed_data.certificates, crls=signed_data.crls)
        if path.anchor is None or any(reason.code in _BROKEN_PATH for reason in path.reasons):
            return info
        return cms.with_inherited_parameters(info, [above.public_key_info for above in path.chain[1:]])

    def _candidates(self, signed_data: cms.SignedData, sid: cms.SignerIdentifier) -> list[Certificate]:
        found = []
        for encoded in signed_data.certificates_for(sid):
            try:
                found.append(certificate_of(encoded))
            except InvalidCertificateError:
                continue
        return found or [certificate for certificate in self.known if sid.names(certificate)]

    def _judged(
        self, signed_data: cms.SignedData, info: cms.SignerInfo, certificate: Certificate, checked: cms.CheckedSignature
    ) -> Signer:
        path = self.validator.validate(certificate, signed_data.certificates, self.purpose, signed_data.crls)
        notes = [*path.notes]
        if checked.claimed_at is None:
            notes.append(Reason(Code.SIGNING_TIME_MISSING, "the signer does not say when it was signed"))
        if checked.countersignatures:
            notes.append(Reason(Code.COUNTERSIGNED, "the signature is countersigned; that was not checked"))
        # An archive lets them into the path, and still they are never trusted.
        weak = [*checked.weaknesses, *weaknesses(path.chain)]
        reasons = dict.fromkeys([*weak, *path.reasons, *self._times(certificate, checked.claimed_at)])
        return Signer(
            certificate,
            str(info.sid),
            algorithm=checked.algorithm,
            claimed_at=checked.claimed_at,
            is_valid=True,
            is_weak=bool([*checked.weaknesses, *weaknesses([certificate])]),
            chain=path.chain,
            revocation=path.revocation.value,
            policies=path.policies,
            reasons=tuple(reasons),
            notes=tuple(notes),
            announcement=Announcement(
                checked.capabilities, checked.key_preference, signed_data.certificates, signed_data.crls
            ),
        )

    def _times(self, certificate: Certificate, claimed: datetime | None) -> Iterator[Reason]:
        """The signingTime is only a claim: it makes nothing good, but it can show that something is wrong."""
        if claimed is None:
            return
        if claimed - self.now > CLOCK_TOLERANCE:
            text = f"it says that it was signed at {claimed:%Y-%m-%d %H:%M %Z}, which is yet to come"
            yield Reason(Code.SIGNING_TIME_IN_FUTURE, text)
        if not self.in_retrospect and certificate.not_before - claimed > CLOCK_TOLERANCE:
            text = f"it says that it was signed at {claimed:%Y-%m-%d %H:%M %Z}, before its certificate was valid"
            yield Reason(Code.SIGNING_TIME_TOO_EARLY, text)


def _held(content: Iterator[bytes]) -> bytes:
    """All of a content.

    Raises:
        UntrustworthyError: it is too long to be held.
    """
    octets = bytearray()
    for chunk in content:
        octets += chunk
        if len(octets) > _CONTENT_LIMIT:
            text = "the algorithm signs the content itself, which is too long to be held"
            raise UntrustworthyError(Code.UNSUPPORTED_ALGORITHM, text)
    return bytes(octets)
