"""Many messages in one login."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from smime_agent import SmimeAgentError
from smime_agent.api import signing
from tests.support.fixtures import alice
from tests.support.mails import MAIL

if TYPE_CHECKING:
    from tests.support.softhsm import SoftToken

__all__ = ["alice"]


def test_each_has_its_result_in_order(alice: SoftToken) -> None:
    mails = [MAIL, b"no mail", MAIL.replace(b"alice", b"carol"), MAIL, b"no mail", MAIL]
    with alice.open() as token:
        kinds = [type(result).__name__ for result in signing.sign_all(mails, token)]
    assert kinds == ["Signed", "InvalidMessageError", "NoKeyError", "Signed", "InvalidMessageError", "Signed"]


def test_large_files_are_closed(alice: SoftToken, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.eml" for number in range(6)]
    for path in paths:
        path.write_bytes(MAIL + b"line\r\n" * 200_000)
    with alice.open() as token:
        for path, result in zip(paths, signing.sign_all(paths, token), strict=True):
            assert not isinstance(result, SmimeAgentError)
            result.write_to(path.with_suffix(".signed"))
    assert all(path.with_suffix(".signed").stat().st_size > path.stat().st_size for path in paths)
    assert not [found for found in Path("/proc/self/fd").iterdir() if str(tmp_path) in str(found.resolve())]
