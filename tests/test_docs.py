"""The documents say what is true: their code runs, their commands exist, their tables are those of the program."""

from __future__ import annotations

import getpass
import inspect
import json
import os
import re
import shlex
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

import smime_agent
from smime_agent import errors
from smime_agent.algorithms import KeyType, KeyUsage
from smime_agent.cli.app import command as program
from smime_agent.config import AgentConfig, Config, Confirmation, KeyPolicy, Scope, load_config
from smime_agent.tokens import module as modules
from smime_agent.tokens.objects import read_objects
from smime_agent.verdict import Code, Verdict
from tests.support.agent import RunningAgent
from tests.support.ca import Wanted
from tests.support.command import Command
from tests.support.mails import mail
from tests.support.program import run
from tests.support.softhsm import MODULE, PIN, SO_PIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from smime_agent.x509 import Certificate
    from tests.support.ca import Authority
    from tests.support.softhsm import SoftHsm, SoftToken

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "agent" / "smime_agent"
DOCUMENTS = {
    path.name: path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
}
MANUAL = (ROOT / "docs" / "smime-agent.1").read_text(encoding="utf-8")
INTERRUPTED = 130


def blocks(document: str, language: str) -> list[str]:
    """The fenced blocks of a document in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENTS[document], re.DOTALL | re.MULTILINE)


def rows(text: str) -> list[list[str]]:
    """The cells of all tables in a text, without headings; a bar in a cell is written with a backslash."""
    lines = re.findall(r"^\| ?(.*?) ?\|$", text, re.MULTILINE)
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)] for line in lines]
    marks = [number for number, row in enumerate(cells) if set("".join(row)) == {"-"}]
    return [row for number, row in enumerate(cells) if not {number, number + 1} & set(marks)]


def first_names(text: str) -> list[str]:
    """What stands in code in the first column of the tables."""
    return [name for row in rows(text) for name in re.findall(r"`([^`]+)`", row[0])]


def section(document: str, title: str) -> str:
    """A section, from its heading to the next of any level."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#+ |\Z)", _without_code(document), re.DOTALL | re.MULTILINE)
    assert found, f"{document} has no section '{title}'"
    return found[1]


def _without_code(document: str) -> str:
    return re.sub(r"^```.*?^```$", "", DOCUMENTS[document], flags=re.DOTALL | re.MULTILINE)


def commands() -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its name (``token list``)."""
    top = program()
    for name in top.list_commands(None):
        found = top.get_command(None, name)
        below = getattr(found, "commands", None)
        if below is None:
            yield name, found
        else:
            yield from ((f"{name} {inner}", one) for inner, one in below.items())


COMMANDS = dict(commands())


def options(name: str) -> set[str]:
    """The options of a command."""
    found = [option for one in COMMANDS[name].params for option in (*one.opts, *one.secondary_opts)]
    return {option for option in found if option.startswith("-")}


# The library: what its page shows, runs


@pytest.fixture(scope="module")
def office(softhsm: SoftHsm, issuing_ca: Authority) -> SoftToken:
    """The token of the examples."""
    token = softhsm.new_token("office")
    token.enrol(issuing_ca, KeyType.EC_P256, Wanted())
    return token


@pytest.fixture(scope="module")
def bob(softhsm: SoftHsm, issuing_ca: Authority) -> Certificate:
    """The certificate of a key to decrypt with on another token."""
    token = softhsm.new_token("post room")
    wanted = Wanted(("bob@example.org",), "Bob Example", digital_signature=False, key_agreement=True)
    token.enrol(issuing_ca, KeyType.EC_P256, wanted, KeyUsage.DECRYPT)
    with token.session() as session:
        return read_objects(session).certificates[0].certificate


@pytest.fixture
def desk(
    office: SoftToken, bob: Certificate, issuing_ca: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder with what the examples read, to stand in; SoftHSM is the only module."""
    del office
    (tmp_path / "bob.pem").write_bytes(bob.pem)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(modules, "default_paths", lambda: [MODULE])
    monkeypatch.setattr(getpass, "getpass", lambda _: PIN)
    for folder in ("outbox", "signed"):
        (tmp_path / folder).mkdir()
    for name in ("outbox/1.eml", "outbox/2.eml", "1.eml"):
        (tmp_path / name).write_bytes(mail())
    (tmp_path / "large.eml").write_bytes(mail(body="A line of a long mail.\n" * 100_000))
    (tmp_path / "from-somebody-else.eml").write_bytes(mail("carol@example.org"))
    (tmp_path / "not-a-mail.eml").write_bytes(b"\x00\x01\x02")
    (tmp_path / "report.pdf").write_bytes(b"%PDF-1.7\n")
    (tmp_path / "our-ca.pem").write_bytes(issuing_ca.pem)
    return tmp_path


