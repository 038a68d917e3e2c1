"""``smime-agent audit``: what a person sees of the log, and whether it is whole."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from smime_agent.daemon.audit import read_log
from smime_agent.daemon.audit_lines import GENESIS
from smime_agent.daemon.audit_reading import files_of
from tests.support.audit_logs import BEGIN, USE, clock, opened, write_uses

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.command import Command

HEADS = ["TIME (UTC)", "OPERATION", "KEY", "TOKEN", "WHAT", "PROGRAM", "PIN", "OUTCOME"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the agent of this account keeps its log."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "smime-agent"


@pytest.fixture
def day(folder: Path) -> Path:
    """A day of an agent: uses of two keys overlap, and one has no outcome."""
    other = {**USE, "operation": "unwrap", "key": {"id": "02", "label": "old"}, "recipient": "CN=Bob"}
    del other["digest"]
    with opened(folder) as log:
        log.append("agent-started", version="0.1.0", pid=7)
        log.append("login", token=USE["token"], program={"name": "git"}, outcome="done", pin="pinentry")
        first = log.append("use", **USE).sequence_number
        second = log.append("use", **other).sequence_number
        log.append("outcome", of=second, outcome="token-removed", pin="kept")
        log.append("outcome", of=first, outcome="done", pin="login")
        log.append("use", **USE)
        log.append("logout", token=USE["token"], reason="lock")
        log.append("agent-started")
    return folder


def table(command: Command, *arguments: str) -> list[list[str]]:
    result = command("audit", "show", *arguments)
    assert (result.code, result.err) == (0, "")
    lines = result.out.decode().splitlines()
    begins = [lines[0].index(head) for head in HEADS]
    ends = [*begins[1:], None]
    cells = [[line[begin:end].strip() for begin, end in zip(begins, ends, strict=True)] for line in lines]
    assert cells[0] == HEADS
    return cells[1:]


def objects(command: Command, *arguments: str) -> list[dict[str, Any]]:
    result = command("audit", "show", "--json", *arguments)
    assert (result.code, result.err) == (0, "")
    return [json.loads(line) for line in result.out.splitlines()]


@pytest.mark.usefixtures("day")
def test_a_use_and_its_outcome_are_one_line(command: Command) -> None:
    digest = "sha256:" + "ab" * 8 + "..."
    assert table(command) == [
        ["2026-05-17 09:30:01", "agent-started", "", "", "0.1.0", "", "", ""],
        ["2026-05-17 09:30:02", "login", "", "office", "", "git", "pinentry", "done"],
        ["2026-05-17 09:30:03", "sign", "01 mail", "office", digest, "git", "login", "done"],
        ["2026-05-17 09:30:04", "unwrap", "02 old", "office", "CN=Bob", "git", "kept", "token-removed"],
        ["2026-05-17 09:30:07", "sign", "01 mail", "office", digest, "git", "", "not known"],
        ["2026-05-17 09:30:08", "logout", "", "office", "lock", "", "", ""],
        ["2026-05-17 09:30:09", "agent-started", "", "", "", "", "", ""],
    ]


@pytest.mark.parametrize("key", ["02", "old"])
@pytest.mark.usefixtures("day")
def test_the_uses_of_one_key_are_shown_with_their_outcomes(command: Command, key: str) -> None:
    assert [(row[2], row[7]) for row in table(command, "--key", key)] == [("02 old", "token-removed")]
    assert [one["event"] for one in objects(command, "--key", key)] == ["use", "outcome"]


@pytest.mark.usefixtures("day")
def test_the_last_lines_are_shown(command: Command) -> None:
    assert table(command, "--last", "2") == table(command)[-2:]
    assert objects(command, "--last", "2") == objects(command)[-2:]
    assert table(command, "--last", "100") == table(command)


@pytest.mark.usefixtures("day")
def test_what_happened_since_a_time_is_shown(command: Command) -> None:
    assert [one["seq"] for one in objects(command, "--since", "2026-05-17T11:30:07+02:00")] == [7, 8, 9]
    assert [row[0] for row in table(command, "--since", "2026-05-17T09:30:09Z")] == ["2026-05-17 09:30:09"]


def test_files_that_are_full_are_read_as_far_as_they_are_needed(command: Command, folder: Path) -> None:
    write_uses(folder, 30, max_size=2000)
    everything = objects(command)
    shown = table(command)
    assert len(list(folder.iterdir())) > 10
    for count in (1, 7, 29, 500):
        assert objects(command, "--last", str(count)) == everything[-count:]
        assert table(command, "--last", str(count))[1:] == shown[-count:][1:]
    for number in range(0, len(everything), 4):
        assert objects(command, "--since", everything[number]["time"]) == everything[number:]


def test_json_is_what_the_log_says(command: Command, day: Path) -> None:
    lines = (day / "audit.jsonl").read_text().splitlines()
    for shown, line in zip(objects(command), lines, strict=True):
        assert shown == {"schema": "smime-agent.audit/1", **json.loads(line)}


def test_nothing_of_it_steers_the_terminal(command: Command, folder: Path) -> None:
    evil = "\x1b[2J\x9b\n\udcff\u202e"
    with opened(folder) as log:
        log.append("use", operation=evil, key={"id": evil, "label": evil}, token=evil, digest=evil, program=evil)
        log.append("outcome", of=1, outcome=evil, pin=evil)
        log.append("logout", reason=["x", {"y": evil}, 7, True, None])
    for arguments in ((), ("--json",)):
        result = command("audit", "show", *arguments)
        assert result.code == 0
        assert all(line.isprintable() for line in result.out.decode().splitlines())
        assert len(result.out.splitlines()) == 3


@pytest.mark.parametrize(
    "facts", [{"key": 7}, {"token": [1]}, {"program": {"name": {"a": 1}}}, {"of": "x"}, {"of": {}}]
)
def test_facts_of_any_shape_are_shown(command: Command, folder: Path, facts: dict[str, Any]) -> None:
    with opened(folder) as log:
        for event in ("use", "outcome", "recovered-not", "login"):
            log.append(event, **facts)
    assert len(table(command)) == 4


def test_long_names_do_not_tear_the_table(command: Command, folder: Path) -> None:
    with opened(folder) as log:
        log.append("use", operation="sign", program={"name": "x" * 5000})
    assert table(command)[0][5] == "x" * 37 + "..."


def test_more_uses_than_are_waited_for_are_all_shown(command: Command, folder: Path) -> None:
    with opened(folder) as log:
        for _ in range(1500):
            log.append("use", **USE)
        log.append("outcome", of=1, outcome="done")
        log.append("outcome", of=1500, outcome="done")
    shown = table(command)
    assert len(shown) == 1501
    assert [row[7] for row in shown].count("done") == 2
    assert shown[-1][1:5] == ["outcome", "", "", "of entry 1"]


def test_a_log_that_was_changed_is_shown_with_a_warning(command: Command, day: Path) -> None:
    path = day / "audit.jsonl"
    path.write_bytes(path.read_bytes().replace(b"lock", b"LOCK"))
    result = command("audit", "show")
    assert result.code == 0
    assert result.err == (
        "smime-agent: warning: line 8 of audit.jsonl was changed; 'smime-agent audit verify' says more\n"
    )
    assert len(result.out.splitlines()) == 7
    assert b"LOCK" not in result.out


# verify


def test_a_whole_log_is_told_with_its_head(command: Command, day: Path) -> None:
    *_, last = read_log(day)
    result = command("audit", "verify")
    assert (result.code, result.out.decode().splitlines()) == (
        0,
        [
            "Whole  9 entries in one file",
            "From   2026-05-17 09:30:01 UTC, entry 1",
            "To     2026-05-17 09:30:09 UTC, entry 9",
            f"Head   {last.hash}",
        ],
    )
    assert "--head" in result.err


def test_a_head_that_was_noted_is_found_later(command: Command, day: Path) -> None:
    *_, noted = read_log(day)
    write_uses(day, 3)
    result = command("audit", "verify", "--head", f" {noted.hash.upper()}")
    assert (result.code, result.err) == (0, "")
    assert "Since  6 entries after the hash that was noted" in result.out.decode().splitlines()


def test_lines_that_were_cut_off_are_found_with_the_head_alone(command: Command, day: Path) -> None:
    *_, noted = read_log(day)
    path = day / "audit.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-2]))
    assert command("audit", "verify").code == 0
    result = command("audit", "verify", "--head", noted.hash)
    assert (result.code, result.out) == (6, b"")
    assert result.err.startswith("smime-agent: error: no line of the log has the hash that was noted")
    assert result.err.splitlines()[1].startswith("hint: ")


def test_a_log_that_is_gone_is_missed_by_who_noted_its_head(command: Command, day: Path) -> None:
    *_, noted = read_log(day)
    (day / "audit.jsonl").unlink()
    assert command("audit", "verify").code == 2
    assert command("audit", "verify", "--head", noted.hash).code == 6


def test_a_changed_line_is_exit_6_with_one_line_and_a_hint(command: Command, day: Path) -> None:
    path = day / "audit.jsonl"
    path.write_bytes(path.read_bytes().replace(b"token-removed", b"token-ignored"))
    result = command("audit", "verify")
    assert (result.code, result.out) == (6, b"")
    assert result.err.splitlines()[0] == "smime-agent: error: line 5 of audit.jsonl was changed"
    assert result.err.splitlines()[1].startswith("hint: ")
    assert len(result.err.splitlines()) == 2


def test_the_json_of_verify_says_both(command: Command, day: Path) -> None:
    *_, last = read_log(day)
    result = command("audit", "verify", "--json", "--head", GENESIS)
    assert (result.code, result.err) == (0, "")
    assert json.loads(result.out) == {
        "schema": "smime-agent.audit-verify/1",
        "whole": True,
        "entries": 9,
        "files": 1,
        "first": "2026-05-17T09:30:01.000000Z",
        "last": "2026-05-17T09:30:09.000000Z",
        "head": last.hash,
        "after_head": 9,
        "recovered": 0,
        "damage": None,
    }
    path = day / "audit.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    result = command("audit", "verify", "--json")
    assert result.code == 6
    value = json.loads(result.out)
    text = "line 9 of audit.jsonl is not whole, and no line after it says so"
    assert (value["whole"], value["entries"]) == (False, None)
    assert value["damage"] == {"code": "torn", "file": "audit.jsonl", "line": 9, "text": text}


def test_what_a_crash_left_is_told(command: Command, folder: Path) -> None:
    write_uses(folder, 2)
    path = folder / "audit.jsonl"
    path.write_bytes(path.read_bytes()[:-100])
    assert command("audit", "verify").code == 6
    opened(folder, now=clock(BEGIN + timedelta(hours=1))).close()
    result = command("audit", "verify")
    assert result.code == 0
    assert "Crashes 1 left a line unfinished" in " ".join(result.out.decode().split())
    assert "octets of a line that a crash left" in table(command)[-1][4]


def test_one_file_of_a_log_can_be_named(command: Command, folder: Path) -> None:
    write_uses(folder, 10, max_size=2000)
    first, second, *_ = files_of(folder)
    result = command("audit", "verify", "--file", second)
    assert result.code == 0
    *_, before = read_log(first)
    assert ["Continues", before.hash] in [line.split() for line in result.out.decode().splitlines()]
    assert [one["seq"] for one in objects(command, "--file", str(second))] == [
        entry.sequence_number for entry in read_log(second)
    ]


def test_a_log_in_another_folder_can_be_named(command: Command, tmp_path: Path) -> None:
    write_uses(tmp_path / "copy", 2)
    assert command("audit", "verify", "--file", tmp_path / "copy").code == 0
    assert len(table(command, "--file", str(tmp_path / "copy"))) == 2


@pytest.mark.parametrize("arguments", [("show",), ("verify",), ("show", "--file", "nowhere"), ("show", "--last", "3")])
def test_that_there_is_no_log_is_exit_2(command: Command, arguments: tuple[str, ...]) -> None:
    result = command("audit", *arguments)
    assert (result.code, result.out) == (2, b"")
    assert result.err.startswith("smime-agent: error: there is no audit log ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("verify", "--head", "abc"), "--head takes the hash of a line, 64 hexadecimal digits, not 'abc'"),
        (("show", "--since", "yesterday"), "--since takes a time such as"),
        (("show", "--last", "0"), "--last"),
    ],
)
@pytest.mark.usefixtures("day")
def test_what_is_asked_wrongly_is_exit_2(command: Command, arguments: tuple[str, ...], words: str) -> None:
    result = command("audit", *arguments)
    assert (result.code, result.out) == (2, b"")
    assert words in result.err.splitlines()[0]


def test_a_fifo_is_not_waited_for(command: Command, folder: Path) -> None:
    folder.mkdir(parents=True)
    os.mkfifo(folder / "audit.jsonl")
    for verb in ("show", "verify"):
        assert command("audit", verb).code == 2


def test_a_line_with_a_name_that_is_ours_is_no_entry(command: Command, folder: Path) -> None:
    """Nothing in a log says under which schema it is printed."""
    folder.mkdir(parents=True)
    covered = b'{"seq":1,"time":"2026-05-17T09:30:00.000000Z","event":"use","schema":"x","prev":"' + b"0" * 64 + b'"'
    line = covered + b',"hash":"%b"}\n' % sha256(covered).hexdigest().encode()
    (folder / "audit.jsonl").write_bytes(line)
    result = command("audit", "show", "--json")
    assert (result.code, result.out) == (0, b"")
    (folder / "audit.jsonl").write_bytes(line.replace(b"schema", b"xchema"))
    assert command("audit", "verify").code == 6
