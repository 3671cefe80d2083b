"""A checkpoint's dialect from its small files alone: `geochat.json`, and `config.json` for the input size.

Weights are not read and torch is not imported, so that data can be built and answers scored for a model without loading
it.
"""

from pathlib import Path

from geochat.dialects import Dialect, find_dialect
from geochat.errors import CheckpointError
from geochat.models.bundled import bundled_names, find_bundled
from geochat.models.objects import read_object
from geochat.models.settings import SETTINGS_FILE, Settings, read_settings

IMAGE_SIZE = 504  # of the published model, whose config does not say it
_ADAPTER = "adapter_config.json"
_TOWER = "mm_vision_tower"


def read_dialect(source: str | Path, *, base: str | Path | None = None) -> Dialect:
    """Read the dialect of a checkpoint, with its own fit and angles.

    Args:
        source: A checkpoint folder of any kind, or a bundled model's name. Hub ids are not resolved.
        base: Base of an adapter; None uses the base that it names.

    Raises:
        CheckpointError: There is no such folder, a file of it is damaged, or it crops images and does not say how
            large the square is that it sees.
    """
    folder = _folder(source)
    adapted = _base(folder, base) if (folder / _ADAPTER).is_file() else None
    known = [folder] if adapted is None else [folder, adapted]
    stated = next((each for each in known if (each / SETTINGS_FILE).is_file()), None)
    settings = Settings() if stated is None else read_settings(stated)
    size = next((size for each in reversed(known) if (size := _image_size(each))), None)
    fit = settings.fit or find_dialect(settings.dialect).model_frame.fit
    if size is None and fit == "crop":
        raise CheckpointError(
            f"{folder} crops images to a square, and no {known[-1] / 'config.json'} says of which size; copy that file "
            "from the checkpoint, or name the base of an adapter"
        )
    return find_dialect(settings.dialect).fitted(fit=settings.fit, size=size, angles=settings.convention)


def _folder(source: str | Path) -> Path:
    folder = Path(source)
    if folder.is_dir():
        return folder
    if (bundled := find_bundled(source)) is not None:
        return bundled
    raise CheckpointError(
        f"there is no checkpoint folder {str(source)!r}; give a folder, or {' or '.join(bundled_names())}; of a model "
        "on the hub its folder in the cache, or any folder with its geochat.json and config.json"
    )


def _base(adapter: Path, base: str | Path | None) -> Path | None:
    """Return the folder of an adapter's base; None if it is not available."""
    if base is not None:
        return _folder(base)
    named = read_object(adapter / _ADAPTER).get("base_model_name_or_path")
    if not isinstance(named, str):
        return None
    places = (adapter / named, adapter.parent / named, Path(named))
    return next((found for found in places if found.is_dir()), find_bundled(named))


def _image_size(folder: Path) -> int | None:
    """Return the input size in pixels: from the config, the published model's for the original's layout, else None."""
    if not (folder / "config.json").is_file():
        return None
    config = read_object(folder / "config.json")
    vision = config.get("vision_config")
    size = vision.get("image_size") if isinstance(vision, dict) else None
    if isinstance(size, int) and size > 0:
        return size
    return IMAGE_SIZE if _TOWER in config else None
