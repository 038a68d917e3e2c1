"""What ``--remember`` says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from smime_agent.api.remembering import remember
from smime_agent.errors import FileError
from smime_agent.verdict import Verdict

if TYPE_CHECKING:
    from smime_agent.api.remembering import Remembered
    from smime_agent.certificates.contacts import Contacts
    from smime_agent.smime.signers import SignerCheck
    from smime_agent.smime.verification import Verification


@dataclass(frozen=True, slots=True)
class Memory:
    """Where senders are remembered, and who says whether they are to be."""

    contacts: Contacts
    check: SignerCheck

    def keep(self, found: Verification, *, alone: bool) -> Kept:
        """Remember who signed, if the mail is trusted. ``alone`` tells also why nobody was."""
        try:
            remembered = remember(found, self.check, self.contacts)
        except FileError as error:
            return Kept(None, (f"smime-agent: warning: nobody is remembered: {error}",))
        lines = [_line(one) for one in remembered if one.is_new]
        if alone and not remembered:
            lines.append(f"nobody is remembered: {_why_not(found)}")
        facts = [{"address": one.address, "sha256": one.certificate.fingerprint.hex()} for one in remembered]
        return Kept(facts, tuple(lines))


@dataclass(frozen=True, slots=True)
class Kept:
    """Who was remembered, for JSON, or none where that could not be written; and what a person should read."""

    facts: list[dict[str, str]] | None
    lines: tuple[str, ...]


def _line(one: Remembered) -> str:
    if one.before is None:
        return f"the certificate of {one.address} was remembered"
    return (
        f"a new certificate for {one.address} was remembered, issued by {one.certificate.issuer}; "
        f"the one before is from {one.before.not_before:%Y-%m-%d}, issued by {one.before.issuer}"
    )


def _why_not(found: Verification) -> str:
    if found.verdict is not Verdict.TRUSTED:
        return "the mail is not trusted"
    if not found.senders:
        return "it does not say who sent it"
    return "no certificate in the mail can be encrypted to"
