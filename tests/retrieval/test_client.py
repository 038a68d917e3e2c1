"""Servers that misbehave: none of them costs more than its time, its octets and one sentence."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.retrieval.conftest import LIMITS, Net
from tests.support.revocation_servers import (
    Connection,
    Request,
    WebServer,
    crl,
    crl_pointer,
    drips,
    hangs,
    never_ends,
    redirects,
    responder_pointer,
    sends,
    unused_port,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.revocation_servers import Behaviour

SMALL = replace(LIMITS, crl_octets=1 << 20, each=5, together=5)


def problem(net: Net, behaviour: Behaviour) -> str:
    """What a person is told about a server that behaves like that."""
    url = net.server.serve("/crl", behaviour)
    evidence = net.gather(net.chain(crl_pointer(url)), SMALL)
    assert evidence.crls == ()
    return evidence.problems[0].removeprefix(f"Alice Example: 127.0.0.1:{net.server.port} ")


def raw(octets: bytes) -> Behaviour:
    """Answers with octets that need not be HTTP."""
    return lambda _, connection: connection.send(octets)


def endless_headers(_: Request, connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\n")
    while not connection.is_over.is_set():
        connection.send(b"X-Again: and again\r\n" * 1000)


@pytest.mark.parametrize("behaviour", [hangs, drips(b"x" * 100, 0.05)], ids=["hangs", "drips"])
def test_a_slow_server_is_given_its_time_and_no_more(net: Net, behaviour: Behaviour) -> None:
    url = net.server.serve("/crl", behaviour)
    start = time.monotonic()
    evidence = net.gather(net.chain(crl_pointer(url)), replace(LIMITS, each=0.3, together=5))
    assert time.monotonic() - start < 0.7
    assert "did not answer within 0.3 seconds" in evidence.problems[0]


def test_a_name_server_that_hangs_is_not_waited_for(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    is_over = threading.Event()

    def wait(*_: object, **__: object) -> None:
        is_over.wait()
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", wait)
    start = time.monotonic()
    net.gather(net.chain(crl_pointer("http://crl.example.org/")), replace(LIMITS, each=0.3, together=5))
    assert time.monotonic() - start < 1
    is_over.set()


def test_a_server_that_is_down_says_so(net: Net) -> None:
    port = unused_port()
    (text,) = net.gather(net.chain(crl_pointer(f"http://127.0.0.1:{port}/"))).problems
    assert text == f"Alice Example: 127.0.0.1:{port} cannot be reached: connection refused"


def test_a_name_that_is_none_says_so(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    (text,) = net.gather(net.chain(crl_pointer("http://crl.example.org/"))).problems
    assert text == "Alice Example: crl.example.org cannot be reached: name or service not known"


def test_a_name_is_looked_up(net: Net) -> None:
    made = crl(net.authority)
    net.server.serve("/crl", sends(made))
    chain = net.chain(crl_pointer(f"http://localhost:{net.server.port}/crl"))
    assert net.gather(chain, SMALL).crls == (made,)


def test_a_body_without_end_ends_at_the_bound(net: Net) -> None:
    assert problem(net, never_ends) == "sent more than 1048576 octets"


def test_a_response_of_a_responder_has_a_bound_of_its_own(net: Net) -> None:
    url = net.server.serve("/ocsp", sends(bytes(LIMITS.ocsp_octets + 1)))
    (text,) = net.gather(net.chain(responder_pointer(url)), SMALL).problems
    assert text.endswith("sent more than 65536 octets")


def test_headers_without_end_end(net: Net) -> None:
    assert problem(net, endless_headers).startswith("cannot be reached")


def test_a_redirect_is_followed(net: Net) -> None:
    made = crl(net.authority)
    net.server.serve("/moved", sends(made))
    url = net.server.serve("/crl", redirects("/moved", 301))
    assert net.gather(net.chain(crl_pointer(url))).crls == (made,)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_question_is_asked_only_where_the_certificate_says(net: Net, status: int) -> None:
    url = net.server.serve("/ocsp", redirects("/moved", status))
    assert net.gather(net.chain(responder_pointer(url))).ocsp_responses == ()
    assert [request.path for request in net.server.requests] == ["/ocsp"]


def test_redirects_in_a_circle_end(net: Net) -> None:
    assert problem(net, redirects("/crl")) == "redirects more than 3 times"
    assert net.server.asked("/crl") == 4


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ldap://127.0.0.1/", "ftp://127.0.0.1/", "data:,x"])
def test_a_redirect_away_from_http_is_not_followed(net: Net, url: str) -> None:
    scheme = url.partition(":")[0]
    assert problem(net, redirects(url)) == f"redirects to a URL of the scheme {scheme!r} that is not followed"


@pytest.mark.parametrize("url", ["", "http://", "http://u:p@127.0.0.1/", "http://[::1/", "//[", "http://127.0.0.1:0/"])
def test_a_redirect_to_nowhere_is_not_followed(net: Net, url: str) -> None:
    assert problem(net, redirects(url))


@pytest.mark.parametrize("status", [204, 303, 304, 401, 404, 407, 500, 503])
def test_any_status_but_200_is_no_answer(net: Net, status: int) -> None:
    url = net.server.serve("/ocsp", sends(b"", status))
    (text,) = net.gather(net.chain(responder_pointer(url)), SMALL).problems
    assert text.endswith(f"answered with HTTP status {status}")


@pytest.mark.parametrize("body", [b"", b"<html>Welcome!</html>", b"0", b"0\x80\0\0", b"\x30\x84\xff\xff\xff\xff"])
def test_what_is_no_crl_is_no_answer(net: Net, body: bytes) -> None:
    assert problem(net, sends(body, Content_Type="text/html")) == "sent something that is no CRL"


def test_a_crl_whose_rest_is_garbage_is_no_answer(net: Net) -> None:
    made = bytearray(crl(net.authority, [1, 2, 3]))
    made[made.index(b"\x02\x01\x02")] = 0x1F
    assert problem(net, sends(bytes(made))) == "sent a CRL that cannot be read"


@pytest.mark.parametrize("body", [b"", b"<html>Welcome!</html>", b"\x30\x03\x0a\x01\x00"])
def test_what_is_no_ocsp_response_is_no_answer(net: Net, body: bytes) -> None:
    url = net.server.serve("/ocsp", sends(body))
    (text,) = net.gather(net.chain(responder_pointer(url)), SMALL).problems
    assert text.endswith("sent something that is no OCSP response")


def test_a_bomb_is_not_unpacked(net: Net) -> None:
    bomb = gzip.compress(bytes(16 << 20))
    text = problem(net, sends(bomb, Content_Encoding="gzip"))
    assert text == "sent compressed data that was not asked for"


def test_a_body_that_stops_early_is_no_answer(net: Net) -> None:
    text = problem(net, raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0"))
    assert text == "cannot be reached: the connection was closed too early"


@pytest.mark.parametrize("octets", [b"", b"\0" * 100, b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", b"SSH-2\r\n"])
def test_what_is_no_http_is_no_answer(net: Net, octets: bytes) -> None:
    assert problem(net, raw(octets)).startswith("cannot be reached")


def test_a_server_of_tls_has_to_be_known(net: Net, tmp_path: Path) -> None:
    made = tmp_path / "server.pem"
    key = net.authority.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    made.write_bytes(key + net.authority.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made)
    with WebServer(context) as server:
        url = server.serve("/crl", sends(crl(net.authority))).replace("http:", "https:")
        (text,) = net.gather(net.chain(crl_pointer(url)), SMALL).problems
    assert text.endswith("cannot be reached: its TLS certificate or handshake is wrong")


def test_cookies_do_not_come_back(net: Net) -> None:
    net.server.serve("/crl", redirects("/moved"))
    net.server.behaviours["/crl"] = sends(b"", 302, Location="/moved", Set_Cookie="id=1")
    net.gather(net.chain(crl_pointer(net.server.url("/crl"))))
    assert "cookie" not in net.server.requests[1].headers


def test_a_netrc_stays_at_home(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = net.folder.parent / "netrc"
    netrc.write_text("default login alice password secret\n", encoding="ascii")
    monkeypatch.setenv("NETRC", str(netrc))
    net.gather(net.chain(crl_pointer(net.server.url("/crl"))))
    assert "authorization" not in net.server.requests[0].headers


def test_a_proxy_of_the_environment_is_used(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    made = crl(net.authority)
    with WebServer() as proxy:
        proxy.serve("http://crl.example.org/crl", sends(made))
        monkeypatch.setenv("http_proxy", f"http://alice:secret@127.0.0.1:{proxy.port}")
        assert net.gather(net.chain(crl_pointer("http://crl.example.org/crl"))).crls == (made,)


def test_the_credentials_of_a_proxy_go_to_nobody_else(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://alice:secret@127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    net.gather(net.chain(crl_pointer(net.server.url("/crl"))))
    assert not {"authorization", "proxy-authorization"} & set(net.server.requests[0].headers)


def test_a_proxy_that_cannot_be_used_is_a_problem(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "gopher://127.0.0.1:1")
    (text,) = net.gather(net.chain(crl_pointer("http://crl.example.org/crl"))).problems
    assert "crl.example.org cannot be reached" in text
