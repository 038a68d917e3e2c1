"""SignedData, read."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from smime_agent import der
from smime_agent.accepted import HashFunction
from smime_agent.cms import SignedData, SignerIdentifier, content_type, oids
from smime_agent.cms.certificate_index import CertificateIndex, names_of
from smime_agent.cms.normal import value
from smime_agent.cms.signature import check_signature, digest_content
from smime_agent.errors import SmimeAgentError
from smime_agent.source import Source
from smime_agent.verdict import Code, UntrustworthyError
from smime_agent.x509 import Certificate
from tests.cms.forge import CONTENT, SHA256, Forge, attribute, certified, ec_forge, indefinite, read
from tests.support.ca import Wanted

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.ca import Authority

KEY = ec.generate_private_key(ec.SECP256R1())
ECDSA_SHA256 = "1.2.840.10045.4.3.2"
NULL_VALUE = b"\x05\x00"


@pytest.fixture(scope="module")
def forge(issuing_ca: Authority) -> Forge:
    return ec_forge(issuing_ca, KEY, ECDSA_SHA256, HashFunction.SHA256)


@pytest.fixture(scope="module")
def encoded(forge: Forge) -> bytes:
    return forge.encode()


def code_of(octets: bytes) -> Code:
    with pytest.raises(UntrustworthyError) as caught:
        read(octets)
    return caught.value.reason.code


# --- what it says ---


def test_all_of_it_is_read(forge: Forge) -> None:
    signed_data = read(forge.encode())
    assert (signed_data.version, signed_data.content_type, signed_data.trailing) == (1, oids.ID_DATA, 0)
    assert [one.oid for one in signed_data.digest_algorithms] == [HashFunction.SHA256.oid]
    assert signed_data.certificates == (forge.certificate.encoded,)
    (signer,) = signed_data.signer_infos
    assert signer.sid == SignerIdentifier(forge.certificate.issuer_encoded, forge.certificate.serial_number, None)
    assert signer.sid.names(forge.certificate)
    assert {one.oid for one in signer.signed_attributes or ()} == {
        oids.CONTENT_TYPE,
        oids.MESSAGE_DIGEST,
        oids.SIGNING_TIME,
    }
    assert signer.signed_octets == (der.set_of(forge.attributes or ()),)
    assert signer.unsigned_attributes == ()


def test_the_content_is_where_it_was(forge: Forge) -> None:
    content = read(forge.encode()).content
    assert content is not None
    assert (content.size, b"".join(content.chunks()), content.source().read()) == (len(CONTENT), CONTENT, CONTENT)


def test_a_detached_content_is_none(forge: Forge) -> None:
    assert read(forge.but(detached=True).encode()).content is None


def test_an_empty_content_is_one(forge: Forge) -> None:
    content = read(forge.but(content=b"").encode()).content
    assert content is not None
    assert (content.size, content.source().read()) == (0, b"")


@pytest.mark.parametrize("rest", [b"\0", b"\r\n", b"\0" * 100, b"\x30\x00"])
def test_what_follows_is_counted(forge: Forge, rest: bytes) -> None:
    assert read(forge.encode() + rest).trailing == len(rest)


def test_the_content_type_is_told_without_the_rest(forge: Forge) -> None:
    assert content_type(Source.from_bytes(forge.encode())) == oids.ID_SIGNED_DATA


@pytest.mark.parametrize(
    "octets", ["", "30", "3000", "30020500", "0403616263", "3080", "300406022a80", "30050609608648"]
)
def test_what_is_no_content_info_is_refused(octets: str) -> None:
    with pytest.raises(UntrustworthyError) as caught:
        content_type(Source.from_bytes(bytes.fromhex(octets)))
    assert caught.value.reason.code is Code.MALFORMED_CMS


def test_a_content_info_without_a_content_is_refused() -> None:
    with pytest.raises(UntrustworthyError, match="without a content"):
        read(der.sequence(der.object_identifier(oids.ID_SIGNED_DATA)))


def test_another_content_type_is_refused(forge: Forge) -> None:
    enveloped = forge.encode().replace(
        der.object_identifier(oids.ID_SIGNED_DATA), der.object_identifier("1.2.840.113549.1.7.3")
    )
    assert code_of(enveloped) is Code.MALFORMED_CMS


def test_content_in_pieces_is_put_together(forge: Forge) -> None:
    pieces = indefinite(0x24, der.octet_string(CONTENT[:5]), indefinite(0x24, der.octet_string(CONTENT[5:])))
    content = rebuilt(forge, content=indefinite(0xA0, pieces)).content
    assert content is not None
    assert b"".join(content.chunks()) == CONTENT
    with content.source() as source:
        assert source.read() == CONTENT


def test_content_of_pkcs_7_is_what_its_value_holds(forge: Forge) -> None:  # RFC 5652, 5.2.1
    receipt = der.sequence(der.integer(1), der.octet_string(b"id"))
    for any_value in (receipt, indefinite(0x30, der.integer(1), indefinite(0x24, der.octet_string(b"id")))):
        content = rebuilt(forge, content=der.context(0, any_value)).content
        assert content is not None
        assert b"".join(content.chunks()) == receipt[2:]
        assert content.source().read() == receipt[2:]


def signed_data_of(forge: Forge, **parts: bytes) -> bytes:
    """Every field of it in another's hands."""
    fields = {
        "version": der.integer(1),
        "digest_algorithms": der.set_of([SHA256]),
        "content": der.context(0, der.octet_string(CONTENT)),
        "certificates": der.context(0, forge.certificate.encoded),
        "crls": b"",
        "signer_infos": der.tlv(der.SET, forge.signer_info()),
        "rest": b"",
    } | parts
    fields["content"] = der.sequence(der.object_identifier(oids.ID_DATA), fields["content"])
    signed_data = der.sequence(*fields.values())
    return der.sequence(der.object_identifier(oids.ID_SIGNED_DATA), der.context(0, signed_data))


