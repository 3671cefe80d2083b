"""Finding a checkpoint's folder: a directory, or a repository on the Hugging Face hub."""

from pathlib import Path

from geochat.errors import CheckpointError
from geochat.models.finding import find_local

_DESCRIPTION = ["*.json", "*.jinja", "tokenizer.model"]


def find(source: str | Path, *, beside: Path | None = None) -> Path:
    """The folder of a checkpoint, downloaded if it is a hub id that is not in the local cache.

    Args:
        source: A directory, or a hub id such as "owner/name".
        beside: A folder in which, and next to which, a relative directory is looked for first, as one checkpoint names
            another.

    Raises:
        CheckpointError: There is no such directory or repository.
    """
    return find_local(source, beside=beside) or _download(str(source))


def _download(name: str) -> Path:
    """Safetensors if the repository has them, so that its other copies of the weights are not downloaded too."""
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - not needed for a directory
    from huggingface_hub.errors import (  # noqa: PLC0415
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
    )

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
