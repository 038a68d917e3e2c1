"""Hold the rules for udev to the table of readers and tokens, ``udev/readers.tsv``.

They are a file of the package, for ``smime-agent agent install --system``; ``udev/60-smime-agent.rules`` leads to it.
With ``--write`` it is written.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "udev" / "readers.tsv"
RULES = ROOT / "agent" / "smime_agent" / "daemon" / "60-smime-agent.rules"

SOURCES = ("ccid", "cyberjack", "scdaemon", "usb.ids")

HEAD = """\
# Smart-card readers and tokens: made from udev/readers.tsv by tools/udev_rules.py, which is where to change it.
#
# The name begins with 60: after 50-udev-default.rules, which sets ID_USB_INTERFACES, and before 73-seat-late.rules,
# which gives what carries the tag "uaccess" to the user of the active seat and takes it back at log-out. No group,
# no mode: nobody else gains anything.

ACTION=="remove", GOTO="smime_agent_end"
SUBSYSTEM!="usb", GOTO="smime_agent_end"
ENV{DEVTYPE}!="usb_device", GOTO="smime_agent_end"

# Any device with an interface of USB class 0b, Chip/SmartCard: readers (CCID), and a YubiKey or another security key
# whose CCID interface is on. ID_USB_INTERFACES reads like ":030101:030000:0b0000:", class, subclass and protocol.
ENV{ID_USB_INTERFACES}=="*:0b????:*", GOTO="smime_agent_reader"

# Those that are known by their numbers, whatever class they say they have.
"""

FOOT = """\
GOTO="smime_agent_end"

# For the user at the machine: access, and the units of systemd. The socket waits for the first program that needs a
# key. smime-agent-token@.service has the device as its instance and is bound to it: when it is taken out, the unit
# stops, and by that the agent of each user locks. A user manager without these units lets it be.
LABEL="smime_agent_reader"
TAG+="uaccess", TAG+="systemd", ENV{SYSTEMD_USER_WANTS}+="smime-agent.socket smime-agent-token@.service"

LABEL="smime_agent_end"
"""


@dataclass(frozen=True, slots=True, order=True)
class Reader:
    """A line of the table. ``vendor`` and ``product`` are four hexadecimal digits, as udev has them."""

    vendor: str
    product: str
    name: str
    source: str

    @classmethod
    def read(cls, line: str) -> Reader:
        """Take it out of the table.

        Raises:
            ValueError: it is not a line of the table.
        """
        reader = cls(*line.split("\t"))
        if not all(re.fullmatch("[0-9a-f]{4}", number) for number in (reader.vendor, reader.product)):
            msg = f"{line!r}: vendor and product are four hexadecimal digits in small letters"
            raise ValueError(msg)
        if reader.name != reader.name.strip() or not reader.name.isprintable() or not reader.name:
            msg = f"{line!r}: the name is not fit to be read"
            raise ValueError(msg)
        if reader.source not in SOURCES:
            msg = f"{line!r}: the numbers are from one of {', '.join(SOURCES)}"
            raise ValueError(msg)
        return reader


def read_table(text: str) -> list[Reader]:
    """The table, in its order.

    Raises:
        ValueError: a line is wrong, not in its place, or there twice.
    """
    readers = [Reader.read(line) for line in text.splitlines() if line and not line.startswith("#")]
    numbers = [(reader.vendor, reader.product) for reader in readers]
    for before, after in pairwise(numbers):
        if before >= after:
            msg = f"{':'.join(after)} stands below {':'.join(before)}: sort by vendor and product, one line for each"
            raise ValueError(msg)
    return readers


def rules(readers: list[Reader]) -> str:
    """The rules; the devices of a vendor are one comparison, with their names above."""
    lines = []
    for vendor, group in groupby(readers, lambda reader: reader.vendor):
        devices = list(group)
        lines += [f"# {device.vendor}:{device.product} {device.name}" for device in devices]
        products = "|".join(device.product for device in devices)
        lines.append(f'ATTR{{idVendor}}=="{vendor}", ATTR{{idProduct}}=="{products}", GOTO="smime_agent_reader"')
    return HEAD + "\n".join(lines) + "\n\n" + FOOT


def main() -> int:
    """Compare or write; the exit code is 1 when the rules are out of date."""
    parser = argparse.ArgumentParser(description="Hold the rules for udev to the table of readers.")
    parser.add_argument("--write", action="store_true", help="write the rules instead of comparing them")
    write: bool = parser.parse_args().write

    should = rules(read_table(TABLE.read_text(encoding="utf-8")))
    if write:
        RULES.write_text(should, encoding="utf-8")
        return 0
    written = RULES.read_text(encoding="utf-8")
    if written == should:
        return 0
    print(
        *difflib.unified_diff(written.splitlines(), should.splitlines(), RULES.name, TABLE.name, lineterm=""), sep="\n"
    )
    print(f"{RULES.name} is out of date: tools/udev_rules.py --write", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
