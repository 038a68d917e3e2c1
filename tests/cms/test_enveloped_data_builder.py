"""EnvelopedData and AuthEnvelopedData as we write them, opened by strangers."""

from __future__ import annotations

import os
import subprocess
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12
from hypothesis import given
from hypothesis import strategies as st

from smime_agent import der
from smime_agent.algorithms import ContentEncryption
from smime_agent.cms import to_der
from smime_agent.cms.content_encryption import DecryptionError
from smime_agent.cms.enveloped_data import AuthEnvelopedData, EnvelopedData
from smime_agent.cms.enveloped_data_builder import encrypt, recipient_info
from smime_agent.errors import FileError, PolicyError, SmimeAgentError, UsageError
from smime_agent.source import Source
from smime_agent.x509 import Certificate
from tests.cms.opening import PrivateKey, opened
from tests.support.ca import Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.support.ca import Authority

CONTENT = b"Content-Type: text/plain\r\n\r\nHello, Bob.\r\n"
KINDS = ("rsa", "oaep", "p256", "p384", "p521", "x25519")
KEY_TRANSPORT = der.sequence(der.integer(0))
CBC, GCM = ContentEncryption.AES256_CBC, ContentEncryption.AES256_GCM


def private_key(kind: str) -> PrivateKey:
    curves: dict[str, ec.EllipticCurve] = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}
    if kind in curves:
        return ec.generate_private_key(curves[kind])
    return x25519.X25519PrivateKey.generate() if kind == "x25519" else rsa.generate_private_key(65537, 2048)


class Recipient:
    """A key, its certificate, and a PEM file of both."""

    def __init__(self, kind: str, authority: Authority, folder: Path) -> None:
        self.kind, self.key = kind, private_key(kind)
        rsa_key = isinstance(self.key, rsa.RSAPrivateKey)
        wanted = Wanted(
            addresses=(f"{kind}@example.org",), name=kind, key_encipherment=rsa_key, key_agreement=not rsa_key
        )
        self.issued = authority.issue(self.key.public_key(), wanted)
        self.certificate = Certificate(self.issued.public_bytes(Encoding.DER))
        self.path = folder / f"{kind}.pem"
        private = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.path.write_bytes(self.certificate.pem + private)

    def info(self, content_key: bytes, cipher: ContentEncryption) -> bytes:
        oaep = self.kind == "oaep"
        return recipient_info(self.certificate, content_key, cipher, oaep=oaep, randomness=os.urandom)

    def opened_by_openssl(self, octets: bytes) -> bytes:
        command = ("openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-inkey", self.path, "-recip", self.path)
        return subprocess.run(command, input=octets, capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def recipients(issuing_ca: Authority, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Recipient]:
    folder = tmp_path_factory.mktemp("recipients")
    return {kind: Recipient(kind, issuing_ca, folder) for kind in KINDS}


def encrypted(recipients: Sequence[Recipient], cipher: ContentEncryption, content: bytes = CONTENT) -> bytes:
    key = os.urandom(cipher.key_size)
    infos = [recipient.info(key, cipher) for recipient in recipients]
    return b"".join(encrypt([content], len(content), cipher, key, infos, randomness=os.urandom))


def bare(cipher: ContentEncryption, infos: Sequence[bytes], content: bytes = CONTENT) -> bytes:
    key = bytes(cipher.key_size)
    return b"".join(encrypt([content], len(content), cipher, key, infos, randomness=os.urandom))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cipher", ContentEncryption)
def test_every_recipient_opens_every_cipher(
    kind: str, cipher: ContentEncryption, recipients: dict[str, Recipient]
) -> None:
    assert opened(encrypted([recipients[kind]], cipher), recipients[kind].key) == CONTENT


@pytest.mark.interop
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "x25519"])  # which it knows from version 3.3 on
@pytest.mark.parametrize("cipher", [cipher for cipher in ContentEncryption if cipher.value.startswith("aes")])
def test_openssl_opens_it(kind: str, cipher: ContentEncryption, recipients: dict[str, Recipient]) -> None:
    recipient = recipients[kind]
    assert recipient.opened_by_openssl(encrypted([recipient], cipher)) == CONTENT


@pytest.mark.interop
@pytest.mark.parametrize("cipher", [CBC, GCM])
@pytest.mark.parametrize("kind", ["rsa", "p384"])
def test_openssl_finds_its_recipient_among_others(
    kind: str, cipher: ContentEncryption, recipients: dict[str, Recipient]
) -> None:
    assert recipients[kind].opened_by_openssl(encrypted(list(recipients.values()), cipher)) == CONTENT


