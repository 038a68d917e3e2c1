"""Sign with a token that was opened: one message, or many in one login."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol, Self

from smime_agent import mime
from smime_agent.api.content import open_content, taken_once
from smime_agent.errors import NoKeyError, SmimeAgentError, ends_the_run, not_tried
from smime_agent.files import write_file
from smime_agent.keys import KeyQuery
from smime_agent.pem import armor
from smime_agent.smime import sign as road
from smime_agent.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from smime_agent.algorithms import Digest, Padding
    from smime_agent.api.content import Content
    from smime_agent.daemon.remote import RemoteToken
    from smime_agent.keys import Prompter, Signer
    from smime_agent.tokens.objects import TokenObjects
    from smime_agent.tokens.session import TokenSession
    from smime_agent.tokens.signer import TokenSigner
    from smime_agent.tokens.token import TokenInfo
    from smime_agent.x509 import Certificate


class Format(Enum):
    """The form of a result. The value is its name on the command line."""

    SMIME = "smime"
    DER = "der"
    PEM = "pem"


@dataclass(frozen=True, slots=True)
class SignOptions:
    """How to sign; the defaults are right for mail.

    ``key`` is a ``pkcs11:`` URI, a hexadecimal id, a label, a mail address or the fingerprint of a certificate; left
    out, it is the key whose certificate covers the message's From. With the formats der and pem the message is any
    content, signed as it is, and ``opaque`` puts it inside the CMS object.
    """

    form: Format = Format.SMIME
    opaque: bool = False
    again: bool = False
    key: str | None = None
    digest: Digest | None = None
    padding: Padding | None = None


_DEFAULTS = SignOptions()


class SigningToken(Protocol):
    """What signs: a token in this process, or one that the agent holds."""

    def __enter__(self) -> Self:
        """The token itself."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let go of it."""
        ...

    def signer(
        self, options: SignOptions = _DEFAULTS, addresses: Sequence[str] = (), at: datetime | None = None
    ) -> Signer:
        """The signer that the options name, else the one for the first address that has one."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed message, written while it is read: consume it once, before its source is closed.

    ``notes`` are sentences that a person should read, such as what had to be left out.
    """

    chunks: Iterator[bytes]
    signer: Signer
    notes: tuple[str, ...] = ()

    def __bytes__(self) -> bytes:
        """All of it.

        Raises:
            UsageError: it was taken before.
        """
        return b"".join(taken_once(self.chunks))

    def write_to(self, path: Path) -> None:
        """Write it beside ``path`` and rename it.

        Raises:
            FileError: it cannot be written.
            UsageError: it was taken before.
        """
        write_file(path, taken_once(self.chunks))


class OpenToken:
    """One login to one token: see :func:`open_token`."""

    def __init__(self, session: TokenSession, extra_chain: Sequence[Certificate] = ()) -> None:
        """Take over a session that is logged in."""
        from smime_agent.keyring import TokenKeyring

        self.session = session
        self._keyring = TokenKeyring(session, extra_chain)

    def __enter__(self) -> Self:
        """The token itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Log out."""
        self.close()

    @property
    def info(self) -> TokenInfo:
        """What the token says of itself."""
        return self.session.token.info

    @property
    def objects(self) -> TokenObjects:
        """What lies on it."""
        return self._keyring.objects

    @property
    def wants_pin_each_time(self) -> bool:
        """A key on it wants the PIN before every signature."""
        return self._keyring.wants_pin_each_time

    def signer(
        self, options: SignOptions = _DEFAULTS, addresses: Sequence[str] = (), at: datetime | None = None
    ) -> TokenSigner:
        """The signer that the options name, else the one for the first address that has one.

        Raises:
            NoKeyError, AmbiguousError, CertificateNotUsableError: see :meth:`.TokenKeyring.signer`.
        """
        return self._keyring.signer(
            _query(options, addresses), at=at or _now(), digest=options.digest, padding=options.padding
        )

    def close(self) -> None:
        """Log out and close."""
        self.session.close()


def open_token(
    token: str | None = None,
    *,
    module: str | None = None,
    pin_from: str | Prompter | None = None,
    use_last_pin_try: bool = False,
    extra_chain: Sequence[Certificate] = (),
) -> OpenToken:
    """Log in to the token that ``token`` names, a ``pkcs11:`` URI or a label; left out, the only one.

    ``pin_from`` says where the PIN comes from: a source (``env:NAME``, ``file:PATH``, ``fd:N``), or an object that is
    asked for it; left out, it is the source that the URI names. It is never the PIN itself.
    ``extra_chain`` holds CA certificates to send along that the token does not hold.

    Raises:
        TokenError: absent, failing, or its module cannot be loaded.
        AmbiguousError: several tokens fit.
        PinError: locked, on its last try (unless ``use_last_pin_try``), wrong, or nobody to ask.
    """
    from smime_agent.api.prompting import prompter_of
    from smime_agent.tokens.session import TokenSession
    from smime_agent.tokens.token import Search

    search = Search(token, module)
    return logged_in(
        TokenSession(search.one(), prompter_of(pin_from or search.uri.pin_source), use_last_pin_try=use_last_pin_try),
        extra_chain,
    )


