"""Hashes of files that a run depends on."""

import hashlib
from pathlib import Path

from geochat.errors import DataError
from geochat.files import sha256_of

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
            return sha256_of(path)
        for file in sorted(path.rglob("*")):
            if file.suffix.lower() in _LABELS and file.is_file():
                digest.update(file.relative_to(path).as_posix().encode("utf-8", "surrogateescape"))
                digest.update(bytes.fromhex(sha256_of(file)))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; check the path") from error
    return digest.hexdigest()
