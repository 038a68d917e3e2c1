"""``smime-agent sign``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smime_agent.algorithms import Digest, Padding
from smime_agent.api import signing
from smime_agent.api.signing import Format, SignOptions
from smime_agent.cli import ui
from smime_agent.cli.access import Access
from smime_agent.cli.messages import message_path
from smime_agent.cli.options import AgentOption, KeyOption, LastTryOption, ModuleOption, PinSourceOption, TokenOption
from smime_agent.cli.output import check_output, open_source, refuse_same_file, write_result
from smime_agent.errors import UsageError

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def sign(
    messages: Annotated[
        list[Path] | None,
        typer.Argument(
            parser=message_path,
            metavar="[MESSAGE]...",
            help="Mails, or a folder of mails; standard input where there is none.",
        ),
    ] = None,
    token: TokenOption = None,
    key: KeyOption = None,
    opaque: Annotated[bool, typer.Option("--opaque", help="Put the content inside the signature.")] = False,
    form: Annotated[
        Format, typer.Option("--format", help="smime signs a mail; der and pem sign any file as it is, detached.")
    ] = Format.SMIME,
    digest: Annotated[Digest | None, typer.Option("--digest", help="Left out, it matches the key.")] = None,
    padding: Annotated[Padding | None, typer.Option("--padding", help="For RSA keys: pkcs1 (default) or pss.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Sign a mail that is signed already.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the result here.")
    ] = None,
    output_dir: Annotated[
        Path | None,
        typer.Option("--output-dir", metavar="DIR", help="Write the results here, under the names of the mails."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, max=64, metavar="N", help="Sign in N processes, for an HSM.")
    ] = None,
    pin_source: PinSourceOption = None,
    module: ModuleOption = None,
    agent: AgentOption = None,
    use_last_pin_try: LastTryOption = False,
) -> None:
    """Sign mail, or any file, with a key on a token.

    The key is the one whose certificate covers the mail's From, unless --key names another.
    Of one mail the result goes to standard output or to -o FILE; of several to --output-dir.
    """
    access = Access.of(token, module, pin_source, use_last_pin_try=use_last_pin_try, key=key, agent=agent)
    options = SignOptions(form, opaque, again, key or access.config.key, digest, padding)
    if output_dir is not None:
        raise typer.Exit(_sign_many(access, options, messages or [], output, output_dir, workers))
    if messages is not None and len(messages) > 1:
        msg = f"{len(messages)} messages need --output-dir"
        raise UsageError(msg, hint="the results keep the names of the messages there")
    _sign_one(access, options, messages[0] if messages else None, output)


def _sign_many(
    access: Access,
    options: SignOptions,
    messages: list[Path],
    output: Path | None,
    output_dir: Path,
    workers: int | None,
) -> int:
    from smime_agent.cli.bulk import sign_many

    if output is not None:
        msg = "-o and --output-dir exclude each other"
        raise UsageError(msg)
    return sign_many(access, options, messages, output_dir, workers)


def _sign_one(access: Access, options: SignOptions, message: Path | None, output: Path | None) -> None:
    check_output(output, binary=options.form is Format.DER)
    if message is not None and message.is_dir():
        msg = f"{message} is a folder"
        raise UsageError(msg, hint="the mails in it are signed with --output-dir")
    if output is not None:
        refuse_same_file(Path("/dev/stdin") if message is None or str(message) == "-" else message, output)
    with open_source(message) as source:
        prepared = signing.prepare(source, options)
        with access.open() as token:
            signed = signing.sign_prepared(prepared, token, options)
            for text in signed.notes:
                ui.warning(text)
            write_result(signed.chunks, output)
