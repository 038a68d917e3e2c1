"""Signatures, checked: what must be refused, by its code, and what must not."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, mldsa, rsa

from smime_agent import der
from smime_agent.accepted import HashFunction, SignatureFamily
from smime_agent.cms import digest_content, oids
from smime_agent.cms.signature_algorithm import SignatureAlgorithm
from smime_agent.verdict import Code, UntrustworthyError
from tests.cms import forge as forging
from tests.cms.forge import (
    CONTENT,
    SHA1,
    SHA256,
    Forge,
    attribute,
    certified,
    content_type,
    ess_certificate,
    issuer_serial,
    message_digest,
    pss_parameters,
    read,
    signing_time,
)

if TYPE_CHECKING:
    from smime_agent.x509 import Certificate
    from tests.support.ca import Authority

H = HashFunction
RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
NULL = der.NULL
CMS_SIGNATURE = 0xA1


@pytest.fixture(scope="module")
def rsa_signer(issuing_ca: Authority) -> Forge:
    return forging.rsa_forge(issuing_ca, RSA_KEY)


@pytest.fixture(scope="module")
def ed25519_signer(issuing_ca: Authority) -> Forge:
    return forging.pure_forge(issuing_ca, ed25519.Ed25519PrivateKey.generate(), "1.3.101.112", H.SHA512)


def refused(forge: Forge, certificate: Certificate | None = None) -> Code:
    with pytest.raises(UntrustworthyError) as caught:
        forge.check(certificate)
    return caught.value.reason.code


# --- what is accepted ---


@pytest.mark.parametrize("function", [H.SHA224, H.SHA256, H.SHA384, H.SHA512, H.SHA512_256, H.SHA3_256, H.SHA3_512])
def test_rsa_named_by_its_key(issuing_ca: Authority, function: HashFunction) -> None:
    checked = forging.rsa_forge(issuing_ca, RSA_KEY, function).check()
    assert checked.algorithm == f"RSASSA-PKCS1-v1_5 with {function}"
    assert (checked.digest, checked.weaknesses, checked.claimed_at) == (str(function), (), forging.AT)


@pytest.mark.parametrize("last", ["11", "1"])
def test_rsa_named_with_its_hash_function(rsa_signer: Forge, last: str) -> None:
    for parameters in (NULL, b""):
        named = rsa_signer.but(signature_algorithm=der.algorithm(f"1.2.840.113549.1.1.{last}", parameters))
        assert named.check().algorithm == "RSASSA-PKCS1-v1_5 with SHA-256"


@pytest.mark.parametrize("function", [H.MD5, H.SHA1])
def test_a_weak_hash_function_is_said_to_be(issuing_ca: Authority, function: HashFunction) -> None:
    checked = forging.rsa_forge(issuing_ca, RSA_KEY, function).check()
    assert [reason.code for reason in checked.weaknesses] == [Code.WEAK_DIGEST]


def pss(digest: HashFunction, mask: HashFunction, salt: int) -> SignatureAlgorithm:
    return SignatureAlgorithm(SignatureFamily.RSASSA_PSS, digest, mask, salt)


@pytest.mark.parametrize(
    ("digest", "mask", "salt", "weak"),
    [
        (H.SHA256, H.SHA256, 32, False),
        (H.SHA256, H.SHA256, 0, False),
        (H.SHA256, H.SHA256, 222, False),
        (H.SHA384, H.SHA256, 20, False),
        (H.SHA512, H.SHA3_256, 64, False),
        (H.SHA256, H.SHA1, 32, True),
        (H.SHA1, H.SHA1, 20, True),
    ],
)
def test_pss_with_any_parameters(
    issuing_ca: Authority, digest: HashFunction, mask: HashFunction, salt: int, *, weak: bool
) -> None:
    signer = forging.pss_forge(issuing_ca, RSA_KEY, pss(digest, mask, salt), pss_parameters(digest, mask, salt))
    checked = signer.check()
    assert checked.algorithm == f"RSASSA-PSS with {digest}"
    assert [reason.code for reason in checked.weaknesses] == [Code.WEAK_DIGEST] * weak


def test_pss_without_parameters_of_its_own_is_sha_1(issuing_ca: Authority) -> None:
    signer = forging.pss_forge(issuing_ca, RSA_KEY, pss(H.SHA1, H.SHA1, 20), der.sequence())
    assert signer.check().algorithm == "RSASSA-PSS with SHA-1"


@pytest.mark.parametrize(
    ("curve", "oid", "function"),
    [
        (ec.SECP256R1(), "1.2.840.10045.4.3.2", H.SHA256),
        (ec.SECP256R1(), "1.2.840.10045.4.3.4", H.SHA512),
        (ec.SECP256R1(), "1.2.840.10045.4.3.1", H.SHA224),
        (ec.SECP384R1(), "1.2.840.10045.4.3.3", H.SHA384),
        (ec.SECP521R1(), "1.2.840.10045.4.3.4", H.SHA512),
        (ec.SECP521R1(), "1.2.840.10045.2.1", H.SHA512),
        (ec.SECP256R1(), "2.16.840.1.101.3.4.3.10", H.SHA3_256),
        (ec.BrainpoolP256R1(), "1.2.840.10045.4.3.2", H.SHA256),
        (ec.BrainpoolP384R1(), "1.2.840.10045.4.3.3", H.SHA384),
        (ec.BrainpoolP512R1(), "1.2.840.10045.4.3.4", H.SHA512),
    ],
    ids=str,
)
def test_ecdsa(issuing_ca: Authority, curve: ec.EllipticCurve, oid: str, function: HashFunction) -> None:
    checked = forging.ec_forge(issuing_ca, ec.generate_private_key(curve), oid, function).check()
    assert (checked.algorithm, checked.weaknesses) == (f"ECDSA with {function}", ())


@pytest.mark.parametrize(
    ("oid", "function", "weak"),
    [
        ("1.2.840.10040.4.3", H.SHA1, True),
        ("1.2.840.10040.4.1", H.SHA256, False),
        ("2.16.840.1.101.3.4.3.1", H.SHA224, False),
        ("2.16.840.1.101.3.4.3.2", H.SHA256, False),
    ],
)
def test_dsa_is_checked(issuing_ca: Authority, oid: str, function: HashFunction, *, weak: bool) -> None:
    checked = forging.dsa_forge(issuing_ca, dsa.generate_private_key(2048), oid, function).check()
    assert checked.algorithm == f"DSA with {function}"
    assert [one.code for one in checked.weaknesses] == [Code.WEAK_DIGEST] * weak


SHAKE256_LEN = der.algorithm("2.16.840.1.101.3.4.2.18", der.integer(512))
PURE = [
    (ed25519.Ed25519PrivateKey, "1.3.101.112", H.SHA512, b"", "Ed25519"),
    (ed448.Ed448PrivateKey, "1.3.101.113", H.SHAKE256, b"", "Ed448"),
    (ed448.Ed448PrivateKey, "1.3.101.113", H.SHAKE256, SHAKE256_LEN, "Ed448"),
    (mldsa.MLDSA44PrivateKey, "2.16.840.1.101.3.4.3.17", H.SHA256, b"", "ML-DSA-44"),
    (mldsa.MLDSA65PrivateKey, "2.16.840.1.101.3.4.3.18", H.SHA512, b"", "ML-DSA-65"),
    (mldsa.MLDSA87PrivateKey, "2.16.840.1.101.3.4.3.19", H.SHAKE256, b"", "ML-DSA-87"),
]


@pytest.mark.parametrize(("key", "oid", "function", "digest_algorithm", "name"), PURE)
def test_algorithms_that_sign_octets(  # noqa: PLR0913, PLR0917 - columns
    issuing_ca: Authority, key: type, oid: str, function: HashFunction, digest_algorithm: bytes, name: str
) -> None:
    signer = forging.pure_forge(issuing_ca, key.generate(), oid, function, digest_algorithm)  # type: ignore[attr-defined]  # all have it
    assert signer.check().algorithm == f"{name} with {function}"
    bare = signer.bare().but(digest_algorithm=der.algorithm("1.2.3"))  # RFC 9882, 3.3: it means nothing
    assert (bare.check().algorithm, bare.check().digest, bare.check().claimed_at) == (name, "", None)
    assert refused(signer.but(sign=lambda octets: signer.sign(octets + b"!"))) is Code.SIGNATURE_MISMATCH
    assert refused(signer.bare().but(sign=lambda octets: signer.sign(octets + b"!"))) is Code.SIGNATURE_MISMATCH


def test_a_signer_named_by_its_key(rsa_signer: Forge) -> None:
    assert rsa_signer.but(has_key_identifier=True).check().digest == "SHA-256"


def test_without_attributes_the_content_itself_is_signed(rsa_signer: Forge) -> None:
    checked = rsa_signer.bare().check()
    assert (checked.claimed_at, checked.digest) == (None, "SHA-256")


def test_attributes_may_be_signed_unsorted(rsa_signer: Forge) -> None:
    attributes = tuple(sorted(rsa_signer.attributes or (), reverse=True))
    assert rsa_signer.but(attributes=attributes, sort=False).check().claimed_at == forging.AT


def test_attributes_may_travel_in_another_order_than_they_were_signed_in(rsa_signer: Forge) -> None:
    octets = rsa_signer.encode()
    in_order = b"".join(sorted(rsa_signer.attributes or ()))
    turned = octets.replace(in_order, b"".join(sorted(rsa_signer.attributes or (), reverse=True)))
    assert turned != octets
    assert forging.check(turned, rsa_signer.certificate).claimed_at == forging.AT


def test_unknown_attributes_are_named(rsa_signer: Forge) -> None:
    unknown = (attribute("1.2.3.4", NULL), attribute("1.2.3.4", NULL, NULL), attribute("1.2.3.5"))
    signer = rsa_signer.usual(*unknown).but(unsigned=der.context(1, attribute("1.2.3.6", NULL)))
    assert set(signer.check().unknown) == {"1.2.3.4", "1.2.3.5", "1.2.3.6"}


def test_countersignatures_are_counted(rsa_signer: Forge) -> None:
    countersigned = der.context(1, attribute(oids.COUNTERSIGNATURE, NULL, NULL), attribute(oids.COUNTERSIGNATURE, NULL))
    assert rsa_signer.but(unsigned=countersigned).check().countersignatures == 3


def test_a_wish_for_a_receipt_is_seen(rsa_signer: Forge) -> None:
    assert rsa_signer.usual(attribute(oids.RECEIPT_REQUEST, der.sequence())).check().receipt_request
    assert not rsa_signer.check().receipt_request


# --- the content and the signature ---


def test_another_content_is_told(rsa_signer: Forge) -> None:
    with pytest.raises(UntrustworthyError) as caught:
        forging.check(rsa_signer.encode(), rsa_signer.certificate, CONTENT + b"!")
    assert caught.value.reason.code is Code.DIGEST_MISMATCH


def test_another_content_without_attributes_is_told(rsa_signer: Forge) -> None:
    with pytest.raises(UntrustworthyError) as caught:
        forging.check(rsa_signer.bare().encode(), rsa_signer.certificate, CONTENT + b"!")
    assert caught.value.reason.code is Code.SIGNATURE_MISMATCH


def test_another_key_is_told(rsa_signer: Forge, issuing_ca: Authority) -> None:
    other = certified(issuing_ca, rsa.generate_private_key(65537, 2048).public_key())
    assert refused(rsa_signer, other) is Code.SIGNATURE_MISMATCH


@pytest.mark.parametrize("signature", [b"", b"\0", bytes(256), bytes(255), bytes(257), b"\xff" * 256])
def test_a_signature_that_is_none_is_told(rsa_signer: Forge, signature: bytes) -> None:
    assert refused(rsa_signer.but(sign=lambda _: signature)) is Code.SIGNATURE_MISMATCH


@pytest.mark.parametrize("signature", [b"", b"\0", der.sequence(der.integer(0), der.integer(0)), b"\x30\x80\0\0"])
def test_an_ecdsa_signature_that_is_none_is_told(issuing_ca: Authority, signature: bytes) -> None:
    signer = forging.ec_forge(issuing_ca, EC_KEY, "1.2.840.10045.4.3.2", H.SHA256)
    assert refused(signer.but(sign=lambda _: signature)) is Code.SIGNATURE_MISMATCH


def test_changed_attributes_are_told(rsa_signer: Forge) -> None:
    octets = rsa_signer.encode().replace(b"260517123001Z", b"260517123002Z")
    with pytest.raises(UntrustworthyError) as caught:
        forging.check(octets, rsa_signer.certificate)
    assert caught.value.reason.code is Code.SIGNATURE_MISMATCH


def test_attributes_are_no_content(rsa_signer: Forge) -> None:
    """The signature over attributes would be valid over a content of the same octets."""
    taken = rsa_signer.bare().but(content=der.set_of(rsa_signer.attributes or ()))
    assert refused(taken) is Code.MISSING_ATTRIBUTE


def test_a_content_that_begins_like_attributes_is_one(rsa_signer: Forge) -> None:
    for content in (b"1234\r\n", b"1", b"1\x85", der.tlv(der.SET, b"") + b"\n"):
        assert rsa_signer.bare().but(content=content).check().digest == "SHA-256"


def test_a_content_that_is_not_at_hand_is_told(ed25519_signer: Forge) -> None:
    from smime_agent.cms import check_signature

    signed_data = read(ed25519_signer.bare().encode())
    digests = digest_content([CONTENT], signed_data.digest_algorithms)
    with pytest.raises(UntrustworthyError) as caught:
        check_signature(signed_data, signed_data.signer_infos[0], digests, ed25519_signer.certificate)
    assert caught.value.reason.code is Code.UNSUPPORTED_ALGORITHM


# --- attributes ---


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ((), Code.MALFORMED_CMS),
        ((content_type(),), Code.MISSING_ATTRIBUTE),
        ((message_digest(H.SHA256.of(CONTENT)),), Code.MISSING_ATTRIBUTE),
        ((content_type(), message_digest(b"")), Code.DIGEST_MISMATCH),
        ((content_type(), message_digest(H.SHA256.of(CONTENT)[:-1])), Code.DIGEST_MISMATCH),
        ((content_type("1.2.840.113549.1.9.16.1.4"), message_digest(H.SHA256.of(CONTENT))), Code.CONTENT_TYPE_MISMATCH),
        ((attribute(oids.CONTENT_TYPE), message_digest(b"")), Code.MISSING_ATTRIBUTE),
        ((content_type(), attribute(oids.MESSAGE_DIGEST)), Code.MISSING_ATTRIBUTE),
        ((attribute(oids.CONTENT_TYPE, NULL), message_digest(b"")), Code.MALFORMED_CMS),
        ((content_type(), attribute(oids.MESSAGE_DIGEST, NULL)), Code.MALFORMED_CMS),
        ((content_type(), content_type(), message_digest(b"")), Code.DUPLICATE_ATTRIBUTE),
        ((content_type(), message_digest(b"a"), message_digest(b"b")), Code.DUPLICATE_ATTRIBUTE),
        ((content_type(), attribute(oids.MESSAGE_DIGEST, b"\x04\x00", b"\x04\x00")), Code.DUPLICATE_ATTRIBUTE),
    ],
    ids=str,
)
def test_attributes_that_are_required(rsa_signer: Forge, attributes: tuple[bytes, ...], code: Code) -> None:
    assert refused(rsa_signer.but(attributes=attributes)) is code


@pytest.mark.parametrize(
    "oid",
    [
        oids.SIGNING_TIME, oids.CMS_ALGORITHM_PROTECTION, oids.SIGNING_CERTIFICATE, oids.SIGNING_CERTIFICATE_V2,
        oids.SMIME_CAPABILITIES, oids.RECEIPT_REQUEST, oids.ENCRYPTION_KEY_PREFERENCE, oids.SECURITY_LABEL,
    ],
)  # fmt: skip
def test_attributes_that_may_stand_once(rsa_signer: Forge, oid: str) -> None:
    for twice in ((attribute(oid, NULL), attribute(oid, NULL)), (attribute(oid, NULL, der.sequence()),)):
        assert refused(rsa_signer.usual(*twice)) is Code.DUPLICATE_ATTRIBUTE


def test_another_content_type_has_to_be_signed_with_attributes(rsa_signer: Forge) -> None:  # RFC 5652, 5.3
    receipt = rsa_signer.but(content_type="1.2.840.113549.1.9.16.1.1")
    assert refused(receipt.bare()) is Code.MISSING_ATTRIBUTE
    assert refused(receipt) is Code.CONTENT_TYPE_MISMATCH
    assert receipt.usual().check().digest == "SHA-256"


def test_the_structure_is_looked_at_before_the_content_and_that_before_the_signature(rsa_signer: Forge) -> None:
    broken = rsa_signer.but(sign=lambda _: b"")
    assert (
        refused(broken.but(attributes=(content_type(), message_digest(b""), content_type())))
        is Code.DUPLICATE_ATTRIBUTE
    )
    assert refused(broken.but(attributes=(content_type(), message_digest(b"")))) is Code.DIGEST_MISMATCH
    assert refused(broken) is Code.SIGNATURE_MISMATCH


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (der.tlv(0x17, b"491231235959Z"), datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (der.tlv(0x17, b"500101000000Z"), datetime(1950, 1, 1, tzinfo=UTC)),
        (der.tlv(0x18, b"20500101000000Z"), datetime(2050, 1, 1, tzinfo=UTC)),
        (der.tlv(0x18, b"20260517123001Z"), forging.AT),
        (forging.indefinite(0x37, der.tlv(0x17, b"2605171230"), der.octet_string(b"01Z")), forging.AT),
    ],
)
def test_times(rsa_signer: Forge, value: bytes, moment: datetime) -> None:
    usual = rsa_signer.attributes or ()
    signer = rsa_signer.but(attributes=(*usual[:2], signing_time(value)))
    if value[0] == 0x37:  # what is signed is the DER
        with pytest.raises(UntrustworthyError):
            signer.check()
        return
    assert signer.check().claimed_at == moment


@pytest.mark.parametrize(
    "value",
    [
        der.tlv(0x17, b"2605171230Z"),
        der.tlv(0x17, b"260517123001+0000"),
        der.tlv(0x17, b"260230123001Z"),
        der.tlv(0x17, b"261317123001Z"),
        der.tlv(0x17, b"260517246001Z"),
        der.tlv(0x17, b"260517123060Z"),
        der.tlv(0x17, b"20260517123001Z"),
        der.tlv(0x17, b""),
        der.tlv(0x17, b" 60517123001Z"),
        der.tlv(0x17, b"260517123001Z\n"),
        der.tlv(0x18, b"260517123001Z"),
        der.tlv(0x18, b"20260517123001.5Z"),
        der.tlv(0x18, b"00000517123001Z"),
        der.utf8_string("260517123001Z"),
        der.integer(5),
    ],
)
def test_a_time_that_is_none_is_refused(rsa_signer: Forge, value: bytes) -> None:
    usual = rsa_signer.attributes or ()
    assert refused(rsa_signer.but(attributes=(*usual[:2], signing_time(value)))) is Code.MALFORMED_CMS


# --- algorithms ---


RSA_NULL = der.algorithm("1.2.840.113549.1.1.1", NULL)


def protection(digest: bytes, signature: bytes) -> bytes:
    return attribute(oids.CMS_ALGORITHM_PROTECTION, der.sequence(digest, bytes((CMS_SIGNATURE,)) + signature[1:]))


@pytest.mark.parametrize(
    ("digest", "signature"),
    [
        (SHA256, RSA_NULL),
        (der.algorithm(H.SHA256.oid, NULL), RSA_NULL),
        (SHA256, der.algorithm("1.2.840.113549.1.1.1")),
    ],
)
def test_algorithms_may_be_protected(rsa_signer: Forge, digest: bytes, signature: bytes) -> None:  # RFC 6211, 3
    assert rsa_signer.usual(protection(digest, signature)).check().unknown == ()


def test_a_default_of_pss_is_the_same_as_nothing(issuing_ca: Authority) -> None:  # RFC 6211, 3
    signer = forging.pss_forge(issuing_ca, RSA_KEY, pss(H.SHA1, H.SHA1, 20), der.sequence())
    full = der.algorithm("1.2.840.113549.1.1.10", pss_parameters(H.SHA1, H.SHA1, 20))
    assert signer.usual(protection(SHA1, full)).check().digest == "SHA-1"


@pytest.mark.parametrize(
    ("attribute_", "code"),
    [
        (protection(SHA1, RSA_NULL), Code.ALGORITHM_MISMATCH),
        (protection(SHA256, der.algorithm("1.2.840.113549.1.1.11", NULL)), Code.ALGORITHM_MISMATCH),
        (attribute(oids.CMS_ALGORITHM_PROTECTION, der.sequence(SHA256)), Code.MALFORMED_CMS),
        (attribute(oids.CMS_ALGORITHM_PROTECTION, der.sequence(SHA256, RSA_NULL)), Code.MALFORMED_CMS),
        (attribute(oids.CMS_ALGORITHM_PROTECTION, NULL), Code.MALFORMED_CMS),
    ],
)
def test_algorithms_that_were_exchanged_are_told(rsa_signer: Forge, attribute_: bytes, code: Code) -> None:
    assert refused(rsa_signer.usual(attribute_)) is code


def test_one_hash_function_for_content_and_attributes(rsa_signer: Forge, issuing_ca: Authority) -> None:  # RFC 8933, 3
    other = rsa_signer.but(digest_algorithm=SHA1, digest=H.SHA1).usual()
    assert (
        refused(other.but(signature_algorithm=der.algorithm("1.2.840.113549.1.1.11", NULL))) is Code.ALGORITHM_MISMATCH
    )
    signer = forging.pss_forge(issuing_ca, RSA_KEY, pss(H.SHA256, H.SHA256, 32), pss_parameters(H.SHA256, H.SHA256, 32))
    assert refused(signer.but(digest_algorithm=SHA1, digest=H.SHA1).usual()) is Code.ALGORITHM_MISMATCH
    ecdsa = forging.ec_forge(issuing_ca, EC_KEY, "1.2.840.10045.4.3.3", H.SHA256)
    assert refused(ecdsa) is Code.ALGORITHM_MISMATCH


@pytest.mark.parametrize(
    ("key", "oid", "function"),
    [
        (ed25519.Ed25519PrivateKey, "1.3.101.112", H.SHA256),
        (ed448.Ed448PrivateKey, "1.3.101.113", H.SHA512),
        (mldsa.MLDSA65PrivateKey, "2.16.840.1.101.3.4.3.18", H.SHA256),
        (mldsa.MLDSA87PrivateKey, "2.16.840.1.101.3.4.3.19", H.SHA384),
    ],
)
def test_a_digest_weaker_than_the_signature_is_refused(
    issuing_ca: Authority, key: type, oid: str, function: HashFunction
) -> None:  # RFC 8419, 3.1; RFC 9882, 3.3
    signer = forging.pure_forge(issuing_ca, key.generate(), oid, function)  # type: ignore[attr-defined]  # all have it
    assert refused(signer) is Code.ALGORITHM_MISMATCH


@pytest.mark.parametrize(
    ("algorithm", "code"),
    [
        (der.algorithm("1.2.840.113549.1.1.2", NULL), Code.UNSUPPORTED_ALGORITHM),  # MD2
        (der.algorithm("1.3.36.3.3.1.2", NULL), Code.UNSUPPORTED_ALGORITHM),  # RIPEMD-160
        (der.algorithm("2.16.840.1.101.3.4.3.32"), Code.UNSUPPORTED_ALGORITHM),  # HashML-DSA-44
        (der.algorithm("1.2.840.113549.1.1.10"), Code.MALFORMED_CMS),  # RSASSA-PSS without parameters
        (der.algorithm("1.2.840.113549.1.1.10", NULL), Code.MALFORMED_CMS),
        (der.algorithm("1.2.840.113549.1.1.10", der.sequence(NULL)), Code.MALFORMED_CMS),
        (der.algorithm("1.3.101.112", NULL), Code.MALFORMED_CMS),
        (der.algorithm("1.3.101.112"), Code.ALGORITHM_MISMATCH),  # the key is another
        (der.algorithm("1.2.840.10045.4.3.2"), Code.ALGORITHM_MISMATCH),
    ],
)
def test_signature_algorithms_that_do_not_fit(rsa_signer: Forge, algorithm: bytes, code: Code) -> None:
    assert refused(rsa_signer.but(signature_algorithm=algorithm)) is code


def mgf1(parameters: bytes) -> bytes:
    return der.context(1, der.algorithm("1.2.840.113549.1.1.8", parameters))


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        (der.context(0, SHA256) * 2, Code.MALFORMED_CMS),
        (der.context(1, SHA256) + der.context(0, SHA256), Code.MALFORMED_CMS),
        (der.context(4, NULL), Code.MALFORMED_CMS),
        (der.context(0), Code.MALFORMED_CMS),
        (der.context(2, NULL), Code.MALFORMED_CMS),
        (der.context(2, der.integer(-1)), Code.MALFORMED_CMS),
        (der.context(2, der.integer(100_000)), Code.LIMIT_EXCEEDED),
        (der.context(2, der.integer(1 << 600)), Code.LIMIT_EXCEEDED),
        (der.context(3, der.integer(2)), Code.UNSUPPORTED_ALGORITHM),
        (der.context(1, SHA256), Code.UNSUPPORTED_ALGORITHM),
        (mgf1(b""), Code.UNSUPPORTED_ALGORITHM),
        (mgf1(der.algorithm("1.2.840.113549.2.2")), Code.UNSUPPORTED_ALGORITHM),
        (der.context(0, der.algorithm("1.2.3")), Code.UNSUPPORTED_ALGORITHM),
    ],
)
def test_pss_parameters_that_are_none(rsa_signer: Forge, parameters: bytes, code: Code) -> None:
    algorithm = der.algorithm("1.2.840.113549.1.1.10", der.sequence(parameters))
    assert refused(rsa_signer.but(signature_algorithm=algorithm)) is code


def test_a_digest_algorithm_that_is_not_known_is_told(rsa_signer: Forge) -> None:
    for digest in (der.algorithm("1.2.840.113549.2.2"), der.algorithm(H.SHA256.oid, der.integer(1))):
        assert refused(rsa_signer.but(digest_algorithm=digest)) is Code.UNSUPPORTED_ALGORITHM


# --- keys ---


def with_key(certificate: Certificate, encoded: bytes) -> Certificate:
    """The same certificate with another SubjectPublicKeyInfo; its own signature is nobody's concern here."""
    changed = type(certificate)(certificate.encoded)
    changed.public_key_info = encoded
    return changed


