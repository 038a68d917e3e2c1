"""Whatever is done to a log that was written, it is found; what a crash leaves is not taken for that."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smime_agent.daemon import audit_reading
from smime_agent.daemon.audit import BrokenLogError, Damage, read_log, verify_log
from smime_agent.daemon.audit_lines import GENESIS, MAX_LINE, encode
from smime_agent.daemon.audit_reading import files_of, full_files
from smime_agent.errors import FileError
from tests.support.audit_logs import BEGIN, USE, octets_of, opened, write_uses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TEXTS = st.text(st.characters(), max_size=20) | st.text(max_size=20)
FACTS: Any = st.dictionaries(
    st.sampled_from(["operation", "key", "program", "of", "digest"]),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)


@pytest.fixture(autouse=True, scope="module")
def _nobody_writes_meanwhile() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audit_reading, "_PAUSE_SECONDS", 0)
        yield


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log in several files, with what two crashes left, one of them while the first was told of."""
    folder = tmp_path_factory.mktemp("audit") / "log"
    write_uses(folder, 3, max_size=1900)
    with (folder / "audit.jsonl").open("ab") as file:
        file.write(b'{"seq":9,"time":"2026')
    write_uses(folder, 1, max_size=1900)
    with (folder / "audit.jsonl").open("ab") as file:
        file.write(b"\0\0\0\n" + b'{"seq":1')
    write_uses(folder, 2, max_size=3000)
    assert verify_log(folder).recovered == 2
    assert verify_log(folder).files == 3
    return folder


@pytest.fixture
def log(written: Path, tmp_path: Path) -> Path:
    """The same, to be damaged."""
    return Path(shutil.copytree(written, tmp_path / "log"))


@pytest.fixture(scope="module")
def one_file(written: Path) -> Path:
    """All of its lines in one file."""
    path = written.parent / "one.jsonl"
    path.write_bytes(octets_of(written))
    assert verify_log(path).entries == verify_log(written).entries
    return path


def damage(log: Path) -> Damage:
    with pytest.raises(BrokenLogError) as caught:
        verify_log(log)
    return caught.value.damage


@given(
    entries=st.lists(st.tuples(st.sampled_from(["use", "outcome", "login"]), FACTS), max_size=12),
    max_size=st.integers(300, 3000),
)
def test_whatever_is_appended_is_a_whole_log(entries: list[tuple[str, dict[str, Any]]], max_size: int) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "log"
        with opened(folder, max_size=max_size) as log:
            for event, facts in entries:
                log.append(event, **facts)
            head = log.head
        assert verify_log(folder, head).head == head
        shown = [(entry.event, entry.facts) for entry in read_log(folder) if entry.event != "continued"]
        assert shown == entries


@given(st.data())
def test_a_file_cut_anywhere_is_found_or_ends_with_an_older_head(one_file: Path, data: st.DataObject) -> None:
    octets = one_file.read_bytes()
    head = verify_log(one_file).head
    ends = [0]  # of whole lines, without the newline and with it
    for line in octets.splitlines(keepends=True):
        if line.endswith(b'"}\n'):
            ends += [octets.index(line) + len(line) - 1, octets.index(line) + len(line)]
    size = data.draw(st.integers(0, len(octets) - 2) | st.sampled_from(ends[:-2]))
    with tempfile.TemporaryDirectory() as temporary:
        cut = Path(temporary) / "audit.jsonl"
        cut.write_bytes(octets[:size])
        if size in ends:
            assert verify_log(cut).head != head
        else:
            assert damage(cut) is Damage.TORN
        with pytest.raises(BrokenLogError):
            verify_log(cut, head)


@given(st.data())
def test_an_octet_that_was_changed_is_found(one_file: Path, data: st.DataObject) -> None:
    octets = bytearray(one_file.read_bytes())
    position = data.draw(st.integers(0, len(octets) - 1))
    octets[position] ^= data.draw(st.integers(1, 255))
    with tempfile.TemporaryDirectory() as temporary:
        changed = Path(temporary) / "audit.jsonl"
        changed.write_bytes(octets)
        assert damage(changed) in {Damage.CHANGED, Damage.TORN}


