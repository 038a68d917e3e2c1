"""Build the wheel, look inside, install it into a fresh environment, run it there.

An editable installation hides what a wheel lacks: a file that is not packed, a dependency that is not declared.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# What the caller set for this tree may not reach the fresh environment.
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}


def run(*command: str | Path, cwd: Path) -> str:
    """Run to the end and give the output; what fails says so on standard error, and ends the script."""
    done = subprocess.run(command, cwd=cwd, env=ENVIRONMENT, check=False, stdout=subprocess.PIPE, encoding="utf-8")
    if done.returncode:
        sys.exit(f"{done.stdout}wheel: exit code {done.returncode} from: {' '.join(map(str, command))}")
    return done.stdout


def build(folder: Path) -> Path:
    """The wheel of this tree, in ``folder``."""
    run(sys.executable, "-m", "pip", "wheel", "-qq", "--no-deps", "--wheel-dir", folder, ROOT, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


def look_inside(wheel: Path) -> None:
    """Only the package and its metadata, the whole of it, and the mark that it is typed."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    package = {name for name in names if name.startswith("smime_agent/")}
    metadata = {name for name in names if name.split("/")[0].endswith(".dist-info")}
    source = ROOT / "agent"
    sources = {str(path.relative_to(source)) for path in source.rglob("*.py")}
    if strangers := names - package - metadata:
        sys.exit(f"wheel: does not belong there: {sorted(strangers)}")
    if lost := (sources | {"smime_agent/py.typed"}) - package:
        sys.exit(f"wheel: left out: {sorted(lost)}")
    if not any(name.endswith("/licenses/LICENSE") for name in metadata):
        sys.exit("wheel: without its licence")


def try_out(wheel: Path, folder: Path) -> None:
    """Install with what the wheel declares, then start the command and import the package, away from this tree."""
    venv.create(folder / "venv", with_pip=True, symlinks=True)
    programs = folder / "venv" / "bin"
    run(programs / "python", "-m", "pip", "install", "-qq", wheel, cwd=folder)
    run(programs / "python", "-m", "pip", "check", cwd=folder)
    version = run(programs / "smime-agent", "--version", cwd=folder).strip()
    if wheel.name.split("-")[1] not in version.split():
        sys.exit(f"wheel: {wheel.name} says that it is {version!r}")
    if "Usage" not in run(programs / "smime-agent", "--help", cwd=folder):
        sys.exit("wheel: --help does not show the usage")
    run(programs / "python", "-W", "error", "-c", "import smime_agent", cwd=folder)


def main() -> None:
    """Everything in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="smime-agent-wheel-") as name:
        folder = Path(name)
        wheel = build(folder)
        look_inside(wheel)
        try_out(wheel, folder)
        print(f"{wheel.name} installs and runs")


if __name__ == "__main__":
    main()
