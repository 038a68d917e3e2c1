"""The named peers that are programs: gpgsm and OpenSSL."""

from __future__ import annotations

import hashlib
import shlex
import subprocess
from typing import TYPE_CHECKING, Self

from cryptography.hazmat.primitives.serialization import Encoding

from tests.bench.measure import BenchError, Ran, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench.setting import Setting

_PASSPHRASE = "a passphrase for a moment"


class Gpgsm:
    """A home of gpgsm with one RSA-2048 key in it and its agent running; leaving it ends the agent."""

    def __init__(self, setting: Setting) -> None:
        """Import a key that is made for it, and trust its root."""
        self._home = setting.folder / "gnupg"
        self._secret = setting.folder / "passphrase"
        self._command: tuple[str | Path, ...] = ("gpgsm", "--homedir", self._home, "--batch", "--disable-crl-checks")
        self._home.mkdir(mode=0o700)
        self._secret.write_text(_PASSPHRASE + "\n")
        key, certificate = setting.soft_key()
        root = setting.authority.parent or setting.authority
        fingerprint = hashlib.sha1(root.certificate.public_bytes(Encoding.DER), usedforsecurity=False).hexdigest()
        (self._home / "trustlist.txt").write_text(f"{fingerprint.upper()} S relax\n")
        anchor, bundle = setting.folder / "root.pem", setting.folder / "carol.p12"
        anchor.write_bytes(root.pem)
        export = ("openssl", "pkcs12", "-export", "-legacy", "-inkey", key, "-in", certificate, "-out", bundle)
        _quietly(*export, "-passout", f"file:{self._secret}")
        _quietly(*self._command, "--import", anchor)
        self._with_passphrase("--import", bundle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        _quietly("gpgconf", "--homedir", self._home, "--kill", "all")

    def sign(self, message: Path) -> float:
        """One detached signature from the shell."""
        return self._with_passphrase("--detach-sign", message).seconds

    def program(self) -> Path:
        """What git calls: it gives the passphrase, as its agent would."""
        words = shlex.join(map(str, (*self._command, "--pinentry-mode", "loopback", "--passphrase-fd", "9")))
        path = self._home / "gpgsm-for-git"
        path.write_text(f'#!/bin/sh\nexec {words} "$@" 9<{shlex.quote(str(self._secret))}\n')
        path.chmod(0o700)
        return path

    def _with_passphrase(self, *arguments: str | Path) -> Ran:
        with self._secret.open("rb") as secret:
            loopback = ("--pinentry-mode", "loopback", "--passphrase-fd", str(secret.fileno()))
            return run((*self._command, *loopback, *arguments), descriptors=[secret.fileno()])


def openssl_detached(key: Path, certificate: Path, content: Path, output: Path) -> Ran:
    """A detached CMS signature over a file, the certificate and its chain in it."""
    return run(
        ("openssl", "cms", "-sign", "-binary", "-outform", "DER", "-md", "sha256", "-in", content, "-out", output,
         "-signer", certificate, "-inkey", key)
    )  # fmt: skip


def openssl_mail(signer: tuple[Path, Path], mail: Path, output: Path, sender: str, *options: str) -> None:
    """A mail signed with a key and its certificate."""
    key, certificate = signer
    people = ("-from", sender, "-to", "another@example.net", "-subject", "Minutes")
    _quietly("openssl", "cms", "-sign", "-md", "sha256", *people, *options, "-in", mail, "-out", output,
             "-signer", certificate, "-inkey", key)  # fmt: skip


def openssl_verify(mail: Path, root: Path) -> Ran:
    """A signed mail, verified against one root; what was signed goes nowhere."""
    return run(("openssl", "cms", "-verify", "-in", mail, "-CAfile", root, "-out", "/dev/null"))


def openssl_encrypt(mail: Path, certificate: Path, output: Path, *others: Path, cipher: str = "-aes256") -> Ran:
    """A mail encrypted for these."""
    return run(("openssl", "cms", "-encrypt", "-stream", cipher, "-in", mail, "-out", output, certificate, *others))


def openssl_decrypt(mail: Path, recipient: tuple[Path, Path], output: Path) -> Ran:
    """The same decrypted, with a key in a file and its certificate."""
    key, certificate = recipient
    return run(("openssl", "cms", "-decrypt", "-in", mail, "-out", output, "-inkey", key, "-recip", certificate))


def version(*command: str) -> str:
    """The first line that a program says of itself."""
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return (done.stdout or done.stderr).strip().splitlines()[0]


def _quietly(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        msg = f"{command[0]}: {done.stderr.decode(errors='replace').strip()}"
        raise BenchError(msg)
