"""How tokens, keys, schemes and errors are named between processes: plain values, and their JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from smime_agent.algorithms import Digest, SignatureAlgorithm, SignatureScheme
from smime_agent.daemon.dialogue import one_line
from smime_agent.errors import AgentError, SmimeAgentError
from smime_agent.verdict import Code, UntrustworthyError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from smime_agent.daemon.protocol import Fields
    from smime_agent.tokens.objects import TokenKey
    from smime_agent.tokens.token import TokenInfo


@dataclass(frozen=True, slots=True)
class TokenPlace:
    """A token where it is plugged in now: one that is put into another slot is looked at anew."""

    module: str
    slot_id: int
    label: str
    serial: str
    manufacturer: str
    model: str

    @classmethod
    def of(cls, info: TokenInfo) -> TokenPlace:
        """The place of a token that was seen."""
        return cls(info.module, info.slot_id, info.label, info.serial, info.manufacturer, info.model)

    @classmethod
    def read(cls, fields: Fields) -> TokenPlace:
        """Take it out of a message.

        Raises:
            ProtocolError: it is none.
        """
        place = cls(
            fields.text("module"),
            fields.number("slot_id"),
            *(fields.text(name) for name in ("label", "serial", "manufacturer", "model")),
        )
        fields.finish()
        return place

    def values(self) -> dict[str, Any]:
        """Its JSON."""
        return asdict(self)

    @property
    def name(self) -> str:
        """How people are told which token it is."""
        return f"token '{one_line(self.label)}'" if self.label else "the token without a label"


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """A key on a token; ``public_key_info`` is DER, and absent where the token does not show it."""

    token: TokenPlace
    id: bytes
    label: str
    public_key_info: bytes | None

    @classmethod
    def of(cls, info: TokenInfo, key: TokenKey) -> KeyPlace:
        """The place of a key that was seen."""
        return cls(TokenPlace.of(info), key.id, key.label, key.public_key_info)

    @classmethod
    def read(cls, fields: Fields) -> KeyPlace:
        """Take it out of a message.

        Raises:
            ProtocolError: it is none.
        """
        place = cls(
            TokenPlace.read(fields.object("token")),
            fields.octets("id"),
            fields.text("label"),
            fields.optional_octets("public_key_info"),
        )
        fields.finish()
        return place

    def values(self) -> dict[str, Any]:
        """Its JSON."""
        return asdict(self)

    @property
    def pair(self) -> KeyPlace:
        """The pair, whichever half was seen: the halves may have other labels (OpenSC gives them such)."""
        return self if self.public_key_info is None else replace(self, label="")

    @property
    def name(self) -> str:
        """How people are told which key it is."""
        label = f" '{one_line(self.label)}'" if self.label else ""
        return f"key {self.id.hex() or '(without id)'}{label}"


def read_scheme(fields: Fields) -> SignatureScheme:
    """A signature scheme out of a message.

    Raises:
        ProtocolError: it is none.
    """
    scheme = SignatureScheme(fields.choice("algorithm", SignatureAlgorithm), fields.choice("digest", Digest))
    fields.finish()
    return scheme


def scheme_values(scheme: SignatureScheme) -> dict[str, str]:
    """The JSON of a signature scheme."""
    return {"algorithm": scheme.algorithm.value, "digest": scheme.digest.value}


def error_values(error: SmimeAgentError) -> dict[str, Any]:
    """The JSON of an error."""
    return {"code": error.code, "message": str(error), "hint": error.hint, "details": list(error.details)}


def read_error(fields: Fields) -> SmimeAgentError:
    """An error out of a message, of the class that it had; of one that is not known here, an AgentError.

    Raises:
        ProtocolError: it is none.
    """
    code, message = fields.text("code"), fields.text("message", longest=65_536)
    hint, details = fields.optional_text("hint"), fields.texts("details")
    fields.finish()
    kind = _kinds().get(code)
    if kind is None:
        with_code = {one.value: one for one in Code}.get(code)
        if with_code is not None:
            return UntrustworthyError(with_code, message, hint=hint)
        kind = AgentError
    error = kind.__new__(kind)
    SmimeAgentError.__init__(error, message, hint=hint, details=details)  # some take no message of their own
    return error


@cache
def _kinds() -> Mapping[str, type[SmimeAgentError]]:
    from smime_agent.cms.ciphers import DecryptionError  # which are among them once they are loaded
    from smime_agent.daemon.signable import NotSignableError

    kinds: list[type[SmimeAgentError]] = [DecryptionError, NotSignableError, *_below(SmimeAgentError)]
    return {kind.code: kind for kind in kinds if kind is not UntrustworthyError}


def _below(kind: type[SmimeAgentError]) -> Iterator[type[SmimeAgentError]]:
    yield kind
    for one in kind.__subclasses__():
        yield from _below(one)
