"""What is fuzzed. Each target takes any octets; whatever it raises is a finding, errors of ours that it may not too."""

from __future__ import annotations

import email
import email.utils
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from asn1crypto import cms as judge

from smime_agent import mime
from smime_agent.cms import SignedData, check_signature, content_type, digest_content, to_der
from smime_agent.cms.ber import CONSTRUCTED, Reader
from smime_agent.cms.compressed_data import CompressedData, DigestedData, EncryptedData
from smime_agent.cms.enveloped_data import AuthEnvelopedData, EnvelopedData
from smime_agent.cms.normal import encodings, values
from smime_agent.cms.recipient_info import read_recipient_info
from smime_agent.mime.addresses import addr_specs
from smime_agent.mime.decode import decoder_of
from smime_agent.mime.fields import split_fields
from smime_agent.source import Source
from smime_agent.trust.lists import issuer_of, shortened
from smime_agent.verdict import UntrustworthyError
from smime_agent.x509 import InvalidCertificateError, certificate_of, load_certificates
from tests.fuzz.decryption import DecryptOracle, mutate_message
from tests.fuzz.mutation import mutate_ber, mutate_lines, mutate_mail
from tests.fuzz.oracle import Inspector, Oracle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from smime_agent.cms import ContentDigests, SignerInfo
    from smime_agent.mime import Part
    from smime_agent.x509 import Certificate
    from tests.fuzz.mutation import Mutation

_DECOMPRESSED: Final = 1 << 20
_LOOKED_INTO: Final = 20
_PLAIN: Final = frozenset({b"7bit", b"8bit", b"binary"})


@dataclass(frozen=True)
class Target:
    """A target: which seeds it begins with, how they are changed, its share of the time, and what makes it."""

    seeds: str
    mutation: Mutation
    made: Callable[[Path], Callable[[bytes], None]]
    share: int = 1


def read_ber(data: bytes) -> None:
    """The reader: every element inside every other, and what strings hold."""
    reader = Reader(Source.from_bytes(data))
    waiting = []
    try:
        waiting.append(reader.element(0, reader.size))
    except UntrustworthyError:
        return
    for _ in range(2_000):
        if not waiting:
            return
        element = waiting.pop()
        assert 0 <= element.start < element.body <= element.body_end <= element.end <= reader.size, "out of bounds"
        try:
            if element.tag & CONSTRUCTED:
                places = list(reader.string_pieces(element)) if element.tag == CONSTRUCTED | 4 else []
                assert places == sorted(places), "a piece ends before it begins"
                waiting += reader.members(element)
        except UntrustworthyError:
            continue


def normalise(data: bytes) -> None:
    """The normaliser: DER out of it is DER."""
    try:
        once = to_der(data)
    except UntrustworthyError:
        return
    assert to_der(once) == once, "DER of DER is something else"
    assert encodings(data)[-1] == once, "two ways to DER differ"
    assert encodings(once) == (once,), "DER has another encoding"
    assert [one.encoded for one in values(once)] == [once], "DER is not one value"


def read_cms(data: bytes) -> None:
    """All that CMS can be, and what asn1crypto reads in it."""
    try:
        content_type(Source.from_bytes(data))
    except UntrustworthyError:
        return
    _read_signed(data)
    _read_others(data)


def _read_signed(data: bytes) -> None:
    try:
        signed = SignedData.read(Source.from_bytes(data))
    except UntrustworthyError:
        return
    chunks = [] if signed.content is None else list(signed.content.chunks())
    assert signed.content is None or sum(map(len, chunks)) == signed.content.size, "the size of the content"
    digests = digest_content(chunks, [info.digest_algorithm for info in signed.signer_infos])
    own = [found for found in map(_certificate, signed.certificates) if found is not None]
    for info in signed.signer_infos[:_LOOKED_INTO]:
        assert signed.certificates_for(info.sid) is not None
        assert str(info.sid).isascii()
        for certificate in own[:_LOOKED_INTO]:
            _check_signature(signed, info, digests, certificate)
    _compare_signed(data, signed, b"".join(chunks))


def _check_signature(signed: SignedData, info: SignerInfo, digests: ContentDigests, certificate: Certificate) -> None:
    try:
        check_signature(signed, info, digests, certificate, content=lambda: b"")
    except UntrustworthyError:
        return


