"""How long a login holds and for what: the policy of keys, as pure functions of time.

A PIN becomes a login. A key whose scope is `ttl` may use the login that any key of its token began; one whose scope is
`operation` or `batch` wants one of its own, which ends once it was used up.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from smime_agent.config import KeyPolicy, Scope
from smime_agent.errors import ConfigError, UsageError
from smime_agent.tokens.uri import SCHEME, Pkcs11Uri

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from smime_agent.config import AgentConfig
    from smime_agent.daemon.places import KeyPlace


def clock() -> float:
    """Seconds of a clock that goes on while the machine sleeps: a login does not hold longer by that.

    Source: clock_gettime(2); on macOS CLOCK_MONOTONIC is such a clock.
    """
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(slots=True)
class Login:
    """A login to a token, which ``key`` began; none if it was for looking only. Times are seconds of one clock.

    ``pin`` says where the PIN came from, ``client`` for whom it was typed.
    """

    key: KeyPlace | None
    policy: KeyPolicy
    since: float
    pin: str
    client: Hashable = None
    last_used: float = 0.0
    used: int = 0
    #: The shortest of all keys that use it.
    idle: float = field(default=0.0)
    absolute: float = field(default=0.0)

    def __post_init__(self) -> None:
        self.last_used = self.since
        self.idle, self.absolute = self.policy.idle, self.policy.absolute

    def permits(self, key: KeyPlace, policy: KeyPolicy, now: float) -> bool:
        """Whether ``key`` may use it once more."""
        if now >= self.ends_at:
            return False
        if policy.scope is Scope.TTL:
            return not self.is_spent
        return self.key is not None and self.key.pair == key.pair and not self.is_spent

    def is_kept_from(self, client: Hashable) -> bool:
        """It is counted, and was not used yet: it is for the one that the person who typed the PIN was told of."""
        return self.allowed is not None and not self.used and self.client is not client

    def adopt(self, key: KeyPlace, policy: KeyPolicy) -> None:
        """A login that was for looking only, and was not used, becomes that of the first key.

        It does not hold longer by that: the person was told for how long.
        """
        if self.key is None and not self.used:
            self.key, self.policy = key, policy
            self.idle, self.absolute = min(self.idle, policy.idle), min(self.absolute, policy.absolute)

    def turn_out(self, key: KeyPlace, policy: KeyPolicy) -> None:
        """After the login more can be seen of the key that it was for, and it is under another policy."""
        if not self.used:
            self.key = None
            self.adopt(key, policy)

    def use(self, policy: KeyPolicy, now: float) -> None:
        """Count one use."""
        self.used += 1
        self.last_used = now
        self.idle, self.absolute = min(self.idle, policy.idle), min(self.absolute, policy.absolute)

    @property
    def allowed(self) -> int | None:
        """How many uses it is good for; any number where that is not counted."""
        match self.policy.scope:
            case Scope.OPERATION:
                return 1
            case Scope.BATCH:
                return self.policy.batch
            case Scope.TTL:
                return None

    @property
    def is_spent(self) -> bool:
        """It is used up."""
        return self.allowed is not None and self.used >= self.allowed

    @property
    def ends_at(self) -> float:
        """When it ends unless it is used before."""
        return min(self.last_used + self.idle, self.since + self.absolute)


def policy_for(config: AgentConfig, key: KeyPlace, labels: Sequence[str] = ()) -> KeyPolicy:
    """The policy of a key: the first that names it by label, id or ``pkcs11:`` URI, else the one for all.

    ``labels`` are those of its halves, each of which may be meant.

    Raises:
        UsageError: a policy has a URI that cannot be read.
    """
    names = [replace(key, label=label) for label in labels or (key.label,)]
    meant = (policy for policy in config.keys if policy.key and any(_is_meant(policy.key, name) for name in names))
    return next(meant, config.policy)


def check_policies(config: AgentConfig) -> None:
    """Refuse a policy that no key can have.

    Raises:
        ConfigError: it names no key, or by a URI that cannot be read.
    """
    for policy in config.keys:
        if not policy.key:
            raise ConfigError("a table of agent.keys names no key", hint='it says for which key it is: key = "mail"')
        try:
            if policy.key.lower().startswith(SCHEME):
                Pkcs11Uri.parse(policy.key)
        except UsageError as error:
            raise ConfigError(f"the key of a table of agent.keys: {error}", hint=error.hint) from error


def _is_meant(name: str, key: KeyPlace) -> bool:
    if not name.lower().startswith(SCHEME):
        return name == key.label or name.lower().replace(":", "").removeprefix("0x") == key.id.hex()
    token = key.token
    attributes = {"token": token.label, "serial": token.serial, "manufacturer": token.manufacturer}
    attributes |= {"model": token.model}
    return Pkcs11Uri.parse(name).matches({**attributes, "id": key.id, "object": key.label})


def words_for(policy: KeyPolicy) -> str:
    """What a PIN that is typed now will be good for, for people."""
    match policy.scope:
        case Scope.OPERATION:
            return "for this once"
        case Scope.BATCH:
            return f"for {policy.batch} uses of this key"
        case Scope.TTL:
            return f"until it is not used for {_duration(policy.idle)}, and {_duration(policy.absolute)} at most"


def _duration(seconds: int) -> str:
    for unit, name in ((3600, "hour"), (60, "minute")):
        if seconds % unit == 0:
            number = seconds // unit
            return f"{number} {name}{'' if number == 1 else 's'}"
    return f"{seconds} seconds"
