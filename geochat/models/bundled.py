"""The models that come with the package, by name."""

from importlib.resources import files
from pathlib import Path

BUNDLED = ("mini",)
"""Folders below `geochat/models`. The first is the default; "mini" and "geochat-mini" name the same model."""

_FAMILY = "geochat-"


def bundled_path(name: str = BUNDLED[0]) -> Path:
    """The folder of a bundled model, by default of the one that is used where none is named."""
    return Path(str(files("geochat") / "models" / name))


def find_bundled(source: str | Path) -> Path | None:
    """The folder of the bundled model of this name; None for any other name or a path."""
    name = source.removeprefix(_FAMILY) if isinstance(source, str) else None
    return bundled_path(name) if name in BUNDLED else None


def bundled_names() -> tuple[str, ...]:
    """Full names of the bundled models, such as "geochat-mini"; the default first."""
    return tuple(f"{_FAMILY}{name}" for name in BUNDLED)