#: Whether strangers are asked for what they read. They have quirks of their own, and a new one is to be looked at by a
#: person, not to stop a change: CI leaves them out. Errors, time, memory and verdicts are looked at always.
COMPARES: Final = os.environ.get("FUZZ_COMPARES", "yes") == "yes"


def _compare_signed(data: bytes, signed: SignedData, content: bytes) -> None:
    """Where asn1crypto reads it too, it reads the same."""
    if not COMPARES:
        return
    try:
        theirs = judge.ContentInfo.load(to_der(data[: len(data) - signed.trailing]), strict=True)["content"]
        certificates = sum(one.name == "certificate" for one in theirs["certificates"])
        signers = [
            (
                info["digest_algorithm"]["algorithm"].dotted,
                info["signature_algorithm"]["algorithm"].dotted,
                info["signature"].native,
                len(info["signed_attrs"]) if info["signed_attrs"] else 0,
            )
            for info in theirs["signer_infos"]
        ]
        dotted, their_content = theirs["encap_content_info"]["content_type"].dotted, _their_content(theirs)
    except (ValueError, TypeError, KeyError, AttributeError, UntrustworthyError):
        return  # it is stricter, or broken
    ours = [
        (info.digest_algorithm.oid, info.signature_algorithm.oid, info.signature, len(info.signed_attributes or ()))
        for info in signed.signer_infos
    ]
    assert dotted == signed.content_type, "asn1crypto reads another content type"
    assert their_content is None or their_content == content, "asn1crypto reads another content"
    # Their octets are not compared: it leaves out of an extension what it does not know.
    assert certificates == len(signed.certificates), "asn1crypto reads other certificates"
    assert sorted(signers) == sorted(ours), "asn1crypto reads other signers"


def _their_content(signed: object) -> bytes | None:
    content = signed["encap_content_info"]["content"]  # type: ignore[index]  # asn1crypto has no types
    octets = content.native
    return octets if isinstance(octets, bytes) else None


def _read_others(data: bytes) -> None:
    for kind in (EnvelopedData, AuthEnvelopedData, CompressedData, DigestedData, EncryptedData):
        try:
            found = kind.read(Source.from_bytes(data))
        except UntrustworthyError:
            continue
        if isinstance(found, CompressedData):
            _decompress(found)
        elif isinstance(found, EnvelopedData | AuthEnvelopedData):
            for encoded in found.recipient_infos:
                _read_recipient_info(encoded)


def _decompress(compressed: CompressedData) -> None:
    try:
        assert sum(map(len, compressed.decompressed(_DECOMPRESSED))) <= _DECOMPRESSED, "more than was allowed"
    except UntrustworthyError:
        return


def _read_recipient_info(encoded: bytes) -> None:
    try:
        read_recipient_info(encoded)
    except UntrustworthyError:
        return


def read_certificate(data: bytes) -> None:
    """A certificate, from DER or PEM, and all that is asked of it."""
    for read in (certificate_of, load_certificates):
        try:
            found = read(data)
        except InvalidCertificateError:
            continue
        for certificate in found if isinstance(found, list) else [found]:
            certificate.covers("alice@example.org")
            assert certificate.may_have_issued(certificate) in {True, False}
            facts: tuple[object, ...] = (
                certificate.holder,
                certificate.validation,
                certificate.is_self_issued,
                certificate.is_for_mail,
            )
            facts += (certificate.permits_signing, certificate.permits_encryption, certificate.fingerprint)
            assert len(facts) == 7


def _certificate(encoded: bytes) -> Certificate | None:
    try:
        return certificate_of(encoded)
    except InvalidCertificateError:
        return None


def shorten_list(data: bytes) -> None:
    """A CRL, cut down to one serial number. ``ValueError`` is what it says it raises."""
    try:
        issuer_of(data)
        short = shortened(data, [b"\x02\x01\x05"])
    except ValueError:
        return
    assert len(short.encoded) <= len(data) + 16, "a shortened list is longer"


