"""A key on a token that may have been removed and put back since its last message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pkcs11

from smime_agent.errors import NoKeyError, TokenError, TokenRemovedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from smime_agent.keys import ContentKey, Decrypter, WrappedKey

#: What modules answer in a session from before: ykcs11 a DeviceError first, OpenSC what means a removal.
_OF_A_DEAD_SESSION = (pkcs11.UserNotLoggedIn, pkcs11.DeviceError, pkcs11.SessionClosed, pkcs11.ObjectHandleInvalid)


class RevivingDecrypter:
    """A :class:`~smime_agent.keys.Decrypter` in a login from before, which is made anew, once, if it has died."""

    def __init__(self, decrypter: Decrypter, again: Callable[[], Decrypter | None]) -> None:
        """``again`` gives the same key in a new login, or nothing if the token is not there."""
        self._decrypter = decrypter
        self._again = again

    @property
    def name(self) -> str:
        """Which key on which token, for people."""
        return self._decrypter.name

    def unwrap(self, wrapped: WrappedKey, *, legacy: bool = False) -> ContentKey:
        """The content-encryption key; see :meth:`.Decrypter.unwrap`. A dead session has made no operation."""
        try:
            return self._decrypter.unwrap(wrapped, legacy=legacy)
        except (TokenError, NoKeyError) as error:
            if not isinstance(error, (TokenRemovedError, NoKeyError)) and not isinstance(
                error.__cause__, _OF_A_DEAD_SESSION
            ):
                raise
            decrypter = self._again()
            if decrypter is None:
                raise
        return decrypter.unwrap(wrapped, legacy=legacy)
