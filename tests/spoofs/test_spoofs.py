"""No spoof is trusted, and each is told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from smime_agent.verdict import Code, Verdict
from tests.spoofs.collection import GROUPS, collection

if TYPE_CHECKING:
    from tests.spoofs.spoof import Spoof

#: The codes that no mail of the collection asks for, and why.
WITHOUT_MAIL = {
    Code.PATH_INVALID: "stands for what the library alone objects to; each rule that we know of has a code of its own",
}
Findings = dict[str, dict[str, Any]]
Spoofs = dict[str, "list[Spoof]"]


@pytest.mark.parametrize("group", GROUPS)
def test_no_spoof_is_trusted(group: str, spoofs: Spoofs, findings: Findings) -> None:
    trusted = [spoof.name for spoof in spoofs[group] if findings[spoof.name]["verdict"] == "trusted"]
    assert not trusted


@pytest.mark.parametrize("group", GROUPS)
def test_every_spoof_has_its_reason(group: str, spoofs: Spoofs, findings: Findings) -> None:
    others = {
        f"{spoof.name}: {spoof.code}": codes
        for spoof in spoofs[group]
        if spoof.code not in (codes := [reason["code"] for reason in findings[spoof.name]["reasons"]])
    }
    assert not others


@pytest.mark.parametrize("group", GROUPS)
def test_every_spoof_has_its_verdict(group: str, spoofs: Spoofs, findings: Findings) -> None:
    others = {
        f"{spoof.name}: {spoof.verdict}": findings[spoof.name]["verdict"]
        for spoof in spoofs[group]
        if findings[spoof.name]["verdict"] != spoof.verdict
    }
    assert not others


def test_the_verdict_is_the_worst_that_a_reason_asks_for(findings: Findings) -> None:
    for name, finding in findings.items():
        worst = Verdict.worst(Code(reason["code"]).verdict for reason in finding["reasons"])
        assert finding["verdict"] == worst.value, name


def test_every_code_has_a_mail_or_it_is_said_why_not() -> None:
    asked = {Code(spoof.code) for spoof in collection()}
    blamed = {code for code in Code if code.verdict is not Verdict.TRUSTED}
    assert blamed - asked == WITHOUT_MAIL.keys()


def test_a_spoof_asks_for_the_verdict_of_its_code() -> None:
    assert not [spoof.name for spoof in collection() if Code(spoof.code).verdict.value != spoof.verdict]
