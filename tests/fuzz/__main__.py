"""``python -m tests.fuzz --seconds 120 [TARGET...]``: all targets side by side; the exit code is 1 if one has findings.

The time is that of the whole run. Findings and what was learnt stay in ``build/fuzz``.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.fuzz.runner import coverage_guide
from tests.fuzz.targets import TARGETS

_ROOT: Final = Path(__file__).resolve().parents[2]
_GRACE: Final = 60  # seconds, for its start and for what takes long
_RUNS: Final = re.compile(r"number_of_executed_units: (\d+)")
_COVERAGE: Final = re.compile(r"cov: (\d+) ft: (\d+)")


@dataclass(frozen=True)
class Outcome:
    """What became of one target."""

    name: str
    runs: int
    coverage: str
    problems: tuple[str, ...]

    def __str__(self) -> str:
        """One line, and one for each finding."""
        head = f"{self.name:<12} {self.runs:>9,} runs  {self.coverage:<28} {len(self.problems)} findings"
        return "\n  ".join((head, *self.problems))


def main() -> int:
    """Fuzz, and say what came out."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=120, help="for the whole run (now: %(default)s)")
    parser.add_argument("--folder", type=Path, default=_ROOT / "build" / "fuzz", help="(now: %(default)s)")
    arguments = parser.parse_args()
    names = arguments.targets or list(TARGETS)
    if unknown := set(names) - set(TARGETS):
        parser.error(f"there is no target {', '.join(sorted(unknown))}")
    begin = time.monotonic()
    shutil.rmtree(arguments.folder / "seeds", ignore_errors=True)
    shutil.rmtree(arguments.folder / "findings", ignore_errors=True)
    _run("-c", "import sys, pathlib; from tests.fuzz import seeds; seeds.write(pathlib.Path(sys.argv[1]))",
         str(arguments.folder / "seeds"))  # fmt: skip
    left = max(arguments.seconds - (time.monotonic() - begin), 1)
    cores = len(os.sched_getaffinity(0))
    shares = sum(TARGETS[name].share for name in names)
    unit = left * min(cores, len(names)) / shares
    names.sort(key=lambda name: -TARGETS[name].share)  # the longest first, so that all end together
    how = "coverage-guided" if coverage_guide() else "without atheris: blind mutation"
    _say(f"fuzzing {len(names)} targets for {arguments.seconds} s on {cores} processors, {how}")
    failed = False
    with ThreadPoolExecutor(cores) as pool:
        for outcome in pool.map(
            lambda name: _fuzzed(name, arguments.folder, min(unit * TARGETS[name].share, left)), names
        ):
            _say(str(outcome))
            failed = failed or bool(outcome.problems)
    return int(failed)


def _fuzzed(name: str, folder: Path, seconds: float) -> Outcome:
    whole = max(int(seconds), 1)
    command = ("-m", "tests.fuzz.runner", name, "--folder", str(folder), "--seconds", str(whole))
    problems = []
    try:
        done = _run(*command, timeout=whole + _GRACE, check=False)
        output, code = done.stderr, done.returncode
    except subprocess.TimeoutExpired as error:
        output, code = (error.stderr or b"").decode(errors="replace"), 0
        problems.append("it hangs")
    runs, coverage = _RUNS.findall(output), _COVERAGE.findall(output)
    found = folder / "findings" / name
    problems += [f"{path.with_suffix('.bin')}: {_first_line(path)}" for path in sorted(found.glob("*.txt"))]
    problems += [f"{path}: it ends the process" for path in sorted(found.glob("*-*"))]  # crash-, timeout-, oom-
    if code and not problems:
        problems.append(f"the fuzzer itself failed: {output.strip()[-1000:]}")
    reached = f"{coverage[-1][0]} edges, {coverage[-1][1]} features" if coverage else "coverage unknown"
    return Outcome(name, int(runs[-1]) if runs else 0, reached, tuple(problems))


def _first_line(path: Path) -> str:
    return path.read_text(encoding="utf-8").partition("\n")[0]


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _run(*arguments: str, timeout: float | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=_ROOT, capture_output=True, text=True, errors="replace",
        timeout=timeout, check=check,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
