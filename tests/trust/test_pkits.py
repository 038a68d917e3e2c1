"""NIST's PKITS: 249 certification paths, each with what must come out of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cryptography_vectors
import pytest

from smime_agent.trust.anchors import Anchor
from smime_agent.trust.evidence import RevocationMode
from smime_agent.trust.path import PathResult, PathValidator, PolicyInputs, TrustPolicy
from smime_agent.x509 import Certificate

PKITS = Path(cryptography_vectors.__file__).parent / "x509" / "PKITS_data"
THEN = datetime(2011, 6, 1, tzinfo=UTC)


def validated(case: dict[str, Any]) -> PathResult:
    root, *pool, leaf = [(PKITS / "certs" / f"{name}.crt").read_bytes() for name in case["certs"]]
    crls = [(PKITS / "crls" / f"{name}.crl").read_bytes() for name in case["crls"]]
    named = case.get("InitialPolicySet")
    acceptable = frozenset(f"2.16.840.1.101.3.2.1.48.{one.rpartition('-')[2]}" for one in named.split(",")) if named else None
    policy = TrustPolicy(
        anchors=(Anchor(Certificate(root), "PKITS"),),
        at=THEN,
        revocation=RevocationMode.REQUIRE,
        weak_digests=True,
        policies=PolicyInputs(
            acceptable,
            require_explicit=case.get("InitialExplicitPolicy", False),
            inhibit_mapping=case.get("InitialPolicyMappingInhibit", False),
            inhibit_any=case.get("InitialInhibitAnyPolicy", False),
        ),
    )
    return PathValidator(policy).validate(Certificate(leaf), pool, crls=crls)
