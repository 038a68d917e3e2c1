"""``decrypt`` with several tokens, some of them in a drawer: which is asked for its PIN, and what a person reads."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key
from pkcs11 import ObjectClass

from smime_agent.algorithms import KeyType, KeyUsage
from smime_agent.cms.recipient_name import RecipientName
from smime_agent.tokens.objects import read_objects
from tests.support.ca import Wanted
from tests.support.envelopes import ENTITY, enveloped
from tests.support.program import run
from tests.support.softhsm import PIN
from tests.support.terminal import Terminal

if TYPE_CHECKING:
    from smime_agent.x509 import Certificate
    from tests.support.ca import Authority
    from tests.support.program import Result
    from tests.support.softhsm import SoftHsm, SoftToken

FIRST, SECOND = "on the desk", "in the drawer"


def enrolled(softhsm: SoftHsm, authority: Authority, label: str, key_type: KeyType) -> SoftToken:
    token = softhsm.new_token(label)
    wanted = Wanted((f"{key_type.name.lower()}@example.org",), label, key_encipherment=True, key_agreement=True)
    token.enrol(authority, key_type, wanted, KeyUsage.DECRYPT)
    return token


@pytest.fixture(scope="module")
def first(softhsm: SoftHsm, issuing_ca: Authority) -> Certificate:
    return certificate_on(enrolled(softhsm, issuing_ca, FIRST, KeyType.RSA_2048))


@pytest.fixture(scope="module")
def second(softhsm: SoftHsm, issuing_ca: Authority) -> Certificate:
    return certificate_on(enrolled(softhsm, issuing_ca, SECOND, KeyType.EC_P256))


def certificate_on(token: SoftToken) -> Certificate:
    with token.session() as session:
        return read_objects(session).certificates[0].certificate


class Desk:
    """Which tokens are plugged in: copies of them in a SoftHSM of its own, with a data directory of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def environment(self, *labels: str) -> dict[str, str]:
        tokens = self._folder / "-".join(("tokens", *labels))
        if not tokens.exists():
            tokens.mkdir()
            for label in labels:
                source = _folder_of(label)
                shutil.copytree(source, tokens / source.name)
        configuration = self._folder / "softhsm2.conf"
        configuration.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n")
        return {"SOFTHSM2_CONF": str(configuration), "XDG_DATA_HOME": str(self._folder / "data")}

    def decrypt(self, message: bytes, *labels: str, options: tuple[str, ...] = ("--pin-source", "env:PIN")) -> Result:
        return run("decrypt", *options, stdin=message, env=self.environment(*labels))

    def look_at(self, label: str) -> None:
        assert run("cert", "list", "--token", label, env=self.environment(label)).code == 0


def _folder_of(label: str) -> Path:
    configuration = Path(os.environ["SOFTHSM2_CONF"]).read_text()
    tokens = Path(configuration.split("directories.tokendir = ")[1].splitlines()[0])
    padded = label.encode().ljust(32)
    (found,) = (folder for folder in tokens.iterdir() if padded in (folder / "token.object").read_bytes())
    return found


@pytest.fixture
def desk(tmp_path: Path, first: Certificate, second: Certificate) -> Desk:
    del first, second  # they are there to be copied
    return Desk(tmp_path)


@pytest.mark.parametrize("name", [RecipientName.ISSUER_AND_SERIAL_NUMBER, RecipientName.SUBJECT_KEY_IDENTIFIER])
def test_the_pin_is_asked_for_the_token_that_has_the_key_and_no_other(
    desk: Desk, second: Certificate, tmp_path: Path, name: RecipientName
) -> None:
    (tmp_path / "mail.p7m").write_bytes(enveloped(second, name=name))
    words = ("decrypt", str(tmp_path / "mail.p7m"))
    with Terminal(*words, env=desk.environment(FIRST, SECOND)) as terminal:
        terminal.expect(f"PIN for token '{SECOND}'")
        terminal.type(PIN)
        code, out = terminal.end()
    assert (code, out, terminal.screen.count("PIN for")) == (0, ENTITY, 1)


def test_of_two_that_could_one_is_asked(desk: Desk, first: Certificate, second: Certificate, tmp_path: Path) -> None:
    (tmp_path / "mail.p7m").write_bytes(enveloped(first, second))
    with Terminal("decrypt", str(tmp_path / "mail.p7m"), env=desk.environment(FIRST, SECOND)) as terminal:
        terminal.expect("PIN for token ")
        terminal.type(PIN)
        code, out = terminal.end()
    assert (code, out, terminal.screen.count("PIN for")) == (0, ENTITY, 1)


