"""``setup neomutt``: what it writes, what it leaves alone, and that neomutt reads it without a complaint."""

from __future__ import annotations

import re
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.neomutt import Desk

if TYPE_CHECKING:
    from pathlib import Path

    from tests.neomutt.conftest import Writer
    from tests.support.ca import Authority


@pytest.fixture
def bare(token: str, issuing_ca: Authority, tmp_path: Path) -> Desk:
    """A desk where nothing was set up, and no token was seen."""
    return Desk.furnished(tmp_path / "bare", token, issuing_ca.pem)


def settings(desk: Desk) -> dict[str, str]:
    """What neomutt says that is set, after its files were read."""
    done = subprocess.run(["neomutt", "-n", "-D"], env=desk.env, capture_output=True, check=True, cwd=desk.folder)
    assert done.stderr == b""
    return dict(re.findall(r'^set (\w+) = "?(.*?)"?$', done.stdout.decode(), re.MULTILINE))


def test_neomutt_reads_the_settings_without_a_complaint(desk: Desk) -> None:
    assert settings(desk)["crypt_use_gpgme"] == "no"


def test_no_command_of_neomutt_is_left_to_openssl(desk: Desk) -> None:
    commands = {name: value for name, value in settings(desk).items() if re.fullmatch(r"smime_\w+_command", name)}
    assert len(commands) == 10
    assert [name for name, value in commands.items() if "openssl" in value or "smime_keys" in value] == []


def test_the_key_of_neomutt_is_the_one_that_was_asked_for(desk: Desk) -> None:
    assert desk.agent("setup", "neomutt", "--key", "alice@work.example.org").code == 0
    assert settings(desk)["smime_sign_as"] == desk.certificate("alice@work.example.org").name


@pytest.mark.parametrize("key", ["02", "0x02", "pkcs11:token=neomutt;id=%02"])
def test_a_key_is_named_by_id_or_uri(desk: Desk, key: str) -> None:
    assert desk.agent("setup", "neomutt", "--key", key).code == 0
    assert settings(desk)["smime_sign_as"] == desk.certificate("alice@work.example.org").name


def test_a_key_that_was_never_seen_is_refused(desk: Desk) -> None:
    done = desk.agent("setup", "neomutt", "--key", "bob@example.org")
    assert done.code == 7
    assert "no key 'bob@example.org'" in done.err


def test_the_line_is_added_once(desk: Desk) -> None:
    before = desk.rc.read_text()
    assert "reads it already" in desk.agent("setup", "neomutt", "--install").err
    assert desk.rc.read_text() == before
    assert before.splitlines()[-1] == f'source "{desk.folder}/.config/smime-agent/neomutt.rc"'


def test_a_persons_file_is_not_changed_without_being_asked(bare: Desk) -> None:
    before = bare.rc.read_bytes()
    bare.agent("cert", "list")
    done = bare.agent("setup", "neomutt")
    assert done.out.decode() == f'source "{bare.folder}/.config/smime-agent/neomutt.rc"\n'
    assert bare.rc.read_bytes() == before


def test_what_a_persons_file_was_before_is_kept(bare: Desk) -> None:
    bare.rc.write_bytes(b"set from=alice@example.org")  # without a line end
    bare.rc.chmod(0o600)
    assert bare.agent("setup", "neomutt", "--install").code == 0
    copy = bare.rc.with_name("neomuttrc.before-smime-agent")
    assert copy.read_bytes() == b"set from=alice@example.org"
    assert bare.rc.read_bytes().startswith(b"set from=alice@example.org\nsource ")
    assert {stat.S_IMODE(path.stat().st_mode) for path in (copy, bare.rc)} == {0o600}


def test_a_second_copy_does_not_replace_the_first(desk: Desk) -> None:
    copy = desk.rc.with_name("neomuttrc.before-smime-agent")
    first = copy.read_bytes()
    desk.rc.write_text("# another\n")
    assert desk.agent("setup", "neomutt", "--install").code == 0
    assert copy.read_bytes() == first


