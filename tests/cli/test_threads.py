"""Mails in bulk through the agent: what one thread meets is not lost on the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from smime_agent.api.signing import AgentToken, SignOptions
from smime_agent.cli.jobs import Job
from smime_agent.cli.threads import sign_in_threads
from smime_agent.daemon.remote import RemoteToken
from tests.support.agent import RunningAgent
from tests.support.mails import MAIL

if TYPE_CHECKING:
    from pathlib import Path

    from smime_agent.keys import ToBeSigned
    from tests.support.softhsm import SoftToken


def test_a_mail_that_a_bug_keeps_from_being_signed_is_not_counted_as_signed(
    alice: SoftToken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [Job(tmp_path / f"{number}.eml", tmp_path / f"{number}.signed") for number in range(6)]
    for job in jobs:
        job.message.write_bytes(MAIL)
    with RunningAgent(tmp_path / "agent") as agent, agent.client() as one, agent.client() as other:
        tokens = [AgentToken(RemoteToken(client, alice.label, None)) for client in (one, other)]

        def sign(tbs: ToBeSigned) -> bytes:
            raise ZeroDivisionError(len(tbs))

        for token in tokens[1:]:
            monkeypatch.setattr(token.signer(SignOptions(), ("alice@example.org",)), "sign", sign)
        with pytest.raises(ZeroDivisionError):
            list(sign_in_threads(tokens, SignOptions(), jobs))


def test_a_pin_that_is_refused_is_asked_for_once_whatever_came_before(alice: SoftToken, tmp_path: Path) -> None:
    signed = MAIL.replace(b"text/plain; charset=utf-8", b"application/pkcs7-mime; smime-type=signed-data")
    paths = [tmp_path / f"{number}.eml" for number in range(5)]
    for path in paths:
        path.write_bytes(MAIL if path is not paths[0] else signed)
    with RunningAgent(tmp_path / "agent", pins=("9999", "9998", "9997")) as agent:
        done = agent.run("sign", "--agent", "--token", alice.label, "--output-dir", tmp_path / "out", *paths)
        assert (done.code, agent.pinentry.asked()) == (10, 1)
