"""``smime-agent demo``: the newcomer's first minute, between two people on two throw-away tokens."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smime_agent.algorithms import KeyType
from smime_agent.api import signing
from smime_agent.api.decrypting import Decryptor
from smime_agent.api.encrypting import Addressing, Certificates, EncryptOptions, Encryptor
from smime_agent.api.signing import SignOptions
from smime_agent.api.verifying import Verifier, VerifyOptions
from smime_agent.cli import ui
from smime_agent.cli.card import card, decryption_card
from smime_agent.cli.demo_stage import Person, Stage
from smime_agent.errors import FileError
from smime_agent.keyring.decrypting import DecryptionKeyring
from smime_agent.keyring.opened import TokenDoor
from smime_agent.smime.choosing import Given
from smime_agent.tokens.session import TokenSession
from smime_agent.trust.evidence import RevocationMode

if TYPE_CHECKING:
    from collections.abc import Iterable

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_ALICE, _BOB = "alice@example.org", "bob@example.org"
_MAIL = f"""\
From: Alice <{_ALICE}>
To: Bob <{_BOB}>
Subject: The keys stayed where they were
Content-Type: text/plain; charset=us-ascii

Bob, this was signed on my token, and only yours can open it.
""".encode()


@app.command()
def demo(
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="DIR", help="Keep the tokens, the CA and the mails here.")
    ] = None,
) -> None:
    """Show all of it between two people, on two throw-away tokens.

    A mail is signed, encrypted, decrypted and verified, OpenSSL says what it thinks of it, and a spoof is seen through.
    """
    folder = _folder(keep)
    try:
        stage = Stage(folder)
        _show(folder, stage)
        if keep:
            ui.out("", f"Everything is in {folder}. To go on with these tokens:")
            ui.out(f"   export SOFTHSM2_CONF={folder}/softhsm2.conf")
            ui.out(f"   smime-agent sign --token alice --pin-source file:{folder}/pin MESSAGE")
            ui.out(f"   smime-agent decrypt --pin-source file:{folder}/pin --ca-file {folder}/ca.pem \\")
            ui.out(f"      {folder}/encrypted.eml")
        else:
            ui.out("", "The tokens, the CA and the mails are gone again; --keep DIR keeps them.")
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _show(folder: Path, stage: Stage) -> None:
    """The story, in the order in which it happens."""
    alice = stage.person("Alice", _ALICE, KeyType.EC_P256)
    bob = stage.person("Bob", _BOB, KeyType.EC_P256)
    (folder / "ca.pem").write_bytes(stage.ca.pem)
    (folder / "pin").write_bytes(stage.prompter.octets)
    ui.out("1. Two software tokens were made, as two people would plug in their smart cards:")
    ui.out(f"   {alice.token.info.uri}", f"   {bob.token.info.uri}")
    ui.out("   On each a key pair was made, and a CA made up for the occasion certified it.")
    signed = _sign(folder, stage, alice)
    _judge(folder)
    encrypted = _encrypt(folder, stage, alice, bob)
    _decrypt(folder, stage, encrypted)
    spoof = signed.replace(f"Alice <{_ALICE}>".encode(), b"Carol <carol@example.org>", 1)
    ui.out("6. The signed mail with another sender is still fine to OpenSSL. smime-agent verify says:")
    _indented(card(Verifier(_trust(folder)).verify(spoof)))


def _sign(folder: Path, stage: Stage, alice: Person) -> bytes:
    with signing.logged_in(TokenSession(alice.token, stage.prompter)) as opened:
        signed = signing.sign(_MAIL, opened)
        mail = bytes(signed)
    (folder / "signed.eml").write_bytes(mail)
    ui.out(f"2. A mail from Alice was signed: {signed.signer.scheme}. The host hashed it and wrote the")
    ui.out("   S/MIME around it; the token saw a hash and gave the signature.")
    return mail


def _judge(folder: Path) -> None:
    """Let a stranger check the result."""
    openssl = shutil.which("openssl")
    if openssl is None:
        ui.out("3. OpenSSL is not installed, so nobody else has checked it.")
        return
    command = ["openssl", "cms", "-verify", "-in", "signed.eml", "-CAfile", "ca.pem"]
    done = subprocess.run(command, executable=openssl, cwd=folder, capture_output=True, check=False)  # noqa: S603
    if done.returncode:
        ui.out(f"3. OpenSSL refuses it, which is a bug: {done.stderr.decode(errors='replace').strip()}")
        raise typer.Exit(1)
    ui.out(f"3. OpenSSL, which never heard of us, says of it: {done.stderr.decode(errors='replace').strip()}")
    ui.out(f"   ({' '.join(command)})")


def _encrypt(folder: Path, stage: Stage, alice: Person, bob: Person) -> bytes:
    options = EncryptOptions(
        sign=SignOptions(), ca_files=(folder / "ca.pem",), system_roots=False, revocation=RevocationMode.OFF
    )
    to_bob = Addressing(certificates=Certificates((Given(bob.certificate, "the demo"),)))
    with (
        signing.logged_in(TokenSession(alice.token, stage.prompter)) as opened,
        Encryptor(options).opened(_MAIL, to_bob, opened) as (message,),
    ):
        mail = bytes(message)
        cipher = message.plan.negotiated.cipher
    (folder / "encrypted.eml").write_bytes(mail)
    ui.out(f"4. The same mail was signed and then encrypted, for Bob and for herself: {cipher}.")
    return mail


def _decrypt(folder: Path, stage: Stage, mail: bytes) -> None:
    keys = DecryptionKeyring(stage.search("bob"), TokenDoor.asking(stage.prompter), today=datetime.now(UTC).date())
    with closing(keys), Decryptor(keys, Verifier(_trust(folder))).opened(mail) as found:
        text = b"".join(found.content()).decode().split("\r\n\r\n", 2)[-1]
        ui.out("5. Bob's token unwrapped the key of the mail, and nothing else. smime-agent decrypt says:")
        _indented(decryption_card(found))
    line = next(line for line in text.splitlines() if line.startswith("Bob, "))
    ui.out(f'   "{line}"')


def _trust(folder: Path) -> VerifyOptions:
    return VerifyOptions(ca_files=(folder / "ca.pem",), system_roots=False, revocation=RevocationMode.OFF)


def _indented(lines: Iterable[str]) -> None:
    ui.out(*(f"   {line}" for line in lines))


def _folder(keep: Path | None) -> Path:
    if keep is None:
        return Path(tempfile.mkdtemp(prefix="smime-agent-demo-"))
    try:
        keep.mkdir(parents=True, exist_ok=False)
    except OSError as error:
        msg = f"cannot make the folder {keep}: {error.strerror}"
        raise FileError(msg, hint="--keep makes a new folder") from error
    return keep.resolve()
