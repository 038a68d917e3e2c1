"""What clients want from an agent, signatures and content keys, and ``cryptography`` as the judge of what they get."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from smime_agent.algorithms import ContentEncryption
from smime_agent.cms.key_transport import key_transport
from smime_agent.cms.signed_attributes_builder import SignedAttributesBuilder
from smime_agent.daemon.places import KeyPlace, scheme_values
from smime_agent.daemon.protocol import MAX_ANSWER, VERSION, Fields, Frames, frame
from smime_agent.daemon.reaching import ReachedToken
from smime_agent.daemon.remote import RemoteDecrypter, RemoteToken
from smime_agent.der import algorithm
from smime_agent.keys import KeyQuery, WrappedKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from smime_agent.daemon.client import AgentClient
    from smime_agent.daemon.remote import RemoteSigner
    from smime_agent.x509 import Certificate
    from tests.support.agent import RunningAgent

CIPHER = algorithm(ContentEncryption.AES256_CBC.oid, b"\x04\x10" + bytes(16))


@dataclass
class User:
    """One client of an agent, and a token in it that has a P-256 key to sign and perhaps an RSA key to decrypt with."""

    client: AgentClient
    token: str

    @cached_property
    def signer(self) -> RemoteSigner:
        """The key to sign with."""
        return RemoteToken(self.client, self.token, None).signer_for(KeyQuery(), None, None)

    @cached_property
    def seen(self) -> ReachedToken:
        """The token, as the agent sees it."""
        (found,) = self.client.ask("tokens", token=self.token, module=None).items("tokens")
        return ReachedToken.read(Fields(found, "a token"))

    @cached_property
    def decrypter(self) -> RemoteDecrypter:
        """The key to decrypt with."""
        (key,) = [key for key in self.seen.objects.keys if key.label == "to decrypt"]
        return RemoteDecrypter(self.client, KeyPlace(self.seen.place, key.id, key.label, key.public_key_info))

    @cached_property
    def recipient(self) -> Certificate:
        """The certificate of the key to decrypt with."""
        public = next(key.public_key_info for key in self.seen.objects.keys if key.label == "to decrypt")
        found = [one.certificate for one in self.seen.objects.certificates]
        return next(one for one in found if one.public_key_info == public)

    def attributes(self, text: bytes) -> bytes:
        """The SignedAttributes for a text that is signed now."""
        return attributes(self.signer, text)

    def sign(self, text: bytes = b"a mail") -> bytes:
        """A signature for a text, which is good: the judge has said so."""
        tbs = self.attributes(text)
        signature = self.signer.sign(tbs)  # type: ignore[arg-type]
        verify(self.signer.identity.certificate.encoded, signature, tbs)
        return signature

    def unwrap(self, key: bytes) -> None:
        """Unwrap a content key, which is the right one."""
        assert self.decrypter.unwrap(wrapped(self.recipient, key)).reveal() == key


class Line:
    """A connection to an agent, for whatever octets."""

    def __init__(self, path: Path) -> None:
        """Connect."""
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(str(path))
        self.socket.settimeout(20)
        self._frames = Frames(MAX_ANSWER)
        self._arrived: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        """The line itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up."""
        self.socket.close()

    def send(self, octets: bytes) -> None:
        """Send octets."""
        self.socket.sendall(octets)

    def ask(self, number: int, method: str, **parameters: object) -> None:
        """Send a request."""
        self.send(frame({"id": number, "method": method, "params": parameters}))

    def greet(self) -> dict[str, Any]:
        """Say hello; the answer."""
        self.ask(0, "hello", version=VERSION)
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """The next message."""
        found = self.answers(1)
        assert found, "the agent has hung up"
        return found[0]

    def answers(self, most: int = 1 << 30) -> list[dict[str, Any]]:
        """As many messages, or all until the agent hangs up."""
        while len(self._arrived) < most:
            try:
                octets = self.socket.recv(1 << 16)
            except ConnectionResetError:
                break
            if not octets:
                break
            self._arrived += self._frames.feed(octets)
        found, self._arrived = self._arrived[:most], self._arrived[most:]
        return found


def attributes(signer: RemoteSigner, text: bytes) -> bytes:
    """The SignedAttributes for a text that is signed now."""
    at = datetime.now(UTC).replace(microsecond=0)
    return SignedAttributesBuilder(signer.identity, signer.scheme).encode(sha256(text).digest(), at)


def begin(user: User, text: bytes = b"a mail", number: int = 1000) -> None:
    """Ask for a signature, and wait for nothing."""
    user.client._connection.sendall(frame(sign_request(user, user.attributes(text), number)))


def sign_request(user: User, octets: bytes, number: int = 1000) -> dict[str, Any]:
    """What a client sends that wants octets signed."""
    signer = user.signer
    key, scheme = signer._key.values(), scheme_values(signer.scheme)
    return {"id": number, "method": "sign", "params": {"key": key, "scheme": scheme, "attributes": octets}}


def verify(certificate: bytes, signature: bytes, tbs: bytes) -> None:
    """Raise unless the signature is that of the certificate's key."""
    key: Any = x509.load_der_x509_certificate(certificate).public_key()
    key.verify(signature, tbs, ec.ECDSA(hashes.SHA256()))


def wrapped(recipient: Certificate, key: bytes) -> WrappedKey:
    """A content key for a recipient."""
    return WrappedKey(key_transport(recipient, key, oaep=False), 0, CIPHER)


def until(true: Callable[[], object], seconds: float = 10) -> None:
    """Wait until something is so, and fail if it never is."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)


def status(agent: RunningAgent) -> dict[str, Any]:
    """What the agent says of itself."""
    with agent.client() as client:
        return client.ask("status").members()


def workers(agent: RunningAgent) -> list[int]:
    """The processes that hold tokens."""
    return [pid for token in status(agent)["tokens"] for pid in token["workers"]]


def parents() -> dict[int, int]:
    """The parent of each process that runs."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state not in "ZX":
            found[int(path.parent.name)] = int(parent)
    return found


def descendants(pid: int) -> set[int]:
    """All processes below one."""
    above = parents()
    found, before = {pid}, -1
    while len(found) != before:
        before = len(found)
        found |= {child for child, parent in above.items() if parent in found}
    return found - {pid}


def descriptors(pid: int) -> int:
    """How many descriptors a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def resident(pid: int) -> int:
    """Octets of memory that a process has."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024
