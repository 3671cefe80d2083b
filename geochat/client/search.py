"""A search of a scene on a server: monitored, downloaded as a layer, and cancelled."""

import io
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from geochat.client.connection import Connection
from geochat.errors import EngineError

_ATTEMPTS = 5
_PAUSE_S = 1.0  # before a stream that broke off is asked for again
_ENDED = ("done", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class SearchProgress:
    """Progress of a search; see `geochat.find.Progress`.

    Attributes:
        done: Number of finished windows.
        total: Total number of windows.
        failed: Number of failed windows.
        found: Objects so far.
    """

    done: int
    total: int
    failed: int
    found: int


class RemoteSearch:
    """A search that runs on a server, independently of this process.

    Attributes:
        id: Names it to the same server and token; see `Client.search`.
    """

    def __init__(
        self,
        connection: Connection,
        values: Mapping[str, Any],
        on_progress: Callable[[SearchProgress], object] | None = None,
    ) -> None:
        self._connection, self._values, self._tell = connection, values, on_progress
        self.id = str(values["id"])

    @property
    def state(self) -> str:
        """The last known state: queued, running, done, failed or cancelled."""
        return str(self._values["state"])

    @property
    def left_out(self) -> int:
        """Number of objects left out so far, because their score is below the minimum."""
        return int(self._values["left_out"])

    @property
    def progress(self) -> SearchProgress:
        """The last known progress."""
        return SearchProgress(**self._values["windows"], found=self._values["found"])

    @property
    def error(self) -> str | None:
        """Reason of a failure."""
        error: str | None = self._values["error"]
        return error

    def refresh(self) -> Self:
        """Request state and progress.

        Raises:
            GeoChatError: The server cannot be reached, or the search has expired.
        """
        self._values = self._connection.call("GET", self._path())
        return self

    def wait(self) -> Self:
        """Wait for the end. A broken connection is opened again a few times.

        Raises:
            GeoChatError: The search failed or was cancelled, or the server cannot be reached.
        """
        failures = 0
        while self.state not in _ENDED:
            try:
                for _, values in self._connection.events("GET", self._path("events")):
                    self._values, failures = values, 0
                    if self._tell is not None:
                        self._tell(self.progress)
            except EngineError:
                failures += 1
                if failures == _ATTEMPTS:
                    raise
                time.sleep(_PAUSE_S)
        if self.state != "done":
            raise EngineError(f"the search was {self.state}: {self.error}" if self.error else f"it was {self.state}")
        return self

    def objects(self) -> list[dict[str, Any]]:
        """Return the objects found so far, as `FoundObject.to_dict`.

        Raises:
            GeoChatError: As `refresh`.
        """
        objects: list[dict[str, Any]] = self._connection.call("GET", self._path("objects"))
        return objects

    def save(self, path: str | Path, format: str | None = None) -> Path:
        """Write a layer of the objects found so far, and its additional files.

        Args:
            path: Its suffix chooses the format; see `geochat.exports.write_layer`.
            format: A name of the server's formats, in place of the suffix.

        Raises:
            ExportError: The file cannot be written, or no format has the suffix.
            GeoChatError: As `refresh`, or the server cannot write the format.
        """
        from geochat.exports import EXPORTERS, exporter_for  # noqa: PLC0415 - slow to import
        from geochat.exports.files import write_atomically  # noqa: PLC0415

        path = Path(path)
        exporter = exporter_for(path, format)
        name = format or next(known for known in EXPORTERS if EXPORTERS[known] is exporter)
        with self._connection.opened("GET", self._path("result"), params={"format": name}) as response:
            content = response.read()
            is_zip = response.headers.get("content-type") == "application/zip"
            sent_as = _file_name(response.headers.get("content-disposition", ""))
        if not is_zip:
            return write_atomically(path, content)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.infolist():
                if not member.is_dir():
                    own = Path(member.filename).name.replace(Path(sent_as).stem, path.stem, 1)
                    write_atomically(path.with_name(own), archive.read(member))
        return path

    def cancel(self) -> Self:
        """Stop the search; found objects stay until the search is deleted or expires. Idempotent.

        Raises:
            GeoChatError: As `refresh`.
        """
        if self.refresh().state not in _ENDED:
            self._values = self._connection.call("DELETE", self._path())
        return self

    def delete(self) -> None:
        """Delete a finished search.

        Raises:
            GeoChatError: As `refresh`.
        """
        if self.refresh().state in _ENDED:
            self._connection.call("DELETE", self._path())

    def resume(self) -> Self:
        """Resume a search that was cancelled or failed.

        Raises:
            GeoChatError: As `refresh`.
        """
        self._values = self._connection.call("POST", self._path("resume"))
        return self

    def _path(self, part: str = "") -> str:
        return f"jobs/{quote(self.id, safe='')}{'/' if part else ''}{part}"


def _file_name(disposition: str) -> str:
    """Return the name in a Content-Disposition header."""
    message = Message()
    message["content-disposition"] = disposition
    return message.get_filename() or ""
