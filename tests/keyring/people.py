"""Tokens with keys that decrypt, messages for them, and keyrings that see only some tokens."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key

from smime_agent import der
from smime_agent.algorithms import ContentEncryption, KeyType, KeyUsage
from smime_agent.cms.enveloped_data_builder import recipient_info
from smime_agent.cms.recipient_name import RecipientName
from smime_agent.cms.recipients import read_recipients
from smime_agent.cms.signer_info import AlgorithmIdentifier
from smime_agent.keyring.decrypting import DecryptionKeyring
from smime_agent.keyring.opened import TokenDoor
from smime_agent.tokens.token import Search
from smime_agent.x509 import Certificate
from tests.support.ca import Wanted
from tests.support.softhsm import MODULE, KnownPin

if TYPE_CHECKING:
    from collections.abc import Iterable

    from smime_agent.cms.recipients import Recipients
    from smime_agent.keyring.sightings import KeyHistory
    from smime_agent.tokens.objects import TokenKey
    from smime_agent.tokens.token import Token
    from tests.support.ca import Authority
    from tests.support.softhsm import SoftToken

TODAY = date(2026, 5, 17)
CONTENT_KEY = bytes(range(32))
CIPHER = ContentEncryption.AES256_CBC
BY_KEY = RecipientName.SUBJECT_KEY_IDENTIFIER
_OPEN: list[DecryptionKeyring] = []
ALGORITHM = AlgorithmIdentifier(CIPHER.oid, der.octet_string(bytes(16)))


def certificate_for(authority: Authority, key: TokenKey, wanted: Wanted) -> Certificate:
    assert key.public_key_info is not None
    return Certificate(authority.issue(load_der_public_key(key.public_key_info), wanted).public_bytes(Encoding.DER))


def enrolled(
    token: SoftToken, authority: Authority, key_type: KeyType = KeyType.EC_P256, name: str = "Alice"
) -> Certificate:
    """A new key that decrypts, and its certificate beside it."""
    key = token.generate(key_type, KeyUsage.DECRYPT, name)
    certificate = certificate_for(authority, key, Wanted(name=name, key_encipherment=True, key_agreement=True))
    token.store(certificate.encoded)
    return certificate


def info_for(
    certificate: Certificate, name: RecipientName = RecipientName.ISSUER_AND_SERIAL_NUMBER, *, oaep: bool = False
) -> bytes:
    return recipient_info(certificate, CONTENT_KEY, CIPHER, oaep=oaep, randomness=os.urandom, name=name)


def recipients_of(*infos: bytes) -> Recipients:
    return read_recipients(infos, ALGORITHM)


def message_for(
    *certificates: Certificate, name: RecipientName = RecipientName.ISSUER_AND_SERIAL_NUMBER, oaep: bool = False
) -> Recipients:
    """The recipients of a message whose content key is ``CONTENT_KEY``."""
    return recipients_of(*(info_for(one, name, oaep=oaep) for one in certificates))


@dataclass(frozen=True, slots=True)
class Nearby(Search):
    """A search that sees no other tests' tokens; ``looks`` has an item for each time that somebody looked around."""

    labels: tuple[str, ...] = ()
    looks: list[int] = field(default_factory=list)

    def tokens(self, *, uninitialized: bool = False) -> list[Token]:
        """Those that were named."""
        self.looks.append(1)
        found = Search.tokens(self, uninitialized=uninitialized)
        return sorted((one for one in found if one.info.label in self.labels), key=self._place)

    def _place(self, token: Token) -> int:
        return self.labels.index(token.info.label)


@dataclass
class Ring:
    """A keyring and what it asked for."""

    keyring: DecryptionKeyring
    prompter: KnownPin
    search: Nearby

    def opened(self, recipients: Recipients) -> list[str]:
        """The names of the keys that were given, each of which unwraps."""
        names = []
        for match in self.keyring.pairs(recipients):
            assert match.decrypter.unwrap(match.recipient.wrapped).reveal() == CONTENT_KEY
            names.append(match.decrypter.name)
        return names

    def asked(self) -> list[str]:
        """The tokens whose PIN was asked for."""
        return [request.token for request in self.prompter.requests]


def ring(
    *tokens: SoftToken,
    named: str | None = None,
    known: Iterable[Certificate] = (),
    history: KeyHistory | None = None,
    key: str | None = None,
    pin: str | None = None,
) -> Ring:
    """A keyring over these tokens, as if no other was plugged in."""
    search = Nearby(named, MODULE, labels=tuple(token.label for token in tokens))
    prompter = KnownPin(pin) if pin is not None else KnownPin()
    keyring = DecryptionKeyring(search, TokenDoor.asking(prompter), today=TODAY, known=known, history=history, key=key)
    _OPEN.append(keyring)
    return Ring(keyring, prompter, search)


def close_rings() -> None:
    """Log out: a login is the process's, and the next test is to ask for its own."""
    while _OPEN:
        _OPEN.pop().close()
