"""Ciphers with their key and parameters, for one content: all of it at once, or any part of it when it is asked for.

A content that is too large for memory is passed through twice. The first time its tag is computed, and what is
decrypted on the way is thrown away. After that there is a source that decrypts what is read of it: AES-GCM and
ChaCha20 are counter modes and can begin at any block, CBC at any block whose predecessor is known. So no plaintext
leaves before the tag was verified, and none is ever stored.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, Protocol

from smime_agent.cms.ber import exceeded
from smime_agent.cms.ciphers import (
    AES_BLOCK,
    BLOCK,
    CbcDecryptor,
    ChaCha20Poly1305Decryptor,
    DecryptionError,
    GcmDecryptor,
    without_padding,
)
from smime_agent.errors import FileError
from smime_agent.source import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cryptography.hazmat.primitives.ciphers import CipherContext

    from smime_agent.cms.ciphers import ContentDecryptor, Context

_CHACHA20_BLOCK: Final = 64
_COUNTERS: Final = 1 << 32


class ContentCipher(Protocol):
    """A cipher with its key and parameters."""

    def decryptor(self) -> ContentDecryptor:
        """A decryption, piece by piece; what it gives is not authenticated before it is finished."""

    def seekable(self, encrypted: Source, mac: bytes | None, /) -> Source:
        """The content, decrypted where it is read; ``encrypted`` must stay open.

        Raises:
            DecryptionError: the key, the padding or the tag is wrong.
            UntrustworthyError: it is larger than is read.
            FileError: it cannot be read, or was changed; later reads raise it too.
        """


def opened(cipher: ContentCipher, encrypted: Source, mac: bytes | None) -> Source:
    """The content, after its tag was verified if it has one; ``encrypted`` must stay open.

    Raises:
        DecryptionError: the key, the padding or the tag is wrong.
        UntrustworthyError: it is larger than is read.
        FileError: it cannot be read, or was changed; later reads raise it too.
    """
    if encrypted.size > Source.IN_MEMORY:
        return cipher.seekable(encrypted, mac)
    decryptor = cipher.decryptor()
    content = decryptor.update(encrypted.read())
    return Source.from_bytes(content + decryptor.finish(mac))


class GcmCipher:
    """AES-GCM."""

    __slots__ = ("_additional", "_key", "_mac_size", "_nonce")

    def __init__(self, key: bytes, nonce: bytes, mac_size: int, additional: bytes) -> None:
        self._key, self._nonce, self._mac_size, self._additional = key, nonce, mac_size, additional

    def decryptor(self) -> GcmDecryptor:
        """See the protocol."""
        return GcmDecryptor(self._key, self._nonce, self._mac_size, self._additional)

    def seekable(self, encrypted: Source, mac: bytes | None) -> Source:
        """See the protocol."""
        return _verified(encrypted, mac, self.decryptor(), self._reader)

    def _reader(self, encrypted: PinnedSource) -> Callable[[int, int], bytes]:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        algorithm = algorithms.AES(self._key)
        # NIST SP 800-38D, 7.2: the first block is encrypted with the counter after J0, which is a hash if the nonce
        # has not 96 bits. What nought is encrypted to is that counter, encrypted.
        key_stream = Cipher(algorithm, modes.GCM(self._nonce)).encryptor().update(bytes(AES_BLOCK))
        counter = Cipher(algorithm, modes.ECB()).decryptor().update(key_stream)  # noqa: S305 - of one block
        prefix, first = counter[:12], int.from_bytes(counter[12:])

        def stream(block: int) -> CipherContext:
            return Cipher(algorithm, modes.CTR(prefix + block.to_bytes(4))).encryptor()

        def read(start: int, end: int) -> bytes:
            octets = encrypted.read(start, end)
            block, skipped = divmod(start, AES_BLOCK)
            block = (first + block) % _COUNTERS
            # Only 32 bits of the counter count on (SP 800-38D, 6.2), where counter mode has 128.
            before_wrap = (_COUNTERS - block) * AES_BLOCK - skipped
            context = stream(block)
            context.update(bytes(skipped))
            if len(octets) <= before_wrap:
                return context.update(octets)
            return context.update(octets[:before_wrap]) + stream(0).update(octets[before_wrap:])

        return read


class ChaCha20Poly1305Cipher:
    """ChaCha20-Poly1305."""

    __slots__ = ("_additional", "_key", "_nonce")

    def __init__(self, key: bytes, nonce: bytes, additional: bytes) -> None:
        self._key, self._nonce, self._additional = key, nonce, additional

    def decryptor(self) -> ChaCha20Poly1305Decryptor:
        """See the protocol."""
        return ChaCha20Poly1305Decryptor(self._key, self._nonce, self._additional, encrypts=False)

    def seekable(self, encrypted: Source, mac: bytes | None) -> Source:
        """See the protocol."""
        return _verified(encrypted, mac, self.decryptor(), self._reader)

    def _reader(self, encrypted: PinnedSource) -> Callable[[int, int], bytes]:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

        def read(start: int, end: int) -> bytes:
            octets = encrypted.read(start, end)
            block, skipped = divmod(start, _CHACHA20_BLOCK)
            # RFC 8439, 2.8: the content begins with the second block of the key stream.
            counter = (block + 1).to_bytes(4, "little")
            context = Cipher(algorithms.ChaCha20(self._key, counter + self._nonce), None).encryptor()
            context.update(bytes(skipped))
            return context.update(octets)

        return read


class CbcCipher:
    """A block cipher in CBC mode; ``context`` begins a decryption with an IV. At most ``most`` octets are decrypted."""

    __slots__ = ("_block", "_buffer", "_context", "_most", "_vector")

    def __init__(
        self, context: Callable[[bytes], Context], vector: bytes, *, block: int, most: int | None = None
    ) -> None:
        self._context, self._vector, self._block, self._most = context, vector, block, most
        self._buffer = bytearray()

    def decryptor(self) -> CbcDecryptor:
        """See the protocol."""
        return CbcDecryptor(self._context(self._vector), self._block)

    def seekable(self, encrypted: Source, mac: bytes | None) -> Source:
        """See the protocol. The padding is checked first; of the rest nobody can say whether it was changed."""
        if self._most is not None and encrypted.size > self._most:
            exceeded(f"a content of more than {self._most >> 20} MiB with an algorithm that is slow")
        if mac is not None or not encrypted.size or encrypted.size % self._block:
            raise DecryptionError

        def read(start: int, end: int) -> bytes:
            return self._part(encrypted, start, end)

        last = read(encrypted.size - self._block, encrypted.size)
        size = encrypted.size - self._block + len(without_padding(last, self._block))
        if self._most is not None:  # each part would cost its time again with every read
            return Source.from_blocks(Source.from_reader(read, size).chunks())
        return Source.from_reader(read, size)

    def _part(self, encrypted: Source, start: int, end: int) -> bytes:
        """The octets from ``start`` to before ``end``, padding and all."""
        block = self._block
        skipped = start % block
        begin, stop = start - skipped, end + -end % block
        # The block before the first that is wanted is its IV.
        octets = memoryview(encrypted.read(begin - block, stop) if begin else self._vector + encrypted.read(0, stop))
        needed = len(octets)
        if len(self._buffer) < needed:
            self._buffer = bytearray(needed)
        view = memoryview(self._buffer)
        self._context(bytes(octets[:block])).update_into(octets[block:], view)
        part = bytes(view[skipped : skipped + end - start])
        if needed > 2 * BLOCK:  # one who reads that much at once will not do so again
            self._buffer = bytearray()
        return part


class PinnedSource:
    """A source that is passed through once, and is then what it was: octets that are others by then are refused.

    A file can be changed in ways that its times do not tell. So that what is decrypted is what was verified, each
    block is remembered by 16 octets: a GMAC with a key of which nobody knows.
    """

    __slots__ = ("_block", "_macs", "_number", "_pin", "_source")

    def __init__(self, source: Source) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._source = source
        self._pin = AESGCM(os.urandom(32))
        self._macs: list[bytes] = []
        #: The block that was read last, which is likely to be wanted once more.
        self._number, self._block = -1, b""

    def chunks(self) -> Iterator[bytes]:
        """All octets, which are pinned as they pass by."""
        self._macs.clear()
        for number, chunk in enumerate(self._source.chunks()):
            self._macs.append(self._pin.encrypt(number.to_bytes(12), b"", chunk))
            yield chunk

    def read(self, start: int, end: int) -> bytes:
        """The octets from ``start`` to before ``end``, as they were.

        Raises:
            FileError: they are others now, or cannot be read.
        """
        size = Source.CHUNK
        numbers = range(start // size, (end - 1) // size + 1)
        return b"".join(
            [self._numbered(number)[max(start - number * size, 0) : end - number * size] for number in numbers]
        )

    def _numbered(self, number: int) -> bytes:
        if number != self._number:
            from cryptography.exceptions import InvalidTag

            block = self._source.read(number * Source.CHUNK, (number + 1) * Source.CHUNK)
            try:
                self._pin.decrypt(number.to_bytes(12), self._macs[number], block)
            except InvalidTag:
                raise FileError(
                    "the input was changed while it was decrypted", hint="make a copy that nobody writes to"
                ) from None
            self._number, self._block = number, block
        return self._block


def _verified(
    encrypted: Source,
    mac: bytes | None,
    decryptor: GcmDecryptor | ChaCha20Poly1305Decryptor,
    reader: Callable[[PinnedSource], Callable[[int, int], bytes]],
) -> Source:
    """The content of ``encrypted``, by a reader that is made when the tag was verified."""
    pinned = PinnedSource(encrypted)
    for chunk in pinned.chunks():
        decryptor.authenticate(chunk)
    decryptor.finish(mac)
    return Source.from_reader(reader(pinned), encrypted.size)
