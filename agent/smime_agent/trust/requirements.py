"""What a certificate of a path must be, beside being signed: each way in which it is not, with its own reason.

pyhanko-certvalidator judges a path too, and stops at the first thing that is wrong. This says all of it, in words, and
asks for what that library leaves to others: key usage for mail, extKeyUsage of intermediate CAs, algorithms.
"""

from __future__ import annotations

from enum import Enum
from itertools import pairwise
from typing import TYPE_CHECKING

from smime_agent.algorithms import MINIMUM_RSA_BITS, KeyKind
from smime_agent.trust.constraints import forbidden_name
from smime_agent.trust.signatures import GARBAGE, WEAK_DIGESTS, digest_name, issued, parsed
from smime_agent.verdict import Code, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from smime_agent.x509 import Certificate

_MINIMUM_CURVE_BITS = 224
_MAIL_PURPOSES = frozenset({"email_protection", "any_extended_key_usage"})
#: Of people who sign commits: what their cards are for besides mail.
_COMMIT_PURPOSES = _MAIL_PURPOSES | {"client_auth", "code_signing"}


class Purpose(Enum):
    """What the key of a certificate is used for."""

    SIGN = "sign"
    ENCRYPT = "encrypt"
    COMMIT = "commit"  # to sign commits and tags, which no extended key usage is made for


def of_leaf(leaf: Certificate, purpose: Purpose, at: datetime) -> Iterator[Reason]:
    """What stands against the certificate of a mailbox itself, whoever issued it."""
    if at > leaf.not_after:
        yield Reason(Code.EXPIRED, f"the certificate of {leaf.name} expired on {leaf.not_after:%Y-%m-%d}")
    if at < leaf.not_before:
        since = f"{leaf.not_before:%Y-%m-%d}"
        yield Reason(Code.NOT_YET_VALID, f"the certificate of {leaf.name} is valid only since {since}")
    # A CA may sign mail with the key of its own certificate, where keyUsage lets it (RFC 8550, 4.4.1 and 4.4.2).
    if not _usage_permits(leaf, purpose):
        use = {Purpose.SIGN: "sign mail", Purpose.ENCRYPT: "encrypt to", Purpose.COMMIT: "sign"}[purpose]
        yield Reason(
            Code.KEY_USAGE, f"the certificate of {leaf.name} is not one to {use}: its key usage does not say so"
        )
    usage = leaf.extended_key_usage
    if usage is not None and not usage & (_COMMIT_PURPOSES if purpose is Purpose.COMMIT else _MAIL_PURPOSES):
        use = "signing commits" if purpose is Purpose.COMMIT else "mail"
        text = f"the certificate of {leaf.name} is not for {use}: its extended key usage says what it is for"
        yield Reason(Code.EXTENDED_KEY_USAGE, text)


def of_path(chain: Sequence[Certificate], at: datetime, *, weak_digests: bool) -> Iterator[Reason]:
    """What stands against a chain that ends with an anchor: its signatures, its CAs, and what these allow."""
    for certificate, issuer in pairwise(chain):
        if not issued(certificate, issuer):
            text = f"the certificate of {certificate.name} was not signed by the key of {issuer.name}"
            yield Reason(Code.CERTIFICATE_SIGNATURE, text)
    for certificate in chain[:-1] if len(chain) > 1 else chain:
        yield from _damaged(certificate)
    if not weak_digests:
        yield from weaknesses(chain)
    for issuer in chain[1:]:
        if at > issuer.not_after:
            text = f"the certificate of {issuer.name}, an issuer, expired on {issuer.not_after:%Y-%m-%d}"
            yield Reason(Code.ISSUER_EXPIRED, text)
    for issuer in chain[1:-1]:
        yield from _of_issuer(issuer, at)
    yield from _not_for_mail(chain[1:])
    yield from _path_length(chain)
    forbidden = forbidden_name(chain)
    if forbidden:
        certificate, name = forbidden
        text = f"an issuer of the certificate of {certificate.name} may not give out the name {name}"
        yield Reason(Code.NAME_CONSTRAINTS, text)


def _usage_permits(leaf: Certificate, purpose: Purpose) -> bool:
    """RFC 8550, 4.4.2; RFC 5280, 4.2.1.3; absent keyUsage permits all that the key can do."""
    usage, kind = leaf.key_usage, leaf.key_algorithm.kind
    if purpose is not Purpose.ENCRYPT:
        return kind is not KeyKind.X25519 and (usage is None or bool(usage & {"digital_signature", "non_repudiation"}))
    if kind is KeyKind.ED25519:
        return False
    wanted = "key_encipherment" if kind is KeyKind.RSA else "key_agreement"
    return usage is None or wanted in usage


def _is_for_mail(certificate: Certificate) -> bool:
    """RFC 8550, 4.4.4."""
    return certificate.extended_key_usage is None or bool(certificate.extended_key_usage & _MAIL_PURPOSES)


