"""The roads. Each reads once, from top to bottom, like its paragraph in the standard."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from smime_agent import mime
from smime_agent.cms import SignedAttributes, SignedData
from smime_agent.errors import AlreadySignedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from smime_agent.algorithms import Digest, SignatureScheme
    from smime_agent.keys import Identity, Signer, ToBeSigned


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A message that wants nothing but its signature.

    ``assemble`` makes the signed message from a signature over ``tbs``; it is written while it is consumed.
    """

    signer: Signer
    tbs: ToBeSigned
    assemble: Callable[[bytes], Iterator[bytes]]

    def sign(self) -> Iterator[bytes]:
        """The signed message. The key has been used when this returns."""
        return self.assemble(self.signer.sign(self.tbs))


def unsigned_mail(
    message: mime.Message, signer: Signer, *, at: datetime, boundary: str, opaque: bool = False
) -> Unsigned:
    """A mail to become multipart/signed, or application/pkcs7-mime when ``opaque`` (RFC 8551, 3.5), with CRLF lines.

    ``at`` becomes the signingTime, ``boundary`` must not occur in the mail. Whether it may be signed (again) is asked
    before, with :func:`refuse_signed`.
    """
    attributes, signed_data = _prepared(signer.identity, signer.scheme)
    digest, length = _digest(message.entity.chunks(), signer.scheme.digest)
    tbs = attributes.encode(digest, at)

    def clear(signature: bytes) -> Iterator[bytes]:
        cms = signed_data.detached(tbs, signature)
        yield from mime.multipart_signed(message, cms, signer.scheme.digest.micalg, boundary)

    def enclosed(signature: bytes) -> Iterator[bytes]:
        cms = signed_data.attached(tbs, signature, message.entity.chunks(), length)
        return mime.pkcs7_mime(message, cms, smime_type="signed-data")

    return Unsigned(signer, tbs, enclosed if opaque else clear)


def unsigned_content(content: mime.Source, signer: Signer, *, at: datetime, attached: bool = False) -> Unsigned:
    """Any content as it is, to become a DER ContentInfo, the content inside it only when ``attached`` (RFC 5652, 5)."""
    attributes, signed_data = _prepared(signer.identity, signer.scheme)
    digest, length = _digest(content.chunks(), signer.scheme.digest)
    tbs = attributes.encode(digest, at)

    def beside(signature: bytes) -> Iterator[bytes]:
        yield signed_data.detached(tbs, signature)

    def around(signature: bytes) -> Iterator[bytes]:
        return signed_data.attached(tbs, signature, content.chunks(), length)

    return Unsigned(signer, tbs, around if attached else beside)


def refuse_signed(message: mime.Message, *, again: bool) -> None:
    """Refuse a mail that carries a signature, unless it is to be signed again.

    Raises:
        AlreadySignedError: it does.
    """
    if message.protection is mime.Protection.SIGNED and not again:
        msg = "this mail is already signed"
        raise AlreadySignedError(msg, hint="--again puts a second signature around the first")


@lru_cache(maxsize=16)
def _prepared(identity: Identity, scheme: SignatureScheme) -> tuple[SignedAttributes, SignedData]:
    """What is the same in every message of a signer."""
    return SignedAttributes(identity, scheme), SignedData(identity, scheme)


def _digest(chunks: Iterable[bytes], algorithm: Digest) -> tuple[bytes, int]:
    """The digest of a content and its length in octets."""
    state = algorithm.new()
    length = 0
    for chunk in chunks:
        state.update(chunk)
        length += len(chunk)
    return state.digest(), length
