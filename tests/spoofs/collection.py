"""The whole collection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.spoofs.containers import containers
from tests.spoofs.identities import identities
from tests.spoofs.paths import paths
from tests.spoofs.readers import readers
from tests.spoofs.senders import senders
from tests.spoofs.signatures import signatures
from tests.spoofs.structures import structures
from tests.spoofs.terminals import terminals
from tests.spoofs.workshop import Workshop

if TYPE_CHECKING:
    from tests.spoofs.spoof import Spoof

WORKSHOP = Workshop()
GROUPS = {
    "senders": senders,
    "identities": identities,
    "paths": paths,
    "signatures": signatures,
    "containers": containers,
    "structures": structures,
    "readers": readers,
    "terminals": terminals,
}


def collection() -> list[Spoof]:
    """Every spoof, under a name that no other has."""
    spoofs = [spoof for group in GROUPS.values() for spoof in group(WORKSHOP)]
    assert len({spoof.name for spoof in spoofs}) == len(spoofs)
    return spoofs
