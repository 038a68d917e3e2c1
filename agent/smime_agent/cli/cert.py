"""``smime-agent cert``: the certificates on a token."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smime_agent.algorithms import Digest, Padding
from smime_agent.cli import ui
from smime_agent.cli.access import Access
from smime_agent.cli.options import JsonOption, LastTryOption, ModuleOption, PinSourceOption, TokenOption
from smime_agent.cli.output import check_output, write_result
from smime_agent.cli.sightings import certificate_facts, saw
from smime_agent.errors import AmbiguousError, FileError, NoKeyError, UsageError
from smime_agent.tokens.objects import TokenCertificate, TokenObjects, read_objects

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smime_agent.tokens.objects import TokenKey
    from smime_agent.tokens.session import TokenSession
    from smime_agent.x509 import Certificate

app = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="Show, request and store certificates."
)

_LARGEST_FILE = 1 << 20  # octets; no chain of certificates comes near

NameArgument = Annotated[
    str | None, typer.Argument(metavar="[CERT]", help="A pkcs11: URI, an id, a label, a mail address or a fingerprint.")
]


@app.command("list")
def list_(token: TokenOption = None, module: ModuleOption = None, json: JsonOption = False) -> None:
    """List the certificates on a token."""
    with Access.of(token, module).session() as session:
        objects = read_objects(session)
        saw(session.token.info, objects)
        if json:
            found = [_facts(objects, one) for one in objects.certificates]
            ui.json_line("cert-list/1", token=str(session.token.info.uri), certificates=found)
            return
        if not objects.certificates:
            ui.note(f"there is no certificate on {session.name}")
            return
        ui.table(
            [
                (
                    one.id.hex(),
                    one.label,
                    one.certificate.holder,
                    f"{one.certificate.not_after:%Y-%m-%d}",
                    _use(one.certificate),
                )
                for one in objects.certificates
            ],
            ("ID", "LABEL", "FOR", "VALID UNTIL", "USE"),
        )


@app.command()
def show(
    name: NameArgument = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Show a file instead of a token's.")
    ] = None,
    token: TokenOption = None,
    module: ModuleOption = None,
    json: JsonOption = False,
) -> None:
    """Show one certificate of a token, or of a file."""
    if file is not None and name is not None:
        msg = "--file shows all that is in the file; a name chooses from a token"
        raise UsageError(msg)
    if file is not None:
        shown: list[tuple[Certificate, TokenKey | None]] = [(one, None) for one in _read_file(file)]
    else:
        with Access.of(token, module).session() as session:
            objects = read_objects(session)
            saw(session.token.info, objects)
            one = _chosen(session, objects, name)
            shown = [(one.certificate, objects.key_of(one.certificate))]
    for number, (certificate, key) in enumerate(shown):
        if number and not json:
            ui.out("")
        if json:
            ui.json_line("cert-show/1", **certificate_facts(certificate), key=key.id.hex() if key else None)
        else:
            ui.fields(_lines(certificate))


@app.command()
def request(
    address: Annotated[list[str], typer.Option("--address", metavar="ADDR", help="A mailbox; may be given again.")],
    key: Annotated[
        str, typer.Option("--key", metavar="KEY", help="The key: a pkcs11: URI, a hexadecimal id or a label.")
    ],
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="The person's name.")] = None,
    organization: Annotated[str | None, typer.Option("--organization", metavar="ORG", help="The organization.")] = None,
    digest: Annotated[Digest | None, typer.Option("--digest", help="Left out, it matches the key.")] = None,
    padding: Annotated[Padding | None, typer.Option("--padding", help="For RSA keys: pkcs1 (default) or pss.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the request here.")
    ] = None,
    token: TokenOption = None,
    module: ModuleOption = None,
    pin_source: PinSourceOption = None,
    use_last_pin_try: LastTryOption = False,
) -> None:
    """Print a certification request (CSR) in PEM, signed on the token, to be sent to a CA."""
    from smime_agent.certificates.request import Subject, certification_request
    from smime_agent.keyring import TokenKeyring

    check_output(output)
    access = Access.of(token, module, pin_source, use_last_pin_try=use_last_pin_try, key=key)
    with access.session() as session:
        session.login("to sign a certificate request")
        chosen = TokenKeyring(session).key(key)
        pem = certification_request(session, chosen, Subject(tuple(address), name, organization), digest, padding)
    write_result([pem], output)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="PEM or DER; the chain may be in it too.")],
    label: Annotated[
        str | None, typer.Option("--label", metavar="TEXT", help="The certificate's name on the token.")
    ] = None,
    token: TokenOption = None,
    module: ModuleOption = None,
    pin_source: PinSourceOption = None,
    use_last_pin_try: LastTryOption = False,
    json: JsonOption = False,
) -> None:
    """Store a certificate beside its key on a token; CA certificates go to the data directory.

    A certificate whose key is not on the token is refused.
    """
    from smime_agent.certificates.chains import store_chain_certificate
    from smime_agent.config import data_directory
    from smime_agent.tokens.provision import store_certificate

    certificates = _read_file(file)
    own = [certificate for certificate in certificates if not certificate.is_ca]
    above = [certificate for certificate in certificates if certificate.is_ca]
    for certificate in above:
        path = store_chain_certificate(data_directory(), certificate)
        ui.note(f"CA certificate {certificate.name} kept in {path}; it completes chains, it is not trusted by that")
    stored = []
    if own:
        access = Access.of(token, module, pin_source, use_last_pin_try=use_last_pin_try)
        with access.session(writable=True) as session:
            session.login("to store a certificate")
            for certificate in own:
                one = store_certificate(session, certificate, label)
                stored.append(one)
                ui.note(f"certificate for {certificate.holder} is on {session.name} with key {one.id.hex()}")
            saw(session.token.info, read_objects(session))
    if json:
        ui.json_line(
            "cert-import/1",
            stored=[{"id": one.id.hex(), "label": one.label, **certificate_facts(one.certificate)} for one in stored],
            chain=[certificate.fingerprint.hex() for certificate in above],
        )


@app.command()
def export(
    name: NameArgument = None,
    chain: Annotated[bool, typer.Option("--chain", help="Add the CA certificates above it, without the root.")] = False,
    der: Annotated[bool, typer.Option("--der", help="Write DER instead of PEM.")] = False,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write it here.")] = None,
    token: TokenOption = None,
    module: ModuleOption = None,
) -> None:
    """Print a certificate of a token in PEM. It is public: no PIN is needed."""
    from smime_agent.certificates.chains import stored_chain
    from smime_agent.config import data_directory
    from smime_agent.x509 import chain_of

    if chain and der:
        msg = "DER holds one certificate: --chain needs PEM"
        raise UsageError(msg)
    check_output(output, binary=der)
    with Access.of(token, module).session() as session:
        objects = read_objects(session)
        saw(session.token.info, objects)
        certificate = _chosen(session, objects, name).certificate
    pool = [one.certificate for one in objects.certificates] + stored_chain(data_directory())
    wanted = [certificate, *(chain_of(certificate, pool) if chain else ())]
    write_result([certificate.encoded] if der else [one.pem for one in wanted], output)


def _chosen(session: TokenSession, objects: TokenObjects, name: str | None) -> TokenCertificate:
    found = [one for one in objects.certificates if name is None or _fits(session, one, name)]
    wanted = f" '{name}'" if name else ""
    if not found:
        msg = f"there is no certificate{wanted} on {session.name}"
        raise NoKeyError(msg, hint="'smime-agent cert list' shows them")
    if len(found) > 1:
        listed = [f"{one.id.hex()} {one.certificate.holder} {one.certificate.fingerprint.hex()[:16]}" for one in found]
        msg = f"{len(found)} certificates{wanted} are on {session.name}"
        hint = "name one by the beginning of its fingerprint, the last figure of each"
        raise AmbiguousError(msg, hint=hint, details=listed)
    return found[0]


def _fits(session: TokenSession, one: TokenCertificate, name: str) -> bool:
    from smime_agent.tokens.uri import SCHEME, Pkcs11Uri

    if name.lower().startswith(SCHEME):
        uri = Pkcs11Uri.parse(name)
        return session.token.info.matches(uri) and uri.matches({"id": one.id, "object": one.label})
    if "@" in name:
        return one.certificate.covers(name)
    plain = name.lower().replace(":", "")
    shortest = 8  # digits of a fingerprint, so that an id is never taken for one
    return (
        one.label == name
        or one.id.hex() == plain
        or (len(plain) >= shortest and one.certificate.fingerprint.hex().startswith(plain))
    )


def _read_file(file: Path) -> list[Certificate]:
    from smime_agent.x509 import InvalidCertificateError, load_certificates

    try:
        with file.open("rb") as opened:
            data = opened.read(_LARGEST_FILE)
        return load_certificates(data)
    except OSError as error:
        msg = f"cannot read {file}: {error.strerror}"
        raise FileError(msg) from error
    except InvalidCertificateError as error:
        msg = f"{file}: {error}"
        raise InvalidCertificateError(msg, hint="a certificate is DER, or PEM with BEGIN CERTIFICATE") from error


def _use(certificate: Certificate) -> str:
    uses = (
        ("CA", certificate.is_ca),
        ("sign", certificate.permits_signing),
        ("encrypt", certificate.permits_encryption),
    )
    return ", ".join(word for word, can in uses if can) or "not for mail"


def _lines(certificate: Certificate) -> Sequence[tuple[str, str]]:
    return [
        ("Subject", certificate.subject),
        ("Mailboxes", ", ".join(certificate.mailboxes) or "none"),
        ("Issuer", certificate.issuer),
        ("Serial", f"{certificate.serial_number:x}"),
        ("Valid", f"{certificate.not_before:%Y-%m-%d %H:%M} to {certificate.not_after:%Y-%m-%d %H:%M} UTC"),
        ("Key", str(certificate.key_algorithm)),
        ("Use", _use(certificate)),
        ("SHA-256", certificate.fingerprint.hex(":")),
    ]


def _facts(objects: TokenObjects, one: TokenCertificate) -> dict[str, object]:
    key = objects.key_of(one.certificate)
    return {"id": one.id.hex(), "label": one.label, "key": key and key.id.hex(), **certificate_facts(one.certificate)}
