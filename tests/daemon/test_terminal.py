"""Asking on the caller's terminal, and leaving it as it was."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from smime_agent.daemon import terminal
from smime_agent.daemon.dialogue import CannotAskError, Screen
from smime_agent.daemon.terminal import TerminalDialogue
from smime_agent.daemon.terminal_device import TerminalDevice
from smime_agent.errors import PinUnavailableError
from smime_agent.keys import Pin
from tests.support.memory import occurrences
from tests.support.person import Person

if TYPE_CHECKING:
    from pathlib import Path

TITLE, TEXT, YES = "smime-agent", "alice's card", "Use the key"
MEMORABLE_PIN = "first-octets-of-what-is-freed-are-overwritten-K3vxQp81zzUw"
MEMORABLE = b"K3vxQp81zzUw"
XOFF = "\x13"
ASKING = """
import sys
from smime_agent.daemon.dialogue import Screen
from smime_agent.daemon.terminal import TerminalDialogue
dialogue = TerminalDialogue(Screen(sys.argv[1]), seconds=30)
"""


def asking(person: Person, environment: dict[str, str] | None = None, seconds: float = 20) -> TerminalDialogue:
    return TerminalDialogue(person.screen(environment), seconds=seconds)


def started(person: Person, code: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", ASKING + code, person.tty],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )


def test_a_pin_is_what_was_typed() -> None:
    with Person() as person:
        answer = person.asked(lambda: asking(person).pin(TITLE, TEXT))
        person.expect("PIN:")
        person.type("12%34 ü\r")
        assert answer.result().reveal() == "12%34 ü".encode()


def test_a_pin_is_not_shown() -> None:
    with Person() as person:
        answer = person.asked(lambda: asking(person).pin(TITLE, TEXT))
        person.expect("PIN:")
        person.type("8642\r")
        answer.result()
        assert person.look() == "\r\n"


def test_the_person_sees_title_and_text() -> None:
    with Person() as person:
        answer = person.asked(lambda: asking(person).pin(TITLE, "first ü\nsecond"))
        person.expect("PIN:")
        assert person.text == "\r\nsmime-agent\r\nfirst ü\r\nsecond\r\nPIN: "
        person.type("1\r")
        answer.result()


def test_nothing_in_a_text_can_move_the_cursor_or_turn_the_line() -> None:
    with Person() as person:
        answer = person.asked(lambda: asking(person).pin(TITLE, "a\x1b[2Jb\u202ec\rd"))
        person.expect("a\\x1b[2Jb\\u202ec\\rd")
        person.type("1\r")
        answer.result()


@pytest.mark.parametrize("locale", [{}, {"LANG": "C"}, {"LANG": "C.UTF-8", "LC_ALL": "POSIX"}])
def test_a_terminal_that_is_not_known_to_take_utf8_gets_ascii(locale: dict[str, str]) -> None:
    with Person() as person:
        answer = person.asked(lambda: asking(person, locale).pin(TITLE, "für"))
        person.expect("f\\xfcr")
        person.type("1\r")
        answer.result()


def test_what_was_typed_before_the_question_is_no_answer_to_it() -> None:
    with Person() as person:
        person.type("early\r")
        answer = person.asked(lambda: asking(person).pin(TITLE, TEXT))
        person.expect("PIN:")
        person.type("1234\r")
        assert answer.result().reveal() == b"1234"


def test_the_terminal_may_be_in_any_mode_and_is_left_in_it() -> None:
    with Person() as person:
        subprocess.run(["stty", "raw", "-echo"], stdin=person.theirs, check=True)
        before = person.attributes()
        answer = person.asked(lambda: asking(person).pin(TITLE, TEXT))
        person.expect("PIN:")
        person.type("12x\x7f34\r")  # lines can be edited
        assert answer.result().reveal() == b"1234"
        assert person.attributes() == before


@pytest.mark.parametrize("keys", ["\r", "\x04"])
def test_no_pin_is_said_to_be_none(keys: str) -> None:
    with Person() as person:
        before = person.attributes()
        answer = person.asked(lambda: asking(person).pin(TITLE, TEXT))
        person.expect("PIN:")
        person.type(keys)
        with pytest.raises(PinUnavailableError, match=r"^no PIN was entered$"):
            answer.result()
        assert person.attributes() == before


def test_a_line_that_is_no_pin_is_refused() -> None:
    with Person() as person:
        answer = person.asked(lambda: asking(person).pin(TITLE, TEXT))
        person.expect("PIN:")
        person.type("1" * 300 + "\r")
        with pytest.raises(PinUnavailableError, match="longer than 256 octets"):
            answer.result()


def test_what_nobody_answers_ends_in_time_and_leaves_the_terminal_in_order() -> None:
    with Person() as person:
        before = person.attributes()
        begin = time.monotonic()
        with pytest.raises(PinUnavailableError, match="in time"):
            asking(person, seconds=0.3).pin(TITLE, TEXT)
        assert time.monotonic() - begin < 2
        assert person.attributes() == before


@pytest.mark.slow
def test_half_a_pin_that_came_too_late_goes_to_nobody_else() -> None:
    with Person() as person:
        answer = person.asked(lambda: asking(person, seconds=2).pin(TITLE, TEXT))
        person.expect("PIN:")
        person.type("864")
        with pytest.raises(PinUnavailableError):
            answer.result()
        os.set_blocking(person.theirs, False)
        person.type("\r")
        person.look()
        assert os.read(person.theirs, 100) == b"\n"


@pytest.mark.parametrize("keys", [XOFF, ""])
def test_a_terminal_that_takes_no_output_holds_nobody_up(keys: str) -> None:
    with Person() as person:
        person.type(keys)
        with pytest.raises(PinUnavailableError, match="in time"):
            asking(person, seconds=0.3).pin(TITLE, "x" * 100000)


@pytest.mark.parametrize("typed", ["yes", "YES", " yes "])
def test_yes_typed_in_full_is_a_yes(typed: str) -> None:
    with Person() as person:
        answer = person.asked(lambda: asking(person).confirm(TITLE, TEXT, YES))
        person.expect("Use the key? Type yes to agree: ")
        person.type(f"{typed}\r")
        assert answer.result() is True


@pytest.mark.parametrize("typed", ["y\r", "\r", "no\r", "yes please\r", "yesyes\r", "\x04"])
def test_anything_else_is_a_no(typed: str) -> None:
    with Person() as person:
        answer = person.asked(lambda: asking(person).confirm(TITLE, TEXT, YES))
        person.expect("Type yes")
        person.type(typed)
        assert answer.result() is False


@pytest.mark.parametrize("method", ["pin", "confirm"])
def test_a_terminal_that_is_closed_is_gone_and_says_neither_yes_nor_no(method: str) -> None:
    ours, theirs = pty.openpty()
    dialogue = TerminalDialogue(Screen(os.ttyname(theirs)), seconds=20)
    with Person() as other:  # only its threads
        answer = other.asked(
            lambda: dialogue.pin(TITLE, TEXT) if method == "pin" else dialogue.confirm(TITLE, TEXT, YES)
        )
        shown = b""
        while b": " not in shown:
            shown += os.read(ours, 1000)
        os.close(ours)
        with pytest.raises(PinUnavailableError, match="is gone"):
            answer.result()
    os.close(theirs)


def test_two_questions_on_one_terminal_come_one_after_the_other() -> None:
    with Person() as person:
        first = person.asked(lambda: asking(person).pin(TITLE, "first"))
        person.expect("PIN:")
        second = person.asked(lambda: asking(person).pin(TITLE, "second"))
        assert "second" not in person.look()
        person.type("1\r")
        assert first.result().reveal() == b"1"
        person.expect("second\r\nPIN:")
        person.type("2\r")
        assert second.result().reveal() == b"2"


def test_a_question_behind_another_one_does_not_wait_for_ever() -> None:
    with Person() as person:
        fcntl.flock(person.theirs, fcntl.LOCK_EX)
        with pytest.raises(PinUnavailableError, match="another question"):
            asking(person, seconds=0.3).pin(TITLE, TEXT)


def test_without_a_terminal_there_is_a_way_out() -> None:
    with pytest.raises(CannotAskError, match="no terminal") as caught:
        TerminalDialogue(Screen(), seconds=1).pin(TITLE, TEXT)
    assert caught.value.hint == "use --no-agent, or install pinentry"


@pytest.mark.parametrize("name", ["/dev/null", "/dev/zero", "/dev/../etc/passwd", "/dev/pts/99999", "/dev", "relative"])
def test_what_is_no_terminal_is_not_asked_on(name: str) -> None:
    with pytest.raises(CannotAskError):
        TerminalDialogue(Screen(name), seconds=1).pin(TITLE, TEXT)


def test_a_pipe_that_would_hold_us_is_not_even_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CannotAskError, match="is not a terminal"):
        TerminalDialogue(Screen(str(tmp_path / "pipe")), seconds=1).pin(TITLE, TEXT)


def test_the_terminal_of_another_user_is_not_asked_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with Person() as person:
        monkeypatch.setattr(os, "getuid", lambda: os.stat(person.tty).st_uid + 1)  # noqa: PTH116 - beside getuid
        with pytest.raises(CannotAskError, match="belongs to another user"):
            asking(person).pin(TITLE, TEXT)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("preparation", ["", "import signal; signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\n"])
def test_a_signal_that_ends_the_asker_leaves_the_terminal_in_order(number: signal.Signals, preparation: str) -> None:
    with Person() as person:
        before = person.attributes()
        with started(person, preparation + "dialogue.pin('smime-agent', 'text')") as asker:
            person.expect("PIN:")
            assert person.attributes() != before
            asker.send_signal(number)
            code = asker.wait(timeout=10)
        assert person.attributes() == before
        assert code == (3 if preparation and number == signal.SIGTERM else -number)


def test_the_asker_hears_its_signals_as_before_once_it_was_answered() -> None:
    with Person() as person, started(person, "dialogue.pin('', '')\nprint('done', flush=True)\ninput()") as asker:
        person.expect("PIN:")
        person.type("1234\r")
        assert asker.stdout
        assert asker.stdout.readline() == b"done\n"
        asker.terminate()
        assert asker.wait(timeout=10) == -signal.SIGTERM


def test_the_terminal_does_not_become_that_of_the_asker() -> None:
    ours, theirs = pty.openpty()  # no session has it: a session leader that opens it would get it
    code = "import os\ndialogue.pin('', '')\ntry: os.open('/dev/tty', 2)\nexcept OSError: print('none', flush=True)"
    with Person() as other:
        other.tty, tty = os.ttyname(theirs), other.tty
        with started(other, code) as asker:
            shown = b""
            while b"PIN: " not in shown:
                shown += os.read(ours, 1000)
            os.write(ours, b"1\r")
            assert asker.stdout
            assert asker.stdout.readline() == b"none\n"
        other.tty = tty
    os.close(ours)
    os.close(theirs)


def test_an_asker_in_the_background_of_its_own_terminal_says_so_and_is_not_stopped() -> None:
    code = ASKING + "try: dialogue.pin('', '')\nexcept Exception as error: print(error, flush=True)"
    ours, theirs = pty.openpty()
    script = 'exec 9<>"$0"; set -m; "$@" & wait'  # a shell with job control puts it into a group in the background
    shell = subprocess.Popen(
        ["sh", "-c", script, os.ttyname(theirs), sys.executable, "-c", code, os.ttyname(theirs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert shell.stdout
    assert b"runs in the background" in shell.stdout.readline()
    shell.kill()
    shell.wait()
    shell.stdout.close()
    os.close(ours)
    os.close(theirs)


def test_a_pin_that_was_wiped_is_nowhere_in_memory() -> None:
    wipe = "print('read', flush=True); input(); pin.wipe(); print('wiped', flush=True); input()"
    code = f"pin = dialogue.pin('', '')\n{wipe}"
    with Person() as person, started(person, code) as asker:
        person.expect("PIN:")
        person.type(f"{MEMORABLE_PIN}\r")
        assert asker.stdin
        assert asker.stdout
        assert asker.stdout.readline() == b"read\n"
        assert occurrences(asker.pid, MEMORABLE) == 1
        asker.stdin.write(b"\n")
        asker.stdin.flush()
        assert asker.stdout.readline() == b"wiped\n"
        assert occurrences(asker.pid, MEMORABLE) == 0
        asker.kill()


def test_each_buffer_that_held_a_pin_is_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    buffers: list[bytearray] = []
    read_line = TerminalDevice.read_line

    def reading(device: TerminalDevice, buffer: bytearray, deadline: float) -> int:
        buffers.append(buffer)
        return read_line(device, buffer, deadline)

    def holding(octets: bytearray) -> Pin:
        buffers.append(octets)
        return Pin(octets)

    monkeypatch.setattr(TerminalDevice, "read_line", reading)
    monkeypatch.setattr(terminal, "Pin", holding)
    with Person() as person:
        answer = person.asked(lambda: asking(person).pin(TITLE, TEXT))
        person.expect("PIN:")
        person.type("1234\r")
        assert answer.result().reveal() == b"1234"
    assert [any(buffer) for buffer in buffers] == [False, False]
