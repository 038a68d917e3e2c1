"""Messages that OpenSSL makes, for us to open: a stranger's sender, in one process each."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes


class OpenSsl:
    """OpenSSL with files in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        """Work in ``folder``."""
        self._folder = folder

    def encrypt(
        self, content: bytes, *certificates: x509.Certificate, options: tuple[str, ...] = (), form: str = "SMIME"
    ) -> bytes:
        """``openssl cms -encrypt``; ``options`` stand before the certificates. A MIME entity needs CRLF line ends."""
        names = [
            self._file(f"to{number}.pem", one.public_bytes(Encoding.PEM)) for number, one in enumerate(certificates)
        ]
        given = () if {"-aes128", "-aes192", "-aes256", "-des3"} & set(options) else ("-aes256",)
        recipients = [word for name in names for word in ("-recip", name)]
        return self._run("-encrypt", "-binary", "-outform", form, *given, *recipients, *options, content=content)

    def sign(
        self,
        content: bytes,
        certificate: x509.Certificate,
        key: CertificateIssuerPrivateKeyTypes,
        *,
        options: tuple[str, ...] = (),
        form: str = "SMIME",
    ) -> bytes:
        """``openssl cms -sign``, clear unless the options say ``-nodetach``."""
        signer = self._file("signer.pem", certificate.public_bytes(Encoding.PEM))
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        arguments = ("-signer", signer, "-inkey", self._file("signer.key", private))
        return self._run("-sign", "-binary", "-outform", form, *arguments, *options, content=content)

    def compress(self, content: bytes) -> bytes:
        """``openssl cms -compress``, where it was built with zlib."""
        return self._run("-compress", "-binary", "-outform", "SMIME", content=content)

    def _file(self, name: str, octets: bytes) -> str:
        path = self._folder / name
        path.write_bytes(octets)
        return str(path)

    def _run(self, *arguments: str, content: bytes) -> bytes:
        done = subprocess.run(["openssl", "cms", *arguments], input=content, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return _with_crlf(done.stdout) if "SMIME" in arguments else done.stdout


def mail(entity: bytes, sender: str = "Alice <alice@example.org>", to: str = "Bob <bob@example.org>") -> bytes:
    """A mail around an entity that has its own MIME fields, as OpenSSL writes them."""
    return f"From: {sender}\r\nTo: {to}\r\nSubject: a test\r\n".encode() + _with_crlf(entity)


def _with_crlf(text: bytes) -> bytes:
    return text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
