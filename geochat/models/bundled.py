"""The weights that come with the package."""

from importlib.resources import files
from pathlib import Path


def bundled_path() -> Path:
    """The folder of the model shipped in the package."""
    return Path(str(files("geochat") / "models" / "mini"))
