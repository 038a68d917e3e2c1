"""Ciphers at work on pieces: CBC with its padding, AES-GCM and ChaCha20-Poly1305, out of what ``cryptography`` has.

What leaves a :class:`ContentDecryptor` before ``finish`` came back is not authenticated: nobody may see it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from smime_agent.errors import InvalidMessageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.poly1305 import Poly1305

#: Pieces are worked on in blocks of at most so many octets.
BLOCK: Final = 256 * 1024
#: How much one key may encrypt, in octets: NIST SP 800-38D, 5.2.1.1; RFC 8439, 2.8.
MAX_GCM: Final = (1 << 36) - 32
MAX_CHACHA20: Final = ((1 << 32) - 1) * 64
AES_BLOCK, DES_BLOCK = 16, 8
_RC2_BITS: Final = 128  # what `cryptography` has


class DecryptionError(InvalidMessageError):
    """The key, the padding or the tag is wrong. Nobody is told which: that is what a padding oracle lives on."""

    code = "decryption-failed"

    def __init__(self) -> None:
        """The one sentence that there is."""
        super().__init__(
            "the content cannot be decrypted", hint="it was changed, or encrypted for another key than it says"
        )


class ContentDecryptor(Protocol):
    """A decryption at work."""

    @property
    def is_authenticated(self) -> bool:
        """The algorithm notices changes, once ``finish`` is reached."""

    def update(self, chunk: bytes, /) -> bytes:
        """The next octets of the content, of which some may be held back.

        Raises:
            DecryptionError: there are more than one key can encrypt.
        """

    def finish(self, mac: bytes | None, /) -> bytes:
        """The last octets; ``mac`` is the tag of an AuthEnvelopedData.

        Raises:
            DecryptionError: the key, the padding or the tag is wrong.
        """


class ContentEncryptor(Protocol):
    """An encryption at work."""

    def update(self, chunk: bytes, /) -> bytes:
        """The next octets of the encrypted content."""

    def finish(self) -> tuple[bytes, bytes | None]:
        """The last octets, and the tag if there is one."""


class Context(Protocol):
    """A block cipher at work, as in ``cryptography``."""

    def update_into(self, data: bytes | memoryview, buffer: memoryview, /) -> int:
        """Work on the blocks that are complete by now; the number of octets that were written."""

    def finalize(self) -> bytes:
        """Nothing; a ValueError says that the last block is not complete."""


class CbcDecryptor:
    """A block cipher in CBC mode, its padding taken off (RFC 5652, 6.3)."""

    is_authenticated: Final = False

    def __init__(self, context: Context, block: int) -> None:
        self._context, self._block = context, block
        self._buffer = memoryview(b"")
        #: The last block of plaintext so far, which may be padding.
        self._held = b""

    def update(self, chunk: bytes) -> bytes:
        """The next octets; see the protocol."""
        if len(chunk) <= BLOCK:
            return self._update(chunk)
        return b"".join([self._update(chunk[at : at + BLOCK]) for at in range(0, len(chunk), BLOCK)])

    def _update(self, chunk: bytes) -> bytes:
        # The block that was held back stands before what is decrypted now, so that one copy takes both out.
        block = self._block
        needed = len(chunk) + 3 * block
        if len(self._buffer) < needed:
            self._buffer = memoryview(bytearray(needed))
        buffer = self._buffer
        written = self._context.update_into(chunk, buffer[block:])
        if not written:
            return b""
        start = block - len(self._held)
        buffer[start:block] = self._held
        self._held = bytes(buffer[written : written + block])
        return bytes(buffer[start:written])

    def finish(self, mac: bytes | None) -> bytes:
        """The last octets, if all of it is right; see the protocol."""
        try:
            self._context.finalize()
        except ValueError:
            raise DecryptionError from None
        rest = without_padding(self._held, self._block)
        if mac is not None:
            raise DecryptionError
        return rest


def without_padding(last: bytes, block: int) -> bytes:
    """What is left of the last block of a content (RFC 5652, 6.3).

    Raises:
        DecryptionError: the padding is wrong.
    """
    from cryptography.hazmat.primitives.padding import PKCS7

    unpadder = PKCS7(8 * block).unpadder()
    try:
        return unpadder.update(last) + unpadder.finalize()
    except ValueError:
        raise DecryptionError from None


class CbcEncryptor:
    """AES in CBC mode, padded (RFC 5652, 6.3)."""

    def __init__(self, key: bytes, initialization_vector: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        self._context = Cipher(algorithms.AES(key), modes.CBC(initialization_vector)).encryptor()
        self._length = 0

    def update(self, chunk: bytes) -> bytes:
        """The next octets; see the protocol."""
        self._length += len(chunk)
        return self._context.update(chunk)

    def finish(self) -> tuple[bytes, None]:
        """The padding, encrypted, and no tag."""
        padding = AES_BLOCK - self._length % AES_BLOCK
        return self._context.update(bytes((padding,)) * padding) + self._context.finalize(), None


class GcmDecryptor:
    """AES-GCM (RFC 5084, 3.2)."""

    is_authenticated: Final = True

    def __init__(self, key: bytes, nonce: bytes, mac_size: int, additional: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        self._mac_size = mac_size
        self._context = Cipher(algorithms.AES(key), modes.GCM(nonce, None, mac_size)).decryptor()
        self._context.authenticate_additional_data(additional)
        self._unseen = bytearray()

    def update(self, chunk: bytes) -> bytes:
        """The next octets; see the protocol."""
        try:
            return self._context.update(chunk)
        except ValueError:
            raise DecryptionError from None

    def authenticate(self, chunk: bytes) -> None:
        """Go on without the next octets of the content, which nobody sees.

        Raises:
            DecryptionError: there are more than one key can encrypt.
        """
        if len(self._unseen) < len(chunk) + AES_BLOCK:
            self._unseen = bytearray(len(chunk) + AES_BLOCK)
        try:
            self._context.update_into(chunk, self._unseen)
        except ValueError:
            raise DecryptionError from None

    def finish(self, mac: bytes | None) -> bytes:
        """The last octets, if all of it is right; see the protocol."""
        from cryptography.exceptions import InvalidTag

        if mac is None or len(mac) != self._mac_size:  # RFC 5084, 3.2: the parameters and the field must agree
            raise DecryptionError
        try:
            return self._context.finalize_with_tag(mac)
        except InvalidTag:
            raise DecryptionError from None


class GcmEncryptor:
    """AES-GCM (RFC 5084, 3.2), without additional data."""

    def __init__(self, key: bytes, nonce: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        self._context = Cipher(algorithms.AES(key), modes.GCM(nonce)).encryptor()

    def update(self, chunk: bytes) -> bytes:
        """The next octets; see the protocol."""
        return self._context.update(chunk)

    def finish(self) -> tuple[bytes, bytes]:
        """Nothing more, and the tag."""
        rest = self._context.finalize()
        return rest, self._context.tag


class _ChaCha20Poly1305:
    """The construction of RFC 8439, 2.8, out of its parts: ``cryptography`` wants all of the content at once."""

    is_authenticated: Final = True

    def __init__(self, key: bytes, nonce: bytes, additional: bytes, *, encrypts: bool) -> None:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
        from cryptography.hazmat.primitives.poly1305 import Poly1305

        # The first block of the key stream makes the key of the tag; the content begins with the second.
        self._stream = Cipher(algorithms.ChaCha20(key, bytes(4) + nonce), None).encryptor()
        self._poly1305: Poly1305 = Poly1305(self._stream.update(bytes(64))[:32])
        self._poly1305.update(additional + _to_sixteen(len(additional)))
        self._additional, self._length, self._encrypts = len(additional), 0, encrypts

    def update(self, chunk: bytes) -> bytes:
        """The next octets; see the protocol."""
        other = self._stream.update(chunk)
        self._authenticate(other if self._encrypts else chunk)
        return other

    def _authenticate(self, encrypted: bytes) -> None:
        self._length += len(encrypted)
        if self._length > MAX_CHACHA20:
            raise DecryptionError
        self._poly1305.update(encrypted)

    def _close(self) -> None:
        lengths = self._additional.to_bytes(8, "little") + self._length.to_bytes(8, "little")
        self._poly1305.update(_to_sixteen(self._length) + lengths)


class ChaCha20Poly1305Encryptor(_ChaCha20Poly1305):
    """The same, encrypting."""

    def finish(self) -> tuple[bytes, bytes]:
        """Nothing more, and the tag."""
        self._close()
        return b"", self._poly1305.finalize()


class ChaCha20Poly1305Decryptor(_ChaCha20Poly1305):
    """The same, decrypting."""

    def authenticate(self, chunk: bytes) -> None:
        """Go on without the next octets of the content, which nobody sees.

        Raises:
            DecryptionError: there are more than one key can encrypt.
        """
        self._authenticate(chunk)

    def finish(self, mac: bytes | None) -> bytes:
        """The last octets, if all of it is right; see the protocol."""
        from cryptography.exceptions import InvalidSignature

        self._close()
        try:
            self._poly1305.verify(mac or b"")
        except InvalidSignature:
            raise DecryptionError from None
        return b""


def _to_sixteen(length: int) -> bytes:
    return bytes(-length % 16)


def aes_cbc(key: bytes, vector: bytes) -> Context:
    """AES in CBC mode, decrypting."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    return Cipher(algorithms.AES(key), modes.CBC(vector)).decryptor()


def triple_des_cbc(key: bytes, vector: bytes) -> Context:
    """Triple DES in CBC mode, decrypting."""
    from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
    from cryptography.hazmat.primitives.ciphers import Cipher, modes

    return Cipher(TripleDES(key), modes.CBC(vector)).decryptor()


def rc2_cbc(key: bytes, bits: int, vector: bytes) -> Context:
    """RC2 with that many effective bits in CBC mode, decrypting."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.decrepit.ciphers.algorithms import RC2
    from cryptography.hazmat.primitives.ciphers import Cipher, modes

    from smime_agent.cms.rc2 import Rc2Decryptor

    if bits == 8 * len(key) == _RC2_BITS:
        try:
            return Cipher(RC2(key), modes.CBC(vector)).decryptor()
        except UnsupportedAlgorithm:  # an OpenSSL without its legacy provider
            pass
    return Rc2Decryptor(key, bits, vector)
