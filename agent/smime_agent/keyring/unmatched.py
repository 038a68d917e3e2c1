"""Whose key it would take, when none of ours opens a message: in words, from what is remembered."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from smime_agent.cms.recipients import KeyRecipient, RecipientKind, named
from smime_agent.keyring.matching import Comparisons

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from smime_agent.cms.recipient_info import IssuerAndSerialNumber, KeyIdentifier
    from smime_agent.cms.recipients import OtherRecipient
    from smime_agent.keyring.matching import KnownCertificates
    from smime_agent.keyring.opened import OpenedToken
    from smime_agent.keyring.sightings import Sighting
    from smime_agent.tokens.token import TokenInfo
    from smime_agent.x509 import Certificate

#: Recipients that are named; the others are counted.
_MOST_NAMED: Final = 5
_LIST_HINT: Final = "'smime-agent key list --history' shows the keys that were ever seen"


class Unmatched:
    """What can be said about the recipients of a message that is not for a key at hand."""

    def __init__(  # noqa: PLR0913 - all that is known
        self,
        known: KnownCertificates,
        sightings: Sequence[Sighting],
        present: Sequence[TokenInfo],
        opened: Sequence[OpenedToken] = (),
        *,
        passed_over: Sequence[TokenInfo] = (),
        has_looked: bool = True,
    ) -> None:
        """``known`` holds the certificates of ``sightings`` too.

        ``present`` are the tokens that were to be looked at and are plugged in, ``opened`` those of them that can be.
        ``passed_over`` are plugged in too, while another was named. Unless it ``has_looked``, nobody knows which are.
        """
        self._has_looked = has_looked
        self._passed_over = passed_over
        self._known = known
        self._present = present
        self._opened = opened
        self._sightings: dict[bytes, Sighting] = {}
        for one in sorted(sightings, key=lambda sighting: (sighting.has_key, sighting.last_seen)):
            self._sightings[one.encoded] = one  # the latest that had the key
        self._names = Comparisons()

    @property
    def where(self) -> str:
        """The tokens that were looked at, for people."""
        names = [token.name for token in self._present]
        if len(names) > _MOST_NAMED:
            return f"any of {len(names)} tokens"
        return " or ".join(names) or "any token"

    @property
    def sentence(self) -> str:
        """What happened."""
        if not self._present:
            return "no token is plugged in that opens this message"
        return f"no key on {self.where} opens this message"

    def details(self, recipients: Iterable[KeyRecipient | OtherRecipient]) -> list[str]:
        """A line for each of the first recipients, those first of whom most is known, and what else there is."""
        lines: list[tuple[int, str | IssuerAndSerialNumber | KeyIdentifier]] = []
        others: Counter[RecipientKind] = Counter()
        for recipient in recipients:
            if isinstance(recipient, KeyRecipient):
                lines.append(self._line(recipient))
            else:
                others[recipient.kind] += 1
        lines.sort(key=lambda line: line[0])
        told = list(dict.fromkeys(line for _, line in lines))
        left = len(told) - _MOST_NAMED
        return [
            *(f"it is for {one if isinstance(one, str) else named(one)}" for one in told[:_MOST_NAMED]),
            *([f"and for {left} others"] if left > 0 else ()),
            *(_counted(kind, number) for kind, number in others.items()),
        ]

    def hint(self, recipients: Iterable[KeyRecipient | OtherRecipient]) -> str:
        """What to do."""
        for recipient in recipients:
            if isinstance(recipient, KeyRecipient):
                for _, sighting in self._certificates(recipient):
                    if sighting is not None and self._is_passed_over(sighting):
                        return f"leave --token out, or name {sighting.token_name} with it"
                    if sighting is not None and not self._is_present(sighting):
                        return f"plug in {sighting.token_name}"
        hiding = [opened for opened in self._opened if opened.may_hide]
        if hiding and len(self._present) > 1:
            return f"{hiding[0].info.name} may show more after a login: name it with --token"
        return _LIST_HINT

    def _line(self, recipient: KeyRecipient) -> tuple[int, str | IssuerAndSerialNumber | KeyIdentifier]:
        """What is known of a recipient, and how little: of most that is no more than the message says."""
        for certificate, sighting in self._certificates(recipient):
            return (1, _of(certificate)) if sighting is None else (0, f"{_of(certificate)}: {self._place(sighting)}")
        return 2, recipient.identifier  # which takes a tenth of a millisecond to be put into words

    def _certificates(self, recipient: KeyRecipient) -> Iterator[tuple[Certificate, Sighting | None]]:
        """The certificates that are known of a recipient, those first that were on a token of ours."""
        found = [(one, self._sightings.get(one.encoded)) for one in self._known.find(recipient.identifier, self._names)]
        yield from sorted(found, key=lambda pair: pair[1] is None)

    def _place(self, sighting: Sighting) -> str:
        seen = f"its key was last seen on {sighting.token_name} on {sighting.last_seen:%Y-%m-%d}"
        if not sighting.has_key:
            seen = f"it was last seen, without its key, on {sighting.token_name} on {sighting.last_seen:%Y-%m-%d}"
        if self._is_passed_over(sighting):
            return f"{seen}, which is plugged in and was not looked at"
        if not self._is_present(sighting):
            return f"{seen}, which is not plugged in" if self._has_looked else seen
        has_lost = any(one.has_lost(sighting.certificate) for one in self._opened if sighting.was_on(one.info))
        return f"{seen}, which has it no longer" if has_lost else f"{seen}, which is plugged in"

    def _is_present(self, sighting: Sighting) -> bool:
        return any(sighting.was_on(token) for token in self._present)

    def _is_passed_over(self, sighting: Sighting) -> bool:
        return any(sighting.was_on(token) for token in self._passed_over) and not self._is_present(sighting)


def _of(certificate: Certificate) -> str:
    mailboxes = f" ({', '.join(certificate.mailboxes)})" if certificate.mailboxes else ""
    validity = f"valid from {certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}"
    return f"{certificate.subject}{mailboxes}, serial {certificate.serial_number:x}, {validity}"


def _counted(kind: RecipientKind, number: int) -> str:
    recipients = "1 recipient" if number == 1 else f"{number} recipients"
    if kind is RecipientKind.UNREADABLE:
        return f"{recipients} cannot be read"
    return f"{recipients} by {kind.value}, which is not supported and is for no key of yours"
