"""Finding a checkpoint's folder: a directory, or a repository on the Hugging Face hub."""

from importlib.resources import files
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from geochat.errors import CheckpointError

_DESCRIPTION = ["*.json", "*.jinja", "tokenizer.model"]


def bundled_path() -> Path:
    """The folder of the model shipped in the package."""
    return Path(str(files("geochat") / "models" / "mini"))


def find(source: str | Path, *, beside: Path | None = None) -> Path:
    """The folder of a checkpoint, downloaded if it is a hub id that is not in the local cache.

    Args:
        source: A directory, or a hub id such as "owner/name".
        beside: A folder in which, and next to which, a relative directory is looked for first, as one checkpoint names
            another.

    Raises:
        CheckpointError: There is no such directory or repository.
    """
    candidates = [beside / source, beside.parent / source] if beside else []
    folder = next((c for c in [*candidates, Path(source)] if c.is_dir()), None)
    if folder is not None:
        return folder
    name = str(source)
    if isinstance(source, Path) or name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise CheckpointError(f"there is no checkpoint directory {name!r}; give a directory or a hub id 'owner/name'")
    return _download(name)


def _download(name: str) -> Path:
    """Safetensors if the repository has them, so that its other copies of the weights are not downloaded too."""
    try:
        folder = Path(snapshot_download(name, allow_patterns=[*_DESCRIPTION, "*.safetensors"]))
        if not any(folder.glob("*.safetensors")):
            folder = Path(snapshot_download(name, allow_patterns=[*_DESCRIPTION, "*.bin"]))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise CheckpointError(
            f"{name!r} is neither a directory nor a hub id that can be downloaded here ({type(error).__name__}); "
            "check the spelling and the network"
        ) from error
    return folder
