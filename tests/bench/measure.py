"""Timing: rivals take turns, and medians are compared."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

# A small process between us and the one that is measured: what a child reports as its largest memory begins with that
# of the process it was started from. Its own start is not in the time.
_LAUNCHER = """
import json, os, sys, time
out = os.open(os.devnull, os.O_WRONLY)
begin = time.perf_counter()
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, out, 1)])
_, status, usage = os.wait4(child, 0)
seconds = time.perf_counter() - begin
print(json.dumps([os.waitstatus_to_exitcode(status), seconds, usage.ru_maxrss]))
"""


class BenchError(Exception):
    """A rival failed: there is nothing to compare with."""


@dataclass(frozen=True)
class Ran:
    """How long a process took, and the memory of its largest descendant or itself, in KiB."""

    seconds: float
    peak_kib: int


def run(command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, descriptors: Sequence[int] = ()) -> Ran:
    """Run a command to its end, its standard output discarded.

    Raises:
        BenchError: it failed.
    """
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _LAUNCHER, *map(str, command)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**os.environ, **(env or {})},
        pass_fds=tuple(descriptors),
        check=False,
    )
    code, seconds, peak = json.loads(done.stdout or "[1, 0, 0]")
    if done.returncode or code:
        msg = f"{' '.join(map(str, command))}: {done.stderr.decode(errors='replace').strip()}"
        raise BenchError(msg)
    return Ran(seconds, peak)


def timed(call: Callable[[], object]) -> float:
    """The seconds that a call takes."""
    begin = perf_counter()
    call()
    return perf_counter() - begin


def in_turns(rivals: Mapping[str, Callable[[], float]], rounds: int, *, warm_up: bool = True) -> dict[str, list[float]]:
    """Each rival's measurements, one a round: A B C, then C B A, so that a drift of the machine favours nobody."""
    if warm_up:
        for rival in rivals.values():
            rival()
    results: dict[str, list[float]] = {name: [] for name in rivals}
    for number in range(rounds):
        names = list(rivals) if number % 2 == 0 else list(reversed(list(rivals)))
        for name in names:
            results[name].append(rivals[name]())
    return results


def median_ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """The median of the ratios of each round."""
    return median(a / b for a, b in zip(over, under, strict=True))
