"""pyhanko-certvalidator, held in a way that is safe with what strangers send.

Its coroutines only wait when they fetch something, and they are never given anything to fetch with: they are run here
without an event loop. Names and keys are looked up in what this module hands over and nowhere else.

The library keeps by their *signature value* the certificates that it has validated and the CRLs whose signer it has
found. A stranger can copy that value into a forged certificate or CRL. So nothing is handed over here that was not
checked before, and what it remembers of CRLs is switched off.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from smime_agent.trust.constraints import without_mailbox_constraints
from smime_agent.trust.signatures import SignatureChecker

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Sequence
    from datetime import datetime

    from smime_agent.x509 import Certificate


@dataclass(frozen=True, slots=True)
class PolicyInputs:
    """The inputs of RFC 5280, 6.1.1 (c), (e), (f) and (g) about certificate policies.

    ``acceptable`` are dotted object identifiers; ``None`` is any policy.
    """

    acceptable: frozenset[str] | None = None
    require_explicit: bool = False
    inhibit_mapping: bool = False
    inhibit_any: bool = False


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - what it returns is the library's
    """The result of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    coroutine.close()
    raise NotImplementedError("the path validator wanted to wait")


def path_of(chain: Sequence[Certificate]) -> Any:  # noqa: ANN401 - the library has no types
    """A chain, leaf first, as the library's ValidationPath; the last is the anchor, as a name and a key.

    Constraints on addresses are left out: they are judged elsewhere, and here not rightly.
    """
    from pyhanko_certvalidator.authority import CertTrustAnchor

    own = [without_mailbox_constraints(certificate.encoded) for certificate in reversed(chain)]
    leaf = own[-1] if len(own) > 1 else None
    return _anchored_path()(CertTrustAnchor(own[0]), own[1:-1], leaf)


@lru_cache(maxsize=1)
def _anchored_path() -> Any:  # noqa: ANN401 - the same
    """The library's path, which looks for the issuer of an anchor where that was issued by somebody, and finds none."""
    from pyhanko_certvalidator.path import ValidationPath

    class AnchoredPath(ValidationPath):
        def truncate_to_issuer_and_append(self, cert: Any) -> Any:  # noqa: ANN401 - the library has no types
            """The path to a certificate that signed a CRL; the anchor itself is where it begins."""
            anchor: Any = self.trust_anchor.authority
            if cert.dump() == anchor.certificate.dump():
                return AnchoredPath(self.trust_anchor, [], None)
            return super().truncate_to_issuer_and_append(cert)

    return AnchoredPath


def validate(chain: Sequence[Certificate], at: datetime, policies: PolicyInputs) -> frozenset[str]:
    """The policies for which a path is valid as RFC 5280, 6.1 says, leaving out revocation and weak algorithms.

    They are dotted, or ``any_policy``.

    Raises:
        PathValidationError: the library's, whatever is wrong; or anything else that a stranger can provoke.
    """
    from pyhanko_certvalidator.policy_decl import NO_REVOCATION, CertRevTrustPolicy, PKIXValidationParams
    from pyhanko_certvalidator.validate import async_validate_path

    path = path_of(chain)
    parameters = PKIXValidationParams(
        user_initial_policy_set=frozenset({"any_policy"}) if policies.acceptable is None else policies.acceptable,
        initial_policy_mapping_inhibit=policies.inhibit_mapping,
        initial_explicit_policy=policies.require_explicit,
        initial_any_policy_inhibit=policies.inhibit_any,
    )
    checker = SignatureChecker(weak_digests=True)
    context = _context(path, at, CertRevTrustPolicy(NO_REVOCATION), checker, algorithms=_every_algorithm())
    run(async_validate_path(context, path, parameters))
    return frozenset(policy.user_domain_policy_id for policy in path.qualified_policies() or ())


@dataclass(frozen=True, slots=True)
class RevocationData:
    """What one question about revocation is answered from; all of it belongs to this path, and its signers are known.

    ``certificates`` are those of CRL issuers and OCSP responders beside the path, each signed by a CA of the path.
    """

    path: Any
    certificates: tuple[Any, ...]
    checker: SignatureChecker
    at: datetime
    weak_digests: bool


def ask_crls(data: RevocationData, place: int, lists: Iterable[Any], *, dated: bool) -> None:
    """Look certificate number ``place`` of the path (the anchor is 0) up in CRLs.

    ``dated`` counts a revocation only from its date on.

    Raises:
        RevokedError: the library's.
        Exception: nobody knows.
    """
    from pyhanko_certvalidator.revinfo.archival import CRLContainer
    from pyhanko_certvalidator.revinfo.validate_crl import verify_crl

    containers = [CRLContainer(one) for one in _with_their_deltas(lists)]
    # A base CRL that says where deltas are is good enough without (RFC 5280, 6.3.3: use-deltas), unless we have one.
    deltas = any(container.crl_data.delta_crl_indicator_value is not None for container in containers)
    context = _revocation_context(data, place, containers, [], dated=dated)
    certificate = data.path[place]
    run(verify_crl(certificate, data.path, context, use_deltas=deltas, proc_state=_state(data.path, place)))