def spki(algorithm: bytes, key: bytes) -> bytes:
    return der.sequence(algorithm, der.tlv(0x03, b"\0" + key))


def rsa_spki(modulus: int, exponent: int, algorithm: bytes = RSA_NULL) -> bytes:
    return spki(algorithm, der.sequence(der.integer(modulus), der.integer(exponent)))


NUMBERS = RSA_KEY.public_key().public_numbers()


@pytest.mark.parametrize(
    "key",
    [
        rsa_spki(NUMBERS.n | 1 << 20_000, 65537),
        rsa_spki(NUMBERS.n, 1 << 300 | 1),
        rsa_spki(NUMBERS.n, 1),
        rsa_spki(NUMBERS.n, 2),
        rsa_spki(0, 65537),
        rsa_spki(-5, 65537),
        spki(RSA_NULL, NULL),
        spki(RSA_NULL, b""),
        spki(RSA_NULL, bytes(70_000)),
        spki(der.algorithm("1.2.840.10045.2.1"), b"\4" + bytes(64)),
        spki(
            der.algorithm("1.2.840.10045.2.1", der.sequence(der.integer(1))), b"\4" + bytes(64)
        ),  # a curve of one's own
        spki(der.algorithm("1.2.840.10045.2.1", der.object_identifier("1.2.840.10045.3.1.7")), b"\4" + bytes(64)),
        spki(der.algorithm("1.2.840.10045.2.1", der.object_identifier("1.2.3")), b"\4" + bytes(64)),
        spki(der.algorithm("1.2.840.10040.4.1"), der.integer(5)),  # inherited parameters
        spki(der.algorithm("1.3.101.112"), bytes(31)),
        spki(der.algorithm("1.2.3"), b"key"),
        der.sequence(),
    ],
)
def test_a_key_that_cannot_be_used_is_told(rsa_signer: Forge, key: bytes) -> None:
    with pytest.raises(UntrustworthyError) as caught:
        rsa_signer.check(with_key(rsa_signer.certificate, key))
    assert caught.value.reason.code in {Code.UNSUPPORTED_ALGORITHM, Code.MALFORMED_CMS, Code.LIMIT_EXCEEDED}


