"""Hold the help in README.md to what the program prints.

README.md has a fenced block between the lines ``<!-- help:begin -->`` and ``<!-- help:end -->``. It has to be what
``smime-agent --help`` prints on 80 columns. With ``--write`` it is put there.
"""

from __future__ import annotations

import argparse
import difflib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
COMMAND = Path(sys.executable).parent / "smime-agent"  # of the environment that runs this script

BEGIN = "<!-- help:begin -->"
END = "<!-- help:end -->"

# Nothing of the caller's: a FORCE_COLOR or a narrow window would change the help.
ENVIRONMENT = {
    "PATH": os.environ.get("PATH", os.defpath),
    "HOME": os.environ.get("HOME", "/"),
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "NO_COLOR": "1",
    "COLUMNS": "80",
}


def printed() -> list[str]:
    """The lines of the block as they should be, the fence included."""
    done = subprocess.run([COMMAND, "--help"], env=ENVIRONMENT, check=True, stdout=subprocess.PIPE, encoding="utf-8")
    lines = [line.rstrip() for line in done.stdout.strip("\n").splitlines()]
    return ["```text", *lines, "```"]


def main() -> int:
    """Compare or write; the exit code is 1 when the README is out of date."""
    parser = argparse.ArgumentParser(description="Hold the help in README.md to what the program prints.")
    parser.add_argument("--write", action="store_true", help="write the block instead of comparing it")
    write: bool = parser.parse_args().write

    lines = README.read_text(encoding="utf-8").splitlines()
    if lines.count(BEGIN) != 1 or lines.count(END) != 1 or lines.index(BEGIN) > lines.index(END):
        print(f"README.md: one line {BEGIN} and, below it, one line {END} are needed", file=sys.stderr)
        return 1
    begin, end = lines.index(BEGIN) + 1, lines.index(END)
    should, written = printed(), lines[begin:end]
    if written == should:
        return 0
    if write:
        lines[begin:end] = should
        README.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return 0
    print(*difflib.unified_diff(written, should, "README.md", "smime-agent --help", lineterm=""), sep="\n")
    print("README.md is out of date: tools/check_readme.py --write, or make format", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
