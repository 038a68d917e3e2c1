"""``smime-agent token``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from smime_agent.tokens.uri import Pkcs11Uri
from tests.support.program import run
from tests.support.softhsm import MODULE, PIN, SO_PIN

if TYPE_CHECKING:
    from tests.support.command import Command
    from tests.support.faulty import Faulty
    from tests.support.program import Result
    from tests.support.softhsm import SoftHsm, SoftToken


@pytest.fixture(autouse=True)
def _token(alice: SoftToken) -> None:
    """The last PIN was right."""
    alice.open().close()


def parsed(result: Result, schema: str) -> dict[str, Any]:
    """The one object on standard output."""
    assert (result.code, result.err) == (0, "")
    (line,) = result.out.decode().splitlines()
    value: dict[str, Any] = json.loads(line)
    assert value["schema"] == f"smime-agent.{schema}"
    return value


def test_the_list_has_a_line_for_each_token(command: Command) -> None:
    result = command("token", "list")
    head, *lines = result.out.decode().splitlines()
    assert (result.code, head.split()) == (0, ["LABEL", "SERIAL", "MODEL", "PIN", "URI"])
    (line,) = (line for line in lines if line.startswith("alice "))
    assert line.split()[-2] == "set"
    assert Pkcs11Uri.parse(line.split()[-1]).token == "alice"
    assert any(line.startswith("(not initialised)") for line in lines)


def test_the_list_as_json(command: Command) -> None:
    tokens = parsed(command("token", "list", "--json"), "token-list/1")["tokens"]
    (alice,) = (token for token in tokens if token["label"] == "alice")
    assert alice["module"] == str(Path(MODULE).resolve())
    assert alice["initialized"]
    assert alice["pin"] == {
        "initialized": True, "locked": False, "last_try": False, "count_low": False, "pin_pad": False,
    }  # fmt: skip
    assert any(not token["initialized"] for token in tokens)


def test_the_uri_of_the_list_names_that_token(command: Command) -> None:
    tokens = parsed(command("token", "list", "--json"), "token-list/1")["tokens"]
    for token in tokens:
        if token["initialized"]:
            assert (
                parsed(command("token", "info", "--token", token["uri"], "--json"), "token-info/1")["uri"]
                == token["uri"]
            )


def test_the_list_can_be_narrowed(command: Command) -> None:
    tokens = parsed(command("token", "list", "--token", "alice", "--json"), "token-list/1")["tokens"]
    assert [token["label"] for token in tokens] == ["alice"]


def test_no_token_is_exit_8(command: Command) -> None:
    result = command("token", "list", "--token", "nobody")
    assert (result.code, result.out) == (8, b"")
    assert parsed(command("token", "list", "--token", "nobody", "--json"), "token-list/1")["tokens"] == []


def test_info_shows_one(command: Command) -> None:
    text = command("token", "info", "--token", "alice").out.decode()
    facts = dict(line.split(None, 1) for line in text.splitlines())
    assert (facts["Label"], facts["PIN"]) == ("alice", "set")
    assert "ECDSA" in facts["Mechanisms"].split()
    assert Pkcs11Uri.parse(facts["URI"]).token == "alice"


def test_info_as_json(command: Command) -> None:
    facts = parsed(command("token", "info", "--token", "alice", "--json"), "token-info/1")
    assert {"RSA_PKCS", "RSA_PKCS_PSS", "ECDSA", "EDDSA"} <= set(facts["mechanisms"])


def test_several_tokens_are_listed_for_the_person_to_choose(command: Command, softhsm: SoftHsm) -> None:
    softhsm.new_token("bob")
    for arguments in (["token", "info"], ["sign"], ["key", "list"]):
        result = command(*arguments, stdin=b"From: alice@example.org\n\nx\n")
        assert (result.code, result.out) == (2, b"")
        lines = result.err.splitlines()
        assert lines[0].endswith(" tokens are plugged in")
        assert {"alice", "bob"} <= {Pkcs11Uri.parse(line.strip()).token for line in lines[1:-1]}
        assert lines[-1] == "hint: name one of them with --token"


def test_two_tokens_of_one_name_are_told_apart_by_their_uris(command: Command, softhsm: SoftHsm) -> None:
    for _ in range(2):
        softhsm.new_token("twin", user_pin=False)
    result = command("token", "info", "--token", "twin")
    assert result.code == 2
    uris = [line.strip() for line in result.err.splitlines() if line.startswith("  pkcs11:")]
    assert len(set(uris)) == 2
    for uri in uris:
        assert command("token", "info", "--token", uri).code == 0


@pytest.mark.parametrize(
    ("tries", "words"),
    [(3, "set"), (2, "set; a wrong one was entered"), (1, "one try left"), (0, "locked")],
)
def test_the_state_of_the_pin_is_told(faulty: Faulty, tries: int, words: str) -> None:
    faulty.script.write(tries=tries)
    result = faulty.run("token", "info", "--token", "alice")
    (line,) = (line for line in result.out.decode().splitlines() if line.startswith("PIN "))
    assert line.split(None, 1)[1] == words
    assert faulty.logins() == 0


def test_a_pin_pad_is_told(faulty: Faulty) -> None:
    faulty.script.write(protected_path=True)
    assert b"set, on the token's pad" in faulty.run("token", "info", "--token", "alice").out


# --- setting up ---


def initialise(label: str, *arguments: str, env: dict[str, str] | None = None) -> Result:
    variables = {"SO": SO_PIN, "NEW": "new-user-pin", **(env or {})}
    return run("token", "init", "--label", label, "--so-pin-source", "env:SO", *arguments, env=variables)


def opens(token: str, pin: str) -> bool:
    return run("key", "list", "--token", token, "--pin-source", "env:PIN", env={"PIN": pin}).code == 0


@pytest.mark.usefixtures("softhsm")
def test_a_new_token_is_made_with_its_pin() -> None:
    result = initialise("fresh token", "--new-pin-source", "env:NEW")
    assert (result.code, result.err) == (0, "token 'fresh token' is initialised\n")
    assert Pkcs11Uri.parse(result.out.decode().strip()).token == "fresh token"
    assert opens("fresh token", "new-user-pin")


@pytest.mark.usefixtures("softhsm")
def test_a_new_token_may_get_its_pin_later() -> None:
    result = initialise("later")
    assert result.code == 0
    assert "'smime-agent token pin' sets its user PIN" in result.err
    env = {"SO": SO_PIN, "NEW": "new-user-pin"}
    sources = ("--so-pin-source", "env:SO", "--new-pin-source", "env:NEW")
    result = run("token", "pin", "--token", "later", *sources, env=env)
    assert (result.code, result.err) == (0, "the user PIN of token 'later' is set\n")
    assert opens("later", "new-user-pin")


@pytest.mark.usefixtures("softhsm")
def test_a_token_in_use_is_not_destroyed() -> None:
    assert initialise("precious", "--new-pin-source", "env:NEW").code == 0
    result = initialise("other", "--token", "precious")
    assert (result.code, result.out) == (10, b"")
    assert "token 'precious' is in use: initialising it destroys its keys" in result.err
    assert opens("precious", "new-user-pin")


@pytest.mark.usefixtures("softhsm")
def test_a_token_in_use_is_destroyed_on_demand() -> None:
    assert initialise("worthless", "--new-pin-source", "env:NEW").code == 0
    result = initialise("worth more", "--token", "worthless", "--force", "--new-pin-source", "env:NEW")
    assert result.code == 0
    assert run("token", "info", "--token", "worthless").code == 8
    assert opens("worth more", "new-user-pin")


@pytest.mark.usefixtures("softhsm")
def test_another_so_pin_destroys_nothing() -> None:
    assert initialise("guarded", "--new-pin-source", "env:NEW").code == 0
    result = initialise("stolen", "--token", "guarded", "--force", env={"SO": "00000000"})
    assert (result.code, result.out) == (9, b"")
    assert opens("guarded", "new-user-pin")


@pytest.mark.usefixtures("softhsm")
@pytest.mark.parametrize(
    ("label", "env", "code"),
    [("", {}, 2), ("x" * 33, {}, 2), ("short SO PIN", {"SO": "1"}, 9), ("no SO PIN", {"SO": ""}, 9), ("\udcff", {}, 2)],
)
def test_what_cannot_be_initialised_stays_as_it_is(label: str, env: dict[str, str], code: int) -> None:
    result = initialise(label, env=env)
    assert (result.code, result.out) == (code, b"")
    assert result.err.startswith("smime-agent: error: ")


@pytest.mark.usefixtures("softhsm")
def test_the_pin_is_changed() -> None:
    assert initialise("change it", "--new-pin-source", "env:NEW").code == 0
    sources = ("--pin-source", "env:NEW", "--new-pin-source", "env:NEWER")
    result = run("token", "pin", "--token", "change it", *sources, env={"NEW": "new-user-pin", "NEWER": "newer-pin"})
    assert (result.code, result.err) == (0, "the user PIN of token 'change it' is set\n")
    assert opens("change it", "newer-pin")
    assert not opens("change it", "new-user-pin")


def test_a_wrong_old_pin_is_tried_once(faulty: Faulty) -> None:
    faulty.script.write(tries=3)
    sources = ("--pin-source", "env:PIN", "--new-pin-source", "env:NEW")
    result = faulty.run("token", "pin", "--token", "alice", *sources, env={"PIN": "wrong", "NEW": "newer-pin"})
    assert (result.code, result.out) == (9, b"")
    assert result.err == "smime-agent: error: wrong PIN for token 'alice'\nhint: fewer tries are left\n"
    assert faulty.script.calls().count("C_SetPIN") == 1
    assert faulty.script.tries_left == 2


@pytest.mark.parametrize(("tries", "code"), [(0, 9), (1, 9)])
def test_the_last_try_is_not_spent_on_a_change(faulty: Faulty, tries: int, code: int) -> None:
    faulty.script.write(tries=tries)
    sources = ("--pin-source", "env:PIN", "--new-pin-source", "env:NEW")
    result = faulty.run("token", "pin", "--token", "alice", *sources, env={"NEW": "newer-pin"})
    assert result.code == code
    assert "C_SetPIN" not in faulty.script.calls()


def test_a_new_pin_that_is_no_text_is_refused() -> None:
    sources = ("--pin-source", "env:PIN", "--new-pin-source", "env:NEW")
    result = run("token", "pin", "--token", "alice", *sources, env={"PIN": PIN, "NEW": "\udcff\udcfe\udcfd"})
    assert (result.code, result.out) == (9, b"")
    assert opens("alice", PIN)
