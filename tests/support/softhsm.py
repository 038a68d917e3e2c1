"""Tokens in SoftHSM, made through our own provisioning."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key

from smime_agent.algorithms import KeyType, KeyUsage
from smime_agent.api.signing import OpenToken, logged_in
from smime_agent.keys import Pin
from smime_agent.tokens import module as modules
from smime_agent.tokens.provision import generate_key, init_token, set_user_pin, store_certificate
from smime_agent.tokens.session import TokenSession
from smime_agent.tokens.token import Search
from smime_agent.x509 import Certificate
from tests.support.ca import Wanted

if TYPE_CHECKING:
    from smime_agent.keys import PinRequest
    from smime_agent.tokens.objects import TokenKey
    from tests.support.ca import Authority

MODULE = next((path for path in modules.SOFTHSM_PATHS if Path(path).is_file()), "")
PIN, SO_PIN = "fairly-secret", "12345678"


def _token_folder() -> str:
    """A folder in memory where there is one: SoftHSM writes an object file for each attribute, which disks take ill."""
    memory = "/dev/shm"
    folder = tempfile.mkdtemp(prefix="smime-agent-tests-", dir=memory if os.access(memory, os.W_OK) else None)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class KnownPin:
    """A prompter that knows the PIN, counts how often it was asked, and remembers what it was told."""

    def __init__(self, pin: str = PIN) -> None:
        """Answer with ``pin``."""
        self.answer = pin
        self.requests: list[PinRequest] = []
        self.touches: list[str] = []
        self.pads: list[str] = []

    def pin(self, request: PinRequest) -> Pin:
        """The PIN."""
        self.requests.append(request)
        return Pin(self.answer.encode())

    def pad(self, token: str) -> None:
        """Remember."""
        self.pads.append(token)

    def touch(self, token: str) -> None:
        """Remember."""
        self.touches.append(token)


@dataclass(frozen=True)
class SoftHsm:
    """One SoftHSM configuration; SOFTHSM2_CONF is set to it for this process and its children."""

    folder: Path

    @classmethod
    def configured(cls, folder: Path) -> SoftHsm:
        """Write the configuration. It must be the first of the process: SoftHSM reads it once."""
        folder.mkdir(parents=True, exist_ok=True)
        text = f"directories.tokendir = {_token_folder()}\nobjectstore.backend = file\nlog.level = ERROR\n"
        (folder / "softhsm2.conf").write_text(text)
        os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")
        return cls(folder)

    def new_token(self, label: str, *, user_pin: bool = True) -> SoftToken:
        """A new, empty token."""
        blank = next(token for token in Search(module=MODULE).tokens(uninitialized=True) if not token.info.initialized)
        init_token(blank, label, Pin(SO_PIN.encode()))
        token = SoftToken(label)
        if user_pin:
            with token.session(writable=True) as session:
                set_user_pin(session, Pin(SO_PIN.encode()), Pin(PIN.encode()))
        return token


@dataclass(frozen=True)
class SoftToken:
    """One token by its label."""

    label: str

    def session(self, prompter: KnownPin | None = None, *, writable: bool = False) -> TokenSession:
        """A session that is not logged in."""
        return TokenSession(Search(self.label, MODULE).one(), prompter or KnownPin(), writable=writable)

    def open(self, prompter: KnownPin | None = None) -> OpenToken:
        """A login."""
        return logged_in(self.session(prompter))

    def generate(self, key_type: KeyType, usage: KeyUsage = KeyUsage.SIGN, label: str = "") -> TokenKey:
        """A new key."""
        with self.session(writable=True) as session:
            session.login("for a test")
            return generate_key(session, key_type, usage, None, label)

    def store(self, der: bytes) -> None:
        """Put a certificate beside its key."""
        with self.session(writable=True) as session:
            session.login("for a test")
            store_certificate(session, Certificate(der), None)

    def enrol(
        self,
        authority: Authority,
        key_type: KeyType,
        wanted: Wanted = Wanted(),  # noqa: B008 - frozen
        usage: KeyUsage = KeyUsage.SIGN,
    ) -> TokenKey:
        """A new key with a certificate for it."""
        key = self.generate(key_type, usage, wanted.name)
        assert key.public_key_info is not None
        certificate = authority.issue(load_der_public_key(key.public_key_info), wanted)
        self.store(certificate.public_bytes(Encoding.DER))
        return key
