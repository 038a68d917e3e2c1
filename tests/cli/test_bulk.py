"""``smime-agent sign --output-dir``: many messages in one login, in one process and in several."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.faulty import CKR, failure
from tests.support.mails import MAIL, mail
from tests.support.program import run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Command
    from tests.support.faulty import Faulty
    from tests.support.softhsm import SoftToken

SIGN = ("sign", "--token", "alice", "--pin-source", "env:PIN")


@pytest.fixture(autouse=True)
def _token(alice: SoftToken) -> None:
    """The last PIN was right."""
    alice.open().close()


@pytest.fixture
def mails(tmp_path: Path) -> Path:
    """A folder of twelve mails."""
    folder = tmp_path / "mails"
    folder.mkdir()
    for number in range(12):
        (folder / f"{number:02}.eml").write_bytes(mail(subject=f"Number {number}"))
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_results_keep_the_names_of_their_messages(command: Command, mails: Path, tmp_path: Path) -> None:
    result = command(*SIGN, mails / "00.eml", mails / "05.eml", "--output-dir", tmp_path / "new" / "out")
    assert (result.code, result.out, result.err) == (0, b"", "")
    assert names(tmp_path / "new" / "out") == ["00.eml", "05.eml"]
    for name in ("00.eml", "05.eml"):
        assert f"Subject: Number {int(name[:2])}".encode() in (tmp_path / "new" / "out" / name).read_bytes()


def test_a_folder_stands_for_the_mails_in_it(command: Command, mails: Path, tmp_path: Path) -> None:
    (mails / ".hidden").write_bytes(b"not a mail")
    (mails / "folder").mkdir()
    assert command(*SIGN, mails, "--output-dir", tmp_path / "out").code == 0
    assert names(tmp_path / "out") == [f"{number:02}.eml" for number in range(12)]


def test_a_maildir_is_new_and_cur(command: Command, tmp_path: Path) -> None:
    for name in ("new", "cur", "tmp"):
        (tmp_path / "Maildir" / name).mkdir(parents=True)
        (tmp_path / "Maildir" / name / f"1.{name}.host:2,S").write_bytes(MAIL)
    assert command(*SIGN, tmp_path / "Maildir", "--output-dir", tmp_path / "out").code == 0
    assert names(tmp_path / "out") == ["1.cur.host:2,S", "1.new.host:2,S"]


@pytest.mark.parametrize(
    ("options", "ending"),
    [(("--format", "der"), ".p7s"), (("--format", "pem"), ".p7s"), (("--format", "der", "--opaque"), ".p7m")],
)
def test_bare_cms_has_its_own_ending(
    command: Command, mails: Path, tmp_path: Path, options: tuple[str, ...], ending: str
) -> None:
    assert command(*SIGN, *options, mails / "00.eml", "--output-dir", tmp_path / "out").code == 0
    assert names(tmp_path / "out") == [f"00.eml{ending}"]


def test_several_pins_are_not_needed(faulty: Faulty, mails: Path, tmp_path: Path) -> None:
    assert faulty.run(*SIGN, mails, "--output-dir", tmp_path / "out").code == 0
    assert faulty.logins() == 1
    assert faulty.script.calls().count("C_SignInit") == 12


# --- what is refused before anything is done ---


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{mails}/00.eml", "{other}/00.eml"], "would both be written to"),
        (["-"], "standard input has no name"),
        ([], "there is no message to sign"),
        (["{empty}"], "there is no message to sign"),
    ],
)
def test_what_cannot_be_planned_is_exit_2(
    command: Command, mails: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    for name in ("other", "empty"):
        (tmp_path / name).mkdir()
    (tmp_path / "other" / "00.eml").write_bytes(MAIL)
    filled = [text.format(mails=mails, other=tmp_path / "other", empty=tmp_path / "empty") for text in arguments]
    result = command(*SIGN, *filled, "--output-dir", tmp_path / "out", stdin=MAIL)
    assert (result.code, result.out) == (2, b"")
    assert words in result.err
    assert not (tmp_path / "out").exists()


def test_messages_are_not_overwritten(command: Command, mails: Path) -> None:
    result = command(*SIGN, mails, "--output-dir", mails)
    assert (result.code, result.out) == (2, b"")
    assert "would overwrite" in result.err
    assert (mails / "00.eml").read_bytes() == mail(subject="Number 0")
    assert names(mails) == [f"{number:02}.eml" for number in range(12)]


def test_a_message_is_not_overwritten_by_the_result_of_another(command: Command, tmp_path: Path) -> None:
    """The results go where one of the messages is, under the name of another."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "00.eml").write_bytes(MAIL)
    (tmp_path / "out" / "x").write_bytes(MAIL)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "00.eml").write_bytes(MAIL)
    (tmp_path / "link").symlink_to(tmp_path / "out" / "00.eml")
    result = command(*SIGN, tmp_path / "here" / "00.eml", tmp_path / "link", "--output-dir", tmp_path / "out")
    assert (result.code, (tmp_path / "out" / "00.eml").read_bytes()) == (2, MAIL)


