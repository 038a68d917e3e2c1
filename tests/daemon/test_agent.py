"""The agent as commands use it: one PIN for many, and what the configuration says about it."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from smime_agent.daemon.places import KeyPlace
from tests.daemon.uses import User
from tests.faulty import FaultScript
from tests.support.agent import RunningAgent
from tests.support.correspondents import People
from tests.support.mails import MAIL
from tests.support.openssl_cms import OpenSsl
from tests.support.softhsm import PIN, SoftToken

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.ca import Authority
    from tests.support.faulty import Faulty
    from tests.support.program import Result

pytestmark = pytest.mark.slow


def sign(agent: RunningAgent) -> Result:
    return agent.run("sign", "--agent", "--token", "alice", stdin=MAIL)


def outcomes(agent: RunningAgent) -> list[tuple[str, str]]:
    return [(entry.facts["outcome"], entry.facts["pin"]) for entry in agent.log("outcome")]


@pytest.mark.usefixtures("alice")
def test_one_pin_is_for_many_signatures(tmp_path: Path) -> None:
    with RunningAgent(tmp_path) as agent:
        assert [sign(agent).code for _ in range(3)] == [0, 0, 0]
        assert agent.pinentry.asked() == 1
        assert outcomes(agent) == [("done", "pinentry"), ("done", "login"), ("done", "login")]


@pytest.mark.usefixtures("alice")
@pytest.mark.interop
def test_openssl_finds_its_signature_good(tmp_path: Path) -> None:
    with RunningAgent(tmp_path) as agent:
        signed = sign(agent).out
    command = ["openssl", "cms", "-verify", "-noverify", "-out", os.devnull]
    assert subprocess.run(command, input=signed, capture_output=True, check=False).returncode == 0


@pytest.mark.usefixtures("alice")
def test_a_command_uses_it_without_being_told(tmp_path: Path) -> None:
    with RunningAgent(tmp_path) as agent:
        assert agent.run("sign", "--token", "alice", stdin=MAIL).code == 0
        assert len(agent.log("use")) == 1


@pytest.mark.usefixtures("alice")
def test_no_agent_goes_to_the_token(tmp_path: Path) -> None:
    with RunningAgent(tmp_path) as agent:
        result = agent.run("sign", "--no-agent", "--pin-source", "env:PIN", "--token", "alice", stdin=MAIL)
        assert (result.code, agent.log("use"), agent.pinentry.asked()) == (0, [], 0)


@pytest.mark.usefixtures("alice")
def test_a_source_of_the_pin_goes_to_the_token(tmp_path: Path) -> None:
    with RunningAgent(tmp_path) as agent:
        result = agent.run("sign", "--pin-source", "env:PIN", "--token", "alice", stdin=MAIL)
        assert (result.code, agent.log("use")) == (0, [])


def test_agent_and_a_source_of_the_pin_exclude_each_other(tmp_path: Path) -> None:
    agent = RunningAgent(tmp_path)
    result = agent.run("sign", "--agent", "--pin-source", "env:PIN", stdin=MAIL)
    assert (result.code, "the agent asks for the PIN itself" in result.err) == (2, True)


def test_an_agent_that_was_asked_for_has_to_run(tmp_path: Path) -> None:
    result = sign(RunningAgent(tmp_path))
    assert (result.code, "no agent runs" in result.err, "agent start" in result.err) == (8, True, True)


@pytest.mark.usefixtures("alice")
def test_a_module_that_it_does_not_use_is_loaded_by_the_command(tmp_path: Path, faulty_module: Path) -> None:
    with RunningAgent(tmp_path) as agent:
        options = ("sign", "--token", "alice", "--module", faulty_module)
        refused = agent.run(*options, "--agent", stdin=MAIL)
        assert (refused.code, "does not use the module" in refused.err) == (8, True)
        env = {"FAULTY_SCRIPT": str(tmp_path / "none")}
        (tmp_path / "none").touch()
        assert "no terminal" in agent.run(*options, stdin=MAIL, env=env).err  # it went there, and asked for a PIN


@pytest.mark.usefixtures("alice")
def test_each_operation_wants_its_pin(tmp_path: Path) -> None:
    with RunningAgent(tmp_path, '[agent.policy]\nscope = "operation"\n') as agent:
        assert [sign(agent).code for _ in range(3)] == [0, 0, 0]
        assert agent.pinentry.asked() == 3
        assert outcomes(agent) == [("done", "pinentry")] * 3


@pytest.mark.usefixtures("alice")
def test_a_batch_is_counted_aloud(tmp_path: Path) -> None:
    with RunningAgent(tmp_path, '[agent.policy]\nscope = "batch"\nbatch = 2\n') as agent:
        results = [sign(agent) for _ in range(3)]
        assert [result.code for result in results] == [0, 0, 0]
        assert [result.err.strip() for result in results] == [f"{n} of 2 uses with this PIN" for n in (1, 2, 1)]
        assert agent.pinentry.asked() == 2


@pytest.mark.usefixtures("alice")
def test_a_policy_is_for_its_key_alone(tmp_path: Path) -> None:
    with RunningAgent(tmp_path, '[[agent.keys]]\nkey = "another"\nscope = "operation"\n') as agent:
        assert [sign(agent).code for _ in range(2)] == [0, 0]
        assert agent.pinentry.asked() == 1


@pytest.mark.usefixtures("alice")
def test_the_person_is_told_who_wants_what_with_which_key(tmp_path: Path) -> None:
    with RunningAgent(tmp_path) as agent:
        assert sign(agent).code == 0
        (text,) = agent.pinentry.descriptions()
    for piece in ("wants to sign with key 01", "Token 'alice', serial", "The PIN is good until"):
        assert piece in text


@pytest.mark.usefixtures("alice")
def test_who_says_no_is_not_signed_for(tmp_path: Path) -> None:
    with RunningAgent(tmp_path, '[agent.policy]\nconfirm = "every"\n', confirms=("no", "yes")) as agent:
        declined, allowed = sign(agent), sign(agent)
        assert (declined.code, "did not allow" in declined.err, allowed.code) == (10, True, 0)
        assert len(agent.log("use")) == 1


@pytest.mark.usefixtures("alice")
def test_each_program_is_confirmed_once(tmp_path: Path) -> None:
    with RunningAgent(tmp_path, '[agent.policy]\nconfirm = "first"\n', confirms=("yes",)) as agent:
        assert [sign(agent).code for _ in range(2)] == [0, 0]
        assert agent.pinentry.asked("CONFIRM") == 1


@pytest.mark.usefixtures("alice")
def test_a_cancelled_pin_is_no_use_of_a_key(tmp_path: Path) -> None:
    with RunningAgent(tmp_path, afterwards="cancel") as agent:
        result = sign(agent)
        assert (result.code, agent.log("use")) == (9, [])
        assert [entry.facts["outcome"] for entry in agent.log("login")] == ["pin-unavailable"]


@pytest.mark.usefixtures("alice")
def test_status_says_who_is_logged_in_and_lock_ends_it(tmp_path: Path) -> None:
    with RunningAgent(tmp_path) as agent:
        assert sign(agent).code == 0
        (token,) = json.loads(agent.run("agent", "status", "--json").out)["tokens"]
        assert (token["label"], token["login"]["used"]) == ("alice", 1)
        assert "1 login ended" in agent.run("agent", "lock").err
        assert json.loads(agent.run("agent", "status", "--json").out)["tokens"] == []
        assert [entry.facts["reason"] for entry in agent.log("logout")] == ["lock"]
        assert sign(agent).code == 0
        assert agent.pinentry.asked() == 2


@pytest.mark.usefixtures("alice")
def test_a_pin_source_of_the_configuration_is_read_by_the_worker(tmp_path: Path) -> None:
    (tmp_path / "pin").write_text(PIN)
    with RunningAgent(tmp_path, f'pin_source = "file:{tmp_path}/pin"\n') as agent:
        assert sign(agent).code == 0
        assert (agent.pinentry.asked(), outcomes(agent)) == (0, [("done", "source")])


@pytest.mark.usefixtures("alice")
def test_start_and_stop(tmp_path: Path) -> None:
    agent = RunningAgent(tmp_path)
    started = agent.run("agent", "start")
    assert (started.code, "the agent runs" in started.err) == (0, True)
    assert "runs already" in agent.run("agent", "start").err
    assert sign(agent).code == 0
    assert "has stopped" in agent.run("agent", "stop").err
    assert not agent.socket.exists()
    assert "no agent runs" in agent.run("agent", "stop").err


def test_an_agent_that_cannot_start_says_why(tmp_path: Path) -> None:
    agent = RunningAgent(tmp_path, config="[agent]\ntimeout = 0\n")
    result = agent.run("agent", "start")
    assert (result.code, "timeout is 1 to 3600" in result.err) == (8, True)


def test_a_mail_is_decrypted_through_it(tmp_path: Path, both: SoftToken) -> None:
    with both.open() as token:
        (found,) = [one for one in token.objects.certificates if one.certificate.name == "to decrypt"]
    certificate = x509.load_der_x509_certificate(found.certificate.encoded)
    mail = OpenSsl(tmp_path).encrypt(b"Content-Type: text/plain\r\n\r\nHello\r\n", certificate)
    with RunningAgent(tmp_path) as agent:
        results = [agent.run("decrypt", "--agent", "--token", both.label, stdin=mail) for _ in range(2)]
        assert [result.code for result in results] == [0, 0]
        assert {result.out for result in results} == {b"Content-Type: text/plain\r\n\r\nHello\r\n"}
        assert agent.pinentry.asked() == 1
        (text,) = agent.pinentry.descriptions()
        assert "wants to decrypt with key 02 'to decrypt'" in text
        uses = agent.log("use")
        assert [use.facts["operation"] for use in uses] == ["unwrap", "unwrap"]
        assert f"{found.certificate.serial_number:x}" in uses[0].facts["recipient"]


@pytest.mark.usefixtures("alice")
def test_several_workers_share_one_pin(tmp_path: Path) -> None:
    mails = tmp_path / "mails"
    mails.mkdir()
    for number in range(8):
        (mails / f"{number}.eml").write_bytes(MAIL)
    with RunningAgent(tmp_path, "workers = 3\n") as agent:
        assert agent.run("sign", "--agent", "--token", "alice", mails, "--output-dir", tmp_path / "out").code == 0
        (token,) = json.loads(agent.run("agent", "status", "--json").out)["tokens"]
        assert (len(token["workers"]), agent.pinentry.asked(), len(agent.log("use"))) == (3, 1, 8)


@pytest.mark.usefixtures("alice")
def test_who_waits_for_a_token_is_told_to_touch_it(tmp_path: Path, faulty_module: Path) -> None:
    script = FaultScript(tmp_path / "faults")
    with RunningAgent(tmp_path, module=str(faulty_module), variables=script.environment) as agent:
        assert sign(agent).err == ""
        script.write(slow="C_SignInit:1500")
        result = sign(agent)
        assert (result.code, result.err) == (0, "token 'alice' waits: touch the token if it blinks\n")


@pytest.mark.usefixtures("alice")
def test_a_wrong_pin_of_the_configuration_is_tried_once(tmp_path: Path, faulty_module: Path) -> None:
    (tmp_path / "pin").write_text("wrong")
    script = FaultScript(tmp_path / "faults")
    script.write(tries=3)
    config = f'pin_source = "file:{tmp_path}/pin"\n'
    with RunningAgent(tmp_path, config, module=str(faulty_module), variables=script.environment) as agent:
        assert [sign(agent).code for _ in range(3)] == [9, 9, 9]
        assert script.calls().count("C_Login") == 1
        (tmp_path / "pin").write_text(PIN)
        assert "not tried" in sign(agent).err
        agent.run("agent", "lock")
        assert sign(agent).code == 0


def test_a_key_to_decrypt_with_has_its_own_policy_from_the_login_on(
    both: SoftToken, faulty: Faulty, tmp_path: Path
) -> None:
    faulty.script.write(always_authenticate="all")
    config = '[[agent.keys]]\nkey = "to decrypt"\nkeep_pin = true\n'
    variables = faulty.script.environment
    agent = RunningAgent(tmp_path / "agent", config, module=str(faulty.module), variables=variables)
    with agent, agent.client() as client:
        user = User(client, both.label)
        (key,) = [key for key in user.seen.objects.keys if key.label == "to decrypt"]
        client.ask("login", token=user.seen.place.values(), key=KeyPlace.of(user.seen.info, key).values())
        for _ in range(3):
            user.unwrap(bytes(32))
        assert agent.pinentry.asked() == 1


@pytest.mark.parametrize("key", ["", "pkcs11:nonsense=1"])
def test_a_policy_that_is_for_no_key_is_refused_at_the_start(key: str, tmp_path: Path) -> None:
    agent = RunningAgent(tmp_path, config=f'[[agent.keys]]\nkey = "{key}"\n')
    result = agent.run("agent", "start")
    assert (result.code, "agent.keys" in result.err) == (8, True)


@pytest.mark.usefixtures("alice")
@pytest.mark.interop
def test_what_is_encrypted_is_signed_through_it(tmp_path: Path, issuing_ca: Authority) -> None:
    bob, anchor = People(issuing_ca, tmp_path)("bob"), tmp_path / "anchor.pem"
    anchor.write_bytes(issuing_ca.pem)
    options = ("--cert", bob.path, "--ca-file", anchor, "--revocation", "off", "--no-self")
    with RunningAgent(tmp_path / "agent") as agent:
        done = agent.run("encrypt", "--sign", "--agent", "--token", "alice", *options, stdin=MAIL)
        assert (done.code, [use.facts["operation"] for use in agent.log("use")]) == (0, ["sign"])
    command = ["openssl", "cms", "-verify", "-noverify", "-out", os.devnull]
    inside = bob.decrypt(done.out)
    assert subprocess.run(command, input=inside, capture_output=True, check=False).returncode == 0


@pytest.mark.usefixtures("alice")
def test_no_key_signs_what_is_not_encrypted_after_all(tmp_path: Path) -> None:
    options = ("--revocation", "off", "--to", "alice@example.org")
    with RunningAgent(tmp_path) as agent:
        refused = agent.run("encrypt", "--sign", "--agent", "--token", "alice", *options, stdin=MAIL)
        assert (refused.code, agent.log("use")) == (10, [])


@pytest.mark.parametrize("scope", ["operation", "batch"])
def test_a_counted_login_is_not_used_by_another_before_the_one_it_was_typed_for(
    alice: SoftToken, tmp_path: Path, scope: str
) -> None:
    config = f'[[agent.keys]]\nkey = "01"\nscope = "{scope}"\n'
    with RunningAgent(tmp_path, config) as agent, agent.client() as one, agent.client() as other:
        user = User(one, alice.label)
        (key,) = user.seen.objects.keys
        one.ask("login", token=user.seen.place.values(), key=KeyPlace.of(user.seen.info, key).values())
        User(other, alice.label).sign()
        assert agent.pinentry.asked() == 2
