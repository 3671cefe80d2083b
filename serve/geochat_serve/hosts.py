"""Host and origin of a request: only pages of this server may talk to it, under names it is known by.

A name of an attacker's that resolves to this machine (DNS rebinding) shows in the `Host` header; a page of somebody
else's that posts here, or opens a stream, shows in `Sec-Fetch-Site`, which every browser of today sends, or in
`Origin`. Programs that are no browsers send neither.
"""

import socket
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from geochat_serve.replies import refuse

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
_ANY_ADDRESS = ("0.0.0.0", "::", "")
_DEFAULT_PORTS = {"http": "80", "https": "443"}


class AllowedHosts:
    """Names under which the server is reached.

    Args:
        host: The address it listens on; where that is every address of the machine, all addresses and the machine's
            name are allowed: a rebound name is never an address.
        names: Further names, with or without a port; a name with a dot before it stands for all its subdomains.
        root_path: Where a proxy puts the application; the host of a whole address is allowed.
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
        """Allow one name more."""
        self._given.add(name.lower())

    def allows(self, host: str) -> bool:
        """Whether a `Host` header names this server."""
        name, _ = _split(host)
        if name in self._own or self._is_given(host, any_port=True):
            return True
        return self._every_address and _is_address(name)

    def allows_origin(self, origin: str, hosts: Iterable[str]) -> bool:
        """Whether a page of an origin may talk to the server under the names by which it was asked."""
        scheme, _, netloc = origin.lower().partition("://")
        if scheme not in _DEFAULT_PORTS or not netloc:
            return False
        return self._is_given(netloc, any_port=False) or any(
            _same(netloc, host, _DEFAULT_PORTS[scheme]) for host in hosts
        )

    def _is_given(self, host: str, *, any_port: bool) -> bool:
        """Whether the host was given by name; one given without a port is meant at any, or at a proxy's usual ones."""
        name, port = _split(host)
        for given in self._given:
            given_name, given_port = _split(given)
            same = name.endswith(given_name) if given.startswith(".") else name == given_name
            if same and (port == given_port if given_port else any_port or port in ("", "80", "443")):
                return True
        return False


class HostCheck:
    """Middleware that refuses requests under other names."""

    def __init__(self, app: ASGIApp, hosts: AllowedHosts) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse or pass on."""
        if scope["type"] in ("http", "websocket"):
            named = _hosts_of(Headers(scope=scope))
            wrong = next((host for host in named if not self._hosts.allows(host)), None)
            if wrong is not None or not named:
                text = "This server is not known by that name; its --allowed-hosts says which names it answers to."
                await refuse(scope, receive, send, 421, text)
                return
        await self._app(scope, receive, send)


class OriginCheck:
    """Middleware that lets pages of others do no more than link to the page."""

    def __init__(self, app: ASGIApp, hosts: AllowedHosts) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse or pass on."""
        if scope["type"] in ("http", "websocket") and not self._may(scope):
            await refuse(scope, receive, send, 403, "Pages of other sites may not use this server.")
            return
        await self._app(scope, receive, send)

    def _may(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site in ("same-origin", "none") or _is_link(scope, headers)
        origin = headers.get("origin")
        return origin is None or self._hosts.allows_origin(origin, _hosts_of(headers))


def _is_link(scope: Scope, headers: Headers) -> bool:
    """Whether somebody followed a link to here."""
    return (
        scope.get("method") in ("GET", "HEAD")
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest", "document") == "document"
    )


def _hosts_of(headers: Headers) -> list[str]:
    """The names under which the server was asked, by the client and by the proxy before it."""
    forwarded = [name for line in headers.getlist("x-forwarded-host") for name in line.split(",")]
    return [name.strip().lower() for name in (*headers.getlist("host"), *forwarded) if name.strip()]


def _split(host: str) -> tuple[str, str]:
    """Name and port of a host; the port may be empty."""
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
