"""RSA encryption padding taken off on the host, judged by ``cryptography``."""

from __future__ import annotations

from functools import cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from smime_agent.accepted import HashFunction
from smime_agent.cms.key_transport import OaepParameters
from smime_agent.tokens.rsa_padding import remove_oaep, remove_pkcs1_v1_5

SIZE = 128
ANY = range(SIZE)
SHA1 = OaepParameters(HashFunction.SHA1, HashFunction.SHA1, b"label")


@cache
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 8 * SIZE)


def raw(ciphertext: bytes) -> bytes:
    """What a token with raw RSA alone gives."""
    numbers = key().private_numbers()
    return pow(int.from_bytes(ciphertext), numbers.d, numbers.public_numbers.n).to_bytes(SIZE)


def by_the_book(encoded: bytes) -> bytes | None:
    """RFC 8017, 7.2.2, step 3, in the words that leak."""
    separator = encoded.find(b"\0", 2)
    if encoded[:2] != b"\0\2" or separator < 10:
        return None
    return encoded[separator + 1 :]


blocks = st.one_of(
    st.binary(min_size=SIZE, max_size=SIZE),
    st.binary(min_size=SIZE - 2, max_size=SIZE - 2).map(lambda rest: b"\0\2" + rest),
    st.tuples(st.integers(0, SIZE - 3), st.binary(min_size=SIZE, max_size=SIZE)).map(
        lambda drawn: (b"\0\2" + b"\xff" * drawn[0] + b"\0" + drawn[1])[:SIZE]
    ),
)


@given(blocks)
def test_pkcs1_v1_5_is_as_in_the_book(encoded: bytes) -> None:
    right, message = remove_pkcs1_v1_5(encoded, ANY)
    assert (message if right else None) == by_the_book(encoded)


@given(blocks, st.integers(0, SIZE))
def test_a_message_of_one_length_is_as_in_the_book(encoded: bytes, length: int) -> None:
    expected = by_the_book(encoded)
    right, message = remove_pkcs1_v1_5(encoded, range(length, length + 1))
    assert (message if right else None) == (expected if expected is not None and len(expected) == length else None)


@given(st.integers(0, 40), st.binary(min_size=SIZE, max_size=SIZE))
def test_a_message_of_the_length_that_is_there_comes_back(length: int, octets: bytes) -> None:
    padding_string = octets[: SIZE - 3 - length].replace(b"\0", b"\1")
    encoded = b"\0\2" + padding_string + b"\0" + octets[SIZE - length :]
    assert remove_pkcs1_v1_5(encoded, range(length, length + 1)) == (1, octets[SIZE - length :])


@given(st.binary(max_size=SIZE - 11))
def test_what_cryptography_pads_by_pkcs1_v1_5_comes_back(message: bytes) -> None:
    encoded = raw(key().public_key().encrypt(message, padding.PKCS1v15()))
    assert remove_pkcs1_v1_5(encoded, ANY) == (1, message)
    assert remove_pkcs1_v1_5(encoded, range(len(message) + 1, SIZE))[0] == 0
    assert remove_pkcs1_v1_5(encoded, range(len(message), len(message) + 1)) == (1, message)


@given(st.binary(max_size=SIZE - 42))
def test_what_cryptography_pads_by_oaep_comes_back(message: bytes) -> None:
    scheme = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), b"label")  # noqa: S303 - the default of OAEP
    assert remove_oaep(raw(key().public_key().encrypt(message, scheme)), SHA1) == (1, message)


@given(st.binary(min_size=SIZE, max_size=SIZE))
def test_octets_at_random_are_no_oaep(encoded: bytes) -> None:
    assert remove_oaep(encoded, SHA1)[0] == 0


@given(st.binary(max_size=41))
def test_a_block_that_is_too_short_is_wrong(encoded: bytes) -> None:
    assert remove_oaep(encoded, SHA1) == (0, b"")
    assert remove_pkcs1_v1_5(encoded[:10], ANY) == (0, b"")
