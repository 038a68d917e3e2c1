"""Packages that load a module when one of its names is asked for: most of what starts needs few of them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def names_of(package: str, values: dict[str, Any], homes: Mapping[str, tuple[str, ...]]) -> Callable[[str], Any]:
    """The ``__getattr__`` of a package, whose globals are ``values``: ``homes`` has modules with the names in each."""

    def __getattr__(name: str) -> Any:  # noqa: ANN401, N807 - a module's attributes are of any type
        for home, names in homes.items():
            if name in names:
                value = values[name] = getattr(import_module(f"{package}.{home}"), name)
                return value
        msg = f"module '{package}' has no attribute '{name}'"
        raise AttributeError(msg)

    return __getattr__
