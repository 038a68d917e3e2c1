"""Where a PIN is, by a look into the memory of every process of an agent: nowhere, once it is locked."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from smime_agent.errors import PinIncorrectError, PinUnavailableError
from tests.daemon.uses import User, begin, descendants, until, workers
from tests.support.agent import RunningAgent
from tests.support.memory import occurrences
from tests.support.softhsm import PIN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.softhsm import SoftToken

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the agent lets nobody look into it but root")

WRONG = "not-the-pin-at-all"
KEEP = "[agent.policy]\nkeep_pin = true\n"


def found(agent: RunningAgent, pin: str = PIN) -> dict[int, int]:
    """How often the PIN stands in the memory of each process that has it: the agent, and all below it."""
    processes = [agent.process.pid, *sorted(descendants(agent.process.pid))]
    counts = {}
    for pid in processes:
        with suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile, and has no memory
            counts[pid] = occurrences(pid, pin.encode())
    return {pid: count for pid, count in counts.items() if count}


def test_nobody_has_the_pin_while_somebody_is_logged_in(alice: SoftToken, tmp_path: Path) -> None:
    with RunningAgent(tmp_path) as agent, agent.client() as client:
        User(client, alice.label).sign()
        assert len(workers(agent)) == 1
        assert not found(agent)


def test_workers_that_get_the_pin_from_another_one_do_not_keep_it(alice: SoftToken, tmp_path: Path) -> None:
    with RunningAgent(tmp_path, config="workers = 3\n") as agent, agent.client() as client:
        User(client, alice.label).sign()
        assert len(workers(agent)) == 3
        assert not found(agent)


def test_who_is_to_keep_the_pin_has_it_and_after_lock_nobody(alice: SoftToken, tmp_path: Path) -> None:
    with RunningAgent(tmp_path, config=KEEP) as agent, agent.client() as client:
        User(client, alice.label).sign()
        assert set(found(agent)) == set(workers(agent))  # so the search finds what there is
        before = set(workers(agent))
        client.ask("lock")
        assert not before & descendants(agent.process.pid)  # whoever locks is answered when they have ended
        assert not found(agent)


def test_the_agent_never_has_a_pin_that_somebody_types(alice: SoftToken, tmp_path: Path) -> None:
    with RunningAgent(tmp_path, pins=[WRONG, "hang"]) as agent, agent.client() as client:
        user = User(client, alice.label)
        with pytest.raises(PinIncorrectError):
            user.sign()
        assert not found(agent, WRONG)
        begin(user)
        until(lambda: agent.pinentry.asked() == 2)
        assert not occurrences(agent.process.pid, PIN.encode())
        assert not occurrences(agent.process.pid, WRONG.encode())


def test_a_pin_that_was_wrong_is_not_kept(alice: SoftToken, tmp_path: Path) -> None:
    with RunningAgent(tmp_path, config=KEEP, pins=[WRONG], afterwards="cancel") as agent, agent.client() as client:
        user = User(client, alice.label)
        with pytest.raises(PinIncorrectError):
            user.sign()
        assert not found(agent, WRONG)
        with pytest.raises(PinUnavailableError):
            user.sign()


def test_a_token_that_is_let_go_of_takes_the_pin_along(alice: SoftToken, tmp_path: Path) -> None:
    config = "[agent]\nrelease = 1\n[agent.policy]\nkeep_pin = true\nidle = 1\n"
    with RunningAgent(tmp_path, config=config) as agent, agent.client() as client:
        User(client, alice.label).sign()
        assert found(agent)
        until(lambda: not workers(agent), 8)
        assert not found(agent)
