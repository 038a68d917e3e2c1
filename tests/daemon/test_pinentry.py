"""Asking through a pinentry: what it is told and gets, what it can do wrong, and the real ones."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from smime_agent.daemon.dialogue import CannotAskError, Screen
from smime_agent.daemon.pinentry import Pinentry
from smime_agent.errors import PinUnavailableError
from tests.support.memory import occurrences
from tests.support.person import Person
from tests.support.pinentry import FakePinentry

WINDOWS = Screen(None, {"DISPLAY": ":7", "XAUTHORITY": "/home/alice/.Xauthority", "LANG": "de_DE.UTF-8"})
TITLE, TEXT = "smime-agent", "alice's card"
# What is freed is overwritten in its first octets by the allocator: the search is for the last ones.
MEMORABLE_PIN = "first-octets-of-what-is-freed-are-overwritten-K3vxQp81zzUw"
MEMORABLE = b"K3vxQp81zzUw"
ASKING = """
import os, sys
from smime_agent.daemon.dialogue import Screen, dialogue_on
tty, program = sys.argv[1:3]
dialogue = dialogue_on(Screen(tty or None, {"TERM": "xterm", "LANG": "C.UTF-8"}), program or None, seconds=30)
"""


def asking(fake: FakePinentry, screen: Screen = WINDOWS, seconds: float = 20) -> Pinentry:
    return Pinentry(str(fake.program), screen, seconds=seconds)


def is_running(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def until(there: object, what: str) -> None:
    assert callable(there)
    deadline = time.monotonic() + 20
    while not there():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


@pytest.fixture
def fake(tmp_path: Path) -> FakePinentry:
    return FakePinentry(tmp_path / "with 'quotes'")


def started(program: Path | str, code: str, tty: str = "") -> subprocess.Popen[bytes]:
    """A process that asks, as a worker does."""
    return subprocess.Popen(
        [sys.executable, "-c", ASKING + code, tty, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def test_a_pin_comes_as_it_was_typed(fake: FakePinentry) -> None:
    fake.answer(pins=["12%34\\ü "])
    assert asking(fake).pin(TITLE, TEXT).reveal() == "12%34\\ü ".encode()


def test_the_person_sees_title_and_text(fake: FakePinentry) -> None:
    fake.answer(pins=["1234"])
    asking(fake).pin(TITLE, "first\nsecond")
    assert fake.descriptions() == ["smime-agent\n\nfirst\nsecond"]


def test_nothing_in_a_text_can_move_the_cursor_or_turn_the_line(fake: FakePinentry) -> None:
    fake.answer(pins=["1234"])
    asking(fake).pin(TITLE, "a\x1b[2Jb\u202ec\rd")
    assert fake.descriptions() == ["smime-agent\n\na\\x1b[2Jb\\u202ec\\rd"]


def test_no_tag_stands_in_the_first_line_where_qt_would_take_it_for_html(fake: FakePinentry) -> None:
    fake.answer(pins=["1234"])
    asking(fake).pin("<b>title", "<b>text")
    assert "<" not in fake.descriptions()[0].split("\n")[0]


def test_an_underline_on_a_button_is_no_short_cut(fake: FakePinentry) -> None:
    fake.answer(confirms=["yes"])
    asking(fake).confirm(TITLE, TEXT, "Use key_1")
    assert fake.lines("SETOK") == ["Use key__1"]


def test_it_is_never_offered_a_cache_of_passwords(fake: FakePinentry) -> None:
    fake.answer(pins=["1234"])
    asking(fake).pin(TITLE, TEXT)
    assert not [line for line in fake.lines() if "cache" in line or line.startswith("SETKEYINFO")]


def test_it_gives_up_before_we_do(fake: FakePinentry) -> None:
    fake.answer(pins=["1234"])
    asking(fake, seconds=20).pin(TITLE, TEXT)
    assert fake.lines("SETTIMEOUT") == ["19"]


def test_the_environment_is_that_of_the_screen_and_nothing_of_ours(
    fake: FakePinentry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIN", "very-secret")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/somewhere")
    monkeypatch.setenv("DISPLAY", ":0")
    fake.answer(pins=["1234"])
    asking(fake).pin(TITLE, TEXT)
    environment = fake.runs()[0]["environment"]
    environment.pop("PWD")  # of the shell that starts it
    assert environment == {**WINDOWS.environment, "PATH": os.environ["PATH"], "HOME": os.environ["HOME"]}


def test_it_has_no_descriptor_of_ours(fake: FakePinentry, tmp_path: Path) -> None:
    fake.answer(pins=["1234"])
    with (tmp_path / "file").open("w") as file:
        os.set_inheritable(file.fileno(), True)  # noqa: FBT003 - positional only
        asking(fake).pin(TITLE, TEXT)
    assert fake.runs()[0]["descriptors"] == [0, 1, 2]


def test_it_runs_in_a_session_of_its_own(fake: FakePinentry) -> None:
    fake.answer(pins=["1234"])
    asking(fake).pin(TITLE, TEXT)
    run = fake.runs()[0]
    assert run["session"] == run["pid"]


def test_it_is_told_the_display_twice_for_some_look_at_arguments_only(fake: FakePinentry) -> None:
    fake.answer(pins=["1234"])
    asking(fake).pin(TITLE, TEXT)
    assert fake.runs()[0]["arguments"] == ["--display", ":7"]


def test_a_wayland_display_is_not_given_as_one_of_x(fake: FakePinentry) -> None:
    fake.answer(pins=["1234"])
    asking(fake, Screen(None, {"WAYLAND_DISPLAY": "wayland-0"})).pin(TITLE, TEXT)
    assert fake.runs()[0]["arguments"] == []


def test_it_is_told_terminal_and_language(fake: FakePinentry) -> None:
    fake.answer(pins=["1234"])
    with Person() as person:
        asking(fake, person.screen({"TERM": "xterm", "LANG": "de_DE.UTF-8", "LC_CTYPE": "C"})).pin(TITLE, TEXT)
        assert fake.lines("OPTION") == [
            f"ttyname={person.tty}",
            "ttytype=xterm",
            "lc-ctype=C",
            "lc-messages=de_DE.UTF-8",
        ]


def test_a_file_is_never_told_as_a_terminal_for_it_would_be_written_to(fake: FakePinentry, tmp_path: Path) -> None:
    fake.answer(pins=["1234"])
    file = tmp_path / "precious"
    file.touch()
    asking(fake, Screen(str(file), {"TERM": "xterm"})).pin(TITLE, TEXT)
    assert fake.lines("OPTION") == []


def test_a_yes_is_a_yes(fake: FakePinentry) -> None:
    fake.answer(confirms=["yes"])
    assert asking(fake).confirm(TITLE, TEXT, "Use the key") is True


@pytest.mark.parametrize("answer", ["no", "cancel"])
def test_a_no_and_a_closed_window_are_both_a_no(fake: FakePinentry, answer: str) -> None:
    fake.answer(confirms=[answer])
    assert asking(fake).confirm(TITLE, TEXT, "Use the key") is False


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ("cancel", "no PIN was entered: the dialogue was cancelled"),
        ("timeout", "nobody answered the dialogue in time"),
        ("", "no PIN was entered"),
        ("die", "pinentry ended without an answer"),
        ("closed", "pinentry ended without an answer"),
        ("garbage", "pinentry sends something that is no answer"),
        ("endless", "pinentry sends a line without an end"),
        ("1" * 257, "what was typed is longer than 256 octets, and so no PIN"),
    ],
)
def test_without_a_pin_it_is_said_why(fake: FakePinentry, answer: str, sentence: str) -> None:
    fake.answer(pins=[answer])
    with pytest.raises(PinUnavailableError) as caught:
        asking(fake).pin(TITLE, TEXT)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("answer", ["timeout", "die", "closed", "garbage", "endless"])
def test_no_answer_to_a_confirmation_is_neither_yes_nor_no(fake: FakePinentry, answer: str) -> None:
    fake.answer(confirms=[answer])
    with pytest.raises(PinUnavailableError):
        asking(fake).confirm(TITLE, TEXT, "Use the key")


@pytest.mark.slow
@pytest.mark.parametrize("answer", ["hang", "locked-up"])
def test_one_that_does_not_answer_is_ended_in_time(fake: FakePinentry, answer: str) -> None:
    fake.answer(pins=[answer])
    begin = time.monotonic()
    with pytest.raises(PinUnavailableError, match="in time"):
        asking(fake, seconds=1).pin(TITLE, TEXT)
    assert time.monotonic() - begin < 5
    assert not is_running(fake.runs()[0]["pid"])


@pytest.mark.parametrize("answer", ["1234", "cancel", "garbage", "endless"])
def test_no_process_of_it_is_left(fake: FakePinentry, answer: str) -> None:
    fake.answer(pins=[answer])
    with suppress(PinUnavailableError):
        asking(fake).pin(TITLE, TEXT)
    assert not is_running(fake.runs()[0]["pid"])


@pytest.mark.parametrize("greeting", ["ERR 67109133 no display", "die", "closed", "garbage", "endless", "hello"])
def test_one_that_does_not_greet_has_asked_nobody(tmp_path: Path, greeting: str) -> None:
    with pytest.raises(CannotAskError):
        asking(FakePinentry(tmp_path, ["1234"], greeting=greeting)).pin(TITLE, TEXT)


def test_one_that_is_not_there_is_named(tmp_path: Path) -> None:
    program = tmp_path / "pinentry"
    with pytest.raises(CannotAskError, match=f"^cannot start {program}: No such file or directory$"):
        Pinentry(str(program), WINDOWS, seconds=5).pin(TITLE, TEXT)


@pytest.mark.parametrize("name", ["\0", "/", "/etc/passwd", "\ud800"])
def test_what_is_no_program_is_an_error_of_ours(name: str) -> None:
    with pytest.raises(CannotAskError):
        Pinentry(name, WINDOWS, seconds=5).pin(TITLE, TEXT)


def test_with_neither_terminal_nor_display_cancelled_means_that_nobody_saw_it(fake: FakePinentry) -> None:
    fake.answer(pins=["cancel"])
    with pytest.raises(CannotAskError):
        asking(fake, Screen()).pin(TITLE, TEXT)


def test_one_that_ends_when_the_asker_is_killed(fake: FakePinentry) -> None:
    fake.answer(pins=["hang"])
    with started(fake.program, "dialogue.pin('', '')") as asker:
        until(lambda: fake.asked() == 1, "it is not asked")
        asker.kill()
        asker.wait()
        until(lambda: not is_running(fake.runs()[0]["pid"]), "it runs on")


def test_a_pin_that_was_wiped_is_nowhere_in_memory(fake: FakePinentry) -> None:
    fake.answer(pins=[MEMORABLE_PIN])
    code = "pin = dialogue.pin('smime-agent', 'text')\n" + READ_THEN_WIPE
    with started(fake.program, code) as asker:
        assert_only_there_until_it_is_wiped(asker)


def test_a_pin_that_did_not_come_whole_is_nowhere_in_memory(fake: FakePinentry) -> None:
    fake.answer(pins=[f"half {MEMORABLE_PIN}"])
    code = "try: dialogue.pin('', '')\nexcept Exception as error: print(error, flush=True); input()"
    with started(fake.program, code) as asker:
        assert asker.stdout
        assert asker.stdout.readline() == b"pinentry ended without an answer\n"
        assert occurrences(asker.pid, MEMORABLE) == 0
        asker.kill()


@pytest.mark.slow
def test_one_that_had_to_be_ended_leaves_the_terminal_in_order(fake: FakePinentry) -> None:
    fake.answer(pins=["hang"])
    with Person() as person:
        before = person.attributes()
        answer = person.asked(lambda: asking(fake, person.screen(), seconds=3).pin(TITLE, TEXT))
        until(lambda: fake.asked() == 1, "it is not asked")
        subprocess.run(["stty", "raw", "-echo"], stdin=person.theirs, check=True)
        with pytest.raises(PinUnavailableError, match="in time"):
            answer.result()
        assert person.attributes() == before


READ_THEN_WIPE = "print('read', flush=True); input(); pin.wipe(); print('wiped', flush=True); input()"


def assert_only_there_until_it_is_wiped(asker: subprocess.Popen[bytes]) -> None:
    assert asker.stdin
    assert asker.stdout
    assert asker.stdout.readline() == b"read\n"
    assert occurrences(asker.pid, MEMORABLE) == 1  # the Pin itself: the search finds what is there
    asker.stdin.write(b"\n")
    asker.stdin.flush()
    assert asker.stdout.readline() == b"wiped\n"
    assert occurrences(asker.pid, MEMORABLE) == 0
    asker.kill()


# --- real ones -----------------------------------------------------------------------------------------------

REAL = ["pinentry-curses", "pinentry-tty"]
YES = {"pinentry-curses": "\r", "pinentry-tty": "u"}
NO = {"pinentry-curses": "\t\r", "pinentry-tty": "n"}


def real_one(name: str, person: Person, environment: dict[str, str] | None = None) -> Pinentry:
    program = shutil.which(name)
    assert program, f"{name} is not installed"
    return Pinentry(program, person.screen(environment), seconds=20)


@pytest.mark.interop
@pytest.mark.parametrize("name", REAL)
def test_a_real_one_reads_a_pin_on_the_terminal_of_another_session(name: str) -> None:
    with Person() as person:
        before = person.attributes()
        answer = person.asked(lambda: real_one(name, person).pin(TITLE, "token ßüñ\nwants it"))
        person.expect("PIN:")
        person.type("12%ü4\r")
        assert answer.result().reveal() == "12%ü4".encode()
        assert person.attributes() == before


@pytest.mark.interop
@pytest.mark.parametrize("name", REAL)
def test_a_real_one_does_not_show_the_pin(name: str) -> None:
    with Person() as person:
        answer = person.asked(lambda: real_one(name, person).pin(TITLE, TEXT))
        person.expect("PIN:")
        person.type("8642\r")
        answer.result()
        assert "8642" not in person.look()


@pytest.mark.interop
@pytest.mark.parametrize("name", REAL)
def test_a_real_one_shows_the_whole_text(name: str) -> None:
    with Person() as person:
        answer = person.asked(lambda: real_one(name, person).pin(TITLE, "token ßüñ\n<b>wants</b> _it & more"))
        for text in (TITLE, "token ßüñ", "<b>wants</b> _it & more", "PIN:"):
            person.expect(text)
        person.type("1\r")
        answer.result()


@pytest.mark.interop
@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("locale", [{}, {"LANG": "C"}, {"LANG": "xx_YY.UTF-8"}])
def test_a_real_one_asks_in_any_locale_whatever_the_text(name: str, locale: dict[str, str]) -> None:
    with Person() as person:
        answer = person.asked(lambda: real_one(name, person, {"TERM": "xterm", **locale}).pin(TITLE, "token ßüñ"))
        person.expect("PIN:")
        person.type("1234\r")
        assert answer.result().reveal() == b"1234"


@pytest.mark.interop
@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("agrees", [True, False])
def test_a_real_one_asks_for_a_yes(name: str, agrees: bool) -> None:  # noqa: FBT001 - both are tested
    with Person() as person:
        answer = person.asked(lambda: real_one(name, person).confirm(TITLE, TEXT, "Use the key"))
        person.expect("Use the key")
        person.expect("No")
        person.look()
        person.type((YES if agrees else NO)[name])
        assert answer.result() is agrees


@pytest.mark.interop
@pytest.mark.parametrize("name", REAL)
def test_a_real_one_without_a_terminal_has_asked_nobody(name: str) -> None:
    program = shutil.which(name)
    assert program
    with pytest.raises(CannotAskError):
        Pinentry(program, Screen(None, {"TERM": "xterm"}), seconds=10).pin(TITLE, TEXT)


@pytest.mark.interop
def test_a_terminal_without_a_name_is_too_small_for_curses() -> None:
    with Person() as person, pytest.raises(CannotAskError):
        real_one("pinentry-curses", person, {}).pin(TITLE, TEXT)


@pytest.mark.interop
@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_a_real_one_leaves_the_terminal_in_order_when_nobody_answers(name: str) -> None:
    with Person() as person:
        before = person.attributes()
        program = shutil.which(name)
        assert program
        with pytest.raises(PinUnavailableError, match="in time"):
            Pinentry(program, person.screen(), seconds=2).pin(TITLE, TEXT)
        assert person.attributes() == before


@pytest.mark.interop
@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_real_one_leaves_the_terminal_in_order_when_the_asker_ends(name: str, number: signal.Signals) -> None:
    program = shutil.which(name)
    assert program
    with Person() as person:
        before = person.attributes()
        with started(program, "dialogue.pin('smime-agent', 'text')", person.tty) as asker:
            person.expect("PIN:")
            until(lambda: person.attributes() != before, "it shows what is typed")
            os.write(person.ours, b"12")
            asker.send_signal(number)
            person.until_it_is(before)


@pytest.mark.interop
@pytest.mark.parametrize("name", REAL)
def test_a_pin_from_a_real_one_is_nowhere_in_memory_once_it_was_wiped(name: str) -> None:
    program = shutil.which(name)
    assert program
    with Person() as person:
        code = "pin = dialogue.pin('smime-agent', 'text')\n" + READ_THEN_WIPE
        with started(program, code, person.tty) as asker:
            person.expect("PIN:")
            person.type(f"{MEMORABLE_PIN}\r")
            assert_only_there_until_it_is_wiped(asker)
