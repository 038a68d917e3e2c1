"""Those we write to and hear from: people with keys in software, and the programs that they use.

The programs are OpenSSL, GnuPG and NSS as they come with the system, each in a throw-away home, and the envelopes of
the package ``cryptography``, which are written in Rust. Each knows everybody's certificate and key.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs7, pkcs12

from smime_agent.x509 import Certificate
from tests.support.ca import Authority, Wanted

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography import x509

    from tests.support.imported import PrivateKey

_SECONDS: Final = 60
_PASSPHRASE: Final = b"secret"
KEYS: Final[dict[str, Callable[[], PrivateKey]]] = {
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "x25519": x25519.X25519PrivateKey.generate,
}


class Failed(Exception):  # noqa: N818 - a report
    """The program did not do it; the text is its own."""


@dataclass(frozen=True)
class Person:
    """Somebody with one key, in software. The name begins with the kind of key; else it is RSA's, and signs too."""

    name: str
    key: PrivateKey
    certificate: x509.Certificate

    @classmethod
    def enrolled(cls, name: str, authority: Authority) -> Person:
        """A new key, and a certificate for it."""
        kind = name.partition("-")[0]
        key = KEYS.get(kind, KEYS["rsa"])()
        transport = isinstance(key, rsa.RSAPrivateKey)
        wanted = Wanted(
            (f"{name}@example.org",),
            name.capitalize(),
            digital_signature=kind not in KEYS,
            key_encipherment=transport,
            key_agreement=not transport,
        )
        return cls(name, key, authority.issue(key.public_key(), wanted))

    @property
    def address(self) -> str:
        """The address in the certificate."""
        return f"{self.name}@example.org"

    @cached_property
    def encoded(self) -> Certificate:
        """The certificate as we have it."""
        return Certificate(self.certificate.public_bytes(Encoding.DER))

    @property
    def certificate_pem(self) -> bytes:
        """The certificate for others."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The key for others."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def pkcs12(self) -> bytes:
        """Both, as the oldest of the programs reads it."""
        assert not isinstance(self.key, x25519.X25519PrivateKey)
        builder = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(2000).hmac_hash(hashes.SHA1())  # noqa: S303 - it reads no other
        encryption = builder.key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC).build(_PASSPHRASE)
        return pkcs12.serialize_key_and_certificates(self.name.encode(), self.key, self.certificate, None, encryption)


class Stranger(ABC):
    """A program of others that writes and reads bare CMS in DER."""

    name: ClassVar[str]

    @abstractmethod
    def encrypt(self, content: bytes, *recipients: Person, cipher: str = "aes-128-cbc") -> bytes:
        """EnvelopedData or AuthEnvelopedData; ``cipher`` is as OpenSSL calls it.

        Raises:
            Failed: it cannot.
        """

    @abstractmethod
    def decrypt(self, message: bytes, person: Person) -> bytes:
        """The content, by the key of ``person``.

        Raises:
            Failed: it cannot.
        """

    def close(self) -> None:  # noqa: B027 - most need not do it
        """Leave nothing behind."""


class Program(Stranger):
    """One that is started for each message, in a home of its own."""

    def __init__(self, home: Path, authorities: tuple[Authority, ...], people: dict[str, Person]) -> None:
        """Furnish the home; the first of ``authorities`` is the root."""
        self.home = home
        self.authorities = authorities
        self.people = people
        self.settle()

    @abstractmethod
    def settle(self) -> None:
        """Give the program what it wants to have before."""

    @abstractmethod
    def sign(self, entity: bytes, signer: Person, *, detached: bool) -> bytes:
        """SignedData in DER, with the certificates of the chain."""

    def run(self, *command: str | Path, given: bytes = b"") -> bytes:
        """What it writes to standard output.

        Raises:
            Failed: it failed.
        """
        done = subprocess.run(
            command,
            input=given,
            capture_output=True,
            env={**os.environ, "LC_ALL": "C", "HOME": str(self.home), "GNUPGHOME": str(self.home)},
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode:
            raise Failed(f"{self.name} ({done.returncode}): {done.stderr.decode(errors='replace')}")
        return done.stdout

    def file(self, name: str, octets: bytes) -> Path:
        """A file in its home."""
        path = self.home / name
        path.write_bytes(octets)
        return path


class OpenSsl(Program):
    """``openssl cms``. What it can depends on the options, which stand after the recipient that they are for."""

    name = "OpenSSL"

    def settle(self) -> None:
        """The chain for those who sign."""
        self.chain = self.file("chain.pem", b"".join(authority.pem for authority in self.authorities))

    def recipient(self, person: Person, *options: str) -> tuple[str, ...]:
        """Arguments that make a person a recipient; each of ``options`` is a parameter of the key."""
        parameters = (word for one in options for word in ("-keyopt", one))
        return ("-recip", str(self._of(person)), *parameters)

    def encrypt(self, content: bytes, *recipients: Person, cipher: str = "aes-128-cbc") -> bytes:
        """To each in the way that it takes for the best."""
        return self.write(content, *(word for person in recipients for word in self.recipient(person)), cipher=cipher)

    def write(self, content: bytes, *arguments: str, cipher: str = "aes-128-cbc", form: str = "DER") -> bytes:
        """``openssl cms -encrypt`` with more to say; RC2 and DES are in a provider of their own."""
        legacy = ("-provider", "legacy", "-provider", "default")
        command = ("openssl", "cms", "-encrypt", *legacy, "-binary", "-outform", form, f"-{cipher}", *arguments)
        return self.run(*command, given=content)

    def decrypt(self, message: bytes, person: Person) -> bytes:
        """By the recipient that has the certificate."""
        return self.read(message, person)

    def read(self, message: bytes, person: Person, form: str = "DER") -> bytes:
        """The same, of any form."""
        pem = self._of(person)
        command = ("openssl", "cms", "-decrypt", "-binary", "-inform", form, "-recip", pem, "-inkey", pem)
        return self.run(*command, given=message)

    def sign(self, entity: bytes, signer: Person, *, detached: bool) -> bytes:
        """By RSASSA-PKCS1-v1_5 with SHA-256."""
        pem = self._of(signer)
        how = () if detached else ("-nodetach",)
        command = ("openssl", "cms", "-sign", "-binary", "-outform", "DER", "-signer", pem, "-certfile", self.chain)
        return self.run(*command, *how, given=entity)

    def _of(self, person: Person) -> Path:
        """A file of the certificate and the key."""
        return self.file(f"{person.name}.pem", person.certificate_pem + person.key_pem)


class Gpgsm(Program):
    """``gpgsm``, for RSA keys by RSAES-PKCS1-v1_5 alone."""

    name = "gpgsm"
    _loopback: Final = ("--pinentry-mode", "loopback", "--passphrase-fd", "0")
    _ciphers: Final = {
        "aes-128-cbc": "AES",
        "aes-192-cbc": "AES192",
        "aes-256-cbc": "AES256",
        "des3": "3DES",
        "camellia-128-cbc": "CAMELLIA128",
    }

    def settle(self) -> None:
        """Keys and certificates, and no time spent on stretching a passphrase. The path is short: it holds a socket."""
        shutil.rmtree(self.home)
        self.home = Path(tempfile.mkdtemp(prefix="gs", dir="/tmp"))
        self.file("gpgsm.conf", b"batch\nno-greeting\ndisable-dirmngr\ndisable-crl-checks\nno-common-certs-import\n")
        self.file("gpg-agent.conf", b"s2k-count 65536\n")
        root = self.authorities[0].certificate.fingerprint(hashes.SHA1()).hex()  # noqa: S303 - its name there
        self.file("trustlist.txt", f"{root} S relax\n".encode())
        self.run("gpgsm", "--import", self.file("chain.pem", b"".join(one.pem for one in self.authorities)))
        for person in self.people.values():
            if isinstance(person.key, rsa.RSAPrivateKey):
                self._import(person)

    def _import(self, person: Person, tries: int = 5) -> None:
        """Its reader of PKCS #12 cannot do with one salt in fifty: then another is drawn."""
        path = self.file(f"{person.name}.p12", person.pkcs12)
        try:
            self.run("gpgsm", *self._loopback, "--import", path, given=_PASSPHRASE)
        except Failed:
            if tries == 1:
                raise
            self._import(person, tries - 1)

    def encrypt(self, content: bytes, *recipients: Person, cipher: str = "aes-128-cbc") -> bytes:
        """With a cipher in CBC mode."""
        if cipher not in self._ciphers:
            raise Failed(f"{self.name} has no {cipher}")
        return self.write(content, *recipients, options=("--cipher-algo", self._ciphers[cipher]))

    def write(self, content: bytes, *recipients: Person, options: tuple[str, ...]) -> bytes:
        """The same, with options."""
        to = (word for person in recipients for word in ("-r", person.address))
        return self.run("gpgsm", *options, "--encrypt", *to, given=content)

    def decrypt(self, message: bytes, person: Person) -> bytes:  # noqa: ARG002 - it finds the key itself
        """By whatever key it has."""
        return self.run("gpgsm", *self._loopback, "--decrypt", self.file("message", message), given=_PASSPHRASE)

    def sign(self, entity: bytes, signer: Person, *, detached: bool, armour: bool = False) -> bytes:
        """With the chain but for the root."""
        how = (*(("--armor",) if armour else ()), "--detach-sign" if detached else "--sign")
        path = self.file("entity", entity)
        return self.run("gpgsm", *self._loopback, "-u", signer.address, *how, path, given=_PASSPHRASE)

    def close(self) -> None:
        """Stop the agent."""
        self.run("gpgconf", "--kill", "all")
        shutil.rmtree(self.home, ignore_errors=True)  # the agent takes its sockets away in its own time