def run_blocks(document: str) -> None:
    names: dict[str, Any] = {}
    for number, block in enumerate(blocks(document, "python")):
        os.environ["MAIL_PIN"] = PIN  # reading it takes it out of the environment
        code = compile(block, f"{document}, block {number + 1}", "exec")
        exec(code, names)  # noqa: S102 - our own document


@pytest.mark.parametrize("document", ["library.md", "README.md"])
def test_the_python_of_a_document_runs(document: str, desk: Path) -> None:
    assert blocks(document, "python")
    run_blocks(document)
    assert {"1.eml", "2.eml"} <= {path.name for path in (desk / "signed").iterdir()}


def test_the_library_page_names_every_public_name() -> None:
    assert [name for name in smime_agent.__all__ if name not in DOCUMENTS["library.md"]] == []


def test_the_arguments_of_open_token_are_documented() -> None:
    documented = first_names(section("library.md", "Opening a token"))
    assert documented == list(inspect.signature(smime_agent.open_token).parameters)


def test_the_fields_of_the_options_are_documented() -> None:
    documented = first_names(section("library.md", "Signing"))
    assert documented[-6:] == [field.name for field in fields(smime_agent.SignOptions)]


def test_the_fields_of_the_options_to_verify_are_documented() -> None:
    documented = first_names(section("library.md", "Verifying"))
    assert documented[-7:] == [field.name for field in fields(smime_agent.VerifyOptions)]


def test_the_fields_of_the_options_to_encrypt_are_documented() -> None:
    documented = first_names(section("library.md", "Encrypting"))
    addressing = [field.name for field in fields(smime_agent.Addressing)]
    assert documented == [*addressing, *(field.name for field in fields(smime_agent.EncryptOptions))]


def test_the_arguments_of_open_keys_are_documented() -> None:
    shown = re.search(r"^open_keys\((.*)\)$", DOCUMENTS["library.md"], re.MULTILINE)
    assert shown
    names = re.findall(r"(\w+)=", shown[1])
    assert names == list(inspect.signature(smime_agent.open_keys).parameters)


def test_the_errors_of_the_library_have_their_exit_codes() -> None:
    documented = {row[0].strip("`"): int(row[1]) for row in rows(section("library.md", "When something goes wrong"))}
    public = {name: getattr(smime_agent, name) for name in smime_agent.__all__ if name.endswith("Error")}
    assert documented == {name: error.exit_code for name, error in public.items() if name != "SmimeAgentError"}


# The command line: what is shown, exists


def shown_commands() -> list[tuple[str, list[str]]]:
    """Every run of the program in a shell block, with the document it is in."""
    return [
        (document, words[1:])
        for document in DOCUMENTS
        for block in blocks(document, "sh")
        for line in block.replace("\\\n", " ").splitlines()
        for words in _simple_commands(line)
        if words[0] == "smime-agent"
    ]


