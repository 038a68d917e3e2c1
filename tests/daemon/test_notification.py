"""What the desktop is told: on a real bus, by one who plays its notification server."""

from __future__ import annotations

import asyncio
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from dbus_fast.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smime_agent.daemon.bus import BusKind
from smime_agent.daemon.notification import Notification, notify
from tests.support.dbus import PrivateBus, Somebody, private_bus

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SERVER = "org.freedesktop.Notifications"


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateBus]:
    with private_bus(tmp_path_factory.mktemp("bus")) as made:
        yield made


@dataclass
class Desktop(Somebody):
    """The server of the Desktop Notifications Specification."""

    closed: list[int] = field(default_factory=list)
    refuses: bool = False

    def Notify(self, call: Message) -> Message:  # noqa: N802 - its name on the bus
        if self.refuses:
            return Message.new_error(call, SERVER + ".Error", "no")
        return Message.new_method_return(call, "u", [7])

    def CloseNotification(self, call: Message) -> Message:  # noqa: N802
        self.closed.append(call.body[0])
        return Message.new_method_return(call)


def shown(bus: PrivateBus, summary: str, body: str, *, timeout: float = 10) -> Message:
    """The call that the desktop gets."""

    async def main() -> Message:
        desktop = await Desktop.on(bus, SERVER)
        assert await notify(summary, body, timeout=timeout, environment=where(bus)) is not None
        return desktop.calls[-1]

    return bus.run(main())


def where(bus: PrivateBus) -> dict[str, str]:
    return {BusKind.SESSION.value: bus.address}


def test_a_person_reads_what_is_to_be_done(bus: PrivateBus) -> None:
    assert shown(bus, "YubiKey waits", "Touch it.").body[3:5] == ["YubiKey waits", "Touch it."]


def test_it_is_shown_for_as_long_as_was_asked(bus: PrivateBus) -> None:
    assert shown(bus, "YubiKey waits", "Touch it.", timeout=2.5).body[7] == 2500


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(st.text(st.characters() | st.sampled_from("<>&\"'/ab\n\x1b\u202e\ud800"), max_size=50))
def test_a_name_cannot_be_markup(bus: PrivateBus, name: str) -> None:
    body = shown(bus, name, name).body[4]
    text = "".join(letter for letter in name if letter.isprintable() or letter == "\n")
    assert ET.fromstring(f"<body>{body}</body>").text in (text, text or None)  # noqa: S314 - our own


def test_the_text_has_an_end(bus: PrivateBus) -> None:
    assert len(shown(bus, "x" * 100_000, "y" * 100_000).body[4]) == 1000


def test_it_is_taken_away_when_the_touch_is_over(bus: PrivateBus) -> None:
    async def main() -> list[int]:
        desktop = await Desktop.on(bus, SERVER)
        notification = await notify("YubiKey waits", "Touch it.", environment=where(bus))
        assert notification is not None
        await notification.close()
        return desktop.closed

    assert bus.run(main()) == [7]


def test_a_desktop_that_refuses_is_no_error(bus: PrivateBus) -> None:
    async def main() -> Notification | None:
        desktop = await Desktop.on(bus, SERVER)
        desktop.refuses = True
        return await notify("YubiKey waits", "Touch it.", environment=where(bus))

    assert bus.run(main()) is None


def test_a_bus_without_a_desktop_is_no_error(bus: PrivateBus) -> None:
    assert asyncio.run(notify("YubiKey waits", "Touch it.", environment=where(bus))) is None


def test_no_bus_is_no_error(tmp_path: Path) -> None:
    assert asyncio.run(notify("YubiKey waits", "Touch it.", environment={"XDG_RUNTIME_DIR": str(tmp_path)})) is None


def test_a_notification_whose_desktop_has_gone_can_be_closed(tmp_path: Path) -> None:
    asyncio.run(Notification(7, {"XDG_RUNTIME_DIR": str(tmp_path)}).close())
