"""What a client may ask for: each method, its parameters, and what the agent does about it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from smime_agent.algorithms import Digest, Padding
from smime_agent.cms.recipient_info import read_recipient_info
from smime_agent.cms.recipients import read_recipients
from smime_agent.cms.signer_info import algorithm_of
from smime_agent.daemon.places import KeyPlace, TokenPlace, read_scheme, scheme_values
from smime_agent.daemon.protocol import Fields, ProtocolError
from smime_agent.daemon.signable import signable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from smime_agent.daemon.broker import Broker
    from smime_agent.daemon.requester import Requester

    Result = Mapping[str, Any]


async def tokens(broker: Broker, requester: Requester, fields: Fields) -> Result:
    """What is plugged in, and what lies on it."""
    token, module = fields.optional_text("token"), fields.optional_text("module")
    fields.finish()
    return {"tokens": await broker.tokens(requester, token, module)}


async def serves(broker: Broker, requester: Requester, fields: Fields) -> Result:  # noqa: ARG001 - as the others
    """Whether the agent uses the module that is meant, if one is."""
    token, module = fields.optional_text("token"), fields.optional_text("module")
    fields.finish()
    broker.modules_for(token, module)
    return {}


async def log_in(broker: Broker, requester: Requester, fields: Fields) -> Result:
    """A login, and what can be seen after it."""
    place = TokenPlace.read(fields.object("token"))
    wanted = fields.raw("key")
    key = KeyPlace.read(Fields(wanted, "the key")) if wanted is not None else None
    fields.finish()
    if key is not None and key.token != place:
        raise ProtocolError("the key is on another token")
    holder = await broker.holder_at(place)
    await holder.log_in(requester, key)
    return _answer(await holder.describe(requester), "info", "objects")


async def signer(broker: Broker, requester: Requester, fields: Fields) -> Result:
    """The key for a mail, its scheme and certificates."""
    token, module = fields.optional_text("token"), fields.optional_text("module")
    wish = {
        "name": fields.optional_text("name"),
        "addresses": list(fields.texts("addresses")),
        "digest": _value(fields.optional_choice("digest", Digest)),
        "padding": _value(fields.optional_choice("padding", Padding)),
    }
    fields.finish()
    holder = await broker.holder(token, module)
    answer = await holder.choose(requester, **wish)
    names = ("key", "scheme", "certificate", "mailboxes", "chain", "encryption_certificate")
    return _answer(answer, *names)


async def sign(broker: Broker, requester: Requester, fields: Fields) -> Result:
    """A signature over SignedAttributes, and over nothing else."""
    key, scheme = KeyPlace.read(fields.object("key")), read_scheme(fields.object("scheme"))
    attributes = fields.octets("attributes")
    fields.finish()
    checked = signable(attributes, scheme, datetime.now(UTC))
    holder = await broker.holder_at(key.token)
    facts = {"digest": f"{scheme.digest.value}:{checked.message_digest.hex()}"}
    values = {"scheme": scheme_values(scheme), "attributes": checked.tbs}
    answer = await holder.use(requester, key, "sign", facts, **values)
    return _answer(answer, "signature")


async def unwrap(broker: Broker, requester: Requester, fields: Fields) -> Result:
    """The content-encryption key of one RecipientInfo."""
    key = KeyPlace.read(fields.object("key"))
    recipient_info, position = fields.octets("recipient_info"), fields.number("position")
    content_encryption, legacy = fields.octets("content_encryption"), fields.flag("legacy")
    fields.finish()
    read_recipient_info(recipient_info)  # whether it is one at all
    recipients = read_recipients([recipient_info], algorithm_of(content_encryption))
    if position >= len(recipients):
        raise ProtocolError("there is no such recipient in the RecipientInfo")
    holder = await broker.holder_at(key.token)
    values: dict[str, Any] = {"recipient_info": recipient_info, "position": position}
    values |= {"content_encryption": content_encryption, "legacy": legacy}
    answer = await holder.use(requester, key, "unwrap", {"recipient": recipients[position].name}, **values)
    return _answer(answer, "key")


def _answer(fields: Fields, *names: str) -> Result:
    return {name: fields.raw(name) for name in names}


def _value(member: Digest | Padding | None) -> str | None:
    return member.value if member is not None else None


METHODS = {"serves": serves, "tokens": tokens, "login": log_in, "signer": signer, "sign": sign, "unwrap": unwrap}
