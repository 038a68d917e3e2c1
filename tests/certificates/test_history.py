"""The memory of certificates and tokens, on a disk that other processes write to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from base64 import b64encode
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import example, given
from hypothesis import strategies as st
from pkcs11 import TokenFlag

from smime_agent.certificates import history_file
from smime_agent.certificates.history import History, history_path
from smime_agent.certificates.history_file import Condition
from smime_agent.cms.recipient_info import IssuerAndSerialNumber, KeyIdentifier
from smime_agent.tokens.objects import TokenCertificate, TokenKey, TokenObjects
from smime_agent.tokens.token import TokenInfo
from smime_agent.x509 import Certificate
from tests.support.ca import Wanted

if TYPE_CHECKING:
    from pathlib import Path

    from smime_agent.algorithms import KeyAlgorithm
    from smime_agent.keyring.sightings import Sighting
    from tests.support.ca import Authority

MONDAY, TUESDAY = date(2026, 1, 5), date(2026, 1, 6)
TOKEN = TokenInfo(
    label="card",
    serial="0123",
    manufacturer="Maker",
    model="One",
    firmware="1.0",
    slot_id=0,
    slot_description="",
    slot_manufacturer="",
    module="/lib/module.so",
    library_description="",
    library_manufacturer="",
    library_version=(1, 0),
    flags=TokenFlag(0),
)
OTHER = replace(TOKEN, serial="9999", label="other card")


def key_of(certificate: Certificate, algorithm: KeyAlgorithm | None = None, *, private: bool = True) -> TokenKey:
    return TokenKey(
        id=b"\x07",
        label="mail",
        algorithm=algorithm or certificate.key_algorithm,
        public_key_info=certificate.public_key_info,
        can_sign=True,
        can_decrypt=True,
        always_authenticate=False,
        private_seen=private,
    )


def on_token(*certificates: Certificate, keys: bool = True, private: bool = True) -> TokenObjects:
    found = tuple(TokenCertificate(b"\x01", "", one) for one in certificates)
    return TokenObjects(tuple(key_of(one, private=private) for one in certificates) if keys else (), found)


@pytest.fixture(scope="module")
def certificates(issuing_ca: Authority) -> list[Certificate]:
    """Of three keys."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(3)]
    return [Certificate(issuing_ca.issue(key.public_key(), Wanted()).public_bytes(Encoding.DER)) for key in keys]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return history_path(tmp_path / "data")


class Complaints(list[str]):
    """What was warned of."""

    def __call__(self, text: str) -> None:
        self.append(text)


def test_what_was_seen_is_remembered_with_its_token(path: Path, certificates: list[Certificate]) -> None:
    History(path).record(TOKEN, on_token(certificates[0]), MONDAY)
    (entry,) = History(path).entries()
    assert entry.certificate == certificates[0]
    assert (entry.label, entry.serial, entry.manufacturer, entry.model) == ("card", "0123", "Maker", "One")
    assert (entry.key_id, entry.has_key, entry.first_seen, entry.last_seen) == (b"\x07", True, MONDAY, MONDAY)
    assert entry.was_on(TOKEN)
    assert not entry.was_on(OTHER)


def test_the_file_is_the_persons_alone(path: Path, certificates: list[Certificate]) -> None:
    History(path).record(TOKEN, on_token(certificates[0]), MONDAY)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert {one.name for one in path.parent.iterdir()} == {"history.json", "history.json.lock"}


def test_another_day_is_written_and_the_same_day_is_not(path: Path, certificates: list[Certificate]) -> None:
    History(path).record(TOKEN, on_token(certificates[0]), MONDAY)
    first = path.stat().st_ino, path.stat().st_mtime_ns
    History(path).record(TOKEN, on_token(certificates[0]), MONDAY)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == first
    History(path).record(TOKEN, on_token(certificates[0]), TUESDAY)
    (entry,) = History(path).entries()
    assert (entry.first_seen, entry.last_seen) == (MONDAY, TUESDAY)


def test_a_clock_that_goes_back_does_not_make_it_older(path: Path, certificates: list[Certificate]) -> None:
    history = History(path)
    for day in (TUESDAY, MONDAY):
        history.record(TOKEN, on_token(certificates[0]), day)
    (entry,) = history.entries()
    assert (entry.first_seen, entry.last_seen) == (MONDAY, TUESDAY)


def test_what_is_gone_from_a_token_stays_remembered(path: Path, certificates: list[Certificate]) -> None:
    history = History(path)
    history.record(TOKEN, on_token(*certificates), MONDAY)
    history.record(TOKEN, on_token(certificates[0]), TUESDAY)
    assert [entry.last_seen for entry in history.entries()] == [TUESDAY, MONDAY, MONDAY]


