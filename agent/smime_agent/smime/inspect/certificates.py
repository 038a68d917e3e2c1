"""Certificates and CRLs as nodes. Nothing is trusted, no signature is checked."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from smime_agent import der
from smime_agent.cms.ber import Reader
from smime_agent.cms.signer_info import read_algorithm
from smime_agent.smime.inspect import tree, words
from smime_agent.smime.inspect.tree import Node, NodeType
from smime_agent.source import Source
from smime_agent.verdict import UntrustworthyError
from smime_agent.x509 import InvalidCertificateError, certificate_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from smime_agent.cms.ber import Element
    from smime_agent.smime.inspect.tree import Budget, Draft, Value
    from smime_agent.x509 import Certificate

    #: Names of certificates by issuer (DER) and serial number, and by subjectKeyIdentifier.
    Holders = dict[tuple[bytes | None, int | None] | bytes, str]

#: A certificate of more octets is not read.
MAX_CERTIFICATE: Final = 64 * 1024
#: Revoked certificates of one CRL that are counted.
MAX_COUNTED: Final = 100_000
#: Reading a certificate costs more than reading other things; of a CRL the entries are only counted.
_CERTIFICATE_OCTETS, _CRL_OCTETS = 64, 64 * 1024
_TIMES: Final = (der.UTC_TIME, der.GENERALIZED_TIME)
_CRL_EXTENSIONS: Final = 0xA0


def add_certificates(draft: Draft, certificates: Sequence[bytes], budget: Budget) -> None:
    """A node for each certificate."""
    draft.add(budget.nodes(certificates, certificate_node, _CERTIFICATE_OCTETS))


def names_of_holders(draft: Draft, certificates: Sequence[bytes]) -> Holders:
    """The names in those certificates that became nodes, by what a signer is named by; nobody vouches for them."""
    shown = sum(child.type is NodeType.CERTIFICATE for child in draft.children)
    holders: Holders = {}
    for encoded in certificates[:shown]:
        if len(encoded) <= MAX_CERTIFICATE:
            with suppress(InvalidCertificateError):
                certificate = certificate_of(encoded)
                name = tree.cut(certificate.name)
                holders.setdefault((certificate.issuer_encoded, certificate.serial_number), name)
                if certificate.subject_key_identifier:
                    holders.setdefault(certificate.subject_key_identifier, name)
    return holders


def add_crls(draft: Draft, crls: Sequence[bytes], budget: Budget) -> None:
    """A node for each CRL."""
    draft.add(budget.nodes(crls, crl_node, _CRL_OCTETS))


def certificate_node(encoded: bytes) -> Node:
    """A certificate: whose it is, who issued it, and what it is for."""
    if len(encoded) > MAX_CERTIFICATE:
        reason = f"it is longer than {MAX_CERTIFICATE // 1024} KiB"
        return Node(NodeType.CERTIFICATE, size=len(encoded), unreadable=reason)
    try:
        certificate = certificate_of(encoded)
    except InvalidCertificateError as error:
        return Node(NodeType.CERTIFICATE, size=len(encoded), unreadable=str(error))
    return Node(
        NodeType.CERTIFICATE, tree.cut(certificate.name), size=len(encoded), values=tuple(_certificate(certificate))
    )


def _certificate(certificate: Certificate) -> Iterator[Value]:
    yield tree.value("subject", certificate.subject)
    yield tree.value("issuer", certificate.issuer)
    yield tree.value("serial", f"{certificate.serial_number:x}")
    yield tree.value("not_before", f"{certificate.not_before:%Y-%m-%dT%H:%M:%SZ}")
    yield tree.value("not_after", f"{certificate.not_after:%Y-%m-%dT%H:%M:%SZ}")
    yield tree.value("key_type", str(certificate.key_algorithm))
    if certificate.mailboxes:
        yield tree.value("mailboxes", tree.joined(certificate.mailboxes))
    if certificate.key_usage is not None:
        yield tree.value("key_usage", _words(certificate.key_usage))
    if certificate.extended_key_usage is not None:
        yield tree.value("extended_key_usage", _words(certificate.extended_key_usage))
    if certificate.is_ca:
        yield tree.value("ca", "yes")
    if certificate.subject_key_identifier is not None:
        yield tree.octets_of("subject_key_identifier", certificate.subject_key_identifier)
    yield tree.value("sha256", certificate.fingerprint.hex())


def _words(usages: Iterable[str]) -> str:
    """Usages as RFC 5280 writes them: ``digitalSignature``."""
    parts = (usage.replace("crl_sign", "cRL_sign").split("_") for usage in sorted(usages))
    return tree.joined(first + "".join(word.capitalize() for word in rest) for first, *rest in parts)


def crl_node(encoded: bytes) -> Node:
    """A CRL: who issued it, when, and how many certificates it revokes (RFC 5280, 5.1)."""
    found: list[Value] = []
    unreadable = None
    try:
        reader = Reader(Source.from_bytes(encoded))
        whole = reader.fields(reader.element(0, reader.size), der.SEQUENCE)
        found.extend(_crl(reader, whole.required(der.SEQUENCE)))
    except UntrustworthyError as error:
        unreadable = str(error)
    return Node(NodeType.CRL, size=len(encoded), values=tuple(found), unreadable=unreadable)


def _crl(reader: Reader, to_be_signed: Element) -> Iterator[Value]:
    fields = reader.fields(to_be_signed, der.SEQUENCE)
    fields.optional(der.INTEGER)
    algorithm = read_algorithm(reader, fields.required(der.SEQUENCE))
    yield tree.value("issuer", words.distinguished_name(reader.encoded(fields.required(der.SEQUENCE))))
    for name in ("this_update", "next_update"):
        moment = fields.required(*_TIMES) if name == "this_update" else fields.optional(*_TIMES)
        if moment is not None:
            yield tree.value(name, words.time(moment.tag, reader.contents(moment)))
    yield tree.named("signature_algorithm", algorithm.oid, words.algorithm(algorithm))
    revoked = fields.optional(der.SEQUENCE)
    count = 0
    for count, _ in enumerate(reader.children(revoked) if revoked is not None else (), start=1):
        if count == MAX_COUNTED:
            yield tree.value("revoked", f"{MAX_COUNTED} or more")
            return
    yield tree.value("revoked", count)
