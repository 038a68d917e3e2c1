"""What the agent hears of cards, and who it says has one open."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from smime_agent.daemon import readers as module
from smime_agent.daemon.readers import ReaderEvents, holders_of_reader
from smime_agent.tokens.readers import NO_PCSC, EventKind, ReaderEvent
from tests.support.vpcd import ATR, Pcscd, card_in, pcscd

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

FIRST = "Virtual 1 00 00"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Pcscd]:
    with pcscd(tmp_path) as made:
        yield made


@asynccontextmanager
async def watched(daemon: Pcscd) -> AsyncIterator[tuple[ReaderEvents, asyncio.Queue[ReaderEvent]]]:
    readers = ReaderEvents(environment={**os.environ, **daemon.environment})
    queue: asyncio.Queue[ReaderEvent] = asyncio.Queue()

    async def watch() -> None:
        async for event in readers.watch():
            queue.put_nowait(event)

    task = asyncio.create_task(watch())
    try:
        async with asyncio.timeout(20):
            while not readers.is_available:  # noqa: ASYNC110 - it is only a fact
                await asyncio.sleep(0.01)
            yield readers, queue
    finally:
        task.cancel()
        await asyncio.wait({task})


async def until(queue: asyncio.Queue[ReaderEvent], kind: EventKind) -> ReaderEvent:
    while (event := await queue.get()).event is not kind:
        pass
    return event


def children() -> list[int]:
    """The processes that watch readers for this one."""
    found = []
    for folder in Path("/proc").glob("[1-9]*"):
        with suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and b"smime_agent.tokens.readers" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def test_a_card_that_is_put_in_is_told(daemon: Pcscd) -> None:
    async def main() -> ReaderEvent:
        async with watched(daemon) as (_readers, queue):
            with card_in(daemon):
                return await until(queue, EventKind.INSERTED)

    assert asyncio.run(main()) == ReaderEvent(EventKind.INSERTED, FIRST, ATR.hex())


def test_the_present_readers_and_cards_are_known(daemon: Pcscd) -> None:
    async def main() -> str | None:
        async with watched(daemon) as (readers, queue):
            with card_in(daemon):
                await until(queue, EventKind.INSERTED)
                return readers.readers[FIRST]

    assert asyncio.run(main()) == ATR.hex()


def test_a_card_that_is_taken_out_is_told(daemon: Pcscd) -> None:
    async def main() -> ReaderEvent:
        async with watched(daemon) as (_readers, queue):
            with card_in(daemon):
                await until(queue, EventKind.INSERTED)
            return await until(queue, EventKind.REMOVED)

    assert asyncio.run(main()).reader == FIRST


def test_a_process_that_dies_takes_its_cards_with_it_and_is_started_again(daemon: Pcscd) -> None:
    async def main() -> tuple[str | None, str | None]:
        async with watched(daemon) as (_readers, queue):
            with card_in(daemon):
                await until(queue, EventKind.INSERTED)
                (watcher,) = children()
                os.kill(watcher, 9)
                removed = await until(queue, EventKind.REMOVED)
                state = await until(queue, EventKind.STATE)
                return removed.reader, state.readers[FIRST]

    assert asyncio.run(main()) == (FIRST, ATR.hex())


def test_no_process_is_left_behind(daemon: Pcscd) -> None:
    async def main() -> None:
        async with watched(daemon):
            assert children()

    asyncio.run(main())
    assert not children()


def test_a_process_that_does_not_end_is_killed(daemon: Pcscd, monkeypatch: pytest.MonkeyPatch) -> None:
    code = """
import time
print('{"event": "state", "available": true, "readers": {}}', flush=True)  # smime_agent.tokens.readers
time.sleep(20)
"""
    monkeypatch.setattr(module, "_COMMAND", (sys.executable, "-c", code))
    monkeypatch.setattr(module, "_END_SECONDS", 0.1)
    begin = time.monotonic()
    test_no_process_is_left_behind(daemon)
    assert time.monotonic() - begin < 5


def test_a_process_that_prints_something_else_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "print('x' * 200000, flush=True); input()  # smime_agent.tokens.readers"
    monkeypatch.setattr(module, "_COMMAND", (sys.executable, "-c", code))
    monkeypatch.setattr(module, "_FIRST_PAUSE", 60)

    async def main() -> list[int]:
        task = asyncio.create_task(first_event(ReaderEvents()))
        await asyncio.sleep(1)
        left = children()
        task.cancel()
        await asyncio.wait({task})
        return left

    assert asyncio.run(main()) == []


async def first_event(readers: ReaderEvents) -> ReaderEvent:
    return await anext(readers.watch())


def test_without_pcsc_watching_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_COMMAND", (sys.executable, "-c", f"raise SystemExit({NO_PCSC})"))

    async def main() -> list[ReaderEvent]:
        return [event async for event in ReaderEvents().watch()]

    assert asyncio.run(main()) == []


CLIENT = """
from smartcard.scard import *
context = SCardEstablishContext(SCARD_SCOPE_USER)[1]
print(1, flush=True)
input()
"""


@contextmanager
def program(*command: str | Path, **environment: str) -> Iterator[int]:
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env={**os.environ, **environment}) as process:
        try:
            assert process.stdout is not None
            if command[0] == sys.executable:
                assert process.stdout.readline()
            yield process.pid
        finally:
            process.kill()


def test_who_is_connected_to_the_daemon_is_named(daemon: Pcscd, tmp_path: Path) -> None:
    script = tmp_path / "card-manager"
    script.write_text(CLIENT)
    with program(sys.executable, script, **daemon.environment) as pid:
        holders = holders_of_reader(str(daemon.socket_path))
    assert [(holder.name, holder.pid) for holder in holders if holder.name != "scdaemon"] == [("card-manager", pid)]


def test_who_is_not_connected_is_not_named(daemon: Pcscd) -> None:
    with program(sys.executable, "-c", "print(1, flush=True); input()") as pid:
        assert pid not in [holder.pid for holder in holders_of_reader(str(daemon.socket_path))]


def test_scdaemon_is_named_in_any_case(tmp_path: Path) -> None:
    scdaemon = Path(shutil.copy("/bin/cat", tmp_path / "scdaemon"))
    with program(scdaemon) as pid:
        while Path(f"/proc/{pid}/exe").readlink() != scdaemon:
            pass
        assert pid in [holder.pid for holder in holders_of_reader("/nowhere")]


def test_our_own_processes_are_not_named(daemon: Pcscd) -> None:
    async def main() -> list[str]:
        async with watched(daemon):
            return [holder.name for holder in holders_of_reader(str(daemon.socket_path)) if holder.name != "scdaemon"]

    assert asyncio.run(main()) == []
