"""The results: a table for the terminal, a page and a chart for the documentation."""

from __future__ import annotations

import os
import platform
import re
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from tests.bench import strangers
from tests.bench.row import Better

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.row import Row

DOCS = Path(__file__).resolve().parents[2] / "docs"
_HEADS = ("what", "ours", "peer", "ratio", "target", "")

_PAGE = """# Benchmarks

`make bench` measures these, and `python -m tests.bench --write` writes this page. Each line is a ratio to a named peer
in the same run: the rivals take turns (A B C, C B A, ...), and the median of the rounds counts.

![The ratios below as bars](benchmarks.svg)

{table}

Measured on {date}: {machine}.

- {versions}.
- The token is SoftHSM, which signs in memory: on a card one signature takes longer than all else here together.
- The peer in mails a second is a loop of `C_SignInit` and `C_Sign` through python-pkcs11: no mail, no file, no CMS.
  The library runs beside it in one process; `sign --output-dir` is compared with a script that does the same, and both
  pay for their start. `without the start` takes off what the same command takes for one mail.
- Mails are 10 kB of text with ten header fields, every other with CRLF line ends, the rest with LF. Each run writes
  into a new folder. Mails, results, token and the large file are on one file system ({filesystem}).
- `gpgsm` has its agent running, checks no revocation lists, and gets the passphrase through a descriptor.
- `openssl cms -sign -binary -outform DER` has its key in an unencrypted file.
- Mails are verified with a chain of leaf, issuer and root, RSA-2048 each, and revocation off; `warm` is the second time
  that the chain is seen. The peer of a rate is a loop in `cryptography`: SHA-256 of the mail, and one RSA signature.
- `openssl cms -verify -out /dev/null` trusts the same root. A cached CRL is one on the disk, which each run reads anew.
- Memory is the largest resident set of any process of the command.
"""