@given(st.data())
def test_lines_that_were_removed_doubled_or_moved_are_found(one_file: Path, data: st.DataObject) -> None:
    lines = one_file.read_bytes().splitlines(keepends=True)
    numbers = st.integers(0, len(lines) - 1)
    begin, end = sorted((data.draw(numbers), data.draw(numbers)))
    match data.draw(st.sampled_from(["remove", "double", "swap", "move"])):
        case "remove":
            changed = lines[:begin] + lines[end + 1 :]
        case "double":
            changed = lines[: end + 1] + lines[begin:]
        case "swap":
            changed = lines.copy()
            changed[begin], changed[end] = changed[end], changed[begin]
        case _:
            changed = lines[:begin] + lines[begin + 1 : end + 1] + [lines[begin]] + lines[end + 1 :]
    head = verify_log(one_file).head
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "log"
        path.mkdir()
        (path / "audit.jsonl").write_bytes(b"".join(changed))
        if changed == lines:
            assert verify_log(path, head).head == head
        else:
            with pytest.raises(BrokenLogError):
                verify_log(path, head)


@given(
    octets=st.binary(min_size=1, max_size=300) | st.sampled_from([b"x" * (2 * MAX_LINE + 5), b"x" * 5 * MAX_LINE]),
    cut=st.integers(0, 3000),
)
def test_what_a_crash_left_is_told_by_the_next_start_and_only_that(octets: bytes, cut: int) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "log"
        write_uses(folder, 2)
        path = folder / "audit.jsonl"
        whole = path.read_bytes()[:cut] + octets.replace(b"}", b"{")
        path.write_bytes(whole)
        before = list(read_log(folder))
        with opened(folder) as log:
            log.append("agent-started")
        assert path.read_bytes().startswith(whole)
        report = verify_log(folder)
        assert report.recovered == 1 if before else report.recovered in {0, 1}
        assert [entry.event for entry in read_log(folder)][: len(before)] == [entry.event for entry in before]


@pytest.mark.parametrize("missing", range(0, 500, 7))
def test_a_line_cut_anywhere_is_recovered(tmp_path: Path, missing: int) -> None:
    folder = tmp_path / "log"
    write_uses(folder, 1)
    path = folder / "audit.jsonl"
    whole = path.read_bytes()
    first, second, _ = whole.split(b"\n")
    cut = whole[: len(whole) - 1 - min(missing, len(second))]
    path.write_bytes(cut)
    torn = cut[len(first) + 1 :]
    with opened(folder) as log:
        log.append("agent-started")
    entries = list(read_log(folder))
    if torn in {second, b""}:
        assert [entry.event for entry in entries] == ["use", "outcome", "agent-started"][:: 2 if torn == b"" else 1]
        return
    assert [entry.event for entry in entries] == ["use", "recovered", "agent-started"]
    assert entries[1].facts == {"octets": len(torn), "sha256": sha256(torn).hexdigest()}
    assert entries[1].previous == entries[0].hash
    assert verify_log(folder).recovered == 1


def test_torn_octets_that_nothing_tells_of_are_found(log: Path) -> None:
    with (log / "audit.jsonl").open("ab") as file:
        file.write(b'{"seq":')
    assert damage(log) is Damage.TORN


def test_torn_octets_in_a_full_file_are_found(log: Path) -> None:
    with files_of(log)[0].open("ab") as file:
        file.write(b"x\n")
    assert damage(log) is Damage.TORN


def edited(path: Path, edit: Callable[[list[bytes]], list[bytes]]) -> None:
    path.write_bytes(b"".join(edit(path.read_bytes().splitlines(keepends=True))))


def test_the_error_says_which_line_of_which_file(log: Path) -> None:
    first = files_of(log)[0]
    edited(first, lambda lines: [lines[0], lines[1].replace(b"done", b"none"), *lines[2:]])
    with pytest.raises(BrokenLogError, match=rf"^line 2 of {first.name} was changed$") as caught:
        verify_log(log)
    error = caught.value
    assert (error.damage, error.file, error.line, error.exit_code) == (Damage.CHANGED, first.name, 2, 6)


def test_a_removed_line_is_named(log: Path) -> None:
    first = files_of(log)[0]
    edited(first, lambda lines: [lines[0], *lines[2:]])
    with pytest.raises(BrokenLogError, match=f"entry 2 is missing before line 2 of {first.name}") as caught:
        verify_log(log)
    assert caught.value.damage is Damage.MISSING


