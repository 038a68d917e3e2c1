"""Whatever breaks, nothing is answered wrongly, nobody waits for ever, and every use of a key is written down."""

from __future__ import annotations

import faulthandler
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from smime_agent.daemon.audit import verify_log
from smime_agent.errors import AuditError
from tests.daemon.chaos import PATIENCE, TRIES, ActivatedAgent, Client, Mischief, Record, disk_full, leftovers, settled
from tests.daemon.uses import User, descriptors, resident
from tests.support.agent import RunningAgent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.faulty import Faulty
    from tests.support.softhsm import SoftToken

SEED = "2026"
CLIENTS, OPERATIONS, EVERY = 20, 100, 40


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder for an agent whose log is on a disk of its own, where one can be mounted."""
    state = tmp_path / "a" / "state"
    state.mkdir(parents=True, mode=0o700)
    command = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "chaos", str(state)]
    mounted = os.geteuid() == 0 and subprocess.run(command, check=False, capture_output=True).returncode == 0
    yield tmp_path / "a"
    if mounted:
        subprocess.run(["umount", "--lazy", str(state)], check=True)


@pytest.mark.slow
def test_chaos(both: SoftToken, faulty: Faulty, small_disk: Path) -> None:
    config = "[agent]\ntimeout = 2\n"
    variables = faulty.script.environment
    agent = ActivatedAgent(small_disk, config=config, module=str(faulty.module), variables=variables)
    record = Record()
    mischief = Mischief(agent, faulty.script, record, SEED, EVERY)
    mischief.total = CLIENTS * OPERATIONS
    mischief.quiet()
    with agent:
        with agent.client() as client:
            user = User(client, both.label)
            key, recipient = user.decrypter._key, user.recipient
        clients = [Client(agent, record, key, recipient, f"{SEED}-{number}") for number in range(CLIENTS)]
        for one in clients:
            one.operations = OPERATIONS
        begin = descriptors(agent.process.pid)
        for thread in (mischief, *clients):
            thread.start()
        for thread in (*clients, mischief):
            thread.join(3 * PATIENCE)
            if thread.is_alive():
                tell(record, mischief)
                faulthandler.dump_traceback(all_threads=True)
            assert not thread.is_alive(), f"{thread.name} waits for ever: {mischief.failure!r}"
        tell(record, mischief)
        assert mischief.failure is None
        with agent.client() as client:
            client.ask("lock")
        settled(agent)
        assert descriptors(agent.process.pid) <= begin + 4
        assert resident(agent.process.pid) < 150 << 20
    assert not leftovers(str(faulty.script.path), str(small_disk))
    judge(record, mischief, agent, faulty)


def test_no_key_is_used_while_the_log_has_no_room(alice: SoftToken, faulty: Faulty, tmp_path: Path) -> None:
    variables = faulty.script.environment
    running = RunningAgent(tmp_path / "agent", module=str(faulty.module), variables=variables)
    with running as agent, agent.client() as client:
        user = User(client, alice.label)
        user.sign()
        before = faulty.script.calls().count("C_Sign")
        with disk_full(agent), pytest.raises(AuditError):
            user.sign()
        assert faulty.script.calls().count("C_Sign") == before
        user.sign()
        verify_log(agent.audit_log)


def judge(record: Record, mischief: Mischief, agent: ActivatedAgent, faulty: Faulty) -> None:
    """What has to be true in the end."""
    assert not record.wrong_answers
    assert record.done == CLIENTS * OPERATIONS
    assert record.slowest < PATIENCE
    verify_log(agent.audit_log)
    uses = {entry.sequence_number: entry for entry in agent.log("use")}
    outcomes = agent.log("outcome")
    done = [uses[entry.facts["of"]] for entry in outcomes if entry.facts["outcome"] == "done"]
    digests = [entry.facts["digest"] for entry in done if entry.facts["operation"] == "sign"]
    assert not {f"sha256:{digest.hex()}" for digest in record.signed} - set(digests)
    assert len([entry for entry in done if entry.facts["operation"] == "unwrap"]) >= record.unwrapped
    assert len({entry.facts["of"] for entry in outcomes}) == len(outcomes)
    # Each PIN was tried once at most, and a wrong one only where somebody had mistyped it.
    assert faulty.logins() <= agent.pinentry.asked()
    refused = [entry for entry in agent.log("login") if entry.facts["outcome"] == "pin-incorrect"]
    assert len(refused) <= mischief.wrong_pins
    assert mischief.fewest_tries >= TRIES - mischief.wrong_pins


def tell(record: Record, mischief: Mischief) -> None:
    """What was done."""
    lines = [
        f"{len(record.signed)} signatures, {record.unwrapped} keys, {record.left} left early",
        f"slowest answer {record.slowest:.1f} s; broken: {dict(mischief.deeds)}",
        f"errors that clients were told: {dict(record.failures)}; tries left at least {mischief.fewest_tries}",
    ]
    sys.stdout.write("\n".join(["", *lines, ""]))
