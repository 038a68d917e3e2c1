"""Alice's desk, and the people who write to her: in software, with OpenSSL."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from smime_agent.algorithms import KeyType, KeyUsage
from tests.support.ca import Authority, Wanted
from tests.support.correspondents import Correspondent, People
from tests.support.neomutt import Desk

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.softhsm import SoftHsm

LABEL = "neomutt"


@pytest.fixture(scope="session")
def token(softhsm: SoftHsm, issuing_ca: Authority) -> str:
    """A token with Alice's key, and another one for her work; its label."""
    made = softhsm.new_token(LABEL)
    made.enrol(issuing_ca, KeyType.RSA_2048, Wanted(key_encipherment=True), KeyUsage.BOTH)
    made.enrol(issuing_ca, KeyType.EC_P384, Wanted(("alice@work.example.org",), "Alice at work"))
    return LABEL


@pytest.fixture
def desk(token: str, root_ca: Authority, issuing_ca: Authority, tmp_path: Path) -> Desk:
    """Alice's desk, where neomutt was set up."""
    made = Desk.furnished(tmp_path / "alice", token, root_ca.pem + issuing_ca.pem)
    assert made.agent("cert", "list").code == 0
    done = made.agent("setup", "neomutt", "--install")
    assert done.code == 0, done.err
    return made


class Writer:
    """Somebody who signs and encrypts with OpenSSL."""

    def __init__(self, person: Correspondent, folder: Path) -> None:
        """Keep the key in a file."""
        self.person = person
        self._key = folder / f"{person.address}.key"
        self._key.write_bytes(person.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    def entity(self, *, opaque: bool = False, text: str = "Hello Alice") -> bytes:
        """A signed entity, without the header fields of a mail."""
        content = f"Content-Type: text/plain\r\n\r\n{text}\r\n".encode()
        how = ["-nodetach"] if opaque else []
        key = ["-signer", str(self.person.path), "-inkey", str(self._key), "-md", "sha256"]
        return _openssl("-sign", "-binary", *how, *key, content=content)

    def mail(
        self, subject: str, sender: str | None = None, *, opaque: bool = False, text: str = "Hello Alice"
    ) -> bytes:
        """A signed mail, from this person unless it says that it is from ``sender``."""
        return _headed(self.entity(opaque=opaque, text=text), sender or self.person.address, subject)


def _openssl(*arguments: str, content: bytes) -> bytes:
    return subprocess.run(["openssl", "cms", *arguments], input=content, capture_output=True, check=True).stdout


def _headed(entity: bytes, sender: str, subject: str) -> bytes:
    head = f"From: {sender}\nTo: alice@example.org\nDate: Tue, 6 Jan 2026 10:00:00 +0000\nSubject: {subject}\n"
    return head.encode() + entity


def encrypted(entity: bytes, certificate: Path, sender: str, subject: str) -> bytes:
    """A mail in which an entity is encrypted to the holder of a certificate."""
    return _headed(_openssl("-encrypt", "-binary", "-aes128", str(certificate), content=entity), sender, subject)


@pytest.fixture
def people(issuing_ca: Authority, tmp_path: Path) -> People:
    """Makes people who have certificates of the CA that Alice trusts."""
    return People(issuing_ca, tmp_path)


def writer(people: People, name: str, tmp_path: Path, **wanted: Any) -> Writer:  # noqa: ANN401 - any field of Wanted
    """Somebody who signs too."""
    return Writer(people(name, digital_signature=True, **wanted), tmp_path)


@pytest.fixture
def bob(people: People, tmp_path: Path) -> Writer:
    """Bob, as he is."""
    return writer(people, "bob", tmp_path)


@pytest.fixture
def mallory(people: People, tmp_path: Path) -> Writer:
    """Mallory, who has a certificate too, of her own."""
    return writer(people, "mallory", tmp_path)


@pytest.fixture
def strange_bob(tmp_path: Path) -> Writer:
    """Somebody with a certificate for Bob's address, of a CA that nobody knows."""
    return Writer(People(Authority("Nobody's CA"), tmp_path)("bob", digital_signature=True), tmp_path)


@pytest.fixture
def expired_bob(people: People, tmp_path: Path) -> Writer:
    """Bob, whose certificate has expired."""
    return writer(people, "bob", tmp_path, not_before=-20, not_after=-1)
