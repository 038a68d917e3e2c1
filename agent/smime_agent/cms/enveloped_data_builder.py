"""EnvelopedData and AuthEnvelopedData, written while their content passes by: nothing of its size is held.

::

    EnvelopedData ::= SEQUENCE { version, recipientInfos, encryptedContentInfo }     -- RFC 5652, 6.1
    AuthEnvelopedData ::= SEQUENCE {                                                 -- RFC 5083, 2.1
      version, recipientInfos, authEncryptedContentInfo, mac OCTET STRING }
    EncryptedContentInfo ::= SEQUENCE {
      contentType, contentEncryptionAlgorithm, encryptedContent [0] IMPLICIT OCTET STRING }
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from smime_agent import der
from smime_agent.algorithms import KeyKind
from smime_agent.cms import oids
from smime_agent.cms.ciphers import BLOCK
from smime_agent.cms.content_encryption import MAC_SIZE, content_encryptor, encrypted_size
from smime_agent.cms.enveloped_data import MAX_RECIPIENTS
from smime_agent.cms.key_agreement import key_agreement
from smime_agent.cms.key_transport import key_transport
from smime_agent.cms.recipient_info import CONTEXT_3, CONTEXT_4
from smime_agent.cms.recipient_name import RecipientName
from smime_agent.errors import FileError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from smime_agent.algorithms import ContentEncryption
    from smime_agent.cms.content_encryption import ContentEncryptor
    from smime_agent.x509 import Certificate

_DATA: Final = der.object_identifier(oids.ID_DATA)
_ENCRYPTED_CONTENT: Final = 0x80  # [0] IMPLICIT OCTET STRING, in one piece
#: Pieces that are smaller are gathered: there is a price to each.
_SMALL: Final = BLOCK // 8


def recipient_info(  # noqa: PLR0913 - what a RecipientInfo is made of
    certificate: Certificate,
    content_key: bytes,
    cipher: ContentEncryption,
    *,
    oaep: bool,
    randomness: Callable[[int], bytes],
    name: RecipientName = RecipientName.ISSUER_AND_SERIAL_NUMBER,
) -> bytes:
    """The DER RecipientInfo for the holder of a certificate; ``oaep`` is how RSA is padded.

    A certificate whose issuer has no name is named by its key, whatever ``name`` says. Whether the certificate may be
    used is not asked here.

    Raises:
        UsageError: nothing can be encrypted to its key, or it has no such ``name``.
    """
    match certificate.key_algorithm.kind:
        case KeyKind.RSA:
            return key_transport(certificate, content_key, oaep=oaep, name=name)
        case _:  # a KEM key, which makes an OtherRecipientInfo (RFC 9629, 3), goes before this
            return key_agreement(certificate, content_key, cipher, name=name, randomness=randomness)


def encrypt(  # noqa: PLR0913 - an object is made of this many parts
    content: Iterable[bytes],
    length: int,
    cipher: ContentEncryption,
    content_key: bytes,
    recipient_infos: Sequence[bytes],
    *,
    randomness: Callable[[int], bytes],
) -> Iterator[bytes]:
    """A ContentInfo in DER around a content of ``length`` octets, in pieces of about 256 KiB.

    The key must be a new one for each content.

    Raises:
        UsageError: there is no recipient, or there are too many; the key is not one of that cipher.
        PolicyError: the content is longer than one key may encrypt.
        FileError: while the pieces are taken: the content does not have that length.
    """
    if not 1 <= len(recipient_infos) <= MAX_RECIPIENTS:
        raise UsageError(f"a message is for 1 to {MAX_RECIPIENTS} recipients, not {len(recipient_infos)}")
    if len(content_key) != cipher.key_size:
        raise UsageError(f"{cipher} wants a key of {cipher.key_size} octets, not {len(content_key)}")
    size = encrypted_size(cipher, length)
    algorithm, encryptor = content_encryptor(cipher, content_key, randomness)
    head = der.header(_ENCRYPTED_CONTENT, size)
    tail = len(der.header(der.OCTET_STRING, MAC_SIZE)) + MAC_SIZE if cipher.is_authenticated else 0

    def wrap(tag: int, before: bytes = b"", after: int = 0) -> bytes:
        inside = before + head
        return der.header(tag, len(inside) + size + after) + inside

    # RFC 5083, 2.1: the version of an AuthEnvelopedData is always 0.
    version = 0 if cipher.is_authenticated else _version(recipient_infos)
    head = wrap(der.SEQUENCE, _DATA + algorithm)  # EncryptedContentInfo
    head = wrap(der.SEQUENCE, der.integer(version) + der.set_of(recipient_infos), tail)
    head = wrap(0xA0, after=tail)
    content_type = oids.ID_AUTH_ENVELOPED_DATA if cipher.is_authenticated else oids.ID_ENVELOPED_DATA
    head = wrap(der.SEQUENCE, der.object_identifier(content_type), tail)  # ContentInfo
    return _encrypted(head, content, length, encryptor)


def _encrypted(head: bytes, content: Iterable[bytes], length: int, encryptor: ContentEncryptor) -> Iterator[bytes]:
    yield head
    done = 0
    for block in _blocks(content):
        done += len(block)
        if done > length:
            break
        yield encryptor.update(block)
    if done != length:
        raise FileError("the content was changed while it was encrypted")
    rest, mac = encryptor.finish()
    yield rest if mac is None else rest + der.octet_string(mac)


def _blocks(content: Iterable[bytes]) -> Iterator[bytes]:
    """The same octets in pieces that are neither small nor large."""
    gathered: list[bytes] = []
    size = 0
    for chunk in content:
        for start in range(0, len(chunk), BLOCK):
            piece = chunk if len(chunk) <= BLOCK else chunk[start : start + BLOCK]
            gathered.append(piece)
            size += len(piece)
            if size >= _SMALL:
                yield b"".join(gathered)
                gathered.clear()
                size = 0
    if size:
        yield b"".join(gathered)


def _version(recipient_infos: Iterable[bytes]) -> int:
    """The version of an EnvelopedData without originatorInfo and unprotectedAttrs (RFC 5652, 6.1)."""
    tags = {encoded[0] for encoded in recipient_infos}
    if tags & {CONTEXT_3, CONTEXT_4}:  # a password or another recipient, such as one with a KEM
        return 3
    # A KeyTransRecipientInfo of version 0 begins with INTEGER 0 (RFC 5652, 6.2.1).
    zero = der.integer(0)
    plain = all(encoded[0] == der.SEQUENCE and _contents(encoded).startswith(zero) for encoded in recipient_infos)
    return 0 if plain else 2


def _contents(encoded: bytes) -> bytes:
    """What stands after the header of a DER value."""
    return encoded[2 + (encoded[1] & 0x7F if encoded[1] & 0x80 else 0) :]
