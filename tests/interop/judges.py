"""The judges: OpenSSL, GnuPG, GnuTLS and NSS as they come with the system, each in a throw-away home.

Each is given a mail and its own trusted root, nothing else. It says what content was signed, or refuses.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from smime_agent.algorithms import Curve, Digest, KeyType, Padding, SignatureAlgorithm, SignatureScheme
from tests.interop.extractor import open_up, take_apart

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.ca import Authority

_SECONDS: Final = 120
#: The property of a test that says why a judge could not know.
UNABLE: Final = "unable"


class Form(Enum):
    """How a mail is signed."""

    CLEAR = "clear"
    OPAQUE = "opaque"


class Refused(Exception):  # noqa: N818 - a verdict
    """The judge does not take this signature for good; the text is its own."""


class Unable(Exception):  # noqa: N818 - no verdict
    """The judge cannot know: the table below has the reason."""


@dataclass(frozen=True)
class Case:
    """A kind of key and how it signs; what is None is our default for the key."""

    key_type: KeyType
    digest: Digest | None = None
    padding: Padding | None = None

    def __str__(self) -> str:
        """The name of a test."""
        return "-".join([self.key_type.value, *(choice.value for choice in (self.padding, self.digest) if choice)])

    @property
    def scheme(self) -> SignatureScheme:
        """What it comes to."""
        return SignatureScheme.for_key(self.key_type.algorithm, self.digest, self.padding)


@dataclass(frozen=True)
class Inability:
    """What a judge cannot do, how it says so, and why that is not our fault."""

    judge: str
    what: str
    concerns: Callable[[Case], bool]
    says: str
    because: str


def _ed25519(case: Case) -> bool:
    return case.scheme.algorithm is SignatureAlgorithm.ED25519


def _p521(case: Case) -> bool:
    return case.key_type.algorithm.curve is Curve.P521


def _p384_sha256(case: Case) -> bool:
    return case.key_type.algorithm.curve is Curve.P384 and case.scheme.digest is Digest.SHA256


def _pss_beyond_sha256(case: Case) -> bool:
    return case.scheme.algorithm is SignatureAlgorithm.RSASSA_PSS and case.scheme.digest is not Digest.SHA256


#: Measured with OpenSSL 3.0.19, gpgsm 2.2.40 (libgcrypt 1.10.1), GnuTLS 3.7.9 and NSS 3.87, the form of the mail makes
#: no difference to any. A newer one may have learned: then its verdict counts.
INABILITIES: Final = (
    Inability(
        "OpenSSL", "Ed25519", _ed25519, "invalid digest", "its CMS gives EdDSA a digest, and that takes none (RFC 8419)"
    ),
    Inability(
        "gpgsm", "Ed25519", _ed25519, "multiple of 8 bits", "it takes every key on a curve for ECDSA, and hashes"
    ),
    Inability(
        "gpgsm", "EC P-521", _p521, "multiple of 8 bits", "it knows ECDSA only with curves of a multiple of 8 bits"
    ),
    Inability(
        "gpgsm",
        "EC P-384 with SHA-256",
        _p384_sha256,
        "a 256 bit hash is not valid for a 384 bit ECC key",
        "its policy: the digest must be as strong as the curve; ours is, unless a person chooses another",
    ),
    Inability(
        "certtool",
        "RSASSA-PSS with SHA-384 or SHA-512",
        _pss_beyond_sha256,
        "Public key signature verification has failed",
        "in PKCS #7 it takes each RSASSA-PSS for one with SHA-256, whatever the parameters say",
    ),
    Inability(
        "cmsutil", "Ed25519", _ed25519, "SEC_ERROR_PKCS7_BAD_SIGNATURE", "NSS verifies no Ed25519 signature in CMS"
    ),
)


def inability(judge: str, case: Case) -> Inability | None:
    """Why a judge cannot know, if so."""
    return next((entry for entry in INABILITIES if entry.judge == judge and entry.concerns(case)), None)


class Judge(ABC):
    """Whoever says which content a mail has a good signature over."""

    name: ClassVar[str]

    @classmethod
    @abstractmethod
    def at_home(cls, home: Path, root_ca: Authority) -> Judge:
        """A judge in an empty folder of its own, who trusts this root."""

    @abstractmethod
    def close(self) -> None:
        """Leave nothing behind."""

    @abstractmethod
    def verify_clear(self, mail: bytes) -> bytes:
        """The content that a clear-signed mail has a good signature over.

        Raises:
            Refused: it has none.
        """

    @abstractmethod
    def verify_opaque(self, mail: bytes) -> bytes:
        """The content inside an opaque mail, under a good signature.

        Raises:
            Refused: there is none.
        """

    def verify(self, mail: bytes, form: Form) -> bytes:
        """Either of them."""
        return self.verify_clear(mail) if form is Form.CLEAR else self.verify_opaque(mail)

    def verdict(self, mail: bytes, form: Form, case: Case) -> bytes:
        """The same, of a mail that was signed in a known way.

        Raises:
            Refused: not good.
            Unable: refused in the words that the table has for this way to sign.
        """
        try:
            return self.verify(mail, form)
        except Refused as refusal:
            entry = inability(self.name, case)
            if entry is None or entry.says not in str(refusal):
                raise
            raise Unable(f"{self.name} cannot verify {entry.what}: {entry.because}") from refusal


@dataclass(frozen=True)
class Tool(Judge):
    """A judge that is a program. ``home`` is its own, ``root`` the certificate that it trusts."""

    home: Path
    root: Path

    @classmethod
    def at_home(cls, home: Path, root_ca: Authority) -> Tool:
        """The program with its settings."""
        root = home / "root.pem"
        root.write_bytes(root_ca.pem)
        judge = cls(home, root)
        judge.settle()
        return judge

    def settle(self) -> None:
        """Furnish the home."""

    def close(self) -> None:
        """Remove the home."""
        shutil.rmtree(self.home)

    def run(self, *command: str | Path) -> str:
        """What the program prints.

        Raises:
            Refused: it failed.
        """
        done = subprocess.run(
            command,
            capture_output=True,
            env={**os.environ, "LC_ALL": "C", "HOME": str(self.home), "GNUPGHOME": str(self.home)},
            timeout=_SECONDS,
            check=False,
        )
        said = (done.stdout + done.stderr).decode(errors="replace")
        if done.returncode:
            raise Refused(f"{self.name} ({done.returncode}): {said}")
        return said

    def file(self, name: str, octets: bytes) -> Path:
        """A file in its home."""
        path = self.home / name
        path.write_bytes(octets)
        return path

    def output(self) -> Path:
        """Where it is to write, and where nothing is yet."""
        path = self.home / "output"
        path.unlink(missing_ok=True)
        return path


class OpenSsl(Tool):
    """``openssl cms -verify``: it reads the mail itself."""

    name = "OpenSSL"

    def verify_clear(self, mail: bytes) -> bytes:
        """The content as OpenSSL writes it out."""
        output = self.output()
        self.run(
            *("openssl", "cms", "-verify", "-inform", "SMIME", "-in", self.file("mail", mail)),
            *("-CAfile", self.root, "-no-CApath", "-no-CAstore", "-out", output),
        )
        return output.read_bytes()

    verify_opaque = verify_clear


class CmsTool(Tool):
    """A judge that reads bare CMS: a content and its signature, cut out of the mail for it."""

    @abstractmethod
    def verify_detached(self, cms: Path, content: Path) -> bytes:
        """The content, if the signature over it is good."""

    @abstractmethod
    def verify_attached(self, cms: Path) -> bytes:
        """The content inside, if the signature is good."""

    def verify_clear(self, mail: bytes) -> bytes:
        """The content, where the tool writes none that was handed to it."""
        parts = take_apart(mail)
        return self.verify_detached(self.file("cms", parts.signature), self.file("content", parts.content))

    def verify_opaque(self, mail: bytes) -> bytes:
        """The content as the tool writes it out."""
        return self.verify_attached(self.file("cms", open_up(mail)))


class Gpgsm(CmsTool):
    """``gpgsm --verify``. Its word is its status lines: it also exits with 0 where it only doubts the root."""

    name = "gpgsm"

    @classmethod
    def at_home(cls, home: Path, root_ca: Authority) -> Tool:
        """A home with a short path: its agent has a socket in it."""
        shutil.rmtree(home)
        return super().at_home(Path(tempfile.mkdtemp(prefix="gs", dir="/tmp")), root_ca)

    def settle(self) -> None:
        """Import the root and trust it; ask nobody for revocation lists."""
        self.file("gpgsm.conf", b"batch\nno-greeting\ndisable-dirmngr\ndisable-crl-checks\nno-common-certs-import\n")
        self.run("gpgsm", "--import", self.root)
        listed = self.run("gpgsm", "--with-colons", "--list-keys")
        fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))
        self.file("trustlist.txt", f"{fingerprint} S relax\n".encode())
        shutil.copy(self.home / "pubring.kbx", self.home / "pristine.kbx")

    def verify_detached(self, cms: Path, content: Path) -> bytes:
        """The content that was handed over: gpgsm writes none."""
        self._verify("--verify", cms, content)
        return content.read_bytes()

    def verify_attached(self, cms: Path) -> bytes:
        """The content as it writes it out."""
        output = self.output()
        self._verify("--output", output, "--verify", cms)
        return output.read_bytes()

    def _verify(self, *arguments: str | Path) -> None:
        # It keeps each certificate it sees, and the next mail has to bring its own.
        shutil.copy(self.home / "pristine.kbx", self.home / "pubring.kbx")
        said = self.run("gpgsm", "--status-fd", "1", *arguments)
        if "[GNUPG:] VALIDSIG " not in said or "[GNUPG:] TRUST_FULLY " not in said:
            raise Refused(f"gpgsm (0): {said}")

    def close(self) -> None:
        """Stop the agent."""
        self.run("gpgconf", "--kill", "all")
        shutil.rmtree(self.home, ignore_errors=True)  # the agent takes its sockets away in its own time


class Certtool(CmsTool):
    """GnuTLS: ``certtool --p7-verify``, for e-mail protection."""

    name = "certtool"

    def verify_detached(self, cms: Path, content: Path) -> bytes:
        """The content that was handed over: certtool writes none."""
        self._verify(cms, "--load-data", content, "--outfile", self.output())
        return content.read_bytes()

    def verify_attached(self, cms: Path) -> bytes:
        """The content as it writes it out."""
        output = self.output()
        self._verify(cms, "--p7-show-data", "--outfile", output)
        return output.read_bytes()

    def _verify(self, cms: Path, *arguments: str | Path) -> None:
        purpose = "1.3.6.1.5.5.7.3.4"  # id-kp-emailProtection
        self.run(
            *("certtool", "--p7-verify", "--inder", "--infile", cms),
            *("--load-ca-certificate", self.root, "--verify-purpose", purpose, *arguments),
        )


class Cmsutil(CmsTool):
    """NSS, what Thunderbird verifies with: ``cmsutil -D``, for the usage certUsageEmailSigner."""

    name = "cmsutil"

    def settle(self) -> None:
        """A certificate database that trusts the root for mail."""
        self.run("certutil", "-N", "-d", self._database, "--empty-password")
        self.run("certutil", "-A", "-d", self._database, "-n", "root", "-t", ",C,", "-i", self.root)

    @property
    def _database(self) -> str:
        return f"sql:{self.home}"

    def verify_detached(self, cms: Path, content: Path) -> bytes:
        """The content as it writes it out."""
        return self._verify(cms, "-c", content)

    def verify_attached(self, cms: Path) -> bytes:
        """The content as it writes it out."""
        return self._verify(cms)

    def _verify(self, cms: Path, *arguments: str | Path) -> bytes:
        output = self.output()
        self.run("cmsutil", "-D", "-d", self._database, "-u", "4", "-i", cms, "-o", output, *arguments)
        return output.read_bytes()


TOOLS: Final[tuple[type[Tool], ...]] = (OpenSsl, Gpgsm, Certtool, Cmsutil)
