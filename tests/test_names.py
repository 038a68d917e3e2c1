"""The names of object identifiers, held against those of others."""

from __future__ import annotations

import re

import pytest
from asn1crypto import algos, cms

from smime_agent import der
from smime_agent.cms.ber import object_identifier
from smime_agent.names import _NAMES, name_of


def letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


@pytest.mark.parametrize(
    ("theirs", "prefix"),
    [
        (algos.DigestAlgorithmId, "2.16.840.1.101.3.4.2."),
        (algos.EncryptionAlgorithmId, "2.16.840.1.101.3.4.1."),
        (cms.ContentType, "1.2.840.113549.1.7."),
        (cms.CMSAttributeType, "1.2.840.113549.1.9."),
    ],
    ids=["digests", "ciphers", "content types", "attributes"],
)
def test_the_names_are_those_of_asn1crypto(theirs: type, prefix: str) -> None:
    known = {oid: name for oid, name in theirs._map.items() if oid.startswith(prefix) and oid in _NAMES}  # type: ignore[attr-defined]  # asn1crypto has no types
    other = {"encryptkeypref", "signaturetimestamptoken"}  # RFC 8551 and RFC 3161 write them otherwise
    assert known
    assert [name for oid, name in known.items() if letters(name) not in {letters(name_of(oid)), *other}] == []


def test_every_identifier_can_be_encoded() -> None:
    assert [oid for oid in _NAMES if object_identifier(der.object_identifier(oid)[2:]) != oid] == []


def test_what_has_no_name_is_shown_dotted() -> None:
    assert name_of("1.2.3.4") == "1.2.3.4"
