"""RC2 in CBC mode, decrypting only: for archives of mail that was encrypted before 2000.

``cryptography`` has it with 128 effective bits alone; most of that mail has 40. A block takes some
10 microseconds here.
Source: RFC 2268.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

BLOCK_SIZE: Final = 8
#: The bounds of a key in octets, and of its effective length in bits (RFC 2268, 2).
MAX_KEY: Final = 128
_WORDS: Final = Struct("<64H")
_BLOCK: Final = Struct("<4H")
#: The digits of pi, as a permutation of 256 octets (RFC 2268, 2).
_PITABLE: Final = bytes.fromhex(
    "d978f9c419ddb5ed28e9fd794aa0d89dc67e37832b76538e624c6488448bfba2"
    "179a59f587b34f1361456d8d09817d32bd8f40eb86b77b0bf09521225c6b4e82"
    "54d66593ce60b21c7356c014a78cf1dc1275ca1f3bbee4d1423dd430a33cb626"
    "6fbf0eda4669075727f21d9bbc944303f811c7f690ef3ee706c3d52fc8661ed7"
    "08e8eade8052eef784aa72ac354d6a2a961ad2715a1549744b9fd05e0418a4ec"
    "c2e0416e0f51cbcc2491af50a1f47039997c3a8523b8b47afc02365b25559731"
    "2d5dfa98e38a92ae05df2910676cbac9d300e6cfe19ea82c6316013f58e289a9"
    "0d38341bab33ffb0bb480c5fb9b1cd2ec5f3db47e5a59c770aa62068fe7fc1ad"
)


def expanded_key(key: bytes, effective_bits: int) -> tuple[int, ...]:
    """The 64 words that a key of 1 to 128 octets, of which that many bits count, is expanded to (RFC 2268, 2)."""
    octets = bytearray(key) + bytearray(MAX_KEY - len(key))
    for i in range(len(key), MAX_KEY):
        octets[i] = _PITABLE[(octets[i - 1] + octets[i - len(key)]) & 0xFF]
    effective = (effective_bits + 7) // 8
    first = MAX_KEY - effective
    octets[first] = _PITABLE[octets[first] & (0xFF >> (8 * effective - effective_bits))]
    for i in range(first - 1, -1, -1):
        octets[i] = _PITABLE[octets[i + 1] ^ octets[i + effective]]
    return _WORDS.unpack(octets)


class Rc2Decryptor:
    """A decryption in CBC mode, without padding, as the contexts of ``cryptography`` are."""

    def __init__(self, key: bytes, effective_bits: int, initialization_vector: bytes) -> None:
        """Begin."""
        self._key = expanded_key(key, effective_bits)
        self._last = int.from_bytes(initialization_vector)
        self._rest = b""

    def update_into(self, data: bytes | memoryview, buffer: memoryview) -> int:
        """Decrypt the blocks that are complete by now; the number of octets that were written to ``buffer``."""
        data = self._rest + data
        end = len(data) - len(data) % BLOCK_SIZE
        self._rest = data[end:]
        for at in range(0, end, BLOCK_SIZE):
            block = data[at : at + BLOCK_SIZE]
            plain = int.from_bytes(_decrypted(self._key, block)) ^ self._last
            buffer[at : at + BLOCK_SIZE] = plain.to_bytes(BLOCK_SIZE)
            self._last = int.from_bytes(block)
        return end

    def finalize(self) -> bytes:
        """Nothing.

        Raises:
            ValueError: the last block is not complete.
        """
        if self._rest:
            raise ValueError
        return b""


def _decrypted(key: tuple[int, ...], block: bytes) -> bytes:
    """One block (RFC 2268, 4)."""
    r0, r1, r2, r3 = _BLOCK.unpack(block)
    for j in range(60, -4, -4):
        r3 = (r3 << 11 | r3 >> 5) & 0xFFFF
        r3 = (r3 - key[j + 3] - (r2 & r1) - (~r2 & r0)) & 0xFFFF
        r2 = (r2 << 13 | r2 >> 3) & 0xFFFF
        r2 = (r2 - key[j + 2] - (r1 & r0) - (~r1 & r3)) & 0xFFFF
        r1 = (r1 << 14 | r1 >> 2) & 0xFFFF
        r1 = (r1 - key[j + 1] - (r0 & r3) - (~r0 & r2)) & 0xFFFF
        r0 = (r0 << 15 | r0 >> 1) & 0xFFFF
        r0 = (r0 - key[j] - (r3 & r2) - (~r3 & r1)) & 0xFFFF
        if j in {44, 20}:  # five, six and five rounds of mixing, and one of mashing between
            r3 = (r3 - key[r2 & 63]) & 0xFFFF
            r2 = (r2 - key[r1 & 63]) & 0xFFFF
            r1 = (r1 - key[r0 & 63]) & 0xFFFF
            r0 = (r0 - key[r3 & 63]) & 0xFFFF
    return _BLOCK.pack(r0, r1, r2, r3)
