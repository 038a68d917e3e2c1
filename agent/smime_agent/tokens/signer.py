"""Signing with a key on a token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smime_agent.errors import SmimeAgentError
from smime_agent.tokens.mechanisms import plan_signature
from smime_agent.tokens.objects import find_private

if TYPE_CHECKING:
    from smime_agent.algorithms import SignatureScheme
    from smime_agent.keys import Identity, ToBeSigned
    from smime_agent.tokens.objects import TokenKey
    from smime_agent.tokens.session import TokenSession


class SigningKey:
    """One key in one login, with one scheme. The host hashes, the token signs some hundred octets."""

    def __init__(self, session: TokenSession, key: TokenKey, scheme: SignatureScheme) -> None:
        """Plan how ``key`` makes signatures of ``scheme``.

        Raises:
            MechanismError: the token cannot.
        """
        self.key = key
        self.scheme = scheme
        self._session = session
        with session.calling():
            mechanisms = session.token.slot.get_mechanisms()
        self.plan = plan_signature(scheme, key.algorithm, mechanisms)
        self._found_in: Any = None  # the working session, which another key's failure may have replaced
        self._private: Any = None  # an object that python-pkcs11 makes up from what the key can do

    def sign(self, data: bytes) -> bytes:
        """The signature over ``data`` as CMS and X.509 carry it. One private-key operation, never repeated.

        Raises:
            TokenError: the token is gone, or failed.
            PinError: the key wants the PIN for each signature, and did not get it.
        """
        session, plan = self._session, self.plan
        prepared = plan.prepare(data)
        pin = session.context_pin() if self.key.always_authenticate else None
        try:
            with session.calling(), session.patience:
                if self._private is None or self._found_in is not session.working():
                    self._found_in = session.working()
                    self._private = find_private(session, self.key)
                signature: bytes = self._private.sign(
                    prepared,
                    mechanism=plan.mechanism,
                    mechanism_param=plan.parameter,
                    pin=pin.text() if pin else None,
                )
        except SmimeAgentError as error:
            self._private = None
            session.discard()
            raise session.explained(error, self.key.name) from error.__cause__
        finally:
            if pin:
                pin.wipe()
        return plan.finish(signature)


class TokenSigner:
    """A :class:`~smime_agent.keys.Signer` whose key is on a token."""

    def __init__(self, key: SigningKey, identity: Identity) -> None:
        """Sign with ``key`` as ``identity``."""
        self.identity = identity
        self.scheme = key.scheme
        self.key = key

    def sign(self, tbs: ToBeSigned) -> bytes:
        """The signature over ``tbs``; see :meth:`SigningKey.sign`."""
        return self.key.sign(tbs)
