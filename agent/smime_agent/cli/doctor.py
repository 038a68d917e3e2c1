"""``smime-agent doctor``: what is installed, plugged in and usable, and why a key is not.

Each module is tried in a process of its own, so that one which crashes or hangs is a line in the report.
"""

from __future__ import annotations

import json
import os
import platform
import select
import signal
import time
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import typer

from smime_agent import __version__
from smime_agent.accepted import HashFunction
from smime_agent.algorithms import KeyKind, Padding, SignatureScheme
from smime_agent.cli import ui
from smime_agent.cli.access import Access
from smime_agent.cli.options import JsonOption, ModuleOption, TokenOption
from smime_agent.errors import SmimeAgentError
from smime_agent.tokens import module as modules
from smime_agent.tokens.token import Search

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smime_agent.tokens.objects import TokenKey, TokenObjects
    from smime_agent.tokens.token import Token, TokenInfo

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_PACKAGES = ("python-pkcs11", "cryptography", "pyscard", "typer", "asn1crypto")
_PATIENCE_SECONDS = 20.0


@app.command()
def doctor(token: TokenOption = None, module: ModuleOption = None, json: JsonOption = False) -> None:
    """Show what is installed, plugged in and usable.

    For each key that can be seen without the PIN it tells how it would sign and decrypt, or why it cannot.
    """
    access = Access.of(token, module)
    explicit = access.search.module or access.search.uri.module_path
    paths = [explicit] if explicit else modules.default_paths()
    report = {
        "versions": dict(_versions()),
        "readers": _readers(),
        "holders": _holders(),
        "agent": _agent(),
        "history": _history(),
        "modules": [{"path": path, **_probe(path, access.search.token)} for path in paths],
    }
    if json:
        ui.json_line("doctor/1", **report)
        return
    _tell(report)


def _tell(report: dict[str, Any]) -> None:
    ui.out("Versions: " + ", ".join(f"{name} {number}" for name, number in report["versions"].items()))
    readers = report["readers"]
    ui.out("Readers:  " + (readers if isinstance(readers, str) else ", ".join(readers) or "none plugged in"))
    if report["holders"]:
        ui.out(f"In use:   a reader is held by {'; '.join(report['holders'])}")
    ui.out(f"Agent:    {report['agent']}")
    history = report["history"]
    number = history["certificates"]
    seen = f"{number} certificate{'' if number == 1 else 's'} seen on tokens"
    ui.out(f"History:  {history['file']}: " + (history["problem"] or seen))
    if not report["modules"]:
        ui.out("Modules:  none is registered, and SoftHSM is not installed; install softhsm2 or opensc")
    for module in report["modules"]:
        ui.out("", f"Module {module['path']}")
        if "error" in module:
            ui.out(f"  not usable: {module['error']}")
            if module.get("hint"):
                ui.out(f"  hint: {module['hint']}")
            continue
        ui.out(f"  {module['description']}")
        if not module["tokens"]:
            ui.out("  no token that fits is plugged in and initialised")
        for token in module["tokens"]:
            _tell_token(token)


def _tell_token(token: dict[str, Any]) -> None:
    ui.out("", f"  Token '{token['label']}', serial {token['serial']}: PIN {token['pin']}")
    ui.out(f"    {token['uri']}")
    if not token["keys"]:
        ui.out("    no key can be seen without the PIN, or there is none; 'smime-agent key list --login' looks further")
    for key in token["keys"]:
        ui.out(f"    key {key['id']} '{key['label']}', {key['type']}")
        for plan in key["plans"]:
            ui.out(f"      {plan}")
        for problem in key["problems"]:
            ui.out(f"      but: {problem}")


def _versions() -> Iterator[tuple[str, str]]:
    yield "smime-agent", __version__
    yield "Python", platform.python_version()
    for package in _PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            yield package, "missing"


def _readers() -> list[str] | str:
    """The readers that PC/SC knows, or why it cannot be asked."""
    try:
        from smartcard.pcsc.PCSCExceptions import BaseSCardException
        from smartcard.System import readers
    except ImportError:
        return "pyscard is not installed, or lacks libpcsclite"
    try:
        return [str(reader) for reader in readers()]
    except BaseSCardException:
        return "the PC/SC daemon (pcscd) is not running; smart cards need it, SoftHSM does not"


def _holders() -> list[str]:
    """The user's programs that have a card reader open, GnuPG's scdaemon above all."""
    from smime_agent.daemon.readers import holders_of_reader

    return [program.description for program in holders_of_reader()]


def _agent() -> str:
    """Where the agent listens, or that none does."""
    from smime_agent.daemon.client import AgentClient
    from smime_agent.daemon.runtime import socket_path

    try:
        client = AgentClient.connect()
    except SmimeAgentError as error:
        return str(error)
    if client is None:
        return "none runs; 'smime-agent agent start' starts it"
    client.close()
    return f"at {socket_path()}"


def _history() -> dict[str, Any]:
    """Where it is remembered which certificate was seen on which token, and whether that can be read."""
    from smime_agent.certificates import history_file
    from smime_agent.cli.sightings import history_file as place

    path = place()
    contents = history_file.read(path)
    return {"file": str(path), "certificates": len(contents.entries), "problem": contents.complaint}


