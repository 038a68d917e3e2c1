"""What is asked about one certificate, one question after the other, as the answers come. No I/O: others fetch."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from smime_agent.retrieval.answers import Answer, Question, UnavailableError
from smime_agent.retrieval.crls import CrlQuestion
from smime_agent.retrieval.ocsp import OcspQuestion
from smime_agent.retrieval.pointers import delta_crls_of, pointers_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from smime_agent.retrieval.limits import Limits
    from smime_agent.retrieval.pointers import DistributionPoint, Pointers
    from smime_agent.x509 import Certificate

#: Gives questions and takes their answers, one by one; says in the end whether that settled it.
Course = Generator[Question, Answer | UnavailableError, bool]


@dataclass(slots=True)
class Inquiry:
    """Asks about ``certificate`` and collects what there is to be known at the time ``at``."""

    certificate: Certificate
    issuer: Certificate
    now: datetime
    at: datetime
    limits: Limits
    crls: list[bytes] = field(default_factory=list)
    ocsp_responses: list[bytes] = field(default_factory=list)
    #: Sentences about what went wrong; none when something else settled it.
    problems: list[str] = field(default_factory=list)

    def course(self, *, is_leaf: bool) -> Course:
        """The questions: what the first of the two ways does not settle is asked the second way.

        A leaf is asked for by OCSP first, which is small. One above shares its CRL with all others of its issuer.
        """
        pointers = pointers_of(self.certificate)
        for problem in pointers.problems:
            self._note(problem)
        ways = (self._ask_responders, self._ask_for_crls) if is_leaf else (self._ask_for_crls, self._ask_responders)
        for way in ways:
            if (yield from way(pointers)):
                self.problems.clear()
                return True
        return False

    def _ask_responders(self, pointers: Pointers) -> Course:
        questions = (OcspQuestion(url, self.certificate, self.issuer) for url in pointers.responders)
        return (yield from self._first_of(questions, self.ocsp_responses))

    def _ask_for_crls(self, pointers: Pointers) -> Course:
        """One CRL that is about all reasons, or all of those that are about some; and what came out since."""
        outcomes: list[bool] = []
        deltas = list(pointers.delta_crls)
        for point in pointers.crls:  # those that are complete stand first
            is_here = yield from self._first_of(self._crls(point), self.crls)
            if is_here:
                deltas.extend(delta_crls_of(self.crls[-1], point.issuer))
                if point.is_complete:
                    outcomes = [True]
                    break
            outcomes.append(is_here)
        if not (outcomes and all(outcomes)):
            return False
        for delta in dict.fromkeys(deltas):
            yield from self._first_of(self._crls(delta, is_delta=True), self.crls)
        return True

    def _crls(self, point: DistributionPoint, *, is_delta: bool = False) -> Iterator[Question]:
        return (CrlQuestion(url, self.certificate, self.issuer, point, is_delta) for url in point.urls)

    def _first_of(self, questions: Iterator[Question], found: list[bytes]) -> Course:
        """Ask until one answer is beyond doubt. Those in doubt are kept too: the path validation may know better."""
        for question in questions:
            answer = yield question
            if isinstance(answer, UnavailableError):
                self._note(str(answer))
            elif objection := answer.objection(self.now, self.at, self.limits):
                self._note(f"what {question.host} sent {objection}")
            else:
                found.append(answer.octets)
                if not answer.doubt:
                    return True
                self._note(answer.doubt)
        return False

    def _note(self, problem: str) -> None:
        self.problems.append(f"{self.certificate.name}: {problem}")
