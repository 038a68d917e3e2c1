"""Audit logs to look at, with a clock that tests can foretell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from smime_agent.daemon.audit import MAX_SIZE, AuditLog
from smime_agent.daemon.audit_reading import files_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BEGIN = datetime(2026, 5, 17, 9, 30, tzinfo=UTC)

USE: dict[str, Any] = {
    "operation": "sign",
    "token": {"label": "office", "serial": "7349d91de9e8d685"},
    "key": {"id": "01", "label": "mail"},
    "digest": "sha256:" + "ab" * 32,
    "program": {"pid": 7, "name": "git", "executable": "/usr/bin/git", "parents": ["bash", "sshd"]},
}


def clock(begin: datetime = BEGIN) -> Callable[[], datetime]:
    """A second passes from line to line."""
    moment = begin

    def now() -> datetime:
        nonlocal moment
        moment += timedelta(seconds=1)
        return moment

    return now


def opened(folder: Path, *, max_size: int = MAX_SIZE, now: Callable[[], datetime] | None = None) -> AuditLog:
    """A log to write."""
    return AuditLog.open(folder, now=now or clock(), max_size=max_size)


def write_uses(folder: Path, count: int, *, max_size: int = MAX_SIZE) -> str:
    """Write ``count`` uses, each with its outcome; the head is returned."""
    with opened(folder, max_size=max_size) as log:
        for _ in range(count):
            use = log.append("use", **USE)
            log.append("outcome", of=use.sequence_number, outcome="done", pin="kept")
        return log.head


def octets_of(folder: Path) -> bytes:
    """All that is in the log."""
    return b"".join(path.read_bytes() for path in files_of(folder) if path.exists())