def test_one_certificate_on_two_tokens_is_two_entries(path: Path, certificates: list[Certificate]) -> None:
    history = History(path)
    history.record(TOKEN, on_token(certificates[0]), MONDAY)
    history.record(OTHER, on_token(certificates[0]), TUESDAY)
    assert [entry.serial for entry in history.entries()] == ["9999", "0123"]


def test_a_key_that_is_hidden_before_the_login_was_there(path: Path, certificates: list[Certificate]) -> None:
    history = History(path)
    history.record(TOKEN, on_token(certificates[0]), MONDAY)
    history.record(TOKEN, on_token(certificates[0], keys=False), TUESDAY)
    (entry,) = history.entries()
    assert (entry.has_key, entry.key_id) == (True, b"\x07")


def test_a_key_that_is_not_there_after_the_login_is_gone(path: Path, certificates: list[Certificate]) -> None:
    history = History(path)
    history.record(TOKEN, on_token(*certificates[:2]), MONDAY)
    left = on_token(*certificates[:2])
    history.record(TOKEN, replace(left, keys=left.keys[:1]), TUESDAY)
    assert {entry.certificate: entry.has_key for entry in history.entries()} == {
        certificates[0]: True,
        certificates[1]: False,
    }


def test_certificates_of_cas_are_nobodys(path: Path, issuing_ca: Authority) -> None:
    above = Certificate(issuing_ca.certificate.public_bytes(Encoding.DER))
    History(path).record(TOKEN, on_token(above, keys=False), MONDAY)
    assert not path.exists()


def test_a_recipient_is_found_by_either_name(path: Path, certificates: list[Certificate]) -> None:
    History(path).record(TOKEN, on_token(*certificates), MONDAY)
    wanted = certificates[1]
    assert wanted.subject_key_identifier is not None
    for name in (
        IssuerAndSerialNumber(wanted.issuer_encoded, wanted.serial_number),
        KeyIdentifier(wanted.subject_key_identifier),
    ):
        assert [entry.certificate for entry in History(path).find(name)] == [wanted]
    assert History(path).find(IssuerAndSerialNumber(wanted.issuer_encoded, 4711)) == ()


RECORDING = """
import sys
from pathlib import Path
from smime_agent.certificates.history import History
from smime_agent.x509 import load_certificates
from tests.certificates.test_history import MONDAY, TOKEN, on_token
from dataclasses import replace
history = History(Path(sys.argv[1]))
(certificate,) = load_certificates(Path(sys.argv[2]).read_bytes())
print("ready", flush=True)
sys.stdin.readline()
for number in range(20):
    history.record(replace(TOKEN, serial=f"{sys.argv[3]}-{number}"), on_token(certificate), MONDAY)
"""


def test_two_processes_that_record_at_once_lose_nothing(
    path: Path, certificates: list[Certificate], tmp_path: Path
) -> None:
    (tmp_path / "certificate").write_bytes(certificates[0].encoded)
    command = [sys.executable, "-c", RECORDING, str(path), str(tmp_path / "certificate")]
    processes = [
        subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE) for name in ("a", "b")
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    serials = {entry.serial for entry in History(path).entries()}
    assert serials == {f"{name}-{number}" for name in "ab" for number in range(20)}


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"garbage",
        b"\xff\xfe\x00",
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"schema": "smime-agent.history/1"}',
        b'{"schema": "smime-agent.history/1", "certificates": [1, {}, {"certificate": "x"}]}',
        b'{"schema": 1, "certificates": []}',
        b'{"certificates": []}',
        b" " * (history_file.MAX_SIZE + 1),
        b"1" * 10_000,
    ],
    ids=lambda value: repr(value[:30]),
)
def test_garbage_is_set_aside_when_there_is_something_to_write(
    path: Path, certificates: list[Certificate], garbage: bytes
) -> None:
    path.parent.mkdir()
    path.write_bytes(garbage)
    complaints = Complaints()
    history = History(path, complaints)
    assert history.entries() == ()
    assert path.read_bytes() == garbage
    history.record(TOKEN, on_token(certificates[0]), MONDAY)
    assert [entry.certificate for entry in History(path).entries()] == [certificates[0]]
    assert path.with_name("history.json.damaged").read_bytes() == garbage
    assert len(complaints) == 1
    assert str(path) in complaints[0]


def test_what_is_whole_in_a_damaged_file_is_kept(path: Path, certificates: list[Certificate]) -> None:
    History(path).record(TOKEN, on_token(*certificates[:2]), MONDAY)
    values: dict[str, Any] = json.loads(path.read_bytes())
    damaged = b64encode(certificates[0].encoded).decode()
    (entry,) = (one for one in values["certificates"] if one["certificate"] == damaged)
    entry["certificate"] = b64encode(b"no certificate").decode()
    path.write_text(json.dumps(values))
    History(path).record(TOKEN, on_token(certificates[2]), TUESDAY)
    assert [entry.certificate for entry in History(path).entries()] == [certificates[2], certificates[1]]