def test_a_message_for_nobody_here_asks_for_no_pin(desk: Desk, second: Certificate) -> None:
    done = desk.decrypt(enveloped(second), FIRST, options=())
    assert (done.code, done.out) == (7, b"")
    assert done.err.splitlines() == [
        f"smime-agent: error: no key on token '{FIRST}' opens this message",
        f"  it is for the certificate with serial number {second.serial_number:x} of CN=Test Issuing CA",
        "hint: 'smime-agent key list --history' shows the keys that were ever seen",
    ]


@pytest.mark.parametrize("name", [RecipientName.ISSUER_AND_SERIAL_NUMBER, RecipientName.SUBJECT_KEY_IDENTIFIER])
@pytest.mark.parametrize("here", [(FIRST,), ()], ids=["another is", "none is"])
def test_the_token_in_the_drawer_is_named(
    desk: Desk, second: Certificate, here: tuple[str, ...], name: RecipientName
) -> None:
    desk.look_at(SECOND)
    done = desk.decrypt(enveloped(second, name=name), *here)
    error, line, hint = done.err.splitlines()
    assert (done.code, done.out) == (7, b"")
    assert error == "smime-agent: error: " + (
        f"no key on token '{FIRST}' opens this message" if here else "no token is plugged in that opens this message"
    )
    validity = f"valid from {second.not_before:%Y-%m-%d} to {second.not_after:%Y-%m-%d}"
    assert line.startswith(
        f"  it is for CN={SECOND} (ec_p256@example.org), serial {second.serial_number:x}, {validity}: "
        f"its key was last seen on token '{SECOND}' (serial "
    )
    assert line.endswith(", which is not plugged in")
    assert hint.startswith(f"hint: plug in token '{SECOND}' (serial ")
    assert hint.removeprefix("hint: plug in ") in line


def test_where_no_module_could_be_asked_nothing_is_said_of_what_is_plugged_in(
    desk: Desk, second: Certificate, tmp_path: Path
) -> None:
    desk.look_at(SECOND)
    environment = {"SOFTHSM2_CONF": str(tmp_path / "missing"), "XDG_DATA_HOME": str(tmp_path / "data")}
    done = run("decrypt", stdin=enveloped(second), env=environment)
    assert (done.code, done.out) == (8, b"")
    assert f"its key was last seen on token '{SECOND}'" in done.err
    assert "plugged in" not in done.err


def test_what_was_decrypted_once_is_known_afterwards(desk: Desk, second: Certificate) -> None:
    message = enveloped(second)
    assert desk.decrypt(message, SECOND).code == 0
    assert "hint: plug in token 'in the drawer'" in desk.decrypt(message, FIRST).err


def test_a_named_token_that_is_absent_is_exit_8_and_named(desk: Desk, second: Certificate) -> None:
    desk.look_at(SECOND)
    done = desk.decrypt(enveloped(second), FIRST, options=("--token", SECOND))
    assert (done.code, done.out) == (8, b"")
    assert done.err.startswith(f"smime-agent: error: no token '{SECOND}' is plugged in\n")


def test_a_damaged_history_keeps_nobody_from_decrypting(desk: Desk, second: Certificate, tmp_path: Path) -> None:
    file = tmp_path / "data" / "smime-agent" / "history.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"{ no JSON")
    done = desk.decrypt(enveloped(second), FIRST, SECOND)
    assert (done.code, done.out) == (0, ENTITY)
    assert done.err.splitlines()[0] == f"smime-agent: warning: the history of keys, {file}, is damaged"
    assert done.err.count("warning") == 1


def test_mail_for_a_certificate_that_was_replaced_is_opened_by_its_public_key(
    softhsm: SoftHsm, issuing_ca: Authority, tmp_path: Path
) -> None:
    token = enrolled(softhsm, issuing_ca, "renewed at home", KeyType.EC_P384)
    old = certificate_on(token)
    environment = {"XDG_DATA_HOME": str(tmp_path / "data")}
    assert run("key", "list", "--token", token.label, env=environment).code == 0
    with token.session(writable=True) as session:
        session.login("for a test")
        with session.calling():
            for found in session.objects(ObjectClass.CERTIFICATE):
                found.destroy()
    new = issuing_ca.issue(load_der_public_key(old.public_key_info), Wanted(name="new", key_agreement=True))
    token.store(new.public_bytes(Encoding.DER))
    done = run("decrypt", "--pin-source", "env:PIN", stdin=enveloped(old), env=environment)
    assert (done.code, done.out) == (0, ENTITY)
