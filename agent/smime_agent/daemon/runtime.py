"""Where the agent listens: a socket that is its user's alone, in a folder that is too."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from smime_agent.errors import AgentError

if TYPE_CHECKING:
    from asyncio.trsock import TransportSocket

_NAME: Final = "smime-agent"
_UCRED: Final = struct.Struct("=iII")  # pid, uid, gid
_BACKLOG: Final = 128
_LONGEST: Final = 107  # octets of a path that a socket may have on Linux


def socket_path() -> Path:
    """Where the socket is: ``SMIME_AGENT_SOCKET``, else ``smime-agent/agent.sock`` in the runtime directory.

    Where the session has no runtime directory it is a folder of the user's in the one for temporary files.
    """
    named = os.environ.get("SMIME_AGENT_SOCKET")
    if named:
        return Path(named)
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}"
    if os.path.isabs(runtime) and Path(runtime).is_dir():  # noqa: PTH117 - of a string
        return Path(runtime) / _NAME / "agent.sock"
    return Path(f"/tmp/{_NAME}-{os.geteuid()}/agent.sock")  # noqa: S108 - checked below, whoever made it


def check_place(path: Path) -> None:
    """Refuse a socket that another user may have put there.

    Raises:
        AgentError: it, or its folder, is not the user's alone, or is a symbolic link.
    """
    _check_folder(path.parent)
    found = path.lstat()
    if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.geteuid():
        raise _refused(path, "it is no socket of yours")


def listen(path: Path) -> tuple[socket.socket, int]:
    """A socket that listens at ``path``, and a descriptor that holds the lock on it for as long as it is open.

    The folder is made (0700) where there is none. What an agent left behind that has died is removed.

    Raises:
        AgentError: an agent listens there, or the place is not the user's alone.
    """
    if len(os.fsencode(path)) > _LONGEST:
        raise _refused(path, f"its path is longer than {_LONGEST} octets")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_folder(path.parent)
        lock = os.open(
            path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
    except OSError as error:
        raise _refused(path, error.strerror or "it cannot be made") from error
    try:
        _lock(lock, path)
        _remove_stale(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            listener.bind(os.fspath(path))
        finally:
            os.umask(before)
        listener.listen(_BACKLOG)
        listener.settimeout(0)
    except OSError as error:
        os.close(lock)
        raise _refused(path, error.strerror or "it cannot be made") from error
    except AgentError:
        os.close(lock)
        raise
    return listener, lock


def credentials(connection: socket.socket | TransportSocket) -> tuple[int, int]:
    """The process and the user at the other end of a connection, by the kernel's word (unix(7), SO_PEERCRED).

    Raises:
        AgentError: this system does not say who it is.
    """
    if not hasattr(socket, "SO_PEERCRED"):
        msg = f"the agent cannot tell who connects to it on {sys.platform}"
        raise AgentError(msg, hint="use the token directly, with --no-agent")
    try:
        pid, uid, _gid = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    except (OSError, struct.error) as error:
        msg = "the kernel does not say who is connected to the agent"
        raise AgentError(msg) from error
    return pid, uid


def _check_folder(folder: Path) -> None:
    try:
        found = folder.lstat()
    except OSError as error:
        raise _refused(folder, error.strerror or "it is not there") from error
    if not stat.S_ISDIR(found.st_mode):
        raise _refused(folder, "it is no folder")
    if found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise _refused(folder, "others may use it", hint=f"chmod 700 {folder}, if it is yours")


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        raise AgentError(f"an agent listens at {path} already", hint="'smime-agent agent status' asks it") from None


def _remove_stale(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise _refused(path, "there is something else than a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        with suppress(OSError):
            probe.connect(os.fspath(path))
            raise AgentError(f"an agent listens at {path} already", hint="'smime-agent agent status' asks it")
    path.unlink()


def _refused(path: Path, reason: str, hint: str | None = None) -> AgentError:
    return AgentError(f"the agent's socket cannot be at {path}: {reason}", hint=hint)
