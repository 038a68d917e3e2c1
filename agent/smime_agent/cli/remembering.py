"""What ``--remember`` says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smime_agent.api.remembering import remember
from smime_agent.cli import ui
from smime_agent.errors import FileError
from smime_agent.verdict import Verdict

if TYPE_CHECKING:
    from smime_agent.api.remembering import Remembered
    from smime_agent.certificates.contacts import Contacts
    from smime_agent.smime.signers import SignerCheck
    from smime_agent.smime.verification import Verification


def remember_senders(
    found: Verification, check: SignerCheck, contacts: Contacts, *, alone: bool
) -> list[dict[str, str]] | None:
    """Remember who signed, for the JSON; nothing where that cannot be written. ``alone`` tells also why nobody was."""
    try:
        remembered = remember(found, check, contacts)
    except FileError as error:
        ui.warning(f"nobody is remembered: {error}")
        return None
    for one in remembered:
        if one.is_new:
            ui.note(_line(one))
    if alone and not remembered:
        ui.note(f"nobody is remembered: {_why_not(found)}")
    return [{"address": one.address, "sha256": one.certificate.fingerprint.hex()} for one in remembered]


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
