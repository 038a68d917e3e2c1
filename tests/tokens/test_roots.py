"""The list of roots that mail programs trust."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from smime_agent.errors import ModuleLoadError
from smime_agent.tokens import roots
from smime_agent.tokens.roots import find_root_module, mail_roots

if TYPE_CHECKING:
    from smime_agent.trust.anchors import Anchor

pytestmark = pytest.mark.interop  # the list is NSS's


@pytest.fixture
def listed() -> tuple[Anchor, ...]:
    return mail_roots()


def test_the_list_is_found() -> None:
    assert find_root_module()


def test_there_are_many_roots_and_not_all_of_the_list(listed: tuple[Anchor, ...]) -> None:
    assert 60 <= len(listed) <= 150


def test_all_of_them_vouch_for_others(listed: tuple[Anchor, ...]) -> None:
    assert all(anchor.may_issue for anchor in listed)


def test_some_are_believed_only_up_to_a_date(listed: tuple[Anchor, ...]) -> None:
    assert any(anchor.distrust_after for anchor in listed)


def test_roots_for_servers_alone_are_not_among_them(listed: tuple[Anchor, ...]) -> None:
    assert not [anchor.certificate.name for anchor in listed if "TLS" in anchor.certificate.name]


def test_they_are_read_once(listed: tuple[Anchor, ...]) -> None:
    assert mail_roots() is listed


def test_without_a_list_there_are_no_roots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roots, "_FOLDERS", ("/nowhere",))
    assert mail_roots() == ()


def test_a_file_that_is_no_module(tmp_path: Path) -> None:
    (tmp_path / "libnssckbi.so").write_bytes(b"no module")
    with pytest.raises(ModuleLoadError):
        mail_roots(tmp_path / "libnssckbi.so")


def test_a_module_that_is_not_there() -> None:
    with pytest.raises(ModuleLoadError):
        mail_roots(Path("/nowhere/libnssckbi.so"))
