"""How a message is encrypted, and why: for people, and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smime_agent.cli.card import folded, shown_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from smime_agent.api.planning import Plan, PlannedMessage
    from smime_agent.errors import SmimeAgentError
    from smime_agent.smime.choosing import Person
    from smime_agent.smime.negotiation import Wrapping


def explanation(plan: Plan, *, signs: bool) -> Iterator[str]:
    """Lines about each message: its algorithm, and each recipient with what stands against them."""
    for message in plan.messages():
        yield from _message(message)
    for address in plan.missing:
        yield from folded("refused", f"{shown_address(address)}: there is no certificate")
    if signs and plan.wishes.to_self:
        yield from folded("sender", "by a certificate on the token that signs")
    for note in plan.notes:
        yield from folded("note", note)


def plan_as_json(
    messages: Sequence[PlannedMessage],
    file: str | None,
    *,
    outputs: Sequence[Path | None] = (),
    missing: Iterable[str] = (),
    notes: Iterable[str] = (),
    error: SmimeAgentError | None = None,
    encrypted: bool = False,
) -> dict[str, Any]:
    """The fields of ``smime-agent.encrypt/1``; ``outputs`` are the files of the messages, none for those unwritten."""
    files = [*outputs, *[None] * (len(messages) - len(outputs))]
    return {
        "file": file,
        "encrypted": encrypted,
        "messages": [
            _message_as_json(message, None if output is None else str(output))
            for message, output in zip(messages, files, strict=True)
        ],
        "missing": list(missing),
        "reasons": [] if error is None else [{"code": error.code, "text": str(error)}],
        "notes": list(dict.fromkeys(notes)),
    }


def _message(message: PlannedMessage) -> Iterator[str]:
    negotiated = message.negotiated
    blind = f" for Bcc, {shown_address(message.people[0].name)}" if message.name else ""
    safe = "authenticated" if negotiated.cipher.is_authenticated else "not authenticated"
    yield f"the message{blind}: {negotiated.cipher}, {safe}"
    for because in negotiated.because:
        yield from folded("because", because)
    for warning in negotiated.warnings:
        yield from folded("warning", warning)
    for person, wrapping in _wrapped(message):
        yield f"for {shown_address(person.name)}{', the sender' if person in message.sender else ''}"
        for label, value in _entries(person, wrapping):
            yield from folded(label, value)


def _wrapped(message: PlannedMessage) -> Iterator[tuple[Person, Wrapping]]:
    wrappings = {wrapping.recipient.certificate: wrapping for wrapping in message.negotiated.wrappings}
    for person in message.people:
        yield person, wrappings[person.recipient.certificate]


def _entries(person: Person, wrapping: Wrapping) -> Iterator[tuple[str, str]]:
    certificate = person.recipient.certificate
    yield "subject", certificate.subject
    yield "issuer", certificate.issuer
    yield "serial", f"{certificate.serial_number:x}"
    yield "valid", f"{certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}"
    yield "known from", person.origin
    yield "key", str(certificate.key_algorithm)
    yield "wrapped by", wrapping.how + (f", because {wrapping.because}" if wrapping.because else "")
    yield "decrypts", wrapping.limits
    for reason in person.finding.reasons:
        yield "refused", f"{reason.text} ({reason.code})"


def _message_as_json(message: PlannedMessage, output: str | None) -> dict[str, Any]:
    negotiated = message.negotiated
    return {
        "output": output,
        "bcc": bool(message.name),
        "algorithm": str(negotiated.cipher),
        "authenticated": negotiated.cipher.is_authenticated,
        "because": list(negotiated.because),
        "recipients": [
            _person_as_json(person, wrapping, is_sender=person in message.sender)
            for person, wrapping in _wrapped(message)
        ],
    }


def _person_as_json(person: Person, wrapping: Wrapping, *, is_sender: bool) -> dict[str, Any]:
    certificate = person.recipient.certificate
    return {
        "address": person.address,
        "sender": is_sender,
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "serial": f"{certificate.serial_number:x}",
        "sha256": certificate.fingerprint.hex(),
        "mailboxes": list(certificate.mailboxes),
        "not_before": f"{certificate.not_before:%Y-%m-%dT%H:%M:%SZ}",
        "not_after": f"{certificate.not_after:%Y-%m-%dT%H:%M:%SZ}",
        "key_type": str(certificate.key_algorithm),
        "known_from": person.origin,
        "algorithm": wrapping.how,
        "decrypts": wrapping.limits,
        "reasons": [{"code": reason.code.value, "text": reason.text} for reason in person.finding.reasons],
    }
