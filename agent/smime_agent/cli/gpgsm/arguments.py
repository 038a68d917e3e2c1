"""The arguments of gpgsm, as far as programs that sign and verify give them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from smime_agent.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: What is to be done, by the options that say so.
_COMMANDS: Final = {
    "--sign": "sign",
    "--detach-sign": "sign",
    "--verify": "verify",
    "--list-secret-keys": "list",
    "--list-keys": "list",
    "--version": "version",
    "--help": "help",
}
_SHORT: Final = {
    "-s": "--sign",
    "-b": "--detach-sign",
    "-K": "--list-secret-keys",
    "-k": "--list-keys",
    "-h": "--help",
    "-a": "--armor",
    "-u": "--local-user",
    "-o": "--output",
    "-q": "--quiet",
    "-v": "--verbose",
    "-n": "--dry-run",
}
_VALUES: Final = frozenset({"--status-fd", "--logger-fd", "--local-user", "--output"})
_FLAGS: Final = frozenset({"--armor", "--with-colons", "--disable-crl-checks", "--enable-crl-checks"})
#: What makes no difference here: nothing is asked on standard input, there is no key ring and no home of GnuPG.
_IGNORED_FLAGS: Final = frozenset(
    {
        *(
            "--batch",
            "--no-batch",
            "--no-tty",
            "--yes",
            "--no",
            "--quiet",
            "--verbose",
            "--no-verbose",
            "--no-greeting",
        ),
        *("--no-options", "--no-secmem-warning", "--utf8-strings", "--fixed-list-mode", "--with-fingerprint"),
        *("--fingerprint", "--with-keygrip", "--with-secret", "--with-key-data", "--no-auto-key-locate"),
        *("--disable-dirmngr", "--exit-on-status-write-error", "--no-sig-cache", "--expert"),
    }
)
_IGNORED_VALUES: Final = frozenset(
    {
        *("--keyid-format", "--homedir", "--options", "--display-charset", "--charset", "--ttyname", "--ttytype"),
        *("--display", "--lc-ctype", "--lc-messages", "--xauthority", "--trust-model", "--agent-program"),
        *("--log-file", "--debug-level", "--include-certs"),
    }
)
_WITH_VALUE: Final = _VALUES | _IGNORED_VALUES
_KNOWN: Final = _COMMANDS.keys() | _FLAGS | _IGNORED_FLAGS | _WITH_VALUE
_MOST_DIGITS: Final = 6


class Request(NamedTuple):
    """What is asked for. It is no dataclass, which would take longer to load than all else here.

    ``command`` is sign, verify, list, version or help. ``key`` is none where nobody said which one is to sign.
    ``status`` and ``logger`` are descriptors. ``revocation`` is what was said of it, on or off.
    """

    command: str
    files: tuple[str, ...] = ()
    detached: bool = False
    armor: bool = False
    colons: bool = False
    key: str | None = None
    output: str | None = None
    status: int | None = None
    logger: int | None = None
    revocation: bool | None = None


def parse(arguments: Sequence[str]) -> Request:
    """What the arguments ask for.

    Raises:
        UsageError: an option that is not known, lacks its value, or contradicts another one.
    """
    commands: list[str] = []
    flags: set[str] = set()
    values: dict[str, str] = {}
    files: list[str] = []
    for name, value in _options(arguments, files):
        if name in _COMMANDS:
            commands.append(name)
        elif name in _VALUES:
            values[name] = value
        else:
            flags.add(name)
    return Request(
        _command(commands),
        tuple(files),
        detached="--detach-sign" in commands,
        armor="--armor" in flags,
        colons="--with-colons" in flags,
        key=values.get("--local-user") or None,
        output=values.get("--output"),
        status=_descriptor(values, "--status-fd"),
        logger=_descriptor(values, "--logger-fd"),
        revocation=False if "--disable-crl-checks" in flags else "--enable-crl-checks" in flags or None,
    )


def status_descriptor(arguments: Sequence[str]) -> int | None:
    """Where the status is wanted, of arguments that may be wrong otherwise: to tell that they are."""
    try:
        for name, value in _options(arguments, []):
            if name == "--status-fd":
                return _descriptor({name: value}, name)
    except UsageError:
        pass
    return None


def _command(commands: Sequence[str]) -> str:
    asked = {_COMMANDS[name] for name in commands}
    for alone in ("help", "version"):
        if alone in asked:
            return alone
    if not asked:
        msg = "nothing was asked for"
        raise UsageError(msg, hint="it signs (-bsau KEY), verifies (--verify) and lists keys (-K), as git asks it to")
    if len(asked) > 1:
        msg = f"{' and '.join(sorted(commands))} exclude each other"
        raise UsageError(msg)
    return asked.pop()


def _options(arguments: Sequence[str], files: list[str]) -> Iterator[tuple[str, str]]:
    """Each option by its long name, with its value if it takes one; what is no option is added to ``files``."""
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            files.extend(rest)
        elif argument.startswith("--"):
            written, given, value = argument.partition("=")
            name = _long(written)
            if name not in _WITH_VALUE and given:
                msg = f"{name} takes no value"
                raise UsageError(msg)
            yield name, value if given or name not in _WITH_VALUE else _next(rest, name)
        elif argument.startswith("-") and argument != "-":
            yield from _bundle(argument, rest)
        else:
            files.append(argument)


def _bundle(argument: str, rest: Iterator[str]) -> Iterator[tuple[str, str]]:
    """Letters in one argument; what follows a letter that takes a value is that value, else the next argument is."""
    letters = argument[1:]
    for place, letter in enumerate(letters):
        name = _SHORT.get(f"-{letter}")
        if name is None:
            msg = f"there is no option -{letter}"
            raise UsageError(msg)
        if name in _WITH_VALUE:
            yield name, letters[place + 1 :] or _next(rest, name)
            return
        yield name, ""


def _long(written: str) -> str:
    """The option of that name, or the only one that begins so, as GnuPG has it."""
    if written in _KNOWN:
        return written
    found = [name for name in _KNOWN if name.startswith(written)]
    if len(found) == 1:
        return found[0]
    msg = f"{written} may be {', '.join(sorted(found))}" if found else f"there is no option {written}"
    raise UsageError(msg, hint=None if found else "it signs, verifies and lists keys; smime-agent does the rest")


def _next(rest: Iterator[str], name: str) -> str:
    value = next(rest, None)
    if value is None:
        msg = f"{name} lacks its value"
        raise UsageError(msg)
    return value


def _descriptor(values: dict[str, str], name: str) -> int | None:
    text = values.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS):
        msg = f"{name} takes the number of a descriptor, not '{text}'"
        raise UsageError(msg)
    return int(text)
