"""What is asked and what comes back, whichever kind it is."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from smime_agent.errors import SmimeAgentError
from smime_agent.retrieval.urls import host_of, origin_of

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from smime_agent.retrieval.limits import Limits
    from smime_agent.x509 import Certificate

#: What asn1crypto raises on garbage, as measured; none of it may reach a caller.
GARBAGE = (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError, AttributeError)


def refusals() -> tuple[type[Exception], ...]:
    """What cryptography raises on garbage, and on what it does not know or does not find right."""
    from cryptography import exceptions, x509

    return (
        *GARBAGE,
        exceptions.InvalidSignature,
        exceptions.UnsupportedAlgorithm,
        x509.DuplicateExtension,
        x509.ExtensionNotFound,
        x509.InvalidVersion,
        x509.UnsupportedGeneralNameType,
    )


class UnavailableError(SmimeAgentError):
    """There is no answer that could be used, and why. It never leaves this package.

    ``is_unreachable`` says that the whole server failed, not this one question.
    """

    is_unreachable: bool

    def __init__(self, message: str, *, is_unreachable: bool = False) -> None:
        super().__init__(message)
        self.is_unreachable = is_unreachable


@dataclass(frozen=True, slots=True)
class Answer:
    """One CRL or OCSP response in DER that is about what was asked.

    ``doubt`` says why it does not settle the question: no key that we know signed it, or the responder does not know
    the certificate.
    """

    octets: bytes
    this_update: datetime
    next_update: datetime | None
    doubt: str | None = None

    def objection(self, now: datetime, at: datetime, limits: Limits) -> str | None:
        """Why it says nothing about the time ``at``: it is dated in the future, or was superseded before.

        What is newer than ``at`` is no worse for it: who asks about the past wants to know what came out since.
        """
        if self.this_update > now + limits.clock_skew:
            return f"is dated in the future, {self.this_update:%Y-%m-%d %H:%M} UTC"
        end = self.next_update or self.this_update + limits.oldest_without_next_update
        if end < min(now, at):
            return f"is out of date since {end:%Y-%m-%d %H:%M} UTC"
        return None


@dataclass(frozen=True, slots=True)
class Question(ABC):
    """One thing to ask of one URL, about ``certificate``, which ``issuer`` is said to have issued."""

    url: str
    certificate: Certificate
    issuer: Certificate

    kind: ClassVar[str]

    @property
    @abstractmethod
    def body(self) -> bytes:
        """What is sent, by POST; with nothing to send it is a GET."""

    @abstractmethod
    def judge(self, octets: bytes, now: datetime) -> Answer:
        """What a server sent, read in full, its signature checked as far as the chain can tell.

        Raises:
            UnavailableError: it is nothing of the kind, or about something else.
        """

    @abstractmethod
    def recall(self, octets: bytes) -> Answer:
        """What ``judge`` accepted before, without doubt, read again: only what it takes to know its dates.

        Raises:
            UnavailableError: it is not what was kept.
        """

    @abstractmethod
    def bounds(self, limits: Limits) -> tuple[int, timedelta]:
        """How many octets an answer may have, and how long it may be kept."""

    @property
    def host(self) -> str:
        """Whom it asks, for people."""
        return host_of(self.url)

    @property
    def origin(self) -> str:
        """What all questions to one server have in common."""
        return origin_of(self.url)

    @property
    def key(self) -> str:
        """A name for its answer, fit for a file: it tells nothing of what was asked."""
        return f"{hashlib.sha256(self.url.encode() + bytes(1) + self.body).hexdigest()}.{self.kind}"

    def kept_until(self, answer: Answer, fetched: datetime, limits: Limits) -> datetime:
        """How long an answer fetched then may be used again."""
        _, longest = self.bounds(limits)
        if answer.next_update is None:
            return fetched + min(longest, limits.age_without_next_update)
        return min(answer.next_update, fetched + longest)
