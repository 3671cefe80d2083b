"""Who may come in."""

import hmac
from collections.abc import Callable
from pathlib import Path

from geochat.errors import SettingsError

AuthCheck = Callable[[str, str], bool]
"""Whether a name and a password go together."""


def read_auth_file(path: Path) -> AuthCheck:
    """A check of name and password against a file of lines `name:password`; empty lines and `#` lines are skipped.

    Raises:
        SettingsError: The file cannot be read, holds no name, or a line is none of these; the line is named by number.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the auth file {path} cannot be read: {error}; write lines of name:password") from error
    known: dict[str, bytes] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, password = line.partition(":")
        if not (colon and name.strip() and password):
            raise SettingsError(
                f"line {number} of the auth file {path} is not name:password; put a name, a colon and a password on it"
            )
        known[name.strip()] = password.encode()
    if not known:
        raise SettingsError(f"the auth file {path} lets nobody in; write lines of name:password")

    def check(name: str, password: str) -> bool:
        expected = known.get(name)
        same = hmac.compare_digest(password.encode(), expected if expected is not None else b"\0")
        return same and expected is not None

    return check
