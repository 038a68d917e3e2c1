"""Completion in the real shells: what they offer, what they insert, and that no label of a token is ever run."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import stat
import subprocess
import sys
from datetime import date
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from smime_agent.certificates import history_file
from smime_agent.cli.app import command as program
from smime_agent.cli.completion import answer
from smime_agent.cli.completion_words import Word, bash_word, split, unquoted
from smime_agent.keyring.sightings import Sighting
from tests.support.ca import Authority, Wanted
from tests.support.correspondents import key
from tests.support.program import run
from tests.support.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "PS1='READY> '; source {script}"),
    "zsh": (["zsh", "-f", "-i"], "PS1='READY> '; autoload -Uz compinit; compinit -u -D; source {script}"),
    "fish": (["fish", "--no-config", "--interactive"], "function fish_prompt; echo 'READY> '; end; source {script}"),
}
#: Labels, each with the first letters of its own.
LABELS = [
    "1 my token",
    "2it's",
    '3"quoted"',
    "4$(touch pwned)",
    "5`touch pwned`",
    "6;touch pwned;",
    "7\\$(touch pwned)\\",
    "8a:b=c",
    "9*?[a]~",
    "A|touch pwned&",
    "B\u00fcmlaut \u20ac",
    "C!!event",
    "D'\"$(touch pwned)\"'",
    "E)) touch pwned ((",
    "F{a,b}<x>#y",
    "-G option",
]
UNPRINTABLE = ["H\x1b[31mred", "I\ttab", "J\nline", "K\x07bell"]


NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, issuing_ca: Authority) -> Path:
    """A home where tokens with all these labels were seen, and a program that says with what it is called."""
    folder = tmp_path_factory.mktemp("completion")
    certificate = issuing_ca.issue(key("rsa").public_key(), Wanted()).public_bytes(Encoding.DER)
    day = date(2026, 1, 1)
    data = folder / ".local/share/smime-agent"
    data.mkdir(parents=True)
    history_file.write(
        data / "history.json",
        [
            Sighting(certificate, label, "0a", "maker", "model", b"\x01", has_key=True, first_seen=day, last_seen=day)
            for label in LABELS + UNPRINTABLE
        ],
    )
    real = shlex.join([sys.executable, "-P", "-m", "smime_agent"])
    stub = folder / "bin/smime-agent"
    stub.parent.mkdir()
    say = shlex.join([sys.executable, "-c", "import json, sys; print('CALLED', json.dumps(sys.argv[1:]))"])
    stub.write_text(f'#!/bin/sh\nif [ -n "$_SMIME_AGENT_COMPLETE" ]; then exec {real} "$@"; fi\nexec {say} "$@"\n')
    stub.chmod(stat.S_IRWXU)
    desk = folder / "desk"
    (desk / "folder").mkdir(parents=True)
    (desk / "mail one.eml").touch()
    for shell in SHELLS:
        (folder / shell).write_bytes(run("--show-completion", shell).out)
    return folder


def environment(home: Path) -> dict[str, str]:
    return {
        "HOME": str(home),
        "PATH": f"{home}/bin:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "LANG": "C.UTF-8",
        "INPUTRC": "/dev/null",
    }


@pytest.fixture(scope="module", params=sorted(SHELLS))
def opened(request: pytest.FixtureRequest, home: Path) -> Iterator[Screen]:
    """A shell that has the completion; each in turn."""
    command, setup = SHELLS[request.param]
    with Screen(command, environment(home), home / "desk") as screen:
        screen.type(setup.format(script=home / request.param) + "; echo set up\r")
        screen.expect("READY>", "\nset up")
        yield screen


@pytest.fixture
def shell(opened: Screen) -> Screen:
    """The same with an empty screen."""
    mark = f"wiped {next(NUMBERS)}"
    opened.type(f"\x15clear; echo {mark}\r")
    opened.until(lambda: opened.lines[0] == mark and "READY>" in opened.text, "fresh prompt")
    return opened


def settled(screen: Screen, typed: str) -> str:
    """What is on the screen once all that follows ``typed`` was drawn."""
    screen.type(typed)
    before, still = "", 0
    while still < 3:
        still = still + 1 if before == screen.text else 0
        before = screen.text
        screen.read(0.15)
    return screen.text


def called(screen: Screen, typed: str) -> list[str]:
    """With what the program is called once ``typed`` was completed."""
    screen.type(f"smime-agent {typed}\t\r")  # a shell takes one key after the other
    screen.expect("CALLED [")
    screen.until(lambda: "]" in screen.text.partition("CALLED [")[2].replace("\n", ""), "end of the words")
    text = screen.text.partition("CALLED ")[2].partition("\nREADY>")[0].replace("\n", "")
    words = json.JSONDecoder().raw_decode(text)[0]
    assert isinstance(words, list)
    return words


@pytest.mark.slow
@pytest.mark.interop
@pytest.mark.parametrize("label", [label for label in LABELS if label[0] != "-"], ids=lambda label: label[0])
def test_a_label_is_inserted_as_it_is_and_never_run(shell: Screen, home: Path, label: str) -> None:
    assert called(shell, f"sign --token {label[0]}") == ["sign", "--token", label]
    assert not (home / "desk/pwned").exists()


@pytest.mark.slow
@pytest.mark.interop
@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("si", ["sign"]),
        ("cert exp", ["cert", "export"]),
        ("sign --opa", ["sign", "--opaque"]),
        ("sign --format d", ["sign", "--format", "der"]),
        ("sign --token '1 m", ["sign", "--token", "1 my token"]),
        ('sign --token "1 m', ["sign", "--token", "1 my token"]),
        ("sign --token 1\\ m", ["sign", "--token", "1 my token"]),
        ("sign --token=1", ["sign", "--token=1 my token"]),
        ("sign --token 8a:b", ["sign", "--token", "8a:b=c"]),
        ("sign --token '1 my token' --key al", ["sign", "--token", "1 my token", "--key", "alice@example.org"]),
        ("sign --token -", ["sign", "--token", "-G option"]),
        ("verify mai", ["verify", "mail one.eml"]),
        ("sign --output-dir fo", ["sign", "--output-dir", "folder"]),
        ("--show-completion ba", ["--show-completion", "bash"]),
        ("sign --pin-source en", ["sign", "--pin-source", "env:"]),
        ("frobnicate x", ["frobnicate", "x"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_can_follow_is_inserted(shell: Screen, typed: str, words: list[str]) -> None:
    assert [word.rstrip("/") for word in called(shell, typed)] == words  # zsh takes the slash off again


@pytest.mark.slow
@pytest.mark.interop
def test_nothing_that_cannot_be_shown_is_offered(shell: Screen) -> None:
    shown = settled(shell, "smime-agent sign --token \t\t")
    shell.type("n")  # bash asks before it shows many
    assert [text for text in ("red", "tab", "line", "bell") if text in shown.replace("frobnicate", "")] == []


@pytest.mark.slow
@pytest.mark.interop
@pytest.mark.parametrize("name", ["zsh", "fish"])
def test_what_can_follow_is_described(home: Path, name: str) -> None:
    command, setup = SHELLS[name]
    with Screen(command, environment(home), home / "desk") as screen:
        screen.type(setup.format(script=home / name) + "; echo set up\r")
        screen.expect("READY>", "\nset up")
        shown = settled(screen, "smime-agent token \t\t")
    assert "Show one token: what it is" in shown


@pytest.mark.slow
@pytest.mark.interop
def test_zsh_finds_its_script_in_a_folder_of_functions(home: Path) -> None:
    functions = home / "functions"
    functions.mkdir()
    (functions / "_smime-agent").write_bytes((home / "zsh").read_bytes())
    with Screen(SHELLS["zsh"][0], environment(home), home / "desk") as screen:
        setup = f"PS1='READY> '; fpath=({functions} $fpath); autoload -Uz compinit; compinit -u -D"
        screen.type(f"{setup}; clear; echo wiped\r")
        screen.until(lambda: screen.lines[0] == "wiped" and "READY>" in screen.text, "fresh prompt")
        for _ in range(2):  # the first time it is loaded
            assert called(screen, "sign --token 1") == ["sign", "--token", "1 my token"]
            screen.type("clear; echo again\r")
            screen.until(lambda: screen.lines[0] == "again", "fresh prompt")


# Without a shell


def words_of(before: list[str], begun: str) -> list[str]:
    return [value for value, _ in answer(program(), before, begun).values]


@pytest.mark.parametrize(
    ("before", "begun", "expected"),
    [
        (["sign", "--format", "der"], "--form", []),  # it was given
        (["encrypt", "--to", "a@b"], "--t", ["--to", "--token"]),  # this can be given again
        (["sign", "--", "--opaque"], "--op", []),
        (["sign"], "--format=d", ["--format=der"]),
        (["sign", "--format=der"], "--form", []),
        (["verify", "--revocation"], "", ["off", "prefer", "require"]),
        (["agent"], "lo", ["lock"]),
        (["sign", "--no-agent"], "--no-", []),
        (["neomutt"], "settin", ["settings"]),
        (["cert", "frobnicate"], "", []),
        (["--version"], "si", ["sign"]),
    ],
)
def test_words_depend_on_what_stands_before(before: list[str], begun: str, expected: list[str]) -> None:
    assert words_of(before, begun) == expected


def test_every_command_and_option_can_be_completed() -> None:
    tree = program()
    for name in tree.list_commands(None):
        command = tree.get_command(None, name)
        inner = getattr(command, "commands", {"": command})
        for below, one in inner.items():
            words = [name, below] if below else [name]
            options = {option for parameter in one.params for option in (*parameter.opts, *parameter.secondary_opts)}
            expected = {option for option in options if option.startswith("-")} | {"-h", "--help"}
            assert set(words_of(words, "-")) == expected


def test_every_value_of_an_option_is_answered_without_a_failure() -> None:
    tree = program()
    for name in tree.list_commands(None):
        command = tree.get_command(None, name)
        for below, one in getattr(command, "commands", {"": command}).items():
            words = [name, below] if below else [name]
            for parameter in one.params:
                for option in filter(lambda text: text.startswith("-"), parameter.opts):
                    assert answer(tree, [*words, option], "").kind in {"words", "open", "files", "folders"}


def test_tokens_and_keys_are_answered_without_a_module(home: Path) -> None:
    env = {**environment(home), "SMIME_AGENT_MODULE": "/nonexistent.so", "_SMIME_AGENT_COMPLETE": "fish"}
    out = run("sign", "--token", "1", env=env).out.decode()
    assert out == "words\n1 my token\tmaker model, serial 0a\n"


def test_a_script_that_runs_what_it_is_told_is_told_nothing(home: Path) -> None:
    env = {**environment(home), "_SMIME_AGENT_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "smime-agent s"}
    assert run(env=env).out.strip() == b""


def test_a_damaged_history_answers_nothing(tmp_path: Path) -> None:
    data = tmp_path / "smime-agent"
    data.mkdir()
    (data / "history.json").write_bytes(b"{")
    result = run("sign", "--token", "", env={"XDG_DATA_HOME": str(tmp_path), "_SMIME_AGENT_COMPLETE": "zsh"})
    assert (result.code, result.out, result.err) == (0, b"words\n", "")


def test_an_answer_takes_less_than_a_fifth_of_a_second(home: Path) -> None:
    env = {**environment(home), "_SMIME_AGENT_COMPLETE": "zsh"}
    took = []
    for _ in range(3):
        before = os.times()
        assert run("encrypt", "--token", "1", env=env).out
        after = os.times()  # of the processor: the machine may be busy with other things
        took.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert min(took) < 0.2


TEXT = st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), min_size=1, max_size=12)


@given(TEXT, st.sampled_from(["", "'", '"']))
def test_a_word_means_the_value_that_it_was_written_for(value: str, quote: str) -> None:
    written = bash_word(value, Word("", quote, quote), "")
    if written is not None:
        assert [word.text for word in split(f"x {quote}{written}{quote}")] == ["x", value]


@given(st.text(st.sampled_from("ab '\"\\$:="), max_size=14))
def test_any_line_has_words(line: str) -> None:
    words = split(line)
    assert line.endswith(words[-1].raw)
    assert unquoted(line) == " ".join(word.text for word in words)


def test_bash_reads_a_word_as_it_was_meant() -> None:
    values = [f"x{chr(number)}y" for number in range(32, 0x180) if chr(number).isprintable()]
    values += [value[1:] for value in values] + ["~", "-n", "a  b", "''", "\\"]
    written = [bash_word(value, Word("", "", ""), "") for value in values]
    done = subprocess.run(
        ["bash", "-c", "printf '%s\\0' " + " ".join(filter(None, written))], capture_output=True, check=True
    )
    assert done.stdout.decode().split("\0")[:-1] == values
