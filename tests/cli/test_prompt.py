"""PINs that are typed at a terminal, and where a PIN never shows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.mails import MAIL
from tests.support.program import run
from tests.support.softhsm import MODULE, PIN, SO_PIN
from tests.support.terminal import Terminal

if TYPE_CHECKING:
    from tests.support.faulty import Faulty
    from tests.support.softhsm import SoftHsm, SoftToken


@pytest.fixture(autouse=True)
def _token(alice: SoftToken) -> None:
    """The last PIN was right."""
    alice.open().close()


def test_a_pin_is_asked_for_on_the_terminal_while_the_mail_comes_from_a_pipe(alice: SoftToken) -> None:
    serial = alice.session().token.info.serial
    with Terminal("sign", "--token", "alice", stdin=MAIL) as terminal:
        terminal.expect("to sign: $")
        terminal.type(PIN)
        code, out = terminal.end()
    assert code == 0
    assert b"multipart/signed" in out
    assert terminal.screen == f"PIN for token 'alice' (serial {serial}), to sign: \n"


def test_the_pin_is_not_echoed() -> None:
    with Terminal("sign", "--token", "alice", stdin=MAIL) as terminal:
        terminal.expect("to sign: $")
        terminal.type(PIN)
        _, out = terminal.end()
    assert PIN not in terminal.screen
    assert PIN.encode() not in out


def test_a_wrong_pin_is_not_asked_for_again() -> None:
    with Terminal("sign", "--token", "alice", stdin=MAIL) as terminal:
        terminal.expect("to sign: $")
        terminal.type("wrong-4711")
        code, out = terminal.end()
    assert (code, out) == (9, b"")
    assert terminal.screen.splitlines()[1:] == [
        "smime-agent: error: wrong PIN for token 'alice'",
        "hint: fewer tries are left",
    ]
    assert "4711" not in terminal.screen


@pytest.mark.parametrize("typed", ["", "\x04"])
def test_no_pin_is_no_try(faulty: Faulty, typed: str) -> None:
    with Terminal(
        "sign", "--token", "alice", stdin=MAIL, env=faulty.script.environment, module=str(faulty.module)
    ) as terminal:
        terminal.expect("to sign: $")
        terminal.type(typed)
        code, out = terminal.end()
    assert (code, out) == (9, b"")
    assert "smime-agent: error: no PIN was entered\n" in terminal.screen
    assert faulty.logins() == 0


def test_a_person_is_warned_before_typing(faulty: Faulty) -> None:
    faulty.script.write(tries=2)
    options = {"stdin": MAIL, "env": faulty.script.environment, "module": str(faulty.module)}
    with Terminal("sign", "--token", "alice", **options) as terminal:  # type: ignore[arg-type]  # of each its own
        terminal.expect("to sign: $")
        terminal.type("wrong")
        terminal.end()
    with Terminal("sign", "--token", "alice", "--use-last-pin-try", **options) as terminal:  # type: ignore[arg-type]  # the same
        terminal.expect("to sign: $")
        terminal.type(PIN)
        assert terminal.end()[0] == 0
    assert terminal.screen.startswith(
        "smime-agent: warning: token 'alice': this is the last try: a wrong PIN locks the token\nPIN for"
    )


def test_octets_that_are_no_text_do_not_end_in_a_bug() -> None:
    with Terminal("sign", "--token", "alice", stdin=MAIL) as terminal:
        terminal.expect("to sign: $")
        os.write(terminal._ours, b"\xff\xfe\n")
        code, out = terminal.end()
    assert (code, out) == (9, b"")


def test_a_name_on_a_token_cannot_move_the_cursor(softhsm: SoftHsm) -> None:
    softhsm.new_token("evil\x1b[2J\u202e")
    with Terminal("sign", "--token", "pkcs11:token=evil%1B%5B2J%E2%80%AE", stdin=MAIL) as terminal:
        terminal.expect("to sign: $")
        terminal.type(PIN)
        code, _ = terminal.end()
    assert code == 7
    assert "\x1b" not in terminal.screen
    assert "\u202e" not in terminal.screen
    assert r"evil\x1b[2J\u202e" in terminal.screen


def opens(token: str, pin: str) -> bool:
    """A process that starts now is let in: the SoftHSM of this one does not hear of other processes' PINs."""
    return run("key", "list", "--token", token, "--pin-source", "env:PIN", env={"PIN": pin}).code == 0


def test_new_pins_are_typed_twice(softhsm: SoftHsm) -> None:
    softhsm.new_token("typed", user_pin=False)
    with Terminal("token", "pin", "--token", "typed") as terminal:
        for prompt, answer in (
            ("SO PIN for token 'typed': $", SO_PIN),
            ("New user PIN: $", "a-new-pin"),
            ("New user PIN, again: $", "a-new-pin"),
        ):
            terminal.expect(prompt)
            terminal.type(answer)
        assert terminal.end()[0] == 0
    assert "a-new-pin" not in terminal.screen
    assert opens("typed", "a-new-pin")


def test_new_pins_that_differ_change_nothing(softhsm: SoftHsm) -> None:
    softhsm.new_token("differ")
    with Terminal("token", "pin", "--token", "differ") as terminal:
        for prompt, answer in (
            ("to change it: $", PIN),
            ("New user PIN: $", "one-pin"),
            ("New user PIN, again: $", "another-pin"),
        ):
            terminal.expect(prompt)
            terminal.type(answer)
        code, _ = terminal.end()
    assert code == 2
    assert "the two differ" in terminal.screen
    assert opens("differ", PIN)