def test_a_file_that_was_removed_is_named(log: Path) -> None:
    first, second, _ = files_of(log)
    first.unlink()
    number = int(second.name[6:18])
    with pytest.raises(BrokenLogError, match=f"entries 1 to {number - 1} are missing before line 1 of {second.name}"):
        verify_log(log)


def test_a_line_that_was_put_in_is_named(log: Path) -> None:
    first = files_of(log)[0]
    edited(first, lambda lines: [*lines[:2], lines[0], *lines[2:]])
    with pytest.raises(BrokenLogError, match=f"line 3 of {first.name} is entry 1, and 3 is due") as caught:
        verify_log(log)
    assert caught.value.damage is Damage.OUT_OF_ORDER


def test_a_line_with_a_right_hash_in_the_place_of_another_is_found(log: Path) -> None:
    first = files_of(log)[0]
    _, forged = encode(2, BEGIN, "outcome", {"of": 1, "outcome": "declined"}, "12" * 32)
    edited(first, lambda lines: [lines[0], forged, *lines[2:]])
    assert damage(log) is Damage.REPLACED


def test_a_line_that_was_written_anew_is_found_by_the_next(log: Path) -> None:
    first = files_of(log)[0]
    before = next(read_log(log)).hash
    _, forged = encode(2, BEGIN, "outcome", {"of": 1, "outcome": "declined"}, before)
    edited(first, lambda lines: [lines[0], forged, *lines[2:]])
    with pytest.raises(BrokenLogError, match="line 3") as caught:
        verify_log(log)
    assert caught.value.damage is Damage.REPLACED


def test_octets_that_were_torn_cannot_be_taken_away(log: Path) -> None:
    edited(log / "audit.jsonl", lambda lines: [line for line in lines if not line.startswith(b"\0")])
    assert damage(log) is Damage.CHANGED
    edited(log / "audit.jsonl", lambda lines: [line for line in lines if line.endswith(b'"}\n')])
    assert damage(log) is Damage.MISSING


def test_lines_cannot_be_hidden_as_torn(tmp_path: Path) -> None:
    """Whole lines in the octets that a line tells of would be a way to let them vanish."""
    _, first = encode(1, BEGIN, "use", USE, GENESIS)
    hidden = first.replace(b"mail", b"Mail")
    _, second = encode(
        1, BEGIN, "recovered", {"octets": len(hidden) - 1, "sha256": sha256(hidden[:-1]).hexdigest()}, GENESIS
    )
    (tmp_path / "audit.jsonl").write_bytes(hidden + second)
    assert damage(tmp_path) is Damage.CHANGED


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 60_000,
        b'{"seq":1,"time":"2026-05-17T09:30:00.000000Z","event":"use","a":' + b"[" * 50_000,
        b'{"seq":1,"time":"2026-05-17T09:30:00.000000Z","event":"use","a":' + b"1" * 50_000,
        b'{"seq":1,"time":"2026-13-17T09:30:00.000000Z","event":"use"',
        b'{"seq":1,"time":"2026-05-17 09:30:00","event":"use"',
        b'{"seq":1,"time":"2026-05-17T09:30:00.000000Z","event":"use","seq":2',
        b'{"seq":1,"time":"2026-05-17T09:30:00.000000Z","event":"use","time":7',
        b'{"seq":1,"time":"2026-05-17T09:30:00.000000Z","event":"use","event":"outcome"',
        b'{"seq":0,"time":"2026-05-17T09:30:00.000000Z","event":"use"',
        b'{"seq":1,"time":"\\","event":"use"',
        b'{"seq":1,"time":"2026-05-17T09:30:00.000000Z","event":"use","a":"\xff"',
        b'{"seq":1,"time":"2026-05-17T09:30:00.000000Z","event":"use","a":',
    ],
    ids=range(12),
)
def test_a_line_with_its_hash_that_is_no_entry_is_refused(tmp_path: Path, line: bytes) -> None:
    covered = line + b',"prev":"' + GENESIS.encode() + b'"'
    (tmp_path / "audit.jsonl").write_bytes(covered + b',"hash":"%b"}\n' % sha256(covered).hexdigest().encode())
    assert damage(tmp_path) is Damage.CHANGED
    assert list(read_log(tmp_path)) == []


@given(st.binary(max_size=2000))
def test_garbage_is_no_log(octets: bytes) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "audit.jsonl"
        path.write_bytes(octets)
        assert list(read_log(path)) == []
        if octets:
            assert damage(path) is Damage.TORN


# The head that was noted


