"""The roads. Each reads once, from top to bottom, like its paragraph in the standard."""

from smime_agent.smime.sign import refuse_signed, sign, sign_content

__all__ = ["refuse_signed", "sign", "sign_content"]
