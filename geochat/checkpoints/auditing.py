"""Audit of a checkpoint's folder for code, for settings that fetch or run code, and for files that would not load.

The rules are those of loading: code next to the weights is never run, pickles are read only if they hold nothing but
tensors, a chat template must be bounded, and the hub is not contacted for what a folder names.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from geochat.checkpoints.architecture import ATTENTION, IGNORED, QUANTIZATION
from geochat.checkpoints.guards import unsafe_names
from geochat.checkpoints.hub import find
from geochat.checkpoints.packed import is_packed
from geochat.checkpoints.templates import unbounded
from geochat.checkpoints.tensors import WEIGHTS_FILES, weight_files
from geochat.errors import CheckpointError
from geochat.models import SETTINGS_FILE, find_bundled, read_settings
from geochat.models.finding import find_local
from geochat.models.objects import read_object

Verdict = Literal["refused", "ignored", "note"]

_CODE = frozenset((".py", ".pyc", ".pyd", ".so", ".dll", ".dylib", ".sh", ".bat", ".ps1", ".exe", ".ipynb", ".js"))
_TENSOR_PICKLES = frozenset((".bin", ".pt", ".pth", ".ckpt"))
_PICKLES = frozenset((".pkl", ".pickle", ".joblib", ".npy", ".npz", ".h5", ".keras"))
_MOST_FILES = 10_000
_TOLD = frozenset(IGNORED) - {"name_or_path"}  # where a file came from, which many say and nothing obeys
_BUILT_IN = (None, "eager", "sdpa", "flash_attention_2", "flex_attention")  # attention of transformers' own
_NAMES = {"adapter_config.json": "base_model_name_or_path", "config.json": "mm_vision_tower"}


@dataclass(frozen=True)
class Finding:
    """A finding about a folder.

    Attributes:
        verdict: "refused", loading ends with an error because of it; "ignored", it is not loaded, and loading goes on;
            "note", it is loaded, or it does no harm.
        file: Relative to the folder.
        text: Description of the finding.
    """

    verdict: Verdict
    file: str
    text: str


def audit(source: str | Path) -> list[Finding]:
    """Check a checkpoint's folder.

    Args:
        source: A directory, or a hub id that is in the local cache.

    Raises:
        CheckpointError: There is no such directory.
    """
    folder = find(source, allow_download=False)
    files = sorted(_files(folder))
    found = [finding for file in files for finding in (*_link(folder, file), *_contents(folder, file))]
    return [*found, *_geochat(folder), *_weights(folder), *_references(folder)]


def _files(folder: Path) -> Iterator[Path]:
    """Yield every file below a folder, and links to directories, which are not followed."""
    count = 0
    for parent, folders, names in os.walk(folder):
        for name in (*names, *(each for each in folders if (Path(parent) / each).is_symlink())):
            count += 1
            if count > _MOST_FILES:
                raise CheckpointError(
                    f"{folder} holds more than {_MOST_FILES} files; name the folder of one checkpoint"
                )
            yield Path(parent) / name


def _link(folder: Path, file: Path) -> Iterator[Finding]:
    """Report a link that leads outside; the hub's cache links to files next to its snapshots."""
    if not file.is_symlink():
        return
    target, home = file.resolve(), folder.resolve()
    cache = home.parent.parent if home.parent.name == "snapshots" else home
    if not target.is_relative_to(cache):
        yield Finding("note", str(file.relative_to(folder)), f"a link that leads outside, to {target}")


def _contents(folder: Path, file: Path) -> Iterator[Finding]:
    name, kind = str(file.relative_to(folder)), file.suffix.lower()
    if kind in _CODE:
        yield Finding("ignored", name, "code, which is never run")
    elif kind in _PICKLES:
        yield Finding("ignored", name, "a file that can hold Python objects, which is never read")
    elif kind in _TENSOR_PICKLES and file.is_file():
        yield _pickle(file, name)
    elif kind == ".json" and file.is_file():
        yield from _object(file, name)
    elif kind == ".jinja" and file.is_file():
        yield from _template(file.read_text(encoding="utf-8", errors="replace"), name)


