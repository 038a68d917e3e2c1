"""The DER writer, against asn1crypto's reader and writer."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from asn1crypto import algos, cms, core
from hypothesis import example, given
from hypothesis import strategies as st

from smime_agent import der

MOMENTS = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59), timezones=st.just(UTC)).map(  # noqa: DTZ001 - bounds have no zone
    lambda moment: moment.replace(microsecond=0)
)
ARCS = st.lists(st.integers(0, 2**70), max_size=8)
OIDS = st.one_of(
    st.tuples(st.integers(0, 1), st.integers(0, 39), ARCS), st.tuples(st.just(2), st.integers(0, 2**70), ARCS)
).map(lambda parts: ".".join(map(str, (parts[0], parts[1], *parts[2]))))


@given(st.integers(-(2**300), 2**300))
@example(0)
@example(127)
@example(128)
@example(-128)
@example(-129)
@example(2**2047)
def test_an_integer(value: int) -> None:
    assert der.integer(value) == core.Integer(value).dump()
    assert core.Integer.load(der.integer(value), strict=True).native == value


@given(OIDS)
@example("1.2.840.113549.1.7.2")
@example("0.0")
@example("1.39")
@example("2.5.29.17")
@example("2.100.3")
def test_an_object_identifier(dotted: str) -> None:
    assert core.ObjectIdentifier.load(der.object_identifier(dotted), strict=True).dotted == dotted
    assert der.object_identifier(dotted) == core.ObjectIdentifier(dotted).dump()


@pytest.mark.parametrize("length", [0, 1, 126, 127, 128, 129, 255, 256, 257, 65535, 65536, 2**24 - 1, 2**24])
def test_lengths_around_each_step(length: int) -> None:
    assert der.octet_string(bytes(length)) == core.OctetString(bytes(length)).dump()


@given(st.integers(0, 2**70))
@example(0x7F)
@example(0x80)
def test_a_header_for_more_than_fits_in_memory(length: int) -> None:
    octets = der.header(0x04, length)
    assert octets[0] == 0x04
    if length < 128:
        assert octets[1:] == bytes([length])
    else:
        assert octets[1] == 0x80 | len(octets) - 2
        assert octets[2] != 0
        assert int.from_bytes(octets[2:], "big") == length


@given(MOMENTS)
@example(datetime(1949, 12, 31, 23, 59, 59, tzinfo=UTC))
@example(datetime(1950, 1, 1, tzinfo=UTC))
@example(datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC))
@example(datetime(2050, 1, 1, tzinfo=UTC))
@example(datetime(999, 1, 1, tzinfo=UTC))
def test_a_time(moment: datetime) -> None:
    read = cms.Time.load(der.time(moment), strict=True)
    assert read.native == moment
    # RFC 5652, 11.3
    assert read.name == ("utc_time" if 1950 <= moment.year <= 2049 else "generalized_time")
    assert read.chosen.contents.endswith(b"Z")


@given(st.lists(st.binary(max_size=40).map(der.octet_string)))
def test_a_set_of_is_sorted(items: list[bytes]) -> None:
    class Strings(core.SetOf):  # type: ignore[misc]  # asn1crypto has no types
        _child_spec = core.OctetString

    assert der.set_of(items) == Strings([core.OctetString.load(item) for item in items]).dump(force=True)
    assert der.set_of(reversed(items)) == der.set_of(items)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_text(value: str) -> None:
    assert core.UTF8String.load(der.utf8_string(value), strict=True).native == value


@given(st.lists(st.binary(max_size=200)), st.integers(0, 30))
def test_pieces_make_one_value(pieces: list[bytes], tag: int) -> None:
    assert der.tlv(tag, *pieces) == der.tlv(tag, b"".join(pieces))
    assert der.context(tag, *pieces)[0] == 0xA0 | tag
    assert der.context(tag, *pieces, constructed=False)[0] == 0x80 | tag


def test_absent_parameters_are_not_null() -> None:
    read = algos.DigestAlgorithm.load(der.algorithm("2.16.840.1.101.3.4.2.1"), strict=True)
    assert (read["algorithm"].native, read["parameters"].native) == ("sha256", None)
    assert der.algorithm("2.16.840.1.101.3.4.2.1").endswith(b"\x01")
    assert der.algorithm("2.16.840.1.101.3.4.2.1", der.NULL).endswith(b"\x05\x00")


@given(st.lists(st.integers(-(2**64), 2**64)))
def test_a_sequence_keeps_its_order(values: list[int]) -> None:
    read = core.SequenceOf.load(der.sequence(*map(der.integer, values)), spec=core.Integer, strict=True)
    assert read.native == values
