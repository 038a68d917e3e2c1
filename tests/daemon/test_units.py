"""The units, judged by systemd: its checks, its score, and a user manager that runs them."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from smime_agent.daemon import units
from smime_agent.errors import UsageError
from tests.support import user_manager
from tests.support.softhsm import MODULE

if TYPE_CHECKING:
    from collections.abc import Sequence

SUPPORT = Path(__file__).parents[1] / "support"

#: Tenths of systemd's score for smime-agent.service; less is better, and it is not to rise.
WORST_SCORE: Final = 59
#: The same once it is counted what a user manager gives of itself: a user, and none of root's capabilities.
WORST_SCORE_OF_A_USER: Final = 35


def written(folder: Path, program: Sequence[str] = (sys.executable,)) -> list[Path]:
    """The units in a folder; the template has an instance."""
    files = []
    for text in units.units(program):
        path = folder / text.name
        path.write_text(text.content, encoding="utf-8")
        files.append(path.with_name(path.name.replace("@.", "@sys-devices-reader.")))
    return files


def analyze(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": str(folder), "HOME": str(folder), "LANG": "C.UTF-8"}
    return subprocess.run(
        ["systemd-analyze", "--user", *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.interop
@pytest.mark.parametrize("name", ["plain", "a b", "100%n", "$HOME", "${HOME}x", "ünï"])
def test_systemd_has_nothing_to_say_wherever_the_program_is(tmp_path: Path, name: str) -> None:
    program = tmp_path / name
    program.symlink_to(sys.executable)
    done = analyze(tmp_path, "verify", "--man=no", *written(tmp_path, [str(program)]))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.interop
def test_systemd_does_say_something_of_a_program_that_is_not_there(tmp_path: Path) -> None:
    done = analyze(tmp_path, "verify", "--man=no", *written(tmp_path, ["/nonexistent/smime-agent"]))
    assert "/nonexistent/smime-agent is not executable" in done.stderr


@pytest.mark.parametrize("name", ["a\nExecStartPre=/bin/false", 'a"b', "a'b", "a\\b", "a\x7f", "a\udcff"])
def test_a_path_that_systemd_cannot_take_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot stand in a unit"):
        units.units([f"/opt/{name}"])


@pytest.mark.interop
def test_the_score_does_not_get_worse(tmp_path: Path) -> None:
    assert score(tmp_path, "") <= WORST_SCORE


@pytest.mark.interop
def test_the_score_as_a_user_does_not_get_worse(tmp_path: Path) -> None:
    # Not in the unit: a user manager is no root, has no capabilities, and fails when it is to take them away.
    assert score(tmp_path, "[Service]\nUser=somebody\nCapabilityBoundingSet=\n") <= WORST_SCORE_OF_A_USER


def score(folder: Path, more: str) -> int:
    service = next(path for path in written(folder) if path.name == units.SERVICE)
    service.write_text(service.read_text(encoding="utf-8") + more, encoding="utf-8")
    done = analyze(folder, "security", "--offline=true", "--no-pager", service)
    found = re.search(r"Overall exposure level for .*: (\d+)\.(\d) ", done.stdout)
    assert found, done.stderr
    return int(found[1] + found[2])


def test_no_directive_that_a_user_manager_cannot_keep() -> None:
    given = {line.partition("=")[0] for line in units.units(["/x"])[1].content.splitlines() if not line.startswith("#")}
    assert not {name for name in given if name.startswith(("Protect", "Private", "Capability", "Device", "IPAddress"))}


def test_each_text_is_known_as_ours() -> None:
    assert all(text.is_ours for text in (*units.units(["/x"]), units.rules()))


def test_a_text_that_only_tells_of_us_is_not_ours() -> None:
    assert not units.Text("x", f"# see also: {units.MARK}\n").is_ours


# The units as they run. A container may forbid the namespaces for that, and there these tests are not there: what they
# show of systemd does not depend on the machine.

if user_manager.is_possible():
    INSTALL = f"""
mkdir -p .config/systemd/user
cp {shlex.quote(str(SUPPORT / "stub_agent.py"))} 'stub 100%$HOME.py'
{shlex.quote(sys.executable)} - <<'END'
from pathlib import Path
from smime_agent.daemon import units
for text in units.units([{sys.executable!r}, "/run/home/stub 100%$HOME.py", {MODULE!r}]):
    Path(".config/systemd/user", text.name).write_text(text.content)
END
systemctl --user daemon-reload
"""
    TELL = "import json, sys; print(json.dumps({name: open(name).read() for name in sys.argv[1:]}))"
    ASK = f"{shlex.quote(sys.executable)} 'stub 100%$HOME.py' ask"

    @pytest.fixture(scope="module")
    def facts() -> dict[str, Any]:
        """What an agent finds out about its own sandbox, that a client started through the socket."""
        done = user_manager.run(f"""{INSTALL}
