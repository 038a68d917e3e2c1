"""Decrypt: the layers taken off with keys of ours, the signatures among them checked, what was in them given out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from smime_agent import cms, mime
from smime_agent.errors import NotEncryptedError, UsageError
from smime_agent.mime import Form, LayerKind
from smime_agent.smime.layers import ENCRYPTED_TYPES, OpenedMessage, number_of
from smime_agent.smime.verify import judged
from smime_agent.verdict import Code, UntrustworthyError, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import ExitStack

    from smime_agent.mime import Claims, Node, Part
    from smime_agent.smime.opening import Opener
    from smime_agent.smime.signers import SignerCheck
    from smime_agent.smime.verification import Encryption, Verification
    from smime_agent.source import Source
    from smime_agent.verdict import Reason


@dataclass(frozen=True, slots=True)
class Decryption:
    """What came out of a message.

    ``content`` gives exactly what had been encrypted, signatures in it included: ``size`` octets. ``is_partial``: it
    was only a part of a mail. ``verification`` says what there is to be said about signatures, on whichever layer;
    ``must_be_signed``: somebody was named who should have signed.
    """

    content: Callable[[], Iterator[bytes]]
    size: int
    verification: Verification
    is_partial: bool = False
    must_be_signed: bool = False

    @property
    def encryptions(self) -> tuple[Encryption, ...]:
        """Of each layer that was opened, outermost first."""
        return tuple(layer.encryption for layer in self.verification.layers if layer.encryption is not None)

    @property
    def is_authenticated(self) -> bool:
        """Every encryption would have noticed a change."""
        return all(encryption.is_authenticated for encryption in self.encryptions)

    @property
    def signature(self) -> Verification | None:
        """The verification, if there is a signature or has to be one."""
        is_signed = self.verification.outermost_signed is not None
        return self.verification if is_signed or self.must_be_signed else None

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """What is not in order where there is no signature, whose verification would say it."""
        if self.signature is not None:
            return ()
        return tuple(reason for reason in self.verification.reasons if reason.code is not Code.NOT_SIGNED)

    @property
    def exit_code(self) -> int:
        """0, or what the signature is worth if there is one; 6 where the layers are not in order."""
        verdict = self.verification.verdict
        if self.signature is None and verdict is not Verdict.INVALID:
            verdict = Verdict.TRUSTED
        return verdict.exit_code


@dataclass(frozen=True, slots=True)
class DecryptRoad:
    """How messages are decrypted: with what keys, and by whose certificates the signatures in them are judged."""

    opener: Opener
    check: SignerCheck

    def decrypt(
        self, source: Source, resources: ExitStack, *, part: str | None = None, expected_sender: str | None = None
    ) -> Decryption:
        """Decrypt a message, a mail or bare CMS, of any size.

        ``part`` is the number of a part that is encrypted on its own: that alone is decrypted, and nothing around it
        vouches for it. ``resources`` closes what had to be opened; until then the content can be read.

        Raises:
            NotEncryptedError: it is not encrypted, or only in parts.
            NoKeyError: it is not for us.
            DecryptionError: it was changed, or encrypted for another key than it says.
            InvalidMessageError: it is damaged.
            PolicyError: it is encrypted in a way that only ``legacy`` permits.
            TokenError, PinError, FileError
        """
        opened = OpenedMessage(self.check, resources, self.opener)
        claims = self._open(opened, source, resources)
        must = expected_sender is not None
        if part is None and opened.plaintext is not None:
            found = judged(opened, claims, expected_sender)
            return Decryption(opened.plaintext.chunks, opened.plaintext.size, found, must_be_signed=must)
        parts = _encrypted_parts(opened, resources)
        if part is None:
            raise _not_encrypted(parts, hint=_what_else(opened, resources))
        if part not in parts:
            raise _no_such_part(part, parts)
        # Each part has its own origin: nothing of what is around it is said of it.
        alone = OpenedMessage(self.check, resources, self.opener)
        self._taken_off(alone, lambda: alone.envelope(parts[part], None))
        if alone.plaintext is None:
            raise _not_encrypted({})
        found = judged(alone, None, expected_sender)
        return Decryption(alone.plaintext.chunks, alone.plaintext.size, found, is_partial=True, must_be_signed=must)

    def _open(self, opened: OpenedMessage, source: Source, resources: ExitStack) -> Claims | None:
        """Take off all layers; who the mail says it is from is returned."""
        form = mime.recognise(source)
        if form is Form.MAIL:
            mail = mime.read_mail(source)
            if mail.kind.value == b"multipart/encrypted":  # RFC 1847, 2.2
                text = "the message is encrypted otherwise than with S/MIME"
                raise NotEncryptedError(text, hint="a program for OpenPGP may decrypt it, such as gpg")
            self._taken_off(opened, lambda: opened.envelope(mail, None))
            return mime.read_claims(mail.fields)
        binary = source if form is Form.DER else resources.enter_context(mime.cms_of_pem(source))
        self._taken_off(opened, lambda: opened.bare(binary, None))
        return None

    @staticmethod
    def _taken_off(opened: OpenedMessage, take_off: Callable[[], None]) -> None:
        try:
            take_off()
        except UntrustworthyError as error:
            if opened.plaintext is None:
                raise
            opened.reasons.append(error.reason)  # it was decrypted, and what is in it is not in order


def _encrypted_parts(opened: OpenedMessage, resources: ExitStack) -> dict[str, Part]:
    """The parts of a mail that are encrypted on their own, by their numbers."""
    found = [node for node in opened.errant if not node.in_message and _is_encrypted(node, resources)]
    return {number_of(node): node.part for node in found}


def _is_encrypted(node: Node, resources: ExitStack) -> bool:
    if mime.layer_of(node.part) is not LayerKind.CMS:
        return False
    try:
        source, _ = mime.cms_of(node.part)
        return cms.content_type(resources.enter_context(source)) in ENCRYPTED_TYPES
    except UntrustworthyError:
        return False


def _what_else(opened: OpenedMessage, resources: ExitStack) -> str | None:
    """What a message is that is not encrypted as a whole, for who expected that it is."""
    attached = next((node for node in opened.errant if node.in_message and _is_encrypted(node, resources)), None)
    if attached is not None:
        return (
            f"a mail that is attached to it is encrypted (part {number_of(attached)}): save that mail, and decrypt it"
        )
    if any(layer.signers for layer in opened.layers):
        return "it is signed: 'smime-agent verify' says by whom"
    return None


def _not_encrypted(parts: dict[str, Part], hint: str | None = None) -> NotEncryptedError:
    if not parts:
        return NotEncryptedError("the message is not encrypted", hint=hint)
    listed = ", ".join(parts)
    error = NotEncryptedError(
        f"only a part of the mail is encrypted ({listed}), and somebody else may have written what is around it",
        hint=f"--part {next(iter(parts))} decrypts that part alone",
    )
    error.parts = tuple(parts)
    return error


def _no_such_part(part: str, parts: dict[str, Part]) -> UsageError:
    there = f"those that are: {', '.join(parts)}" if parts else "no part is"
    return UsageError(f"part {part} is not encrypted on its own; {there}", hint="'smime-agent inspect' shows all parts")
