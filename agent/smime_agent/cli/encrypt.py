"""``smime-agent encrypt``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from smime_agent.algorithms import ContentEncryption
from smime_agent.api.encrypting import Addressing, EncryptOptions, read_certificates
from smime_agent.api.signing import Format, SignOptions
from smime_agent.cli.access import Access
from smime_agent.cli.encryption import Task, encrypt_messages
from smime_agent.cli.messages import message_path
from smime_agent.cli.options import AgentOption, KeyOption, LastTryOption, ModuleOption, PinSourceOption, TokenOption
from smime_agent.cli.trust import CaFileOption, CrlOption, OfflineOption, RevocationOption, all_ca_files
from smime_agent.cms.recipient_name import RecipientName
from smime_agent.config import data_directory
from smime_agent.errors import UsageError
from smime_agent.smime.negotiation import RsaPadding
from smime_agent.smime.recipient_check import accepted_code, is_acceptable
from smime_agent.trust.evidence import RevocationMode
from smime_agent.verdict import Code

app = typer.Typer(add_completion=False, rich_markup_mode=None)


def _addresses(incomplete: str) -> list[str]:
    """Addresses of the contacts, for the shell."""
    from smime_agent.certificates.contacts import Contacts, contacts_folder

    contacts = Contacts(contacts_folder(data_directory())).everybody()
    addresses = {address for contact in contacts for address in contact.certificate.mailboxes}
    return [one for one in sorted(addresses) if one.startswith(incomplete) and one.isprintable() and " " not in one]


def _reasons(incomplete: str) -> list[str]:
    """Reasons that can be accepted, for the shell."""
    return [code.value for code in Code if is_acceptable(code) and code.value.startswith(incomplete)]


MessagesArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        parser=message_path,
        metavar="[MESSAGE]...",
        help="Mails, folders of them, Maildirs; standard input where there is none.",
    ),
]
ToOption = Annotated[
    list[str] | None,
    typer.Option(
        "--to", metavar="ADDRESS", autocompletion=_addresses, help="Who can read it; then it is not whom the mail says."
    ),
]
BccOption = Annotated[
    list[str] | None,
    typer.Option(
        "--bcc",
        metavar="ADDRESS",
        autocompletion=_addresses,
        help="Who can read it too, in a message that nobody else gets.",
    ),
]
CertOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--cert", metavar="FILE", help="Certificates in PEM or DER: those of the recipients, or to look for --to in."
    ),
]
CipherOption = Annotated[
    ContentEncryption | None, typer.Option("--cipher", help="Left out, it is the best that all can decrypt.")
]
PaddingOption = Annotated[
    RsaPadding | None, typer.Option("--padding", help="For RSA keys; left out, it is what each can decrypt.")
]
KeyIdOption = Annotated[
    bool, typer.Option("--keyid", help="Name recipients by key identifier, not by issuer and serial number.")
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Encrypt although something stands against a certificate, if it is one thing.")
]
AcceptOption = Annotated[
    list[str] | None,
    typer.Option(
        "--accept",
        metavar="REASON",
        autocompletion=_reasons,
        help="Encrypt although this stands against a certificate, such as expired.",
    ),
]
ExplainOption = Annotated[
    bool, typer.Option("--explain", help="Tell who could read it, how and why, and encrypt nothing.")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print JSON, one object a line; the message goes only where -o says.")
]
OutputOption = Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the result here.")]
OutputDirOption = Annotated[
    Path | None,
    typer.Option("--output-dir", metavar="DIR", help="Write the results here; Bcc recipients get files of their own."),
]


SelfOption = Annotated[bool, typer.Option("--no-self", help="Do not let the sender read it.")]
SignOption = Annotated[bool, typer.Option("--sign", help="Sign it first, with a key on a token.")]
OpaqueOption = Annotated[bool, typer.Option("--opaque", help="With --sign: put the content inside the signature.")]
AgainOption = Annotated[bool, typer.Option("--again", help="Encrypt a mail that is encrypted already.")]
FormatOption = Annotated[
    Format, typer.Option("--format", help="smime encrypts a mail; der and pem encrypt any file as it is.")
]


@app.command()
def encrypt(
    messages: MessagesArgument = None,
    to: ToOption = None,
    bcc: BccOption = None,
    certificates: CertOption = None,
    cipher: CipherOption = None,
    padding: PaddingOption = None,
    keyid: KeyIdOption = False,
    ca_files: CaFileOption = None,
    crls: CrlOption = None,
    revocation: RevocationOption = RevocationMode.PREFER,
    offline: OfflineOption = False,
    no_self: SelfOption = False,
    force: ForceOption = False,
    accept: AcceptOption = None,
    explain: ExplainOption = False,
    json: JsonOption = False,
    sign: SignOption = False,
    token: TokenOption = None,
    key: KeyOption = None,
    opaque: OpaqueOption = False,
    again: AgainOption = False,
    form: FormatOption = Format.SMIME,
    output: OutputOption = None,
    output_dir: OutputDirOption = None,
    pin_source: PinSourceOption = None,
    module: ModuleOption = None,
    agent: AgentOption = None,
    use_last_pin_try: LastTryOption = False,
) -> None:
    """Encrypt mail, or any file, to people with checked certificates.

    The recipients are those of To, Cc and Bcc, unless --to or --cert name them, and the sender.
    Their certificates are those of --cert, else those that 'verify --remember' or you put into the contacts.
    The exit code is 10 if nothing should be encrypted to one of the certificates, or somebody has none.
    """
    _refuse_for_signing_only(sign, **{"--token": token, "--key": key, "--opaque": opaque, "--pin-source": pin_source})
    access = (
        Access.of(token, module, pin_source, use_last_pin_try=use_last_pin_try, key=key, agent=agent) if sign else None
    )
    signing = SignOptions(opaque=opaque, again=again, key=key or access.config.key) if access else None
    name = RecipientName.SUBJECT_KEY_IDENTIFIER if keyid else RecipientName.ISSUER_AND_SERIAL_NUMBER
    accepted = tuple(map(accepted_code, accept or ()))
    how = EncryptOptions(form, cipher, padding, name, not no_self, again, accepted, force, signing)
    trusted, known_crls = all_ca_files(ca_files), tuple(crls or ())
    options = replace(how, ca_files=trusted, crl_files=known_crls, revocation=revocation, offline=offline)
    addressing = Addressing(tuple(to or ()), tuple(bcc or ()), read_certificates(certificates or ()))
    files = (*options.ca_files, *options.crl_files, *(certificates or ()))
    task = Task(options, addressing, output, output_dir, files, explain=explain, json=json)
    raise typer.Exit(encrypt_messages(task, access, messages or ()))


def _refuse_for_signing_only(sign: bool, **options: object) -> None:
    """Refuse what means nothing without a signature.

    Raises:
        UsageError: there is some of it.
    """
    given = [name for name, value in options.items() if value]
    if given and not sign:
        msg = f"{given[0]} is for --sign"
        raise UsageError(msg)
