"""Input that is none, places that take no output, modules that are none: one line, one hint, and nothing half done."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.mails import MAIL, mail
from tests.support.program import Result, run
from tests.support.softhsm import MODULE, PIN

if TYPE_CHECKING:
    from tests.support.command import Command
    from tests.support.softhsm import SoftToken

SIGN = ("sign", "--token", "alice", "--pin-source", "env:PIN")


@pytest.fixture(autouse=True)
def _token(alice: SoftToken) -> None:
    """The token is there, and the last PIN was right."""
    alice.open().close()


def error_of(result: Result) -> str:
    """The one error, which nothing but a hint follows."""
    assert result.out == b""
    lines = result.err.splitlines()
    assert lines, "no word of what went wrong"
    assert lines[0].startswith("smime-agent: error: "), result.err
    assert [line[:6] for line in lines[1:]] in ([], ["hint: "]), result.err
    assert "Traceback" not in result.err
    assert "bug" not in result.err
    return lines[0].removeprefix("smime-agent: error: ")


# --- what is no mail ---


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"\r\n\r\n",
        b"hello\n",
        b"\x00\x01\x02\xff" * 100,
        bytes(100_000),
        b"\x89PNG\r\n\x1a\n",
        b"%PDF-1.7\n",
        b"From: a@b\0c\n\nx",
        b"From: a@b\rTo: c@d\n\nx",
        b": x\n\n",
        b"X: " + b"y" * 2_000_000 + b"\n\nx",
    ],
    ids=range(12),
)
def test_what_is_no_mail_is_exit_6(command: Command, tmp_path: Path, data: bytes) -> None:
    result = command(*SIGN, "-o", tmp_path / "out.eml", stdin=data)
    assert result.code == 6
    error_of(result)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_mail_is_told_before_anybody_is_asked(command: Command) -> None:
    assert command("sign", "--token", "nobody", stdin=b"\0").code == 6


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("missing.eml", "cannot read {path}: No such file or directory"),
        (".", "{path} is a folder"),
        ("mail.eml/below", "cannot read {path}: Not a directory"),
        ("n" * 300, "cannot use {path}: File name too long"),
        ("loop", "cannot read {path}: Too many levels of symbolic links"),
    ],
)
def test_a_file_that_cannot_be_read_is_exit_2(command: Command, tmp_path: Path, path: str, words: str) -> None:
    (tmp_path / "mail.eml").write_bytes(MAIL)
    (tmp_path / "loop").symlink_to("loop")
    result = command(*SIGN, tmp_path / path)
    assert result.code == 2
    assert error_of(result) == words.format(path=tmp_path / path)


def test_a_file_whose_reading_fails_is_exit_2() -> None:
    result = run(*SIGN, "/proc/self/mem")
    assert result.code == 2
    assert "Input/output error" in error_of(result)


# --- places that take no output ---


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("missing/out.eml", "there is no folder {folder}/missing"),
        ("mail.eml/out.eml", "there is no folder {folder}/mail.eml"),
        (".", "it is a folder"),
        ("n" * 300, "File name too long"),
    ],
)
def test_a_place_that_cannot_be_written_is_exit_2(command: Command, tmp_path: Path, place: str, words: str) -> None:
    (tmp_path / "mail.eml").write_bytes(MAIL)
    result = command(*SIGN, tmp_path / "mail.eml", "-o", tmp_path / place)
    assert result.code == 2
    assert error_of(result) == f"cannot write {tmp_path / place}: {words.format(folder=tmp_path)}"
    assert [path.name for path in tmp_path.iterdir()] == ["mail.eml"]


def test_a_full_device_is_exit_2(command: Command) -> None:
    result = command(*SIGN, "-o", "/dev/full", stdin=MAIL)
    assert result.code == 2
    assert error_of(result) == "cannot write /dev/full: No space left on device"
    assert Path("/dev/full").is_char_device()


def start(shell: str, *arguments: str | Path, stdin: bytes = MAIL) -> Result:
    """A run whose descriptors a shell has prepared; ``$@`` is the command."""
    command = ["sh", "-c", shell, "sh", sys.executable, "-m", "smime_agent", *map(str, arguments)]
    variables = {**os.environ, "PIN": PIN, "SMIME_AGENT_MODULE": MODULE}
    done = subprocess.run(command, input=stdin, capture_output=True, env=variables, timeout=60, check=False)
    return Result(done.returncode, done.stdout, done.stderr.decode())


def test_a_full_standard_output_is_exit_2() -> None:
    result = start('"$@" >/dev/full', *SIGN)
    assert result.code == 2
    assert error_of(result) == "cannot write to standard output: No space left on device"


@pytest.mark.parametrize(
    "arguments", [("token", "list"), ("token", "info", "--token", "alice"), ("--version",), ("--help",)]
)
def test_a_full_standard_output_is_exit_2_for_text_too(arguments: tuple[str, ...]) -> None:
    result = start('"$@" >/dev/full', *arguments)
    assert result.code == 2
    assert error_of(result) == "cannot write to standard output: No space left on device"


def test_a_reader_who_left_is_exit_2() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "smime_agent", *SIGN]
    variables = {**os.environ, "PIN": PIN, "SMIME_AGENT_MODULE": MODULE}
    done = subprocess.run(command, input=MAIL, stdout=writing, stderr=subprocess.PIPE, env=variables, check=False)
    os.close(writing)
    assert done.returncode == 2
    assert done.stderr == b"smime-agent: error: cannot write to standard output: Broken pipe\n"


def no_large_files() -> None:
    """In a child: nothing beyond 64 KiB can be written, as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))


