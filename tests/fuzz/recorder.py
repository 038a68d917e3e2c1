"""Runs a target on one input after another, and keeps what went wrong: each place once."""

from __future__ import annotations

import hashlib
import resource
import sys
import time
import traceback
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECONDS: Final = 2.0  # twice what was promised, for slow machines
MIB: Final = 256
_PACKAGE: Final = "smime_agent"


class Recorder:
    """A target that raises nothing: inputs on which it fails, or which cost too much, become files in ``folder``."""

    def __init__(self, target: Callable[[bytes], None], folder: Path) -> None:
        """Nothing has been found yet."""
        self._target = target
        self._folder = folder
        self._seen: dict[str, int] = {}
        self.runs = 0

    def __call__(self, data: bytes) -> None:
        """Run it on one input."""
        self.runs += 1
        if problem := problem_of(self._target, data):
            name, detail = problem
            size = self._seen.get(name)
            if size is None or len(data) < size:  # the smallest input is kept
                self._seen[name] = len(data)
                place = self._folder / hashlib.sha256(name.encode()).hexdigest()[:12]
                place.with_suffix(".bin").write_bytes(data)
                place.with_suffix(".txt").write_text(f"{name}\n\n{detail}", encoding="utf-8", errors="backslashreplace")


def problem_of(target: Callable[[bytes], None], data: bytes) -> tuple[str, str] | None:
    """What is wrong with a target on this input: a name that is the same for the same mistake, and the details."""
    memory, begin = _peak_kib(), time.process_time()
    try:
        target(data)
    except Exception as error:  # noqa: BLE001 - any of them is a finding
        return _name(error), traceback.format_exc()
    seconds, grown = time.process_time() - begin, (_peak_kib() - memory) / 1024
    if seconds > SECONDS:
        return "it takes longer than two seconds", f"{seconds:.1f} s of the processor"
    if grown > MIB:
        return f"it takes more than {MIB} MiB", f"{grown:.0f} MiB"
    return None


def minimal(target: Callable[[bytes], None], data: bytes, seconds: float = 20) -> bytes:
    """A shorter input with the same problem."""
    problem = problem_of(target, data)
    if problem is None:
        return data
    end = time.monotonic() + seconds
    step = max(len(data) // 2, 1)
    while step and time.monotonic() < end:
        at = 0
        while at < len(data) and time.monotonic() < end:
            shorter = data[:at] + data[at + step :]
            found = problem_of(target, shorter)
            if found and found[0] == problem[0]:
                data = shorter
            else:
                at += step
        step //= 2
    return data


def _name(error: Exception) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if f"/{_PACKAGE}/" in frame.filename]
    frames = frames or list(traceback.extract_tb(error.__traceback__))
    last = frames[-1]
    where = f"{last.filename.rpartition(f'/{_PACKAGE}/')[2]}:{last.lineno} {last.name}"
    what = str(error).partition("\n")[0] if isinstance(error, AssertionError) else ""
    return f"{type(error).__name__} {what or where}"


def _peak_kib() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak
