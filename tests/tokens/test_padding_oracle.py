"""A wrong RSAES-PKCS1-v1_5 padding is not to be told from a wrong content key: by no word, and by no time.

Whoever can tell the two apart decrypts any message for the key, with some ten thousand messages of their own
(Bleichenbacher's attack; EFAIL and Marvin are its grandchildren). The token that is asked decides how hard that is:
SoftHSM reports a wrong padding, NSS softoken answers it with octets made of the ciphertext.

The time is compared by rank. Messages of all kinds are made beforehand and decrypted in random order, so that whatever
else this machine does falls on all of them alike. What is looked at is how often one of a kind takes longer than one
with a wrong key: the half of all pairs, if nobody can tell (Mann and Whitney's U, divided by the number of pairs). For
400 of a kind its standard deviation is 0.02, and it was measured between 0.46 and 0.54 on a machine that was busy with
other things (NSS softoken takes some microseconds of 1,900 more for a wrong padding). It may be ``BOUND`` away from the
half. A round that is not within it is repeated, twice at most: chance fails one in a hundred and hardly ever three in a
row, and what can be told fails them all. SoftHSM's own 14 microseconds for a padding that it refuses, in 600, are 0.65
to 0.75.
"""

from __future__ import annotations

import gc
import json
import os
import random
import time
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from smime_agent.algorithms import ContentEncryption, KeyKind, KeyType, KeyUsage
from smime_agent.api.decrypting import Decryptor
from smime_agent.api.verifying import Verifier, VerifyOptions
from smime_agent.cms.ciphers import DecryptionError
from smime_agent.cms.envelope import open_envelope, read_envelope
from smime_agent.errors import SmimeAgentError
from smime_agent.keyring.decrypting import DecryptionKeyring
from smime_agent.keyring.opened import TokenDoor
from smime_agent.source import Source
from smime_agent.tokens.decrypter import TokenDecrypter
from smime_agent.tokens.objects import read_objects
from smime_agent.tokens.session import TokenSession
from smime_agent.tokens.token import Search
from smime_agent.trust.evidence import RevocationMode
from tests.keyring.people import TODAY
from tests.support import softhsm as soft
from tests.support import softtoken
from tests.support.ca import Wanted
from tests.support.program import run
from tests.support.softhsm import KnownPin, SoftHsm
from tests.support.transported import forged
from tests.tokens.wrapping import block, pkcs1_v1_5, raw, transported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from smime_agent.keys import ContentKey
    from smime_agent.tokens.objects import TokenKey
    from smime_agent.x509 import Certificate
    from tests.support.ca import Authority
    from tests.support.softtoken import Softoken

SAMPLES: Final = 400  # of each kind in a round
ROUNDS: Final = 3
BOUND: Final = 0.07
CONTENT: Final = bytes(16 * 1024)  # long enough that not to decrypt it would be seen
CBC, GCM = ContentEncryption.AES256_CBC, ContentEncryption.AES256_GCM
REFERENCE: Final = "a wrong key"
HINT: Final = "it was changed, or encrypted for another key than it says"


@dataclass(frozen=True)
class Place:
    """A token with an RSA key, its certificate, and how to get there."""

    label: str
    module: str
    pin: str
    key: TokenKey
    certificate: Certificate

    def keyring(self) -> DecryptionKeyring:
        return DecryptionKeyring(Search(self.label, self.module), TokenDoor.asking(KnownPin(self.pin)), today=TODAY)


@pytest.fixture(scope="module")
def on_softhsm(softhsm: SoftHsm, issuing_ca: Authority) -> Place:
    token = softhsm.new_token("oracle")
    token.enrol(issuing_ca, KeyType.RSA_2048, Wanted(key_encipherment=True), KeyUsage.DECRYPT)
    with token.session() as session:
        objects = read_objects(session)
    return Place("oracle", soft.MODULE, soft.PIN, objects.keys[0], objects.certificates[0].certificate)


@pytest.fixture(scope="module")
def on_nss(softoken: Softoken) -> Place:
    with softoken.session() as session:
        session.login("for a test")
        objects = read_objects(session)
    key = next(key for key in objects.keys if key.algorithm.kind is KeyKind.RSA)
    certificate = objects.certificates_of(key)[0].certificate
    return Place(softtoken.LABEL, str(softoken.module), softtoken.PIN, key, certificate)


@pytest.fixture(params=["on_softhsm", "on_nss"])
def place(request: pytest.FixtureRequest) -> Place:
    """A token that rejects explicitly, and one that does so implicitly."""
    found: Place = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def decrypter(place: Place) -> Iterator[TokenDecrypter]:
    with TokenSession(Search(place.label, place.module).one(), KnownPin(place.pin)) as session:
        session.login("for a test")
        yield TokenDecrypter(session, place.key)


@pytest.fixture
def decryptor(place: Place) -> Iterator[Decryptor]:
    keys = place.keyring()
    yield Decryptor(keys, Verifier(VerifyOptions(system_roots=False, revocation=RevocationMode.OFF)))
    keys.close()


#: Encrypted keys, by what is wrong with them. The first opens nothing, and nothing is wrong with it.
KINDS: dict[str, Callable[[TokenKey], bytes]] = {
    REFERENCE: lambda key: pkcs1_v1_5(key, os.urandom(32)),
    "a wrong length": lambda key: pkcs1_v1_5(key, os.urandom(16)),
    "a wrong block type": lambda key: raw(key, block(key, os.urandom(32), head=b"\0\1")),
    "no zero": lambda key: raw(key, b"\0\2" + bytes(1 + octet % 255 for octet in os.urandom(254))),
    "too short a padding": lambda key: raw(key, block(key, os.urandom(32), head=b"\0\2\1\0")),
    "anything": lambda key: raw(key, b"\0" + os.urandom(255)),
}


