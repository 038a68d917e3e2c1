"""One issuer, one server, one folder for the cache, and chains that lead to them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from smime_agent.retrieval import Limits, NetworkSource
from smime_agent.x509 import Certificate
from tests.support.ca import Authority, Wanted
from tests.support.revocation_servers import WebServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cryptography import x509

    from smime_agent.trust.evidence import Evidence

KEY = ec.generate_private_key(ec.SECP256R1())
#: Short enough that a test of what hangs takes a moment.
LIMITS = replace(Limits(), each=0.4, together=0.6, moment=0.1)


@dataclass
class Chain:
    """A leaf and its issuer, for the source and for those who make answers."""

    issued: x509.Certificate
    certificates: list[Certificate]


@dataclass
class Net:
    """What a test plays with: ``now`` may be moved, ``told`` is who was waited for."""

    authority: Authority
    server: WebServer
    folder: Path
    now: datetime | None = None
    told: list[str] = field(default_factory=list)

    def chain(self, *extra: tuple[x509.ExtensionType, bool]) -> Chain:
        """A leaf with such extensions, and the root that issued it."""
        issued = self.authority.issue(KEY.public_key(), Wanted(extra=extra))
        return Chain(issued, [own(issued), own(self.authority.certificate)])

    def source(self, limits: Limits = LIMITS, *, offline: bool = False) -> NetworkSource:
        """A source, as one run has it."""
        return NetworkSource(
            self.folder,
            offline=offline,
            limits=limits,
            on_fetch=self.told.append,
            clock=lambda: self.now or datetime.now(UTC),
        )

    def gather(self, chain: Chain, limits: Limits = LIMITS, *, offline: bool = False) -> Evidence:
        """What one run finds out at the present time."""
        return self.source(limits, offline=offline).gather(chain.certificates, self.now or datetime.now(UTC))

    def pass_time(self, **units: float) -> None:
        """Let time pass."""
        self.now = (self.now or datetime.now(UTC)) + timedelta(**units)


def own(certificate: x509.Certificate) -> Certificate:
    """The same certificate as the program has it."""
    return Certificate(certificate.public_bytes(Encoding.DER))


@pytest.fixture
def server() -> Iterator[WebServer]:
    """A server, and a look whether it left threads behind."""
    before = set(threading.enumerate())
    with WebServer() as running:
        yield running
    for thread in set(threading.enumerate()) - before:
        thread.join(1)
        assert not thread.is_alive()


@pytest.fixture
def net(root_ca: Authority, server: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Net:
    """A net with one server on it, and no proxy."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return Net(root_ca, server, tmp_path / "cache")
