"""One token that is looked at: what can be seen on it, a login once it is needed, its keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smime_agent.errors import PinError
from smime_agent.keyring.matching import TokenIndex
from smime_agent.tokens.decrypter import TokenDecrypter
from smime_agent.tokens.objects import TokenObjects, read_objects
from smime_agent.tokens.session import TokenSession

if TYPE_CHECKING:
    from collections.abc import Callable

    from smime_agent.keys import Pin, PinRequest, Prompter
    from smime_agent.tokens.objects import TokenKey
    from smime_agent.tokens.token import Token, TokenInfo
    from smime_agent.x509 import Certificate

_PURPOSE = "to decrypt"


class RefusedError(Exception):
    """A PIN was asked for in vain: nobody is to be asked for another one."""

    def __init__(self, error: PinError) -> None:
        super().__init__(error)
        self.error = error


class OpenedToken:
    """A token with a session of ours."""

    def __init__(
        self,
        token: Token,
        prompter: Prompter,
        saw: Callable[[TokenInfo, TokenObjects], None],
        *,
        use_last_pin_try: bool,
    ) -> None:
        """Look at a token without logging in; ``saw`` is told what there is.

        Raises:
            TokenError: it cannot be looked at.
        """
        self._prompter = _Noticing(prompter)
        self._saw = saw
        self._session = TokenSession(token, self._prompter, use_last_pin_try=use_last_pin_try)
        self.objects = TokenObjects((), ())
        self.index = TokenIndex(self.objects)
        self._decrypters: dict[TokenKey, TokenDecrypter] = {}
        self.is_logged_in = False
        try:
            self.look()
        except BaseException:
            self.close()
            raise

    @property
    def info(self) -> TokenInfo:
        """What the token says of itself."""
        return self._session.token.info

    @property
    def may_hide(self) -> bool:
        """More may be seen after a login: now there is nothing, or a key without a certificate."""
        if self.is_logged_in:
            return False
        if not (self.objects.keys or self.objects.certificates):
            return True
        return any(not self.objects.certificates_of(key) for key in self.objects.keys)

    def has_lost(self, certificate: Certificate) -> bool:
        """The key of a certificate is not on it; a key that may be hidden is not lost."""
        if self.objects.key_of(certificate) is not None or self.may_hide:
            return False
        there = any(found.certificate == certificate for found in self.objects.certificates)
        return self.is_logged_in or not there

    def look(self) -> None:
        """See what there is now.

        Raises:
            TokenError: it cannot be looked at.
        """
        objects = read_objects(self._session)
        if objects != self.objects:
            self.objects = objects
            self.index = TokenIndex(objects)
            self._saw(self.info, objects)

    def login(self) -> None:
        """Log in, if that was not done, and see what there is then.

        Raises:
            RefusedError: a PIN was asked for, and is not the right one or was not given.
            PinError: nobody was asked, as it would have been in vain.
            TokenError: the token failed.
        """
        if self.is_logged_in:
            return
        try:
            self._session.login(_PURPOSE)
        except PinError as error:
            if self._prompter.asked:
                raise RefusedError(error) from error
            raise
        self.is_logged_in = True
        self.look()

    def decrypter(self, key: TokenKey) -> TokenDecrypter:
        """A key that unwraps.

        Raises:
            TokenError: the token failed.
        """
        if key not in self._decrypters:
            self._decrypters[key] = TokenDecrypter(self._session, key)
        return self._decrypters[key]

    def close(self) -> None:
        """Log out and close. Harmless on a token that is gone."""
        self._session.close()


class _Noticing:
    """A prompter that knows whether a PIN was asked for."""

    def __init__(self, inner: Prompter) -> None:
        self._inner = inner
        self.asked = False

    def pin(self, request: PinRequest) -> Pin:
        """Pass it on."""
        self.asked = True
        return self._inner.pin(request)

    def pad(self, token: str) -> None:
        """Pass it on."""
        self.asked = True
        self._inner.pad(token)

    def touch(self, token: str) -> None:
        """Pass it on."""
        self._inner.touch(token)
