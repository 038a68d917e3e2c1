"""The agent signs no octets of somebody's choice: what is no SignedAttributes of a mail of now never reaches a key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from smime_agent import der
from smime_agent.cms import oids
from smime_agent.cms.signed_attributes_builder import attribute
from smime_agent.daemon.places import read_error
from smime_agent.daemon.protocol import Fields, frame
from tests.daemon.uses import Line, User, sign_request
from tests.faulty import FaultScript
from tests.support.agent import RunningAgent
from tests.support.ca import Authority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from smime_agent.errors import SmimeAgentError
    from tests.support.softhsm import SoftToken

DIGEST = sha256(b"a mail").digest()
CONTENT_TYPE = attribute(oids.CONTENT_TYPE, der.object_identifier(oids.ID_DATA))
MESSAGE_DIGEST = attribute(oids.MESSAGE_DIGEST, der.octet_string(DIGEST))


def signed_at(days: float = 0, minutes: float = 0) -> bytes:
    """A signingTime so far from now."""
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=days, minutes=minutes)
    return attribute(oids.SIGNING_TIME, der.time(at))


def good(*more: bytes) -> bytes:
    """Attributes that the agent signs, and more of them."""
    return der.set_of([CONTENT_TYPE, MESSAGE_DIGEST, signed_at(), *more])


def two_values() -> bytes:
    """A messageDigest with two values."""
    values = der.set_of([der.octet_string(DIGEST), der.octet_string(bytes(32))])
    return der.set_of([CONTENT_TYPE, der.sequence(der.object_identifier(oids.MESSAGE_DIGEST), values), signed_at()])


def unsorted() -> bytes:
    """The right attributes in the wrong order."""
    in_order = der.set_of([CONTENT_TYPE, MESSAGE_DIGEST, signed_at()])
    for parts in ([signed_at(), MESSAGE_DIGEST, CONTENT_TYPE], [MESSAGE_DIGEST, signed_at(), CONTENT_TYPE]):
        if (octets := der.tlv(der.SET, b"".join(parts))) != in_order:
            return octets
    raise AssertionError


def certificate() -> bytes:
    """A TBSCertificate, as a CA would have it signed."""
    return Authority("One of nobody's", rsa_key=False).certificate.tbs_certificate_bytes


def indefinite() -> bytes:
    """The right attributes in BER: a length that is not said."""
    return b"\x31\x80" + CONTENT_TYPE + MESSAGE_DIGEST + signed_at() + b"\0\0"


def long_length() -> bytes:
    """The right attributes in BER: a length in more octets than it takes."""
    octets = good()
    assert octets[1] < 0x80
    return octets[:1] + b"\x81" + octets[1:]


REFUSED: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "a raw digest": lambda: DIGEST,
    "a DigestInfo": lambda: der.sequence(der.algorithm("2.16.840.1.101.3.4.2.1", der.NULL), der.octet_string(DIGEST)),
    "a TBSCertificate": certificate,
    "the start of a TLS 1.3 CertificateVerify": lambda: b" " * 64 + b"TLS 1.3, server CertificateVerify\0" + DIGEST,
    "the content of a time-stamp": lambda: der.set_of(
        [attribute(oids.CONTENT_TYPE, der.object_identifier("1.2.840.113549.1.9.16.1.4")), MESSAGE_DIGEST, signed_at()]
    ),
    "two contentTypes": lambda: good(attribute(oids.CONTENT_TYPE, der.object_identifier(oids.ID_DATA))),
    "two messageDigests": lambda: good(attribute(oids.MESSAGE_DIGEST, der.octet_string(bytes(32)))),
    "a messageDigest of two values": two_values,
    "no messageDigest": lambda: der.set_of([CONTENT_TYPE, signed_at()]),
    "no contentType": lambda: der.set_of([MESSAGE_DIGEST, signed_at()]),
    "no signingTime": lambda: der.set_of([CONTENT_TYPE, MESSAGE_DIGEST]),
    "a signingTime of yesterday": lambda: der.set_of([CONTENT_TYPE, MESSAGE_DIGEST, signed_at(days=-1)]),
    "a signingTime of tomorrow": lambda: der.set_of([CONTENT_TYPE, MESSAGE_DIGEST, signed_at(days=1)]),
    "a signingTime of six minutes ago": lambda: der.set_of([CONTENT_TYPE, MESSAGE_DIGEST, signed_at(minutes=-6)]),
    "an attribute that nobody knows": lambda: good(attribute("1.2.3.4", der.octet_string(b"x"))),
    "a countersignature": lambda: good(attribute("1.2.840.113549.1.9.6", der.sequence())),
    "a length that is not said": indefinite,
    "a length that is too long": long_length,
    "an unsorted SET": unsorted,
    "a SEQUENCE": lambda: b"\x30" + good()[1:],
    "[0] IMPLICIT, as it travels": lambda: b"\xa0" + good()[1:],
    "an octet after the end": lambda: good() + b"\0",
    "an end that is missing": lambda: good()[:-1],
    "a digest of SHA-1": lambda: der.set_of(
        [CONTENT_TYPE, attribute(oids.MESSAGE_DIGEST, der.octet_string(bytes(20))), signed_at()]
    ),
    "a digest of SHA-512": lambda: der.set_of(
        [CONTENT_TYPE, attribute(oids.MESSAGE_DIGEST, der.octet_string(bytes(64))), signed_at()]
    ),
    "protection of another algorithm": lambda: good(
        attribute(oids.CMS_ALGORITHM_PROTECTION, der.sequence(der.algorithm("2.16.840.1.101.3.4.2.3")))
    ),
    "more than anybody needs": lambda: good(attribute(oids.SMIME_CAPABILITIES, der.octet_string(bytes(20_000)))),
}


@dataclass
class Watched:
    """A client that is logged in, and what its token was asked for."""

    line: Line
    user: User
    script: FaultScript

    def ask(self, octets: bytes) -> SmimeAgentError | None:
        """Ask for a signature of these octets; the error."""
        self.line.send(frame(sign_request(self.user, octets)))
        answer = self.line.answer()
        return read_error(Fields(answer["error"], "the error")) if "error" in answer else None

    @property
    def signatures(self) -> int:
        """How often the token was asked for one, successfully or not."""
        return self.script.calls().count("C_Sign") + self.script.calls().count("C_SignInit")


@pytest.fixture(scope="module")
def watched(alice: SoftToken, faulty_module: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """One for all: it signed once, so that neither a PIN nor a key is what is missing."""
    folder = tmp_path_factory.mktemp("oracle")
    script = FaultScript(folder / "faults")
    running = RunningAgent(folder / "agent", module=str(faulty_module), variables=script.environment)
    with running as agent, agent.client() as client, Line(agent.socket) as line:
        line.greet()
        user = User(client, alice.label)
        user.sign()
        yield Watched(line, user, script)


def test_the_bare_attributes_of_a_mail_are_signed(watched: Watched) -> None:
    before = watched.signatures
    assert watched.ask(good()) is None
    assert watched.signatures > before


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_none_is_refused_and_reaches_no_key(name: str, watched: Watched) -> None:
    before = watched.signatures
    error = watched.ask(REFUSED[name]())
    assert error is not None
    assert error.exit_code == 10
    assert len(str(error)) > 20
    assert "bug" not in str(error)
    assert watched.signatures == before
