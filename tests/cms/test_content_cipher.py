"""Ciphers that begin anywhere: as the vectors judge them, where counters wrap, and over octets that change."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smime_agent import der
from smime_agent.algorithms import ContentEncryption
from smime_agent.cms.ciphers import DecryptionError
from smime_agent.cms.content_cipher import PinnedSource
from smime_agent.cms.content_encryption import content_cipher, content_encryptor
from smime_agent.cms.signer_info import AlgorithmIdentifier, algorithm_of
from smime_agent.errors import FileError
from smime_agent.source import Source
from smime_agent.verdict import UntrustworthyError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GCM = {
    128: ContentEncryption.AES128_GCM.oid,
    192: "2.16.840.1.101.3.4.1.26",
    256: ContentEncryption.AES256_GCM.oid,
}
AUTHENTICATED = [cipher for cipher in ContentEncryption if cipher.is_authenticated]


@pytest.mark.vectors
def test_aes_gcm_that_begins_anywhere_is_judged_as_wycheproof_judges(vectors: Path) -> None:
    judged = wrapped = 0
    for group in json.loads((vectors / "wycheproof/aes_gcm_test.json").read_text())["testGroups"]:
        for case in group["tests"]:
            key, nonce, octets, mac, message = (bytes.fromhex(case[name]) for name in ("key", "iv", "ct", "tag", "msg"))
            algorithm = AlgorithmIdentifier(
                GCM[group["keySize"]], der.sequence(der.octet_string(nonce), der.integer(len(mac)))
            )
            try:
                cipher = content_cipher(algorithm, key, legacy=False, additional=bytes.fromhex(case["aad"]))
                content = cipher.seekable(Source.from_bytes(octets), mac)
            except (DecryptionError, UntrustworthyError):
                # Nonces under 64 and over 1024 bits are not supported: nobody has sent one.
                assert case["result"] == "invalid" or len(nonce) not in range(8, 129), case
                continue
            assert case["result"] == "valid", case
            for start in range(len(message) + 1):
                assert content.read(start) == message[start:], case
                assert content.read(start, start + 3) == message[start : start + 3], case
            judged += 1
            wrapped += "CounterWrap" in case["flags"]
    assert judged > 100
    assert wrapped > 10


@pytest.mark.vectors
@pytest.mark.parametrize("size", range(12, 17))
def test_a_tag_that_was_shortened_is_judged_by_its_length(size: int, vectors: Path) -> None:
    judged = 0
    for group in json.loads((vectors / "wycheproof/aes_gcm_test.json").read_text())["testGroups"]:
        for case in group["tests"]:
            key, nonce, octets, mac, message = (bytes.fromhex(case[name]) for name in ("key", "iv", "ct", "tag", "msg"))
            if case["result"] != "valid" or len(nonce) not in range(8, 129):
                continue
            parameters = der.sequence(der.octet_string(nonce), der.integer(size))
            algorithm = AlgorithmIdentifier(GCM[group["keySize"]], parameters)
            cipher = content_cipher(algorithm, key, legacy=False, additional=bytes.fromhex(case["aad"]))
            assert cipher.seekable(Source.from_bytes(octets), mac[:size]).read() == message
            for wrong in (mac[: size - 1], mac[: size - 1] + bytes((mac[size - 1] ^ 1,)), None):
                with pytest.raises(DecryptionError):
                    cipher.seekable(Source.from_bytes(octets), wrong)
            judged += 1
    assert judged > 100


class Changing:
    """A source whose octets can be changed, and say nothing of it."""

    def __init__(self, octets: bytes) -> None:
        self.octets = bytearray(octets)

    def source(self) -> Source:
        return Source.from_reader(lambda start, end: bytes(self.octets[start:end]), len(self.octets))


SIZE = 3 * Source.CHUNK + 1000


@pytest.fixture(scope="module", params=AUTHENTICATED)
def sealed(request: pytest.FixtureRequest) -> tuple[AlgorithmIdentifier, bytes, bytes, bytes]:
    cipher: ContentEncryption = request.param
    key = bytes(range(cipher.key_size))
    algorithm, encryptor = content_encryptor(cipher, key, bytes)
    octets = encryptor.update(bytes(SIZE))
    rest, mac = encryptor.finish()
    assert mac is not None
    return algorithm_of(algorithm), key, octets + rest, mac


@pytest.mark.parametrize("place", [0, Source.CHUNK, 2 * Source.CHUNK - 1, SIZE - 1])
def test_what_is_changed_after_it_was_verified_is_not_decrypted(
    place: int, sealed: tuple[AlgorithmIdentifier, bytes, bytes, bytes]
) -> None:
    algorithm, key, octets, mac = sealed
    changing = Changing(octets)
    content = content_cipher(algorithm, key, legacy=False).seekable(changing.source(), mac)
    changing.octets[place] ^= 1
    with pytest.raises(FileError, match="changed"):
        content.read(place, place + 1)
    with pytest.raises(FileError, match="changed"):
        content.read()


def test_what_was_not_changed_is_still_decrypted(sealed: tuple[AlgorithmIdentifier, bytes, bytes, bytes]) -> None:
    algorithm, key, octets, mac = sealed
    changing = Changing(octets)
    content = content_cipher(algorithm, key, legacy=False).seekable(changing.source(), mac)
    changing.octets[0] ^= 1
    assert content.read(Source.CHUNK) == bytes(SIZE - Source.CHUNK)


@pytest.mark.parametrize("change", [lambda octets: octets[:-1], lambda octets: octets[::-1]])
def test_a_source_is_what_it_was_or_is_refused(change: Callable[[bytes], bytes]) -> None:
    octets = bytes(range(256)) * 2048
    changing = Changing(octets)
    pinned = PinnedSource(changing.source())
    assert b"".join(pinned.chunks()) == octets
    changing.octets = bytearray(change(octets))
    with pytest.raises(FileError, match="changed"):
        pinned.read(Source.CHUNK, len(octets))


def test_blocks_that_change_places_are_noticed() -> None:
    one, other = b"a" * Source.CHUNK, b"b" * Source.CHUNK
    changing = Changing(one + other)
    pinned = PinnedSource(changing.source())
    assert list(pinned.chunks()) == [one, other]
    changing.octets = bytearray(other + one)
    with pytest.raises(FileError, match="changed"):
        pinned.read(0, 1)


@given(bounds=st.tuples(st.integers(0, SIZE), st.integers(0, SIZE)).map(sorted))
def test_any_part_of_what_is_pinned_is_that_of_the_source(bounds: list[int]) -> None:
    octets = bytes(range(250)) * (SIZE // 250 + 1)
    pinned = PinnedSource(Source.from_bytes(octets[:SIZE]))
    for _ in pinned.chunks():
        pass
    assert pinned.read(*bounds) == octets[slice(*bounds)]
