"""Contents, encrypted and decrypted: against one another, against ``cryptography``, and as others made them."""

from __future__ import annotations

import json
import os
import subprocess
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key
from hypothesis import given
from hypothesis import strategies as st

from smime_agent import der
from smime_agent.algorithms import ContentEncryption
from smime_agent.cms.content_encryption import (
    DecryptionError,
    content_cipher,
    content_encryptor,
    content_key_size,
    encrypted_size,
)
from smime_agent.cms.rc2 import Rc2Decryptor
from smime_agent.cms.signer_info import AlgorithmIdentifier, algorithm_of
from smime_agent.errors import PolicyError, SmimeAgentError
from smime_agent.verdict import UntrustworthyError
from tests.cms.opening import opened
from tests.support.ca import Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.support.ca import Authority

AUTHENTICATED = [cipher for cipher in ContentEncryption if cipher.is_authenticated]
CONTENT = b"Content-Type: text/plain\r\n\r\nHello, Bob.\r\n"
TRIPLE_DES, RC2, AES256_GCM = "1.2.840.113549.3.7", "1.2.840.113549.3.2", ContentEncryption.AES256_GCM.oid


def key_for(cipher: ContentEncryption) -> bytes:
    return bytes(range(cipher.key_size))


def encrypted(cipher: ContentEncryption, chunks: Sequence[bytes]) -> tuple[AlgorithmIdentifier, bytes, bytes | None]:
    algorithm, encryptor = content_encryptor(cipher, key_for(cipher), os.urandom)
    pieces = [encryptor.update(chunk) for chunk in chunks]
    rest, mac = encryptor.finish()
    return algorithm_of(algorithm), b"".join(pieces) + rest, mac


def decrypted(  # noqa: PLR0913 - all that a message has
    algorithm: AlgorithmIdentifier,
    key: bytes,
    chunks: Sequence[bytes],
    mac: bytes | None,
    *,
    legacy: bool = False,
    additional: bytes | None = None,
) -> bytes:
    decryptor = content_cipher(algorithm, key, legacy=legacy, additional=additional).decryptor()
    return b"".join([decryptor.update(chunk) for chunk in chunks]) + decryptor.finish(mac)


def cut(octets: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(octets) + 1) for place in places), len(octets)]
    return [octets[start:end] for start, end in pairwise(edges)]


@given(
    cipher=st.sampled_from(ContentEncryption),
    content=st.binary(max_size=200),
    ways=st.tuples(*2 * [st.lists(st.integers(0, 300), max_size=5)]),
)
def test_what_was_encrypted_is_decrypted_however_it_is_cut(
    cipher: ContentEncryption, content: bytes, ways: tuple[list[int], list[int]]
) -> None:
    algorithm, octets, mac = encrypted(cipher, cut(content, ways[0]))
    assert len(octets) == encrypted_size(cipher, len(content))
    assert decrypted(algorithm, key_for(cipher), cut(octets, ways[1]), mac) == content


@pytest.mark.parametrize("cipher", ContentEncryption)
def test_pieces_larger_than_a_block_are_worked_on(cipher: ContentEncryption) -> None:
    content = os.urandom(600_000)
    algorithm, octets, mac = encrypted(cipher, [content])
    assert decrypted(algorithm, key_for(cipher), [octets], mac) == content


@pytest.mark.parametrize("cipher", AUTHENTICATED)
@given(additional=st.binary(max_size=70), content=st.binary(max_size=70))
def test_authenticated_ciphers_are_those_of_cryptography(
    cipher: ContentEncryption, additional: bytes, content: bytes
) -> None:
    nonce, key = os.urandom(12), key_for(cipher)
    chacha20 = cipher is ContentEncryption.CHACHA20_POLY1305
    octets = (ChaCha20Poly1305 if chacha20 else AESGCM)(key).encrypt(nonce, content, additional)
    parameters = der.octet_string(nonce) if chacha20 else der.sequence(der.octet_string(nonce), der.integer(16))
    found = decrypted(
        AlgorithmIdentifier(cipher.oid, parameters), key, [octets[:-16]], octets[-16:], additional=additional
    )
    assert found == content


