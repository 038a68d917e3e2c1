"""Where a plaintext goes, who can read it there, and that nothing of it is left where it could not be written."""

from __future__ import annotations

import fcntl
import os
import pty
import resource
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

import pytest

from smime_agent.api.decrypting import Decryptor
from smime_agent.api.verifying import Verifier, VerifyOptions
from smime_agent.errors import FileError
from smime_agent.files import write_file
from smime_agent.trust.evidence import RevocationMode
from tests.keyring.people import close_rings, enrolled, ring
from tests.spoofs.envelopes import CBC, CHACHA20, GCM, Seal
from tests.support.softhsm import MODULE, PIN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from smime_agent.algorithms import ContentEncryption
    from smime_agent.x509 import Certificate
    from tests.support.ca import Authority
    from tests.support.command import Command
    from tests.support.softhsm import SoftHsm, SoftToken

ENTITY: Final = b"Content-Type: text/plain\r\n\r\nThe plan is to meet at nine.\r\n"
MIB: Final = 1 << 20
TOKEN: Final = "bob of the outputs"
OPTIONS: Final = ("--token", TOKEN, "--pin-source", "env:PIN", "--revocation", "off")


@pytest.fixture(scope="module")
def token(softhsm: SoftHsm) -> SoftToken:
    """A token."""
    return softhsm.new_token(TOKEN)


@pytest.fixture(scope="module")
def bob(token: SoftToken, issuing_ca: Authority) -> Certificate:
    """The certificate of the key on it."""
    return enrolled(token, issuing_ca, name="Bob")


@pytest.fixture
def message(bob: Certificate, tmp_path: Path) -> Path:
    """A small message, in a folder of its own."""
    folder = tmp_path / "in"
    folder.mkdir()
    path = folder / "mail.p7m"
    path.write_bytes(Seal((bob,)).on(ENTITY))
    return path


@pytest.fixture(scope="module")
def large(bob: Certificate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that takes a while."""
    path = tmp_path_factory.mktemp("large") / "large.p7m"
    path.write_bytes(Seal((bob,)).on(ENTITY + bytes(192 * MIB)))
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder for results, and nothing else."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture(autouse=True)
def _usual_umask() -> Iterator[None]:
    """What most systems have: everybody may read."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def started(*arguments: str | Path, stdout: int | None = None) -> subprocess.Popen[bytes]:
    """A run of the program."""
    environment = {**os.environ, "PIN": PIN, "SMIME_AGENT_MODULE": MODULE, "COLUMNS": "80"}
    command = [sys.executable, "-m", "smime_agent", "decrypt", *OPTIONS, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=stdout, stderr=subprocess.PIPE, start_new_session=True)


def said(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """Its exit code, and what it said to people."""
    with process:
        errors = process.communicate(timeout=60)[1]
    return process.returncode, errors.decode()


# --- who can read it -----------------------------------------------------------------------------------------------


def test_a_file_of_plaintext_is_for_its_owner_alone(command: Command, message: Path, out: Path) -> None:
    assert command("decrypt", *OPTIONS, message, "-o", out / "plain").code == 0
    assert mode(out / "plain") == 0o600


def test_so_are_the_files_of_a_folder(command: Command, message: Path, out: Path) -> None:
    assert command("decrypt", *OPTIONS, message.parent, "--output-dir", out).code == 0
    assert [mode(path) for path in out.iterdir()] == [0o600]


def test_a_file_that_others_could_read_is_replaced_and_not_filled(command: Command, message: Path, out: Path) -> None:
    path = out / "plain"
    path.touch(0o666)
    with path.open("rb") as opened_before:
        assert command("decrypt", *OPTIONS, message, "-o", path).code == 0
        assert opened_before.read() == b""
    assert (mode(path), path.read_bytes()) == (0o600, ENTITY)


def test_a_link_is_replaced_and_not_followed(command: Command, message: Path, out: Path) -> None:
    victim, link = out / "victim", out / "link"
    victim.write_bytes(b"mine")
    link.symlink_to(victim)
    assert command("decrypt", *OPTIONS, message, "-o", link).code == 0
    assert (victim.read_bytes(), link.is_symlink(), link.read_bytes()) == (b"mine", False, ENTITY)


@pytest.mark.parametrize("make", [os.symlink, os.link])
def test_the_message_under_another_name_is_not_overwritten(
    command: Command, message: Path, out: Path, make: object
) -> None:
    assert callable(make)
    encrypted = message.read_bytes()
    make(message, out / "other")
    assert command("decrypt", *OPTIONS, message, "-o", out / "other").code == 2
    assert message.read_bytes() == encrypted


# --- nothing is left -----------------------------------------------------------------------------------------------


def test_a_disk_without_room_leaves_nothing(large: Path, out: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "smime_agent", "decrypt", *OPTIONS, large, "-o", out / "plain"],
        env={**os.environ, "PIN": PIN, "SMIME_AGENT_MODULE": MODULE},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, MIB)),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, list(out.iterdir())) == (2, [])
    assert done.stderr.startswith(b"smime-agent: error: cannot write ")


def test_a_full_device_is_told(command: Command, message: Path) -> None:
    done = command("decrypt", *OPTIONS, message, "-o", "/dev/full")
    assert (done.code, done.err) == (2, "smime-agent: error: cannot write /dev/full: No space left on device\n")


