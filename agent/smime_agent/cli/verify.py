"""``smime-agent verify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smime_agent.api.verifying import Verifier
from smime_agent.cli.messages import MessagesArgument, expanded
from smime_agent.cli.trust import (
    AtOption,
    CaFileOption,
    CrlOption,
    FromOption,
    OfflineOption,
    RememberOption,
    RevocationOption,
    address,
    contacts_to_fill,
    verify_options,
    warn_of_no_anchors,
)
from smime_agent.cli.verification import Task, memory_of, tell_host, verify_many, verify_one
from smime_agent.errors import UsageError
from smime_agent.trust.evidence import RevocationMode

app = typer.Typer(add_completion=False, rich_markup_mode=None)

ContentOption = Annotated[
    Path | None, typer.Option("--content", metavar="FILE", help="What a bare detached signature is over.")
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
    options = verify_options(ca_files, crls, revocation, at, offline=offline, legacy=legacy)
    files = (*options.ca_files, *options.crl_files)
    task = Task(content, address(expected_sender), output, legacy=legacy, json=json, files=files)
    paths = list(expanded(messages or []))
    if messages and not paths:
        msg = "there is no message in that folder"
        raise UsageError(msg)
    if len(paths) > 1 and (output is not None or content is not None):
        msg = f"{'-o' if output is not None else '--content'} is for one message, and there are {len(paths)}"
        raise UsageError(msg)
    contacts = contacts_to_fill(in_retrospect=at is not None) if remember else None
    verifier = Verifier(options, on_fetch=tell_host)
    memory = memory_of(contacts, verifier.check)
    warn_of_no_anchors(trusts_anybody=verifier.trusts_anybody)
    if len(paths) > 1:
        raise typer.Exit(verify_many(verifier, paths, task, memory))
    raise typer.Exit(verify_one(verifier, paths[0] if paths else None, task, memory))
