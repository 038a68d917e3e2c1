"""What was found out about a message, as a card for a person.

On the card only our own words begin a line. What came from the mail or a certificate follows a label of ours, is
escaped, cut to a decent length, and folded where the terminal would fold it.
"""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Final

from smime_agent.cli.ui import printable
from smime_agent.mailbox import same_mailbox_key
from smime_agent.smime.verification import LayerType
from smime_agent.verdict import Code, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smime_agent.smime.decrypt import Decryption
    from smime_agent.smime.verification import Encryption, Layer, Verification

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


def card(verification: Verification, file: str | None = None) -> Iterator[str]:
    """The lines of a card for a person."""
    yield _headline(verification)
    for label, value in _entries(verification, file):
        yield from folded(label, value)


def _entries(verification: Verification, file: str | None) -> Iterator[tuple[str, str]]:
    """Labels and what they are of."""
    if file is not None:
        yield "file", file
    if verification.senders:
        yield "from", ", ".join(map(shown_address, verification.senders))
    for layer in verification.layers:
        yield from _of_layer(layer, several=len(verification.layers) > 1)
    for reason in verification.reasons:
        yield "because", f"{reason.text} ({reason.code.value})"
    for note in verification.notes:
        if note.code not in _UNTOLD:
            yield "note", f"{note.text} ({note.code.value})"


def encryption_card(decryption: Decryption, file: str | None = None) -> Iterator[str]:
    """The lines of a card about the encryption of a message alone."""
    yield headline(decryption)
    entries = [("file", file)] if file is not None else []
    entries += [entry for encryption in decryption.encryptions for entry in _of_encryption(encryption)]
    if decryption.is_partial:
        entries.append(("note", "a part of a mail: who wrote it, and what stood around it, is not known"))
    for label, value in entries:
        yield from folded(label, value)


def decryption_card(decryption: Decryption, file: str | None = None) -> Iterator[str]:
    """The lines of a card for a person who decrypted a message."""
    yield from encryption_card(decryption, file)
    signature = decryption.signature
    if signature is None:
        yield from folded("signature", "none: who wrote this cannot be known")
        for reason in decryption.reasons:
            yield from folded("but", f"{reason.text} ({reason.code.value})")
        for note in decryption.verification.notes:
            yield from folded("note", f"{note.text} ({note.code.value})")
        return
    yield from card(signature)


def headline(decryption: Decryption) -> str:
    """What is to be said first: that it was decrypted, and what that alone is worth."""
    if decryption.signature is not None:  # what that is worth is said below
        return "decrypted"
    if decryption.is_authenticated:
        return "decrypted: not changed since it was encrypted"
    return "decrypted, not authenticated: whether it was changed on its way cannot be known"


def _of_encryption(encryption: Encryption) -> Iterator[tuple[str, str]]:
    kind = "authenticated" if encryption.is_authenticated else "not authenticated"
    yield "encrypted", f"{encryption.algorithm}, {kind}; {encryption.key_algorithm}"
    certificate = encryption.certificate
    if certificate is not None:
        yield "for", certificate.holder
    others = encryption.recipients - 1
    if others:
        yield "others", f"{others} more {'recipient' if others == 1 else 'recipients'} can read it"
    yield "key", encryption.key


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
        yield "address", ", ".join(map(shown_address, certificate.mailboxes)) or "none in the certificate"
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


def folded(label: str, value: str) -> Iterator[str]:
    """A label and its value, in lines that the terminal need not fold: nothing from outside begins one."""
    shown = _BLANKS.sub(" ", printable(value))
    if len(shown) > _LONGEST:
        shown = shown[:_LONGEST] + " ..."
    width = max(shutil.get_terminal_size().columns - len(_INDENT) - 1, _NARROWEST)
    line, taken, indent = "", 0, f"  {label.ljust(10)}  "
    for character in shown:
        cells = _cells(character)
        if taken + cells > width:
            whole, blank, begun = line.rpartition(" ")  # a word that is longer than a line is cut
            yield indent + (whole if blank else line)
            line, indent = (begun if blank else ""), _INDENT
            taken = _cells(line)
        line += character
        taken += cells
    yield indent + line


def _cells(text: str) -> int:
    """How many places of a terminal a text takes at most: terminals and fonts differ beyond ASCII."""
    return len(text) if text.isascii() else sum(1 if character.isascii() else 2 for character in text)


def shown_address(address: str) -> str:
    """An address, with its domain in A-labels beside it where that looks different: letters can look alike."""
    if address.isascii():
        return address
    local = address.rpartition("@")[0]
    domain = same_mailbox_key(address).rpartition("@")[2]
    return f"{address} (in ASCII: {ascii(local)[1:-1]}@{ascii(domain)[1:-1]})"