@pytest.mark.interop
@pytest.mark.parametrize("cipher", [cipher for cipher in ContentEncryption if not cipher.is_authenticated])
def test_gpgsm_opens_what_is_for_an_rsa_key(
    cipher: ContentEncryption, recipients: dict[str, Recipient], issuing_ca: Authority, tmp_path: Path
) -> None:
    # Version 2.2.40 opens nothing that is for a key on a curve, by OpenSSL neither, and no OAEP and no GCM.
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    (home / "gpgsm.conf").write_text(
        "batch\nno-greeting\ndisable-dirmngr\ndisable-crl-checks\nno-common-certs-import\n"
    )
    path = tmp_path / "message.p7m"
    path.write_bytes(encrypted([recipients["rsa"]], cipher))
    (tmp_path / "ca.pem").write_bytes(issuing_ca.pem)
    environment = os.environ | {"GNUPGHOME": str(home)}
    loopback = ("--pinentry-mode", "loopback", "--passphrase-fd", "0")
    subprocess.run(["gpgsm", "--import", tmp_path / "ca.pem"], env=environment, capture_output=True, check=True)
    command: tuple[str | Path, ...] = ("gpgsm", *loopback, "--import", tmp_path / "key.p12")
    for _ in range(5):  # its reader of PKCS #12 cannot do with one salt in fifty
        (tmp_path / "key.p12").write_bytes(old_pkcs12(recipients["rsa"]))
        done = subprocess.run(command, input=b"secret\n", env=environment, capture_output=True, check=False)
        if done.returncode == 0:
            break
    command = ("gpgsm", *loopback, "--decrypt", path)
    done = subprocess.run(command, input=b"secret\n", env=environment, capture_output=True, check=True)
    subprocess.run(["gpgconf", "--kill", "all"], env=environment, capture_output=True, check=False)
    assert done.stdout == CONTENT


@pytest.mark.interop
@pytest.mark.parametrize("cipher", [cipher for cipher in ContentEncryption if not cipher.is_authenticated])
def test_nss_opens_what_is_for_an_rsa_key(
    cipher: ContentEncryption, recipients: dict[str, Recipient], tmp_path: Path
) -> None:
    # Version 3.87 opens nothing that is for a key on a curve, by OpenSSL neither, and no OAEP and no GCM.
    database = f"sql:{tmp_path}"
    (tmp_path / "key.p12").write_bytes(old_pkcs12(recipients["rsa"]))
    path = tmp_path / "message.p7m"
    path.write_bytes(encrypted([recipients["rsa"]], cipher))
    subprocess.run(["certutil", "-N", "-d", database, "--empty-password"], capture_output=True, check=True)
    command: list[str | Path] = ["pk12util", "-i", tmp_path / "key.p12", "-d", database, "-W", "secret", "-K", ""]
    subprocess.run(command, capture_output=True, check=True)
    done = subprocess.run(["cmsutil", "-D", "-d", database, "-i", path], capture_output=True, check=True)
    assert done.stdout == CONTENT


def old_pkcs12(recipient: Recipient) -> bytes:
    builder = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(2000).hmac_hash(hashes.SHA1())  # noqa: S303 - the oldest reads no other
    encryption = builder.key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC).build(b"secret")
    assert isinstance(recipient.key, rsa.RSAPrivateKey)
    return pkcs12.serialize_key_and_certificates(b"key", recipient.key, recipient.issued, None, encryption)


@pytest.mark.parametrize("cipher", ContentEncryption)
@pytest.mark.parametrize("length", [0, 1, 15, 16, 127, 128, 255, 256, 65_535, 65_536])
def test_it_is_der_whatever_its_length(cipher: ContentEncryption, length: int) -> None:
    octets = bare(cipher, [KEY_TRANSPORT], bytes(length))
    assert to_der(octets) == octets


@pytest.mark.parametrize(
    ("infos", "version"),
    [
        ([KEY_TRANSPORT], 0),
        ([der.sequence(der.integer(0), bytes(200))], 0),
        ([KEY_TRANSPORT, der.sequence(der.integer(2))], 2),
        ([KEY_TRANSPORT, der.context(1, der.integer(3))], 2),
        ([der.context(2, der.integer(4))], 2),
        ([KEY_TRANSPORT, der.context(3, der.integer(0))], 3),
        ([der.context(1, der.integer(3)), der.context(4, der.integer(0))], 3),
    ],
)
def test_the_version_follows_from_the_recipients(infos: list[bytes], version: int) -> None:  # RFC 5652, 6.1
    assert EnvelopedData.read(Source.from_bytes(bare(CBC, infos))).version == version


def test_an_authenticated_one_has_version_0_whoever_it_is_for() -> None:  # RFC 5083, 2.1
    octets = bare(GCM, [KEY_TRANSPORT, der.context(1, der.integer(3))])
    assert AuthEnvelopedData.read(Source.from_bytes(octets)).version == 0


