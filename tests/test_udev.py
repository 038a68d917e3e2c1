"""The rules for udev: current, sorted, and what udev makes of them for each device of the table."""

from __future__ import annotations

import os
import plistlib
import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from smime_agent.daemon import units
from tools import udev_rules

ROOT: Final = Path(__file__).resolve().parent.parent
READERS: Final = udev_rules.read_table(udev_rules.TABLE.read_text(encoding="utf-8"))
CCID_LIST: Final = Path("/etc/libccid_Info.plist")

CCID, KEYBOARD, STORAGE = (0x0B, 0, 0), (3, 1, 1), (8, 6, 0x50)
WANTED: Final = {"smime-agent.socket", "smime-agent-token@.service"}

# As root of a mount namespace: /sys is a folder with one device of USB, and the rules are udev's own and ours. Its
# arguments are lines: vendor, product, descriptors. udevadm tests every device anew.
JUDGE: Final = r"""
mount --make-rprivate /
mount -t tmpfs run /run
mkdir -p /run/udev/rules.d
printf %s "$RULES" >/run/udev/rules.d/60-smime-agent.rules
mount -t tmpfs sys /sys
device=/sys/devices/usb1/1-1
mkdir -p $device /sys/bus/usb/devices
ln -s ../../bus/usb $device/subsystem
ln -s ../../../devices/usb1/1-1 /sys/bus/usb/devices/1-1
printf 'MAJOR=189\nMINOR=4\nDEVNAME=bus/usb/001/005\nDEVTYPE=usb_device\n' >$device/uevent
while read -r action vendor product descriptors; do
    echo $vendor >$device/idVendor
    echo $product >$device/idProduct
    printf "$descriptors" >$device/descriptors
    echo "device $vendor:$product"
    SYSTEMD_DEVICE_VERIFY_SYSFS=0 udevadm test --resolve-names=never --action=$action $device 2>&1
done
"""


def judged(*devices: tuple[str, str, str, list[tuple[int, int, int]]], rules: str | None = None) -> list[str]:
    """What udev says of devices: action, vendor, product, classes of the interfaces. One text for each."""
    lines = [f"{action} {vendor} {product} {_escaped(classes)}" for action, vendor, product, classes in devices]
    done = subprocess.run(
        ["unshare", "-m", "bash", "-ec", JUDGE],
        input="".join(f"{line}\n" for line in lines),
        env={**os.environ, "RULES": units.rules().content if rules is None else rules},
        capture_output=True,
        text=True,
        check=False,
    )
    texts = re.split(r"^device \S+\n", done.stdout, flags=re.MULTILINE)[1:]
    assert len(texts) == len(devices), done.stderr
    return texts


def _escaped(classes: list[tuple[int, int, int]]) -> str:
    """The descriptors of a device, its configuration, interfaces and endpoints: USB 2.0, 9.6."""
    device = bytes([18, 1, 0, 2, 0, 0, 0, 64, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1])
    configuration = bytes([9, 2, 9 + 16 * len(classes), 0, len(classes), 1, 0, 0x80, 50])
    endpoint = bytes([7, 5, 0x81, 3, 8, 0, 10])
    interfaces = b"".join(bytes([9, 4, number, 0, 1, *one, 0]) + endpoint for number, one in enumerate(classes))
    # Twice: once for read, once for printf.
    return "".join(f"\\x{octet:02x}" for octet in device + configuration + interfaces)


def properties(text: str) -> dict[str, str]:
    """The properties at the end of what udevadm says."""
    return dict(re.findall(r"^([A-Z_]+)=(.*)$", text, re.MULTILINE))


def is_for_the_user(text: str) -> bool:
    """Whether all that the rules give was given. Others, such as systemd's smartcard.target, may stand beside it."""
    found = properties(text)
    tags, wanted = set(found.get("CURRENT_TAGS", "").split(":")), set(found.get("SYSTEMD_USER_WANTS", "").split())
    given = {"uaccess", "systemd"} <= tags, wanted >= WANTED
    assert given[0] == given[1] == ("uaccess" in tags)
    return given[0]


def complaints(text: str) -> list[str]:
    return [line for line in text.splitlines() if "60-smime-agent.rules:" in line and "GOTO" not in line]


def is_possible() -> bool:
    """A container may forbid the namespace."""
    return os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], check=False).returncode == 0


# The table and the generator


def test_the_rules_are_current() -> None:
    assert udev_rules.RULES.read_text(encoding="utf-8") == udev_rules.rules(READERS), "tools/udev_rules.py --write"


def test_the_rules_beside_the_table_are_those_of_the_package() -> None:
    assert (ROOT / "udev" / "60-smime-agent.rules").resolve() == udev_rules.RULES


def test_the_table_is_long_enough_to_be_of_use() -> None:
    assert len(READERS) >= 100
    assert {"1050", "20a0", "096e", "076b", "08e6", "04e6", "072f", "046a", "0c4b", "1209"} <= {
        reader.vendor for reader in READERS
    }


