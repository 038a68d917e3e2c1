"""Verdicts and codes."""

from __future__ import annotations

import pytest

from smime_agent.verdict import Code, UntrustworthyError, Verdict


def test_the_worst_is_the_one_with_the_highest_exit_code() -> None:
    assert Verdict.worst([Verdict.MISMATCH, Verdict.INVALID, Verdict.UNSIGNED]) is Verdict.INVALID
    assert Verdict.worst([]) is Verdict.TRUSTED


def test_exit_codes_rise_from_best_to_worst() -> None:
    assert [verdict.exit_code for verdict in Verdict] == [0, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (Code.NOT_SIGNED, Verdict.UNSIGNED),
        (Code.TRAILING_DATA, Verdict.UNSIGNED),
        (Code.FROM_MISSING, Verdict.MISMATCH),
        (Code.DATE_MISMATCH, Verdict.MISMATCH),
        (Code.NO_CERTIFICATE, Verdict.UNTRUSTED),
        (Code.SIGNING_TIME_TOO_EARLY, Verdict.UNTRUSTED),
        (Code.MALFORMED_MAIL, Verdict.INVALID),
        (Code.UNSUPPORTED_ALGORITHM, Verdict.INVALID),
        (Code.REVOCATION_NOT_CHECKED, Verdict.TRUSTED),
        (Code.SIGNING_TIME_MISSING, Verdict.TRUSTED),
    ],
)
def test_a_code_asks_for_its_verdict(code: Code, verdict: Verdict) -> None:
    assert code.verdict is verdict


def test_an_error_carries_its_reason() -> None:
    error = UntrustworthyError(Code.MALFORMED_CMS, "no end")
    assert (error.reason.code, error.reason.text, error.exit_code) == (Code.MALFORMED_CMS, "no end", 6)
