"""Which certificate each recipient of a message is encrypted to, and where it is from."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from smime_agent.cms.capabilities import capabilities_of_certificate
from smime_agent.smime.recipients import Recipient

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from smime_agent.smime.recipient_check import Finding, RecipientCheck
    from smime_agent.smime.recipients import RecipientDirectory
    from smime_agent.x509 import Certificate

#: Certificates of one address that are judged, until one is good.
_MOST_CANDIDATES: Final = 8


@dataclass(frozen=True, slots=True)
class Given:
    """A certificate that a person named, or that is known to be the sender's, and where it is from, in words."""

    certificate: Certificate
    origin: str


@dataclass(frozen=True, slots=True)
class Person:
    """One recipient: the address, if there is one, the certificate, where it is from, and what stands against it."""

    address: str | None
    recipient: Recipient
    origin: str
    finding: Finding

    @property
    def name(self) -> str:
        """The address, else whom the certificate is for."""
        return self.address or self.recipient.certificate.holder


class Chooser:
    """Finds certificates: among those given first, then in a directory. The first that is good is taken."""

    def __init__(
        self,
        check: RecipientCheck,
        directory: RecipientDirectory | None = None,
        given: Sequence[Given] = (),
        pool: Sequence[bytes] = (),
    ) -> None:
        """``pool`` are certificates in DER that may complete paths, beside those of the directory."""
        self._check = check
        self._directory = directory
        self._given = given
        self._pool = tuple(pool)

    @property
    def has_given(self) -> bool:
        """A person named certificates."""
        return bool(self._given)

    def by_address(self, address: str) -> Person | None:
        """The best certificate for an address, though something may stand against it; nothing where there is none."""
        best: Person | None = None
        for recipient, origin in islice(self._candidates(address), _MOST_CANDIDATES):
            person = self._judged(recipient, origin, address)
            if not person.finding.reasons:
                return person
            best = best or person
        return best

    def named(self, addresses: Sequence[str] = (), senders: Sequence[str] = ()) -> tuple[Person, ...]:
        """Everybody whose certificate was given; where there are addresses, each should be for one of them or a sender.

        A file may hold all that somebody ever had. What cannot be used is left out if something of theirs can.
        """
        people = []
        for given in self._given:
            covers = given.certificate.covers
            address = next(filter(covers, (*addresses, *senders)), None)
            people.append(self.despite(given, addresses if address is None else (), address))
        good = [person.recipient.certificate for person in people if not person.finding.reasons]
        return tuple(
            person for person in people if not person.finding.reasons or not _is_there_another(person, among=good)
        )

    def despite(self, given: Given, addresses: Sequence[str], address: str | None = None) -> Person:
        """The holder of a certificate as a recipient, whether it is for one of these addresses or not."""
        known_as = address or next(iter(given.certificate.mailboxes), None)
        recipient = self._with_capabilities(given.certificate, known_as)
        finding = self._check.of(given.certificate, addresses, self._pool_of(known_as))
        return Person(address, recipient, given.origin, finding)

    def unused(self, people: Iterable[Person]) -> Iterator[Given]:
        """What was given and is the certificate of none of them."""
        used = {person.recipient.certificate for person in people}
        return (given for given in self._given if given.certificate not in used)

    def sender(self, address: str, own: Iterable[Given]) -> Person | None:
        """The certificate of the sender: the first good one of ``own``, whose keys are theirs, else as of anybody.

        What others vouch for comes first: where a token was plugged in once that is somebody else's, its certificate
        may say that it is the sender's.
        """
        fitting = list(islice((given for given in own if given.certificate.covers(address)), _MOST_CANDIDATES))
        for given in fitting:
            person = self._judged(Recipient(given.certificate), given.origin, address)
            if not person.finding.reasons:
                return person
        found = self.by_address(address)
        if found and not found.finding.reasons:
            return found
        best: Person | None = None
        for given in fitting:
            finding = self._check.of_own(given.certificate)
            person = Person(address, Recipient(given.certificate), given.origin, finding)
            if not finding.reasons:
                return person
            best = best or person
        return best or found

    def _candidates(self, address: str) -> Iterator[tuple[Recipient, str]]:
        covering = [given for given in self._given if given.certificate.covers(address)]
        for given in sorted(covering, key=lambda one: one.certificate.not_before, reverse=True):
            yield self._with_capabilities(given.certificate, address), given.origin
        if self._directory is not None:
            for recipient in self._directory.find(address):
                yield recipient, "contacts"

    def _judged(self, recipient: Recipient, origin: str, address: str) -> Person:
        finding = self._check.of(recipient.certificate, [address], self._pool_of(address))
        return Person(address, recipient, origin, finding)

    def _pool_of(self, address: str | None) -> tuple[bytes, ...]:
        known = self._directory.pool(address) if self._directory is not None and address is not None else ()
        return (*self._pool, *known)

    def _with_capabilities(self, certificate: Certificate, address: str | None) -> Recipient:
        """What the directory knows of a certificate that was given holds of it too."""
        known = self._directory.find(address) if self._directory is not None and address is not None else ()
        said = next((one.capabilities for one in known if one.certificate == certificate), None)
        return Recipient(certificate, said or capabilities_of_certificate(certificate))


def _is_there_another(person: Person, *, among: Iterable[Certificate]) -> bool:
    mailboxes = person.recipient.certificate.mailboxes
    return any(any(map(certificate.covers, mailboxes)) for certificate in among)