class Cmsutil(Program):
    """NSS, for RSA keys by RSAES-PKCS1-v1_5 alone. It chooses the cipher by what it knows of the recipient."""

    name = "cmsutil"

    def settle(self) -> None:
        """A database with the keys that it takes."""
        self.run("certutil", "-N", "-d", self._database, "--empty-password")
        for authority, trust in zip(self.authorities, (",C,", ",,"), strict=True):
            path = self.file("authority.pem", authority.pem)
            self.run("certutil", "-A", "-d", self._database, "-n", authority.name, "-t", trust, "-i", path)
        for person in self.people.values():
            if not isinstance(person.key, x25519.X25519PrivateKey):
                path = self.file(f"{person.name}.p12", person.pkcs12)
                self.run("pk12util", "-i", path, "-d", self._database, "-W", _PASSPHRASE.decode(), "-K", "")

    @property
    def _database(self) -> str:
        return f"sql:{self.home}"

    def encrypt(self, content: bytes, *recipients: Person, cipher: str = "aes-128-cbc") -> bytes:
        """With what every program reads."""
        if cipher != "aes-128-cbc":
            raise Failed(f"{self.name} cannot be asked for {cipher}")
        to = (word for person in recipients for word in ("-r", person.address))
        return self.run("cmsutil", "-E", "-d", self._database, "-i", self.file("content", content), *to)

    def decrypt(self, message: bytes, person: Person) -> bytes:  # noqa: ARG002 - it finds the key itself
        """By whatever key it has."""
        found = self.run("cmsutil", "-D", "-d", self._database, "-i", self.file("message", message))
        if not found:  # it may exit with 0 all the same
            raise Failed(f"{self.name} wrote nothing")
        return found

    def sign(self, entity: bytes, signer: Person, *, detached: bool) -> bytes:
        """With the whole chain."""
        how = ("-T",) if detached else ()
        path = self.file("entity", entity)
        return self.run("cmsutil", "-S", "-d", self._database, "-N", signer.name, "-G", "-i", path, *how)


