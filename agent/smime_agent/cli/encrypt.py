"""``smime-agent encrypt``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smime_agent.algorithms import ContentEncryption
from smime_agent.api.encrypting import Addressing, EncryptOptions, read_certificates
from smime_agent.api.signing import Format, SignOptions
from smime_agent.cli.encryption import Task, encrypt_message
from smime_agent.cli.messages import message_path
from smime_agent.cli.options import Access, KeyOption, LastTryOption, ModuleOption, PinSourceOption, TokenOption
from smime_agent.cli.trust import CaFileOption, CrlOption, OfflineOption, RevocationOption
from smime_agent.config import load_config
from smime_agent.errors import UsageError
from smime_agent.smime.negotiation import RsaPadding
from smime_agent.smime.recipient_check import accepted_code
from smime_agent.trust.evidence import RevocationMode

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def encrypt(
    message: Annotated[
        Path | None,
        typer.Argument(parser=message_path, metavar="[MESSAGE]", help="A mail; standard input where there is none."),
    ] = None,
    to: Annotated[
        list[str] | None,
        typer.Option("--to", metavar="ADDRESS", help="Who can read it, not whom the mail says."),
    ] = None,
    bcc: Annotated[
        list[str] | None,
        typer.Option("--bcc", metavar="ADDRESS", help="Who can read it too, in a message that nobody else gets."),
    ] = None,
    certificates: Annotated[
        list[Path] | None,
        typer.Option(
            "--cert", metavar="FILE", help="Certificates, in PEM or DER: of recipients, or those to look for --to in."
        ),
    ] = None,
    cipher: Annotated[
        ContentEncryption | None, typer.Option("--cipher", help="Left out, it is the best that all can decrypt.")
    ] = None,
    padding: Annotated[
        RsaPadding | None, typer.Option("--padding", help="For RSA keys; left out, it is what each can decrypt.")
    ] = None,
    ca_files: CaFileOption = None,
    crls: CrlOption = None,
    revocation: RevocationOption = RevocationMode.PREFER,
    offline: OfflineOption = False,
    no_self: Annotated[bool, typer.Option("--no-self", help="Do not let the sender read it.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Use certificates against which one kind of reason stands.")
    ] = False,
    accept: Annotated[
        list[str] | None,
        typer.Option("--accept", metavar="REASON", help="Use certificates in spite of this reason, such as expired."),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Tell who could read it, how and why, and encrypt nothing.")
    ] = False,
    sign: Annotated[bool, typer.Option("--sign", help="Sign it before, with a key on a token.")] = False,
    token: TokenOption = None,
    key: KeyOption = None,
    opaque: Annotated[
        bool, typer.Option("--opaque", help="With --sign: put the content inside the signature.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Encrypt a mail that is encrypted already.")] = False,
    form: Annotated[
        Format, typer.Option("--format", help="smime encrypts a mail; der and pem encrypt any file as it is.")
    ] = Format.SMIME,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the result here.")
    ] = None,
    output_dir: Annotated[
        Path | None,
        typer.Option("--output-dir", metavar="DIR", help="Write the results here; Bcc recipients get their own."),
    ] = None,
    pin_source: PinSourceOption = None,
    module: ModuleOption = None,
    use_last_pin_try: LastTryOption = False,
) -> None:
    """Encrypt mail, or any file, to people whose certificates are checked first.

    The recipients are those of To, Cc and Bcc, unless --to or --cert name them, and the sender.
    Their certificates are those of --cert, else those that 'verify --remember' or you put into the contacts.
    """
    if not sign and (opaque or key or token):
        msg = "--token, --key and --opaque are for --sign"
        raise UsageError(msg)
    if output is not None and output_dir is not None:
        msg = "-o and --output-dir exclude each other"
        raise UsageError(msg)
    config = load_config()
    access = Access.of(token, module, pin_source, use_last_pin_try=use_last_pin_try, key=key) if sign else None
    options = EncryptOptions(
        form=form,
        cipher=cipher,
        padding=padding,
        to_self=not no_self,
        again=again,
        accept=tuple(map(accepted_code, accept or ())),
        force=force,
        sign=SignOptions(opaque=opaque, again=again, key=key or config.key) if sign else None,
        ca_files=(*map(Path, config.ca_files), *(ca_files or ())),
        crl_files=tuple(crls or ()),
        revocation=revocation,
        offline=offline,
    )
    addressing = Addressing(tuple(to or ()), tuple(bcc or ()), read_certificates(certificates or ()))
    files = (*options.ca_files, *options.crl_files, *(certificates or ()))
    encrypt_message(Task(message, options, addressing, output, output_dir, files, explain=explain), access)
