"""Writing a file whole or not at all."""

from pathlib import Path

from geochat.errors import ExportError
from geochat.files import atomic_draft


def check_target(path: str | Path, endings: tuple[str, ...]) -> Path:
    """Check what can be known before there is anything to write.

    Raises:
        ExportError: The name has none of the endings, or its folder does not exist.
    """
    path = Path(path)
    if path.suffix.lower() not in endings:
        raise ExportError(f"{path} has the ending {path.suffix!r}; this result is written as {' or '.join(endings)}")
    if not path.parent.is_dir():
        raise ExportError(f"{path} cannot be written: there is no folder {path.parent}; create it first")
    return path


def write_atomically(path: Path, content: bytes) -> Path:
    """Write `content` beside `path`, then move it there: nobody sees half a file, and a failure keeps the old one.

    Returns:
        The path written.

    Raises:
        ExportError: The folder is read-only, the disk is full, or `path` is a folder.
    """
    try:
        with atomic_draft(path) as draft:
            draft.write_bytes(content)
    except OSError as error:
        raise ExportError(f"{path} cannot be written: {error.strerror or error}; choose another place") from error
    return path
