"""The web chat and its HTTP API.

>>> from geochat import GeoChat
>>> from geochat_serve import ServeSettings, serve
>>> with serve(GeoChat.from_pretrained(), ServeSettings()) as server:
...     print(server.url)

The names below are loaded on first use: importing Gradio takes seconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geochat_serve.app import Server, check, serve
    from geochat_serve.settings import ServeSettings

__all__ = ["ServeSettings", "Server", "check", "serve"]

_MODULES = {"ServeSettings": "settings", "Server": "app", "check": "app", "serve": "app"}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the module protocol has no narrower type
    if name not in _MODULES:
        raise AttributeError(f"module 'geochat_serve' has no attribute {name!r}")
    return getattr(import_module(f"geochat_serve.{_MODULES[name]}"), name)
