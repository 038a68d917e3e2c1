"""CRLs and OCSP responses, from the net and from the disk.

``NetworkSource`` asks the places that the certificates of a chain name, within bounds of time and size, and keeps what
it got: in memory for the run, on the disk until the next update. Nothing is trusted here. Whether an answer counts is
for the path validation to say; only what the issuer's key signed is kept on the disk, so that nobody between us and the
server can make us keep his own.
"""

from smime_agent.retrieval.limits import Limits
from smime_agent.retrieval.network import NetworkSource

__all__ = ["Limits", "NetworkSource"]
