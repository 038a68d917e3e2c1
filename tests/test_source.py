"""Sources: the same bytes, whatever they come from, each time they are read."""

from __future__ import annotations

import gzip
import io
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smime_agent.errors import FileError
from smime_agent.source import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BIG = bytes(range(256)) * 8192  # 2 MiB


def as_bytes(data: bytes, _: Path) -> Source:
    return Source.from_bytes(data)


def as_file(data: bytes, path: Path) -> Source:
    path.write_bytes(data)
    return Source.from_file(path.open("rb"))


def as_stream(data: bytes, _: Path) -> Source:
    return Source.from_stream(io.BytesIO(data))


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("make", [as_bytes, as_file, as_stream])
@pytest.mark.parametrize("data", [b"", b"x", BIG[: Source.IN_MEMORY], BIG])
def test_reads_the_same_whatever_it_is_made_of(
    make: Callable[[bytes, Path], Source], data: bytes, tmp_path: Path
) -> None:
    with make(data, tmp_path / "mail") as source:
        assert source.size == len(data)
        assert b"".join(source.chunks()) == data
        assert b"".join(source.chunks(5, 300_000)) == data[5:300_000]
        assert source.read(7, 11) == data[7:11]
        assert source.read(len(data), len(data) + 5) == b""


def test_two_iterations_do_not_disturb_each_other(tmp_path: Path) -> None:
    with (tmp_path / "mail").open("w+b") as file:
        file.write(BIG)
        file.seek(0)
        source = Source.from_file(file)
        pairs = list(zip(source.chunks(), source.chunks(), strict=True))
        assert all(one == two for one, two in pairs)
        assert b"".join(one for one, _ in pairs) == BIG
        assert file.tell() == 0


def test_file_begins_at_its_position(tmp_path: Path) -> None:
    (tmp_path / "mail").write_bytes(b"skip" + BIG)
    with (tmp_path / "mail").open("rb") as file:
        file.read(4)
        assert b"".join(Source.from_file(file).chunks()) == BIG


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("make", [as_bytes, as_file, as_stream])
@pytest.mark.parametrize("data", [b"0123456789", BIG])
def test_a_view_is_a_source_of_a_part(make: Callable[[bytes, Path], Source], data: bytes, tmp_path: Path) -> None:
    with make(data, tmp_path / "mail") as source:
        for start, end in ((2, 7), (0, len(data)), (3, len(data) + 5), (5, 5), (7, 3), (len(data) + 9, len(data) + 12)):
            view = source.view(start, end)
            assert view.size == len(data[start:end])
            assert view.read() == b"".join(view.chunks()) == data[start:end]
            assert view.view(1, 3).read() == data[start:end][1:3]
            view.close()
        assert source.read() == data  # a view that is closed closes nothing else


def test_chunks_are_bounded() -> None:
    assert max(map(len, Source.from_bytes(BIG).chunks())) <= Source.CHUNK


@pytest.mark.parametrize("secret", [True, False])
@pytest.mark.parametrize("data", [b"", b"0123456789", BIG])
def test_blocks_of_any_size_are_a_source(data: bytes, *, secret: bool) -> None:
    blocks = [b"", data[:3], data[3:900_000], data[900_000:], b""]
    with Source.from_blocks(iter(blocks), secret=secret) as source:
        assert source.size == len(data)
        assert source.read() == data


@given(bounds=st.tuples(st.integers(0, len(BIG) + 9), st.integers(0, len(BIG) + 9)), secret=st.booleans())
def test_any_part_of_a_spool_is_what_was_written(bounds: tuple[int, int], *, secret: bool) -> None:
    start, end = bounds
    with Source.from_stream(io.BytesIO(BIG), secret=secret) as source:
        assert source.read(start, end) == BIG[start:end]


def test_a_reader_is_asked_for_what_there_is() -> None:
    asked = []

    def read(start: int, end: int) -> bytes:
        asked.append((start, end))
        return BIG[start:end]

    source = Source.from_reader(read, len(BIG)).view(100, len(BIG))
    assert source.read(5, len(BIG) + 5) == BIG[105:]
    assert source.read(10, 10) == b""
    assert asked == [(105, len(BIG))]


def test_a_source_is_closed_once() -> None:
    closed = []
    source = Source.from_reader(lambda _start, _end: b"", 1, lambda: closed.append(True))
    source.view(0, 1).close()
    assert not closed
    source.close()
    source.close()
    assert closed == [True]


