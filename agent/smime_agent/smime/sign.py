"""Sign: the mail split, its entity digested, the attributes signed by the key, the mail assembled."""

from __future__ import annotations

from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING

from smime_agent import mime
from smime_agent.cms import SignedAttributesBuilder, SignedDataBuilder
from smime_agent.errors import AlreadySignedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from smime_agent.algorithms import Digest, SignatureScheme
    from smime_agent.keys import Identity, Signer
    from smime_agent.source import Source


def sign(
    message: mime.Message, signer: Signer, *, at: datetime, boundary: str, opaque: bool = False
) -> Iterator[bytes]:
    """A mail signed: multipart/signed, or application/pkcs7-mime when ``opaque`` (RFC 8551, 3.5).

    The key has been used when this returns; the mail is written while the result is consumed, with CRLF line ends.
    ``at`` becomes the signingTime, ``boundary`` must not occur in the mail. Whether it may be signed (again) is asked
    before, with :func:`refuse_signed`.
    """
    attributes, signed_data = _prepared(signer.identity, signer.scheme)
    digest, length = _digest(message.entity.chunks(), signer.scheme.digest)
    tbs = attributes.encode(digest, at)
    signature = signer.sign(tbs)
    if opaque:
        cms = signed_data.attached(tbs, signature, message.entity.chunks(), length)
        return mime.pkcs7_mime(message, cms, smime_type="signed-data")
    cms_detached = signed_data.detached(tbs, signature)
    return mime.multipart_signed(message, cms_detached, signer.scheme.digest.micalg, boundary)


def sign_entity(
    message: mime.Message, signer: Signer, *, at: datetime, boundary: str, opaque: bool = False
) -> tuple[int, Callable[[], Iterator[bytes]]]:
    """The entity of a mail signed, to be encrypted: its length, and its octets as often as they are asked for.

    It has no fields but those that begin with ``Content-``. The key has been used when this returns, once. For the
    arguments see :func:`sign`.
    """
    attributes, signed_data = _prepared(signer.identity, signer.scheme)
    digest, length = _digest(message.entity.chunks(), signer.scheme.digest)
    tbs = attributes.encode(digest, at)
    signature = signer.sign(tbs)
    if opaque:

        def signed() -> Iterator[bytes]:
            cms = signed_data.attached(tbs, signature, message.entity.chunks(), length)
            return mime.pkcs7_mime_entity(cms, "signed-data")

        return sum(map(len, signed())), signed
    cms_detached = signed_data.detached(tbs, signature)
    before, after = mime.clear_signed_frame(cms_detached, signer.scheme.digest.micalg, boundary)
    return len(before) + length + len(after), lambda: chain((before,), message.entity.chunks(), (after,))


def sign_content(content: Source, signer: Signer, *, at: datetime, attached: bool = False) -> Iterator[bytes]:
    """Any content signed as it is: a DER ContentInfo, the content inside it only when ``attached`` (RFC 5652, 5).

    The key has been used when this returns.
    """
    attributes, signed_data = _prepared(signer.identity, signer.scheme)
    digest, length = _digest(content.chunks(), signer.scheme.digest)
    tbs = attributes.encode(digest, at)
    signature = signer.sign(tbs)
    if attached:
        return signed_data.attached(tbs, signature, content.chunks(), length)
    return iter((signed_data.detached(tbs, signature),))


def refuse_signed(message: mime.Message, *, again: bool) -> None:
    """Refuse a mail that carries a signature, unless it is to be signed again.

    Raises:
        AlreadySignedError: it does.
    """
    if message.protection in (mime.Protection.SIGNED, mime.Protection.SIGNED_OR_ENCRYPTED) and not again:
        msg = f"this mail is already {message.protection.value}"
        raise AlreadySignedError(msg, hint="--again puts a second signature around the first")


@lru_cache(maxsize=16)
def _prepared(identity: Identity, scheme: SignatureScheme) -> tuple[SignedAttributesBuilder, SignedDataBuilder]:
    """What is the same in every message of a signer."""
    return SignedAttributesBuilder(identity, scheme), SignedDataBuilder(identity, scheme)


def _digest(chunks: Iterable[bytes], algorithm: Digest) -> tuple[bytes, int]:
    """The digest of a content and its length in octets."""
    state = algorithm.new()
    length = 0
    for chunk in chunks:
        state.update(chunk)
        length += len(chunk)
    return state.digest(), length
