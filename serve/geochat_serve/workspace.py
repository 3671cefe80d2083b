"""The server's folder of temporary files: what was uploaded, and the scenes that sessions have open.

Uploads arrive in `uploads`, each in a folder with a random name, which with the file's is all that a client learns.
Claiming one moves it to where no request reaches it. What a client says names an upload and is never opened as a path.
"""

import re
import secrets
import shutil
import tempfile
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from geochat.errors import GeoChatError, ImageError

_FOLDER = re.compile(r"[0-9a-f]{64}")
_UNCLAIMED_S = 600.0  # uploads nobody has claimed by then are removed
_LONGEST_NAME = 100
_SHARE = 4  # one client's unclaimed uploads take up to a quarter of the room


class NoRoomError(GeoChatError):
    """There is no room for an upload."""


class Workspace:
    """Temporary files, bounded in bytes.

    Attributes:
        uploads: Where uploads arrive.
        max_bytes: What all files together may take.
    """

    def __init__(self, max_bytes: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="geochat-serve-")
        root = Path(self._folder.name)
        self.uploads = root / "uploads"
        self._scenes = root / "scenes"
        self.uploads.mkdir()
        self._scenes.mkdir()
        self.max_bytes = max_bytes
        self._lock = Lock()
        self._reserved: dict[str, int] = {}  # bytes that clients are sending
        self._owners: dict[str, str] = {}  # whose an unclaimed upload is, by its folder

    def place(self, name: str, client: str) -> Path:
        """A place of its own for an upload.

        Args:
            name: What the client calls the file; it is shortened to what every file system takes.
            client: Whose it is.
        """
        folder = self.uploads / secrets.token_hex(32)
        folder.mkdir()
        self._owners[folder.name] = client
        return folder / safe_name(name)

    def public_name(self, place: Path) -> str:
        """What a client calls an upload: not where it lies."""
        return place.relative_to(self.uploads).as_posix()

    def find(self, upload: object) -> Path | None:
        """The place of an upload by its public name, or by the path Gradio keeps of it; None where there is none."""
        parts = Path(upload).parts[-2:] if isinstance(upload, str) and "\0" not in upload else ()
        if len(parts) != 2 or not _FOLDER.fullmatch(parts[0]) or parts[1] in (".", ".."):
            return None
        place = self.uploads.joinpath(*parts)
        if upload not in (str(place), "/".join(parts)):
            return None
        try:
            return place if place.is_file() and not place.is_symlink() else None
        except OSError:  # a name longer than the file system takes
            return None

    def claim(self, upload: object) -> Path:
        """Take over an upload.

        Args:
            upload: The public name the upload was answered with.

        Returns:
            The file's new place, of which no client knows; give it to `remove` in the end.

        Raises:
            ImageError: Nothing was uploaded under that name.
        """
        with self._lock:
            place = self.find(upload)
            if place is None:
                raise ImageError("that image was not uploaded, or too long ago; open it again")
            target = self._scenes / secrets.token_hex(16)
            place.replace(target)
            self._discard(place.parent)
            return target

    def remove(self, place: Path) -> None:
        """Delete a file that was claimed."""
        if place.parent == self._scenes:
            place.unlink(missing_ok=True)

    @contextmanager
    def room(self, size: int, client: str) -> Iterator[None]:
        """Keep so many bytes free for what a client is sending; stale uploads are removed first.

        Raises:
            NoRoomError: There are not so many, or the client has its share.
        """
        self.sweep()
        with self._lock:
            taken = self.size() + sum(self._reserved.values())
            own = self._reserved.get(client, 0) + self._unclaimed(client)
            if taken + size > self.max_bytes:
                raise NoRoomError("the server has no room for more images; try again later")
            if own and own + size > self.max_bytes // _SHARE:
                raise NoRoomError("you have uploaded much that was not opened; try again in ten minutes")
            self._reserved[client] = self._reserved.get(client, 0) + size
        try:
            yield
        finally:
            with self._lock:
                self._reserved[client] -= size
                if not self._reserved[client]:
                    del self._reserved[client]

    def size(self) -> int:
        """Bytes taken now."""
        return sum(_size(path) for path in Path(self._folder.name).rglob("*"))

    def sweep(self, older_than_s: float = _UNCLAIMED_S) -> None:
        """Remove uploads that nobody has claimed."""
        limit = time.time() - older_than_s
        for place in self.uploads.iterdir():
            if _modified(place) < limit:
                self._discard(place)

    def discard(self, place: Path) -> None:
        """Remove an upload that is not wanted."""
        if place.parent.parent == self.uploads:
            self._discard(place.parent)

    def close(self) -> None:
        """Remove everything."""
        self._folder.cleanup()

    def _discard(self, place: Path) -> None:
        self._owners.pop(place.name, None)
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)

    def _unclaimed(self, client: str) -> int:
        folders = [folder for folder, owner in self._owners.copy().items() if owner == client]
        return sum(_size(path) for folder in folders for path in self.uploads.joinpath(folder).glob("*"))


def safe_name(name: str) -> str:
    """A file name that every file system takes: its last part, shortened, without what cannot be shown."""
    last = name.replace("\\", "/").rpartition("/")[2]
    shown = "".join(letter if unicodedata.category(letter)[0] != "C" else "_" for letter in last).strip(". ")
    stem, dot, suffix = shown.rpartition(".")
    suffix = f"{dot}{suffix}" if stem and len(suffix.encode()) <= 10 else ""
    stem = (stem if suffix else shown).encode()[: _LONGEST_NAME - len(suffix.encode())].decode(errors="ignore")
    return f"{stem}{suffix}" or "image"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:  # removed meanwhile
        return 0


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
