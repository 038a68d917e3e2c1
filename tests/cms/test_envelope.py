"""Envelopes, opened: all at once, part by part, and not at all when they were changed."""

from __future__ import annotations

import os
import subprocess
import tempfile
import tracemalloc
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import RC2 as Rc2  # noqa: N811 - RC2 is its identifier below
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smime_agent import der
from smime_agent.algorithms import ContentEncryption
from smime_agent.cms import oids
from smime_agent.cms.ciphers import DecryptionError
from smime_agent.cms.content_encryption import MAX_RC2, content_encryptor
from smime_agent.cms.envelope import open_envelope, read_envelope
from smime_agent.errors import PolicyError, SmimeAgentError
from smime_agent.keys import ContentKey
from smime_agent.source import Source
from smime_agent.verdict import Code, UntrustworthyError
from tests.cms.opening import content_key
from tests.support.ca import Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm

    from tests.support.ca import Authority

CONTENT = b"Content-Type: text/plain\r\n\r\nHello, Bob.\r\n"
KEY = bytes(range(32))
AUTHENTICATED = [cipher for cipher in ContentEncryption if cipher.is_authenticated]
CBC = [cipher for cipher in ContentEncryption if not cipher.is_authenticated]
AES192_GCM, TRIPLE_DES, RC2 = "2.16.840.1.101.3.4.1.26", "1.2.840.113549.3.7", "1.2.840.113549.3.2"
#: All that is read, and the length of its keys. RC2 with 128 bits is that of `cryptography`.
CIPHERS = {cipher.oid: cipher.key_size for cipher in ContentEncryption} | {AES192_GCM: 24, TRIPLE_DES: 24, RC2: 16}
SIGNED_DATA = "1.2.840.113549.1.7.2"
ATTRIBUTES = der.set_of([der.sequence(der.object_identifier("1.2.3"), der.set_of([der.NULL]))])


def fixed(size: int) -> bytes:
    """No chance: with one IV in 256, a wrong key leaves an octet that is a padding."""
    return bytes(size)


def encrypted(oid: str, content: bytes, additional: bytes | None = None) -> tuple[bytes, bytes, bytes | None]:
    """The AlgorithmIdentifier, the encrypted content and the tag."""
    key = KEY[: CIPHERS[oid]]
    if oid == AES192_GCM or additional is not None:
        octets = AESGCM(key).encrypt(bytes(12), content, additional)
        return (
            der.algorithm(oid, der.sequence(der.octet_string(bytes(12)), der.integer(16))),
            octets[:-16],
            octets[-16:],
        )
    if oid in {TRIPLE_DES, RC2}:
        vector = b"8 octets"
        algorithm: BlockCipherAlgorithm = TripleDES(key) if oid == TRIPLE_DES else Rc2(key)
        padder = PKCS7(64).padder()
        octets = Cipher(algorithm, modes.CBC(vector)).encryptor().update(padder.update(content) + padder.finalize())
        string = der.octet_string(vector)
        return der.algorithm(oid, string if oid == TRIPLE_DES else der.sequence(der.integer(58), string)), octets, None
    cipher = next(one for one in ContentEncryption if one.oid == oid)
    named, encryptor = content_encryptor(cipher, key, fixed)
    octets = encryptor.update(content)
    rest, mac = encryptor.finish()
    return named, octets + rest, mac


def message(  # noqa: PLR0913 - all that an envelope is made of
    algorithm: bytes,
    octets: bytes | None,
    mac: bytes | None,
    *,
    content_type: str = oids.ID_DATA,
    attributes: bytes | None = None,
    pieces: int = 0,
) -> bytes:
    """A ContentInfo; the content is in pieces of that many octets, if any."""
    if octets is None:
        content = b""
    elif not pieces:
        content = der.header(0x80, len(octets)) + octets
    else:
        cut = [der.octet_string(octets[at : at + pieces]) for at in range(0, len(octets), pieces)]
        content = b"\xa0\x80" + b"".join(cut) + bytes(2)
    info = der.sequence(der.object_identifier(content_type), algorithm, content)
    fields = [der.integer(0), der.set_of([der.sequence(der.integer(0))]), info]
    if attributes is not None:
        fields.append(b"\xa1" + attributes[1:])
    if mac is not None:
        fields.append(der.octet_string(mac))
    kind = oids.ID_ENVELOPED_DATA if mac is None else oids.ID_AUTH_ENVELOPED_DATA
    return der.sequence(der.object_identifier(kind), der.context(0, der.sequence(*fields)))


