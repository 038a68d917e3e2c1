"""Real git: a repository whose commits are signed and verified by our program, by gpgsm, or signed by a stranger."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.ca import Authority
from tests.support.softhsm import MODULE, PIN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cryptography import x509

    from tests.support.pki import Party

_OURS = "from smime_agent.cli.gpgsm import main; main()"
#: A signer of X.509 commits that is not ours: OpenSSL, with the arguments and the protocol of gpgsm.
_STRANGER = """#!/bin/sh
set -e
printf -- '-----BEGIN SIGNED MESSAGE-----\\n'
openssl cms -sign -binary -outform DER -md {digest} -signer {certificate} -inkey {key} {options} | openssl base64
printf -- '-----END SIGNED MESSAGE-----\\n'
printf '\\n[GNUPG:] SIG_CREATED D 1 8 00 0 0\\n' >&2
"""


@dataclass(frozen=True)
class Ran:
    """How a run of git ended."""

    code: int
    out: str
    err: str


@dataclass
class Repository:
    """A repository, and the settings of the person in it, all of them in ``folder``.

    ``program`` signs and verifies. ``anchors`` are whom our program trusts.
    """

    folder: Path
    key: str | None = None
    anchors: tuple[Authority | Party, ...] = ()
    program: Path = field(init=False)
    environment: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        """Make it."""
        home = self.folder / "home"
        (home / "anchors").mkdir(parents=True)
        (home / "pin").write_text(PIN)
        (home / "anchors.pem").write_bytes(b"".join(_pem(anchor) for anchor in self.anchors))
        config = [f'module = "{MODULE}"', f'pin_source = "file:{home / "pin"}"']
        config += [f'ca_files = ["{home / "anchors.pem"}"]'] if self.anchors else []
        (home / "config.toml").write_text("\n".join(config))
        self.environment = {
            **os.environ,
            "HOME": str(home),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
            "SMIME_AGENT_CONFIG": str(home / "config.toml"),
            "LC_ALL": "C.UTF-8",
        }
        self.tree.mkdir()
        self.program = script(
            home / "smime-agent-gpgsm", f'#!/bin/sh\nexec {sys.executable} -c {shlex.quote(_OURS)} "$@"\n'
        )
        self.git("init", "--quiet", "--initial-branch=main")
        settings = {"user.name": "Alice Example", "user.email": "alice@example.org", "gpg.format": "x509"}
        settings |= {"gpg.x509.program": str(self.program)} | ({"user.signingKey": self.key} if self.key else {})
        for name, value in settings.items():
            self.git("config", name, value)

    @property
    def tree(self) -> Path:
        """Where its files are."""
        return self.folder / "tree"

    def git(self, *arguments: str, stdin: bytes = b"", ok: bool = True, env: Mapping[str, str] | None = None) -> Ran:
        """Run git in it; it must succeed unless not ``ok``."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.tree,
            env={**self.environment, **(env or {})},
            input=stdin,
            capture_output=True,
            check=False,
            timeout=60,
            start_new_session=True,  # no terminal: nobody is asked
        )
        ran = Ran(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert not ok or not ran.code, ran
        return ran

    def commit(self, message: str = "A change", *options: str, program: Path | None = None) -> str:
        """A signed commit, by ``program`` if that is another one; its name is returned."""
        other = ("-c", f"gpg.x509.program={program}") if program else ()
        self.git(*other, "commit", "--quiet", "--allow-empty", "-S", "-m", message, *options)
        return self.git("rev-parse", "HEAD").out.strip()

    def raw(self, name: str = "HEAD", kind: str = "commit") -> bytes:
        """An object as it is stored."""
        return self.git("cat-file", kind, name).out.encode()

    def store(self, octets: bytes, kind: str = "commit") -> str:
        """An object as somebody may have made it; its name is returned."""
        return self.git("hash-object", "-t", kind, "-w", "--stdin", "--literally", stdin=octets).out.strip()

    def letter(self, name: str = "HEAD", env: Mapping[str, str] | None = None) -> str:
        """What ``%G?`` shows."""
        return self.git("log", "-1", "--format=%G?", name, env=env).out.strip()

    def status(self, name: str = "HEAD", command: str = "verify-commit") -> list[str]:
        """The status lines of a verification, without their prefix."""
        lines = self.git(command, "--raw", name, ok=False).err.splitlines()
        return [line.removeprefix("[GNUPG:] ") for line in lines if line.startswith("[GNUPG:] ")]

    def call(self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> Ran:
        """Run our program as git would."""
        done = subprocess.run(
            [self.program, *arguments],
            cwd=self.tree,
            env={**self.environment, **(env or {})},
            input=stdin,
            capture_output=True,
            check=False,
            timeout=60,
            start_new_session=True,
        )
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


def _pem(anchor: Authority | Party) -> bytes:
    return anchor.pem if isinstance(anchor, Authority) else anchor.certificate.pem


def script(path: Path, text: str) -> Path:
    """A program."""
    path.write_text(text)
    path.chmod(0o755)
    return path


def stranger(
    folder: Path,
    certificate: x509.Certificate,
    key: object,
    *others: x509.Certificate,
    digest: str = "sha256",
    options: str = "",
) -> Path:
    """A program that signs with a key in a file; the signature brings ``others`` along."""
    folder.mkdir(parents=True, exist_ok=True)
    encoded = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())  # type: ignore[attr-defined]  # any key
    (folder / "key.pem").write_bytes(encoded)
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    if others:
        (folder / "others.pem").write_bytes(b"".join(other.public_bytes(Encoding.PEM) for other in others))
        options += f" -certfile {folder / 'others.pem'}"
    text = _STRANGER.format(
        certificate=folder / "certificate.pem", key=folder / "key.pem", digest=digest, options=options
    )
    return script(folder / "stranger", text)
