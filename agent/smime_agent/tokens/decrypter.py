"""Unwrapping content-encryption keys with a key on a token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import pkcs11

from smime_agent import der
from smime_agent.accepted import RSA_ENCRYPTION_OID
from smime_agent.algorithms import KeyKind
from smime_agent.cms.ber import malformed
from smime_agent.cms.ciphers import DecryptionError
from smime_agent.cms.content_encryption import content_key_lengths, content_key_size
from smime_agent.cms.key_agreement import check_agreement, originator_point, unwrap_agreed
from smime_agent.cms.key_transport import RSAES_OAEP_OID, oaep_parameters
from smime_agent.cms.normal import value, values
from smime_agent.cms.recipient_info import (
    KeyAgreeRecipientInfo,
    KeyTransRecipientInfo,
    OriginatorPublicKey,
    read_recipient_info,
)
from smime_agent.cms.signer_info import algorithm_of
from smime_agent.errors import SmimeAgentError
from smime_agent.keys import ContentKey
from smime_agent.tokens.decryption_plan import HostStep, plan_decryption
from smime_agent.tokens.mechanisms import quirks_of
from smime_agent.tokens.native import CKR_OK, CKU_CONTEXT_SPECIFIC, CryptokiMechanism, cryptoki_error
from smime_agent.tokens.objects import find_private
from smime_agent.tokens.rsa_padding import remove_oaep, remove_pkcs1_v1_5
from smime_agent.tokens.substitutes import OF_THIS_PROCESS
from smime_agent.verdict import Code, UntrustworthyError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from smime_agent.cms.key_transport import OaepParameters
    from smime_agent.cms.signer_info import AlgorithmIdentifier
    from smime_agent.keys import Pin, WrappedKey
    from smime_agent.tokens.decryption_plan import DecryptionPlan
    from smime_agent.tokens.native import FunctionList
    from smime_agent.tokens.objects import TokenKey
    from smime_agent.tokens.session import TokenSession

_Result = TypeVar("_Result")
#: Return values of C_Decrypt that tell of the token, the login, the session, the key or the mechanism. All others may
#: be the ciphertext's fault: modules have many for a wrong padding (ENCRYPTED_DATA_INVALID, DATA_INVALID,
#: GENERAL_ERROR, FUNCTION_FAILED, DEVICE_ERROR, their own), and one that was missed here would be a padding oracle.
_OF_THE_TOKEN: Final = frozenset(
    {0x01, 0x02, 0x03, 0x0A, 0x31, 0x32, 0x50, 0x54, 0x60, 0x62, 0x63, 0x68, 0x70, 0x71, 0x82, 0x90, 0x91}
    | set(range(0xA0, 0xB9))
    | set(range(0xE0, 0xE3))
    | set(range(0x100, 0x106))
    | {0x150, 0x190, 0x191, 0x1A0, 0x1A1, 0x200}
)
#: What modules answer to a mechanism or parameters that they do not take, before they use the private key.
_NOT_TAKEN = (
    pkcs11.MechanismInvalid,
    pkcs11.MechanismParamInvalid,
    pkcs11.ArgumentsBad,
    pkcs11.DomainParamsInvalid,
)


#: The same of C_DecryptInit, which never uses it: a mechanism may be listed for public keys alone.
_NOT_BEGUN = (*_NOT_TAKEN, pkcs11.FunctionNotSupported, pkcs11.KeyTypeInconsistent)


class TokenDecrypter:
    """A :class:`~smime_agent.keys.Decrypter` whose key is on a token."""

    def __init__(
        self,
        session: TokenSession,
        key: TokenKey,
        *,
        substitute: Callable[[bytes, int], bytes] = OF_THIS_PROCESS,
    ) -> None:
        """Decrypt with ``key`` in a login; ``substitute`` gives the keys that stand for what cannot be decrypted."""
        self.key = key
        self._session = session
        self._substitute = substitute
        self._quirks = quirks_of(session.token.info.library_description)
        with session.calling():
            self._mechanisms = session.token.slot.get_mechanisms()
        self._modulus = _modulus(key)
        self._found_in: Any = None  # the working session, which another key's failure may have replaced
        self._private: Any = None

    @property
    def name(self) -> str:
        """Which key on which token, for people."""
        return f"{self.key.name} on {self._session.name}"

    def plans(self, oaep: OaepParameters | None = None) -> tuple[DecryptionPlan, ...]:
        """How the key decrypts, best first; see :func:`.plan_decryption`."""
        return plan_decryption(self.key.algorithm, self._mechanisms, self._quirks, oaep)

    def unwrap(self, wrapped: WrappedKey, *, legacy: bool = False) -> ContentKey:
        """The content-encryption key, by one private-key operation; see :meth:`.keys.Decrypter.unwrap`."""
        cipher = algorithm_of(wrapped.content_encryption)
        lengths = content_key_lengths(cipher)  # of an algorithm that is not supported nobody needs a key
        info = read_recipient_info(wrapped.recipient_info)
        kind = self.key.algorithm.kind
        if isinstance(info, KeyTransRecipientInfo) and kind is KeyKind.RSA:
            content_key = self._transported(info, cipher)
        elif isinstance(info, KeyAgreeRecipientInfo) and kind in {KeyKind.EC, KeyKind.X25519}:
            content_key = self._agreed(info, wrapped.position, legacy=legacy)
        else:
            text = f"the content-encryption key is wrapped in a way that is not for a key of type {self.key.algorithm}"
            raise UntrustworthyError(Code.UNSUPPORTED_ALGORITHM, text)
        if len(content_key) not in lengths:
            raise DecryptionError
        return ContentKey(content_key)

    # --- RSA ---------------------------------------------------------------------------------------------------------

    def _transported(self, info: KeyTransRecipientInfo, cipher: AlgorithmIdentifier) -> bytes:
        algorithm = info.key_encryption_algorithm
        if algorithm.oid == RSA_ENCRYPTION_OID:
            return self._pkcs1_v1_5(info.encrypted_key, cipher)
        if algorithm.oid == RSAES_OAEP_OID:
            return self._oaep(info.encrypted_key, oaep_parameters(algorithm.parameters))
        text = f"the key transport algorithm {algorithm.oid} is not supported"
        raise UntrustworthyError(Code.UNSUPPORTED_ALGORITHM, text)

    def _pkcs1_v1_5(self, encrypted_key: bytes, cipher: AlgorithmIdentifier) -> bytes:
        """What was encrypted, or another key in its place: nobody can tell, by the time that it takes either.

        Padding that is wrong, a key of a length that the content's algorithm does not have, a module that reports
        such a thing and one that hides it end alike, and the content cannot be decrypted (RFC 3218, 2.3.2). With RC2
        all lengths are real ones. To take them all gives nothing away: whichever key it is, the content is decrypted
        with it, and fails at its own padding.
        """
        size, lengths = content_key_size(cipher), content_key_lengths(cipher)
        ciphertext = self._as_long_as_the_modulus(encrypted_key)
        if ciphertext is None:  # everybody can see that
            return self._substitute(encrypted_key, size)
        other = self._substitute(ciphertext, size)
        plan, code, octets = self._decrypted(self.plans(), ciphertext)
        if plan.host is HostStep.RSAES_PKCS1_V1_5:
            # Some leave out the leading zeros, of which there is one in what is right.
            right, octets = remove_pkcs1_v1_5(bytes(len(ciphertext) - len(octets)) + octets, lengths)
        else:
            right = int(len(octets) in lengths)
        if not self._quirks.ends_failed_decryptions:  # whether it failed or not
            self._session.discard()
        return (other, octets)[right & int(code == CKR_OK)]

    def _oaep(self, encrypted_key: bytes, parameters: OaepParameters) -> bytes:
        ciphertext = self._as_long_as_the_modulus(encrypted_key)
        if ciphertext is None:
            raise DecryptionError
        plan, code, octets = self._decrypted(self.plans(parameters), ciphertext)
        right = 1
        if plan.host is HostStep.RSAES_OAEP:
            right, octets = remove_oaep(bytes(len(ciphertext) - len(octets)) + octets, parameters)
        if not right & int(code == CKR_OK):
            self._session.discard()
            raise DecryptionError
        return octets

    def _as_long_as_the_modulus(self, encrypted_key: bytes) -> bytes | None:
        """The ciphertext with the leading zeros that some leave out; nothing where it is none (RFC 8017, 7.1.2)."""
        size = (self.key.algorithm.bits + 7) // 8 or len(encrypted_key)
        if len(encrypted_key) > size or (self._modulus and int.from_bytes(encrypted_key) >= self._modulus):
            return None
        return encrypted_key.rjust(size, b"\0")

    def _decrypted(self, plans: Sequence[DecryptionPlan], ciphertext: bytes) -> tuple[DecryptionPlan, int, bytes]:
        """The plan that the token took, what C_Decrypt returned, and what it decrypted.

        Raises:
            TokenError, PinError, NoKeyError: what went wrong has nothing to do with the ciphertext.
        """

        def decrypt(functions: FunctionList, pin: Pin | None) -> tuple[DecryptionPlan, int, bytes]:
            plan = self._begin(functions, plans)
            handle = self._working()
            if self.key.always_authenticate:
                functions.login(handle, CKU_CONTEXT_SPECIFIC, pin.reveal() if pin else None)
            code, octets = functions.decrypt(handle, ciphertext)
            # Asked for whatever the answer was: a token that was removed can answer anything.
            present = functions.token_is_present(self._session.token.info.slot_id)
            if code in _OF_THE_TOKEN or not (present or code == CKR_OK):
                raise cryptoki_error("C_Decrypt", code)
            return plan, code, octets

        return self._once(decrypt, asks=self.key.always_authenticate)

    def _begin(self, functions: FunctionList, plans: Sequence[DecryptionPlan]) -> DecryptionPlan:
        """C_DecryptInit by the first plan that the token takes."""
        for plan in plans:
            mechanism = plan.cryptoki()
            try:
                try:
                    functions.decrypt_init(self._working(), mechanism, self._handle())
                except pkcs11.OperationActive:  # one that failed before, and stays for ever on some modules
                    self._session.discard()
                    functions.decrypt_init(self._working(), mechanism, self._handle())
            except _NOT_BEGUN:
                if plan is plans[-1]:
                    raise
            else:
                return plan
        raise pkcs11.MechanismInvalid  # there is at least one plan

    # --- elliptic curves ---------------------------------------------------------------------------------------------

    def _agreed(self, info: KeyAgreeRecipientInfo, position: int, *, legacy: bool) -> bytes:
        if not 0 <= position < len(info.recipient_encrypted_keys):
            malformed("there is no such recipient")
        check_agreement(info.key_encryption_algorithm, legacy=legacy)  # before the token is troubled
        if not isinstance(info.originator, OriginatorPublicKey):
            text = "an agreement with a key of the originator's certificate is not supported"
            raise UntrustworthyError(Code.UNSUPPORTED_ALGORITHM, text)
        secret = self._shared_secret(originator_point(info.originator, self.key.algorithm))
        return unwrap_agreed(
            secret,
            info.key_encryption_algorithm,
            info.user_keying_material,
            info.recipient_encrypted_keys[position].encrypted_key,
            legacy=legacy,
        )

    def _shared_secret(self, point: bytes) -> bytes:
        """The x coordinate that both sides can compute, as long as the field."""
        agrees_on_points = self.key.algorithm.kind is KeyKind.EC
        size = (len(point) - 1) // 2 if agrees_on_points else len(point)
        forms = [point, der.octet_string(point)]
        if self._quirks.encoded_point:
            forms.reverse()
        attempts = [CryptokiMechanism.ecdh(plan.mechanism, form) for plan in self.plans() for form in forms]

        def derive(functions: FunctionList, _: Pin | None) -> bytes:
            for attempt in attempts:
                try:
                    secret = functions.derive(self._working(), attempt, self._handle(), size)
                except _NOT_TAKEN:
                    if attempt is attempts[-1]:
                        raise
                else:
                    return secret.rjust(size, b"\0")
            raise pkcs11.MechanismInvalid

        try:
            return self._once(derive)
        except SmimeAgentError as error:
            # The point is one of the curve, so the token failed. Not every number is good for X25519.
            if agrees_on_points or not isinstance(error.__cause__, (pkcs11.GeneralError, pkcs11.FunctionFailed)):
                raise
            raise DecryptionError from None

    # --- the token ---------------------------------------------------------------------------------------------------

    def _once(self, operation: Callable[[FunctionList, Pin | None], _Result], *, asks: bool = False) -> _Result:
        """What ``operation`` gives, which is called with the lock held, and with a PIN if it ``asks`` for one.

        Raises:
            TokenError: the token is gone, or failed.
            PinError: the key wants the PIN for each operation, and did not get it.
            NoKeyError: the key is gone.
        """
        session = self._session
        pin = self._context_pin() if asks else None
        try:
            with session.calling(), session.patience:
                return operation(session.token.module.functions, pin)
        except SmimeAgentError as error:
            self._private = None
            session.discard()
            raise session.explained(error, self.key.name) from error.__cause__
        finally:
            if pin:
                pin.wipe()

    def _context_pin(self) -> Pin | None:
        """The PIN for one operation; none where it is typed on the token's own pad."""
        session = self._session
        if not session.token.info.has_pin_pad:
            return session.context_pin("this key wants the PIN for every message")
        session.token = session.token.refreshed()  # tries may have been spent since the login
        session.check_tries()
        session.prompter.pad(session.name)
        return None

    def _handle(self) -> int:
        """The private key, as the module numbers it in the working session."""
        if self._private is None or self._found_in is not self._session.working():
            self._found_in = self._session.working()
            self._private = find_private(self._session, self.key)
        handle: int = self._private.handle
        return handle

    def _working(self) -> int:
        """The working session, as the module numbers it; python-pkcs11 has it, and does not declare it."""
        handle: int = cast("Any", self._session.working()).handle
        return handle


def _modulus(key: TokenKey) -> int:
    """The modulus of an RSA key; 0 where it is not known."""
    if key.algorithm.kind is not KeyKind.RSA or key.public_key_info is None:
        return 0
    try:
        bit_string = values(value(key.public_key_info, der.SEQUENCE))[1].contents
        return int.from_bytes(values(value(bit_string[1:], der.SEQUENCE))[0].contents)
    except (UntrustworthyError, IndexError):
        return 0
