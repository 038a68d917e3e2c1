"""The textual encoding (RFC 7468)."""

from __future__ import annotations

import base64
import textwrap

import pytest
from asn1crypto import pem
from hypothesis import given
from hypothesis import strategies as st

from smime_agent.pem import armor


def reference(data: bytes, label: str) -> bytes:
    """RFC 7468, 2: 64 characters a line."""
    lines = textwrap.wrap(base64.b64encode(data).decode(), 64)
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()


@given(st.lists(st.binary(max_size=200)))
def test_pieces_of_any_size_make_the_same_text(pieces: list[bytes]) -> None:
    assert b"".join(armor(iter(pieces), "CMS")) == reference(b"".join(pieces), "CMS")


@pytest.mark.parametrize("size", [1, 47, 48, 49, 95, 96, 97, 1000])
def test_a_reader_gets_the_octets_back(size: int) -> None:
    data = bytes(range(256)) * 4
    assert pem.unarmor(b"".join(armor([data[:size]], "X"))) == ("X", {}, data[:size])


def test_what_comes_in_pieces_goes_out_in_pieces() -> None:
    pieces = list(armor([b"x" * 4800] * 10, "CMS"))
    assert len(pieces) == 12
    assert max(map(len, pieces)) == 6500
