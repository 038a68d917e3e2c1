"""NSS softoken as a token: another implementer's reading of PKCS#11, and one that rejects implicitly.

A wrong RSAES-PKCS1-v1_5 padding is answered with octets made of the ciphertext, where SoftHSM says that it failed. It
does OAEP with every hash function and label, and knows no CKA_ALWAYS_AUTHENTICATE.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from smime_agent.tokens.session import TokenSession
from smime_agent.tokens.token import Search
from tests.support.softhsm import KnownPin

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12PrivateKeyTypes

SOURCE = Path(__file__).with_name("softtoken.c")
PIN = "another-secret"
LABEL = "NSS Certificate DB"
_DIRECTORY = "SOFTTOKEN_DIRECTORY"
#: Without it each use of a key begins with ten thousand rounds over the PIN: 31 ms instead of one.
_QUICK = {"NSS_MAX_MP_PBE_ITERATION_COUNT": "1"}


@dataclass(frozen=True)
class Softoken:
    """One NSS database and the module that opens it. There can be one in a process: C_Initialize is called once."""

    folder: Path
    module: Path

    @classmethod
    def made(cls, folder: Path) -> Softoken:
        """A new, empty database in ``folder``, and the module."""
        compiler = shutil.which(os.environ.get("CC", "cc"))
        assert compiler is not None, "a C compiler is needed"
        module = folder / "softtoken.so"
        flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror"]
        subprocess.run([compiler, *flags, "-o", str(module), str(SOURCE), "-ldl"], check=True)
        (folder / "pin").write_text(PIN)
        made = cls(folder, module)
        made.run("certutil", "-N", "-f", str(folder / "pin"))
        os.environ[_DIRECTORY] = str(folder)
        return made

    def store(self, label: str, key: PKCS12PrivateKeyTypes, certificate: x509.Certificate) -> None:
        """Put a key and its certificate in, before the module is loaded."""
        bundle = pkcs12.serialize_key_and_certificates(
            label.encode(), key, certificate, None, BestAvailableEncryption(b"transport")
        )
        (self.folder / "bundle.p12").write_bytes(bundle)
        self.run("pk12util", "-i", str(self.folder / "bundle.p12"), "-W", "transport", "-k", str(self.folder / "pin"))

    def session(self, prompter: KnownPin | None = None) -> TokenSession:
        """A session that is not logged in."""
        return TokenSession(Search(LABEL, str(self.module)).one(), prompter or KnownPin(PIN))

    def run(self, program: str, *arguments: str) -> None:
        """Run a program of NSS on the database."""
        command = [program, "-d", f"sql:{self.folder}", *arguments]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, **_QUICK})
