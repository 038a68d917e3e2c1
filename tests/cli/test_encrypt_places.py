"""Where ``encrypt`` reads and writes, one message and many, and what it shows."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.correspondents import printed
from tests.support.mails import MAIL, mail
from tests.support.program import run
from tests.test_docs import assert_documented

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.correspondents import Correspondent, Encrypt, People
    from tests.support.softhsm import SoftToken

DONE, USAGE, INVALID, TOKEN, REFUSED = 0, 2, 6, 8, 10
BOB = "bob@example.org"


@pytest.fixture
def bob(person: People) -> Correspondent:
    """Somebody to write to."""
    return person("bob")


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    """A folder with three mails, one of them to somebody who is not known."""
    folder = tmp_path / "outbox"
    folder.mkdir()
    for name, message in {"1.eml": MAIL, "2.eml": MAIL.replace(b"bob@", b"carol@"), "3.eml": MAIL}.items():
        (folder / name).write_bytes(message)
    return folder


@pytest.fixture
def known(bob: Correspondent, tmp_path: Path) -> Correspondent:
    """Somebody who is in the contacts."""
    folder = tmp_path / "share" / "smime-agent" / "contacts"
    folder.mkdir(parents=True)
    (folder / "bob.pem").write_bytes(bob.path.read_bytes())
    return bob


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# One message


@pytest.mark.parametrize("output", [(), ("-o", "-")], ids=["nowhere", "-"])
@pytest.mark.parametrize("source", [(), ("-",)], ids=["nowhere", "-"])
def test_from_standard_input_to_standard_output(
    encrypt: Encrypt, bob: Correspondent, output: tuple[str, ...], source: tuple[str, ...]
) -> None:
    assert bob.decrypt(encrypt(*source, "--cert", bob.path, *output).out).endswith(b"Hello, Bob.\r\n")


def test_from_a_file_to_a_file(encrypt: Encrypt, bob: Correspondent, outbox: Path, tmp_path: Path) -> None:
    done = encrypt(outbox / "1.eml", "--cert", bob.path, "-o", tmp_path / "out.eml")
    assert (done.code, done.out) == (DONE, b"")
    assert bob.decrypt((tmp_path / "out.eml").read_bytes()).endswith(b"Hello, Bob.\r\n")


@pytest.mark.parametrize("name", ["message", "certificate", "root", "another name for the message"])
def test_nothing_that_was_named_is_overwritten(
    encrypt: Encrypt, bob: Correspondent, outbox: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "link").symlink_to(outbox / "1.eml")
    place = {"message": outbox / "1.eml", "certificate": bob.path, "root": encrypt.root}.get(name, tmp_path / "link")
    before = place.read_bytes()
    done = encrypt(outbox / "1.eml", "--cert", bob.path, "-o", place)
    assert (done.code, place.read_bytes()) == (USAGE, before)


def test_a_place_that_cannot_be_written_is_said_first(encrypt: Encrypt, bob: Correspondent, tmp_path: Path) -> None:
    done = encrypt("--cert", bob.path, "-o", tmp_path / "nowhere" / "out.eml", message=b"\x00")
    assert (done.code, "there is no folder" in done.err) == (USAGE, True)


def test_a_failure_leaves_what_was_there(encrypt: Encrypt, bob: Correspondent, tmp_path: Path) -> None:
    (tmp_path / "out.eml").write_bytes(b"before")
    assert encrypt("--cert", bob.path, "-o", tmp_path / "out.eml", message=b"\x00").code == INVALID
    assert ((tmp_path / "out.eml").read_bytes(), list(tmp_path.glob(".smime-agent*"))) == (b"before", [])


def test_two_places_exclude_each_other(encrypt: Encrypt, tmp_path: Path) -> None:
    assert encrypt("-o", tmp_path / "a", "--output-dir", tmp_path / "b").code == USAGE


def test_a_process_encrypts_what_is_piped_through_it(encrypt: Encrypt, bob: Correspondent) -> None:
    large = mail(body="A line of a long mail.\n" * 200_000)
    words = ("encrypt", "--ca-file", encrypt.root, "--revocation", "off", "--cert", bob.path)
    done = run(*words, stdin=large)
    assert (done.code, len(bob.decrypt(done.out)) > 4_000_000) == (DONE, True)


@pytest.mark.parametrize(("form", "name"), [("smime", "1.eml"), ("der", "1.eml.p7m"), ("pem", "1.eml.pem")])
def test_the_name_of_a_result_is_that_of_its_message(
    encrypt: Encrypt, bob: Correspondent, outbox: Path, form: str, name: str
) -> None:
    words = ("--cert", bob.path, "--format", form, "--output-dir", outbox / "out")
    assert encrypt(outbox / "1.eml", *words).code == DONE
    assert names(outbox / "out") == [name]


def test_a_message_in_the_folder_of_results_is_not_overwritten(
    encrypt: Encrypt, bob: Correspondent, outbox: Path
) -> None:
    before = (outbox / "1.eml").read_bytes()
    done = encrypt(outbox / "1.eml", "--cert", bob.path, "--output-dir", outbox)
    assert (done.code, (outbox / "1.eml").read_bytes()) == (USAGE, before)


# Many messages


def test_many_go_on_where_one_is_refused(encrypt: Encrypt, known: Correspondent, outbox: Path, tmp_path: Path) -> None:
    done = encrypt(outbox, "--output-dir", tmp_path / "out", "--no-self")
    assert (done.code, names(tmp_path / "out")) == (REFUSED, ["1.eml", "3.eml"])
    assert known.decrypt((tmp_path / "out" / "3.eml").read_bytes()).endswith(b"Hello, Bob.\r\n")
    assert done.err.splitlines() == [
        f"smime-agent: error: {outbox / '2.eml'}: there is no certificate for carol@example.org",
        "hint: name a certificate with --cert, or remember one with 'smime-agent verify --remember'",
        "2 of 3 encrypted",
    ]


@pytest.mark.usefixtures("known")
def test_warnings_say_of_which_message_they_are(encrypt: Encrypt, outbox: Path, tmp_path: Path) -> None:
    done = encrypt(outbox / "1.eml", outbox / "3.eml", "--output-dir", tmp_path / "out")
    assert f"smime-agent: warning: {outbox / '3.eml'}: there is no certificate for alice@example.org" in done.err


def test_many_are_signed_in_one_login(
    encrypt: Encrypt, known: Correspondent, outbox: Path, tmp_path: Path, alice: SoftToken
) -> None:
    words = ("--sign", "--token", alice.label, "--pin-source", "env:PIN", "--output-dir", tmp_path / "out")
    done = encrypt(outbox / "1.eml", outbox / "3.eml", *words)  # the variable is gone once it was read
    assert (done.code, names(tmp_path / "out")) == (DONE, ["1.eml", "3.eml"])
    assert known.decrypt((tmp_path / "out" / "3.eml").read_bytes()).startswith(b"Content-Type: multipart/signed")


@pytest.mark.usefixtures("known")
def test_after_a_token_failed_no_other_message_is_tried(encrypt: Encrypt, outbox: Path, tmp_path: Path) -> None:
    words = ("--sign", "--token", "nowhere", "--pin-source", "env:PIN", "--output-dir", tmp_path / "out")
    done = encrypt(outbox / "1.eml", outbox / "3.eml", *words)
    assert (done.code, done.err.count("not tried: ")) == (TOKEN, 1)


def test_many_need_a_folder(encrypt: Encrypt, outbox: Path) -> None:
    done = encrypt(outbox / "1.eml", outbox / "3.eml")
    assert (done.code, done.out, "2 messages need --output-dir" in done.err) == (USAGE, b"", True)


def test_a_folder_needs_a_folder(encrypt: Encrypt, outbox: Path) -> None:
    done = encrypt(outbox)
    assert (done.code, "is a folder, and its messages need --output-dir" in done.err) == (USAGE, True)


@pytest.mark.usefixtures("known")
def test_a_message_of_bcc_takes_the_name_of_no_other(
    encrypt: Encrypt, person: People, outbox: Path, tmp_path: Path
) -> None:
    (outbox / "1.eml").write_bytes(MAIL.replace(b"Subject", b"Bcc: erin@example.org\nSubject"))
    (outbox / "1.bcc-1.eml").write_bytes(MAIL)
    erin = person("erin")
    words = ("--to", BOB, "--to", "erin@example.org", "--cert", erin.path, "--output-dir", tmp_path / "out")
    done = encrypt(outbox / "1.eml", outbox / "1.bcc-1.eml", *words)
    assert (done.code, "two messages would be written to" in done.err) == (USAGE, True)
    assert f"{erin.certificate.serial_number:X}" in printed((tmp_path / "out" / "1.bcc-1.eml").read_bytes())


def test_one_of_two_results_that_cannot_be_written_leaves_none(
    encrypt: Encrypt, bob: Correspondent, person: People, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    (out / "mail.bcc-1.eml").mkdir(parents=True)
    given = ("--to", BOB, "--bcc", "erin@example.org", "--cert", bob.path, "--cert", person("erin").path)
    done = encrypt(*given, "--output-dir", out)
    assert (done.code, names(out)) == (USAGE, ["mail.bcc-1.eml"])


# What is shown


def test_json_needs_another_place_for_the_message(encrypt: Encrypt, bob: Correspondent) -> None:
    done = encrypt("--cert", bob.path, "--json")
    assert (done.code, done.out, "hint: name a file with -o" in done.err) == (USAGE, b"", True)


def test_json_is_as_documented(encrypt: Encrypt, bob: Correspondent, outbox: Path, tmp_path: Path) -> None:
    written = encrypt(outbox / "1.eml", "--cert", bob.path, "--json", "-o", tmp_path / "out.eml")
    refused = encrypt(outbox / "2.eml", "--cert", bob.path, "--json", "-o", tmp_path / "out.eml")
    explained = encrypt("--cert", bob.path, "--json", "--explain")
    broken = encrypt("--cert", bob.path, "--json", "--explain", message=b"\x00")
    for done in (written, refused, explained, broken):
        assert_documented(done.out, "encrypt/1")
    assert [json.loads(done.out)["encrypted"] for done in (written, refused, explained, broken)] == [True, *[False] * 3]


def test_json_tells_where_each_message_is(encrypt: Encrypt, bob: Correspondent, person: People, tmp_path: Path) -> None:
    given = ("--to", BOB, "--bcc", "erin@example.org", "--cert", bob.path, "--cert", person("erin").path)
    done = encrypt(*given, "--json", "--output-dir", tmp_path / "out")
    found: list[dict[str, Any]] = json.loads(done.out)["messages"]
    assert [(one["output"], one["bcc"], [who["address"] for who in one["recipients"]]) for one in found] == [
        (str(tmp_path / "out" / "mail.eml"), False, [BOB]),
        (str(tmp_path / "out" / "mail.bcc-1.eml"), True, ["erin@example.org"]),
    ]


@pytest.mark.usefixtures("known")
def test_json_of_many_is_one_line_each_in_order(encrypt: Encrypt, outbox: Path, tmp_path: Path) -> None:
    done = encrypt(outbox, "--output-dir", tmp_path / "out", "--json")
    assert [json.loads(line)["encrypted"] for line in done.out.splitlines()] == [True, False, True]


def test_an_explanation_says_all_there_is_to_say(encrypt: Encrypt, bob: Correspondent) -> None:
    done = encrypt("--cert", bob.path, "--explain")
    number = f"{bob.certificate.serial_number:x}"
    text = re.sub(r"known from  .*(\n +\| .*)*", "known from  FILE", done.out.decode().replace(number, "NUMBER"))
    assert re.sub(r"\d{4}-\d\d-\d\d", "DATE", text) == EXPLANATION


EXPLANATION = """\
the message: AES-128-CBC, not authenticated
  because     it is the strongest that all can decrypt
  because     bob@example.org: it is not known what they can decrypt, and
            | AES-128-CBC is what every S/MIME program reads
