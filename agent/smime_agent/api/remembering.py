"""Remember whom answers can be encrypted to, and with what, from mail that was verified (RFC 8551, 2.5.3 and 2.7.1)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from smime_agent.certificates.contacts import mark_of
from smime_agent.cms.capabilities import read_capabilities
from smime_agent.cms.certificate_index import CertificateIndex
from smime_agent.cms.key_preference import read_key_preference
from smime_agent.errors import UsageError
from smime_agent.trust.path import Purpose
from smime_agent.trust.requirements import weaknesses
from smime_agent.verdict import UntrustworthyError, Verdict
from smime_agent.x509 import InvalidCertificateError, certificate_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from smime_agent.certificates.contacts import Contacts
    from smime_agent.cms.capabilities import Capabilities
    from smime_agent.smime.signers import SignerCheck
    from smime_agent.smime.verification import Announcement, Signer, Verification
    from smime_agent.x509 import Certificate

__all__ = ["Remembered", "remember"]

#: Senders of one mail, certificates of it that are read for one of them, and those whose paths are looked for.
MAX_SENDERS: Final = 20
MAX_READ: Final = 64
MAX_JUDGED: Final = 4


@dataclass(frozen=True, slots=True)
class Remembered:
    """A certificate that is known for an address now.

    ``is_new``: it was not before. ``before`` is then the best one of those that were, if there was one.
    """

    address: str
    certificate: Certificate
    is_new: bool
    before: Certificate | None


def remember(verification: Verification, check: SignerCheck, contacts: Contacts) -> tuple[Remembered, ...]:
    """Remember the senders of a mail; nobody, unless the mail is trusted.

    A certificate is remembered if a sender of the mail signed it, the certificate is for that sender's address, and it
    can be encrypted to under the policy by which the mail was verified.

    Raises:
        UsageError: the mail was judged as of another time than now.
        FileError: the folder of contacts cannot be written.
    """
    if check.in_retrospect:
        msg = "what is judged as of another time is not remembered"
        raise UsageError(msg, hint="--remember is for mail that came just now: leave --at out")
    layer = verification.outermost_signed
    if verification.verdict is not Verdict.TRUSTED or layer is None:
        return ()
    found: dict[tuple[str, Certificate], Remembered] = {}
    for address in dict.fromkeys(verification.senders[:MAX_SENDERS]):
        for signer in layer.signers:
            certificate = signer.certificate
            if certificate is not None and certificate.covers(address) and signer.verdict is Verdict.TRUSTED:
                one = _of_signer(signer, address, check, contacts)
                if one is not None:
                    found.setdefault((address, one.certificate), one)
    return tuple(found.values())


def _of_signer(signer: Signer, address: str, check: SignerCheck, contacts: Contacts) -> Remembered | None:
    announcement = signer.announcement
    if announcement is None:
        return None
    for certificate in islice(_candidates(signer, announcement, address), MAX_JUDGED):
        path = check.validator.validate(certificate, announcement.certificates, Purpose.ENCRYPT, announcement.crls)
        if path.reasons or any(weaknesses(path.chain)):  # an archive's policy lets weak paths pass
            continue
        known = [contact.certificate for contact in contacts.known(address)]
        is_new = certificate not in known
        contacts.remember(certificate, _capabilities(announcement), signer.claimed_at, path.chain[1:], now=check.now)
        return Remembered(address, certificate, is_new, known[0] if known and is_new else None)
    return None


def _candidates(signer: Signer, announcement: Announcement, address: str) -> Iterator[Certificate]:
    """Certificates of the signer that can be encrypted to, the preferred one first (RFC 8551, 2.5.3.1)."""
    seen: set[Certificate] = set()
    for certificate in _certificates(signer, announcement, address):
        if certificate not in seen and certificate.permits_encryption and certificate.covers(address):
            yield certificate
        seen.add(certificate)


def _certificates(signer: Signer, announcement: Announcement, address: str) -> Iterator[Certificate]:
    yield from _read(_preferred(announcement))
    own = signer.certificate
    if own is None:
        return
    yield own
    mark = mark_of(address)
    near = (encoded for encoded in announcement.certificates if mark in encoded.lower())
    others = sorted(_read(islice(near, MAX_READ)), key=lambda one: one.not_before, reverse=True)
    yield from (one for one in others if one.subject_encoded == own.subject_encoded)
    yield from others


def _preferred(announcement: Announcement) -> tuple[bytes, ...]:
    if announcement.key_preference is not None:
        with suppress(UntrustworthyError):
            return CertificateIndex(announcement.certificates).find(read_key_preference(announcement.key_preference))
    return ()


def _read(encoded: Iterable[bytes]) -> Iterator[Certificate]:
    for one in encoded:
        with suppress(InvalidCertificateError):
            yield certificate_of(one)


def _capabilities(announcement: Announcement) -> Capabilities | None:
    with suppress(UntrustworthyError):
        return read_capabilities(announcement.capabilities) if announcement.capabilities is not None else None
    return None
