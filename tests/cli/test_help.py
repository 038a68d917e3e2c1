"""Help, version and completion: what a person sees before anything is done."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import smime_agent
from smime_agent.cli.app import COMMANDS as LISTED
from tests.support.program import run

if TYPE_CHECKING:
    from tests.support.command import Command

COMMANDS = [
    [], ["sign"], ["verify"], ["encrypt"], ["decrypt"], ["inspect"],
    ["token"], ["token", "list"], ["token", "info"], ["token", "init"], ["token", "pin"], ["key"],
    ["key", "list"], ["key", "generate"], ["cert"], ["cert", "list"], ["cert", "show"], ["cert", "request"],
    ["cert", "import"], ["cert", "export"], ["audit"], ["audit", "show"], ["audit", "verify"], ["doctor"], ["demo"],
]  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_has_help(command: Command, words: list[str], option: str) -> None:
    result = command(*words, option)
    assert (result.code, result.err) == (0, "")
    assert result.out.decode().lstrip().startswith(" ".join(["Usage: smime-agent", *words]))


def test_the_list_of_commands_is_complete(command: Command) -> None:
    shown = command("--help").out.decode()
    assert {words[0] for words in COMMANDS if words} <= set(shown.split())


@pytest.mark.parametrize("words", [[], ["token"], ["key"], ["cert"], ["audit"]], ids=" ".join)
def test_a_group_alone_shows_its_help(command: Command, words: list[str]) -> None:
    result = command(*words)
    assert (result.code, result.out) == (2, b"")
    assert result.err.startswith(" ".join(["Usage: smime-agent", *words]))


def test_the_version() -> None:
    result = run("--version")
    assert (result.code, result.out.decode(), result.err) == (0, f"smime-agent {smime_agent.__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sing"], "no such command"),
        (["sign", "--colour"], "no such option"),
        (["sign", "--digest", "md5"], "'md5'"),
        (["sign", "--padding", "none"], "'none'"),
        (["sign", "--format", "xml"], "'xml'"),
        (["sign", "--workers", "0"], "workers"),
        (["sign", "--workers", "x"], "workers"),
        (["sign", "--output-dir"], "--output-dir"),
        (["sign", "-o", "a", "--output-dir", "b"], "exclude each other"),
        (["sign", "a", "b"], "2 messages need --output-dir"),
        (["encrypt", "--cipher", "des3"], "'des3'"),
        (["encrypt", "--padding", "pss"], "'pss'"),
        (["encrypt", "-o", "a", "--output-dir", "b"], "exclude each other"),
        (["encrypt", "a", "b"], "2 messages need --output-dir"),
        (["encrypt", "--to", "bob", "nowhere.eml"], "nowhere.eml"),
        (["encrypt", "--cert", "nowhere.pem"], "cannot read the certificate nowhere.pem"),
        (["key", "generate", "--type", "dsa"], "'dsa'"),
        (["key", "generate", "--type", "ed25519", "--usage", "both"], "can only be used with --usage sign"),
        (["key", "generate", "--id", "xyz"], "'xyz' is not a hexadecimal id"),
        (["key", "generate", "--id", ""], "'' is not a hexadecimal id"),
        (["key", "generate", "--id", "1"], "'1' is not a hexadecimal id"),
        (["cert", "request", "--key", "01"], "--address"),
        (["cert", "request", "--address", "a@b.example"], "--key"),
        (["cert", "import"], "FILE"),
        (["cert", "export", "--chain", "--der"], "--chain needs PEM"),
        (["token", "init"], "--label"),
        (["token", "frobnicate"], "no such command"),
        (["--show-completion", "tcsh"], "'tcsh'"),
        (["--show-completion"], "--show-completion"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_asked_wrongly_is_exit_2(command: Command, alice: object, arguments: list[str], words: str) -> None:
    assert alice
    extra = ["--token", "alice", "--pin-source", "env:PIN"] if arguments[:2] == ["key", "generate"] else []
    result = command(*arguments, *extra)
    assert (result.code, result.out) == (2, b"")
    lines = result.err.splitlines()
    assert lines[0].startswith("smime-agent: error: ")
    assert words.lower() in lines[0].lower()
    assert len(lines) <= 2
    assert all(line.startswith("hint: ") for line in lines[1:])


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell", "pwsh"])
def test_there_is_completion_for_each_shell(command: Command, shell: str) -> None:
    result = command("--show-completion", shell)
    assert (result.code, result.err) == (0, "")
    assert b"_SMIME_AGENT_COMPLETE" in result.out
    assert b"smime-agent" in result.out


def test_bash_accepts_its_completion_script(command: Command) -> None:
    script = command("--show-completion", "bash").out
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("smime-agent si", {"sign"}),
        ("smime-agent ", set(LISTED)),
        ("smime-agent verify --revocation ", {"off", "prefer", "require"}),
        ("smime-agent token ", {"list", "info", "init", "pin"}),
        ("smime-agent cert e", {"export"}),
        ("smime-agent sign --op", {"--opaque"}),
        ("smime-agent encrypt --cipher chacha", {"chacha20-poly1305"}),
        ("smime-agent encrypt --ex", {"--explain"}),
        ("smime-agent sign --format ", {"smime", "der", "pem"}),
        ("smime-agent key generate --type ec", {"ec:p256", "ec:p384", "ec:p521"}),
    ],
)
def test_words_are_completed(words: str, expected: set[str]) -> None:
    env = {
        "_SMIME_AGENT_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    result = run(env=env)
    assert result.err == ""
    assert set(result.out.decode().split()) == expected


def test_bash_completes_through_its_script(command: Command) -> None:
    script = command("--show-completion", "bash").out.decode()
    # As readline would: the words, the position, and the function that was registered.
    ask = script + (
        "\nCOMP_WORDS=(smime-agent to); COMP_CWORD=1; "
        "$(complete -p smime-agent | sed 's/.*-F \\([^ ]*\\).*/\\1/') smime-agent; echo \"${COMPREPLY[@]}\"\n"
    )
    # It asks the program by its name, which is beside the interpreter and perhaps not on the PATH.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(["bash", "-c", ask], capture_output=True, check=False, env={**os.environ, "PATH": path})
    assert (done.stdout, done.stderr) == (b"token\n", b"")