class Cryptography(Stranger):
    """The PKCS #7 of the package ``cryptography``: RSAES-PKCS1-v1_5, and AES in CBC mode."""

    name = "cryptography"
    _ciphers: Final[dict[str, type[algorithms.AES128 | algorithms.AES256]]] = {
        "aes-128-cbc": algorithms.AES128,
        "aes-256-cbc": algorithms.AES256,
    }

    def encrypt(self, content: bytes, *recipients: Person, cipher: str = "aes-128-cbc") -> bytes:
        """As it is."""
        if cipher not in self._ciphers or not all(isinstance(one.key, rsa.RSAPrivateKey) for one in recipients):
            raise Failed(f"{self.name} has no {cipher}, or no such recipients")
        builder = pkcs7.PKCS7EnvelopeBuilder().set_data(content).set_content_encryption_algorithm(self._ciphers[cipher])
        for person in recipients:
            builder = builder.add_recipient(person.certificate)
        return builder.encrypt(Encoding.DER, [pkcs7.PKCS7Options.Binary])

    def decrypt(self, message: bytes, person: Person) -> bytes:
        """By the recipient that has the certificate."""
        if not isinstance(person.key, rsa.RSAPrivateKey):
            raise Failed(f"{self.name} decrypts with RSA keys alone")
        try:
            return pkcs7.pkcs7_decrypt_der(message, person.certificate, person.key, [])
        except Exception as error:  # whatever it raises is its refusal
            raise Failed(f"{self.name}: {error}") from error