def rebuilt(forge: Forge, **parts: bytes) -> SignedData:
    return read(signed_data_of(forge, **parts))


def test_a_wrapper_without_lengths_is_the_same(forge: Forge) -> None:
    inner = signed_data_of(forge)
    assert read(indefinite(0x30, value(inner, der.SEQUENCE))).signer_infos == read(inner).signer_infos


def test_other_certificates_and_crls_are_counted_and_left_out(forge: Forge) -> None:
    attribute_certificate = der.context(2, der.integer(1))
    other = der.context(3, der.object_identifier("1.2.3"), NULL_VALUE)
    signed_data = rebuilt(
        forge,
        certificates=der.context(0, attribute_certificate, forge.certificate.encoded, other),
        crls=der.context(1, der.sequence(NULL_VALUE), der.context(1, NULL_VALUE)),
    )
    assert (signed_data.certificates, signed_data.other_certificates) == ((forge.certificate.encoded,), 2)
    assert (signed_data.crls, signed_data.other_crls) == ((der.sequence(NULL_VALUE),), 1)


def test_certificates_only(forge: Forge) -> None:
    signed_data = rebuilt(forge, content=b"", signer_infos=der.tlv(der.SET), digest_algorithms=der.tlv(der.SET))
    assert (signed_data.signer_infos, signed_data.content, len(signed_data.certificates)) == ((), None, 1)


