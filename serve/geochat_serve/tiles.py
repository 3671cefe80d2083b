"""Tiles of open scenes: rendered in threads of their own, and kept in a cache of limited size.

Tile (level, column, row) shows `SIDE` x `SIDE` pixels, each of 2**level x 2**level pixels of the scene. Tiles at the
right and the lower border are smaller. A rendering of a scene never changes, so a tile is immutable. Tiles of an image
layer have the grid of the scene under it.
"""

import asyncio
import io
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from PIL import Image

from geochat.errors import ImageError
from geochat.imagery import Window
from geochat_serve.image_layers import render_layer
from geochat_serve.open_scene import OpenScene

SIDE = 512
MAX_CACHE_BYTES = 2**28
_THREADS = 2  # so that answers keep the other processors
_MAX_LEVEL = 30


@dataclass(frozen=True)
class Tile:
    """A tile as the browser gets it.

    Attributes:
        content: PNG at full resolution, which changes no pixel; otherwise JPEG, or WebP if partly transparent.
        media_type: Media type of the content.
    """

    content: bytes
    media_type: str


class TileServer:
    """Renders tiles. All methods run on the server's event loop.

    Args:
        max_bytes: Size of the cache; the tiles used longest ago are dropped.

    Attributes:
        size: Bytes of the tiles in the cache.
        rendered: Number of tiles rendered.
    """

    def __init__(self, max_bytes: int = MAX_CACHE_BYTES) -> None:
        self.max_bytes = max_bytes
        self.size = self.rendered = 0
        self._tiles: OrderedDict[Hashable, Tile] = OrderedDict()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="geochat-tile")
        self._slots = asyncio.Semaphore(_THREADS)

    async def tile(
        self,
        scene: OpenScene,
        level: int,
        column: int,
        row: int,
        is_wanted: Callable[[], Awaitable[bool]],
        *,
        layer: OpenScene | None = None,
    ) -> Tile | None:
        """Return a tile of a scene, or of a layer over it; None if nobody wants it any more when its turn comes.

        Raises:
            ImageError: There is no such tile, or the image cannot be read.
        """
        window = tile_window(scene, level, column, row)
        shown = scene if layer is None else layer
        rendering = (shown.image_id, shown.overview.bands, shown.overview.stretch)
        key = (scene.image_id, *rendering, level, column, row)
        if (known := self._known(key)) is not None:
            return known
        async with self._slots:
            if (known := self._known(key)) is not None:
                return known
            if not await is_wanted():
                return None
            made = await asyncio.get_running_loop().run_in_executor(
                self._threads, render_tile, scene, window, level, layer
            )
            self.rendered += 1
            self._keep(key, made)
            return made

    def close(self) -> None:
        """Stop the threads. Idempotent."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _known(self, key: Hashable) -> Tile | None:
        tile = self._tiles.get(key)
        if tile is not None:
            self._tiles.move_to_end(key)
        return tile

    def _keep(self, key: Hashable, tile: Tile) -> None:
        if key in self._tiles:
            return
        self._tiles[key] = tile
        self.size += len(tile.content)
        while self.size > self.max_bytes:
            _, dropped = self._tiles.popitem(last=False)
            self.size -= len(dropped.content)


def tile_window(scene: OpenScene, level: int, column: int, row: int) -> Window:
    """Return the part of a scene that a tile shows.

    Raises:
        ImageError: There is no such tile.
    """
    width, height = scene.overview.width, scene.overview.height
    if 0 <= level <= _MAX_LEVEL and column >= 0 and row >= 0:
        side = SIDE << level
        left, top = column * side, row * side
        if left < width and top < height:
            return Window(left, top, min(side, width - left), min(side, height - top))
    raise ImageError(f"{scene.name} has no tile {level}/{column}/{row}; open the image again")


def render_tile(scene: OpenScene, window: Window, level: int, layer: OpenScene | None = None) -> Tile:
    """Render a tile of a scene, or of a layer over it.

    Raises:
        ImageError: The image was closed, or cannot be read.
    """
    size = (max(1, window.width >> level), max(1, window.height >> level))
    if layer is not None:
        return _encoded(render_layer(layer, scene, window, size), lossless=level == 0)
    view = scene.scene.read(
        window, size=size, bands=scene.overview.bands, stretch=scene.overview.stretch, allow_blank=True
    )
    return _encoded(view.pil(), lossless=level == 0)


def _encoded(picture: Image.Image, *, lossless: bool) -> Tile:
    content = io.BytesIO()
    if lossless:
        picture.save(content, "PNG", compress_level=1)
        kind = "png"
    elif picture.mode == "RGBA" and picture.getchannel("A").getextrema() != (255, 255):
        picture.save(content, "WEBP", quality=90, method=0)
        kind = "webp"
    else:
        picture.convert("RGB").save(content, "JPEG", quality=90)
        kind = "jpeg"
    return Tile(content.getvalue(), f"image/{kind}")
