"""``smime-agent verify``, as it is called."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from smime_agent.api.verifying import Verifier
from smime_agent.tokens import roots
from tests.support.mails import MAIL, mail

if TYPE_CHECKING:
    from tests.support.ca import Authority
    from tests.support.command import Command
    from tests.support.program import Result
    from tests.support.softhsm import SoftToken

TRUSTED, UNSIGNED, MISMATCH, UNTRUSTED, INVALID = 0, 3, 4, 5, 6
USAGE = 2


@pytest.fixture
def root(issuing_ca: Authority, tmp_path: Path) -> Path:
    """The file of the trust anchor."""
    path = tmp_path / "root.pem"
    path.write_bytes(issuing_ca.pem)
    return path


@pytest.fixture
def signed(command: Command, alice: SoftToken) -> bytes:
    """A mail that Alice signed."""
    return sign(command, alice, MAIL)


def sign(command: Command, alice: SoftToken, message: bytes, *options: str) -> bytes:
    done = command("sign", "--token", alice.label, "--pin-source", "env:PIN", *options, stdin=message)
    assert done.code == 0, done.err
    return done.out


def verify(command: Command, root: Path, *arguments: str | Path, message: bytes = b"") -> Result:
    return command("verify", "--ca-file", root, "--revocation", "off", *arguments, stdin=message)


def verified(command: Command, root: Path, *arguments: str | Path, message: bytes = b"") -> dict[str, Any]:
    done = verify(command, root, "--json", *arguments, message=message)
    value: dict[str, Any] = json.loads(done.out)
    assert {"trusted": 0, "unsigned": 3, "mismatch": 4, "untrusted": 5, "invalid": 6}[value["verdict"]] == done.code
    return value


def codes(value: dict[str, Any]) -> list[str]:
    return [reason["code"] for reason in value["reasons"]]


def test_what_we_sign_is_trusted(command: Command, root: Path, signed: bytes) -> None:
    value = verified(command, root, message=signed)
    assert (value["verdict"], value["from"], value["reasons"]) == ("trusted", ["alice@example.org"], [])
    (signer,) = value["signers"]
    assert (signer["subject"], signer["mailboxes"]) == ("CN=Alice Example", ["alice@example.org"])
    assert signer["chain"] == ["CN=Alice Example", "CN=Test Issuing CA"]


def test_what_we_sign_opaquely_is_trusted(command: Command, root: Path, alice: SoftToken) -> None:
    value = verified(command, root, message=sign(command, alice, MAIL, "--opaque"))
    assert (value["verdict"], value["layers"][0]["form"]) == ("trusted", "application/pkcs7-mime")


def test_a_mail_without_a_signature_is_unsigned(command: Command, root: Path) -> None:
    assert codes(verified(command, root, message=MAIL)) == ["not-signed"]


def test_what_is_no_mail_is_invalid(command: Command, root: Path) -> None:
    assert codes(verified(command, root, message=b"\0\1\2")) == ["malformed-mail"]


def test_nothing_at_all_is_invalid(command: Command, root: Path) -> None:
    assert codes(verified(command, root, message=b"")) == ["malformed-mail"]


def test_a_changed_mail_is_invalid(command: Command, root: Path, signed: bytes) -> None:
    assert codes(verified(command, root, message=signed.replace(b"Hello", b"Hullo"))) == ["digest-mismatch"]


def test_another_sender_is_a_mismatch(command: Command, root: Path, signed: bytes) -> None:
    message = signed.replace(b"Alice <alice@", b"Mallory <mallory@")
    assert codes(verified(command, root, message=message)) == ["from-mismatch"]


def test_a_ca_that_nobody_named_is_not_trusted(command: Command, signed: bytes) -> None:
    done = command("verify", "--revocation", "off", "--json", stdin=signed)
    assert (done.code, codes(json.loads(done.out))) == (UNTRUSTED, ["unknown-issuer"])


def test_the_cas_of_the_configuration_are_trusted(
    command: Command, root: Path, signed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.toml").write_text(f'ca_files = ["{root}"]\n')
    monkeypatch.setenv("SMIME_AGENT_CONFIG", str(tmp_path / "config.toml"))
    assert command("verify", "--revocation", "off", stdin=signed).code == TRUSTED


def test_without_any_ca_it_is_said_that_nobody_can_be_trusted(
    command: Command, signed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roots, "find_root_module", lambda: None)
    done = command("verify", "--revocation", "off", stdin=signed)
    assert (done.code, "nobody can be trusted" in done.err) == (UNTRUSTED, True)


# The card


def test_the_card_begins_with_the_verdict(command: Command, root: Path, signed: bytes) -> None:
    done = verify(command, root, message=signed)
    lines = done.out.decode().splitlines()
    assert lines[0] == "trusted: signed by the sender, and not changed since"
    assert all(line.startswith("  ") for line in lines[1:])


def test_the_card_says_why(command: Command, root: Path, signed: bytes) -> None:
    done = verify(command, root, message=signed.replace(b"Hello", b"Hullo"))
    assert "(digest-mismatch)" in done.out.decode()
    assert done.out.startswith(b"invalid: ")


def test_nothing_from_the_mail_reaches_the_terminal_as_it_is(command: Command, root: Path, signed: bytes) -> None:
    name = "=?utf-8?q?=1B[2J=0Atrusted:_signed_by_=E2=80=AEeve?="
    done = verify(command, root, message=signed.replace(b"Alice <", f"{name} <".encode()))
    text = done.out.decode()
    assert done.code == MISMATCH
    assert not {"\x1b", "\u202e"} & set(text)
    assert [line for line in text.splitlines() if line.startswith("trusted")] == []


# -o


def test_exactly_what_was_signed_is_written(command: Command, root: Path, signed: bytes, tmp_path: Path) -> None:
    assert verify(command, root, "-o", tmp_path / "out", message=signed).code == TRUSTED
    expected = b"Content-Type: text/plain; charset=utf-8\r\n\r\nHello, Bob.\r\n"
    assert (tmp_path / "out").read_bytes() == expected


def test_nothing_is_written_of_a_changed_mail(command: Command, root: Path, signed: bytes, tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"before")
    done = verify(command, root, "-o", tmp_path / "out", message=signed.replace(b"Hello", b"Hullo"))
    assert (done.code, (tmp_path / "out").read_bytes()) == (INVALID, b"before")
    assert "nothing is written" in done.err


def test_what_was_signed_by_somebody_else_is_written_and_told(
    command: Command, root: Path, signed: bytes, tmp_path: Path
) -> None:
    message = signed.replace(b"Alice <alice@", b"Mallory <mallory@")
    assert verify(command, root, "-o", tmp_path / "out", message=message).code == MISMATCH
    assert b"Hello" in (tmp_path / "out").read_bytes()


def test_a_hyphen_is_standard_output(command: Command, root: Path, signed: bytes) -> None:
    done = verify(command, root, "-o", "-", message=signed)
    assert done.out.startswith(b"Content-Type: text/plain")
    assert done.err.startswith("trusted: ")


def test_json_and_the_content_do_not_share_standard_output(command: Command, root: Path, signed: bytes) -> None:
    assert verify(command, root, "-o", "-", "--json", message=signed).code == USAGE


def test_the_message_is_never_overwritten(command: Command, root: Path, signed: bytes, tmp_path: Path) -> None:
    (tmp_path / "mail").write_bytes(signed)
    assert verify(command, root, tmp_path / "mail", "-o", tmp_path / "mail").code == USAGE
    assert (tmp_path / "mail").read_bytes() == signed


# Bare CMS


@pytest.mark.parametrize("form", ["der", "pem"])
def test_a_bare_signature_is_over_the_content_that_is_named(
    command: Command, root: Path, alice: SoftToken, tmp_path: Path, form: str
) -> None:
    (tmp_path / "report").write_bytes(b"a\nreport\n")
    signature = sign(command, alice, b"a\nreport\n", "--format", form, "--key", "alice@example.org")
    value = verified(command, root, "--content", tmp_path / "report", message=signature)
    assert (value["verdict"], [note["code"] for note in value["notes"]]) == (
        "trusted",
        ["revocation-not-checked", "no-sender"],
    )


def test_a_bare_signature_without_its_content_says_what_is_missing(
    command: Command, root: Path, alice: SoftToken
) -> None:
    signature = sign(command, alice, b"a report", "--format", "der", "--key", "alice@example.org")
    assert codes(verified(command, root, message=signature)) == ["no-content"]


def test_a_bare_signature_over_another_content_is_invalid(
    command: Command, root: Path, alice: SoftToken, tmp_path: Path
) -> None:
    (tmp_path / "report").write_bytes(b"another report")
    signature = sign(command, alice, b"a report", "--format", "der", "--key", "alice@example.org")
    value = verified(command, root, "--content", tmp_path / "report", message=signature)
    assert codes(value) == ["digest-mismatch"]


@pytest.mark.interop
def test_a_text_that_openssl_signed_with_crlf_line_ends_is_valid(
    command: Command, issuing_ca: Authority, root: Path, tmp_path: Path
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "cert").write_bytes(issuing_ca.issue(key.public_key()).public_bytes(Encoding.PEM))
    (tmp_path / "key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "text").write_bytes(b"one\ntwo\n")
    sign_it = ("openssl", "cms", "-sign", "-in", "text", "-signer", "cert", "-inkey", "key", "-outform", "DER")
    signature = subprocess.run(sign_it, check=True, capture_output=True, cwd=tmp_path).stdout
    done = verify(command, root, "--content", tmp_path / "text", "-o", tmp_path / "out", message=signature)
    assert done.code == TRUSTED
    assert (tmp_path / "out").read_bytes() == b"one\r\ntwo\r\n"


def test_who_should_have_signed_it_can_be_said(command: Command, root: Path, alice: SoftToken) -> None:
    signature = sign(command, alice, b"a report", "--format", "der", "--opaque", "--key", "alice@example.org")
    assert verify(command, root, "--from", "Alice@Example.ORG", message=signature).code == TRUSTED
    assert codes(verified(command, root, "--from", "bob@example.org", message=signature)) == ["expected-sender"]


def test_a_mail_from_somebody_else_than_expected_is_a_mismatch(command: Command, root: Path, signed: bytes) -> None:
    assert verify(command, root, "--from", "alice@example.org", message=signed).code == TRUSTED
    assert codes(verified(command, root, "--from", "bob@example.org", message=signed)) == ["expected-sender"]


# Time


def test_certificates_are_judged_as_of_the_time_that_is_named(command: Command, root: Path, signed: bytes) -> None:
    value = verified(command, root, "--at", "2001-01-01T00:00:00Z", message=signed)
    assert "not-yet-valid" in codes(value)


@pytest.mark.parametrize("time", ["yesterday", "2026-01-01T00:00:00", "12"])
def test_a_time_has_a_form_and_a_zone(command: Command, root: Path, time: str) -> None:
    done = verify(command, root, "--at", time, message=MAIL)
    assert (done.code, "2026-06-01T00:00:00Z" in done.err) == (USAGE, True)


# Many


def test_a_folder_has_one_json_line_for_each_mail(command: Command, root: Path, signed: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "Maildir"
    for name, message in (("new/2", MAIL), ("cur/1", signed), ("cur/3", signed.replace(b"Hello", b"Hullo"))):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(message)
    done = verify(command, root, "--json", folder)
    lines = [json.loads(line) for line in done.out.splitlines()]
    verdicts = [(Path(line["file"]).name, line["verdict"]) for line in lines]
    assert verdicts == [("1", "trusted"), ("3", "invalid"), ("2", "unsigned")]
    assert done.code == INVALID


def test_a_file_that_cannot_be_read_does_not_stop_the_others(
    command: Command, root: Path, signed: bytes, tmp_path: Path
) -> None:
    (tmp_path / "mail").write_bytes(signed)
    done = verify(command, root, "--json", tmp_path / "absent", tmp_path / "mail")
    assert (done.code, json.loads(done.out)["verdict"]) == (USAGE, "trusted")
    assert "absent" in done.err


def test_a_card_of_several_names_its_file(
    command: Command, root: Path, signed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")  # else it is folded
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(signed)
    done = verify(command, root, tmp_path / "one", tmp_path / "two")
    assert str(tmp_path / "two") in done.out.decode()


@pytest.mark.parametrize("option", ["-o", "--content"])
def test_some_options_are_for_one_message(command: Command, root: Path, tmp_path: Path, option: str) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(MAIL)
    done = verify(command, root, option, tmp_path / "x", tmp_path / "one", tmp_path / "two")
    assert (done.code, option in done.err) == (USAGE, True)


def test_an_empty_folder_is_a_mistake(command: Command, root: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert verify(command, root, tmp_path / "empty").code == USAGE


# Files that are something else


@pytest.mark.parametrize("option", ["--ca-file", "--crl"])
@pytest.mark.parametrize("content", [b"", b"text", b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"])
def test_a_file_that_is_something_else_is_named(command: Command, tmp_path: Path, option: str, content: bytes) -> None:
    (tmp_path / "given").write_bytes(content)
    done = command("verify", option, tmp_path / "given", stdin=MAIL)
    assert (done.code, "given" in done.err) == (USAGE, True)


@pytest.mark.parametrize("option", ["--ca-file", "--crl", "--content"])
def test_a_file_that_is_absent_is_named(command: Command, tmp_path: Path, option: str) -> None:
    done = command("verify", option, tmp_path / "absent", stdin=MAIL)
    assert (done.code, "absent" in done.err) == (USAGE, True)


def test_several_from_addresses_must_all_be_covered(command: Command, root: Path, alice: SoftToken) -> None:
    message = sign(command, alice, mail("alice@example.org, bob@example.org"))
    assert codes(verified(command, root, message=message)) == ["from-mismatch"]


# What an attacker tried


def test_a_mail_is_no_signature_over_a_file(command: Command, root: Path, signed: bytes, tmp_path: Path) -> None:
    (tmp_path / "contract").write_bytes(b"I owe you everything.")
    value = verified(command, root, "--content", tmp_path / "contract", message=signed)
    assert codes(value) == ["unexpected-content"]


@pytest.mark.parametrize("option", ["--ca-file", "--crl"])
def test_no_file_that_was_named_is_overwritten(
    command: Command, root: Path, signed: bytes, tmp_path: Path, option: str
) -> None:
    (tmp_path / "mail").write_bytes(signed)
    done = command("verify", option, root, tmp_path / "mail", "-o", root)
    assert done.code == USAGE
    assert b"BEGIN CERTIFICATE" in root.read_bytes()


@pytest.mark.parametrize("address", ["", "x", "Alice <alice@example.org>", "a b@example.org", "alice@"])
def test_who_should_have_signed_is_an_address(command: Command, root: Path, address: str) -> None:
    assert verify(command, root, "--from", address, message=MAIL).code == USAGE


@pytest.mark.parametrize("name", ["verify", "sign"])
def test_an_unset_variable_is_not_the_current_folder(command: Command, name: str) -> None:
    assert command(name, "").code == USAGE


@pytest.mark.parametrize(
    "time",
    [
        "0001-01-01T00:00:00+23:00",
        "9999-12-31T23:59:59-10:00",
        "9999-12-31T23:59:59Z",
        "20261124T000000Z",
        "2026-W01-1T00:00:00Z",
        "2026-01-01T00:00Z",
    ],
)
def test_a_time_that_cannot_be_reckoned_with_is_refused(command: Command, root: Path, time: str) -> None:
    assert verify(command, root, "--at", time, message=MAIL).code == USAGE


def test_a_ca_file_without_an_end_is_refused(command: Command) -> None:
    done = command("verify", "--ca-file", "/dev/zero", stdin=MAIL)
    assert (done.code, "larger than any" in done.err) == (USAGE, True)


def test_a_bug_in_one_message_does_not_keep_the_others_from_being_verified(
    command: Command, root: Path, signed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("1", "2"):
        (tmp_path / name).write_bytes(signed)
    honest = Verifier.verify
    broken = iter((True, False))

    def verify_or_break(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - those of the method
        if next(broken):
            raise ZeroDivisionError
        return honest(*arguments, **options)

    monkeypatch.setattr(Verifier, "verify", verify_or_break)
    done = verify(command, root, "--json", tmp_path / "1", tmp_path / "2")
    assert (done.code, "this is a bug" in done.err, json.loads(done.out)["verdict"]) == (1, True, "trusted")
