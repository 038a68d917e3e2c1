"""What a person sees as the sender of a mail, and what of it is made to mislead."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from smime_agent.mime.address_list import AddressList, MailboxText, read_address_list
from smime_agent.mime.addresses import QUOTED_STRING, unquoted
from smime_agent.mime.dates import parse_date
from smime_agent.mime.encoded_words import decoded
from smime_agent.mime.fields import field_name, field_value
from smime_agent.mime.misleading import address_problems, name_problems, printable, shown
from smime_agent.verdict import Code, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

_FIELD_LIMIT: Final = 8 * 1024  # octets: hundreds of senders, and no mail has as many
_PROBLEM_LIMIT: Final = 20
_KEPT: Final = 1000  # octets of From fields that are remembered


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mailbox: the display name as mail programs decode it, the addr-spec if there is one, all of it as it stands."""

    display_name: str
    address: str | None
    raw: str


@dataclass(frozen=True, slots=True)
class Claims:
    """Who and when a mail says that it is from; nothing of it is proven.

    ``from_fields``, ``sender_fields`` and ``date_fields`` count the fields; ``senders`` are the mailboxes of all From
    fields, those in ``groups`` (names, decoded) too; ``sender`` is the first of Sender. ``problems`` are the reasons
    why people may take it for somebody else's. ``date`` is the first Date, in UTC or with its zone.
    """

    from_fields: int = 0
    senders: tuple[Mailbox, ...] = ()
    groups: tuple[str, ...] = ()
    sender_fields: int = 0
    sender: Mailbox | None = None
    reply_to: tuple[Mailbox, ...] = ()
    date: datetime | None = None
    date_fields: int = 0
    problems: tuple[Reason, ...] = ()


def read_claims(fields: Sequence[bytes]) -> Claims:
    """The claims of these header fields. Nothing is raised, however malformed they are."""
    found: dict[bytes, list[bytes]] = {name: [] for name in (b"from", b"sender", b"reply-to", b"date")}
    problems: list[Reason] = []
    for field in fields:
        name = field_name(field)
        if name not in found:
            continue
        found[name].append(field_value(field))
        if name == b"from" and field.partition(b":")[0][-1:] in {b" ", b"\t"}:
            text = "a blank stands before the colon of From, and not all mail programs read the field"
            problems.append(Reason(Code.FROM_UNREADABLE, text))
    if any(field_name(field) == b"apparently-from" for field in fields):  # mutt adds it to From
        text = "the mail has an Apparently-From field, which some programs show as From"
        problems.append(Reason(Code.SEVERAL_FROM, text))
    values = tuple(found[b"from"])
    short = sum(map(len, values)) <= _KEPT
    senders, groups, problems_of_from = _read_from(values) if short else _read_from.__wrapped__(values)
    problems += problems_of_from
    sender = _read_sender(found[b"sender"], problems)
    return Claims(
        from_fields=len(found[b"from"]),
        senders=senders,
        groups=groups,
        sender_fields=len(found[b"sender"]),
        sender=sender,
        reply_to=tuple(mailbox for value in found[b"reply-to"][:10] for mailbox in _mailboxes(_parsed(value))),
        date=parse_date(found[b"date"][0]) if found[b"date"] else None,
        date_fields=len(found[b"date"]),
        problems=tuple(dict.fromkeys(problems))[:_PROBLEM_LIMIT],
    )


@lru_cache(maxsize=128)  # the mails of one run have few senders
def _read_from(values: tuple[bytes, ...]) -> tuple[tuple[Mailbox, ...], tuple[str, ...], tuple[Reason, ...]]:
    problems: list[Reason] = []
    if not values:
        problems.append(Reason(Code.FROM_MISSING, "the mail has no From field"))
    if len(values) > 1:
        problems.append(Reason(Code.SEVERAL_FROM, f"the mail has {len(values)} From fields"))
    senders: list[Mailbox] = []
    groups: list[str] = []
    for value in values[:_PROBLEM_LIMIT]:
        parsed = _parsed(value)
        mailboxes = _mailboxes(parsed)
        senders += mailboxes
        groups += [shown(decoded(_unquoted(name))) for name in parsed.groups]
        if len(value) > _FIELD_LIMIT:
            problems.append(Reason(Code.FROM_UNREADABLE, "the From field is longer than 8 KiB"))
        elif not mailboxes:
            problems.append(Reason(Code.FROM_UNREADABLE, "the From field holds no address"))
        problems += _problems_of(parsed, "From", Code.FROM_UNREADABLE)
    return tuple(senders), tuple(groups), tuple(problems)


def _read_sender(values: Sequence[bytes], problems: list[Reason]) -> Mailbox | None:
    if not values:
        return None
    if len(values) > 1:
        problems.append(Reason(Code.SENDER_MISMATCH, f"the mail has {len(values)} Sender fields"))
    parsed = _parsed(values[0])
    mailboxes = _mailboxes(parsed)
    if len(mailboxes) > 1 or len(values[0]) > _FIELD_LIMIT:  # RFC 5322, 3.6.2: one
        problems.append(Reason(Code.SENDER_MISMATCH, "the Sender field names more than one mailbox"))
    problems += _problems_of(parsed, "Sender", Code.SENDER_MISMATCH)
    return mailboxes[0] if mailboxes else None


def _parsed(value: bytes) -> AddressList:
    return read_address_list(value) if len(value) <= _FIELD_LIMIT else AddressList((), ())


def _mailboxes(parsed: AddressList) -> list[Mailbox]:
    return [_mailbox(mailbox) for mailbox in parsed.mailboxes]


def _mailbox(mailbox: MailboxText) -> Mailbox:
    address = None if mailbox.address is None else printable(mailbox.address)
    return Mailbox(_display_name(mailbox), address, printable(mailbox.raw))


def _problems_of(parsed: AddressList, field: str, unreadable: Code) -> Iterator[Reason]:
    for mailbox in parsed.mailboxes:
        if mailbox.address is None:
            yield Reason(unreadable, f"the {field} field holds what is no address: {printable(mailbox.raw)[:200]}")
        yield from address_problems(mailbox, field, unreadable)
        own = () if mailbox.address is None else (mailbox.address,)
        yield from name_problems(_names(mailbox), own, field)
    members = [mailbox.address for mailbox in parsed.mailboxes[:_PROBLEM_LIMIT] if mailbox.address is not None]
    for group in parsed.groups:
        yield from name_problems(_forms(group), members, field)


def _names(mailbox: MailboxText) -> tuple[str, ...]:
    """All that some mail program shows beside the address: the name and the comments, decoded and as they are."""
    return tuple(form for text in (mailbox.phrase, *mailbox.comments) for form in _forms(text))


def _forms(text: str) -> tuple[str, ...]:
    """The forms of a name in which mail programs show it, from the most careful to the most lenient one."""
    unquoted_text = _unquoted(text)
    if "=?" not in unquoted_text:
        return (unquoted_text,) if unquoted_text == text else (unquoted_text, text)
    once = decoded(unquoted_text)
    # A charset such as UTF-16 or one of EBCDIC hides what a program that does not know it shows.
    return tuple(dict.fromkeys((once, text, decoded(once), decoded(unquoted_text, "latin-1"))))


def _display_name(mailbox: MailboxText) -> str:
    """The display name; a comment stands for one where there is none, as in ``a@b (Name)``."""
    name = mailbox.phrase or (mailbox.comments[-1][1:-1] if mailbox.comments else "")
    return shown(decoded(_unquoted(name)))


def _unquoted(text: str) -> str:
    return QUOTED_STRING.sub(lambda match: unquoted(match.group()), text) if '"' in text else text
