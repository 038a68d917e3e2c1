"""Verify: the layers taken off, each signature checked, the signers compared with the sender, one verdict."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from smime_agent import mime
from smime_agent.mailbox import same_mailbox_key
from smime_agent.mime import Form
from smime_agent.smime.layers import OpenedMessage
from smime_agent.smime.verification import LayerType, Verification
from smime_agent.trust.identity import check_date, check_expected, check_identity
from smime_agent.verdict import Code, Reason, UntrustworthyError, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import ExitStack

    from smime_agent.mime import Claims, Part
    from smime_agent.smime.signers import SignerCheck
    from smime_agent.smime.verification import Layer
    from smime_agent.source import Source


def verify(
    source: Source,
    check: SignerCheck,
    resources: ExitStack,
    *,
    expected_sender: str | None = None,
    content: Source | None = None,
) -> Verification:
    """What is to be said of a message, a mail or bare CMS, which is never held.

    ``expected_sender`` is who should have sent it, ``content`` what a bare detached signature is over. ``resources``
    closes what had to be spooled; until then the content of a layer can be read.

    Raises:
        FileError: it cannot be read. Whatever is wrong with the message is in the result.
    """
    claims: Claims | None = None
    opened = OpenedMessage(check, resources)
    try:
        form = mime.recognise(source)
        if form is Form.MAIL:
            mail = mime.read_mail(source)
            claims = mime.read_claims(mail.fields)
            opened.envelope(mail, content)
        else:
            binary = source if form is Form.DER else resources.enter_context(mime.cms_of_pem(source))
            opened.bare(binary, content)
    except UntrustworthyError as error:
        opened.reasons.append(error.reason)
    return judged(opened, claims, expected_sender)


def judged(opened: OpenedMessage, claims: Claims | None, expected: str | None) -> Verification:
    """All reasons together: those of the message, of its layers, and of who signed it."""
    layers = opened.layers
    reasons = [*opened.reasons, *(reason for layer in layers for reason in _all_reasons(layer))]
    notes = [*opened.notes, *(note for layer in layers for note in _all_notes(layer))]
    if not any(reason.code.verdict is Verdict.INVALID for reason in opened.reasons):
        reasons += _unsigned(layers, reasons)
    signed = [layer for layer in layers if layer.type is LayerType.SIGNED]
    if signed:
        reasons += _identity(signed[0], claims, expected)
        notes += _other_signers(signed, claims, expected)
        reasons += _protected_sender(opened.entities, signed[0])
        if claims is None and expected is None:
            notes.append(Reason(Code.NO_SENDER, "nobody says who sent it, so the signer was compared with nobody"))
    elif claims is not None:
        notes += _sender_inside(opened.entities, claims)
    senders = () if claims is None else tuple(mailbox.address or mailbox.raw for mailbox in claims.senders)
    return Verification(tuple(dict.fromkeys(reasons)), tuple(dict.fromkeys(notes)), senders, tuple(layers))


def _unsigned(layers: list[Layer], reasons: list[Reason]) -> Iterator[Reason]:
    """Why the mail as a whole carries no signature that can be seen."""
    closed = [layer for layer in layers if layer.type is not LayerType.SIGNED and layer.content is None]
    if any(layer.type is LayerType.SIGNED for layer in layers):
        return
    if closed and closed[0].type is LayerType.ENCRYPTED:
        yield Reason(Code.ENCRYPTED, "the mail is encrypted; only its recipients can see whether it is signed")
    elif any(reason.code.verdict is not Verdict.TRUSTED for reason in reasons):
        return
    elif closed:
        yield Reason(Code.OTHER_PROTECTION, f"the mail is protected by {closed[0].form}, not signed by S/MIME")
    else:
        yield Reason(Code.NOT_SIGNED, "the mail is not signed")


def _identity(outermost: Layer, claims: Claims | None, expected: str | None) -> Iterator[Reason]:
    certificates = [signer.certificate for signer in outermost.signers if signer.certificate is not None]
    if not certificates:
        return
    if claims is not None:
        yield from check_identity(claims, certificates, expected)
        yield from check_date(claims, (signer.claimed_at for signer in outermost.signers))
    elif expected is not None:
        yield from check_expected(expected, certificates)


def _protected_sender(entities: Iterable[Part], outermost: Layer) -> Iterator[Reason]:
    """RFC 9788: a program that knows header protection shows the From inside, which must be the signer's too.

    So must that of a whole mail that was encrypted, signature and all: it is what is given out.
    """
    certificates = [signer.certificate for signer in outermost.signers if signer.certificate is not None]
    if not certificates:
        return
    for entity in entities:
        inside = _claims_inside(entity)
        if inside.from_fields:
            yield from check_identity(inside, certificates)


def _sender_inside(entities: Iterable[Part], claims: Claims) -> Iterator[Reason]:
    """Nobody signed it; still the two senders that a reader may see should be one."""
    outside = {same_mailbox_key(mailbox.address) for mailbox in claims.senders if mailbox.address is not None}
    for entity in entities:
        for mailbox in _claims_inside(entity).senders:
            if mailbox.address is not None and same_mailbox_key(mailbox.address) not in outside:
                yield Reason(Code.OTHER_SENDER, f"inside, the mail says that it is from {mailbox.address}")


def _claims_inside(entity: Part) -> Claims:
    """Who the protected header names (RFC 9788), or the one of a mail that is all there is (RFC 8551, 3.1)."""
    fields, kind = entity.fields, entity.kind
    if kind.value == b"message/rfc822" and kind.parameters.get(b"forwarded", b"").lower() == b"no":
        with suppress(UntrustworthyError):
            fields = mime.read_part(entity.source, entity.body, entity.end).fields
    return mime.read_claims(fields)


def _other_signers(signed: list[Layer], claims: Claims | None, expected: str | None) -> Iterator[Reason]:
    """Inner layers signed by others: the outermost signer vouches for them, and the reader should know."""
    senders = [mailbox.address for mailbox in claims.senders if mailbox.address] if claims else []
    senders += [expected] if expected is not None else []
    for layer in signed[1:]:
        for signer in layer.signers:
            certificate = signer.certificate
            if certificate is not None and not any(map(certificate.covers, senders)):
                yield Reason(Code.OTHER_SIGNER, f"inside, it is signed by {certificate.holder} too")


def _all_reasons(layer: Layer) -> Iterator[Reason]:
    yield from layer.reasons
    for signer in layer.signers:
        yield from signer.reasons


def _all_notes(layer: Layer) -> Iterator[Reason]:
    yield from layer.notes
    for signer in layer.signers:
        yield from signer.notes
