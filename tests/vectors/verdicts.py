"""Verdicts on mails that strangers made, as of the time when their certificates were valid."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from smime_agent.api.verifying import Verifier, VerifyOptions
from smime_agent.trust.evidence import RevocationMode

if TYPE_CHECKING:
    from pathlib import Path

    from smime_agent.smime.verification import Verification

# The mail client's certificates begin on 2026-01-26; those of RFC 9216 last from 2019 to 2052.
AT = datetime(2026, 6, 1, tzinfo=UTC)


def verifier(*anchors: Path, at: datetime = AT, legacy: bool = False) -> Verifier:
    """A verifier that trusts these alone and asks nobody."""
    return Verifier(
        VerifyOptions(ca_files=anchors, system_roots=False, revocation=RevocationMode.OFF, at=at, legacy=legacy)
    )


def codes(verification: Verification) -> set[str]:
    """The codes of its reasons."""
    return {reason.code.value for reason in verification.reasons}
