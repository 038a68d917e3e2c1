"""A glance that says that nothing is new is never wrong about it."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from smime_agent.certificates.history import History, history_path
from smime_agent.certificates.history_glance import is_known
from tests.certificates.test_history import MONDAY, OTHER, TOKEN, TUESDAY, certificates, on_token

if TYPE_CHECKING:
    from pathlib import Path

    from smime_agent.x509 import Certificate

__all__ = ["certificates"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return history_path(tmp_path / "data")


def test_what_was_recorded_today_is_known(path: Path, certificates: list[Certificate]) -> None:
    assert not is_known(path, TOKEN, on_token(*certificates), MONDAY)
    History(path).record(TOKEN, on_token(*certificates), MONDAY)
    assert is_known(path, TOKEN, on_token(*certificates), MONDAY)
    assert is_known(path, TOKEN, on_token(certificates[1]), MONDAY)


def test_another_day_token_or_certificate_is_news(path: Path, certificates: list[Certificate]) -> None:
    History(path).record(TOKEN, on_token(certificates[0]), MONDAY)
    History(path).record(OTHER, on_token(certificates[1]), MONDAY)
    assert not is_known(path, TOKEN, on_token(certificates[0]), TUESDAY)
    assert not is_known(path, TOKEN, on_token(certificates[1]), MONDAY)
    assert not is_known(path, OTHER, on_token(certificates[0]), MONDAY)
    assert not is_known(path, TOKEN, on_token(*certificates[:2]), MONDAY)
    for change in ({"label": "x"}, {"serial": "x"}, {"manufacturer": "x"}, {"model": "x"}):
        assert not is_known(path, replace(TOKEN, **change), on_token(certificates[0]), MONDAY)  # type: ignore[arg-type]  # all are texts


def test_a_key_that_was_hidden_is_news(path: Path, certificates: list[Certificate]) -> None:
    History(path).record(TOKEN, on_token(certificates[0], keys=False), MONDAY)
    assert is_known(path, TOKEN, on_token(certificates[0], keys=False), MONDAY)
    assert not is_known(path, TOKEN, on_token(certificates[0]), MONDAY)


@pytest.mark.parametrize("label", ['with "quotes"', "back\\slash", "sp\xe4t", "line\nbreak"])
def test_a_name_that_is_written_with_escapes_is_read_in_full(
    path: Path,
    certificates: list[Certificate],
    label: str,
) -> None:
    token = replace(TOKEN, label=label)
    History(path).record(token, on_token(certificates[0]), MONDAY)
    assert not is_known(path, token, on_token(certificates[0]), MONDAY)


def test_a_folder_or_a_long_file_is_read_in_full(path: Path, certificates: list[Certificate]) -> None:
    path.mkdir(parents=True)
    assert not is_known(path, TOKEN, on_token(certificates[0]), MONDAY)
    path.rmdir()
    os.mkfifo(path)
    assert not is_known(path, TOKEN, on_token(certificates[0]), MONDAY)
    path.unlink()
    History(path).record(TOKEN, on_token(certificates[0]), MONDAY)
    path.write_bytes(path.read_bytes() + b" " * (1 << 20))
    assert not is_known(path, TOKEN, on_token(certificates[0]), MONDAY)
