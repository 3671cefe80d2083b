"""Temporary files on disk: uploads, the images that sessions and calls have open, and folders of jobs.

An upload is stored in a folder with a random name; that name and the file's are all a client learns. Claiming an
upload takes it out of any request's reach. A client's text names an upload and is never opened as a path.
"""

import os
import re
import secrets
import shutil
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

from geochat.errors import GeoChatError, ImageError

LINGER_S = 60.0  # how long an upload that a call has read may be named again
UNCLAIMED_S = 600.0  # how long an upload waits to be claimed
_FOLDER = re.compile(r"[0-9a-f]{64}")
_MAX_NAME = 100
_CLIENT_SHARE = 4  # unclaimed uploads of one client may take a quarter of the space


class StorageFullError(GeoChatError):
    """An upload does not fit."""


class UploadStorage:
    """Temporary files of limited total size.

    Attributes:
        uploads: Folder of the uploads.
        max_bytes: Largest total size of all files.
        on_reserve: Called from any thread before space is reserved; removes what has expired elsewhere.
    """

    on_reserve: Callable[[], None] | None = None

    def __init__(self, max_bytes: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="geochat-serve-")
        root = Path(self._folder.name)
        self.uploads = root / "uploads"
        self._claimed = root / "claimed"
        self.uploads.mkdir()
        self._claimed.mkdir()
        self.max_bytes = max_bytes
        self._lock = Lock()
        self._reserved: dict[str, int] = {}  # bytes being uploaded, by client
        self._owners: dict[str, str] = {}  # client of each unclaimed upload, by its folder
        self._used: set[str] = set()  # folders of uploads that a call has read

    def new_path(self, name: str, client: str) -> Path:
        """Return a new path for an upload.

        Args:
            name: The client's name for the file, shortened to what every file system accepts.
            client: Owner of the upload.
        """
        folder = self.uploads / secrets.token_hex(32)
        folder.mkdir()
        self._owners[folder.name] = client
        return folder / safe_name(name)

    def store(self, name: str, content: bytes, client: str) -> str:
        """Store an upload that is in memory.

        Args:
            name: As `new_path`.
            content: The file.
            client: Owner of the upload.

        Returns:
            Its public name.

        Raises:
            StorageFullError: It does not fit.
        """
        with self.reserve(len(content), client):
            path = self.new_path(name, client)
            try:
                path.write_bytes(content)
            except OSError as error:
                self.discard(path)
                raise StorageFullError(f"the server cannot store the file: {error.strerror}") from error
        return self.public_name(path)

    def public_name(self, path: Path) -> str:
        """Return the name by which a client refers to an upload; it does not reveal the path."""
        return path.relative_to(self.uploads).as_posix()

    def find(self, name: object) -> Path | None:
        """Return the path of an upload, given its public name; None if there is none."""
        folder, _, file = name.partition("/") if isinstance(name, str) else ("", "", "")
        if not _FOLDER.fullmatch(folder) or "/" in file or "\0" in file or file in ("", ".", ".."):
            return None
        path = self.uploads / folder / file
        try:
            return path if path.is_file() and not path.is_symlink() else None
        except OSError:  # the name is longer than the file system allows
            return None

    def claim(self, name: object, *, reusable: bool = False) -> Path:
        """Claim an upload.

        Args:
            name: Its public name.
            reusable: Whether other calls may claim the same upload at the same time and shortly after.

        Returns:
            The claimed file, at a path that no client knows; pass it to `remove` in the end.

        Raises:
            ImageError: There is no such upload.
        """
        with self._lock:
            path = self.find(name)
            if path is None:
                raise ImageError("the image was not uploaded, or its upload has expired; upload it again")
            target = self._claimed / secrets.token_hex(16)
            if reusable:
                _link(path, target)
                self._owners.pop(path.parent.name, None)
                self._used.add(path.parent.name)
                os.utime(path.parent)
            else:
                path.replace(target)
                self._discard(path.parent)
            return target

    def new_folder(self, image: Path | None = None) -> Path:
        """Return a new folder that no request reaches; pass it to `remove` in the end.

        Args:
            image: A claimed file, which the folder gets as `image` and keeps when the file itself is removed.
        """
        folder = self._claimed / secrets.token_hex(16)
        folder.mkdir()
        if image is not None:
            _link(image, folder / "image")
        return folder

    def remove(self, path: Path) -> None:
        """Delete a claimed file or a folder made by `new_folder`. Idempotent."""
        if path.parent == self._claimed:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    @contextmanager
    def reserve(self, size: int, client: str) -> Iterator[None]:
        """Reserve space while a client uploads; expired uploads are removed first.

        Raises:
            StorageFullError: There is not enough space, or the client has used up its share.
        """
        self.remove_expired()
        if self.on_reserve is not None:
            self.on_reserve()
        with self._lock:
            if self._total() + size > self.max_bytes:
                for folder in self._used.copy():
                    self._discard(self.uploads / folder)
            own = self._reserved.get(client, 0) + self._unclaimed_bytes(client)
            if self._total() + size > self.max_bytes:
                raise StorageFullError("the server has no space for more images; try again later")
            if own and own + size > self.max_bytes // _CLIENT_SHARE:
                raise StorageFullError("too many of your uploads were never opened; try again in ten minutes")
            self._reserved[client] = self._reserved.get(client, 0) + size
        try:
            yield
        finally:
            with self._lock:
                self._reserved[client] -= size
                if not self._reserved[client]:
                    del self._reserved[client]

    def size(self) -> int:
        """Return the bytes in use."""
        return _bytes(Path(self._folder.name))

    def remove_expired(self, unclaimed_s: float = UNCLAIMED_S, linger_s: float = LINGER_S) -> None:
        """Remove uploads that nobody claimed within `unclaimed_s`, or that no call has read for `linger_s`."""
        now = time.time()
        with self._lock, suppress(FileNotFoundError):  # the storage was closed
            for folder in self.uploads.iterdir():
                if _modified(folder) < now - (linger_s if folder.name in self._used else unclaimed_s):
                    self._discard(folder)

    def discard(self, path: Path) -> None:
        """Remove an upload. Idempotent."""
        if path.parent.parent == self.uploads:
            self._discard(path.parent)

    def close(self) -> None:
        """Remove all files."""
        self._folder.cleanup()

    def _discard(self, folder: Path) -> None:
        self._owners.pop(folder.name, None)
        self._used.discard(folder.name)
        if folder.is_dir() and not folder.is_symlink():
            shutil.rmtree(folder, ignore_errors=True)
        else:
            folder.unlink(missing_ok=True)

    def _total(self) -> int:
        return self.size() + sum(self._reserved.values())

    def _unclaimed_bytes(self, client: str) -> int:
        folders = [folder for folder, owner in self._owners.copy().items() if owner == client]
        return sum(_bytes(self.uploads / folder) for folder in folders)


