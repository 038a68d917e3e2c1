"""The judges are judged first: each must refuse what is not good, or its word is worth nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from smime_agent.algorithms import KeyType
from smime_agent.api.signing import SignOptions, sign
from tests.interop.judges import Case, Form, Judge, Refused
from tests.interop.tampering import CONTENT, MAIL, resigned, rewritten
from tests.support.ca import Authority

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interop.conftest import Bench

pytestmark = pytest.mark.interop

CASE = Case(KeyType.RSA_2048)


def test_a_good_signature_is_good(judge: Judge, form: Form, bench: Bench) -> None:
    assert judge.verify(bench.sign(MAIL, CASE, form), form) == CONTENT


def test_another_content_is_refused(judge: Judge, form: Form, bench: Bench) -> None:
    mail = rewritten(bench.sign(MAIL, CASE, form), form, b"Bob 100", b"Bob 900")
    with pytest.raises(Refused):
        judge.verify(mail, form)


def test_another_signature_is_refused(judge: Judge, form: Form, bench: Bench) -> None:
    mail = resigned(bench.sign(MAIL, CASE, form), form)
    with pytest.raises(Refused):
        judge.verify(mail, form)


def test_a_chain_with_a_hole_is_refused(judge: Judge, form: Form, bench: Bench) -> None:
    """So the intermediate certificate that a judge needs comes from the mail, and from nowhere else."""
    judge.verify(bench.sign(MAIL, CASE, form), form)  # it has seen the certificate now, and must not remember it
    login = bench.login(CASE.key_type, with_chain=False)
    mail = bytes(sign(MAIL, login, SignOptions(opaque=form is Form.OPAQUE)))
    with pytest.raises(Refused):
        judge.verify(mail, form)


def test_another_root_is_refused(judge: Judge, form: Form, bench: Bench, tmp_path: Path) -> None:
    other = Authority("Test Root CA")  # the same name
    stranger = type(judge).at_home(tmp_path, other)
    try:
        with pytest.raises(Refused):
            stranger.verify(bench.sign(MAIL, CASE, form), form)
    finally:
        stranger.close()