@pytest.mark.parametrize("cipher", AUTHENTICATED)
def test_no_flipped_bit_is_missed(cipher: ContentEncryption) -> None:
    algorithm, octets, mac = encrypted(cipher, [CONTENT])
    assert mac is not None
    whole = octets + mac
    for place in range(8 * len(whole)):
        changed = (int.from_bytes(whole) ^ 1 << place).to_bytes(len(whole))
        with pytest.raises(DecryptionError):
            decrypted(algorithm, key_for(cipher), [changed[:-16]], changed[-16:])


@pytest.mark.parametrize("cipher", AUTHENTICATED)
def test_no_truncation_is_missed(cipher: ContentEncryption) -> None:
    algorithm, octets, mac = encrypted(cipher, [CONTENT])
    for length in range(len(octets)):
        with pytest.raises(DecryptionError):
            decrypted(algorithm, key_for(cipher), [octets[:length]], mac)


@pytest.mark.parametrize("cipher", AUTHENTICATED)
@pytest.mark.parametrize("size", [None, 0, 4, 12, 15, 17])
def test_a_tag_of_another_length_is_no_tag(cipher: ContentEncryption, size: int | None) -> None:
    algorithm, octets, mac = encrypted(cipher, [CONTENT])
    assert mac is not None
    with pytest.raises(DecryptionError):
        decrypted(algorithm, key_for(cipher), [octets], None if size is None else (mac + b"\0")[:size])


def test_additional_data_that_nobody_authenticated_is_noticed() -> None:
    algorithm, octets, mac = encrypted(ContentEncryption.AES256_GCM, [CONTENT])
    with pytest.raises(DecryptionError):
        decrypted(algorithm, key_for(ContentEncryption.AES256_GCM), [octets], mac, additional=b"\x31\0")


@pytest.mark.parametrize("length", range(len(CONTENT) + 1))
def test_cbc_that_was_cut_off_does_not_decrypt_unless_its_padding_fits(length: int) -> None:
    algorithm, octets, mac = encrypted(ContentEncryption.AES128_CBC, [CONTENT])
    with pytest.raises(DecryptionError):
        decrypted(algorithm, key_for(ContentEncryption.AES128_CBC), [octets[:length]], mac)


def test_cbc_with_a_tag_is_refused() -> None:
    algorithm, octets, _ = encrypted(ContentEncryption.AES128_CBC, [CONTENT])
    with pytest.raises(DecryptionError):
        decrypted(algorithm, key_for(ContentEncryption.AES128_CBC), [octets], bytes(16))


@pytest.mark.parametrize("last", [0, 17, 255])
def test_padding_of_another_length_is_refused(last: int) -> None:
    algorithm, octets, _ = encrypted(ContentEncryption.AES128_CBC, [bytes(32)])
    changed = bytearray(octets)
    changed[31] ^= 16 ^ last  # the octet before the padding's last, in the cipher text that is added to it
    with pytest.raises(DecryptionError):
        decrypted(algorithm, key_for(ContentEncryption.AES128_CBC), [bytes(changed)], None)


def test_a_wrong_key_a_wrong_tag_and_a_wrong_padding_look_alike() -> None:
    gcm, cbc = ContentEncryption.AES128_GCM, ContentEncryption.AES128_CBC
    algorithm, octets, mac = encrypted(gcm, [CONTENT])
    other, blocks, _ = encrypted(cbc, [CONTENT])
    attempts: list[Callable[[], bytes]] = [
        lambda: decrypted(algorithm, bytes(16), [octets], mac),
        lambda: decrypted(algorithm, key_for(gcm), [octets], bytes(16)),
        lambda: decrypted(algorithm, bytes(17), [octets], mac),
        lambda: decrypted(other, key_for(cbc), [blocks[:-1]], None),
        lambda: decrypted(other, key_for(cbc), [blocks[:-16]], None),
    ]
    seen = set()
    for attempt in attempts:
        with pytest.raises(DecryptionError) as caught:
            attempt()
        seen.add((type(caught.value), str(caught.value), caught.value.hint, caught.value.__cause__))
    assert len(seen) == 1


def test_a_nonce_is_never_used_twice() -> None:
    nonces = {encrypted(ContentEncryption.AES256_GCM, [])[0].parameters for _ in range(100)}
    assert len(nonces) == 100


