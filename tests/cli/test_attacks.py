"""What an attacker would try, and what must not happen."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from smime_agent.certificates.request import general_name
from smime_agent.errors import UsageError
from smime_agent.mime import split
from smime_agent.source import Source
from tests.support.mails import MAIL
from tests.support.softhsm import MODULE, PIN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.softhsm import SoftToken


def test_workers_load_no_module_of_the_current_folder(alice: SoftToken, tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("import os; open('stolen', 'wb').write(os.read(0, 400))\n")
    box = tmp_path / "box"
    box.mkdir()
    for number in range(4):
        (box / f"{number}.eml").write_bytes(MAIL)
    # -P: as the installed command starts, without the current folder on its path.
    command: list[str | Path] = [
        sys.executable,
        "-P",
        "-m",
        "smime_agent",
        "sign",
        box,
        "--output-dir",
        tmp_path / "out",
        "--workers",
        "2",
    ]
    environment = {**os.environ, "PIN": PIN, "SMIME_AGENT_MODULE": MODULE, "SMIME_AGENT_TOKEN": alice.label}
    done = subprocess.run(
        [*command, "--pin-source", "env:PIN"], cwd=tmp_path, env=environment, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert not (tmp_path / "stolen").exists()


@pytest.mark.parametrize(
    "field",
    [
        b"From: " + b'\\"' * 200_000,
        b"From: " + b'"' + b"\\" * 200_001,
        b"From: a@b\nContent-Description: \xe9 " + b"a" * 400_000,
    ],
    ids=["quotes", "backslashes", "a long word"],
)
def test_no_header_field_takes_long(field: bytes) -> None:
    start = time.monotonic()
    message = split(Source.from_bytes(field + b"\n\nx\n"))
    message.from_addresses()
    assert b"".join(message.entity.chunks())
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    "address",
    ["alice,bob@example.org", "a@b@x.org", "alice@[1.2.3.4]", "alice@exa>mple.org", "<alice@example.org>",
     "mailto:alice@example.org", "alice@straße.de", "alice", "@example.org", "alice@"],
)  # fmt: skip
def test_no_certificate_is_asked_for_what_is_no_address(address: str) -> None:
    with pytest.raises(UsageError):
        general_name(address)
