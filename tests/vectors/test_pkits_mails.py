"""NIST's 224 signed mails: each carries the path of one of its tests, and is judged by the whole road."""

from __future__ import annotations

import re
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cryptography_vectors
import pytest

from smime_agent.smime.signers import SignerCheck
from smime_agent.smime.verify import verify
from smime_agent.source import Source
from smime_agent.trust.path import PathValidator
from smime_agent.verdict import Code, Verdict
from tests.trust.test_pkits import policy_of, read, rows

if TYPE_CHECKING:
    from smime_agent.smime.verification import Verification

pytestmark = pytest.mark.vectors
MAILS = Path(cryptography_vectors.__file__).parent / "x509" / "PKITS_data" / "smime"
#: The certificates are from 2011 and hold no address, so these are nobody's mails; DSA and SHA-1 are never trusted.
_OF_OUR_OWN = {Code.NO_MAILBOX, Code.FROM_MISMATCH, Code.WEAK_DIGEST, Code.LEGACY_ALGORITHM}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each row; the rows are read only where the vectors are."""
    if "number" in metafunc.fixturenames:
        metafunc.parametrize("number", range(249))


@cache
def mail_of(name: str) -> Path | None:
    """The mail of a test, whose name is the row's without its section and part."""
    bare = re.sub(r"^Section\d+|Subpart\d+$", "", name)
    found = {path.stem.lower(): path for path in MAILS.glob("*.eml")}
    return found.get(f"signed{bare}".lower())


def verified(row: dict[str, Any], path: Path) -> Verification:
    policy = policy_of(row)
    check = SignerCheck(
        PathValidator(policy, crls=list(read("crl", row["crls"]))),
        now=datetime(2026, 1, 1, tzinfo=UTC),
        in_retrospect=True,
    )
    with ExitStack() as resources:
        return verify(Source.from_path(path), check, resources)


def test_a_mail_has_the_verdict_of_its_path(number: int, vectors: Path) -> None:
    row = rows(vectors)[number]
    path = mail_of(row["name"])
    assert path is not None, row["name"]
    reasons = [reason for reason in verified(row, path).reasons if reason.code not in _OF_OUR_OWN]
    verdict = Verdict.worst(reason.code.verdict for reason in reasons)
    assert (verdict is Verdict.TRUSTED) == row["valid"], reasons


def test_each_mail_belongs_to_a_test(vectors: Path) -> None:
    assert {mail_of(row["name"]) for row in rows(vectors)} == set(MAILS.glob("*.eml"))
