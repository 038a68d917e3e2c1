"""``smime-agent agent install``: systemd starts the agent when a program first wants a key."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from smime_agent.cli import ui, unit_files
from smime_agent.cli.unit_files import UnitFile
from smime_agent.daemon import units
from smime_agent.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_SYSTEM_UNITS: Final = Path("/etc/systemd/user")
_SYSTEM_RULES: Final = Path("/etc/udev/rules.d")
_UDEV: Final = Path("/run/udev/control")
_PATIENCE_SECONDS: Final = 60
_WITHOUT: Final = "'smime-agent agent start' runs the agent without systemd"


@app.command()
def install(
    system: Annotated[
        bool, typer.Option("--system", help="For all users of this machine, with rules for udev; needs root.")
    ] = False,
    start: Annotated[
        bool, typer.Option("--start/--no-start", help="Enable and start the socket, or write the files alone.")
    ] = True,
    uninstall: Annotated[bool, typer.Option("--uninstall", help="Stop the agent and remove what was written.")] = False,
    show: Annotated[bool, typer.Option("--print", help="Print the files and change nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that others wrote.")] = False,
) -> None:
    """Let systemd listen for the agent, and start it when a program first wants a key.

    It writes units for your user manager, shows each file, and enables the socket. Again, it does nothing.
    """
    if uninstall and (show or force):
        msg = "--uninstall removes only what was written, and takes neither --print nor --force"
        raise UsageError(msg)
    files = list(_files(system=system))
    if show:
        for file in files:
            ui.out(f"# {file.path}", *file.text.content.splitlines(), "")
        return
    service = _AllUsers() if system else _OneUser()
    service.check(changes=start or uninstall)
    if uninstall:
        service.uninstall(files)
        return
    service.install(files, start=start, force=force)


def _files(*, system: bool) -> Iterator[UnitFile]:
    folder = _SYSTEM_UNITS if system else _user_folder()
    for text in units.units(_program()):
        yield UnitFile(folder / text.name, text)
    if system:
        yield UnitFile(_SYSTEM_RULES / units.RULES, units.rules())


def _user_folder() -> Path:
    named = os.environ.get("XDG_CONFIG_HOME", "")
    try:
        # As the XDG Base Directory Specification has it, a relative path is none.
        return (Path(named) if named.startswith("/") else Path.home() / ".config") / "systemd" / "user"
    except RuntimeError:
        msg = "this account has no home directory for units of systemd"
        raise UsageError(msg, hint="--system installs for all users") from None


def _program() -> tuple[str, ...]:
    """How this program is called, by an absolute path: as it was called now, where that is known.

    A link to it is kept, for it stays where it is when a new version comes.
    """
    called = Path(sys.argv[0])
    candidates = [Path(sys.executable).with_name("smime-agent")]
    if called.name == "smime-agent" and (found := shutil.which(called)):
        candidates.insert(0, Path(found))
    for candidate in candidates:
        if os.access(candidate, os.X_OK):
            return (str(candidate.absolute()),)
    return sys.executable, "-P", "-m", "smime_agent"  # -P: not what lies in the home directory


class _OneUser:
    """The user manager of whoever calls."""

    def check(self, *, changes: bool) -> None:
        """See that there is a manager to be told.

        Raises:
            UsageError: there is none.
        """
        del self
        if changes and (problem := _problem("systemctl", "--user", "show", "--property=Version")):
            msg = "your user manager of systemd does not answer"
            hint = f"{_WITHOUT}; --no-start writes the files alone"
            raise UsageError(msg, hint=hint, details=problem)

    def install(self, files: Sequence[UnitFile], *, start: bool, force: bool) -> None:
        """Write the units, and have them take effect at once."""
        del self
        changed = unit_files.write(files, force=force)
        if not start:
            if not _problem("systemctl", "--user", "daemon-reload"):
                ui.note("systemd knows the units")
            ui.note(f"to start: systemctl --user enable --now {units.SOCKET}")
            return
        _stop_the_other()
        _run("systemctl", "--user", "daemon-reload")
        _run("systemctl", "--user", "enable", "--quiet", units.SOCKET)
        if changed:  # what runs is as the old files have it
            _run("systemctl", "--user", "stop", units.SERVICE)
            _run("systemctl", "--user", "restart", units.SOCKET)
        _run("systemctl", "--user", "start", units.SOCKET)
        ui.note("systemd listens; it starts the agent when a program wants a key")

    def uninstall(self, files: Sequence[UnitFile]) -> None:
        """Stop the agent, and remove the units."""
        del self
        ours = [file for file in files if file.state() in {unit_files.State.CURRENT, unit_files.State.OURS}]
        if any(file.path.name == units.SOCKET for file in ours):
            _run("systemctl", "--user", "disable", "--quiet", "--now", units.SOCKET)
        if ours:
            instances = units.DEVICE.replace("@.", "@*.")
            _run("systemctl", "--user", "stop", units.SERVICE, instances)
        if not unit_files.remove(files, [files[0].path.parent / "sockets.target.wants" / units.SOCKET]):
            ui.note("nothing is installed")
        _run("systemctl", "--user", "daemon-reload")


class _AllUsers:
    """The user managers of all who log in from now on, and udev."""

    def check(self, *, changes: bool) -> None:
        """See that this may be done at all.

        Raises:
            UsageError: it may not.
        """
        del self
        if os.geteuid() != 0:
            msg = f"--system writes to {_SYSTEM_UNITS} and {_SYSTEM_RULES}, which only root can do"
            raise UsageError(msg, hint=f"sudo {_program()[0]} agent install --system")
        if changes and shutil.which("systemctl") is None:
            msg = "there is no systemctl: systemd does not run this machine"
            raise UsageError(msg, hint=f"{_WITHOUT}; --no-start writes the files alone")

    def install(self, files: Sequence[UnitFile], *, start: bool, force: bool) -> None:
        """Write the units and the rules; managers that run know them after the next login."""
        before = os.umask(0o022)  # for all users to read
        try:
            unit_files.write(files, force=force)
        finally:
            os.umask(before)
        program = _program()[0]
        if (other := unit_files.who_else_can_change(Path(program))) is not None:
            ui.warning(f"all users will run {program}, and not only root can change {other}")
        if start:
            _run("systemctl", "--global", "enable", "--quiet", units.SOCKET)
            ui.note("for who logs in from now on, systemd listens; it starts the agent when a program wants a key")
        else:
            ui.note(f"to start for all: systemctl --global enable {units.SOCKET}")
        self._reload()
        ui.note(f"for you, now: systemctl --user daemon-reload && systemctl --user start {units.SOCKET}")

    def uninstall(self, files: Sequence[UnitFile]) -> None:
        """Remove the units and the rules; agents that run go on until their users log out."""
        if any(file.path.name == units.SOCKET and file.state() is not unit_files.State.FOREIGN for file in files):
            _run("systemctl", "--global", "disable", "--quiet", units.SOCKET)
        if not unit_files.remove(files, [_SYSTEM_UNITS / "sockets.target.wants" / units.SOCKET]):
            ui.note("nothing is installed")
        self._reload()

    @staticmethod
    def _reload() -> None:
        if not _UDEV.exists():
            ui.note("udev does not run here; it reads the rules when it starts")
            return
        _run("udevadm", "control", "--reload")
        ui.note("udev has read the rules; they hold for readers that are plugged in from now on")


def _stop_the_other() -> None:
    """End an agent that systemd did not start: systemd would take its socket, and nobody could lock it any more."""
    from smime_agent.daemon.client import AgentClient

    if not _problem("systemctl", "--user", "is-active", "--quiet", units.SOCKET):
        return  # asking would start ours
    client = AgentClient.connect()
    if client is None:
        return
    with client:
        client.ask("stop")
        client.wait_for_end()
    ui.note("the agent that ran has stopped")


def _run(*command: str) -> None:
    """Run a program of systemd.

    Raises:
        UsageError: it fails.
    """
    problem = _problem(*command)
    if problem:
        msg = f"'{' '.join(command)}' fails"
        raise UsageError(msg, details=problem)


def _problem(*command: str) -> list[str]:
    """What a program of systemd complains of; nothing when all is well."""
    try:
        done = subprocess.run(  # noqa: S603 - systemd's own, with words written here
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        return [f"there is no {command[0]}"]
    except OSError as error:
        return [f"{command[0]}: {error.strerror}"]
    except subprocess.TimeoutExpired:
        return [f"it does not end within {_PATIENCE_SECONDS} seconds"]
    if not done.returncode:
        return []
    return done.stderr.decode(errors="replace").splitlines() or [f"exit code {done.returncode}"]
