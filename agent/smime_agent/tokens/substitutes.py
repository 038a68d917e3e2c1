"""Keys that stand for what RSAES-PKCS1-v1_5 cannot decrypt."""

from __future__ import annotations

import hmac
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable


class SubstituteKeys:
    """Gives a key for a ciphertext: no other can be told from it, and for the same ciphertext it is the same.

    With a new random key each time (RFC 3218, 2.3.2), whoever has one message decrypted again and again learns that its
    padding is wrong: of the wrong keys one in 256 makes a content by CBC look whole, and a wrong key that was really
    in the message does so always or never.
    """

    __slots__ = ("_secret",)

    def __init__(self, randomness: Callable[[int], bytes] = os.urandom) -> None:
        """Draw the secret that they are all made of."""
        self._secret = randomness(32)

    def __repr__(self) -> str:
        """Never the secret."""
        return "SubstituteKeys(...)"

    def reveal(self) -> bytes:
        """The secret, for a process that works on the same messages."""
        return self._secret

    def adopt(self, secret: bytes) -> None:
        """Give the same keys as the process that has this secret: a message has one fate, whoever decrypts it."""
        self._secret = secret

    def __call__(self, ciphertext: bytes, size: int) -> bytes:
        """A key of ``size`` octets, of which there are 255 blocks at most."""
        blocks = (
            hmac.digest(self._secret, bytes((number,)) + ciphertext, "sha256") for number in range(-(-size // 32))
        )
        return b"".join(blocks)[:size]


#: Those of this process: a key that is found anew, and another session with it, gives the same.
OF_THIS_PROCESS: Final = SubstituteKeys()
