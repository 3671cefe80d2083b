"""Atomic writing of files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from geochat.errors import ExportError
from geochat.files import atomic_draft


def check_target(path: str | Path, endings: tuple[str, ...]) -> Path:
    """Check a file's name before any work is done.

    Args:
        path: The file.
        endings: Allowed suffixes; empty allows any.

    Raises:
        ExportError: The name has none of the endings, or its folder does not exist.
    """
    path = Path(path)
    if endings and not path.name.lower().endswith(endings):
        raise ExportError(f"{path} has the ending {path.suffix!r}; this result is written as {' or '.join(endings)}")
    if not path.parent.is_dir():
        raise ExportError(f"{path} cannot be written: there is no folder {path.parent}; create it first")
    return path


@contextmanager
def draft_of(path: Path) -> Iterator[Path]:
    """Yield a path next to `path`, with the same suffix; the file written there becomes `path` when the body ends.

    Raises:
        ExportError: The folder is read-only, the disk is full, or `path` is a folder.
    """
    try:
        with atomic_draft(path, f".part{path.suffix}") as draft:
            yield draft
    except OSError as error:
        raise ExportError(f"{path} cannot be written: {error.strerror or error}; choose another place") from error


def write_atomically(path: Path, content: bytes) -> Path:
    """Write `content` to a draft next to `path`, then rename it; a failure keeps the old file.

    Returns:
        The path written.

    Raises:
        ExportError: The folder is read-only, the disk is full, or `path` is a folder.
    """
    with draft_of(path) as draft:
        draft.write_bytes(content)
    return path
