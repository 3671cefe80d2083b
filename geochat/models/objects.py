"""JSON objects in the files of a checkpoint."""

import json
from pathlib import Path
from typing import Any

from geochat.errors import CheckpointError

_LARGEST = 64 << 20  # bytes; the index of a model of 10^6 tensors is about as large


def read_object(file: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        CheckpointError: The file is missing, too large, or holds something else.
    """
    if not file.is_file():
        raise CheckpointError(f"{file.parent} holds no {file.name}; it is not a checkpoint")
    try:
        size = file.stat().st_size
        if size > _LARGEST:
            raise CheckpointError(f"{file} has {size / 1e6:.0f} MB, too much for settings; copy the checkpoint again")
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{file} is not valid JSON ({error}); copy the checkpoint again") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{file} holds a {type(values).__name__}, expected an object; copy the checkpoint again")
    return values
