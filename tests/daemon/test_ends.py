"""What ends a login, and what comes after: the PIN is asked for again, and nothing has to be started anew."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from smime_agent.daemon.protocol import frame
from smime_agent.errors import LoginEndedError, TokenError, TokenRemovedError
from tests.daemon.uses import User, begin, until, workers
from tests.support.agent import RunningAgent

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.faulty import Faulty
    from tests.support.softhsm import SoftToken


def running(faulty: Faulty, folder: Path, config: str = "") -> RunningAgent:
    """An agent with the module that fails on request."""
    return RunningAgent(folder / "agent", module=str(faulty.module), variables=faulty.script.environment, config=config)


def test_a_worker_that_is_killed_while_nobody_uses_it_takes_the_login_with_it(alice: SoftToken, tmp_path: Path) -> None:
    with RunningAgent(tmp_path) as agent, agent.client() as client:
        user = User(client, alice.label)
        user.sign()
        os.kill(workers(agent)[0], signal.SIGKILL)
        until(lambda: not workers(agent))
        user.sign()
        assert agent.pinentry.asked() == 2
        assert [entry.event for entry in agent.log("login", "logout")][:3] == ["login", "logout", "login"]


@pytest.mark.parametrize("lane", [0, 1])
def test_a_token_with_two_workers_goes_on_with_the_other(lane: int, alice: SoftToken, tmp_path: Path) -> None:
    with RunningAgent(tmp_path, config="workers = 2\n") as agent, agent.client() as one, agent.client() as two:
        users = [User(one, alice.label), User(two, alice.label)]
        users[0].sign()
        os.kill(workers(agent)[lane], signal.SIGKILL)
        until(lambda: len(workers(agent)) == 1)
        for _ in range(20):
            for user in users:
                user.sign()
        assert agent.pinentry.asked() == 1


def test_a_program_that_goes_away_while_the_person_is_asked_ends_the_login_too(
    alice: SoftToken, tmp_path: Path
) -> None:
    config = '[agent.policy]\nconfirm = "every"\n'
    with RunningAgent(tmp_path, config=config, confirms=["yes", "hang", "yes"]) as agent, agent.client() as client:
        User(client, alice.label).sign()
        leaving = agent.client()
        user = User(leaving, alice.label)
        begin(user)
        until(lambda: agent.pinentry.asked("CONFIRM") == 2)
        leaving.close()
        User(client, alice.label).sign()
        assert agent.pinentry.asked() == 2
        assert [entry.event for entry in agent.log("login", "logout")] == ["login", "logout", "login"]


@pytest.mark.slow
def test_a_login_ends_when_its_time_is_over_however_long_the_token_is_held(alice: SoftToken, tmp_path: Path) -> None:
    with RunningAgent(tmp_path, config="[agent.policy]\nidle = 1\n") as agent, agent.client() as client:
        User(client, alice.label).sign()
        until(lambda: not workers(agent), 3)
        assert agent.log("logout")[0].facts["reason"] == "expired"


@pytest.mark.slow
def test_a_worker_that_logs_in_after_the_login_has_ended_is_not_used(
    alice: SoftToken, faulty: Faulty, tmp_path: Path
) -> None:
    faulty.script.write(slow="C_Login:900")
    config = "workers = 2\n[agent.policy]\nidle = 1\n"
    with running(faulty, tmp_path, config=config) as agent, agent.client() as client:
        user = User(client, alice.label)
        with pytest.raises(LoginEndedError):
            user.sign()
        assert not workers(agent)
        faulty.script.write()
        user.sign()
        assert agent.pinentry.asked() == 2


@pytest.mark.slow
def test_a_token_that_is_pulled_out_is_logged_out_within_seconds(
    alice: SoftToken, faulty: Faulty, tmp_path: Path
) -> None:
    with running(faulty, tmp_path) as agent, agent.client() as client:
        User(client, alice.label).sign()
        faulty.script.write(removed=True)
        until(lambda: not workers(agent), 5)
        assert agent.log("logout")[0].facts["reason"] == "removed"


def test_a_token_that_is_put_in_again_works_at_once_and_wants_its_pin(
    alice: SoftToken, faulty: Faulty, tmp_path: Path
) -> None:
    with running(faulty, tmp_path) as agent, agent.client() as client:
        user = User(client, alice.label)
        user.sign()
        faulty.script.write(remove_at="C_Sign:1")
        with pytest.raises(TokenRemovedError):
            user.sign()
        faulty.script.write()
        user.sign()
        assert agent.pinentry.asked() == 2


@pytest.mark.slow
def test_a_module_that_hangs_keeps_all_who_look_at_it_waiting_for_one_timeout(
    alice: SoftToken, faulty: Faulty, tmp_path: Path
) -> None:
    faulty.script.write(hang="C_GetSlotList")
    with running(faulty, tmp_path, "[agent]\ntimeout = 2\n") as agent:
        begun = time.monotonic()
        with ThreadPoolExecutor(6) as pool:
            failures = list(pool.map(lambda _: failure_to_list(agent, alice.label), range(6)))
        assert all("does not answer" in failure for failure in failures)
        assert time.monotonic() - begun < 5


def failure_to_list(agent: RunningAgent, token: str) -> str:
    """Why tokens cannot be listed."""
    with agent.client() as client, pytest.raises(TokenError) as caught:
        client.ask("tokens", token=token, module=None)
    return str(caught.value)


@pytest.mark.slow
def test_a_program_that_leaves_while_tokens_are_looked_at_leaves_no_stale_answer(
    alice: SoftToken, faulty: Faulty, tmp_path: Path
) -> None:
    faulty.script.write(slow="C_OpenSession:300")
    with running(faulty, tmp_path) as agent, agent.client() as client:
        leaving = agent.client()
        leaving._connection.sendall(frame({"id": 9, "method": "tokens", "params": {}}))
        until(lambda: "C_OpenSession" in faulty.script.calls())
        leaving.close()
        assert client.ask("tokens", token=alice.label, module=None).items("tokens")
        time.sleep(1)
        faulty.script.write(removed=True)
        time.sleep(1.1)  # a look holds for two seconds
        assert not client.ask("tokens", token=alice.label, module=None).items("tokens")
