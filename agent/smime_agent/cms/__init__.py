"""RFC 5652 and its companions: CMS objects from values, and values from CMS objects."""

from smime_agent.cms.signed_attributes_builder import SignedAttributesBuilder
from smime_agent.cms.signed_data_builder import SignedDataBuilder

__all__ = ["SignedAttributesBuilder", "SignedDataBuilder"]
