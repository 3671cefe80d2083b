"""Identity of a client: the login where there is one, else the network address."""

from ipaddress import IPv6Address, ip_address

from starlette.types import Scope

USER = "geochat.user"  # in a request's scope: who logged in
LOOPBACK = "geochat.loopback"  # in a request's scope: whether the server asks itself, as its MCP tools do


def client_name(host: str | None, username: str | None = None) -> str:
    """The name under which a client's share of the server is counted.

    Args:
        host: Its address; of IPv6 the /64 counts, which one subscriber has whole.
        username: Its login.
    """
    if username is not None:
        return f"user {username}"
    try:
        address = ip_address((host or "").partition("%")[0])
    except ValueError:
        return f"address {host or 'unknown'}"
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    if isinstance(address, IPv6Address):
        return f"address {IPv6Address(int(address) >> 64 << 64)}/64"
    return f"address {address}"


def scope_client(scope: Scope) -> str:
    """The name of the client that sent a request."""
    return client_name((scope.get("client") or (None,))[0], scope.get(USER))


def scope_address(scope: Scope) -> str:
    """The address a request came from, whoever logged in there."""
    return client_name((scope.get("client") or (None,))[0])
