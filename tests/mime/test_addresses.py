"""Addresses of From fields: the addr-spec and nothing that only looks like one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smime_agent.errors import InvalidMessageError
from smime_agent.mime.addresses import addr_specs
from smime_agent.mime.message import split
from smime_agent.source import Source


@pytest.mark.parametrize(
    ("value", "addresses"),
    [
        (b"ann@example.com", ["ann@example.com"]),
        (b"Ann Lee <ann@example.com>", ["ann@example.com"]),
        (b'"Lee, Ann" <ann@example.com>, Bob <bob@example.com>', ["ann@example.com", "bob@example.com"]),
        (b"=?utf-8?q?M=C3=BCller=2C_=3Cx=40y=3E?= <m@example.com>", ["m@example.com"]),
        (b"M\xc3\xbcller <m\xc3\xbc@ex\xc3\xa4mple.com>", ["m\u00fc@ex\u00e4mple.com"]),
        (b"ann (her comment, with a@b (nested)) @ example . com", ["ann@example.com"]),
        (b"Friends: ann@example.com, Bob <bob@example.com>;, c@d", ["ann@example.com", "bob@example.com", "c@d"]),
        (b"undisclosed recipients:;", []),
        (b'"ann lee"@example.com', ['"ann lee"@example.com']),
        (b'"ann"@example.com', ["ann@example.com"]),
        (b'"a\\"b"@example.com', ['"a\\"b"@example.com']),
        (b'"evil@bank.com" <ann@example.com>', ["ann@example.com"]),
        (b"evil@bank.com <ann@example.com>", ["ann@example.com"]),
        (b"<@relay.com,@other.com:ann@example.com>", ["ann@example.com"]),
        (b"ann@[192.0.2.1]", ["ann@[192.0.2.1]"]),
        (b"Ann J. Lee <ann.j.lee@example.com>", ["ann.j.lee@example.com"]),
        (b"Ann Lee ann@example.com", []),
        (b"ann@bob@example.com", []),
        (b"ann..lee@example.com", []),
        (b".ann@example.com", []),
        (b"<ann@example.com", []),
        (b"ann@", []),
        (b"@example.com", []),
        (b"", []),
        (b"ann", []),
    ],
)
def test_addr_specs(value: bytes, addresses: list[str]) -> None:
    assert addr_specs(value) == addresses


def test_every_address_of_the_from_field_counts() -> None:
    mail = b"Fromage: x@y\nSender: s@t\nfrom : c@d,\n e@f\n\nx"
    assert split(Source.from_bytes(mail)).from_addresses() == ["c@d", "e@f"]


@pytest.mark.parametrize("name", [b"From", b"Sender", b"Content-Type", b"Content-Transfer-Encoding"])
def test_a_field_that_readers_would_choose_from_stands_once(name: bytes) -> None:
    mail = b"From: a@b\nSubject: x\n" + name + b": one\nX-Other: y\n" + name.upper() + b" : two\n\nx"
    with pytest.raises(InvalidMessageError, match="more than one"):
        split(Source.from_bytes(mail))


@given(st.binary(max_size=60) | st.text('ab@<>,;:.()"\\[] \t\u00e9', max_size=40).map(str.encode))
def test_garbage_is_no_error(value: bytes) -> None:
    for address in addr_specs(value):
        assert address.count("@") >= 1
