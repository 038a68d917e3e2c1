"""Decrypt messages with keys on tokens, and judge the signatures in them."""

from __future__ import annotations

from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from smime_agent.api.content import open_content
from smime_agent.api.prompting import prompter_of
from smime_agent.keyring.decrypting import DecryptionKeyring
from smime_agent.keyring.opened import TokenDoor
from smime_agent.smime.decrypt import Decryption, DecryptRoad
from smime_agent.smime.opening import Opener
from smime_agent.tokens.token import Search

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from smime_agent.api.content import Content
    from smime_agent.api.verifying import Verifier
    from smime_agent.daemon.client import AgentClient
    from smime_agent.keyring.sightings import KeyHistory
    from smime_agent.keys import Prompter
    from smime_agent.smime.opening import DecryptionKeys
    from smime_agent.x509 import Certificate

__all__ = ["Decryption", "Decryptor", "open_keys"]


@contextmanager
def open_keys(  # noqa: PLR0913 - those of open_token, and what keys are chosen by
    token: str | None = None,
    *,
    module: str | None = None,
    pin_from: str | Prompter | None = None,
    key: str | None = None,
    known: Iterable[Certificate] = (),
    use_last_pin_try: bool = False,
) -> Iterator[DecryptionKeys]:
    """The keys of all tokens that are plugged in, or of the one that ``token`` names, for a :class:`Decryptor`.

    Nobody is logged in yet: that happens where a message is for a key. ``pin_from`` is as with :func:`.open_token`.
    ``key`` is tried whoever a message is for, and no other. ``known`` are certificates of keys on tokens that do not
    hold them.

    Raises:
        UsageError: ``token`` or ``pin_from`` cannot be read.
    """
    search = Search(token, module)
    prompter = prompter_of(pin_from or search.uri.pin_source)
    with keys_of(search, prompter, known=known, key=key, use_last_pin_try=use_last_pin_try) as keys:
        yield keys


@contextmanager
def keys_of(  # noqa: PLR0913 - as above
    search: Search,
    prompter: Prompter,
    *,
    known: Iterable[Certificate] = (),
    history: KeyHistory | None = None,
    key: str | None = None,
    use_last_pin_try: bool = False,
) -> Iterator[DecryptionKeyring]:
    """The same of the tokens that ``search`` finds; ``history`` remembers where keys were seen."""
    door_to = TokenDoor.asking(prompter, use_last_pin_try=use_last_pin_try)
    today = datetime.now(UTC).date()
    with closing(DecryptionKeyring(search, door_to, today=today, known=known, history=history, key=key)) as keys:
        yield keys


@contextmanager
def keys_of_agent(
    client: AgentClient, search: Search, *, history: KeyHistory | None = None, key: str | None = None
) -> Iterator[DecryptionKeyring]:
    """The same of the tokens that the agent holds or can reach."""
    from smime_agent.daemon.reaching import AgentDoor, AgentSearch

    known = AgentSearch(search.token, search.module, client=client)
    today = datetime.now(UTC).date()
    with client, closing(DecryptionKeyring(known, AgentDoor.to(client), today=today, history=history, key=key)) as keys:
        yield keys


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