@pytest.mark.parametrize(
    "parts",
    [
        {"version": b""},
        {"version": b"\x02\x00"},
        {"digest_algorithms": b""},
        {"digest_algorithms": der.sequence()},
        {"digest_algorithms": der.tlv(der.SET, b"\x05\x00")},
        {"content": der.context(1, der.octet_string(b""))},
        {"content": der.context(0)},
        {"content": der.context(0, der.octet_string(b"a"), der.octet_string(b"b"))},
        {"content": der.context(0, der.octet_string(b"a")) * 2},
        {"content": der.context(0, der.tlv(0x24, der.utf8_string("a")))},
        {"certificates": der.context(0, NULL_VALUE) * 2},
        {"signer_infos": b""},
        {"signer_infos": der.tlv(der.SET, NULL_VALUE)},
        {"signer_infos": der.tlv(der.SET, der.sequence())},
        {"rest": NULL_VALUE},
        {"crls": der.context(1), "certificates": der.context(1)},
    ],
    ids=str,
)
def test_a_field_that_is_wrong_is_refused(forge: Forge, parts: dict[str, bytes]) -> None:
    assert code_of(signed_data_of(forge, **parts)) is Code.MALFORMED_CMS


@pytest.mark.parametrize(
    "parts",
    [
        {"version": der.tlv(der.INTEGER, bytes(100))},
        {"digest_algorithms": der.tlv(der.SET, SHA256 * 101)},
        {"digest_algorithms": der.tlv(der.SET, der.algorithm("1.2.3", der.octet_string(bytes(5000))))},
        {"certificates": der.context(0, NULL_VALUE * 70_000)},
        {"certificates": der.context(0, der.sequence(der.octet_string(bytes(17 * 1024 * 1024))))},
    ],
    ids=["version", "algorithms", "parameters", "certificates", "size"],
)
def test_a_field_that_is_too_large_is_refused(forge: Forge, parts: dict[str, bytes]) -> None:
    assert code_of(signed_data_of(forge, **parts)) is Code.LIMIT_EXCEEDED


# --- signers ---


def signer_of(forge: Forge, **parts: bytes) -> SignedData:
    """A SignerInfo whose fields are in another's hands."""
    certificate = forge.certificate
    fields = {
        "version": der.integer(1),
        "sid": der.sequence(certificate.issuer_encoded, der.integer(certificate.serial_number)),
        "digest_algorithm": SHA256,
        "attributes": b"",
        "signature_algorithm": forge.signature_algorithm,
        "signature": der.octet_string(b"signature"),
        "unsigned": b"",
        "rest": b"",
    } | parts
    return rebuilt(forge, signer_infos=der.tlv(der.SET, der.sequence(*fields.values())))


@pytest.mark.parametrize(
    "sid", [der.tlv(0x80, b"key"), indefinite(0xA0, der.octet_string(b"k"), der.octet_string(b"ey"))]
)
def test_a_signer_named_by_its_key(forge: Forge, sid: bytes) -> None:
    (signer,) = signer_of(forge, sid=sid).signer_infos
    assert signer.sid == SignerIdentifier(None, None, b"key")
    assert str(signer.sid) == "key identifier 6b6579"


def test_a_signature_in_pieces(forge: Forge) -> None:
    pieces = indefinite(0x24, der.octet_string(b"sign"), der.octet_string(b"ature"))
    (signer,) = signer_of(forge, signature=pieces).signer_infos
    assert signer.signature == b"signature"


def test_attributes_without_lengths_are_made_definite(forge: Forge) -> None:
    first = attribute("1.2.9", der.octet_string(b"b"))
    second = indefinite(
        0x30, der.object_identifier("1.2.3"), indefinite(0x31, indefinite(0x24, der.octet_string(b"a")))
    )
    (signer,) = signer_of(forge, attributes=indefinite(0xA0, first, second)).signer_infos
    made = attribute("1.2.3", der.octet_string(b"a"))
    assert signer.signed_octets == (der.tlv(der.SET, first, made), der.tlv(der.SET, made, first))
    assert [one.oid for one in signer.signed_attributes or ()] == ["1.2.9", "1.2.3"]


