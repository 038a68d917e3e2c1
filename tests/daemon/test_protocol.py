"""The protocol, whatever octets come in whatever pieces: whole messages, or an error of ours."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from hypothesis import example, given
from hypothesis import strategies as st

from smime_agent.daemon.places import KeyPlace, TokenPlace, read_error, read_scheme
from smime_agent.daemon.protocol import Fields, Frames, ProtocolError, frame
from smime_agent.errors import SmimeAgentError

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 4096
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)
MESSAGES = st.lists(st.dictionaries(st.text(), JSON, max_size=5), max_size=5)


def in_pieces(octets: bytes, cuts: list[int]) -> list[bytes]:
    """The octets, cut at these places."""
    places = sorted({0, len(octets), *(cut % (len(octets) + 1) for cut in cuts)})
    return [octets[begin:end] for begin, end in pairwise(places)]


def fed(pieces: list[bytes]) -> tuple[list[dict[str, Any]], str | None]:
    """The messages, and the error after them."""
    frames, found = Frames(LIMIT), []
    try:
        for piece in pieces:
            for message in frames.feed(piece):
                found.append(message)  # noqa: PERF402 - what came before an error counts
    except ProtocolError as error:
        return found, str(error)
    return found, None


@given(MESSAGES, st.lists(st.integers(0, 5000), max_size=20))
def test_what_was_framed_comes_back_however_it_is_cut(messages: list[dict[str, Any]], cuts: list[int]) -> None:
    octets = b"".join(map(frame, messages))
    if max(map(len, map(frame, messages)), default=0) <= LIMIT:
        assert fed(in_pieces(octets, cuts)) == (json.loads(json.dumps(messages)), None)


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=10))
@example(b"[" * LIMIT + b"\n", [])
@example(b'{"a":' * 800 + b"\n", [])
@example(b"1" * LIMIT + b"\n", [])
@example(b'{"a":"\xed\xa0\x80"}\n', [])
@example(b" " * (LIMIT + 1), [17])
def test_any_octets_in_any_pieces_end_alike(octets: bytes, cuts: list[int]) -> None:
    assert fed(in_pieces(octets, cuts)) == fed([octets] if octets else [])


@given(st.integers(0, 10), st.booleans())
def test_a_line_may_be_as_long_as_the_limit_and_no_longer(more: int, ended: bool) -> None:  # noqa: FBT001 - drawn
    line = b'{"a":"' + b"x" * (LIMIT - 8 + more) + b'"}' + (b"\n" if ended else b"")
    error = fed([line])[1]
    assert (error is None) == (more == 0)


READERS: list[Callable[[Fields], object]] = [
    TokenPlace.read,
    KeyPlace.read,
    read_scheme,
    read_error,
    lambda fields: fields.octets("a"),
    lambda fields: fields.octet_strings("a"),
    lambda fields: fields.texts("a"),
    lambda fields: fields.number("a"),
    lambda fields: fields.mapping("a"),
    lambda fields: fields.object("a").finish(),
]
NAMES = ("a", "module", "slot_id", "label", "serial", "manufacturer", "model", "token", "id", "code", "message", "hint")


@given(st.dictionaries(st.sampled_from((*NAMES, "algorithm", "digest", "details", "public_key_info")), JSON) | JSON)
def test_members_of_any_type_raise_nothing_but_our_errors(values: object) -> None:
    for read in READERS:
        with suppress(SmimeAgentError):
            read(Fields(values, "it"))
