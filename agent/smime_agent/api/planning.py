"""For whom a message is encrypted, in how many messages, and what a person should know before."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from smime_agent.cms.enveloped_data import MAX_RECIPIENTS
from smime_agent.errors import RecipientRefusedError, UsageError
from smime_agent.mailbox import is_mailbox, same_mailbox_key
from smime_agent.smime.negotiation import Negotiated, RsaPadding, negotiate
from smime_agent.smime.recipient_check import overridden
from smime_agent.verdict import Code

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from smime_agent import mime
    from smime_agent.algorithms import ContentEncryption
    from smime_agent.mime import Addressees
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
    """One message that goes out: its name, empty for the one that all may see, who can read it, and how."""

    name: str
    people: tuple[Person, ...]
    negotiated: Negotiated


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
        if len(self.missing) == 1:
            raise RecipientRefusedError(f"there is no certificate for {self.missing[0]}", hint=_HINT)
        if self.missing:
            shown = (*self.missing[:_MOST_SHOWN], *(["..."] if len(self.missing) > _MOST_SHOWN else []))
            text = f"{len(self.missing)} recipients have no certificate"
            raise RecipientRefusedError(text, hint=_HINT, details=shown)
        findings = [person.finding for person in (*self.people, *self.blind)]
        reasons = overridden(findings, accept=accept, force=force)
        told = (f"{reason.text} ({reason.code}), and it is encrypted to all the same" for reason in reasons)
        return replace(self, notes=(*self.notes, *told))

    def messages(self) -> tuple[PlannedMessage, ...]:
        """The messages that go out: one that all may see, and one for each Bcc recipient (RFC 8551, 3.3)."""
        if not self.people and len(self.blind) == 1:
            return (self._message("", self.blind),)
        main = (self._message("", self.people),) if self.people else ()
        others = (self._message(f"bcc-{number}", [person]) for number, person in enumerate(self.blind, 1))
        return (*main, *others)

    def with_sender(self, addresses: Sequence[str], own: Iterable[Given], notes: Iterable[str] = ()) -> Plan:
        """The same plan with the sender as a recipient, by one of ``own`` if possible, and with further notes."""
        found, told = self._senders(addresses, tuple(own)) if self.wishes.to_self else ((), ())
        return replace(self, sender=found, notes=(*self.notes, *notes, *told))

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
        own = [one.recipient for one in self.sender if one.recipient.certificate not in recipients]
        wishes = self.wishes
        negotiated = negotiate(list(recipients.values()), own, cipher=wishes.cipher, padding=wishes.padding)
        return PlannedMessage(name, (*people, *self.sender), negotiated)


def make_plan(
    chooser: Chooser, mail: mime.Message | None, to: Sequence[str], bcc: Sequence[str], wishes: Wishes
) -> Plan:
    """A plan without the sender. ``to`` and ``bcc`` are addresses; with neither ``to`` nor certificates the mail's.

    Raises:
        UsageError: there is no recipient, there are too many, or an address is none.
    """
    written = mail.addressees() if mail is not None else None
    from_mail = written is not None and not to and not chooser.has_given
    visible, blind = _addresses(written if from_mail else None, to, bcc)
    by_certificate = chooser.has_given and not to
    if not (visible or blind or by_certificate):
        what = "the mail is addressed to nobody" if from_mail else "no recipient was named"
        raise UsageError(what, hint="name them with --to ADDRESS, or their certificates with --cert FILE")
    if len(visible) + len(blind) >= MAX_RECIPIENTS:
        raise UsageError(f"a message is for at most {MAX_RECIPIENTS - 1} recipients and the sender")
    people = tuple(chooser.named()) if by_certificate else None
    missing: list[str] = []
    if people is None:
        people = tuple(_found(chooser, visible, missing))
    hidden = tuple(_found(chooser, blind, missing))
    notes = list(_notes(chooser, written, (*people, *hidden), missing, given_unused=not by_certificate))
    return Plan(people, hidden, tuple(missing), wishes, chooser, notes=tuple(notes))


def _addresses(written: Addressees | None, to: Sequence[str], bcc: Sequence[str]) -> tuple[list[str], list[str]]:
    """Those that all may see, and those that are in no list but Bcc; each once."""
    for address in (*to, *bcc):
        if not is_mailbox(address):
            raise UsageError(f"'{address}' is no mail address")
    if written is not None and written.unreadable:
        text = f"the mail is addressed to what is no mail address: {written.unreadable[0]}"
        raise UsageError(text, hint="name the recipients with --to ADDRESS")
    visible = {same_mailbox_key(address): address for address in (*to, *(written.visible if written else ()))}
    blind = {same_mailbox_key(address): address for address in (*bcc, *(written.blind if written else ()))}
    return list(visible.values()), [address for key, address in blind.items() if key not in visible]


def _found(chooser: Chooser, addresses: Iterable[str], missing: list[str]) -> Iterator[Person]:
    for address in addresses:
        person = chooser.by_address(address)
        if person is None:
            missing.append(address)
        else:
            yield person


def _notes(
    chooser: Chooser,
    written: Addressees | None,
    people: Sequence[Person],
    missing: Sequence[str],
    *,
    given_unused: bool,
) -> Iterator[str]:
    others = [
        address
        for address in ((*written.visible, *written.blind) if written is not None else ())
        if address not in missing and not any(one.recipient.certificate.covers(address) for one in people)
    ]
    if others:
        shown = ", ".join((*others[:_MOST_SHOWN], *(["..."] if len(others) > _MOST_SHOWN else [])))
        yield f"the mail is addressed to {shown}, and will not be readable there"
    if given_unused:
        for given in chooser.unused(people):
            yield f"the certificate of {given.certificate.holder} in {given.origin} is not used: it is for no recipient"
    for person in people:
        for note in person.finding.notes:
            if note.code is Code.REVOCATION_UNAVAILABLE:
                yield note.text