def _with_their_deltas(lists: Iterable[Any]) -> list[Any]:
    """CRLs, with those delta CRLs that change what one of them says (RFC 5280, 5.2.4 and 6.3.3 (c))."""
    lists = list(lists)
    complete = [one for one in lists if one.delta_crl_indicator_value is None]

    def number(one: Any) -> int:  # noqa: ANN401 - asn1crypto has no types
        return -1 if one.crl_number_value is None else int(one.crl_number_value.native)

    def scope(one: Any) -> tuple[object, ...]:  # noqa: ANN401 - the same
        idp = one.issuing_distribution_point_value
        return one.issuer.hashable, one.authority_key_identifier, None if idp is None else idp.dump()

    deltas = [
        one
        for one in lists
        if one.delta_crl_indicator_value is not None
        and any(
            scope(one) == scope(base) and (number(base) < 0 or number(one) < 0 or number(base) < number(one))
            for base in complete
        )
    ]
    return complete + deltas


def ask_responses(
    data: RevocationData, place: int, responses: Iterable[tuple[Any, int]], lists: Iterable[Any], *, dated: bool
) -> None:
    """Look a certificate of the path up in OCSP responses, each with the number of the SingleResponse in question.

    ``lists`` are CRLs in which a responder's own certificate is looked up. Arguments and errors as in
    :func:`ask_crls`.
    """
    from pyhanko_certvalidator.revinfo.archival import CRLContainer, OCSPContainer
    from pyhanko_certvalidator.revinfo.validate_ocsp import verify_ocsp_response

    containers = [OCSPContainer(response, number) for response, number in responses]
    context = _revocation_context(data, place, [CRLContainer(one) for one in lists], containers, dated=dated)
    run(verify_ocsp_response(data.path[place], data.path, context, proc_state=_state(data.path, place)))


def _state(path: Any, place: int) -> Any:  # noqa: ANN401 - the library has no types
    from pyhanko_certvalidator._state import ValProcState
    from pyhanko_certvalidator.util import ConsList

    return ValProcState(cert_path_stack=ConsList.sing(path), init_index=place)


def _revocation_context(data: RevocationData, place: int, lists: Any, responses: Any, *, dated: bool) -> Any:  # noqa: ANN401
    from pyhanko_certvalidator.ltv.types import ValidationTimingInfo, ValidationTimingParams
    from pyhanko_certvalidator.policy_decl import (
        CertRevTrustPolicy,
        DisallowWeakAlgorithmsPolicy,
        RevocationCheckingPolicy,
        RevocationCheckingRule,
    )

    # Who signs CRLs or answers may be revoked too. CAs of the path are asked about by themselves.
    rule = RevocationCheckingRule.CHECK_IF_DECLARED if responses else RevocationCheckingRule.CRL_OR_OCSP_REQUIRED
    # What is said today counts for the time that is asked about, too: revocation data of then is rarely kept.
    policy = CertRevTrustPolicy(
        RevocationCheckingPolicy(rule, RevocationCheckingRule.NO_CHECK), retroactive_revinfo=True
    )
    algorithms = _every_algorithm() if data.weak_digests else DisallowWeakAlgorithmsPolicy()  # type: ignore[no-untyped-call]  # it has no types
    context = _context(data.path, data.at, policy, data.checker, algorithms, data.certificates, lists, responses)
    context.timing_params = ValidationTimingParams(
        ValidationTimingInfo(data.at, data.at, point_in_time_validation=dated), timedelta(seconds=1)
    )
    authorities = list(data.path.iter_certs(include_root=True))[:place]
    for number, authority in enumerate(authorities):
        context.record_validation(authority, _path_to(data.path, number))
    return context


def _path_to(path: Any, place: int) -> Any:  # noqa: ANN401 - the library has no types
    certificates = list(path.iter_certs(include_root=True))[1 : place + 1]
    return _anchored_path()(path.trust_anchor, certificates[:-1], certificates[-1] if certificates else None)


def _context(  # noqa: PLR0913, PLR0917 - the library's parts
    path: Any,  # noqa: ANN401 - the library has no types
    at: datetime,
    policy: Any,  # noqa: ANN401 - the same
    checker: SignatureChecker,
    algorithms: Any,  # noqa: ANN401 - the same
    certificates: Iterable[Any] = (),
    lists: Iterable[Any] = (),
    responses: Iterable[Any] = (),
) -> Any:  # noqa: ANN401 - the same
    from pyhanko_certvalidator.context import ValidationContext
    from pyhanko_certvalidator.ltv.poe import POEManager
    from pyhanko_certvalidator.registry import CertificateRegistry

    _silence()
    registry = CertificateRegistry.build([*path.iter_certs(include_root=True), *certificates])
    return ValidationContext(
        trust_roots=[path.trust_anchor],
        moment=at,
        revinfo_policy=policy,
        algorithm_usage_policy=algorithms,
        certificate_registry=registry,
        revinfo_manager=_forgetful_manager()(registry, POEManager(), lists, responses),
        signature_validator=cast("Any", checker),  # it has the one method
    )


@lru_cache(maxsize=1)
def _silence() -> None:
    """The library logs what strangers wrote, and what nobody handles goes to the terminal as it is."""
    logging.getLogger("pyhanko_certvalidator").setLevel(logging.CRITICAL + 1)


@lru_cache(maxsize=1)
def _every_algorithm() -> Any:  # noqa: ANN401 - the library has no types
    """No algorithm is refused: what is weak has its own reason, or was allowed."""
    from pyhanko_certvalidator.policy_decl import AcceptAllAlgorithms

    return AcceptAllAlgorithms()


@lru_cache(maxsize=1)
def _forgetful_manager() -> Any:  # noqa: ANN401 - the same
    """The library's keeper of revocation data, which does not take a CRL for checked because another one was."""
    from pyhanko_certvalidator.revinfo.manager import RevinfoManager

    class ForgetfulManager(RevinfoManager):
        def check_crl_issuer(self, certificate_list: object) -> None:
            """Nobody remembers."""

    return ForgetfulManager