def test_a_newer_file_is_left_alone(path: Path, certificates: list[Certificate]) -> None:
    path.parent.mkdir()
    newer = b'{"schema": "smime-agent.history/2", "certificates": [], "more": true}'
    path.write_bytes(newer)
    complaints = Complaints()
    history = History(path, complaints)
    history.record(TOKEN, on_token(certificates[0]), MONDAY)
    assert history.entries() == ()
    assert [one.name for one in path.parent.iterdir()] == ["history.json"]
    assert path.read_bytes() == newer
    assert len(complaints) == 1
    assert "newer" in complaints[0]


def test_a_fifo_is_not_waited_for(path: Path, certificates: list[Certificate]) -> None:
    path.parent.mkdir()
    os.mkfifo(path)
    History(path).record(TOKEN, on_token(certificates[0]), MONDAY)
    assert History(path).entries() == ()
    assert path.is_fifo()


def test_a_folder_that_cannot_be_made_keeps_nothing(tmp_path: Path, certificates: list[Certificate]) -> None:
    (tmp_path / "file").write_bytes(b"")
    complaints = Complaints()
    history = History(tmp_path / "file" / "history.json", complaints)
    history.record(TOKEN, on_token(certificates[0]), MONDAY)
    assert history.entries() == ()
    assert (tmp_path / "file").read_bytes() == b""


def test_a_lock_that_others_keep_is_not_waited_for_long(
    path: Path, certificates: list[Certificate], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_file, "_PATIENCE_SECONDS", 0.05)
    path.parent.mkdir()
    complaints = Complaints()
    with history_file.locked(path):
        History(path, complaints).record(TOKEN, on_token(certificates[0]), MONDAY)
    assert not path.exists()
    assert len(complaints) == 1


def test_a_folder_of_somebody_else_is_not_written_to(
    path: Path, certificates: list[Certificate], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: path.parent.parent.stat().st_uid + 1)
    History(path).record(TOKEN, on_token(certificates[0]), MONDAY)
    assert not path.parent.exists()


def test_the_file_stays_small_and_the_oldest_goes(path: Path, certificates: list[Certificate]) -> None:
    old = [
        replace(entry, serial=f"old {number}")
        for entry in _entries(path.with_name("one"), certificates[0])
        for number in range(history_file.MAX_ENTRIES)
    ]
    path.parent.mkdir(exist_ok=True)
    history_file.write(path, old)
    History(path).record(TOKEN, on_token(certificates[1]), TUESDAY)
    entries = History(path).entries()
    assert len(entries) == history_file.MAX_ENTRIES
    assert entries[0].certificate == certificates[1]
    assert path.stat().st_size < history_file.MAX_SIZE


def test_an_hsm_does_not_crowd_out_the_others(path: Path, certificates: list[Certificate]) -> None:
    history = History(path)
    history.record(OTHER, on_token(certificates[0]), MONDAY)
    one = certificates[1]
    many = [Certificate(one.encoded[:-3] + number.to_bytes(3, "big")) for number in range(1_200)]
    history.record(TOKEN, on_token(*many), TUESDAY)
    entries = history.entries()
    assert len(entries) < 300
    assert entries[-1].serial == OTHER.serial


def test_an_entry_is_never_larger_than_it_is_counted(path: Path, certificates: list[Certificate]) -> None:
    (entry,) = _entries(path, certificates[0])
    worst = replace(entry, label="\U0001f511" * 32, serial="\x7f" * 32, model="\u00e4" * 32, key_id=b"x" * 64)
    history_file.write(path, [])
    empty = path.stat().st_size
    history_file.write(path, [worst])
    assert path.stat().st_size - empty <= history_file.size_of(worst)


def _entries(path: Path, certificate: Certificate) -> tuple[Sighting, ...]:
    History(path).record(TOKEN, on_token(certificate), MONDAY)
    return History(path).entries()


_TEXT = st.text(max_size=20)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)
_ENTRY = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("certificate", "key_id", "has_key", "first_seen", "last_seen", "token"), _TEXT | _JSON),
)


@given(st.fixed_dictionaries({"schema": st.just("smime-agent.history/1"), "certificates": st.lists(_ENTRY)}))
@example({"schema": "smime-agent.history/1", "certificates": [{"certificate": "\ud800"}]})
def test_any_json_is_read_without_an_error(tmp_path_factory: pytest.TempPathFactory, value: dict[str, Any]) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(value))
    contents = history_file.read(path)
    assert contents.condition is (Condition.DAMAGED if value["certificates"] else Condition.WHOLE)
