"""Run ``smime-agent`` as ``python -m smime_agent``."""

from smime_agent.cli import main

main()
