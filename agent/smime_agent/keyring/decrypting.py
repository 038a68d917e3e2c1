"""Which keys may decrypt a message: of all tokens that are plugged in, without troubling any that has none.

Tokens are looked at without a login. A PIN is asked for only where a key is named by the message, once for each token;
one that is refused ends the search, for who knows which token it was meant for.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Final

from smime_agent.cms.recipients import KeyRecipient
from smime_agent.errors import ModuleLoadError, NoKeyError, SmimeAgentError, TokenAbsentError, TokenError
from smime_agent.keyring.inquiry import Inquiry, Match
from smime_agent.keyring.matching import KnownCertificates
from smime_agent.keyring.pool import TokenPool
from smime_agent.keyring.unmatched import Unmatched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import date

    from smime_agent.cms.recipients import OtherRecipient
    from smime_agent.keyring.opened import Door
    from smime_agent.keyring.sightings import KeyHistory, Sighting
    from smime_agent.tokens.objects import TokenObjects
    from smime_agent.tokens.token import Search, Token, TokenInfo
    from smime_agent.x509 import Certificate

__all__ = ["DecryptionKeyring", "Match"]

#: Keys that are tried for one message: each is a private-key operation, and perhaps a touch.
MAX_MATCHES: Final = 10


class DecryptionKeyring:
    """The keys of all tokens that fit, opened when they are needed, and kept open for the next message."""

    def __init__(  # noqa: PLR0913 - what it decides by comes from as many sides
        self,
        search: Search,
        door_to: Callable[[Token], Door],
        *,
        today: date,
        known: Iterable[Certificate] = (),
        history: KeyHistory | None = None,
        key: str | None = None,
    ) -> None:
        """Decrypt with the tokens that ``search`` finds, each reached through what ``door_to`` gives.

        ``known`` are certificates from elsewhere, which are taken from it only when they are needed: a key on a token
        may be that of one of them. ``history`` is asked in the same way, and told what was seen ``today``. ``key``, a
        ``pkcs11:`` URI, a hexadecimal id, a label or a mail address, is tried whoever the message is for, and no other.
        """
        self._search = search
        self._key = key
        self._today = today
        self._known = known
        self._history = history
        self._pool = TokenPool(door_to, self._saw)
        self._certificates: KnownCertificates | None = None
        self._sightings: Sequence[Sighting] | None = None

    def pairs(self, recipients: Sequence[KeyRecipient | OtherRecipient]) -> Iterator[Match]:
        """The keys that may be a recipient's, the likeliest first. Nothing is unwrapped by asking.

        First those whose certificate the message names, then those that have the key identifier, then those whose
        public key is in a certificate that is known from elsewhere.

        Raises:
            NoKeyError: there is none; the message says whose could.
            TokenAbsentError: there is none, and the token that was named is not plugged in.
            TokenError: there is none, and a token could not be looked at.
            PinError: a token that may have one is locked, or a PIN was refused.
        """
        ours = [one for one in recipients if isinstance(one, KeyRecipient)]
        if not ours:
            raise NoKeyError("this message is not for a key on a token", details=self._unmatched().details(recipients))
        inquiry = Inquiry(self._pool, self._search, self._from_elsewhere, self._key, ours)
        is_any = False
        for match in islice(inquiry.matches(), MAX_MATCHES):
            is_any = True
            yield match
        if not is_any:
            raise self._nothing(recipients, inquiry)

    def close(self) -> None:
        """Log out everywhere. What is asked for afterwards begins anew."""
        self._pool.close()

    def _nothing(self, recipients: Sequence[KeyRecipient | OtherRecipient], inquiry: Inquiry) -> SmimeAgentError:
        failures = [*inquiry.failures, *self._search.failures]
        has_looked = not any(isinstance(failure, ModuleLoadError) for failure in failures)
        passed_over = self._passed_over() if has_looked else ()
        unmatched = self._unmatched(inquiry.present, passed_over, has_looked=has_looked)
        details = unmatched.details(recipients)
        if inquiry.failures:
            error = inquiry.failures[0]
            error.details += tuple(details)
            return error
        details += [f"a module could not be used: {failure}" for failure in self._search.failures]
        hint = unmatched.hint(recipients)
        if self._search.token is not None and not inquiry.present:
            return TokenAbsentError(f"no token '{self._search.token}' is plugged in", hint=hint, details=details)
        if self._key is not None and inquiry.present and not inquiry.wish_is_there:
            message = f"there is no key '{self._key}' on {unmatched.where}"
            return NoKeyError(message, hint="'smime-agent key list' shows the keys", details=details)
        return NoKeyError(unmatched.sentence, hint=hint, details=details)

    def _unmatched(
        self, present: Sequence[TokenInfo] = (), passed_over: Sequence[TokenInfo] = (), *, has_looked: bool = True
    ) -> Unmatched:
        known, opened = self._from_elsewhere(), self._pool.opened()
        return Unmatched(known, self._remembered(), present, opened, passed_over=passed_over, has_looked=has_looked)

    def _passed_over(self) -> Sequence[TokenInfo]:
        """All tokens that are plugged in, where one was named: the key may be on another."""
        if self._search.token is None or not self._remembered():
            return ()
        module = self._search.module or self._search.uri.module_path
        try:
            tokens = replace(self._search, token=None, module=module, failures=[]).tokens()
        except TokenError:
            return ()
        return [token.info for token in tokens]

    def _from_elsewhere(self) -> KnownCertificates:
        """Certificates that are not on a token that is plugged in, or may not be."""
        if self._certificates is None:
            remembered = [one.encoded for one in self._remembered()]
            self._certificates = KnownCertificates([*remembered, *(one.encoded for one in self._known)])
        return self._certificates

    def _remembered(self) -> Sequence[Sighting]:
        """The history as it was when it was first needed."""
        if self._sightings is None:
            self._sightings = self._history.entries() if self._history is not None else ()
        return self._sightings

    def _saw(self, token: TokenInfo, objects: TokenObjects) -> None:
        if self._history is not None:
            self._history.record(token, objects, self._today)
