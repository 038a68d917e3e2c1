"""Which places of a certificate are asked, and what is said of the others."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from smime_agent.retrieval.pointers import Pointers, pointers_of
from smime_agent.retrieval.urls import host_of, is_acceptable, origin_of, scheme_of
from tests.retrieval.conftest import KEY, own
from tests.support.ca import Authority, Wanted
from tests.support.revocation_servers import crl_pointer, responder_pointer

CA = Authority("Somebody", rsa_key=False)


def pointers(*extra: tuple[x509.ExtensionType, bool]) -> Pointers:
    return pointers_of(own(CA.issue(KEY.public_key(), Wanted(extra=extra))))


def points(*found: x509.DistributionPoint) -> tuple[x509.ExtensionType, bool]:
    return x509.CRLDistributionPoints(list(found)), False


def urls(*found: str) -> list[x509.GeneralName]:
    return [x509.UniformResourceIdentifier(url) for url in found]


def test_responders_are_asked_in_their_order() -> None:
    found = pointers(responder_pointer("http://b.example/", "https://a.example/"))
    assert found.responders == ("http://b.example/", "https://a.example/")


def test_the_issuers_certificate_is_no_responder() -> None:
    name = x509.UniformResourceIdentifier("http://a.example/ca.crt")
    access = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, name)
    assert pointers((x509.AuthorityInformationAccess([access]), False)).responders == ()


def test_the_urls_of_one_point_are_ways_to_one_crl() -> None:
    (point,) = pointers(crl_pointer("http://a.example/", "http://b.example/")).crls
    assert point.urls == ("http://a.example/", "http://b.example/")


def test_a_crl_is_signed_by_the_issuer() -> None:
    assert pointers(crl_pointer("http://a.example/")).crls[0].issuer == CA.subject.public_bytes()


def test_a_crl_may_be_signed_by_somebody_else() -> None:
    other = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Signer of lists")])
    assert pointers(crl_pointer("http://a.example/", issuer=other)).crls[0].issuer == other.public_bytes()


def test_a_crl_about_all_reasons_comes_before_one_about_some() -> None:
    some = x509.DistributionPoint(
        urls("http://some.example/"), None, frozenset({x509.ReasonFlags.key_compromise}), None
    )
    every = x509.DistributionPoint(urls("http://every.example/"), None, None, None)
    found = pointers(points(some, every)).crls
    assert [(point.urls[0], point.is_complete) for point in found] == [
        ("http://every.example/", True),
        ("http://some.example/", False),
    ]


def test_ldap_is_not_asked_and_said_to_be_so() -> None:
    found = pointers(crl_pointer("ldap://a.example/cn=x?certificateRevocationList", "http://a.example/"))
    assert found.crls[0].urls == ("http://a.example/",)
    assert found.problems == ("a CRL named by a URL of the scheme 'ldap' is not asked",)


def test_a_place_in_a_directory_is_not_asked_and_said_to_be_so() -> None:
    name = x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COMMON_NAME, "CRL1")])
    found = pointers(points(x509.DistributionPoint(None, name, None, None)))
    assert found.problems == ("a CRL that it names only by its place in a directory is not fetched",)


def test_a_name_that_is_no_url_is_not_asked_and_said_to_be_so() -> None:
    name = x509.DirectoryName(CA.subject)
    found = pointers(points(x509.DistributionPoint([name], None, None, None)))
    assert found.problems == ("a CRL that it does not name by a URL is not asked",)


def test_more_places_than_anybody_needs_are_not_asked() -> None:
    found = pointers(responder_pointer(*(f"http://{number}.example/" for number in range(100))))
    assert len(found.responders) == 4
    assert found.problems == ("only the first 4 of the places it names are asked",)


def test_a_certificate_that_names_nothing_is_said_to_do_so() -> None:
    assert pointers().problems == ("it names no place to ask about its revocation",)


@pytest.mark.parametrize("oid", ["2.5.29.31", "2.5.29.46", "1.3.6.1.5.5.7.1.1"])
def test_an_extension_that_is_garbage_is_said_to_be_so(oid: str) -> None:
    extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), b"\x30\x03\x30\x01\x00")
    certificate = own(CA.issue(KEY.public_key(), Wanted()))
    certificate.encoded = CA.issue(KEY.public_key(), Wanted(extra=((extension, False),))).public_bytes(Encoding.DER)
    assert pointers_of(certificate).problems == ("where to ask about its revocation cannot be read from it",)


@pytest.mark.parametrize(
    "url",
    [
        "http://a.example",
        "HTTP://A.EXAMPLE/",
        "https://a.example:8443/x?y=z",
        "http://127.0.0.1/",
        "http://[::1]:80/%20",
    ],
)
def test_urls_of_http_are_acceptable(url: str) -> None:
    assert is_acceptable(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.example",
        "//a.example/",
        "ldap://a.example/",
        "file:///etc/passwd",
        "http:///x",
        "http://",
        "http://user:pw@a.example/",
        "http://@a.example/",
        "http://a.example:0/",
        "http://a.example:99999/",
        "http://a.example:x/",
        "http://[::1/",
        "http://a.example/ x",
        "http://a.example/\r\nX: y",
        "http://a.example\\@b.example/",
        "http://\u0430.example/",
        "http://a.example/" + "x" * 2048,
    ],
)
def test_other_urls_are_not(url: str) -> None:
    assert not is_acceptable(url)


@given(st.text(max_size=40).map("http://".__add__) | st.text(max_size=40))
def test_any_text_is_one_or_the_other(text: str) -> None:
    if is_acceptable(text):
        assert host_of(text)
        assert origin_of(text).startswith(("http://", "https://"))
    assert scheme_of(text)


@pytest.mark.parametrize(
    ("url", "host", "origin"),
    [
        ("HTTP://A.example/x", "a.example", "http://a.example:80"),
        ("https://a.example:443/", "a.example", "https://a.example:443"),
        ("http://a.example:8080", "a.example:8080", "http://a.example:8080"),
        ("http://[::1]:8080/", "[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_a_host_is_named_with_an_unusual_port(url: str, host: str, origin: str) -> None:
    assert (host_of(url), origin_of(url)) == (host, origin)
