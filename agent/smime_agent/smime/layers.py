"""The layers around what a person reads, taken off from the outside in, each signature checked.

Only what the Cryptographic Envelope covers counts (RFC 9787, 4): the layers that begin at the mail's own header, each
directly inside the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final

from smime_agent import cms, mime
from smime_agent.cms import oids
from smime_agent.cms.compressed_data import CompressedData
from smime_agent.errors import NoKeyError, NotEncryptedError
from smime_agent.mime import Form, LayerKind
from smime_agent.names import name_of
from smime_agent.smime.verification import Layer, LayerType
from smime_agent.verdict import Code, Reason, UntrustworthyError, Verdict

if TYPE_CHECKING:
    from contextlib import ExitStack

    from smime_agent.errors import SmimeAgentError
    from smime_agent.mime import Node, Part
    from smime_agent.smime.opening import Opener
    from smime_agent.smime.signers import SignerCheck
    from smime_agent.smime.verification import Signer
    from smime_agent.source import Source

#: More layers than these around one mail are not taken off.
LAYER_LIMIT: Final = 10
#: More keys of ours than these are not tried for one mail: each may ask for a touch.
TRY_LIMIT: Final = 10
#: More parts than these that are protected on their own are not listed.
ERRANT_LIMIT: Final = 10
#: The content types of what is encrypted for recipients.
ENCRYPTED_TYPES: Final = frozenset({oids.ID_ENVELOPED_DATA, oids.ID_AUTH_ENVELOPED_DATA})
_OTHER_CONTENT: Final = frozenset({Code.DIGEST_MISMATCH, Code.SIGNATURE_MISMATCH})
_BARE: Final = "cms"  # the form of CMS that no mail is around
_Octets = Callable[[], Iterator[bytes]]


class OpenedMessage:
    """The layers of one message, as they are taken off.

    ``payload`` is what a person reads, where that is a MIME entity inside layers, and the last of ``entities``, which
    are all that stand inside a layer; ``plaintext`` is what was in the innermost layer that was decrypted, and in
    compression directly inside it; ``errant`` are layers that protect only a part. Without an ``opener``, encrypted
    layers stay closed.
    """

    def __init__(self, check: SignerCheck, resources: ExitStack, opener: Opener | None = None) -> None:
        self._check = check
        self._resources = resources
        self._opener = opener
        self._expansion: int | None = None  # octets that may still come out of compression
        self._tries = TRY_LIMIT
        self.layers: list[Layer] = []
        self.reasons: list[Reason] = []
        self.notes: list[Reason] = []
        self.payload: Part | None = None
        self.entities: list[Part] = []
        self.plaintext: Source | None = None
        self.errant: list[Node] = []

    def envelope(self, mail: Part, beside: Source | None) -> None:
        """All layers of the Cryptographic Envelope, then a look at what is in it."""
        if beside is not None:  # else an old mail of somebody would pass for a signature over any file
            raise UntrustworthyError(Code.UNEXPECTED_CONTENT, "the mail has a content, and another was given")
        part: Part | None = mail
        while part is not None:
            if self.layers:
                self.entities.append(part)
            kind = mime.layer_of(part)
            if kind is None:
                break
            part = self._inside(part, kind)
        if part is not None:
            self.payload = part if self.layers else None
            self._errant_layers(part)

    def _inside(self, part: Part, kind: LayerKind) -> Part | None:
        """What is in a layer, which is added; none where that cannot be read."""
        self._one_more()
        try:
            if kind is LayerKind.CLEAR_SIGNED:
                return self._clear_signed(part)
            if kind is LayerKind.CMS:
                return self._opaque(part)
        except UntrustworthyError as error:
            if self._opener is not None and self.plaintext is None:
                raise  # there is nothing to show
            claims_to_sign = error.reason.code.verdict is Verdict.INVALID
            kind_of_layer = LayerType.SIGNED if claims_to_sign else LayerType.OTHER
            self.layers.append(Layer(kind_of_layer, _media_type(part), reasons=(error.reason,)))
        else:
            self.layers.append(Layer(LayerType.OTHER, _media_type(part)))
        return None

    def _one_more(self) -> None:
        if len(self.layers) == LAYER_LIMIT:
            raise UntrustworthyError(Code.LIMIT_EXCEEDED, f"the mail has more than {LAYER_LIMIT} layers")

    def bare(self, source: Source, content: Source | None) -> None:
        """CMS that no mail is around, and the layers in it, where it is to be decrypted."""
        inside = self._cms(source, _BARE, content)
        if self._opener is not None and inside is not None:
            part = self._entity(inside, lenient=True)
            if part is not None:
                self.envelope(part, None)

    def _entity(self, content: Source, *, lenient: bool = False) -> Part | None:
        """The MIME entity in a layer; where CMS stands there without MIME around it, what is in that.

        ``lenient``: nobody said that it is one.
        """
        while self._opener is not None and mime.recognise(content) is Form.DER:
            if not _is_content_info(content):  # a certificate, or any other file
                return None
            self._one_more()
            inside = self._cms(content, _BARE)
            if inside is None:
                return None
            content = inside
        if lenient and mime.recognise(content) is not Form.MAIL:
            return None
        try:
            return mime.read_protected(content)
        except UntrustworthyError:
            if not lenient:
                raise
        return None

    def _clear_signed(self, part: Part) -> Part:
        """multipart/signed (RFC 8551, 3.5.3)."""
        halves = mime.clear_signed(part)
        source, trailing = halves.signature.decode_to_source()
        signed_data = cms.SignedData.read(self._resources.enter_context(source))
        if signed_data.content is not None:
            text = "the signature beside the content brings a content of its own"
            raise UntrustworthyError(Code.UNEXPECTED_CONTENT, text)
        # RFC 8551, 3.1.1: text is signed with CRLF line ends, and what is binary as it stands.
        signers, content = self._signers(signed_data, halves.content_chunks, halves.raw_chunks)
        reasons, notes = [*_reasons(signed_data, trailing=trailing), *_no_mail(signed_data)], []
        if halves.epilogue:
            reasons.append(Reason(Code.TRAILING_DATA, "text follows after the signature that it does not cover"))
        if halves.preamble and not self.layers and (part.value(b"mime-version") or b"").strip() != b"1.0":
            text = "text stands before the first boundary, and readers that ask for MIME-Version: 1.0 show it"
            raise UntrustworthyError(Code.MALFORMED_MAIL, text)
        if halves.preamble:
            notes.append(Reason(Code.PREAMBLE, "text stands before the first boundary, where no mail program shows it"))
        if not halves.closed:
            notes.append(Reason(Code.NOT_CLOSED, "the last boundary is missing: the end of the mail may be cut off"))
        layer = Layer(LayerType.SIGNED, _media_type(part), signers, tuple(reasons), tuple(notes), content)
        self.layers.append(layer)
        return halves.content_part()

    def _opaque(self, part: Part) -> Part | None:
        """application/pkcs7-mime (RFC 8551, 3.5.2)."""
        source, trailing = mime.cms_of(part)
        self._resources.enter_context(source)
        content = self._cms(source, _media_type(part), trailing=trailing)
        return self._entity(content) if content is not None else None

    def _cms(self, source: Source, form: str, beside: Source | None = None, *, trailing: bool = False) -> Source | None:
        """A layer of CMS, whose content is in it or ``beside``; what is inside is returned if it is a MIME entity."""
        kind = cms.content_type(source)
        if kind in ENCRYPTED_TYPES:
            return self._encrypted(source, form, trailing=trailing)
        if kind == oids.ID_COMPRESSED_DATA:
            return self._compressed(source, form, trailing=trailing)
        if kind != oids.ID_SIGNED_DATA:
            raise self._nothing_in_it(Code.NOT_SIGNED, f"the CMS object is no SignedData but {name_of(kind)}", kind)
        signed_data = cms.SignedData.read(source)
        inside, readings = self._content(signed_data, beside)
        signers, content = self._signers(signed_data, *readings)
        reasons = [*_reasons(signed_data, trailing=trailing), *(_no_mail(signed_data) if form != _BARE else ())]
        self.layers.append(Layer(LayerType.SIGNED, form, signers, tuple(reasons), content=content))
        return inside if signed_data.content_type == oids.ID_DATA else None

    def _encrypted(self, source: Source, form: str, *, trailing: bool) -> Source | None:
        """EnvelopedData or AuthEnvelopedData, opened where there is an opener."""
        if self._opener is None:
            self.layers.append(Layer(LayerType.ENCRYPTED, form))
            return None
        try:
            opened = self._opener.open(source, self._tries)
        except NoKeyError as error:
            if self.plaintext is None:
                raise
            self.layers.append(Layer(LayerType.ENCRYPTED, form, notes=(Reason(Code.NO_KEY, str(error)),)))
            return None
        self._tries -= opened.tries - 1  # a layer may have one at least
        self.plaintext = self._resources.enter_context(opened.content)
        reasons = (*_trailing(trailing=trailing or opened.trailing), *_other_content(opened.content_type))
        content = opened.content.chunks
        self.layers.append(Layer(LayerType.ENCRYPTED, form, (), reasons, (), content, opened.encryption))
        return opened.content if opened.content_type == oids.ID_DATA else None

    def _compressed(self, source: Source, form: str, *, trailing: bool) -> Source:
        """CompressedData (RFC 3274): whoever sees it can undo it."""
        compressed = CompressedData.read(source)
        content = self._resources.enter_context(self._expanded(compressed))
        if self.layers and self.layers[-1].content is not None and self.layers[-1].type is not LayerType.SIGNED:
            self.plaintext = content if self.plaintext is not None else None
        reasons = tuple(_trailing(trailing=trailing or compressed.trailing > 0))
        self.layers.append(Layer(LayerType.COMPRESSED, form, (), reasons, (), content.chunks))
        return content

    def _expanded(self, compressed: CompressedData) -> Source:
        """The content; all compression of one message expands no further than the outermost may alone."""
        if self._expansion is None:
            self._expansion = compressed.most
        content = compressed.expanded(self._expansion)
        self._expansion -= content.size
        return content

    def _content(self, signed_data: cms.SignedData, beside: Source | None) -> tuple[Source | None, tuple[_Octets, ...]]:
        """The content inside, if it is there, and the ways to read what the signature is over."""
        if signed_data.content is not None:
            if beside is not None:
                text = "the content is in the signature, and another was given"
                raise UntrustworthyError(Code.UNEXPECTED_CONTENT, text)
            inside = self._resources.enter_context(signed_data.content.source())
            return inside, (inside.chunks,)
        if not signed_data.signer_infos:
            raise self._nothing_in_it(Code.CERTIFICATES_ONLY, "it only carries certificates, and signs nothing")
        if beside is None:
            text = "the content is not there; --content names the file that the signature is over"
            raise self._nothing_in_it(Code.NO_CONTENT, text)
        # Many programs sign a file as text, with CRLF line ends.
        return None, (beside.chunks, lambda: mime.canonical_lines(beside.chunks()))

    def _nothing_in_it(self, code: Code, text: str, kind: str = oids.ID_SIGNED_DATA) -> SmimeAgentError:
        """The layers end without a content: for whoever decrypts it matters only that nothing was encrypted."""
        if self._opener is None or self.plaintext is not None:
            return UntrustworthyError(code, text)
        if kind == oids.ID_ENCRYPTED_DATA:  # RFC 5652, 8: how its keys are managed is outside of it
            return NoKeyError(
                "this message is encrypted with a key that was agreed on before, and is for no key of yours"
            )
        return NotEncryptedError("the message is not encrypted")

    def _signers(self, signed_data: cms.SignedData, *readings: _Octets) -> tuple[tuple[Signer, ...], _Octets]:
        """The signers, and the first way to read the content in which it was signed; else the first of all."""
        found = []
        for octets in readings:
            signers = tuple(self._check.all(signed_data, octets))
            found.append((signers, octets))
            # Without signed attributes another content is another signature.
            if not any(reason.code in _OTHER_CONTENT for signer in signers for reason in signer.reasons):
                return signers, octets
        return found[0]

    def _errant_layers(self, payload: Part) -> None:
        """Layers inside the payload are no protection of the mail (RFC 9787, 4.6)."""
        self.errant = list(islice(mime.errant_layers(payload), ERRANT_LIMIT))
        for node in self.errant:
            where = number_of(node)
            if self.layers:
                if node.in_message:
                    text = f"part {where} is a mail with a protection of its own"
                    self.notes.append(Reason(Code.NESTED_MESSAGE, text))
            elif node.in_message:
                text = f"the mail is not signed; one that is attached is (part {where})"
                self.reasons.append(Reason(Code.SIGNED_ATTACHMENT, text))
            else:
                text = f"only part {where} is signed or encrypted, and who wrote the rest is unknown"
                self.reasons.append(Reason(Code.PARTIAL, text))


def _is_content_info(source: Source) -> bool:
    try:
        cms.content_type(source)
    except UntrustworthyError:
        return False
    return True


def number_of(node: Node) -> str:
    """The number of a part, as people are told it: that of the whole is 1, that of its first part 1.1."""
    return ".".join(str(number + 1) for number in (0, *node.path))


def _media_type(part: Part) -> str:
    return ascii(part.kind.value.decode("ascii", "replace"))[1:-1]


def _reasons(signed_data: cms.SignedData, *, trailing: bool) -> Iterator[Reason]:
    """What is wrong with a SignedData as a whole."""
    if not signed_data.signer_infos:
        yield Reason(Code.NO_SIGNER, "it looks signed, and nobody signed it")
    yield from _trailing(trailing=trailing or signed_data.trailing > 0)


def _trailing(*, trailing: bool) -> Iterator[Reason]:
    if trailing:
        yield Reason(Code.TRAILING_DATA, "data follows after the CMS object")


def _other_content(content_type: str) -> Iterator[Reason]:
    """RFC 8551, 2.4.3 and 2.4.4: what is encrypted is id-data. What else it is, is not looked into."""
    if content_type != oids.ID_DATA:
        text = f"what is encrypted is no mail and no file but {name_of(content_type)}"
        yield Reason(Code.CONTENT_TYPE_MISMATCH, text)


def _no_mail(signed_data: cms.SignedData) -> Iterator[Reason]:
    """RFC 8551, 2.4.1: what a mail carries is id-data. Else something that was signed for another use would pass."""
    if signed_data.content_type != oids.ID_DATA:
        text = f"what is signed is no mail but {name_of(signed_data.content_type)}"
        yield Reason(Code.CONTENT_TYPE_MISMATCH, text)
