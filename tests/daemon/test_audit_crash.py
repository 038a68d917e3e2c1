"""The audit log on a full disk, and after the end of the process at any moment."""

from __future__ import annotations

import errno
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from smime_agent.daemon import audit_reading
from smime_agent.daemon.audit import read_log, verify_log
from smime_agent.errors import AuditError
from tests.support.audit_logs import USE, octets_of, opened, write_uses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True, scope="module")
def _nobody_writes_meanwhile() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audit_reading, "_PAUSE_SECONDS", 0)
        yield


# What a process does that writes until there is no more room: it tells each number that was written, or the error.
FILL = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from smime_agent.daemon.audit import AuditLog
from smime_agent.errors import AuditError
log = AuditLog.open(Path(sys.argv[1]), now=lambda: datetime.now(UTC))
try:
    while True:
        print(log.append("use", program="x" * 700).sequence_number)
except AuditError as error:
    print(error)
try:
    log.append("use", program="x" * 700)
except AuditError as error:
    print(error)
"""
LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, resource.RLIM_INFINITY))\n"
RAISED = """
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(log.append("agent-stopped").sequence_number)
"""
FREED = """
(Path(sys.argv[1]).parent / "ballast").unlink()
print(log.append("agent-stopped").sequence_number)
"""
APPEND = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from smime_agent.daemon.audit import AuditLog
with AuditLog.open(Path(sys.argv[1]), now=lambda: datetime.now(UTC), max_size=20_000) as log:
    print(flush=True)
    while True:
        entry = log.append("use", program="x" * 100)
        log.append("outcome", of=entry.sequence_number)
        print(entry.sequence_number, flush=True)
"""


def can_mount() -> bool:
    """Whether this account may mount a file system of its own."""
    return shutil.which("unshare") is not None and (
        subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0
    )


def judge_full(output: str, folder: Path, reason: str) -> None:
    *written, first, second, last = output.splitlines()
    assert written == [str(number) for number in range(1, len(written) + 1)]
    assert len(written) > 10
    assert first == second == f"cannot write the audit log: {reason}"
    assert int(last) == len(written) + 1
    report = verify_log(folder)
    assert (report.entries, report.recovered) == (len(written) + 1, 0)


def test_what_a_file_may_not_take_any_more_leaves_nothing_and_later_lines_follow(tmp_path: Path) -> None:
    program = [sys.executable, "-c", LIMITED + FILL + RAISED, str(tmp_path / "log")]
    done = subprocess.run(program, capture_output=True, check=True, text=True)
    judge_full(done.stdout, tmp_path / "log", "File too large")


if can_mount():  # where it may not, the limit above is a full disk too

    def test_a_line_that_a_full_disk_does_not_take_leaves_nothing_and_later_lines_follow(tmp_path: Path) -> None:
        script = (
            "mount -t tmpfs -o size=128k tmpfs $1 && head -c 40000 /dev/zero > $1/ballast && "
            '$2 -c "$3" $1/log && cp -r $1/log $4'
        )
        (tmp_path / "disk").mkdir()
        arguments = [tmp_path / "disk", sys.executable, FILL + FREED, tmp_path / "copy"]
        program = ["unshare", "--mount", "sh", "-c", script, "sh", *map(str, arguments)]
        done = subprocess.run(program, capture_output=True, check=True, text=True)
        judge_full(done.stdout, tmp_path / "copy", "No space left on device")


def failing(calls: int, error: OSError | None, *, room: int = 0) -> Callable[[int, bytes], int]:
    """``os.write`` that fails after a number of calls; before it does it takes ``room`` octets."""
    write = os.write

    def fail(descriptor: int, octets: bytes) -> int:
        nonlocal calls
        calls -= 1
        if calls >= 0:
            return write(descriptor, octets)
        if calls == -1 and room:
            return write(descriptor, octets[:room])
        raise error or KeyboardInterrupt

    return fail


@pytest.mark.parametrize("room", [0, 1, 100])
def test_a_disk_that_fails_leaves_nothing_of_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    with opened(tmp_path / "log") as log:
        log.append("agent-started")
        before = octets_of(tmp_path / "log")
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", failing(0, OSError(errno.EIO, os.strerror(errno.EIO)), room=room))
            with pytest.raises(AuditError, match="Input/output error"):
                log.append("use", **USE)
        assert octets_of(tmp_path / "log") == before
        assert log.append("use", **USE).sequence_number == 2
    assert verify_log(tmp_path / "log").entries == 2


