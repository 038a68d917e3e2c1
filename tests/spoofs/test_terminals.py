"""What a person sees: nothing of a mail or a certificate acts on the terminal, or looks like a verdict of ours."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.spoofs.terminals import TRICKS

if TYPE_CHECKING:
    from tests.spoofs.conftest import Shelf
    from tests.spoofs.spoof import Honest, Spoof

_BIDI = {chr(code) for code in (0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))}
_VERDICTS = ("trusted", "unsigned", "mismatch", "untrusted", "invalid")


@pytest.fixture(scope="module")
def shown(shelf: Shelf, spoofs: dict[str, list[Spoof]]) -> str:
    """All that is said about all spoofs that need no options."""
    mails = [spoof for group in spoofs.values() for spoof in group if not spoof.options]
    done = shelf.run(shelf.put("shown", mails))
    return done.out.decode() + done.err


@pytest.fixture(scope="module")
def shown_of_honest(shelf: Shelf, honest_mails: list[Honest]) -> str:
    """All that is said about honest mails, whose names are strange here and there."""
    done = shelf.run(shelf.put("shown honest", [mail for mail in honest_mails if not mail.options]))
    return done.out.decode() + done.err


def test_no_control_character_reaches_the_terminal(shown: str, shown_of_honest: str) -> None:
    controls = {c for c in shown + shown_of_honest if unicodedata.category(c) in {"Cc", "Zl", "Zp", "Cs"}}
    assert controls == {"\n"}


def test_nothing_turns_the_direction_of_the_text(shown: str, shown_of_honest: str) -> None:
    assert not _BIDI & set(shown + shown_of_honest)


def test_no_tag_character_hides_in_the_text(shown: str, shown_of_honest: str) -> None:
    assert not [c for c in shown + shown_of_honest if 0xE0000 <= ord(c) <= 0xE007F]


def test_no_line_about_a_spoof_begins_with_trusted(shown: str) -> None:
    assert not [line for line in shown.splitlines() if line.strip().lower().startswith("trusted")]


def test_the_name_of_a_file_does_not_act_on_the_terminal(shelf: Shelf, spoofs: dict[str, list[Spoof]]) -> None:
    mail = spoofs["senders"][0]
    tricks = [trick for trick in TRICKS.values() if "\0" not in trick and len(trick) < 100]
    folder = shelf.put("files", [replace(mail, name=trick) for trick in tricks])
    done = shelf.run(folder)
    said = done.out.decode() + done.err
    assert not [c for c in said if unicodedata.category(c) in {"Cc", "Zl", "Zp"} and c != "\n"]
    assert not _BIDI & set(said)
    assert len([line for line in said.splitlines() if line and not line.startswith(" ")]) == len(tricks)


def test_only_our_own_words_stand_at_the_start_of_a_line(shown: str, spoofs: dict[str, list[Spoof]]) -> None:
    count = sum(not spoof.options for group in spoofs.values() for spoof in group)
    begun = [line for line in shown.splitlines() if line and not line.startswith(" ")]
    assert len(begun) == count
    assert all(line.startswith(_VERDICTS) for line in begun)
