"""What ``decrypt`` makes of messages that were changed, with keys in memory.

What is called authenticated was in a seed, or is nothing: whoever changes a message has no key.
"""

from __future__ import annotations

import base64
import hashlib
import json
import unicodedata
from itertools import product
from typing import TYPE_CHECKING, Final

from smime_agent.api.decrypting import Decryptor
from smime_agent.api.verifying import Verifier, VerifyOptions
from smime_agent.cli.card import decryption_card
from smime_agent.cli.findings import decryption_as_json, failure_as_json
from smime_agent.cli.ui import printable
from smime_agent.errors import InvalidMessageError, NoKeyError, NotEncryptedError, PolicyError, SmimeAgentError
from smime_agent.trust.evidence import RevocationMode
from smime_agent.verdict import Verdict
from smime_agent.x509 import Certificate
from tests.conftest import VECTORS
from tests.fuzz.mutation import mutate_ber, mutate_mail
from tests.fuzz.oracle import senders_of
from tests.spoofs.collection import WORKSHOP
from tests.spoofs.envelopes import CBC, CHACHA20, GCM, Seal, bob_of, compressed
from tests.spoofs.mime import ALICE, ENTITY, sent_by
from tests.spoofs.sealed import Envelopes
from tests.spoofs.sealed_forms import sealed_forms
from tests.spoofs.sealed_parts import sealed_parts
from tests.spoofs.sealed_senders import sealed_senders
from tests.support.host_keys import HostKey, HostKeys
from tests.vectors.owners import OWNERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path
    from random import Random

    from smime_agent.smime.decrypt import Decryption

_KINDS: Final = ("ec", "rsa", "x25519")
_REFUSALS: Final = (InvalidMessageError, NoKeyError, NotEncryptedError, PolicyError)
_STEERING: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_PARTS: Final = 3


def all_keys() -> HostKeys:
    """Bob's, and those of the people of the vectors where they are."""
    keys = [bob_of(kind) for kind in _KINDS]
    if VECTORS.is_dir():
        for owner in OWNERS.values():
            private, certificate = owner(VECTORS)
            keys.append(HostKey(private, Certificate(certificate)))
    return HostKeys(*keys)


def sealed_seeds(strangers: Iterable[bytes]) -> Iterator[bytes]:
    """Encrypted messages of all kinds; of those that strangers published, the ones that are encrypted."""
    given = Envelopes(bob_of().certificate)
    for group in (sealed_parts, sealed_forms, sealed_senders):
        yield from (sealed.mail for sealed in group(WORKSHOP, given))
    yield from _of_all_kinds()
    decryptor = _decryptor(None)
    for octets in strangers:
        try:
            with decryptor.opened(octets):
                yield octets
        except (NoKeyError, PolicyError):
            yield octets
        except SmimeAgentError:
            continue


def _of_all_kinds() -> Iterator[bytes]:
    everybody = tuple(bob_of(kind).certificate for kind in _KINDS)
    signed = WORKSHOP.entity(WORKSHOP.alice)
    for kind, cipher, oaep in product(_KINDS, (GCM, CHACHA20, CBC), (True, False)):
        seal = Seal((bob_of(kind).certificate,), cipher, oaep)
        yield seal.on(ENTITY)
        yield sent_by(ALICE) + seal.entity(signed)
    for cipher in (GCM, CBC):
        seal = Seal(everybody, cipher)
        yield sent_by(ALICE) + seal.entity(seal.entity(ENTITY))
        yield seal.on(seal.on(compressed(ENTITY)))
        yield b"-----BEGIN CMS-----\n%b-----END CMS-----\n" % base64.encodebytes(seal.on(ENTITY))
        yield sent_by(ALICE) + WORKSHOP.entity(WORKSHOP.alice, seal.entity(signed))


def mutate_message(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Change a mail, or an object."""
    return (mutate_ber if data[:1] == b"\x30" else mutate_mail)(random, data, others)


class DecryptOracle:
    """``decrypt`` on a message: only refusals are raised, and no plaintext is new that is called authenticated."""

    def __init__(self, seeds: Path) -> None:
        """Learn from the seeds what there is to be read."""
        self._decryptor = _decryptor(seeds / "root.pem")
        self._known: set[bytes] = set()
        for path in sorted((seeds / "sealed").glob("*")):
            self._each(path.read_bytes(), self._learn)

    def __call__(self, data: bytes) -> None:
        """Decrypt it, and its parts."""
        self._each(data, lambda found: self._check(found, data))

    def _each(self, data: bytes, look: Callable[[Decryption], None]) -> None:
        parts: tuple[str | None, ...] = (None,)
        for number in range(1 + _PARTS):
            if number >= len(parts):
                return
            try:
                with self._decryptor.opened(data, part=parts[number]) as found:
                    look(found)
            except _REFUSALS as error:
                json.dumps(failure_as_json(error, None)).encode()
                if isinstance(error, NotEncryptedError) and number == 0:
                    parts += error.parts

    def _learn(self, found: Decryption) -> None:
        if found.is_authenticated:
            layers = [layer.content for layer in found.verification.layers if layer.content is not None]
            self._known.update(map(_digest, (found.content, *layers)))

    def _check(self, found: Decryption, data: bytes) -> None:
        json.dumps(decryption_as_json(found, None)).encode()
        text = "".join(map(printable, decryption_card(found)))
        assert not any(unicodedata.category(letter) in _STEERING for letter in text), "it steers a terminal"
        assert found.encryptions, "nothing was decrypted"
        digest = _digest(found.content)
        assert not found.is_authenticated or digest in self._known, "authenticated, and nobody encrypted it"
        if found.verification.verdict is Verdict.TRUSTED and found.verification.senders:
            signed = found.verification.outermost_signed
            assert signed is not None, "trusted, and nothing is signed"
            certificates = [signer.certificate for signer in signed.signers]
            mailboxes = {mailbox.casefold() for one in certificates if one is not None for mailbox in one.mailboxes}
            assert senders_of(data) <= mailboxes, "trusted, and from somebody else"


def _digest(content: Callable[[], Iterator[bytes]]) -> bytes:
    digest = hashlib.sha256()
    for chunk in content():
        digest.update(chunk)
    return digest.digest()


def _decryptor(root: Path | None) -> Decryptor:
    files = () if root is None else (root,)
    options = VerifyOptions(files, system_roots=False, revocation=RevocationMode.OFF, offline=True)
    return Decryptor(all_keys(), Verifier(options), legacy=True)
