"""The configuration file: TOML, read once, into one frozen value."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import platformdirs

from smime_agent.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

_PROGRAM = "smime-agent"


class Scope(Enum):
    """What a PIN is good for, once it was typed. The value is its name in the file."""

    OPERATION = "operation"
    BATCH = "batch"
    TTL = "ttl"


class Confirmation(Enum):
    """When a person is asked whether a program may use a key. The value is its name in the file."""

    NEVER = "never"
    FIRST = "first"
    EVERY = "every"


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """How the agent uses a key.

    ``key`` names it, as ``--key`` does; without one it is for all keys that no other policy names. A login lasts for
    one operation, for ``batch`` of them, or until nobody used it for ``idle`` seconds, and ``absolute`` seconds at
    most. ``keep_pin`` lets a key that wants its PIN each time have it from memory for as long as the login lasts.
    """

    key: str | None = None
    scope: Scope = Scope.TTL
    batch: int = 10
    idle: int = 600
    absolute: int = 8 * 3600
    confirm: Confirmation = Confirmation.NEVER
    keep_pin: bool = False


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """How the agent works.

    ``policy`` is for every key that none of ``keys`` is for. ``pinentry`` is the program that asks for PINs,
    ``modules`` are the PKCS#11 modules that it uses, instead of those that are registered. A token that nobody is
    logged in to is let go of after ``release`` seconds. An operation may take ``timeout`` seconds. ``lock_on_sleep``
    and ``lock_on_screen_lock`` end logins when the machine sleeps or the screen is locked.
    """

    policy: KeyPolicy = field(default_factory=KeyPolicy)
    keys: tuple[KeyPolicy, ...] = ()
    pinentry: str | None = None
    modules: tuple[str, ...] = ()
    release: int = 30
    timeout: int = 60
    lock_on_sleep: bool = True
    lock_on_screen_lock: bool = True


@dataclass(frozen=True, slots=True)
class Config:
    """What the file may say. The command line and the environment come before it.

    ``token`` is a URI or a label, ``module`` the path of a PKCS#11 module, ``pin_source`` as on the command line,
    ``ca_files`` PEM files of trust anchors, ``workers`` how many processes sign in bulk. ``agent`` is a table.
    """

    token: str | None = None
    module: str | None = None
    key: str | None = None
    pin_source: str = "prompt"
    ca_files: tuple[str, ...] = ()
    workers: int = 1
    agent: AgentConfig = field(default_factory=AgentConfig)

    @property
    def pin_variables(self) -> tuple[str, ...]:
        """The variable of the environment that holds the PIN, if one does."""
        kind, _, name = self.pin_source.partition(":")
        return (name,) if kind == "env" else ()


#: The bounds of numbers in the file.
_BOUNDS: Final = {
    "workers": (1, 64),
    "batch": (1, 100_000),
    "idle": (1, 7 * 86_400),
    "absolute": (1, 7 * 86_400),
    "release": (1, 86_400),
    "timeout": (1, 3600),
}


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


def state_directory() -> Path:
    """Where the agent keeps its audit log."""
    return _of_the_user(platformdirs.user_state_path)


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
        _refuse_unknown(where, values, Config)
        config = msgspec.convert(values, Config)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        msg = f"{where}: {error}"
        raise ConfigError(msg, hint='it is TOML, such as: token = "my token"') from error
    # A CA file beside the configuration must not become one of whatever folder a command is run in.
    files = tuple(str(where.absolute().parent / Path(name).expanduser()) for name in config.ca_files)
    config = replace(config, ca_files=files)
    tables: tuple[Config | AgentConfig | KeyPolicy, ...] = (config, config.agent, config.agent.policy)
    for table in (*tables, *config.agent.keys):
        _check_bounds(where, table)
    return config


def _refuse_unknown(where: Path, values: Any, kind: type[Any]) -> None:  # noqa: ANN401 - what TOML holds
    """Refuse a setting that there is not, in a table and in those inside it."""
    if not isinstance(values, dict):
        return
    known = {one.name: _tables(one.default_factory) for one in fields(kind)}
    if unknown := set(values) - set(known):
        msg = f"{where}: there is no setting '{min(unknown)}'"
        raise ConfigError(msg, hint=f"the settings are {', '.join(known)}")
    for name, inner in known.items():
        if inner is not None:
            _refuse_unknown(where, values.get(name), inner)
    for one in values.get("keys", ()) if kind is AgentConfig else ():
        _refuse_unknown(where, one, KeyPolicy)


def _tables(factory: Any) -> type[Any] | None:  # noqa: ANN401 - or a sentinel
    return factory if isinstance(factory, type) and is_dataclass(factory) else None


def _check_bounds(where: Path, table: Config | AgentConfig | KeyPolicy) -> None:
    for one in fields(table):
        least, most = _BOUNDS.get(one.name, (0, 0))
        if one.name in _BOUNDS and not least <= getattr(table, one.name) <= most:
            msg = f"{where}: {one.name} is {least} to {most}"
            raise ConfigError(msg)
