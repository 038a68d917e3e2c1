"""New tokens, PINs, keys and certificates on SoftHSM, looked at with python-pkcs11."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key
from pkcs11 import Attribute, ObjectClass

from smime_agent.algorithms import KeyKind, KeyType, KeyUsage
from smime_agent.errors import (
    NoKeyError,
    PinIncorrectError,
    PinNotSetError,
    TokenError,
    UsageError,
)
from smime_agent.keys import Pin
from smime_agent.tokens.objects import read_objects
from smime_agent.tokens.provision import change_user_pin, generate_key, init_token, set_user_pin, store_certificate
from smime_agent.tokens.token import Search
from smime_agent.x509 import Certificate
from tests.support.softhsm import MODULE, PIN, SO_PIN, KnownPin

if TYPE_CHECKING:
    from tests.support.ca import Authority
    from tests.support.softhsm import SoftHsm, SoftToken

POSSIBLE = [
    (key_type, usage)
    for key_type in KeyType
    for usage in KeyUsage
    if (key_type, usage)
    not in [
        (KeyType.ED25519, KeyUsage.DECRYPT),
        (KeyType.ED25519, KeyUsage.BOTH),
        (KeyType.X25519, KeyUsage.SIGN),
        (KeyType.X25519, KeyUsage.BOTH),
        # The large keys take a second each, and what they may be used for does not depend on their size.
        (KeyType.RSA_3072, KeyUsage.DECRYPT),
        (KeyType.RSA_3072, KeyUsage.BOTH),
        (KeyType.RSA_4096, KeyUsage.SIGN),
        (KeyType.RSA_4096, KeyUsage.DECRYPT),
    ]
]


@pytest.fixture(scope="module")
def token(softhsm: SoftHsm) -> SoftToken:
    return softhsm.new_token("generated")


@pytest.mark.parametrize(("key_type", "usage"), POSSIBLE)
def test_a_private_key_can_never_be_read(token: SoftToken, key_type: KeyType, usage: KeyUsage) -> None:
    key = token.generate(key_type, usage, f"{key_type.value} {usage.value}")
    with token.session() as session:
        session.login("for a test")
        with session.calling():
            (found,) = (one for one in session.objects(ObjectClass.PRIVATE_KEY) if one[Attribute.ID] == key.id)
            facts = {
                name: found[Attribute[name]]
                for name in (
                    "TOKEN", "PRIVATE", "SENSITIVE", "ALWAYS_SENSITIVE", "EXTRACTABLE", "NEVER_EXTRACTABLE", "LOCAL",
                )
            }  # fmt: skip
            powers = {name for name in ("SIGN", "DECRYPT", "UNWRAP", "DERIVE") if found[Attribute[name]]}
    assert facts == {
        "TOKEN": True,
        "PRIVATE": True,
        "SENSITIVE": True,
        "ALWAYS_SENSITIVE": True,
        "EXTRACTABLE": False,
        "NEVER_EXTRACTABLE": True,
        "LOCAL": True,
    }
    decrypting = {"DECRYPT", "UNWRAP"} if key_type.algorithm.kind is KeyKind.RSA else {"DERIVE"}
    assert powers == {
        KeyUsage.SIGN: {"SIGN"},
        KeyUsage.DECRYPT: decrypting,
        KeyUsage.BOTH: {"SIGN", *decrypting},
    }[usage]  # fmt: skip
    assert (key.algorithm, key.label) == (key_type.algorithm, f"{key_type.value} {usage.value}")
    assert (key.can_sign, key.can_decrypt) == (usage is not KeyUsage.DECRYPT, usage is not KeyUsage.SIGN)
    assert key.private_seen
    assert not key.always_authenticate


def test_the_public_half_is_seen_before_the_login(token: SoftToken) -> None:
    key = token.generate(KeyType.EC_P256, KeyUsage.SIGN, "seen")
    with token.session() as session:
        seen = next(one for one in read_objects(session).keys if one.id == key.id)
    assert (seen.public_key_info, seen.label, seen.can_sign) == (key.public_key_info, "seen", True)
    assert not seen.private_seen


@pytest.mark.parametrize(
    ("key_type", "usage"),
    [
        (KeyType.ED25519, KeyUsage.DECRYPT),
        (KeyType.ED25519, KeyUsage.BOTH),
        (KeyType.X25519, KeyUsage.SIGN),
        (KeyType.X25519, KeyUsage.BOTH),
    ],
)
def test_what_a_key_cannot_do_is_refused(token: SoftToken, key_type: KeyType, usage: KeyUsage) -> None:
    with pytest.raises(UsageError, match=f"a key of type {key_type.value} can only be used with"):
        token.generate(key_type, usage)


def test_ids_are_free_ones_and_none_is_given_twice(softhsm: SoftHsm) -> None:
    token = softhsm.new_token("ids")
    with token.session(writable=True) as session:
        session.login("for a test")
        ids = [
            generate_key(session, KeyType.EC_P256, KeyUsage.SIGN, wanted, "").id
            for wanted in (None, b"\x02", None, b"\xca\xfe", None)
        ]
        with pytest.raises(UsageError, match="has a key with the id cafe"):
            generate_key(session, KeyType.EC_P256, KeyUsage.SIGN, b"\xca\xfe", "")
    assert ids == [b"\x01", b"\x02", b"\x03", b"\xca\xfe", b"\x04"]


# --- tokens and PINs ---


def blank() -> Any:  # noqa: ANN401 - a Token
    return next(one for one in Search(module=MODULE).tokens(uninitialized=True) if not one.info.initialized)


@pytest.mark.parametrize("label", ["x", "a" * 32, "\u00dcber uns; a=b/c?d&e#f%g", "  leading", "\u00e9" * 16])
def test_a_label_is_kept(softhsm: SoftHsm, label: str) -> None:
    softhsm.new_token(label, user_pin=False)
    assert [one.info.label for one in Search(label, MODULE).tokens()] == [label]


@pytest.mark.usefixtures("softhsm")
@pytest.mark.parametrize("label", ["", "a" * 33, "\u00e9" * 17])
def test_a_label_that_does_not_fit_is_refused(label: str) -> None:
    with pytest.raises(UsageError, match="1 to 32 octets"):
        init_token(blank(), label, Pin(SO_PIN.encode()))


@pytest.mark.usefixtures("softhsm")
def test_an_so_pin_that_is_too_short_is_refused() -> None:
    with pytest.raises(PinIncorrectError, match="does not accept this SO PIN"):
        init_token(blank(), "short", Pin(b"123"))


def test_a_token_in_use_is_not_initialised_with_another_so_pin(softhsm: SoftHsm) -> None:
    token = softhsm.new_token("mine")
    with pytest.raises(PinIncorrectError):
        init_token(Search(token.label, MODULE).one(), "yours", Pin(b"87654321"))
    assert Search("mine", MODULE).one().info.pin_initialized


def test_a_token_with_an_open_session_is_not_initialised(softhsm: SoftHsm) -> None:
    token = softhsm.new_token("busy")
    with token.session(), pytest.raises(TokenError, match="is in use"):
        init_token(Search(token.label, MODULE).one(), "free", Pin(SO_PIN.encode()))


def test_a_token_without_a_pin_says_so(softhsm: SoftHsm) -> None:
    token = softhsm.new_token("no pin", user_pin=False)
    with token.session() as session, pytest.raises(PinNotSetError, match="has no user PIN yet"):
        session.login("for a test")


def test_a_pin_is_changed(softhsm: SoftHsm) -> None:
    token = softhsm.new_token("change")
    with token.session(writable=True) as session:
        change_user_pin(session, Pin(PIN.encode()), Pin("n\u00fcr f\u00fcr mich".encode()))
    with token.session(KnownPin("n\u00fcr f\u00fcr mich")) as session:
        session.login("for a test")
    with token.session() as session, pytest.raises(PinIncorrectError):
        session.login("for a test")


def test_a_pin_is_not_changed_with_a_wrong_old_one(softhsm: SoftHsm) -> None:
    token = softhsm.new_token("keep")
    with token.session(writable=True) as session, pytest.raises(PinIncorrectError):
        change_user_pin(session, Pin(b"wrong-old"), Pin(b"new-pin"))
    with token.session() as session:
        session.login("for a test")


def test_the_security_officer_sets_a_new_pin(softhsm: SoftHsm) -> None:
    token = softhsm.new_token("forgotten")
    with token.session(writable=True) as session:
        set_user_pin(session, Pin(SO_PIN.encode()), Pin(b"another-pin"))
    with token.session(KnownPin("another-pin")) as session:
        session.login("for a test")


def test_a_wrong_so_pin_sets_nothing(softhsm: SoftHsm) -> None:
    token = softhsm.new_token("officer")
    with (
        token.session(writable=True) as session,
        pytest.raises(PinIncorrectError, match="wrong SO PIN for token 'officer'"),
    ):
        set_user_pin(session, Pin(b"00000000"), Pin(b"another-pin"))
    with token.session() as session:
        session.login("for a test")


@pytest.mark.parametrize("new", [b"12", b"x" * 256])
def test_a_new_pin_of_a_length_that_the_token_refuses_is_a_pin_error(softhsm: SoftHsm, new: bytes) -> None:
    token = softhsm.new_token(f"length {len(new)}")
    with token.session(writable=True) as session, pytest.raises(PinIncorrectError):
        set_user_pin(session, Pin(SO_PIN.encode()), Pin(new))


# --- certificates ---


def test_a_certificate_is_stored_beside_its_key(softhsm: SoftHsm, issuing_ca: Authority) -> None:
    token = softhsm.new_token("certificates")
    token.generate(KeyType.EC_P256, label="other")
    key = token.generate(KeyType.EC_P256, label="mine")
    assert key.public_key_info
    certificate = Certificate(issuing_ca.issue(load_der_public_key(key.public_key_info)).public_bytes(Encoding.DER))
    with token.session(writable=True) as session:
        session.login("for a test")
        stored = store_certificate(session, certificate, None)
        assert (stored.id, stored.label) == (key.id, "mine")
        (found,) = session.objects(ObjectClass.CERTIFICATE)
        assert found[Attribute.VALUE] == certificate.encoded
        assert found[Attribute.ID] == key.id
        assert found[Attribute.SUBJECT] == certificate.subject_encoded
        assert found[Attribute.ISSUER] == certificate.issuer_encoded
        assert not found[Attribute.PRIVATE]
        assert store_certificate(session, certificate, "again") == stored
        assert len(read_objects(session).certificates) == 1


def test_a_certificate_without_its_key_is_refused(softhsm: SoftHsm, issuing_ca: Authority) -> None:
    token = softhsm.new_token("strangers")
    stranger = issuing_ca.issue(ec.generate_private_key(ec.SECP256R1()).public_key())
    with token.session(writable=True) as session:
        session.login("for a test")
        with pytest.raises(NoKeyError, match="is the key of this certificate"):
            store_certificate(session, Certificate(stranger.public_bytes(Encoding.DER)), None)
        assert not read_objects(session).certificates


def test_a_session_for_reading_changes_nothing(softhsm: SoftHsm) -> None:
    token = softhsm.new_token("read only")
    with token.session() as session:
        session.login("for a test")
        with pytest.raises(TokenError):
            generate_key(session, KeyType.EC_P256, KeyUsage.SIGN, None, "")
