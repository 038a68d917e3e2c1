"""How a command gets at a token: the agent where it runs, else a login in this process.

``smime-agent-gpgsm`` is started for each commit: what only one of the two ways needs is loaded on that way.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from smime_agent.cli import ui
from smime_agent.cli.guard import guard
from smime_agent.cli.sightings import saw
from smime_agent.config import Config, data_directory, load_config
from smime_agent.errors import AgentError, NotServedError, UsageError
from smime_agent.tokens.pins import PinSource, SourcePrompter
from smime_agent.tokens.uri import SCHEME, Pkcs11Uri

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from smime_agent.api.signing import AgentToken, OpenToken, SigningToken, SignOptions
    from smime_agent.daemon.client import AgentClient
    from smime_agent.daemon.protocol import Fields
    from smime_agent.keyring.decrypting import DecryptionKeyring
    from smime_agent.keys import Pin, PinRequest, Prompter
    from smime_agent.tokens.session import TokenSession
    from smime_agent.tokens.token import Search


@dataclass(frozen=True)
class Access:
    """What was said about the token on the command line, in the environment and in the configuration file."""

    token: str | None
    module: str | None
    pin_source: PinSource
    use_last_pin_try: bool
    config: Config
    #: Whether the agent is to be used; ``None`` if it runs, and nothing was said that it cannot do.
    agent: bool | None = None

    @classmethod
    def of(
        cls,
        token: str | None,
        module: str | None,
        pin_source: str | None = None,
        *,
        use_last_pin_try: bool = False,
        key: str | None = None,
        agent: bool | None = None,
    ) -> Access:
        """The command line comes before the environment, and that before the file.

        A URI may name a module and a PIN source itself; the URI of a ``key`` names its token too.
        """
        config = load_config()
        of_key = key if key and key.lower().startswith(SCHEME) else None
        wanted = token or of_key or os.environ.get("SMIME_AGENT_TOKEN") or config.token
        uri = _uri(wanted)
        if not (module or uri.module_path or uri.module_name):
            module = os.environ.get("SMIME_AGENT_MODULE") or config.module
        said = pin_source or uri.pin_source
        source = PinSource.parse(said or config.pin_source)
        if said or use_last_pin_try:
            if agent:
                msg = "the agent asks for the PIN itself"
                raise UsageError(msg, hint="leave --pin-source and --use-last-pin-try out, or say --no-agent")
            agent = False
        return cls(wanted, module, source, use_last_pin_try, config, agent)

    @cached_property
    def search(self) -> Search:
        """The search for the tokens that are meant, in this process."""
        from smime_agent.tokens.token import Search

        return Search(self.token, self.module, guard)

    def prompter(self) -> SourcePrompter:
        """Who is asked for the PIN."""
        return SourcePrompter(self.pin_source, ui.TerminalPrompter())

    def session(self, *, writable: bool = False, prompter: Prompter | None = None) -> TokenSession:
        """A session with the one token that fits, not yet logged in."""
        from smime_agent.tokens.session import TokenSession

        return TokenSession(
            self.search.one(), prompter or self.prompter(), use_last_pin_try=self.use_last_pin_try, writable=writable
        )

    def open(self) -> SigningToken:
        """The one token that fits: held by the agent, or logged in here with the chains that were imported."""
        return self.through_agent() or self.open_here()

    def through_agent(self) -> AgentToken | None:
        """The one token that fits, by a connection of its own to the agent; nothing where that is not to be used."""
        client = self._agent()
        if client is None:
            return None
        from smime_agent.api.signing import AgentToken
        from smime_agent.daemon.remote import RemoteToken

        return AgentToken(RemoteToken(client, self.token, self.module))

    def open_here(self) -> OpenToken:
        """The one token that fits, logged in in this process."""
        from smime_agent.api.signing import logged_in
        from smime_agent.certificates.chains import stored_chain

        token = logged_in(self.session(), stored_chain(data_directory()))
        saw(token.info, token.objects)
        return token

    @property
    def uses_agent(self) -> bool:
        """The agent is to be used, and runs.

        Raises:
            AgentError: it was asked for, and does not run.
        """
        client = self._agent()
        if client is not None:
            client.close()
        return client is not None

    def _agent(self) -> AgentClient | None:
        """A connection to the agent, where it is to be used.

        Raises:
            AgentError: it was asked for, and does not run.
        """
        if self.agent is False:
            return None
        from smime_agent.daemon.client import AgentClient

        try:
            client = AgentClient.connect(self._hears)
            if client is not None:
                client.ask("serves", token=self.token, module=self.module)
        except AgentError as error:
            if self.agent:
                raise
            if not isinstance(error, NotServedError):
                ui.warning(f"{error}; the token is used without it")
            return None
        if client is None and self.agent:
            msg = "no agent runs"
            raise AgentError(msg, hint="'smime-agent agent start' starts it")
        return client

    def _hears(self, event: str, facts: Fields) -> None:
        """What happens while the agent works for us."""
        person = ui.TerminalPrompter()
        match event:
            case "touch":
                person.touch(facts.text("token"))
            case "pad":
                person.pad(facts.text("token"))
            case "count":
                ui.note(f"{facts.number('used')} of {facts.number('of')} uses with this PIN")

    def decryption_keys(self, key: str | None) -> AbstractContextManager[DecryptionKeyring]:
        """The keys of all tokens that fit, none of them asked yet; ``key`` is one that is to be tried in any case."""
        from smime_agent.api.decrypting import keys_of, keys_of_agent
        from smime_agent.certificates.history import History, history_path

        history = History(history_path(data_directory()), ui.warning)
        if (client := self._agent()) is not None:
            return keys_of_agent(client, self.search, history=history, key=key)
        return keys_of(self.search, self.prompter(), history=history, key=key, use_last_pin_try=self.use_last_pin_try)

    def verified_login(self, options: SignOptions) -> tuple[dict[str, object], bytes]:
        """What a worker needs to log in and sign as we would, and a PIN that was tried here, once.

        Raises:
            TokenError, PinError: from the token; then no worker may try.
        """
        from smime_agent.api.signing import logged_in

        prompter = RememberingPrompter(self.prompter())
        session = self.session(prompter=prompter)
        with logged_in(session) as token:
            saw(token.info, token.objects)
            if token.wants_pin_each_time:
                # Each worker would try the PIN for its first signature: one that is wrong for the key locks the token.
                msg = f"a key on {session.name} wants its PIN for every signature: several processes would each try it"
                raise UsageError(msg, hint="leave --workers out")
            task: dict[str, object] = {"token": str(token.info.uri), "module": token.info.module}
        task |= {name: getattr(value, "value", value) for name, value in asdict(options).items()}
        return task, prompter.octets


class RememberingPrompter:
    """A prompter that keeps the PIN it passes on, for the workers."""

    def __init__(self, inner: Prompter) -> None:
        self._inner = inner
        self.octets = b""

    def __repr__(self) -> str:
        return "RememberingPrompter(...)"

    def pin(self, request: PinRequest) -> Pin:
        """The PIN, from the one who knows it."""
        pin = self._inner.pin(request)
        self.octets = bytes(pin.reveal())
        return pin

    def pad(self, token: str) -> None:
        """Pass it on."""
        self._inner.pad(token)

    def touch(self, token: str) -> None:
        """Pass it on."""
        self._inner.touch(token)


def _uri(token: str | None) -> Pkcs11Uri:
    """What is meant, as a URI."""
    if token is None:
        return Pkcs11Uri()
    return Pkcs11Uri.parse(token) if token.lower().startswith(SCHEME) else Pkcs11Uri(token=token)
