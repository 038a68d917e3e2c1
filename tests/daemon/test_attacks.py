"""What a client says wrongly, or at the wrong moment: it gets nothing by it, and costs nobody else anything."""

from __future__ import annotations

import json
import re
import signal
import socket
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pkcs11 import Attribute, ObjectClass

from smime_agent.algorithms import KeyType
from smime_agent.daemon.client import AgentClient
from smime_agent.daemon.logins import clock
from smime_agent.daemon.protocol import VERSION
from smime_agent.daemon.remote import RemoteSigner
from smime_agent.errors import AgentError, AmbiguousError, NoKeyError, PinIncorrectError, SmimeAgentError
from smime_agent.keys import Pin
from smime_agent.tokens.provision import set_user_pin
from smime_agent.tokens.token import Search
from tests.daemon.uses import User, begin, until, workers
from tests.support.agent import RunningAgent
from tests.support.ca import Wanted
from tests.support.softhsm import MODULE, PIN, SO_PIN, SoftToken

if TYPE_CHECKING:
    from tests.support.ca import Authority
    from tests.support.faulty import Faulty
    from tests.support.softhsm import SoftHsm


@pytest.fixture(scope="module")
def two_names(softhsm: SoftHsm, issuing_ca: Authority) -> SoftToken:
    """A token that has other labels on the halves of a key, as OpenSC gives them to PIV cards."""
    token = softhsm.new_token("two names")
    token.enrol(issuing_ca, KeyType.EC_P256, Wanted(name="SIGN key"))
    with token.session(writable=True) as session:
        session.login("for a test")
        for found in session.objects(ObjectClass.PUBLIC_KEY):
            found[Attribute.LABEL] = "SIGN pubkey"
    return token


def test_a_key_whose_halves_have_other_labels_signs(two_names: SoftToken, tmp_path: Path) -> None:
    with RunningAgent(tmp_path) as agent, agent.client() as client:
        user = User(client, two_names.label)
        user.sign()
        user.sign()
        assert agent.pinentry.asked() == 1


@pytest.mark.parametrize("name", ["SIGN key", "SIGN pubkey", "01"])
def test_a_policy_holds_whichever_half_it_names(name: str, two_names: SoftToken, tmp_path: Path) -> None:
    config = f'[[agent.keys]]\nkey = "{name}"\nscope = "operation"\n'
    with RunningAgent(tmp_path, config=config) as agent, agent.client() as client:
        user = User(client, two_names.label)
        user.sign()
        user.sign()
        assert agent.pinentry.asked() == 2


def lying(user: User, label: str) -> User:
    """The same user, who says that the key has another label."""
    signer = user.signer
    key = replace(signer._key, label=label)
    liar = User(user.client, user.token)
    liar.__dict__["signer"] = RemoteSigner(user.client, key, signer.scheme, signer.identity)
    return liar


def test_a_client_does_not_choose_what_the_person_reads_or_what_is_in_the_log(alice: SoftToken, tmp_path: Path) -> None:
    with RunningAgent(tmp_path) as agent, agent.client() as client:
        liar = lying(User(client, alice.label), "x\nToken 'another', serial 1\nThe PIN")
        with suppress(SmimeAgentError):
            liar.sign()
        assert not [text for text in agent.pinentry.descriptions() if "another" in text]
        assert not [entry for entry in agent.log("use") if "another" in entry.facts["key"]["label"]]


def test_a_key_that_is_none_has_nobody_asked_and_is_not_in_the_log(alice: SoftToken, tmp_path: Path) -> None:
    with RunningAgent(tmp_path, config='[agent.policy]\nconfirm = "every"\n') as agent, agent.client() as client:
        user = User(client, alice.label)
        client.ask("login", token=user.seen.place.values())
        signer = user.signer
        key = replace(signer._key, id=b"\x99")
        user.__dict__["signer"] = RemoteSigner(client, key, signer.scheme, signer.identity)
        with pytest.raises(NoKeyError):
            user.sign()
        assert (agent.pinentry.asked("CONFIRM"), agent.log("use")) == (0, [])


def test_much_that_a_client_says_of_its_screen_costs_nobody_the_login(alice: SoftToken, tmp_path: Path) -> None:
    with RunningAgent(tmp_path) as agent, agent.client() as client, agent.client() as other:
        user = User(client, alice.label)
        user.sign()
        environment = {f"LC_{'A' * n}": "é" * 1024 for n in range(1, 33)}
        hello = {"id": 77, "method": "hello", "params": {"version": VERSION, "environment": environment}}
        other._connection.sendall(json.dumps(hello, ensure_ascii=False).encode() + b"\n")
        assert other._next()["id"] == 77
        User(other, alice.label).sign()
        user.sign()
        assert agent.pinentry.asked() == 1


