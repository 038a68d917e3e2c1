"""What a key is asked to sign."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from asn1crypto import cms
from hypothesis import given
from hypothesis import strategies as st

from smime_agent import der
from smime_agent.algorithms import ContentEncryption
from smime_agent.cms import SignedAttributesBuilder, oids
from smime_agent.cms.capabilities import read_capabilities
from smime_agent.cms.signed_attributes_builder import attribute, issuer_and_serial_number

if TYPE_CHECKING:
    from tests.cms.conftest import SoftwareSigner

#: RFC 3560, 5, with the tags of RFC 4055, 4.1.
OAEP_SHA256 = bytes.fromhex(
    "303c06092a864886f70d010107302fa00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165"
    "030402010500"
)
AT = datetime(2026, 5, 17, 12, 30, 1, tzinfo=UTC)


def attributes_of(octets: bytes) -> dict[str, cms.CMSAttribute]:
    return {one["type"].dotted: one for one in cms.CMSAttributes.load(octets, strict=True)}


@pytest.mark.parametrize(
    ("moment", "encoded"),
    [
        (datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC), b"\x17\x0d491231235959Z"),
        (datetime(2050, 1, 1, tzinfo=UTC), b"\x18\x0f20500101000000Z"),
        (datetime(1950, 1, 1, tzinfo=UTC), b"\x17\x0d500101000000Z"),
    ],
)
def test_the_signing_time_changes_its_form_in_2050(signer: SoftwareSigner, moment: datetime, encoded: bytes) -> None:
    attributes = attributes_of(SignedAttributesBuilder(signer.identity, signer.scheme).encode(b"d" * 32, moment))
    assert attributes["1.2.840.113549.1.9.5"]["values"][0].dump() == encoded


def test_another_time_makes_another_signature(signer: SoftwareSigner) -> None:
    prepared = SignedAttributesBuilder(signer.identity, signer.scheme)
    assert prepared.encode(b"d" * 32, AT) != prepared.encode(b"d" * 32, AT + timedelta(seconds=1))


def test_the_same_gives_the_same(signer: SoftwareSigner) -> None:
    one, two = (SignedAttributesBuilder(signer.identity, signer.scheme).encode(b"d" * 32, AT) for _ in range(2))
    assert one == two


@given(st.binary().map(der.octet_string))
def test_an_attribute_holds_a_set_of_one_value(value: bytes) -> None:
    read = cms.CMSAttribute.load(attribute("1.2.3.4", value), strict=True)
    assert read["type"].dotted == "1.2.3.4"
    assert read["values"].contents == value


def test_issuer_and_serial_number(signer: SoftwareSigner) -> None:
    certificate = signer.identity.certificate
    read = cms.IssuerAndSerialNumber.load(issuer_and_serial_number(certificate), strict=True)
    assert (read["issuer"].dump(), read["serial_number"].native) == (
        certificate.issuer_encoded,
        certificate.serial_number,
    )


def test_what_we_announce_is_what_we_read(signer: SoftwareSigner) -> None:
    attributes = attributes_of(SignedAttributesBuilder(signer.identity, signer.scheme).encode(b"d" * 32, AT))
    (announced,) = attributes[oids.SMIME_CAPABILITIES]["values"]
    capabilities = read_capabilities(announced.dump())
    assert capabilities.content_encryption == (
        ContentEncryption.AES256_GCM,
        ContentEncryption.AES128_GCM,
        ContentEncryption.CHACHA20_POLY1305,
        ContentEncryption.AES256_CBC,
        ContentEncryption.AES192_CBC,
        ContentEncryption.AES128_CBC,
    )
    assert capabilities.oaep_sha256


def test_oaep_is_announced_with_the_tags_that_it_has_elsewhere(signer: SoftwareSigner) -> None:
    attributes = attributes_of(SignedAttributesBuilder(signer.identity, signer.scheme).encode(b"d" * 32, AT))
    (announced,) = attributes[oids.SMIME_CAPABILITIES]["values"]
    assert announced.dump().endswith(OAEP_SHA256)
