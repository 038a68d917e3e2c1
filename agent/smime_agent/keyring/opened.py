"""One token that is looked at: what can be seen on it, a login once it is needed, its keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from smime_agent.errors import PinError
from smime_agent.keyring.matching import TokenIndex
from smime_agent.tokens.decrypter import TokenDecrypter
from smime_agent.tokens.objects import TokenObjects, read_objects
from smime_agent.tokens.session import TokenSession

if TYPE_CHECKING:
    from collections.abc import Callable

    from smime_agent.keys import Decrypter, Pin, PinRequest, Prompter
    from smime_agent.tokens.objects import TokenKey
    from smime_agent.tokens.token import Token, TokenInfo
    from smime_agent.x509 import Certificate

_PURPOSE = "to decrypt"


class RefusedError(Exception):
    """A PIN was asked for in vain: nobody is to be asked for another one."""

    def __init__(self, error: PinError) -> None:
        super().__init__(error)
        self.error = error


class Door(Protocol):
    """The way to one token: in this process, or through the agent that holds it."""

    @property
    def info(self) -> TokenInfo:
        """What the token says of itself."""
        ...

    @property
    def has_asked(self) -> bool:
        """A PIN was asked for."""
        ...

    def look(self) -> TokenObjects:
        """What can be seen now."""
        ...

    def login(self, purpose: str, key: TokenKey | None) -> None:
        """Log in, for ``key`` if that is known; one PIN is asked for at most."""
        ...

    def decrypter(self, key: TokenKey) -> Decrypter:
        """A key that unwraps."""
        ...

    def close(self) -> None:
        """Let go of the token. Harmless on one that is gone."""
        ...


class TokenDoor:
    """A :class:`Door` to a token in this process."""

    def __init__(self, token: Token, prompter: Prompter, *, use_last_pin_try: bool) -> None:
        """Open a session without logging in."""
        self._prompter = _Noticing(prompter)
        self._session = TokenSession(token, self._prompter, use_last_pin_try=use_last_pin_try)

    @classmethod
    def asking(cls, prompter: Prompter, *, use_last_pin_try: bool = False) -> Callable[[Token], TokenDoor]:
        """The way to each token, by the PIN that ``prompter`` gives."""
        return lambda token: cls(token, prompter, use_last_pin_try=use_last_pin_try)

    @property
    def info(self) -> TokenInfo:
        """What the token says of itself."""
        return self._session.token.info

    @property
    def has_asked(self) -> bool:
        """A PIN was asked for."""
        return self._prompter.asked

    def look(self) -> TokenObjects:
        """What can be seen now."""
        return read_objects(self._session)

    def login(self, purpose: str, key: TokenKey | None) -> None:  # noqa: ARG002 - a login is the token's
        """Log in."""
        self._session.login(purpose)

    def decrypter(self, key: TokenKey) -> TokenDecrypter:
        """A key that unwraps."""
        return TokenDecrypter(self._session, key)

    def close(self) -> None:
        """Log out and close."""
        self._session.close()


class OpenedToken:
    """A token that is looked at through a door."""

    def __init__(self, door: Door, saw: Callable[[TokenInfo, TokenObjects], None]) -> None:
        """Look at a token without logging in; ``saw`` is told what there is.

        Raises:
            TokenError: it cannot be looked at.
        """
        self._door = door
        self._saw = saw
        self.objects = TokenObjects((), ())
        self.index = TokenIndex(self.objects)
        self._decrypters: dict[TokenKey, Decrypter] = {}
        self.is_logged_in = False
        try:
            self.look()
        except BaseException:
            self.close()
            raise

    @property
    def info(self) -> TokenInfo:
        """What the token says of itself."""
        return self._door.info

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
        objects = self._door.look()
        if objects != self.objects:
            self.objects = objects
            self.index = TokenIndex(objects)
            self._saw(self.info, objects)

    def login(self, key: TokenKey | None = None) -> None:
        """Log in, for ``key`` if that is known, if that was not done, and see what there is then.

        Raises:
            RefusedError: a PIN was asked for, and is not the right one or was not given.
            PinError: nobody was asked, as it would have been in vain.
            TokenError: the token failed.
        """
        if self.is_logged_in:
            return
        try:
            self._door.login(_PURPOSE, key)
        except PinError as error:
            if self._door.has_asked:
                raise RefusedError(error) from error
            raise
        self.is_logged_in = True
        self.look()

    def decrypter(self, key: TokenKey) -> Decrypter:
        """A key that unwraps.

        Raises:
            TokenError: the token failed.
        """
        if key not in self._decrypters:
            self._decrypters[key] = self._door.decrypter(key)
        return self._decrypters[key]

    def close(self) -> None:
        """Log out and close. Harmless on a token that is gone."""
        self._door.close()


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
