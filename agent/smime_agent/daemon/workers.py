"""The agent's end of a worker: starting one, asking it, ending it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from subprocess import PIPE
from typing import TYPE_CHECKING, Any, Final

from smime_agent.daemon.hardening import cleaned
from smime_agent.daemon.places import read_error
from smime_agent.daemon.protocol import MAX_ANSWER, Fields, Frames, ProtocolError, frame
from smime_agent.errors import TokenError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from smime_agent.errors import SmimeAgentError

    Events = Callable[[str, Fields], None]

#: Seconds for a dialogue: by pinentry, then on the terminal, and some more. The worker gives up first.
DIALOGUE_SECONDS: Final = 270.0
#: Seconds between the request to end and the end.
_GRACE: Final = 0.5
_READ: Final = 1 << 16


#: The ends of workers that were told to end and still run.
_ending: Final[set[asyncio.Task[int]]] = set()


async def all_gone() -> None:
    """Until every worker that was ended is gone: before that no PIN can be said to be."""
    if _ending:
        await asyncio.wait(tuple(_ending), timeout=2 * _GRACE)


class WorkerProcess:
    """One worker. It is asked one thing at a time."""

    def __init__(self, process: asyncio.subprocess.Process, module: str) -> None:
        self._process = process
        self._module = module
        self._frames = Frames(MAX_ANSWER)
        self._arrived: list[dict[str, Any]] = []
        self._is_ended = False
        self._because: SmimeAgentError | None = None

    @classmethod
    async def start(  # noqa: PLR0913 - what a worker is told
        cls,
        module: str,
        *,
        seconds: float,
        substitutes: bytes,
        pinentry: str | None,
        keep: Sequence[str] = (),
        relays: Sequence[int] = (),
        relay: int | None = None,
    ) -> WorkerProcess:
        """Start a worker for a module.

        ``keep`` are variables that it may have although they hold a PIN; through the descriptors ``relays`` it hands on
        the PIN of its login, and by ``relay`` it gets that of another one.

        Raises:
            TokenError: it does not start, or not within ``seconds``.
            ModuleLoadError: the module cannot be loaded.
        """
        inherited = [*relays, *([] if relay is None else [relay])]
        settings: dict[str, Any] = {"module": module, "substitutes": substitutes, "pinentry": pinentry}
        # -P: else Python would look for modules in the current folder first, which may be somebody else's.
        command = (sys.executable, "-P", "-m", "smime_agent.daemon.worker", str(os.getpid()))
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, env=cleaned(os.environ, keep), pass_fds=inherited,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:  # no process, or no descriptor, is to be had now
            raise TokenError(f"the token cannot be reached: no process can be started ({error.strerror})") from error
        worker = cls(process, module)
        try:
            await worker.call("start", seconds=seconds, **settings, relays=list(relays), relay=relay)
        except BaseException:
            worker.end()
            raise
        return worker

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    @property
    def is_ended(self) -> bool:
        """It was ended, or has died."""
        return self._is_ended or self._process.returncode is not None

    async def call(
        self,
        task: str,
        *,
        seconds: float,
        on_event: Events = lambda _event, _facts: None,
        **values: Any,  # noqa: ANN401 - any JSON
    ) -> Fields:
        """What the worker answers to a request. Who stops waiting for it has to end the worker.

        Raises:
            TokenError: the worker dies, or does not answer within ``seconds``; then it is ended.
            SmimeAgentError: whatever it answers.
        """
        try:
            async with asyncio.timeout(seconds) as limit:
                self._send(frame({"task": task, **values}))
                while True:
                    fields = Fields(await self._next(), "the worker's answer")
                    event = fields.optional_text("event")
                    if event is None:
                        break
                    if event in {"asking", "answered"}:
                        patience = DIALOGUE_SECONDS if event == "asking" else seconds
                        limit.reschedule(asyncio.get_running_loop().time() + patience)
                    on_event(event, fields)
        except TimeoutError:
            self.end(TokenError("the token is failing: it does not answer", hint=f"its module is {self._module}"))
            raise self._reason() from None
        except ProtocolError as error:
            self.end(TokenError(f"the token is failing: {error}", hint=f"its module is {self._module}"))
            raise self._reason() from None
        if (failure := fields.raw("error")) is not None:
            raise read_error(Fields(failure, "the worker's error"))
        return fields.object("result")

    def end(self, because: SmimeAgentError | None = None) -> None:
        """End it at once. A call that is running raises ``because``."""
        if self._is_ended:
            return
        self._is_ended, self._because = True, because
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)  # on which it takes a dialogue off the screen
            asyncio.get_running_loop().call_later(_GRACE, self._kill)
            task = asyncio.ensure_future(self._process.wait())
            _ending.add(task)
            task.add_done_callback(_ending.discard)

    def _kill(self) -> None:
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()

    def _send(self, octets: bytes) -> None:
        if self.is_ended or self._process.stdin is None:
            raise self._reason()
        self._process.stdin.write(octets)

    async def _next(self) -> dict[str, Any]:
        while not self._arrived:
            octets = await self._process.stdout.read(_READ) if self._process.stdout is not None else b""
            if not octets:
                await self._process.wait()
                raise self._reason()
            self._arrived += self._frames.feed(octets)
        return self._arrived.pop(0)

    def _reason(self) -> SmimeAgentError:
        """Why it does not answer any more."""
        if self._because is not None:
            return self._because
        code = self._process.returncode
        name = signal.Signals(-code).name if code is not None and code < 0 else "it ended the program"
        return TokenError(f"the token is failing: its module crashed ({name})", hint=f"its module is {self._module}")
