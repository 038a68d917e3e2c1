"""Octets over HTTP, within bounds of time and size. aiohttp is loaded with this module, and only then."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urljoin
from urllib.request import getproxies, proxy_bypass

import aiohttp
from aiohttp.abc import AbstractResolver

from smime_agent.retrieval.answers import UnavailableError
from smime_agent.retrieval.urls import host_of, is_acceptable, scheme_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.abc import ResolveResult

    from smime_agent.retrieval.limits import Limits

_OK: Final = 200
_SEE_OTHER: Final = 303  # to be asked with GET, which makes no sense for what was sent with POST
_REDIRECTS: Final = {301, 302, 307, 308}


class Client:
    """Fetches for one gathering, inside ``async with``. Without cookies, credentials or what a .netrc says."""

    def __init__(self, limits: Limits, on_fetch: Callable[[str], None] | None) -> None:
        self._limits = limits
        self._on_fetch = on_fetch

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=_Resolver(), limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            # trust_env would send what a .netrc holds to any host that a certificate names: proxies are looked up here.
            trust_env=False,
            # What nobody asked for is not decompressed either: no few octets become gigabytes.
            auto_decompress=False,
            headers={"User-Agent": _user_agent(), "Accept-Encoding": "identity"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def fetch(self, url: str, body: bytes, maximum: int) -> bytes:
        """What a server answers to a GET or, with a body, to an OCSP request by POST.

        POST, because every responder takes it and no proxy reads base64 slashes as folders. What GET would gain with
        caches on the way (RFC 5019, 5) our own one gains.

        Raises:
            UnavailableError: nothing that could be used comes in time.
        """
        host = host_of(url)
        tell = self._on_fetch or (lambda _: None)
        timer = asyncio.get_running_loop().call_later(self._limits.moment, tell, host)
        try:
            async with asyncio.timeout(self._limits.each):
                return await self._follow(url, body, maximum)
        except TimeoutError as error:
            msg = f"{host} did not answer within {self._limits.each:g} seconds"
            raise UnavailableError(msg, is_unreachable=True) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise UnavailableError(f"{host} cannot be reached: {_why(error)}", is_unreachable=True) from error
        finally:
            timer.cancel()

    async def _follow(self, url: str, body: bytes, maximum: int) -> bytes:
        """The answer, at most so many redirects away."""
        first = host_of(url)
        method, headers = ("POST", {"Content-Type": "application/ocsp-request"}) if body else ("GET", {})
        # A question is asked where the certificate says, or somebody on the way has us post to hosts of our own.
        for _ in range(1 if body else self._limits.redirects + 1):
            async with self._session.request(
                method,
                url,
                data=body or None,
                headers=headers,
                allow_redirects=False,
                proxy=_proxy(url),
                timeout=aiohttp.ClientTimeout(total=None),  # the clock that runs is asyncio's, over all redirects
            ) as response:
                if response.status not in _REDIRECTS and (body or response.status != _SEE_OTHER):
                    return await _body(response, host_of(url), maximum)
                url = _redirected(response, first)
        msg = f"{first} redirects more than {self._limits.redirects} times"
        raise UnavailableError(msg)


async def _body(response: aiohttp.ClientResponse, host: str, maximum: int) -> bytes:
    """The body of an answer that is one."""
    if response.status != _OK:
        msg = f"{host} answered with HTTP status {response.status}"
        raise UnavailableError(msg)
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        msg = f"{host} sent compressed data that was not asked for"
        raise UnavailableError(msg)
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > maximum:
            msg = f"{host} sent more than {maximum} octets"
            raise UnavailableError(msg)
    return b"".join(chunks)


def _redirected(response: aiohttp.ClientResponse, host: str) -> str:
    """Where a redirect leads to."""
    location = response.headers.get("Location", "")
    url = urljoin(str(response.url), location)
    if not location or not is_acceptable(url):
        msg = f"{host} redirects to a URL of the scheme {scheme_of(url)!r} that is not followed"
        raise UnavailableError(msg)
    return url


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for a URL; its credentials go to the proxy alone."""
    proxies = getproxies()
    proxy = proxies.get(scheme_of(url))
    return proxy if proxy and not proxy_bypass(host_of(url)) else None


def _why(error: Exception) -> str:
    """What an error says, as far as it says it in words that are not the server's."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return "its TLS certificate or handshake is wrong"
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, OSError) and cause.errno:
        # asyncio puts addresses into strerror; the numbers of getaddrinfo are below zero, and others.
        return (os.strerror(cause.errno) if cause.errno > 0 else cause.strerror or "no address").lower()
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError):
        return "the connection was closed too early"
    return "what it sent is no HTTP" if isinstance(error, aiohttp.ClientError) else "its URL or the proxy is wrong"


def _user_agent() -> str:
    try:
        return f"smime-agent/{version('smime-agent')}"
    except PackageNotFoundError:
        return "smime-agent"


class _Resolver(AbstractResolver):
    """Names looked up in threads that nobody waits for.

    The usual resolver runs in a pool whose threads are joined at the end of the loop: a name server that does not
    answer would hold us up long after the time was over.
    """

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[ResolveResult]] = loop.create_future()

        def finish(result: list[ResolveResult] | OSError) -> None:
            if future.done():
                return
            if isinstance(result, OSError):
                future.set_exception(result)
            else:
                future.set_result(result)

        def look_up() -> None:
            result: list[ResolveResult] | OSError
            try:
                result = _addresses(host, port, family)
            except OSError as error:
                result = error
            except UnicodeError:  # what is no name has no address
                result = OSError(f"no such name: {host!r}")
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(finish, result)

        threading.Thread(target=look_up, daemon=True).start()
        return await future

    async def close(self) -> None:
        """Nothing is open."""


def _addresses(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    infos = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return [
        {"hostname": host, "host": str(address[0]), "port": port, "family": found, "proto": protocol, "flags": flags}
        for found, _, protocol, _, address in infos
    ]
