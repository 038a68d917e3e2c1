"""``smime-agent setup``: other programs are told to use this one."""

from __future__ import annotations

import typer

from smime_agent.cli.setup_git import git
from smime_agent.cli.setup_neomutt import neomutt

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Tell git and mail programs to sign with your token.",
)
app.command()(git)
app.command()(neomutt)
