"""The URLs that a certificate or a redirect may lead to: http and https, and nothing hidden in them."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

_PRINTABLE = re.compile(r"[!-\[\]-~]{1,2048}")  # ASCII without space and backslash
_SCHEMES = {"http": 80, "https": 443}


def is_acceptable(url: str) -> bool:
    """It is http or https, has a host, and holds no user name, password or odd character."""
    if not _PRINTABLE.fullmatch(url):
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme in _SCHEMES and bool(parts.hostname) and "@" not in parts.netloc and port != 0


def scheme_of(url: str) -> str:
    """The scheme in lower case, for people; ``other`` where there is none that could be shown."""
    scheme, colon, _ = url.partition(":")
    return scheme.lower() if colon and scheme.isascii() and scheme.isalnum() and len(scheme) <= 16 else "other"  # noqa: PLR2004 - what is longer is no scheme


def host_of(url: str) -> str:
    """The host of an acceptable URL, with its port where that is not the usual one."""
    parts = urlsplit(url)
    host, port = _host(parts), _port(parts)
    return host if port == _SCHEMES[parts.scheme] else f"{host}:{port}"


def origin_of(url: str) -> str:
    """Scheme, host and port of an acceptable URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{_host(parts)}:{_port(parts)}"


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    return f"[{host}]" if ":" in host else host


def _port(parts: SplitResult) -> int:
    return parts.port or _SCHEMES[parts.scheme]
