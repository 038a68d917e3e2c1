"""Which token is meant, and who holds it: modules are looked into by workers, tokens are held by workers."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from smime_agent.daemon.descriptions import read_info
from smime_agent.daemon.holder import Holder
from smime_agent.daemon.places import KeyPlace, TokenPlace
from smime_agent.daemon.protocol import Fields
from smime_agent.daemon.workers import WorkerProcess
from smime_agent.errors import (
    ModuleLoadError,
    NotServedError,
    PinError,
    SmimeAgentError,
    TokenAbsentError,
    TokenError,
    TokenRemovedError,
)
from smime_agent.tokens.module import default_paths
from smime_agent.tokens.token import Search, only

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smime_agent.config import Config
    from smime_agent.daemon.audit import AuditLog
    from smime_agent.daemon.requester import Requester
    from smime_agent.tokens.token import TokenInfo

#: Seconds for which a look at a module holds.
_FRESH: Final = 2.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A token that was seen: what it says of itself, its ``description`` as JSON, and how many workers it may have."""

    info: TokenInfo
    description: dict[str, Any]
    workers: int

    @property
    def place(self) -> TokenPlace:
        """Where it is."""
        return TokenPlace.of(self.info)


class Broker:
    """All tokens of the agent. It runs in the thread of the event loop."""

    def __init__(self, config: Config, audit: AuditLog) -> None:
        """Serve what the configuration says."""
        self.modules = _modules(config)
        self._config, self._audit = config, audit
        self._holders: dict[TokenPlace, Holder] = {}
        self._scouts: dict[str, _Scout] = {}
        self._refused: dict[TokenPlace | KeyPlace, PinError] = {}
        self._substitutes = os.urandom(32)

    @property
    def holders(self) -> Sequence[Holder]:
        """The tokens that are held now."""
        return tuple(self._holders.values())

    async def tokens(self, requester: Requester, token: str | None, module: str | None) -> list[dict[str, Any]]:
        """Descriptions of the tokens that fit, as JSON; of those that are held as they can be seen there.

        Raises:
            NotServedError: the module is none of the agent's.
            ModuleLoadError: none can be loaded.
        """
        descriptions = []
        for seen in await self._matching(token, module, anew=False):
            held = self._holders.get(seen.place)
            description = seen.description
            if held is not None:
                with suppress(SmimeAgentError):
                    description = (await held.describe(requester)).members()
            descriptions.append(description)
        return descriptions

    async def holder(self, token: str | None, module: str | None) -> Holder:
        """The one token that fits, held from now on.

        Raises:
            NotServedError: the module is none of the agent's.
            TokenAbsentError: none is plugged in.
            AmbiguousError: several are.
        """
        held = [one for one in self._holders.values() if one.login is not None and self._fits(one.place, token, module)]
        if len(held) == 1 and token is not None and not self._has_another(held[0], token, module):
            return held[0]  # who is logged in to it is known to be there
        found = await self._matching(token, module, anew=False)
        if not found:
            found = await self._matching(token, module, anew=True)
        return self.held(only([seen.info for seen in found], Search(token, module)), found)

    def held(self, info: TokenInfo, found: Sequence[Seen]) -> Holder:
        """The holder of a token that was seen."""
        seen = next(one for one in found if one.info is info)
        holder = self._holders.get(seen.place)
        if holder is None:
            holder = self._holders[seen.place] = Holder(
                seen.place,
                self._config.agent,
                self._audit,
                self._start,
                workers=seen.workers,
                on_end=self._ended,
                refused=None if self._config.pin_source == "prompt" else self._refused,
            )
        return holder

    async def holder_at(self, place: TokenPlace) -> Holder:
        """The token at a place, held from now on.

        Raises:
            NotServedError: its module is none of the agent's.
            TokenAbsentError: it is not there.
        """
        if place in self._holders:
            return self._holders[place]
        found = await self._matching(None, place.module, anew=False)
        seen = next((one for one in found if one.place == place), None)
        if seen is None:
            raise TokenAbsentError(f"{place.name} is no longer plugged in")
        return self.held(seen.info, found)

    def drop_all(self, reason: str) -> None:
        """End every login, and let go of every token. A PIN that was wrong may be tried again: it may be another."""
        self._refused.clear()
        for holder in self.holders:
            holder.close(reason)
        for scout in self._scouts.values():
            scout.end(TokenError(f"the agent does not look at tokens any more: {reason}"))
        self._scouts.clear()

    async def readers_changed(self, removed_from: str | None = None) -> None:
        """A card was put in, or taken out of the reader named: look again, and drop who is gone."""
        for scout in self._scouts.values():
            scout.forget()
        for holder in self.holders:
            if removed_from is not None and self._is_in(holder, removed_from):
                holder.close("removed", TokenRemovedError(f"{holder.place.name} was removed"))
            else:
                await holder.check()

    def _is_in(self, holder: Holder, reader: str) -> bool:
        """The slot of a token has the name of a reader, cut to what a slot's description holds."""
        for scout in self._scouts.values():
            for seen in scout.seen:
                if seen.place == holder.place:
                    slot = seen.info.slot_description
                    return bool(slot) and reader.startswith(slot)
        return False

    def _has_another(self, holder: Holder, token: str, module: str | None) -> bool:
        """Another token was seen that is called the same, or there may be one: a card was put in."""
        scouts = self._scouts.values()
        places = [seen.place for scout in scouts for seen in scout.seen if seen.place != holder.place]
        return any(scout.is_forgotten for scout in scouts) or any(self._fits(one, token, module) for one in places)

    # --- looking -----------------------------------------------------------------------------------------------------

    def _fits(self, place: TokenPlace, token: str | None, module: str | None) -> bool:
        uri = Search(token).uri
        facts = {"token": place.label, "serial": place.serial, "manufacturer": place.manufacturer, "model": place.model}
        exact = uri.slot_id is None and uri.slot_description is None
        return exact and (module is None or _real(module) == place.module) and uri.matches(facts)

    async def _matching(self, token: str | None, module: str | None, *, anew: bool) -> list[Seen]:
        uri = Search(token).uri
        paths = self.modules_for(token, module)
        found: list[Seen] = []
        failures: list[SmimeAgentError] = []
        for path in paths:
            try:
                found += [seen for seen in await self._look(path, anew=anew) if seen.info.matches(uri)]
            except SmimeAgentError as error:
                failures.append(error)
        if failures and not found:
            raise failures[0]
        return found

    def modules_for(self, token: str | None, module: str | None) -> list[str]:
        """The modules that may have the token that is meant.

        Raises:
            NotServedError: none of the agent's.
        """
        uri = Search(token).uri
        wanted, name = module or uri.module_path, (uri.module_name or "").lower()
        paths = [
            path
            for path in self.modules
            if (wanted is None or _real(wanted) == path) and name in path.rpartition("/")[2].lower()
        ]
        if not paths:
            raise NotServedError(f"the agent does not use the module {wanted or uri.module_name}")
        return paths

    async def _look(self, path: str, *, anew: bool) -> Sequence[Seen]:
        scout = self._scouts.get(path)
        if scout is None or scout.is_ended or (anew and not scout.is_looking):
            if scout is not None:
                scout.end()
            scout = self._scouts[path] = _Scout(path, self._config, self._start)
        return await scout.look()

    async def _start(self, module: str, relays: Sequence[int], relay: int | None) -> WorkerProcess:
        return await WorkerProcess.start(
            module,
            seconds=self._config.agent.timeout,
            substitutes=self._substitutes,
            pinentry=self._config.agent.pinentry,
            keep=self._config.pin_variables,
            relays=relays,
            relay=relay,
        )

    def _ended(self, holder: Holder) -> None:
        if self._holders.get(holder.place) is holder:
            del self._holders[holder.place]


