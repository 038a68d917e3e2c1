"""Octets that are too many for memory, in a temporary file that says nothing to anybody else.

What is spooled may be a plaintext. The file has no name and is 0600, but what is on a disk can be found there after
years: so what is secret is encrypted with AES-256 in counter mode, by a key that is made for it and lives in this
process alone. That costs an eighth of a second for each GB that is written or read.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from smime_agent.errors import FileError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import CipherContext

_AES_BLOCK: Final = 16
#: Octets are read in pieces of this many.
_PIECE: Final = 1024 * 1024


class Spool:
    """A temporary file that is written once from its beginning, and then read anywhere."""

    __slots__ = ("_encryptor", "_file", "_key", "size")

    def __init__(self, *, secret: bool) -> None:
        """An empty one, encrypted if it is ``secret``.

        Raises:
            FileError: there is no place for it.
        """
        import tempfile  # it takes milliseconds to import, and most mail is small

        try:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - close() does
        except OSError as error:
            raise _failed(error) from error
        # The key is for these octets alone, so the counter may begin with nought, and nobody will ask for it again.
        self._key = os.urandom(32) if secret else None
        self._encryptor = self._stream(0)
        self.size = 0

    def write(self, block: bytes) -> None:
        """Append a block.

        Raises:
            FileError: there is no room for it.
        """
        view = memoryview(block if self._encryptor is None else self._encryptor.update(block))
        try:
            while view:
                view = view[os.write(self._file.fileno(), view) :]
        except OSError as error:
            raise _failed(error) from error
        self.size += len(block)

    def read(self, start: int, end: int) -> bytes:
        """The octets from ``start`` to before ``end``, which have to be there.

        Raises:
            FileError: they cannot be read.
        """
        if self._file.closed:
            raise FileError("a temporary file is closed already")
        stream = self._stream(start)
        pieces = []
        while start < end:
            try:
                octets = os.pread(self._file.fileno(), min(end - start, _PIECE), start)
            except OSError as error:
                raise _failed(error) from error
            if not octets:
                raise FileError("a temporary file was cut off by somebody else")
            pieces.append(octets if stream is None else stream.update(octets))
            start += len(octets)
        return b"".join(pieces)

    def close(self) -> None:
        """Let go of the file, and of the key."""
        self._key = None
        self._file.close()

    def _stream(self, at: int) -> CipherContext | None:
        """The key stream from the octet ``at`` on, if there is one."""
        if self._key is None:
            return None
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        block, skipped = divmod(at, _AES_BLOCK)
        # Counter mode: to encrypt and to decrypt is the same.
        stream = Cipher(algorithms.AES(self._key), modes.CTR(block.to_bytes(_AES_BLOCK))).encryptor()
        stream.update(bytes(skipped))
        return stream


def _failed(error: OSError) -> FileError:
    return FileError(f"a temporary file cannot be used: {error.strerror or error}", hint="TMPDIR says where it is made")
