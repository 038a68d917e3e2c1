"""The places that a certificate names for asking about its revocation (RFC 5280, 4.2.1.13, 4.2.1.15 and 4.2.2.1)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from smime_agent.retrieval.answers import GARBAGE
from smime_agent.retrieval.urls import is_acceptable, scheme_of
from smime_agent.trust.octets import element, elements, whole

if TYPE_CHECKING:
    from collections.abc import Iterable

    from smime_agent.x509 import Certificate

#: A certificate that names more places than this is not asking to be checked.
_MAXIMUM: Final = 4
_URL: Final = "uniform_resource_identifier"
_CRL_EXTENSIONS: Final = 0xA0  # [0] of a TBSCertList


@dataclass(frozen=True, slots=True)
class DistributionPoint:
    """One CRL: ``urls`` are ways to the same one, ``issuer`` the DER name of who signs it.

    ``names`` are all of its URLs, also those that are not asked. ``is_complete`` says that it is about every reason to
    revoke.
    """

    urls: tuple[str, ...]
    issuer: bytes
    names: tuple[str, ...] = ()
    is_complete: bool = True


@dataclass(frozen=True, slots=True)
class Pointers:
    """What a certificate names, in its order. ``problems`` are sentences about what is not followed."""

    responders: tuple[str, ...] = ()
    crls: tuple[DistributionPoint, ...] = ()
    delta_crls: tuple[DistributionPoint, ...] = ()
    problems: tuple[str, ...] = ()


@lru_cache(maxsize=1024)  # the mails of one run have few signers, and fewer issuers
def pointers_of(certificate: Certificate) -> Pointers:
    """The places that a certificate names."""
    from asn1crypto import x509 as asn1

    problems: list[str] = []
    issuer = certificate.issuer_encoded
    try:
        tbs = asn1.Certificate.load(certificate.encoded)["tbs_certificate"]
        extensions = {item["extn_id"].native: item["extn_value"].parsed for item in tbs["extensions"]}
        responders = list(_responders(extensions.get("authority_information_access") or (), problems))
        crls = list(_points(extensions.get("crl_distribution_points") or (), issuer, problems))
        deltas = list(_points(extensions.get("freshest_crl") or (), issuer, problems))
    except GARBAGE:
        return Pointers(problems=("where to ask about its revocation cannot be read from it",))
    if max(len(responders), len(crls), len(deltas)) > _MAXIMUM:
        problems.append(f"only the first {_MAXIMUM} of the places it names are asked")
    if not (responders or crls or problems):
        problems.append("it names no place to ask about its revocation")
    crls.sort(key=lambda point: not point.is_complete)  # one that is complete makes the others needless
    return Pointers(
        tuple(responders[:_MAXIMUM]), tuple(crls[:_MAXIMUM]), tuple(deltas[:_MAXIMUM]), tuple(dict.fromkeys(problems))
    )


def delta_crls_of(crl: bytes, issuer: bytes) -> tuple[DistributionPoint, ...]:
    """Where a DER CRL of ``issuer`` says that its delta CRLs are (RFC 5280, 5.2.6). Its entries are not looked at."""
    from asn1crypto import x509 as asn1

    try:
        outer = whole(crl)
        tbs = element(crl, outer.contents, outer.end)
        *_, last = elements(crl, tbs.contents, tbs.end)
        if last.tag != _CRL_EXTENSIONS:
            return ()
        extensions = asn1.Extensions.load(crl[last.contents : last.end], strict=True)
        found = next((item["extn_value"].parsed for item in extensions if item["extn_id"].native == "freshest_crl"), ())
        return tuple(_points(found, issuer, []))[:_MAXIMUM]
    except GARBAGE:
        return ()


def _responders(access: Iterable[Any], problems: list[str]) -> Iterable[str]:
    names = [item["access_location"] for item in access if item["access_method"].native == "ocsp"]
    return _urls(names, "OCSP responder", problems)


def _points(points: Iterable[Any], issuer: bytes, problems: list[str]) -> Iterable[DistributionPoint]:
    for point in points:
        name = point["distribution_point"]
        if name.name != "full_name":  # RFC 5280, 4.2.1.13: relative to the issuer's place in a directory
            problems.append("a CRL that it names only by its place in a directory is not fetched")
            continue
        urls = tuple(_urls(name.chosen, "CRL", problems))
        if urls:
            signer = next((item.chosen.chosen.dump() for item in point["crl_issuer"] or ()), issuer)
            names = tuple(_text(item) for item in name.chosen if item.name == _URL)
            yield DistributionPoint(urls[:_MAXIMUM], signer, names, is_complete=point["reasons"].native is None)


def _urls(names: Iterable[Any], what: str, problems: list[str]) -> Iterable[str]:
    for name in names:
        if name.name != _URL:
            problems.append(f"a {what} that it does not name by a URL is not asked")
            continue
        url = _text(name)
        if is_acceptable(url):
            yield url
        elif (scheme := scheme_of(url)) in {"http", "https"}:
            problems.append(f"a {what} whose URL is malformed is not asked")
        else:
            problems.append(f"a {what} named by a URL of the scheme {scheme!r} is not asked")


def _text(name: Any) -> str:  # noqa: ANN401 - asn1crypto has no types
    """A URL as it stands: asn1crypto would make an IRI of it."""
    return str(name.chosen.contents.decode("ascii", "replace"))
