"""RFC 5652 and its companions: CMS objects from values, and values from CMS objects."""

from smime_agent.cms.signed_attributes import SignedAttributes
from smime_agent.cms.signed_data import SignedData

__all__ = ["SignedAttributes", "SignedData"]
