"""Whether those who signed are those who the mail says sent it (RFC 8550, 3; RFC 8551, 3.1).

What a person sees as the sender has to match: every mailbox of From, and Sender where there is one, since some mail
programs show it. A certificate covers an address by its subjectAltName; letter case does not count.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from smime_agent.trust.lookalike import skeleton
from smime_agent.verdict import Code, Reason
from smime_agent.x509 import same_mailbox_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from smime_agent.mime import Claims
    from smime_agent.x509 import Certificate

#: How far the Date of a mail may be after its signingTime: clocks differ, and mail is queued before it is signed.
DATE_TOLERANCE: Final = timedelta(hours=1)


def check_identity(
    claims: Claims, certificates: Sequence[Certificate], expected: str | None = None
) -> Iterator[Reason]:
    """The reasons why the mail is not from those whose certificates these are; none if it is.

    ``expected`` is an address that has to be among the senders, and stands for them where the mail has no From.
    """
    stands_in = expected is not None and claims.from_fields == 0
    yield from (problem for problem in claims.problems if not (stands_in and problem.code is Code.FROM_MISSING))
    senders = [mailbox.address for mailbox in claims.senders if mailbox.address is not None]
    if expected is not None:
        if stands_in:
            senders = [expected]
        elif not any(same_mailbox_key(expected) == same_mailbox_key(sender) for sender in senders):
            yield Reason(Code.EXPECTED_SENDER, f"the mail is from {_listed(senders)}, not from {expected}")
    yield from check_covered(senders, certificates)
    yield from _check_sender_field(claims, senders, certificates)


def check_covered(senders: Sequence[str], certificates: Sequence[Certificate]) -> Iterator[Reason]:
    """The reasons why these senders are not exactly the ones whose certificates these are."""
    for address in dict.fromkeys(senders):
        if not any(certificate.covers(address) for certificate in certificates):
            yield not_covered("mail is from", address, certificates, Code.FROM_MISMATCH)
    if len(certificates) > 1 and senders:
        for certificate in certificates:
            if not any(map(certificate.covers, senders)):
                text = f"{certificate.holder} signed it too, and the mail is from {_listed(senders)}"
                yield Reason(Code.SIGNER_MISMATCH, text)


def check_expected(expected: str, certificates: Sequence[Certificate]) -> Iterator[Reason]:
    """The reason why this address is not that of somebody who signed, where nobody says who sent it."""
    if not any(certificate.covers(expected) for certificate in certificates):
        mailboxes = [mailbox for certificate in certificates for mailbox in certificate.mailboxes]
        text = f"it should be signed by {expected}, and the signer's certificate is for {_listed(mailboxes)}"
        yield Reason(Code.EXPECTED_SENDER, text)


def _check_sender_field(
    claims: Claims, senders: Iterable[str], certificates: Sequence[Certificate]
) -> Iterator[Reason]:
    address = claims.sender.address if claims.sender is not None else None
    if address is None or same_mailbox_key(address) in set(map(same_mailbox_key, senders)):
        return
    if not any(certificate.covers(address) for certificate in certificates):
        yield not_covered("mail's Sender is", address, certificates, Code.SENDER_MISMATCH)


def not_covered(what: str, address: str, certificates: Sequence[Certificate], code: Code) -> Reason:
    """Why no certificate covers the address: the most telling reason of several."""
    mailboxes = [mailbox for certificate in certificates for mailbox in certificate.mailboxes]
    if not mailboxes:
        return Reason(Code.NO_MAILBOX, f"the {what} {address}, and the signer's certificate holds no mail address")
    text = f"the {what} {address}, the signer's certificate is for {_listed(mailboxes)}"
    if skeleton(address) in set(map(skeleton, mailboxes)):
        return Reason(Code.LOOKALIKE, f"{text}: they look alike, and are not the same")
    return Reason(code, text)


def check_date(claims: Claims, claimed_at: Iterable[datetime | None]) -> Iterator[Reason]:
    """A reason when the mail says that it was written after it was signed: an old one that is sent again."""
    times = [time for time in claimed_at if time is not None]
    if times and claims.date_fields > 1:
        text = f"the mail has {claims.date_fields} Date fields, and programs show different ones"
        yield Reason(Code.DATE_MISMATCH, text)
    elif times and claims.date_fields and claims.date is None:
        yield Reason(Code.DATE_MISMATCH, "the Date of the mail cannot be read, and not compared with the signing time")
    elif claims.date is not None and times and claims.date - max(times) > DATE_TOLERANCE:
        signed = f"{max(times):%Y-%m-%d %H:%M %Z}"
        text = f"the mail is dated {claims.date:%Y-%m-%d %H:%M %Z}, and was signed before, at {signed}"
        yield Reason(Code.DATE_MISMATCH, text)


def _listed(addresses: Sequence[str]) -> str:
    shown = ", ".join(addresses[:3])
    return f"{shown} and {len(addresses) - 3} more" if len(addresses) > 3 else shown or "nobody"  # noqa: PLR2004
