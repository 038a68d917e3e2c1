"""No encrypted mail gives out more than it may, and each is told apart: through the library, and on a token."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from smime_agent.api.decrypting import Decryptor
from smime_agent.api.verifying import Verifier, VerifyOptions
from smime_agent.cli.ui import printable
from smime_agent.errors import SmimeAgentError
from smime_agent.trust.evidence import RevocationMode
from smime_agent.verdict import Verdict
from tests.keyring.people import enrolled
from tests.spoofs.collection import WORKSHOP
from tests.spoofs.envelopes import bob_of
from tests.spoofs.sealed import SECRET, Envelopes, Sealed
from tests.spoofs.sealed_forms import sealed_forms
from tests.spoofs.sealed_parts import sealed_parts
from tests.spoofs.sealed_senders import sealed_senders
from tests.support.command import Command
from tests.support.host_keys import HostKeys

if TYPE_CHECKING:
    from pathlib import Path

    from tests.spoofs.conftest import Shelf
    from tests.support.ca import Authority
    from tests.support.softhsm import SoftHsm, SoftToken

GROUPS = (sealed_parts, sealed_forms, sealed_senders)
#: Those that the command line is tried with one by one: an example of each kind.
ALONE = (
    "mixed-between-html",
    "mixed-twice",
    "alternative",
    "attached-between-html",
    "signed-mixed",
    "label-html",
    "label-twice",
    "encoding-base64-of-base64",
    "cipher-gcm-enveloped",
    "cipher-triple-des",
    "gadget-first-line",
    "gadget-cut",
    "object-bomb",
    "object-foreign",
    "honest",
    "signed-by-other-clear",
    "header-between",
    "header-terminal",
    "around-under-other",
)


def collection(given: Envelopes) -> list[Sealed]:
    """All of them, under names that no other has."""
    found = [sealed for group in GROUPS for sealed in group(WORKSHOP, given)]
    assert len({sealed.name for sealed in found}) == len(found)
    return found


@pytest.fixture(scope="module")
def decryptor(shelf: Shelf) -> Decryptor:
    """Bob's, with a key in memory."""
    options = VerifyOptions((shelf.folder / "root",), False, revocation=RevocationMode.OFF, offline=True)  # noqa: FBT003 - no roots
    return Decryptor(HostKeys(bob_of()), Verifier(options))


@pytest.fixture(scope="module")
def in_memory() -> dict[str, Sealed]:
    """The mails for the key in memory."""
    return {sealed.name: sealed for sealed in collection(Envelopes(bob_of().certificate))}


def outcome(decryptor: Decryptor, sealed: Sealed, part: str | None = None) -> dict[str, object]:
    """What becomes of a mail."""
    try:
        with decryptor.opened(sealed.mail, part=part) as found:
            said = (*found.verification.reasons, *found.verification.notes)
            return {
                "exit code": found.exit_code,
                "codes": {reason.code.value for reason in said},
                "opens": b"".join(found.content()),
                "parts": (),
                "trusted": found.verification.verdict is Verdict.TRUSTED,
                "authenticated": found.is_authenticated,
            }
    except SmimeAgentError as error:
        return {
            "exit code": error.exit_code,
            "codes": {error.code},
            "opens": None,
            "parts": getattr(error, "parts", ()),
        }


def expected(sealed: Sealed, found: dict[str, object]) -> dict[str, object]:
    """What is to become of it."""
    codes = found["codes"]
    assert isinstance(codes, set)
    refused = {
        "exit code": sealed.exit_code,
        "codes": codes | {sealed.code} - {""},
        "opens": None,
        "parts": sealed.parts,
    }
    if sealed.opens is None:
        return refused
    return refused | {
        "opens": sealed.opens,
        "trusted": sealed.is_trusted,
        "authenticated": sealed.is_authenticated,
    }


def test_there_are_as_many_mails_as_were_promised(in_memory: dict[str, Sealed]) -> None:
    assert len(in_memory) >= 80


def test_each_mail_comes_to_what_is_written_beside_it(decryptor: Decryptor, in_memory: dict[str, Sealed]) -> None:
    others = {}
    for name, sealed in in_memory.items():
        found = outcome(decryptor, sealed)
        if found != (wanted := expected(sealed, found)):
            others[name] = (found, wanted)
    assert not others


