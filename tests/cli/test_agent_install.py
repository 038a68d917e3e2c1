"""``agent install``: what it writes, what it leaves alone, and that systemd then starts the real agent."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
import typer

from smime_agent.cli import agent_install, unit_files
from smime_agent.daemon import units
from tests.support import user_manager

if TYPE_CHECKING:
    from tests.support.command import Command

NAMES: Final = ["smime-agent-token@.service", "smime-agent.service", "smime-agent.socket"]


@pytest.fixture
def install(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """The command alone, where no user manager of systemd answers."""
    monkeypatch.setattr("smime_agent.cli.app.command", lambda: typer.main.get_command(agent_install.app))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "no-runtime-directory"))
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    return command


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / ".config" / "systemd" / "user"


def test_the_units_are_written(install: Command, folder: Path) -> None:
    done = install("--no-start")
    assert (done.code, sorted(path.name for path in folder.iterdir())) == (0, NAMES)
    assert [line.split() for line in done.err.splitlines()[:3]] == [
        ["written", str(folder / name)] for name in ("smime-agent.socket", "smime-agent.service", NAMES[0])
    ]


def test_a_second_time_nothing_changes(install: Command, folder: Path) -> None:
    install("--no-start")
    before = {path.name: path.stat().st_ino for path in folder.iterdir()}
    assert install("--no-start").err.count("unchanged") == 3
    assert {path.name: path.stat().st_ino for path in folder.iterdir()} == before


def test_units_of_an_older_version_are_replaced(install: Command, folder: Path) -> None:
    install("--no-start")
    service = folder / units.SERVICE
    whole = service.read_text(encoding="utf-8")
    service.write_text(whole.replace("agent run", "agent serve"), encoding="utf-8")
    install("--no-start")
    assert service.read_text(encoding="utf-8") == whole


def test_a_file_of_somebody_else_stays_and_nothing_else_is_written(install: Command, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / units.SERVICE).write_text("[Service]\n", encoding="utf-8")
    done = install("--no-start")
    assert (done.code, str(folder / units.SERVICE) in done.err) == (2, True)
    assert [path.read_text(encoding="utf-8") for path in folder.iterdir()] == ["[Service]\n"]


def test_force_overwrites_it(install: Command, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / units.SERVICE).write_text("[Service]\n", encoding="utf-8")
    assert install("--no-start", "--force").code == 0
    assert units.MARK in (folder / units.SERVICE).read_text(encoding="utf-8")


def test_a_masked_unit_stays(install: Command, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / units.SOCKET).symlink_to("/dev/null")
    assert install("--no-start").code == 2
    assert (folder / units.SOCKET).is_symlink()


@pytest.mark.parametrize("target", ["/dev/null", "other"])
def test_force_replaces_a_link_and_not_what_it_leads_to(
    install: Command, folder: Path, tmp_path: Path, target: str
) -> None:
    folder.mkdir(parents=True)
    (tmp_path / "other").write_text("other", encoding="utf-8")
    (folder / units.SOCKET).symlink_to(tmp_path / target)
    assert install("--no-start", "--force").code == 0
    assert not (folder / units.SOCKET).is_symlink()
    assert (tmp_path / "other").read_text(encoding="utf-8") == "other"


def test_a_folder_in_the_way_is_told(install: Command, folder: Path) -> None:
    (folder / units.SOCKET).mkdir(parents=True)
    assert install("--no-start", "--force").err.startswith(f"smime-agent: error: cannot write {folder / units.SOCKET}")


def test_a_home_that_cannot_be_written_is_told(install: Command, tmp_path: Path) -> None:
    (tmp_path / ".config").write_text("a file", encoding="utf-8")
    done = install("--no-start")
    assert (done.code, "cannot" in done.err) == (2, True)


def test_the_folder_is_that_of_the_configuration(
    install: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "other"))
    install("--no-start")
    assert sorted(path.name for path in (tmp_path / "other" / "systemd" / "user").iterdir()) == NAMES


def test_a_relative_folder_of_the_configuration_is_none(
    install: Command, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "somewhere")
    install("--no-start")
    assert sorted(path.name for path in folder.iterdir()) == NAMES


def test_print_writes_nothing_and_shows_all(install: Command, tmp_path: Path) -> None:
    done = install("--print")
    shown = done.out.decode()
    assert list(tmp_path.iterdir()) == []
    assert all(text.content in shown for text in units.units(agent_install._program()))


def test_where_no_manager_answers_that_is_said_before_anything_is_written(install: Command, folder: Path) -> None:
    done = install()
    assert done.code == 2
    assert "your user manager of systemd does not answer" in done.err
    assert "'smime-agent agent start' runs the agent without systemd" in done.err
    assert not folder.exists()


def test_where_there_is_no_systemd_that_is_said(install: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert "there is no systemctl" in install().err


@pytest.mark.parametrize("other", ["--print", "--force"])
def test_uninstall_stands_alone(install: Command, other: str) -> None:
    assert install("--uninstall", other).code == 2


def test_the_program_is_named_as_it_was_called(
    install: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # As pipx has it: a link in a folder of the PATH, which stays where it is when a new version comes.
    (tmp_path / "smime-agent").symlink_to(sys.executable)
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "smime-agent"), "agent", "install"])
    assert f"ExecStart={tmp_path / 'smime-agent'} agent run" in install("--print").out.decode().replace('"', "")


def test_without_its_script_the_program_is_a_module(
    install: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "python").symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    shown = install("--print").out.decode().replace('"', "")
    assert f"ExecStart={tmp_path / 'python'} -P -m smime_agent agent run" in shown


# Which files are ours to remove


def files(folder: Path) -> list[unit_files.UnitFile]:
    return [unit_files.UnitFile(folder / text.name, text) for text in units.units(["/opt/smime-agent"])]


def test_what_was_written_is_removed_and_no_more(tmp_path: Path) -> None:
    ours = files(tmp_path)
    unit_files.write(ours, force=False)
    (tmp_path / "other.service").touch()
    assert unit_files.remove(ours)
    assert [path.name for path in tmp_path.iterdir()] == ["other.service"]


def test_what_somebody_else_wrote_is_not_removed(tmp_path: Path) -> None:
    ours = files(tmp_path)
    unit_files.write(ours, force=False)
    ours[1].path.write_text("[Service]\n", encoding="utf-8")
    unit_files.remove(ours)
    assert [path.name for path in tmp_path.iterdir()] == [units.SERVICE]


def test_where_nothing_is_nothing_is_removed(tmp_path: Path) -> None:
    assert not unit_files.remove(files(tmp_path))


def test_a_link_that_leads_nowhere_goes_with_its_unit(tmp_path: Path) -> None:
    ours = files(tmp_path)
    unit_files.write(ours, force=False)
    (tmp_path / "link").symlink_to(ours[0].path)
    unit_files.remove(ours, [tmp_path / "link"])
    assert list(tmp_path.iterdir()) == []


def test_a_link_to_the_unit_of_somebody_else_stays(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    (tmp_path / "link").symlink_to(tmp_path / "other")
    unit_files.remove(files(tmp_path), [tmp_path / "link"])
    assert (tmp_path / "link").is_symlink()


def test_a_program_that_only_root_can_change_is_fine() -> None:
    assert unit_files.who_else_can_change(Path("/usr/bin/env")) is None


@pytest.mark.parametrize("mode", [0o775, 0o757])
def test_a_program_that_others_can_change_is_noticed(tmp_path: Path, mode: int) -> None:
    program = tmp_path / "smime-agent"
    program.touch()
    program.chmod(mode)
    assert unit_files.who_else_can_change(program) == program


def test_a_folder_that_others_can_change_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "smime-agent").symlink_to("/usr/bin/env")
    (tmp_path / "bin").chmod(0o777)
    assert unit_files.who_else_can_change(tmp_path / "bin" / "smime-agent") == tmp_path / "bin"


# With systemd. The namespaces that it takes may be forbidden to a container, and there these tests are not there.

PYTHON: Final = shlex.quote(sys.executable)
COMMAND: Final = f"""
cat >install.py <<'END'
import sys, typer
import smime_agent.cli.app as app
from smime_agent.cli import agent_install
from smime_agent.cli.main import run
app.command = lambda: typer.main.get_command(agent_install.app)
sys.exit(run(sys.argv[1:]))
END
install() {{ {PYTHON} install.py "$@" 2>>told; }}
agent() {{ {PYTHON} -P -m smime_agent "$@" 2>>told; }}
"""
TOKEN: Final = """
mkdir -p tokens .config/smime-agent
echo "directories.tokendir = $PWD/tokens" >softhsm2.conf
export SOFTHSM2_CONF=$PWD/softhsm2.conf
systemctl --user set-environment SOFTHSM2_CONF=$SOFTHSM2_CONF
echo 'pin_source = "file:/run/home/pin"' >.config/smime-agent/config.toml
echo 123456 >pin
softhsm2-util --init-token --free --label office --pin 123456 --so-pin 123456 >/dev/null
agent key generate --token office --type rsa:2048 --usage sign --id 01 --label k >/dev/null
agent cert request --token office --key 01 --address a@example.org >request.pem
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=CA -days 2 2>/dev/null
printf 'subjectAltName=email:a@example.org\\nextendedKeyUsage=emailProtection\\nkeyUsage=digitalSignature\\n' >ext
openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -days 1 -extfile ext -out certificate.pem 2>/dev/null
agent cert import certificate.pem --token office
"""
MAIL: Final = r"""
printf 'From: a@example.org\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nhello\r\n' >mail.eml
"""


def with_systemd(script: str) -> str:
    done = user_manager.run(f"{COMMAND}{script}")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


if user_manager.is_possible():

    @pytest.mark.interop
    @pytest.mark.slow
    def test_systemd_starts_the_agent_in_its_sandbox_and_it_signs() -> None:
        said = with_systemd(f"""{TOKEN}{MAIL}
