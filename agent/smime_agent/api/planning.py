"""For whom a message is encrypted, in how many messages, and what a person should know before."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from smime_agent.cms.enveloped_data import MAX_RECIPIENTS
from smime_agent.errors import RecipientRefusedError, UsageError
from smime_agent.mailbox import is_mailbox, same_mailbox_key
from smime_agent.mime import Addressees
from smime_agent.smime.negotiation import Negotiated, RsaPadding, negotiate
from smime_agent.smime.recipient_check import overridden
from smime_agent.verdict import Code

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

    from smime_agent import mime
    from smime_agent.algorithms import ContentEncryption
    from smime_agent.smime.choosing import Chooser, Given, Person

_HINT: Final = "name a certificate with --cert, or remember one with 'smime-agent verify --remember'"
_MOST_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person wants of the algorithms, and whether the sender is a recipient too."""

    cipher: ContentEncryption | None = None
    padding: RsaPadding | None = None
    to_self: bool = True


@dataclass(frozen=True, slots=True)
class PlannedMessage:
    """One message that goes out: its name, empty for the one that all may see, who can read it, and how.

    ``sender`` are those of ``people`` who wrote it.
    """

    name: str
    people: tuple[Person, ...]
    negotiated: Negotiated
    sender: tuple[Person, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Everybody that a message is for, with what stands against them.

    ``blind`` get messages of their own. For those in ``missing`` there is no certificate. ``sender`` can read all
    messages too. ``notes`` are sentences that a person should read.
    """

    people: tuple[Person, ...]
    blind: tuple[Person, ...]
    missing: tuple[str, ...]
    wishes: Wishes
    chooser: Chooser = field(repr=False)
    sender: tuple[Person, ...] = ()
    notes: tuple[str, ...] = ()

    def accepted(self, accept: Iterable[Code] = (), *, force: bool = False) -> Plan:
        """The same plan, if nothing stands against the recipients but what is overridden, which becomes notes.

        ``accept`` and ``force``: see :func:`.overridden`.

        Raises:
            RecipientRefusedError: something does, or somebody has no certificate.
        """
        self.refuse_missing()
        findings = [person.finding for person in (*self.people, *self.blind)]
        reasons = overridden(findings, accept=accept, force=force)
        told = (f"{reason.text} ({reason.code}), and it is encrypted to all the same" for reason in reasons)
        return replace(self, notes=(*self.notes, *told))

    def refuse_missing(self) -> None:
        """Refuse it if somebody has no certificate.

        Raises:
            RecipientRefusedError: somebody has none.
        """
        if len(self.missing) == 1:
            raise RecipientRefusedError(f"there is no certificate for {self.missing[0]}", hint=_HINT)
        if self.missing:
            shown = (*self.missing[:_MOST_SHOWN], *(["..."] if len(self.missing) > _MOST_SHOWN else []))
            text = f"{len(self.missing)} recipients have no certificate"
            raise RecipientRefusedError(text, hint=_HINT, details=shown)

    def messages(self) -> tuple[PlannedMessage, ...]:
        """The messages that go out: one that all may see, and one for each Bcc recipient (RFC 8551, 3.3)."""
        if not self.people and len(self.blind) == 1:
            return (self._message("", self.blind),)
        main = (self._message("", self.people),) if self.people or (self.sender and not self.blind) else ()
        others = (self._message(f"bcc-{number}", [person]) for number, person in enumerate(self.blind, 1))
        return (*main, *others)

    def with_sender(self, addresses: Sequence[str], own: Iterable[Given], notes: Iterable[str] = ()) -> Plan:
        """The same plan with the sender as a recipient, by one of ``own`` if possible, and with further notes."""
        found, told = self._senders(addresses, tuple(own)) if self.wishes.to_self else ((), ())
        missing = self.missing
        if not (missing or self.people or self.blind or found):  # a note to oneself
            missing = tuple(addresses)
        return replace(self, sender=found, missing=missing, notes=(*self.notes, *notes, *told))

    def _senders(self, addresses: Sequence[str], own: tuple[Given, ...]) -> tuple[tuple[Person, ...], tuple[str, ...]]:
        found: list[Person] = []
        notes: list[str] = []
        for address in addresses:
            among = next((one for one in self.people if one.recipient.certificate.covers(address)), None)
            person = among or self.chooser.sender(address, own)
            if person is None:
                notes.append(f"there is no certificate for {address}: the sender will not be able to read it")
            elif among is None and person.finding.reasons:
                why = "; ".join(f"{reason.text} ({reason.code})" for reason in person.finding.reasons)
                notes.append(f"{why}: the sender, {address}, will not be able to read it")
            else:
                found.append(person)
        if not addresses:
            notes.append("the mail has no From that can be read: its sender will not be able to read it")
        return tuple(found), tuple(notes)

    def _message(self, name: str, people: Sequence[Person]) -> PlannedMessage:
        recipients = {one.recipient.certificate: one.recipient for one in people}
        others = {one.recipient.certificate: one for one in self.sender if one.recipient.certificate not in recipients}
        own = [one.recipient for one in others.values()]
        wishes = self.wishes
        negotiated = negotiate(list(recipients.values()), own, cipher=wishes.cipher, padding=wishes.padding)
        return PlannedMessage(name, (*people, *others.values()), negotiated, self.sender)


def make_plan(
    chooser: Chooser, mail: mime.Message | None, to: Sequence[str], bcc: Sequence[str], wishes: Wishes
) -> Plan:
    """A plan without the sender. ``to`` and ``bcc`` are addresses; with neither ``to`` nor certificates the mail's.

    Who is in the Bcc of the mail alone gets a message alone, be it that ``to`` or a certificate names them.

    Raises:
        UsageError: there is no recipient, there are too many, or an address is none.
    """
    written = mail.addressees() if mail is not None else Addressees()
    senders = tuple(mail.from_addresses()) if mail is not None else ()
    by_certificate = chooser.has_given and not to
    from_mail = mail is not None and not to and not by_certificate
    visible, blind = _addresses(written, to, bcc, from_mail=from_mail)
    if not (visible or blind or by_certificate):
        what = "the mail is addressed to nobody" if from_mail else "no recipient was named"
        raise UsageError(what, hint="name them with --to ADDRESS, or their certificates with --cert FILE")
    if len(visible) + len(blind) >= MAX_RECIPIENTS:
        raise UsageError(f"a message is for at most {MAX_RECIPIENTS - 1} recipients and the sender")
    found = _found(chooser, (*visible, *blind), pair=not by_certificate)
    people = tuple(person for person in map(found.get, visible) if person is not None)
    hidden = tuple(person for person in map(found.get, blind) if person is not None)
    if by_certificate:
        people, named_blind = _by_certificate(chooser, written, senders, blind)
        hidden += tuple(one for one in named_blind if not _is_among(one, hidden))
    own = set(map(same_mailbox_key, senders)) if wishes.to_self else set()
    missing = tuple(one for one, person in found.items() if person is None and same_mailbox_key(one) not in own)
    notes = [
        *_unreadable_there(written, [*people, *hidden], {*own, *map(same_mailbox_key, missing)}),
        *_not_used(chooser, [*people, *hidden], senders if wishes.to_self else (), by_certificate=by_certificate),
        *_of_revocation([*people, *hidden]),
    ]
    return Plan(people, hidden, missing, wishes, chooser, notes=tuple(notes))


def _addresses(
    written: Addressees, to: Sequence[str], bcc: Sequence[str], *, from_mail: bool
) -> tuple[list[str], list[str]]:
    """Those that all may see, and those that are in no list but Bcc; each once."""
    for address in (*to, *bcc):
        if not is_mailbox(address):
            raise UsageError(f"'{address}' is no mail address")
    if from_mail and written.unreadable:
        text = f"the mail is addressed to what is no mail address: {written.unreadable[0]}"
        raise UsageError(text, hint="name the recipients with --to ADDRESS")
    only_blind = set(map(same_mailbox_key, written.blind))
    named = {same_mailbox_key(address): address for address in (*to, *(written.visible if from_mail else ()))}
    visible = {key: address for key, address in named.items() if key not in only_blind}
    others = (*bcc, *(named[key] for key in named if key in only_blind), *(written.blind if from_mail else ()))
    blind = {same_mailbox_key(address): address for address in others}
    return list(visible.values()), [address for key, address in blind.items() if key not in visible]


def _found(chooser: Chooser, addresses: Sequence[str], *, pair: bool) -> dict[str, Person | None]:
    """Who is found for each address. With ``pair``, the only certificate that is left is for the only address."""
    found = {address: chooser.by_address(address) for address in addresses}
    missing = [address for address, person in found.items() if person is None]
    if pair and len(missing) == 1:
        left = list(chooser.unused(person for person in found.values() if person is not None))
        if len(left) == 1:  # what speaks against that is for a person to judge
            found[missing[0]] = chooser.despite(left[0], missing, missing[0])
    return found


def _by_certificate(
    chooser: Chooser, written: Addressees, senders: Sequence[str], bcc: Sequence[str]
) -> tuple[tuple[Person, ...], tuple[Person, ...]]:
    """Everybody whose certificate was given: those that all may see, and those of Bcc."""
    blind = (*written.blind, *bcc)
    to_nobody = written.unreadable or not (written.visible or written.blind)
    named = chooser.named() if to_nobody else chooser.named((*written.visible, *blind), senders)
    is_blind = [_covers(one, blind) and not _covers(one, written.visible) for one in named]
    people = tuple(one for one, hidden in zip(named, is_blind, strict=True) if not hidden)
    return people, tuple(one for one, hidden in zip(named, is_blind, strict=True) if hidden)


def _covers(person: Person, addresses: Iterable[str]) -> bool:
    return any(map(person.recipient.certificate.covers, addresses))


def _is_among(person: Person, others: Iterable[Person]) -> bool:
    return any(other.recipient.certificate == person.recipient.certificate for other in others)


def _unreadable_there(written: Addressees, people: Sequence[Person], known: Container[str]) -> Iterator[str]:
    reached = {same_mailbox_key(one.address) for one in people if one.address is not None}
    others = [
        address
        for address in (*written.visible, *written.blind)
        if same_mailbox_key(address) not in known
        and same_mailbox_key(address) not in reached
        and not any(one.recipient.certificate.covers(address) for one in people)
    ]
    if others:
        yield f"the mail is addressed to {_listed(others)}, and will not be readable there"


def _not_used(
    chooser: Chooser, people: Sequence[Person], senders: Sequence[str], *, by_certificate: bool
) -> Iterator[str]:
    """Certificates that were given for nothing; one of a sender's may be for the sender, who is found out later."""
    addresses = [one.address for one in people if one.address is not None]
    for given in chooser.unused(people):
        if any(map(given.certificate.covers, senders)):
            continue
        if not by_certificate and not any(map(given.certificate.covers, addresses)):
            why = "it is for no recipient"
        elif given.certificate.permits_encryption:
            why = "another one is"
        else:  # a certificate for signing, in one file with the other
            continue
        yield f"the certificate of {given.certificate.holder} in {given.origin} is not used: {why}"


def _of_revocation(people: Sequence[Person]) -> Iterator[str]:
    notes = (note for person in people for note in person.finding.notes)
    yield from dict.fromkeys(note.text for note in notes if note.code is Code.REVOCATION_UNAVAILABLE)


def _listed(addresses: Sequence[str]) -> str:
    return ", ".join((*addresses[:_MOST_SHOWN], *(["..."] if len(addresses) > _MOST_SHOWN else [])))
