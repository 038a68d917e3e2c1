"""Run every comparison and print a table; the exit code says nothing about the numbers: a clock is no test."""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path

from tests.bench import report
from tests.bench.comparisons import FULL, QUICK, rows
from tests.bench.setting import Setting

_MEMORY = Path("/dev/shm")
_NEEDED = 4 << 30


def main() -> None:
    """Measure, print, and perhaps write."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Ratios to named peers, in one run.")
    parser.add_argument("--quick", action="store_true", help="a minute's worth, to see that all of it runs")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md and docs/benchmarks.svg")
    parser.add_argument("--folder", type=Path, default=_folder(), help="where the files go (now: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=arguments.folder) as name:
        folder = Path(name).resolve()
        found = []
        for row in rows(Setting.made(folder), QUICK if arguments.quick else FULL):
            print(f"{row.what.replace('`', '')}: {row.ratio_text} {row.verdict}".rstrip(), flush=True)
            found.append(row)
        print(f"\n{report.machine()}\n{', '.join(report.versions())}; files on {report.filesystem(folder)}\n")
        print(report.table(found))
        if arguments.write:
            (report.DOCS / "benchmarks.md").write_text(report.page(found, folder))
            (report.DOCS / "benchmarks.svg").write_text(report.chart(found))


def _folder() -> Path:
    """In memory where there is room: ext4 is slow to make files for minutes after many were deleted."""
    if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free >= _NEEDED:
        return _MEMORY
    return Path(tempfile.gettempdir())


if __name__ == "__main__":
    main()
