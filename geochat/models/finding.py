"""Locating a checkpoint's folder, and early checks before torch is imported.

Only names and small JSON files are read; whether every tensor exists is checked when the checkpoint is recognised
(`geochat.checkpoints`).
"""

from pathlib import Path

from geochat.errors import CheckpointError
from geochat.files import is_folder, is_there
from geochat.models.bundled import bundled_names, bundled_path, find_bundled
from geochat.models.objects import read_object
from geochat.models.settings import SETTINGS_FILE, read_settings

ADAPTER_CONFIG = "adapter_config.json"
_CONFIG = "config.json"
_VISION = ("vision_config", "mm_vision_tower")  # of the native layout's config, and of the original's


def find_local(source: str | Path, *, beside: Path | None = None) -> Path | None:
    """Return the folder of a checkpoint; None for a hub id "owner/name", which only the hub or its cache can resolve.

    A directory takes precedence over a bundled model of the same name.

    Args:
        source: A directory, the name of a bundled model or a hub id.
        beside: A folder in which, and next to which, a relative directory is looked for first, as one checkpoint names
            another.

    Raises:
        CheckpointError: It is none of these.
    """
    candidates = [beside / source, beside.parent / source] if beside else []
    folder = next((candidate for candidate in [*candidates, Path(source)] if is_folder(candidate)), None)
    folder = folder or find_bundled(source)
    name = str(source)
    if folder is None and (isinstance(source, Path) or name.count("/") != 1 or name.startswith((".", "/", "~"))):
        raise CheckpointError(
            f"there is no checkpoint directory {name!r}; give a directory, a hub id 'owner/name' or "
            f"{' or '.join(bundled_names())}"
        )
    return folder


def check_checkpoint(source: str | Path | None, *, base: str | Path | None = None) -> None:
    """Check a checkpoint as far as its name and small files allow; hub ids are left to the hub.

    Args:
        source: A directory, a hub id or a bundled model's name; None is the default model.
        base: Base of an adapter; None uses the base that it names.

    Raises:
        CheckpointError: There is no such directory, it holds no checkpoint, its settings are damaged, or the base of
            an adapter is missing.
    """
    folder = bundled_path() if source is None else find_local(source)
    if folder is None:
        return
    if (folder / SETTINGS_FILE).is_file():
        read_settings(folder)
    if (folder / ADAPTER_CONFIG).is_file():
        _check_base(folder, base)
    elif base is not None:
        raise CheckpointError(f"{folder} is not an adapter and takes no base")
    else:
        _check_config(folder, folder)


def check_adapter(source: str | Path, *, base: str | Path | None = None) -> None:
    """Check that a checkpoint is an adapter, with the checks of `check_checkpoint`.

    Raises:
        CheckpointError: It is a directory without an adapter, or as `check_checkpoint`.
    """
    folder = find_local(source)
    if folder is not None and not (folder / ADAPTER_CONFIG).is_file():
        raise CheckpointError(f"{source} is no adapter, so there is nothing to merge; see `geochat convert`")
    check_checkpoint(source, base=base)


def check_destination(folder: Path) -> None:
    """Check that a checkpoint can be written to a folder.

    Raises:
        CheckpointError: It exists and is not an empty folder.
    """
    if is_there(folder) and (not is_folder(folder) or any(folder.iterdir())):
        raise CheckpointError(f"{folder} exists already; remove it or choose another destination")


def _check_base(adapter: Path, base: str | Path | None) -> None:
    """Check the base of an adapter, which may supply the config that its base lacks."""
    named = read_object(adapter / ADAPTER_CONFIG).get("base_model_name_or_path") if base is None else base
    if not named:
        raise CheckpointError(f"{adapter} is an adapter and names no base; give one")
    try:
        found = find_local(str(named), beside=adapter if base is None else None)
    except CheckpointError as error:
        if base is not None:
            raise
        raise CheckpointError(f"{adapter} adapts {named!r}, which is not found ({error}); give its base") from error
    if found is not None:
        _check_config(found, adapter)


def _check_config(folder: Path, other: Path) -> None:
    """Check that the config of `folder`, or of `other`, belongs to a model with a vision tower."""
    config = read_object(folder / _CONFIG)
    if other != folder and (other / _CONFIG).is_file() and "vision_config" not in config:
        folder, config = other, read_object(other / _CONFIG)
    if not any(name in config for name in _VISION):
        raise CheckpointError(
            f"{folder} is a {config.get('model_type')!r} model without a vision tower, expected a GeoChat or LLaVA "
            "checkpoint or an adapter"
        )
