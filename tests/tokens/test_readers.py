"""Cards that come and go, in virtual readers of a real PC/SC daemon."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smartcard import scard

from smime_agent.errors import TokenError
from smime_agent.tokens.readers import NO_PCSC, EventKind, ReaderEvent, _Watcher
from tests.support.vpcd import ATR, Pcscd, card_in, pcscd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FIRST, SECOND = "Virtual 1 00 00", "Virtual 1 00 01"
#: The daemon itself looks at a reader every 0.4 s.
SECONDS = 1.0


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Pcscd]:
    with pcscd(tmp_path) as made:
        yield made


@dataclass
class Watching:
    process: subprocess.Popen[bytes]

    def event(self, within: float = 10) -> dict[str, Any]:
        """The next line."""
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], within)
        assert readable, f"nothing was told within {within} s"
        line = self.process.stdout.readline()
        assert line, "the process ended"
        told = json.loads(line)
        assert isinstance(told, dict)
        return told

    def has(self, reader: str) -> None:
        """Wait for a card in it, which may be there from the beginning."""
        while (told := self.event()) and not told.get("readers", {}).get(reader):
            if told["event"] == "inserted" and told["reader"] == reader:
                return

    def until(self, event: str) -> dict[str, Any]:
        while (told := self.event())["event"] != event:
            pass
        return told


@contextmanager
def watching(daemon: Pcscd) -> Iterator[Watching]:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "smime_agent.tokens.readers"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        env={**os.environ, **daemon.environment},
    )
    try:
        yield Watching(process)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()


def test_the_first_line_is_the_present_state(daemon: Pcscd) -> None:
    with card_in(daemon, 1):
        with watching(daemon) as readers:
            readers.has(SECOND)
        with watching(daemon) as readers:  # by now the daemon has looked at the card
            assert readers.event()["readers"] == {FIRST: None, SECOND: ATR.hex()}


def test_a_card_that_is_put_in_is_seen_at_once(daemon: Pcscd) -> None:
    with watching(daemon) as readers:
        readers.event()
        with card_in(daemon):
            assert readers.event(SECONDS) == {"event": "inserted", "reader": FIRST, "atr": ATR.hex()}


def test_a_card_that_is_taken_out_is_seen_at_once(daemon: Pcscd) -> None:
    with watching(daemon) as readers:
        readers.event()
        with card_in(daemon):
            readers.event()
        assert readers.event(SECONDS) == {"event": "removed", "reader": FIRST, "atr": ATR.hex()}


def test_the_other_reader_is_told_apart(daemon: Pcscd) -> None:
    with watching(daemon) as readers, card_in(daemon):
        readers.has(FIRST)
        with card_in(daemon, 1):
            assert readers.event()["reader"] == SECOND


class BriefDaemon:
    """PC/SC, as a program sees it that looks too seldom: one insertion and removal more each time."""

    def __init__(self) -> None:
        self.counter = 1
        self.__dict__.update({name: value for name, value in vars(scard).items() if name.startswith("SCARD_")})

    def SCardEstablishContext(self, _scope: int) -> list[int]:  # noqa: N802 - its name
        return [0, 1]

    def SCardReleaseContext(self, _context: int) -> int:  # noqa: N802
        return 0

    def SCardListReaders(self, _context: int, _groups: list[str]) -> list[Any]:  # noqa: N802
        return [0, [FIRST]]

    def SCardGetStatusChange(self, _context: int, timeout: int, _states: list[Any]) -> list[Any]:  # noqa: N802
        if timeout:
            self.counter += 2
        if self.counter > 3:
            raise StopAsyncIteration  # enough
        return [0, [(FIRST, self.counter << 16 | scard.SCARD_STATE_PRESENT | scard.SCARD_STATE_CHANGED, list(ATR))]]


def test_a_card_that_was_out_between_two_looks_was_removed() -> None:
    told: list[ReaderEvent] = []
    with pytest.raises(StopAsyncIteration):
        _Watcher(BriefDaemon(), told.append).run()
    assert [event.event.value for event in told] == ["state", "removed", "inserted"]


USE = """
from smartcard.scard import *
context = SCardEstablishContext(SCARD_SCOPE_USER)[1]
for sharing in (SCARD_SHARE_SHARED, SCARD_SHARE_EXCLUSIVE):
    result, card, protocol = SCardConnect(context, "Virtual 1 00 00", sharing, SCARD_PROTOCOL_ANY)
    assert result == 0, SCardGetErrorMessage(result)
    assert SCardTransmit(card, SCARD_PCI_T1, [0, 0xA4, 4, 0])[1] == [0x6D, 0]
    SCardDisconnect(card, SCARD_RESET_CARD)
"""


def test_a_program_that_uses_the_card_is_no_event(daemon: Pcscd) -> None:
    with watching(daemon) as readers:
        with card_in(daemon):
            readers.has(FIRST)
            subprocess.run([sys.executable, "-c", USE], env={**os.environ, **daemon.environment}, check=True)
            time.sleep(0.5)
        assert readers.event()["event"] == "removed"


def test_a_daemon_that_stops_takes_its_cards_with_it(daemon: Pcscd) -> None:
    with watching(daemon) as readers, card_in(daemon):
        readers.has(FIRST)
        daemon.stop()
        assert readers.event()["event"] == "removed"
        assert readers.until("unavailable")


def test_a_daemon_that_is_started_again_is_found(daemon: Pcscd) -> None:
    with watching(daemon) as readers:
        readers.event()
        daemon.stop()
        readers.until("unavailable")
        time.sleep(1)  # it is told once, however often it is tried
        daemon.start()
        assert readers.event()["event"] == "available"
        with card_in(daemon):
            assert readers.until("inserted")["reader"] == FIRST


def test_without_a_daemon_the_state_says_so(tmp_path: Path) -> None:
    with watching(Pcscd(tmp_path)) as readers:
        assert readers.event() == {"event": "state", "available": False, "readers": {}}


@pytest.mark.parametrize("runs", [True, False], ids=["with a daemon", "without one"])
def test_it_ends_with_its_standard_input(daemon: Pcscd, runs: bool) -> None:  # noqa: FBT001
    if not runs:
        daemon.stop()
    with watching(daemon) as readers:
        readers.event()
        assert readers.process.stdin is not None
        readers.process.stdin.close()
        assert readers.process.wait(2) == 0


def test_without_pyscard_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "smartcard.py").write_text("raise ImportError")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from smime_agent.tokens.readers import main; main()"
    done = subprocess.run([sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert done.returncode == NO_PCSC


@pytest.mark.parametrize("event", EventKind)
def test_an_event_is_the_same_after_its_line(event: EventKind) -> None:
    told = ReaderEvent(event, "Reader “é” 00", "3b00", {"a": None, "b": "3b"} if event is EventKind.STATE else {})
    assert ReaderEvent.parse(told.line().encode("ascii")) == told


@given(
    st.binary()
    | st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists).map(
        lambda value: json.dumps({"event": "inserted", "reader": value, "atr": value, "readers": value}).encode()
    )
)
def test_any_other_line_is_an_error_of_ours(line: bytes) -> None:
    try:
        event = ReaderEvent.parse(line)
    except TokenError:
        return
    assert event.reader is None or len(event.reader) <= 256