def test_explicit_parameters_of_a_known_curve_are_refused_too(issuing_ca: Authority) -> None:  # CVE-2020-0601
    from asn1crypto.keys import ECDomainParameters

    signer = forging.ec_forge(issuing_ca, EC_KEY, "1.2.840.10045.4.3.2", H.SHA256)
    prime = 2**256 - 2**224 + 2**192 + 2**96 - 1
    specified = ECDomainParameters(
        name="specified",
        value={
            "version": "ecdpVer1",
            "field_id": {"field_type": "prime_field", "parameters": prime},
            "curve": {"a": (prime - 3).to_bytes(32), "b": P256_B.to_bytes(32)},
            "base": b"\4" + P256_G,
            "order": P256_ORDER,
            "cofactor": 1,
        },
    ).dump()
    numbers = EC_KEY.public_key().public_numbers()
    point = b"\4" + numbers.x.to_bytes(32) + numbers.y.to_bytes(32)
    key = spki(der.algorithm("1.2.840.10045.2.1", specified), point)
    assert refused(signer, with_key(signer.certificate, key)) is Code.UNSUPPORTED_ALGORITHM


P256_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
P256_G = bytes.fromhex(
    "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.mark.parametrize(
    ("restriction", "code"),
    [
        (b"", None),
        (pss_parameters(H.SHA256, H.SHA256, 32), None),
        (pss_parameters(H.SHA256, H.SHA256, 20), None),
        (pss_parameters(H.SHA256, H.SHA256, 33), Code.ALGORITHM_MISMATCH),
        (pss_parameters(H.SHA256, H.SHA1, 32), Code.ALGORITHM_MISMATCH),
        (pss_parameters(H.SHA384, H.SHA256, 32), Code.ALGORITHM_MISMATCH),
    ],
)
def test_a_key_for_pss_alone(issuing_ca: Authority, restriction: bytes, code: Code | None) -> None:  # RFC 4056, 3
    key = rsa_spki(NUMBERS.n, NUMBERS.e, der.algorithm("1.2.840.113549.1.1.10", restriction))
    signer = forging.pss_forge(issuing_ca, RSA_KEY, pss(H.SHA256, H.SHA256, 32), pss_parameters(H.SHA256, H.SHA256, 32))
    certificate = with_key(signer.certificate, key)
    if code is None:
        assert signer.check(certificate).digest == "SHA-256"
    else:
        assert refused(signer, certificate) is code
    assert refused(forging.rsa_forge(issuing_ca, RSA_KEY), certificate) is Code.ALGORITHM_MISMATCH