def test_gcm_says_that_its_tag_has_sixteen_octets() -> None:  # RFC 5084, 3.2: twelve are the default
    algorithm, _, mac = encrypted(ContentEncryption.AES256_GCM, [])
    assert algorithm.parameters is not None
    assert algorithm.parameters.endswith(der.integer(16))
    assert mac is not None
    assert len(mac) == 16


def test_a_gcm_tag_of_twelve_octets_is_the_default() -> None:
    key, nonce = bytes(32), bytes(12)
    octets = AESGCM(key).encrypt(nonce, CONTENT, None)
    algorithm = AlgorithmIdentifier(AES256_GCM, der.sequence(der.octet_string(nonce)))
    assert decrypted(algorithm, key, [octets[:-16]], octets[-16:-4]) == CONTENT


@pytest.mark.parametrize("cipher", AUTHENTICATED)
def test_more_than_a_key_may_encrypt_is_refused(cipher: ContentEncryption) -> None:
    with pytest.raises(PolicyError):
        encrypted_size(cipher, 1 << 40)


@pytest.mark.parametrize("oid", [TRIPLE_DES, RC2])
def test_what_is_weak_wants_to_be_asked_for(oid: str) -> None:
    with pytest.raises(PolicyError, match="weak"):
        content_cipher(AlgorithmIdentifier(oid, None), bytes(24), legacy=False).decryptor()


@pytest.mark.parametrize(
    ("oid", "parameters"),
    [
        ("1.2.3", None),
        ("1.3.14.3.2.7", der.octet_string(bytes(8))),  # DES
        (AES256_GCM, None),
        (AES256_GCM, der.NULL),
        (AES256_GCM, b"\x30\x05\x04"),
        (AES256_GCM, der.octet_string(bytes(12))),
        (AES256_GCM, der.sequence(der.octet_string(bytes(12)), der.integer(11))),
        (AES256_GCM, der.sequence(der.octet_string(bytes(12)), der.integer(-16))),
        (AES256_GCM, der.sequence(der.octet_string(bytes(12)), der.integer(16), der.integer(16))),
        (AES256_GCM, der.sequence(der.octet_string(b""), der.integer(16))),
        (AES256_GCM, der.sequence(der.octet_string(bytes(129)), der.integer(16))),
        (ContentEncryption.AES256_CBC.oid, None),
        (ContentEncryption.AES256_CBC.oid, der.octet_string(bytes(12))),
        (ContentEncryption.CHACHA20_POLY1305.oid, der.octet_string(bytes(16))),
        (ContentEncryption.CHACHA20_POLY1305.oid, der.sequence(der.octet_string(bytes(12)))),
        (TRIPLE_DES, der.octet_string(bytes(7))),
        (RC2, der.octet_string(bytes(8))),
        (RC2, der.sequence(der.integer(59), der.octet_string(bytes(8)))),
        (RC2, der.sequence(der.integer(1025), der.octet_string(bytes(8)))),
        (RC2, der.sequence(der.integer(58), der.octet_string(bytes(9)))),
    ],
)
def test_damaged_and_unknown_algorithms_are_refused(oid: str, parameters: bytes | None) -> None:
    with pytest.raises(UntrustworthyError):
        content_cipher(AlgorithmIdentifier(oid, parameters), bytes(32), legacy=True).decryptor()


@given(
    oid=st.sampled_from([TRIPLE_DES, RC2, *(cipher.oid for cipher in ContentEncryption)]),
    parameters=st.binary(max_size=60),
    key=st.binary(max_size=40),
)
def test_whatever_comes_only_errors_of_ours_come_out(oid: str, parameters: bytes, key: bytes) -> None:
    try:
        decryptor = content_cipher(AlgorithmIdentifier(oid, parameters), key, legacy=True).decryptor()
        decryptor.update(CONTENT)
        decryptor.finish(b"")
    except SmimeAgentError:
        pass


