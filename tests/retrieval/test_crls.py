"""CRLs read as far as their dates, and PEM taken off."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import example, given
from hypothesis import strategies as st

from smime_agent import der
from smime_agent.retrieval.answers import UnavailableError
from smime_agent.retrieval.crls import CrlQuestion, read_head
from smime_agent.retrieval.pointers import DistributionPoint
from tests.retrieval.conftest import KEY, own
from tests.support.ca import Authority, Wanted
from tests.support.revocation_servers import crl

if TYPE_CHECKING:
    from smime_agent.retrieval.answers import Answer

CA = Authority("Somebody", rsa_key=False)
NAME = CA.subject.public_bytes()
LEAF, ISSUER = own(CA.issue(KEY.public_key(), Wanted())), own(CA.certificate)
URL = "http://crl.example.org/"
POINT = DistributionPoint((URL,), NAME, (URL, "ldap://example.org/"))
QUESTION = CrlQuestion(URL, LEAF, ISSUER, POINT)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
MADE = crl(CA, [1, 2, 3])


def head_of(*fields: bytes) -> tuple[bytes, datetime, datetime | None]:
    return read_head(der.sequence(der.sequence(*fields)))


def judge(octets: bytes) -> Answer:
    return QUESTION.judge(octets, NOW)


def test_the_head_is_what_the_library_reads() -> None:
    theirs = x509.load_der_x509_crl(MADE)
    assert read_head(MADE) == (NAME, theirs.last_update_utc, theirs.next_update_utc)


def test_the_first_version_has_no_number() -> None:
    algorithm = der.algorithm("1.2.3")
    assert head_of(algorithm, NAME, der.time(NOW)) == (NAME, NOW, None)


@pytest.mark.parametrize("year", [1950, 1999, 2000, 2049, 2050, 2100])
def test_years_of_two_digits_are_read_as_rfc_5280_says(year: int) -> None:
    then = datetime(year, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert head_of(der.algorithm("1.2.3"), NAME, der.time(then), der.time(then))[1:] == (then, then)


@pytest.mark.parametrize(
    "text", [b"2606010000Z", b"260601000000", b"260601000000+0100", b"261301000000Z", b"", b"x" * 13]
)
def test_a_time_is_in_zulu_with_seconds(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of any text
        head_of(der.algorithm("1.2.3"), NAME, der.tlv(der.UTC_TIME, text))


@given(st.binary(max_size=200))
def test_garbage_is_no_crl(octets: bytes) -> None:
    with pytest.raises(UnavailableError):
        judge(octets)


@given(st.integers(0, len(MADE) - 1), st.integers(0, 255))
@example(9, 0)  # a version that no CRL has
def test_an_octet_that_was_changed_is_noticed(place: int, octet: int) -> None:
    changed = bytearray(MADE)
    changed[place] = octet
    try:
        answer = judge(bytes(changed))
    except UnavailableError:
        return
    assert answer.doubt or bytes(changed) == MADE


def test_octets_after_the_crl_are_noticed() -> None:
    with pytest.raises(UnavailableError, match="no CRL"):
        judge(MADE + b"\0")


def test_the_issuers_signature_is_beyond_doubt() -> None:
    assert judge(MADE).doubt is None


def test_an_issuer_by_another_spelling_is_the_same() -> None:
    other = Authority("SOMEBODY ", rsa_key=False)
    other.key = CA.key
    assert judge(crl(other)).doubt is None


def test_a_crl_of_somebody_whom_the_certificate_names_cannot_be_checked() -> None:
    other = Authority("Signer of lists", rsa_key=False)
    question = CrlQuestion(URL, LEAF, ISSUER, DistributionPoint((URL,), other.subject.public_bytes()))
    answer = question.judge(crl(other), NOW)
    assert answer.doubt == "the CRL of crl.example.org is not signed with the issuer's key"


def test_a_signature_by_a_key_of_another_kind_is_in_doubt() -> None:
    assert judge(crl(CA, key=Authority("Somebody").key)).doubt


def test_pem_is_taken_off_text_around_it_too() -> None:
    pem = x509.load_der_x509_crl(MADE).public_bytes(Encoding.PEM)
    assert judge(b"Our CRL:\r\n" + pem.replace(b"\n", b"\r\n") + b"\n").octets == MADE


@pytest.mark.parametrize(
    "pem", [b"-----BEGIN X509 CRL-----\n" * 3000, b"-----BEGIN X509 CRL-----\n!\n-----END X509 CRL-----"]
)
def test_broken_pem_is_no_crl(pem: bytes) -> None:
    with pytest.raises(UnavailableError, match="no CRL"):
        judge(pem)


def test_a_crl_signed_with_pss_is_beyond_doubt() -> None:
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    authority = Authority("Modern")
    assert isinstance(authority.key, rsa.RSAPrivateKey)
    builder = x509.CertificateRevocationListBuilder(authority.subject, NOW, NOW + timedelta(days=1))
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    made = builder.sign(authority.key, hashes.SHA256(), rsa_padding=pss).public_bytes(Encoding.DER)
    issuer = own(authority.certificate)
    leaf = own(authority.issue(KEY.public_key(), Wanted()))
    question = CrlQuestion(URL, leaf, issuer, DistributionPoint((URL,), issuer.subject_encoded))
    assert question.judge(made, NOW).doubt is None


def scope(url: str = "", **about: bool) -> x509.IssuingDistributionPoint:
    names = [x509.UniformResourceIdentifier(url)] if url else None
    kinds = {"user_certs": False, "ca_certs": False, "attribute_certs": False, **about}
    only = {f"only_contains_{kind}": value for kind, value in kinds.items()}
    return x509.IssuingDistributionPoint(names, None, only_some_reasons=None, indirect_crl=False, **only)


@pytest.mark.parametrize("found", [scope(URL), scope("ldap://example.org/"), scope(user_certs=True)])
def test_a_crl_that_says_it_is_the_one_of_this_place_is_beyond_doubt(found: x509.IssuingDistributionPoint) -> None:
    assert judge(crl(CA, scope=found)).doubt is None


@pytest.mark.parametrize("found", [scope(URL + "other"), scope(ca_certs=True), scope(attribute_certs=True)])
def test_a_crl_of_the_same_issuer_about_something_else_is_in_doubt(found: x509.IssuingDistributionPoint) -> None:
    assert judge(crl(CA, scope=found)).doubt == "the CRL of crl.example.org is about something else"


def test_a_delta_crl_is_no_base() -> None:
    assert judge(crl(CA, delta_of=7)).doubt


def test_a_base_is_no_delta_crl() -> None:
    assert CrlQuestion(URL, LEAF, ISSUER, POINT, is_delta=True).judge(MADE, NOW).doubt


def test_a_crl_about_users_says_nothing_of_a_ca() -> None:
    assert CrlQuestion(URL, ISSUER, ISSUER, POINT).judge(crl(CA, scope=scope(user_certs=True)), NOW).doubt
