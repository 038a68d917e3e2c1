"""What was seen on tokens is remembered by every command that looks at one, and shown by ``key list --history``."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from smime_agent.algorithms import KeyType
from smime_agent.tokens.objects import read_objects
from tests.support.ca import Wanted
from tests.support.mails import MAIL
from tests.support.program import run

if TYPE_CHECKING:
    from pathlib import Path

    from smime_agent.x509 import Certificate
    from tests.support.ca import Authority
    from tests.support.command import Command
    from tests.support.program import Result
    from tests.support.softhsm import SoftHsm, SoftToken

PIN_FROM = ("--pin-source", "env:PIN")
HISTORY = ("key", "list", "--history")


@pytest.fixture(scope="module")
def token(softhsm: SoftHsm, issuing_ca: Authority) -> SoftToken:
    made = softhsm.new_token("seen")
    made.enrol(issuing_ca, KeyType.EC_P256, Wanted(("alice@example.org",), "Alice Example"))
    return made


@pytest.fixture(scope="module")
def certificate(token: SoftToken) -> Certificate:
    with token.session() as session:
        return read_objects(session).certificates[0].certificate


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The history, in a data directory of the test's own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "smime-agent" / "history.json"


def shown(command: Command, *arguments: str) -> list[dict[str, Any]]:
    result = command(*HISTORY, "--json", *arguments)
    assert (result.code, result.err) == (0, "")
    found: list[dict[str, Any]] = json.loads(result.out)["certificates"]
    return found


@pytest.mark.parametrize(
    "arguments",
    [
        ("key", "list"),
        ("key", "list", "--login", *PIN_FROM),
        ("cert", "list"),
        ("cert", "show"),
        ("cert", "export"),
        ("sign", *PIN_FROM),
    ],
    ids=" ".join,
)
def test_every_command_that_looks_at_a_token_remembers(
    command: Command, token: SoftToken, certificate: Certificate, file: Path, arguments: tuple[str, ...]
) -> None:
    result = command(*arguments, "--token", token.label, stdin=MAIL)
    assert (result.code, result.err) == (0, "")
    (entry,) = shown(command)
    assert entry["sha256"] == certificate.fingerprint.hex()
    assert (entry["token"]["label"], entry["key"]) == ("seen", "01")
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_is_imported_is_remembered(
    command: Command, softhsm: SoftHsm, issuing_ca: Authority, tmp_path: Path
) -> None:
    softhsm.new_token("to import")
    login = ("--token", "to import", *PIN_FROM)
    made = command("key", "generate", "--type", "ec:p256", *login)
    assert made.code == 0
    request = command("cert", "request", "--key", "01", "--address", "bob@example.org", *login)
    (tmp_path / "bob.pem").write_bytes(_pem(issuing_ca, request.out))
    assert shown(command) == []
    assert command("cert", "import", tmp_path / "bob.pem", *login).code == 0
    (entry,) = shown(command)
    assert (entry["mailboxes"], entry["key"], entry["token"]["label"]) == (["bob@example.org"], "01", "to import")


def _pem(authority: Authority, request: bytes) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return authority.issue_for_request(request, Wanted(("bob@example.org",), "Bob")).public_bytes(Encoding.PEM)


def test_the_list_tells_what_a_person_looks_for(command: Command, token: SoftToken, certificate: Certificate) -> None:
    command("key", "list", "--token", token.label)
    result = command(*HISTORY)
    head, line = result.out.decode().splitlines()
    (entry,) = shown(command)
    assert head.split() == ["FOR", "SUBJECT", "SERIAL", "VALID", "TOKEN", "KEY", "LAST", "SEEN"]
    assert [part.strip() for part in line.split("  ") if part] == [
        "alice@example.org",
        "CN=Alice Example",
        f"{certificate.serial_number:x}",
        f"{certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}",
        f"seen ({entry['token']['serial']})",
        "01",
        entry["last_seen"],
    ]


def test_no_module_is_loaded_and_no_token_needed(token: SoftToken, command: Command, tmp_path: Path) -> None:
    command("key", "list", "--token", token.label)
    result = run(*HISTORY, env={"XDG_DATA_HOME": str(tmp_path / "data")}, module="/nowhere/module.so")
    assert (result.code, b"CN=Alice Example" in result.out) == (0, True)


def test_one_token_may_be_asked_for(command: Command, token: SoftToken) -> None:
    command("key", "list", "--token", token.label)
    assert len(shown(command, "--token", "seen")) == 1
    assert len(shown(command, "--token", "pkcs11:model=SoftHSM%20v2")) == 1
    assert shown(command, "--token", "another") == []


def test_where_nothing_was_seen_that_is_said(command: Command) -> None:
    result = command(*HISTORY)
    assert (result.code, result.out) == (0, b"")
    assert result.err == "no certificate of yours was seen on such a token yet, as far as is remembered\n"


@pytest.mark.parametrize("options", [("--login",), PIN_FROM, ("--module", "/x.so")])
def test_options_that_look_at_a_token_do_not_go_with_it(command: Command, options: tuple[str, ...]) -> None:
    assert command(*HISTORY, *options).code == 2


# --- a file that is not in order ---


def written(file: Path, octets: bytes) -> None:
    file.parent.mkdir(parents=True)
    file.write_bytes(octets)


def warning(file: Path, complaint: str) -> str:
    return f"smime-agent: warning: the history of keys, {file}, {complaint}\n"


def test_a_damaged_file_is_one_line_and_keeps_nobody_from_signing(
    command: Command, token: SoftToken, file: Path
) -> None:
    written(file, b"{ no JSON")
    result = command("sign", "--token", token.label, *PIN_FROM, stdin=MAIL)
    assert (result.code, result.err) == (0, warning(file, "is damaged"))
    assert b"multipart/signed" in result.out
    assert len(shown(command)) == 1  # it was set aside


def test_a_damaged_file_is_shown_as_far_as_it_goes(command: Command, token: SoftToken, file: Path) -> None:
    command("key", "list", "--token", token.label)
    value = json.loads(file.read_bytes())
    value["certificates"].append({"certificate": "x"})
    file.write_text(json.dumps(value))
    result = command(*HISTORY)
    assert (result.code, len(result.out.splitlines())) == (0, 2)
    assert result.err == warning(file, "is damaged in parts")


@pytest.mark.parametrize(
    ("octets", "complaint"),
    [
        (b'{"schema": "smime-agent.history/2"}', "was written by a newer version of this program"),
        (None, "is no file"),
    ],
)
def test_a_file_that_cannot_be_read_is_left_alone(
    command: Command, token: SoftToken, file: Path, octets: bytes | None, complaint: str
) -> None:
    if octets is None:
        file.parent.mkdir(parents=True)
        os.mkfifo(file)
    else:
        written(file, octets)
    result: Result = command("key", "list", "--token", token.label)
    assert (result.code, result.err) == (0, warning(file, complaint))
    result = command(*HISTORY)
    assert (result.code, result.err) == (2, f"smime-agent: error: the history of keys, {file}, {complaint}\n")
    assert octets is None or file.read_bytes() == octets


# --- doctor ---


def test_doctor_tells_where_it_is_and_whether_it_can_be_read(token: SoftToken, file: Path) -> None:
    environment = {"XDG_DATA_HOME": str(file.parent.parent)}
    assert run("key", "list", "--token", token.label, env=environment).code == 0
    told = run("doctor", "--token", token.label, env=environment).out.decode().splitlines()
    assert f"History:  {file}: 1 certificate seen on tokens" in told
    file.write_bytes(b"no JSON")
    told = run("doctor", "--token", token.label, env=environment).out.decode().splitlines()
    assert f"History:  {file}: is damaged" in told
