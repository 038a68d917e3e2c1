"""What a worker does with its module: look at tokens, log in to one, sign and unwrap with its keys."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pkcs11

from smime_agent.algorithms import Digest, Padding
from smime_agent.certificates.chains import stored_chain
from smime_agent.certificates.history import History, history_path
from smime_agent.config import data_directory, load_config
from smime_agent.daemon.asking import Asking, Occasion
from smime_agent.daemon.descriptions import info_values, objects_values
from smime_agent.daemon.dialogue import dialogue_on
from smime_agent.daemon.places import KeyPlace, TokenPlace, read_scheme, scheme_values
from smime_agent.errors import NoKeyError, PinError, PinLastTryError, TokenAbsentError, TokenError
from smime_agent.keyring.signing import TokenKeyring
from smime_agent.keys import KeyQuery, ToBeSigned, WrappedKey
from smime_agent.tokens import module as modules
from smime_agent.tokens.decrypter import TokenDecrypter
from smime_agent.tokens.objects import labels_of, read_objects
from smime_agent.tokens.pins import PinSource
from smime_agent.tokens.session import TokenSession
from smime_agent.tokens.signer import SigningKey
from smime_agent.tokens.substitutes import OF_THIS_PROCESS
from smime_agent.tokens.token import Search

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from smime_agent.algorithms import SignatureScheme
    from smime_agent.daemon.protocol import Fields
    from smime_agent.tokens.objects import TokenKey, TokenObjects
    from smime_agent.tokens.token import Token

    Result = Mapping[str, Any]


class Bench:
    """One module, and at most one token of it that is held. Each method answers one request."""

    def __init__(self, fields: Fields, tell: Callable[..., None]) -> None:
        """Load the module that the first request names; ``tell`` sends an event.

        Raises:
            ModuleLoadError: it cannot be loaded.
        """
        self._path = fields.text("module")
        OF_THIS_PROCESS.adopt(fields.octets("substitutes"))
        pinentry = fields.optional_text("pinentry")
        relays, relay = fields.items("relays", most=64), fields.optional_number("relay")
        fields.finish()
        self._tell = tell
        source = PinSource.parse(load_config().pin_source)
        self._asking = Asking(source, lambda screen: dialogue_on(screen, pinentry), tell, relay)
        self._relays: list[int] = relays
        self._history = History(history_path(data_directory()))
        self._session: TokenSession | None = None
        self._objects: TokenObjects | None = None
        self._keyring: TokenKeyring | None = None
        self._is_logged_in = False
        self._signing: dict[tuple[KeyPlace, SignatureScheme], SigningKey] = {}
        self._decrypting: dict[KeyPlace, TokenDecrypter] = {}
        modules.load(self._path)

    # --- looking -----------------------------------------------------------------------------------------------------

    def do_list(self, fields: Fields) -> Result:
        """All tokens of the module, with what can be seen on them without a login."""
        fields.finish()
        found = []
        for token in Search(module=self._path).tokens():
            with suppress(TokenError):  # one that cannot be looked at must not hide the others
                found.append(self._looked_at(token))
        return {"tokens": found}

    def _looked_at(self, token: Token) -> Result:
        with TokenSession(token, self._asking) as session:
            objects = read_objects(session)
        self._history.record(token.info, objects, datetime.now(UTC).date())
        return _description(token, objects)

    def do_bind(self, fields: Fields) -> Result:
        """Hold one token from now on."""
        place = TokenPlace.read(fields.object("token"))
        fields.finish()
        found = [token for token in Search(module=self._path).tokens() if TokenPlace.of(token.info) == place]
        if not found:
            raise TokenAbsentError(f"{place.name} is no longer plugged in")
        self._session = TokenSession(found[0], self._asking)
        return self._look()

    def do_look(self, fields: Fields) -> Result:
        """What can be seen now on the token that is held."""
        fields.finish()
        return self._look()

    def do_check(self, fields: Fields) -> Result:
        """Whether the token that is held is still there, and the same."""
        fields.finish()
        session = self._held()
        there = session.token.refreshed().info
        if TokenPlace.of(there) != TokenPlace.of(session.token.info):
            raise TokenAbsentError(f"{session.name} is no longer plugged in: another token is in its place")
        return {}

    def _look(self) -> Result:
        session = self._held()
        objects = read_objects(session)
        if objects != self._objects:
            self._objects = objects
            # Before a login private keys cannot be seen on many tokens: their public halves stand for them.
            chain = stored_chain(data_directory())
            self._keyring = TokenKeyring(session, chain, objects, is_logged_in=self._is_logged_in)
            self._signing.clear()
            self._decrypting.clear()
            self._history.record(session.token.info, objects, datetime.now(UTC).date())
        return _description(session.token, objects)

    # --- the key for a mail ------------------------------------------------------------------------------------------

    def do_choose(self, fields: Fields) -> Result:
        """The key and the certificates to sign with; or that a login is needed to know."""
        query = KeyQuery(fields.optional_text("name"), fields.texts("addresses"))
        digest, padding = fields.optional_choice("digest", Digest), fields.optional_choice("padding", Padding)
        fields.finish()
        session, keyring = self._held(), self._looked()
        try:
            signer = keyring.signer(query, at=datetime.now(UTC), digest=digest, padding=padding)
        except NoKeyError:
            if self._is_logged_in:
                raise
            return {"needs_login": True}
        identity = signer.identity
        preference = identity.encryption_certificate
        return {
            "key": KeyPlace.of(session.token.info, signer.key.key).values(),
            "scheme": scheme_values(signer.scheme),
            "certificate": identity.certificate.encoded,
            "mailboxes": list(identity.certificate.mailboxes),
            "chain": [certificate.encoded for certificate in identity.chain],
            "encryption_certificate": preference.encoded if preference is not None else None,
        }

    # --- the login ---------------------------------------------------------------------------------------------------

    def do_login(self, fields: Fields) -> Result:
        """Log in. One PIN is asked for, and one try is spent; the last one only after a person said yes to that."""
        session = self._held()
        self._asking.begin(Occasion.read(fields.object("occasion")))
        fields.finish()
        with self._pin_tried():
            try:
                session.login("")
            except PinLastTryError as error:
                self._asking.agree_to_last_try(error)
                session.login("", use_last_pin_try=True)
        self._is_logged_in = True
        session.relay_pin(self._relays)
        self._relays = []
        self._look()
        if not any(key.always_authenticate for key in self._looked().objects.keys):
            session.forget_pin()
        return {"pin": self._asking.source}

    def do_join(self, fields: Fields) -> Result:
        """Log in with the PIN that the first worker of the token hands on, which was tried there."""
        fields.finish()
        session = self._held()
        session.login("")
        session.forget_pin()
        self._is_logged_in = True
        self._look()
        return {}

    def do_confirm(self, fields: Fields) -> Result:
        """Ask the person whether a program may use a key."""
        occasion = Occasion.read(fields.object("occasion"))
        fields.finish()
        return {"yes": self._asking.confirm(occasion)}

    def do_find(self, fields: Fields) -> Result:
        """What the token says of a key that a client named, and whether it will say the same after a login."""
        place = KeyPlace.read(fields.object("key"))
        fields.finish()
        session, key = self._held(), self._key(place)
        return {
            "key": KeyPlace.of(session.token.info, key).values(),
            "labels": list(dict.fromkeys(labels_of(session, key))),
            "sure": key.private_seen,
        }

    # --- operations --------------------------------------------------------------------------------------------------

    def do_sign(self, fields: Fields) -> Result:
        """Sign what the agent has checked."""
        place, scheme = KeyPlace.read(fields.object("key")), read_scheme(fields.object("scheme"))
        tbs = ToBeSigned(fields.octets("attributes"))
        self._asking.begin(Occasion.read(fields.object("occasion")))
        fields.finish()
        key = self._signing.get((place, scheme))
        if key is None:
            key = self._signing[place, scheme] = SigningKey(self._held(), self._key(place), scheme)
        with self._pin_tried():
            return {"signature": key.sign(tbs), "pin": self._asking.source}

    def do_unwrap(self, fields: Fields) -> Result:
        """Unwrap one content-encryption key."""
        place = KeyPlace.read(fields.object("key"))
        wrapped = WrappedKey(
            fields.octets("recipient_info"), fields.number("position"), fields.octets("content_encryption")
        )
        legacy = fields.flag("legacy")
        self._asking.begin(Occasion.read(fields.object("occasion")))
        fields.finish()
        decrypter = self._decrypting.get(place)
        if decrypter is None:
            decrypter = self._decrypting[place] = TokenDecrypter(self._held(), self._key(place))
        with self._pin_tried():
            return {"key": decrypter.unwrap(wrapped, legacy=legacy).reveal(), "pin": self._asking.source}

    @contextmanager
    def _pin_tried(self) -> Iterator[None]:
        """A PIN that was refused once is not to be tried again."""
        try:
            yield
        except PinError:
            self._asking.forget()
            raise

    def _key(self, place: KeyPlace) -> TokenKey:
        info = self._held().token.info
        found = [key for key in self._looked().objects.keys if KeyPlace.of(info, key).pair == place.pair]
        if not found:
            raise NoKeyError(f"{place.name} is no longer on {place.token.name}")
        return max(found, key=lambda key: key.private_seen)

    def _held(self) -> TokenSession:
        if self._session is None:
            raise TokenError("no token is held")
        return self._session

    def _looked(self) -> TokenKeyring:
        if self._keyring is None:
            self._look()
        return self._keyring  # type: ignore[return-value]  # _look() has made it


def _description(token: Token, objects: TokenObjects) -> Result:
    removable = bool(token.slot.flags & pkcs11.SlotFlag.REMOVABLE_DEVICE)
    return {"info": info_values(token.info), "objects": objects_values(objects), "removable": removable}
