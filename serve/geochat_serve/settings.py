"""Settings of the server, and the file of its users."""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from geochat.errors import SettingsError

PasswordCheck = Callable[[str, str], bool]
"""Returns whether a name and a password match."""


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """Address, access and limits of the server.

    Attributes:
        host: Address to listen on; 127.0.0.1 is reachable from this machine only.
        port: Port to listen on; 0 picks a free one.
        share: Create a public link through Gradio's relay.
        auth_file: File of lines `name:password`; None admits everybody.
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

    Raises:
        SettingsError: A value is out of range.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    share: bool = False
    auth_file: Path | None = None
    root_path: str | None = None
    mcp: bool = False
    allowed_hosts: tuple[str, ...] = ()
    metrics: bool = False
    concurrency: int = 2
    max_upload_mb: int = 512
    max_disk_mb: int = 16_384
    max_queued: int = 8
    max_sessions: int = 64
    session_timeout_s: float = 3600.0
    max_corrections: int = 500

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
        raise SettingsError(f"the auth file {path} has no users; write lines of name:password")
    nobody = secrets.token_bytes(hashlib.sha256().digest_size)

    def check(name: str, password: str) -> bool:
        return hmac.compare_digest(digest(password), known.get(name, nobody))

    return check