class _Scout:
    """A worker that looks at all tokens of a module, and holds none. It is ended when nobody looked for a while."""

    def __init__(self, path: str, config: Config, start: Any) -> None:  # noqa: ANN401 - see Broker._start
        self._path, self._config, self._start = path, config, start
        self._worker: WorkerProcess | None = None
        self._looking: asyncio.Task[tuple[Seen, ...]] | None = None
        self._looked_at: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._because: SmimeAgentError | None = None
        self.seen: tuple[Seen, ...] = ()
        self.is_ended = False

    @property
    def is_looking(self) -> bool:
        """Somebody waits for what it sees."""
        return self._looking is not None

    async def look(self) -> tuple[Seen, ...]:
        """All tokens of the module, looked at now or just before.

        All who ask meanwhile wait for the same look, and get its error too; it goes on when one of them leaves.
        """
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
            self._looking.add_done_callback(self._looked)
        return await asyncio.shield(self._looking)

    def _looked(self, task: asyncio.Task[tuple[Seen, ...]]) -> None:
        self._looking = None
        if not task.cancelled():
            task.exception()  # nobody may be left to hear it

    async def _look(self) -> tuple[Seen, ...]:
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
        if self._looked_at is None or loop.time() - self._looked_at > _FRESH:
            if self._worker is None or self._worker.is_ended:
                self._worker = await self._start(self._path, (), None)
                self._end_if_over()
            answer = await self._worker.call("list", seconds=self._config.agent.timeout)
            self.seen = tuple(map(self._read, answer.items("tokens")))
            self._looked_at = loop.time()
        self._timer = loop.call_later(self._config.agent.release, self.end)
        self._end_if_over()
        return self.seen

    def _end_if_over(self) -> None:
        """What was begun before :meth:`end` ends too."""
        if self.is_ended:
            self.end()

    def _read(self, description: Any) -> Seen:  # noqa: ANN401 - any JSON
        fields = Fields(description, "a token")
        info = read_info(fields.object("info"))
        return Seen(info, description, 1 if fields.flag("removable") else self._config.workers)

    @property
    def is_forgotten(self) -> bool:
        """What it saw holds no longer."""
        return self._looked_at is None

    def forget(self) -> None:
        """Look again the next time."""
        self._looked_at = None

    def end(self, because: SmimeAgentError | None = None) -> None:
        """End the worker: the token is free for other programs. Who waits for what it sees is told ``because``."""
        self.is_ended, self._because = True, because or self._because
        if self._timer is not None:
            self._timer.cancel()
        if self._worker is not None:
            self._worker.end(self._because)


def _modules(config: Config) -> list[str]:
    """The modules that the agent uses: no client can have it load another.

    Raises:
        ModuleLoadError: there is none.
    """
    named = config.agent.modules or tuple(filter(None, [os.environ.get("SMIME_AGENT_MODULE") or config.module]))
    paths = [_real(path) for path in named or default_paths()]
    if not paths:
        raise ModuleLoadError("no PKCS#11 module is installed", hint="install softhsm2 or opensc, or set 'modules'")
    return list(dict.fromkeys(paths))


def _real(path: str) -> str:
    try:
        return str(Path(path).resolve())
    except (ValueError, OSError):  # a client can write here what no path is
        return path
