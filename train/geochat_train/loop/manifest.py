"""Manifest of a folder of saved state: each file's size and hash, checked before use.

A state without its optimizer, or with a single changed byte, would silently continue to other weights. States from
before manifests existed are inspected instead: the files required for resuming must exist and be readable.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from geochat.errors import TrainingError
from geochat.files import sha256_of

NAME = "manifest.json"
_NEEDED = ("optimizer.pt", "scheduler.pt", "trainer_state.json")


def write_manifest(folder: Path, about: dict[str, Any]) -> None:
    """Write the manifest of a folder.

    Args:
        folder: Folder that already holds all files.
        about: Further facts, JSON-ready.
    """
    files = {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != NAME
    }
    (folder / NAME).write_text(json.dumps({**about, "files": files}, indent=1), encoding="utf-8")


def check_manifest(folder: Path, way_out: str) -> dict[str, Any] | None:
    """Check that a folder matches its manifest.

    Args:
        folder: The folder.
        way_out: Remedy on failure, which ends the message.

    Returns:
        What `write_manifest` was told of it, None where there is no manifest.

    Raises:
        TrainingError: A file is missing or was changed; names it.
    """
    about = read_manifest(folder, way_out)
    if about is None:
        return None
    for name, known in about.pop("files").items():
        path = folder / name
        if not path.is_file():
            raise TrainingError(f"{path} is missing; {way_out}")
        if path.stat().st_size != known["bytes"] or sha256_of(path) != known["sha256"]:
            raise TrainingError(f"{path} was changed after it was saved; {way_out}")
    return about


def read_manifest(folder: Path, way_out: str) -> dict[str, Any] | None:
    """Return a folder's manifest, unchecked; None if there is none.

    Raises:
        TrainingError: It is damaged.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        whole = all({"bytes", "sha256"} <= known.keys() for known in about["files"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrainingError(f"{path} is damaged ({error!r}); {way_out}") from error
    if not whole:
        raise TrainingError(f"{path} is damaged; {way_out}")
    return about


def look_through(checkpoint: Path, way_out: str) -> None:
    """Check a checkpoint without a manifest as far as possible: nothing is missing or truncated.

    Raises:
        TrainingError: A file is; names it.
    """
    names = {path.name for path in checkpoint.iterdir()}
    missing = [name for name in _NEEDED if name not in names]
    missing += [] if any(name.startswith("rng_state") for name in names) else ["rng_state.pth"]
    missing += [] if any(name.endswith(".safetensors") for name in names) else ["the weights"]
    if missing:
        raise TrainingError(f"{checkpoint / missing[0]} is missing; {way_out}")
    for path in sorted(checkpoint.iterdir()):
        try:
            _open(path)
        except (OSError, ValueError, RuntimeError, SafetensorError, EOFError, LookupError) as error:
            raise TrainingError(f"{path} is damaged ({str(error).splitlines()[:1]}); {way_out}") from error


def _open(path: Path) -> None:
    if path.suffix == ".json":
        json.loads(path.read_text(encoding="utf-8"))
    elif path.suffix == ".pt":
        torch.load(path, map_location="cpu", weights_only=True)
    elif path.suffix == ".safetensors":
        with safe_open(path, "pt") as file:
            file.keys()
