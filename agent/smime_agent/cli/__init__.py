"""The command line. :func:`main` is where the program begins, and the only place that catches errors."""

from smime_agent.cli.main import main

__all__ = ["main"]