systemctl --user enable --now -q smime-agent.socket
stat -c '%a %F' $XDG_RUNTIME_DIR/smime-agent $XDG_RUNTIME_DIR/smime-agent/agent.sock >modes
{ASK} >facts
systemctl --user show -p StatusText --value smime-agent.service >status
systemctl --user reload smime-agent.service
systemctl --user stop smime-agent.service
systemctl --user is-active smime-agent.socket >after_stop || true
{ASK} >again
systemctl --user stop smime-agent.socket
systemctl --user is-active smime-agent.service >>after_stop || true
ls $XDG_RUNTIME_DIR/smime-agent >left
{shlex.quote(sys.executable)} -c '{TELL}' modes status log after_stop left
cat facts
""")
        assert done.returncode == 0, done.stdout + done.stderr
        return {key: value for line in done.stdout.splitlines() for key, value in json.loads(line).items()}

    @pytest.mark.interop
    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("what", "found"),
        [
            ("modes", "700 directory\n600 socket\n"),
            ("status", "ready\n"),
            ("arguments", ["agent", "run"]),
            ("socket", "/run/user/4242/smime-agent/agent.sock"),
            ("umask", 0o077),
            ("core", [0, 0]),
            ("memory lock is the most", True),
            ("no new privileges", True),
            ("program of the client", True),
            ("own user namespace", False),
            ("callback of ctypes", 3),
            ("writable and executable memory", "PermissionError"),
            ("socket of the net", "OSError: Address family not supported by protocol"),
            ("namespace", "PermissionError"),
            ("memory of another process", "PermissionError"),
            ("a limit of its own", [64, 64]),
            ("signature by SoftHSM", True),
            ("PC/SC", "there is no pcscd"),
            ("pinentry-tty", "OK"),
            ("pinentry-curses", "OK"),
            # Started once, reloaded, stopped; the socket stays and starts it again; without the socket it is stopped.
            ("log", "started\nlocked\nstopped\nstarted\nstopped\n"),
            ("after_stop", "active\ninactive\n"),
            ("left", ""),
        ],
    )
    def test_in_the_sandbox(facts: dict[str, Any], what: str, found: object) -> None:
        assert facts[what] == found

    @pytest.mark.interop
    @pytest.mark.slow
    def test_a_crash_is_followed_by_a_start_and_a_wrong_configuration_is_not() -> None:
        done = user_manager.run(f"""{INSTALL}
systemctl --user start smime-agent.service
systemctl --user kill --signal=KILL smime-agent.service
for _ in $(seq 100); do [ $(grep -c started log) = 2 ] && break; sleep 0.1; done
touch wrong
systemctl --user kill --signal=KILL smime-agent.service
for _ in $(seq 100); do systemctl --user is-failed -q smime-agent.service && break; sleep 0.1; done
sleep 1
cat log
systemctl --user show -p ExecMainStatus smime-agent.service
""")
        assert done.stdout == "started\nstarted\nwrong\nExecMainStatus=2\n", done.stderr

    @pytest.mark.interop
    @pytest.mark.slow
    def test_a_reader_starts_the_socket_and_locks_when_it_goes() -> None:
        rules = units.rules().content
        for usb, bridge in (
            ('SUBSYSTEM!="usb"', 'SUBSYSTEM!="net"'),
            ('ENV{DEVTYPE}!="usb_device"', 'KERNEL!="reader0"'),
            ('ENV{ID_USB_INTERFACES}=="*:0b????:*"', 'KERNEL=="reader0"'),
        ):
            assert rules.count(usb) == 1
            rules = rules.replace(usb, bridge)
        done = user_manager.run(
            f"""{INSTALL}
wait_for() {{ for _ in $(seq 100); do eval "$1" && return; sleep 0.1; done; echo "in vain: $1"; }}
systemctl --user is-active smime-agent.socket || true
touch plugged
wait_for 'systemctl --user is-active -q smime-agent.socket "smime-agent-token@*.service"'
wait_for '[ "$(systemctl --user list-units --plain --no-legend "smime-agent-token@*")" ]'
systemctl --user list-units --plain --no-legend 'smime-agent-token@*' | awk '{{ print $1, $3 }}'
rm plugged; wait_for '[ ! "$(systemctl --user list-units --plain --no-legend "smime-agent-token@*")" ]'
echo "an agent that does not run is not started: $(cat log 2>/dev/null)"
touch plugged
wait_for '[ "$(systemctl --user list-units --plain --no-legend "smime-agent-token@*")" ]'
systemctl --user start smime-agent.service
rm plugged
wait_for 'grep -q locked log'
cat log
systemctl --user is-active smime-agent.service
""",
            rules,
        )
        assert done.stdout.splitlines() == [
            "inactive",
            "smime-agent-token@sys-devices-virtual-net-reader0.service active",
            "an agent that does not run is not started: ",
            "started",
            "locked",
            "active",
        ], done.stderr
