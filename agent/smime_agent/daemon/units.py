"""The units for systemd's user manager, as texts: the agent's socket, the agent, and what locks when a token goes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Final

from smime_agent.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: In each file that is written: what does not hold it was not written by us, and is not ours to change.
MARK: Final = "# Written by smime-agent agent install; its --uninstall takes it away."
SOCKET: Final = "smime-agent.socket"
SERVICE: Final = "smime-agent.service"
DEVICE: Final = "smime-agent-token@.service"
RULES: Final = "60-smime-agent.rules"

_HEAD: Final = f"""\
{MARK}
# Changes belong in a drop-in, which stays: systemctl --user edit """

_SOCKET: Final = f"""\
{_HEAD}{SOCKET}

[Unit]
Description=Socket of the S/MIME agent
Documentation=man:smime-agent(1)

[Socket]
ListenStream=%t/smime-agent/agent.sock
FileDescriptorName=agent
DirectoryMode=0700
SocketMode=0600
RemoveOnStop=yes

[Install]
WantedBy=sockets.target
"""

_SERVICE: Final = f"""\
{_HEAD}{SERVICE}

[Unit]
Description=S/MIME agent
Documentation=man:smime-agent(1)
Requires={SOCKET}
After={SOCKET}

[Service]
Type=notify
ExecStart=@program@ agent run
# An agent that hangs is ended, and so locked.
WatchdogSec=30
# To stop is to lock, and to reload is to lock without stopping.
ExecReload=kill -HUP $MAINPID
# The agent ends its workers; what is left of them is killed, for a PIN may be in one.
KillMode=mixed
TimeoutStopSec=10
Restart=on-failure
# The configuration is wrong, no module is there, or the log cannot be written: all of that is so the next time too.
RestartPreventExitStatus=2 8 10
# A worker that needs too much memory is one that fails, not the end of the agent.
OOMPolicy=continue

LimitCORE=0
# As much as the user may: systemd takes the hard limit where that is less.
LimitMEMLOCK=infinity
UMask=0077
KeyringMode=private

# What is restricted here holds for the workers with their PKCS#11 modules and for pinentry too.
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
# pcscd, D-Bus, X11 and Wayland are reached through these. A module that talks to an HSM over the net, a TPM over TCP,
# and X11 through ssh -X need a drop-in: [Service], RestrictAddressFamilies=AF_INET AF_INET6
RestrictAddressFamilies=AF_UNIX
SystemCallArchitectures=native
# What is refused returns an error: a module that tries it goes on without, and does not die of it.
SystemCallErrorNumber=EPERM
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources @setuid process_vm_readv process_vm_writev

# Left out on purpose, after a try with an unprivileged user manager:
# - PrivateUsers= puts the agent into a user namespace of its own. From there /proc/PID/exe of every other process is
#   closed, and the agent could not say which program asks for a key.
# - ProtectSystem=, ProtectHome=, ProtectProc=, ProtectKernelTunables=, ProtectControlGroups=, ProtectHostname=,
#   PrivateTmp=, PrivateIPC=, PrivateNetwork=, ReadOnlyPaths= and their like need that namespace. systemd 252 leaves
#   them out in silence, later ones make it without being asked. SoftHSM's tokens in the home directory have to be
#   written anyway, X11's socket is in /tmp, and the programs that ask are found in /proc.
# - PrivateDevices=, ProtectClock=, ProtectKernelLogs=, ProtectKernelModules= and CapabilityBoundingSet= take away
#   capabilities, which a user's process has none of, and fail for want of the capability to do so. What they keep
#   from the agent by system calls is refused above.
# - DevicePolicy=, IPAddressDeny= and RestrictFileSystems= need BPF, which is root's: without it they do nothing.

[Install]
Also={SOCKET}
"""

# Started by {RULES} for each reader and token, of which the device is the instance. It does not matter who watches
# the token otherwise: it stops when the device goes, and a stop reloads the agent, which locks. An agent that does not
# run is not started for that, and "agent lock" would start it.
_DEVICE: Final = f"""\
{_HEAD}{DEVICE}

[Unit]
Description=Lock of the S/MIME agent when %f is taken out
Documentation=man:smime-agent(1)
BindsTo=%i.device
After=%i.device

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=true
ExecStop=systemctl --user try-reload-or-restart {SERVICE}
"""


@dataclass(frozen=True, slots=True)
class Text:
    """A file that belongs to systemd or udev, and what it says."""

    name: str
    content: str

    @property
    def is_ours(self) -> bool:
        """Whether it was written by us: who writes a file of the same name leaves the mark out."""
        return MARK in self.content.splitlines()


def units(program: Sequence[str]) -> tuple[Text, ...]:
    """The units for an agent that is started by ``program agent run``; its first word is an absolute path.

    Raises:
        UsageError: systemd cannot be told of a program with such a name.
    """
    if re.search(r"[\"'\\]", program[0]) or not "".join(program).isprintable():
        msg = f"the path of this program cannot stand in a unit of systemd: {' '.join(program)!r}"
        raise UsageError(msg, hint="install smime-agent into a folder with a plain name")
    # A percent sign and, but for the program itself, a dollar have meanings of their own (systemd.service(5)).
    first, *others = (_quoted(word.replace("%", "%%")) for word in program)
    command = " ".join((first, *(word.replace("$", "$$") for word in others)))
    return Text(SOCKET, _SOCKET), Text(SERVICE, _SERVICE.replace("@program@", command)), Text(DEVICE, _DEVICE)


def rules() -> Text:
    """The rules for udev, made by ``tools/udev_rules.py``."""
    text = resources.files("smime_agent.daemon").joinpath(RULES).read_text(encoding="utf-8")
    return Text(RULES, f"{MARK}\n#\n{text}")


def _quoted(word: str) -> str:
    """A word of a command line in a unit."""
    if re.fullmatch(r"[A-Za-z0-9_./-]+", word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
