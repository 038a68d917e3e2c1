"""What becomes of PINs: one attempt each, the last one only by consent, and no dialogue that nobody waits for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from smime_agent.errors import LoginEndedError, PinIncorrectError, PinLastTryError, SmimeAgentError
from tests.daemon.uses import User, begin, until, workers
from tests.support.agent import RunningAgent

if TYPE_CHECKING:
    from collections.abc import Callable

    from smime_agent.daemon.client import AgentClient
    from tests.support.faulty import Faulty
    from tests.support.softhsm import SoftHsm, SoftToken

WRONG = "not-the-pin"


def running(faulty: Faulty, folder: Path, *pins: str, confirms: tuple[str, ...] = ()) -> RunningAgent:
    """An agent with the module that fails on request, and counts tries."""
    variables = faulty.script.environment
    module = str(faulty.module)
    return RunningAgent(folder / "agent", module=module, variables=variables, pins=pins, confirms=confirms)


def test_a_wrong_pin_is_one_attempt(alice: SoftToken, faulty: Faulty, tmp_path: Path) -> None:
    faulty.script.write(tries=3)
    with running(faulty, tmp_path, WRONG) as agent, agent.client() as client:
        user = User(client, alice.label)
        with pytest.raises(PinIncorrectError):
            user.sign()
        assert (faulty.script.tries_left, faulty.logins(), agent.pinentry.asked()) == (2, 1, 1)
        user.sign()
        assert (faulty.script.tries_left, faulty.logins(), agent.pinentry.asked()) == (3, 2, 2)


@pytest.mark.parametrize("answer", ["no", "cancel", "timeout", "die"])
def test_the_last_try_is_not_spent_without_a_yes(answer: str, alice: SoftToken, faulty: Faulty, tmp_path: Path) -> None:
    faulty.script.write(tries=1)
    with running(faulty, tmp_path, confirms=(answer,)) as agent, agent.client() as client:
        with pytest.raises(PinLastTryError):
            User(client, alice.label).sign()
        assert agent.pinentry.asked("CONFIRM") == 1
        assert (faulty.logins(), agent.pinentry.asked()) == (0, 0)


def test_the_last_try_is_spent_after_a_yes_to_that_question(alice: SoftToken, faulty: Faulty, tmp_path: Path) -> None:
    faulty.script.write(tries=1)
    with running(faulty, tmp_path, confirms=("yes",)) as agent, agent.client() as client:
        User(client, alice.label).sign()
        assert "has one PIN try left" in agent.pinentry.descriptions()[0]
        assert agent.pinentry.asked() == 1
        assert faulty.script.tries_left == 3


def test_a_yes_is_for_one_try(alice: SoftToken, faulty: Faulty, tmp_path: Path) -> None:
    faulty.script.write(tries=2)
    with running(faulty, tmp_path, WRONG, confirms=("yes", "no")) as agent, agent.client() as client:
        user = User(client, alice.label)
        with pytest.raises(PinIncorrectError):
            user.sign()
        user.sign()  # by the yes; now all tries are there again
        faulty.script.write(tries=1)
        client.ask("lock")
        with pytest.raises(PinLastTryError):
            user.sign()
        assert agent.pinentry.asked("CONFIRM") == 2


def leave(client: AgentClient, agent: RunningAgent) -> None:
    """The client goes away."""
    del agent
    client.close()


def lock(_: AgentClient, agent: RunningAgent) -> None:
    """Somebody else locks the agent."""
    with agent.client() as other:
        other.ask("lock")


def hang_up(_: AgentClient, agent: RunningAgent) -> None:
    """SIGHUP."""
    agent.hang_up()


def stop(_: AgentClient, agent: RunningAgent) -> None:
    """The agent is ended."""
    agent.process.terminate()


def kill(_: AgentClient, agent: RunningAgent) -> None:
    """The agent is killed."""
    agent.process.kill()


@pytest.mark.parametrize("end", [leave, lock, hang_up, stop, kill], ids=lambda end: end.__name__)
def test_a_dialogue_goes_away_with_what_it_was_for(
    end: Callable[[AgentClient, RunningAgent], None], alice: SoftToken, tmp_path: Path
) -> None:
    with RunningAgent(tmp_path, pins=["hang"]) as agent:
        client = agent.client()
        begin(User(client, alice.label))
        until(lambda: agent.pinentry.asked() == 1)
        (run,) = agent.pinentry.runs()
        end(client, agent)
        until(lambda: not is_running(run["pid"]), 3)
        client.close()


def is_running(pid: int) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_program_whose_dialogue_was_locked_away_is_told(alice: SoftToken, tmp_path: Path) -> None:
    with RunningAgent(tmp_path, pins=["hang"]) as agent, agent.client() as client:
        user = User(client, alice.label)
        begin(user, number=2)
        until(lambda: agent.pinentry.asked() == 1)
        lock(client, agent)
        client._number = 1
        with pytest.raises(LoginEndedError):
            client.ask("status")  # whose number is that of the request; so this is its answer


@pytest.mark.parametrize("end", [lock, hang_up], ids=lambda end: end.__name__)
def test_what_ends_a_login_has_the_pin_asked_for_again(
    end: Callable[[AgentClient, RunningAgent], None], alice: SoftToken, tmp_path: Path
) -> None:
    with RunningAgent(tmp_path) as agent, agent.client() as client:
        user = User(client, alice.label)
        user.sign()
        end(client, agent)
        until(lambda: not workers(agent))
        user.sign()
        assert agent.pinentry.asked() == 2


@pytest.mark.slow
def test_use_does_not_make_a_login_last_beyond_its_end(alice: SoftToken, tmp_path: Path) -> None:
    with RunningAgent(tmp_path, config="[agent.policy]\nabsolute = 2\n") as agent, agent.client() as client:
        user = User(client, alice.label)
        user.sign()
        until(lambda: user.sign() and agent.pinentry.asked() == 2, 4)


@pytest.mark.slow
def test_another_token_in_the_slot_does_not_get_the_login_of_the_old_one(softhsm: SoftHsm, tmp_path: Path) -> None:
    from smime_agent.keys import Pin
    from smime_agent.tokens.provision import init_token
    from smime_agent.tokens.token import Search
    from tests.support.softhsm import MODULE, SO_PIN

    token = softhsm.new_token("to be replaced")
    with RunningAgent(tmp_path) as agent, agent.client() as client:
        seen = User(client, token.label).seen
        client.ask("login", token=seen.place.values())
        assert len(workers(agent)) == 1
        init_token(Search(token.label, MODULE).one(), "another", Pin(SO_PIN.encode()))
        until(lambda: not workers(agent), 6)
        assert agent.log("logout")[0].facts["reason"] == "removed"
        with pytest.raises(SmimeAgentError):
            client.ask("login", token=seen.place.values())
        assert agent.pinentry.asked() == 1
