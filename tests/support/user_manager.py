"""A real ``systemd --user`` of a person without privileges, in a corner of this machine that is gone afterwards.

It has processes, mounts, a net, ``/run`` and a branch of cgroup v2 of its own. That takes root and a machine that is
no locked-down container; :func:`is_possible` tells.

With rules for udev it has a udevd too. A device comes and goes with a file: while ``plugged`` is in the home, there is
a network bridge ``reader0``, which is the one device that a kernel can always make and take away.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

_USER: Final = "4242"  # nobody's
_MANAGER: Final = "/lib/systemd/systemd"

# As root of the new namespaces; $1 is a shell script for the person.
_INSIDE: Final = f"""
mount --make-rprivate /
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
chown -R {_USER}:{_USER} /sys/fs/cgroup
mount -t tmpfs -o mode=0755 run /run
mkdir -p /run/systemd/system /run/user/{_USER} /run/home
chown {_USER}:{_USER} /run/user/{_USER} /run/home
chmod 700 /run/user/{_USER}
if [ -n "$RULES" ]; then
    # udevd hears of all devices, and the files of this machine's are not its.
    mount -t tmpfs -o mode=0755 dev /dev
    mknod -m 666 /dev/null c 1 3
    mknod -m 666 /dev/urandom c 1 9
    mkdir -p /run/udev/rules.d
    printf %s "$RULES" >/run/udev/rules.d/60-test.rules
    /lib/systemd/systemd-udevd --daemon --resolve-names=never
    "$PYTHON" -c "$DEVICE" &
fi
cd /run/home
exec setpriv --reuid {_USER} --regid {_USER} --clear-groups --inh-caps=-all \
    env -i HOME=/run/home PATH="$PATH" LANG=C.UTF-8 XDG_RUNTIME_DIR=/run/user/{_USER} PYTHONPATH="$PYTHONPATH" \
    bash -euc "$1"
"""

# 0x89a0 and 0x89a1 are SIOCBRADDBR and SIOCBRDELBR: ioctls, for a small system has no ip(8).
_DEVICE: Final = """
import fcntl, os, socket, time
control, there = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), False
while True:
    if os.path.exists("/run/home/plugged") != there:
        there = not there
        fcntl.ioctl(control, 0x89A0 if there else 0x89A1, b"reader0" + bytes(9))
    time.sleep(0.05)
"""

# Before the script that is given: wait for the manager, and end it whatever comes.
_WITH_MANAGER: Final = f"""
cat > script
{_MANAGER} --user --log-target=console --log-level=notice >manager.log 2>&1 &
manager=$!
trap 'systemctl --user exit 2>/dev/null; wait $manager || true; cat manager.log >&2' EXIT
for _ in $(seq 100); do
    systemctl --user is-system-running >/dev/null 2>&1 && break
    sleep 0.1
done
bash -euo pipefail script
"""


def run(script: str, rules: str = "", timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run a shell script beside a user manager; its folder is an empty home. Standard error ends with what it logs."""
    return _in_namespaces(_WITH_MANAGER, script, timeout, RULES=rules)


@cache
def is_possible() -> bool:
    """Whether this machine lets us make the namespaces, and the person can read this project."""
    if os.geteuid() != 0 or not Path(_MANAGER).exists():
        return False
    with suppress(OSError, subprocess.SubprocessError):
        return _in_namespaces(f"{sys.executable} -c 'import smime_agent'", "", 30).returncode == 0
    return False


def _in_namespaces(command: str, stdin: str, timeout: float, **more: str) -> subprocess.CompletedProcess[str]:
    source = str(Path(__file__).resolve().parents[2] / "agent")
    environment = {**os.environ, "PYTHONPATH": source, "PYTHON": sys.executable, "DEVICE": _DEVICE, "RULES": "", **more}
    with suppress(FileNotFoundError):
        return _in_a_branch(_cgroup2(), command, stdin, timeout, environment)
    return subprocess.CompletedProcess([], 1, "", "no cgroup v2")


def _cgroup2() -> Path:
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(where)
    raise FileNotFoundError


def _in_a_branch(
    root: Path, command: str, stdin: str, timeout: float, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    branch = root / f"smime-agent-test-{os.getpid()}"
    branch.mkdir(exist_ok=True)
    unshare = "unshare -m -n -p -f -C --kill-child --mount-proc"
    entered = f'echo $$ > "{branch}/cgroup.procs"; exec {unshare} bash -ec "$0" x "$1"'
    try:
        return subprocess.run(
            ["bash", "-ec", entered, _INSIDE, command],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=environment,
            check=False,
        )
    finally:
        _remove(branch)


def _remove(branch: Path) -> None:
    """The processes are gone with their namespace; the folders of a hierarchy are removed from below."""
    for folder, _, _ in sorted(os.walk(branch), reverse=True):
        with suppress(OSError):
            Path(folder).rmdir()
