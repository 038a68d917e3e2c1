"""The codec of pinentry's protocol: what is sent, what is understood, and what is left of it."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smime_agent.daemon.assuan import LONGEST_DATA, LONGEST_LINE, AssuanError, Kind, Receiver, Response, command

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


def received(*chunks: bytes) -> tuple[list[Response], bytes, Receiver]:
    """All responses, the data that came with them, and what took them."""
    receiver = Receiver()
    responses = []
    for chunk in chunks:
        left = chunk
        while left:
            space = receiver.space()
            count = min(len(space), len(left))
            space[:count] = left[:count]
            left = left[count:]
            receiver.added(count)
            while response := receiver.response():
                responses.append(response)
    return responses, bytes(receiver.data()), receiver


@given(TEXTS)
def test_an_argument_comes_through_a_line_unchanged(text: str) -> None:
    line = command("SETDESC", text[:100])
    assert unquote_to_bytes(line.removeprefix(b"SETDESC").removeprefix(b" ").removesuffix(b"\n")) == text[:100].encode()


@given(st.text())
def test_a_command_is_one_line_of_a_length_that_all_read(text: str) -> None:
    line = command("SETDESC", text * 50)
    assert line.find(b"\n") == len(line) - 1
    assert len(line) <= LONGEST_LINE + 1


def test_a_text_that_is_too_long_says_that_it_was_cut() -> None:
    assert command("SETDESC", "%" * 2000).endswith(b"%25...\n")


def test_a_backslash_at_the_end_does_not_continue_the_line() -> None:
    assert command("SETDESC", "C:\\") == b"SETDESC C:%5C\n"


@given(st.binary(max_size=LONGEST_DATA), st.data())
def test_data_arrives_however_it_is_cut_into_lines_and_reads(secret: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(secret)))
    lines = b"".join(
        b"D " + b"".join(b"%%%02x" % octet for octet in part) + b"\n" for part in (secret[:cut], secret[cut:])
    )
    stream = lines + b"OK\n"
    at = data.draw(st.integers(0, len(stream)))
    assert received(stream[:at], stream[at:])[:2] == ([Response(Kind.OK)], secret)


@given(st.lists(st.binary(max_size=1200), max_size=6))
def test_garbage_is_refused_or_read_and_nothing_else_is_raised(chunks: list[bytes]) -> None:
    try:
        received(*chunks)
    except AssuanError:
        return


@given(
    st.lists(
        st.sampled_from([b"D ", b"OK", b"ERR ", b"12", b"%", b"41", b" ", b"\n", b"S X", b"#", b"INQUIRE", b"\r"]),
        max_size=60,
    )
)
def test_what_looks_like_answers_is_refused_or_read(pieces: list[bytes]) -> None:
    try:
        received(b"".join(pieces))
    except AssuanError:
        return


def test_comments_and_status_lines_are_passed_over() -> None:
    assert received(b"# hello\nS PIN_REPEATED\nS ERROR curses.isatty 83918950 \nOK done\n")[0] == [
        Response(Kind.OK, 0, "done")
    ]


def test_an_error_has_its_number_and_its_text() -> None:
    assert received(b"ERR 83886179 cancelled\n")[0] == [Response(Kind.ERROR, 83886179, "cancelled")]


@pytest.mark.parametrize("line", [b"ERR", b"ERR x y", b"ERR " + b"9" * 11, b"ERR \xd9\xa1", "ERR ²".encode()])
def test_an_error_without_a_number_is_refused(line: bytes) -> None:
    with pytest.raises(AssuanError, match="no number"):
        received(line + b"\n")


@pytest.mark.parametrize("line", [b"D %4", b"D %", b"D %g1", b"D %1:", b"D %@0"])
def test_a_broken_escape_is_refused(line: bytes) -> None:
    with pytest.raises(AssuanError, match="data"):
        received(line + b"\n")


@pytest.mark.parametrize("line", [b"", b"OKAY", b"ok", b"DD 1", b"ERROR 1 x", b"\0", b"SETPIN 1"])
def test_what_is_no_answer_is_refused(line: bytes) -> None:
    with pytest.raises(AssuanError, match="no answer"):
        received(line + b"\n")


def test_a_line_may_be_as_long_as_the_protocol_says() -> None:
    assert received(b"# " + b"x" * (LONGEST_LINE - 2) + b"\nOK\n")[0] == [Response(Kind.OK)]


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_longer_line_is_refused_before_more_of_it_is_read(end: bytes) -> None:
    with pytest.raises(AssuanError):
        received(b"# " + b"x" * (LONGEST_LINE - 1) + end, b"OK\n")


def test_more_data_than_a_pin_has_is_refused() -> None:
    with pytest.raises(AssuanError, match="longer than 256 octets"):
        received(b"D " + b"1" * (LONGEST_DATA + 1) + b"\n")


def test_lines_without_an_end_to_them_are_refused() -> None:
    with pytest.raises(AssuanError, match="more than an answer"):
        received(*[b"# again\n"] * 1000)


@given(st.binary(min_size=4, max_size=8).filter(lambda secret: not set(secret) & set(b"%\n\r\0 D")), st.integers(1, 9))
def test_data_that_was_taken_stands_in_no_buffer(secret: bytes, size: int) -> None:
    stream = b"D " + secret + b"\nOK\nOK\n"
    _, data, receiver = received(*[stream[at : at + size] for at in range(0, len(stream), size)])
    assert data == secret
    assert not any(receiver._octets)
    assert not any(receiver._data)


def test_what_was_wiped_is_gone_also_where_it_was_not_whole() -> None:
    receiver = received(b"D 123456\nD 1234")[2]
    receiver.wipe()
    assert not any(receiver._octets)
    assert not any(receiver._data)
    assert receiver.response() is None


def test_it_does_not_print() -> None:
    assert "1234" not in repr(received(b"D 1234\n")[2])