LIMITED = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from tests.cli.test_bad_input import no_large_files
from smime_agent.cli import main
no_large_files()
main()
"""


def limited(tmp_path: Path, *arguments: str | Path) -> Result:
    """A run on a disk that is nearly full."""
    command = [sys.executable, "-c", LIMITED, str(Path(__file__).parents[2]), *map(str, arguments)]
    variables = {**os.environ, "PIN": PIN, "SMIME_AGENT_MODULE": MODULE, "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, env=variables, timeout=60, check=False)
    return Result(done.returncode, done.stdout, done.stderr.decode())


def test_a_disk_that_fills_up_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "mail.eml").write_bytes(mail(body="A line of text.\n" * 20_000))
    (tmp_path / "out.eml").write_bytes(b"old")
    result = limited(tmp_path, *SIGN, tmp_path / "mail.eml", "-o", tmp_path / "out.eml")
    assert result.code == 2
    assert error_of(result) == f"cannot write {tmp_path / 'out.eml'}: File too large"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mail.eml", "out.eml"]
    assert (tmp_path / "out.eml").read_bytes() == b"old"


def test_a_disk_that_fills_up_fails_the_large_ones_alone(tmp_path: Path) -> None:
    (tmp_path / "large.eml").write_bytes(mail(body="A line of text.\n" * 20_000))
    (tmp_path / "small.eml").write_bytes(MAIL)
    paths = (tmp_path / "large.eml", tmp_path / "small.eml")
    result = limited(tmp_path, *SIGN, *paths, "--output-dir", tmp_path / "out")
    assert result.code == 2
    assert "1 of 2 signed, 1 failed" in result.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["small.eml"]


# --- closed descriptors ---


def test_a_closed_standard_input_is_told() -> None:
    result = start('"$@" <&-', *SIGN)
    assert result.code == 2
    assert error_of(result) == "no message was given, and standard input is closed"


def test_a_closed_standard_input_does_not_matter_where_a_file_is_given(tmp_path: Path) -> None:
    (tmp_path / "mail.eml").write_bytes(MAIL)
    result = start('"$@" <&-', *SIGN, tmp_path / "mail.eml")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(b"From: Alice")


def test_a_closed_standard_output_is_told() -> None:
    result = start('"$@" >&-', *SIGN)
    assert result.code == 2
    assert error_of(result) == "standard output is closed"


def test_a_closed_standard_output_does_not_matter_where_a_file_is_named(tmp_path: Path) -> None:
    result = start('"$@" >&-', *SIGN, "-o", tmp_path / "out.eml")
    assert (result.code, result.err) == (0, "")
    assert (tmp_path / "out.eml").read_bytes().startswith(b"From: Alice")


def test_a_closed_standard_error_changes_nothing() -> None:
    result = start('"$@" 2>&-', *SIGN)
    assert result.code == 0
    assert result.out.startswith(b"From: Alice")
    result = start('"$@" 2>&-', "sign", "--token", "nobody")
    assert (result.code, result.out) == (8, b"")


def test_all_closed_at_once_writes_into_nobodys_file(tmp_path: Path) -> None:
    (tmp_path / "mail.eml").write_bytes(MAIL)
    result = start('"$@" <&- >&- 2>&-', *SIGN, tmp_path / "mail.eml", "-o", tmp_path / "out.eml")
    assert result.code == 0
    assert (tmp_path / "mail.eml").read_bytes() == MAIL
    assert (tmp_path / "out.eml").read_bytes().startswith(b"From: Alice")


@pytest.mark.parametrize(
    "arguments", [("--version",), ("--help",), ("token", "list"), ("key", "list", "--token", "alice")]
)
def test_text_to_a_closed_standard_output_is_no_bug(arguments: tuple[str, ...]) -> None:
    result = start('"$@" >&-', *arguments)
    assert "bug" not in result.err
    assert "Traceback" not in result.err


# --- modules ---


def a_text_file(folder: Path) -> Path:
    (folder / "module.so").write_text("not a module\n")
    return folder / "module.so"


def a_folder(folder: Path) -> Path:
    return folder


def a_missing_file(folder: Path) -> Path:
    return folder / "missing.so"


def an_empty_file(folder: Path) -> Path:
    (folder / "module.so").touch()
    return folder / "module.so"


def another_library(folder: Path) -> Path:
    """It loads, and is something else."""
    from pkcs11 import _pkcs11

    (folder / "module.so").symlink_to(_pkcs11.__file__)
    return folder / "module.so"


@pytest.mark.parametrize("make", [a_text_file, a_folder, a_missing_file, an_empty_file, another_library])
@pytest.mark.parametrize(
    "arguments", [("sign", "--token", "alice"), ("token", "list"), ("token", "init", "--label", "x")]
)
def test_what_is_no_module_is_exit_8(tmp_path: Path, make: object, arguments: tuple[str, ...]) -> None:
    assert callable(make)
    path: Path = make(tmp_path)
    result = run(*arguments, "--module", path, stdin=MAIL)
    assert result.code == 8
    message = error_of(result)
    assert str(path) in message or str(path.resolve()) in message


def test_no_module_at_all_is_exit_8() -> None:
    result = run("token", "list", "--token", "pkcs11:?module-name=no-such-module", module=None)
    assert result.code == 8
    assert error_of(result) == "no PKCS#11 module named no-such-module is installed"


@pytest.mark.parametrize("text", [None, "", "directories.tokendir = /nonexistent/tokens\n", "nonsense\n"])
def test_a_softhsm_without_its_configuration_is_exit_8(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "softhsm2.conf"
    if text is not None:
        path.write_text(text)
    result = run(*SIGN, stdin=MAIL, env={"SOFTHSM2_CONF": str(path)})
    assert result.code == 8
    assert result.out == b""
    last = [line for line in result.err.splitlines() if line.startswith(("smime-agent: error: ", "hint: "))]
    assert len(last) == 2
    assert "Traceback" not in result.err
