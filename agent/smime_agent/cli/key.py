"""``smime-agent key``: the keys on a token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from smime_agent.algorithms import KeyType, KeyUsage
from smime_agent.cli import sightings, ui
from smime_agent.cli.access import Access
from smime_agent.cli.options import JsonOption, LastTryOption, ModuleOption, PinSourceOption, TokenOption
from smime_agent.errors import UsageError
from smime_agent.tokens.objects import TokenKey, TokenObjects, read_objects
from smime_agent.tokens.token import Search

if TYPE_CHECKING:
    from smime_agent.tokens.session import TokenSession

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="Show and make keys.")


@app.command("list")
def list_(
    token: TokenOption = None,
    module: ModuleOption = None,
    pin_source: PinSourceOption = None,
    use_last_pin_try: LastTryOption = False,
    login: Annotated[bool, typer.Option("--login", help="Log in first: some tokens hide their keys before.")] = False,
    history: Annotated[
        bool,
        typer.Option("--history", help="Tell on which tokens certificates of yours were seen; no token is needed."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """List the keys of a token. Nobody is asked for a PIN without --login or --pin-source.

    With --history it lists what was ever seen: which certificate on which token, be it plugged in or not.
    """
    if history:
        if login or pin_source or module:
            msg = "--history looks at no token"
            raise UsageError(msg, hint="with it, --token says which of those that were seen are meant")
        sightings.show(Search(token).uri, json=json)
        return
    access = Access.of(token, module, pin_source, use_last_pin_try=use_last_pin_try)
    with access.session() as session:
        if login or pin_source:
            session.login("to list its keys")
        objects = read_objects(session)
        sightings.saw(session.token.info, objects)
        if json:
            ui.json_line(
                "key-list/1",
                token=str(session.token.info.uri),
                keys=[_facts(session, objects, key) for key in objects.keys],
            )
            return
        if not objects.keys:
            ui.note(f"no key can be seen on {session.name}" + ("" if login or pin_source else "; try --login"))
            return
        ui.table(
            [(key.id.hex(), key.label, str(key.algorithm), _usage(key), _names(objects, key)) for key in objects.keys],
            ("ID", "LABEL", "TYPE", "USAGE", "CERTIFICATE"),
        )


@app.command()
def generate(
    key_type: Annotated[KeyType, typer.Option("--type", help="The kind and size of the key.")] = KeyType.RSA_2048,
    usage: Annotated[KeyUsage | None, typer.Option("--usage", help="Left out: sign; decrypt for x25519.")] = None,
    key_id: Annotated[
        str | None, typer.Option("--id", metavar="HEX", help="The key's id; left out, a free one.")
    ] = None,
    label: Annotated[str, typer.Option("--label", metavar="TEXT", help="The key's name.")] = "",
    token: TokenOption = None,
    module: ModuleOption = None,
    pin_source: PinSourceOption = None,
    use_last_pin_try: LastTryOption = False,
    json: JsonOption = False,
) -> None:
    """Make a key pair on a token. The private key can never be read out of it."""
    from smime_agent.tokens.provision import generate_key

    access = Access.of(token, module, pin_source, use_last_pin_try=use_last_pin_try)
    chosen = usage or (KeyUsage.DECRYPT if key_type is KeyType.X25519 else KeyUsage.SIGN)
    wanted_id = _hexadecimal(key_id) if key_id is not None else None
    with access.session(writable=True) as session:
        session.login("to make a key")
        key = generate_key(session, key_type, chosen, wanted_id, label)
        uri = str(key.uri(session.token.info.uri))
        if json:
            ui.json_line("key-generate/1", **_facts(session, read_objects(session), key))
        else:
            ui.out(uri)
        ui.note(f"{key.name} ({key.algorithm}) is on {session.name}")
        if key.can_sign:
            ui.note(f"hint: 'smime-agent cert request --key {key.id.hex()} --address YOU' prints a request for a CA")


def _hexadecimal(text: str) -> bytes:
    try:
        value = bytes.fromhex(text.replace(":", ""))
    except ValueError:
        value = b""
    if not value:
        msg = f"'{text}' is not a hexadecimal id"
        raise UsageError(msg, hint="give pairs of hexadecimal digits, such as 01 or 4a6f")
    return value


def _usage(key: TokenKey) -> str:
    words = [word for word, can in (("sign", key.can_sign), ("decrypt", key.can_decrypt)) if can]
    return ", ".join(words) + (" (PIN each time)" if key.always_authenticate else "")


def _names(objects: TokenObjects, key: TokenKey) -> str:
    return "; ".join(found.certificate.holder for found in objects.certificates_of(key))


def _facts(session: TokenSession, objects: TokenObjects, key: TokenKey) -> dict[str, object]:
    return {
        "id": key.id.hex(),
        "label": key.label,
        "type": str(key.algorithm),
        "bits": key.algorithm.bits,
        "sign": key.can_sign,
        "decrypt": key.can_decrypt,
        "always_authenticate": key.always_authenticate,
        "private_seen": key.private_seen,
        "uri": str(key.uri(session.token.info.uri)),
        "certificates": [found.certificate.fingerprint.hex() for found in objects.certificates_of(key)],
    }
