"""The tokens that are open: kept for the next message, given up when they fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smime_agent.errors import TokenError
from smime_agent.keyring.opened import OpenedToken, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from smime_agent.errors import PinError
    from smime_agent.keyring.opened import Door
    from smime_agent.tokens.objects import TokenKey, TokenObjects
    from smime_agent.tokens.token import Token, TokenInfo


class TokenPool:
    """Tokens with a session of ours, one each."""

    def __init__(self, door_to: Callable[[Token], Door], saw: Callable[[TokenInfo, TokenObjects], None]) -> None:
        """Reach tokens through ``door_to``; ``saw`` is told what lies on one whenever that is news."""
        self._door_to = door_to
        self._saw = saw
        self._opened: dict[_Place, OpenedToken] = {}
        self._refused: dict[_Place, PinError] = {}

    def opened(self) -> list[OpenedToken]:
        """Those that are open now."""
        return list(self._opened.values())

    def open(self, token: Token) -> OpenedToken:
        """A token, opened now or before, with what lies on it now.

        Raises:
            TokenError: it cannot be looked at.
        """
        place = _place(token.info)
        opened = self._opened.get(place)
        if opened is not None:
            try:
                opened.look()
            except TokenError:  # it was removed and is back, perhaps
                self.give_up(opened)
            else:
                return opened
        opened = OpenedToken(self._door_to(token), self._saw)
        self._opened[place] = opened
        return opened

    def login(self, opened: OpenedToken, key: TokenKey | None = None) -> None:
        """Log in, for ``key`` if that is known, unless that was done. Where a PIN was refused none is asked for again.

        Raises:
            RefusedError: a PIN was asked for in vain.
            PinError: nobody was asked, as it would have been in vain.
            TokenError: the token failed.
        """
        place = _place(opened.info)
        if place in self._refused:
            raise RefusedError(self._refused[place])
        try:
            opened.login(key)
        except RefusedError as refused:
            self._refused[place] = refused.error
            raise

    def give_up(self, opened: OpenedToken) -> None:
        """Close a token that failed, or is gone."""
        self._opened.pop(_place(opened.info), None)
        opened.close()

    def give_up_all_but(self, present: Iterable[Token]) -> None:
        """Close the tokens that are gone."""
        places = {_place(token.info) for token in present}
        for opened in [opened for place, opened in self._opened.items() if place not in places]:
            self.give_up(opened)

    def close(self) -> None:
        """Log out everywhere. What is opened afterwards begins anew."""
        while self._opened:
            self._opened.popitem()[1].close()
        self._refused.clear()


_Place = tuple[str, int, str, str]


def _place(token: TokenInfo) -> _Place:
    return (token.module, token.slot_id, token.label, token.serial)
