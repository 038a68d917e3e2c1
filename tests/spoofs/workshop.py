"""The people of the collection: a root that is trusted, what it issues, and who pretends."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tests.spoofs.asn1 import octets
from tests.spoofs.certificates import (
    EMAIL_PROTECTION,
    ISSUES,
    SIGNS,
    SIGNS_CRLS,
    Identity,
    RevocationList,
    Wanted,
    alternative_name,
    basic_constraints,
    extended_key_usage,
    extension,
    key_usage,
    name,
    rfc822,
)
from tests.spoofs.cms import signed
from tests.spoofs.keys import ec_key
from tests.spoofs.mime import ENTITY, Clear, field, head, sent_by

if TYPE_CHECKING:
    from tests.spoofs.keys import Key

AUTHORITY = (basic_constraints(ca=True), key_usage(ISSUES, SIGNS_CRLS))


@dataclass(frozen=True)
class Leaf:
    """What the certificate of a person is to say; none: the extension is missing."""

    names: tuple[bytes, ...] | None = None
    subject: bytes | None = None
    usage: bytes | None = key_usage(SIGNS)
    purpose: bytes | None = extended_key_usage(EMAIL_PROTECTION)
    constraints: bytes | None = basic_constraints(ca=False)
    extra: tuple[bytes, ...] = ()

    @property
    def extensions(self) -> tuple[bytes, ...]:
        """All that are there."""
        names = alternative_name(*self.names) if self.names else None
        return tuple(each for each in (self.constraints, self.usage, self.purpose, names, *self.extra) if each)


class Workshop:
    """Makes everybody once."""

    @cached_property
    def root(self) -> Identity:
        """The only trust anchor."""
        return Wanted(ec_key("root"), name("Spoof Root CA"), None, AUTHORITY).made()

    @cached_property
    def issuing(self) -> Identity:
        """The CA that issues to everybody; its certificate is in each mail."""
        return self.authority("Spoof Issuing CA")

    @cached_property
    def alice(self) -> Identity:
        """The victim, with her own certificate."""
        return self.person("alice@example.org", key=ec_key("alice"))

    @property
    def alice_pem(self) -> bytes:
        """Her private key, in PEM."""
        return ec_key("alice").pem

    @cached_property
    def mallory(self) -> Identity:
        """The attacker, with an honest certificate for an address of hers."""
        return self.person("mallory@evil.example")

    @cached_property
    def mallory_as_alice(self) -> Identity:
        """The attacker's, whose key identifier is the victim's."""
        identifier = extension("2.5.29.14", octets(self.alice.key_identifier))
        leaf = Leaf((rfc822("mallory@evil.example"),), name("Mallory"), extra=(identifier,))
        return self.leaf(leaf, identified=False, key=ec_key("shared"))

    @cached_property
    def carol(self) -> Identity:
        """A bystander at the victim's domain."""
        return self.person("carol@example.org")

    def person(self, address: str, **changes: Any) -> Identity:  # noqa: ANN401 - fields of Wanted
        """Somebody with an address."""
        return self.leaf(Leaf((rfc822(address),), name(address.partition("@")[0].capitalize())), **changes)

    def leaf(self, leaf: Leaf, **changes: Any) -> Identity:  # noqa: ANN401 - fields of Wanted
        """Somebody whose certificate says what is wanted."""
        subject = name("Alice") if leaf.subject is None else leaf.subject
        wanted = Wanted(ec_key(f"{subject!r} {leaf.names}"), subject, self.issuing, leaf.extensions)
        return replace(wanted, **changes).made()

    def authority(
        self,
        common_name: str,
        issuer: Identity | None = None,
        extensions: tuple[bytes, ...] = AUTHORITY,
        **changes: Any,  # noqa: ANN401 - fields of Wanted
    ) -> Identity:
        """A CA under the root, or under another."""
        wanted = Wanted(ec_key(common_name), name(common_name), issuer or self.root, extensions)
        return replace(wanted, **changes).made()

    def clear(self, sender: str | bytes, signer: Identity | None = None) -> bytes:
        """A mail with this From, clear-signed honestly by somebody; by the attacker if nobody is named."""
        return sent_by(sender) + self.entity(signer)

    def headed(self, *fields: tuple[str, str | bytes], signer: Identity | None = None) -> bytes:
        """The same with any fields in place of From."""
        return head(*(field(*each) for each in fields)) + self.entity(signer)

    def entity(self, signer: Identity | None = None, content: bytes = ENTITY) -> bytes:
        """A multipart/signed."""
        return Clear(content, signed(signer or self.mallory, content).der).whole

    def with_key(self, address: str, key: Key) -> Identity:
        """Somebody with a key of another kind."""
        return self.person(address, key=key)

    @cached_property
    def revoked(self) -> Identity:
        """Alice's certificate that was revoked."""
        return self.person("alice@example.org", key=ec_key("revoked"))

    @cached_property
    def revoked_authority(self) -> Identity:
        """A CA that the root has revoked."""
        return self.authority("Spoof Revoked CA")

    @cached_property
    def hebrew_authority(self) -> Identity:
        """A CA with a name that asn1crypto does not compare by itself."""
        return self.authority("\u05d9\u05e9\u05e8\u05d0\u05dc CA 1")

    @cached_property
    def revoked_by_hebrew_authority(self) -> Identity:
        """Alice's certificate that this CA revoked."""
        return self.person("alice@example.org", issuer=self.hebrew_authority)

    def files(self) -> dict[str, bytes]:
        """What the command line names: the root, and the CRLs."""
        return {
            "root": pem(self.root.certificate),
            "crl": RevocationList(self.issuing, (self.revoked,)).made(),
            "root_crl": RevocationList(self.root, (self.revoked_authority,)).made(),
            "revoked_authority_crl": RevocationList(self.revoked_authority).made(),
            "hebrew_crl": RevocationList(self.hebrew_authority, (self.revoked_by_hebrew_authority,)).made(),
            "stale_crl": RevocationList(self.issuing, next_update="260301000000Z").made(),
            "forged_crl": RevocationList(self.issuing, key=ec_key("forger")).made(),
        }


def pem(certificate: bytes) -> bytes:
    """A certificate in PEM."""
    return b"-----BEGIN CERTIFICATE-----\n%b-----END CERTIFICATE-----\n" % base64.encodebytes(certificate)
