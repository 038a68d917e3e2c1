"""The search for the keys that may open one message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from smime_agent.errors import PinError, SmimeAgentError, TokenError
from smime_agent.keyring.matching import By, Candidate, Comparisons
from smime_agent.keyring.naming import is_address, is_named
from smime_agent.keyring.opened import OpenedToken, RefusedError
from smime_agent.keyring.reviving import RevivingDecrypter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from smime_agent.cms.recipients import KeyRecipient
    from smime_agent.keyring.matching import KnownCertificates
    from smime_agent.keyring.pool import TokenPool
    from smime_agent.keys import Decrypter
    from smime_agent.tokens.objects import TokenKey
    from smime_agent.tokens.token import Search, TokenInfo
    from smime_agent.x509 import Certificate


@dataclass(frozen=True, slots=True)
class Match:
    """A recipient of a message, a key of ours that may be the recipient's, and a certificate of it if one is known."""

    recipient: KeyRecipient
    decrypter: Decrypter
    certificate: Certificate | None


class Inquiry:
    """One search, and what was learnt by it.

    ``present`` are the tokens that are plugged in, ``failures`` what kept some from being tried.
    """

    def __init__(
        self,
        pool: TokenPool,
        search: Search,
        known: Callable[[], KnownCertificates],
        wish: str | None,
        recipients: Sequence[KeyRecipient],
    ) -> None:
        """Search the tokens that ``search`` finds; ``wish`` names the only key that is to be tried, and always is."""
        self.present: list[TokenInfo] = []
        self.failures: list[SmimeAgentError] = []
        self.wish_is_there = False
        self._pool = pool
        self._search = search
        self._known = known
        self._wish = wish
        self._recipients = recipients
        self._names = Comparisons()
        self._tried: set[tuple[object, ...]] = set()
        self._closed: list[OpenedToken] = []  # that are not to be logged in to
        self._has_looked = False
        self._has_logged_in = False

    def matches(self) -> Iterator[Match]:
        """All pairs, the likeliest first, and none twice.

        Raises:
            PinError: a PIN was refused.
        """
        try:
            # A bulk of messages is for the same key, and to look around takes as long as to decrypt.
            yield from self._by_names(self._pool.opened())
            self._look_around()
            yield from self._by_names(self._pool.opened())
            if not self._tried:
                self._look_deeper()
            if self._has_logged_in:  # there may be more to be seen now
                yield from self._by_names(self._pool.opened())
            if self._wish is not None:
                yield from self._by_wish(self._wish)
        except RefusedError as refused:
            raise refused.error from refused.error.__cause__

    def _by_names(self, tokens: Iterable[OpenedToken]) -> Iterator[Match]:
        for by in By:
            for opened in tokens:
                known = self._known() if by is By.PUBLIC_KEY else None
                for candidate in opened.index.candidates(by, self._recipients, known, self._names):
                    yield from self._match(opened, candidate)

    def _by_wish(self, wish: str) -> Iterator[Match]:
        """The key that was named, with every recipient that could have it."""
        for opened in self._pool.opened():
            for key in [key for key in opened.objects.keys if _is_meant(opened, key, wish)]:
                self.wish_is_there = True
                certificates = opened.objects.certificates_of(key)
                certificate = certificates[0].certificate if certificates else None
                for recipient in self._recipients:
                    if recipient.fits(key.algorithm):
                        candidate = Candidate(recipient, key.public_key_info, key.id, key.algorithm, certificate)
                        yield from self._match(opened, candidate)

    def _look_around(self) -> None:
        """See which tokens are plugged in, and what lies on them."""
        self._has_looked = True
        try:
            tokens = self._search.tokens()
        except TokenError as error:  # there is no module
            self.failures.append(error)
            return
        self.present = [token.info for token in tokens]
        self._pool.give_up_all_but(tokens)
        for token in tokens:
            try:
                self._pool.open(token)
            except TokenError as error:
                self.failures.append(error)

    def _look_deeper(self) -> None:
        """Log in to see what is hidden before: somebody expects the PIN of these tokens to be asked for."""
        expected = self._pool.opened()
        if self._search.token is None and len(self.present) > 1:  # NSS shows a token without a PIN beside the real one
            expected = [opened for opened in expected if opened.info.pin_initialized]
            if sum(token.pin_initialized for token in self.present) > 1:
                return
        for opened in expected:
            if self._wish is None:
                misses = opened.may_hide
            else:
                misses = not any(_is_meant(opened, key, self._wish) for key in opened.objects.keys)
            if misses and not opened.is_logged_in:
                self._login(opened)

    def _match(self, opened: OpenedToken, candidate: Candidate) -> Iterator[Match]:
        """The pair, after a login if that is needed; nothing if it is no pair, or was one before."""
        key = candidate.key_among(opened.objects)
        has_its_name = opened.is_logged_in or (key is not None and key.label)  # NSS hides the labels before a login
        if key is not None and has_its_name and not self._is_wanted(opened, key):
            return
        if not self._login(opened, key):
            return
        key = candidate.key_among(opened.objects)
        if key is None or not key.private_seen or not self._is_wanted(opened, key):
            return
        identity = (opened.info.module, opened.info.slot_id, key, candidate.recipient.wrapped)
        if identity in self._tried or not candidate.recipient.fits(key.algorithm):
            return
        self._tried.add(identity)
        try:
            decrypter: Decrypter = opened.decrypter(key)
        except TokenError as error:
            self._failed(opened, error)
            return
        if not self._has_looked:
            decrypter = RevivingDecrypter(decrypter, lambda: self._revived(opened, candidate))
        yield Match(candidate.recipient, decrypter, candidate.certificate)

    def _login(self, opened: OpenedToken, key: TokenKey | None = None) -> bool:
        """Log in, for ``key`` if that is known; a token that fails must not keep the others from being tried."""
        if opened.is_logged_in:
            return True
        if opened in self._closed:
            return False
        try:
            self._pool.login(opened, key)
        except TokenError as error:
            self._failed(opened, error)
        except PinError as error:
            self._closed.append(opened)
            self.failures.append(error)
        else:
            self._has_logged_in = True
            return True
        return False

    def _revived(self, opened: OpenedToken, candidate: Candidate) -> Decrypter | None:
        """The same key in a new login to a token that was removed and put back; nothing if it is not there.

        Raises:
            PinError, TokenError: it cannot be logged in to.
        """
        info = opened.info
        self._pool.give_up(opened)
        name = (info.module, info.uri)
        for token in [token for token in self._search.tokens() if (token.info.module, token.info.uri) == name]:
            again = self._pool.open(token)
            try:
                self._pool.login(again)
            except RefusedError as refused:
                raise refused.error from refused.error.__cause__
            key = candidate.key_among(again.objects)
            if key is not None and key.private_seen:
                return again.decrypter(key)
        return None

    def _failed(self, opened: OpenedToken, error: TokenError) -> None:
        self.failures.append(error)
        self._closed.append(opened)
        self._pool.give_up(opened)

    def _is_wanted(self, opened: OpenedToken, key: TokenKey) -> bool:
        return self._wish is None or _is_meant(opened, key, self._wish)


def _is_meant(opened: OpenedToken, key: TokenKey, name: str) -> bool:
    """A person means this key by that name."""
    if is_address(name):
        return any(found.certificate.covers(name) for found in opened.objects.certificates_of(key))
    return is_named(key, name, opened.info)