def _pickle(file: Path, name: str) -> Finding:
    try:
        unsafe = unsafe_names(file)
    except CheckpointError as error:
        return Finding("refused", name, str(error))
    if unsafe:
        return Finding("refused", name, f"a pickle with more than tensors, which could run {', '.join(unsafe[:5])}")
    return Finding("note", name, "a pickle of tensors alone, read without running anything")


def _object(file: Path, name: str) -> Iterator[Finding]:
    """Findings in a JSON file; lists, such as a tokenizer's merges, are skipped."""
    try:
        values = read_object(file)
    except CheckpointError as error:
        if "expected an object" not in str(error):
            yield Finding("refused", name, str(error))
        return
    for key, value in _settings(values):
        if key == "chat_template":
            yield from _template(value, name)
        elif key in QUANTIZATION and value:
            yield _quantized(key, value, name)
        elif key.lstrip("_") in _TOLD and not (key.lstrip("_") in ATTENTION and value in _BUILT_IN):
            yield Finding("ignored", name, f"{key}: {str(value)[:80]}, which is not obeyed")


def _quantized(key: str, value: object, name: str) -> Finding:
    if is_packed(value):
        return Finding("note", name, f"{key}: packed integers, which are unpacked on loading")
    return Finding("refused", name, f"{key}: the weights are quantised in a format that is not loaded")


def _settings(values: dict[str, Any], depth: int = 4) -> Iterator[tuple[str, Any]]:
    """Yield keys and values, also of nested objects; the large tables of a tokenizer are deeper, or not objects."""
    for key, value in values.items():
        if isinstance(value, dict) and depth and key not in ("vocab", "weight_map", *IGNORED, *QUANTIZATION):
            yield from _settings(value, depth - 1)
        yield key, value


def _template(value: Any, name: str) -> Iterator[Finding]:  # noqa: ANN401 - what a JSON file holds
    """Check a template, or a list of named ones."""
    each = (
        [part.get("template") if isinstance(part, dict) else part for part in value]
        if isinstance(value, list)
        else [value]
    )
    for template in each:
        if isinstance(template, str) and (problem := unbounded(template)):
            yield Finding("refused", name, f"the chat template is not used: {problem}")


def _geochat(folder: Path) -> Iterator[Finding]:
    """Check the GeoChat settings."""
    try:
        read_settings(folder)
    except CheckpointError as error:
        yield Finding("refused", SETTINGS_FILE, str(error))


def _weights(folder: Path) -> Iterator[Finding]:
    """Check that one list of weights files is used, and report other weights next to it."""
    present = [file for file in folder.iterdir() if file.suffix in (".safetensors", ".bin")]
    if not any((folder / name).is_file() or (folder / f"{name}.index.json").is_file() for name in WEIGHTS_FILES):
        return  # an adapter, or a file in open_clip's format
    try:
        meant = weight_files(folder)
    except CheckpointError as error:
        yield Finding("refused", ".", str(error))
        return
    for file in sorted(set(present) - set(meant)):
        if file.suffix == ".safetensors":
            yield Finding("ignored", file.name, "weights that no index lists")


def _references(folder: Path) -> Iterator[Finding]:
    """Report references of the folder to files elsewhere."""
    for file, key in _NAMES.items():
        try:
            named = read_object(folder / file).get(key) if (folder / file).is_file() else None
        except CheckpointError:
            continue  # reported above
        if not isinstance(named, str) or find_bundled(named) is not None:
            continue
        text = f"{key}: {named}"
        try:
            local = find_local(named, beside=folder)
            place = local or find(named, allow_download=False)
        except CheckpointError:
            needed: Verdict = "refused" if key == "base_model_name_or_path" else "note"
            yield Finding(needed, file, f"{text}, which is not here; the hub is asked only with --allow-download")
            continue
        if not place.resolve().is_relative_to(folder.resolve()):
            yield Finding("note", file, f"{text}, taken from {place}")