def opened(octets: bytes | Source, key: bytes, *, legacy: bool = True) -> Source:
    source = octets if isinstance(octets, Source) else Source.from_bytes(octets)
    return open_envelope(read_envelope(source), ContentKey(key), legacy=legacy)


def opened_with(oid: str, octets: bytes) -> bytes:
    with opened(octets, KEY[: CIPHERS[oid]]) as source:
        return source.read()


@pytest.fixture(params=["at once", "part by part"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Small contents are decrypted at once; here they are too large for that, too."""
    if request.param == "part by part":
        monkeypatch.setattr(Source, "IN_MEMORY", -1)
    return str(request.param)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("oid", CIPHERS)
@pytest.mark.parametrize("size", [0, 1, 7, 8, 15, 16, 17, 63, 64, 65, 1000])
def test_a_content_of_any_size_comes_back(oid: str, size: int) -> None:
    content = os.urandom(size)
    with opened(message(*encrypted(oid, content)), KEY[: CIPHERS[oid]]) as source:
        assert source.size == size
        assert source.read() == b"".join(source.chunks()) == content


@pytest.fixture(scope="module")
def large() -> bytes:
    return os.urandom(Source.IN_MEMORY + 300_007)


@pytest.fixture(scope="module")
def large_ones(large: bytes) -> Iterator[dict[str, Source]]:
    """The large content, encrypted with each cipher in pieces of a strange size, and opened."""
    with ExitStack() as stack:
        yield {
            oid: stack.enter_context(opened(message(*encrypted(oid, large), pieces=4_099), KEY[:size]))
            for oid, size in CIPHERS.items()
        }


@given(data=st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("oid", CIPHERS)
def test_any_part_is_that_of_the_whole(
    oid: str, data: st.DataObject, large: bytes, large_ones: dict[str, Source]
) -> None:
    start = data.draw(st.integers(0, len(large) + 20))
    end = data.draw(st.one_of(st.integers(start - 5, start + 200), st.integers(0, len(large) + 20)))
    assert large_ones[oid].read(start, end) == large[start : max(end, 0)]


@pytest.mark.parametrize("oid", CIPHERS)
def test_a_large_content_is_read_from_its_beginning_to_its_end(
    oid: str, large: bytes, large_ones: dict[str, Source]
) -> None:
    assert not large_ones[oid].in_memory
    assert large_ones[oid].size == len(large)
    assert b"".join(large_ones[oid].chunks()) == large_ones[oid].read() == large


@pytest.mark.parametrize("oid", CIPHERS)
def test_a_view_of_a_large_content_is_a_part_of_it(oid: str, large: bytes, large_ones: dict[str, Source]) -> None:
    view = large_ones[oid].view(1_234, 1_234_567)
    assert b"".join(view.chunks(5)) == large[1_239:1_234_567]


def one_flipped(octets: bytes) -> Iterator[bytes]:
    for place in range(len(octets)):
        for mask in (0x01, 0x80, 0x55):
            changed = bytearray(octets)
            changed[place] ^= mask
            yield bytes(changed)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(("oid", "attributes"), [*((one.oid, None) for one in AUTHENTICATED), (AES192_GCM, ATTRIBUTES)])
def test_no_octet_that_was_flipped_gives_another_plaintext(oid: str, attributes: bytes | None) -> None:
    octets = message(*encrypted(oid, CONTENT, attributes), attributes=attributes)
    assert opened_with(oid, octets) == CONTENT
    refused = 0
    for changed in one_flipped(octets):
        try:
            found = opened_with(oid, changed)
        except SmimeAgentError:
            refused += 1
            continue
        # The recipients, the content type without attributes, and how lengths are written are not authenticated.
        assert found == CONTENT
    assert refused > 3 * (len(CONTENT) + 16 + 12)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("oid", CIPHERS)
def test_whatever_was_flipped_only_errors_of_ours_come_out(oid: str) -> None:
    for changed in one_flipped(message(*encrypted(oid, CONTENT))):
        try:
            opened_with(oid, changed)
        except SmimeAgentError:
            continue


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("oid", CIPHERS)
def test_nothing_that_was_cut_off_is_opened(oid: str) -> None:
    octets = message(*encrypted(oid, CONTENT))
    for length in range(len(octets)):
        with pytest.raises(SmimeAgentError):
            opened_with(oid, octets[:length])


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("cipher", AUTHENTICATED)
def test_a_content_that_was_cut_off_is_noticed(cipher: ContentEncryption) -> None:
    algorithm, octets, mac = encrypted(cipher.oid, CONTENT)
    for length in range(len(octets)):
        with pytest.raises(DecryptionError):
            opened_with(cipher.oid, message(algorithm, octets[:length], mac))


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("oid", [*(cipher.oid for cipher in CBC), TRIPLE_DES, RC2])
def test_cbc_whose_length_is_wrong_is_refused(oid: str) -> None:
    algorithm, octets, _ = encrypted(oid, CONTENT)
    for wrong in (b"", octets[:-1], octets + b"\0", octets[:7]):
        with pytest.raises(DecryptionError):
            opened_with(oid, message(algorithm, wrong, None))


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("padding", [bytes(16), bytes((17,)) * 16, bytes(15) + b"\2", bytes((255,)) * 16])
def test_a_padding_that_is_none_is_refused(padding: bytes) -> None:
    cipher = ContentEncryption.AES128_CBC
    algorithm, encryptor = content_encryptor(cipher, KEY[:16], fixed)
    octets = encryptor.update(bytes(32) + padding)
    with pytest.raises(DecryptionError):
        opened_with(cipher.oid, message(algorithm, octets, None))


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("oid", CIPHERS)
def test_a_wrong_key_says_no_more_than_a_changed_content(oid: str) -> None:
    algorithm, octets, mac = encrypted(oid, CONTENT)
    changed = (octets[:-1] + bytes((octets[-1] ^ 0xFF,)), mac)
    size = CIPHERS[oid]
    seen = set()
    for key, parts in ((bytes(size), (octets, mac)), (KEY[:size] + b"!", (octets, mac)), (KEY[:size], changed)):
        if oid == RC2 and len(key) > size:  # any length is one
            continue
        with pytest.raises(DecryptionError) as caught:
            opened(message(algorithm, *parts), key)
        seen.add((str(caught.value), caught.value.hint, caught.value.__cause__, caught.value.exit_code))
    assert len(seen) == 1


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("cipher", AUTHENTICATED)
@pytest.mark.parametrize("mac", [b"", bytes(4), bytes(12), bytes(15), bytes(17)])
def test_a_tag_of_another_length_is_refused(cipher: ContentEncryption, mac: bytes) -> None:
    algorithm, octets, _ = encrypted(cipher.oid, CONTENT)
    with pytest.raises(DecryptionError):
        opened_with(cipher.oid, message(algorithm, octets, mac))


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("size", [12, 13, 14, 15])
def test_a_tag_that_was_shortened_with_its_length_is_the_senders_choice(size: int) -> None:  # RFC 5084, 3.2
    oid = ContentEncryption.AES256_GCM.oid
    octets = AESGCM(KEY).encrypt(bytes(12), CONTENT, None)
    algorithm = der.algorithm(oid, der.sequence(der.octet_string(bytes(12)), der.integer(size)))
    assert opened_with(oid, message(algorithm, octets[:-16], octets[-16 : size - 16])) == CONTENT


@pytest.mark.parametrize("cipher", AUTHENTICATED)
def test_an_authenticated_cipher_without_a_tag_is_refused(cipher: ContentEncryption) -> None:
    algorithm, octets, _ = encrypted(cipher.oid, CONTENT)
    with pytest.raises(UntrustworthyError, match="EnvelopedData") as caught:
        opened_with(cipher.oid, message(algorithm, octets, None))
    assert caught.value.reason.code is Code.ALGORITHM_MISMATCH


@pytest.mark.parametrize("oid", [*(cipher.oid for cipher in CBC), TRIPLE_DES, RC2])
def test_cbc_in_an_authenticated_envelope_is_refused(oid: str) -> None:
    algorithm, octets, _ = encrypted(oid, CONTENT)
    with pytest.raises(UntrustworthyError, match="AuthEnvelopedData") as caught:
        opened_with(oid, message(algorithm, octets, bytes(16)))
    assert caught.value.reason.code is Code.ALGORITHM_MISMATCH


@pytest.mark.parametrize("cipher", ContentEncryption)
def test_a_content_that_is_elsewhere_is_refused(cipher: ContentEncryption) -> None:
    algorithm, _, mac = encrypted(cipher.oid, CONTENT)
    with pytest.raises(UntrustworthyError) as caught:
        opened_with(cipher.oid, message(algorithm, None, mac))
    assert caught.value.reason.code is Code.NO_CONTENT


@pytest.mark.parametrize("oid", [TRIPLE_DES, RC2])
def test_what_is_weak_is_refused_before_there_is_a_key(oid: str) -> None:
    envelope = read_envelope(Source.from_bytes(message(*encrypted(oid, CONTENT))))
    with pytest.raises(PolicyError, match="weak"):
        envelope.check_algorithm(legacy=False)
    assert envelope.check_algorithm(legacy=True).size


@pytest.mark.parametrize(
    "algorithm", [der.algorithm("1.2.3"), der.algorithm(ContentEncryption.AES256_CBC.oid, der.NULL)]
)
def test_what_cannot_be_opened_is_refused_before_there_is_a_key(algorithm: bytes) -> None:
    envelope = read_envelope(Source.from_bytes(message(algorithm, bytes(16), None)))
    with pytest.raises(UntrustworthyError):
        envelope.check_algorithm(legacy=True)


def typed(dotted: str, *others: bytes) -> bytes:
    """Attributes with a content type in them (RFC 5652, 11.1)."""
    inside = der.set_of([der.object_identifier(dotted), *others])
    return der.set_of([der.sequence(der.object_identifier(oids.CONTENT_TYPE), inside)])


@pytest.mark.parametrize("attributes", [typed(SIGNED_DATA), typed(oids.ID_DATA, der.NULL), typed("1.2")])
def test_a_content_type_that_is_not_the_authenticated_one_is_refused(attributes: bytes) -> None:
    parts = encrypted(ContentEncryption.AES256_GCM.oid, CONTENT, attributes)
    with pytest.raises(UntrustworthyError) as caught:
        read_envelope(Source.from_bytes(message(*parts, attributes=attributes)))
    assert caught.value.reason.code is Code.CONTENT_TYPE_MISMATCH


def test_a_content_type_that_is_authenticated_is_the_envelopes() -> None:
    attributes = typed(SIGNED_DATA)
    octets = message(
        *encrypted(ContentEncryption.AES256_GCM.oid, CONTENT, attributes),
        content_type=SIGNED_DATA,
        attributes=attributes,
    )
    assert read_envelope(Source.from_bytes(octets)).content_type == SIGNED_DATA
    assert opened(octets, KEY).read() == CONTENT


def test_other_attributes_than_were_authenticated_are_noticed() -> None:
    algorithm, octets, mac = encrypted(ContentEncryption.AES256_GCM.oid, CONTENT, typed(oids.ID_DATA))
    with pytest.raises(DecryptionError):
        opened_with(ContentEncryption.AES256_GCM.oid, message(algorithm, octets, mac))


def test_what_follows_an_envelope_is_counted() -> None:
    octets = message(*encrypted(ContentEncryption.AES256_GCM.oid, CONTENT)) + b"more"
    assert read_envelope(Source.from_bytes(octets)).trailing == 4


def test_what_is_no_envelope_is_refused() -> None:
    octets = der.sequence(der.object_identifier(oids.ID_DATA), der.context(0, der.octet_string(CONTENT)))
    with pytest.raises(UntrustworthyError):
        read_envelope(Source.from_bytes(octets))


@pytest.mark.parametrize("version", [160, 58])
def test_more_than_is_read_of_rc2_is_refused_before_it_takes_its_time(version: int) -> None:
    parameters = der.sequence(der.integer(version), der.octet_string(bytes(8)))
    octets = message(der.algorithm(RC2, parameters), bytes(MAX_RC2 + 8), None)
    with pytest.raises(UntrustworthyError) as caught:
        opened(octets, KEY[:16])
    assert caught.value.reason.code is Code.LIMIT_EXCEEDED


@pytest.mark.parametrize("oid", [cipher.oid for cipher in ContentEncryption])
def test_no_plaintext_is_on_the_disk(oid: str, large: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    octets = message(*encrypted(oid, large))
    monkeypatch.setattr(tempfile, "TemporaryFile", None)
    assert b"".join(opened(octets, KEY[: CIPHERS[oid]]).chunks()) == large
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("cipher", ContentEncryption)
def test_a_large_content_takes_little_memory(cipher: ContentEncryption, tmp_path: Path) -> None:
    size = 64 << 20
    path = tmp_path / "message.p7m"
    path.write_bytes(message(*encrypted(cipher.oid, bytes(size))))
    tracemalloc.start()
    try:
        with Source.from_path(path) as source, opened(source, KEY[: CIPHERS[cipher.oid]]) as content:
            read = sum(len(chunk) for chunk in content.chunks(1))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert read == size - 1
    assert peak < 8 << 18


@pytest.fixture(scope="module")
def recipient(issuing_ca: Authority, tmp_path_factory: pytest.TempPathFactory) -> tuple[rsa.RSAPrivateKey, Path]:
    key = rsa.generate_private_key(65537, 2048)
    path = tmp_path_factory.mktemp("recipient") / "certificate.pem"
    certificate = issuing_ca.issue(key.public_key(), Wanted(name="Bob", key_encipherment=True))
    path.write_bytes(certificate.public_bytes(Encoding.PEM))
    return key, path


def opened_for(octets: bytes, key: rsa.RSAPrivateKey) -> bytes:
    envelope = read_envelope(Source.from_bytes(octets))
    unwrapped = ContentKey(content_key(envelope.recipient_infos, key))
    with open_envelope(envelope, unwrapped, legacy=True) as source:
        return source.read()


LARGE_ENOUGH = 1_100_003
AES = [f"aes-{bits}-{mode}" for bits in (128, 192, 256) for mode in ("cbc", "gcm")]


@pytest.mark.interop
@pytest.mark.parametrize("form", [("-stream",), ()], ids=["streamed", "whole"])
@pytest.mark.parametrize(
    ("name", "size"),
    [
        *((name, size) for name in (*AES, "des-ede3-cbc", "rc2-cbc") for size in (0, 1, 16, LARGE_ENOUGH)),
        *((name, size) for name in ("rc2-64-cbc", "rc2-40-cbc") for size in (0, 1, 16, 10_000)),
    ],
)
def test_what_openssl_encrypts_is_opened(
    name: str, size: int, form: tuple[str, ...], recipient: tuple[rsa.RSAPrivateKey, Path]
) -> None:
    key, path = recipient
    content = os.urandom(size)
    providers = ("-provider", "default", "-provider", "legacy")
    if not size and "gcm" in name:
        form = ()  # version 3.0 cannot stream nothing at all
    ways = ("-encrypt", "-binary", *form, "-outform", "DER", f"-{name}")
    command: tuple[str | Path, ...] = ("openssl", "cms", *ways, *providers, "-recip", path)
    done = subprocess.run(command, input=content, capture_output=True, check=True)
    assert opened_for(done.stdout, key) == content


@pytest.mark.interop
@pytest.mark.slow
def test_what_is_too_large_for_memory_and_encrypted_with_rc2_is_opened(
    recipient: tuple[rsa.RSAPrivateKey, Path],
) -> None:
    test_what_openssl_encrypts_is_opened("rc2-40-cbc", LARGE_ENOUGH, ("-stream",), recipient)


@pytest.mark.interop
@pytest.mark.parametrize("name", ["AES", "AES192", "AES256", "3DES"])
@pytest.mark.parametrize("size", [0, 1000, LARGE_ENOUGH])
def test_what_gpgsm_encrypts_is_opened(  # noqa: PLR0913, PLR0917 - all who take part
    name: str,
    size: int,
    recipient: tuple[rsa.RSAPrivateKey, Path],
    root_ca: Authority,
    issuing_ca: Authority,
    tmp_path: Path,
) -> None:
    key, path = recipient
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    (home / "gpgsm.conf").write_text(
        "batch\nno-greeting\ndisable-dirmngr\ndisable-crl-checks\nno-common-certs-import\n"
    )
    (home / "trustlist.txt").write_text(f"{root_ca.certificate.fingerprint(hashes.SHA1()).hex()} S relax\n")  # noqa: S303 - its name
    (tmp_path / "ca.pem").write_bytes(root_ca.pem + issuing_ca.pem)
    environment = os.environ | {"GNUPGHOME": str(home)}
    content = os.urandom(size)

    def gpgsm(*arguments: str | Path) -> bytes:
        command: tuple[str | Path, ...] = ("gpgsm", *arguments)
        return subprocess.run(command, input=content, env=environment, capture_output=True, check=True).stdout

    gpgsm("--import", tmp_path / "ca.pem", path)
    octets = gpgsm("--encrypt", "--cipher-algo", name, "-r", "Bob")
    subprocess.run(["gpgconf", "--kill", "all"], env=environment, capture_output=True, check=False)
    assert opened_for(octets, key) == content


@pytest.mark.parametrize("change", [lambda octets: octets[:-1], lambda octets: octets + b"\0"])
def test_octets_that_a_reader_loses_or_adds_are_noticed(change: Callable[[bytes], bytes]) -> None:
    oid = ContentEncryption.AES256_GCM.oid
    algorithm, octets, mac = encrypted(oid, CONTENT)
    with pytest.raises(DecryptionError):
        opened_with(oid, message(algorithm, change(octets), mac))