def test_unsigned_attributes_stay_as_they_came(forge: Forge) -> None:
    value = indefinite(0x30, NULL_VALUE)
    (signer,) = signer_of(forge, unsigned=der.context(1, attribute("1.2.3", value, NULL_VALUE))).signer_infos
    (found,) = signer.unsigned_attributes
    assert (found.oid, found.values) == ("1.2.3", (value, NULL_VALUE))


@pytest.mark.parametrize(
    "parts",
    [
        {"sid": der.tlv(0x81, b"key")},
        {"sid": der.sequence()},
        {"sid": der.sequence(der.sequence(), der.integer(1), NULL_VALUE)},
        {"sid": der.sequence(der.integer(1), der.sequence())},
        {"digest_algorithm": der.sequence()},
        {"digest_algorithm": der.sequence(NULL_VALUE)},
        {"digest_algorithm": der.sequence(der.object_identifier("1.2.3"), NULL_VALUE, NULL_VALUE)},
        {"attributes": der.context(0)},
        {"attributes": der.context(0, NULL_VALUE)},
        {"attributes": der.context(0, der.sequence(der.object_identifier("1.2.3")))},
        {"attributes": der.context(0, der.sequence(der.object_identifier("1.2.3"), NULL_VALUE))},
        {"attributes": der.context(0, attribute("1.2.3", NULL_VALUE)[:-1])},
        {"attributes": der.tlv(0x80, b"")},
        {"signature": der.tlv(0x03, b"\0s")},
        {"unsigned": der.context(1, NULL_VALUE)},
        {"rest": NULL_VALUE},
    ],
    ids=str,
)
def test_a_signer_that_is_wrong_is_refused(forge: Forge, parts: dict[str, bytes]) -> None:
    with pytest.raises(UntrustworthyError) as caught:
        signer_of(forge, **parts)
    assert caught.value.reason.code is Code.MALFORMED_CMS


@pytest.mark.parametrize(
    "parts",
    [
        {"sid": der.tlv(0x80, bytes(2_000))},
        {"sid": der.sequence(der.sequence(), der.tlv(der.INTEGER, b"\1" * 100))},
        {"signature": der.octet_string(bytes(100_000))},
        {"signature": indefinite(0x24, der.octet_string(bytes(1_000)) * 100)},
        {"attributes": der.context(0, attribute("1.2.3", NULL_VALUE) * 1_001)},
        {"attributes": der.context(0, attribute("1.2.3", NULL_VALUE * 1_001))},
        {"attributes": der.context(0, attribute("1.2.3", der.sequence(NULL_VALUE * 10_001)))},
        {"attributes": der.context(0, attribute("1.2.3", der.octet_string(bytes(1024 * 1024))))},
        {"unsigned": der.context(1, attribute("1.2.3", NULL_VALUE) * 1_001)},
    ],
    ids=["key", "serial", "signature", "pieces", "attributes", "values", "all values", "octets", "unsigned"],
)
def test_a_signer_that_is_too_large_is_refused(forge: Forge, parts: dict[str, bytes]) -> None:
    with pytest.raises(UntrustworthyError) as caught:
        signer_of(forge, **parts)
    assert caught.value.reason.code is Code.LIMIT_EXCEEDED


# --- certificates ---


def test_names_of_a_certificate_are_those_that_it_says(issuing_ca: Authority, root_ca: Authority) -> None:
    certificate = certified(issuing_ca, KEY.public_key())
    for one in (certificate, Certificate(certificate_octets(issuing_ca)), Certificate(certificate_octets(root_ca))):
        assert names_of(one.encoded) == (one.issuer_encoded, one.serial_number, one.subject_key_identifier)


def certificate_octets(authority: Authority) -> bytes:
    return authority.certificate.public_bytes(Encoding.DER)


@given(st.binary(max_size=200))
def test_octets_that_are_no_certificate_have_no_names(octets: bytes) -> None:
    assert names_of(octets) is None


