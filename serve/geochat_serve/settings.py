"""How the web chat is served."""

from dataclasses import dataclass
from pathlib import Path

from geochat.errors import SettingsError


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """What the server may use, and who may use it.

    Attributes:
        host: The address it listens on; 127.0.0.1 is this machine alone.
        port: The port it listens on; 0 takes a free one.
        share: Make a public link through Gradio's relay.
        auth_file: Lines of `name:password`; None lets everybody in.
        root_path: Where a proxy puts the application, such as /geochat.
        mcp: Offer ask, find and classify as MCP tools.
        allowed_hosts: Names under which a proxy or a browser reaches the server, besides those of this machine's
            loopback and `host`.
        metrics: Answer `/metrics` in Prometheus' format.
        max_upload_mb: The largest image file taken, in megabytes.
        concurrency: Answers computed at the same time.
        waiting: Questions one user may have in the queue.
        sessions: Users whose scenes and conversations are kept; of those who left, the longest gone go first.
        grace_s: Seconds for which the session of somebody who left is kept, in case they come back.
        disk_mb: What all uploads together may take on disk, in megabytes.
        kept: Corrected pairs one user may keep.

    Raises:
        SettingsError: A value is impossible.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    share: bool = False
    auth_file: Path | None = None
    root_path: str | None = None
    mcp: bool = False
    allowed_hosts: tuple[str, ...] = ()
    metrics: bool = False
    max_upload_mb: int = 512
    concurrency: int = 2
    waiting: int = 8
    sessions: int = 64
    grace_s: float = 3600.0
    disk_mb: int = 16_384
    kept: int = 500

    def __post_init__(self) -> None:
        for name, least in (("max_upload_mb", 1), ("concurrency", 1), ("waiting", 1), ("sessions", 1), ("kept", 1)):
            if getattr(self, name) < least:
                raise SettingsError(f"{name}={getattr(self, name)} is impossible; give {least} or more")
        if not 0 <= self.port < 65536:
            raise SettingsError(f"port={self.port} is no port; give 0 to 65535")
        if self.disk_mb < self.max_upload_mb:
            raise SettingsError(f"disk_mb={self.disk_mb} holds no upload of {self.max_upload_mb} MB; give as much")
        for name in self.allowed_hosts:
            if not name or "/" in name or name.strip() != name:
                raise SettingsError(f"allowed_hosts={name!r} is no host; give a name such as example.org, or name:port")
        if self.root_path is not None and not self.root_path.startswith(("/", "http://", "https://")):
            raise SettingsError(f"root_path={self.root_path!r} is no path; begin it with /")
