"""``smime-agent token``: what is plugged in, and setting it up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from smime_agent.cli import ui
from smime_agent.cli.access import Access
from smime_agent.cli.guard import guard
from smime_agent.cli.options import JsonOption, LastTryOption, ModuleOption, TokenOption, new_secret, secret
from smime_agent.errors import AmbiguousError, PolicyError, SmimeAgentError, TokenAbsentError, TokenError
from smime_agent.tokens.token import Search
from smime_agent.tokens.uri import Pkcs11Uri

if TYPE_CHECKING:
    from smime_agent.tokens.token import Token, TokenInfo

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="Show and set up tokens.")

SoPinOption = Annotated[
    str | None, typer.Option("--so-pin-source", metavar="SOURCE", help="Where the security officer's PIN comes from.")
]
NewPinOption = Annotated[
    str | None, typer.Option("--new-pin-source", metavar="SOURCE", help="Where the new user PIN comes from.")
]


@app.command("list")
def list_(token: TokenOption = None, module: ModuleOption = None, json: JsonOption = False) -> None:
    """List the tokens that are plugged in."""
    access = Access.of(token, module)
    tokens = access.search.tokens(uninitialized=True)
    for failure in access.search.failures:
        ui.warning(str(failure))
    if json:
        ui.json_line("token-list/1", tokens=[_facts(found.info) for found in tokens])
        return
    if not tokens:
        msg = "no token is plugged in"
        raise TokenAbsentError(msg, hint="'smime-agent doctor' shows which modules were asked")
    ui.table(
        [
            (
                found.info.label or "(not initialised)",
                found.info.serial,
                found.info.model,
                pin_state(found.info),
                str(found.info.uri),
            )
            for found in tokens
        ],
        ("LABEL", "SERIAL", "MODEL", "PIN", "URI"),
    )


@app.command()
def info(token: TokenOption = None, module: ModuleOption = None, json: JsonOption = False) -> None:
    """Show one token: what it is, how it is named, and what its PIN allows."""
    found = Access.of(token, module).search.one()
    facts = found.info
    mechanisms = _mechanisms(found)
    if json:
        ui.json_line("token-info/1", **_facts(facts), mechanisms=mechanisms)
        return
    ui.fields(
        [
            ("Label", facts.label),
            ("Serial", facts.serial),
            ("Model", f"{facts.model} ({facts.manufacturer}), firmware {facts.firmware}"),
            ("Slot", f"{facts.slot_id}: {facts.slot_description}"),
            ("Module", f"{facts.module}: {facts.library_description} {'.'.join(map(str, facts.library_version))}"),
            ("PIN", pin_state(facts)),
            ("URI", str(facts.uri)),
            ("Mechanisms", " ".join(mechanisms)),
        ]
    )


@app.command()
def init(
    label: Annotated[str, typer.Option("--label", metavar="LABEL", help="The token's new name, 1 to 32 octets.")],
    module: ModuleOption = None,
    token: TokenOption = None,
    so_pin_source: SoPinOption = None,
    new_pin_source: NewPinOption = None,
    force: Annotated[bool, typer.Option("--force", help="Destroy what is on a token that is in use.")] = False,
) -> None:
    """Initialise a token: give it a label and an SO PIN, and a user PIN with --new-pin-source.

    Left out, --token is the first token that is not initialised. Everything on the token is destroyed.
    """
    from smime_agent.tokens.provision import init_token, set_user_pin
    from smime_agent.tokens.session import TokenSession

    access = Access.of(token, module)
    search = Search(token, access.search.module, guard)
    known = {found.info.serial for found in search.tokens(uninitialized=True)}
    chosen = _to_initialise(search, token, force=force)
    so_pin = new_secret(so_pin_source, f"New SO PIN for {chosen.info.name}")
    pin = new_secret(new_pin_source, "New user PIN") if new_pin_source else None
    init_token(chosen, label, so_pin)
    labelled = Search(str(Pkcs11Uri(token=label)), chosen.info.module, guard).tokens()
    made = _just_initialised(labelled, chosen, known)
    if pin:
        try:
            with TokenSession(made, access.prompter(), writable=True) as session:
                set_user_pin(session, so_pin, pin)
        except SmimeAgentError as error:
            msg = f"{made.info.name} is initialised, but its user PIN is not set: {error}"
            raise TokenError(msg, hint="'smime-agent token pin' sets it") from error
    ui.out(str(made.info.uri))
    left = "" if new_pin_source else "; 'smime-agent token pin' sets its user PIN"  # the PIN itself is wiped by now
    ui.note(f"token '{label}' is initialised{left}")


@app.command()
def pin(
    token: TokenOption = None,
    module: ModuleOption = None,
    pin_source: Annotated[
        str | None, typer.Option("--pin-source", metavar="SOURCE", help="Where the present PIN comes from.")
    ] = None,
    so_pin_source: SoPinOption = None,
    new_pin_source: NewPinOption = None,
    use_last_pin_try: LastTryOption = False,
) -> None:
    """Change the user PIN of a token, or set it with the SO PIN where there is none yet."""
    from smime_agent.tokens.provision import change_user_pin, set_user_pin

    access = Access.of(token, module, pin_source, use_last_pin_try=use_last_pin_try)
    with access.session(writable=True) as session:
        if so_pin_source or not session.token.info.pin_initialized:
            so_pin = secret(so_pin_source, f"SO PIN for {session.name}: ")
            set_user_pin(session, so_pin, new_secret(new_pin_source, "New user PIN"))
        else:
            old = session.ask("to change it")
            change_user_pin(session, old, new_secret(new_pin_source, "New user PIN"))
        ui.note(f"the user PIN of {session.name} is set")


def _to_initialise(search: Search, named: str | None, *, force: bool) -> Token:
    tokens = search.tokens(uninitialized=True)
    blank = [found for found in tokens if not found.info.initialized]
    if named is None:
        if not blank:
            msg = "there is no token that is not initialised"
            raise TokenAbsentError(
                msg, hint="--token with --force initialises one that is in use, and destroys what is on it"
            )
        return blank[0]
    if len(tokens) != 1:
        if tokens:
            msg = f"{len(tokens)} tokens fit '{named}'"
            raise AmbiguousError(msg, hint="'smime-agent token list' shows their URIs")
        msg = f"no token '{named}' is plugged in"
        raise TokenAbsentError(msg, hint="'smime-agent token list' shows what is there")
    if tokens[0].info.initialized and not force:
        msg = f"{tokens[0].info.name} is in use: initialising it destroys its keys"
        raise PolicyError(msg, hint="--force does it all the same")
    return tokens[0]


def _just_initialised(tokens: list[Token], before: Token, known: set[str]) -> Token:
    """The token that was initialised: in its slot, or where the slot moved, the one that was not there before."""
    for found in tokens:
        if found.info.slot_id == before.info.slot_id or found.info.serial not in known:
            return found
    msg = "the token is initialised, and cannot be found again"
    raise TokenAbsentError(msg, hint="plug it in anew; 'smime-agent token list' shows it")


def _mechanisms(found: Token) -> list[str]:
    with found.module.calling(found.info.name):
        return sorted(getattr(one, "name", f"0x{int(one):08X}") for one in found.slot.get_mechanisms())


def pin_state(info: TokenInfo) -> str:
    """What a token says of its user PIN, in a few words."""
    if not info.initialized:
        return "none: token not initialised"
    if info.pin_locked:
        return "locked"
    if info.pin_last_try:
        return "one try left"
    if info.pin_count_low:
        return "set; a wrong one was entered"
    if not info.pin_initialized:
        return "not set"
    return "set, on the token's pad" if info.has_pin_pad else "set"


def _facts(info: TokenInfo) -> dict[str, object]:
    return {
        "label": info.label,
        "serial": info.serial,
        "manufacturer": info.manufacturer,
        "model": info.model,
        "firmware": info.firmware,
        "uri": str(info.uri),
        "module": info.module,
        "library": {
            "description": info.library_description,
            "manufacturer": info.library_manufacturer,
            "version": ".".join(map(str, info.library_version)),
        },
        "slot": {"id": info.slot_id, "description": info.slot_description},
        "initialized": info.initialized,
        "pin": {
            "initialized": info.pin_initialized,
            "locked": info.pin_locked,
            "last_try": info.pin_last_try,
            "count_low": info.pin_count_low,
            "pin_pad": info.has_pin_pad,
        },
    }
