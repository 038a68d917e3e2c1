"""What a person sees while one large message is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.ca import Authority, Wanted
from tests.support.program import run
from tests.support.terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20


@pytest.fixture
def arguments(issuing_ca: Authority, tmp_path: Path) -> tuple[str | Path, ...]:
    """Encrypt a file to Bob."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = issuing_ca.issue(key.public_key(), Wanted(("bob@example.org",), "Bob", key_agreement=True))
    (tmp_path / "bob.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (tmp_path / "root.pem").write_bytes(issuing_ca.pem)
    (tmp_path / "file").write_bytes(bytes(40 * MIB))
    trust = ("--ca-file", tmp_path / "root.pem", "--revocation", "off", "--cert", tmp_path / "bob.pem")
    return ("encrypt", "--format", "der", "--no-self", *trust, tmp_path / "file", "-o", tmp_path / "out")


def test_a_bar_counts_what_is_written_and_is_wiped(arguments: tuple[str | Path, ...], tmp_path: Path) -> None:
    with Terminal(*map(str, arguments)) as terminal:
        code, _ = terminal.end()
    assert (code, (tmp_path / "out").stat().st_size > 40 * MIB) == (0, True)
    assert "writing, MiB: [" in terminal.screen
    assert "40/40" in terminal.screen
    assert terminal.screen.endswith("\r\x1b[K")


def test_there_is_none_where_nobody_sees_it(arguments: tuple[str | Path, ...]) -> None:
    assert run(*arguments).err == ""
