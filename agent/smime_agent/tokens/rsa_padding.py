"""RSA encryption padding taken off on the host, for tokens that only have raw RSA.

Whoever learns of single messages whether their padding is right can decrypt others with it: Bleichenbacher's attack on
RSAES-PKCS1-v1_5, Manger's on RSAES-OAEP. So there is one answer for all that can be wrong, every octet is looked at
whatever the others are, and nothing branches on them: as far as this language goes, the time is the same.
Source: RFC 8017, 7.1.2 and 7.2.2.
"""

from __future__ import annotations

from hmac import compare_digest
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from smime_agent.accepted import HashFunction
    from smime_agent.cms.key_transport import OaepParameters

#: 0x00, 0x02, at least eight octets of padding, 0x00.
_SHORTEST_HEAD: Final = 11
_IS_ZERO: Final = b"\1" + bytes(255)


def remove_pkcs1_v1_5(encoded: bytes, lengths: range) -> tuple[int, bytes]:
    """1 and the message, where the padding is right and the message has one of ``lengths``; else 0 and any octets.

    ``encoded`` is as long as the modulus.
    """
    if len(encoded) < _SHORTEST_HEAD:
        return 0, b""
    if len(lengths) == 1:
        return _remove_before(encoded, lengths[0])
    wrong = encoded[0] | encoded[1] ^ 0x02
    found = at = 0
    for i in range(2, len(encoded)):
        first = _is_zero(encoded[i]) & ~found
        at |= -first & i
        found |= first
    long_enough = int(at >= _SHORTEST_HEAD - 1)
    right = _is_zero(wrong) & found & long_enough & int(len(encoded) - at - 1 in lengths)
    return right, encoded[at + 1 :]


def _remove_before(encoded: bytes, length: int) -> tuple[int, bytes]:
    """The same where the message has one length: all octets before it are compared at once."""
    at = len(encoded) - length - 1
    if at < _SHORTEST_HEAD - 1:
        return 0, b""
    zeros = encoded[2 : at + 1].translate(_IS_ZERO)
    right = compare_digest(encoded[:2] + zeros, b"\x00\x02".ljust(at, b"\0") + b"\1")
    return int(right), encoded[at + 1 :]


def remove_oaep(encoded: bytes, parameters: OaepParameters) -> tuple[int, bytes]:
    """1 and the message, where the padding is right; else 0 and any octets. ``encoded`` is as long as the modulus."""
    function = parameters.hash_function
    size = function.size
    if len(encoded) < 2 * size + 2:
        return 0, b""
    masked_seed, masked_block = encoded[1 : size + 1], encoded[size + 1 :]
    seed = _xor(masked_seed, _mgf1(parameters.mask_hash, masked_block, size))
    block = _xor(masked_block, _mgf1(parameters.mask_hash, seed, len(masked_block)))
    same_label = int(compare_digest(block[:size], function.of(parameters.label)))
    wrong = encoded[0]
    found = at = 0
    for i in range(size, len(block)):
        first = _is_zero(block[i] ^ 0x01) & ~found
        at |= -first & i
        found |= first
        wrong |= (found - 1) & block[i]  # before the 0x01 there is nothing but 0x00
    return _is_zero(wrong) & same_label & found, block[at + 1 :]


def _is_zero(octet: int) -> int:
    """1 for 0, and 0 for 1 to 255."""
    return (octet - 1) >> 8 & 1


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def _mgf1(function: HashFunction, seed: bytes, length: int) -> bytes:
    """RFC 8017, B.2.1."""
    blocks = -(-length // function.size)
    return b"".join(function.of(seed + counter.to_bytes(4, "big")) for counter in range(blocks))[:length]