@pytest.mark.slow
def test_a_program_that_leaves_before_the_person_is_asked_has_nobody_asked(
    alice: SoftToken, faulty: Faulty, tmp_path: Path
) -> None:
    agent = RunningAgent(tmp_path / "agent", module=str(faulty.module), variables=faulty.script.environment)
    with agent:
        leaving = agent.client()
        user = User(leaving, alice.label)
        user.attributes(b"which asks for the signer")
        until(lambda: workers(agent))
        faulty.script.write(slow="C_GetTokenInfo:700")
        begin(user)
        time.sleep(0.2)
        leaving.close()
        time.sleep(2.5)
        assert agent.pinentry.asked() == 0
        assert not agent.log("use")


def test_a_pin_that_was_typed_for_one_program_is_no_operation_of_another(alice: SoftToken, tmp_path: Path) -> None:
    config = '[[agent.keys]]\nkey = "01"\nscope = "operation"\n'
    with RunningAgent(tmp_path, config=config) as agent, agent.client() as looking, agent.client() as client:
        looking.ask("login", token=User(looking, alice.label).seen.place.values())
        User(client, alice.label).sign()
        assert agent.pinentry.asked() == 2


def test_a_pin_that_is_kept_for_one_key_is_not_for_another(both: SoftToken, faulty: Faulty, tmp_path: Path) -> None:
    faulty.script.write(always_authenticate="all")
    config = '[[agent.keys]]\nkey = "to decrypt"\nkeep_pin = true\n'
    environment = faulty.script.environment
    agent = RunningAgent(tmp_path / "agent", config=config, module=str(faulty.module), variables=environment)
    with agent, agent.client() as client:
        user = User(client, both.label)
        for _ in range(2):
            user.unwrap(bytes(32))
        assert agent.pinentry.asked() == 1
        user.sign()
        assert agent.pinentry.asked() == 2


def test_a_pin_of_the_configuration_that_a_key_refuses_is_tried_once(
    alice: SoftToken, faulty: Faulty, tmp_path: Path
) -> None:
    (tmp_path / "pin").write_text(PIN)
    faulty.script.write(always_authenticate="all", context_pin="9999")
    config = f'pin_source = "file:{tmp_path}/pin"\n'
    environment = faulty.script.environment
    agent = RunningAgent(tmp_path / "agent", config=config, module=str(faulty.module), variables=environment)
    with agent, agent.client() as client:
        user = User(client, alice.label)
        for _ in range(3):
            with pytest.raises(PinIncorrectError):
                user.sign()
        assert faulty.logins() == 2


def test_a_wrong_pin_that_a_key_refuses_is_in_the_log_as_typed(
    alice: SoftToken, faulty: Faulty, tmp_path: Path
) -> None:
    faulty.script.write(always_authenticate="all")
    environment = faulty.script.environment
    agent = RunningAgent(tmp_path / "agent", pins=[PIN, "wrong"], module=str(faulty.module), variables=environment)
    with agent, agent.client() as client:
        user = User(client, alice.label)
        user.sign()
        with pytest.raises(PinIncorrectError):
            user.sign()
        outcomes = [(entry.facts["outcome"], entry.facts["pin"]) for entry in agent.log("outcome")]
        assert outcomes == [("done", "pinentry"), ("pin-incorrect", "pinentry")]
        login, operation = agent.pinentry.descriptions()
        assert ("until it is not used" in login, "good for this once" in operation) == (True, True)


def test_a_login_does_not_choose_between_tokens_that_are_called_the_same(
    softhsm: SoftHsm, issuing_ca: Authority, tmp_path: Path
) -> None:
    for _ in range(2):
        softhsm.new_token("twins", user_pin=False)
    found = Search("twins", MODULE).tokens()
    for token in found:
        one = SoftToken(str(token.info.uri))
        with one.session(writable=True) as session:
            set_user_pin(session, Pin(SO_PIN.encode()), Pin(PIN.encode()))
        one.enrol(issuing_ca, KeyType.EC_P256)
    with RunningAgent(tmp_path) as agent, agent.client() as client:
        User(client, str(found[0].info.uri)).sign()
        with pytest.raises(AmbiguousError):
            User(client, "twins").sign()


@pytest.mark.slow
def test_how_to_end_an_agent_that_does_not_answer_ends_it(tmp_path: Path) -> None:
    with RunningAgent(tmp_path) as agent:
        agent.process.send_signal(signal.SIGSTOP)
        result = agent.run("agent", "stop")
        agent.process.send_signal(signal.SIGCONT)
        assert result.code == 8
        pattern = result.err.partition('-f "')[2].partition('"')[0]
        assert pattern
        assert re.search(pattern, Path(f"/proc/{agent.process.pid}/cmdline").read_text().replace("\0", " "))


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="Linux has such a clock")
def test_the_clock_of_logins_goes_on_while_the_machine_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    now = {time.CLOCK_BOOTTIME: 30_000.0, time.CLOCK_MONOTONIC: 1000.0}  # after a night
    monkeypatch.setattr(time, "clock_gettime", now.__getitem__)
    assert clock() == 30_000.0


@pytest.mark.parametrize("answer", [b"nonsense", b"[]", b'{"id":7}', b'{"id":1,"event":5}'])
def test_who_is_no_agent_is_told_from_one(answer: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(answer + b"\n")
        with pytest.raises(AgentError, match="does not answer as the agent"):
            AgentClient(ours, lambda _event, _facts: None)
