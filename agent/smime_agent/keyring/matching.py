"""Which keys may be the recipients of a message: comparing names, and nothing else."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from smime_agent import der
from smime_agent.cms.certificate_index import names_of
from smime_agent.cms.normal import value, values
from smime_agent.cms.recipient_info import KeyIdentifier
from smime_agent.verdict import UntrustworthyError
from smime_agent.x509 import InvalidCertificateError, certificate_of, same_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from smime_agent.algorithms import KeyAlgorithm
    from smime_agent.cms.recipient_info import IssuerAndSerialNumber
    from smime_agent.cms.recipients import KeyRecipient
    from smime_agent.tokens.objects import TokenKey, TokenObjects
    from smime_agent.x509 import Certificate

#: Names that are compared at second sight for one message: each takes a tenth of a millisecond or more.
_MAX_COMPARED: Final = 32
#: Certificates that share an identifier, of those that are not on a token.
_MAX_SAME: Final = 16
#: An id of a key that is shorter is a number that every token has.
_SHORTEST_KEY_IDENTIFIER: Final = 8


class By(Enum):
    """How a key was found, the surest way first."""

    ISSUER_AND_SERIAL_NUMBER = 1
    KEY_IDENTIFIER = 2
    PUBLIC_KEY = 3


@dataclass(frozen=True, slots=True)
class Candidate:
    """A recipient, and what names the key on a token that may be the recipient's.

    That is its public key, or its id where the token does not show that.
    """

    recipient: KeyRecipient
    public_key_info: bytes | None
    key_id: bytes
    algorithm: KeyAlgorithm
    certificate: Certificate | None

    def key_among(self, objects: TokenObjects) -> TokenKey | None:
        """The key, the private one if that can be seen."""
        found = [key for key in objects.keys if self._is(key)]
        return max(found, key=lambda key: (key.private_seen, key.can_decrypt), default=None)

    def _is(self, key: TokenKey) -> bool:
        if key.public_key_info is None or self.public_key_info is None:
            return key.id == self.key_id and key.algorithm.kind is self.algorithm.kind
        return key.public_key_info == self.public_key_info


class Comparisons:
    """Names that are compared at second sight, as many as one message may cost."""

    def __init__(self) -> None:
        self._left = _MAX_COMPARED

    def same(self, one: bytes, other: bytes) -> bool:
        """Whether two DER names are the same; beyond the bound, whether they are equal."""
        if one == other:
            return True
        self._left -= 1
        return self._left >= 0 and same_name(one, other)


class KnownCertificates:
    """Certificates from elsewhere, found by how recipients are named; each is read when it is asked for."""

    def __init__(self, encoded: Iterable[bytes]) -> None:
        self._by_serial_number: defaultdict[int, list[tuple[bytes, bytes]]] = defaultdict(list)
        self._by_key_identifier: defaultdict[bytes, list[bytes]] = defaultdict(list)
        for one in dict.fromkeys(encoded):
            names = names_of(one)
            if names is None:
                continue
            self._by_serial_number[names.serial_number].append((names.issuer, one))
            if names.subject_key_identifier:
                self._by_key_identifier[names.subject_key_identifier].append(one)

    def find(self, identifier: IssuerAndSerialNumber | KeyIdentifier, names: Comparisons) -> Iterator[Certificate]:
        """Those that an identifier names."""
        if isinstance(identifier, KeyIdentifier):
            found = self._by_key_identifier.get(identifier.identifier, [])
        else:
            numbered = self._by_serial_number.get(identifier.serial_number, [])
            found = [one for issuer, one in numbered[:_MAX_SAME] if names.same(issuer, identifier.issuer)]
        for one in found[:_MAX_SAME]:
            try:
                yield certificate_of(one)
            except InvalidCertificateError:
                continue


class TokenIndex:
    """The keys and certificates of a token, found by how recipients are named."""

    def __init__(self, objects: TokenObjects) -> None:
        self._by_serial_number: defaultdict[int, list[tuple[Certificate, bytes]]] = defaultdict(list)
        self._by_key_identifier: defaultdict[bytes, list[_Named]] = defaultdict(list)
        self._by_public_key: dict[bytes, _Named] = {}
        for found in objects.certificates:
            certificate = found.certificate
            self._by_serial_number[certificate.serial_number].append((certificate, found.id))
            named = _Named(certificate.public_key_info, found.id, certificate.key_algorithm, certificate)
            self._add(named, certificate.subject_key_identifier, found.id)
        for key in objects.keys:
            certificates = objects.certificates_of(key)
            certificate_or_none = certificates[0].certificate if certificates else None
            self._add(_Named(key.public_key_info, key.id, key.algorithm, certificate_or_none), key.id)

    def _add(self, named: _Named, *identifiers: bytes | None) -> None:
        if named.public_key_info is not None:
            self._by_public_key.setdefault(named.public_key_info, named)
            identifiers += (_key_identifier(named.public_key_info),)
        for identifier in dict.fromkeys(identifiers):
            if identifier and len(identifier) >= _SHORTEST_KEY_IDENTIFIER:
                self._by_key_identifier[identifier].append(named)

    def candidates(
        self, by: By, recipients: Sequence[KeyRecipient], known: KnownCertificates | None, names: Comparisons
    ) -> list[Candidate]:
        """What was found in one way, in the order of the recipients."""
        found: list[Candidate] = []
        for recipient in recipients:
            identifier = recipient.identifier
            match by:
                case By.ISSUER_AND_SERIAL_NUMBER if not isinstance(identifier, KeyIdentifier):
                    candidates = self._exact(identifier, names)
                case By.KEY_IDENTIFIER if isinstance(identifier, KeyIdentifier):
                    candidates = self._by_key_identifier.get(identifier.identifier, [])
                case By.PUBLIC_KEY if known is not None:
                    candidates = list(self._through(known.find(identifier, names)))
                case _:
                    continue
            found += [one.candidate(recipient) for one in candidates if recipient.fits(one.algorithm)]
        return found

    def _exact(self, identifier: IssuerAndSerialNumber, names: Comparisons) -> list[_Named]:
        return [
            _Named(certificate.public_key_info, key_id, certificate.key_algorithm, certificate)
            for certificate, key_id in self._by_serial_number.get(identifier.serial_number, ())
            if names.same(certificate.issuer_encoded, identifier.issuer)
        ]

    def _through(self, certificates: Iterable[Certificate]) -> Iterator[_Named]:
        """Keys of the token that certificates from elsewhere are for."""
        for certificate in certificates:
            named = self._by_public_key.get(certificate.public_key_info)
            if named is not None:
                yield _Named(named.public_key_info, named.key_id, named.algorithm, certificate)


@dataclass(frozen=True, slots=True)
class _Named:
    """A key on a token by its public key and id, with a certificate if there is one."""

    public_key_info: bytes | None
    key_id: bytes
    algorithm: KeyAlgorithm
    certificate: Certificate | None

    def candidate(self, recipient: KeyRecipient) -> Candidate:
        return Candidate(recipient, self.public_key_info, self.key_id, self.algorithm, self.certificate)


def _key_identifier(public_key_info: bytes) -> bytes | None:
    """The SHA-1 digest of the public key, which most CAs take for the identifier (RFC 5280, 4.2.1.2, method 1)."""
    try:
        bits = values(value(public_key_info, der.SEQUENCE))[1].contents
    except (UntrustworthyError, IndexError):
        return None
    return hashlib.sha1(bits[1:], usedforsecurity=False).digest()
