"""``smime-agent verify``."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smime_agent.api.verifying import Verifier, VerifyOptions
from smime_agent.cli import ui
from smime_agent.cli.messages import expanded, message_path
from smime_agent.cli.verification import Task, tell_host, verify_many, verify_one
from smime_agent.config import data_directory, load_config
from smime_agent.errors import UsageError
from smime_agent.mailbox import is_mailbox
from smime_agent.trust.evidence import RevocationMode

if TYPE_CHECKING:
    from smime_agent.certificates.contacts import Contacts

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:[Zz]|[+-]\d\d:\d\d)")
_FIRST_YEAR, _LAST_YEAR = (
    1950,
    9990,
)  # of certificates (RFC 5280, 4.1.2.5); what is near the end cannot be reckoned with

app = typer.Typer(add_completion=False, rich_markup_mode=None)

MessagesArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        parser=message_path,
        metavar="[MESSAGE]...",
        help="Mails or CMS objects, folders of them, Maildirs; else standard input.",
    ),
]
ContentOption = Annotated[
    Path | None, typer.Option("--content", metavar="FILE", help="What a bare detached signature is over.")
]
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
LegacyOption = Annotated[
    bool,
    typer.Option(
        "--legacy", help="Let old algorithms into the path, and -o write what was signed so; none is trusted."
    ),
]


@app.command()
def verify(
    messages: MessagesArgument = None,
    content: ContentOption = None,
    ca_files: CaFileOption = None,
    crls: CrlOption = None,
    revocation: RevocationOption = RevocationMode.PREFER,
    offline: OfflineOption = False,
    at: AtOption = None,
    expected_sender: FromOption = None,
    remember: RememberOption = False,
    legacy: LegacyOption = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write exactly what was signed, if it was.")
    ] = None,
) -> None:
    """Tell who signed a mail, and whether that is who the mail says.

    The exit code is 0 if the sender signed exactly what is shown and can be trusted, 3 if nobody signed it, 4 if
    somebody else did, 5 if the certificate cannot be trusted, 6 if the signature or the message is broken.
    """
    options = VerifyOptions(
        ca_files=(*map(Path, load_config().ca_files), *(ca_files or ())),
        crl_files=tuple(crls or ()),
        revocation=revocation,
        offline=offline,
        at=_time(at),
        legacy=legacy,
    )
    files = (*options.ca_files, *options.crl_files)
    contacts = _contacts(in_retrospect=at is not None) if remember else None
    task = Task(content, _sender(expected_sender), output, legacy=legacy, json=json, files=files, contacts=contacts)
    paths = list(expanded(messages or []))
    if messages and not paths:
        msg = "there is no message in that folder"
        raise UsageError(msg)
    if len(paths) > 1 and (output is not None or content is not None):
        msg = f"{'-o' if output is not None else '--content'} is for one message, and there are {len(paths)}"
        raise UsageError(msg)
    verifier = Verifier(options, on_fetch=tell_host)
    if not verifier.trusts_anybody:
        ui.warning("NSS's list of CAs is not installed and --ca-file names none, so nobody can be trusted")
    if len(paths) > 1:
        raise typer.Exit(verify_many(verifier, paths, task))
    raise typer.Exit(verify_one(verifier, paths[0] if paths else None, task))


def _contacts(*, in_retrospect: bool) -> Contacts:
    """Where senders are remembered.

    Raises:
        UsageError: they cannot be, since what is trusted as of another time may not be trusted now.
    """
    from smime_agent.certificates.contacts import Contacts

    if in_retrospect:
        msg = "--remember is for mail that came just now, and --at judges it as of another time"
        raise UsageError(msg, hint="leave one of them out")
    return Contacts(data_directory() / "contacts")


def _sender(text: str | None) -> str | None:
    """An address.

    Raises:
        UsageError: it is none.
    """
    if text is not None and not is_mailbox(text):
        msg = f"--from takes an address such as alice@example.org, not '{text}'"
        raise UsageError(msg)
    return text


def _time(text: str | None) -> datetime | None:
    """A time as RFC 3339 writes it.

    Raises:
        UsageError: it is none.
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text) if _RFC_3339.fullmatch(text) else None
    except ValueError:
        moment = None
    if moment is None or not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        msg = f"--at takes a time such as 2026-06-01T00:00:00Z, not '{text}'"
        raise UsageError(msg)
    return moment.astimezone(UTC)