install
systemctl --user is-active smime-agent.service || true
agent sign mail.eml --token office --agent -o signed.eml
systemctl --user is-active smime-agent.service
openssl cms -verify -in signed.eml -CAfile ca.pem -purpose any 2>/dev/null | tail -1
agent agent status | grep -c "'office'.*logged in"
systemctl --user reload smime-agent.service
agent agent status | grep -c "'office'.*logged in" || true
""")
        assert [line.strip() for line in said.splitlines()] == ["inactive", "active", "hello", "1", "0"]

    @pytest.mark.interop
    @pytest.mark.slow
    def test_an_agent_without_systemd_makes_way() -> None:
        said = with_systemd("""
agent agent start
install
grep -c 'the agent that ran has stopped' told
systemctl --user is-active smime-agent.service || true
agent agent status >/dev/null
systemctl --user is-active smime-agent.service
""")
        assert said.split() == ["1", "inactive", "active"]

    @pytest.mark.interop
    @pytest.mark.slow
    def test_what_runs_is_what_the_new_units_say() -> None:
        said = with_systemd("""
install
agent agent status >/dev/null
systemctl --user show -p MainPID --value smime-agent.service >first
install
systemctl --user show -p MainPID --value smime-agent.service | cmp - first && echo undisturbed
sed -i 's/^DirectoryMode.*//' .config/systemd/user/smime-agent.socket
install
agent agent status >/dev/null
systemctl --user show -p MainPID --value smime-agent.service | cmp -s - first || echo anew
""")
        assert said.split() == ["undisturbed", "anew"]

    @pytest.mark.interop
    @pytest.mark.slow
    def test_uninstall_leaves_nothing_neither_running_nor_written() -> None:
        said = with_systemd("""
