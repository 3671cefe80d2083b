"""Tiles of the open image, and the images and vector layers laid over it, for the page."""

import asyncio
import gzip
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute

from geochat.errors import ImageError
from geochat_serve.image_layers import layer_bounds
from geochat_serve.open_scene import OpenScene, open_sample, open_upload
from geochat_serve.overlays import read_overlay
from geochat_serve.session import Session, discard
from geochat_serve.sessions import SessionStore
from geochat_serve.storage import UploadStorage, safe_name
from geochat_serve.tiles import TileServer
from geochat_serve.validation import clean
from geochat_serve.web.routes import page_route, read_count, read_json

_CACHING = {"cache-control": "private, max-age=604800, immutable"}
_ABANDONED = 499
_OVERLAY_FILE = "layer.json.gz"
_OVERLAYS_AT_ONCE = 2  # being read; a large one takes half a gigabyte


@dataclass(frozen=True)
class LayerHandlers:
    """Handlers of the viewer's and the layer panel's requests; `images` are those that the server was started with."""

    sessions: SessionStore
    tiles: TileServer
    storage: UploadStorage
    images: Sequence[Path] = ()
    _reading: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_OVERLAYS_AT_ONCE))

    def routes(self) -> list[BaseRoute]:
        """Return their routes."""
        named = (
            ("/tiles/{scene}/{level}/{column}/{row}", "GET", self.tile),
            ("/tiles/{scene}/{layer}/{level}/{column}/{row}", "GET", self.tile),
            ("/overlays", "GET", self.list_overlays),
            ("/overlays", "POST", self.add_overlay),
            ("/overlays/{overlay}", "GET", self.overlay),
            ("/overlays/{overlay}/remove", "POST", self.remove_overlay),
            ("/images", "GET", self.list_images),
            ("/images", "POST", self.add_image),
            ("/images/{layer}/remove", "POST", self.remove_image),
        )
        return [page_route(path, method, handler, self.sessions) for path, method, handler in named]

    async def tile(self, request: Request, session: Session) -> Response:
        """Return a tile of the open image, or of an image layer over it.

        The browser keeps it, and asks no more than whether it has changed, which it never does.
        """
        names = request.path_params
        scene = _scene(session, names["scene"])
        layer = session.require_layer(names["layer"]) if "layer" in names else None
        level, column, row = (read_count(names[name]) for name in ("level", "column", "row"))
        shown = scene.id if layer is None else f"{scene.id}-{layer.id}"
        headers = {**_CACHING, "etag": f'"{shown}-{level}-{column}-{row}"'}
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)

        async def is_wanted() -> bool:
            return not await request.is_disconnected()

        tile = await self.tiles.tile(scene, level, column, row, is_wanted, layer=layer)
        if tile is None:
            return Response(status_code=_ABANDONED)
        return Response(tile.content, media_type=tile.media_type, headers=headers)

    async def list_images(self, _request: Request, session: Session) -> dict[str, Any]:
        """List the image layers, the lowest first, and where each lies on the open image."""
        scene, layers = session.require_scene(), list(session.layers.values())
        told = await asyncio.to_thread(lambda: [_layer_json(layer, scene) for layer in layers])
        return {"image_id": scene.image_id, "layers": told}

    async def add_image(self, request: Request, session: Session) -> dict[str, Any]:
        """Lay an uploaded image, or one of the gallery, over the open image; it is refused if it has no place there."""
        values, scene = await read_json(request), session.require_scene()
        session.require_room()

        def open_layer() -> tuple[OpenScene, dict[str, Any]]:
            layer = self._open(values)
            try:
                layer_bounds(layer, scene)
                return layer, _layer_json(layer, scene)
            except BaseException:
                discard(layer, self.storage)
                raise

        layer, told = await asyncio.to_thread(open_layer)
        try:
            session.add_layer(layer)
        except ImageError:
            discard(layer, self.storage)
            raise
        return told

    def _open(self, values: dict[str, Any]) -> OpenScene:
        if "file" in values:
            return open_sample(str(values["file"]), self.images)
        return open_upload(values, self.storage)

    async def remove_image(self, request: Request, session: Session) -> dict[str, Any]:
        """Remove an image layer."""
        session.remove_layer(request.path_params["layer"], self.storage)
        return {}

    async def list_overlays(self, _request: Request, session: Session) -> dict[str, Any]:
        """List the vector layers of the open image, the lowest first."""
        return {"image_id": session.require_scene().image_id, "overlays": list(session.overlays)}

    async def overlay(self, request: Request, session: Session) -> Response:
        """Return a vector layer, as the page got it when it was added."""
        return _overlay_response(session.require_overlay(request.path_params["overlay"]))

    async def add_overlay(self, request: Request, session: Session) -> Response:
        """Lay an uploaded vector layer on the open image; the session keeps its shapes, and nothing else of it."""
        values, scene = await read_json(request), session.require_scene()
        session.require_room(vector=True)
        overlay_id = secrets.token_hex(8)

        def read(folder: Path) -> None:
            claimed = self.storage.claim(values.get("upload")).rename(folder / "layer")
            laid = read_overlay(claimed, safe_name(str(values.get("name") or "layer")), scene)
            told = {**laid, "id": overlay_id, "image_id": scene.image_id}
            content = gzip.compress(clean(json.dumps(told, ensure_ascii=False)).encode(), 1)
            for file in folder.iterdir():
                file.unlink()
            with self.storage.reserve(len(content), session.client):
                folder.joinpath(_OVERLAY_FILE).write_bytes(content)

        async with self._reading:
            if await request.is_disconnected():
                return Response(status_code=_ABANDONED)
            folder = self.storage.new_folder()
            try:
                await asyncio.to_thread(read, folder)
                session.add_overlay(overlay_id, folder, scene)
            except BaseException:
                self.storage.remove(folder)
                raise
        return _overlay_response(folder)

    async def remove_overlay(self, request: Request, session: Session) -> dict[str, Any]:
        """Remove a vector layer."""
        session.remove_overlay(request.path_params["overlay"], self.storage)
        return {}


def _overlay_response(folder: Path) -> Response:
    return FileResponse(folder / _OVERLAY_FILE, media_type="application/json", headers={"content-encoding": "gzip"})


def _scene(session: Session, name: str) -> OpenScene:
    """Return the scene of a session that a request names.

    Raises:
        ImageError: It is not open any more.
    """
    if session.scene is not None and session.scene.id == name:
        return session.scene
    raise ImageError("that image, or these bands of it, are no longer shown")


def _layer_json(layer: OpenScene, scene: OpenScene) -> dict[str, Any]:
    """Return an image layer: its place on the open image in pixels, or the reason why it has none there."""
    try:
        place: dict[str, Any] = {"bounds": layer_bounds(layer, scene), "problem": None}
    except ImageError as error:
        place = {"bounds": None, "problem": str(error)}
    return {"id": layer.id, "name": layer.name, **place}
