"""Names and passwords, and how often somebody may try one."""

import hashlib
import hmac
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from geochat.errors import SettingsError

AuthCheck = Callable[[str, str], bool]
"""Whether a name and a password go together."""


def read_auth_file(path: Path) -> AuthCheck:
    """Read a file of lines `name:password`; empty lines and `#` lines are skipped.

    Returns:
        A check of name and password. It takes the same time for every password and for names there are none of.

    Raises:
        SettingsError: The file cannot be read, holds no name, or a line is none of these; the line is named by number.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the auth file {path} cannot be read: {error}; write lines of name:password") from error
    key = secrets.token_bytes(32)

    def digest(password: str) -> bytes:
        return hmac.digest(key, password.encode("utf-8", "surrogatepass"), hashlib.sha256)

    known: dict[str, bytes] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, password = line.partition(":")
        if not (colon and name.strip() and password):
            raise SettingsError(
                f"line {number} of the auth file {path} is not name:password; put a name, a colon and a password on it"
            )
        known[name.strip()] = digest(password)
    if not known:
        raise SettingsError(f"the auth file {path} lets nobody in; write lines of name:password")
    nobody = secrets.token_bytes(hashlib.sha256().digest_size)

    def check(name: str, password: str) -> bool:
        return hmac.compare_digest(digest(password), known.get(name, nobody))

    return check


class Failures:
    """Failed tries of many keys, each forgotten after a while: a token bucket a key.

    Args:
        most: Tries in a row.
        every_s: Seconds after which one try more is allowed.
        keys: Keys remembered at most; the ones that failed longest ago are forgotten first.
        clock: Gives the time in seconds.
    """

    def __init__(
        self, most: int, every_s: float, keys: int = 20_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._every_s = every_s
        self._keys = keys
        self._clock = clock
        self._failed: OrderedDict[str, tuple[float, float]] = OrderedDict()  # failures that count, and as of when

    def count(self, key: str) -> float:
        """Failures that still count."""
        count, since = self._failed.get(key, (0.0, 0.0))
        return max(0.0, count - (self._clock() - since) / self._every_s)

    def wait_s(self, key: str) -> int:
        """Seconds until the key may try again; 0 where it may now."""
        return max(0, math.ceil((self.count(key) - (self._most - 1)) * self._every_s))

    def add(self, key: str) -> None:
        """Count a failure."""
        self._failed[key] = (self.count(key) + 1, self._clock())
        self._failed.move_to_end(key)
        while len(self._failed) > self._keys:
            self._failed.popitem(last=False)


class LoginThrottle:
    """Limits guessing, and shuts nobody out.

    One address may fail so often with one name, and so often in all. A name that failed often, wherever from, is
    closed to addresses that have failed with it; an address that has not still gets a try, so that whoever guesses a
    user's password does not keep that user out.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._pairs = Failures(5, 15.0, clock=clock)
        self._addresses = Failures(30, 5.0, clock=clock)
        self._names = Failures(50, 5.0, clock=clock)

    def wait_s(self, address: str, name: str) -> int:
        """Seconds until this may be tried; 0 where it may now."""
        pair = f"{address} {_short(name)}"
        wait = max(self._pairs.wait_s(pair), self._addresses.wait_s(address))
        return max(wait, self._names.wait_s(_short(name))) if self._pairs.count(pair) else wait

    def failed(self, address: str, name: str) -> None:
        """Count a failed login."""
        for failures, key in (
            (self._pairs, f"{address} {_short(name)}"),
            (self._addresses, address),
            (self._names, _short(name)),
        ):
            failures.add(key)


def _short(name: str) -> str:
    """A name's digest: what clients make up is not kept."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
