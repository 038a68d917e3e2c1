"""What was found out about a message, as JSON and as a card for a person.

On the card only our own words begin a line. What came from the mail or a certificate follows a label of ours, is
escaped, cut to a decent length, and folded where the terminal would fold it.
"""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any, Final

from smime_agent.cli.ui import printable
from smime_agent.mailbox import same_mailbox_key
from smime_agent.smime.verification import LayerType
from smime_agent.verdict import Code, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from smime_agent.smime.verification import Layer, Signer, Verification
    from smime_agent.verdict import Reason

_LONGEST: Final = 240
_INDENT: Final = "            | "  # before a line that goes on
_NARROWEST: Final = 20
#: Blanks, and letters that look like one.
_BLANKS: Final = re.compile("[ \u2800\u3164\u115f\u1160\uffa0]{2,}")
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
        "validation": signer.validation,
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
    for label, value in _entries(verification, file):
        yield from _folded(label, value)


def _entries(verification: Verification, file: str | None) -> Iterator[tuple[str, str]]:
    """Labels and what they are of."""
    if file is not None:
        yield "file", file
    if verification.senders:
        yield "from", ", ".join(map(_address, verification.senders))
    for layer in verification.layers:
        yield from _of_layer(layer, several=len(verification.layers) > 1)
    for reason in verification.reasons:
        yield "because", f"{reason.text} ({reason.code.value})"
    for note in verification.notes:
        if note.code not in _UNTOLD:
            yield "note", f"{note.text} ({note.code.value})"


def _headline(verification: Verification) -> str:
    verdict = verification.verdict
    if verdict is Verdict.TRUSTED and any(note.code is Code.NO_SENDER for note in verification.notes):
        return "trusted: signed by the holder of the certificate, and not changed since"
    if verdict is Verdict.MISMATCH and {reason.code for reason in verification.reasons} == {Code.DATE_MISMATCH}:
        return "mismatch: signed by the sender, but not when the mail says"
    return _HEADLINES[verdict]


def _of_layer(layer: Layer, *, several: bool) -> Iterator[tuple[str, str]]:
    if several or layer.type is not LayerType.SIGNED:
        yield "layer", f"{layer.type.value} ({layer.form})"
    for signer in layer.signers:
        certificate = signer.certificate
        if certificate is None:
            yield "signer", signer.named
            continue
        yield "signer", certificate.name
        yield "address", ", ".join(map(_address, certificate.mailboxes)) or "none in the certificate"
        if validated := _VALIDATION[signer.validation]:
            yield "validated", validated
        yield "issuer", signer.chain[1].name if len(signer.chain) > 1 else certificate.issuer
        if signer.claimed_at is not None:
            yield "signed", f"{signer.claimed_at:%Y-%m-%d %H:%M:%S} UTC, as the signer says"
        if signer.algorithm:
            yield "algorithm", signer.algorithm
        yield "revocation", _REVOCATION[signer.revocation]


_REVOCATION: Final = {
    "good": "not revoked",
    "revoked": "revoked",
    "unknown": "could not be found out",
    "not-checked": "not checked",
}


def _folded(label: str, value: str) -> Iterator[str]:
    """A label and its value, in lines that the terminal need not fold: nothing from outside begins one."""
    shown = _BLANKS.sub(" ", printable(value))
    if len(shown) > _LONGEST:
        shown = shown[:_LONGEST] + " ..."
    width = max(shutil.get_terminal_size().columns - len(_INDENT) - 1, _NARROWEST)
    line, indent = "", f"  {label.ljust(10)}  "
    for character in shown:
        if sum(map(_cells, line)) + _cells(character) > width:
            whole, blank, begun = line.rpartition(" ")  # a word that is longer than a line is cut
            yield indent + (whole if blank else line)
            line, indent = (begun if blank else ""), _INDENT
        line += character
    yield indent + line


def _cells(character: str) -> int:
    """How many places of a terminal a character takes at most: terminals and fonts differ beyond ASCII."""
    return 1 if character.isascii() else 2


def _address(address: str) -> str:
    """An address, with its domain in A-labels beside it where that looks different: letters can look alike."""
    if address.isascii():
        return address
    local = address.rpartition("@")[0]
    domain = same_mailbox_key(address).rpartition("@")[2]
    return f"{address} (in ASCII: {ascii(local)[1:-1]}@{ascii(domain)[1:-1]})"
