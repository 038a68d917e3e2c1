"""RFC 5652 and its companions: CMS objects from values, and values from CMS objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smime_agent.lazily import names_of

if TYPE_CHECKING:
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

_HOMES = {
    "attributes": ("Attribute",),
    "content": ("Content",),
    "content_info": ("content_type",),
    "dsa_parameters": ("inherits_parameters", "with_inherited_parameters"),
    "normal": ("to_der",),
    "signature": ("CheckedSignature", "ContentDigests", "check_signature", "digest_content"),
    "signed_attributes_builder": ("SignedAttributesBuilder",),
    "signed_data": ("SignedData",),
    "signed_data_builder": ("SignedDataBuilder",),
    "signer_info": ("AlgorithmIdentifier", "SignerIdentifier", "SignerInfo"),
}

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

__getattr__ = names_of(__name__, globals(), _HOMES)
