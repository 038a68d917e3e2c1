"""``smime-agent setup git``: git signs with a key on a token, and verifies what others signed so."""

from __future__ import annotations


def git() -> None:
    """Let git sign commits and tags with a key on a token."""
    raise NotImplementedError
