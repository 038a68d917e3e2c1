"""The options that say whom to believe, shared by all commands that judge certificates."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smime_agent.api.verifying import VerifyOptions
from smime_agent.cli import ui
from smime_agent.config import data_directory, load_config
from smime_agent.errors import UsageError
from smime_agent.mailbox import is_mailbox
from smime_agent.trust.evidence import RevocationMode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smime_agent.certificates.contacts import Contacts

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:[Zz]|[+-]\d\d:\d\d)")
#: The years of certificates (RFC 5280, 4.1.2.5); what is near the end cannot be reckoned with.
_FIRST_YEAR, _LAST_YEAR = 1950, 9990

CaFileOption = Annotated[
    list[Path] | None,
    typer.Option("--ca-file", metavar="PEM", help="Trust these CAs too, beside those that NSS trusts for mail."),
]
CrlOption = Annotated[
    list[Path] | None, typer.Option("--crl", metavar="FILE", help="A CRL that is at hand, in PEM or DER.")
]
RevocationOption = Annotated[
    RevocationMode, typer.Option("--revocation", help="prefer asks and goes on without an answer, require does not.")
]
OfflineOption = Annotated[bool, typer.Option("--offline", help="Ask no server; use what was kept.")]
AtOption = Annotated[
    str | None,
    typer.Option("--at", metavar="TIME", help="Judge certificates as of this time, such as 2026-06-01T00:00:00Z."),
]
FromOption = Annotated[
    str | None, typer.Option("--from", metavar="ADDRESS", help="Who should have signed; it must be the sender.")
]
RememberOption = Annotated[
    bool, typer.Option("--remember", help="If the mail is trusted, keep the sender's certificate to encrypt to.")
]


def verify_options(
    ca_files: Sequence[Path] | None,
    crls: Sequence[Path] | None,
    revocation: RevocationMode,
    at: str | None,
    *,
    offline: bool,
    legacy: bool,
) -> VerifyOptions:
    """Whom to believe: what the command line says, and the CA files of the configuration.

    Raises:
        UsageError: ``at`` is no time.
    """
    return VerifyOptions(
        ca_files=all_ca_files(ca_files),
        crl_files=tuple(crls or ()),
        revocation=revocation,
        offline=offline,
        at=moment(at, "--at"),
        legacy=legacy,
    )


def all_ca_files(named: Sequence[Path] | None) -> tuple[Path, ...]:
    """The CA files of the configuration, and those that the command line names."""
    return (*map(Path, load_config().ca_files), *(named or ()))


def contacts_to_fill(*, in_retrospect: bool) -> Contacts:
    """Where senders are remembered.

    Raises:
        UsageError: they cannot be, since what is trusted as of another time may not be trusted now.
    """
    from smime_agent.certificates.contacts import Contacts, contacts_folder

    if in_retrospect:
        msg = "--remember is for mail that came just now, and --at judges it as of another time"
        raise UsageError(msg, hint="leave one of them out")
    return Contacts(contacts_folder(data_directory()))


def warn_of_no_anchors(*, trusts_anybody: bool) -> None:
    """Say that everybody will be refused, where there is no trust anchor at all."""
    if not trusts_anybody:
        ui.warning("NSS's list of CAs is not installed and --ca-file names none, so nobody can be trusted")


def address(text: str | None) -> str | None:
    """The address of ``--from``.

    Raises:
        UsageError: it is none.
    """
    if text is not None and not is_mailbox(text):
        msg = f"--from takes an address such as alice@example.org, not '{text}'"
        raise UsageError(msg)
    return text


def moment(text: str | None, option: str) -> datetime | None:
    """A time as RFC 3339 writes it; ``option`` is where it was given.

    Raises:
        UsageError: it is none.
    """
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text) if _RFC_3339.fullmatch(text) else None
    except ValueError:
        time = None
    if time is None or not _FIRST_YEAR <= time.year <= _LAST_YEAR:
        msg = f"{option} takes a time such as 2026-06-01T00:00:00Z, not '{text}'"
        raise UsageError(msg)
    return time.astimezone(UTC)
