"""Requests that are wanted no more, by id."""

import threading
from collections import OrderedDict

_REMEMBERED = 4096  # ids of requests that may still come; the oldest are forgotten first


class Cancellations:
    """Remembers which requests were cancelled. May be used from several threads."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, request_id: str) -> None:
        """Cancel a request, whether it has begun or not."""
        with self._lock:
            self._ids[request_id] = None
            while len(self._ids) > _REMEMBERED:
                self._ids.popitem(last=False)

    def discard(self, request_id: str) -> None:
        """Forget a request that has ended."""
        with self._lock:
            self._ids.pop(request_id, None)

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._ids