def test_what_interrupts_a_line_leaves_nothing_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path / "log") as log:
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", failing(0, None, room=100))
            with pytest.raises(KeyboardInterrupt):
                log.append("use", **USE)
        assert octets_of(tmp_path / "log") == b""


def test_what_cannot_be_cut_off_is_cut_off_before_the_next_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with opened(tmp_path / "log") as log:
        log.append("agent-started")
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", failing(0, OSError(errno.EIO, "failed"), room=100))
            patch.setattr(os, "ftruncate", refuse)
            with pytest.raises(AuditError):
                log.append("use", **USE)
            patch.setattr(os, "write", failing(100, None))
            with pytest.raises(AuditError, match="cannot mend the audit log"):
                log.append("use", **USE)
        log.append("use", **USE)
    report = verify_log(tmp_path / "log")
    assert (report.entries, report.recovered) == (2, 0)


def test_a_rotation_that_fails_half_way_is_made_up_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def refuse(*_: object, **__: object) -> int:
        raise full

    with opened(tmp_path / "log", max_size=700) as log:
        log.append("use", **USE)
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", refuse)
            for _ in range(2):
                with pytest.raises(AuditError):
                    log.append("use", **USE)
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", failing(0, full, room=50))
            for _ in range(2):
                with pytest.raises(AuditError):
                    log.append("use", **USE)
        log.append("use", **USE)
    assert [entry.event for entry in read_log(tmp_path / "log")] == ["use", "continued", "use"]
    assert verify_log(tmp_path / "log").files == 2


class Crash(BaseException):
    """The process ends here, and nothing more is done."""


CALLS = ("write", "open", "rename", "fsync", "fdatasync", "ftruncate", "fchmod", "pwrite", "mkdir")


def crashing_at(patch: pytest.MonkeyPatch, count: int, *, part: float) -> None:
    """Let the process end at its ``count``-th call to the system; of what it writes a part arrives."""
    left = count

    def wrapped(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def one(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - any call
            nonlocal left
            left -= 1
            if left < 0:  # a handler of errors runs after the end
                raise Crash
            if left == 0:
                if name == "write":
                    call(arguments[0], arguments[1][: int(len(arguments[1]) * part)])
                raise Crash
            return call(*arguments, **options)

        return one

    for name in CALLS:
        patch.setattr(os, name, wrapped(name, getattr(os, name)))


@pytest.mark.parametrize("part", [0.0, 0.01, 0.5, 1.0])
@pytest.mark.parametrize("begin", ["nothing", "torn", "renamed"])
def test_a_crash_at_any_call_to_the_system_loses_no_line(tmp_path: Path, begin: str, part: float) -> None:
    """Opening a log that a crash left, and rotations: all are ended at each of their calls."""
    for count in itertools.count(1):
        folder = tmp_path / str(count)
        if begin != "nothing":
            write_uses(folder, 2)
            octets = octets_of(folder)
            if begin == "torn":
                (folder / "audit.jsonl").write_bytes(octets[:-50])
            else:
                (folder / "audit.jsonl").rename(folder / "audit-000000000001.jsonl")
        written = [entry.hash for entry in read_log(folder)] if folder.exists() else []
        with pytest.MonkeyPatch.context() as patch:
            crashing_at(patch, count, part=part)
            log = None
            try:
                log = opened(folder, max_size=1200)
                for _ in range(4):
                    entry = log.append("use", **USE)
                    written.append(entry.hash)
                crashed = False
            except Crash:
                crashed = True
        if log is not None:  # as the end of a process does it: nothing is mended
            log._close_file()
            log._folder.close()
        with opened(folder) as again:
            again.append("agent-started")
        verify_log(folder)
        hashes = [entry.hash for entry in read_log(folder)]
        assert [one for one in hashes if one in set(written)] == written
        if not crashed:
            assert count > 10
            return


@pytest.mark.slow
def test_a_process_that_is_killed_while_it_writes_loses_no_line(tmp_path: Path) -> None:
    chance = random.Random(5)  # noqa: S311 - when to kill
    folder = tmp_path / "log"
    told: list[int] = []
    for _ in range(15):
        with subprocess.Popen(
            [sys.executable, "-c", APPEND, str(folder)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout
            process.stdout.readline()
            time.sleep(chance.uniform(0, 0.05))
            process.send_signal(signal.SIGKILL)
            told += map(int, process.stdout.read().split())
    report = verify_log(folder)
    assert report.files > 2
    uses = {entry.sequence_number for entry in read_log(folder) if entry.event == "use"}
    assert set(told) <= uses
