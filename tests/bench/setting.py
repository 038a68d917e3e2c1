"""What is measured with: a token, mails, a large file, and the strangers' keys, all in one folder that goes away."""

from __future__ import annotations

import os
import random
import sysconfig
import textwrap
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from smime_agent.algorithms import KeyType
from tests.bench.bare_loop import TOKEN
from tests.support.ca import Authority, Wanted
from tests.support.softhsm import MODULE, PIN, SoftHsm, SoftToken

if TYPE_CHECKING:
    from typing import Self

RSA_ADDRESS, EC_ADDRESS = "alice@example.org", "bob@example.org"
CAROL = Wanted(("carol@example.org",), "Carol")
_MAIL_OCTETS = 10_000
_TEXTS = 50
_BLOCK = 1 << 20
_PROSE = (
    "the minutes of our meeting are below and I would be glad to hear by Friday whether anything is missing from them "
    "please send the signed offer with its annexes to the office before noon so that it can go out with today's post"
)


@dataclass(frozen=True)
class Setting:
    """Everything is under ``folder``, on one file system."""

    folder: Path
    token: SoftToken
    authority: Authority

    @classmethod
    def made(cls, folder: Path) -> Self:
        """A token with an RSA-2048 and a P-256 key, and a home where nobody has settings."""
        home = folder / "home"
        home.mkdir()
        for name in [name for name in os.environ if name.startswith(("SMIME_AGENT_", "XDG_"))]:
            del os.environ[name]
        os.environ |= {"HOME": str(home), "SMIME_AGENT_MODULE": MODULE, "PIN": PIN}
        token = SoftHsm.configured(folder / "softhsm").new_token(TOKEN)
        authority = Authority("Bench CA", Authority("Bench Root CA"))
        token.enrol(authority, KeyType.RSA_2048, Wanted((RSA_ADDRESS,), "Alice"))
        token.enrol(authority, KeyType.EC_P256, Wanted((EC_ADDRESS,), "Bob"))
        return cls(folder, token, authority)

    def mails(self, name: str, sender: str, count: int) -> Path:
        """A folder of ``count`` mails of 10 kB."""
        folder = self.folder / name
        folder.mkdir()
        for number in range(count):
            (folder / f"{number:05}.eml").write_bytes(mail(sender, number))
        return folder

    def large_file(self, octets: int) -> Path:
        """A file of random octets."""
        path = self.folder / "large"
        with path.open("wb") as file:
            for start in range(0, octets, _BLOCK):
                file.write(os.urandom(min(_BLOCK, octets - start)))
        return path

    def soft_key(self, wanted: Wanted = CAROL, authority: Authority | None = None) -> tuple[Path, Path]:
        """An RSA-2048 key in a file, and its certificate with that of its issuer."""
        key = rsa.generate_private_key(65537, 2048)
        issuer = authority or self.authority
        certificate = issuer.issue(key.public_key(), wanted)
        key_path, certificate_path = self.folder / "carol.key", self.folder / "carol.pem"
        key_path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        certificate_path.write_bytes(certificate.public_bytes(Encoding.PEM) + issuer.pem)
        return key_path, certificate_path


def mail(sender: str, number: int) -> bytes:
    """One mail of text, the same in every run; every other has CRLF line ends, the rest LF."""
    lines = [
        f"Return-Path: <{sender}>",
        "Received: from desk.example.org (desk.example.org [192.0.2.7])",
        f"\tby mx.example.org with ESMTPS id {number:08x}; Wed, 1 Jul 2026 10:00:00 +0200",
        f"Message-ID: <{number:08x}.1782892800@desk.example.org>",
        "Date: Wed, 1 Jul 2026 10:00:00 +0200",
        f"From: A Sender <{sender}>",
        "To: A Recipient <recipient@example.net>, Another <another@example.net>",
        f"Subject: Minutes of meeting {number}",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=us-ascii",
        "Content-Transfer-Encoding: 7bit",
        "",
        f"Meeting {number}",
        "",
        *_texts()[number % _TEXTS],
    ]
    end = "\r\n" if number % 2 else "\n"
    octets = end.join(lines).encode()[: _MAIL_OCTETS - len(end)]
    return octets.rstrip() + end.encode()


@cache
def _texts() -> list[list[str]]:
    """Some texts of prose: paragraphs of lines of at most 76 characters."""
    chance = random.Random(1)  # noqa: S311 - the same in every run
    words = _PROSE.split()
    texts = []
    for _ in range(_TEXTS):
        paragraphs = (" ".join(chance.choices(words, k=chance.randrange(20, 120))) for _ in range(60))
        texts.append([line for paragraph in paragraphs for line in (*textwrap.wrap(paragraph, 76), "")])
    return texts


def smime_agent() -> str:
    """The command as the shell finds it."""
    return str(Path(sysconfig.get_path("scripts")) / "smime-agent")
