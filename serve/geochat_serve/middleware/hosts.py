"""Host and origin checks: only pages of this server may talk to it, and only under known host names.

DNS rebinding (an attacker's name that resolves to this machine) shows in the `Host` header. A request from a page of
another site shows in `Sec-Fetch-Site`, which all current browsers send, or in `Origin`. Programs other than browsers
send neither.
"""

import socket
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from geochat_serve.middleware.http import refuse

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
_ANY_ADDRESS = ("0.0.0.0", "::", "")
_DEFAULT_PORTS = {"http": "80", "https": "443"}


class AllowedHosts:
    """Host names under which the server may be reached.

    Args:
        host: The address the server listens on. For a wildcard address, every IP address and the machine's own name
            are allowed: a rebound name is never an IP address.
        names: Further names, with or without a port. A leading dot stands for all subdomains.
        root_path: The prefix under which a proxy serves the application; if it is a full URL, its host is allowed.
    """

    def __init__(self, host: str, names: Iterable[str] = (), root_path: str | None = None) -> None:
        host = host.strip("[]").lower()
        self._every_address = host in _ANY_ADDRESS
        self._own = {*LOOPBACK_NAMES, host}
        if self._every_address:
            self._own |= {socket.gethostname().lower(), host}
        self._given = {name.lower() for name in names}
        if root_path is not None and "://" in root_path:
            self.add(urlsplit(root_path).netloc)

    def add(self, name: str) -> None:
        """Allow another name."""
        self._given.add(name.lower())

    def allows(self, host: str) -> bool:
        """Return whether a `Host` header names this server."""
        name, _ = _split(host)
        if name in self._own or self._is_given(host, any_port=True):
            return True
        return self._every_address and _is_address(name)

    def allows_origin(self, origin: str, hosts: Iterable[str]) -> bool:
        """Return whether a page of `origin` may talk to the server, given the hosts that the request names."""
        scheme, _, netloc = origin.lower().partition("://")
        if scheme not in _DEFAULT_PORTS or not netloc:
            return False
        return self._is_given(netloc, any_port=False) or any(
            _same(netloc, host, _DEFAULT_PORTS[scheme]) for host in hosts
        )

    def _is_given(self, host: str, *, any_port: bool) -> bool:
        """Return whether a host matches a given name. A name without a port matches any port, or the default ports."""
        name, port = _split(host)
        for given in self._given:
            given_name, given_port = _split(given)
            same = name.endswith(given_name) if given.startswith(".") else name == given_name
            if same and (port == given_port if given_port else any_port or port in ("", "80", "443")):
                return True
        return False


class HostCheck:
    """Middleware that refuses requests for unknown host names."""

    def __init__(self, app: ASGIApp, hosts: AllowedHosts) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request or pass it on."""
        if scope["type"] in ("http", "websocket"):
            names = _request_hosts(Headers(scope=scope))
            unknown = next((host for host in names if not self._hosts.allows(host)), None)
            if unknown is not None or not names:
                text = "This server does not answer to that host name; see its --allowed-hosts option."
                await refuse(scope, receive, send, 421, text)
                return
        await self._app(scope, receive, send)


class OriginCheck:
    """Middleware that lets pages of other sites do no more than link to this one."""

    def __init__(self, app: ASGIApp, hosts: AllowedHosts) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request or pass it on."""
        if scope["type"] in ("http", "websocket") and not self._is_allowed(scope):
            await refuse(scope, receive, send, 403, "Requests from other sites are not allowed.")
            return
        await self._app(scope, receive, send)

    def _is_allowed(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site in ("same-origin", "none") or _is_link(scope, headers)
        origin = headers.get("origin")
        return origin is None or self._hosts.allows_origin(origin, _request_hosts(headers))


def _is_link(scope: Scope, headers: Headers) -> bool:
    """Return whether a user followed a link to this page."""
    return (
        scope.get("method") in ("GET", "HEAD")
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest", "document") == "document"
    )


def _request_hosts(headers: Headers) -> list[str]:
    """Return the hosts that the client and the proxies in between named."""
    forwarded = [name for line in headers.getlist("x-forwarded-host") for name in line.split(",")]
    return [name.strip().lower() for name in (*headers.getlist("host"), *forwarded) if name.strip()]


def _split(host: str) -> tuple[str, str]:
    """Split a host into name and port; the port may be empty."""
    host = host.strip().lower()
    if host.startswith("["):
        name, _, port = host[1:].partition("]")
        return name, port.removeprefix(":")
    if host.count(":") > 1:  # an IPv6 address without brackets
        return host, ""
    name, _, port = host.partition(":")
    return name.rstrip("."), port


def _same(first: str, second: str, default_port: str) -> bool:
    (first_name, first_port), (second_name, second_port) = _split(first), _split(second)
    return first_name == second_name and (first_port or default_port) == (second_port or default_port)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
