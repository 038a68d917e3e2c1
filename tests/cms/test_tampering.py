"""Every bit of a message flipped, and every length it can be cut to: nobody gets another content out of it."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from smime_agent import der
from smime_agent.algorithms import ContentEncryption
from smime_agent.cms.ciphers import CbcDecryptor, DecryptionError
from smime_agent.cms.content_encryption import content_cipher, content_key_lengths
from smime_agent.cms.envelope import open_envelope, read_envelope
from smime_agent.cms.enveloped_data_builder import encrypt
from smime_agent.cms.recipients import read_recipients
from smime_agent.cms.signer_info import AlgorithmIdentifier
from smime_agent.errors import InvalidMessageError
from smime_agent.keys import ContentKey
from smime_agent.source import Source
from tests.spoofs.asn1 import set_of, tlv
from tests.spoofs.cms import attribute, content_type
from tests.spoofs.envelopes import Seal, auth_enveloped, bob_of

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTENT: Final = b"Content-Type: text/plain\r\n\r\nThe plan is to meet at nine.\r\n"
KEY: Final = bytes(range(32))
AUTHENTICATED: Final = (ContentEncryption.AES256_GCM, ContentEncryption.CHACHA20_POLY1305)


def message(cipher: ContentEncryption) -> bytes:
    """An object for Bob, with a key that is known here."""
    key = KEY[: cipher.key_size]
    infos = Seal((bob_of().certificate,), cipher).recipient_infos(key)
    return b"".join(encrypt([CONTENT], len(CONTENT), cipher, key, infos, randomness=os.urandom))


def opened(octets: bytes) -> tuple[bytes, bool]:
    """The content by the key that is known, whatever stands in the RecipientInfo; and whether it is authenticated."""
    envelope = read_envelope(Source.from_bytes(octets))
    read_recipients(envelope.recipient_infos, envelope.algorithm)
    size = {"2.16.840.1.101.3.4.1.2": 16, "2.16.840.1.101.3.4.1.22": 24}.get(envelope.algorithm.oid, 32)
    return open_envelope(envelope, ContentKey(KEY[:size]), legacy=True).read(), envelope.is_authenticated


def flipped(octets: bytes) -> Iterator[bytes]:
    """All messages that differ in one bit."""
    for at in range(len(octets)):
        for bit in range(8):
            yield octets[:at] + bytes((octets[at] ^ 1 << bit,)) + octets[at + 1 :]


def outcomes(messages: Iterator[bytes]) -> set[tuple[bytes, bool]]:
    """What came out of those that were opened; the others are refused with an error of ours."""
    found = set()
    for octets in messages:
        try:
            found.add(opened(octets))
        except InvalidMessageError:
            continue
    return found


@pytest.mark.parametrize("cipher", AUTHENTICATED)
def test_no_flipped_bit_of_an_authenticated_message_gives_another_content(cipher: ContentEncryption) -> None:
    assert outcomes(flipped(message(cipher))) == {(CONTENT, True)}


def test_no_flipped_bit_of_authenticated_attributes_gives_another_content() -> None:
    attributes = set_of(content_type(), attribute("1.2.3.4", tlv(0x0C, b"as it was written")))[2:]
    infos = Seal((bob_of().certificate,)).recipient_infos(KEY)
    octets = auth_enveloped(infos, CONTENT, KEY, attributes=attributes)
    assert outcomes(flipped(octets)) == {(CONTENT, True)}


def test_no_flipped_bit_of_attributes_goes_unnoticed() -> None:
    attributes = set_of(content_type(), attribute("1.2.3.4", tlv(0x0C, b"as it was written")))[2:]
    octets = auth_enveloped([b"\x30\x00"], CONTENT, KEY, attributes=attributes)
    start = octets.index(attributes)
    changed = (octets[:start] + one + octets[start + len(attributes) :] for one in flipped(attributes))
    assert not outcomes(changed)


@pytest.mark.parametrize("cipher", AUTHENTICATED)
def test_no_flipped_bit_of_the_content_nonce_or_tag_goes_unnoticed(cipher: ContentEncryption) -> None:
    octets = message(cipher)
    envelope = read_envelope(Source.from_bytes(octets))
    assert envelope.content is not None
    assert envelope.mac is not None
    for part in (b"".join(envelope.content.chunks()), envelope.algorithm.parameters or b"", envelope.mac):
        start = octets.index(part)
        assert not outcomes(octets[:start] + one + octets[start + len(part) :] for one in flipped(part))


def test_a_flipped_bit_of_cbc_is_refused_or_called_not_authenticated() -> None:
    found = outcomes(flipped(message(ContentEncryption.AES256_CBC)))
    assert {is_authenticated for _, is_authenticated in found} == {False}


@pytest.mark.parametrize("cipher", [*AUTHENTICATED, ContentEncryption.AES128_CBC])
def test_a_message_that_was_cut_off_is_refused_at_every_length(cipher: ContentEncryption) -> None:
    octets = message(cipher)
    assert not outcomes(octets[:size] for size in range(len(octets)))


@pytest.mark.parametrize("cipher", AUTHENTICATED)
def test_a_tag_that_was_cut_off_is_refused(cipher: ContentEncryption) -> None:
    """With the lengths around it put right: a short tag is quickly guessed."""
    octets = message(cipher)
    envelope = read_envelope(Source.from_bytes(octets))
    assert envelope.mac is not None
    for size in range(16):
        mac = envelope.mac[:size]
        shorter = replace(envelope, mac=mac)
        with pytest.raises(DecryptionError):
            open_envelope(shorter, ContentKey(KEY), legacy=False)


@pytest.mark.parametrize("version", [58, 120, 160])
def test_a_key_of_rc2_is_not_told_by_the_time_that_it_takes(version: int) -> None:
    """Of the lengths that an algorithm takes none is decrypted by a quicker way than the others: that was an oracle."""
    parameters = der.sequence(der.integer(version), der.octet_string(bytes(8)))
    algorithm = AlgorithmIdentifier("1.2.840.113549.3.2", parameters)
    kinds = set()
    for size in content_key_lengths(algorithm):
        decryptor = content_cipher(algorithm, bytes(size), legacy=True).decryptor()
        assert isinstance(decryptor, CbcDecryptor)
        kinds.add(type(decryptor._context))
    assert len(kinds) == 1
