"""Finding the token that was meant, and what it says of itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pkcs11
import pytest

from smime_agent.errors import (
    AmbiguousError,
    ModuleLoadError,
    PinIncorrectError,
    PinLastTryError,
    PinLockedError,
    PinNotSetError,
    TokenAbsentError,
    UsageError,
)
from smime_agent.tokens import module as modules
from smime_agent.tokens.patience import Patience
from smime_agent.tokens.token import Search, Token
from tests.support.softhsm import MODULE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.softhsm import SoftHsm, SoftToken

Flag = pkcs11.TokenFlag


def test_a_label_or_any_attribute_of_a_uri_finds_the_token(alice: SoftToken) -> None:
    info = Search(alice.label, MODULE).one().info
    for token in (
        "alice",
        "pkcs11:token=alice",
        f"pkcs11:serial={info.serial}",
        f"pkcs11:slot-id={info.slot_id}",
        f"pkcs11:token=alice;library-version={info.library_version[0]}.{info.library_version[1]}",
        f"pkcs11:token=alice?module-path={MODULE}",
        str(info.uri),
    ):
        assert Search(token, MODULE).one().info == info


@pytest.mark.usefixtures("alice")
@pytest.mark.parametrize(
    "token", ["Alice", "alice ", "pkcs11:token=alice;serial=0", "pkcs11:token=alice;slot-id=999999999999"]
)
def test_what_is_not_there_is_absent(token: str) -> None:
    with pytest.raises(TokenAbsentError) as caught:
        Search(token, MODULE).one()
    assert caught.value.hint


def test_of_several_each_is_named_by_its_uri(softhsm: SoftHsm) -> None:
    for _ in range(2):
        softhsm.new_token("same", user_pin=False)
    with pytest.raises(AmbiguousError) as caught:
        Search("same", MODULE).one()
    assert len(set(caught.value.details)) == 2
    assert {Search(uri, MODULE).one().info.label for uri in caught.value.details} == {"same"}


@pytest.mark.usefixtures("alice")
def test_blank_tokens_count_only_on_demand() -> None:
    assert all(token.info.initialized for token in Search(module=MODULE).tokens())
    assert not all(token.info.initialized for token in Search(module=MODULE).tokens(uninitialized=True))


def test_a_uri_that_is_none_is_a_usage_error() -> None:
    with pytest.raises(UsageError):
        Search("pkcs11:colour=red", MODULE).one()


def test_a_module_is_loaded_once_whatever_it_is_called(tmp_path: Path) -> None:
    (tmp_path / "link.so").symlink_to(MODULE)
    told: list[str] = []
    assert modules.load(str(tmp_path / "link.so"), told.append) is modules.load(MODULE, told.append)
    assert len(told) <= 1


def test_a_broken_module_is_passed_over_beside_a_good_one(
    alice: SoftToken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.so"
    broken.write_text("not a module")
    monkeypatch.setattr(modules, "default_paths", lambda: [str(broken), MODULE])
    search = Search(alice.label)
    assert search.one().info.label == "alice"
    assert [str(broken) in str(failure) for failure in search.failures] == [True]


def test_a_broken_module_is_told_of_where_nothing_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken.so"
    broken.write_text("not a module")
    monkeypatch.setattr(modules, "default_paths", lambda: [str(broken)])
    with pytest.raises(TokenAbsentError) as caught:
        Search("alice").one()
    assert str(broken) in str(caught.value.hint)


@pytest.mark.usefixtures("alice")
@pytest.mark.parametrize(
    ("name", "found"), [("softhsm", True), ("SoftHSM2", True), ("libsofthsm2", True), ("opensc", False)]
)
def test_a_module_can_be_named_in_the_uri(name: str, found: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001 - a column
    monkeypatch.setattr(modules, "default_paths", lambda: [MODULE])
    search = Search(f"pkcs11:token=alice?module-name={name}")
    if found:
        assert search.one().info.label == "alice"
    else:
        with pytest.raises(ModuleLoadError, match=f"no PKCS#11 module named {name} is installed"):
            search.one()


# --- what its flags say of the PIN ---


def flagged(monkeypatch: pytest.MonkeyPatch, flags: Flag) -> None:
    """Make tokens say this of themselves, now and later."""
    refreshed = Token.refreshed

    def with_flags(token: Token) -> Token:
        fresh = refreshed(token)
        return Token(fresh.module, fresh.slot, replace(fresh.info, flags=flags))

    monkeypatch.setattr(Token, "refreshed", with_flags)


READY = Flag.TOKEN_INITIALIZED | Flag.USER_PIN_INITIALIZED | Flag.LOGIN_REQUIRED


@pytest.mark.parametrize(
    ("flags", "hint"),
    [
        (READY, "one try was spent; this token does not say how many are left"),
        (READY | Flag.USER_PIN_COUNT_LOW, "fewer tries are left"),
        (READY | Flag.USER_PIN_FINAL_TRY, "one try is left; it will not be spent without --use-last-pin-try"),
    ],
)
def test_after_a_wrong_pin_the_flags_tell_how_many_tries_are_left(
    alice: SoftToken, monkeypatch: pytest.MonkeyPatch, flags: Flag, hint: str
) -> None:
    with alice.session() as session:
        flagged(monkeypatch, flags)
        error = session.wrong_pin()
    assert (type(error), error.hint) == (PinIncorrectError, hint)


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        (READY | Flag.USER_PIN_LOCKED, PinLockedError),
        (READY | Flag.USER_PIN_LOCKED | Flag.USER_PIN_FINAL_TRY, PinLockedError),
        (READY | Flag.USER_PIN_FINAL_TRY, PinLastTryError),
        (Flag.TOKEN_INITIALIZED | Flag.LOGIN_REQUIRED, PinNotSetError),
    ],
)
def test_a_try_that_would_be_lost_is_not_asked_for(
    alice: SoftToken, monkeypatch: pytest.MonkeyPatch, flags: Flag, error: type[Exception]
) -> None:
    with alice.session() as session:
        flagged(monkeypatch, flags)
        with pytest.raises(error):
            session.login("to sign")
        assert session.prompter.requests == []  # type: ignore[attr-defined]  # it is a KnownPin


def test_a_token_that_wants_no_login_gets_none(alice: SoftToken, monkeypatch: pytest.MonkeyPatch) -> None:
    with alice.session() as session:
        flagged(monkeypatch, Flag.TOKEN_INITIALIZED)
        session.token = session.token.refreshed()
        session.login("to sign")
        assert session.prompter.requests == []  # type: ignore[attr-defined]  # it is a KnownPin


# --- patience ---


def test_patience_is_not_lost_between_calls() -> None:
    told: list[int] = []
    patience = Patience(lambda: told.append(1))
    for _ in range(100):
        with patience:
            pass
    patience.close()
    assert told == []