@pytest.mark.slow
def test_ten_thousand_recipients_are_many_but_fit() -> None:
    infos = [der.sequence(der.integer(0), der.integer(number)) for number in range(10_000)]
    found = EnvelopedData.read(Source.from_bytes(bare(CBC, infos)))
    assert set(found.recipient_infos) == set(infos)


@pytest.mark.parametrize("infos", [[], [KEY_TRANSPORT] * 10_001])
def test_nobody_and_everybody_are_no_recipients(infos: list[bytes]) -> None:
    with pytest.raises(UsageError):
        encrypt([], 0, CBC, bytes(32), infos, randomness=os.urandom)


def test_a_key_of_another_cipher_is_refused() -> None:  # AES would take it, and nobody could decrypt
    with pytest.raises(UsageError, match="32"):
        encrypt([], 0, CBC, bytes(16), [KEY_TRANSPORT], randomness=os.urandom)


def test_a_content_that_is_too_long_is_refused_before_it_is_read() -> None:
    with pytest.raises(PolicyError):
        encrypt([], 1 << 37, GCM, bytes(32), [KEY_TRANSPORT], randomness=os.urandom)


@pytest.mark.parametrize("cipher", ContentEncryption)
@pytest.mark.parametrize("length", [len(CONTENT) - 1, len(CONTENT) + 1])
def test_a_content_of_another_length_than_was_said_is_no_message(cipher: ContentEncryption, length: int) -> None:
    key = bytes(cipher.key_size)
    with pytest.raises(FileError):
        list(encrypt([CONTENT], length, cipher, key, [KEY_TRANSPORT], randomness=os.urandom))


@given(
    chunks=st.lists(st.binary(max_size=100) | st.integers(0, 600_000).map(bytes), max_size=8),
    cipher=st.sampled_from(ContentEncryption),
)
def test_the_pieces_of_the_content_do_not_show(chunks: list[bytes], cipher: ContentEncryption) -> None:
    def fixed(size: int) -> bytes:
        return bytes(size)

    content, key = b"".join(chunks), bytes(cipher.key_size)
    pieces = list(encrypt(chunks, len(content), cipher, key, [KEY_TRANSPORT], randomness=fixed))
    whole = b"".join(encrypt([content], len(content), cipher, key, [KEY_TRANSPORT], randomness=fixed))
    assert b"".join(pieces) == whole
    assert max(map(len, pieces)) <= 300_000


@pytest.mark.slow
@pytest.mark.parametrize("cipher", [CBC, GCM, ContentEncryption.CHACHA20_POLY1305])
def test_a_large_content_takes_little_memory(cipher: ContentEncryption) -> None:
    count, block = 256, bytes(1 << 18)

    def content() -> Iterator[bytes]:
        for _ in range(count):
            yield block

    key = bytes(cipher.key_size)
    tracemalloc.start()
    try:
        pieces = encrypt(content(), count * len(block), cipher, key, [KEY_TRANSPORT], randomness=os.urandom)
        written = sum(len(piece) for piece in pieces)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert written > count * len(block)
    assert peak < 8 << 18


def test_no_octet_of_a_small_message_can_be_changed_unnoticed(recipients: dict[str, Recipient]) -> None:
    octets, key = encrypted([recipients["p256"]], GCM), recipients["p256"].key
    content = AuthEnvelopedData.read(Source.from_bytes(octets)).encrypted_content_info.content
    assert content is not None
    for place in range(len(octets)):
        changed = bytearray(octets)
        changed[place] ^= 0x55
        try:
            found = opened(bytes(changed), key)
        except (SmimeAgentError, AssertionError):  # an assertion of `opened`: no recipient, or no content
            continue
        # Who the recipient is and what the content is said to be are not authenticated, nor are names of algorithms.
        assert found == CONTENT, place


@pytest.mark.parametrize("cipher", [cipher for cipher in ContentEncryption if cipher.is_authenticated])
def test_another_tag_is_noticed(cipher: ContentEncryption, recipients: dict[str, Recipient]) -> None:
    octets = bytearray(encrypted([recipients["x25519"]], cipher))
    octets[-1] ^= 1
    with pytest.raises(DecryptionError):
        opened(bytes(octets), recipients["x25519"].key)


def test_to_a_key_that_only_signs_nothing_is_encrypted(issuing_ca: Authority) -> None:
    issued = issuing_ca.issue(ed25519.Ed25519PrivateKey.generate().public_key())
    certificate = Certificate(issued.public_bytes(Encoding.DER))
    with pytest.raises(UsageError, match="Ed25519"):
        recipient_info(certificate, bytes(32), GCM, oaep=False, randomness=os.urandom)
