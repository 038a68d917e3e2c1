"""People who are written to: a key in software, a certificate, and OpenSSL to decrypt with."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from smime_agent.x509 import Certificate
from tests.support.ca import Authority, Wanted
from tests.support.mails import MAIL

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography import x509

    from tests.support.command import Command
    from tests.support.program import Result

KEYS = {
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "rsa-4096": lambda: rsa.generate_private_key(65537, 4096),
    "weak": lambda: rsa.generate_private_key(65537, 1024),  # noqa: S505 - what is refused
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
    "x25519": x25519.X25519PrivateKey.generate,
}


@lru_cache
def key(kind: str, number: int = 0) -> Any:  # noqa: ANN401 - a private key of any kind
    """A key of a kind, the same each time: only its certificate differs."""
    del number
    return KEYS[kind]()


@dataclass(frozen=True)
class Correspondent:
    """Somebody with a certificate in a file, who decrypts with OpenSSL."""

    address: str
    certificate: x509.Certificate
    key: Any
    path: Path

    @property
    def ours(self) -> Certificate:
        """The certificate as the program has it."""
        return Certificate(self.certificate.public_bytes(Encoding.DER))

    def decrypt(self, message: bytes, form: str = "SMIME") -> bytes:
        """What OpenSSL decrypts with this key alone."""
        done = self._openssl(message, form)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def can_decrypt(self, message: bytes, form: str = "SMIME") -> bool:
        """Whether it does. The key of another gives no error with RSA v1.5 but garbage; so the name is asked for."""
        return self._openssl(message, form, "-recip", str(self.path)).returncode == 0

    def _openssl(self, message: bytes, form: str, *options: str) -> subprocess.CompletedProcess[bytes]:
        private = self.path.with_suffix(".key")
        private.write_bytes(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        named = options or ("-recip", str(self.path))
        command = ["openssl", "cms", "-decrypt", "-binary", "-inform", form, "-inkey", str(private), *named]
        return subprocess.run(command, input=message, capture_output=True, check=False)


class People:
    """Makes people, with certificates of one CA in files of one folder."""

    def __init__(self, authority: Authority, folder: Path) -> None:
        """Nobody is there yet."""
        self.authority, self.folder = authority, folder

    def __call__(
        self,
        name: str,
        kind: str = "rsa",
        *,
        number: int = 0,
        authority: Authority | None = None,
        subject: str | None = None,
        **wanted: Any,  # noqa: ANN401 - any field of Wanted
    ) -> Correspondent:
        """Somebody with a certificate for encryption in a file, for name@example.org."""
        address = f"{name}@example.org"
        use = {"key_encipherment": True} if kind.startswith(("rsa", "weak")) else {"key_agreement": True}
        said: dict[str, Any] = {
            "addresses": (address,),
            "name": subject or name.title(),
            "digital_signature": False,
            **use,
        }
        private = key(kind, number)
        certificate = (authority or self.authority).issue(private.public_key(), Wanted(**{**said, **wanted}))
        path = self.folder / f"{name}.pem"
        path.write_bytes(certificate.public_bytes(Encoding.PEM))
        return Correspondent(address, certificate, private, path)


class Encrypt:
    """``smime-agent encrypt``, believing one CA."""

    def __init__(self, command: Command, authority: Authority, folder: Path) -> None:
        """Call ``command``."""
        self._command = command
        self.root = folder / "root.pem"
        self.root.write_bytes(authority.pem)

    def __call__(self, *arguments: str | Path, message: bytes = MAIL, revocation: str = "off") -> Result:
        """Encrypt a message from standard input, unless the arguments name some."""
        trust = ("--ca-file", self.root, "--revocation", revocation)
        return self._command("encrypt", *trust, *arguments, stdin=message)


@pytest.fixture
def person(issuing_ca: Authority, tmp_path: Path) -> People:
    """Makes people."""
    return People(issuing_ca, tmp_path)


@pytest.fixture
def encrypt(command: Command, issuing_ca: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Encrypt:
    """``encrypt``, believing the issuing CA, of somebody who has neither contacts nor a history."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    return Encrypt(command, issuing_ca, tmp_path)


def printed(message: bytes, form: str = "SMIME") -> str:
    """What OpenSSL says that is in a message."""
    command = ["openssl", "cms", "-cmsout", "-print", "-noout", "-inform", form]
    done = subprocess.run(command, input=message, capture_output=True, check=True)
    return done.stdout.decode()
