"""``smime-agent neomutt``: what neomutt calls, in the manner that it expects.

neomutt cuts a mail into pieces before it calls anybody. It takes what is on standard output for the result, shows what
is on standard error to the person, and believes a signature if the first line of it is ``Verification successful``. Who
signed is a second question: it asks for the signer's certificate with the whole mail, and for the addresses in that.
All that is worth saying is therefore said at the second question, where a From can be read.

What neomutt writes to standard input is the answer to "Enter S/MIME passphrase:". It is not read: neomutt keeps it for
minutes and offers it again unasked, and three times a wrong PIN locks a token.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smime_agent.algorithms import Digest
from smime_agent.cli import ui
from smime_agent.cli.neomutt_keys import Folders, chosen, hook_of, identities, own_keys, refresh, settings_of
from smime_agent.cli.neomutt_mail import canonical, card_of_signature, tell_at_terminal, whole_mail
from smime_agent.cli.output import write_result
from smime_agent.cli.trust import OfflineOption, verify_options, warn_of_no_anchors
from smime_agent.config import data_directory
from smime_agent.errors import SmimeAgentError, TokenAbsentError
from smime_agent.source import Source
from smime_agent.trust.evidence import RevocationMode
from smime_agent.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from smime_agent.api.verifying import Verifier
    from smime_agent.certificates.history import History
    from smime_agent.cli.access import Access
    from smime_agent.smime.verification import Verification

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="What neomutt calls; 'smime-agent setup neomutt' tells it how.",
)

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="What neomutt hands over.")]
NamedKeyOption = Annotated[
    str | None, typer.Option("--key", metavar="KEY", help="Which key signs, unless the From is that of another.")
]


@app.command()
def sign(
    message: FileArgument,
    key: Annotated[str, typer.Option("--key", metavar="KEY", help="neomutt's name of it, or one as for 'sign'.")],
    digest: Annotated[Digest, typer.Option("--digest", help="What neomutt writes into the mail as micalg.")],
) -> None:
    """Sign a MIME entity: a detached signature in DER."""
    from smime_agent.api import signing
    from smime_agent.cli.access import Access

    options = signing.SignOptions(signing.Format.DER, digest=digest)
    with canonical(message) as source:
        prepared = signing.prepare(source, options)
        names = _keys_named(key)
        for number, name in enumerate(names, 1):
            named = signing.SignOptions(signing.Format.DER, key=name, digest=digest)
            try:
                with Access.of(None, None, key=name).open() as token:
                    write_result(signing.sign_prepared(prepared, token, named).chunks, None)
            except TokenAbsentError:
                if number == len(names):
                    raise
            else:
                return


@app.command()
def verify(
    signature: FileArgument,
    content: Annotated[
        Path | None, typer.Option("--content", metavar="FILE", help="What it is over, if it is not inside.")
    ] = None,
    offline: OfflineOption = False,
) -> None:
    """Tell whether a signature holds; what is inside of it goes to standard output.

    Who signed is told, not whether that is the sender: neomutt asks for that by 'signer'.
    """
    verifier = _verifier(offline=offline)
    with Source.from_path(signature) as source, verifier.opened(source, content=content) as found:
        signed = found.signed_content(legacy=True) if content is None else None
        if signed is not None:
            write_result(signed(), None, secret=True)
        ui.note(*card_of_signature(found))
    raise typer.Exit(found.verdict.exit_code)


@app.command()
def decrypt(message: FileArgument) -> None:
    """Decrypt a CMS object: the MIME entity that is inside. Its signature, if there is one, is left to 'verify'."""
    from smime_agent.cli.access import Access

    access = Access.of(None, None)
    try:
        _decrypt(message, access)
    except SmimeAgentError as error:
        tell_at_terminal(error)
        raise


def _decrypt(message: Path, access: Access) -> None:
    from smime_agent.api.decrypting import Decryptor
    from smime_agent.cli.card import encryption_card

    verifier = _verifier(offline=True)  # what it says of signatures is not shown
    with (
        Source.from_path(message) as source,
        access.decryption_keys(access.config.key) as keys,
        Decryptor(keys, verifier).opened(source) as found,
    ):
        write_result(found.content(), None, secret=True, size=found.size)
        ui.note(*encryption_card(found))


@app.command()
def encrypt(
    message: FileArgument,
    certificates: Annotated[list[Path], typer.Argument(metavar="CERTIFICATE...", help="Of those who can read it.")],
    offline: OfflineOption = False,
) -> None:
    """Encrypt a MIME entity to checked certificates: a CMS object in DER."""
    from smime_agent.api.encrypting import Addressing, EncryptOptions, Encryptor, read_certificates
    from smime_agent.api.signing import Format
    from smime_agent.certificates.chains import stored_chain
    from smime_agent.certificates.contacts import Contacts, contacts_folder
    from smime_agent.cli.trust import all_ca_files

    data = data_directory()
    options = EncryptOptions(Format.DER, ca_files=all_ca_files(None), offline=offline)
    encryptor = Encryptor(options, Contacts(contacts_folder(data)), chain=stored_chain(data))
    warn_of_no_anchors(trusts_anybody=encryptor.trusts_anybody)
    with canonical(message) as source:
        prepared = encryptor.prepare(source)
        plan = encryptor.plan(prepared, Addressing(certificates=read_certificates(certificates)))
        (encrypted,) = encryptor.encrypt_prepared(prepared, plan.accepted())
        for text in encrypted.notes:
            ui.warning(text)
        write_result(encrypted.chunks, None)


@app.command()
def signer(
    message: FileArgument,
    offline: OfflineOption = False,
) -> None:
    """Print the certificate of who signed a mail, if the mail is trusted: From, certificate and signature.

    Else nothing is printed and it is told why, which neomutt shows before it shows the mail.
    """
    from smime_agent.cli.card import card

    with whole_mail(message) as source, _verifier(offline=offline).opened(source) as found:
        if found.verdict is Verdict.TRUSTED:
            write_result(_certificates(found), None)
            return
        ui.note("", *card(found))
    raise typer.Exit(found.verdict.exit_code)


@app.command()
def addresses(certificate: FileArgument) -> None:
    """The mail addresses in certificates, one a line."""
    from smime_agent.api.encrypting import read_certificates

    known = read_certificates([certificate])
    ui.out(*dict.fromkeys(address for one in known.recipients for address in one.certificate.mailboxes))


@app.command()
def remember(message: FileArgument, offline: OfflineOption = False) -> None:
    """Keep the certificate of who signed a mail to encrypt to, if the mail is trusted."""
    from smime_agent.certificates.contacts import Contacts, contacts_folder
    from smime_agent.cli.remembering import Memory

    verifier = _verifier(offline=offline)
    with whole_mail(message) as source, verifier.opened(source) as found:
        kept = Memory(Contacts(contacts_folder(data_directory())), verifier.check).keep(found, alone=True)
    ui.out(*(kept.lines or ("the certificate was known already",)))
    refresh()
    raise typer.Exit(found.verdict.exit_code)


@app.command()
def settings(key: NamedKeyOption = None) -> None:
    """Print which keys neomutt is to use, and bring its certificates up to date.

    neomutt reads it when it starts, so that a new certificate, or a new contact, is there without setting up anew.
    """
    refresh()
    keys = own_keys(_history())
    people = identities(keys, datetime.now(UTC))
    if not people and key is None:
        ui.out("# No key was seen on a token yet: nothing to sign with.")
        return
    ui.out(*settings_of(chosen(people, keys, key)), *(line for one in people for line in hook_of(one)))


def _keys_named(key: str) -> list[str]:
    """What ``--key`` of ``sign`` takes: neomutt's name is that of a certificate, on whichever token it was seen."""
    if Folders(data_directory() / "neomutt").certificate_file(key) is None:
        return [key.rpartition("/")[2]]
    name = key.rpartition("/")[2]
    return [uri for own in own_keys(_history()) if own.name == name for uri in own.uris()] or [name]


def _certificates(found: Verification) -> Iterable[bytes]:
    layer = found.outermost_signed
    certificates = [one.certificate for one in (layer.signers if layer else ()) if one.certificate is not None]
    return [certificate.pem for certificate in certificates]


def _verifier(*, offline: bool) -> Verifier:
    from smime_agent.api.verifying import Verifier

    verifier = Verifier(verify_options(None, None, RevocationMode.PREFER, None, offline=offline, legacy=False))
    warn_of_no_anchors(trusts_anybody=verifier.trusts_anybody)
    return verifier


def _history() -> History:
    from smime_agent.certificates.history import History, history_path

    return History(history_path(data_directory()))
