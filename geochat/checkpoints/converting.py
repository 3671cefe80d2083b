"""Conversion of any checkpoint into the native layout, shard by shard.

Tensors are made one at a time, in the order of the source's files, so memory stays near the mapped part of one source
shard, whatever the model's size. Output goes to a folder `.NAME.partial` next to the destination, with a manifest of
finished files; it is renamed when everything is written and checked. An interrupted conversion resumes when it is run
again with the same arguments: finished files with a matching hash are kept. With other arguments, or another source,
the draft is emptied first, so that only files of this conversion are published.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from geochat.checkpoints.adapters import ADAPTER_CONFIG
from geochat.checkpoints.layout import DTYPES, plan, read_contents
from geochat.checkpoints.saving import describe_checkpoint
from geochat.checkpoints.shards import Entry, Shard, split, write_index
from geochat.checkpoints.sources import IMAGE_SIZE, Source, recognise
from geochat.checkpoints.tensors import Reader, weight_files
from geochat.errors import CheckpointError, SettingsError
from geochat.files import atomic_draft
from geochat.models import weights_sha256
from geochat.models.finding import check_destination

_MANIFEST = "conversion.json"
_LOCK = "conversion.lock"

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Conversion:
    """Result of a conversion.

    Attributes:
        folder: The new checkpoint.
        tensors: Number of its tensors.
        size: Bytes of its tensors.
        dtype: Their precision.
        shards: Number of its weights files.
        resumed: Number of them that an earlier, interrupted run had finished.
        dropped: Names of the source's tensors that the model does not need.
    """

    folder: Path
    tensors: int
    size: int
    dtype: str
    shards: int
    resumed: int
    dropped: tuple[str, ...]


def convert(
    source: str | Path,
    folder: Path,
    *,
    base: str | Path | None = None,
    dtype: str | None = None,
    shard_size: str = "5GB",
    image_size: int = IMAGE_SIZE,
    progress: Progress | None = None,
    allow_download: bool = False,
) -> Conversion:
    """Write a checkpoint of any kind in the native layout.

    Args:
        source: A directory or hub id: native, in the original's layout, or an adapter.
        folder: The new checkpoint; must not exist.
        base: Base of an adapter; None uses the base that it names.
        dtype: "float32", "bfloat16" or "float16"; None keeps that of most of the source's weights.
        shard_size: Largest weights file, such as "5GB".
        image_size: Side of the square the model sees, in pixels, for a source that does not say.
        progress: Called with the bytes written and the bytes to write, after each file.
        allow_download: Whether what a local folder names, a base or a vision tower, may be downloaded.

    Raises:
        CheckpointError: The source is incomplete, damaged or unknown, or the destination cannot be written.
        SettingsError: The dtype or shard size is not one.
    """
    check_destination(folder)
    found = recognise(source, base=base, image_size=image_size, allow_download=allow_download)
    processor = found.processor()
    precision = _precision(found, dtype)
    reader = Reader()
    entries = [Entry(name, recipe.shape, partial(recipe.make, reader)) for name, recipe in found.recipes.items()]
    shards = split(entries, precision, shard_size)
    with _draft(folder) as draft:
        manifest = _Manifest(draft / _MANIFEST, _fingerprint(found, shards))
        kept = {_LOCK, _MANIFEST, *(shard.file for shard in shards if manifest.vouches_for(shard.file))}
        _empty(draft, kept)
        resumed = _write(shards, draft, manifest, progress)
        describe_checkpoint(draft, found.config, processor, found.settings, precision)
        plan(found.config, read_contents(weight_files(draft)).tensors, draft)
        _publish(draft, folder)
    size = sum(shard.size for shard in shards)
    return Conversion(
        folder, len(entries), size, str(precision).removeprefix("torch."), len(shards), resumed, found.dropped
    )


def _empty(draft: Path, kept: set[str]) -> None:
    """Remove everything except the names in `kept`."""
    for path in draft.iterdir():
        if path.name in kept:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _write(shards: list[Shard], draft: Path, manifest: "_Manifest", progress: Progress | None) -> int:
    """Write the shards that an earlier run has not finished; returns how many it had."""
    finished = [shard for shard in shards if (draft / shard.file).is_file()]
    total, done = sum(shard.size for shard in shards), sum(shard.size for shard in finished)
    free = shutil.disk_usage(draft).free
    if total - done > free:
        raise CheckpointError(
            f"the conversion writes {(total - done) / 1e9:.1f} GB and {draft.parent} has {free / 1e9:.1f} GB free; "
            "free space or choose another destination"
        )
    for shard in shards:
        if shard in finished:
            continue
        manifest.add(shard.file, shard.write(draft))
        done += shard.size
        if progress:
            progress(done, total)
    write_index(shards, draft)
    return len(finished)


class _Manifest:
    """The finished files of a conversion with their hashes; reset if the conversion differs."""

    def __init__(self, file: Path, fingerprint: str) -> None:
        self._file = file
        try:
            state = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            state = {}
        known = isinstance(state, dict) and state.get("of") == fingerprint and isinstance(state.get("finished"), dict)
        self._state: dict[str, Any] = state if known else {"of": fingerprint, "finished": {}}

    def vouches_for(self, name: str) -> bool:
        """Return whether the file was finished and is unchanged."""
        file = self._file.parent / name
        return file.is_file() and self._state["finished"].get(name) == weights_sha256([file])

    def add(self, name: str, digest: str) -> None:
        self._state["finished"][name] = digest
        with atomic_draft(self._file) as draft:
            draft.write_text(json.dumps(self._state), encoding="utf-8")


@contextmanager
def _draft(folder: Path) -> Iterator[Path]:
    """Lock and return the draft folder, which stays on failure."""
    draft = folder.parent / f".{folder.name}.partial"
    try:
        draft.mkdir(parents=True, exist_ok=True)
        with FileLock(draft / _LOCK, blocking=False):
            yield draft
    except Timeout as error:
        raise CheckpointError(f"another process is converting to {folder}; wait for it") from error
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be written: {error}; free space or choose another") from error


def _publish(draft: Path, folder: Path) -> None:
    (draft / _MANIFEST).unlink()
    (draft / _LOCK).unlink(missing_ok=True)
    if folder.exists():
        folder.rmdir()
    draft.rename(folder)


def _precision(source: Source, name: str | None) -> torch.dtype:
    """Return the requested dtype, or that of most parameters."""
    if name is not None:
        if name not in DTYPES:
            raise SettingsError(f"unknown dtype {name!r}; use {', '.join(DTYPES)}")
        return DTYPES[name]
    counts: dict[torch.dtype, int] = {}
    for recipe in source.recipes.values():
        counts[recipe.stored.dtype] = counts.get(recipe.stored.dtype, 0) + prod(recipe.shape)
    return max(counts, key=lambda dtype: counts[dtype])


def _fingerprint(source: Source, shards: list[Shard]) -> str:
    """Return a fingerprint of a conversion: the source's files and config, and the mapping of tensors."""
    adapted = [source.adapter.folder / ADAPTER_CONFIG] if source.adapter else []
    files = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in (*source.files, *adapted)]
    layout = [(shard.file, str(shard.dtype), [(e.name, e.shape) for e in shard.entries]) for shard in shards]
    return hashlib.sha256(json.dumps([files, source.config.to_dict(), layout], default=str).encode()).hexdigest()