def logged_in(session: TokenSession, extra_chain: Sequence[Certificate] = ()) -> OpenToken:
    """Log in a session, and close it where that fails."""
    try:
        session.login("to sign")
        return OpenToken(session, extra_chain)
    except BaseException:
        session.close()
        raise


class AgentToken:
    """A token that the agent holds; a :class:`SigningToken`."""

    def __init__(self, remote: RemoteToken) -> None:
        """Take over a connection to the agent."""
        self._remote = remote

    def __enter__(self) -> Self:
        """The token itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Hang up."""
        self.close()

    def signer(
        self,
        options: SignOptions = _DEFAULTS,
        addresses: Sequence[str] = (),
        at: datetime | None = None,  # noqa: ARG002 - the agent signs now
    ) -> Signer:
        """The signer that the options name, else the one for the first address that has one."""
        return self._remote.signer_for(_query(options, addresses), options.digest, options.padding)

    def close(self) -> None:
        """Hang up. The login stays: that is what the agent is for."""
        self._remote.close()


def sign(
    message: Content,
    token: SigningToken,
    options: SignOptions = _DEFAULTS,
    *,
    at: datetime | None = None,
) -> Signed:
    """Sign one message. The key has been used when this returns; what is left is to write the result.

    ``message`` may be as large as it likes: it is read twice and never held. ``at`` is the time to sign at, now.

    Raises:
        InvalidMessageError: it is no mail.
        PolicyError: it is signed already, or the certificate is not to be used now.
        NoKeyError: no key fits.
        TokenError, PinError: from the token.
        FileError: it cannot be read.
    """
    source = open_content(message)
    try:
        signed = sign_prepared(prepare(source, options), token, options, at=at)
    except BaseException:
        if source is not message:
            source.close()
        raise
    if source is message or source.in_memory:
        return signed
    return replace(signed, chunks=_closing(signed.chunks, source))


def sign_all(
    messages: Iterable[Content], token: SigningToken, options: SignOptions = _DEFAULTS
) -> Iterator[Signed | SmimeAgentError]:
    """Sign many messages in one login: the result of each, in order, as it is asked for.

    An error stands in the place of its result and is not raised: the messages after it are signed all the same, unless
    the token or the PIN failed. Then none of them is tried, since a try may cost one.
    """
    broken: SmimeAgentError | None = None
    for message in messages:
        if broken is not None:
            yield not_tried(broken)
            continue
        try:
            yield sign(message, token, options)
        except SmimeAgentError as error:
            if ends_the_run(error):
                broken = error
            yield error


def prepare(message: Content, options: SignOptions) -> mime.Message | Source:
    """Read as much of a message as is needed to refuse it, before anybody is asked for a PIN.

    Raises:
        InvalidMessageError: it is no mail.
        AlreadySignedError: it carries a signature.
        FileError: it cannot be read.
    """
    source = open_content(message)
    if options.form is not Format.SMIME:
        return source
    mail = mime.split(source)
    road.refuse_signed(mail, again=options.again)
    return mail


def sign_prepared(
    prepared: mime.Message | Source, token: SigningToken, options: SignOptions, *, at: datetime | None = None
) -> Signed:
    """Sign what :func:`prepare` returned."""
    moment = at or _now()
    if isinstance(prepared, Source):
        signer = token.signer(options, at=moment)
        der = road.sign_content(prepared, signer, at=moment, attached=options.opaque)
        return Signed(armor(der, "CMS") if options.form is Format.PEM else der, signer)
    signer, notes = signer_for(prepared, token, options, at=moment)
    boundary = new_boundary()
    chunks = road.sign(prepared, signer, at=moment, boundary=boundary, opaque=options.opaque)
    return Signed(chunks, signer, notes)


def signer_for(
    mail: mime.Message, token: SigningToken, options: SignOptions, *, at: datetime
) -> tuple[Signer, tuple[str, ...]]:
    """The signer for a mail, and what a person should read about that.

    Raises:
        NoKeyError, AmbiguousError, CertificateNotUsableError: see :meth:`OpenToken.signer`.
    """
    addresses = mail.from_addresses()
    if not addresses and options.key is None:
        msg = "the mail has no From that can be read, so no key is the one for it"
        raise NoKeyError(msg, hint="choose one with --key")
    signer = token.signer(options, addresses, at=at)
    notes = mail.entity.notes
    if not addresses or not all(map(signer.identity.certificate.covers, addresses)):
        notes += (_not_covered(addresses, signer),)
    return signer, notes


def _query(options: SignOptions, addresses: Sequence[str]) -> KeyQuery:
    return KeyQuery(options.key) if options.key else KeyQuery(addresses=tuple(addresses))


def new_boundary() -> str:
    """A boundary that occurs in no mail."""
    return f"=_{os.urandom(16).hex()}"


def _not_covered(addresses: Sequence[str], signer: Signer) -> str:
    mailboxes = ", ".join(signer.identity.certificate.mailboxes) or "no address"
    senders = ", ".join(addresses) or "nobody"
    return f"the mail is from {senders}, the certificate is for {mailboxes}: verifiers will object"


def _closing(chunks: Iterator[bytes], source: Source) -> Iterator[bytes]:
    """The chunks; whoever opened the source closes it after the last."""
    with source:
        yield from chunks


def _now() -> datetime:
    return _moment(int(time.time()))


@lru_cache(maxsize=1)
def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
