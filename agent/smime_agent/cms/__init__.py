"""RFC 5652 and its companions: CMS objects from values, and values from CMS objects."""

from smime_agent.cms.attributes import Attribute
from smime_agent.cms.content import Content
from smime_agent.cms.content_info import content_type
from smime_agent.cms.dsa_parameters import inherits_parameters, with_inherited_parameters
from smime_agent.cms.normal import to_der
from smime_agent.cms.signature import CheckedSignature, ContentDigests, check_signature, digest_content
from smime_agent.cms.signed_attributes_builder import SignedAttributesBuilder
from smime_agent.cms.signed_data import SignedData
from smime_agent.cms.signed_data_builder import SignedDataBuilder
from smime_agent.cms.signer_info import AlgorithmIdentifier, SignerIdentifier, SignerInfo

__all__ = [
    "AlgorithmIdentifier",
    "Attribute",
    "CheckedSignature",
    "Content",
    "ContentDigests",
    "SignedAttributesBuilder",
    "SignedData",
    "SignedDataBuilder",
    "SignerIdentifier",
    "SignerInfo",
    "check_signature",
    "content_type",
    "digest_content",
    "inherits_parameters",
    "to_der",
    "with_inherited_parameters",
]