@pytest.mark.parametrize("data", [b"small", BIG])
def test_a_source_that_was_closed_is_not_an_empty_one(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "message").write_bytes(data)
    source = Source.from_path(tmp_path / "message")
    source.close()
    with pytest.raises(FileError, match="closed"):
        b"".join(source.chunks())


def test_whoever_reads_on_when_a_source_was_closed_is_not_cut_short(tmp_path: Path) -> None:
    (tmp_path / "message").write_bytes(BIG)
    with Source.from_path(tmp_path / "message") as source:
        begun = source.chunks()
        assert next(begun)
    with pytest.raises(FileError, match="closed"):
        next(begun)


def spools(folder: Path) -> list[Path]:
    """The files without a name in a folder, as this process sees them."""
    found = []
    for path in Path("/proc/self/fd").iterdir():
        try:
            target = path.readlink()
        except FileNotFoundError:  # the one that the folder was listed with
            continue
        if str(target).startswith(str(folder)) and (str(target).endswith("(deleted)") or "#" in target.name):
            found.append(path)
    return found


def test_spool_has_no_name_and_is_private(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Source.from_stream(io.BytesIO(BIG)):
        assert list(tmp_path.iterdir()) == []
        (spool,) = spools(tmp_path)
        assert spool.stat().st_mode & 0o777 == 0o600


def test_nothing_that_is_spooled_is_on_the_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    marker = b"a line that nobody should find"
    with Source.from_stream(io.BytesIO(marker * 100_000)) as source:
        (spool,) = spools(tmp_path)
        octets = spool.read_bytes()
        assert len(octets) == source.size
        assert len(set(octets[:4096])) == 256
        assert marker not in octets


def test_spools_have_keys_of_their_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Source.from_stream(io.BytesIO(BIG)), Source.from_stream(io.BytesIO(BIG)):
        one, other = spools(tmp_path)
        assert one.read_bytes()[:64] != other.read_bytes()[:64]


def test_a_spool_is_let_go_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    Source.from_stream(io.BytesIO(BIG)).close()
    assert spools(tmp_path) == []


def test_a_spool_is_let_go_of_when_the_stream_breaks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def blocks() -> Iterator[bytes]:
        yield BIG
        raise FileError("it broke")

    with pytest.raises(FileError, match="it broke"):
        Source.from_blocks(blocks())
    assert spools(tmp_path) == []


def test_no_place_for_a_spool_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(FileError, match="temporary file"):
        Source.from_stream(io.BytesIO(BIG))


@pytest.mark.parametrize("secret", [True, False])
def test_a_view_of_a_spool_that_was_closed_is_an_error(*, secret: bool) -> None:
    source = Source.from_stream(io.BytesIO(BIG), secret=secret)
    view = source.view(5, 10)
    source.close()
    with pytest.raises(FileError, match="temporary file"):
        view.read()


def test_small_stream_makes_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", None)
    assert Source.from_stream(io.BytesIO(b"small")).read() == b"small"


@pytest.mark.parametrize("change", [lambda f: f.truncate(10), lambda f: (f.seek(0), f.write(b"!"))])
def test_changed_file_is_an_error(change: Callable[[BinaryIO], object], tmp_path: Path) -> None:
    path = tmp_path / "mail"
    path.write_bytes(BIG)
    os.utime(path, ns=(1, 1))
    with path.open("rb") as file:
        source = Source.from_file(file)
        with path.open("r+b") as writer:
            change(writer)
        with pytest.raises(FileError, match="changed"):
            list(source.chunks())


def test_compressed_file_is_read_through_its_reader(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "mail.gz", "wb") as file:
        file.write(BIG)
    with gzip.open(tmp_path / "mail.gz", "rb") as file, Source.from_file(cast("BinaryIO", file)) as source:
        assert b"".join(source.chunks()) == BIG


def test_pipe_is_spooled() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"mail")
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        assert Source.from_file(file).read() == b"mail"


def test_unreadable_stream_says_why() -> None:
    class Broken:
        def read(self, _: int) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(FileError, match="Input/output error"):
        Source.from_stream(Broken())


def test_stream_that_is_not_ready_is_no_end_of_mail() -> None:
    class NotReady:
        def read(self, _: int) -> None:
            return None

    with pytest.raises(FileError, match="not ready"):
        Source.from_stream(NotReady())