@pytest.mark.parametrize(
    "lines",
    [
        ["1050\t0407\tYubiKey\tccid", "04e6\te001\tSCR 331\tccid"],
        ["1050\t0407\tYubiKey\tccid", "1050\t0405\tYubiKey\tccid"],
        ["1050\t0407\tYubiKey\tccid", "1050\t0407\tYubiKey\tccid"],
        ["1050\t407\tYubiKey\tccid"],
        ["1050\t0x07\tYubiKey\tccid"],
        ["04E6\te001\tSCR 331\tccid"],
        ['1050\t04"7\tYubiKey\tccid'],
        ["1050\t0407\tYubiKey\thearsay"],
        ["1050\t0407\t\tccid"],
        ["1050\t0407\t YubiKey\tccid"],
    ],
)
def test_a_wrong_table_makes_no_rules(lines: list[str]) -> None:
    with pytest.raises(ValueError, match=r"(?i)1050|04e6"):
        udev_rules.read_table("\n".join(lines))


@pytest.mark.interop
def test_the_numbers_are_those_of_the_ccid_project() -> None:
    known = plistlib.loads(CCID_LIST.read_bytes())
    numbers = {
        (vendor[2:].lower(), product[2:].lower())
        for vendor, product in zip(known["ifdVendorID"], known["ifdProductID"], strict=True)
    }
    ours = {(reader.vendor, reader.product) for reader in READERS if reader.source == "ccid"}
    assert not ours - numbers


def test_the_class_rule_is_the_first() -> None:
    jumps = [line for line in units.rules().content.splitlines() if "smime_agent_reader" in line]
    assert jumps[0].startswith("ENV{ID_USB_INTERFACES}")


# What udev makes of them. As root, where there is no container in the way; see tests/support/user_manager.py.

if is_possible():

    @pytest.mark.interop
    def test_udev_accepts_the_rules() -> None:
        [text] = judged(("add", "1050", "0407", [CCID]))
        assert "/run/udev/rules.d/60-smime-agent.rules" in text
        assert complaints(text) == []

    @pytest.mark.interop
    @pytest.mark.parametrize("wrong", ['FOO=="1"', 'TAG+="a" TAG', 'ENV{X=="1"', 'GOTO="nowhere"'])
    def test_udev_would_not_accept_wrong_ones(wrong: str) -> None:
        [text] = judged(("add", "1050", "0407", [CCID]), rules=units.rules().content + wrong + "\n")
        assert re.search("60-smime-agent.rules:[0-9]+", text)

    @pytest.mark.interop
    @pytest.mark.slow
    def test_each_device_of_the_table_is_for_the_seated_user() -> None:
        texts = judged(*(("add", reader.vendor, reader.product, [(0xFF, 0, 0)]) for reader in READERS))
        assert [one for one, text in zip(READERS, texts, strict=True) if not is_for_the_user(text)] == []

    @pytest.mark.interop
    @pytest.mark.parametrize("classes", [[CCID], [KEYBOARD, CCID], [CCID, STORAGE]])
    def test_a_device_is_a_reader_when_an_interface_says_so(classes: list[tuple[int, int, int]]) -> None:
        [text] = judged(("add", "ffff", "0001", classes))
        assert is_for_the_user(text)

    @pytest.mark.interop
    @pytest.mark.parametrize(
        "classes", [[KEYBOARD], [STORAGE], [KEYBOARD, STORAGE], [(0xB0, 0, 0)], [(3, 0x0B, 0)], [(3, 0, 0x0B)]]
    )
    def test_a_device_without_such_an_interface_is_none(classes: list[tuple[int, int, int]]) -> None:
        [text] = judged(("add", "ffff", "0001", classes))
        assert not is_for_the_user(text)

    @pytest.mark.interop
    @pytest.mark.parametrize("action", ["add", "change", "bind"])
    def test_what_happens_to_a_device_does_not_take_the_tags_away(action: str) -> None:
        # bind comes when the kernel gives a driver to it: rules for "add" alone would lose the tags then.
        [text] = judged((action, "1050", "0407", [CCID]))
        assert is_for_the_user(text)

    @pytest.mark.interop
    def test_a_device_that_goes_is_given_to_nobody() -> None:
        [text] = judged(("remove", "1050", "0407", [CCID]))
        assert "smime-agent" not in properties(text).get("SYSTEMD_USER_WANTS", "")

    @pytest.mark.interop
    @pytest.mark.parametrize(("vendor", "product"), [("1050", "0402"), ("04e6", "0407"), ("046a", "0011")])
    def test_another_device_of_a_vendor_is_no_reader(vendor: str, product: str) -> None:
        [text] = judged(("add", vendor, product, [KEYBOARD]))
        assert not is_for_the_user(text)
