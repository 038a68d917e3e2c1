"""Which key: the only place that decides it. What decrypts is in :mod:`smime_agent.keyring.decrypting`."""

from smime_agent.keyring.signing import TokenKeyring

__all__ = ["TokenKeyring"]
