"""The page and the HTTP API, built with Gradio."""

from functools import cache
from importlib.resources import files

_ASSETS = files("geochat_serve") / "web" / "assets"


@cache
def asset(name: str) -> str:
    """Return the text of a file in the package's `web/assets`."""
    return _ASSETS.joinpath(name).read_text(encoding="utf-8")
