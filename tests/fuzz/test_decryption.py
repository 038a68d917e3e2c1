"""The oracle of ``decrypt``: quiet about what is right, and loud about what is not."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from smime_agent.cms import ciphers
from tests.fuzz.decryption import DecryptOracle, mutate_message, sealed_seeds
from tests.fuzz.recorder import problem_of
from tests.spoofs.collection import WORKSHOP
from tests.spoofs.envelopes import Seal, bob_of
from tests.spoofs.mime import ENTITY

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The seeds that are made here."""
    folder = tmp_path_factory.mktemp("seeds")
    (folder / "root.pem").write_bytes(WORKSHOP.files()["root"])
    (folder / "sealed").mkdir()
    for number, octets in enumerate(sealed_seeds(())):
        if len(octets) < 16 * 1024:
            (folder / "sealed" / str(number)).write_bytes(octets)
    return folder


@pytest.fixture(scope="module")
def seeds(folder: Path) -> list[bytes]:
    """Their octets."""
    return [path.read_bytes() for path in sorted((folder / "sealed").iterdir())]


@pytest.fixture(scope="module")
def oracle(folder: Path) -> DecryptOracle:
    """It knows them."""
    return DecryptOracle(folder)


def test_there_is_nothing_to_be_said_of_the_seeds(oracle: DecryptOracle, seeds: list[bytes]) -> None:
    assert [problem for problem in (problem_of(oracle, seed) for seed in seeds) if problem] == []


def test_nor_of_some_that_were_changed(oracle: DecryptOracle, seeds: list[bytes]) -> None:
    chance = random.Random(1)  # noqa: S311 - so that a failure can be had again
    changed = (mutate_message(chance, chance.choice(seeds), seeds) for _ in range(1_500))
    assert [problem for problem in (problem_of(oracle, one) for one in changed) if problem] == []


def test_a_tag_that_nobody_looks_at_is_found(oracle: DecryptOracle, monkeypatch: pytest.MonkeyPatch) -> None:
    octets = Seal((bob_of().certificate,)).on(ENTITY)
    changed = octets[:-20] + bytes((octets[-20] ^ 1,)) + octets[-19:]
    assert problem_of(oracle, changed) is None
    monkeypatch.setattr(ciphers.GcmDecryptor, "finish", lambda *_: b"")
    problem = problem_of(oracle, changed)
    assert problem is not None
    assert "authenticated, and nobody encrypted it" in problem[0]
