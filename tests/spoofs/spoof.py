"""What a spoof is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spoof:
    """A mail that nobody may trust.

    ``verdict`` and ``code`` are what ``verify`` has to say, ``why`` is what the mail plays on. ``options`` are for
    its command line; ``{name}`` in them is the path of a file of :meth:`tests.spoofs.workshop.Workshop.files`.
    """

    name: str
    mail: bytes
    verdict: str
    code: str
    why: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Honest:
    """A mail that is to be trusted, and what is unusual about it."""

    name: str
    mail: bytes
    why: str
    options: tuple[str, ...] = ()
