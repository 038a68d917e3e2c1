"""Tokens as they are plugged in now: finding the one that was meant, and what it says of itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pkcs11

from smime_agent.errors import AmbiguousError, ModuleLoadError, TokenAbsentError, TokenError
from smime_agent.tokens import module as modules
from smime_agent.tokens.uri import SCHEME, Pkcs11Uri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from smime_agent.tokens.module import Module

_Flag = pkcs11.TokenFlag


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """What a token, its slot and its module say of themselves.

    ``initialized`` tokens have a label and a security officer; those with ``pin_initialized`` have a user PIN too.
    """

    label: str
    serial: str
    manufacturer: str
    model: str
    firmware: str
    slot_id: int
    slot_description: str
    slot_manufacturer: str
    module: str
    library_description: str
    library_manufacturer: str
    library_version: tuple[int, int]
    flags: pkcs11.TokenFlag

    @property
    def name(self) -> str:
        """How a person is told which token is meant."""
        return f"token '{self.label}'" if self.label else f"the token in {self.slot_description or 'its slot'}"

    @property
    def uri(self) -> Pkcs11Uri:
        """A URI that names this token wherever it is plugged in (RFC 7512)."""
        return Pkcs11Uri(token=self.label, serial=self.serial, manufacturer=self.manufacturer, model=self.model)

    @property
    def initialized(self) -> bool:
        """It has a label and an SO PIN."""
        return bool(self.flags & _Flag.TOKEN_INITIALIZED)

    @property
    def pin_initialized(self) -> bool:
        """It has a user PIN."""
        return bool(self.flags & _Flag.USER_PIN_INITIALIZED)

    @property
    def has_pin_pad(self) -> bool:
        """The PIN is typed on the reader or the token."""
        return bool(self.flags & _Flag.PROTECTED_AUTHENTICATION_PATH)

    @property
    def pin_locked(self) -> bool:
        """No try is left."""
        return bool(self.flags & _Flag.USER_PIN_LOCKED)

    @property
    def pin_last_try(self) -> bool:
        """One try is left."""
        return bool(self.flags & _Flag.USER_PIN_FINAL_TRY)

    @property
    def pin_count_low(self) -> bool:
        """At least one try was spent since the last right PIN."""
        return bool(self.flags & _Flag.USER_PIN_COUNT_LOW)

    def matches(self, uri: Pkcs11Uri) -> bool:
        """The URI means this token, or something on it."""
        return uri.matches(
            {
                "token": self.label,
                "serial": self.serial,
                "manufacturer": self.manufacturer,
                "model": self.model,
                "slot_id": self.slot_id,
                "slot_description": self.slot_description,
                "slot_manufacturer": self.slot_manufacturer,
                "library_description": self.library_description,
                "library_manufacturer": self.library_manufacturer,
                "library_version": self.library_version,
            }
        )


@dataclass(frozen=True, slots=True)
class Token:
    """A token in a slot of a module."""

    module: Module = field(repr=False)
    slot: pkcs11.Slot = field(repr=False)
    info: TokenInfo

    def refreshed(self) -> Token:
        """The same token with what it says of itself now, its PIN flags above all.

        Raises:
            TokenRemovedError: it is no longer there.
        """
        with self.module.calling(self.info.name):
            return Token(self.module, self.slot, _info(self.module, self.slot))


@dataclass(frozen=True, slots=True)
class Search:
    """Where to look for tokens, and which one is wanted.

    ``token`` is a ``pkcs11:`` URI or a label; with neither, any token that is initialised will do. ``module`` is the
    path of one module to look in; else a URI's own, else all that are registered.
    """

    token: str | None = None
    module: str | None = None
    before_load: Callable[[str], None] = lambda _: None
    #: Modules that could not be loaded while looking, with the reason: filled by the search.
    failures: list[ModuleLoadError] = field(default_factory=list, compare=False)

    @property
    def uri(self) -> Pkcs11Uri:
        """What is wanted, as a URI."""
        if self.token is None:
            return Pkcs11Uri()
        if self.token.lower().startswith(SCHEME):
            return Pkcs11Uri.parse(self.token)
        return Pkcs11Uri(token=self.token)

    def tokens(self, *, uninitialized: bool = False) -> list[Token]:
        """All tokens that fit, in the order of the modules."""
        return [
            token
            for module in self._modules()
            for token in _tokens_of(module)
            if (token.info.initialized or uninitialized) and token.info.matches(self.uri)
        ]

    def one(self) -> Token:
        """The only token that fits.

        Raises:
            TokenAbsentError: there is none.
            AmbiguousError: there are several.
        """
        tokens = self.tokens()
        is_blank = not tokens and self.token is None and bool(self.tokens(uninitialized=True))
        info = only([token.info for token in tokens], self, is_blank=is_blank)
        return next(token for token in tokens if token.info is info)

    def _modules(self) -> Iterator[Module]:
        uri = self.uri
        self.failures.clear()
        explicit = self.module or uri.module_path
        if explicit:
            yield modules.load(explicit, self.before_load)
            return
        found = False
        for path in modules.default_paths():
            if uri.module_name and uri.module_name.lower() not in path.rpartition("/")[2].lower():
                continue
            try:
                yield modules.load(path, self.before_load)
                found = True
            except ModuleLoadError as error:
                self.failures.append(error)
        if not found and not self.failures:
            msg = f"no PKCS#11 module{f' named {uri.module_name}' if uri.module_name else ''} is installed"
            raise ModuleLoadError(msg, hint="install softhsm2 or opensc, or name a module with --module")


def only(found: Sequence[TokenInfo], search: Search, *, is_blank: bool = False) -> TokenInfo:
    """The only token that was found; ``is_blank`` if there is one that is not initialised.

    Raises:
        TokenAbsentError: there is none.
        AmbiguousError: there are several.
    """
    if len(found) == 1:
        return found[0]
    if found:
        wanted = f"fit '{search.token}'" if search.token else "are plugged in"
        msg = f"{len(found)} tokens {wanted}"
        raise AmbiguousError(msg, hint="name one of them with --token", details=[str(one.uri) for one in found])
    wanted = "no token that is initialised is plugged in"
    if search.token:
        wanted = f"no token '{search.token}' is plugged in"
    if search.failures:
        hint = f"a module could not be used: {search.failures[0]}"
    elif is_blank:
        hint = "'smime-agent token init' initialises one"
    else:
        hint = "'smime-agent token list' shows what is there; --module names a module that is not registered"
    raise TokenAbsentError(wanted, hint=hint)


def _tokens_of(module: Module) -> Iterator[Token]:
    for slot in module.slots():
        try:
            with module.calling("a token"):
                info = _info(module, slot)
        except TokenError:  # gone between the two calls, or not recognised: not one that can be meant
            continue
        yield Token(module, slot, info)


def _info(module: Module, slot: pkcs11.Slot) -> TokenInfo:
    token = slot.get_token()
    library = module.library
    return TokenInfo(
        label=_text(token.label),
        serial=_text(token.serial),
        manufacturer=_text(token.manufacturer_id),
        model=_text(token.model),
        firmware=".".join(map(str, token.firmware_version)),
        slot_id=slot.slot_id,
        slot_description=_text(slot.slot_description),
        slot_manufacturer=_text(slot.manufacturer_id),
        module=module.path,
        library_description=_text(library.library_description),
        library_manufacturer=_text(library.manufacturer_id),
        library_version=library.library_version,
        flags=token.flags,
    )


def _text(value: str | bytes) -> str:
    """A fixed-width field without its padding; some modules pad with NUL."""
    text = value.decode(errors="replace") if isinstance(value, bytes) else value
    return text.rstrip(" \0")
