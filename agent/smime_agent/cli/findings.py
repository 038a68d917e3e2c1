"""What was found out about a message, as JSON and as a card for a person.

On the card only our own words stand at the start of a line without indentation; what came from the mail or a
certificate follows a label of ours, is escaped and cut to a decent length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from smime_agent.smime.verification import LayerType
from smime_agent.verdict import Code, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from smime_agent.smime.verification import Layer, Signer, Verification
    from smime_agent.verdict import Reason

_LONGEST: Final = 240
_HEADLINES: Final = {
    Verdict.TRUSTED: "trusted: signed by the sender, and not changed since",
    Verdict.UNSIGNED: "unsigned: who wrote this, and whether it was changed, cannot be known",
    Verdict.MISMATCH: "mismatch: signed, but not by who the mail says",
    Verdict.UNTRUSTED: "untrusted: signed, but that the signer is who it says is not certain",
    Verdict.INVALID: "invalid: the message or its signature is not in order; do not rely on it",
}
_VALIDATION: Final = {
    "mailbox": "the mailbox; the name was not checked",
    "organization": "the organization and its mailbox",
    "sponsor": "the person, by the organization",
    "individual": "the person",
    "unknown": "",
}


#: Said in another line already, or in nearly every mail.
_UNTOLD: Final = frozenset({Code.REVOCATION_NOT_CHECKED, Code.PREAMBLE})


def as_json(verification: Verification, file: str | None) -> dict[str, Any]:
    """The fields of ``smime-agent.verify/1``."""
    return {
        "file": file,
        "verdict": verification.verdict.value,
        "reasons": _reasons(verification.reasons),
        "notes": _reasons(verification.notes),
        "from": list(verification.senders),
        "layers": [_layer(layer) for layer in verification.layers],
        "signers": [
            _signer(signer, number) for number, layer in enumerate(verification.layers) for signer in layer.signers
        ],
    }


def _reasons(reasons: Iterable[Reason]) -> list[dict[str, str]]:
    return [{"code": reason.code.value, "text": reason.text} for reason in reasons]


def _layer(layer: Layer) -> dict[str, Any]:
    return {
        "type": layer.type.value,
        "form": layer.form,
        "verdict": layer.verdict.value if layer.type is LayerType.SIGNED else None,
        "reasons": _reasons(layer.reasons),
        "notes": _reasons(layer.notes),
    }


def _signer(signer: Signer, layer: int) -> dict[str, Any]:
    certificate = signer.certificate
    return {
        "layer": layer,
        "named": signer.named,
        "subject": certificate.subject if certificate else None,
        "issuer": certificate.issuer if certificate else None,
        "serial": f"{certificate.serial_number:x}" if certificate else None,
        "sha256": certificate.fingerprint.hex() if certificate else None,
        "mailboxes": list(certificate.mailboxes) if certificate else [],
        "validation": str(certificate.validation) if certificate else "unknown",
        "algorithm": signer.algorithm or None,
        "claimed_at": f"{signer.claimed_at:%Y-%m-%dT%H:%M:%SZ}" if signer.claimed_at else None,
        "chain": [above.subject for above in signer.chain],
        "revocation": signer.revocation,
        "verdict": signer.verdict.value,
        "reasons": _reasons(signer.reasons),
        "notes": _reasons(signer.notes),
    }


def card(verification: Verification, file: str | None = None) -> Iterator[str]:
    """The lines of a card for a person."""
    yield _headline(verification)
    if file is not None:
        yield _line("file", file)
    if verification.senders:
        yield _line("from", ", ".join(map(_address, verification.senders)))
    for layer in verification.layers:
        yield from _layer_lines(layer, several=len(verification.layers) > 1)
    for reason in verification.reasons:
        yield _line("because", f"{reason.text} ({reason.code.value})")
    for note in verification.notes:
        if note.code not in _UNTOLD:
            yield _line("note", f"{note.text} ({note.code.value})")


def _headline(verification: Verification) -> str:
    verdict = verification.verdict
    if verdict is Verdict.TRUSTED and any(note.code is Code.NO_SENDER for note in verification.notes):
        return "trusted: signed by the holder of the certificate, and not changed since"
    if verdict is Verdict.MISMATCH and {reason.code for reason in verification.reasons} == {Code.DATE_MISMATCH}:
        return "mismatch: signed by the sender, but not when the mail says"
    return _HEADLINES[verdict]


def _layer_lines(layer: Layer, *, several: bool) -> Iterator[str]:
    if several or layer.type is not LayerType.SIGNED:
        yield _line("layer", f"{layer.type.value} ({layer.form})")
    for signer in layer.signers:
        certificate = signer.certificate
        if certificate is None:
            yield _line("signer", signer.named)
            continue
        yield _line("signer", certificate.name)
        yield _line("address", ", ".join(map(_address, certificate.mailboxes)) or "none in the certificate")
        if validated := _VALIDATION.get(str(certificate.validation), ""):
            yield _line("validated", validated)
        yield _line("issuer", signer.chain[1].name if len(signer.chain) > 1 else certificate.issuer)
        if signer.claimed_at is not None:
            yield _line("signed", f"{signer.claimed_at:%Y-%m-%d %H:%M:%S} UTC, as the signer says")
        if signer.algorithm:
            yield _line("algorithm", signer.algorithm)
        yield _line("revocation", _REVOCATION[signer.revocation])


_REVOCATION: Final = {
    "good": "not revoked",
    "revoked": "revoked",
    "unknown": "could not be found out",
    "not-checked": "not checked",
}


def _line(label: str, value: str) -> str:
    shown = value if len(value) <= _LONGEST else value[:_LONGEST] + " ..."
    return f"  {label.ljust(10)}  {shown}"


def _address(address: str) -> str:
    """An address, with its domain in A-labels beside it where that looks different: letters can look alike."""
    if address.isascii():
        return address
    local, _, domain = address.rpartition("@")
    try:
        ascii_domain = domain.encode("idna").decode()
    except UnicodeError:
        ascii_domain = ascii(domain)[1:-1]
    return f"{address} (in ASCII: {ascii(local)[1:-1]}@{ascii_domain})"