def _probe(path: str, token: str | None) -> dict[str, Any]:
    """What a module holds, found out by a child that may crash."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _answer(writing, path, token)
    os.close(writing)
    answer = None
    try:
        answer = _read_until(reading, time.monotonic() + _PATIENCE_SECONDS)
    finally:  # Ctrl-C is not heard inside a module
        os.close(reading)
        if answer is None:
            os.kill(child, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if answer is None:
        return {"error": f"it does not answer within {_PATIENCE_SECONDS:.0f} seconds"}
    if code < 0:
        return {"error": f"it crashes ({signal.Signals(-code).name})"}
    if not answer:
        return {"error": f"it ends the program that loads it (exit code {code})"}
    found: dict[str, Any] = json.loads(answer)
    return found


def _answer(writing: int, path: str, token: str | None) -> None:
    """The child: tell what is there, and leave without the interpreter's farewell."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the parent tells
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        facts = _examine(path, token)
    except SmimeAgentError as error:
        facts = {"error": str(error), "hint": error.hint}
    except Exception as error:  # noqa: BLE001 - a module's oddity is a line in the report
        facts = {"error": f"unexpected {type(error).__name__}", "hint": None}
    with os.fdopen(writing, "w") as pipe:
        json.dump(facts, pipe)
    os._exit(0)


def _read_until(descriptor: int, deadline: float) -> bytes | None:
    """Everything up to the end, or ``None`` when that does not come in time."""
    pieces: list[bytes] = []
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([descriptor], [], [], left)[0]:
            break
        piece = os.read(descriptor, 1 << 16)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
    return None


def _examine(path: str, token: str | None) -> dict[str, Any]:
    module = modules.load(path)
    library = module.library
    number = ".".join(map(str, library.library_version))
    return {
        "description": f"{library.library_description} {number} by {library.manufacturer_id}",
        "tokens": [_examine_token(found) for found in Search(token, path).tokens()],
    }


def _examine_token(token: Token) -> dict[str, Any]:
    from smime_agent.cli.token import pin_state
    from smime_agent.tokens.objects import read_objects
    from smime_agent.tokens.pins import PinSource, SourcePrompter
    from smime_agent.tokens.session import TokenSession

    with TokenSession(token, SourcePrompter(PinSource.parse("prompt"), ui.TerminalPrompter())) as session:
        objects = read_objects(session)
        with session.calling():
            mechanisms = token.slot.get_mechanisms()
    return {
        "label": token.info.label,
        "serial": token.info.serial,
        "uri": str(token.info.uri),
        "pin": pin_state(token.info),
        "keys": [
            {
                "id": key.id.hex(),
                "label": key.label,
                "type": str(key.algorithm),
                "plans": [*_signing(key, mechanisms), *_decrypting(key, mechanisms, token.info)],
                "problems": list(_problems(key, objects)),
            }
            for key in objects.keys
        ],
    }


def _problems(key: TokenKey, objects: TokenObjects) -> Iterator[str]:
    """What keeps a key from being used."""
    certificates = [found.certificate for found in objects.certificates_of(key)]
    if not certificates:
        yield "no certificate for it is on the token"
    # The public half of a key on a curve does not say what the private one is for.
    is_certain = key.private_seen or key.algorithm.kind is KeyKind.RSA
    if is_certain and not key.can_decrypt and any(one.permits_encryption for one in certificates):
        yield "its certificate is for encrypting too, and the key is not for decrypting"


def _signing(key: TokenKey, mechanisms: Any) -> Iterator[str]:  # noqa: ANN401 - a set of two kinds
    """How the key would sign, in each way it can; or why it cannot."""
    from smime_agent.tokens.mechanisms import plan_signature

    if not key.can_sign:
        yield "not for signing"
        return
    for padding in (Padding.PKCS1, Padding.PSS) if key.algorithm.kind is KeyKind.RSA else (None,):
        try:
            yield plan_signature(
                SignatureScheme.for_key(key.algorithm, None, padding), key.algorithm, mechanisms
            ).explain()
        except SmimeAgentError as error:
            yield f"cannot sign: {error}"


def _decrypting(key: TokenKey, mechanisms: Any, token: TokenInfo) -> Iterator[str]:  # noqa: ANN401 - a set of two kinds
    """The same for decrypting."""
    from smime_agent.cms.key_transport import OaepParameters
    from smime_agent.tokens.decryption_plan import plan_decryption
    from smime_agent.tokens.mechanisms import quirks_of

    if not key.can_decrypt:
        yield "not for decrypting"
        return
    sha256 = OaepParameters(HashFunction.SHA256, HashFunction.SHA256, b"")
    for oaep in (None, sha256) if key.algorithm.kind is KeyKind.RSA else (None,):
        try:
            yield plan_decryption(key.algorithm, mechanisms, quirks_of(token.library_description), oaep)[0].explain()
        except SmimeAgentError as error:
            yield f"cannot decrypt: {error}"
