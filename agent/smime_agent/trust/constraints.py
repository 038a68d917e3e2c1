"""Name constraints, with addresses in every form that a certificate has for them.

pyhanko-certvalidator compares rfc822Name with rfc822Name. A constraint on addresses also holds for SmtpUTF8Mailbox
(RFC 9598, 6; RFC 9549, 2.2) and for emailAddress in a subject without subjectAltName (RFC 5280, 4.2.1.10), and is
compared in A-labels, which asn1crypto decodes in addresses and not in constraints. So constraints on addresses are
judged here alone, and other kinds of names are left to the library's own comparison.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smime_agent.trust.signatures import parsed, unread
from smime_agent.x509 import same_mailbox_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smime_agent.x509 import Certificate

_RFC822_NAME = "rfc822_name"
_COMPARED = frozenset({"directory_name", "dns_name", "uniform_resource_identifier"})
#: Judged here, or of kinds for which no constraint is understood (RFC 5280, 4.2.1.10 and 6.1.4 (g)).
_NOT_COMPARED = frozenset({_RFC822_NAME, "x400_address", "edi_party_name"})


class MailboxConstraints:
    """The constraints on addresses that CA certificates down a path have made so far."""

    def __init__(self) -> None:
        """No constraint yet."""
        self._permitted: list[list[str]] = []
        self._excluded: list[str] = []

    def add(self, permitted: Sequence[str] | None, excluded: Sequence[str]) -> None:
        """What one more CA permits (``None``: it does not say) and excludes. A path can only get narrower."""
        if permitted:
            self._permitted.append(list(permitted))
        self._excluded.extend(excluded)

    def forbids(self, mailbox: str) -> bool:
        """``mailbox`` is outside of what is permitted, or inside of what is excluded."""
        if any(_is_within(mailbox, base, in_doubt=True) for base in self._excluded):
            return True
        return not all(any(_is_within(mailbox, base, in_doubt=False) for base in bases) for bases in self._permitted)


def _is_within(mailbox: str, base: str, *, in_doubt: bool) -> bool:
    """``mailbox`` is what ``base`` names: a mailbox, all of a host, or with a leading dot all of a domain below it.

    ``in_doubt`` is the answer where the two cannot be compared.
    """
    local, _, host = mailbox.rpartition("@")
    base_local, at, base_host = base.rpartition("@")
    host, base_host = _a_labels(host), _a_labels(base_host)
    if not host or not base_host or not (host.isascii() and base_host.isascii()):
        return in_doubt
    if at:  # in doubt letter case and quotes make no difference, as when an address is compared with a sender
        same = _local(mailbox) == _local(base) if in_doubt else local == base_local
        return same and host == base_host
    if base_host.startswith("."):
        return host.endswith(base_host) and len(host) > len(base_host)
    return host == base_host


def _local(mailbox: str) -> str:
    return same_mailbox_key(mailbox).rpartition("@")[0].casefold()


def _a_labels(host: str) -> str:
    """A domain in lower case and A-labels."""
    dot = "." if host.startswith(".") else ""
    return dot + same_mailbox_key(f"@{host[len(dot) :].removesuffix('.')}")[1:]


def forbidden_name(chain: Sequence[Certificate]) -> tuple[Certificate, str] | None:
    """The certificate of a path, and the name of it, that a CA above it must not give out; leaf first, anchor last.

    The anchor's own constraints hold too, as with OpenSSL and Mozilla; RFC 5280, 6.1.1 (d) leaves it open.
    """
    issuers = list(chain)
    if not any(parsed(certificate.encoded).name_constraints_value for certificate in issuers[1:]):
        return None
    mailboxes, others = MailboxConstraints(), _OtherConstraints()
    for certificate in reversed(issuers):
        if certificate is chain[-1]:
            _constrain(certificate, mailboxes, others)
            continue
        # RFC 5280, 6.1.3 (b): a self-issued certificate inside a path (a new key of the same CA) is exempt.
        if certificate is chain[0] or not parsed(certificate.encoded).self_issued:
            for mailbox in certificate.mailboxes:
                if mailboxes.forbids(mailbox):
                    return certificate, mailbox
            name = others.forbids(certificate)
            if name:
                return certificate, name
        _constrain(certificate, mailboxes, others)
    return None


def _constrain(certificate: Certificate, mailboxes: MailboxConstraints, others: _OtherConstraints) -> None:
    """What a CA certificate constrains."""
    value = parsed(certificate.encoded).name_constraints_value
    if value is not None:
        mailboxes.add(_mailbox_bases(value["permitted_subtrees"]), _mailbox_bases(value["excluded_subtrees"]))
        others.add(without_mailbox_constraints(certificate.encoded).name_constraints_value)


def without_mailbox_constraints(encoded: bytes) -> Any:  # noqa: ANN401 - asn1crypto has no types
    """A certificate as asn1crypto has it, with what it constrains beside addresses, for the library to judge."""
    from asn1crypto import x509

    value = parsed(encoded).name_constraints_value
    if value is None:
        return without_mailboxes(unread(encoded))
    rest: dict[str, list[Any]] = {}
    for field in ("permitted_subtrees", "excluded_subtrees"):
        kept = [subtree for subtree in value[field] or () if subtree["base"].name != _RFC822_NAME]
        if kept:
            rest[field] = kept
    certificate = x509.Certificate.load(encoded, strict=True)
    _ = certificate.name_constraints_value  # now it has read its extensions, and keeps what it is told
    certificate._name_constraints_value = x509.NameConstraints(rest) if rest else None  # noqa: SLF001 - the only way
    return certificate


def without_mailboxes(certificate: Any) -> Any:  # noqa: ANN401 - asn1crypto has no types
    """The same without the addresses of its subjectAltName, which are judged here: asn1crypto reads IDNA 2003 only."""
    from asn1crypto import x509

    names = certificate.subject_alt_name_value
    if names is not None:
        kept = [name for name in names if name.name not in _NOT_COMPARED]
        certificate._subject_alt_name_value = x509.GeneralNames(kept) if kept else None  # noqa: SLF001 - the only way
    return certificate


def _mailbox_bases(subtrees: Any) -> list[str]:  # noqa: ANN401 - asn1crypto has no types
    """The bases of a GeneralSubtrees that are addresses, hosts or domains of mail."""
    bases = (subtree["base"] for subtree in subtrees or ())
    # asn1crypto would read the domain by IDNA 2003; where it is no ASCII, it is compared with nothing.
    return [base.chosen.contents.decode("utf-8", "replace") for base in bases if base.name == _RFC822_NAME]


class _OtherConstraints:
    """The constraints on other kinds of names, as the library keeps them."""

    def __init__(self) -> None:
        from pyhanko_certvalidator import name_trees

        self._permitted = name_trees.PermittedSubtrees(name_trees.default_permitted_subtrees())
        self._excluded = name_trees.ExcludedSubtrees(name_trees.default_excluded_subtrees())
        self._unknown: str | None = None
        self._unknown_kinds: set[str] = set()

    def add(self, value: Any) -> None:  # noqa: ANN401 - asn1crypto has no types
        """One more nameConstraints extension, if there is more to it than addresses."""
        from pyhanko_certvalidator.name_trees import process_general_subtrees

        if value is None:
            return
        try:
            permitted, excluded = (
                self._known(value[field] or ()) for field in ("permitted_subtrees", "excluded_subtrees")
            )
            self._permitted.intersect_with(process_general_subtrees(permitted))
            self._excluded.union_with(process_general_subtrees(excluded))
        except Exception as error:  # noqa: BLE001 - names of strangers; whatever it is, the constraint is not understood
            self._unknown = f"a name under a constraint that is not understood ({type(error).__name__})"

    def _known(self, subtrees: Any) -> list[Any]:  # noqa: ANN401 - asn1crypto has no types
        """The subtrees of kinds that can be compared; the other kinds are remembered."""
        known = [subtree for subtree in subtrees if subtree["base"].name in _COMPARED]
        self._unknown_kinds.update({subtree["base"].name for subtree in subtrees} - _COMPARED)
        return known

    def forbids(self, certificate: Certificate) -> str | None:
        """A name that is not permitted, if there is one.

        One of a kind that is constrained and cannot be compared is not; it matters only where there is one
        (RFC 5280, 4.2.1.10).
        """
        if self._unknown:
            return self._unknown
        names = parsed(certificate.encoded).subject_alt_name_value or ()
        kinds = self._unknown_kinds.intersection(name.name for name in names)
        if kinds:
            return f"of the kind {min(kinds)}, whose constraint is not understood"
        own = without_mailboxes(unread(certificate.encoded))
        try:
            for result in (self._permitted.accept_cert(own), self._excluded.accept_cert(own)):
                if not result:
                    name = result.failing_name
                    return str(getattr(name, "human_friendly", name))
        except Exception as error:  # noqa: BLE001 - the same
            return f"a name that cannot be compared ({type(error).__name__})"
        return None
