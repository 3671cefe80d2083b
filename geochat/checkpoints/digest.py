"""The hash by which an answer, an export or a report says which weights made it."""

import hashlib
from collections.abc import Iterable
from pathlib import Path


def sha256_of(files: Iterable[Path]) -> str:
    """Hex digest over the contents of the files, in order."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()
