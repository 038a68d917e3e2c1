"""Tokens that are reached through the agent, for the keyring: it looks at them as at those in its own process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from smime_agent.daemon.descriptions import read_info, read_objects
from smime_agent.daemon.places import KeyPlace, TokenPlace
from smime_agent.daemon.protocol import Fields
from smime_agent.daemon.remote import RemoteDecrypter
from smime_agent.errors import PinError, PinLastTryError, PinLockedError, PinNotSetError, TokenRemovedError
from smime_agent.tokens.token import Search

if TYPE_CHECKING:
    from collections.abc import Callable

    from smime_agent.daemon.client import AgentClient
    from smime_agent.tokens.objects import TokenKey, TokenObjects
    from smime_agent.tokens.token import Token, TokenInfo

#: Errors for which nobody was asked for a PIN.
_NOT_ASKED = (PinLastTryError, PinLockedError, PinNotSetError)


@dataclass(frozen=True, slots=True)
class ReachedToken:
    """A token as the agent sees it; it stands for a :class:`.Token`."""

    info: TokenInfo
    objects: TokenObjects

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take it out of an answer.

        Raises:
            ProtocolError: it is none.
        """
        return cls(read_info(fields.object("info")), read_objects(fields.object("objects")))

    @property
    def place(self) -> TokenPlace:
        """Where it is."""
        return TokenPlace.of(self.info)


@dataclass(frozen=True, slots=True)
class AgentSearch(Search):
    """A search that the agent makes."""

    client: AgentClient | None = field(default=None, repr=False, compare=False)

    def tokens(self, *, uninitialized: bool = False) -> list[Any]:  # noqa: ARG002 - the agent holds none of those
        """All tokens that fit, each an :class:`ReachedToken`."""
        assert self.client is not None  # noqa: S101 - it is always given
        answer = self.client.ask("tokens", token=self.token, module=self.module)
        return [ReachedToken.read(Fields(one, "a token")) for one in answer.items("tokens")]


class AgentDoor:
    """A :class:`.Door` to a token that the agent holds."""

    def __init__(self, client: AgentClient, token: ReachedToken) -> None:
        """Reach ``token``."""
        self._client, self._token = client, token
        self._objects: TokenObjects | None = token.objects
        self.has_asked = False

    @classmethod
    def to(cls, client: AgentClient) -> Callable[[Token], AgentDoor]:
        """The way to each token that an :class:`AgentSearch` found."""
        return lambda token: cls(client, token)  # type: ignore[arg-type]  # an AgentSearch finds ReachedTokens

    @property
    def info(self) -> TokenInfo:
        """What the token says of itself."""
        return self._token.info

    def look(self) -> TokenObjects:
        """What the agent saw, at first; then what it sees now."""
        seen, self._objects = self._objects, None
        if seen is not None:
            return seen
        answer = self._client.ask("tokens", token=str(self.info.uri), module=self.info.module)
        found = [ReachedToken.read(Fields(one, "a token")) for one in answer.items("tokens")]
        there = next((one for one in found if one.place == self._token.place), None)
        if there is None:
            raise TokenRemovedError(f"{self.info.name} was removed", hint="plug it in again and repeat the command")
        return there.objects

    def login(self, purpose: str, key: TokenKey | None) -> None:  # noqa: ARG002 - the agent says itself what it is for
        """Have the agent log in."""
        place = KeyPlace.of(self.info, key).values() if key is not None else None
        try:
            answer = self._client.ask("login", token=self._token.place.values(), key=place)
        except PinError as error:
            self.has_asked = not isinstance(error, _NOT_ASKED)
            raise
        self._objects = read_objects(answer.object("objects"))

    def decrypter(self, key: TokenKey) -> RemoteDecrypter:
        """A key that unwraps."""
        return RemoteDecrypter(self._client, KeyPlace.of(self.info, key))

    def close(self) -> None:
        """The login stays: that is what the agent is for."""