def _not_for_mail(issuers: Sequence[Certificate]) -> Iterator[Reason]:
    """CAs, the anchor too, that say that they are for something else.

    Not asked for by RFC 5280, and by Mozilla's policy, NSS and OpenSSL: a CA for servers must not make certificates
    for mail.
    """
    for issuer in issuers:
        if not _is_for_mail(issuer):
            text = f"{issuer.name} is not a CA for mail: its extended key usage says what it issues certificates for"
            yield Reason(Code.EXTENDED_KEY_USAGE, text)


def _of_issuer(issuer: Certificate, at: datetime) -> Iterator[Reason]:
    """What stands against a CA certificate between leaf and anchor."""
    if at < issuer.not_before:
        text = f"the certificate of {issuer.name}, an issuer, is valid only since {issuer.not_before:%Y-%m-%d}"
        yield Reason(Code.ISSUER_EXPIRED, text)
    if not issuer.is_ca:  # RFC 5280, 6.1.4 (k)
        yield Reason(Code.ISSUER_NOT_CA, f"the certificate of {issuer.name} is not that of a CA, and issued another")
    elif issuer.key_usage is not None and "key_cert_sign" not in issuer.key_usage:  # RFC 5280, 6.1.4 (n)
        yield Reason(Code.ISSUER_NOT_CA, f"the key usage of {issuer.name} does not let it issue certificates")


def weaknesses(chain: Sequence[Certificate]) -> Iterator[Reason]:
    """Signatures below the anchor with a digest that collides; keys, the anchor's too, that are too weak."""
    for place, certificate in enumerate(chain):
        try:
            if place < len(chain) - 1:
                yield from _weak_digest(certificate)
            yield from _weak_key(certificate)
        except GARBAGE as error:
            text = f"the certificate of {certificate.name} cannot be read ({type(error).__name__})"
            yield Reason(Code.CERTIFICATE_UNREADABLE, text)


def _weak_digest(certificate: Certificate) -> Iterator[Reason]:
    digest = digest_name(parsed(certificate.encoded)["signature_algorithm"])
    if digest in WEAK_DIGESTS:
        text = f"the certificate of {certificate.name} is signed with {digest.upper()}, which can be forged"
        yield Reason(Code.WEAK_DIGEST, text)


def _weak_key(certificate: Certificate) -> Iterator[Reason]:
    """A key that is too short (RFC 8551, 4.2 and 4.3), or of an algorithm that is not used any more."""
    key = parsed(certificate.encoded).public_key
    kind = certificate.key_algorithm.kind
    if key.algorithm == "dsa":
        yield Reason(Code.LEGACY_ALGORITHM, f"the key of {certificate.name} is a DSA key")
    elif kind is KeyKind.RSA and certificate.key_algorithm.bits < MINIMUM_RSA_BITS:
        bits = certificate.key_algorithm.bits
        yield Reason(Code.WEAK_KEY, f"the key of {certificate.name} is an RSA key of {bits} bits, which is too short")
    elif kind is KeyKind.EC and certificate.key_algorithm.curve is None:
        if key["algorithm"]["parameters"].name != "named":  # RFC 5480, 2.1.1; CVE-2020-0601
            yield Reason(Code.WEAK_KEY, f"the key of {certificate.name} is on a curve of its own, without a name")
            return
        try:
            bits = int(key.bit_size)
        except (ValueError, KeyError, TypeError):  # a curve that asn1crypto does not know, such as brainpool
            return
        if bits < _MINIMUM_CURVE_BITS:
            yield Reason(
                Code.WEAK_KEY, f"the key of {certificate.name} is on a curve of {bits} bits, which is too short"
            )


def _damaged(certificate: Certificate) -> Iterator[Reason]:
    """Extensions that must be understood and are not, or stand twice; two signature algorithms."""
    from pyhanko_certvalidator.validate import SUPPORTED_EXTENSIONS

    own = parsed(certificate.encoded)
    unknown = sorted(own.critical_extensions - (SUPPORTED_EXTENSIONS - {"aa_controls"}))
    if unknown:
        text = f"the certificate of {certificate.name} has a critical extension that is not known: {', '.join(unknown)}"
        yield Reason(Code.CRITICAL_EXTENSION, text)
    names = [extension["extn_id"].dotted for extension in own["tbs_certificate"]["extensions"]]
    if len(set(names)) != len(names):  # RFC 5280, 4.2
        yield Reason(Code.PATH_INVALID, f"the certificate of {certificate.name} has an extension twice")
    if own["tbs_certificate"]["signature"].dump() != own["signature_algorithm"].dump():  # RFC 5280, 4.1.1.2
        yield Reason(Code.PATH_INVALID, f"the certificate of {certificate.name} names two signature algorithms")


def _path_length(chain: Sequence[Certificate]) -> Iterator[Reason]:
    """RFC 5280, 6.1.4 (l) and (m)."""
    left = len(chain)
    for issuer in reversed(chain[1:]):
        own = parsed(issuer.encoded)
        if issuer is not chain[-1] and not own.self_issued:
            if left <= 0:
                text = f"{issuer.name} must not stand here: an issuer above it allows a shorter path only"
                yield Reason(Code.PATH_LENGTH, text)
                return
            left -= 1
        if own.max_path_length is not None:
            left = min(left, own.max_path_length)
