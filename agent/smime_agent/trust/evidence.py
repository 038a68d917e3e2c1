"""Revocation data: how much of it is asked for, what it looks like, and the port to whoever gathers it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from smime_agent.x509 import Certificate


class RevocationMode(Enum):
    """How much is asked about revocation. The value is its name on the command line."""

    OFF = "off"
    PREFER = "prefer"
    REQUIRE = "require"


@dataclass(frozen=True, slots=True)
class Evidence:
    """CRLs and OCSP responses in DER, none of them checked; ``problems`` are sentences for people."""

    crls: tuple[bytes, ...] = ()
    ocsp_responses: tuple[bytes, ...] = ()
    problems: tuple[str, ...] = ()


class RevocationSource(Protocol):
    """Somebody who gathers revocation data."""

    def gather(self, chain: Sequence[Certificate], at: datetime) -> Evidence:
        """What there is about the certificates of ``chain``, leaf first and anchor last, at the time ``at``."""
        ...


@dataclass(frozen=True, slots=True)
class GivenEvidence:
    """Revocation data that is already here: CRLs and OCSP responses in DER. Nothing is fetched."""

    crls: tuple[bytes, ...] = ()
    ocsp_responses: tuple[bytes, ...] = ()

    def gather(self, chain: Sequence[Certificate], at: datetime) -> Evidence:  # noqa: ARG002 - the port's arguments
        """All of it: what does not concern the chain is left aside by the validator."""
        return Evidence(self.crls, self.ocsp_responses)
