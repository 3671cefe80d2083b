"""The server's folder of temporary files: what was uploaded, and the scenes that sessions have open.

Uploads arrive in `uploads`, as Gradio names them: a folder named by a hash of the content, and a file name. Claiming
one moves it into a folder of the session's own, where no request reaches it. What a client says names an upload and is
never opened as a path.
"""

import re
import secrets
import shutil
import tempfile
import time
from pathlib import Path
from threading import Lock

from geochat.errors import ImageError

_HASH = re.compile(r"[0-9a-f]{64}")
_UNCLAIMED_S = 600.0  # uploads nobody has claimed by then are removed


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

    def claim(self, upload: object) -> Path:
        """Take over an upload.

        Args:
            upload: What the client says was uploaded: the path the upload was answered with.

        Returns:
            The file's new place, of which no client knows; give it to `remove` in the end.

        Raises:
            ImageError: Nothing was uploaded under that name.
        """
        parts = Path(upload).parts[-2:] if isinstance(upload, str) and "\0" not in upload else ()
        if len(parts) == 2 and _HASH.fullmatch(parts[0]) and parts[1] not in (".", ".."):
            place = self.uploads.joinpath(*parts)
            if upload == str(place):
                with self._lock:
                    if place.is_file() and not place.is_symlink():
                        target = self._scenes / secrets.token_hex(16)
                        place.replace(target)
                        shutil.rmtree(place.parent, ignore_errors=True)
                        return target
        raise ImageError("that image was not uploaded, or too long ago; open it again")

    def remove(self, place: Path) -> None:
        """Delete a file that was claimed."""
        if place.parent == self._scenes:
            place.unlink(missing_ok=True)

    def has_room_for(self, size: int) -> bool:
        """Whether so many bytes more may be written; stale uploads are removed first."""
        self.sweep()
        return self.size() + size <= self.max_bytes

    def size(self) -> int:
        """Bytes taken now."""
        return sum(_size(path) for path in Path(self._folder.name).rglob("*"))

    def sweep(self, older_than_s: float = _UNCLAIMED_S) -> None:
        """Remove uploads that nobody has claimed."""
        limit = time.time() - older_than_s
        for folder in self.uploads.iterdir():
            if _modified(folder) < limit:
                shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Remove everything."""
        self._folder.cleanup()


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
