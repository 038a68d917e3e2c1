"""``smime-agent cert``."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key

from smime_agent.algorithms import KeyType
from tests.support.ca import Wanted
from tests.support.program import run

if TYPE_CHECKING:
    from pathlib import Path

    from smime_agent.tokens.objects import TokenKey
    from tests.support.ca import Authority
    from tests.support.command import Command
    from tests.support.program import Result
    from tests.support.softhsm import SoftHsm, SoftToken

PIN_FROM = ("--pin-source", "env:PIN")


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory of the test's own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "smime-agent"


@pytest.fixture(scope="module")
def token(softhsm: SoftHsm, issuing_ca: Authority) -> SoftToken:
    """Two certificates for Alice, one for Bob."""
    made = softhsm.new_token("certificates of three")
    made.enrol(issuing_ca, KeyType.EC_P256, Wanted(name="Alice"))
    made.enrol(issuing_ca, KeyType.EC_P256, Wanted(name="Alice", not_before=-2))
    made.enrol(issuing_ca, KeyType.EC_P256, Wanted(("bob@example.org",), "Bob"))
    return made


def parsed(result: Result, schema: str) -> dict[str, Any]:
    assert result.code == 0
    (line,) = result.out.decode().splitlines()
    value: dict[str, Any] = json.loads(line)
    assert value["schema"] == f"smime-agent.{schema}"
    return value


# --- list, show, export ---


def test_the_list_has_a_line_for_each(command: Command, token: SoftToken) -> None:
    result = command("cert", "list", "--token", token.label)
    head, *lines = result.out.decode().splitlines()
    assert head.split() == ["ID", "LABEL", "FOR", "VALID", "UNTIL", "USE"]
    assert [line.split()[:3] for line in lines] == [
        ["01", "Alice", "alice@example.org"],
        ["02", "Alice", "alice@example.org"],
        ["03", "Bob", "bob@example.org"],
    ]
    assert all(line.endswith("sign") for line in lines)


def test_the_list_as_json(command: Command, token: SoftToken) -> None:
    found = parsed(command("cert", "list", "--token", token.label, "--json"), "cert-list/1")["certificates"]
    assert [(one["id"], one["key"], one["mailboxes"]) for one in found] == [
        ("01", "01", ["alice@example.org"]),
        ("02", "02", ["alice@example.org"]),
        ("03", "03", ["bob@example.org"]),
    ]
    assert {(one["sign"], one["encrypt"], one["ca"]) for one in found} == {(True, False, False)}


def test_an_empty_token_says_so(command: Command, softhsm: SoftHsm) -> None:
    softhsm.new_token("no certificates")
    result = command("cert", "list", "--token", "no certificates")
    assert (result.code, result.out, result.err) == (0, b"", "there is no certificate on token 'no certificates'\n")
    for verb in ("show", "export"):
        result = command("cert", verb, "--token", "no certificates")
        assert (result.code, result.out) == (7, b"")


@pytest.mark.parametrize(
    "name", ["03", "Bob", "bob@example.org", "BOB@EXAMPLE.ORG", "pkcs11:id=%03", "pkcs11:object=Bob"]
)
def test_one_is_named(command: Command, token: SoftToken, name: str) -> None:
    facts = parsed(command("cert", "show", name, "--token", token.label, "--json"), "cert-show/1")
    assert (facts["subject"], facts["key"]) == ("CN=Bob", "03")


def test_one_is_named_by_its_fingerprint(command: Command, token: SoftToken) -> None:
    found = parsed(command("cert", "list", "--token", token.label, "--json"), "cert-list/1")["certificates"]
    for one in found:
        for name in (
            one["sha256"],
            one["sha256"][:16].upper(),
            ":".join(one["sha256"][i : i + 2] for i in range(0, 64, 2)),
        ):
            facts = parsed(command("cert", "show", name, "--token", token.label, "--json"), "cert-show/1")
            assert facts["sha256"] == one["sha256"]


@pytest.mark.parametrize("name", ["Alice", "alice@example.org", "pkcs11:object=Alice", None])
def test_several_are_listed_for_the_person_to_choose(command: Command, token: SoftToken, name: str | None) -> None:
    result = command("cert", "show", *([name] if name else []), "--token", token.label)
    assert (result.code, result.out) == (2, b"")
    assert "01 alice@example.org" in result.err
    assert "02 alice@example.org" in result.err


@pytest.mark.parametrize("name", ["nobody", "ff", "nobody@example.org", "pkcs11:id=%FF", "0", "00000000"])
def test_none_is_exit_7(command: Command, token: SoftToken, name: str) -> None:
    result = command("cert", "show", name, "--token", token.label)
    assert (result.code, result.out) == (7, b"")


def test_show_tells_people(command: Command, token: SoftToken) -> None:
    text = command("cert", "show", "Bob", "--token", token.label).out.decode()
    facts = dict(line.split(None, 1) for line in text.splitlines())
    assert (facts["Subject"], facts["Mailboxes"], facts["Key"], facts["Use"]) == (
        "CN=Bob", "bob@example.org", "EC P-256", "sign",
    )  # fmt: skip


def test_show_a_file_needs_no_token(
    command: Command, tmp_path: Path, issuing_ca: Authority, root_ca: Authority
) -> None:
    (tmp_path / "chain.pem").write_bytes(issuing_ca.pem + root_ca.pem)
    result = command("cert", "show", "--file", tmp_path / "chain.pem", "--json", "--token", "nobody")
    assert result.code == 0
    lines = [json.loads(line) for line in result.out.decode().splitlines()]
    assert [line["subject"] for line in lines] == ["CN=Test Issuing CA", "CN=Test Root CA"]
    assert {line["ca"] for line in lines} == {True}


def test_export_prints_pem_or_der(command: Command, token: SoftToken, tmp_path: Path) -> None:
    pem = command("cert", "export", "Bob", "--token", token.label).out
    der = command("cert", "export", "Bob", "--der", "--token", token.label).out
    assert x509.load_pem_x509_certificate(pem) == x509.load_der_x509_certificate(der)
    assert command("cert", "export", "Bob", "--token", token.label, "-o", tmp_path / "bob.pem").out == b""
    assert (tmp_path / "bob.pem").read_bytes() == pem


def test_export_adds_the_chain_without_the_root(
    command: Command, token: SoftToken, tmp_path: Path, issuing_ca: Authority, root_ca: Authority
) -> None:
    (tmp_path / "chain.pem").write_bytes(root_ca.pem + issuing_ca.pem)
    assert command("cert", "import", tmp_path / "chain.pem").code == 0
    pem = command("cert", "export", "Bob", "--chain", "--token", token.label).out
    names = [one.subject.rfc4514_string() for one in x509.load_pem_x509_certificates(pem)]
    assert names == ["CN=Bob", "CN=Test Issuing CA"]


# --- import ---


def fresh(softhsm: SoftHsm, label: str) -> TokenKey:
    return softhsm.new_token(label).generate(KeyType.EC_P256, label="mail")


def issued(authority: Authority, key: TokenKey) -> x509.Certificate:
    assert key.public_key_info
    return authority.issue(load_der_public_key(key.public_key_info))


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_a_certificate_is_stored_beside_its_key(
    command: Command, softhsm: SoftHsm, issuing_ca: Authority, tmp_path: Path, encoding: Encoding
) -> None:
    label = "import PEM" if encoding == Encoding.PEM else "import DER"
    certificate = issued(issuing_ca, fresh(softhsm, label))
    (tmp_path / "cert").write_bytes(certificate.public_bytes(encoding))
    arguments = ("cert", "import", tmp_path / "cert", "--token", label, *PIN_FROM)
    facts = parsed(command(*arguments, "--json"), "cert-import/1")
    assert [(one["id"], one["label"], one["sha256"]) for one in facts["stored"]] == [
        ("01", "mail", certificate.fingerprint(hashes.SHA256()).hex())
    ]
    assert command(*arguments).code == 0  # it is there: nothing is to be done
    assert len(parsed(command("cert", "list", "--token", label, "--json"), "cert-list/1")["certificates"]) == 1


def test_a_chain_in_the_file_goes_to_the_data_directory(
    command: Command, softhsm: SoftHsm, issuing_ca: Authority, tmp_path: Path, data: Path
) -> None:
    certificate = issued(issuing_ca, fresh(softhsm, "with chain"))
    (tmp_path / "all.pem").write_bytes(certificate.public_bytes(Encoding.PEM) + issuing_ca.pem)
    result = command(
        "cert", "import", tmp_path / "all.pem", "--label", "work", "--token", "with chain", *PIN_FROM, "--json"
    )
    facts = parsed(result, "cert-import/1")
    assert [one["label"] for one in facts["stored"]] == ["work"]
    assert facts["chain"] == [issuing_ca.certificate.fingerprint(hashes.SHA256()).hex()]
    assert [path.read_bytes() for path in (data / "chain").iterdir()] == [issuing_ca.pem]


def test_ca_certificates_alone_need_no_token(
    command: Command, issuing_ca: Authority, tmp_path: Path, data: Path
) -> None:
    (tmp_path / "ca.pem").write_bytes(issuing_ca.pem)
    assert command("cert", "import", tmp_path / "ca.pem", "--token", "nobody").code == 0
    assert len(list((data / "chain").iterdir())) == 1


def test_a_certificate_without_its_key_is_exit_7(
    command: Command, softhsm: SoftHsm, issuing_ca: Authority, tmp_path: Path
) -> None:
    fresh(softhsm, "not mine")
    stranger = issuing_ca.issue(ec.generate_private_key(ec.SECP256R1()).public_key())
    (tmp_path / "cert.pem").write_bytes(stranger.public_bytes(Encoding.PEM))
    result = command("cert", "import", tmp_path / "cert.pem", "--token", "not mine", *PIN_FROM)
    assert (result.code, result.out) == (7, b"")
    assert "no key on token 'not mine' is the key of this certificate (CN=Alice Example)" in result.err
    assert parsed(command("cert", "list", "--token", "not mine", "--json"), "cert-list/1")["certificates"] == []


@pytest.mark.parametrize(
    "data_", [b"", b"hello", b"\x30\x03\x02\x01\x00", b"-----BEGIN CERTIFICATE-----\n", b"x" * 2_000_000]
)
@pytest.mark.parametrize("verb", [("import",), ("show", "--file")])
def test_a_file_without_a_certificate_is_exit_2(
    command: Command, tmp_path: Path, data_: bytes, verb: tuple[str, ...]
) -> None:
    (tmp_path / "cert").write_bytes(data_)
    result = command("cert", *verb, tmp_path / "cert", "--token", "nobody")
    assert (result.code, result.out) == (2, b"")
    assert result.err.startswith(f"smime-agent: error: {tmp_path / 'cert'}: ")


@pytest.mark.parametrize("verb", [("import",), ("show", "--file")])
def test_a_file_that_cannot_be_read_is_exit_2(command: Command, tmp_path: Path, verb: tuple[str, ...]) -> None:
    for path in (tmp_path / "missing", tmp_path):
        result = command("cert", *verb, path, "--token", "nobody")
        assert (result.code, result.out) == (2, b"")
        assert result.err.startswith(f"smime-agent: error: cannot read {path}: ")


# --- request ---


@pytest.mark.interop
def test_a_request_is_printed_and_verifies(command: Command, token: SoftToken, tmp_path: Path) -> None:
    subject = ("--address", "alice@example.org", "--address", "j\u00fcrgen@b\u00fccher.example", "--name", "Alic\u00e9")
    arguments = (
        "cert",
        "request",
        "--token",
        token.label,
        *PIN_FROM,
        "--key",
        "01",
        *subject,
        "--organization",
        "ACME",
    )
    result = command(*arguments)
    assert (result.code, result.err) == (0, "")
    done = subprocess.run(["openssl", "req", "-verify", "-noout"], input=result.out, capture_output=True, check=False)
    assert done.returncode == 0
    request = x509.load_pem_x509_csr(result.out)
    assert request.subject.rfc4514_string() == "CN=Alic\u00e9,O=ACME"
    assert len(list(request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)) == 2
    assert command(*arguments, "-o", tmp_path / "request.pem").out == b""
    assert x509.load_pem_x509_csr((tmp_path / "request.pem").read_bytes()).is_signature_valid


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--key", "ff", "--address", "a@b.example"), 7),
        (("--key", "Alice", "--address", "a@b.example"), 2),
        (("--key", "01", "--address", "nobody"), 2),
        (("--key", "01", "--address", "a@b.example", "--name", "n" * 65), 2),
        (("--key", "01", "--address", "a@b.example", "--name", "\udcff"), 2),
        (("--key", "01", "--address", "a@b.example", "--padding", "pss"), 2),
        (("--key", "01", "--address", "a@b.example", "-o", "/nonexistent/request.pem"), 2),
        (("--key", "01", "--address", "a@b.example", "--pin-source", "env:MISSING"), 9),
    ],
)
def test_a_request_that_cannot_be_made_prints_nothing(
    command: Command, token: SoftToken, arguments: tuple[str, ...], code: int
) -> None:
    result = command("cert", "request", "--token", token.label, *PIN_FROM, *arguments)
    assert (result.code, result.out) == (code, b"")
    assert result.err.startswith("smime-agent: error: ")
    assert "bug" not in result.err


def test_from_nothing_to_a_signed_mail(softhsm: SoftHsm, issuing_ca: Authority, tmp_path: Path) -> None:
    """The whole way, as a person goes it."""
    softhsm.new_token("the whole way")
    options = ("--token", "the whole way", *PIN_FROM)
    assert run("key", "generate", *options, "--type", "ec:p384", "--label", "mail").code == 0
    request = run("cert", "request", *options, "--key", "mail", "--address", "zoe@example.org")
    certificate = issuing_ca.issue_for_request(request.out, Wanted(("zoe@example.org",)))
    (tmp_path / "zoe.pem").write_bytes(certificate.public_bytes(Encoding.PEM) + issuing_ca.pem)
    assert run("cert", "import", *options, tmp_path / "zoe.pem").code == 0
    signed = run("sign", *options, stdin=b"From: zoe@example.org\n\nHello.\n")
    assert (signed.code, signed.err) == (0, "")
    assert b"micalg=sha-384" in signed.out
