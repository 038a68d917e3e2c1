"""p11-kit's ``*.module`` files, as pkcs11.conf(5) describes them."""

from __future__ import annotations

import sysconfig
from typing import TYPE_CHECKING

import pytest

from smime_agent.tokens import module as modules
from smime_agent.tokens import registry
from smime_agent.tokens.registry import registered_modules

if TYPE_CHECKING:
    from pathlib import Path


class Registry:
    """The three folders of p11-kit, and shared objects to name in them."""

    def __init__(self, folder: Path) -> None:
        self.system, self.administrator, self.user = (
            folder / name for name in ("system", "etc", "user/pkcs11/modules")
        )
        for one in (self.system, self.administrator, self.user):
            one.mkdir(parents=True)
        self.objects = folder / "lib"
        self.objects.mkdir()

    def object(self, name: str) -> Path:
        path = self.objects / name
        path.touch()
        return path

    def add(self, name: str, *lines: str, folder: Path | None = None) -> None:
        """A ``.module`` file of that name for a shared object of that name."""
        text = "\n".join([f"module: {self.object(name + '.so')}", *lines])
        ((folder or self.system) / f"{name}.module").write_text(text + "\n")

    @property
    def names(self) -> list[str]:
        return [found.name for found in registered_modules()]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    made = Registry(tmp_path)
    monkeypatch.setattr(registry, "_SYSTEM", made.system)
    monkeypatch.setattr(registry, "_ADMINISTRATOR", made.administrator)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    return made


def test_a_registered_module_is_found(files: Registry) -> None:
    files.add("opensc")
    assert [found.path for found in registered_modules()] == [str(files.objects / "opensc.so")]


def test_higher_priority_comes_first_and_then_the_name(files: Registry) -> None:
    files.add("a")
    files.add("b", "priority: 5")
    files.add("c", "priority: -1")
    files.add("d")
    files.add("e", "priority: high")
    assert files.names == ["b", "a", "d", "e", "c"]


@pytest.mark.parametrize("text", ["--5", "5.0", "", "²", "٣", "1e3", "-"])
def test_a_priority_that_is_no_number_is_none(files: Registry, text: str) -> None:
    files.add("a", f"priority: {text}")
    assert [found.priority for found in registered_modules()] == [0]


@pytest.mark.parametrize(
    ("lines", "there"),
    [
        (["enable-in: smime-agent"], True),
        (["enable-in: p11-kit-proxy, smime-agent"], True),
        (["enable-in: firefox smime-agent"], True),
        (["enable-in: p11-kit-proxy"], False),
        (["enable-in:"], False),
        (["disable-in: smime-agent"], False),
        (["disable-in: firefox,smime-agent"], False),
        (["disable-in: firefox"], True),
        (["disable-in: smime-agent-2"], True),
        (["trust-policy: yes"], False),
        (["trust-policy: no"], True),
        (["# disable-in: smime-agent"], True),
        (["  # trust-policy: yes"], True),
        (["critical: yes", "managed: no", "x-vendor: thing", "", "a line without sense"], True),
    ],
)
def test_a_file_says_whom_it_is_for(files: Registry, lines: list[str], there: bool) -> None:  # noqa: FBT001 - a column
    files.add("m", *lines)
    assert files.names == (["m"] if there else [])


@pytest.mark.parametrize("over", ["administrator", "user"])
def test_a_file_nearer_to_the_person_replaces_one_of_the_same_name(files: Registry, over: str) -> None:
    files.add("m", "priority: 1")
    files.add("m", "priority: 2", folder=getattr(files, over))
    assert [(found.name, found.priority) for found in registered_modules()] == [("m", 2)]


def test_a_person_can_switch_off_a_module_of_the_system(files: Registry) -> None:
    files.add("m")
    files.add("m", "disable-in: smime-agent", folder=files.user)
    assert files.names == []


@pytest.mark.parametrize(
    "text", ["", "module:\n", "module: {missing}\n", "priority: 1\n", "module: nowhere-at-all.so\n"]
)
def test_a_file_without_a_module_that_is_there_is_passed_over(files: Registry, text: str) -> None:
    (files.system / "m.module").write_text(text.format(missing=files.objects / "missing.so"))
    assert files.names == []


def test_a_relative_module_is_looked_up_where_modules_are(files: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    path = files.object("relative.so")
    monkeypatch.setattr(sysconfig, "get_config_var", lambda _: f"../..{files.objects}")
    (files.objects / "pkcs11").mkdir()
    path.rename(files.objects / "pkcs11" / "relative.so")
    (files.system / "m.module").write_text("module: relative.so\n")
    assert [found.path.endswith("/pkcs11/relative.so") for found in registered_modules()] == [True]


def test_only_files_with_the_ending_count(files: Registry) -> None:
    files.add("m")
    (files.system / "m.module").rename(files.system / "m.module.bak")
    assert files.names == []


def test_what_cannot_be_read_is_passed_over(files: Registry) -> None:
    files.add("m")
    (files.system / "a.module").mkdir()
    (files.system / "b.module").symlink_to(files.objects / "nowhere")
    (files.system / "c.module").write_bytes(b"\xff\xfe\0\x80")
    assert files.names == ["m"]


def test_folders_that_are_not_there_hold_nothing(files: Registry, tmp_path: Path) -> None:
    for folder in (files.system, files.administrator, files.user):
        folder.rename(tmp_path / f"away-{folder.parent.name}-{folder.name}")
    assert files.names == []


def test_softhsm_is_the_default_where_nothing_is_registered(files: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    softhsm = files.object("libsofthsm2.so")
    monkeypatch.setattr(modules, "SOFTHSM_PATHS", (str(files.objects / "absent.so"), str(softhsm), str(softhsm)))
    assert modules.default_paths() == [str(softhsm)]
    files.add("m")
    assert modules.default_paths() == [str(files.objects / "m.so")]


def test_without_a_home_there_is_no_user_folder(files: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    files.add("m")
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", "/nonexistent")
    assert files.names == ["m"]
