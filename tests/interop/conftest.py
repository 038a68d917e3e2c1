"""The bench: one token and one certificate for each type of key, and the judges in their homes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from smime_agent.api.signing import SignOptions, logged_in, sign
from smime_agent.x509 import Certificate
from tests.interop.book import Book
from tests.interop.exchange import exchange
from tests.interop.judges import TOOLS, UNABLE, Case, Form, Judge
from tests.support.ca import Wanted
from tests.support.command import Command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smime_agent.algorithms import KeyType
    from smime_agent.api.signing import OpenToken
    from tests.support.ca import Authority
    from tests.support.softhsm import SoftHsm

__all__ = ["exchange"]

JUDGES: Final[tuple[type[Judge], ...]] = (*TOOLS, Book)


@dataclass(frozen=True)
class Bench:
    """Logins to tokens with one certified key each, made when they are first wanted."""

    softhsm: SoftHsm
    issuing_ca: Authority
    _logins: dict[tuple[KeyType, bool], OpenToken] = field(default_factory=dict)
    _signed: dict[tuple[str, Case, Form], bytes] = field(default_factory=dict)

    def login(self, key_type: KeyType, *, with_chain: bool = True) -> OpenToken:
        """The login to the token of a key type. The intermediate certificate is not on it."""
        if (key_type, with_chain) not in self._logins:
            token = self.softhsm.new_token(f"{key_type.value} {with_chain}")
            token.enrol(self.issuing_ca, key_type, Wanted())
            chain = [Certificate(self.issuing_ca.certificate.public_bytes(Encoding.DER))] if with_chain else []
            self._logins[key_type, with_chain] = logged_in(token.session(), chain)
        return self._logins[key_type, with_chain]

    def sign(self, mail: bytes, case: Case, form: Form, *, again: bool = False) -> bytes:
        """The mail, signed by a token."""
        options = SignOptions(opaque=form is Form.OPAQUE, again=again, digest=case.digest, padding=case.padding)
        return bytes(sign(mail, self.login(case.key_type), options))

    def signed_once(self, name: str, mail: bytes, case: Case, form: Form) -> bytes:
        """The same, remembered under a name for the next judge."""
        if (name, case, form) not in self._signed:
            self._signed[name, case, form] = self.sign(mail, case, form, again=True)
        return self._signed[name, case, form]

    def close(self) -> None:
        """Log out everywhere."""
        for login in self._logins.values():
            login.close()


@pytest.fixture(scope="session")
def bench(softhsm: SoftHsm, issuing_ca: Authority) -> Iterator[Bench]:
    """Tokens that sign."""
    bench = Bench(softhsm, issuing_ca)
    yield bench
    bench.close()


@pytest.fixture(scope="session", params=list(Form), ids=lambda form: form.value)
def form(request: pytest.FixtureRequest) -> Form:
    """Both forms."""
    return cast("Form", request.param)


@pytest.fixture(scope="session")
def judges(tmp_path_factory: pytest.TempPathFactory, root_ca: Authority) -> Iterator[dict[str, Judge]]:
    """All judges by name; each knows the root, and no other certificate."""
    judges = {judge.name: judge.at_home(tmp_path_factory.mktemp("judge"), root_ca) for judge in JUDGES}
    yield judges
    for judge in judges.values():
        judge.close()


@pytest.fixture(scope="session", params=[judge.name for judge in JUDGES])
def judge(request: pytest.FixtureRequest, judges: dict[str, Judge]) -> Judge:
    """Each of them: the strangers, and the book."""
    return judges[request.param]


@pytest.fixture
def command(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Command:
    """``smime-agent``, called in this process."""
    return Command(capfdbinary, monkeypatch)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what a judge could not know."""
    passed = terminalreporter.stats.get("passed", ())
    said = {str(text) for report in passed for name, text in report.user_properties if name == UNABLE}
    for text in sorted(said):
        terminalreporter.write_line(f"interop: {text}")
