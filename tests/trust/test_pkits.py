"""NIST's PKITS: 249 certification paths, each with what must come out of it, and why."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from smime_agent.trust.anchors import Anchor
from smime_agent.trust.evidence import RevocationMode
from smime_agent.trust.path import PathResult, PathValidator, PolicyInputs, TrustPolicy
from smime_agent.verdict import Code
from smime_agent.x509 import Certificate

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.vectors

THEN = datetime(2011, 6, 1, tzinfo=UTC)
POLICIES = "2.16.840.1.101.3.2.1.48."

#: What makes an invalid path of each section of PKITS invalid; exceptions are named one by one.
CODES = {
    "4.1": Code.CERTIFICATE_SIGNATURE,
    "4.2": Code.EXPIRED,
    "4.2.1": Code.ISSUER_EXPIRED,
    "4.2.2": Code.NOT_YET_VALID,
    "4.2.5": Code.ISSUER_EXPIRED,
    "4.3": Code.UNKNOWN_ISSUER,
    "4.4": Code.REVOCATION_UNKNOWN,
    "4.4.2": Code.ISSUER_REVOKED,
    "4.4.3": Code.REVOKED,
    "4.4.8": Code.REVOKED,  # by a CRL that says more than is understood
    "4.4.9": Code.REVOKED,
    "4.4.15": Code.REVOKED,
    "4.4.18": Code.REVOKED,
    "4.4.20": Code.REVOKED,
    "4.5": Code.REVOKED,
    "4.5.8": Code.ISSUER_NOT_CA,
    "4.6": Code.PATH_LENGTH,
    "4.6.1": Code.ISSUER_NOT_CA,
    "4.6.2": Code.ISSUER_NOT_CA,
    "4.6.3": Code.ISSUER_NOT_CA,
    "4.7": Code.ISSUER_NOT_CA,
    "4.7.4": Code.REVOCATION_UNKNOWN,
    "4.7.5": Code.REVOCATION_UNKNOWN,
    "4.8": Code.CERTIFICATE_POLICY,
    "4.9": Code.CERTIFICATE_POLICY,
    "4.10": Code.CERTIFICATE_POLICY,
    "4.11": Code.CERTIFICATE_POLICY,
    "4.12": Code.CERTIFICATE_POLICY,
    "4.13": Code.NAME_CONSTRAINTS,
    "4.14": Code.REVOKED,
    **{
        f"4.14.{number}": Code.REVOCATION_UNKNOWN  # CRLs whose scope does not cover the certificate
        for number in (3, 8, 9, 11, 12, 14, 17, 26, 27, 35)
    },
    "4.15": Code.REVOKED,
    "4.15.1": Code.REVOCATION_UNKNOWN,
    "4.15.10": Code.REVOCATION_UNKNOWN,
    "4.16": Code.CRITICAL_EXTENSION,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each row; the rows are read only where the vectors are."""
    if "number" in metafunc.fixturenames:
        metafunc.parametrize("number", range(249))


@cache
def rows(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "pkits" / "expected.json").read_bytes())
    return found


def read(kind: str, names: list[str]) -> Iterator[bytes]:
    cryptography_vectors = pytest.importorskip("cryptography_vectors")
    folder = Path(cryptography_vectors.__file__).parent / "x509" / "PKITS_data" / f"{kind}s"
    suffix = {"cert": "crt", "crl": "crl"}[kind]
    return ((folder / f"{name}.{suffix}").read_bytes() for name in names)


def policy_of(row: dict[str, Any]) -> TrustPolicy:
    """The anchor, the time and the policies of a test."""
    (root,) = read("cert", row["certs"][:1])
    named = row.get("InitialPolicySet")
    acceptable = frozenset(POLICIES + one.rpartition("-")[2] for one in named.split(",")) if named else None
    return TrustPolicy(
        anchors=(Anchor(Certificate(root), "PKITS"),),
        at=THEN,
        revocation=RevocationMode.REQUIRE,
        weak_digests=True,
        policies=PolicyInputs(
            acceptable,
            require_explicit=row.get("InitialExplicitPolicy", False),
            inhibit_mapping=row.get("InitialPolicyMappingInhibit", False),
            inhibit_any=row.get("InitialInhibitAnyPolicy", False),
        ),
    )


def validated(row: dict[str, Any]) -> PathResult:
    _, *pool, leaf = read("cert", row["certs"])
    return PathValidator(policy_of(row)).validate(Certificate(leaf), pool, crls=list(read("crl", row["crls"])))


def expected(row: dict[str, Any]) -> list[Code]:
    if row["valid"]:
        return []
    test = row["test"]
    return [CODES[test] if test in CODES else CODES[".".join(test.split(".")[:2])]]


def test_a_path_is_judged_as_nist_does_and_for_the_same_reason(number: int, vectors: Path) -> None:
    row = rows(vectors)[number]
    assert [reason.code for reason in validated(row).reasons] == expected(row), row["test"]


def test_all_of_them_are_there(vectors: Path) -> None:
    assert len(rows(vectors)) == 249


@pytest.mark.parametrize("test", ["4.1.5", "4.3.6"])
def test_a_path_that_was_looked_at_before_is_judged_the_same(test: str, vectors: Path) -> None:
    """Of an object that was looked at, asn1crypto may write other octets than were signed."""
    (row,) = (row for row in rows(vectors) if row["test"] == test)
    assert [validated(row).reasons for _ in range(3)] == [(), (), ()]
