"""RecipientInfos of all kinds as nodes: for whom a key is wrapped, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from smime_agent.cms.recipient_info import (
    IssuerAndSerialNumber,
    KEKRecipientInfo,
    KEMRecipientInfo,
    KeyAgreeRecipientInfo,
    KeyIdentifier,
    KeyTransRecipientInfo,
    OtherRecipientInfo,
    PasswordRecipientInfo,
    read_recipient_info,
)
from smime_agent.cms.signer_info import SignerIdentifier
from smime_agent.names import name_of
from smime_agent.smime.inspect import tree, words
from smime_agent.smime.inspect.tree import Node, NodeType
from smime_agent.verdict import UntrustworthyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smime_agent.cms.recipient_info import OriginatorPublicKey, RecipientInfo
    from smime_agent.cms.signer_info import AlgorithmIdentifier
    from smime_agent.smime.inspect.tree import Budget, Value

_RSA: Final = {"signature_algorithm": "RSASSA-PKCS1-v1_5", "key_encryption_algorithm": "RSAES-PKCS1-v1_5"}


def recipient_node(encoded: bytes, budget: Budget) -> Node:
    """One RecipientInfo, by the name that its kind has in the standard."""
    try:
        info = read_recipient_info(encoded)
    except UntrustworthyError as error:
        return Node(NodeType.RECIPIENT, size=len(encoded), unreadable=str(error))
    children: list[Node] = []
    more = 0
    if isinstance(info, KeyAgreeRecipientInfo):
        children.append(Node(NodeType.ORIGINATOR, values=tuple(_originator(info.originator))))
        for key in info.recipient_encrypted_keys[: tree.MAX_SHOWN]:
            if budget.is_spent:
                break
            budget.spend()
            values = (*identifier(key.recipient), tree.count_of("encrypted_key", key.encrypted_key))
            children.append(Node(NodeType.RECIPIENT_KEY, values=values))
        more = len(info.recipient_encrypted_keys) - (len(children) - 1)
    return Node(
        NodeType.RECIPIENT, type(info).__name__, values=tuple(_values(info)), children=tuple(children), more=more
    )


def identifier(name: IssuerAndSerialNumber | KeyIdentifier | SignerIdentifier) -> Iterator[Value]:
    """How a certificate or a key is named."""
    if isinstance(name, KeyIdentifier):
        yield tree.octets_of("key_identifier", name.identifier)
        if name.date is not None:
            yield tree.value("key_date", name.date)
        if name.other is not None:
            yield tree.octets_of("key_attribute", name.other)
        return
    if isinstance(name, SignerIdentifier) and name.subject_key_identifier is not None:
        yield tree.octets_of("key_identifier", name.subject_key_identifier)
    if name.issuer is not None and name.serial_number is not None:
        yield tree.value("issuer", words.distinguished_name(name.issuer))
        yield tree.value("serial", f"{name.serial_number:x}")


def algorithm(name: str, identified: AlgorithmIdentifier) -> Value:
    """An algorithm in words, with its OID. What ``rsaEncryption`` means depends on what it is said of (RFC 3370)."""
    text = words.algorithm(identified)
    return tree.named(name, identified.oid, _RSA.get(name, text) if text == "RSA" else text)


def _values(info: RecipientInfo) -> Iterator[Value]:
    if isinstance(info, OtherRecipientInfo):
        yield tree.named("kind", info.oid, name_of(info.oid))
        yield tree.octets_of("value", info.value)
        return
    yield tree.value("version", info.version)
    if isinstance(info, KeyTransRecipientInfo | KEMRecipientInfo):
        yield from identifier(info.recipient)
    elif isinstance(info, KEKRecipientInfo):
        yield from identifier(info.key)
        if info.key.identifier.isascii() and info.key.identifier.decode("ascii").isprintable():
            yield tree.value("key_name", info.key.identifier.decode("ascii"))
    elif isinstance(info, PasswordRecipientInfo) and info.key_derivation_algorithm is not None:
        yield algorithm("key_derivation_algorithm", info.key_derivation_algorithm)
    if isinstance(info, KEMRecipientInfo):
        yield from _encapsulation(info)
    if isinstance(info, KeyAgreeRecipientInfo | KEMRecipientInfo) and info.user_keying_material is not None:
        yield tree.octets_of("user_keying_material", info.user_keying_material)
    yield algorithm("key_encryption_algorithm", info.key_encryption_algorithm)
    if not isinstance(info, KeyAgreeRecipientInfo):
        yield tree.count_of("encrypted_key", info.encrypted_key)


def _encapsulation(info: KEMRecipientInfo) -> Iterator[Value]:
    """RFC 9629, 3."""
    yield algorithm("kem_algorithm", info.kem_algorithm)
    yield tree.count_of("kem_ciphertext", info.kem_ciphertext)
    yield algorithm("key_derivation_algorithm", info.key_derivation_algorithm)
    yield tree.value("key_encryption_key_length", info.key_encryption_key_length)


def _originator(originator: IssuerAndSerialNumber | KeyIdentifier | OriginatorPublicKey) -> Iterator[Value]:
    if isinstance(originator, IssuerAndSerialNumber | KeyIdentifier):
        yield from identifier(originator)
        return
    yield algorithm("key_algorithm", originator.algorithm)
    yield tree.octets_of("public_key", originator.public_key)