def test_a_standard_output_without_room_is_told(message: Path) -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        code, errors = said(started(message, stdout=full.fileno()))
    assert (code, errors) == (2, "smime-agent: error: cannot write to standard output: No space left on device\n")


def test_a_reader_that_went_away_is_told(large: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    code, errors = said(started(large, stdout=writing))
    os.close(writing)
    assert (code, errors) == (2, "smime-agent: error: cannot write to standard output: Broken pipe\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_the_plaintext_is_written_leaves_nothing(large: Path, out: Path, number: signal.Signals) -> None:
    process = started(large, "-o", out / "plain")
    while process.poll() is None and not any(path.stat().st_size for path in out.glob(".smime-agent.*")):
        time.sleep(0.001)
    process.send_signal(number)
    code, errors = said(process)
    assert (code, list(out.iterdir())) == (130, []), errors


def test_a_signal_before_the_plaintext_is_written_leaves_nothing(message: Path, out: Path) -> None:
    """The program waits for the rest of its input."""
    reading, writing = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-m", "smime_agent", "decrypt", *OPTIONS, "-o", out / "plain"],
        env={**os.environ, "PIN": PIN, "SMIME_AGENT_MODULE": MODULE},
        stdin=reading,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        os.write(writing, message.read_bytes())
        while fcntl.ioctl(reading, _FIONREAD, b"\0" * 4) != b"\0" * 4:  # until it was read
            time.sleep(0.001)
        process.terminate()
        assert process.wait(timeout=60) == 130
    os.close(reading)
    os.close(writing)
    assert list(out.iterdir()) == []


_FIONREAD: Final = 0x541B


# --- a message that changes ----------------------------------------------------------------------------------------


@pytest.fixture
def decryptor(token: SoftToken) -> Iterator[Decryptor]:
    """The keys of the token."""
    options = VerifyOptions(system_roots=False, revocation=RevocationMode.OFF, offline=True)
    yield Decryptor(ring(token).keyring, Verifier(options))
    close_rings()


@pytest.mark.parametrize("cipher", [GCM, CHACHA20, CBC])
def test_a_message_that_is_changed_while_it_is_decrypted_gives_no_file(
    decryptor: Decryptor, bob: Certificate, tmp_path: Path, out: Path, cipher: ContentEncryption
) -> None:
    path = tmp_path / "mail.p7m"
    path.write_bytes(Seal((bob,), cipher).on(ENTITY + bytes(3 * MIB)))
    with decryptor.opened(path) as found:
        with path.open("r+b") as file:
            file.seek(2 * MIB)
            file.write(b"changed")
        with pytest.raises(FileError):
            write_file(out / "plain", found.content())
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("cipher", [GCM, CHACHA20, CBC])
def test_so_does_one_that_is_cut_off(
    decryptor: Decryptor, bob: Certificate, tmp_path: Path, out: Path, cipher: ContentEncryption
) -> None:
    path = tmp_path / "mail.p7m"
    path.write_bytes(Seal((bob,), cipher).on(ENTITY + bytes(3 * MIB)))
    with decryptor.opened(path) as found:
        os.truncate(path, MIB)
        with pytest.raises(FileError):
            write_file(out / "plain", found.content())
    assert list(out.iterdir()) == []


def test_a_message_that_is_replaced_while_it_is_decrypted_gives_nothing_of_the_other(
    decryptor: Decryptor, bob: Certificate, tmp_path: Path, out: Path
) -> None:
    path, other = tmp_path / "mail.p7m", tmp_path / "other.p7m"
    path.write_bytes(Seal((bob,)).on(ENTITY + bytes(3 * MIB)))
    other.write_bytes(Seal((bob,)).on(bytes(3 * MIB)))
    with decryptor.opened(path) as found:
        other.replace(path)
        with pytest.raises(FileError):  # the one that was opened has a name less, and so another time
            write_file(out / "plain", found.content())
    assert list(out.iterdir()) == []


# --- a terminal ----------------------------------------------------------------------------------------------------


def test_a_plaintext_cannot_steer_the_terminal_that_its_card_is_on(bob: Certificate, tmp_path: Path) -> None:
    evil = b"\x1b[8m\x1b]0;title\x07\rtrusted: signed by the sender\xc2\x9b2J\xe2\x80\xae\x7f\r\n"
    evil += b"\tGr\xc3\xbc\xc3\x9fe \xff\r\n"
    path = tmp_path / "mail.p7m"
    path.write_bytes(Seal((bob,)).on(b"Content-Type: text/plain\r\n\r\n" + evil))
    ours, theirs = pty.openpty()
    process = started(path, stdout=theirs)
    assert said(process)[0] == 0
    os.close(theirs)
    screen = os.read(ours, 10_000)
    os.close(ours)
    assert screen == (
        b"Content-Type: text/plain\r\n\r\n\\x1b[8m\\x1b]0;title\\x07\r\n"
        b"trusted: signed by the sender\\x9b2J\\u202e\\x7f\r\n        Gr\xc3\xbc\xc3\x9fe \\xff\r\n"
    )


def test_a_file_gets_every_octet_of_it(command: Command, bob: Certificate) -> None:
    evil = b"Content-Type: text/plain\r\n\r\n\x1b[8m\x00\xff\r\n"
    assert command("decrypt", *OPTIONS, stdin=Seal((bob,)).on(evil)).out == evil
