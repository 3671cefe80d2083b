"""Settings of the server, and the file of its users."""

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from geochat.errors import SettingsError

PasswordCheck = Callable[[str, str], bool]
"""Returns whether a name and a password match."""

TokenCheck = Callable[[str], str | None]
"""Returns the name of an API token, None for a wrong one."""

API_TOKEN = "GEOCHAT_API_TOKEN"  # environment variable: the token of the HTTP API, for servers and clients
_SHORTEST_TOKEN = 16


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """Address, access and limits of the server.

    Attributes:
        host: Address to listen on; 127.0.0.1 is reachable from this machine only.
        port: Port to listen on; 0 picks a free one.
        share: Create a public link through Gradio's relay.
        auth_file: File of lines `name:password`; None admits everybody.
        api_token_file: File of lines `name:token` for the HTTP API; None takes `GEOCHAT_API_TOKEN`, and without it the
            API is open to those whom the page is open to.
        root_path: Prefix under which a proxy serves the application, such as /geochat.
        mcp: Offer ask, find and classify as MCP tools.
        allowed_hosts: Host names under which the server may be reached, besides the loopback names and `host`.
        metrics: Answer `/metrics` in Prometheus' format.
        concurrency: Answers computed at the same time.
        max_upload_mb: Largest image file, in megabytes.
        max_disk_mb: Largest size of all uploads together, in megabytes.
        max_queued: Questions one page may have in the queue.
        max_sessions: Sessions kept; those of closed pages are dropped first.
        session_timeout_s: Seconds for which the session of a closed page is kept, in case its user returns.
        max_corrections: Corrected answers one session may collect.
        images: Images on this machine that everybody who uses the server may open.

    Raises:
        SettingsError: A value is out of range.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    share: bool = False
    auth_file: Path | None = None
    api_token_file: Path | None = None
    root_path: str | None = None
    mcp: bool = False
    allowed_hosts: tuple[str, ...] = ()
    metrics: bool = False
    concurrency: int = 16
    max_upload_mb: int = 512
    max_disk_mb: int = 16_384
    max_queued: int = 8
    max_sessions: int = 64
    session_timeout_s: float = 3600.0
    max_corrections: int = 500
    images: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        for name in ("concurrency", "max_upload_mb", "max_queued", "max_sessions", "max_corrections"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name}={getattr(self, name)} is too small; use 1 or more")
        if not 0 <= self.port < 65536:
            raise SettingsError(f"port={self.port} is not a port; use 0 to 65535")
        if self.max_disk_mb < self.max_upload_mb:
            raise SettingsError(
                f"max_disk_mb={self.max_disk_mb} is less than max_upload_mb={self.max_upload_mb}; use at least as much"
            )
        for name in self.allowed_hosts:
            if not name or "/" in name or name.strip() != name:
                raise SettingsError(f"allowed_hosts={name!r} is not a host; use example.org or example.org:8443")
        if self.root_path is not None and not self.root_path.startswith(("/", "http://", "https://")):
            raise SettingsError(f"root_path={self.root_path!r} is not a path; start it with /")


def read_auth_file(path: Path) -> PasswordCheck:
    """Read a file of lines `name:password`; empty lines and lines starting with `#` are skipped.

    Returns:
        A check whose duration depends neither on the password nor on whether the name exists.

    Raises:
        SettingsError: The file cannot be read or has no name, or a line is malformed; the message gives its number.
    """
    digest = _keyed_digest()
    known = {name: digest(password) for name, password in _read_pairs(path, "auth file", "password").items()}
    nobody = secrets.token_bytes(hashlib.sha256().digest_size)

    def check(name: str, password: str) -> bool:
        return hmac.compare_digest(digest(password), known.get(name, nobody))

    return check


def read_api_tokens(path: Path | None) -> TokenCheck | None:
    """Read the tokens of the HTTP API: a file of lines `name:token`, or the variable `GEOCHAT_API_TOKEN`.

    Args:
        path: The file; None takes the variable, whose token has the name "api".

    Returns:
        A check whose duration does not depend on the token; None if there is neither file nor variable.

    Raises:
        SettingsError: The file is invalid, as in `read_auth_file`, or a token is too short or cannot be sent.
    """
    given = os.environ.get(API_TOKEN, "").strip()
    if path is None and not given:
        return None
    tokens = {"api": given} if path is None else _read_pairs(path, "API token file", "token")
    for name, token in tokens.items():
        if len(token) < _SHORTEST_TOKEN or not (token.isascii() and token.isprintable()) or " " in token:
            raise SettingsError(
                f"the API token of {name!r} is no {_SHORTEST_TOKEN} ASCII characters without spaces; make one with"
                ' python -c "import secrets; print(secrets.token_urlsafe())"'
            )
    digest = _keyed_digest()
    known = {name: digest(token) for name, token in tokens.items()}

    def check(token: str) -> str | None:
        given = digest(token)
        matches = [name for name, own in known.items() if hmac.compare_digest(given, own)]
        return matches[0] if matches else None

    return check


def _keyed_digest() -> Callable[[str], bytes]:
    """Return a digest with a random key, by which secrets of any length are compared in constant time."""
    key = secrets.token_bytes(32)
    return lambda secret: hmac.digest(key, secret.encode("utf-8", "surrogatepass"), hashlib.sha256)


def _read_pairs(path: Path, file: str, secret: str) -> dict[str, str]:
    """Read lines `name:secret`.

    Args:
        path: The file.
        file: Its kind, in messages.
        secret: The kind of secret, in messages.

    Raises:
        SettingsError: As in `read_auth_file`.
    """
    expected = f"name:{secret}"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the {file} {path} cannot be read: {error}; write lines of {expected}") from error
    pairs: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, value = line.partition(":")
        if not (colon and name.strip() and value):
            raise SettingsError(
                f"line {number} of the {file} {path} is not {expected}; put a name, a colon and a {secret} on it"
            )
        pairs[name.strip()] = value
    if not pairs:
        raise SettingsError(f"the {file} {path} has no users; write lines of {expected}")
    return pairs