# --- the certificate that the signer meant ---


def v1(value: bytes) -> bytes:
    return attribute(oids.SIGNING_CERTIFICATE, value)


def v2(value: bytes) -> bytes:
    return attribute(oids.SIGNING_CERTIFICATE_V2, value)


def test_the_certificate_that_was_meant(rsa_signer: Forge, issuing_ca: Authority) -> None:  # RFC 2634, 5.4; RFC 5035, 4
    certificate = rsa_signer.certificate
    other = certified(issuing_ca, RSA_KEY.public_key())
    name = issuer_serial(certificate)
    sha1, sha256, sha512 = (function.of(certificate.encoded) for function in (H.SHA1, H.SHA256, H.SHA512))
    algorithm = der.algorithm(H.SHA512.oid)
    for reference in (
        v1(ess_certificate(sha1)),
        v1(ess_certificate(sha1, name)),
        v2(ess_certificate(sha256)),
        v2(ess_certificate(sha256, name)),
        v2(ess_certificate(sha512, name, hash_algorithm=algorithm)),
        v2(ess_certificate(sha256, hash_algorithm=der.algorithm(H.SHA256.oid, NULL))),
    ):
        assert rsa_signer.usual(reference).check().unknown == ()
        assert refused(rsa_signer.usual(reference), other) is Code.CERTIFICATE_MISMATCH


