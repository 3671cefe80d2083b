"""Hashes of files that a run depends on."""

import hashlib
from pathlib import Path

from geochat.errors import DataError

_PIECE = 1 << 20
_LABELS = (".csv", ".geojson", ".json", ".jsonl", ".names", ".txt", ".xml", ".yaml", ".yml")


def file_hash(path: Path | None) -> str | None:
    """SHA-256 of a file, None for none; of a folder that of the label files in it, with their places.

    Raises:
        DataError: It cannot be read.
    """
    if path is None:
        return None
    digest = hashlib.sha256()
    try:
        if not path.is_dir():
            return beginning_hash(path, path.stat().st_size)
        for file in sorted(path.rglob("*")):
            if file.suffix.lower() in _LABELS and file.is_file():
                digest.update(file.relative_to(path).as_posix().encode("utf-8", "surrogateescape"))
                digest.update(bytes.fromhex(beginning_hash(file, file.stat().st_size)))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; check the path") from error
    return digest.hexdigest()


def beginning_hash(path: Path, size: int) -> str:
    """SHA-256 of a file's first `size` bytes.

    Raises:
        OSError: It cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while size > 0 and (piece := file.read(min(_PIECE, size))):
            digest.update(piece)
            size -= len(piece)
    return digest.hexdigest()
