"""neomutt and the agent: one PIN for all that it does, and a log of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.neomutt.conftest import encrypted
from tests.neomutt.test_sending import composed, protected
from tests.support.agent import RunningAgent
from tests.support.softhsm import PIN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.neomutt import Desk

pytestmark = [pytest.mark.interop, pytest.mark.slow]


@pytest.fixture
def agent(desk: Desk, tmp_path: Path) -> Iterator[RunningAgent]:
    """An agent that Alice's programs use."""
    desk.ask_for_pin()
    with RunningAgent(tmp_path / "agent") as running:
        desk.env["SMIME_AGENT_SOCKET"] = str(running.socket)
        yield running


def test_one_pin_is_enough_to_read_and_to_write(desk: Desk, agent: RunningAgent) -> None:
    entity = b"Content-Type: text/plain\r\n\r\nthe secret\r\n"
    desk.receive(encrypted(entity, desk.certificate(), "bob@example.org", "Greetings"))
    with desk.neomutt() as screen:
        screen.expect("1 N")
        screen.type("\r")
        screen.answer("Enter S/MIME passphrase", "\r")
        screen.expect("the secret")
        screen.type("i")
        screen.expect("q:Quit")
        composed(screen)
        protected(screen, "s", "Sign (S/MIME)")
        screen.expect("Mail sent")
    assert agent.pinentry.asked() == 1


def test_the_log_says_that_neomutt_used_the_key(desk: Desk, agent: RunningAgent) -> None:
    with desk.neomutt() as screen:
        composed(screen)
        protected(screen, "s", "Sign (S/MIME)")
        screen.answer("Enter S/MIME passphrase", "\r")
        screen.expect("Mail sent")
    (use,) = [entry for entry in agent.log() if entry.event == "use"]
    assert "neomutt" in str(use.facts["program"])


def test_without_pinentry_the_agent_asks_where_neomutt_runs(desk: Desk, agent: RunningAgent) -> None:
    agent.pinentry.program.unlink()
    entity = b"Content-Type: text/plain\r\n\r\nthe secret\r\n"
    desk.receive(encrypted(entity, desk.certificate(), "bob@example.org", "Greetings"))
    with desk.neomutt() as screen:
        screen.expect("1 N")
        screen.type("\r")
        screen.answer("Enter S/MIME passphrase", "\r")
        screen.answer("PIN: ".rstrip(), f"{PIN}\r")
        screen.expect("the secret")