def test_a_part_that_is_named_gives_the_secret_and_nothing_else(
    decryptor: Decryptor, in_memory: dict[str, Sealed]
) -> None:
    named = [(sealed, part) for sealed in in_memory.values() for part in sealed.parts]
    assert {str(outcome(decryptor, sealed, part)["opens"]) for sealed, part in named} == {str(SECRET)}


def test_a_part_that_is_named_is_nobodys(decryptor: Decryptor, in_memory: dict[str, Sealed]) -> None:
    for sealed in in_memory.values():
        for part in sealed.parts:
            with decryptor.opened(sealed.mail, part=part) as found:
                assert (found.is_partial, found.verification.senders, found.signature) == (True, (), None), sealed.name


def test_nothing_of_the_attackers_stands_in_what_was_decrypted(
    decryptor: Decryptor, in_memory: dict[str, Sealed]
) -> None:
    """But where he encrypted it himself."""
    for name, sealed in in_memory.items():
        opens = outcome(decryptor, sealed)["opens"]
        assert not isinstance(opens, bytes) or b"evil.example/" not in opens or name.startswith("sealed-"), name


# --- on a token ----------------------------------------------------------------------------------------------------


@pytest.fixture
def command(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Command:
    """``smime-agent``, called in this process."""
    return Command(capfdbinary, monkeypatch)


@pytest.fixture(scope="module")
def token(softhsm: SoftHsm) -> SoftToken:
    """Bob's."""
    return softhsm.new_token("bob of the sealed")


@pytest.fixture(scope="module")
def on_token(token: SoftToken, issuing_ca: Authority) -> dict[str, Sealed]:
    """The mails for the key on it."""
    return {sealed.name: sealed for sealed in collection(Envelopes(enrolled(token, issuing_ca, name="Bob")))}


@pytest.fixture
def options(shelf: Shelf, token: SoftToken) -> list[str]:
    """What every run needs."""
    return ["--token", token.label, "--pin-source", "env:PIN", "--revocation", "off", *shelf.options]


def findings(
    command: Command, shelf: Shelf, mails: dict[str, Sealed], options: list[str], output: Path
) -> dict[str, dict[str, Any]]:
    """What the command says of all mails, in one run."""
    folder = shelf.folder / "sealed"
    if not folder.is_dir():
        folder.mkdir()
        for name, sealed in mails.items():
            (folder / f"{name}.eml").write_bytes(sealed.mail)
    done = command("decrypt", folder, *options, "--json", "--output-dir", output)
    lines = [json.loads(line) for line in done.out.splitlines()]
    return {line["file"].rpartition("/")[2].removesuffix(".eml"): line for line in lines}


@pytest.fixture
def found(
    command: Command, shelf: Shelf, on_token: dict[str, Sealed], options: list[str], tmp_path: Path
) -> dict[str, dict[str, Any]]:
    """The findings; the results are in the folder of the test."""
    return findings(command, shelf, on_token, options, tmp_path / "out")


def test_on_the_command_line_all_of_them_come_to_the_same(
    found: dict[str, dict[str, Any]], on_token: dict[str, Sealed], tmp_path: Path
) -> None:
    written = {path.stem: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert written == {name: sealed.opens for name, sealed in on_token.items() if sealed.opens is not None}
    for name, sealed in on_token.items():
        finding = found[name]
        signature = finding["signature"]
        said = [one["code"] for one in (*finding["reasons"], *finding["notes"])]
        said += [one["code"] for one in (*signature["reasons"], *signature["notes"])] if signature else []
        assert finding["decrypted"] == (sealed.opens is not None), name
        assert tuple(finding.get("parts", ())) == sealed.parts, name
        assert sealed.code in {*said, "", "not-signed"}, name
        assert bool(signature and signature["verdict"] == "trusted") == sealed.is_trusted, name


@pytest.mark.parametrize("name", ALONE)
def test_the_exit_code_is_the_one_that_is_written_beside_it(
    command: Command, on_token: dict[str, Sealed], options: list[str], name: str
) -> None:
    sealed = on_token[name]
    done = command("decrypt", *options, stdin=sealed.mail)
    assert (done.code, done.out) == (sealed.exit_code, sealed.opens or b"")


@pytest.mark.parametrize("name", ALONE)
def test_what_a_person_reads_is_free_of_what_steers_a_terminal(
    command: Command, on_token: dict[str, Sealed], options: list[str], name: str
) -> None:
    done = command("decrypt", *options, stdin=on_token[name].mail)
    assert all(printable(line) == line for line in done.err.splitlines())
