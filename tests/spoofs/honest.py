"""Mails that look strange, and that nobody has a reason to refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.spoofs.honest_people import honest_people
from tests.spoofs.honest_signatures import honest_signatures
from tests.spoofs.honest_structures import honest_structures

if TYPE_CHECKING:
    from tests.spoofs.spoof import Honest
    from tests.spoofs.workshop import Workshop


def honest(workshop: Workshop) -> list[Honest]:
    """All of them."""
    return [*honest_people(workshop), *honest_signatures(workshop), *honest_structures(workshop)]
