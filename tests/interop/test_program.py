"""The program as a person runs it: what it writes, in every format, before the strangers."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from smime_agent.algorithms import KeyType
from tests.interop.corpus import forwarded_eight_bit_mail
from tests.interop.judges import Form, Judge
from tests.interop.ours import canonical
from tests.support.ca import Wanted
from tests.support.program import run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.ca import Authority
    from tests.support.softhsm import SoftHsm

pytestmark = pytest.mark.interop

TOKEN = "interop program"


@pytest.fixture(scope="session")
def program(softhsm: SoftHsm, issuing_ca: Authority, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., bytes]:
    """``smime-agent sign`` with a token, and the intermediate certificate imported as a person would."""
    softhsm.new_token(TOKEN).enrol(issuing_ca, KeyType.RSA_2048, Wanted())
    folder = tmp_path_factory.mktemp("data")
    env = {"XDG_DATA_HOME": str(folder)}
    (folder / "ca.pem").write_bytes(issuing_ca.pem)
    imported = run("cert", "import", folder / "ca.pem", "--token", TOKEN, "--pin-source", "env:PIN", env=env)
    assert imported.code == 0, imported.err

    def sign(content: bytes, *options: str) -> bytes:
        done = run("sign", "--token", TOKEN, "--pin-source", "env:PIN", *options, stdin=content, env=env)
        assert done.code == 0, done.err
        return done.out

    return sign


def test_a_mail(judge: Judge, form: Form, program: Callable[..., bytes]) -> None:
    mail = forwarded_eight_bit_mail()
    signed = program(mail, *["--opaque"] * (form is Form.OPAQUE))
    assert judge.verify(signed, form) == canonical(mail)


@pytest.mark.parametrize("armor", ["der", "pem"])
@pytest.mark.parametrize("opaque", [[], ["--opaque"]], ids=["detached", "attached"])
def test_a_file(
    armor: str, opaque: list[str], program: Callable[..., bytes], root_ca: Authority, tmp_path: Path
) -> None:
    content = b"any\r\noctets\n\0\xff\r"
    files = {"content": content, "root": root_ca.pem, "cms": program(content, "--format", armor, *opaque)}
    for name, octets in files.items():
        (tmp_path / name).write_bytes(octets)
    detached = [] if opaque else ["-content", "content"]
    command = ["openssl", "cms", "-verify", "-binary", "-inform", armor, "-in", "cms", "-CAfile", "root", *detached]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, timeout=60)
    assert done.stdout == content