def test_every_hash_of_the_log_is_a_head_that_was_noted(log: Path) -> None:
    entries = list(read_log(log))
    after = [verify_log(log, entry.hash).after_head for entry in entries]
    assert after == list(range(len(entries)))[::-1]
    assert verify_log(log, GENESIS).after_head == len(entries)


def test_lines_that_were_cut_off_are_found_by_the_head_alone(log: Path) -> None:
    head = verify_log(log).head
    edited(log / "audit.jsonl", lambda lines: lines[:-1])
    assert verify_log(log).head != head
    with pytest.raises(BrokenLogError, match="cut off") as caught:
        verify_log(log, head)
    assert caught.value.damage is Damage.CUT


def test_a_log_that_is_gone_is_found_by_the_head(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="there is no audit log"):
        verify_log(tmp_path)
    with pytest.raises(BrokenLogError):
        verify_log(tmp_path, "12" * 32)


def test_a_file_of_a_log_can_be_verified_alone(log: Path) -> None:
    first, second, _ = files_of(log)
    report = verify_log(second)
    assert report.first
    assert report.first.previous == verify_log(first).head
    assert verify_log(second, report.first.previous).after_head == report.entries


def test_a_file_that_begins_with_another_beginning_is_refused(tmp_path: Path) -> None:
    _, line = encode(7, BEGIN, "use", USE, GENESIS)
    (tmp_path / "one.jsonl").write_bytes(line)
    assert damage(tmp_path / "one.jsonl") is Damage.MISSING


def test_a_fifo_is_no_log_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "audit.jsonl")
    with pytest.raises(FileError, match="is no file"):
        verify_log(tmp_path)


def test_a_log_that_grows_is_read_whole(tmp_path: Path) -> None:
    """What is renamed while it is read is read once."""
    with opened(tmp_path / "log", max_size=1500) as log:
        for _ in range(5):
            log.append("use", **USE)
        seen = []
        for entry in read_log(tmp_path / "log"):
            seen.append(entry.sequence_number)
            if entry.sequence_number < 20:
                log.append("use", **USE)
        assert seen == list(range(1, len(seen) + 1))
    assert verify_log(tmp_path / "log").files > 3


def test_a_file_that_is_renamed_before_the_others_are_listed_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "log"
    with opened(folder, max_size=1500) as log:
        log.append("use", **USE)

        def meanwhile(path: Path) -> list[str]:
            for _ in range(5):
                log.append("use", **USE)
            return full_files(path)

        monkeypatch.setattr(audit_reading, "full_files", meanwhile)
        numbers = [entry.sequence_number for entry in read_log(folder)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) > 3


@pytest.mark.interop
def test_a_few_lines_of_shell_verify_a_log(log: Path) -> None:
    """The recipe of the documents; a stranger's SHA-256 and JSON."""
    files = " ".join(path.name for path in files_of(log))
    script = f"""
    previous=$(printf '%064d' 0)
    cat {files} | grep -a '"hash":"[0-9a-f]\\{{64\\}}"}}$' | while IFS= read -r line; do
        hash=$(printf %s "${{line%,\\"hash\\":*}}" | sha256sum | cut -c 1-64)
        case $line in
            *",\\"prev\\":\\"$previous\\",\\"hash\\":\\"$hash\\"}}") previous=$hash; echo "$hash";;
            *) echo "broken: $line"; exit 1;;
        esac
    done
    """
    done = subprocess.run(["sh", "-c", script], cwd=log, capture_output=True, check=True, text=True)
    assert done.stdout.split() == [entry.hash for entry in read_log(log)]
    edited(log / "audit.jsonl", lambda lines: [*lines[:-1], lines[-1].replace(b"done", b"none")])
    done = subprocess.run(["sh", "-c", script], cwd=log, capture_output=True, check=False, text=True)
    assert "broken: " in done.stdout


@pytest.mark.interop
def test_jq_reads_every_line_and_leaves_out_what_is_none(log: Path) -> None:
    write_uses(log, 1)
    with opened(log) as opened_log:
        opened_log.append("use", program={"name": "\udcff\x00\x1b\x7f é", "command": '"'})
    arguments = ["jq", "-Rr", "fromjson? | .event", *map(str, files_of(log))]
    done = subprocess.run(arguments, capture_output=True, check=True, text=True)
    assert done.stdout.split() == [entry.event for entry in read_log(log)]
