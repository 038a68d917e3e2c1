"""Every way to sign, clear and opaque, before every judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from smime_agent.algorithms import Digest, KeyType, Padding
from tests.interop.book import Book
from tests.interop.judges import TOOLS, UNABLE, Case, Form, Judge, Refused, Unable, inability
from tests.interop.tampering import CONTENT, MAIL, resigned, rewritten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.interop.conftest import Bench

pytestmark = pytest.mark.interop


def cases() -> Iterator[Case]:
    """Each type of key by default, and with each padding and digest that a person can choose."""
    for key_type in KeyType:
        name = key_type.value
        if name != "x25519":  # it cannot sign
            yield Case(key_type)
        if name.startswith("rsa:"):
            yield from (Case(key_type, digest, padding) for padding in Padding for digest in Digest)
        if name.startswith("ec:"):
            yield from (Case(key_type, digest) for digest in Digest)


CASES = list(cases())

every_case = pytest.mark.parametrize("case", CASES, ids=str)


def signed(bench: Bench, case: Case, form: Form) -> bytes:
    return bench.signed_once("key types", MAIL, case, form)


@every_case
def test_the_judge_agrees_or_cannot_know(
    judge: Judge, case: Case, form: Form, bench: Bench, record_property: Callable[[str, object], None]
) -> None:
    try:
        assert judge.verdict(signed(bench, case, form), form, case) == CONTENT
    except Unable as reason:
        record_property(UNABLE, str(reason))


@every_case
def test_a_stranger_and_the_book_agree(case: Case, form: Form, bench: Bench, judges: dict[str, Judge]) -> None:
    """Where one cannot know, another does: a program of others, and the rules."""
    able = [tool.name for tool in TOOLS if inability(tool.name, case) is None]
    assert able
    for name in (able[0], Book.name):
        assert judges[name].verify(signed(bench, case, form), form) == CONTENT


@every_case
def test_the_judge_has_looked(judge: Judge, case: Case, form: Form, bench: Bench) -> None:
    """Who knows no difference between good and bad signatures of a kind has not agreed to any."""
    mail = signed(bench, case, form)
    for bad in (resigned(mail, form), rewritten(mail, form, b"Bob 100", b"Bob 900")):
        with pytest.raises(Refused):
            judge.verify(bad, form)
