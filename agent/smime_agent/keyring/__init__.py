"""Which key: the only place that decides it. To sign is here; to decrypt is in :mod:`smime_agent.keyring.decrypting`."""

from smime_agent.keyring.signing import TokenKeyring

__all__ = ["TokenKeyring"]
