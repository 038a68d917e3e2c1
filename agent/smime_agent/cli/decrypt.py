"""``smime-agent decrypt``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smime_agent.cli.access import Access
from smime_agent.cli.decryption import Task, decrypt_one
from smime_agent.cli.messages import MessagesArgument, expanded
from smime_agent.cli.options import AgentOption, KeyOption, LastTryOption, ModuleOption, PinSourceOption, TokenOption
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
)
from smime_agent.errors import UsageError
from smime_agent.trust.evidence import RevocationMode

app = typer.Typer(add_completion=False, rich_markup_mode=None)

PartOption = Annotated[
    str | None,
    typer.Option("--part", metavar="NUMBER", help="Decrypt only this part of a mail, which is encrypted alone."),
]
LegacyOption = Annotated[
    bool, typer.Option("--legacy", help="Decrypt Triple DES and RC2 too, and let old algorithms into the path.")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print JSON, one object a line; the message goes only where -o says.")
]
OutputOption = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write exactly what had been encrypted.")
]
OutputDirOption = Annotated[
    Path | None,
    typer.Option("--output-dir", metavar="DIR", help="Write the results here, under the names of the messages."),
]
WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", min=1, max=64, metavar="N", help="Decrypt in N processes, for an HSM."),
]


@app.command()
def decrypt(
    messages: MessagesArgument = None,
    token: TokenOption = None,
    key: KeyOption = None,
    part: PartOption = None,
    ca_files: CaFileOption = None,
    crls: CrlOption = None,
    revocation: RevocationOption = RevocationMode.PREFER,
    offline: OfflineOption = False,
    at: AtOption = None,
    expected_sender: FromOption = None,
    remember: RememberOption = False,
    legacy: LegacyOption = False,
    json: JsonOption = False,
    output: OutputOption = None,
    output_dir: OutputDirOption = None,
    pin_source: PinSourceOption = None,
    workers: WorkersOption = None,
    module: ModuleOption = None,
    agent: AgentOption = None,
    use_last_pin_try: LastTryOption = False,
) -> None:
    """Decrypt mail with a key on a token, and tell who signed it.

    All tokens that are plugged in are looked at, unless --token names one, and the key is the one that the message
    is for. The exit code is 0 if it was decrypted and either not signed or signed by a sender who can be trusted; 3 if
    it is not encrypted, 7 if no key of yours opens it, 6 if it was damaged; else as with verify.
    """
    access = Access.of(token, module, pin_source, use_last_pin_try=use_last_pin_try, key=key, agent=agent)
    options = verify_options(ca_files, crls, revocation, at, offline=offline, legacy=legacy)
    paths = _paths(messages or [], output, output_dir)
    key, sender = key or access.config.key, address(expected_sender)
    contacts = contacts_to_fill(in_retrospect=at is not None) if remember else None
    if output_dir is None and len(paths) <= 1:
        task = Task(sender, part, key, output, legacy, json, contacts)
        raise typer.Exit(decrypt_one(access, options, paths[0] if paths else None, task))
    if output_dir is None and (output is not None or not json):
        msg = f"{len(paths)} messages need --output-dir, or --json alone"
        raise UsageError(msg, hint="the results keep the names of the messages there")
    if part is not None:
        raise UsageError("--part is for one message, and not for --output-dir", hint="-o names the file of the part")
    from smime_agent.cli.bulk_decryption import Manner, decrypt_many

    manner = Manner(key, sender, legacy=legacy, json=json, remember=remember)
    raise typer.Exit(decrypt_many(access, options, paths, output_dir, manner, workers))


def _paths(messages: list[Path], output: Path | None, output_dir: Path | None) -> list[Path]:
    """The messages, those in a folder one by one.

    Raises:
        UsageError: there is none in it, or two places are named for the results.
    """
    paths = list(expanded(messages))
    if messages and not paths:
        raise UsageError("there is no message in that folder")
    if output is not None and output_dir is not None:
        raise UsageError("-o and --output-dir exclude each other")
    return paths
