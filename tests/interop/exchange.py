"""Both sides of the exchange: strangers with everybody's keys in software, and us with the same keys on a token."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Final, cast

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from smime_agent.api.decrypting import Decryptor
from smime_agent.api.encrypting import Addressing, Certificates, EncryptOptions, Encryptor
from smime_agent.api.signing import Format
from smime_agent.api.verifying import Verifier, VerifyOptions
from smime_agent.keyring.decrypting import DecryptionKeyring
from smime_agent.keyring.opened import TokenDoor
from smime_agent.pem import armor
from smime_agent.smime.choosing import Given
from smime_agent.tokens.token import Search
from smime_agent.trust.evidence import RevocationMode
from smime_agent.x509 import Certificate
from tests.interop.correspondents import KEYS, Cmsutil, Cryptography, Gpgsm, OpenSsl, Person
from tests.interop.envelope_book import EnvelopeBook
from tests.support.imported import import_key
from tests.support.softhsm import MODULE, KnownPin

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from smime_agent.api.signing import OpenToken
    from smime_agent.smime.decrypt import Decryption
    from smime_agent.smime.verification import Verification
    from tests.interop.correspondents import Stranger
    from tests.support.ca import Authority
    from tests.support.softhsm import SoftHsm

TOKEN: Final = "correspondents"
#: A MIME entity, in its canonical form.
ENTITY: Final = b"Content-Type: text/plain\r\n\r\nThe plan is to meet at nine.\r\n"
STRANGERS: Final = (OpenSsl, Gpgsm, Cmsutil, Cryptography, EnvelopeBook)
_TODAY: Final = date(2026, 6, 1)
_AS_IT_IS: Final = EncryptOptions(form=Format.DER)


@dataclass(frozen=True)
class Opened:
    """What came out of a message, and what is said of it."""

    content: bytes
    found: Decryption

    @property
    def how(self) -> tuple[str, str, bool]:
        """The algorithms of the only encryption, and whether it is authenticated."""
        (encryption,) = self.found.encryptions
        return encryption.algorithm, encryption.key_algorithm, encryption.is_authenticated

    @property
    def layers(self) -> list[str]:
        """The kinds of the layers, outermost first."""
        return [layer.type.value for layer in self.found.verification.layers]


@dataclass(frozen=True)
class Exchange:
    """Everybody by name, the programs by name, and our side: ``root`` is the file of the trust anchor."""

    people: dict[str, Person]
    strangers: dict[str, Stranger]
    root: Path
    chain: tuple[Certificate, ...]

    @property
    def chain_pem(self) -> bytes:
        """The certificate of the CA that issues all others."""
        return b"".join(b"".join(armor([one.encoded], "CERTIFICATE")) for one in self.chain)

    @property
    def openssl(self) -> OpenSsl:
        """The one that can be told most."""
        return cast("OpenSsl", self.strangers[OpenSsl.name])

    @property
    def gpgsm(self) -> Gpgsm:
        """GnuPG."""
        return cast("Gpgsm", self.strangers[Gpgsm.name])

    def encrypt(
        self, content: bytes, *recipients: Person, how: EncryptOptions = _AS_IT_IS, token: OpenToken | None = None
    ) -> bytes:
        """What we make of it, by the public road; ``how`` has to say nothing of trust."""
        given = tuple(Given(person.encoded, "a test") for person in recipients)
        addressing = Addressing(certificates=Certificates(given, self.chain))
        how = replace(how, to_self=False, ca_files=(self.root,), system_roots=False, revocation=RevocationMode.OFF)
        (message,) = Encryptor(how).encrypt(content, addressing, token)
        return message

    def verify(self, message: bytes) -> Verification:
        """What we say of its signature."""
        return self._verifier.verify(message)

    @property
    def _verifier(self) -> Verifier:
        return Verifier(VerifyOptions(ca_files=(self.root,), system_roots=False, revocation=RevocationMode.OFF))

    @contextmanager
    def decryptor(self, *, legacy: bool = False) -> Iterator[Decryptor]:
        """Ours, with the token."""
        keyring = DecryptionKeyring(Search(TOKEN, MODULE), TokenDoor.asking(KnownPin()), today=_TODAY)
        try:
            yield Decryptor(keyring, self._verifier, legacy=legacy)
        finally:
            keyring.close()


def opened(decryptor: Decryptor, message: bytes) -> Opened:
    """A message decrypted by us."""
    with decryptor.opened(message) as found:
        return Opened(b"".join(found.content()), found)


@pytest.fixture(scope="session")
def exchange(
    softhsm: SoftHsm, root_ca: Authority, issuing_ca: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Exchange]:
    """Everybody, with all keys but that of Alice on one token."""
    people = {name: Person.enrolled(name, issuing_ca) for name in (*KEYS, "alice")}
    token = softhsm.new_token(TOKEN)
    for name in KEYS:
        import_key(token, people[name].key, people[name].encoded.encoded, name)
    programs = [
        kind(tmp_path_factory.mktemp("stranger"), (root_ca, issuing_ca), people) for kind in (OpenSsl, Gpgsm, Cmsutil)
    ]
    everybody: list[Stranger] = [*programs, Cryptography(), EnvelopeBook()]
    root = tmp_path_factory.mktemp("anchors") / "root.pem"
    root.write_bytes(root_ca.pem)
    chain = (Certificate(issuing_ca.certificate.public_bytes(Encoding.DER)),)
    yield Exchange(people, {one.name: one for one in everybody}, root, chain)
    for one in everybody:
        one.close()
