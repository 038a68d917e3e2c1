"""A home of GnuPG's gpgsm, and a program that git can call, which signs and verifies there."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat, pkcs12

from tests.support.git import script

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography import x509

    from tests.support.ca import Authority

_PASSPHRASE = "x"


@dataclass
class Gpgsm:
    """A home in which one root is trusted; leaving it ends its daemons. ``program`` is for gpg.x509.program."""

    folder: Path

    @classmethod
    def trusting(cls, folder: Path, root: Authority, *others: Authority) -> Gpgsm:
        """A home; ``others`` are known, and not trusted by themselves."""
        home = cls(folder)
        folder.mkdir(mode=0o700)
        name = hashlib.sha1(root.certificate.public_bytes(Encoding.DER), usedforsecurity=False).hexdigest().upper()
        (folder / "trustlist.txt").write_text(f"{name} S relax\n")
        (folder / "passphrase").write_text(_PASSPHRASE + "\n")
        for authority in (root, *others):
            home._run("--import", data=authority.pem)
        return home

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["gpgconf", "--homedir", self.folder, "--kill", "all"], check=True)

    @property
    def program(self) -> Path:
        """It, for git."""
        options = f"--homedir {self.folder} --batch --disable-crl-checks --pinentry-mode loopback --passphrase-fd 3"
        return script(self.folder / "gpgsm", f'#!/bin/sh\nexec gpgsm {options} "$@" 3<{self.folder / "passphrase"}\n')

    def add(self, key: pkcs12.PKCS12PrivateKeyTypes, certificate: x509.Certificate) -> None:
        """A key to sign with."""
        encryption = (
            PrivateFormat.PKCS12.encryption_builder()
            .kdf_rounds(1000)
            .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
            .hmac_hash(hashes.SHA1())  # noqa: S303 - what gpgsm 2.2 reads
            .build(_PASSPHRASE.encode())
        )
        bundle = pkcs12.serialize_key_and_certificates(None, key, certificate, None, encryption)
        (self.folder / "bundle.p12").write_bytes(bundle)
        subprocess.run([self.program, "--import", self.folder / "bundle.p12"], check=True, capture_output=True)

    def _run(self, *arguments: str, data: bytes) -> None:
        command = ["gpgsm", "--homedir", str(self.folder), "--batch", "--disable-crl-checks", *arguments]
        subprocess.run(command, input=data, check=True, capture_output=True)
