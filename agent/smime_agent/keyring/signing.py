"""Which key signs.

Today every key is on a token that this process has opened. The roads know a
:class:`~smime_agent.keys.Signer` and nothing of where it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from smime_agent.algorithms import SignatureScheme
from smime_agent.errors import AmbiguousError, CertificateNotUsableError, NoKeyError
from smime_agent.keyring.naming import has_fingerprint, is_address, is_named
from smime_agent.keys import Identity, KeyQuery
from smime_agent.tokens.objects import TokenKey, TokenObjects, read_objects
from smime_agent.tokens.signer import SigningKey, TokenSigner
from smime_agent.x509 import Certificate, chain_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from smime_agent.algorithms import Digest, Padding
    from smime_agent.tokens.session import TokenSession

_MOST_SIGNERS = 256  # that are remembered: a gateway meets many combinations of senders
_LIST_HINT = "'smime-agent key list' shows the keys, 'smime-agent cert list' the certificates"


@dataclass(frozen=True, slots=True)
class _Pair:
    """A key with one of its certificates."""

    key: TokenKey
    certificate: Certificate


class TokenKeyring:
    """The keys of one token, as they can be seen now."""

    def __init__(
        self,
        session: TokenSession,
        extra_chain: Sequence[Certificate] = (),
        objects: TokenObjects | None = None,
        *,
        is_logged_in: bool = True,
    ) -> None:
        """Look at a token, unless ``objects`` are what was seen; ``extra_chain`` completes chains.

        Where nobody ``is_logged_in``, the public half of a key stands for the private one, which may not be seen yet.
        """
        self._session = session
        self._is_logged_in = is_logged_in
        self._objects = read_objects(session) if objects is None else objects
        self._pool = [found.certificate for found in self._objects.certificates] + list(extra_chain)
        self._signers: dict[tuple[KeyQuery, Digest | None, Padding | None], tuple[Certificate, TokenSigner]] = {}

    @property
    def objects(self) -> TokenObjects:
        """What lies on the token, as it was seen after the login."""
        return self._objects

    @property
    def wants_pin_each_time(self) -> bool:
        """One of the keys wants the PIN before every signature."""
        return any(key.can_sign and key.always_authenticate for key in self._objects.keys)

    def signer(
        self, query: KeyQuery, *, at: datetime, digest: Digest | None = None, padding: Padding | None = None
    ) -> TokenSigner:
        """The signer that ``query`` asks for, usable at the time ``at``.

        Raises:
            NoKeyError: no key with a certificate fits.
            AmbiguousError: several do.
            CertificateNotUsableError: the one that fits is expired, not yet valid, or not for signing.
        """
        wanted = (query, digest, padding)
        known = self._signers.get(wanted)
        if known is None or _flaw(known[0], at):  # perhaps another one has become valid
            if len(self._signers) >= _MOST_SIGNERS:
                self._signers.clear()
            known = self._signers[wanted] = self._chosen(query, at, digest, padding)
        return known[1]

    def _chosen(
        self, query: KeyQuery, at: datetime, digest: Digest | None, padding: Padding | None
    ) -> tuple[Certificate, TokenSigner]:
        pair = self._named(query.name, at) if query.name else self._by_address(query.addresses, at)
        _check(pair, at)
        scheme = SignatureScheme.for_key(pair.key.algorithm, digest, padding)
        chain = chain_of(pair.certificate, self._pool)
        identity = Identity(pair.certificate, chain, self._encryption_certificate(pair, at))
        return pair.certificate, TokenSigner(SigningKey(self._session, pair.key, scheme), identity)

    def key(self, name: str) -> TokenKey:
        """The key of that name, with or without a certificate.

        Raises:
            NoKeyError: there is none.
            AmbiguousError: there are several.
        """
        token = self._session.token.info
        found = [key for key in self._objects.keys if is_named(key, name, token)]
        return _only(found, name, self._session.name)

    def _named(self, name: str, at: datetime) -> _Pair:
        pairs = self._pairs()
        if is_address(name):
            return self._by_address((name,), at)
        if exact := [pair for pair in pairs if has_fingerprint(pair.certificate, name)]:
            return _best(exact, at)
        key = self.key(name)
        if not key.can_sign:
            msg = f"{key.name} on {self._session.name} is not for signing"
            raise NoKeyError(msg, hint=_LIST_HINT)
        fitting = [pair for pair in pairs if pair.key == key]
        if not fitting:
            msg = f"{key.name} on {self._session.name} has no certificate"
            raise NoKeyError(msg, hint="'smime-agent cert request' asks for one, 'smime-agent cert import' stores it")
        return _best(fitting, at)

    def _by_address(self, addresses: Sequence[str], at: datetime) -> _Pair:
        """The pair for the first address that has one; without addresses the only key for signing."""
        pairs = self._pairs()
        for address in addresses:
            if covering := [pair for pair in pairs if pair.certificate.covers(address)]:
                return _best(covering, at)
        if addresses and not pairs:
            msg = f"no key on {self._session.name} has a certificate to sign with"
            raise NoKeyError(msg, hint="'smime-agent cert request' asks for one, 'smime-agent cert import' stores it")
        if addresses:
            msg = f"no key on {self._session.name} has a certificate for {', '.join(addresses)}"
            raise NoKeyError(msg, hint=f"choose one with --key; {_LIST_HINT}")
        signing = [pair for pair in pairs if pair.certificate.permits_signing]
        key = _only(list(dict.fromkeys(pair.key for pair in signing)), None, self._session.name)
        return _best([pair for pair in signing if pair.key == key], at)

    def _pairs(self) -> list[_Pair]:
        """Every key that can sign, with each of its certificates."""
        return [
            _Pair(key, found.certificate)
            for key in self._objects.keys
            if (key.private_seen or not self._is_logged_in) and key.can_sign
            for found in self._objects.certificates_of(key)
        ]

    def _encryption_certificate(self, pair: _Pair, at: datetime) -> Certificate | None:
        """Another certificate of the same mailbox on the token, to which answers can be encrypted (RFC 8551, 2.5.3)."""
        mine = pair.certificate
        candidates = [
            found.certificate
            for found in self._objects.certificates
            if found.certificate != mine
            and found.certificate.permits_encryption
            and not found.certificate.is_ca
            and found.certificate.not_before <= at <= found.certificate.not_after
            and any(found.certificate.covers(mailbox) for mailbox in mine.mailboxes)
            and self._objects.key_of(found.certificate) is not None
        ]
        return max(candidates, key=lambda certificate: certificate.not_before, default=None)


def _best(pairs: Iterable[_Pair], at: datetime) -> _Pair:
    """The newest that can be used now; where none can, the one whose flaw is least, to be told about."""
    return max(pairs, key=lambda pair: (_flaw(pair.certificate, at) is None, pair.certificate.not_before))


def _flaw(certificate: Certificate, at: datetime) -> tuple[str, str] | None:
    """Why a certificate is not to be signed with at a time, and what to do about it."""
    if not certificate.permits_signing:
        return "is not for signing mail", "choose another key with --key"
    if at < certificate.not_before:
        return f"is not valid before {certificate.not_before:%Y-%m-%d %H:%M} UTC", "check this computer's clock"
    if at > certificate.not_after:
        return f"expired on {certificate.not_after:%Y-%m-%d}", "'smime-agent cert request' asks for a new one"
    return None


def _check(pair: _Pair, at: datetime) -> None:
    if flaw := _flaw(pair.certificate, at):
        msg = f"the certificate of {pair.key.name} ({pair.certificate.name}) {flaw[0]}"
        raise CertificateNotUsableError(msg, hint=flaw[1])


def _only(found: list[TokenKey], name: str | None, token: str) -> TokenKey:
    """The only one found."""
    wanted = f" '{name}'" if name else " with a certificate for signing"
    if not found:
        msg = f"there is no key{wanted} on {token}"
        raise NoKeyError(msg, hint=_LIST_HINT)
    if len(found) > 1:
        msg = f"{len(found)} keys{wanted} are on {token}"
        raise AmbiguousError(msg, hint="choose one with --key and its id", details=[key.name for key in found])
    return found[0]