def test_a_link_stays_a_link(bare: Desk) -> None:
    real = bare.folder / "dotfiles"
    bare.rc.rename(real)
    bare.rc.symlink_to(real)
    assert bare.agent("setup", "neomutt", "--install").code == 0
    assert bare.rc.is_symlink()
    assert real.read_text().splitlines()[-1].startswith("source ")


def test_the_file_is_made_where_neomutt_looks_first(bare: Desk) -> None:
    bare.rc.unlink()
    assert bare.agent("setup", "neomutt", "--install").code == 0
    assert settings(bare)["smime_is_default"] == "yes"


def test_an_older_place_of_the_file_is_found(bare: Desk) -> None:
    bare.rc.rename(bare.folder / ".muttrc")
    assert bare.agent("setup", "neomutt", "--install").code == 0
    assert settings(bare)["smime_is_default"] == "yes"


def test_a_file_of_somebody_else_is_not_written_over(desk: Desk) -> None:
    before = desk.rc.read_bytes()
    done = desk.agent("setup", "neomutt", "-o", desk.rc)
    assert done.code == 2
    assert "was not written by this command" in done.err
    assert desk.rc.read_bytes() == before


def test_the_settings_can_be_printed_alone(bare: Desk) -> None:
    done = bare.agent("setup", "neomutt", "--print")
    assert b'set smime_verify_command="' in done.out
    assert not (bare.folder / ".config/smime-agent/neomutt.rc").exists()


@pytest.mark.parametrize("other", [["-o", "x"], ["--install"]])
def test_printing_and_writing_exclude_each_other(bare: Desk, other: list[str]) -> None:
    assert bare.agent("setup", "neomutt", "--print", *other).code == 2


def test_without_a_key_neomutt_is_set_up_to_verify_and_encrypt(bare: Desk) -> None:
    done = bare.agent("setup", "neomutt", "--install")
    assert done.code == 0
    assert "no key was seen on a token yet" in done.err
    assert settings(bare)["smime_sign_as"] == ""


def test_a_key_that_is_seen_later_is_known_when_neomutt_starts(bare: Desk) -> None:
    bare.agent("setup", "neomutt", "--install")
    bare.agent("cert", "list")
    assert re.fullmatch("[0-9a-f]{32}", settings(bare)["smime_sign_as"])


def test_a_new_contact_is_known_when_neomutt_starts(desk: Desk, bob: Writer) -> None:
    contacts = desk.folder / ".local/share/smime-agent/contacts"
    contacts.mkdir()
    (contacts / "bob.pem").write_bytes(bob.person.path.read_bytes())
    settings(desk)
    assert desk.certificate("bob@example.org").read_bytes() == bob.person.ours.pem


def test_a_contact_that_is_gone_is_gone_from_neomutt(desk: Desk, bob: Writer) -> None:
    contacts = desk.folder / ".local/share/smime-agent/contacts"
    contacts.mkdir()
    (contacts / "bob.pem").write_bytes(bob.person.path.read_bytes())
    settings(desk)
    (contacts / "bob.pem").unlink()
    settings(desk)
    assert "bob@example.org" not in (desk.certificates / ".index").read_text()
    assert len(list(desk.certificates.iterdir())) == 3  # two of Alice, and the index


def test_nobody_else_sees_to_whom_a_person_writes(desk: Desk) -> None:
    modes = {stat.S_IMODE(path.stat().st_mode) for path in desk.certificates.iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE(desk.certificates.stat().st_mode) == 0o700


def test_a_folder_that_neomutt_cannot_put_into_a_command_is_refused(bare: Desk) -> None:
    bare.env["XDG_DATA_HOME"] = str(bare.folder / "my data")
    done = bare.agent("setup", "neomutt")
    assert done.code == 2
    assert "does not quote" in done.err


def test_a_folder_for_settings_may_have_any_name(bare: Desk) -> None:
    odd = bare.folder / 'my "own" $settings `x`'
    assert bare.agent("setup", "neomutt", "--install", "-o", odd / "rc").code == 0
    assert settings(bare)["smime_is_default"] == "yes"
