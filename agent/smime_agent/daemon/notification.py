"""A word to a person whose terminal may be behind another window: org.freedesktop.Notifications, where it is."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smime_agent.daemon.bus import BusError, BusKind, Remote, connected

if TYPE_CHECKING:
    from collections.abc import Mapping

_SERVER = Remote("org.freedesktop.Notifications", "/org/freedesktop/Notifications", "org.freedesktop.Notifications")
_ICON = "dialog-password"  # Icon Naming Specification: what desktops show for a login
_LONGEST = 1000
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


@dataclass(frozen=True, slots=True)
class Notification:
    """One that is shown, or was."""

    number: int
    environment: Mapping[str, str]

    async def close(self) -> None:
        """Take it away again; nothing happens where it, or the server, is gone."""
        with suppress(BusError):
            async with connected(BusKind.SESSION, self.environment) as bus:
                await bus.call(_SERVER, "CloseNotification", "u", [self.number])


async def notify(
    summary: str,
    body: str,
    *,
    timeout: float = 10,  # noqa: ASYNC109 - how long it is shown: nothing here takes that long
    environment: Mapping[str, str] = os.environ,
) -> Notification | None:
    """Show it for some seconds; ``None`` where there is nobody to show it. Of the desktop nothing else is waited for.

    Both texts may be anything: control characters are taken out, and what would be markup is shown as it is.
    """
    text = [_printable(summary), "".join(_ENTITIES.get(letter, letter) for letter in _printable(body))]
    arguments = ["smime-agent", 0, _ICON, *text, [], {}, round(timeout * 1000)]
    try:
        async with connected(BusKind.SESSION, environment) as bus:
            returned, _descriptors = await bus.call(_SERVER, "Notify", "susssasa{sv}i", arguments)
    except BusError:
        return None
    match returned:
        case (int(number),):
            return Notification(number, environment)
    return None


def _printable(text: str) -> str:
    """Without what is not printed, which takes in the marks that turn the direction of writing, and lone surrogates."""
    return "".join(letter for letter in text[:_LONGEST] if letter.isprintable() or letter == "\n")
