"""Encrypt messages to people whose certificates are checked first, signed on a token if that is wanted."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from smime_agent import mime
from smime_agent.api import signing
from smime_agent.api.content import open_content, taken_once
from smime_agent.api.planning import Plan, Wishes, make_plan
from smime_agent.api.signing import Format, SignOptions
from smime_agent.api.trusting import read_named, trust_of
from smime_agent.cms.recipient_name import RecipientName
from smime_agent.errors import UsageError
from smime_agent.files import write_file
from smime_agent.pem import armor
from smime_agent.smime import encrypt as road
from smime_agent.smime import sign as signing_road
from smime_agent.smime.choosing import Chooser, Given
from smime_agent.smime.recipient_check import RecipientCheck
from smime_agent.source import Source
from smime_agent.trust.evidence import RevocationMode
from smime_agent.x509 import InvalidCertificateError, certificate_of, load_certificates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from smime_agent.algorithms import ContentEncryption
    from smime_agent.api.content import Content
    from smime_agent.api.planning import PlannedMessage
    from smime_agent.api.signing import SigningToken
    from smime_agent.keys import Identity
    from smime_agent.smime.negotiation import RsaPadding
    from smime_agent.smime.recipients import RecipientDirectory
    from smime_agent.verdict import Code
    from smime_agent.x509 import Certificate


@dataclass(frozen=True, slots=True)
class EncryptOptions:
    """How to encrypt; the defaults are right for mail.

    ``cipher`` and ``padding`` are negotiated where they are left out. ``recipient_name`` is what names the recipients
    inside of the message. ``to_self``: the sender can read it too. ``accept`` overrides the reasons with these codes,
    ``force`` those of one code more, if it is only one. ``sign`` says how to sign before. With the formats der and pem
    the message is any content, encrypted as it is. The rest says whom to believe, as in :class:`.VerifyOptions`.
    """

    form: Format = Format.SMIME
    cipher: ContentEncryption | None = None
    padding: RsaPadding | None = None
    recipient_name: RecipientName = RecipientName.ISSUER_AND_SERIAL_NUMBER
    to_self: bool = True
    again: bool = False
    accept: tuple[Code, ...] = ()
    force: bool = False
    sign: SignOptions | None = None
    ca_files: tuple[Path, ...] = ()
    system_roots: bool = True
    crl_files: tuple[Path, ...] = ()
    revocation: RevocationMode = RevocationMode.PREFER
    offline: bool = False


_DEFAULTS = EncryptOptions()


@dataclass(frozen=True, slots=True)
class Certificates:
    """Certificates that a person gives: those of recipients, and CA certificates that may complete their paths."""

    recipients: tuple[Given, ...] = ()
    others: tuple[Certificate, ...] = ()

    @classmethod
    def of(cls, certificates: Iterable[Certificate]) -> Certificates:
        """Those of recipients that are at hand; :func:`read_certificates` reads files."""
        return cls(tuple(Given(certificate, "the program") for certificate in certificates))


@dataclass(frozen=True, slots=True)
class Addressing:
    """Whom a message is for: ``to`` and ``bcc`` are addresses, the latter in messages of their own.

    With neither ``to`` nor ``certificates`` it is for whom the mail says. Certificates without ``to`` are recipients;
    each has to be for somebody to whom the mail is addressed, unless that is nobody.
    """

    to: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    certificates: Certificates = field(default_factory=Certificates)


@dataclass(frozen=True, slots=True)
class Encrypted:
    """One encrypted message, written while it is read: consume it once, before its source is closed.

    ``plan`` says for whom it is; its name is empty for the one that all may see, else ``bcc-1`` and so on. ``notes``
    are sentences that a person should read. It has ``at_least`` so many octets.
    """

    chunks: Iterator[bytes]
    plan: PlannedMessage
    notes: tuple[str, ...] = ()
    at_least: int = 0

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
        write_file(path, taken_once(self.chunks), size=self.at_least)


class Encryptor:
    """Encrypts any number of messages; what is found out about certificates is kept from one to the next.

    It judges as of the moment when it was made.
    """

    def __init__(
        self,
        options: EncryptOptions = _DEFAULTS,
        directory: RecipientDirectory | None = None,
        *,
        own: Sequence[Given] = (),
        chain: Sequence[Certificate] = (),
        on_fetch: Callable[[str], None] | None = None,
    ) -> None:
        """Read anchors and CRLs. ``directory`` knows the certificates of people, ``own`` are those of the sender.

        ``chain`` holds CA certificates that may complete paths. ``on_fetch`` is told the host when a server is asked.

        Raises:
            UsageError: a file cannot be read, or holds something else; there is nothing to sign in what is no mail.
        """
        if options.sign is not None and options.form is not Format.SMIME:
            msg = "only a mail is signed before it is encrypted"
            raise UsageError(msg, hint="sign the file first, opaquely, and encrypt the result")
        self._options = options
        self._trust = trust_of(options, datetime.now(UTC), on_fetch=on_fetch)
        self._check = RecipientCheck(self._trust.validator, options.recipient_name)
        self._directory = directory
        self._own = tuple(own)
        self._chain = tuple(certificate.encoded for certificate in chain)

    @property
    def trusts_anybody(self) -> bool:
        """There is a trust anchor at all: NSS's list is not installed everywhere."""
        return self._trust.trusts_anybody

    def encrypt(
        self, message: Content, addressing: Addressing | None = None, token: SigningToken | None = None
    ) -> tuple[bytes, ...]:
        """One message, encrypted, in memory; several where there are Bcc recipients.

        Raises:
            RecipientRefusedError: a recipient has no certificate, or one that nothing should be encrypted to.
            InvalidMessageError: it is no mail. PolicyError: it is encrypted already, or signed when ``sign`` is given.
            FileError: it cannot be read.
            NoKeyError, TokenError, PinError: from the token.
        """
        with self.opened(message, addressing, token) as messages:
            return tuple(map(bytes, messages))

    @contextmanager
    def opened(
        self, message: Content, addressing: Addressing | None = None, token: SigningToken | None = None
    ) -> Iterator[tuple[Encrypted, ...]]:
        """The same, of any size: to be consumed inside of the ``with`` block."""
        source = open_content(message)
        try:
            prepared = self.prepare(source)
            plan = self.plan(prepared, addressing).accepted(self._options.accept, force=self._options.force)
            yield self.encrypt_prepared(prepared, plan, token)
        finally:
            if source is not message:
                source.close()

    def prepare(self, message: Content) -> mime.Message | Source:
        """Read as much of a message as is needed to refuse it, before anybody is asked for a PIN.

        Raises:
            InvalidMessageError, PolicyError, FileError: see :meth:`encrypt`.
        """
        source = open_content(message)
        if self._options.form is not Format.SMIME:
            return source
        mail = mime.split(source)
        road.refuse_encrypted(mail, again=self._options.again)
        if self._options.sign is not None:
            signing_road.refuse_signed(mail, again=self._options.again)
        return mail

    def plan(self, prepared: mime.Message | Source, addressing: Addressing | None = None) -> Plan:
        """For whom a message is and how it would be encrypted; no key is used.

        Raises:
            UsageError: there is no recipient, or an address cannot be read.
        """
        wanted = addressing or Addressing()
        certificates = wanted.certificates
        pool = (*(other.encoded for other in certificates.others), *self._chain)
        chooser = Chooser(self._check, self._directory, certificates.recipients, pool)
        options = self._options
        wishes = Wishes(options.cipher, options.padding, options.to_self)
        if isinstance(prepared, Source):
            return make_plan(chooser, None, wanted.to, wanted.bcc, wishes)
        plan = make_plan(chooser, prepared, wanted.to, wanted.bcc, wishes)
        # Who signs brings certificates of the sender, once the token is open.
        return plan if options.sign is not None else plan.with_sender(prepared.from_addresses(), self._own)

    def encrypt_prepared(
        self, prepared: mime.Message | Source, plan: Plan, token: SigningToken | None = None
    ) -> tuple[Encrypted, ...]:
        """Encrypt what :meth:`prepare` returned, as planned. The key on the token has been used when this returns.

        Nothing is refused any more: see :meth:`.Plan.accepted`.

        Raises:
            NoKeyError, TokenError, PinError: from the token.
            UsageError: no token was given to sign with.
            FileError: it cannot be read.
        """
        if isinstance(prepared, Source):
            content = road.Plaintext.of_source(prepared)
            return tuple(self._file(content, message, plan.notes) for message in plan.messages())
        name = self._options.recipient_name
        if self._options.sign is None:
            entity = prepared.entity.enclosed()
            plaintext, notes = road.Plaintext.of_entity(entity), (*plan.notes, *entity.notes)
        else:
            plaintext, plan = self._signed(prepared, plan, token, self._options.sign)
            notes = plan.notes
        return tuple(
            Encrypted(
                road.encrypt(prepared, plaintext, message.negotiated, randomness=os.urandom, name=name),
                message,
                (*notes, *message.negotiated.warnings),
                plaintext.length * 4 // 3,
            )
            for message in plan.messages()
        )

    def _signed(
        self, mail: mime.Message, plan: Plan, token: SigningToken | None, how: SignOptions
    ) -> tuple[road.Plaintext, Plan]:
        """The signed entity of a mail, and the plan with its signer as a recipient."""
        if token is None:
            msg = "no token was given to sign with"
            raise UsageError(msg)
        now = datetime.now(UTC)
        signer, notes = signing.signer_for(mail, token, how, at=now)
        own = (*_own_of(signer.identity), *self._own)
        whole = plan.with_sender(mail.from_addresses(), own, notes)
        whole.refuse_missing()  # before the key is used
        boundary = signing.new_boundary()
        length, chunks = signing_road.sign_entity(mail, signer, at=now, boundary=boundary, opaque=how.opaque)
        return road.Plaintext(length, chunks), whole

    def _file(self, content: road.Plaintext, message: PlannedMessage, notes: tuple[str, ...]) -> Encrypted:
        name = self._options.recipient_name
        cms = road.encrypt_content(content, message.negotiated, randomness=os.urandom, name=name)
        told = (*notes, *message.negotiated.warnings)
        chunks = armor(cms, "CMS") if self._options.form is Format.PEM else cms
        return Encrypted(chunks, message, told, content.length)


def read_certificates(paths: Sequence[Path]) -> Certificates:
    """The certificates in these files, in PEM or DER. Those of CAs are nobody's, unless a file has no others.

    Raises:
        UsageError: one cannot be read, or holds something else.
    """
    recipients: list[Given] = []
    others: list[Certificate] = []
    for path in paths:
        data = read_named(path, "certificate")
        try:
            found = load_certificates(data)
        except InvalidCertificateError as error:
            msg = f"there is no certificate in {path}: {error}"
            raise UsageError(msg) from error
        # A certificate that was signed by itself often says that it is a CA.
        leaves = [one for one in found if not one.is_ca] or found[:1]
        recipients += (Given(one, str(path)) for one in leaves)
        others += (one for one in found if one not in leaves)
    return Certificates(tuple(dict.fromkeys(recipients)), tuple(others))


def _own_of(identity: Identity) -> Iterator[Given]:
    """The certificates of who signs to which can be encrypted; the one that is for it alone first."""
    for known in (identity.encryption_certificate, identity.certificate):
        if known is not None and (certificate := certificate_of(known.encoded)).permits_encryption:
            yield Given(certificate, "the token")
