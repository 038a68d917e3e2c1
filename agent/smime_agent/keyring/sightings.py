"""Where certificates of ours were seen: what is remembered of tokens that may not be plugged in now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from smime_agent.x509 import certificate_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from smime_agent.tokens.objects import TokenObjects
    from smime_agent.tokens.token import TokenInfo
    from smime_agent.x509 import Certificate


@dataclass(frozen=True, slots=True)
class Sighting:
    """A certificate (DER) that was seen on a token. ``key_id`` is the id of its key there, or of itself.

    ``has_key``: its key was there when it was last looked for after a login, or could be seen without one.
    """

    encoded: bytes
    label: str
    serial: str
    manufacturer: str
    model: str
    key_id: bytes
    has_key: bool
    first_seen: date
    last_seen: date

    @property
    def certificate(self) -> Certificate:
        """The certificate.

        Raises:
            InvalidCertificateError: what was remembered is none.
        """
        return certificate_of(self.encoded)

    @property
    def token_name(self) -> str:
        """How a person is told which token it was."""
        return f"token '{self.label}'" + (f" (serial {self.serial})" if self.serial else "")

    def was_on(self, token: TokenInfo) -> bool:
        """It was seen on this token."""
        there = (token.label, token.serial, token.manufacturer, token.model)
        return (self.label, self.serial, self.manufacturer, self.model) == there


class KeyHistory(Protocol):
    """The memory of certificates and the tokens they were seen on. It never fails: it may know nothing."""

    def entries(self) -> Sequence[Sighting]:
        """All that is remembered."""
        ...

    def record(self, token: TokenInfo, objects: TokenObjects, today: date) -> None:
        """Remember what lies on a token."""
        ...