def _simple_commands(line: str) -> Iterator[list[str]]:
    """The commands of a line without redirections; none of them is empty."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|<>;&")
    lexer.whitespace_split = True
    words: list[str] = []
    skip = False
    for word in [*lexer, ";"]:
        if word in {"|", ";", "&&"}:
            if words:
                yield words
            words = []
        elif not skip and word not in {"<", ">"}:
            words.append(word)
        skip = word in {"<", ">"}


@pytest.mark.parametrize(("document", "words"), shown_commands(), ids=lambda value: str(value)[:60])
def test_a_command_in_a_document_can_be_given(document: str, words: list[str]) -> None:
    del document
    if words[0].startswith("--"):
        assert words[0] in {option for parameter in program().params for option in parameter.opts}
        return
    length = 1 if words[0] in COMMANDS else 2
    name = " ".join(words[:length])
    COMMANDS[name].make_context(name, words[length:])  # raises a usage error


@pytest.mark.parametrize("name", COMMANDS)
def test_the_manual_page_has_every_option_of_a_command(name: str) -> None:
    part = re.search(rf"^\.SS {name}\n(.*?)(?=^\.S[SH] )", MANUAL, re.DOTALL | re.MULTILINE)
    assert part, f"there is no section for {name}"
    written = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", part[1].replace("\\-", "-")))
    assert options(name) - written == set()
    assert {option for option in written if option.startswith("--")} - options(name) == set()


def test_the_manual_page_has_the_options_of_the_program() -> None:
    top = {option for parameter in program().params for option in parameter.opts}
    assert [option for option in {*top, "-h", "--help"} if option.replace("-", "\\-") not in MANUAL] == []


def test_the_manual_page_is_of_this_version() -> None:
    assert f'"smime\\-agent {smime_agent.__version__}"' in MANUAL.splitlines()[0]


def test_the_hyphens_of_the_manual_page_are_those_that_can_be_typed() -> None:
    text = [line for line in MANUAL.splitlines() if not line.startswith('.\\"')]
    assert [line for line in text if re.search(r"(?<!\\)--|(?<![\w\\])-[a-z]", line)] == []


def exit_codes() -> set[int]:
    kinds = [
        kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, errors.SmimeAgentError)
    ]
    verdicts = {verdict.exit_code for verdict in Verdict}
    return {0, INTERRUPTED, *verdicts, *(kind.exit_code for kind in kinds)}


@pytest.mark.parametrize(("document", "title"), [("README.md", "Exit codes"), ("configuration.md", "Exit codes")])
def test_the_exit_codes_of_a_document_are_those_of_the_program(document: str, title: str) -> None:
    assert {int(row[0]) for row in rows(section(document, title))} == exit_codes()


def test_the_exit_codes_of_the_manual_page_are_those_of_the_program() -> None:
    assert {int(code) for code in re.findall(r"^\.B (\d+)$", MANUAL, re.MULTILINE)} == exit_codes()


# The configuration


def test_the_settings_of_the_configuration_are_documented() -> None:
    assert set(first_names(section("configuration.md", "The file"))) == {field.name for field in fields(Config)}


def test_the_settings_of_the_agent_are_documented() -> None:
    assert first_names(section("configuration.md", "The agent")) == [field.name for field in fields(AgentConfig)]
    policies = section("configuration.md", "Policies")
    assert [row[0].strip("`") for row in rows(policies)] == [field.name for field in fields(KeyPolicy)]


@pytest.mark.parametrize(("title", "default"), [("The agent", AgentConfig()), ("Policies", KeyPolicy())])
def test_the_defaults_of_the_agent_are_documented(title: str, default: object) -> None:
    for name, _, value, _ in rows(section("configuration.md", title)):
        found = getattr(default, name.strip("`"))
        if isinstance(found, int):
            assert value == str(found).lower()
        elif isinstance(found, Enum):
            assert value == f'`"{found.value}"`'


def test_the_examples_of_a_configuration_can_be_read(tmp_path: Path) -> None:
    example = tmp_path / "config.toml"
    example.write_text("".join(blocks("configuration.md", "toml")))
    config = load_config(example)
    assert config.token == "my token"
    assert config.agent.policy.idle == 900
    (key,) = config.agent.keys
    assert (key.scope, key.confirm) == (Scope.OPERATION, Confirmation.EVERY)


def test_the_variables_of_the_environment_are_documented() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    documented = first_names(section("configuration.md", "The environment"))
    assert set(re.findall(r'"(SMIME_AGENT_[A-Z_]+)"', source)) == {
        n for n in documented if n.startswith("SMIME_AGENT_")
    }


# The standards


def test_every_standard_that_the_source_cites_is_in_the_list() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    listed = {number for row in rows(DOCUMENTS["rfcs.md"]) for number in re.findall(r"\d{4}", row[0])}
    assert set(re.findall(r"RFC (\d{4})", source)) - listed == set()


def test_the_modules_of_the_list_of_standards_exist() -> None:
    named = {name for row in rows(DOCUMENTS["rfcs.md"]) for name in re.findall(r"`([^`]+\.py)`", row[-1])}
    assert named
    assert [name for name in named if not (PACKAGE / name).is_file()] == []


def test_a_file_that_a_document_names_exists() -> None:
    named = {name for text in DOCUMENTS.values() for name in re.findall(r"`((?:docs/)[\w.-]+|[A-Z]+\.md)`", text)}
    assert [name for name in named if not (ROOT / name).is_file()] == []


# JSON

SIMPLE = {"string": str, "integer": int, "number": float, "boolean": bool, "null": type(None)}
Shape = dict[str, Any]


def shapes() -> dict[str, Shape]:
    """What ``docs/json.md`` says: for each of its tables, the fields and their types."""
    titles = re.findall(r"^## (.+)$", DOCUMENTS["json.md"], re.MULTILINE)
    return {title: _shape(rows(section("json.md", title))) for title in titles}


def _shape(table: list[list[str]]) -> Shape:
    shape: Shape = {}
    for name, kind, _ in table:
        *above, last = name.strip("`").split(".")
        inner = shape
        for part in above:
            inner = inner.setdefault(part, {})
        inner[last] = kind
    return shape


SHAPES = shapes()


def problems(value: object, kind: str | Shape, where: str) -> list[str]:
    """Where a value is not what the document says."""
    if isinstance(kind, dict):
        return _problems_of_object(value, kind, where)
    if " or " in kind:
        tried = [problems(value, one, where) for one in kind.split(" or ")]
        return [] if [] in tried else tried[0]
    if kind.endswith("[]"):
        ones = value if isinstance(value, list) else None
        return [f"{where} is no array"] if ones is None else _problems_of_items(ones, kind[:-2], where)
    if kind in SIMPLE or kind == "map":
        return [] if _is_simple(value, kind) else [f"{where} is no {kind}"]
    return problems(value, SHAPES[kind], where)


def _is_simple(value: object, kind: str) -> bool:
    if kind == "map":
        return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())
    return type(value) is SIMPLE[kind]


def _problems_of_items(values: list[object], kind: str, where: str) -> list[str]:
    return [text for one in values for text in problems(one, kind, f"{where}[]")]


def _problems_of_object(value: object, shape: Mapping[str, Any], where: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{where} is no object"]
    shape = dict(shape)
    if included := shape.pop("*", None):
        shape |= SHAPES[included]
    needed = {name for name, kind in shape.items() if not str(kind).endswith(", optional")}
    found = [f"{where}.{name} is not documented" for name in value.keys() - shape.keys()]
    found += [f"{where}.{name} is not there" for name in needed - value.keys()]
    for name in value.keys() & shape.keys():
        kind = shape[name]
        plain = kind.removesuffix(", optional") if isinstance(kind, str) else kind
        found += problems(value[name], plain, f"{where}.{name}")
    return found


def assert_documented(output: bytes | str, schema: str) -> None:
    value = json.loads(output)
    assert value["schema"] == f"smime-agent.{schema}"
    assert problems(value, SHAPES[schema], schema) == []


def examples() -> list[tuple[str, str]]:
    return [(json.loads(text)["schema"].partition(".")[2], text) for text in blocks("json.md", "json")]


SCHEMAS = [title for title in SHAPES if "/" in title]


@pytest.fixture
def command(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Command:
    """``smime-agent``, called in this process."""
    return Command(capfdbinary, monkeypatch)


def test_every_schema_of_the_source_is_documented() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (PACKAGE / "cli").glob("*.py"))
    assert set(re.findall(r'"([a-z-]+/\d+)"', source)) == set(SCHEMAS)


@pytest.mark.parametrize("verdict", Verdict)
def test_every_reason_code_is_documented_under_its_verdict(verdict: Verdict) -> None:
    title = "notes" if verdict is Verdict.TRUSTED else verdict.value
    assert first_names(section("json.md", title)) == [code.value for code in Code if code.verdict is verdict]


def test_what_verify_prints_is_documented(
    command: Command, office: SoftToken, issuing_ca: Authority, tmp_path: Path
) -> None:
    (tmp_path / "root.pem").write_bytes(issuing_ca.pem)
    signed = command("sign", "--token", office.label, "--pin-source", "env:PIN", stdin=mail()).out
    for message in (signed, mail(), b"no mail"):
        result = command("verify", "--ca-file", tmp_path / "root.pem", "--revocation", "off", "--json", stdin=message)
        assert_documented(result.out, "verify/1")


def test_every_schema_has_an_example() -> None:
    assert sorted(schema for schema, _ in examples()) == sorted(SCHEMAS)


@pytest.mark.parametrize(("schema", "text"), examples(), ids=lambda value: value[:20])
def test_an_example_has_the_fields_that_are_documented(schema: str, text: str) -> None:
    assert_documented(text, schema)


@pytest.mark.parametrize(
    ("schema", "arguments"),
    [
        ("token-list/1", ["token", "list"]),
        ("token-info/1", ["token", "info"]),
        ("key-list/1", ["key", "list"]),
        ("key-history/1", ["key", "list", "--history"]),
        ("cert-list/1", ["cert", "list"]),
        ("cert-show/1", ["cert", "show"]),
    ],
)
def test_what_is_printed_is_documented(schema: str, arguments: list[str], command: Command, office: SoftToken) -> None:
    result = command(*arguments, "--token", office.label, "--json")
    assert result.code == 0, result.err
    assert_documented(result.out, schema)


def test_what_doctor_prints_is_documented(office: SoftToken) -> None:
    result = run("doctor", "--token", office.label, "--json")  # it forks: not in this process, which has threads
    assert result.code == 0, result.err
    assert_documented(result.out, "doctor/1")


def test_what_the_agent_says_of_itself_is_documented(office: SoftToken, tmp_path: Path) -> None:
    with RunningAgent(tmp_path) as agent:
        for _ in range(2):  # nobody is logged in, and somebody is
            assert_documented(agent.run("agent", "status", "--json").out, "agent-status/1")
            signed = agent.run("sign", "--agent", "--token", office.label, stdin=mail())
            assert signed.code == 0, signed.err
        for line in agent.run("audit", "show", "--json").out.splitlines():
            assert_documented(line, "audit/1")
        assert_documented(agent.run("audit", "verify", "--json").out, "audit-verify/1")


def test_what_a_module_that_does_not_load_looks_like_is_documented(tmp_path: Path) -> None:
    (tmp_path / "broken.so").write_bytes(b"no shared object")
    result = run("doctor", "--module", tmp_path / "broken.so", "--json")
    assert b'"error"' in result.out
    assert_documented(result.out, "doctor/1")


def test_what_enrolling_prints_is_documented(
    command: Command, softhsm: SoftHsm, issuing_ca: Authority, tmp_path: Path
) -> None:
    """The steps of the README, from a blank token to a signed mail."""
    del softhsm
    (tmp_path / "so").write_text(SO_PIN)
    (tmp_path / "new").write_text(PIN)
    pins = ("--so-pin-source", f"file:{tmp_path}/so", "--new-pin-source", f"file:{tmp_path}/new")
    assert command("token", "init", "--label", "enrolled", *pins).code == 0
    login = ("--token", "enrolled", "--pin-source", "env:PIN")
    made = command("key", "generate", "--type", "ec:p256", "--label", "mail", *login, "--json")
    assert_documented(made.out, "key-generate/1")
    request = command("cert", "request", "--key", "mail", "--address", "alice@example.org", *login)
    answer = issuing_ca.issue_for_request(request.out).public_bytes(Encoding.PEM) + issuing_ca.pem
    (tmp_path / "alice.pem").write_bytes(answer)
    imported = command("cert", "import", tmp_path / "alice.pem", *login, "--json")
    assert_documented(imported.out, "cert-import/1")
    assert b"multipart/signed" in command("sign", *login, stdin=mail()).out
