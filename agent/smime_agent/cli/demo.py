"""``smime-agent demo``: the newcomer's first minute, on a throw-away token."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smime_agent.algorithms import KeyType, KeyUsage
from smime_agent.api import signing
from smime_agent.api.verifying import Verifier, VerifyOptions
from smime_agent.cli import ui
from smime_agent.cli.card import card
from smime_agent.cli.guard import guard
from smime_agent.errors import FileError, ModuleLoadError
from smime_agent.keys import Pin
from smime_agent.tokens import module as modules
from smime_agent.tokens.session import TokenSession
from smime_agent.tokens.token import Search
from smime_agent.trust.evidence import RevocationMode

if TYPE_CHECKING:
    from cryptography import x509

    from smime_agent.keys import PinRequest
    from smime_agent.tokens.token import Token

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_ALICE = "alice@example.org"
_MAIL = f"""\
From: Alice <{_ALICE}>
To: Bob <bob@example.org>
Subject: The key stayed where it was
Content-Type: text/plain; charset=us-ascii

Bob, this was signed on a token. Not even I can copy the key.
""".encode()


class _KnownPin:
    """The demo chose the PIN itself."""

    def __init__(self) -> None:
        self.octets = b"%06d" % secrets.randbelow(10**6)

    def pin(self, request: PinRequest) -> Pin:  # noqa: ARG002 - there is one token
        return Pin(self.octets)

    def pad(self, token: str) -> None:
        """SoftHSM has none."""

    def touch(self, token: str) -> None:
        """SoftHSM wants none."""


@app.command()
def demo(
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="DIR", help="Keep the token, the CA and the mail here.")
    ] = None,
) -> None:
    """Sign a mail on a throw-away token, and verify it and a spoof."""
    folder = _folder(keep)
    try:
        _show(folder)
        if keep:
            ui.out("", f"Everything is in {folder}. To go on with that token:")
            ui.out(f"   export SOFTHSM2_CONF={folder}/softhsm2.conf SMIME_AGENT_TOKEN=demo")
            ui.out(f"   smime-agent sign --pin-source file:{folder}/pin MESSAGE")
        else:
            ui.out("", "The token, the CA and the mail are gone again; --keep DIR keeps them.")
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _show(folder: Path) -> None:
    """The story, in the order in which it happens."""
    prompter = _KnownPin()
    token = _new_token(folder, prompter)
    ui.out("1. A software token was made, as a smart card would be plugged in:", f"   {token.info.uri}")
    ca = _CertificationAuthority()
    with TokenSession(token, prompter, writable=True) as session:
        session.login("for the demo")
        _enrol(session, ca)
    ui.out("2. A key pair was made on it. The token signed a certificate request, and a CA made up for")
    ui.out(f"   the occasion answered with a certificate for {_ALICE}.")
    with signing.logged_in(TokenSession(token, prompter)) as opened:
        signed = signing.sign(_MAIL, opened)
        mail = bytes(signed)
    (folder / "signed.eml").write_bytes(mail)
    (folder / "ca.pem").write_bytes(ca.pem)
    (folder / "pin").write_bytes(prompter.octets)
    ui.out(f"3. A mail from her was signed: {signed.signer.scheme}. The host hashed it and wrote the")
    ui.out("   S/MIME around it; the token saw a hash and gave the signature.")
    _judge(folder)
    _verify(folder, mail)


def _verify(folder: Path, mail: bytes) -> None:
    """What we say of it, and of the same mail from somebody else."""
    verifier = Verifier(VerifyOptions(ca_files=(folder / "ca.pem",), revocation=RevocationMode.OFF))
    ui.out("5. smime-agent verify says:")
    ui.out(*(f"   {line}" for line in card(verifier.verify(mail))))
    spoof = mail.replace(f"Alice <{_ALICE}>".encode(), b"Carol <carol@example.org>", 1)
    ui.out("6. The same mail with another sender is still fine to OpenSSL. smime-agent verify says:")
    ui.out(*(f"   {line}" for line in card(verifier.verify(spoof))))


def _judge(folder: Path) -> None:
    """Let a stranger check the result."""
    openssl = shutil.which("openssl")
    if openssl is None:
        ui.out("4. OpenSSL is not installed, so nobody else has checked it.")
        return
    command = ["openssl", "cms", "-verify", "-in", "signed.eml", "-CAfile", "ca.pem"]
    done = subprocess.run(command, executable=openssl, cwd=folder, capture_output=True, check=False)  # noqa: S603
    if done.returncode:
        ui.out(f"4. OpenSSL refuses it, which is a bug: {done.stderr.decode(errors='replace').strip()}")
        raise typer.Exit(1)
    ui.out(f"4. OpenSSL, which never heard of us, says of it: {done.stderr.decode(errors='replace').strip()}")
    ui.out(f"   ({' '.join(command)})")
    text = done.stdout.decode(errors="replace").split("\r\n\r\n", 1)[-1].strip()
    ui.out(f'   "{text}"')


def _folder(keep: Path | None) -> Path:
    if keep is None:
        return Path(tempfile.mkdtemp(prefix="smime-agent-demo-"))
    try:
        keep.mkdir(parents=True, exist_ok=False)
    except OSError as error:
        msg = f"cannot make the folder {keep}: {error.strerror}"
        raise FileError(msg, hint="--keep makes a new folder") from error
    return keep.resolve()


def _new_token(folder: Path, prompter: _KnownPin) -> Token:
    """A SoftHSM token with a configuration of its own."""
    from smime_agent.tokens.provision import init_token, set_user_pin

    path = next((path for path in modules.SOFTHSM_PATHS if Path(path).is_file()), None)
    if path is None:
        msg = "the demo needs SoftHSM, which is not installed"
        raise ModuleLoadError(msg, hint="apt install softhsm2")
    (folder / "tokens").mkdir()
    configuration = folder / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(configuration)
    blank = Search(module=path, before_load=guard).tokens(uninitialized=True)[0]
    so_pin = secrets.token_hex(4).encode()
    init_token(blank, "demo", Pin(so_pin))
    token = Search("demo", path).one()
    with TokenSession(token, prompter, writable=True) as session:
        set_user_pin(session, Pin(so_pin), Pin(prompter.octets))
    return token.refreshed()


def _enrol(session: TokenSession, ca: _CertificationAuthority) -> None:
    """A key, a request for it, and the certificate beside it."""
    from smime_agent.certificates.request import Subject, certification_request
    from smime_agent.tokens.provision import generate_key, store_certificate
    from smime_agent.x509 import Certificate

    key = generate_key(session, KeyType.EC_P256, KeyUsage.SIGN, None, "mail")
    request = certification_request(session, key, Subject((_ALICE,), "Alice"))
    store_certificate(session, Certificate(ca.issue(request)), None)


class _CertificationAuthority:
    """A CA that lives for a day."""

    def __init__(self) -> None:
        from cryptography.hazmat.primitives.asymmetric import ec

        self._key = ec.generate_private_key(ec.SECP256R1())
        from cryptography import x509
        from cryptography.x509.oid import NameOID

        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "smime-agent demo CA")])
        self._root = self._sign(self._builder(self._name, self._key.public_key(), ca=True))

    @property
    def pem(self) -> bytes:
        """The root certificate."""
        from cryptography.hazmat.primitives.serialization import Encoding

        return self._root.public_bytes(Encoding.PEM)

    def issue(self, request: bytes) -> bytes:
        """A DER certificate for a PEM request, whose signature is checked."""
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import Encoding

        asked = x509.load_pem_x509_csr(request)
        if not asked.is_signature_valid:
            msg = "the request is not signed by its key"
            raise FileError(msg)
        builder = self._builder(asked.subject, asked.public_key(), ca=False)
        for extension in asked.extensions:
            builder = builder.add_extension(extension.value, extension.critical)
        return self._sign(builder).public_bytes(Encoding.DER)

    def _builder(self, subject: x509.Name, key: object, *, ca: bool) -> x509.CertificateBuilder:
        from cryptography import x509

        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder(issuer_name=self._name, subject_name=subject, public_key=key)  # type: ignore[arg-type]  # any public key
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )

    def _sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        from cryptography.hazmat.primitives import hashes

        return builder.sign(self._key, hashes.SHA256())
