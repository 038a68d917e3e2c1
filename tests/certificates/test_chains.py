"""CA certificates in the data directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from smime_agent.certificates.chains import chain_folder, store_chain_certificate, stored_chain
from smime_agent.errors import FileError
from smime_agent.x509 import Certificate

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.ca import Authority


@pytest.fixture
def intermediate(issuing_ca: Authority) -> Certificate:
    return Certificate(issuing_ca.certificate.public_bytes(Encoding.DER))


def test_nothing_is_stored_at_first(tmp_path: Path) -> None:
    assert stored_chain(tmp_path / "data") == []


def test_what_is_stored_is_there(tmp_path: Path, intermediate: Certificate, root_ca: Authority) -> None:
    root = Certificate(root_ca.certificate.public_bytes(Encoding.DER))
    path = store_chain_certificate(tmp_path / "data", intermediate)
    store_chain_certificate(tmp_path / "data", root)
    assert set(stored_chain(tmp_path / "data")) == {intermediate, root}
    assert path.parent == chain_folder(tmp_path / "data")


def test_storing_twice_stores_once(tmp_path: Path, intermediate: Certificate) -> None:
    for _ in range(2):
        store_chain_certificate(tmp_path, intermediate)
    assert stored_chain(tmp_path) == [intermediate]
    assert len(list(chain_folder(tmp_path).iterdir())) == 1


def test_the_file_is_pem_that_anybody_can_read(
    tmp_path: Path, issuing_ca: Authority, intermediate: Certificate
) -> None:
    assert store_chain_certificate(tmp_path, intermediate).read_bytes() == issuing_ca.pem


def test_a_file_that_is_no_certificate_is_passed_over(tmp_path: Path, intermediate: Certificate) -> None:
    store_chain_certificate(tmp_path, intermediate)
    (chain_folder(tmp_path) / "a.pem").write_bytes(b"\x00garbage")
    (chain_folder(tmp_path) / "b.pem").mkdir()
    (chain_folder(tmp_path) / "c.pem").symlink_to("nowhere")
    (chain_folder(tmp_path) / "readme.txt").write_text("hello")
    assert stored_chain(tmp_path) == [intermediate]


def test_a_data_directory_that_cannot_be_made_is_a_file_error(tmp_path: Path, intermediate: Certificate) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(FileError):
        store_chain_certificate(tmp_path / "data", intermediate)
    assert stored_chain(tmp_path / "data") == []