install
agent agent status >/dev/null
install --uninstall
systemctl --user list-units --all --plain --no-legend 'smime-agent*'
find .config/systemd -not -type d
ls $XDG_RUNTIME_DIR/smime-agent
install --uninstall
tail -1 told
""")
        assert said.splitlines() == ["nothing is installed"]

    def as_root(script: str) -> str:
        """In a machine whose units and rules are empty, and which has udev's socket."""
        prepared = f"""
mount --make-rprivate /
for folder in /etc/systemd/user /etc/udev/rules.d /run; do mount -t tmpfs -o mode=0755 tmpfs $folder; done
mkdir /run/udev /run/home; cd /run/home
export PYTHONPATH={Path(agent_install.__file__).parents[2]} HOME=/run/home
{COMMAND}{script}"""
        done = subprocess.run(
            ["unshare", "-m", "-p", "-f", "--kill-child", "--mount-proc", "bash", "-ec", prepared],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @pytest.mark.interop
    @pytest.mark.slow
    def test_for_all_users_there_are_units_and_rules_that_all_can_read() -> None:
        said = as_root("""
umask 077
install --system
stat -c '%a %n' /etc/systemd/user/* /etc/udev/rules.d/*
readlink /etc/systemd/user/sockets.target.wants/*
install --system --uninstall
find /etc/systemd/user /etc/udev/rules.d -not -type d
""")
        assert said.splitlines() == [
            "644 /etc/systemd/user/smime-agent-token@.service",
            "644 /etc/systemd/user/smime-agent.service",
            "644 /etc/systemd/user/smime-agent.socket",
            "755 /etc/systemd/user/sockets.target.wants",
            "644 /etc/udev/rules.d/60-smime-agent.rules",
            "/etc/systemd/user/smime-agent.socket",
        ]

    @pytest.mark.interop
    @pytest.mark.slow
    def test_udev_is_told_where_it_runs() -> None:
        # A udevd of its own: whatever it hears of, the devices of this machine are not before its eyes.
        said = as_root("""
mount -t tmpfs dev /dev
mknod -m 666 /dev/null c 1 3
/lib/systemd/systemd-udevd --debug >log 2>&1 &
for _ in $(seq 50); do [ -e /run/udev/control ] && break; sleep 0.1; done
install --system
for _ in $(seq 50); do grep -q 'control message (RELOAD' log && break; sleep 0.1; done
grep -c 'control message (RELOAD' log
""")
        assert said.split() == ["1"]

    @pytest.mark.interop
    @pytest.mark.slow
    def test_without_root_there_is_nothing_for_all_users() -> None:
        said = with_systemd("install --system || echo $?; cat told")
        assert said.splitlines()[0] == "2"
        assert re.search(r"hint: sudo \S+ agent install --system", said)