def test_a_folder_that_cannot_be_made_is_exit_2(command: Command, mails: Path) -> None:
    result = command(*SIGN, mails / "00.eml", "--output-dir", mails / "01.eml" / "out")
    assert (result.code, result.out) == (2, b"")
    assert "cannot make the folder" in result.err


# --- failures of some ---


@pytest.mark.parametrize("workers", ["1", "2"])
def test_one_that_fails_does_not_stop_the_others(mails: Path, tmp_path: Path, workers: str) -> None:
    (mails / "03.eml").write_bytes(b"\x00\x01 binary junk")
    (mails / "07.eml").write_bytes(mail("nobody@example.org"))
    result = run(*SIGN, mails, mails / "missing.eml", "--output-dir", tmp_path / "out", "--workers", workers)
    assert result.code == 7  # the worst
    assert result.out == b""
    errors = sorted(line for line in result.err.splitlines() if line.startswith("smime-agent: error: "))
    assert len(errors) == 3
    assert errors[0].startswith(f"smime-agent: error: {mails / '03.eml'}: this is not a mail")
    assert errors[1].startswith(f"smime-agent: error: {mails / '07.eml'}: no key on token 'alice'")
    assert errors[2].startswith(f"smime-agent: error: cannot read {mails / 'missing.eml'}: ")
    assert result.err.splitlines()[-1] == "10 of 13 signed, 3 failed"
    assert names(tmp_path / "out") == [f"{number:02}.eml" for number in range(12) if number not in (3, 7)]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_warning_names_its_message(mails: Path, tmp_path: Path, workers: str) -> None:
    (mails / "03.eml").write_bytes(mail("mallory@example.org"))
    result = run(*SIGN, "--key", "01", mails, "--output-dir", tmp_path / "out", "--workers", workers)
    assert result.code == 0
    (line,) = result.err.splitlines()
    assert line.startswith(f"smime-agent: warning: {mails / '03.eml'}: the mail is from mallory@example.org")


def test_once_the_token_is_gone_nothing_more_is_tried(faulty: Faulty, mails: Path, tmp_path: Path) -> None:
    faulty.script.write(remove_at="C_SignInit:4")
    result = faulty.run(*SIGN, mails, "--output-dir", tmp_path / "out")
    assert result.code == 8
    lines = result.err.splitlines()
    assert lines[0] == f"smime-agent: error: {mails / '03.eml'}: token 'alice' was removed"
    assert lines[1] == f"smime-agent: error: {mails / '04.eml'}: not tried: token 'alice' was removed"
    assert lines[-2:] == ["hint: plug it in again and repeat the command", "3 of 12 signed, 9 failed"]
    assert names(tmp_path / "out") == ["00.eml", "01.eml", "02.eml"]
    assert faulty.script.calls().count("C_SignInit") == 4


def test_no_output_folder_is_left_for_a_wrong_pin(faulty: Faulty, mails: Path, tmp_path: Path) -> None:
    result = faulty.run(*SIGN, mails, "--output-dir", tmp_path / "out", env={"PIN": "wrong"})
    assert (result.code, result.out) == (9, b"")
    assert faulty.logins() == 1
    assert not (tmp_path / "out").exists() or names(tmp_path / "out") == []


