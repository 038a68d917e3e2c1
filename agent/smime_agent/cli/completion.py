"""What can stand at the cursor: the answers to the shells' questions, and the scripts that ask.

A script asks by running the program with ``_SMIME_AGENT_COMPLETE`` set to the shell's name, and the words as arguments.
The first line of the answer is its kind: ``words``, ``open`` for words that go on, ``files`` or ``folders``. The others
are values, each with a tab and what it means. No script evaluates a line: the label of a token may be anything.

No token is touched and no PIN asked for: labels and keys are those that were seen before.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from smime_agent.cli.completion_scripts import SCRIPTS
from smime_agent.cli.completion_words import Word, bash_word, split, unquoted
from smime_agent.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

SHELLS: Final = ("bash", "zsh", "fish", "powershell", "pwsh")
_VARIABLE: Final = "_SMIME_AGENT_COMPLETE"
_MOST: Final = 500
_FILES: Final = frozenset({"FILE", "PATH", "PEM", "MESSAGE", "CERTIFICATE"})
_SOURCES: Final = (
    ("prompt", "ask at the terminal"),
    ("env:", "from a variable"),
    ("file:", "from a file"),
    ("fd:", "from a descriptor"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What may follow: values with what they mean, each beginning with what is there; or names of files."""

    kind: str = "words"
    values: tuple[tuple[str, str], ...] = ()


def completer(tree: Any, shell: str) -> Any:  # noqa: ANN401 - Typer keeps its Click to itself
    """What stands in the place of a command tree while it is asked for words."""
    if shell in SCRIPTS or shell == "complete_zsh":  # Typer's script for zsh runs what is in an answer: it gets none
        return Completer(tree, shell)
    from typer._completion_classes import completion_init  # PowerShell, by Typer's own script

    completion_init()
    return tree


def script(shell: str) -> str:
    """The script for a shell.

    Raises:
        UsageError: there is none.
    """
    if shell in SCRIPTS:
        return SCRIPTS[shell]
    if shell not in SHELLS:
        msg = f"there is completion for {', '.join(SHELLS)}, not for '{shell}'"
        raise UsageError(msg)
    from typer._completion_shared import get_completion_script  # where --show-completion of Typer has it

    return get_completion_script(prog_name="smime-agent", complete_var=_VARIABLE, shell=shell) + "\n"


class Completer:
    """Stands where the command tree stands, and answers instead of doing anything."""

    def __init__(self, tree: Any, shell: str) -> None:  # noqa: ANN401 - Typer keeps its Click to itself
        """Answer for a command tree."""
        self._tree, self._shell = tree, shell

    def main(self, words: Sequence[str], **_: object) -> int:
        """Print the answer. Whatever goes wrong is nothing that a person at a prompt wants to read."""
        with suppress(Exception):
            print("\n".join(self._lines(words)))
            sys.stdout.flush()
        return 0

    def _lines(self, words: Sequence[str]) -> Iterator[str]:
        if self._shell not in SCRIPTS:
            return
        if self._shell == "bash":
            line, breaks = words
            *others, word = split(line)[1:] or [Word("", "", "")]
            found = answer(self._tree, [one.text for one in others], word.text)
            yield found.kind
            yield from filter(None, (bash_word(value, word, breaks) for value, _ in found.values))
            return
        *before, last = words or [""]
        found = answer(self._tree, before, unquoted(last) if self._shell == "fish" else last)
        yield found.kind
        yield from (f"{value}\t{meaning}" for value, meaning in found.values)


def answer(tree: Any, before: Iterable[str], begun: str) -> Answer:  # noqa: ANN401 - as above
    """What may follow ``begun`` after the words before it, which stand behind the name of the program."""
    place = _Place(tree)
    for word in before:
        place.step(word)
    kind, values = place.possible(begun)
    fitting = [(value, _plain(meaning)) for value, meaning in values if value.startswith(begun) and value.isprintable()]
    return Answer(kind, tuple(dict(reversed(fitting)).items())[::-1][:_MOST])


