"""Which certificate somebody wants answers to be encrypted to."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smime_agent import der
from smime_agent.cms.key_preference import MAX_SIZE, read_key_preference
from smime_agent.cms.signer_info import SignerIdentifier
from smime_agent.verdict import UntrustworthyError

NAME = der.sequence(der.tlv(der.SET, der.sequence(der.object_identifier("2.5.4.3"), der.utf8_string("CA"))))
ISSUER_AND_SERIAL = NAME + der.integer(7)
NAMED = SignerIdentifier(NAME, 7, None)
KEY = SignerIdentifier(None, None, b"a key")


@pytest.mark.parametrize(
    ("encoded", "named"),
    [
        (der.context(0, ISSUER_AND_SERIAL), NAMED),
        (b"\xa0\x80" + ISSUER_AND_SERIAL + b"\0\0", NAMED),
        (der.sequence(ISSUER_AND_SERIAL), NAMED),
        (der.context(1, der.octet_string(b"a key")), KEY),
        (der.context(1, der.octet_string(b"a key"), der.tlv(0x18, b"20260101000000Z")), KEY),
        (der.context(2, b"a key", constructed=False), KEY),
    ],
    ids=["issuer and serial", "in BER", "as Microsoft has it", "recipient key", "with a date", "subject key"],
)
def test_every_choice_is_read(encoded: bytes, named: SignerIdentifier) -> None:
    assert read_key_preference(encoded) == named


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        der.NULL,
        der.context(3, b"a key", constructed=False),
        der.context(0, NAME),
        der.context(0, der.integer(7), NAME),
        der.context(1),
        der.context(1, der.integer(7)),
        der.context(2, b"a key", constructed=False) * 2,
        der.context(2, bytes(MAX_SIZE), constructed=False),
    ],
)
def test_anything_else_is_refused(encoded: bytes) -> None:
    with pytest.raises(UntrustworthyError):
        read_key_preference(encoded)


@given(st.binary(max_size=40) | st.tuples(st.integers(0, 3), st.binary(max_size=30)).map(lambda a: der.context(*a)))
def test_only_our_own_error_comes_of_garbage(encoded: bytes) -> None:
    with suppress(UntrustworthyError):
        read_key_preference(encoded)