def safe_name(name: str) -> str:
    """Return a file name that every file system accepts: the last part, shortened, without control characters."""
    last = name.replace("\\", "/").rpartition("/")[2]
    printable = "".join(letter if unicodedata.category(letter)[0] != "C" else "_" for letter in last).strip(". ")
    stem, dot, suffix = printable.rpartition(".")
    suffix = f"{dot}{suffix}" if stem and len(suffix.encode()) <= 10 else ""
    stem = (stem if suffix else printable).encode()[: _MAX_NAME - len(suffix.encode())].decode(errors="ignore")
    return f"{stem}{suffix}" or "image"


def _link(path: Path, target: Path) -> None:
    """Link a file, or copy it on file systems without hard links."""
    try:
        target.hardlink_to(path)
    except OSError:
        shutil.copyfile(path, target)


def _bytes(folder: Path) -> int:
    """Return the size of all files in a folder; hard links of one file count once.

    What another thread removes meanwhile is left out.
    """
    sizes = {}
    for parent, _, names in os.walk(folder):  # unlike `Path.rglob`, it passes over folders that are gone
        for name in names:
            with suppress(OSError):
                status = Path(parent, name).lstat()
                sizes[status.st_dev, status.st_ino] = status.st_size
    return sum(sizes.values())


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