def test_a_pin_is_changed_at_the_terminal(softhsm: SoftHsm) -> None:
    softhsm.new_token("changed")
    with Terminal("token", "pin", "--token", "changed") as terminal:
        for prompt, answer in (
            ("PIN for token 'changed'.*to change it: $", PIN),
            ("New user PIN: $", "a-new-pin"),
            ("New user PIN, again: $", "a-new-pin"),
        ):
            terminal.expect(prompt)
            terminal.type(answer)
        assert terminal.end()[0] == 0
    assert opens("changed", "a-new-pin")


# --- sources ---


def test_each_source_gives_the_pin(tmp_path: Path) -> None:
    path = tmp_path / "pin"
    path.write_text(f"{PIN}\r\nmore\n")
    program = tmp_path / "askpin"
    program.write_text(f"#!/bin/sh\necho {PIN}\n")
    program.chmod(0o700)
    for source in ("env:PIN", f"file:{path}", f"file://{path}", str(path), f"|{program}"):
        result = run("sign", "--token", "alice", "--pin-source", source, stdin=MAIL)
        assert (result.code, result.err) == (0, ""), source
        uri = f"pkcs11:token=alice?pin-source={source}"
        result = run("sign", "--token", uri, stdin=MAIL)
        assert (result.code, result.err) == (0, ""), uri


def test_a_descriptor_gives_the_pin() -> None:
    reading, writing = os.pipe()
    os.write(writing, PIN.encode() + b"\n")
    os.close(writing)
    command = [sys.executable, "-m", "smime_agent", "sign", "--token", "alice", "--module", MODULE]
    done = subprocess.run(
        [*command, "--pin-source", f"fd:{reading}"], input=MAIL, pass_fds=[reading], capture_output=True, check=False
    )
    os.close(reading)
    assert (done.returncode, done.stderr) == (0, b"")


def test_standard_input_can_give_the_pin_before_the_mail(tmp_path: Path) -> None:
    (tmp_path / "mail.eml").write_bytes(MAIL)
    source = ("--pin-source", "fd:0")
    result = run("sign", "--token", "alice", *source, tmp_path / "mail.eml", stdin=PIN.encode() + b"\n")
    assert (result.code, result.err) == (0, "")


@pytest.mark.parametrize("source", [PIN, f"pin:{PIN}", f"pass {PIN}"])
def test_a_pin_on_the_command_line_is_refused_and_not_repeated(source: str) -> None:
    result = run("sign", "--token", "alice", "--pin-source", source, stdin=MAIL)
    assert (result.code, result.out) == (2, b"")
    assert PIN not in result.err


@pytest.mark.parametrize("uri", [f"pkcs11:token=alice?pin-value={PIN}", f"pkcs11:token=alice;pin-value={PIN}"])
def test_a_pin_in_a_uri_is_refused_and_not_repeated(uri: str) -> None:
    for arguments in (("sign", "--token", uri), ("token", "info", "--token", uri), ("key", "list", "--token", uri)):
        result = run(*arguments, stdin=MAIL)
        assert (result.code, result.out) == (2, b"")
        assert PIN not in result.err


def test_there_is_no_option_for_a_pin() -> None:
    result = run("sign", "--token", "alice", "--pin", PIN, stdin=MAIL)
    assert result.code == 2
    assert PIN not in result.err


def test_a_bug_does_not_show_the_pin(tmp_path: Path) -> None:
    # A bug in the middle of the login, with the PIN in many frames.
    (tmp_path / "sitecustomize.py").write_text(
        "import smime_agent.tokens.native as native\n"
        "def login(self, session, user, pin):\n"
        "    raise RuntimeError(bytes(pin))\n"
        "native.FunctionList.login = login\n"
    )
    env = {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]), "SMIME_AGENT_DEBUG": "1"}
    result = run("sign", "--token", "alice", "--pin-source", "env:PIN", stdin=MAIL, env=env)
    assert (result.code, result.out) == (1, b"")
    assert result.err.startswith("smime-agent: error: this is a bug in smime-agent: RuntimeError at sitecustomize.py:3")
    assert 'session.py", line' in result.err
    assert PIN not in result.err


def test_a_child_does_not_see_the_pin(tmp_path: Path) -> None:
    # What the kernel shows of a process is what it was started with; what its children get is ours to clean.
    (tmp_path / "sitecustomize.py").write_text(
        "import smime_agent.tokens.signer as signer, subprocess\n"
        "sign = signer.SigningKey.sign\n"
        "def spying(self, data):\n"
        f"    open({str(tmp_path / 'seen')!r}, 'wb').write(subprocess.run(['env'], stdout=subprocess.PIPE).stdout)\n"
        "    return sign(self, data)\n"
        "signer.SigningKey.sign = spying\n"
    )
    env = {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    result = run("sign", "--token", "alice", "--pin-source", "env:PIN", stdin=MAIL, env=env)
    assert (result.code, result.err) == (0, "")
    assert b"PATH=" in Path(tmp_path / "seen").read_bytes()
    assert PIN.encode() not in Path(tmp_path / "seen").read_bytes()
