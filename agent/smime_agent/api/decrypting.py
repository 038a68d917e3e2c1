"""Decrypt messages with keys on tokens, and judge the signatures in them."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from smime_agent.api.content import open_content
from smime_agent.smime.decrypt import Decryption, DecryptRoad
from smime_agent.smime.opening import Opener

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smime_agent.api.content import Content
    from smime_agent.api.verifying import Verifier
    from smime_agent.smime.opening import DecryptionKeys

__all__ = ["Decryption", "Decryptor"]


class Decryptor:
    """Decrypts any number of messages; tokens stay open, and what is known of certificates is kept.

    ``keys`` are those of :func:`open_keys`. ``verifier`` judges the signatures. ``legacy`` permits Triple DES and RC2.
    """

    def __init__(self, keys: DecryptionKeys, verifier: Verifier, *, legacy: bool = False) -> None:
        self._road = DecryptRoad(Opener(keys, legacy=legacy), verifier.check)

    @contextmanager
    def opened(
        self, message: Content, *, part: str | None = None, expected_sender: str | None = None
    ) -> Iterator[Decryption]:
        """What came out of a message of any size, a mail or bare CMS; its content can be read in the ``with`` block.

        ``part`` is the number of a part that is encrypted on its own. ``expected_sender`` is who should have signed.

        Raises:
            NotEncryptedError: it is not encrypted, or only in parts.
            NoKeyError: no key of ours opens it.
            InvalidMessageError: it was damaged, or encrypted for another key than it says.
            PolicyError: only ``legacy`` permits it.
            TokenError, PinError: from a token.
            FileError: it cannot be read.
        """
        with ExitStack() as resources:
            source = open_content(message)
            if source is not message:
                resources.enter_context(source)
            yield self._road.decrypt(source, resources, part=part, expected_sender=expected_sender)
