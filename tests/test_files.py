"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import resource
import signal
import stat
from typing import TYPE_CHECKING

import pytest

from smime_agent.errors import FileError
from smime_agent.files import write_all, write_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def small_disk() -> Iterator[None]:
    """No file grows beyond 64 KiB: like a full disk, but for this process alone."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, handler)


def test_the_pieces_are_the_file(tmp_path: Path) -> None:
    write_file(tmp_path / "out", [b"a", b"", b"bc"])
    assert (tmp_path / "out").read_bytes() == b"abc"


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 1_000_000])
def test_nothing_is_lost_on_the_way(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    write_file(tmp_path / "out", (data[at : at + 1000] for at in range(0, size, 1000)))
    assert (tmp_path / "out").read_bytes() == data


def test_an_old_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"old and longer")
    write_file(tmp_path / "out", [b"new"])
    assert (tmp_path / "out").read_bytes() == b"new"


def failing() -> Iterator[bytes]:
    yield b"x" * 100_000
    raise RuntimeError


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        write_file(tmp_path / "out", failing())
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"old")
    with pytest.raises(RuntimeError):
        write_file(tmp_path / "out", failing())
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


@pytest.mark.usefixtures("small_disk")
def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"old")
    with pytest.raises(FileError) as caught:
        write_file(tmp_path / "out", [b"x" * 100_000])
    assert str(caught.value) == f"cannot write {tmp_path / 'out'}: File too large"
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_a_new_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    umask = os.umask(0o027)
    try:
        write_file(tmp_path / "out", [b"x"])
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o640


def test_a_name_as_long_as_a_name_may_be(tmp_path: Path) -> None:
    write_file(tmp_path / ("n" * 255), [b"x"])
    assert [path.name for path in tmp_path.iterdir()] == ["n" * 255]


def test_a_name_as_long_as_a_name_may_be_in_octets(tmp_path: Path) -> None:
    write_file(tmp_path / ("\u20ac" * 85), [b"x"])
    assert [path.name for path in tmp_path.iterdir()] == ["\u20ac" * 85]


def test_a_device_is_written_through(tmp_path: Path) -> None:
    write_file(tmp_path.__class__("/dev/null"), [b"x"])
    with pytest.raises(FileError, match="cannot write /dev/full: No space left on device"):
        write_file(tmp_path.__class__("/dev/full"), [b"x"])
    assert (tmp_path.__class__("/dev/full")).is_char_device()


@pytest.mark.parametrize("name", ["", "missing/out", "file/out"])
def test_where_nothing_can_be_written_a_file_error_says_so(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="cannot write"):
        write_file(tmp_path / name, [b"x"])
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_all_is_written_to_a_descriptor_that_takes_little_at_a_time() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, True)
    child = os.fork()
    if child == 0:
        os.close(reading)
        write_all(writing, [b"x" * 100_000, b"y" * 200_000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == b"x" * 100_000 + b"y" * 200_000
    os.waitpid(child, 0)


def test_a_reader_who_left_is_an_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with pytest.raises(BrokenPipeError):
        write_all(writing, [b"x"])
    os.close(writing)