@pytest.mark.parametrize(
    ("key", "bits", "plain", "cipher"),
    [  # RFC 2268, 5
        ("0000000000000000", 63, "0000000000000000", "ebb773f993278eff"),
        ("ffffffffffffffff", 64, "ffffffffffffffff", "278b27e42e2f0d49"),
        ("3000000000000000", 64, "1000000000000001", "30649edf9be7d2c2"),
        ("88", 64, "0000000000000000", "61a8a244adacccf0"),
        ("88bca90e90875a", 64, "0000000000000000", "6ccf4308974c267f"),
        ("88bca90e90875a7f0f79c384627bafb2", 64, "0000000000000000", "1a807d272bbe5db1"),
        ("88bca90e90875a7f0f79c384627bafb2", 128, "0000000000000000", "2269552ab0f85ca6"),
        (
            "88bca90e90875a7f0f79c384627bafb216f80a6f85920584c42fceb0be255daf1e",
            129,
            "0000000000000000",
            "5b78d3a43dfff1f1",
        ),
    ],
)
def test_rc2_is_that_of_its_author(key: str, bits: int, plain: str, cipher: str) -> None:
    buffer = memoryview(bytearray(8))
    Rc2Decryptor(bytes.fromhex(key), bits, bytes(8)).update_into(bytes.fromhex(cipher), buffer)
    assert buffer.hex() == plain


@pytest.mark.parametrize(("version", "size"), [(160, 5), (120, 8), (58, 16), (1024, 128)])
def test_rc2_says_how_long_its_key_is(version: int, size: int) -> None:
    parameters = der.sequence(der.integer(version), der.octet_string(bytes(8)))
    assert content_key_size(AlgorithmIdentifier(RC2, parameters)) == size


@pytest.fixture(scope="module")
def recipient(issuing_ca: Authority, tmp_path_factory: pytest.TempPathFactory) -> tuple[rsa.RSAPrivateKey, Path]:
    key = rsa.generate_private_key(65537, 2048)
    path = tmp_path_factory.mktemp("recipient") / "certificate.pem"
    path.write_bytes(issuing_ca.issue(key.public_key(), Wanted()).public_bytes(Encoding.PEM))
    return key, path


@pytest.mark.interop
@pytest.mark.parametrize(
    "name",
    [
        *(f"aes-{bits}-{mode}" for bits in (128, 192, 256) for mode in ("cbc", "gcm")),
        *("des-ede3-cbc", "rc2-cbc", "rc2-64-cbc", "rc2-40-cbc"),
    ],
)
@pytest.mark.parametrize("size", [0, 1, 7, 8, 1000])
def test_what_openssl_encrypts_is_decrypted(name: str, size: int, recipient: tuple[rsa.RSAPrivateKey, Path]) -> None:
    key, path = recipient
    content = os.urandom(size)
    providers = ("-provider", "default", "-provider", "legacy")
    done = subprocess.run(
        ["openssl", "cms", "-encrypt", "-binary", "-outform", "DER", f"-{name}", *providers, "-recip", path],
        input=content,
        capture_output=True,
        check=True,
    )
    assert opened(done.stdout, key, legacy=True, chunk=5) == content


@pytest.mark.vectors
@pytest.mark.parametrize("name", ["5.1.bin", "5.2.bin"])
def test_rc2_and_triple_des_of_rfc_4134_are_decrypted(name: str, vectors: Path) -> None:
    folder = vectors / "rfc4134"
    key = load_der_private_key((folder / "BobPrivRSAEncrypt.pri").read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    octets = (folder / name).read_bytes()
    assert opened(octets, key, legacy=True) == (folder / "ExContent.bin").read_bytes()


@pytest.mark.vectors
def test_aes_gcm_is_judged_as_wycheproof_judges(vectors: Path) -> None:
    oids = {128: ContentEncryption.AES128_GCM.oid, 192: "2.16.840.1.101.3.4.1.26", 256: AES256_GCM}
    judged = 0
    for group in json.loads((vectors / "wycheproof/aes_gcm_test.json").read_text())["testGroups"]:
        for case in group["tests"]:
            key, nonce, octets, mac = (bytes.fromhex(case[name]) for name in ("key", "iv", "ct", "tag"))
            parameters = der.sequence(der.octet_string(nonce), der.integer(len(mac)))
            algorithm = AlgorithmIdentifier(oids[group["keySize"]], parameters)
            try:
                found = decrypted(algorithm, key, [octets], mac, additional=bytes.fromhex(case["aad"])).hex()
            except (DecryptionError, UntrustworthyError):
                found = ""
                # Nonces under 64 and over 1024 bits are not supported: nobody has sent one.
                assert case["result"] == "invalid" or len(nonce) not in range(8, 129), case
            assert case["result"] == "valid" or not found, case
            assert found in {case["msg"], ""}
            judged += 1
    assert judged > 300
