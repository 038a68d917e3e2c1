"""Who a message is encrypted to, and the port to whoever knows the certificates of people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smime_agent.cms.capabilities import Capabilities
    from smime_agent.x509 import Certificate


@dataclass(frozen=True, slots=True)
class Recipient:
    """A certificate to encrypt to, and what its holder said to be able to decrypt; nothing of it is checked."""

    certificate: Certificate
    capabilities: Capabilities | None = None


class RecipientDirectory(Protocol):
    """Somebody who knows the certificates of others. What it knows was not checked, or not today."""

    def find(self, address: str) -> Sequence[Recipient]:
        """The certificates that are known for a mail address, best first; none where nobody is known."""
        ...

    def pool(self, address: str) -> Sequence[bytes]:
        """Certificates in DER that the paths of these may need; nobody vouches for them."""
        ...
