"""Finding a checkpoint's folder: a directory, or a repository on the Hugging Face hub.

A name typed by the user may be downloaded. A name in a local folder, such as the base of an adapter, may not, because
the author of the folder chose it. It is then taken from the local cache, or the error states what is missing.
"""

from pathlib import Path

from geochat.errors import CheckpointError
from geochat.models.finding import find_local

_DESCRIPTION = ["*.json", "*.jinja", "tokenizer.model"]


def find(source: str | Path, *, beside: Path | None = None, allow_download: bool = True) -> Path:
    """Return the folder of a checkpoint, downloading a hub id that is not in the local cache.

    Args:
        source: A directory, or a hub id such as "owner/name".
        beside: A folder in which, and next to which, a relative directory is looked for first, as one checkpoint names
            another.
        allow_download: Whether the network may be asked.

    Raises:
        CheckpointError: There is no such directory or repository, or it is not in the cache and may not be downloaded.
    """
    return find_local(source, beside=beside) or _fetch(str(source), allow_download=allow_download)


def is_hub_id(source: str | Path) -> bool:
    """Return whether a name is a hub id; False for a directory and for invalid names."""
    try:
        return find_local(source) is None
    except CheckpointError:
        return False


def _fetch(name: str, *, allow_download: bool) -> Path:
    """Download safetensors if the repository has them, so that other copies of the weights are not downloaded too."""
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - not needed for a directory
    from huggingface_hub.errors import (  # noqa: PLC0415
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
    )

    offline = not allow_download
    try:
        folder = Path(
            snapshot_download(name, allow_patterns=[*_DESCRIPTION, "*.safetensors"], local_files_only=offline)
        )
        if not any(folder.glob("*.safetensors")):
            folder = Path(snapshot_download(name, allow_patterns=[*_DESCRIPTION, "*.bin"], local_files_only=offline))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        if offline:
            raise CheckpointError(
                f"{name!r} is neither a directory nor in the hub's local cache, and the network is not asked for what "
                f"a folder names; fetch it (`hf download {name}`), or allow it with --allow-download "
                "(allow_download=True in Python)"
            ) from error
        raise CheckpointError(
            f"{name!r} is neither a directory nor a hub id that can be downloaded here ({type(error).__name__}); "
            "check the spelling and the network"
        ) from error
    return folder