def test_another_certificate_than_was_meant(rsa_signer: Forge, issuing_ca: Authority) -> None:
    certificate, other = rsa_signer.certificate, certified(issuing_ca, RSA_KEY.public_key())
    sha1, sha256 = hashlib.sha1(certificate.encoded, usedforsecurity=False).digest(), certificate.fingerprint
    wrong_name = der.sequence(
        der.sequence(der.context(4, certificate.subject_encoded)), der.integer(certificate.serial_number)
    )
    for reference in (
        v1(ess_certificate(sha1[:-1])),
        v1(ess_certificate(sha1, issuer_serial(other))),
        v2(ess_certificate(sha1)),
        v2(ess_certificate(sha256, issuer_serial(other))),
        v2(ess_certificate(sha256, wrong_name)),
        v2(ess_certificate(other.fingerprint)),
    ):
        assert refused(rsa_signer.usual(reference)) is Code.CERTIFICATE_MISMATCH


def test_the_first_certificate_is_the_signers(rsa_signer: Forge, issuing_ca: Authority) -> None:
    mine, other = rsa_signer.certificate.fingerprint, certified(issuing_ca, RSA_KEY.public_key()).fingerprint
    identifiers = [der.sequence(der.octet_string(digest)) for digest in (mine, other)]
    assert rsa_signer.usual(v2(der.sequence(der.sequence(*identifiers)))).check().unknown == ()
    assert refused(rsa_signer.usual(v2(der.sequence(der.sequence(*identifiers[::-1]))))) is Code.CERTIFICATE_MISMATCH


