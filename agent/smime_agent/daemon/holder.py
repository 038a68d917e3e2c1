"""One token that the agent holds: consent, login, and every use of its keys, written down before and after."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from smime_agent.config import Confirmation, Scope
from smime_agent.daemon.lanes import ElsewhereError, Lanes
from smime_agent.daemon.logins import Login, clock, policy_for, words_for
from smime_agent.daemon.places import KeyPlace
from smime_agent.daemon.requester import Requester
from smime_agent.errors import (
    DeclinedError,
    LoginEndedError,
    NoKeyError,
    PinError,
    PinIncorrectError,
    PinLockedError,
    SmimeAgentError,
    TokenAbsentError,
    TokenRemovedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from smime_agent.config import AgentConfig, KeyPolicy
    from smime_agent.daemon.audit import AuditLog
    from smime_agent.daemon.lanes import Lane, StartWorker
    from smime_agent.daemon.places import TokenPlace
    from smime_agent.daemon.protocol import Fields

#: Seconds between two looks whether a token that somebody is logged in to is still there.
POLL: Final = 2.0
#: What workers answer when the token is not there any more.
_GONE: Final = (TokenRemovedError, TokenAbsentError)
_HAS_LEFT: Final = "the program that asked has gone"


@dataclass(frozen=True, slots=True)
class _Known:
    """A key as the token shows it, whatever a client calls it; after a login it may show more unless it is ``sure``."""

    key: KeyPlace
    policy: KeyPolicy
    sure: bool


class Holder:
    """A token, for as long as anybody uses it. All of it runs in the thread of the event loop."""

    def __init__(  # noqa: PLR0913 - what it is made of
        self,
        place: TokenPlace,
        config: AgentConfig,
        audit: AuditLog,
        start: StartWorker,
        *,
        workers: int,
        on_end: Callable[[Holder], None],
        refused: dict[TokenPlace | KeyPlace, PinError] | None = None,
    ) -> None:
        """Hold the token at ``place`` by ``workers`` processes; ``on_end`` is told when that is over.

        ``refused`` is where PINs are remembered that no person typed and that were wrong: each program that comes
        would spend one more try. Left out, it is a person who is asked.
        """
        self.place = place
        self.login: Login | None = None
        self._config, self._audit, self._on_end, self._refused = config, audit, on_end, refused
        # A login for one operation, or some, is one process's: others could not be kept from using it.
        is_shared = all(policy.scope is Scope.TTL for policy in (config.policy, *config.keys))
        self.lanes = Lanes(place, workers if is_shared else 1, config.timeout, start)
        self._allowed: set[tuple[KeyPlace, str]] = set()
        self._keys: dict[KeyPlace, _Known] = {}
        self._has_login = asyncio.Event()
        self._watching = asyncio.create_task(self._watch())

    # --- for one client ----------------------------------------------------------------------------------------------

    async def describe(self, requester: Requester) -> Fields:
        """What can be seen on the token now."""
        return await self.lanes.do(requester, lambda lane: self._ask(lane, requester, "look"))

    async def choose(self, requester: Requester, **wish: Any) -> Fields:  # noqa: ANN401 - any JSON
        """The key to sign with, its scheme and certificates; after a login where they cannot be seen without one."""

        async def choose(lane: Lane) -> Fields:
            answer = await self._ask(lane, requester, "choose", **wish)
            if not answer.flag("needs_login"):
                return answer
            await self._log_in(lane, requester)
            return await self._ask(lane, requester, "choose", **wish)

        return await self.lanes.do(requester, choose)

    async def log_in(self, requester: Requester, key: KeyPlace | None = None) -> None:
        """Log in, so that what is hidden can be seen, unless that was done; ``key`` is to be decrypted with afterwards.

        Raises:
            PinError, TokenError: it cannot be done.
        """
        await self.lanes.do(requester, lambda lane: self._log_in(lane, requester, key))

    async def use(
        self,
        requester: Requester,
        key: KeyPlace,
        task: str,
        facts: dict[str, Any],
        **values: Any,  # noqa: ANN401 - any JSON
    ) -> Fields:
        """Use a private key once: with the consent and the login that it wants. ``facts`` go into the audit log.

        Raises:
            DeclinedError: the person said no.
            AuditError: it cannot be written down, so it was not done.
            PinError, TokenError, SmimeAgentError: from the worker.
        """

        async def use(lane: Lane) -> Fields:
            verb = "sign" if task == "sign" else "decrypt"
            known, login = await self._permitted(lane, requester, key, verb)
            place, policy = known.key, known.policy
            self._check_refused(place.pair)
            wants = f"wants to {verb} with {place.name}"
            occasion = requester.occasion(wants, words_for(policy), keep=policy.keep_pin)
            use = {
                "operation": task,
                **self._named(),
                "key": {"id": place.id.hex(), "label": place.label},
                "program": requester.program_values,
                **facts,
            }
            _check_there(requester)
            requester.typed = None
            with _Use(self._audit, login, use) as written:
                login.use(policy, clock())
                try:
                    answer = await self._ask(lane, requester, task, key=place.values(), occasion=occasion, **values)
                    written.done(answer.text("pin"))
                except PinError as error:
                    written.tried(requester.typed)
                    self._refuse(place.pair, error)  # it wants a PIN of its own
                    raise
                finally:
                    if self.login is login and login.is_spent:
                        self.drop("used up")
            if login.allowed is not None and login.policy.scope is Scope.BATCH:
                requester.tell("count", used=login.used, of=login.allowed)
            return answer

        return await self.lanes.do(requester, use)

    async def _ask(self, lane: Lane, requester: Requester, task: str, **values: Any) -> Fields:  # noqa: ANN401 - any JSON
        """What the worker answers. Where it has failed, or the token is gone, the login is too."""
        self._notice_death(lane)
        _check_there(requester)
        worker = await self.lanes.worker(lane)

        def hears(event: str, facts: Fields) -> None:
            requester.hears(event, facts)
            if requester.is_asked and requester.is_gone:  # nobody is there to answer the dialogue
                worker.end(LoginEndedError(_HAS_LEFT))

        try:
            return await worker.call(task, seconds=self._config.timeout, on_event=hears, **values)
        except SmimeAgentError as error:
            if isinstance(error, _GONE):
                self.drop("removed", error)
            elif worker.is_ended and lane.worker in {worker, None} and self.lanes.failed(lane):
                self.drop(_HAS_LEFT if requester.is_gone else "its module failed", error)
            raise

    def _notice_death(self, lane: Lane) -> None:
        """A worker that has died while nobody asked it anything took its login along.

        Raises:
            ElsewhereError: other workers of the token are logged in still.
        """
        if lane.worker is not None and lane.worker.is_ended:
            if not self.lanes.failed(lane):
                raise ElsewhereError
            self.drop("its module failed")

    # --- consent and login -------------------------------------------------------------------------------------------

    async def _permitted(self, lane: Lane, requester: Requester, key: KeyPlace, verb: str) -> tuple[_Known, Login]:
        """A key that may be used now. What a client says of it serves to find it, and for nothing else."""
        try:
            known = await self._find(lane, requester, key)
        except NoKeyError:
            if self.login is not None:
                raise
            await self._log_in(lane, requester)  # it may be hidden
            known = await self._find(lane, requester, key)
        while True:
            await self._consent(lane, requester, known.key, known.policy, verb)
            login = await self._logged_in(
                lane, requester, known.key, known.policy, f"wants to {verb} with {known.key.name}"
            )
            after = known if known.sure else await self._find(lane, requester, key)
            if after.policy == known.policy:
                return after, login
            login.turn_out(after.key, after.policy)
            known = after

    async def _find(self, lane: Lane, requester: Requester, key: KeyPlace) -> _Known:
        if key not in self._keys:
            answer = await self._ask(lane, requester, "find", key=key.values())
            place = KeyPlace.read(answer.object("key"))
            known = _Known(place, policy_for(self._config, place, answer.texts("labels")), answer.flag("sure"))
            if not known.sure or self.login is None:
                return known
            self._keys[key] = known
        return self._keys[key]

    async def _consent(self, lane: Lane, requester: Requester, key: KeyPlace, policy: KeyPolicy, verb: str) -> None:
        if policy.confirm is Confirmation.NEVER:
            return
        known = (key.pair, requester.identity)
        if policy.confirm is Confirmation.FIRST and known in self._allowed:
            return
        term = "from now on" if policy.confirm is Confirmation.FIRST else "this once"
        occasion = requester.occasion(f"wants to {verb} with {key.name} on {self.place.name}.\nAllow it {term}?", "")
        answer = await self._ask(lane, requester, "confirm", occasion=occasion)
        if not answer.flag("yes"):
            raise DeclinedError(f"you did not allow {requester.name} to {verb} with {key.name}")
        self._allowed.add(known)

    async def _log_in(self, lane: Lane, requester: Requester, key: KeyPlace | None = None) -> None:
        self._notice_death(lane)
        if self.login is not None and clock() < self.login.ends_at:
            return
        wanted, policy, wants = None, self._config.policy, f"wants to use {self.place.name}"
        if key is not None:
            with suppress(NoKeyError):  # it may be hidden
                known = await self._find(lane, requester, key)
                wanted, policy, wants = known.key, known.policy, f"wants to decrypt with {known.key.name}"
        await self._new_login(lane, requester, wanted, policy, wants)

    async def _logged_in(self, lane: Lane, requester: Requester, key: KeyPlace, policy: KeyPolicy, wants: str) -> Login:
        self._notice_death(lane)
        if self.login is not None:
            if self.login.client is requester.client:
                self.login.adopt(key, policy)
            if self.login.permits(key, policy, clock()) and not self.login.is_kept_from(requester.client):
                return self.login
        return await self._new_login(lane, requester, key, policy, wants)

    async def _new_login(
        self, lane: Lane, requester: Requester, key: KeyPlace | None, policy: KeyPolicy, wants: str
    ) -> Login:
        if self.login is not None:
            self.drop("another login is wanted")
        if lane is not self.lanes.first:
            raise ElsewhereError
        occasion = requester.occasion(wants, words_for(policy), keep=policy.keep_pin)
        facts = {**self._named(), "program": requester.program_values}
        self._check_refused(self.place)
        try:
            answer = await self._ask(lane, requester, "login", occasion=occasion)
        except PinError as error:
            self._refuse(self.place, error)
            self._audit.append("login", **facts, outcome=error.code)
            raise
        pin = answer.text("pin")
        self.login = login = Login(key, policy, clock(), pin, requester.client)
        self._has_login.set()
        try:
            self._audit.append("login", **facts, outcome="done", pin=pin)
        except SmimeAgentError:
            self.drop("it could not be written down")
            raise
        await self.lanes.widen()
        if self.login is not login:  # it took so long that its time is over
            raise LoginEndedError(f"the login to {self.place.name} has ended already")
        return login

    def _refuse(self, whose: TokenPlace | KeyPlace, error: PinError) -> None:
        """Remember a PIN that was wrong, unless a person typed it."""
        if self._refused is not None and isinstance(error, (PinIncorrectError, PinLockedError)):
            self._refused[whose] = error

    def _check_refused(self, whose: TokenPlace | KeyPlace) -> None:
        if self._refused is not None and (before := self._refused.get(whose)) is not None:
            hint = "put the PIN right; after 'smime-agent agent lock' it is tried again"
            raise type(before)(f"not tried: {before}", hint=hint)

    # --- the end of a login ------------------------------------------------------------------------------------------

    def drop(self, reason: str, error: SmimeAgentError | None = None) -> None:
        """End the login and the workers at once. What is running ends with ``error``."""
        login, self.login = self.login, None
        self._allowed.clear()
        self._keys.clear()
        self.lanes.end(error or LoginEndedError(f"the login to {self.place.name} has ended: {reason}"))
        if login is not None:
            with suppress(SmimeAgentError):  # the login ends, whether that can be written down or not
                self._audit.append("logout", **self._named(), reason=reason)

    def close(self, reason: str, error: SmimeAgentError | None = None) -> None:
        """Let go of the token. Whoever waits is told ``error``."""
        self.drop(reason, error)
        self._watching.cancel()
        self.lanes.close(error or LoginEndedError(f"{self.place.name} is not held any more: {reason}"))
        self._on_end(self)

    async def check(self) -> None:
        """Drop the login if the token is not there any more, unless that is about to be seen anyway."""
        if not self.lanes.waiting:
            itself = Requester(self)
            with suppress(SmimeAgentError):
                await self.lanes.do(itself, lambda lane: self._ask(lane, itself, "check"))

    async def _watch(self) -> None:
        """Drop what has expired, is no longer there, or is not used any more."""
        while True:
            with suppress(TimeoutError):  # a login that has just begun may end before anything else is to be done
                await asyncio.wait_for(self._has_login.wait(), self._pause())
            self._has_login.clear()
            if self.login is not None and clock() >= self.login.ends_at:
                self.drop("expired")
            elif self.login is not None:
                used = self.lanes.last_used
                await self.check()
                self.lanes.last_used = used
            elif not self.lanes.waiting and clock() - self.lanes.last_used >= self._config.release:
                self.close("released")

    def _pause(self) -> float:
        """Seconds until there may be something to do."""
        if self.login is None:
            return max(0.1, self.lanes.last_used + self._config.release - clock())
        return max(0.05, min(POLL, self.login.ends_at - clock()))

    def _named(self) -> dict[str, Any]:
        return {"token": {"label": self.place.label, "serial": self.place.serial}}


def _check_there(requester: Requester) -> None:
    if requester.is_gone:
        raise LoginEndedError(_HAS_LEFT)


class _Use:
    """One use of a key in the audit log: what is about to be done, and how it ended."""

    def __init__(self, audit: AuditLog, login: Login, facts: dict[str, Any]) -> None:
        self._audit, self._facts = audit, facts
        self._pin = login.pin if login.used == 0 else "login"
        self._outcome = "interrupted"

    def __enter__(self) -> Self:
        self._number = self._audit.append("use", **self._facts).sequence_number
        return self

    def done(self, pin: str) -> None:
        """It was done; ``pin`` says where the PIN came from that this very operation took, if it took one."""
        self._outcome = "done"
        self._pin = self._pin if pin == "login" else pin

    def tried(self, pin: str | None) -> None:
        """It was not done; ``pin`` says where the PIN came from that was typed for it, if one was."""
        self._pin = pin or self._pin

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, SmimeAgentError):
            self._outcome = error.code
        try:
            self._audit.append("outcome", of=self._number, outcome=self._outcome, pin=self._pin)
        except SmimeAgentError:
            if error is None:  # nobody gets what the log does not have
                raise