# --- several processes ---


def test_workers_sign_the_same(mails: Path, tmp_path: Path) -> None:
    result = run(*SIGN, mails, "--output-dir", tmp_path / "out", "--workers", "2")
    assert (result.code, result.out, result.err) == (0, b"", "")
    assert names(tmp_path / "out") == [f"{number:02}.eml" for number in range(12)]
    for number in range(12):
        signed = (tmp_path / "out" / f"{number:02}.eml").read_bytes()
        assert f"Subject: Number {number}\r\n".encode() in signed
        assert b"multipart/signed" in signed


def test_workers_are_told_all_the_options(mails: Path, tmp_path: Path) -> None:
    options = ("--format", "pem", "--opaque", "--digest", "sha384", "--key", "Alice Example")
    assert run(*SIGN, *options, mails, "--output-dir", tmp_path / "out", "--workers", "2").code == 0
    for path in (tmp_path / "out").iterdir():
        assert path.name.endswith(".eml.p7m")
        assert path.read_bytes().startswith(b"-----BEGIN CMS-----\n")


def test_workers_log_in_once_each(faulty: Faulty, mails: Path, tmp_path: Path) -> None:
    assert faulty.run(*SIGN, mails, "--output-dir", tmp_path / "out", "--workers", "2").code == 0
    assert faulty.logins() == 3  # the PIN is tried before any worker starts


@pytest.mark.parametrize("pin", ["wrong", ""])
def test_workers_do_not_multiply_a_wrong_pin(faulty: Faulty, mails: Path, tmp_path: Path, pin: str) -> None:
    faulty.script.write(tries=3)
    arguments = (*SIGN, mails, "--output-dir", tmp_path / "out", "--workers", "4")
    result = faulty.run(*arguments, env={"PIN": pin})
    assert result.code == 9
    assert faulty.logins() == (1 if pin else 0)
    assert len(result.err.splitlines()) == 2


def test_workers_that_crash_are_told_of_in_words(faulty: Faulty, mails: Path, tmp_path: Path) -> None:
    faulty.script.write(crash="C_SignInit")
    result = faulty.run(*SIGN, mails, "--output-dir", tmp_path / "out", "--workers", "2")
    assert result.code == 8
    lines = result.err.splitlines()
    assert len([line for line in lines if line.startswith("smime-agent: error: ")]) == 12
    assert lines[-1] == "0 of 12 signed, 12 failed"
    assert "Traceback" not in result.err
    assert names(tmp_path / "out") == []


@pytest.mark.parametrize("function", ["C_SignInit", "C_FindObjectsInit"])
def test_workers_whose_token_fails_tell_why(faulty: Faulty, mails: Path, tmp_path: Path, function: str) -> None:
    # Of each process, calls are counted anew: the parent's own login comes through.
    nth = 1 if function == "C_SignInit" else 4
    faulty.script.write(fail=failure(function, CKR.DEVICE_ERROR, nth=nth))
    result = faulty.run(*SIGN, mails, "--output-dir", tmp_path / "out", "--workers", "2")
    assert result.code == 8
    assert "token 'alice' failed: DeviceError" in result.err
    assert "Traceback" not in result.err
    assert result.err.splitlines()[-1] == "0 of 12 signed, 12 failed"


def test_the_pin_of_the_workers_is_in_no_environment_and_no_argument(
    faulty: Faulty, mails: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy = tmp_path / "spy"
    spy.mkdir()
    (spy / "sitecustomize.py").write_text(
        "import os, sys\n"
        f"open({str(spy)!r} + f'/seen-{{os.getpid()}}', 'w').write(repr((sys.orig_argv, dict(os.environ))))\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(spy), os.environ.get("PYTHONPATH", "")])))
    pin = "fairly-secret"
    result = faulty.run(*SIGN, mails, "--output-dir", tmp_path / "out", "--workers", "2")
    assert (result.code, result.err) == (0, "")
    seen = [path.read_text() for path in spy.glob("seen-*")]
    workers = [text for text in seen if "smime_agent.cli.worker" in text]
    assert len(workers) == 2
    assert not any(pin in text for text in workers)
