"""The web chat: draw a region, ask, see the answer on the image.

>>> from geochat import GeoChat
>>> from geochat_serve import ServeSettings, serve
>>> with serve(GeoChat.from_pretrained(), ServeSettings()) as server:
...     print(server.url)

The names below are loaded on first use: Gradio takes seconds, and a wrong setting is told without it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geochat_serve.serving import Server, check, serve
    from geochat_serve.settings import ServeSettings

__all__ = ["ServeSettings", "Server", "check", "serve"]

_HOMES = {"ServeSettings": "settings", "Server": "serving", "check": "serving", "serve": "serving"}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the module protocol has no narrower type
    if name not in _HOMES:
        raise AttributeError(f"module 'geochat_serve' has no attribute {name!r}")
    return getattr(import_module(f"geochat_serve.{_HOMES[name]}"), name)