@pytest.mark.parametrize(
    "value",
    [
        NULL,
        der.sequence(),
        der.sequence(der.sequence()),
        der.sequence(der.sequence(NULL)),
        der.sequence(der.sequence(der.sequence())),
        ess_certificate(b"", NULL),
        ess_certificate(b"", der.sequence()),
        ess_certificate(b"", der.sequence(der.sequence(), der.integer(1))),
        ess_certificate(b"", der.sequence(der.sequence(der.context(4, NULL) * 2), der.integer(1))),
        ess_certificate(b"", hash_algorithm=der.sequence()),
    ],
)
def test_a_signing_certificate_that_is_none_is_refused(rsa_signer: Forge, value: bytes) -> None:
    assert refused(rsa_signer.usual(v2(value))) is Code.MALFORMED_CMS
    assert refused(rsa_signer.usual(v1(value))) is Code.MALFORMED_CMS


def test_a_signing_certificate_by_an_unknown_hash_function_is_told(rsa_signer: Forge) -> None:
    reference = v2(ess_certificate(b"", hash_algorithm=der.algorithm("1.2.3")))
    assert refused(rsa_signer.usual(reference)) is Code.UNSUPPORTED_ALGORITHM


# --- digests ---


def test_a_content_is_digested_once_by_all_algorithms(rsa_signer: Forge) -> None:
    algorithms = [replace(read(rsa_signer.encode()).digest_algorithms[0], oid=one.oid) for one in H]
    algorithms.append(replace(algorithms[0], oid="1.2.3"))
    digests = digest_content((bytes((one,)) for one in CONTENT), algorithms)
    assert (digests.size, digests.head) == (len(CONTENT), CONTENT[:16])
    assert dict(digests.digests) == {one: one.of(CONTENT) for one in H}


def test_a_digest_that_was_not_made_is_told() -> None:
    with pytest.raises(UntrustworthyError):
        digest_content([CONTENT], []).by(H.SHA256)
