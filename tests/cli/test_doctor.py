"""``doctor``: what each key can do, and what keeps it from that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from smime_agent.algorithms import KeyType, KeyUsage
from tests.support.ca import Wanted
from tests.support.program import run

if TYPE_CHECKING:
    from tests.support.softhsm import SoftHsm, SoftToken


@pytest.fixture(scope="module")
def token(softhsm: SoftHsm, request: pytest.FixtureRequest) -> SoftToken:
    authority = request.getfixturevalue("issuing_ca")
    made = softhsm.new_token("examined")
    encrypting = Wanted(name="decrypts", key_encipherment=True, key_agreement=True)
    made.enrol(authority, KeyType.RSA_2048, encrypting, KeyUsage.DECRYPT)
    made.enrol(authority, KeyType.RSA_2048, Wanted(name="signs", key_encipherment=True), KeyUsage.SIGN)
    made.enrol(authority, KeyType.EC_P256, Wanted(name="agrees", key_agreement=True), KeyUsage.DECRYPT)
    return made


def lines_of(token: SoftToken, label: str) -> list[str]:
    """What stands below a key."""
    lines = run("doctor", "--token", token.label).out.decode().splitlines()
    start = next(number for number, line in enumerate(lines) if f"'{label}'" in line)
    below = lines[start + 1 :]
    return [line.strip() for line in below[: next((n for n, one in enumerate(below) if one[:6].strip()), len(below))]]


def test_a_key_tells_how_it_decrypts(token: SoftToken) -> None:
    assert lines_of(token, "decrypts") == [
        "not for signing",
        (
            "RSAES-PKCS1-v1_5: token: CKM_RSA_X_509; host: take off the padding (RSAES-PKCS1-v1_5) "
            "(the token is not to know whether the padding is right)"
        ),
        (
            "RSAES-OAEP with SHA-256, MGF1 with SHA-256: token: CKM_RSA_X_509; host: take off the padding "
            "(RSAES-OAEP) (the token does not do OAEP with these parameters)"
        ),
    ]


def test_a_key_on_a_curve_tells_how_it_agrees(token: SoftToken) -> None:
    assert lines_of(token, "agrees")[-1].startswith("ECDH: token: CKM_ECDH1_DERIVE; host: derive")


def test_a_certificate_that_others_encrypt_to_in_vain_is_told(token: SoftToken) -> None:
    assert lines_of(token, "signs")[-2:] == [
        "not for decrypting",
        "but: its certificate is for encrypting too, and the key is not for decrypting",
    ]
