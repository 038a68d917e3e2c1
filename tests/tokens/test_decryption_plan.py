"""Which mechanism a token runs and what is left for the host."""

from __future__ import annotations

import pytest
from pkcs11 import Mechanism

from smime_agent.accepted import HashFunction
from smime_agent.algorithms import Curve, KeyAlgorithm, KeyKind
from smime_agent.cms.key_transport import OaepParameters
from smime_agent.errors import MechanismError
from smime_agent.tokens.decryption_plan import plan_decryption
from smime_agent.tokens.mechanisms import Quirks, quirks_of

RSA = KeyAlgorithm(KeyKind.RSA, 2048)
P256 = KeyAlgorithm(KeyKind.EC, 256, Curve.P256)
X25519 = KeyAlgorithm(KeyKind.X25519, 256)
EVERYTHING = set(Mechanism)
SHA1 = OaepParameters(HashFunction.SHA1, HashFunction.SHA1, b"")
SHA256 = OaepParameters(HashFunction.SHA256, HashFunction.SHA256, b"")
NO_QUIRKS = Quirks()
SOFTHSM = quirks_of("Implementation of PKCS11")


def explained(
    key: KeyAlgorithm, mechanisms: set[Mechanism], quirks: Quirks = NO_QUIRKS, oaep: OaepParameters | None = None
) -> list[str]:
    return [plan.explain() for plan in plan_decryption(key, mechanisms, quirks, oaep)]


def test_the_host_takes_the_padding_off_where_the_token_has_raw_rsa() -> None:
    assert explained(RSA, EVERYTHING) == [
        (
            "RSAES-PKCS1-v1_5: token: CKM_RSA_X_509; host: take off the padding (RSAES-PKCS1-v1_5) "
            "(the token is not to know whether the padding is right)"
        ),
        "RSAES-PKCS1-v1_5: token: CKM_RSA_PKCS; host: nothing (the token lists no raw RSA)",
    ]
    assert explained(RSA, {Mechanism.RSA_PKCS}) == explained(RSA, EVERYTHING)[1:]


def test_a_token_that_hides_a_wrong_padding_takes_it_off() -> None:
    plans = explained(RSA, EVERYTHING, quirks_of("NSS Internal Crypto Services"))
    assert plans[0] == "RSAES-PKCS1-v1_5: token: CKM_RSA_PKCS; host: nothing (it hides a wrong padding)"
    assert len(plans) == 2


def test_oaep_is_for_the_token_and_then_for_the_host() -> None:
    assert explained(RSA, EVERYTHING, oaep=SHA256) == [
        "RSAES-OAEP with SHA-256, MGF1 with SHA-256: token: CKM_RSA_PKCS_OAEP; host: nothing (the token does it all)",
        (
            "RSAES-OAEP with SHA-256, MGF1 with SHA-256: token: CKM_RSA_X_509; host: take off the padding (RSAES-OAEP) "
            "(the token lists no OAEP of its own)"
        ),
    ]


@pytest.mark.parametrize(
    "oaep",
    [
        SHA256,
        OaepParameters(HashFunction.SHA1, HashFunction.SHA256, b""),
        OaepParameters(HashFunction.SHA256, HashFunction.SHA1, b""),
        OaepParameters(HashFunction.SHA1, HashFunction.SHA1, b"label"),
    ],
)
def test_softhsm_does_oaep_with_sha1_and_no_label_alone(oaep: OaepParameters) -> None:
    assert plan_decryption(RSA, EVERYTHING, SOFTHSM, SHA1)[0].mechanism is Mechanism.RSA_PKCS_OAEP
    (only,) = plan_decryption(RSA, EVERYTHING, SOFTHSM, oaep)
    assert only.mechanism is Mechanism.RSA_X_509
    assert "the token does not do OAEP with these parameters" in only.explain()


def test_a_label_is_mentioned_and_not_shown() -> None:
    oaep = OaepParameters(HashFunction.SHA1, HashFunction.SHA1, b"\x1b[2J")
    assert all("MGF1 with SHA-1 and a label: " in line for line in explained(RSA, EVERYTHING, oaep=oaep))


@pytest.mark.parametrize("function", [HashFunction.MD5, HashFunction.SHA512_256, HashFunction.SHAKE256])
def test_what_pkcs11_has_no_number_for_is_for_the_host(function: HashFunction) -> None:
    (only,) = plan_decryption(RSA, EVERYTHING, oaep=OaepParameters(function, HashFunction.SHA1, b""))
    assert only.mechanism is Mechanism.RSA_X_509


def test_keys_are_derived_on_the_host() -> None:
    host = "host: derive the key-encryption key and unwrap"
    why = "(tokens differ in key derivation, and agree in this)"
    assert explained(P256, EVERYTHING)[0] == f"ECDH: token: CKM_ECDH1_DERIVE; {host} {why}"
    assert explained(X25519, EVERYTHING) == [f"X25519: token: CKM_ECDH1_DERIVE; {host} {why}"]


def test_a_token_may_have_the_cofactor_mechanism_alone() -> None:
    (only,) = plan_decryption(P256, {Mechanism.ECDH1_COFACTOR_DERIVE})
    assert only.mechanism is Mechanism.ECDH1_COFACTOR_DERIVE
    with pytest.raises(MechanismError, match=r"cannot decrypt by X25519: it lists no CKM_ECDH1_DERIVE$"):
        plan_decryption(X25519, {Mechanism.ECDH1_COFACTOR_DERIVE})


def test_a_token_that_lists_nothing_fitting_is_said_to() -> None:
    with pytest.raises(MechanismError, match="RSAES-OAEP: it lists no CKM_RSA_PKCS_OAEP or CKM_RSA_X_509"):
        plan_decryption(RSA, {Mechanism.RSA_PKCS}, oaep=SHA256)


def test_a_key_that_only_signs_does_not_decrypt() -> None:
    with pytest.raises(MechanismError, match="a key of type Ed25519 cannot decrypt"):
        plan_decryption(KeyAlgorithm(KeyKind.ED25519, 256), EVERYTHING)
