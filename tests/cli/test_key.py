"""``smime-agent key``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from pkcs11 import Attribute, ObjectClass

from smime_agent.algorithms import KeyType
from smime_agent.tokens.uri import Pkcs11Uri
from tests.support.ca import Wanted
from tests.support.program import run

if TYPE_CHECKING:
    from tests.support.ca import Authority
    from tests.support.command import Command
    from tests.support.faulty import Faulty
    from tests.support.program import Result
    from tests.support.softhsm import SoftHsm, SoftToken

PIN_FROM = ("--pin-source", "env:PIN")


@pytest.fixture(scope="module")
def token(softhsm: SoftHsm) -> SoftToken:
    return softhsm.new_token("keys")


def parsed(result: Result, schema: str) -> dict[str, Any]:
    assert result.code == 0
    (line,) = result.out.decode().splitlines()
    value: dict[str, Any] = json.loads(line)
    assert value["schema"] == f"smime-agent.{schema}"
    return value


@pytest.mark.parametrize("key_type", [one for one in KeyType if one not in (KeyType.RSA_3072, KeyType.RSA_4096)])
def test_a_key_is_made_and_never_leaves(command: Command, token: SoftToken, key_type: KeyType) -> None:
    result = command(
        "key", "generate", "--token", "keys", *PIN_FROM, "--type", key_type.value, "--label", key_type.value, "--json"
    )
    facts = parsed(result, "key-generate/1")
    usage = (facts["sign"], facts["decrypt"])
    assert facts["type"] == str(key_type.algorithm)
    assert usage == ((False, True) if key_type is KeyType.X25519 else (True, False))
    with token.session() as session:
        session.login("for a test")
        with session.calling():
            (found,) = (
                one for one in session.objects(ObjectClass.PRIVATE_KEY) if one[Attribute.ID].hex() == facts["id"]
            )
            assert found[Attribute.EXTRACTABLE] is False
            assert found[Attribute.SENSITIVE] is True
            assert found[Attribute.ALWAYS_SENSITIVE] is True
            assert found[Attribute.NEVER_EXTRACTABLE] is True
            assert found[Attribute.PRIVATE] is True


@pytest.mark.parametrize(
    ("usage", "can"), [("sign", (True, False)), ("decrypt", (False, True)), ("both", (True, True))]
)
@pytest.mark.parametrize("key_type", ["rsa:2048", "ec:p256"])
@pytest.mark.usefixtures("token")
def test_a_key_is_for_what_was_asked(command: Command, key_type: str, usage: str, can: tuple[bool, bool]) -> None:
    arguments = ("--type", key_type, "--usage", usage)
    facts = parsed(command("key", "generate", "--token", "keys", *PIN_FROM, *arguments, "--json"), "key-generate/1")
    assert (facts["sign"], facts["decrypt"]) == can


@pytest.mark.usefixtures("token")
def test_the_uri_of_a_new_key_is_the_result(command: Command) -> None:
    arguments = ("--type", "ec:p256", "--id", "CA:FE", "--label", "new; key")
    result = command("key", "generate", "--token", "keys", *PIN_FROM, *arguments)
    uri = Pkcs11Uri.parse(result.out.decode().strip())
    assert (uri.token, uri.id, uri.object, uri.type) == ("keys", b"\xca\xfe", "new; key", "private")
    assert "cert request --key cafe" in result.err
    again = command("key", "generate", "--token", "keys", *PIN_FROM, *arguments)
    assert (again.code, again.out) == (2, b"")
    assert "has a key with the id cafe" in again.err


@pytest.mark.usefixtures("token")
def test_a_label_that_is_no_text_is_exit_2() -> None:
    result = run("key", "generate", "--token", "keys", *PIN_FROM, "--type", "ec:p256", "--label", "\udcff")
    assert (result.code, result.out) == (2, b"")


@pytest.mark.usefixtures("token")
def test_no_pin_makes_no_key(command: Command) -> None:
    before = len(parsed(command("key", "list", "--token", "keys", "--json"), "key-list/1")["keys"])
    result = command("key", "generate", "--token", "keys", "--pin-source", "env:MISSING", "--type", "ec:p256")
    assert (result.code, result.out) == (9, b"")
    assert len(parsed(command("key", "list", "--token", "keys", "--json"), "key-list/1")["keys"]) == before


@pytest.mark.usefixtures("alice")
def test_the_list_needs_no_pin(command: Command) -> None:
    result = command("key", "list", "--token", "alice")
    head, line = result.out.decode().splitlines()
    assert head.split() == ["ID", "LABEL", "TYPE", "USAGE", "CERTIFICATE"]
    assert line.split() == ["01", "Alice", "Example", "EC", "P-256", "sign", "alice@example.org"]


@pytest.mark.usefixtures("alice")
@pytest.mark.parametrize("login", [(), ("--login", *PIN_FROM), PIN_FROM])
def test_the_list_as_json(command: Command, login: tuple[str, ...]) -> None:
    value = parsed(command("key", "list", "--token", "alice", *login, "--json"), "key-list/1")
    assert Pkcs11Uri.parse(value["token"]).token == "alice"
    (key,) = value["keys"]
    (certificate,) = key.pop("certificates")
    assert len(certificate) == 64
    assert Pkcs11Uri.parse(key.pop("uri")).id == b"\x01"
    assert key == {
        "id": "01",
        "label": "Alice Example",
        "type": "EC P-256",
        "bits": 256,
        "sign": True,
        "decrypt": False,
        "always_authenticate": False,
        "private_seen": bool(login),
    }


def test_the_list_without_a_login_tries_no_pin(faulty: Faulty, alice: SoftToken) -> None:
    assert faulty.run("key", "list", "--token", alice.label).code == 0
    assert faulty.logins() == 0


def test_a_key_that_wants_the_pin_each_time_is_marked(faulty: Faulty, alice: SoftToken) -> None:
    faulty.script.write(always_authenticate="all")
    result = faulty.run("key", "list", "--token", alice.label, *PIN_FROM)
    assert b"sign (PIN each time)" in result.out


def test_an_empty_token_says_so(command: Command, softhsm: SoftHsm) -> None:
    softhsm.new_token("empty")
    result = command("key", "list", "--token", "empty")
    assert (result.code, result.out) == (0, b"")
    assert result.err == "no key can be seen on token 'empty'; try --login\n"
    assert parsed(command("key", "list", "--token", "empty", "--json"), "key-list/1")["keys"] == []


def test_names_on_a_token_cannot_move_the_cursor(command: Command, softhsm: SoftHsm, issuing_ca: Authority) -> None:
    token = softhsm.new_token("colours")
    token.enrol(issuing_ca, KeyType.EC_P256, Wanted(name="red\x1b[31m\u202e"))
    for arguments in (("key", "list"), ("cert", "list"), ("cert", "show"), ("token", "list")):
        result = command(*arguments, "--token", "colours")
        assert result.code == 0
        assert b"\x1b" not in result.out
        assert "\u202e".encode() not in result.out
