"""``smime-agent sign`` of one message."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from asn1crypto import cms, pem

from smime_agent.algorithms import KeyType, KeyUsage
from tests.support.ca import Wanted
from tests.support.mails import MAIL, mail
from tests.support.program import run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.ca import Authority
    from tests.support.command import Command
    from tests.support.softhsm import SoftHsm, SoftToken

PIN_FROM = ("--pin-source", "env:PIN")
SIGN = ("sign", "--token", "alice", *PIN_FROM)


@pytest.fixture(autouse=True)
def _token(alice: SoftToken) -> None:
    """The last PIN was right."""
    alice.open().close()


@pytest.fixture
def anchors(tmp_path: Path, root_ca: Authority, issuing_ca: Authority) -> Path:
    """What OpenSSL is to trust, with the intermediate."""
    path = tmp_path / "anchors.pem"
    path.write_bytes(root_ca.pem + issuing_ca.pem)
    return path


@pytest.fixture(scope="module")
def many(softhsm: SoftHsm, issuing_ca: Authority) -> SoftToken:
    """An RSA key, a P-256 key, an expired one, and one without a certificate."""
    token = softhsm.new_token("many keys")
    token.enrol(issuing_ca, KeyType.RSA_2048, Wanted(("rsa@example.org",), "rsa"))
    token.enrol(issuing_ca, KeyType.EC_P256, Wanted(("ec@example.org",), "ec"))
    token.enrol(issuing_ca, KeyType.EC_P256, Wanted(("old@example.org",), "old", not_before=-9, not_after=-2))
    token.enrol(issuing_ca, KeyType.ED25519, Wanted(("ed@example.org",), "ed"))
    token.generate(KeyType.EC_P256, KeyUsage.SIGN, "bare")
    return token


def verified(signed: bytes, anchors: Path, *options: str | Path, content: bytes | None = None) -> bytes:
    """What OpenSSL found to be signed."""
    command = ["openssl", "cms", "-verify", "-CAfile", anchors, *options]
    if content is not None:
        (anchors.parent / "content").write_bytes(content)
        command += ["-binary", "-content", anchors.parent / "content"]
    done = subprocess.run(command, input=signed, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- the forms ---


@pytest.mark.interop
@pytest.mark.parametrize("options", [(), ("--opaque",), ("--digest", "sha512")])
def test_a_mail_verifies(command: Command, anchors: Path, options: tuple[str, ...]) -> None:
    result = command(*SIGN, *options, stdin=MAIL)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(b"From: Alice <alice@example.org>\r\n")
    assert b"Hello, Bob.\r\n" in verified(result.out, anchors)


@pytest.mark.interop
@pytest.mark.parametrize("form", ["der", "pem"])
@pytest.mark.parametrize("content", [b"any \x00 octets\nas they are\r\n", b"", b"x" * 3_000_000])
def test_any_file_verifies_detached(command: Command, anchors: Path, form: str, content: bytes) -> None:
    result = command(*SIGN, "--format", form, stdin=content)
    assert (result.code, result.err) == (0, "")
    assert verified(result.out, anchors, "-inform", form.upper(), content=content) == content


@pytest.mark.interop
@pytest.mark.parametrize("form", ["der", "pem"])
@pytest.mark.parametrize("content", [b"any \x00 octets\nas they are\r\n", b"x" * 3_000_000])
def test_any_file_verifies_attached(command: Command, anchors: Path, form: str, content: bytes) -> None:
    result = command(*SIGN, "--format", form, "--opaque", stdin=content)
    assert (result.code, result.err) == (0, "")
    assert verified(result.out, anchors, "-inform", form.upper(), "-binary") == content


def test_pem_is_der_in_pem(command: Command) -> None:
    armored = command(*SIGN, "--format", "pem", stdin=b"x").out
    label, _, octets = pem.unarmor(armored)
    assert label == "CMS"
    assert cms.ContentInfo.load(octets)["content_type"].native == "signed_data"


@pytest.mark.interop
@pytest.mark.parametrize(
    ("key", "options", "micalg"),
    [
        ("rsa", (), "sha-256"),
        ("rsa", ("--padding", "pss"), "sha-256"),
        ("rsa", ("--padding", "pss", "--digest", "sha384"), "sha-384"),
        ("ec", (), "sha-256"),
        ("ec", ("--digest", "sha512"), "sha-512"),
    ],
)
def test_the_options_choose_the_scheme(  # noqa: PLR0913, PLR0917 - three columns and three fixtures
    command: Command, many: SoftToken, anchors: Path, key: str, options: tuple[str, ...], micalg: str
) -> None:
    result = command("sign", "--token", many.label, *PIN_FROM, *options, stdin=mail(f"{key}@example.org"))
    assert (result.code, result.err) == (0, "")
    assert f"micalg={micalg}".encode() in result.out
    assert verified(result.out, anchors)


def test_ed25519_signs_with_sha_512(command: Command, many: SoftToken) -> None:
    result = command("sign", "--token", many.label, *PIN_FROM, stdin=mail("ed@example.org"))
    assert (result.code, result.err) == (0, "")
    assert b"micalg=sha-512" in result.out


# --- which key ---


@pytest.mark.parametrize("key", ["alice@example.org", "01", "Alice Example", "pkcs11:id=%01"])
def test_a_key_that_is_named_signs_for_anybody_with_a_warning(command: Command, key: str) -> None:
    result = command(*SIGN, "--key", key, stdin=mail("Mallory <mallory@example.org>"))
    assert result.code == 0
    assert result.err == (
        "smime-agent: warning: the mail is from mallory@example.org, the certificate is for alice@example.org: "
        "verifiers will object\n"
    )


@pytest.mark.parametrize(
    ("sender", "options", "code", "words"),
    [
        ("nobody@example.org", (), 7, "no key on token 'many keys' has a certificate for nobody@example.org"),
        ("rsa@example.org", ("--key", "bare"), 7, "'bare' on token 'many keys' has no certificate"),
        ("rsa@example.org", ("--key", "none"), 7, "there is no key 'none'"),
        ("old@example.org", (), 10, "expired on "),
        ("rsa@example.org", ("--key", "old"), 10, "expired on "),
        ("ec@example.org", ("--padding", "pss"), 2, "--padding is for RSA keys"),
        ("ed@example.org", ("--digest", "sha256"), 2, "SHA-512 only"),
        ("rsa@example.org", ("--key", "pkcs11:colour=red"), 2, "no path attribute 'colour'"),
    ],
)
def test_what_does_not_fit_is_refused(  # noqa: PLR0913, PLR0917 - four columns
    command: Command, many: SoftToken, sender: str, options: tuple[str, ...], code: int, words: str
) -> None:
    result = command("sign", "--token", many.label, *PIN_FROM, *options, stdin=mail(sender))
    assert (result.code, result.out) == (code, b"")
    assert words in result.err.splitlines()[0]
    assert all(line.startswith("hint: ") for line in result.err.splitlines()[1:])


def test_a_mail_without_from_needs_a_key(command: Command, many: SoftToken) -> None:
    result = command("sign", "--token", many.label, *PIN_FROM, stdin=b"Subject: x\n\nx\n")
    assert (result.code, result.out) == (7, b"")
    assert "no From that can be read" in result.err


def test_a_mail_from_several_is_signed_by_the_first_with_a_key(command: Command) -> None:
    result = command(*SIGN, stdin=mail("Bob <bob@example.org>, Alice <ALICE@EXAMPLE.ORG>"))
    assert result.code == 0
    assert "the mail is from bob@example.org, ALICE@EXAMPLE.ORG, the certificate is for alice@example.org" in result.err


# --- signed before ---


def test_a_signed_mail_is_not_signed_again_by_accident(command: Command) -> None:
    signed = command(*SIGN, stdin=MAIL).out
    opaque = command(*SIGN, "--opaque", stdin=MAIL).out
    for message in (signed, opaque):
        result = command(*SIGN, stdin=message)
        assert (result.code, result.out) == (10, b"")
        assert result.err == (
            "smime-agent: error: this mail is already signed\nhint: --again puts a second signature around the first\n"
        )


def test_a_signed_mail_is_refused_before_anybody_is_asked(command: Command) -> None:
    signed = command(*SIGN, stdin=MAIL).out
    assert command("sign", "--token", "nobody", stdin=signed).code == 10


@pytest.mark.interop
def test_a_mail_can_be_signed_again(command: Command, anchors: Path) -> None:
    signed = command(*SIGN, stdin=MAIL).out
    result = command(*SIGN, "--again", stdin=signed)
    assert (result.code, result.err) == (0, "")
    inner = verified(result.out, anchors)
    assert b"Hello, Bob.\r\n" in verified(inner, anchors)


# --- files ---


def test_a_file_goes_to_a_file(command: Command, tmp_path: Path) -> None:
    (tmp_path / "mail.eml").write_bytes(MAIL)
    result = command(*SIGN, tmp_path / "mail.eml", "-o", tmp_path / "signed.eml")
    assert (result.code, result.out, result.err) == (0, b"", "")
    assert (tmp_path / "signed.eml").read_bytes().startswith(b"From: Alice")
    assert (tmp_path / "mail.eml").read_bytes() == MAIL


def test_a_dash_is_standard_input(command: Command) -> None:
    assert command(*SIGN, "-", stdin=MAIL).code == 0


def test_an_old_result_is_replaced(command: Command, tmp_path: Path) -> None:
    (tmp_path / "signed.eml").write_bytes(b"old")
    assert command(*SIGN, "-o", tmp_path / "signed.eml", stdin=MAIL).code == 0
    assert b"multipart/signed" in (tmp_path / "signed.eml").read_bytes()


@pytest.mark.parametrize("other", ["mail.eml", "./mail.eml", "link.eml", "hard.eml"])
def test_a_message_is_not_overwritten(command: Command, tmp_path: Path, other: str) -> None:
    (tmp_path / "mail.eml").write_bytes(MAIL)
    (tmp_path / "link.eml").symlink_to("mail.eml")
    (tmp_path / "hard.eml").hardlink_to(tmp_path / "mail.eml")
    result = command(*SIGN, tmp_path / "mail.eml", "-o", f"{tmp_path}/{other}")
    assert (result.code, result.out) == (2, b"")
    assert "would overwrite the message" in result.err
    assert (tmp_path / "mail.eml").read_bytes() == MAIL


@pytest.mark.parametrize("name", ["r\u00e9sum\u00e9.eml", "with space.eml", "-dash.eml", "new\nline.eml"])
def test_names_of_files_are_free(command: Command, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(MAIL)
    assert command(*SIGN, tmp_path / name, "-o", tmp_path / f"signed {name}").code == 0


def test_a_file_whose_name_is_no_text(tmp_path: Path) -> None:
    name = "mail\udcff.eml"
    (tmp_path / name).write_bytes(MAIL)
    result = run(*SIGN, tmp_path / name, "-o", tmp_path / f"out-{name}")
    assert (result.code, result.err) == (0, "")
    result = run(*SIGN, tmp_path / f"missing-{name}")
    assert result.code == 2
    assert r"mail\udcff.eml: No such file" in result.err


# --- defaults ---


def test_the_environment_gives_a_default(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMIME_AGENT_TOKEN", "alice")
    assert command("sign", *PIN_FROM, stdin=MAIL).code == 0
    monkeypatch.setenv("SMIME_AGENT_TOKEN", "nobody")
    assert command("sign", *PIN_FROM, stdin=MAIL).code == 8
    assert command(*SIGN, stdin=MAIL).code == 0


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    monkeypatch.setenv("SMIME_AGENT_CONFIG", str(path))
    return path


def test_the_file_gives_defaults(command: Command, config: Path) -> None:
    config.write_text('token = "alice"\npin_source = "env:PIN"\nkey = "01"\n')
    assert command("sign", stdin=mail("mallory@example.org")).code == 0
    assert command("sign", "--key", "none", stdin=MAIL).code == 7


def test_the_command_line_comes_before_the_environment_and_that_before_the_file(
    command: Command, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text('token = "from the file"\npin_source = "env:PIN"\n')
    assert "'from the file'" in command("sign", stdin=MAIL).err
    monkeypatch.setenv("SMIME_AGENT_TOKEN", "from the environment")
    assert "'from the environment'" in command("sign", stdin=MAIL).err
    assert command("sign", "--token", "alice", stdin=MAIL).code == 0


@pytest.mark.parametrize("text", ['colour = "red"\n', "token = 1\n", "workers = 0\n", "token"])
def test_a_file_that_is_wrong_is_exit_2(command: Command, config: Path, text: str) -> None:
    config.write_text(text)
    for arguments in (SIGN, ("key", "list"), ("token", "list"), ("doctor",)):
        result = command(*arguments, stdin=MAIL)
        assert (result.code, result.out) == (2, b"")
        assert result.err.startswith(f"smime-agent: error: {config}: ")


def test_a_wrong_pin_source_in_the_file_is_exit_2(command: Command, config: Path) -> None:
    config.write_text('pin_source = "1234-secret"\n')
    result = command("sign", "--token", "alice", stdin=MAIL)
    assert (result.code, result.out) == (2, b"")
    assert "1234" not in result.err
