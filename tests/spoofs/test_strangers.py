"""The spoofs are well made: a naive verifier takes them, and strangers read them as they are meant."""

from __future__ import annotations

import base64
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from asn1crypto import cms

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.spoofs.conftest import Shelf
    from tests.spoofs.spoof import Honest, Spoof

Spoofs = dict[str, "list[Spoof]"]
#: Honest mails that OpenSSL 3.0 does not take, and what it lacks.
_REFUSED = {
    "key-ed25519": "it asks EdDSA for a digest",
    "cms-no-digests": "it hashes with what digestAlgorithms lists alone",
    "attribute-order": "it hashes the attributes as they were sent",
    "certificate-purpose-any": "it wants emailProtection by name",
    "chain-crossed": "it follows the first way alone",
    "clear-octet-stream": "it goes by the type alone",
    "opaque-octet-stream": "the same",
    "opaque-binary": "it takes all for base64",
}


@pytest.mark.interop
@pytest.mark.parametrize("group", ["senders", "identities"])
def test_openssl_accepts_every_spoof_of_who_sent_it(group: str, spoofs: Spoofs, shelf: Shelf) -> None:
    assert not _refused(shelf, f"strangers {group}", spoofs[group])


@pytest.mark.interop
def test_openssl_accepts_the_honest_mails_but_for_what_it_lacks(shelf: Shelf, honest_mails: list[Honest]) -> None:
    assert _refused(shelf, "strangers honest", honest_mails) == _REFUSED.keys()


def test_asn1crypto_reads_what_is_not_meant_to_be_broken(spoofs: Spoofs) -> None:
    for name in ("senders", "identities", "terminals"):
        for spoof in spoofs[name]:
            encoded = spoof.mail.rpartition(b"base64\r\n\r\n")[2].partition(b"\r\n--")[0]
            parsed = cms.ContentInfo.load(base64.b64decode(encoded), strict=True)
            assert parsed["content"]["signer_infos"][0]["signature"].native, spoof.name


def _refused(shelf: Shelf, name: str, mails: Iterable[Spoof | Honest]) -> set[str]:
    folder = shelf.put(name, mails)

    def accepts(path: Path) -> bool:
        files = ("-in", str(path), "-CAfile", str(shelf.folder / "root"), "-out", os.devnull)
        return subprocess.run(["openssl", "cms", "-verify", *files], capture_output=True, check=False).returncode == 0

    paths = sorted(folder.iterdir())
    with ThreadPoolExecutor(2) as pool:
        return {path.stem for path, accepted in zip(paths, pool.map(accepts, paths), strict=True) if not accepted}
