"""The configuration file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from smime_agent.config import Config, config_path, data_directory, load_config
from smime_agent.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def test_everything_that_it_may_say(path: Path) -> None:
    path.write_text(
        'token = "t"\nmodule = "/m.so"\nkey = "01"\npin_source = "env:PIN"\n'
        'ca_files = ["a.pem", "b.pem"]\nworkers = 4\n'
    )
    files = (str(path.parent / "a.pem"), str(path.parent / "b.pem"))  # not those of whatever folder one is in
    assert load_config(path) == Config("t", "/m.so", "01", "env:PIN", files, 4)


def test_an_empty_file_says_nothing(path: Path) -> None:
    path.touch()
    assert load_config(path) == Config()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('colour = "red"\n', ["there is no setting 'colour'"]),
        ("[sign]\nkey = 1\n", ["there is no setting 'sign'"]),
        ("token = 1\n", ["Expected `str", "$.token"]),
        ("token = \n", ["line 1"]),
        ('ca_files = "a.pem"\n', ["$.ca_files"]),
        ("workers = 0\n", ["workers is 1 to 64"]),
        ("workers = -1\n", ["workers is 1 to 64"]),
        ("workers = true\n", ["$.workers"]),
        ('token = "a"\ntoken = "b"\n', ["line 2"]),
        ("token = 1979-05-27\n", ["$.token"]),
        (b"token = '\xff'\n", ["utf-8"]),
        (b"\0", ["line 1"]),
    ],
)
def test_what_it_may_not_say_is_refused_in_words(path: Path, text: str | bytes, words: list[str]) -> None:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(str(path))
    for word in words:
        assert word in str(caught.value)


def test_a_file_that_was_named_must_be_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMIME_AGENT_CONFIG", str(path))
    with pytest.raises(ConfigError, match="there is no configuration file"):
        load_config()


def test_a_file_that_nobody_named_need_not_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert load_config() == Config()


def test_the_usual_place_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "smime-agent").mkdir()
    (tmp_path / "smime-agent" / "config.toml").write_text('token = "t"\n')
    assert load_config().token == "t"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the configuration file"):
        load_config(tmp_path)


def test_the_places_follow_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "c"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "d"))
    assert config_path() == tmp_path / "c" / "smime-agent" / "config.toml"
    assert data_directory() == tmp_path / "d" / "smime-agent"