def test_all_certificates_of_a_key_are_found(issuing_ca: Authority) -> None:
    one, two = (certified(issuing_ca, KEY.public_key()) for _ in range(2))
    other = certified(issuing_ca, ec.generate_private_key(ec.SECP256R1()).public_key())
    index = CertificateIndex((other.encoded, one.encoded, b"\x30\x00", two.encoded, one.encoded))
    assert index.find(SignerIdentifier(None, None, one.subject_key_identifier)) == (one.encoded, two.encoded)
    assert index.find(SignerIdentifier(two.issuer_encoded, two.serial_number, None)) == (two.encoded,)
    assert index.find(SignerIdentifier(two.issuer_encoded, 17, None)) == ()
    assert index.find(SignerIdentifier(None, None, b"")) == ()


def test_an_issuer_is_found_in_other_string_types_and_letter_case(issuing_ca: Authority) -> None:  # RFC 5280, 7.1
    certificate = certified(issuing_ca, KEY.public_key())
    name = der.sequence(
        der.tlv(der.SET, der.sequence(der.object_identifier("2.5.4.3"), der.tlv(0x13, b"TEST  issuing CA")))
    )
    sid = SignerIdentifier(name, certificate.serial_number, None)
    assert CertificateIndex((certificate.encoded,)).find(sid) == (certificate.encoded,)
    assert sid.names(certificate)
    assert not SignerIdentifier(certificate.subject_encoded, certificate.serial_number, None).names(certificate)


def test_ten_thousand_certificates_are_read_and_searched_at_once(forge: Forge, issuing_ca: Authority) -> None:
    other = certified(issuing_ca, KEY.public_key(), Wanted(name="Somebody else")).encoded
    octets = signed_data_of(forge, certificates=der.context(0, other * 9_999, forge.certificate.encoded))
    begun = time.monotonic()
    signed_data = read(octets)
    assert signed_data.certificates_for(signed_data.signer_infos[0].sid) == (forge.certificate.encoded,)
    assert len(signed_data.certificates) == 10_000
    assert time.monotonic() - begun < 1  # 0.03 s on a quiet machine


# --- anything ---


def judge(octets: bytes) -> None:
    """All of the road; our own errors are what may come of it."""
    try:
        signed_data = read(octets)
        content = signed_data.content
        octets = b"".join(content.chunks()) if content is not None else b""
        digests = digest_content([octets], [one.digest_algorithm for one in signed_data.signer_infos])
        for signer in signed_data.signer_infos:
            str(signer.sid)
            for certificate in signed_data.certificates_for(signer.sid):
                check_signature(signed_data, signer, digests, Certificate(certificate), content=lambda: octets)
    except SmimeAgentError:
        return


@given(st.data())
def test_a_damaged_object_gives_only_our_errors(encoded: bytes, data: st.DataObject) -> None:
    octets = bytearray(encoded)
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    judge(bytes(octets))


@given(st.data())
def test_an_object_with_octets_taken_out_or_put_in_gives_only_our_errors(encoded: bytes, data: st.DataObject) -> None:
    start, end = sorted((data.draw(st.integers(0, len(encoded))), data.draw(st.integers(0, len(encoded)))))
    judge(encoded[:start] + data.draw(st.binary(max_size=10)) + encoded[end:])


def test_an_object_that_is_cut_off_is_refused(encoded: bytes) -> None:
    for end in range(0, len(encoded), 7):
        with pytest.raises(UntrustworthyError):
            read(encoded[:end])


def test_every_changed_octet_of_real_objects_gives_only_our_errors(vectors: Path) -> None:
    for name, step in (("4.4.bin", 31), ("4.10.bin", 17), ("4.6.bin", 37)):
        octets = (vectors / "rfc4134" / name).read_bytes()
        for at in range(0, len(octets), step):
            for octet in (0, 0x80, 0xFF, octets[at] ^ 1):
                judge(octets[:at] + bytes((octet,)) + octets[at + 1 :])
