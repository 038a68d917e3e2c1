"""Keys that the agent holds, as the roads want them: they do not know whether a key is here or across a socket."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from smime_agent.algorithms import Digest
from smime_agent.cms.certificate_index import names_of
from smime_agent.daemon.places import KeyPlace, read_scheme, scheme_values
from smime_agent.daemon.protocol import ProtocolError
from smime_agent.keys import ContentKey, Identity
from smime_agent.mailbox import is_mailbox, same_mailbox_key

if TYPE_CHECKING:
    from smime_agent.algorithms import Padding, SignatureScheme
    from smime_agent.daemon.client import AgentClient
    from smime_agent.daemon.protocol import Fields
    from smime_agent.keys import KeyQuery, ToBeSigned, WrappedKey


@dataclass(frozen=True)
class RemoteCertificate:
    """As much of a certificate as it takes to sign with its key: reading all of one takes longer than to sign."""

    encoded: bytes
    issuer_encoded: bytes
    serial_number: int
    mailboxes: tuple[str, ...] = ()

    @classmethod
    def of(cls, encoded: bytes, mailboxes: tuple[str, ...] = ()) -> RemoteCertificate:
        """The certificate in these octets.

        Raises:
            ProtocolError: it is none.
        """
        names = names_of(encoded)
        if names is None:
            raise ProtocolError("a certificate that is none")
        return cls(encoded, names.issuer, names.serial_number, mailboxes)

    @cached_property
    def fingerprint(self) -> bytes:
        """The SHA-256 digest of the encoding."""
        return Digest.SHA256.of(self.encoded)

    def covers(self, address: str) -> bool:
        """One of the mailboxes is ``address``: see :meth:`.Certificate.covers`."""
        return is_mailbox(address) and same_mailbox_key(address) in map(same_mailbox_key, self.mailboxes)


class RemoteSigner:
    """A :class:`~smime_agent.keys.Signer` whose key the agent holds."""

    def __init__(self, client: AgentClient, key: KeyPlace, scheme: SignatureScheme, identity: Identity) -> None:
        """Sign with ``key`` as ``identity``."""
        self.identity, self.scheme = identity, scheme
        self._client, self._key = client, key

    def sign(self, tbs: ToBeSigned) -> bytes:
        """The signature over ``tbs``.

        Raises:
            TokenError, PinError, PolicyError: from the agent.
        """
        key, scheme = self._key.values(), scheme_values(self.scheme)
        return self._client.ask("sign", key=key, scheme=scheme, attributes=tbs).octets("signature")


class RemoteToken:
    """The one token that fits, which the agent holds: what signs with it, and what decrypts."""

    def __init__(self, client: AgentClient, token: str | None, module: str | None) -> None:
        """The token that ``token`` names, a ``pkcs11:`` URI or a label, in ``module`` if that is given."""
        self._client, self._token, self._module = client, token, module
        self._signers: dict[tuple[Any, ...], RemoteSigner] = {}

    def signer_for(self, query: KeyQuery, digest: Digest | None, padding: Padding | None) -> RemoteSigner:
        """The signer that ``query`` asks for, usable now.

        Raises:
            NoKeyError, AmbiguousError, CertificateNotUsableError: see :meth:`.TokenKeyring.signer`.
            TokenError, PinError: from the agent.
        """
        wanted = (query, digest, padding)
        if wanted not in self._signers:
            answer = self._client.ask(
                "signer",
                token=self._token,
                module=self._module,
                name=query.name,
                addresses=list(query.addresses),
                digest=digest.value if digest else None,
                padding=padding.value if padding else None,
            )
            self._signers[wanted] = self._read(answer)
        return self._signers[wanted]

    def _read(self, answer: Fields) -> RemoteSigner:
        key, scheme = KeyPlace.read(answer.object("key")), read_scheme(answer.object("scheme"))
        certificate = RemoteCertificate.of(answer.octets("certificate"), answer.texts("mailboxes"))
        chain = tuple(map(RemoteCertificate.of, answer.octet_strings("chain")))
        preference = answer.optional_octets("encryption_certificate")
        identity = Identity(certificate, chain, RemoteCertificate.of(preference) if preference else None)
        return RemoteSigner(self._client, key, scheme, identity)

    def close(self) -> None:
        """Hang up. The login stays: that is what the agent is for."""
        self._client.close()


class RemoteDecrypter:
    """A :class:`~smime_agent.keys.Decrypter` whose key the agent holds."""

    def __init__(self, client: AgentClient, key: KeyPlace) -> None:
        """Unwrap with ``key``."""
        self._client, self._key = client, key

    @property
    def name(self) -> str:
        """Which key on which token, for people."""
        return f"{self._key.name} on {self._key.token.name}"

    def unwrap(self, wrapped: WrappedKey, *, legacy: bool = False) -> ContentKey:
        """The content-encryption key; see :meth:`.keys.Decrypter.unwrap`."""
        answer = self._client.ask(
            "unwrap",
            key=self._key.values(),
            recipient_info=wrapped.recipient_info,
            position=wrapped.position,
            content_encryption=wrapped.content_encryption,
            legacy=legacy,
        )
        return ContentKey(answer.octets("key"))
