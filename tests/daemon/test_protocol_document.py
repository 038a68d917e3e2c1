"""``docs/protocol.md`` says what the agent does: a client that was written from it alone gets a signature."""

from __future__ import annotations

import base64
import hashlib
import inspect
import json
import re
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_der_x509_certificate

from smime_agent import errors
from smime_agent.cms.ciphers import DecryptionError
from smime_agent.daemon import connection, holder, lanes, protocol, requester, requests, server, signable
from smime_agent.errors import SmimeAgentError
from smime_agent.verdict import Code
from tests.support.agent import RunningAgent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.softhsm import SoftToken

    Message = dict[str, Any]

TEXT = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")


# A client from the document: nothing of ours in it


class Stranger:
    """A connection to an agent, as anybody may write it."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(30)
        self.socket.connect(str(path))
        self.lines = self.socket.makefile("rb")
        self.number = 0
        self.events: list[Message] = []

    def __enter__(self) -> Self:
        self.ask("hello", version=1)
        return self

    def __exit__(self, *_: object) -> None:
        self.lines.close()
        self.socket.close()

    def send(self, method: str, params: Message) -> int:
        self.number += 1
        request = {"id": self.number, "method": method, "params": params}
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        return self.number

    def answer(self) -> Message:
        while True:
            message: Message = json.loads(self.lines.readline())
            if "event" not in message:
                return message
            self.events.append(message)

    def ask(self, method: str, **params: Any) -> Message:  # noqa: ANN401 - any JSON
        number = self.send(method, params)
        answer = self.answer()
        assert answer["id"] == number
        result: Message = answer["result"]
        return result

    def code(self, method: str, params: Message) -> str | None:
        """The code of the error, or nothing."""
        self.send(method, params)
        code: str | None = self.answer().get("error", {}).get("code")
        return code


def tlv(tag: int, *parts: bytes) -> bytes:
    """An element in DER, shorter than 128 octets."""
    content = b"".join(parts)
    return bytes([tag, len(content)]) + content


def signed_attributes(content: bytes) -> bytes:
    """The three that have to be there, for a content."""
    pkcs9 = "2a864886f70d0109"
    values = {
        "03": tlv(0x06, bytes.fromhex("2a864886f70d010701")),
        "04": tlv(0x04, hashlib.sha256(content).digest()),
        "05": tlv(0x17, datetime.now(UTC).strftime("%y%m%d%H%M%SZ").encode()),
    }
    attributes = [tlv(0x30, tlv(0x06, bytes.fromhex(pkcs9 + last)), tlv(0x31, value)) for last, value in values.items()]
    return tlv(0x31, *sorted(attributes))


def test_a_client_that_was_written_from_the_document_gets_a_signature(both: SoftToken, tmp_path: Path) -> None:
    with RunningAgent(tmp_path) as agent, Stranger(agent.socket) as stranger:
        found = stranger.ask("signer", token=both.label, addresses=["alice@example.org"])
        attributes = signed_attributes(b"Content-Type: text/plain\r\n\r\nHello\r\n")
        signed = stranger.ask(
            "sign", key=found["key"], scheme=found["scheme"], attributes=base64.b64encode(attributes).decode()
        )
    assert found["scheme"] == {"algorithm": "ECDSA", "digest": "sha256"}
    public_key = load_der_x509_certificate(base64.b64decode(found["certificate"])).public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    public_key.verify(base64.b64decode(signed["signature"]), attributes, ec.ECDSA(SHA256()))  # raises


# The document, taken apart


def section(title: str, level: int = 2) -> str:
    found = re.search(
        rf"^#{{{level}}} {re.escape(title)}\n(.*?)(?=^#{{1,{level}}} |\Z)", TEXT, re.DOTALL | re.MULTILINE
    )
    assert found, f"there is no section '{title}'"
    return found[1]


def table(text: str, heading: str) -> dict[str, list[str]]:
    """The rows of the table whose first column has this heading, by what stands there in code."""
    found = re.search(rf"^\| {heading} \|.*\n\|[-|]+\|\n((?:\|.*\n?)+)", text, re.MULTILINE)
    if found is None:
        return {}
    rows = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in found[1].splitlines()]
    return {name: row[1:] for row in rows for name in re.findall(r"`([^`]+)`", row[0])}


METHODS = re.findall(r"^### (\w+)$", section("Methods"), re.MULTILINE)
PARAMETERS = {name: table(section(name, 3), "parameter") for name in METHODS}
RESULTS = {name: table(section(name, 3), "result") for name in METHODS}
ERRORS = {code: int(row[0]) for code, row in table(section("Errors"), "code").items()}
ELSEWHERE = {"status"}  # its result is in docs/json.md


def examples() -> Iterator[tuple[str, Message]]:
    """Each line that is shown, with the mark of who sends it."""
    for block in re.findall(r"^```text\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            yield line[:2], json.loads(line[2:])


EXAMPLES = list(examples())
REQUESTS = {message["method"]: message["params"] for mark, message in EXAMPLES if mark == "> "}


def test_the_methods_of_the_document_are_those_of_the_agent() -> None:
    ends = inspect.getsource(server) + inspect.getsource(connection)
    assert set(METHODS) == {*requests.METHODS, *re.findall(r'method == "(\w+)"', ends)}


def test_the_bounds_of_the_document_are_those_of_the_agent() -> None:
    values = [int(row.rpartition("|")[2].split()[0].replace(",", "")) for row in _rows(section("Lines"))]
    assert values == [
        protocol.MAX_REQUEST,
        protocol.MAX_ANSWER >> 20,
        connection.PATIENCE,
        connection.MOST_AT_ONCE,
        lanes.MOST_WAITING,
        server.MOST_CLIENTS,
        (connection._UNREAD + protocol.MAX_ANSWER) >> 20,
    ]


def _rows(text: str) -> list[str]:
    return [line.strip("| ") for line in text.splitlines() if line.startswith("|")][2:]


def test_the_attributes_of_the_document_are_those_that_are_signed() -> None:
    found = set(re.findall(r"\((1\.[\d.]+)\)", section("What is signed")))
    assert found == {*signable._PERMITTED, "1.2.840.113549.1.7.1"}


@pytest.mark.parametrize(("mark", "message"), EXAMPLES, ids=lambda value: str(value)[:30])
def test_a_line_of_an_example_is_a_message(mark: str, message: Message) -> None:
    if mark == "> ":
        assert message.keys() == {"id", "method", "params"}
        assert message["params"].keys() <= PARAMETERS[message["method"]].keys()
    else:
        assert mark == "< "
        assert len(message.keys() & {"event", "result", "error"}) == 1


def test_the_results_of_the_examples_are_documented() -> None:
    asked: dict[int, str] = {}
    for mark, message in EXAMPLES:
        if mark == "> ":
            asked[message["id"]] = message["method"]
        elif "result" in message and asked[message["id"]] not in ELSEWHERE:
            assert message["result"].keys() == RESULTS[asked[message["id"]]].keys()
        elif "error" in message:
            assert message["error"]["code"] in ERRORS
            assert message["error"].keys() == table(section("Errors"), "member").keys()


def test_the_events_of_the_document_are_those_that_clients_are_told() -> None:
    source = inspect.getsource(holder) + inspect.getsource(requester)
    told = re.findall(r'requester\.tell\("(\w+)"', source)
    passed_on = re.findall(r'"(\w+)"', re.findall(r"case (.*):\n +self\.tell\(", source)[0])
    assert table(section("Events"), "event").keys() == {*told, *passed_on}


# The errors


def _below(kind: type[SmimeAgentError]) -> Iterator[type[SmimeAgentError]]:
    yield kind
    for one in kind.__subclasses__():
        yield from _below(one)


def _known() -> dict[str, int]:
    kinds: list[type[SmimeAgentError]] = [DecryptionError, *_below(SmimeAgentError)]
    return {code.value: code.verdict.exit_code for code in Code} | {kind.code: kind.exit_code for kind in kinds}


@pytest.mark.parametrize("code", ERRORS)
def test_an_error_of_the_document_is_one_of_the_program(code: str) -> None:
    assert _known()[code] == ERRORS[code]


def test_each_error_of_tokens_and_pins_is_in_the_document() -> None:
    kinds = [kind for root in (errors.TokenError, errors.PinError) for kind in _below(root)]
    ours = [kind.code for kind in kinds if kind.__module__ == errors.__name__]
    assert [code for code in ours if code not in ERRORS] == []


# The parameters, asked of an agent


@pytest.fixture(scope="module")
def stranger(both: SoftToken, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stranger]:
    """A client of an agent that counts uses."""
    del both
    config = '[agent.policy]\nscope = "batch"\n'
    with RunningAgent(tmp_path_factory.mktemp("agent"), config) as agent, Stranger(agent.socket) as client:
        yield client


def parameters() -> Iterator[tuple[str, str, str]]:
    for method in requests.METHODS:
        for name, (kind, *_) in PARAMETERS[method].items():
            yield method, name, kind


@pytest.mark.parametrize("method", [*requests.METHODS, "status"])
def test_the_parameters_of_an_example_are_understood(method: str, stranger: Stranger) -> None:
    assert stranger.code(method, REQUESTS[method]) != "protocol"


@pytest.mark.parametrize(("method", "name", "kind"), list(parameters()))
def test_a_parameter_has_to_be_there_as_the_document_says(
    method: str, name: str, kind: str, stranger: Stranger
) -> None:
    params = {**REQUESTS[method], name: None}
    assert (stranger.code(method, params) == "protocol") is not kind.endswith(", optional")


@pytest.mark.parametrize("method", [*requests.METHODS, "status", "lock", "stop"])
def test_a_parameter_that_is_not_in_the_document_is_refused(method: str, stranger: Stranger) -> None:
    params = {**REQUESTS[method], "nonsense": 1}
    if method == "sign":  # or that they are of another time is said first
        params["attributes"] = base64.b64encode(signed_attributes(b"")).decode()
    assert stranger.code(method, params) == "protocol"


def test_the_values_of_answers_are_documented(both: SoftToken, stranger: Stranger) -> None:
    found = stranger.ask("signer", token=both.label)
    assert found["key"].keys() == table(section("key", 3), "member").keys()
    assert found["key"]["token"].keys() == table(section("token", 3), "member").keys()
    assert found["scheme"].keys() == table(section("scheme", 3), "member").keys()
    (token,) = stranger.ask("tokens", token=both.label)["tokens"]
    description = section("description", 3)
    assert token.keys() == {"info", "objects", "removable"}
    named = {*re.findall(r"`(\w+)`", description), *found["key"]["token"]}
    assert token["info"].keys() - named == set()
    assert token["objects"]["keys"][0].keys() == table(description, "member of a key").keys()
    assert token["objects"]["certificates"][0].keys() == table(description, "member of a certificate").keys()


def test_a_batch_is_counted_as_the_document_says(both: SoftToken, stranger: Stranger) -> None:
    found = stranger.ask("signer", token=both.label)
    attributes = base64.b64encode(signed_attributes(b"")).decode()
    stranger.ask("sign", key=found["key"], scheme=found["scheme"], attributes=attributes)
    assert stranger.events[-1].keys() - {"id", "event"} == {"used", "of"}


def test_an_error_about_the_connection_closes_it(both: SoftToken, tmp_path: Path) -> None:
    del both
    with RunningAgent(tmp_path) as agent, Stranger(agent.socket) as client:
        client.socket.sendall(b"no JSON\n")
        answer = client.answer()
        assert answer["id"] is None
        assert answer["error"]["code"] == "protocol"
        assert client.lines.readline() == b""


def test_a_request_that_was_cancelled_gets_no_answer(both: SoftToken, tmp_path: Path) -> None:
    with RunningAgent(tmp_path, pins=["hang"]) as agent, Stranger(agent.socket) as client:
        found = client.ask("signer", token=both.label)
        attributes = base64.b64encode(signed_attributes(b"")).decode()
        number = client.send("sign", {"key": found["key"], "scheme": found["scheme"], "attributes": attributes})
        assert client.ask("cancel", request=number) == {"cancelled": True}
        assert client.ask("serves") == {}
