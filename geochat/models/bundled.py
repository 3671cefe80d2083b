"""The bundled models, by name."""

from importlib.resources import files
from pathlib import Path

BUNDLED = ("mini",)
"""Folders below `geochat/models`. The first is the default; "mini" and "geochat-mini" name the same model."""

_FAMILY = "geochat-"


def bundled_path(name: str = BUNDLED[0]) -> Path:
    """Return the folder of a bundled model, by default the default model's."""
    return Path(str(files("geochat") / "models" / name))


def find_bundled(source: str | Path) -> Path | None:
    """Return the folder of the bundled model of this name; None for any other name or a path."""
    name = source.removeprefix(_FAMILY) if isinstance(source, str) else None
    return bundled_path(name) if name in BUNDLED else None


def bundled_names() -> tuple[str, ...]:
    """Return full names of the bundled models, such as "geochat-mini"; the default first."""
    return tuple(f"{_FAMILY}{name}" for name in BUNDLED)
