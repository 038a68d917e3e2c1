"""How a message would be encrypted, and why, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smime_agent.api.planning import Plan, PlannedMessage
    from smime_agent.smime.choosing import Person
    from smime_agent.smime.negotiation import Wrapping


def explanation(plan: Plan, *, signs: bool) -> Iterator[str]:
    """Lines about each message: its algorithm, and each recipient with what stands against them."""
    for message in plan.messages():
        yield from _message(message, plan)
    for address in plan.missing:
        yield f"{address}: refused, there is no certificate"
    if signs and plan.wishes.to_self:
        yield "the sender: by a certificate on the token that signs"
    for note in plan.notes:
        yield f"note: {note}"


def _message(message: PlannedMessage, plan: Plan) -> Iterator[str]:
    negotiated = message.negotiated
    title = f"the message for Bcc ({message.people[0].name})" if message.name else "the message"
    yield f"{title}: {negotiated.cipher}"
    for because in negotiated.because:
        yield f"  because {because}"
    wrappings = {wrapping.recipient.certificate: wrapping for wrapping in negotiated.wrappings}
    for person in message.people:
        wrapping = wrappings[person.recipient.certificate]
        yield from _person(person, wrapping, is_sender=person in plan.sender)


def _person(person: Person, wrapping: Wrapping, *, is_sender: bool) -> Iterator[str]:
    certificate = person.recipient.certificate
    yield f"{person.name}{' (the sender)' if is_sender else ''}"
    yield f"  certificate  {certificate.subject}, serial {certificate.serial_number:x}, from {person.origin}"
    yield f"  valid        {certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}"
    yield f"  key          {certificate.key_algorithm}"
    yield f"  wrapped by   {wrapping.how}" + (f", because {wrapping.because}" if wrapping.because else "")
    yield f"  can decrypt  {wrapping.limits}"
    for reason in person.finding.reasons:
        yield f"  refused      {reason.text} ({reason.code})"
