"""The web chat: draw a region, ask, see the answer on the image.

>>> from geochat import GeoChat
>>> from geochat_serve import ServeSettings, serve
>>> with serve(GeoChat.from_pretrained(), ServeSettings()) as server:
...     print(server.url)
"""

from geochat_serve.serving import Server, check, serve
from geochat_serve.settings import ServeSettings

__all__ = ["ServeSettings", "Server", "check", "serve"]
