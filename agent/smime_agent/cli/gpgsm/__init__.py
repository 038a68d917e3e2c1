"""``smime-agent-gpgsm``: what git calls as ``gpg.x509.program``, in the place of GnuPG's gpgsm.

It takes the arguments of gpgsm that git, EGit and their like give, and answers on ``--status-fd`` as gpgsm does
(GnuPG, doc/DETAILS). What signs is a key on a token. It is started for each commit, so nothing is imported before it is
needed: not even Typer, which parses the arguments of all other commands.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from smime_agent.cli.main import leave_after

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Do what the arguments say, and leave the process with an exit code: 0, or 2 for whatever is not good."""
    from smime_agent.cli.gpgsm.program import run

    leave_after(run, sys.argv[1:] if arguments is None else arguments)
