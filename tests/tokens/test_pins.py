"""Where PINs come from, and where they never go."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from smime_agent.errors import PinUnavailableError, UsageError
from smime_agent.keys import Pin, PinRequest
from smime_agent.tokens.pins import PinSource, PinSourceKind, SourcePrompter
from tests.support.softhsm import KnownPin

if TYPE_CHECKING:
    from pathlib import Path

REQUEST = PinRequest("alice", "0042", "to sign")
SECRET = "4711-secret"


# --- naming a source ---


@pytest.mark.parametrize(
    ("text", "kind", "argument"),
    [
        ("prompt", PinSourceKind.PROMPT, ""),
        ("env:PIN", PinSourceKind.ENVIRONMENT, "PIN"),
        ("file:pin.txt", PinSourceKind.FILE, "pin.txt"),
        ("file:/etc/pin", PinSourceKind.FILE, "/etc/pin"),
        ("file:///etc/my%20pin", PinSourceKind.FILE, "/etc/my pin"),
        ("file://localhost/etc/pin", PinSourceKind.FILE, "/etc/pin"),
        ("file:/etc/my%20pin", PinSourceKind.FILE, "/etc/my%20pin"),
        ("/etc/pin", PinSourceKind.FILE, "/etc/pin"),
        ("fd:3", PinSourceKind.DESCRIPTOR, "3"),
        ("|/usr/bin/askpin", PinSourceKind.PROGRAM, "/usr/bin/askpin"),
    ],
)
def test_a_source_has_a_name(text: str, kind: PinSourceKind, argument: str) -> None:
    assert PinSource.parse(text) == PinSource(kind, argument)


@pytest.mark.parametrize(
    "text",
    [
        "", SECRET, "env:", "file:", "fd:", "fd:x", "fd:-1", "fd:\u0663", "|askpin", "|", "pin:" + SECRET,
        "ENV:" + SECRET, "prompt:", "env", ":",
    ],
)  # fmt: skip
def test_what_is_no_source_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        PinSource.parse(text)
    assert str(caught.value) == "this is no source of a PIN"
    assert SECRET not in f"{caught.value} {caught.value.hint}"


# --- reading it ---


def revealed(source: str) -> bytes:
    return bytes(PinSource.parse(source).read().reveal())


@pytest.mark.parametrize(
    ("data", "pin"),
    [
        (b"1234", b"1234"),
        (b"1234\n", b"1234"),
        (b"1234\r\n", b"1234"),
        (b"1234\nmore\n", b"1234"),
        (b" 12 34 \n", b" 12 34 "),
        ("pa\u00df\n".encode(), "pa\u00df".encode()),
        (b"x" * 256 + b"\n", b"x" * 256),
        (b"x" * 256 + b"\r\n", b"x" * 256),
        (b"12\0\n", b"12\0"),
    ],
)
def test_a_file_gives_its_first_line(tmp_path: Path, data: bytes, pin: bytes) -> None:
    (tmp_path / "pin").write_bytes(data)
    assert revealed(f"file:{tmp_path / 'pin'}") == pin


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\r\n1234\n", "is empty"),
        (b"x" * 257, "more than 256 octets"),
        (b"x" * 100_000, "more than 256 octets"),
    ],
)
def test_a_file_without_a_pin_is_refused(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "pin").write_bytes(data)
    with pytest.raises(PinUnavailableError, match=words) as caught:
        revealed(f"file:{tmp_path / 'pin'}")
    assert caught.value.exit_code == 9
    assert "xxx" not in str(caught.value)


@pytest.mark.parametrize(("name", "words"), [("missing", "No such file"), ("", "Is a directory")])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(PinUnavailableError, match=words) as caught:
        revealed(f"file:{tmp_path / name}")
    assert str(tmp_path) in str(caught.value)


def test_a_variable_gives_its_value_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_PIN", SECRET)
    assert revealed("env:THE_PIN") == SECRET.encode()
    assert "THE_PIN" not in os.environ
    with pytest.raises(PinUnavailableError, match="env:THE_PIN is empty"):
        revealed("env:THE_PIN")


def test_a_variable_is_not_there_for_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_PIN", SECRET)
    revealed("env:THE_PIN")
    assert SECRET.encode() not in subprocess.run(["env"], capture_output=True, check=True).stdout


@pytest.mark.parametrize("octets", [b"p\xe4ss", b"\xff\xfe", b"\xed\xa0\x80"])
def test_a_pin_is_text_in_utf_8(monkeypatch: pytest.MonkeyPatch, octets: bytes) -> None:  # PKCS#11 v2.40, 3.4
    monkeypatch.setenv("THE_PIN", os.fsdecode(octets))
    with pytest.raises(PinUnavailableError, match="is not UTF-8") as caught:
        revealed("env:THE_PIN")
    assert caught.value.__cause__ is None  # it would hold the octets


def test_a_descriptor_gives_a_line_and_leaves_the_rest() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"1234\nfor somebody else")
    os.close(writing)
    assert revealed(f"fd:{reading}") == b"1234"
    assert os.read(reading, 100) == b"for somebody else"
    os.close(reading)


@pytest.mark.parametrize("number", ["999", "99999999999999999999", "4294967299"])
def test_a_descriptor_that_is_not_open_is_named(number: str) -> None:
    with pytest.raises(PinUnavailableError, match=f"cannot read the PIN from fd:{number}"):
        revealed(f"fd:{number}")


def test_a_descriptor_without_a_pin_is_refused() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"x" * 1000)
    os.close(writing)
    with pytest.raises(PinUnavailableError, match="more than 256 octets"):
        revealed(f"fd:{reading}")
    while os.read(reading, 100):
        pass
    with pytest.raises(PinUnavailableError, match="is empty"):
        revealed(f"fd:{reading}")
    os.close(reading)


def program(folder: Path, text: str) -> str:
    path = folder / "askpin"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return f"|{path}"


def test_a_program_gives_its_first_line(tmp_path: Path) -> None:
    assert revealed(program(tmp_path, "echo 1234; echo more")) == b"1234"


@pytest.mark.parametrize(
    ("text", "words"),
    [("exit 3", "the program failed"), ("echo 1234; exit 1", "the program failed"), ("true", "is empty")],
)
def test_a_program_that_fails_gives_no_pin(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(PinUnavailableError, match=words) as caught:
        revealed(program(tmp_path, text))
    assert "1234" not in str(caught.value)


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PinUnavailableError, match="No such file"):
        revealed(f"|{tmp_path / 'missing'}")


def test_a_program_reads_nothing_of_ours(tmp_path: Path) -> None:
    code = "from smime_agent.tokens.pins import PinSource; import sys; PinSource.parse(sys.argv[1]).read()"
    command = [sys.executable, "-c", code + "; print(sys.stdin.read())", program(tmp_path, "cat; echo 1234")]
    assert subprocess.run(command, input=b"a mail", capture_output=True, check=True).stdout == b"a mail\n"


# --- asking ---


def test_a_source_is_read_once_and_asked_often(tmp_path: Path) -> None:
    path = tmp_path / "pin"
    path.write_text("1234\n")
    person = KnownPin()
    prompter = SourcePrompter(PinSource.parse(f"file:{path}"), person)
    first = prompter.pin(REQUEST)
    first.wipe()
    path.unlink()
    assert bytes(prompter.pin(REQUEST).reveal()) == b"1234"
    assert person.requests == []


def test_the_person_is_asked_each_time() -> None:
    person = KnownPin()
    prompter = SourcePrompter(PinSource.parse("prompt"), person)
    prompter.pin(REQUEST)
    prompter.pin(REQUEST)
    assert person.requests == [REQUEST, REQUEST]


def test_touches_and_pads_are_the_persons() -> None:
    person = KnownPin()
    prompter = SourcePrompter(PinSource.parse("env:PIN"), person)
    prompter.touch("token 'alice'")
    prompter.pad("token 'bob'")
    assert (person.touches, person.pads) == (["token 'alice'"], ["token 'bob'"])


# --- keeping it ---


def test_a_pin_does_not_print() -> None:
    pin = Pin(SECRET.encode())
    for text in (repr(pin), str(pin), f"{pin}", f"{pin!r}", f"{[pin]}", f"{REQUEST}"):
        assert SECRET not in text


def test_a_source_that_was_read_does_not_print_the_pin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_PIN", SECRET)
    prompter = SourcePrompter(PinSource.parse("env:THE_PIN"), KnownPin(SECRET))
    prompter.pin(REQUEST)
    assert repr(prompter) == str(prompter) == "SourcePrompter(env:THE_PIN)"


def test_a_pin_is_a_copy_that_can_be_wiped() -> None:
    octets = bytearray(b"1234")
    pin = Pin(octets)
    inside = pin.reveal()
    pin.wipe()
    assert (bytes(octets), any(inside), bool(pin)) == (b"1234", False, False)


def test_a_pin_can_be_wiped_while_a_call_still_looks_at_it() -> None:
    pin = Pin(b"1234")
    view = memoryview(pin.reveal())
    pin.wipe()
    assert bytes(view) == bytes(4)