def table(rows: Sequence[Row]) -> str:
    """Columns for the terminal."""
    lines = [_HEADS, *map(_cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def page(rows: Sequence[Row], folder: Path) -> str:
    """The page in Markdown."""
    lines = [_HEADS, ("---",) * len(_HEADS), *(_cells(row, code="`") for row in rows)]
    return _PAGE.format(
        table="\n".join(f"| {' | '.join(line)} |" for line in lines),
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        machine=machine(),
        versions=", ".join(versions()),
        filesystem=filesystem(folder),
    )


def machine() -> str:
    """The processor and the operating system, and whether all of this ran before everything else."""
    names = re.findall(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    alone = "" if os.sched_getscheduler(0) == os.SCHED_OTHER else ", with real-time priority"
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} processors, {system}{alone}"


def versions() -> list[str]:
    """What was measured, and with what."""
    packages = ("smime-agent", "python-pkcs11", "cryptography")
    return [
        *(f"{package} {version(package)}" for package in packages),
        f"Python {platform.python_version()}",
        f"SoftHSM {strangers.version('softhsm2-util', '--version')}",
        re.sub(r" \(Library.*", "", strangers.version("openssl", "version")),
        strangers.version("gpgsm", "--version"),
    ]


def filesystem(folder: Path) -> str:
    """The kind of file system that a folder is on."""
    mounts = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    around = [(len(point), kind) for point, kind in mounts if folder.is_relative_to(point)]
    return max(around)[1]


def _cells(row: Row, *, code: str = "") -> tuple[str, ...]:
    texts = (row.what, row.ours, row.peer, row.ratio_text, row.target_text, row.verdict)
    return tuple(text.replace("`", code) for text in texts)


# --- the chart ---

_WIDTH, _LEFT, _BAR, _STEP, _TOP = 960, 430, 410, 34, 46
_STYLE = """
.card{fill:#fff;stroke:#d0d7de}.text{fill:#1f2328}.quiet{fill:#59636e}.axis{stroke:#d0d7de}.target{stroke:#1f2328}
.ours{fill:#0969da}.missed{fill:#cf222e}.plain{fill:#8c959f}
text{font:13px system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif}.head{font-weight:600;font-size:14px}
@media(prefers-color-scheme:dark){
.card{fill:#0d1117;stroke:#3d444d}.text{fill:#f0f6fc}.quiet{fill:#9198a1}.axis{stroke:#3d444d}.target{stroke:#f0f6fc}
.ours{fill:#4493f8}.missed{fill:#f85149}.plain{fill:#656c76}}
"""


def chart(rows: Sequence[Row]) -> str:
    """The same as SVG, for light and for dark pages."""
    rates = [row for row in rows if row.better is Better.MORE]
    costs = [row for row in rows if row.better is Better.LESS]
    first = _panel("Rate as a multiple of the peer's: longer is better", rates, _TOP, 2.0)
    second_top = _TOP + _STEP * len(rates) + 64
    second = _panel("Time and memory as a share of what is allowed: shorter is better", costs, second_top, 1.25)
    height = second_top + _STEP * len(costs) + 50
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="Benchmarks of smime-agent">\n<style>{_STYLE}</style>\n'
        f'<rect class="card" x=".5" y=".5" width="{_WIDTH - 1}" height="{height - 1}" rx="8"/>\n'
        f"{first}{second}"
        f'<path class="target" stroke-width="3" d="M21.5 {height - 29}v16"/>\n'
        f'<text class="text" x="30" y="{height - 16}">target</text>\n'
        f'<rect class="ours" x="92" y="{height - 27}" width="12" height="12" rx="2"/>\n'
        f'<text class="text" x="110" y="{height - 16}">met</text>\n'
        f'<rect class="missed" x="152" y="{height - 27}" width="12" height="12" rx="2"/>\n'
        f'<text class="text" x="170" y="{height - 16}">missed</text>\n'
        f'<rect class="plain" x="236" y="{height - 27}" width="12" height="12" rx="2"/>\n'
        f'<text class="text" x="254" y="{height - 16}">no target</text>\n'
        f'<text class="quiet" x="{_WIDTH - 20}" y="{height - 16}" text-anchor="end">'
        f"{datetime.now(UTC):%Y-%m-%d}, {escape(machine())}</text>\n</svg>\n"
    )


def _panel(title: str, rows: Sequence[Row], top: int, longest: float) -> str:
    """Bars under a title; ``longest`` is what the full width stands for."""
    parts = [f'<text class="head text" x="20" y="{top - 16}">{escape(title)}</text>\n']
    for number, row in enumerate(rows):
        share = row.ratio if row.better is Better.MORE else row.ratio / (row.target or 1)
        goal = row.target if row.better is Better.MORE else 1.0
        y = top + _STEP * number
        length = _BAR * min(share / longest, 1)
        kind = {True: "ours", False: "missed", None: "plain"}[row.met]
        parts += (
            f'<text class="text" x="{_LEFT - 12}" y="{y + 15}" text-anchor="end">{escape(_short(row))}</text>\n',
            f'<rect class="{kind}" x="{_LEFT}" y="{y + 2}" width="{length:.1f}" height="18" rx="2"/>\n',
        )
        if goal is not None:
            x = _LEFT + _BAR * goal / longest
            parts.append(f'<path class="target" stroke-width="3" d="M{x:.1f} {y - 2}v26"/>\n')
        end = _LEFT + max(length, _BAR * goal / longest if goal is not None and goal > share * 0.8 else 0) + 10
        text = row.ratio_text if row.unit else f"{row.ratio:.2f} x"
        parts.append(f'<text class="text" x="{end:.1f}" y="{y + 15}">{escape(text)}</text>\n')
    bottom = top + _STEP * len(rows) - 8
    parts.append(f'<path class="axis" d="M{_LEFT} {top - 6}V{bottom}"/>\n')
    return "".join(parts)


def _short(row: Row) -> str:
    """A label that fits beside a bar."""
    what = row.what.replace("`", "").replace(" from the shell", "")
    what = what.replace("one mail, RSA-2048, smime-agent sign", "one smime-agent sign")
    what = what.replace("through ", "").replace("without the start", "no start")
    what = what.replace("what this machine gives: two scripts of C_Sign alone, RSA-2048", "two scripts of C_Sign alone")
    if row.better is Better.LESS and not row.unit:
        return f"{what} / {row.peer.split('`')[1]}"
    return what