def read_mail(data: bytes) -> None:
    """A mail: what it is, its parts, its layers, their octets."""
    source = Source.from_bytes(data)
    if mime.recognise(source) in {mime.Form.PEM, mime.Form.BASE64}:
        try:
            mime.cms_of_pem(source)
        except UntrustworthyError:
            return
    try:
        mail = mime.read_mail(source)
    except UntrustworthyError:
        return
    for node in mime.walk(mail):
        part = node.part
        assert 0 <= part.start <= part.body <= part.end <= part.source.size, "a part is out of bounds"
    mime.errant_layers(mail)
    size = sum(map(len, decoder_of(mail.encoding).decode(mail.raw(header=False))))
    assert size <= len(data) + 2, "more came out of an encoding than was in it"
    kind = mime.layer_of(mail)
    try:
        if kind is mime.LayerKind.CLEAR_SIGNED:
            _look_into(data, mail)
        elif kind is mime.LayerKind.CMS:
            mime.read_protected(mime.cms_of(mail)[0])
    except UntrustworthyError:
        return


def _look_into(data: bytes, mail: Part) -> None:
    """The content of a multipart/signed, which another reader has to find too."""
    halves = mime.clear_signed(mail)
    canonical = b"".join(halves.content_chunks())
    assert b"".join(mime.canonical_lines(iter([canonical]))) == canonical, "canonical is not canonical"
    content = halves.content_part()
    if not COMPARES:
        return
    theirs: object = email.message_from_bytes(data).get_payload()
    assert isinstance(theirs, list), "another reader sees no multipart"
    assert len(theirs) == 2, "another reader sees another number of parts"
    lone = b"\r" in canonical.replace(b"\r\n", b"")  # another reader ends a line there; it was signed like that
    plain = content.encoding in _PLAIN and not content.kind.value.startswith((b"multipart/", b"message/"))
    if content.separated and plain and not lone:
        payload = theirs[0].get_payload(decode=True)
        assert payload.split() == b"".join(content.raw(header=False)).split(), "another reader sees another content"


def read_sender(data: bytes) -> None:
    """The fields that say who sent a mail; nothing is raised."""
    fields = list(split_fields(data))
    claims = mime.read_claims(fields)
    for mailbox in (*claims.senders, *claims.reply_to):
        for text in (mailbox.address or "", mailbox.display_name, mailbox.raw):
            text.encode()  # there are no surrogates; what steers a terminal stays, and is for the caller to escape
    for field in fields:
        addr_specs(field.partition(b":")[2].replace(b"\r\n", b"").replace(b"\n", b""))
    if not claims.problems and not claims.groups and claims.from_fields == 1:
        _compare_senders(data, [mailbox.address for mailbox in claims.senders])


def _compare_senders(data: bytes, ours: list[str | None]) -> None:
    """Where nothing is wrong with From, the standard library sees the same addresses."""
    if not COMPARES:
        return
    text: object = email.message_from_bytes(data).get("From", "")
    refused = b"\0" in data or b"\r" in data.replace(b"\r\n", b"")  # for these the whole mail is
    if refused or not isinstance(text, str) or not text.isascii() or any(not address for address in ours):
        return
    theirs = {_plain(address) for _, address in email.utils.getaddresses([" ".join(text.split())], strict=False)}
    # Half an address makes nobody believe anything, and "Sales@Example" may be a name.
    theirs = {address for address in theirs if "@" in address[1:] and "." in address.rpartition("@")[2]}
    assert theirs <= {_plain(str(address)) for address in ours}, "another reader sees other senders"


def _plain(address: str) -> str:
    return "".join(address.replace('"', "").replace("\\", "").split())


TARGETS: Final[dict[str, Target]] = {
    "ber": Target("cms", mutate_ber, lambda _: read_ber),
    "normal": Target("cms", mutate_ber, lambda _: normalise),
    "cms": Target("cms", mutate_ber, lambda _: read_cms, 2),
    "certificate": Target("certificate", mutate_ber, lambda _: read_certificate),
    "crl": Target("crl", mutate_ber, lambda _: shorten_list),
    "mail": Target("mail", mutate_mail, lambda _: read_mail, 2),
    "sender": Target("fields", mutate_lines, lambda _: read_sender),
    "inspect": Target("mail", mutate_mail, Inspector),
    "verify": Target("mail", mutate_mail, Oracle, 4),
    "decrypt": Target("sealed", mutate_message, DecryptOracle, 3),
}
