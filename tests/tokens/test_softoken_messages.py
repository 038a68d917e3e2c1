"""Whole messages decrypted with keys on NSS softoken, by the road that a person takes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from smime_agent.api.decrypting import Decryptor
from smime_agent.api.verifying import Verifier, VerifyOptions
from smime_agent.keyring.decrypting import DecryptionKeyring
from smime_agent.keyring.opened import TokenDoor
from smime_agent.tokens.objects import read_objects
from smime_agent.tokens.token import Search
from smime_agent.trust.evidence import RevocationMode
from tests.keyring.people import TODAY
from tests.support.openssl_cms import OpenSsl, mail
from tests.support.program import run
from tests.support.softhsm import KnownPin
from tests.support.softtoken import LABEL, PIN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.program import Result
    from tests.support.softtoken import Softoken

ENTITY = b"Content-Type: text/plain\r\n\r\nThe plan is to meet at nine.\r\n"
OAEP = ("-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256")
LABELLED = ("-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_label:6c6162656c")

pytestmark = pytest.mark.interop


@pytest.fixture
def openssl(tmp_path: Path) -> OpenSsl:
    folder = tmp_path / "openssl"
    folder.mkdir()
    return OpenSsl(folder)


@pytest.fixture(scope="module")
def certificates(softoken: Softoken) -> dict[str, x509.Certificate]:
    with softoken.session() as session:
        found = read_objects(session).certificates
    return {one.label: x509.load_der_x509_certificate(one.certificate.encoded) for one in found}


@pytest.fixture(scope="module")
def decryptor(softoken: Softoken) -> Iterator[Decryptor]:
    keys = DecryptionKeyring(Search(module=str(softoken.module)), TokenDoor.asking(KnownPin(PIN)), today=TODAY)
    yield Decryptor(keys, Verifier(VerifyOptions(system_roots=False, revocation=RevocationMode.OFF)))
    keys.close()


@pytest.mark.parametrize("cipher", ["-aes256", "-aes-256-gcm"])
@pytest.mark.parametrize(
    ("label", "options"),
    [
        ("rsa", ()),
        ("rsa", OAEP),
        ("rsa", LABELLED),
        ("p256", ()),
        ("p384", ("-keyopt", "ecdh_kdf_md:sha384")),
        ("p521", ("-keyopt", "ecdh_kdf_md:sha512")),
    ],
)
def test_what_openssl_encrypts_is_decrypted(  # noqa: PLR0913, PLR0917 - who, what, for whom and how
    decryptor: Decryptor,
    openssl: OpenSsl,
    certificates: dict[str, x509.Certificate],
    label: str,
    options: tuple[str, ...],
    cipher: str,
) -> None:
    message = mail(openssl.encrypt(ENTITY, certificates[label], options=(cipher, *options)))
    with decryptor.opened(message) as found:
        assert b"".join(found.content()) == ENTITY
        assert found.is_authenticated is (cipher == "-aes-256-gcm")
        (encryption,) = found.encryptions
        assert encryption.key.endswith(f"'{label}' on token '{LABEL}'")


def program(softoken: Softoken, *arguments: str | Path, stdin: bytes = b"") -> Result:
    return run(*arguments, stdin=stdin, env={"PIN": PIN}, module=str(softoken.module))


def test_the_program_decrypts_all_of_a_folder_with_one_login(
    softoken: Softoken, openssl: OpenSsl, certificates: dict[str, x509.Certificate], tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for label, certificate in certificates.items():
        (folder / f"{label}.eml").write_bytes(mail(openssl.encrypt(ENTITY + label.encode(), certificate)))
    done = program(softoken, "decrypt", "--pin-source", "env:PIN", folder, "--output-dir", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    written = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert written == {f"{label}.eml": ENTITY + label.encode() for label in certificates}
    assert len([json.loads(line) for line in done.out.splitlines()]) == len(certificates)


def test_what_we_encrypt_we_decrypt_there(
    softoken: Softoken, certificates: dict[str, x509.Certificate], root_ca_file: Path, tmp_path: Path
) -> None:
    for label, certificate in certificates.items():
        (tmp_path / f"{label}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    to = [word for label in certificates for word in ("--cert", tmp_path / f"{label}.pem")]
    trust = ("--ca-file", root_ca_file, "--revocation", "off", "--no-self")
    addressed = mail(ENTITY, to=", ".join(f"{label}@example.org" for label in certificates))
    written = program(softoken, "encrypt", *trust, *to, "-o", tmp_path / "mail.eml", stdin=addressed)
    assert written.code == 0, written.err
    message = (tmp_path / "mail.eml").read_bytes()
    for label in certificates:
        done = program(softoken, "decrypt", "--pin-source", "env:PIN", "--key", label, stdin=message)
        assert (done.code, done.out.endswith(b"The plan is to meet at nine.\r\n")) == (0, True), done.err


@pytest.fixture
def root_ca_file(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / "root.pem"
    path.write_bytes(request.getfixturevalue("root_ca").pem + request.getfixturevalue("issuing_ca").pem)
    return path
