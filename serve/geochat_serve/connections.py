"""Connections: silent ones are closed, and those of one address make room for each other.

uvicorn waits without end for the first request of a connection; whoever opens enough of them takes every file
descriptor there is.
"""

import asyncio
from collections import OrderedDict
from typing import Any

from uvicorn import Config

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

_PER_ADDRESS = 512
_SILENCE_S = 20.0  # without a whole request head
_DESCRIPTORS = 16_384


class _Connections:
    """Open connections by the address of the other end, the oldest first."""

    def __init__(self) -> None:
        self._of: dict[str, OrderedDict[Any, None]] = {}

    def add(self, protocol: Any) -> bool:  # noqa: ANN401 - uvicorn's protocol
        """Note a connection; another of the address may have to go, the one that was silent longest.

        Returns:
            Whether there is room for it.
        """
        address = protocol.client[0] if protocol.client else ""
        mine = self._of.setdefault(address, OrderedDict())
        if len(mine) >= _PER_ADDRESS:
            silent = next((other for other in mine if other.is_idle()), None)
            if silent is None:
                return False
            silent.transport.abort()
            self.discard(silent)
        self._of.setdefault(address, OrderedDict())[protocol] = None
        return True

    def discard(self, protocol: Any) -> None:  # noqa: ANN401
        """Forget a connection."""
        address = protocol.client[0] if protocol.client else ""
        mine = self._of.get(address)
        if mine is not None:
            mine.pop(protocol, None)
            if not mine:
                del self._of[address]


def limit_connections(config: Config) -> None:
    """Limit the connections of a uvicorn server; those made from now on."""
    _raise_descriptors()
    connections = _Connections()
    base: Any = config.http_protocol_class

    class LimitedProtocol(base):  # type: ignore[misc]
        """uvicorn's protocol, bounded in time and number."""

        _silence: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            if not connections.add(self):
                transport.abort()
                return
            self._silence = self.loop.call_later(_SILENCE_S, self._close_if_silent)

        def connection_lost(self, exc: Exception | None) -> None:
            connections.discard(self)
            if self._silence is not None:
                self._silence.cancel()
            super().connection_lost(exc)

        def is_idle(self) -> bool:
            """Whether nothing is being answered."""
            return self.cycle is None or self.cycle.response_complete

        def _close_if_silent(self) -> None:
            if self.cycle is None and not self.transport.is_closing():
                self.transport.abort()

    config.http_protocol_class = LimitedProtocol


def _raise_descriptors() -> None:
    """Allow as many open files as the system lets this process have, up to a limit."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