for bob@example.org
  subject     CN=Bob
  issuer      CN=Test Issuing CA
  serial      NUMBER
  valid       DATE to DATE
  known from  FILE
  key         RSA 2048
  wrapped by  RSAES-PKCS1-v1_5, because it is not known that they can decrypt
            | OAEP
  decrypts    it is not known what they can decrypt, and AES-128-CBC is what
            | every S/MIME program reads
  note        there is no certificate for alice@example.org: the sender will
            | not be able to read it
"""


@pytest.mark.usefixtures("known")
def test_an_explanation_of_many_says_of_which_message_it_is(encrypt: Encrypt, outbox: Path) -> None:
    done = encrypt(outbox, "--explain", "--no-self")
    text = done.out.decode()
    assert [f"{outbox / name}:\nthe message: " in text for name in ("1.eml", "2.eml", "3.eml")] == [True, False, True]
    assert f"{outbox / '2.eml'}:\n  refused     carol@example.org: there is no certificate\n" in text
    assert (done.code, done.err.endswith("2 of 3 could be encrypted\n")) == (REFUSED, True)


def test_no_line_of_an_explanation_begins_with_what_a_certificate_says(encrypt: Encrypt, person: People) -> None:
    bob = person("bob", subject="x " * 20 + "\n  refused     no\x1b[31m")
    lines = encrypt("--cert", bob.path, "--explain").out.decode().splitlines()
    assert [line for line in lines if line.startswith("  refused") or "\x1b" in line] == []
    assert all(len(line) <= 80 for line in lines)


@pytest.mark.usefixtures("known")
def test_the_shell_completes_addresses_from_the_contacts(tmp_path: Path) -> None:
    words = "smime-agent encrypt --to b"
    env = {"_SMIME_AGENT_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "3"}
    done = run(env={**env, "XDG_DATA_HOME": str(tmp_path / "share"), "HOME": os.environ["HOME"]})
    assert (done.out.decode().split(), done.err) == ([BOB], "")


def test_the_shell_completes_reasons(tmp_path: Path) -> None:
    words = "smime-agent encrypt --accept ex"
    env = {"_SMIME_AGENT_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "3"}
    assert run(env={**env, "HOME": str(tmp_path)}).out.decode().split() == ["expired", "extended-key-usage"]


def test_who_comes_from_the_contacts_is_said_to(encrypt: Encrypt, known: Correspondent) -> None:
    assert b"\n  known from  contacts\n" in encrypt("--explain").out
    assert known.decrypt(encrypt().out).endswith(b"Hello, Bob.\r\n")
