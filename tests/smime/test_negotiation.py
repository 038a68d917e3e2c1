"""Which algorithms a message is encrypted with, for whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from hypothesis import given
from hypothesis import strategies as st

from smime_agent.algorithms import ContentEncryption
from smime_agent.cms.capabilities import Capabilities
from smime_agent.smime.negotiation import PREFERENCE, RsaPadding, negotiate
from smime_agent.smime.recipients import Recipient
from tests.support.pki import Party

if TYPE_CHECKING:
    from collections.abc import Sequence

GCM256, GCM128, CHACHA, CBC256, CBC192, CBC128 = PREFERENCE
ISSUER = Party("CA")
KEYS = {
    "rsa": rsa.generate_private_key(65537, 2048),
    "p256": ec.generate_private_key(ec.SECP256R1()),
    "p384": ec.generate_private_key(ec.SECP384R1()),
    "x25519": x25519.X25519PrivateKey.generate(),
}
CERTIFICATES = {kind: Party(kind, ISSUER, ca=False, key_usage=None, key=key).certificate for kind, key in KEYS.items()}


def recipient(
    kind: str, *said: ContentEncryption, oaep: bool = False, silent: bool = False, retired: tuple[str, ...] = ()
) -> Recipient:
    known = Capabilities(said, oaep, b"", retired) if said or oaep or silent or retired else None
    return Recipient(CERTIFICATES[kind], known)


def test_the_order_holds_every_cipher_once() -> None:
    assert sorted(PREFERENCE, key=str) == sorted(ContentEncryption, key=str)


@pytest.mark.parametrize(
    ("recipients", "cipher"),
    [
        ([recipient("p256")], GCM256),
        ([recipient("x25519")], GCM256),
        ([recipient("rsa")], CBC128),
        ([recipient("rsa"), recipient("p256")], CBC128),
        ([recipient("rsa", GCM128, GCM256)], GCM256),  # not their first, but the strongest
        ([recipient("rsa", CBC256, CBC128)], CBC256),
        ([recipient("rsa", GCM128, CBC256), recipient("p256", GCM128, CHACHA)], GCM128),
        ([recipient("p256", CHACHA, CBC256)], CHACHA),
        ([recipient("rsa", GCM256), recipient("rsa")], CBC128),  # nothing in common
        ([recipient("p256", GCM256), recipient("p256", CBC256)], CBC128),
        ([recipient("p256", silent=True)], GCM256),  # they name no cipher at all, only signatures
        ([recipient("rsa", silent=True)], CBC128),
        ([recipient("rsa", GCM256), recipient("p256")], GCM256),
        ([recipient("p256", retired=("Triple DES",))], CBC128),
        ([recipient("rsa", retired=("Triple DES", "RC2"))], CBC128),
        ([recipient("rsa", CBC256, retired=("Triple DES",))], CBC256),
    ],
)
def test_the_strongest_that_all_can_decrypt_is_taken(
    recipients: Sequence[Recipient], cipher: ContentEncryption
) -> None:
    assert negotiate(recipients).cipher is cipher


def test_what_was_asked_for_is_taken() -> None:
    found = negotiate([recipient("rsa")], cipher=CHACHA, padding=RsaPadding.OAEP)
    assert (found.cipher, found.wrappings[0].oaep) == (CHACHA, True)
    assert (found.because, found.wrappings[0].because) == (("it was asked for",), "it was asked for")


@pytest.mark.parametrize("kind", ["rsa", "p256"])
def test_the_sender_holds_nobody_back(kind: str) -> None:
    found = negotiate([recipient("p256")], [recipient(kind, CBC128)])
    assert found.cipher is GCM256
    assert len(found.wrappings) == 2


def test_to_oneself_alone_the_best_is_taken() -> None:
    assert negotiate([], [recipient("rsa")]).cipher is GCM256


@pytest.mark.parametrize("oaep", [False, True])
def test_oaep_is_for_those_who_say_so(*, oaep: bool) -> None:
    found = negotiate([recipient("rsa", GCM256, oaep=oaep)])
    assert found.wrappings[0].oaep is oaep
    assert found.wrappings[0].how == ("RSAES-OAEP with SHA-256" if oaep else "RSAES-PKCS1-v1_5")


@pytest.mark.parametrize(
    ("kind", "how"), [("p384", "ECDH on P-384 with SHA-384"), ("x25519", "X25519 with HKDF-SHA256")]
)
def test_how_a_key_is_agreed_on_is_said(kind: str, how: str) -> None:
    assert negotiate([recipient(kind, oaep=True)]).wrappings[0].how == how


def test_it_is_said_who_holds_the_others_back() -> None:
    found = negotiate([recipient("rsa"), recipient("p256")])
    because = "rsa: it is not known what they can decrypt, and AES-128-CBC is what every S/MIME program reads"
    assert found.because == ("it is the strongest that all can decrypt", because)


def test_who_claims_old_ciphers_alone_may_not_be_able_to_read_it() -> None:
    found = negotiate([recipient("rsa", retired=("Triple DES", "RC2"))])
    assert found.warnings == ("rsa may not be able to decrypt AES-128-CBC: they name only Triple DES, RC2",)
    assert "Triple DES and RC2, which is never used here" in found.wrappings[0].limits


def test_who_says_something_else_than_was_asked_for_may_not_be_able_to_read_it() -> None:
    found = negotiate([recipient("rsa", CBC256, retired=("Triple DES",))], cipher=GCM256)
    assert found.warnings == ("rsa may not be able to decrypt AES-256-GCM: they name only AES-256-CBC, Triple DES",)


@pytest.mark.parametrize("asked", [None, GCM256])
@pytest.mark.parametrize("who", [recipient("rsa"), recipient("p256", GCM256), recipient("x25519", silent=True)])
def test_nobody_is_warned_of_who_can_or_does_not_say(who: Recipient, asked: ContentEncryption | None) -> None:
    assert negotiate([who], [recipient("rsa", CBC128)], cipher=asked).warnings == ()


def test_it_is_not_said_that_they_say_it_who_name_no_cipher() -> None:
    assert negotiate([recipient("p256", silent=True)]).because == ("all can be taken to decrypt AES-256-GCM",)


LISTS = st.lists(st.sampled_from(ContentEncryption), max_size=6, unique=True)
RECIPIENTS = st.builds(lambda kind, said: recipient(kind, *said), st.sampled_from(sorted(KEYS)), LISTS)


@given(st.lists(RECIPIENTS, min_size=1, max_size=5))
def test_it_depends_on_no_order_and_is_always_explained(recipients: list[Recipient]) -> None:
    found = negotiate(recipients)
    assert negotiate(recipients[::-1]).cipher is found.cipher
    assert len(found.wrappings) == len(recipients)
    assert all(found.because)


@given(st.lists(RECIPIENTS, min_size=1, max_size=5), RECIPIENTS)
def test_another_recipient_never_makes_it_stronger(recipients: list[Recipient], another: Recipient) -> None:
    before, after = negotiate(recipients).cipher, negotiate([*recipients, another]).cipher
    assert PREFERENCE.index(before) <= PREFERENCE.index(after)
