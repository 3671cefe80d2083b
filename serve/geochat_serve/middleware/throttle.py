"""Limits on guessing passwords and tokens."""

import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Callable


class _FailureCounts:
    """Token buckets of failed attempts, one for each key.

    Args:
        burst: Attempts in a row.
        interval_s: Seconds after which another attempt is allowed.
        max_keys: Keys remembered; those that failed longest ago are forgotten first.
        clock: Returns the time in seconds.
    """

    def __init__(self, burst: int, interval_s: float, max_keys: int, clock: Callable[[], float]) -> None:
        self._burst = burst
        self._interval_s = interval_s
        self._max_keys = max_keys
        self._clock = clock
        self._failed: OrderedDict[str, tuple[float, float]] = OrderedDict()  # failures that count, and as of when

    def __len__(self) -> int:
        return len(self._failed)

    def count(self, key: str) -> float:
        """Return the failures that still count."""
        count, since = self._failed.get(key, (0.0, 0.0))
        return max(0.0, count - (self._clock() - since) / self._interval_s)

    def wait_s(self, key: str) -> int:
        """Return the seconds until the key may try again, 0 if now."""
        return max(0, math.ceil((self.count(key) - (self._burst - 1)) * self._interval_s))

    def add(self, key: str) -> None:
        """Count a failure."""
        self._failed[key] = (self.count(key) + 1, self._clock())
        self._failed.move_to_end(key)
        while len(self._failed) > self._max_keys:
            self._failed.popitem(last=False)


class LoginThrottle:
    """Limits on guessing passwords that lock nobody out.

    Failures are limited for each address and name, and for each address. A name that failed too often from anywhere
    is closed to addresses that have failed with it; other addresses still get an attempt, so that guessing a user's
    password does not keep that user out.

    Args:
        clock: Returns the time in seconds.
        max_keys: Keys of each kind that are remembered.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, max_keys: int = 20_000) -> None:
        self._pairs = _FailureCounts(5, 15.0, max_keys, clock)
        self._addresses = _FailureCounts(30, 5.0, max_keys, clock)
        self._names = _FailureCounts(50, 5.0, max_keys, clock)

    def __len__(self) -> int:
        return len(self._pairs) + len(self._addresses) + len(self._names)

    def wait_s(self, address: str, name: str) -> int:
        """Return the seconds until this login may be tried, 0 if now."""
        pair = f"{address} {_digest(name)}"
        wait = max(self._pairs.wait_s(pair), self._addresses.wait_s(address))
        return max(wait, self._names.wait_s(_digest(name))) if self._pairs.count(pair) else wait

    def add_failure(self, address: str, name: str) -> None:
        """Count a failed login."""
        self._pairs.add(f"{address} {_digest(name)}")
        self._addresses.add(address)
        self._names.add(_digest(name))


def _digest(name: str) -> str:
    """Return a short digest, so that names which clients make up are not stored."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
