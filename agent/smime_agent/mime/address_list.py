"""All that stands in an address list, for those who have to see what a person sees."""

from __future__ import annotations

from dataclasses import dataclass

from smime_agent.mime.addresses import addr_spec, elements


@dataclass(frozen=True, slots=True)
class MailboxText:
    """One element of an address list: its tokens and comments, and the addr-spec if it has one.

    ``phrase`` is what stands before "<", without comments; ``raw`` is all of it; ``group`` is the name of the group it
    is in: all three as they stand.
    """

    tokens: tuple[str, ...]
    comments: tuple[str, ...]
    phrase: str
    address: str | None
    raw: str
    group: str | None = None

    @property
    def is_empty(self) -> bool:
        """Nothing stands between two commas, which is obsolete and harmless (RFC 5322, 4.4)."""
        return not self.tokens and not self.comments


@dataclass(frozen=True, slots=True)
class AddressList:
    """All elements of an address list, and the names of its groups as they stand, also of those that are empty."""

    mailboxes: tuple[MailboxText, ...]
    groups: tuple[str, ...]


def read_address_list(value: bytes) -> AddressList:
    """Everything in an unfolded address list, also what is malformed; octets that are no UTF-8 are surrogates."""
    mailboxes: list[MailboxText] = []
    groups: list[str] = []
    text = value.decode("utf-8", "surrogateescape")
    for element in elements(text):
        if element.opens_group:
            groups.append(text[element.start : element.end].strip())
            continue
        mailbox = MailboxText(
            tuple(element.tokens),
            tuple(text[start:end] for start, end in element.comments),
            element.phrase(text),
            addr_spec(element.tokens),
            text[element.start : element.end].strip(),
            groups[-1] if element.in_group else None,
        )
        if not mailbox.is_empty:
            mailboxes.append(mailbox)
    return AddressList(tuple(mailboxes), tuple(groups))
