"""Writing the audit log."""

from __future__ import annotations

import json
import os
import threading
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from smime_agent.daemon.audit import AuditLog, read_log, verify_log
from smime_agent.daemon.audit_lines import MAX_LINE
from smime_agent.errors import AuditError
from smime_agent.keys import Pin
from tests.support.audit_logs import USE, octets_of, opened, write_uses

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a log is to be; there is none yet."""
    return tmp_path / "state" / "smime-agent"


def test_a_line_is_what_the_documents_say(folder: Path) -> None:
    zone = timezone(timedelta(hours=2))
    with opened(folder, now=lambda: datetime(2026, 5, 17, 11, 30, 0, 7, zone)) as log:
        entry = log.append("logout", reason="lock")
    covered = (
        b'{"seq":1,"time":"2026-05-17T09:30:00.000007Z","event":"logout","reason":"lock","prev":"' + b"0" * 64 + b'"'
    )
    digest = sha256(covered).hexdigest()
    assert (folder / "audit.jsonl").read_bytes() == covered + f',"hash":"{digest}"}}\n'.encode()
    assert (entry.sequence_number, entry.hash) == (1, digest)


def test_a_line_names_the_hash_of_the_line_before(folder: Path) -> None:
    with opened(folder) as log:
        first = log.append("agent-started")
        second = log.append("agent-stopped")
        assert (second.previous, log.head, log.sequence_number) == (first.hash, second.hash, 2)


def test_the_head_of_an_empty_log_is_zeros(folder: Path) -> None:
    with opened(folder) as log:
        assert (log.head, log.sequence_number) == ("0" * 64, 0)


def test_a_log_is_continued_where_it_ended(folder: Path) -> None:
    head = write_uses(folder, 2)
    with opened(folder) as log:
        assert log.head == head
        entry = log.append("agent-started")
        assert (entry.sequence_number, entry.previous) == (5, head)


def test_what_is_written_is_what_is_read(folder: Path) -> None:
    with opened(folder) as log:
        written = [log.append("agent-started"), log.append("use", **USE)]
    assert list(read_log(folder)) == written


def test_nobody_else_can_read_it_whatever_the_umask(folder: Path) -> None:
    before = os.umask(0)
    try:
        write_uses(folder, 1)
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in [folder, *folder.iterdir()]}
    assert modes == {"smime-agent": 0o700, "audit.jsonl": 0o600, "audit.lock": 0o600}


def test_what_was_open_to_others_is_closed(folder: Path) -> None:
    write_uses(folder, 1)
    folder.chmod(0o755)
    (folder / "audit.jsonl").chmod(0o644)
    write_uses(folder, 1)
    assert (folder.stat().st_mode & 0o777, (folder / "audit.jsonl").stat().st_mode & 0o777) == (0o700, 0o600)


@pytest.mark.parametrize("name", ["audit.jsonl", "audit.lock"])
def test_a_symbolic_link_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    folder.mkdir(parents=True)
    (tmp_path / "elsewhere").write_bytes(b"")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AuditError, match="it is a symbolic link"):
        opened(folder)
    assert (tmp_path / "elsewhere").read_bytes() == b""


def test_a_folder_that_is_a_symbolic_link_is_refused(folder: Path, tmp_path: Path) -> None:
    folder.parent.mkdir()
    (tmp_path / "elsewhere").mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AuditError, match="it is a symbolic link"):
        opened(folder)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_fifo_is_refused_and_not_waited_for(folder: Path) -> None:
    folder.mkdir(parents=True)
    os.mkfifo(folder / "audit.jsonl")
    with pytest.raises(AuditError, match="is no file"):
        opened(folder)


def test_what_belongs_to_somebody_else_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_uses(folder, 1)
    other = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)
    with pytest.raises(AuditError, match="belongs to somebody else"):
        opened(folder)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(AuditError, match="cannot open"):
        opened(tmp_path / "file" / "state")


def test_there_is_one_writer_and_a_second_is_told_which(folder: Path) -> None:
    with opened(folder):
        with pytest.raises(AuditError, match=f"process {os.getpid()} writes the audit log"):
            opened(folder)
        with pytest.raises(AuditError):  # the failure has not let go of the first one's lock
            opened(folder)
    opened(folder).close()


def test_a_closed_log_takes_no_line(folder: Path) -> None:
    log = opened(folder)
    log.close()
    log.close()
    with pytest.raises(AuditError, match="closed"):
        log.append("agent-stopped")


@pytest.mark.parametrize(
    "text",
    ["\udcff\udc80", "\x00\x1b[31m\x7f\x9b", 'a"}\n{"seq":1,"hash":"', "Zoë 🦊", ',"prev":"' + "0" * 64 + '","hash":"'],
)
def test_a_name_may_hold_anything_and_the_line_is_ascii(folder: Path, text: str) -> None:
    with opened(folder) as log:
        log.append("use", program={"name": text, "command": text})
        log.append("agent-stopped")
    octets = octets_of(folder)
    assert all(0x20 <= octet < 0x7F or octet == 0x0A for octet in octets)
    assert octets.count(b"\n") == 2
    assert next(read_log(folder)).facts["program"] == {"name": text, "command": text}
    assert verify_log(folder).entries == 2


def test_what_is_too_long_is_cut_and_says_so(folder: Path) -> None:
    with opened(folder) as log:
        log.append(
            "use", operation="sign", program={"command": "x" * MAX_LINE, "parents": [{"command": "\0" * 20_000}]}
        )
    facts = next(read_log(folder)).facts
    assert facts["operation"] == "sign"
    assert facts["program"]["command"] == "x" * 1000 + "... (65536 characters)"
    assert facts["program"]["parents"][0]["command"].endswith("... (20000 characters)")


@pytest.mark.parametrize(("excess", "cut"), [(-1, False), (0, False), (1, True)])
def test_a_line_of_the_greatest_length_is_read_again(folder: Path, excess: int, *, cut: bool) -> None:
    with opened(folder) as log:
        log.append("use", a="")
        room = MAX_LINE - len(octets_of(folder))
        log.append("use", a="x" * (room + excess))
    last = list(read_log(folder))[-1]
    assert last.sequence_number == 2
    assert ("characters" in last.facts["a"]) is cut
    assert verify_log(folder).entries == 2


def test_more_than_a_line_can_hold_is_refused_and_leaves_nothing(folder: Path) -> None:
    with opened(folder) as log:
        before = octets_of(folder)
        with pytest.raises(AuditError, match="than a line"):
            log.append("use", parents=["x"] * MAX_LINE)
        assert octets_of(folder) == before
        log.append("agent-stopped")
    assert verify_log(folder).entries == 1


@pytest.mark.parametrize("fact", [Pin(b"123456"), b"123456", {1, 2}])
def test_what_is_no_text_cannot_be_written_and_so_no_pin(folder: Path, fact: object) -> None:
    with opened(folder) as log:
        with pytest.raises(TypeError):
            log.append("use", pin=fact)
        log.append("agent-stopped")
    assert verify_log(folder).entries == 1


@pytest.mark.parametrize("name", ["seq", "time", "event", "prev", "hash"])
def test_a_fact_cannot_take_the_place_of_a_member_of_the_chain(folder: Path, name: str) -> None:
    with opened(folder) as log, pytest.raises(ValueError, match="the log's own"):
        log.append("use", **{name: "x"})


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.rename(path.with_name("moved")),
        lambda path: path.write_bytes(path.read_bytes() + b"x"),
        lambda path: path.write_bytes(path.read_bytes()[:-5]),
    ],
    ids=["removed", "emptied", "moved", "longer", "shorter"],
)
def test_nothing_is_written_to_a_file_that_somebody_else_touched(folder: Path, damage: object) -> None:
    assert callable(damage)
    with opened(folder) as log:
        log.append("agent-started")
        damage(folder / "audit.jsonl")
        before = octets_of(folder)
        for _ in range(2):
            with pytest.raises(AuditError, match="is not as it was left"):
                log.append("use", **USE)
        assert octets_of(folder) == before


def test_a_last_line_that_was_changed_is_not_continued(folder: Path) -> None:
    write_uses(folder, 2)
    path = folder / "audit.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"of":3', b'"of":1'))
    with pytest.raises(AuditError, match="was changed"):
        opened(folder)


# Files that are full


def test_a_full_file_is_renamed_and_the_next_one_goes_on(folder: Path) -> None:
    head = write_uses(folder, 10, max_size=2000)
    names = sorted(path.name for path in folder.iterdir())
    assert len(names) > 4
    assert names[0] == "audit-000000000001.jsonl"
    last = ""
    for name in [*(name for name in names if name.startswith("audit-")), "audit.jsonl"]:
        lines = [json.loads(line) for line in (folder / name).read_bytes().splitlines()]
        assert name in {"audit.jsonl", f"audit-{lines[0]['seq']:012}.jsonl"}
        assert (folder / name).stat().st_size <= 2000
        if last:
            assert (lines[0]["event"], lines[0]["prev"]) == ("continued", last)
        last = lines[-1]["hash"]
    assert last == head
    assert sum(entry.event == "use" for entry in read_log(folder)) == 10
    assert verify_log(folder).head == head


def test_a_file_that_is_smaller_than_a_line_holds_one(folder: Path) -> None:
    write_uses(folder, 3, max_size=1)
    report = verify_log(folder)
    assert sum(entry.event != "continued" for entry in read_log(folder)) == 6
    assert report.files <= report.entries


def test_no_file_is_ever_overwritten(folder: Path) -> None:
    with opened(folder, max_size=600) as log:
        log.append("use", **USE)
        (folder / "audit-000000000001.jsonl").write_bytes(b"precious")
        with pytest.raises(AuditError, match="already"):
            log.append("use", **USE)
        (folder / "audit-000000000001.jsonl").unlink()
        log.append("use", **USE)
    assert verify_log(folder).files == 2


def test_a_crash_between_two_files_is_survived(folder: Path) -> None:
    head = write_uses(folder, 3)
    (folder / "audit.jsonl").rename(folder / "audit-000000000001.jsonl")
    with opened(folder) as log:
        assert log.append("agent-started").sequence_number == 8
    (continued,) = [entry for entry in read_log(folder) if entry.event == "continued"]
    assert (continued.previous, continued.sequence_number) == (head, 7)
    assert verify_log(folder).entries == 8


def test_a_full_file_that_was_cut_is_not_continued(folder: Path) -> None:
    write_uses(folder, 3)
    octets = octets_of(folder)
    (folder / "audit-000000000001.jsonl").write_bytes(octets[:-10])
    (folder / "audit.jsonl").unlink()
    with pytest.raises(AuditError, match="was changed"):
        opened(folder)


def test_another_thread_may_have_it_on_the_disk_meanwhile(folder: Path) -> None:
    failed: list[BaseException] = []
    with opened(folder, max_size=700) as log:
        stop = threading.Event()

        def synchronise() -> None:
            try:
                while not stop.is_set():
                    log.sync()
            except BaseException as error:  # noqa: BLE001 - whatever it is
                failed.append(error)

        thread = threading.Thread(target=synchronise)
        thread.start()
        for _ in range(100):
            log.append("use", **USE)
        stop.set()
        thread.join()
    assert failed == []
    assert verify_log(folder).files > 50


def test_the_time_is_asked_for_each_line(folder: Path) -> None:
    with AuditLog.open(folder, now=lambda: datetime(1, 1, 1, tzinfo=UTC)) as log:
        assert log.append("agent-started").time.year == 1
    assert next(read_log(folder)).time == datetime(1, 1, 1, tzinfo=UTC)
