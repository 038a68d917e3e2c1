"""Where a person is, and which way is gone to ask there."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smime_agent.daemon.dialogue import Screen, dialogue_on, lines, one_line
from smime_agent.errors import PinUnavailableError
from tests.support.person import Person
from tests.support.pinentry import FakePinentry

if TYPE_CHECKING:
    from pathlib import Path

TITLE, TEXT = "smime-agent", "alice's card"
WINDOWS = Screen(None, {"DISPLAY": ":7"})


@pytest.fixture(autouse=True)
def _no_pinentry_of_the_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PINENTRY_PROGRAM", raising=False)


def test_a_screen_takes_what_a_dialogue_needs_and_nothing_else() -> None:
    wanted = {"DISPLAY": ":0", "LC_TIME": "de_DE", "TERM": "xterm", "XDG_RUNTIME_DIR": "/run/user/1"}
    others = {"PIN": "1234", "LD_PRELOAD": "/x.so", "PATH": "/x", "LC_/x": "1", "GTK_MODULES": "evil", "LANG": ""}
    assert Screen(None, {**wanted, **others}).environment == wanted


@given(st.one_of(st.none(), st.text()), st.dictionaries(st.sampled_from(["LANG", "TERM", "LC_ALL"]), st.text()))
def test_a_screen_from_another_process_holds_one_line_each(tty: str | None, environment: dict[str, str]) -> None:
    screen = Screen(tty, environment)
    assert all(value.isprintable() for value in screen.environment.values())
    assert screen.tty is None or screen.tty.isprintable()


def test_a_screen_has_bounds() -> None:
    many = {f"LC_{number}": "C" for number in range(1000)}
    assert len(Screen(None, {**many, "LANG": "x" * 5000}).environment) == 32


@pytest.mark.parametrize(
    ("environment", "speaks"),
    [
        ({}, False),
        ({"LANG": "de_DE.UTF-8"}, True),
        ({"LANG": "de_DE.utf8"}, True),
        ({"LANG": "C.UTF-8", "LC_CTYPE": "C"}, False),
        ({"LANG": "C", "LC_CTYPE": "C", "LC_ALL": "en_GB.UTF-8"}, True),
    ],
)
def test_the_encoding_is_that_of_the_first_variable_that_counts(environment: dict[str, str], speaks: bool) -> None:  # noqa: FBT001 - both occur
    assert Screen(None, environment).speaks_utf8 is speaks


def test_a_process_with_nothing_but_pipes_knows_its_terminal() -> None:
    code = "from smime_agent.daemon.dialogue import Screen; print(Screen.here().tty)"
    script = 'exec 9<>"$0"; exec "$@" 9>&-'
    with Person() as person:
        person._session.kill()  # its terminal is free for another session
        person._session.wait()
        done = subprocess.run(
            ["sh", "-c", script, person.tty, sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            start_new_session=True,
            check=True,
        )
        assert done.stdout == f"{person.tty}\n"


def test_a_process_without_a_terminal_knows_none() -> None:
    code = "from smime_agent.daemon.dialogue import Screen; print(Screen.here().tty)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, start_new_session=True, check=True
    )
    assert done.stdout == "None\n"


@given(st.text())
def test_a_piece_is_one_line_of_what_can_be_seen(text: str) -> None:
    assert one_line(text).isprintable()
    assert len(one_line(text)) <= 120 * len("\\U00000000")


def test_a_piece_that_is_long_is_cut_and_says_so() -> None:
    assert one_line("x" * 500) == "x" * 117 + "..."


def test_a_piece_cannot_begin_a_line_of_ours() -> None:
    assert one_line("label\nTries left: 3\u2028\u202e") == "label\\nTries left: 3\\u2028\\u202e"


@given(st.text())
def test_a_text_has_line_breaks_and_else_what_can_be_seen(text: str) -> None:
    assert all(line.isprintable() for line in lines(text).split("\n"))


def test_what_is_configured_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configured, other = FakePinentry(tmp_path / "1", ["1"]), FakePinentry(tmp_path / "2", ["2"])
    monkeypatch.setenv("PINENTRY_PROGRAM", str(other.program))
    assert dialogue_on(WINDOWS, str(configured.program)).pin(TITLE, TEXT).reveal() == b"1"


def test_then_comes_the_variable_of_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake, other = FakePinentry(tmp_path / "1", ["1"]), FakePinentry(tmp_path / "2", ["2"])
    monkeypatch.setenv("PINENTRY_PROGRAM", str(fake.program))
    monkeypatch.setenv("PATH", str(other.program.parent))
    assert dialogue_on(WINDOWS).pin(TITLE, TEXT).reveal() == b"1"


def test_then_comes_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakePinentry(tmp_path, ["1"])
    monkeypatch.setenv("PATH", str(fake.program.parent))
    assert dialogue_on(WINDOWS).pin(TITLE, TEXT).reveal() == b"1"


def test_a_name_is_looked_for_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakePinentry(tmp_path, ["1"])
    monkeypatch.setenv("PATH", f"{fake.program.parent}:{os.environ['PATH']}")
    assert dialogue_on(WINDOWS, "pinentry").pin(TITLE, TEXT).reveal() == b"1"


def test_at_last_comes_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Person() as person:
        monkeypatch.setenv("PATH", str(tmp_path))
        dialogue = dialogue_on(person.screen())
        answer = person.asked(lambda: dialogue.pin(TITLE, TEXT))
        person.expect("PIN:")
        person.type("1234\r")
        assert answer.result().reveal() == b"1234"
        assert dialogue.source == "terminal"


def test_a_pinentry_that_cannot_start_is_named_on_the_terminal_where_the_pin_is_asked_then(tmp_path: Path) -> None:
    fake = FakePinentry(tmp_path, greeting="ERR 67109133 no display\x1b[2J")
    with Person() as person:
        dialogue = dialogue_on(person.screen(), str(fake.program))
        answer = person.asked(lambda: dialogue.pin(TITLE, TEXT))
        person.expect("no display\\x1b[2J)\r\nPIN: ")
        person.type("1234\r")
        answer.result()
        assert dialogue.source == "terminal"


def test_a_confirmation_goes_the_same_way(tmp_path: Path) -> None:
    with Person() as person:
        dialogue = dialogue_on(person.screen(), str(tmp_path / "none"))
        answer = person.asked(lambda: dialogue.confirm(TITLE, TEXT, "Use the key"))
        person.expect("Use the key? Type yes")
        person.type("yes\r")
        assert answer.result() is True


@pytest.mark.parametrize("answer", ["cancel", "die", "garbage", "timeout"])
def test_who_has_seen_the_question_is_not_asked_again_on_the_terminal(tmp_path: Path, answer: str) -> None:
    with Person() as person:
        dialogue = dialogue_on(person.screen(), str(FakePinentry(tmp_path, [answer]).program))
        with pytest.raises(PinUnavailableError):
            dialogue.pin(TITLE, TEXT)
        assert person.look(0.05) == ""
        assert dialogue.source == "pinentry"


def test_where_nobody_can_be_asked_both_reasons_are_given_and_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(PinUnavailableError) as caught:
        dialogue_on(Screen(), str(tmp_path / "none")).pin(TITLE, TEXT)
    assert str(caught.value) == (
        f"nobody can be asked: cannot start {tmp_path}/none: No such file or directory; there is no terminal to ask on"
    )
    assert caught.value.hint == "use --no-agent, or install pinentry"
    assert caught.value.code == "pin-unavailable"
