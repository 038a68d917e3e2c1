"""The configuration file: TOML, read once, into one frozen value."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from smime_agent.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

_PROGRAM = "smime-agent"


@dataclass(frozen=True, slots=True)
class Config:
    """What the file may say. The command line and the environment come before it.

    ``token`` is a URI or a label, ``module`` the path of a PKCS#11 module, ``pin_source`` as on the command line,
    ``ca_files`` PEM files of trust anchors, ``workers`` how many processes sign in bulk.
    """

    token: str | None = None
    module: str | None = None
    key: str | None = None
    pin_source: str = "prompt"
    ca_files: tuple[str, ...] = ()
    workers: int = 1


def config_path() -> Path:
    """Where the file is: ``SMIME_AGENT_CONFIG``, else ``config.toml`` in the user's configuration directory."""
    named = os.environ.get("SMIME_AGENT_CONFIG")
    return Path(named) if named else _of_the_user(platformdirs.user_config_path) / "config.toml"


def data_directory() -> Path:
    """Where public facts are kept: imported chains, later contacts and key history."""
    return _of_the_user(platformdirs.user_data_path)


def cache_directory() -> Path:
    """Where CRLs and OCSP responses are kept while they are current."""
    return _of_the_user(platformdirs.user_cache_path) / "revocation"


def _of_the_user(folder: Callable[[str], Path]) -> Path:
    try:
        return folder(_PROGRAM)
    except RuntimeError:  # an account without a home, as in a container
        return Path("/nonexistent") / _PROGRAM


def load_config(path: Path | None = None) -> Config:
    """The configuration, or its defaults where there is no file.

    Raises:
        ConfigError: the file cannot be read, or says something else than :class:`Config` may hold.
    """
    where = path or config_path()
    try:
        text = where.read_bytes()
    except FileNotFoundError:
        if path is not None or "SMIME_AGENT_CONFIG" in os.environ:
            msg = f"there is no configuration file {where}"
            raise ConfigError(msg, hint="SMIME_AGENT_CONFIG names it") from None
        return Config()
    except OSError as error:
        msg = f"cannot read the configuration file {where}: {error.strerror}"
        raise ConfigError(msg) from error
    return _parsed(where, text)


def _parsed(where: Path, text: bytes) -> Config:
    # Both are slow to load, and most runs have no file.
    import tomllib

    import msgspec

    try:
        values = tomllib.loads(text.decode())
        unknown = set(values) - {field.name for field in fields(Config)}
        if unknown:
            msg = f"{where}: there is no setting '{min(unknown)}'"
            raise ConfigError(msg, hint=f"the settings are {', '.join(field.name for field in fields(Config))}")
        config = msgspec.convert(values, Config)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        msg = f"{where}: {error}"
        raise ConfigError(msg, hint='it is TOML, such as: token = "my token"') from error
    # A CA file beside the configuration must not become one of whatever folder a command is run in.
    files = tuple(str(where.absolute().parent / Path(name).expanduser()) for name in config.ca_files)
    config = replace(config, ca_files=files)
    if config.workers < 1:
        msg = f"{where}: workers is 1 or more"
        raise ConfigError(msg)
    return config