def wrong(place: Place, kind: str, decrypter: TokenDecrypter, cipher: ContentEncryption) -> bytes:
    """A message that no key opens, and with CBC none seems to: one in 256 would."""
    while True:
        encrypted_key = KINDS[kind](place.key)
        message = forged(place.certificate, encrypted_key, cipher, os.urandom(32), b"a content")
        if cipher is GCM or not _seems_whole(message, decrypter.unwrap(transported(encrypted_key))):
            return message


def _seems_whole(message: bytes, key: ContentKey) -> bool:
    with Source.from_bytes(message) as source:
        try:
            open_envelope(read_envelope(source), key, legacy=False)
        except DecryptionError:
            return False
    return True


# --- by no word ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cipher", [CBC, GCM])
def test_all_end_alike(
    place: Place, decrypter: TokenDecrypter, decryptor: Decryptor, cipher: ContentEncryption
) -> None:
    outcomes = {_outcome(decryptor, wrong(place, kind, decrypter, cipher)) for kind in KINDS for _ in range(3)}
    assert outcomes == {("DecryptionError", 6, "decryption-failed", "the content cannot be decrypted", HINT, ())}


def _outcome(decryptor: Decryptor, message: bytes) -> tuple[object, ...]:
    try:
        with decryptor.opened(message):
            return ("decrypted",)
    except SmimeAgentError as error:
        return (type(error).__name__, error.exit_code, error.code, str(error), error.hint, error.details)


@pytest.mark.slow
def test_the_program_says_the_same_of_all(place: Place) -> None:
    told = set()
    for make in KINDS.values():
        message = forged(place.certificate, make(place.key), GCM, os.urandom(32), b"a content")
        arguments = ("decrypt", "--token", place.label, "--pin-source", "env:PIN", "--json")
        result = run(*arguments, stdin=message, env={"PIN": place.pin}, module=place.module)
        told.add((result.code, result.out, result.err))
    ((code, out, err),) = told
    assert (code, err.splitlines()[0]) == (6, "smime-agent: error: the content cannot be decrypted")
    assert json.loads(out)["reasons"][0]["code"] == "decryption-failed"


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_has_the_same_fate_each_time(place: Place, decrypter: TokenDecrypter, kind: str) -> None:
    # A new random key each time would make one in 256 contents by CBC look whole: now and then, where the padding is
    # wrong, and always or never, where it is right.
    wrapped = transported(KINDS[kind](place.key))
    assert len({decrypter.unwrap(wrapped).reveal() for _ in range(5)}) == 1
    with_another_secret = TokenDecrypter(decrypter._session, place.key)
    assert with_another_secret.unwrap(wrapped).reveal() == decrypter.unwrap(wrapped).reveal()


# --- by no time ------------------------------------------------------------------------------------------------------


def longer(samples: list[int], reference: list[int]) -> float:
    """How often a sample takes longer than one of the reference; a tie is half a time."""
    ordered = sorted(reference)
    ranks = sum(bisect_left(ordered, sample) + bisect_right(ordered, sample) for sample in samples)
    return ranks / 2 / len(samples) / len(reference)


def timed(operation: Callable[[bytes], None], messages: dict[str, list[bytes]]) -> dict[str, list[int]]:
    """The nanoseconds that each took, in random order."""
    taken: dict[str, list[int]] = {kind: [] for kind in messages}
    order = [(kind, message) for kind, some in messages.items() for message in some]
    random.shuffle(order)
    gc.disable()
    try:
        for kind, message in order:
            began = time.perf_counter_ns()
            operation(message)
            taken[kind].append(time.perf_counter_ns() - began)
    finally:
        gc.enable()
    return taken


def assert_nobody_can_tell(operation: Callable[[bytes], None], make: Callable[[str], bytes]) -> None:
    kinds = (REFERENCE, "a wrong length", "a wrong block type")
    rounds: list[dict[str, float]] = []
    for _ in range(ROUNDS):
        taken = timed(operation, {kind: [make(kind) for _ in range(SAMPLES)] for kind in kinds})
        rounds.append({kind: round(longer(taken[kind], taken[REFERENCE]), 3) for kind in kinds[1:]})
        if all(abs(share - 0.5) <= BOUND for share in rounds[-1].values()):
            return
    pytest.fail(f"the kinds can be told by their time: {rounds}")


@pytest.mark.slow
def test_the_time_to_unwrap_does_not_tell(place: Place, decrypter: TokenDecrypter) -> None:
    def unwrap(encrypted_key: bytes) -> None:
        for _ in range(2):  # what the first left undone, such as a session to be opened anew, is the second's to do
            decrypter.unwrap(transported(encrypted_key))

    assert_nobody_can_tell(unwrap, lambda kind: KINDS[kind](place.key))


@pytest.mark.slow
def test_the_time_to_decrypt_does_not_tell(place: Place, decryptor: Decryptor) -> None:
    key = os.urandom(32)

    def decrypt(message: bytes) -> None:
        _outcome(decryptor, message)

    assert_nobody_can_tell(decrypt, lambda kind: forged(place.certificate, KINDS[kind](place.key), CBC, key, CONTENT))


def test_the_comparison_sees_what_is_there() -> None:
    generator = random.Random(1)  # noqa: S311 - an example
    reference = [round(generator.gauss(600_000, 30_000)) for _ in range(SAMPLES)]
    same = [round(generator.gauss(600_000, 30_000)) for _ in range(SAMPLES)]
    slower = [round(generator.gauss(614_000, 30_000)) for _ in range(SAMPLES)]
    assert abs(longer(same, reference) - 0.5) < BOUND < longer(slower, reference) - 0.5