class _Place:
    """Where the words so far lead to: a command, and an option that waits for its value."""

    def __init__(self, tree: Any) -> None:  # noqa: ANN401 - as above
        self._command = tree
        self._waiting: Any = None
        self._given: dict[str, str] = {}  # the values of options, by the name of the parameter
        self._arguments = 0
        self._only_arguments = False

    def step(self, word: str) -> None:
        """Go on by a word."""
        if self._waiting is not None:
            self._given[self._waiting.name], self._waiting = word, None
        elif word == "--" and not self._only_arguments:
            self._only_arguments = True
        elif word.startswith("-") and word != "-" and not self._only_arguments:
            name, equals, value = word.partition("=")
            option = self._option(name)
            if option is not None and (option.is_flag or equals):
                self._given[option.name] = value
            else:
                self._waiting = option
        elif _is_group(self._command):
            self._command = self._command.get_command(None, word) or _Nothing
        else:
            self._arguments += 1

    def possible(self, begun: str) -> tuple[str, Iterable[tuple[str, str]]]:
        """The kind, and what may stand here; what does not begin so is among it."""
        if self._waiting is not None:
            return self._values(self._waiting, begun)
        if begun.startswith("-") and not self._only_arguments:
            name, equals, rest = begun.partition("=")
            option = self._option(name) if equals else None
            if option is None:
                return "words", self._options()
            kind, values = self._values(option, rest)  # names of files are the shell's business, and it knows none here
            return kind if kind in {"words", "open"} else "words", [
                (f"{name}={value}", about) for value, about in values
            ]
        if _is_group(self._command):
            names = self._command.list_commands(None)
            return "words", ((name, self._command.get_command(None, name).get_short_help_str(100)) for name in names)
        arguments = [one for one in self._command.params if one.param_type_name == "argument"]
        position = min(self._arguments, len(arguments) - 1)
        if position < 0 or (self._arguments > position and arguments[position].nargs != -1):
            return "words", ()
        return self._values(arguments[position], begun)

    def _option(self, name: str) -> Any:  # noqa: ANN401 - as above
        options = (one for one in self._command.params if one.param_type_name == "option")
        return next((one for one in options if name in (*one.opts, *one.secondary_opts)), None)

    def _options(self) -> Iterator[tuple[str, str]]:
        for option in self._command.params:
            known = option.param_type_name == "option" and not option.hidden
            if known and (option.multiple or option.name not in self._given):
                yield from ((name, option.help or "") for name in (*option.opts, *option.secondary_opts))
        yield from (("--help", "Show what it takes."), ("-h", "Show what it takes."))

    def _values(self, parameter: Any, begun: str) -> tuple[str, Iterable[tuple[str, str]]]:  # noqa: ANN401 - as above
        metavar = (parameter.metavar or "").strip("[].")
        if (known := _KNOWN.get(metavar)) is not None:
            return known(self._given)
        if metavar in _FILES:
            return "files", ()
        if metavar == "DIR":
            return "folders", ()
        import typer

        found = parameter.shell_complete(typer.Context(self._command), begun)
        return "words", [(item.value, item.help or "") for item in found if item.type == "plain"]


class _Nothing:
    """Where a word leads that is no command."""

    params = ()


def _is_group(command: Any) -> bool:  # noqa: ANN401 - as above
    return hasattr(command, "list_commands")


def _plain(text: str) -> str:
    """A meaning in one line."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def _tokens(_: dict[str, str]) -> tuple[str, Iterable[tuple[str, str]]]:
    from smime_agent.cli.completion_keys import tokens

    return "words", tokens()


def _keys(given: dict[str, str]) -> tuple[str, Iterable[tuple[str, str]]]:
    from smime_agent.cli.completion_keys import keys

    return "words", keys(given.get("token"))


#: What the placeholder of a value means, where the parameter does not say it itself.
_KNOWN: Final[dict[str, Callable[[dict[str, str]], tuple[str, Iterable[tuple[str, str]]]]]] = {
    "TOKEN": _tokens,
    "KEY": _keys,
    "CERT": _keys,
    "SOURCE": lambda _: ("open", _SOURCES),
    "SHELL": lambda _: ("words", [(shell, "") for shell in SHELLS]),
}
