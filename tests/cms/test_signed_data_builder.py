"""Our SignedData, read back by asn1crypto and verified by ``cryptography`` and OpenSSL."""

from __future__ import annotations

import hashlib
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from asn1crypto import algos, cms, core, tsp
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from smime_agent.cms import SignedAttributesBuilder, SignedDataBuilder
from smime_agent.keys import Identity
from tests.cms.conftest import HASHES, KINDS, SoftwareSigner

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.ca import Authority

AT = datetime(2026, 5, 17, 12, 30, 1, tzinfo=UTC)
CONTENT = b"Content-Type: text/plain\r\n\r\nHello, Bob.\r\n"

EXPECTED_ATTRIBUTES = {
    "1.2.840.113549.1.9.3",  # contentType
    "1.2.840.113549.1.9.4",  # messageDigest
    "1.2.840.113549.1.9.5",  # signingTime
    "1.2.840.113549.1.9.15",  # SMIMECapabilities
    "1.2.840.113549.1.9.52",  # CMSAlgorithmProtection
    "1.2.840.113549.1.9.16.2.11",  # SMIMEEncryptionKeyPreference
    "1.2.840.113549.1.9.16.2.47",  # signingCertificateV2
}


class Read:
    """A ContentInfo of ours, with all of it parsed strictly."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.content_info = cms.ContentInfo.load(octets, strict=True)
        self.signed_data = self.content_info["content"]
        (self.signer_info,) = self.signed_data["signer_infos"]
        self.attributes = list(self.signer_info["signed_attrs"])

    def values(self, dotted: str) -> list[Any]:
        """The values of the only attribute of that type."""
        (attribute,) = (one for one in self.attributes if one["type"].dotted == dotted)
        return list(attribute["values"])

    def value(self, dotted: str) -> Any:  # noqa: ANN401 - asn1crypto has no types
        """Its only value."""
        (value,) = self.values(dotted)
        return value


def octets_of(signer: SoftwareSigner, content: bytes = CONTENT, *, attached: bool = False) -> bytes:
    attributes = SignedAttributesBuilder(signer.identity, signer.scheme).encode(signer.scheme.digest.of(content), AT)
    signed_data = SignedDataBuilder(signer.identity, signer.scheme)
    signature = signer.sign(attributes)
    if attached:
        return b"".join(signed_data.attached(attributes, signature, [content], len(content)))
    return signed_data.detached(attributes, signature)


@pytest.fixture
def read(signer: SoftwareSigner) -> Read:
    return Read(octets_of(signer))


def test_versions_are_those_of_a_signer_named_by_issuer_and_serial(read: Read) -> None:  # RFC 5652, 5.1 and 5.3
    assert read.content_info["content_type"].native == "signed_data"
    assert read.signed_data["version"].native == "v1"
    assert read.signer_info["version"].native == "v1"
    assert read.signer_info["sid"].name == "issuer_and_serial_number"


def test_the_encoding_is_der(read: Read) -> None:
    assert cms.ContentInfo.load(read.octets).dump(force=True) == read.octets


def test_detached_content_is_absent(read: Read) -> None:
    encapsulated = read.signed_data["encap_content_info"]
    assert encapsulated["content_type"].native == "data"
    assert encapsulated["content"].native is None
    assert encapsulated.dump() == bytes.fromhex("300b06092a864886f70d010701")


def test_the_signer_is_named(read: Read, signer: SoftwareSigner) -> None:
    name = read.signer_info["sid"].chosen
    certificate = signer.identity.certificate
    assert (name["issuer"].dump(), name["serial_number"].native) == (
        certificate.issuer_encoded,
        certificate.serial_number,
    )


def test_each_attribute_is_there_once_with_one_value(read: Read) -> None:  # RFC 5652, 5.3 and 11
    assert sorted(one["type"].dotted for one in read.attributes) == sorted(EXPECTED_ATTRIBUTES)
    assert {len(one["values"]) for one in read.attributes} == {1}


def test_attributes_are_sorted_as_der_wants_it(read: Read) -> None:
    encoded = [one.dump() for one in read.attributes]
    assert encoded == sorted(encoded)


def test_what_is_signed_has_the_tag_of_a_set(read: Read, signer: SoftwareSigner) -> None:  # RFC 5652, 5.4
    travelling = read.signer_info["signed_attrs"].dump()
    assert travelling[0] == 0xA0
    assert (
        SignedAttributesBuilder(signer.identity, signer.scheme).encode(signer.scheme.digest.of(CONTENT), AT)
        == b"\x31" + travelling[1:]
    )


def test_the_signature_verifies(read: Read, signer: SoftwareSigner) -> None:
    signature = read.signer_info["signature"].native
    tbs = b"\x31" + read.signer_info["signed_attrs"].dump()[1:]
    digest = signer.scheme.digest
    match signer.key.public_key():
        case rsa.RSAPublicKey() as key:
            pss = padding.PSS(padding.MGF1(HASHES[digest]), digest.size)
            key.verify(signature, tbs, pss if signer.rsa_padding else padding.PKCS1v15(), HASHES[digest])
        case ec.EllipticCurvePublicKey() as key:
            key.verify(signature, tbs, ec.ECDSA(HASHES[digest]))
        case ed25519.Ed25519PublicKey() as key:
            key.verify(signature, tbs)


def test_the_message_digest_is_that_of_the_content(read: Read, signer: SoftwareSigner) -> None:
    expected = hashlib.new(signer.scheme.digest.value, CONTENT).digest()
    assert read.value("1.2.840.113549.1.9.4").native == expected


def test_the_content_type_is_that_of_the_content(read: Read) -> None:
    assert read.value("1.2.840.113549.1.9.3").native == "data"


def test_the_signing_time_is_the_one_that_was_given(read: Read) -> None:
    time = read.value("1.2.840.113549.1.9.5")
    assert (time.name, time.native) == ("utc_time", AT)


def test_digest_algorithms_have_no_parameters(read: Read, signer: SoftwareSigner) -> None:  # RFC 5754, 2
    (announced,) = read.signed_data["digest_algorithms"]
    used = read.signer_info["digest_algorithm"]
    assert announced.dump() == used.dump()
    assert used["algorithm"].native == signer.scheme.digest.value
    assert used["parameters"].dump() == b""


def test_the_algorithms_are_protected(read: Read) -> None:  # RFC 6211, 2
    protection = read.value("1.2.840.113549.1.9.52")
    assert protection["digest_algorithm"].dump() == read.signer_info["digest_algorithm"].dump()
    signature_algorithm = protection["signature_algorithm"].dump()
    assert signature_algorithm[0] == 0xA1
    assert signature_algorithm[1:] == read.signer_info["signature_algorithm"].dump()[1:]
    assert protection["mac_algorithm"].native is None


def test_the_signing_certificate_is_bound(read: Read, signer: SoftwareSigner) -> None:  # RFC 5035, 4
    certificate = signer.identity.certificate
    signing = tsp.SigningCertificateV2.load(read.value("1.2.840.113549.1.9.16.2.47").dump(), strict=True)
    (bound,) = signing["certs"]
    (name,) = bound["issuer_serial"]["issuer"]
    assert bound["cert_hash"].native == hashlib.sha256(certificate.encoded).digest()
    assert name.chosen.untag().dump() == certificate.issuer_encoded
    assert bound["issuer_serial"]["serial_number"].native == certificate.serial_number
    assert bound["hash_algorithm"]["algorithm"].native == "sha256"
    assert bound.contents.startswith(b"\x04\x20")  # SHA-256 is the default, and DER leaves defaults out


def test_capabilities_are_a_list_of_ciphers_the_strongest_first(read: Read) -> None:  # RFC 8551, 2.5.2
    capabilities = core.SequenceOf.load(read.value("1.2.840.113549.1.9.15").dump(), spec=algos.AlgorithmIdentifier)
    *ciphers, oaep = capabilities
    dotted = [one["algorithm"].dotted for one in ciphers]
    assert [algos.EncryptionAlgorithmId.map(one) for one in dotted] == [
        "aes256_gcm", "aes128_gcm", "1.2.840.113549.1.9.16.3.18", "aes256_cbc", "aes192_cbc", "aes128_cbc",
    ]  # fmt: skip
    assert {one["parameters"].dump() for one in ciphers} == {b""}
    assert oaep["algorithm"].dotted == "1.2.840.113549.1.1.7"
    parameters = algos.RSAESOAEPParams.load(oaep["parameters"].dump(), strict=True)
    mask = parameters["mask_gen_algorithm"]
    assert parameters["hash_algorithm"]["algorithm"].native == "sha256"
    assert (mask["algorithm"].native, mask["parameters"]["algorithm"].native) == ("mgf1", "sha256")


def test_the_encryption_certificate_is_preferred_and_sent_along(read: Read, signer: SoftwareSigner) -> None:
    encryption = signer.identity.encryption_certificate
    assert encryption
    preference = read.value("1.2.840.113549.1.9.16.2.11").dump()  # RFC 8551, 2.5.3
    named = cms.IssuerAndSerialNumber.load(b"\x30" + preference[1:], strict=True)
    assert preference[0] == 0xA0
    assert (named["issuer"].dump(), named["serial_number"].native) == (
        encryption.issuer_encoded, encryption.serial_number,
    )  # fmt: skip
    assert encryption.encoded in [one.chosen.dump() for one in read.signed_data["certificates"]]


def test_the_certificates_are_those_of_the_identity_sorted(read: Read, signer: SoftwareSigner) -> None:
    encoded = [one.chosen.dump() for one in read.signed_data["certificates"]]
    identity = signer.identity
    assert identity.encryption_certificate
    assert encoded == sorted(encoded)
    assert set(encoded) == {
        one.encoded for one in (identity.certificate, *identity.chain, identity.encryption_certificate)
    }


def test_there_are_no_crls(read: Read) -> None:
    assert read.signed_data["crls"].native is None


def test_a_signer_without_an_encryption_certificate_prefers_none(signer: SoftwareSigner) -> None:
    alone = SoftwareSigner(signer.key, Identity(signer.identity.certificate), signer.scheme, signer.rsa_padding)
    read = Read(octets_of(alone))
    assert sorted(one["type"].dotted for one in read.attributes) == sorted(
        EXPECTED_ATTRIBUTES - {"1.2.840.113549.1.9.16.2.11"}
    )
    assert len(read.signed_data["certificates"]) == 1


def test_a_certificate_that_is_there_twice_is_sent_once(signer: SoftwareSigner) -> None:
    certificate = signer.identity.certificate
    twice = SoftwareSigner(
        signer.key, Identity(certificate, (*signer.identity.chain, *signer.identity.chain), certificate), signer.scheme,
        signer.rsa_padding,
    )  # fmt: skip
    assert len(Read(octets_of(twice)).signed_data["certificates"]) == 2


@pytest.mark.parametrize("size", [0, 1, 100, 127, 128, 65535, 65536, 70000, 300_000])
def test_attached_content_is_inside_whatever_its_size(signer: SoftwareSigner, size: int) -> None:
    content = b"x" * size
    octets = octets_of(signer, content, attached=True)
    read = Read(octets)
    assert read.signed_data["encap_content_info"]["content"].native == content
    assert cms.ContentInfo.load(octets).dump(force=True) == octets
    assert read.value("1.2.840.113549.1.9.4").native == signer.scheme.digest.of(content)


def test_attached_content_is_not_gathered(signer: SoftwareSigner) -> None:
    pieces = [b"a" * 1000, b"b" * 1000, b"c"]
    digest = signer.scheme.digest.of(b"".join(pieces))
    attributes = SignedAttributesBuilder(signer.identity, signer.scheme).encode(digest, AT)
    signed_data = SignedDataBuilder(signer.identity, signer.scheme)
    chunks = list(signed_data.attached(attributes, signer.sign(attributes), iter(pieces), 2001))
    assert chunks[1:4] == pieces


def test_one_signer_can_sign_twice(signer: SoftwareSigner) -> None:
    assert Read(octets_of(signer, b"one")).value("1.2.840.113549.1.9.4").native == signer.scheme.digest.of(b"one")
    assert Read(octets_of(signer, b"two")).value("1.2.840.113549.1.9.4").native == signer.scheme.digest.of(b"two")


@pytest.mark.interop
@pytest.mark.parametrize("signer", [kind for kind in KINDS if kind != "ed25519"], indirect=True)  # not OpenSSL 3.0
@pytest.mark.parametrize("attached", [False, True])
def test_openssl_verifies(signer: SoftwareSigner, root_ca: Authority, tmp_path: Path, attached: bool) -> None:  # noqa: FBT001 - a column
    (tmp_path / "ca.pem").write_bytes(root_ca.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "content").write_bytes(CONTENT)
    (tmp_path / "signed.der").write_bytes(octets_of(signer, attached=attached))
    command = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", "signed.der", "-CAfile", "ca.pem"]
    detached = [] if attached else ["-content", "content"]
    done = subprocess.run([*command, *detached], cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, CONTENT), done.stderr
